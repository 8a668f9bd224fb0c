"""What the fault tests have in common: a job in a process of its own, and what it leaves behind."""

import hashlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xbinn.testing import small_grid

CHUNKS = {"lat": 1, "lon": 2}
"""Of the small grid: tiles that do not divide it evenly."""
JOB: dict[str, Any] = {"chunks": CHUNKS, "outputs": "soc"}
"""Options of the job: as many arrays as a fault needs to be seen in, since each costs its file."""
TILE = {"lat": 20, "lon": 20}
"""Of the grid that is 100 times as large as a tile."""
SECONDS = 120
"""No process of these tests may take longer."""

Chunks = dict[str, str]


def chunk_files(store: Path) -> Chunks:
    """Digest of every chunk file, by its path in the store; metadata carries times."""
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(store.rglob("*"))
        if path.is_file() and path.name != "zarr.json"
    }


def lines(folder: Path) -> int:
    """Lines of the ledger of out.zarr, 0 where there is none."""
    ledger = folder / "out.zarr.ledger"
    return ledger.read_text().count("\n") if ledger.exists() else 0


def wait_for(condition: Callable[[], Any]) -> None:
    """Look again and again until something holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Started:
    """A process that can be killed, and what it has said.

    It is forked from a server that has imported xbinn and computed nothing: importing it anew takes
    longer than most of these tests.
    """

    def __init__(self, target: Callable[..., None], *args: Any) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["fault_preload"])
        self._heard, speaking = context.Pipe(duplex=False)
        self.process: ForkServerProcess = context.Process(
            target=_speaking, args=(speaking, target, *args)
        )
        self.process.start()
        speaking.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Return the exit code, negative for a signal."""
        self.process.join(SECONDS)
        assert self.process.exitcode is not None, "it does not end"
        return self.process.exitcode

    def said(self) -> str:
        """Return what it wrote to the terminal, once it has ended."""
        found = b""
        while more := os.read(self._heard.fileno(), 2**16):
            found += more
        return found.decode()

    def stop(self) -> None:
        """Make sure that it has ended."""
        if self.process.is_alive():
            self.process.kill()
        self.process.join(SECONDS)


def _speaking(speaking: Connection, target: Callable[..., None], *args: Any) -> None:
    # A pipe, to which a process can write also where it is not allowed to write files.
    for number in (1, 2):
        os.dup2(speaking.fileno(), number)
    speaking.close()
    sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1) for n in (1, 2))
    # Whoever runs the tests in the background hands down that it is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    target(*args)


def run_job(folder: str, to: str, fault: str, scheduler: str) -> None:
    """Predict on the grid of the fault tests, after some lines that prepare a fault."""
    import fault_preload as ready

    names = dict(vars(ready))
    ready.torch.set_num_threads(1)
    ready.dask.config.set(scheduler=scheduler)
    grid = ready.xr.open_zarr(f"{folder}/grid.zarr", consolidated=False, decode_coords="all")
    exec(fault, names)
    ready.xbinn.predict(grid, ready.xbinn.load(f"{folder}/m.xbinn"), to=to, **JOB)


def run_dask(command: str, arguments: Sequence[str], fault: str = "") -> None:
    """Be ``dask scheduler`` or ``dask worker``."""
    import fault_preload as ready

    exec(fault, dict(vars(ready)))
    commands = {
        "scheduler": ready.dask_scheduler.main,
        "worker": ready.dask_worker.main,
    }
    commands[command](list(arguments))


def run_large(model: str, to: str, chunks: dict[str, int], headroom: int) -> None:
    """Predict on a lazy grid of 100 tiles in little more memory than is in use already."""
    import resource

    import fault_preload as ready
    import psutil

    ready.torch.set_num_threads(1)
    ready.dask.config.set(scheduler="synchronous")
    loaded = ready.xbinn.load(model)
    ready.xbinn.predict(small_grid(), loaded)  # what is set up once counts as in use
    grid = hundredfold().chunk(chunks)
    assert grid.nbytes > headroom
    limit = psutil.Process().memory_info().data + headroom
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    ready.xbinn.predict(grid, loaded, to=to, outputs="soc", chunks=TILE)
    try:
        grid.load()
    except MemoryError:
        return
    raise AssertionError("the limit is no limit: the whole grid fits")


def hundredfold() -> xr.Dataset:
    """Return a lazy grid of 10 x 10 times one tile, of which only that is in memory."""
    tile = small_grid(tuple(TILE.values())).chunk()
    grid = tile.drop_vars(TILE)
    for dim in TILE:
        grid = xr.concat([grid] * 10, dim, data_vars="minimal")
    ends = {dim: (float(tile[dim][0]), float(tile[dim][-1])) for dim in TILE}
    return grid.assign_coords(
        {d: (d, np.linspace(*ends[d], grid.sizes[d]), tile[d].attrs) for d in TILE}
    )
