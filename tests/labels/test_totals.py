"""Totals: areas of cells, land fractions, regions, missing cells, coherent samples."""

import dask.array
import numpy as np
import pyproj
import pytest
import rioxarray  # noqa: F401  registers `.rio`
import xarray as xr

import xbinn
from xbinn.constants import KG_PER_PG
from xbinn.errors import CoordinateError, InputError, UnitsError
from xbinn.labels.areas import cell_sizes
from xbinn.testing import small_grid

DENSITY = 10.0
"""kg m-2"""
GEOD = pyproj.Geod(ellps="WGS84")
EARTH = 2.0 * abs(GEOD.polygon_area_perimeter([0, 120, 240], [0, 0, 0])[0])
"""m2, from geodesics along the equator: twice a hemisphere."""


def globe(lat: np.ndarray, lon: np.ndarray, value: float = DENSITY) -> xr.Dataset:
    density = xr.DataArray(
        np.full((lat.size, lon.size), value), {"lat": lat, "lon": lon}, ("lat", "lon")
    )
    density["lat"].attrs["units"] = "degrees_north"
    density["lon"].attrs["units"] = "degrees_east"
    return xr.Dataset({"cSoil": density.assign_attrs(units="kg m-2", long_name="SOC stock")})


LAT = np.arange(-87.5, 90.0, 5.0)
LON = np.arange(-177.5, 180.0, 5.0)


@pytest.fixture
def result() -> xr.Dataset:
    """Densities that differ from cell to cell, some missing."""
    out = globe(LAT, LON)
    rng = np.random.default_rng(0)
    out["cSoil"].values[:] = rng.lognormal(2.0, 1.0, out["cSoil"].shape)
    out["cSoil"].values[rng.random(out["cSoil"].shape) < 0.3] = np.nan
    return out


# --- areas ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lat", "lon"),
    [
        (LAT, LON),
        (LAT[::-1], LON),
        (LAT, LON % 360),  # with a jump in the middle
        (LAT, np.arange(2.5, 360.0, 5.0)),
        (np.linspace(-90.0, 90.0, 46), LON),  # half cells at the poles
        (LAT, np.array([0.0, 90.0, 180.0, 270.0])),
    ],
    ids=["rising", "falling", "rolled", "0..360", "poles", "coarse"],
)
def test_constant_density_over_the_globe(lat, lon):
    found = xbinn.totals(globe(lat, lon))
    assert found["total"].dims == ()
    assert float(found["total"]) == pytest.approx(DENSITY * EARTH * 1e-12, rel=1e-9)
    assert float(found["area"]) == pytest.approx(EARTH, rel=1e-9)
    assert float(found["area_missing"]) == 0.0


def test_sphere():
    radius = pyproj.Geod(ellps="sphere").a
    found = xbinn.totals(globe(LAT, LON), ellipsoid="sphere")
    assert float(found["area"]) == pytest.approx(4.0 * np.pi * radius**2, rel=1e-12)
    # The sphere of equal area differs from the ellipsoid by less than the radius is known.
    assert float(found["area"]) == pytest.approx(EARTH, rel=1e-5)


def test_the_ellipsoid_of_the_crs_is_taken():
    moon = pyproj.CRS.from_user_input("+proj=longlat +R=1737400 +no_defs")
    found = xbinn.totals(globe(LAT, LON).rio.write_crs(moon))
    assert float(found["area"]) == pytest.approx(4.0 * np.pi * 1737400.0**2, rel=1e-12)


def test_half_the_globe_is_missing():
    out = globe(LAT, LON)
    out["cSoil"] = out["cSoil"].where(out.lat > 0)
    found = xbinn.totals(out)
    assert float(found["total"]) == pytest.approx(0.5 * DENSITY * EARTH * 1e-12, rel=1e-9)
    assert float(found["area_missing"]) == pytest.approx(0.5 * EARTH, rel=1e-9)


