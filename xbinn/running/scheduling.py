"""Run many independent tasks, a few at a time: in this thread, in threads, or on a cluster."""

import queue
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future as LocalFuture
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import dask
from distributed import CancelledError, Client, WorkerPlugin

from xbinn.errors import JobError
from xbinn.running.resources import workers

SharedT = TypeVar("SharedT")
PartT = TypeVar("PartT")
ResultT = TypeVar("ResultT")

WAITING_PER_THREAD: Final = 2
"""Tasks handed out for every worker thread: one in work, one waiting."""
NO_WORKERS_SECONDS: Final = 300.0
"""How long a job waits for a worker after it has lost all."""
_LOOK: Final = 2.0
"""Seconds after which the cluster is looked at again."""
_FETCH: Final = 60.0
"""Seconds after which the cluster is looked at while a finished task's result does not come."""

_SHARED: dict[str, Any] = {}
"""In a worker: what the tasks of a job have in common, by job."""

Function = Callable[[SharedT, int, PartT | None], ResultT]


@dataclass(frozen=True)
class Outcome(Generic[ResultT]):
    """One finished task: its number and either its result or its error."""

    number: int
    result: ResultT | None
    error: BaseException | None


class _Share(WorkerPlugin):
    """Brings something to each worker of a cluster, also to those that come later, once."""

    def __init__(self, name: str, shared: Any) -> None:
        self.name = name
        self.shared = shared

    def setup(self, worker: Any) -> None:
        _SHARED[self.name] = self.shared

    def teardown(self, worker: Any) -> None:
        _SHARED.pop(self.name, None)


def _task(function: Function[Any, Any, Any], job: str, number: int, part: Any) -> Any:
    return function(_SHARED[job], number, part)


def run_tasks(
    function: Function[SharedT, PartT, ResultT],
    shared: SharedT,
    numbers: Iterable[int],
    *,
    part: Callable[[int], PartT | None],
    client: Client | None,
    threads: int = 1,
    resources: dict[str, float] | None = None,
    alone: bool = False,
) -> Generator[Outcome[ResultT], None, None]:
    """Run a function once for every number and yield outcomes as they come.

    Only a few tasks are handed out at a time, so that memory does not grow with their number.
    Whoever stops early leaves no task behind: what has not begun is withdrawn.

    Parameters
    ----------
    function : callable
        Takes ``shared``, a number, and its part.
    shared : object
        Travels to every worker once.
    numbers : iterable of int
        Of the tasks.
    part : callable
        From a number to what only its task needs, or None.
    client : Client or None
        None for this process.
    threads : int
        Of this process; 1 is the calling thread itself.
    resources : dict, optional
        What a worker must offer to get tasks.
    alone : bool
        Hand out one task at a time to a cluster, so that nothing waits beside it.

    Raises
    ------
    JobError
        If the cluster is lost. An error of a task is no error here: it is its outcome.
    """
    if client is not None:
        yield from _on_cluster(function, shared, numbers, part, client, resources, alone)
    elif threads == 1:
        yield from _here(function, shared, numbers, part)
    else:
        yield from _in_threads(function, shared, numbers, part, threads)


def _here(
    function: Any, shared: Any, numbers: Iterable[int], part: Any
) -> Generator[Outcome[Any], None, None]:
    for number in numbers:
        try:
            yield Outcome(number, function(shared, number, part(number)), None)
        except Exception as error:  # noqa: BLE001  an outcome
            yield Outcome(number, None, error)


def _in_threads(
    function: Any, shared: Any, numbers: Iterable[int], part: Any, threads: int
) -> Generator[Outcome[Any], None, None]:
    pool = ThreadPoolExecutor(threads, thread_name_prefix="xbinn-tile")
    most = WAITING_PER_THREAD * threads

    def submit(number: int) -> LocalFuture[Any]:
        return pool.submit(function, shared, number, part(number))

    try:
        for number, future in _as_finished(submit, numbers, lambda: most, lambda: None):
            error = future.exception()
            yield Outcome(number, None if error else future.result(), error)
    finally:
        pool.shutdown(cancel_futures=True)


