"""Processes that are really killed: what is stored stays, and the same call goes on."""

import json
import logging
import os
import signal
import time

import dask
import pytest
import xarray as xr
from distributed import (
    Client,
    LocalCluster,
    Scheduler,
    SchedulerPlugin,
    SpecCluster,
    Worker,
    get_worker,
)
from fault_helpers import JOB, chunk_files, lines, wait_for

import xbinn
from xbinn.errors import JobError
from xbinn.running import scheduling, store, tile
from xbinn.running.job import ledger_path, read_plan
from xbinn.running.ledger import Ledger

KILL = "os.kill(os.getpid(), signal.SIGKILL)"
AT = """
def dying(function, when, after=False):
    count = [0]
    def call(*args, **kwargs):
        count[0] += 1
        if count[0] == when and not after:
            {kill}
        result = function(*args, **kwargs)
        if count[0] == when:
            {kill}
        return result
    return call
{patch}
"""
MOMENTS = {
    "after the ledger was begun": "store.create = dying(store.create, 1)",
    "after the template": "store.create = dying(store.create, 1, after=True)",
    "before the third tile is written": "store.write_tile = dying(store.write_tile, 3)",
    "between chunks and ledger": "store.write_tile = dying(store.write_tile, 3, after=True)",
    "after a line of the ledger": (
        "ledger.Ledger.append = dying(ledger.Ledger.append, 4, after=True)"
    ),
    "before the mark as complete": "store.set_status = dying(store.set_status, 1)",
}


def finish(grid, model, path) -> None:
    out = xbinn.predict(grid, model, to=path, **JOB)
    assert out.attrs[store.STATUS_ATTRIBUTE] == store.COMPLETE
    assert xbinn.verify(path).sound


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_client_is_gone_on_with(start, grid, model, undisturbed, tmp_path, caplog, moment):
    process = start(AT.format(kill=KILL, patch=MOMENTS[moment]))
    assert process.wait() == -signal.SIGKILL
    path = tmp_path / "out.zarr"
    if path.exists():
        assert store.attributes(path)[store.STATUS_ATTRIBUTE] == store.INCOMPLETE
    with caplog.at_level(logging.WARNING, "xbinn"):
        finish(grid, model, path)
    assert "has ended without finishing: taking over its lock" in caplog.text
    assert chunk_files(path) == undisturbed
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.zarr", "out.zarr.ledger"]


def test_killed_twice(start, grid, model, undisturbed, tmp_path):
    for moment in ("between chunks and ledger", "before the third tile is written"):
        process = start(AT.format(kill=KILL, patch=MOMENTS[moment]))
        assert process.wait() == -signal.SIGKILL
    assert lines(tmp_path) == 1 + 2 + 2
    finish(grid, model, tmp_path / "out.zarr")
    assert chunk_files(tmp_path / "out.zarr") == undisturbed


def test_killed_while_netcdf_is_made(start, grid, model, tmp_path):
    fault = (
        "def torn(self, path, **kwargs):\n"
        "    path.write_bytes(b'half')\n"
        f"    {KILL}\n"
        "xr.Dataset.to_netcdf = torn"
    )
    process = start(fault, to="out.nc")
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "out.nc").exists()
    assert len(list(tmp_path.iterdir())) == 4  # store, ledger, lock, half a file
    out = xbinn.predict(grid, model, to=tmp_path / "out.nc", **JOB).compute()
    xr.testing.assert_equal(out, xbinn.predict(grid, model, outputs="soc").compute())
    assert [p.name for p in tmp_path.iterdir()] == ["out.nc"]


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_interrupted_by_the_user(start, grid, model, undisturbed, tmp_path, scheduler):
    slow = "original = tile._run\ndef run(*a):\n    time.sleep(0.5)\n    return original(*a)\n"
    process = start(f"{slow}tile._run = run", scheduler=scheduler)
    wait_for(lambda: (tmp_path / "out.zarr.ledger").exists() and lines(tmp_path) > 1)
    process.kill(signal.SIGINT)
    assert process.wait() != 0
    said = process.said()
    assert "tiles of" in said
    assert "the same call goes on from there" in said
    assert not (tmp_path / "out.zarr.lock").exists()
    finish(grid, model, tmp_path / "out.zarr")
    assert chunk_files(tmp_path / "out.zarr") == undisturbed


