"""A projected copy of the real grid gives the same maps and the same fit, up to resampling."""

import numpy as np
import pyproj
import pytest
import xarray as xr

import xbinn

CRS = "EPSG:5070"
"""Albers equal area of the contiguous US."""
STEP = 4e4
"""m; cells of the real grid are 35 to 50 km wide and 56 km high."""
SETTINGS = {"epochs": 8, "hidden": (16,), "seed": 0, "block_size": "200 km"}


def project(grid):
    """The cell of the grid under the centre of each projected cell; open sea around it."""
    to_plane = pyproj.Transformer.from_crs("EPSG:4326", CRS, always_xy=True)
    left, bottom, right, top = to_plane.transform_bounds(
        *(float(v) for v in (grid.lon.min(), grid.lat.min(), grid.lon.max(), grid.lat.max()))
    )
    y, x = np.arange(top, bottom, -STEP), np.arange(left, right, STEP)
    lon, lat = to_plane.transform(*np.meshgrid(x, y), direction="INVERSE")
    place = {n: xr.DataArray(v, dims=("y", "x")) for n, v in (("lat", lat), ("lon", lon))}
    copy = grid.sel(place, method="nearest")
    inside = (np.abs(copy.lat - place["lat"]) <= 0.25) & (np.abs(copy.lon - place["lon"]) <= 0.25)
    copy = copy.where(inside).drop_vars(["lat", "lon"]).assign_coords(y=y, x=x)
    for name, da in grid.data_vars.items():
        copy[name].attrs = da.attrs
    return copy.rio.write_crs(CRS).rio.write_coordinate_system(), place


@pytest.fixture(scope="module")
def case(_real_grid, _real_profiles):
    projected, place = project(_real_grid)
    grids = {"degrees": _real_grid, "projected": projected}
    models = {n: xbinn.fit(g, _real_profiles, **SETTINGS) for n, g in grids.items()}
    return grids, models, place


@pytest.mark.realdata
def test_the_same_model_gives_the_same_map(case):
    grids, models, place = case
    model = models["degrees"]
    out = {n: xbinn.predict(g, model, outputs=["soc"]) for n, g in grids.items()}
    assert out["projected"].rio.crs.to_epsg() == 5070
    assert out["projected"].rio.transform() == grids["projected"].rio.transform()
    expected = out["degrees"]["cSoil"].sel(place, method="nearest")
    known = out["projected"]["cSoil"].notnull()
    assert int(known.sum()) > 4000
    # Each cell holds the covariates of the cell that it copies: nothing else may play a part.
    np.testing.assert_allclose(
        out["projected"]["cSoil"].values[known], expected.values[known], rtol=1e-5
    )
    totals = {n: float(xbinn.totals(o["cSoil"].to_dataset())["total"]) for n, o in out.items()}
    # Cells of 40 km do not fill the coast as those of half a degree do.
    assert totals["projected"] == pytest.approx(totals["degrees"], rel=0.02)


@pytest.mark.realdata
def test_profiles_find_the_same_values(case, real_profiles):
    grids, models, _ = case
    skill = {n: xbinn.score(g, models["degrees"], real_profiles) for n, g in grids.items()}
    used = {n: s.attrs["profiles"] for n, s in skill.items()}
    assert used["projected"] == pytest.approx(used["degrees"], rel=0.02)
    for name in ("r2", "rmse", "correlation"):
        pair = [float(s[name].sel(scale="log").isel(depth_range=0)) for s in skill.values()]
        assert pair[0] == pytest.approx(pair[1], abs=0.03), name


@pytest.mark.realdata
def test_the_fit_is_the_same_up_to_resampling(case, real_profiles):
    grids, models, place = case
    skill = {n: xbinn.score(grids[n], m, real_profiles) for n, m in models.items()}
    pair = [float(s["correlation"].sel(scale="log").isel(depth_range=0)) for s in skill.values()]
    assert pair[0] == pytest.approx(pair[1], abs=0.05)
    maps = {n: xbinn.predict(grids[n], m, outputs=["soc"])["cSoil"] for n, m in models.items()}
    back = np.log(maps["degrees"].sel(place, method="nearest").values)
    ours = np.log(maps["projected"].values)
    known = np.isfinite(back) & np.isfinite(ours)
    assert np.corrcoef(ours[known], back[known])[0, 1] > 0.9
    # Profiles lie in other cells, in other batches: that changes no more than another seed does.
    seeded = xbinn.fit(grids["degrees"], real_profiles, **(SETTINGS | {"seed": 1}))
    other = np.log(xbinn.predict(grids["degrees"], seeded, outputs=["soc"])["cSoil"])
    by_seed = float(np.sqrt(((other - np.log(maps["degrees"])) ** 2).mean()))
    by_grid = float(np.sqrt(((ours - back)[known] ** 2).mean()))
    assert by_grid < 1.5 * by_seed