def _on_cluster(
    function: Any,
    shared: Any,
    numbers: Iterable[int],
    part: Any,
    client: Client,
    resources: dict[str, float] | None,
    alone: bool,
) -> Generator[Outcome[Any], None, None]:
    watch = _Watch(client)
    # A part of a grid in memory is meant to travel with its task.
    quiet = dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"})
    with quiet, _sharing(client, shared) as job:

        def submit(number: int) -> Any:
            return client.submit(
                _task,
                function,
                job,
                number,
                part(number),
                key=f"xbinn-tile-{job}-{number}",
                resources=resources,
                pure=False,
            )

        def most() -> int:
            return 1 if alone else WAITING_PER_THREAD * watch.threads()

        for number, future in _as_finished(submit, numbers, most, watch.look):
            yield _fetched(number, future, watch)


def _fetched(number: int, future: Any, watch: "_Watch") -> Outcome[Any]:
    while True:
        if future.status == "cancelled":
            raise watch.lost()
        if future.status == "error":
            return Outcome(number, None, future.exception())
        try:
            return Outcome(number, future.result(timeout=_FETCH), None)
        except TimeoutError:
            # The worker that held the result has gone: its task waits, perhaps for no one.
            watch.look()
        except Exception as error:
            if future.status == "error":
                continue  # it was run again, and failed
            if isinstance(error, OSError | CancelledError):
                # This is the scheduler's end, while it was asked.
                raise watch.lost() from error
            raise


@contextmanager
def _sharing(client: Client, shared: Any) -> Iterator[str]:
    job = uuid.uuid4().hex[:12]
    client.register_plugin(_Share(job, shared), name=job)
    try:
        yield job
    finally:
        if client.status == "running":
            # A scheduler that has just been lost, or a worker that has just been started, has
            # nothing to forget.
            with suppress(OSError, KeyError):
                client.unregister_worker_plugin(name=job)


class _Watch:
    """Looks whether a cluster is still there."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.address = client.scheduler.address if client.scheduler else "unknown"
        self._seen = time.monotonic()
        self._threads = max(1, sum(client.nthreads().values()))

    def threads(self) -> int:
        return int(self._threads)

    def look(self) -> None:
        if self.client.status != "running":
            raise self.lost()
        try:
            here = workers(self.client)
        except OSError as error:
            raise self.lost() from error
        if here:
            self._seen = time.monotonic()
            self._threads = sum(worker["nthreads"] for worker in here.values())
        elif time.monotonic() - self._seen > NO_WORKERS_SECONDS:
            raise JobError(
                f"the cluster {self.address} has had no worker for {NO_WORKERS_SECONDS:.0f} s: "
                "start some"
            )

    def lost(self) -> JobError:
        return JobError(
            f"the scheduler {self.address} was lost, or it withdrew the tasks: start a cluster"
        )


def _as_finished(
    submit: Callable[[int], Any],
    numbers: Iterable[int],
    most: Callable[[], int],
    look: Callable[[], None],
) -> Generator[tuple[int, Any], None, None]:
    """Keep a few futures going and yield them as they finish."""
    finished: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
    going: dict[int, Any] = {}
    left = iter(numbers)
    more = True
    looked = time.monotonic()
    try:
        while more or going:
            # Also while tasks finish: workers that have come since are to get some.
            if time.monotonic() - looked > _LOOK:
                look()
                looked = time.monotonic()
            while more and len(going) < most():
                number = next(left, None)
                if number is None:
                    more = False
                    break
                going[number] = future = submit(number)
                future.add_done_callback(lambda f, n=number: finished.put((n, f)))
            if not going:
                break
            try:
                number, future = finished.get(timeout=_LOOK)
            except queue.Empty:
                continue
            del going[number]
            yield number, future
    finally:
        for future in going.values():
            future.cancel()
