"""A small job, its undisturbed result, and ways to run it in processes that can be killed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import xarray as xr
from fault_helpers import CHUNKS, JOB, Chunks, Started, chunk_files, run_job

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
    xbinn.predict(grid, model, to=folder / "undisturbed.zarr", **JOB)
    return chunk_files(folder / "undisturbed.zarr")


@pytest.fixture
def start(folder, tmp_path) -> Iterator[Callable[..., Started]]:
    """Start the job in a process of its own, after some lines that prepare a fault."""
    running = []

    def run(fault: str = "", *, scheduler: str = "synchronous", to: str = "out.zarr") -> Started:
        running.append(Started(run_job, str(folder), str(tmp_path / to), fault, scheduler))
        return running[-1]

    yield run
    for process in running:
        process.stop()
