"""Scheduler and workers as processes of their own, as on a cluster; each may be killed."""

import os
import re
import signal
import subprocess
import sys
import time

import dask
import pytest
import xarray as xr
from distributed import Client
from fault_helpers import CHUNKS, SECONDS, chunk_files

import xbinn
from xbinn.errors import JobError
from xbinn.running import scheduling, store

QUICK = {"distributed.comm.timeouts.connect": "3s"}


class Processes:
    """A scheduler and workers without nannies, on loopback."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0")
        self.address = self._said("scheduler", r"Scheduler at:\s+(tcp://\S+)")
        self.workers: list[subprocess.Popen] = []

    def add_workers(self, count: int) -> None:
        for _ in range(count):
            name = f"w{len(self.workers)}"
            self.workers.append(
                self._start("worker", self.address, "--no-nanny", "--nthreads", "1", "--name", name,
                            "--death-timeout", "10", "--local-directory", str(self.folder))
            )  # fmt: skip

    def _start(self, what: str, *arguments: str) -> subprocess.Popen:
        log = (self.folder / f"{what}.log").open("ab")
        command = [sys.executable, "-m", "dask", what, *arguments, "--no-dashboard"]
        return subprocess.Popen(command, stdout=log, stderr=log)

    def _said(self, what: str, pattern: str) -> str:
        deadline = time.monotonic() + SECONDS
        while True:
            found = re.search(pattern, (self.folder / f"{what}.log").read_text())
            if found:
                return found[1]
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait(timeout=SECONDS)


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """Started once; the tests below take it apart in their order, and each also works alone."""
    found = Processes(tmp_path_factory.mktemp("cluster"))
    found.add_workers(2)
    with dask.config.set(QUICK):
        yield found
    found.end()


def kill_after_first(monkeypatch, process) -> None:
    """Kill a process as soon as the first tile of the next job is stored."""
    original = scheduling._as_finished

    def killing(*args):
        for found in original(*args):
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                process.wait(timeout=SECONDS)
            yield found

    monkeypatch.setattr(scheduling, "_as_finished", killing)


def test_a_lazy_result_runs_on_a_remote_scheduler(processes, grid, model, raise_if_dask_computes):
    with raise_if_dask_computes():
        lazy = xbinn.predict(grid, model)
    with Client(processes.address) as client:
        client.wait_for_workers(2, timeout=SECONDS)
        remote = lazy.compute()
    with dask.config.set(scheduler="synchronous"):
        xr.testing.assert_identical(remote, lazy.compute())


def test_a_killed_worker_without_nanny_leaves_its_work_to_the_others(
    processes, grid, model, undisturbed, tmp_path, monkeypatch
):
    with Client(processes.address) as client:
        client.wait_for_workers(2, timeout=SECONDS)
        kill_after_first(monkeypatch, processes.workers[0])
        out = xbinn.predict(grid, model, to=tmp_path / "out.zarr", chunks=CHUNKS)
    assert processes.workers[0].returncode == -signal.SIGKILL
    assert out.attrs[store.STATUS_ATTRIBUTE] == store.COMPLETE
    assert xbinn.verify(tmp_path / "out.zarr").sound
    assert chunk_files(tmp_path / "out.zarr") == undisturbed


def test_a_killed_scheduler_is_said_and_another_cluster_goes_on(
    processes, grid, model, undisturbed, tmp_path, monkeypatch
):
    path = tmp_path / "out.zarr"
    client = Client(processes.address)
    client.wait_for_workers(1, timeout=SECONDS)
    with monkeypatch.context() as patch:
        kill_after_first(patch, processes.scheduler)
        begin = time.monotonic()
        with pytest.raises(JobError, match=r"the scheduler tcp://.* was lost.*same call goes on"):
            xbinn.predict(grid, model, to=path, chunks=CHUNKS)
        assert time.monotonic() - begin < 60
    client.close(timeout=1)
    assert processes.scheduler.returncode == -signal.SIGKILL
    assert store.attributes(path)[store.STATUS_ATTRIBUTE] == store.INCOMPLETE
    found = xbinn.verify(path)
    assert found.stored < found.tiles
    assert not found.damaged
    another = Processes(tmp_path)
    try:
        another.add_workers(1)
        with Client(another.address):
            xbinn.predict(grid, model, to=path, chunks=CHUNKS)
    finally:
        another.end()
    assert xbinn.verify(path).sound
    assert chunk_files(path) == undisturbed
