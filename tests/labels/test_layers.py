"""Layers by depth, height or number, and others than the model's only on request."""

import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.constants import NODE_DEPTH
from xbinn.errors import InputError
from xbinn.labels.forcing import standardise_forcing
from xbinn.testing import small_grid

NODES = np.array(NODE_DEPTH[:20])
LAYERED = ["TSOI", "W_SCALAR", "O_SCALAR", "FPI_vr"]


@pytest.fixture(scope="module")
def grid():
    return small_grid()


@pytest.mark.parametrize("upside_down", [False, True])
@pytest.mark.parametrize("attrs", [{}, {"positive": "up"}, {"units": "cm"}])
def test_heights_are_depths_below_the_surface(grid, upside_down, attrs):
    scale = 100.0 if "units" in attrs else 1.0
    given = grid.assign_coords(depth=("depth", -NODES * scale, attrs))
    given = given.isel(depth=slice(None, None, -1)) if upside_down else given
    xr.testing.assert_equal(standardise_forcing(given), standardise_forcing(grid))


def test_depths_on_both_sides_of_the_surface_are_no_depths(grid):
    given = grid.assign_coords(depth=NODES - 1.0)
    with pytest.raises(InputError, match=r"none at the CLM5 nodes .*interpolate_layers"):
        standardise_forcing(given)


def soil(depths):
    """Linear in depth, so that interpolation is exact."""
    z = xr.DataArray(np.asarray(depths, dtype=float), dims="depth", coords={"depth": depths})
    return 280.0 + z


def test_interpolation_is_asked_for(grid, raise_if_dask_computes):
    depths = np.array([0.0, 0.05, 0.3, 1.0, 3.0, 9.0])
    coarse = grid.drop_vars(["TSOI", "depth"])
    coarse = coarse.drop_vars(LAYERED[1:]).assign(
        {n: grid[n].isel(depth=0, drop=True).expand_dims(depth=depths) for n in LAYERED[1:]}
    )
    warmth = (grid["TSOI"].isel(depth=0, drop=True) * 0.0 + soil(depths)).assign_attrs(units="K")
    coarse = coarse.assign(TSOI=warmth).chunk(lat=2)
    with pytest.raises(InputError, match=r"6 levels of depth.*xbinn.forcing.interpolate_layers"):
        xbinn.simulate(coarse, xbinn.default_parameters(grid))
    with raise_if_dask_computes():
        made = xbinn.forcing.interpolate_layers(coarse)
    land = grid["TSOI"].isel(depth=0, month=0).notnull()
    found = made["TSOI"].isel(month=3).where(land)
    expected = (280.0 + xr.DataArray(NODES, dims="depth")).where(land)
    np.testing.assert_allclose(
        found.transpose("depth", ...), expected.transpose("depth", ...), rtol=1e-6
    )
    assert made["TSOI"].attrs["forcing_source"] == (
        "interpolated from 6 levels at 0 to 9 m to the nodes of CLM5's layers"
    )
    assert "forcing_source" not in made["ALTMAX"].attrs
    assert xbinn.simulate(made, xbinn.default_parameters(grid)).sizes["depth"] == 20


def test_values_beyond_the_levels_are_those_of_the_last(grid):
    shallow = grid.isel(depth=slice(2, 8))
    found = xbinn.forcing.interpolate_layers(shallow)
    for name in LAYERED:
        np.testing.assert_allclose(
            found[name].isel(depth=slice(2, 8)), grid[name].isel(depth=slice(2, 8)), rtol=1e-6
        )
        for layer in (0, 1):
            np.testing.assert_array_equal(found[name].isel(depth=layer), found[name].isel(depth=2))
        for layer in (8, 19):
            np.testing.assert_array_equal(found[name].isel(depth=layer), found[name].isel(depth=7))
    single = xbinn.forcing.interpolate_layers(grid.isel(depth=[4]))
    assert float((single["TSOI"].max("depth") - single["TSOI"].min("depth")).max()) == 0.0
    heights = grid.assign_coords(depth=-NODES).isel(depth=slice(5, 1, -1)).rename(depth="levgrnd")
    again = xbinn.forcing.interpolate_layers(heights)
    assert again["TSOI"].dims == grid["TSOI"].dims
    np.testing.assert_allclose(again["TSOI"].isel(depth=3), grid["TSOI"].isel(depth=3), rtol=1e-6)


def test_the_layers_of_the_model_stay_as_they_are(grid):
    assert xbinn.forcing.interpolate_layers(grid) is grid
    deep = grid.rename(depth="levgrnd")
    assert xbinn.forcing.interpolate_layers(deep) is deep


def test_what_cannot_be_interpolated_is_told(grid):
    short = grid.isel(depth=slice(6))
    density = (grid["CWD_INPUT"] * xr.ones_like(short["depth"])).assign_attrs(
        units="gC m-3 month-1"
    )
    cases = {
        "without a coordinate of depth": short.drop_vars("depth"),
        "cannot be used": short.assign_coords(depth=short["depth"].assign_attrs(units="K")),
        "missing or the same": short.assign_coords(depth=[0.1] * 6),
        "is a density on 6 levels, whose sum": short.assign(CWD_INPUT=density),
        "clay_profile lie on depth too": short.assign(clay_profile=short["depth"] * 2.0),
    }
    for match, ds in cases.items():
        with pytest.raises(InputError, match=match):
            xbinn.forcing.interpolate_layers(ds)
