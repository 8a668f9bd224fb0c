"""Inputs spoilt one by one: a clear error through the public functions."""

import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.errors import CoordinateError, InputError, ProfileError
from xbinn.testing import small_grid, small_profiles

QUICK = {"epochs": 1, "seed": 0}


@pytest.fixture(scope="module")
def _grid() -> xr.Dataset:
    return small_grid()


@pytest.fixture
def grid(_grid) -> xr.Dataset:
    return _grid.copy(deep=True)


@pytest.fixture(scope="module")
def profiles(_grid) -> xr.Dataset:
    return small_profiles(_grid)


def no_crs(ds: xr.Dataset) -> xr.Dataset:
    return ds.rename(lat="y", lon="x").drop_vars("spatial_ref", errors="ignore")


COORDINATES = {
    "missing": (lambda ds: ds.drop_vars(["lat", "lon"]), "no coordinate for latitude and long"),
    "duplicated": (lambda ds: ds.assign_coords(lat=[35.0, 35.0, 55.0, 65.0]), "more than once"),
    "nan": (lambda ds: ds.assign_coords(lat=[35.0, np.nan, 55.0, 65.0]), "NaN or infinite"),
    "impossible": (lambda ds: ds.assign_coords(lat=ds.lat * 10), "outside -90..90"),
    "empty": (lambda ds: ds.isel(lat=slice(0, 0)), "the grid is empty along lat"),
    "no crs": (no_crs, "without a CRS"),
}


@pytest.mark.parametrize("how", COORDINATES)
def test_coordinates(grid, profiles, how):
    spoil, match = COORDINATES[how]
    with pytest.raises(CoordinateError, match=match):
        xbinn.fit(spoil(grid), profiles, **QUICK)


def test_wrong_crs_leaves_no_profile(profiles):
    grid = small_grid(crs="EPSG:3035").rio.write_crs("EPSG:5070")
    with pytest.raises(ProfileError, match=r"no profile can be used.*CRS"):
        xbinn.fit(grid, profiles, **QUICK)


@pytest.mark.parametrize("offset", [1e-9, 2.0])
def test_an_offset_within_half_a_cell_is_no_matter(grid, profiles, offset):
    moved = grid.assign_coords(lat=grid.lat + offset)
    model = xbinn.fit(moved, profiles, **QUICK)
    lost = sum(n for why, n in model.left_out.items() if why.startswith("profiles"))
    assert lost < (1 if offset < 1 else 40)


def test_missing_forcing_is_named_all_at_once(grid, profiles):
    with pytest.raises(InputError, match="forcing variables missing: TSOI, LITR3_INPUT"):
        xbinn.fit(grid.drop_vars(["TSOI", "LITR3_INPUT"]), profiles, **QUICK)


def test_months_and_layers(grid, profiles):
    with pytest.raises(InputError, match="11 entries of month"):
        xbinn.fit(grid.isel(month=slice(11)), profiles, **QUICK)
    with pytest.raises(InputError, match="19 levels of depth"):
        xbinn.fit(grid.isel(depth=slice(19)), profiles, **QUICK)


@pytest.mark.parametrize("bad", [-1.0, 1e36])
def test_values_out_of_range(grid, profiles, bad):
    spoilt = grid.assign(FPI_vr=xr.full_like(grid["FPI_vr"], bad))
    with pytest.raises(InputError, match=r"FPI_vr from .*allowed 0 to 1"):
        xbinn.fit(spoilt, profiles, **QUICK)
    with pytest.raises(InputError, match=r"FPI_vr from .*allowed 0 to 1"):
        xbinn.simulate(spoilt, xbinn.default_parameters(grid))


@pytest.mark.parametrize("chunks", [None, {"lat": 2, "lon": 3}, {"lon": 2}])
def test_bad_cells_are_named_as_the_user_counts_them(grid, chunks):
    land = grid["TSOI"].isel(month=0, depth=0).notnull()
    i, j = np.argwhere(land.values)[-1]
    spoilt = grid.copy(deep=True)
    spoilt["W_SCALAR"][{"lat": i, "lon": j, "month": 3, "depth": 2}] = 1.5
    spoilt = spoilt if chunks is None else spoilt.chunk(chunks)
    parts = []
    for dim, k in (("lat", i), ("lon", j)):
        step = (chunks or {}).get(dim, grid.sizes[dim])
        start = k // step * step
        parts.append(rf"{dim}\[{start}:{min(start + step, grid.sizes[dim])}\]")
    where = rf"block {', '.join(parts)}: W_SCALAR .* in 1 cell: \(lat={i}, lon={j}\);"
    with pytest.raises(InputError, match=where):
        xbinn.simulate(spoilt, xbinn.default_parameters(grid)).compute()
    column = spoilt.isel(lat=i, lon=j)
    with pytest.raises(InputError, match=r"in the column: W_SCALAR .* in the only cell;"):
        xbinn.simulate(column, xbinn.default_parameters(column)).compute()


def test_bad_cells_with_profiles_are_named_by_lat_and_lon(grid, profiles):
    spoilt = grid.copy(deep=True)
    lat, lon = (float(profiles[n][0]) for n in ("lat", "lon"))
    cell = grid.sel(lat=lat, lon=lon, method="nearest")
    place = {"lat": cell.lat, "lon": cell.lon, "month": 3}
    spoilt["ALTMAX"].loc[place] = -7.0
    named = rf"ALTMAX from -7 .* m \(.*\) in 1 cell: lat {cell.lat:g} lon {cell.lon:g};"
    with pytest.raises(InputError, match=named):
        xbinn.fit(spoilt, profiles, **QUICK)


def test_score_names_all_that_is_wrong_at_once(grid, profiles):
    model = xbinn.fit(grid, profiles, hidden=(4,), **QUICK)
    bad = profiles.drop_vars("soc")
    with pytest.raises(InputError, match=r"(?s)3 parts .*lack soc.*missing: TSOI.*elevation"):
        xbinn.score(grid.drop_vars(["TSOI", "elevation"]), model, bad)


def test_profiles(grid, profiles):
    with pytest.raises(ProfileError, match="profiles lack soc, depth_top"):
        xbinn.fit(grid, profiles.drop_vars(["soc", "depth_top"]), **QUICK)
    with pytest.raises(ProfileError, match="impossible positions"):
        xbinn.fit(grid, profiles.assign_coords(lat=profiles.lat * 0 + 95.0), **QUICK)
    with pytest.raises(ProfileError, match=r"must be an xarray.Dataset"):
        xbinn.fit(grid, profiles.to_dataframe(), **QUICK)
    with pytest.raises(ProfileError, match="there are no profiles"):
        xbinn.fit(grid, profiles.isel(profile=slice(0, 0)), **QUICK)