def test_a_cell_has_the_area_of_its_geodesic_polygon():
    # A parallel is no geodesic: cells of a hundredth of a degree hardly notice.
    out = globe(np.array([44.995, 45.005]), np.array([10.005, 10.015]))
    out["cSoil"][1:] = np.nan
    out["cSoil"][:, 1:] = np.nan
    corners = [10.0, 10.01, 10.01, 10.0], [44.99, 44.99, 45.0, 45.0]
    expected = GEOD.polygon_area_perimeter(*corners)[0]
    assert float(xbinn.totals(out)["area"]) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("as_coordinates", [True, False])
def test_bounds_come_before_centres(as_coordinates):
    # Bands of 60, 100 and 20 degrees around centres that do not say so, and two halves.
    out = globe(np.array([-60.0, 20.0, 80.0]), np.array([0.0, 180.0]))
    bounds = {
        "lat_bnds": (("lat", "bnds"), [[-90.0, -30.0], [-30.0, 70.0], [70.0, 90.0]]),
        "lon_bnds": (("lon", "bnds"), [[350.0, 10.0], [10.0, 350.0]]),
    }
    out = out.assign_coords(bounds) if as_coordinates else out.assign(bounds)
    out["lat"].attrs["bounds"], out["lon"].attrs["bounds"] = bounds
    assert float(xbinn.totals(out)["area"]) == pytest.approx(EARTH, rel=1e-9)
    narrow = xbinn.totals(out.isel(lon=[0]))["area"]
    assert float(narrow) == pytest.approx(EARTH * 20 / 360, rel=1e-9)
    south = xbinn.totals(out.isel(lat=[0]))["area"]
    zone = GEOD.b**2 * np.pi * np.array(band(-90.0, -30.0))
    assert float(south) == pytest.approx(float(zone), rel=1e-9)


def band(south: float, north: float) -> float:
    """Area between parallels over pi b^2, by quadrature of the ellipsoid's metric."""
    phi = np.radians(np.linspace(south, north, 200_001))
    integrand = 2.0 * np.cos(phi) / (1.0 - GEOD.es * np.sin(phi) ** 2) ** 2
    return float(np.trapezoid(integrand, phi))


@pytest.mark.parametrize("crs", ["EPSG:3035", "EPSG:6933", "+proj=laea +lat_0=45 +units=km"])
def test_projections_that_keep_areas(crs):
    crs = pyproj.CRS.from_user_input(crs)
    metres = crs.axis_info[0].unit_conversion_factor
    y, x = np.arange(4)[::-1] * 2000.0 / metres, np.arange(5) * 1000.0 / metres
    out = globe(np.arange(4), np.arange(5)).drop_vars(["lat", "lon"])
    out = out.rename(lat="y", lon="x").assign_coords(y=y, x=x)
    out = out.rio.write_crs(crs).rio.write_coordinate_system()
    found = xbinn.totals(out)
    assert float(found["area"]) == pytest.approx(20 * 2e6, rel=1e-12)
    assert float(found["total"]) == pytest.approx(DENSITY * 20 * 2e6 * 1e-12, rel=1e-12)


@pytest.mark.parametrize(("units", "factor"), [("m2", 1.0), ("km2", 1e6)])
def test_areas_that_are_given(units, factor):
    out = xr.Dataset(
        {
            "cSoil": ("cell", [1.0, 2.0, np.nan], {"units": "kg m-2"}),
            "land_area": ("cell", np.array([3.0, 4.0, 5.0]), {"units": units}),
        },
        {"lat": ("cell", [0.0, 1.0, 2.0]), "lon": ("cell", [0.0, 1.0, 5.0])},
    )
    by_name = xbinn.totals(out, area="land_area")
    assert float(by_name["total"]) == pytest.approx(11.0 * factor * 1e-12, rel=1e-14)
    assert float(by_name["area_missing"]) == 5.0 * factor
    xr.testing.assert_equal(by_name, xbinn.totals(out, area=out["land_area"]))


def test_units_are_converted():
    out = globe(LAT, LON)
    in_grams = out.assign(cSoil=(1000.0 * out["cSoil"]).assign_attrs(units="gC m-2"))
    assert float(xbinn.totals(in_grams)["total"]) == pytest.approx(
        float(xbinn.totals(out)["total"])
    )


