"""What becomes of a finished task whose worker leaves before its result is fetched."""

import pytest
from distributed import CancelledError

from xbinn.errors import JobError
from xbinn.running.scheduling import Outcome, _fetched


class Future:
    """Says one thing after the other when it is asked for its result."""

    def __init__(self, *said, status="finished") -> None:
        self.said = list(said)
        self.status = status

    def result(self, timeout):
        said = self.said.pop(0)
        if isinstance(said, ValueError):
            self.status = "error"
        if isinstance(said, Exception):
            raise said
        return said

    def exception(self):
        return ValueError("of the task")


class Watch:
    """Looks at a cluster that has workers, or has none."""

    def __init__(self, *, workers: bool) -> None:
        self.workers = workers

    def look(self) -> None:
        if not self.workers:
            raise JobError("no worker for 1 s: start some")

    def lost(self) -> JobError:
        return JobError("the scheduler was lost")


def test_a_result_that_comes_late_is_waited_for():
    future = Future(TimeoutError(), TimeoutError(), 7)
    assert _fetched(3, future, Watch(workers=True)) == Outcome(3, 7, None)


def test_nobody_waits_for_a_worker_that_never_comes():
    with pytest.raises(JobError, match="no worker for 1 s"):
        _fetched(3, Future(TimeoutError(), 7), Watch(workers=False))


def test_a_task_that_fails_when_it_is_run_again_has_an_outcome():
    found = _fetched(3, Future(ValueError("of the task")), Watch(workers=True))
    assert (found.number, found.result, str(found.error)) == (3, None, "of the task")


@pytest.mark.parametrize("error", [OSError("closed"), CancelledError("tile")])
def test_a_lost_scheduler_is_no_error_of_the_task(error):
    with pytest.raises(JobError, match="the scheduler was lost"):
        _fetched(3, Future(error), Watch(workers=True))
