"""Waves over the globe: what they resolve, where they are seamless, on any grid."""

import math

import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.errors import InputError
from xbinn.labels.covariates import select_covariates
from xbinn.labels.position import EARTH_RADIUS
from xbinn.testing import small_grid, small_profiles


def at(lat, lon) -> xr.Dataset:
    """Waves at a list of places."""
    places = xr.Dataset(
        {"sand": ("cell", np.zeros(len(lat)))},
        {"lat": ("cell", np.asarray(lat, float)), "lon": ("cell", np.asarray(lon, float))},
    )
    return xbinn.position_covariates(places, shortest=400.0)


def test_values_are_waves_along_the_axes():
    grid = small_grid()
    waves = xbinn.position_covariates(grid, shortest="7000 km")
    lat, lon = np.deg2rad(grid["lat"]), np.deg2rad(grid["lon"])
    z = (EARTH_RADIUS * np.sin(lat)).broadcast_like(grid["sand"])
    y = EARTH_RADIUS * np.cos(lat) * np.sin(lon)
    for name, wave in {
        "position_sin_z_25484km": np.sin(2.0 * math.pi * z / (4.0 * EARTH_RADIUS)),
        "position_cos_y_12742km": np.cos(2.0 * math.pi * y / (2.0 * EARTH_RADIUS)),
    }.items():
        xr.testing.assert_allclose(waves[name], wave.transpose("lat", "lon"), rtol=0.0, atol=1e-6)
        assert waves[name].attrs["units"] == "1"
    assert len(waves.data_vars) == 2 * 3 * 2


def test_no_seam_at_the_date_line_and_the_poles():
    here, there = at([10.0, 90.0], [180.0, 20.0]), at([10.0, 90.0], [-180.0, -150.0])
    xr.testing.assert_allclose(here.drop_vars("lon"), there.drop_vars("lon"), atol=1e-5)


def test_no_wave_is_steeper_over_ground_than_the_shortest_asked_for():
    km = np.arange(0.0, 10_000.0, 10.0)
    steepest = {}
    for name, turned in {"meridian": 1.0, "equator": 0.0}.items():
        way = np.rad2deg(km / EARTH_RADIUS)
        waves = at(turned * way, (1.0 - turned) * way).to_dataarray()
        steepest[name] = float(np.abs(waves.diff("cell")).max()) / 10.0  # per km
    longest_asked = 2.0 * math.pi / 400.0
    assert all(0.9 * 0.5 * longest_asked < s < longest_asked for s in steepest.values())


def test_any_grid_and_its_chunks():
    grid = small_grid()
    plain = xbinn.position_covariates(grid)
    chunked = xbinn.position_covariates(grid.chunk(lat=2))
    assert all(wave.chunks == ((2, 2), (5,)) for wave in chunked.data_vars.values())
    xr.testing.assert_identical(chunked.compute(), plain)
    turned = xbinn.position_covariates(grid.transpose("lon", ...))
    xr.testing.assert_identical(turned.transpose("lat", "lon"), plain)
    points = xbinn.position_covariates(grid.stack(cell=("lat", "lon")).reset_index("cell"))
    name = "position_sin_y_1593km"
    np.testing.assert_allclose(points[name].values, plain[name].values.ravel(), atol=1e-6)


def test_projected_cells_are_placed_by_their_crs():
    y = x = np.array([-2e6, 0.0, 1.5e6])
    field = xr.DataArray(np.zeros((3, 3)), coords={"y": y, "x": x}, dims=("y", "x"))
    grid = xr.Dataset({"sand": field}).rio.write_crs("EPSG:5070")
    waves = xbinn.position_covariates(grid)
    # The origin of the projection lies at 23 N, 96 W.
    origin = at([23.0], [-96.0])
    for name, wave in waves.data_vars.items():
        assert float(wave[1, 1]) == pytest.approx(float(origin[name][0]), abs=1e-5)
    lazy = xbinn.position_covariates(grid.chunk(y=1))
    xr.testing.assert_allclose(lazy.compute(), waves)
    assert "spatial_ref" in waves.coords


def test_a_fit_takes_them_like_other_covariates():
    grid = small_grid()
    placed = grid.merge(xbinn.position_covariates(grid, shortest="20000 km"))
    names = [name for name, _ in select_covariates(placed).numeric]
    assert "position_cos_z_25484km" in names
    model = placed.binn.fit(small_profiles(grid), epochs=1, seed=0)
    assert bool(placed.binn.predict(model)["cSoil"].notnull().any())
    with pytest.raises(InputError, match="position_sin_x_25484km"):
        grid.binn.predict(model)


@pytest.mark.parametrize("shortest", [0.1, 1e6, "5 kg", "far", None, float("nan"), "-3 km"])
def test_a_wavelength_that_is_none_is_refused(shortest):
    with pytest.raises(InputError, match=r"shortest=.* must be a wavelength from 0.78 to 25484 km"):
        xbinn.position_covariates(small_grid(), shortest=shortest)
