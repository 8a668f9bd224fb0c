"""Fixtures that all tests share: data, devices, random numbers, a scheduler that refuses."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import dask
import hypothesis
import pytest
import torch
import xarray as xr

RANDOM_SEED = os.environ.get("XBINN_RANDOM_SEED")
"""Unset: the same random tests in each run. Set: hypothesis draws anew."""

hypothesis.settings.register_profile(
    "ci",
    deadline=None,  # the first example pays for imports and caches
    derandomize=RANDOM_SEED is None,
    max_examples=25,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("ci")

# As in a worker: one torch thread per worker thread.
torch.set_num_threads(1)

REAL_DATA = {
    "real_grid": "conus_grid.nc",
    "real_profiles": "conus_profiles.nc",
    "real_points": "global_points.nc",
}
"""Fixture: file in the folder that XBINN_DATA names."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses real data, so that no test forgets to."""
    for item in items:
        if REAL_DATA.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.realdata)


def _real(fixture: str) -> xr.Dataset:
    folder = os.environ.get("XBINN_DATA")
    if not folder:
        pytest.skip("XBINN_DATA is not set: no real data here")
    path = Path(folder) / REAL_DATA[fixture]
    if not path.parent.is_dir():
        pytest.skip(f"XBINN_DATA names {folder}, which is no folder: no real data here")
    # A folder without the file is a fault of the data, not a reason to skip.
    return xr.load_dataset(path, decode_coords="all")


@pytest.fixture(scope="session")
def _real_grid() -> xr.Dataset:
    return _real("real_grid")


@pytest.fixture(scope="session")
def _real_profiles() -> xr.Dataset:
    return _real("real_profiles")


@pytest.fixture(scope="session")
def _real_points() -> xr.Dataset:
    return _real("real_points")


# Each test gets its own shallow copy: attributes and variables may be changed, values may not.
@pytest.fixture
def real_grid(_real_grid: xr.Dataset) -> xr.Dataset:
    """Covariates and forcing of the contiguous US, on (lat, lon)."""
    return _real_grid.copy()


@pytest.fixture
def real_profiles(_real_profiles: xr.Dataset) -> xr.Dataset:
    """SOC profiles of the contiguous US, on (profile, sample)."""
    return _real_profiles.copy()


@pytest.fixture
def real_points(_real_points: xr.Dataset) -> xr.Dataset:
    """Land points of the globe with covariates and forcing, on (cell)."""
    return _real_points.copy()


@pytest.fixture(scope="session")
def oracle() -> xr.Dataset:
    """Reference columns with exact results; see tests/data/README.md."""
    return xr.load_dataset(Path(__file__).parent / "data" / "clm5_matrix_oracle.nc")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Each device that this machine has."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    return torch.device(request.param)


class DaskComputed(AssertionError):
    """Something was computed that should have stayed lazy."""


class CountingScheduler:
    """A dask scheduler that refuses to run more than `max_computes` graphs."""

    def __init__(self, max_computes: int) -> None:
        self.max_computes = max_computes
        self.computes = 0

    def __call__(self, dsk: Any, keys: Any, **kwargs: Any) -> Any:
        self.computes += 1
        if self.computes > self.max_computes:
            raise DaskComputed(
                f"dask computed {self.computes} times, at most {self.max_computes} allowed"
            )
        return dask.get(dsk, keys, **kwargs)


RaiseIfDaskComputes = Callable[..., AbstractContextManager[Any]]


@pytest.fixture
def raise_if_dask_computes() -> RaiseIfDaskComputes:
    """``with raise_if_dask_computes(max_computes=0): ...`` proves that a block is lazy."""

    def refuse(max_computes: int = 0) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = dask.config.set(
            scheduler=CountingScheduler(max_computes)
        )
        return context

    return refuse