def test_a_second_writer_is_refused_while_the_first_runs(start, grid, model, tmp_path):
    process = start("store.write_tile = lambda *a: time.sleep(60)")
    wait_for(lambda: (tmp_path / "out.zarr").exists())
    with pytest.raises(
        JobError, match=rf"is being written by process {process.pid} of host .*since .*: wait"
    ):
        xbinn.predict(grid, model, to=tmp_path / "out.zarr", **JOB)


def test_a_lock_of_another_host_is_explained(grid, model, tmp_path):
    lock = {"host": "node7", "namespace": "", "pid": 1, "started": 0.0, "since": "yesterday"}
    (tmp_path / "out.zarr.lock").write_text(json.dumps(lock))
    with pytest.raises(
        JobError, match=r"process 1 of host node7 since yesterday.*delete the stale"
    ):
        xbinn.predict(grid, model, to=tmp_path / "out.zarr", **JOB)
    (tmp_path / "out.zarr.lock").write_text("not a lock")
    with pytest.raises(JobError, match=r"is no lock of this version .* delete it"):
        xbinn.predict(grid, model, to=tmp_path / "out.zarr", **JOB)


# --- clusters ---------------------------------------------------------------------------------


@pytest.fixture
def cluster():
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as c,
        Client(c) as client,
    ):
        yield client


def test_a_killed_worker_comes_back_or_others_do_its_work(
    cluster, grid, model, undisturbed, tmp_path, monkeypatch
):
    killed = []
    append = scheduling._as_finished

    def killing(*args):
        for found in append(*args):
            if not killed:
                pids = list(cluster.run(os.getpid).values())
                killed.append(pids[0])
                os.kill(pids[0], signal.SIGKILL)
            yield found

    monkeypatch.setattr(scheduling, "_as_finished", killing)
    finish(grid, model, tmp_path / "out.zarr")
    assert killed
    assert chunk_files(tmp_path / "out.zarr") == undisturbed


def test_a_tile_whose_worker_always_dies_is_named(cluster, grid, model, undisturbed, tmp_path):
    deadly = grid.assign(
        TSOI=grid["TSOI"].copy(data=grid["TSOI"].data.map_blocks(_die_in_one_block))
    )
    # Each death costs the start of a worker; one is as good as dask's four.
    cluster.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0))
    with pytest.raises(
        JobError,
        match=r"^1 of \d+ tiles .*\(1, 1\), lat\[1:2\], lon\[2:4\]: its worker died.*GiB.*chunks=",
    ):
        xbinn.predict(deadly, model, to=tmp_path / "out.zarr", **JOB)
    assert store.attributes(tmp_path / "out.zarr")[store.STATUS_ATTRIBUTE] == store.INCOMPLETE
    # Tiles that waited beside it were blamed with it, and are stored all the same.
    _, tiling = read_plan(Ledger.read(ledger_path(tmp_path / "out.zarr")).plan)
    done = Ledger.read(ledger_path(tmp_path / "out.zarr")).done
    assert {tiling.index(n) for n in range(tiling.n_tiles) if n not in done} == {(1, 1)}


def _die_in_one_block(block, block_info=None):
    if block_info and block_info[0]["chunk-location"][-2:] == (1, 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return block


def test_a_lost_scheduler_is_said_in_time(grid, model, undisturbed, tmp_path):
    # So long a client tries to reach its scheduler again.
    quick = dask.config.set({"distributed.comm.timeouts.connect": "3s"})
    with quick, in_process({}) as c:
        client = Client(c)
        append = scheduling._as_finished

        def losing(*args):
            for number, found in enumerate(append(*args)):
                if number == 1:
                    c.sync(c.scheduler.close)
                yield found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scheduling, "_as_finished", losing)
            begin = time.monotonic()
            with pytest.raises(JobError, match=r"was lost, or it withdrew the tasks.*goes on"):
                xbinn.predict(grid, model, to=tmp_path / "out.zarr", **JOB)
            assert time.monotonic() - begin < 60
        client.close(timeout=5)
    finish(grid, model, tmp_path / "out.zarr")
    assert chunk_files(tmp_path / "out.zarr") == undisturbed


