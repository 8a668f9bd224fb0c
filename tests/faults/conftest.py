"""A small job, its undisturbed result, and ways to run it in processes that can be killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr
from fault_helpers import CHUNKS, SECONDS, Chunks, chunk_files

import xbinn
from xbinn.testing import small_grid, small_profiles


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """A grid on disk and a model."""
    folder = tmp_path_factory.mktemp("faults")
    grid = small_grid()
    model = xbinn.fit(grid, small_profiles(grid), epochs=1, seed=0, hidden=(4,))
    model.save(folder / "m.xbinn")
    grid.chunk(CHUNKS).to_zarr(folder / "grid.zarr", consolidated=False)
    return folder


@pytest.fixture(scope="session")
def model(folder) -> xbinn.Model:
    return xbinn.load(folder / "m.xbinn")


@pytest.fixture
def grid(folder) -> xr.Dataset:
    return xr.open_zarr(folder / "grid.zarr", consolidated=False, decode_coords="all")


@pytest.fixture(scope="session")
def undisturbed(folder, model) -> Chunks:
    """Chunk files of a job that nothing happened to."""
    grid = xr.open_zarr(folder / "grid.zarr", consolidated=False, decode_coords="all")
    xbinn.predict(grid, model, to=folder / "undisturbed.zarr", chunks=CHUNKS)
    return chunk_files(folder / "undisturbed.zarr")


@pytest.fixture
def start(folder, tmp_path) -> Callable[..., subprocess.Popen]:
    """Start the job in a process of its own, after some lines that prepare a fault."""
    running = []

    def run(
        fault: str = "", *, scheduler: str = "synchronous", to: str = "out.zarr"
    ) -> subprocess.Popen:
        code = f"""
import os, signal, sys, time, dask, xarray as xr, xbinn
from xbinn.running import job, ledger, scheduling, store, tile
if __name__ == "__main__":
    # Whoever runs the tests in the background hands down that it is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    dask.config.set(scheduler={scheduler!r})
    grid = xr.open_zarr({str(folder / "grid.zarr")!r}, consolidated=False, decode_coords="all")
    model = xbinn.load({str(folder / "m.xbinn")!r})
{"".join(f"    {line}" + chr(10) for line in fault.splitlines())}
    xbinn.predict(grid, model, to={str(tmp_path / to)!r}, chunks={CHUNKS!r})
"""
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        running.append(process)
        return process

    yield run
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=SECONDS)
