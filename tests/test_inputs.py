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


# --- traps that give the same answer ----------------------------------------------------------


@pytest.fixture(scope="module")
def model(_grid, profiles) -> xbinn.Model:
    return xbinn.fit(_grid, profiles, hidden=(4,), **QUICK)


def deep(ds: xr.Dataset) -> xr.Dataset:
    """Levels below the model's, as CLM5 writes them."""
    nodes = [*ds["depth"].values, 9.795, 13.328, 19.483, 28.871, 41.998]
    below = ds.isel(depth=[-1] * 5)
    layered = [n for n, da in ds.items() if "depth" in da.dims]
    more = xr.concat([ds[layered], below[layered]], "depth").assign_coords(depth=nodes)
    return ds.drop_vars([*layered, "depth"]).merge(more)


def celsius(ds: xr.Dataset) -> xr.Dataset:
    return ds.assign(TSOI=(ds["TSOI"].astype("f8") - 273.15).assign_attrs(units="degC"))


def shuffled(ds: xr.Dataset) -> xr.Dataset:
    names = sorted(ds.data_vars, key=lambda n: str(n)[::-1])
    return ds[names].assign(other=ds["npp"] * 2.0, text=("lat", list("abcd")))


def turned(ds: xr.Dataset) -> xr.Dataset:
    """As somebody does whose layers come upside down: views that run backwards in memory."""
    return ds.drop_vars("depth").isel(depth=slice(None, None, -1))


SAME = {
    "latitude falls": lambda ds: ds.isel(lat=slice(None, None, -1)),
    "longitude from 0": lambda ds: ds.assign_coords(lon=ds.lon % 360).sortby("lon"),
    "1e-9 apart": lambda ds: ds.assign_coords(lat=ds.lat + 1e-9),
    "dimensions turned": lambda ds: ds.transpose("lon", "depth", "lat", "month"),
    "25 levels": deep,
    "layers upside down": lambda ds: ds.isel(depth=slice(None, None, -1)),
    "turned by hand": lambda ds: turned(ds.isel(depth=slice(None, None, -1)).copy(deep=True)),
    "bytes the other way": lambda ds: ds.map(lambda da: da.astype(da.dtype.newbyteorder(">"))),
    "heights": lambda ds: ds.assign_coords(depth=-ds.depth),
    "layers by number": lambda ds: ds.assign_coords(depth=np.arange(1, 21)),
    "months permuted": lambda ds: ds.isel(month=[*range(7, 12), *range(7)]),
    "degC": celsius,
    "percent": lambda ds: ds.assign(O_SCALAR=(ds["O_SCALAR"] * 100).assign_attrs(units="%")),
    "others between": shuffled,
    "double precision": lambda ds: ds.astype("f8"),
    "chunks": lambda ds: ds.chunk(lat=3, lon=2),
    "a list of cells": lambda ds: ds.stack(cell=("lat", "lon")).reset_index("cell"),
}


@pytest.mark.parametrize("how", SAME)
def test_the_same_in_another_shape_gives_the_same(grid, model, how):
    with xr.set_options(keep_attrs=True):
        given = SAME[how](grid)
    expected = xbinn.predict(grid, model)["soc"]
    found = xbinn.predict(given, model)["soc"]
    if "cell" in found.dims:
        found = found.set_index(cell=("lat", "lon")).unstack("cell")
    found = found.assign_coords(lon=(found.lon + 180) % 360 - 180).sortby("lon").sortby("lat")
    # Single precision of forcing that was converted.
    np.testing.assert_allclose(
        found.transpose(*expected.dims), expected.sortby("lat"), rtol=2e-4, err_msg=how
    )


def test_an_unseen_class_counts_as_missing(grid, model):
    name, _ = model.predictor.covariates.categorical[0]
    unseen, missing = (grid.assign({name: xr.full_like(grid[name], v)}) for v in (77, 78))
    outs = [xbinn.predict(ds, model)["cSoil"] for ds in (unseen, missing)]
    assert outs[0].notnull().any()
    np.testing.assert_array_equal(*outs)


# --- profiles, one defect at a time -----------------------------------------------------------


def at(profiles: xr.Dataset, **position: float) -> xr.Dataset:
    moved = {
        n: profiles[n].copy(data=np.r_[v, profiles[n].values[1:]]) for n, v in position.items()
    }
    return profiles.assign_coords(moved)


def sample(profiles: xr.Dataset, **values: float) -> xr.Dataset:
    spoilt = profiles.copy(deep=True)
    for name, value in values.items():
        spoilt[name][0, 0] = value
    return spoilt


DEFECTS = {
    "outside the grid": (lambda p: at(p, lat=-50.0), "profiles"),
    "without a position": (lambda p: at(p, lat=np.nan), "no position"),
    "negative": (lambda p: sample(p, soc=-1.0), "soc negative"),
    "absurd": (lambda p: sample(p, soc=5000.0), "soc above 700 kg m-3"),
    "infinite": (lambda p: sample(p, soc=np.inf), "soc missing"),
    "top below bottom": (lambda p: sample(p, depth_top=3.0, depth_bottom=1.0), "top not above"),
    "no depth": (lambda p: sample(p, depth_top=np.nan), "depth missing"),
    "above the surface": (lambda p: sample(p, depth_top=-0.2), "above the surface"),
    "below the column": (lambda p: sample(p, depth_top=9.0, depth_bottom=9.5), "below the model"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_counted_and_the_rest_is_used(grid, profiles, defect):
    spoil, reason = DEFECTS[defect]
    expected = xbinn.check(grid, profiles)["Profiles"]
    report = xbinn.check(grid, spoil(profiles))
    assert report.ok
    found = report["Profiles"]
    before = {k: n for f in expected if f.subject == "left out" for k, n in f.details.items()}
    after = {k: n for f in found if f.subject == "left out" for k, n in f.details.items()}
    more = {k: n - before.get(k, 0) for k, n in after.items() if n > before.get(k, 0)}
    assert any(reason in k for k in more), more
    assert 0 <= expected[0].details["profiles"] - found[0].details["profiles"] <= 1


def test_zero_carbon_one_sample_and_overlaps_are_used(grid, profiles):
    expected = xbinn.check(grid, profiles)["Profiles"][0].details["profiles"]
    zero = xbinn.check(grid, sample(profiles, soc=0.0))["Profiles"]
    assert zero[0].details["profiles"] == expected
    single = profiles.copy(deep=True)
    for name in ("soc", "depth_top", "depth_bottom"):
        single[name][0, 1:] = np.nan
    assert xbinn.check(grid, single)["Profiles"][0].details["profiles"] == expected
    twice = sample(profiles, depth_top=0.0, depth_bottom=2.0)
    assert any(f.subject == "overlapping" for f in xbinn.check(grid, twice)["Profiles"])