# --- land fraction ----------------------------------------------------------------------------


def test_land_fraction():
    out = globe(LAT, LON)
    out["sftlf"] = xr.full_like(out["cSoil"], 25.0).assign_attrs(units="percent")
    found = xbinn.totals(out, land_fraction="sftlf")
    assert float(found["area"]) == pytest.approx(0.25 * EARTH, rel=1e-9)
    assert found["total"].attrs["land_fraction"] == "given"
    assert xbinn.totals(out)["total"].attrs["land_fraction"] == "none given: 1"


@pytest.mark.parametrize("chunks", [None, {"lat": 9}])
def test_shares_above_one_and_areas_below_zero_are_refused(result, chunks):
    # Per cent that state no unit would make a hundred times the total.
    per_cent = xr.full_like(result["cSoil"], 25.0).assign_attrs(units="1")
    out = result if chunks is None else result.chunk(chunks)
    with pytest.raises(InputError, match=r"land_fraction has .* to 25 \[1\] \(must be from 0 to 1"):
        xbinn.totals(out, land_fraction=per_cent.chunk(chunks or {})).compute()
    area = xr.full_like(result["cSoil"], -1.0).assign_attrs(units="km2")
    with pytest.raises(InputError, match=r"area has .* from -1e\+06 to -1e\+06 \[m2\]"):
        xbinn.totals(out, area=area).compute()
    rounded = xr.full_like(result["cSoil"], 1.00001).assign_attrs(units="1")
    assert float(xbinn.totals(out, land_fraction=rounded)["total"]) > 0.0


def test_a_missing_land_fraction_is_no_land_or_missing_land():
    out = globe(LAT, LON)
    north = out.lat > 0
    fraction = xr.ones_like(out["cSoil"]).assign_attrs(units="1").where(north)
    found = xbinn.totals(out, land_fraction=fraction)
    assert float(found["area"]) == pytest.approx(0.5 * EARTH, rel=1e-9)
    assert float(found["area_missing"]) == pytest.approx(0.5 * EARTH, rel=1e-9)
    out["cSoil"] = out["cSoil"].where(north)
    assert float(xbinn.totals(out, land_fraction=fraction)["area_missing"]) == 0.0


# --- regions ----------------------------------------------------------------------------------


def test_regions_add_up(result):
    region = xr.where(result.lat > 0, "north", "south").rename("hemisphere")
    found = xbinn.totals(result, by=region)
    assert found["total"].dims == ("hemisphere",)
    assert list(found["hemisphere"].values) == ["north", "south"]
    whole = xbinn.totals(result)
    for name in ("total", "area", "area_missing"):
        assert float(found[name].sum()) == pytest.approx(float(whole[name]), rel=1e-12)
    north = xbinn.totals(result.where(result.lat > 0))
    assert float(found["total"].sel(hemisphere="north")) == pytest.approx(
        float(north["total"]), rel=1e-12
    )


def test_flags_name_classes(result):
    code = xr.full_like(result["cSoil"], np.nan).where(result.lat < 0, 7.0)
    code = code.where(result.lon < 0, 2.0).where(result.lon < 90, 4.0)
    result["biome"] = code.assign_attrs(
        flag_values=np.array([7, 2, 9]), flag_meanings="forest grass ice"
    )
    found = xbinn.totals(result, by="biome")
    assert list(found["biome"].values) == ["forest", "grass", "ice"]
    chosen = result["cSoil"].where(code == 2.0)
    expected = xbinn.totals(result.assign(cSoil=chosen.assign_attrs(units="kg m-2")))["total"]
    assert float(found["total"].sel(biome="grass")) == pytest.approx(float(expected), rel=1e-12)
    assert float(found["total"].sel(biome="ice")) == 0.0
    del result["biome"].attrs["flag_meanings"]
    assert list(xbinn.totals(result, by="biome")["biome"].values) == [7, 2, 9]
    del result["biome"].attrs["flag_values"]
    assert list(xbinn.totals(result, by="biome")["biome"].values) == [2, 4, 7]


