"""A grid of 100 tiles where there is memory for a few."""

import sys

import numpy as np
import pytest
from fault_helpers import TILE, Started, run_large

import xbinn
from xbinn.running import store
from xbinn.testing import small_grid

HEADROOM = 130 * 2**20
"""Bytes: less than the grid, which the process itself makes sure of."""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA is that of Linux")
@pytest.mark.parametrize(
    "chunks",
    [TILE, pytest.param({"lat": 33, "lon": 7}, marks=pytest.mark.slow)],
    ids=["tile by tile", "oddly chunked"],
)
def test_a_grid_that_does_not_fit_into_memory(folder, model, tmp_path, chunks):
    path = tmp_path / "out.zarr"
    process = Started(run_large, str(folder / "m.xbinn"), str(path), chunks, HEADROOM)
    assert process.wait() == 0, process.said()
    found = xbinn.verify(path)
    assert (found.tiles, found.sound) == (100, True)
    out = store.reopen(path)
    expected = xbinn.predict(small_grid(tuple(TILE.values())), model, outputs="soc")
    for name, one in expected.data_vars.items():
        np.testing.assert_array_equal(out[name].values, np.tile(one.values, (10, 10)))
