"""Scheduler, workers and client each in a process of its own, and each of them killed."""

import json
import signal
from collections.abc import Callable, Iterator

import dask
import pytest
import xarray as xr
from distributed import Client, wait
from fault_helpers import JOB, SECONDS, Started, chunk_files, lines, run_dask, wait_for

import xbinn
from xbinn.errors import JobError
from xbinn.running import scheduling, store

SLOW = """
original = tile._run
def run(*arguments):
    time.sleep(0.5)
    return original(*arguments)
tile._run = run
"""


class Cluster:
    """A scheduler and plain workers without nannies, on loopback."""

    def __init__(self, file, *, workers: int, fault: str = "") -> None:
        quiet = ["--no-dashboard", "--scheduler-file", str(file)]
        self.scheduler = Started(
            run_dask, "scheduler", ["--host", "127.0.0.1", "--port", "0", *quiet]
        )
        wait_for(lambda: file.exists() and file.read_text())
        self.address = json.loads(file.read_text())["address"]
        self.workers = {
            f"w{i}": Started(
                run_dask,
                "worker",
                [self.address, "--no-nanny", "--nthreads=1", "--no-dashboard", f"--name=w{i}"],
                fault,
            )
            for i in range(workers)
        }

    def stop(self) -> None:
        for process in (*self.workers.values(), self.scheduler):
            process.stop()


@pytest.fixture
def cluster(tmp_path_factory) -> Iterator[Callable[..., Cluster]]:
    clusters = []

    def begin(fault: str = "", *, workers: int = 2) -> Cluster:
        folder = tmp_path_factory.mktemp("cluster")
        clusters.append(Cluster(folder / "scheduler.json", workers=workers, fault=fault))
        return clusters[-1]

    yield begin
    for one in clusters:
        one.stop()


def after(monkeypatch, tiles: int, action: Callable[[], None]) -> None:
    """Do something once some tiles have come back, while others are in work."""
    found = scheduling._as_finished

    def acting(*args):
        for number, outcome in enumerate(found(*args), 1):
            if number == tiles:
                action()
            yield outcome

    monkeypatch.setattr(scheduling, "_as_finished", acting)


def finish(grid, model, path) -> None:
    out = xbinn.predict(grid, model, to=path, **JOB)
    assert out.attrs[store.STATUS_ATTRIBUTE] == store.COMPLETE
    assert xbinn.verify(path).sound


def test_a_lazy_result_is_computed_by_a_remote_cluster(cluster, grid, model):
    lazy = xbinn.predict(grid, model)
    expected = lazy.compute(scheduler="synchronous")
    remote = cluster()
    with Client(remote.address) as client:
        client.wait_for_workers(2, timeout=SECONDS)
        kept = client.persist(lazy)
        wait(kept, timeout=SECONDS)
        assert len({w for where in client.who_has(kept).values() for w in where}) == 2
        xr.testing.assert_identical(kept.compute(), expected)


def test_a_killed_scheduler(cluster, grid, model, undisturbed, tmp_path, monkeypatch):
    first = cluster(SLOW)
    # So long a client tries to reach its scheduler again.
    with dask.config.set({"distributed.comm.timeouts.connect": "3s"}):
        client = Client(first.address)
        client.wait_for_workers(2, timeout=SECONDS)
        with monkeypatch.context() as patch:
            after(patch, 3, first.scheduler.kill)
            with pytest.raises(
                JobError,
                match=rf"scheduler {first.address} was lost.*\d of 12 tiles of .*out.zarr are "
                "stored, and the same call goes on",
            ):
                xbinn.predict(grid, model, to=tmp_path / "out.zarr", **JOB)
        client.close(timeout=5)
    assert first.scheduler.wait() == -signal.SIGKILL
    assert store.attributes(tmp_path / "out.zarr")[store.STATUS_ATTRIBUTE] == store.INCOMPLETE
    assert 1 + 2 <= lines(tmp_path) < 1 + 12
    first.stop()
    with Client(cluster().address):
        finish(grid, model, tmp_path / "out.zarr")
    assert chunk_files(tmp_path / "out.zarr") == undisturbed


def test_a_killed_worker_without_nanny(cluster, grid, model, undisturbed, tmp_path, monkeypatch):
    remote = cluster(SLOW)
    with Client(remote.address) as client:
        client.wait_for_workers(2, timeout=SECONDS)
        working = []

        def kill() -> None:
            names = {a: w["name"] for a, w in client.scheduler_info()["workers"].items()}
            working.extend(names[a] for a, tasks in client.processing().items() if tasks)
            remote.workers["w0"].kill()

        after(monkeypatch, 2, kill)
        finish(grid, model, tmp_path / "out.zarr")
        assert "w0" in working
        assert remote.workers["w0"].wait() == -signal.SIGKILL
        assert len(client.scheduler_info()["workers"]) == 1
    assert chunk_files(tmp_path / "out.zarr") == undisturbed


def test_a_killed_client_of_a_cluster(cluster, start, grid, model, undisturbed, tmp_path):
    remote = cluster(SLOW)
    process = start(f"client = Client({remote.address!r})")
    wait_for(lambda: lines(tmp_path) >= 1 + 2)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert lines(tmp_path) < 1 + 12
    with Client(remote.address):
        finish(grid, model, tmp_path / "out.zarr")
    assert chunk_files(tmp_path / "out.zarr") == undisturbed
