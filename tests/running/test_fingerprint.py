"""What a job is known by."""

import numpy as np
import pytest
import xarray as xr

from xbinn.running.fingerprint import differences, fingerprint
from xbinn.running.tiling import cut

NAMES = ("a", "b", "c", "d")


def known_by(grid: xr.Dataset, rows: int = 10) -> dict[str, str]:
    tiling = cut(
        {"lat": grid.sizes["lat"], "lon": grid.sizes["lon"]}, {}, chunks={"lat": rows}, shards=None
    )
    return fingerprint(
        grid, tiling, crs="none", model="m", version="1", outputs=("soc",), dtype="float32"
    )


@pytest.fixture
def grid() -> xr.Dataset:
    """Variables of a layer and two places each, in memory."""
    values = np.random.default_rng(0).random((3, 30, 8))
    return xr.Dataset({name: (("layer", "lat", "lon"), values + i) for i, name in enumerate(NAMES)})


def test_chunked_values_are_told_by_some_cells_of_a_tile(grid):
    """Each variable in one tile, all of which are looked into; whatever chunks they come in."""
    before = known_by(grid.chunk(lat=10))
    assert before == known_by(grid.chunk(lat=7, lon=3))
    noticed = {name: [] for name in NAMES}
    for name in NAMES:
        for first in (0, 10, 20):
            changed = grid.copy(deep=True)
            changed[name][:, first : first + 10] += 1e-9
            found = differences(before, known_by(changed.chunk(lat=10)))
            assert all(text.startswith(f"{name} was ") for text in found)
            noticed[name].append(bool(found))
    assert all(sum(tiles) == 1 for tiles in noticed.values())
    assert np.array(list(noticed.values())).any(axis=0).all()


def test_values_in_memory_are_told_by_all_of_them(grid):
    before = known_by(grid)
    grid["b"][2, 17, 5] += 1e-9
    (said,) = differences(before, known_by(grid))
    assert said.startswith("b was ")


@pytest.mark.parametrize("chunked", [True, False])
def test_the_order_of_variables_plays_no_part(grid, chunked):
    if chunked:
        grid = grid.chunk(lat=10)
    assert known_by(grid[list(reversed(NAMES))]) == known_by(grid)


def test_a_grid_without_cells_has_one_too(grid):
    nothing = grid.isel(lat=slice(0)).chunk()
    assert set(NAMES) <= set(known_by(nothing))