def test_regions_may_vary_along_one_dimension_only(result):
    found = xbinn.totals(result, by=(result.lat // 30).rename("band"))
    assert float(found["total"].sum()) == pytest.approx(float(xbinn.totals(result)["total"]))
    # Named as a dimension of the grid, it cannot keep its name.
    assert xbinn.totals(result, by="lat")["total"].sizes == {"region": LAT.size}


def test_no_region_at_all(result):
    found = xbinn.totals(result, by=xr.full_like(result["cSoil"], np.nan).rename("none"))
    assert found["total"].shape == (0,)


# --- lazy -------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [{"lat": 7, "lon": 11}, {"lat": 10}])
def test_lazy_and_equal_whatever_the_chunks(result, chunks, raise_if_dask_computes):
    result["code"] = xr.where(result.lat > 30, 1, 2).broadcast_like(result["cSoil"])
    result["code"].attrs = {"flag_values": [1, 2], "flag_meanings": "up down"}
    eager = xbinn.totals(result, by="code")
    chunked = result.chunk(chunks)
    for by in ("code", result["code"], None):
        with raise_if_dask_computes():
            lazy = xbinn.totals(chunked, by=by)
        assert all(isinstance(v.data, dask.array.Array) for v in lazy.data_vars.values())
        expected = xbinn.totals(result) if by is None else eager
        xr.testing.assert_allclose(lazy.compute(scheduler="synchronous"), expected, rtol=1e-12)
    lazy = xbinn.totals(result, by=chunked["code"])
    xr.testing.assert_allclose(lazy.compute(scheduler="synchronous"), eager, rtol=1e-12)


def test_regions_without_flags_are_read_once(result, raise_if_dask_computes):
    code = (result.lat > 30).broadcast_like(result["cSoil"]).rename("code")
    with raise_if_dask_computes(max_computes=1):
        lazy = xbinn.totals(result.chunk(lat=9), by=code.chunk(lon=20))
    assert lazy["total"].chunks is not None
    expected = xbinn.totals(result, by=code)
    xr.testing.assert_allclose(lazy.compute(scheduler="synchronous"), expected, rtol=1e-12)


# --- samples ----------------------------------------------------------------------------------


@pytest.fixture
def samples(result) -> xr.Dataset:
    """Coherent samples: each is too high or too low everywhere."""
    factor = np.random.default_rng(1).lognormal(0.0, 0.3, 200)
    return result.assign(
        cSoil=(result["cSoil"] * xr.DataArray(factor, dims="sample")).assign_attrs(units="kg m-2")
    )


def test_samples_give_an_interval(samples):
    found = xbinn.totals(samples, by=xr.where(samples.lat > 0, "n", "s").rename("half"))
    each = xr.concat(
        [
            xbinn.totals(samples.isel(sample=i), by=xr.where(samples.lat > 0, "n", "s"))["total"]
            for i in range(samples.sizes["sample"])
        ],
        "sample",
    )
    np.testing.assert_allclose(found["total"], each.mean("sample"), rtol=1e-12)
    np.testing.assert_allclose(found["total_std"], each.std("sample", ddof=1), rtol=1e-12)
    assert list(found["quantile"].values) == [0.05, 0.5, 0.95]
    expected = each.quantile([0.05, 0.5, 0.95], "sample")
    np.testing.assert_allclose(found["total_quantile"], expected, rtol=1e-12)
    assert found["total_quantile"].dims == ("quantile", "half")
    assert found["area"].dims == ("half",)


def test_coherent_samples_have_a_wider_total_than_independent_cells(samples):
    rng = np.random.default_rng(2)
    shuffled = samples.copy(deep=True)
    axis = samples["cSoil"].dims.index("sample")
    shuffled["cSoil"].values[:] = rng.permuted(samples["cSoil"].values, axis=axis)
    # Cell by cell the two say the same.
    np.testing.assert_allclose(
        shuffled["cSoil"].std("sample"), samples["cSoil"].std("sample"), rtol=1e-12
    )

    def width(out: xr.Dataset) -> float:
        low, high = xbinn.totals(out, quantiles=(0.05, 0.95))["total_quantile"].values
        return float(high - low)

    assert width(samples) > 10.0 * width(shuffled)


def test_lazy_samples(samples, raise_if_dask_computes):
    with raise_if_dask_computes():
        lazy = xbinn.totals(samples.chunk(sample=30, lat=10))
    expected = xbinn.totals(samples)
    xr.testing.assert_allclose(lazy.compute(scheduler="synchronous"), expected, rtol=1e-12)


def test_a_cell_counts_in_all_samples_or_in_none(samples):
    once = samples.copy(deep=True)
    axis = samples["cSoil"].dims.index("sample")
    once["cSoil"].values[(slice(None),) * axis + (3,)] = np.nan
    found = xbinn.totals(once)
    assert float(found["area"]) == 0.0
    assert float(found["total"]) == 0.0


# --- labels, refusals -------------------------------------------------------------------------


def test_a_result_of_xbinn():
    grid = small_grid()
    out = xbinn.simulate(grid, xbinn.default_parameters(grid))
    found = xbinn.totals(out, land_fraction=grid["land_fraction"])
    assert set(found.data_vars) == {"total", "area", "area_missing"}
    assert 0.0 < float(found["total"]) < 1e5
    assert found["total"].attrs["units"] == "Pg"
    assert found["total"].attrs["long_name"] == "total of " + out["cSoil"].attrs["long_name"]
    assert found["area"].attrs["units"] == found["area_missing"].attrs["units"] == "m2"
    assert found.attrs["source"] == out.attrs["source"]
    assert "xbinn.totals" in found.attrs["history"]
    above = xbinn.totals(out, "cSoilAbove1m", land_fraction=grid["land_fraction"])
    assert float(above["total"]) < float(found["total"])
    stock = xbinn.stock(out, 0.0, 1.0)
    same = xbinn.totals(out.assign(stock=stock), "stock", land_fraction=grid["land_fraction"])
    assert float(same["total"]) == pytest.approx(float(above["total"]), rel=1e-12)


def test_refusals(result):
    with pytest.raises(InputError, match="variable='carbon' is not in the result"):
        xbinn.totals(result, "carbon")
    with pytest.raises(InputError, match="by='region' is not in the result"):
        xbinn.totals(result, by="region")
    with pytest.raises(UnitsError, match="kg m-2"):
        xbinn.totals(result.assign(cSoil=result["cSoil"].assign_attrs(units="kg m-3")))
    with pytest.raises(InputError, match=r"lies on depth besides space.*xbinn.stock"):
        xbinn.totals(result.expand_dims(depth=3))
    with pytest.raises(InputError, match="is one column"):
        xbinn.totals(result.isel(lat=0, lon=0))
    with pytest.raises(InputError, match="by lies on year, and cSoil on lat, lon"):
        xbinn.totals(result, by=result["cSoil"].expand_dims(year=2))
    with pytest.raises(CoordinateError, match=r"area and cSoil do not lie on the same.*reindex"):
        xbinn.totals(result, area=result["cSoil"].assign_coords(lat=result.lat + 1e-9))
    with pytest.raises(InputError, match="not all between 0 and 1"):
        xbinn.totals(result, quantiles=(5, 95))
    with pytest.raises(InputError, match="quantiles='median' are not all between 0 and 1"):
        xbinn.totals(result, quantiles="median")
    with pytest.raises(InputError, match="by=3 is of type int: give a DataArray on lat, lon"):
        xbinn.totals(result, by=3)
    with pytest.raises(InputError, match="ellipsoid='Mars1' is not known"):
        xbinn.totals(result, ellipsoid="Mars1")
    with pytest.raises(InputError, match="no effect where area is given"):
        xbinn.totals(result, area=xr.ones_like(result["cSoil"]), ellipsoid="WGS84")
    laea = result.rename(lat="y", lon="x").rio.write_crs("EPSG:3035")
    laea["y"].attrs = laea["x"].attrs = {}
    with pytest.raises(InputError, match="no effect on a projected grid"):
        xbinn.totals(laea, ellipsoid="WGS84")
    with pytest.raises(CoordinateError, match="lat has one cell and no bounds"):
        xbinn.totals(result.isel(lat=[0]))
    points = result.isel(lat=xr.Variable("cell", [0, 1, 2]), lon=xr.Variable("cell", [0, 1, 5]))
    with pytest.raises(
        CoordinateError, match="no grid of latitude and longitude, so their areas are not"
    ):
        xbinn.totals(points)
    flagged = result["cSoil"].assign_attrs(flag_values=[1, 2], flag_meanings="one")
    with pytest.raises(InputError, match="2 flag_values and 1 flag_meanings"):
        xbinn.totals(result, by=flagged)


def geodesic_areas(crs, y, x, step):
    """Polygons of geodesics along the edges of each cell, in short pieces."""
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    along = np.linspace(-0.5, 0.5, 20) * step
    low, high = np.full(20, -0.5 * step), np.full(20, 0.5 * step)
    at_x, at_y = np.r_[along, high, -along, low], np.r_[low, along, high, -along]
    globe = pyproj.Geod(ellps="WGS84")
    found = [
        globe.polygon_area_perimeter(*to_degrees.transform(j + at_x, i + at_y))[0]
        for i in y
        for j in x
    ]
    return np.abs(found).reshape(y.size, x.size)


ROTATED = pyproj.CRS.from_cf(
    {"grid_mapping_name": "rotated_latitude_longitude", "grid_north_pole_latitude": 39.25,
     "grid_north_pole_longitude": -162.0, "north_pole_grid_longitude": 0.0},
)  # fmt: skip


@pytest.mark.parametrize(
    ("crs", "y", "x", "step"),
    [
        ("EPSG:32614", 4.5e6, 5e5, 1e5),
        ("EPSG:3413", -1.5e5, -1e5, 1e5),  # the pole inside
        ("EPSG:3857", 5e6, -1e7, 1e5),
        ("EPSG:2225", 2e6, 6e6, 1e5),  # US feet
        (ROTATED, 0.0, 5.0, 0.5),
        # Formulas of a sphere, with latitudes of the ellipsoid: nothing is kept.
        ("ESRI:54052", 1.1e6, -1.1e7, 1e5),
        ("ESRI:54009", 7e6, 1e6, 1e5),
        ("+proj=igh +datum=WGS84 +units=km", -4e3, 2e3, 100.0),
        ("+proj=hammer +datum=WGS84", 3e6, 8e6, 1e5),
    ],
)
def test_areas_in_projections_that_do_not_keep_them(crs, y, x, step):
    y, x = (at + step * (np.arange(4) - 1.5) for at in (y, x))
    found = xbinn.totals(on_a_plane(crs, y, x))["total"]
    # Great circles between corners bend as the edges do, but for some 1e-5.
    expected = geodesic_areas(crs, y, x, step).sum() / KG_PER_PG
    assert float(found) == pytest.approx(expected, rel=5e-5)


def on_a_plane(crs, y, x):
    """1 kg m-2 everywhere."""
    density = xr.DataArray(np.ones((y.size, x.size)), {"y": y, "x": x}, ("y", "x"), "cSoil")
    out = density.assign_attrs(units="kg m-2").to_dataset()
    out["y"].attrs, out["x"].attrs = {"axis": "Y"}, {"axis": "X"}
    return out.rio.write_crs(crs)


@pytest.mark.parametrize("crs", ["ESRI:54052", "ESRI:54009", "+proj=hammer", "ESRI:54030"])
def test_areas_of_the_whole_globe_in_one_projection(crs):
    """Also of Robinson's, where corners of cells at the rim lie beyond it."""
    y, x = np.arange(9.95e6, -1e7, -1e5), np.arange(-2.005e7, 2.006e7, 1e5)
    out = on_a_plane(crs, y, x)
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    to_plane = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    here = np.meshgrid(x, y)
    lon, lat = to_degrees.transform(*here)
    known = np.isfinite(lon) & np.isfinite(lat)
    # What lies beyond is taken to another place.
    back = to_plane.transform(np.where(known, lon, 0.0), np.where(known, lat, 0.0))
    known &= np.hypot(back[0] - here[0], back[1] - here[1]) < 1.0
    total = float(xbinn.totals(out.where(known))["total"])
    # Cells count where their centre lies on the globe: the rim is rough.
    assert total == pytest.approx(EARTH / KG_PER_PG, rel=5e-4)


def test_straight_and_bent_parallels_have_areas_by_row_and_by_cell():
    y, x = np.arange(8.5e6, -9e6, -1e6), np.arange(-1.75e7, 1.8e7, 1e6)
    sizes = {
        crs: [size.dims for size in cell_sizes(on_a_plane(crs, y, x)[["cSoil"]])]
        for crs in ("ESRI:54052", "+proj=hammer", "EPSG:6933")
    }
    assert sizes["ESRI:54052"] == sizes["EPSG:6933"] == [("y",), ("x",)]
    assert sizes["+proj=hammer"] == [("y", "x")]


def test_a_datum_of_its_own_changes_no_areas():
    sphere = "+proj=sinu +R=6371007.181 +units=m"
    y, x = np.arange(4e6, 3e6, -1e5), np.arange(0.0, 1e6, 1e5)
    found = [
        float(xbinn.totals(on_a_plane(crs, y, x))["total"])
        for crs in (sphere, f"{sphere} +towgs84=0,0,0")
    ]
    assert found == [pytest.approx(100 * 1e10 / KG_PER_PG, rel=1e-12)] * 2


def test_areas_of_a_curvilinear_grid(result):
    """A grid of latitude and longitude, across the date line, that does not say that it is one."""
    lat, lon = np.arange(40.25, 60.0, 0.5), np.arange(170.25, 190.0, 0.5)
    density = xr.DataArray(np.ones((40, 40)), {"lat": lat, "lon": lon}, ("lat", "lon"), "cSoil")
    out = density.assign_attrs(units="kg m-2").to_dataset()
    at = dict(zip(("lat", "lon"), np.meshgrid(lat, lon, indexing="ij"), strict=True))
    curved = out.rename(lat="j", lon="i").drop_vars(["j", "i"])
    curved = curved.assign_coords({n: (("j", "i"), v) for n, v in at.items()})
    for ellipsoid in (None, "sphere"):
        pair = [xbinn.totals(ds, ellipsoid=ellipsoid)["total"] for ds in (curved, out)]
        assert float(pair[0]) == pytest.approx(float(pair[1]), rel=5e-5)
    lazy = xbinn.totals(curved.chunk(j=7))["total"]
    assert float(lazy) == pytest.approx(float(xbinn.totals(curved)["total"]), rel=1e-12)
    with pytest.raises(CoordinateError, match=r"no grid of latitude and longitude.*not known"):
        xbinn.totals(curved.isel(j=[0]))


def test_real_points_need_their_areas(real_points):
    density = xr.full_like(real_points["land_area"], 10.0).assign_attrs(units="kg m-2")
    out = real_points.assign(cSoil=density)
    with pytest.raises(CoordinateError, match="are not known"):
        xbinn.totals(out)
    area = real_points["land_area"]
    square_metres = float(area.sum()) * {"m2": 1.0, "km2": 1e6}[area.attrs["units"]]
    found = xbinn.totals(out, area="land_area")
    assert float(found["total"]) == pytest.approx(square_metres * 1e-11, rel=1e-9)


def test_real_classes(real_grid):
    out = xbinn.simulate(real_grid, xbinn.default_parameters(real_grid))
    out["land_fraction"], out["koppen"] = real_grid["land_fraction"], real_grid["koppen"]
    found = xbinn.totals(out, by="koppen", land_fraction="land_fraction")
    whole = xbinn.totals(out, land_fraction="land_fraction")
    assert found.sizes["koppen"] == len(real_grid["koppen"].attrs["flag_values"])
    assert float(found["total"].sum()) <= float(whole["total"]) * (1 + 1e-12)
    # The contiguous US have 8.1 million km2; the box holds parts of Canada and Mexico.
    assert 7e12 < float(whole["area"] + whole["area_missing"]) < 1.4e13