class _Finished(SchedulerPlugin):
    """What the scheduler records of tasks that workers have finished: key and worker."""

    name = "finished"

    def __init__(self) -> None:
        self.records: list[tuple[str, str]] = []

    async def start(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler

    def transition(self, key, start, finish, *args, worker=None, **kwargs) -> None:
        if (start, finish) == ("processing", "memory"):
            self.records.append((str(key), self.scheduler.workers[worker].name))


def _finished(dask_scheduler: Scheduler) -> list[tuple[str, str]]:
    return dask_scheduler.plugins["finished"].records


def test_all_tiles_run_where_a_gpu_is_offered(grid, model, undisturbed, tmp_path):
    with in_process({"GPU": 1}, {}, {}) as c, Client(c) as client:
        client.register_plugin(_Finished())
        finish(grid, model, tmp_path / "out.zarr")
        records = client.run_on_scheduler(_finished)
        _, tiling = read_plan(Ledger.read(ledger_path(tmp_path / "out.zarr")).plan)
        assert len(records) == tiling.n_tiles
        assert {worker for _, worker in records} == {"w0"}
        xbinn.predict(grid, model, to=tmp_path / "cpu.zarr", **JOB, device="cpu")
        free = client.run_on_scheduler(_finished)[len(records) :]
        assert len({worker for _, worker in free}) > 1
    assert chunk_files(tmp_path / "out.zarr") == undisturbed


def test_a_worker_that_joins_late_gets_tiles(grid, model, undisturbed, tmp_path, monkeypatch):
    names = []
    run = tile._run

    def slow(*args):
        names.append(get_worker().name)
        time.sleep(0.3)
        return run(*args)

    monkeypatch.setattr(tile, "_run", slow)
    monkeypatch.setattr(scheduling, "_LOOK", 0.1)
    with in_process({}) as c, Client(c):
        found = scheduling._as_finished

        def joining(*args):
            for number, outcome in enumerate(found(*args)):
                if number == 1:
                    c.worker_spec["late"] = {"cls": Worker, "options": {"name": "late"}}
                    c.sync(c._correct_state)
                yield outcome

        monkeypatch.setattr(scheduling, "_as_finished", joining)
        finish(grid, model, tmp_path / "out.zarr")
    assert names.count("late") > 1
    assert chunk_files(tmp_path / "out.zarr") == undisturbed


def test_a_cluster_that_lost_all_its_workers(grid, model, undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr(scheduling, "_LOOK", 0.1)
    monkeypatch.setattr(scheduling, "NO_WORKERS_SECONDS", 1.0)
    # A result may be on the worker that leaves, between its end and its being fetched.
    monkeypatch.setattr(scheduling, "_FETCH", 0.5)
    with in_process({}) as c, Client(c):
        found = scheduling._as_finished

        def leaving(*args):
            for number, outcome in enumerate(found(*args)):
                if number == 1:
                    c.scale(0)
                yield outcome

        monkeypatch.setattr(scheduling, "_as_finished", leaving)
        with pytest.raises(JobError, match=r"has had no worker for 1 s: start some; .* goes on"):
            xbinn.predict(grid, model, to=tmp_path / "out.zarr", **JOB)
        monkeypatch.undo()
    finish(grid, model, tmp_path / "out.zarr")
    assert chunk_files(tmp_path / "out.zarr") == undisturbed


def in_process(*tags: dict) -> SpecCluster:
    """A cluster in this process; each worker has one thread and its resources."""
    return SpecCluster(
        workers={
            i: {"cls": Worker, "options": {"nthreads": 1, "resources": tag, "name": f"w{i}"}}
            for i, tag in enumerate(tags)
        },
        scheduler={"cls": Scheduler, "options": {"dashboard": False, "dashboard_address": ":0"}},
    )
