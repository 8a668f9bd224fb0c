"""Tiles cover a grid once, are whole numbers of chunks and follow the chunks of the source."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbinn.errors import InputError
from xbinn.running.tiling import LEAST_CELLS, TILE_CELLS, cut

LENGTHS = st.integers(0, 60)


@given(
    st.tuples(LENGTHS, LENGTHS), st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.integers(1, 4),
)  # fmt: skip
def test_tiles_cover_every_cell_once(sizes, chunk, factor):
    grid = dict(zip(("lat", "lon"), sizes, strict=True))
    chunks = dict(zip(grid, chunk, strict=True))
    tiling = cut(grid, {}, chunks=chunks, shards={d: factor * n for d, n in chunks.items()})
    seen = np.zeros(sizes, int)
    for number in range(tiling.n_tiles):
        region = tiling.region(number)
        seen[tuple(region.values())] += 1
        assert all(s.start % c == 0 for s, c in zip(region.values(), chunk, strict=True))
        assert 0 < (region["lat"].stop - region["lat"].start) <= tiling.tile[0]
    assert (seen == 1).all()


@given(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), st.integers(1, 400))
def test_by_default_tiles_are_whole_source_chunks_of_a_sensible_size(sizes, chunk):
    grid = dict(zip(("y", "x"), sizes, strict=True))
    source = {d: (min(chunk, n),) for d, n in grid.items()}
    tiling = cut(grid, source)
    assert tiling.tile == tiling.chunk
    parts = [p for (p,) in source.values()]
    for tile, n, part in zip(tiling.tile, sizes, parts, strict=True):
        assert tile == n or tile % part == 0
    assert tiling.tile == sizes or tiling.tile_cells >= LEAST_CELLS
    if np.prod(parts) >= LEAST_CELLS:
        assert tiling.tile == tuple(parts)
    else:
        # No chunk more along an edge than it takes.
        assert tiling.tile_cells < LEAST_CELLS * 4


def test_a_list_of_points_is_cut_evenly():
    tiling = cut({"cell": 1_000_000}, {})
    assert tiling.tile == (TILE_CELLS,)
    assert tiling.describe(1) == f"tile (1), cell[{TILE_CELLS}:{2 * TILE_CELLS}]"


def test_a_single_column_is_one_tile():
    tiling = cut({}, {})
    assert tiling.n_tiles == 1
    assert tiling.region(0) == {}
    assert tiling.describe(0) == "tile ()"


def test_a_dimension_that_is_not_named_is_whole():
    tiling = cut({"lat": 50, "lon": 117}, {}, chunks={"lat": 10})
    assert tiling.chunk == (10, 117)
    tiling = cut({"lat": 50, "lon": 117}, {}, chunks={"lat": 10, "lon": 25}, shards={"lat": 20})
    assert tiling.tile == (20, 125)
    assert tiling.region(0)["lon"] == slice(0, 117)


@pytest.mark.parametrize(
    ("given_sizes", "match"),
    [
        ({"chunks": {"x": 5}}, "chunks names x, but the spatial dimensions are lat, lon"),
        ({"chunks": {"lat": 0}}, r"chunks must be whole numbers of cells.*lat=0"),
        ({"chunks": {"lat": 2.5}}, r"lat=2\.5"),
        ({"chunks": {"lat": True}}, "lat=True"),
        ({"shards": {"lat": 10}}, "add chunks="),
        ({"chunks": {"lat": 4}, "shards": {"lat": 10}}, "whole number of chunks, not lat 10 of 4"),
        ({"chunks": {"lat": 4}, "shards": {"y": 8}}, "shards names y"),
    ],
)
def test_refusals(given_sizes, match):
    with pytest.raises(InputError, match=match):
        cut({"lat": 50, "lon": 117}, {}, **given_sizes)
