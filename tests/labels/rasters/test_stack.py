"""Rasters in several projections, made by GDAL from one field, on one grid."""

import numpy as np
import pyproj
import pytest
import rasterio
import rioxarray
import xarray as xr
from affine import Affine
from rasterio.vrt import WarpedVRT
from rasterio.warp import Resampling, calculate_default_transform, reproject

import xbinn
from xbinn.errors import CoordinateError, InputError, UnitsError
from xbinn.labels.rasters.products import HOMOLOSINE
from xbinn.testing import small_grid, small_profiles

pytestmark = [
    # Of rasterio and rioxarray with the newest affine, and of files written without a place.
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Dataset has no geotransform"),
]

CRS = {
    "geographic": "EPSG:4326",
    "laea": "EPSG:3035",
    "utm": "EPSG:32632",
    "ease": "EPSG:6933",
    "homolosine": HOMOLOSINE,
}
FILL = -9999.0
WEST, NORTH, STEP = -2.0, 62.0, 0.05
"""Of the field that all rasters are made of: 0.05 degree."""
SHAPE = (480, 720)


def field(lat, lon):
    return 10.0 + np.sin(np.radians(6 * lat)) * 5.0 + np.cos(np.radians(5 * lon)) * 3.0


def classes(lat, lon):
    return 1.0 + (lon > 10.0) + 2.0 * (lat > 52.0)


def axes(shape, west, north, step):
    return (north - step * (np.arange(n) + 0.5) if i == 0 else west + step * (np.arange(n) + 0.5)
            for i, n in enumerate(shape))  # fmt: skip


LAT, LON = axes(SHAPE, WEST, NORTH, STEP)
FINE = Affine(STEP, 0.0, WEST, 0.0, -STEP, NORTH)


def write(path, values, crs, transform, **profile):
    options = {"driver": "GTiff", "count": 1, "dtype": values.dtype, "nodata": FILL} | profile
    height, width = values.shape[-2:]
    with rasterio.open(
        path, "w", height=height, width=width, crs=crs, transform=transform, **options
    ) as file:
        file.write(values if values.ndim == 3 else values[None])


def warped(values, crs, how):
    """Warp from the fine field to a projection, as a user's GDAL would."""
    transform, width, height = calculate_default_transform(
        "EPSG:4326", crs, SHAPE[1], SHAPE[0], WEST, NORTH - SHAPE[0] * STEP,
        WEST + SHAPE[1] * STEP, NORTH,
    )  # fmt: skip
    out = np.full((height, width), FILL, dtype=np.float32)
    reproject(
        values.astype(np.float32), out, src_transform=FINE, src_crs="EPSG:4326",
        dst_transform=transform, dst_crs=crs, dst_nodata=FILL, resampling=how,
    )  # fmt: skip
    return out, transform


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One measurement and one map of classes in each projection, with a hole."""
    folder = tmp_path_factory.mktemp("rasters")
    lat, lon = np.meshgrid(LAT, LON, indexing="ij")
    for name, function, how in (
        ("t", field, Resampling.bilinear),
        ("c", classes, Resampling.nearest),
    ):
        values = function(lat, lon)
        values[(lat > 45) & (lat < 46.2) & (lon > 5) & (lon < 7.2)] = np.nan
        for projection, crs in CRS.items():
            out, transform = warped(values, crs, how)
            out[np.isnan(out)] = FILL
            if name == "c":
                out = out.astype(np.int16)
            write(folder / f"{name}_{projection}.tif", out, crs, transform)
    return folder


@pytest.fixture(scope="module")
def like():
    """Cells of 1 degree, inside all rasters."""
    lat = xr.DataArray(np.arange(57.5, 42.0, -1.0), dims="lat")
    lon = xr.DataArray(np.arange(2.5, 20.0, 1.0), dims="lon")
    return xr.Dataset({"TSOI": (("lat", "lon"), np.zeros((16, 18)))}, {"lat": lat, "lon": lon})


def gdal(path, like, how, exact=True):
    """GDAL's own warp of the file, in one go: each place transformed, or its default."""
    shape = (like.sizes["lat"], like.sizes["lon"])
    corner = Affine(1, 0, float(like.lon[0]) - 0.5, 0, -1, float(like.lat[0]) + 0.5)
    with rasterio.open(path) as file:
        if exact:
            with WarpedVRT(
                file, crs="EPSG:4326", transform=corner, height=shape[0], width=shape[1],
                resampling=how, tolerance=1e-12,
            ) as warped:  # fmt: skip
                out = warped.read(1).astype(np.float64)
            out[out == FILL] = np.nan
            return out
        out = np.full(shape, np.nan)
        reproject(
            file.read(1).astype(np.float64), out, src_transform=file.transform, src_crs=file.crs,
            src_nodata=FILL, dst_nodata=np.nan, resampling=how, dst_crs="EPSG:4326",
            dst_transform=corner,
        )  # fmt: skip
        return out


# --- against GDAL -----------------------------------------------------------------------------


@pytest.mark.parametrize("projection", [p for p in CRS if p != "geographic"])
def test_means_are_those_of_gdal(folder, like, projection):
    file = folder / f"t_{projection}.tif"
    found = xbinn.stack_covariates(
        {"t": file}, like=like, units={"t": "degC"}, chunks={"lat": 7, "lon": 11}
    )["t"]
    expected = gdal(file, like, Resampling.average)
    # Sums of float32 in another order.
    np.testing.assert_allclose(found.values, expected, rtol=2e-6)
    # GDAL's reproject takes places within an eighth of a cell, of 0.05 degree here.
    by_default = gdal(file, like, Resampling.average, exact=False)
    np.testing.assert_allclose(found.values, by_default, atol=0.02)
    assert found.dims == ("lat", "lon")
    # Cells of 1 degree against the field at their centres: curvature, and edges of warped cells.
    truth = field(*np.meshgrid(like.lat, like.lon, indexing="ij"))
    np.testing.assert_allclose(found, np.where(np.isfinite(expected), truth, np.nan), atol=0.25)


@pytest.mark.parametrize("projection", CRS)
def test_classes_and_nearest_are_those_of_gdal(folder, like, projection):
    file = folder / f"c_{projection}.tif"
    for how, name in ((Resampling.mode, "mode"), (Resampling.nearest, "nearest")):
        found = xbinn.stack_covariates(
            {"c": file}, like=like, resampling={"c": name}, chunks={"lat": 7, "lon": 11}
        )["c"]
        np.testing.assert_array_equal(found.values, gdal(file, like, how))
        assert list(found.attrs["flag_values"]) == [1, 2, 3, 4]
    assert found.isnull().any()
    assert set(np.unique(found.values[np.isfinite(found.values)])) <= {1, 2, 3, 4}


def test_cells_of_degrees_are_weighted_by_their_area(folder):
    """Wide cells, in which meridians converge: exact sums over the parts of the sphere."""
    lat = np.array([58.0, 50.0, 42.0])
    grid = xr.Dataset(
        {"TSOI": (("lat", "lon"), np.zeros((3, 2)))}, {"lat": lat, "lon": [4.0, 12.0]}
    )
    found = xbinn.stack_covariates({"t": folder / "t_geographic.tif"}, like=grid, units={"t": "K"})
    with rasterio.open(folder / "t_geographic.tif") as file:
        values = file.read(1)
        step, (west, north) = file.transform.a, (file.transform.c, file.transform.f)
    y, x = axes(values.shape, west, north, step)
    width = np.cos(np.radians(y))[:, None] * (values != FILL)
    for i, south in enumerate(lat - 4.0):
        for j, left in enumerate((0.0, 8.0)):
            # How much of each row and column lies in the cell: steps need not divide it.
            rows = np.clip(
                np.minimum(y + step / 2, south + 8) - np.maximum(y - step / 2, south), 0, step
            )
            columns = np.clip(
                np.minimum(x + step / 2, left + 8) - np.maximum(x - step / 2, left), 0, step
            )
            weight = rows[:, None] * columns * width
            expected = (weight * values).sum() / weight.sum()
            # Rounding of the edges of cells.
            assert float(found["t"][i, j]) == pytest.approx(expected, rel=2e-5)


# --- laziness, chunks, orientation -------------------------------------------------------------


def test_a_folder_is_stacked_lazily(folder, like, raise_if_dask_computes):
    units = {f"t_{p}": "degC" for p in CRS}
    flags = {f"c_{p}": np.array([1, 2, 3, 4]) for p in CRS}
    with raise_if_dask_computes(max_computes=len(flags)):  # classes that no file lists
        stacked = xbinn.stack_covariates(folder, like=like, units=units)
    assert set(stacked.data_vars) == units.keys() | flags.keys()
    assert all(da.chunks is not None for da in stacked.data_vars.values())
    assert stacked["t_laea"].attrs["units"] == "degC"
    assert stacked["t_laea"].attrs["cell_methods"] == "area: mean"
    assert "t_laea.tif" in stacked["t_laea"].attrs["source"]
    with raise_if_dask_computes():
        xbinn.stack_covariates([folder / "t_laea.tif"], like=like)


@pytest.mark.parametrize("projection", ["geographic", "homolosine"])
def test_chunks_do_not_matter(folder, like, projection):
    sources = {"t": folder / f"t_{projection}.tif", "c": folder / f"c_{projection}.tif"}
    whole = xbinn.stack_covariates(sources, like=like, chunks={"lat": 16, "lon": 18}).compute()
    for chunks in ({"lat": 1, "lon": 5}, {"lon": 7}):
        parts = xbinn.stack_covariates(sources, like=like, chunks=chunks)
        assert parts.chunks["lon"][0] == chunks["lon"]
        xr.testing.assert_equal(parts.compute(), whole)
    open_in_chunks = rioxarray.open_rasterio(sources["t"], masked=True, chunks={"x": 50, "y": 70})
    again = xbinn.stack_covariates({"t": open_in_chunks.squeeze()}, like=like)
    np.testing.assert_array_equal(again["t"].values, whole["t"].values)


@pytest.mark.parametrize("projection", ["geographic", "laea"])
def test_directions_and_longitudes_of_both_sides(folder, like, projection):
    da = rioxarray.open_rasterio(folder / f"t_{projection}.tif", masked=True).squeeze(drop=True)
    expected = xbinn.stack_covariates({"t": da}, like=like)["t"]
    for turned in (like.isel(lat=slice(None, None, -1)), like.transpose("lon", "lat")):
        found = xbinn.stack_covariates({"t": da}, like=turned)["t"]
        assert found.dims == turned["TSOI"].dims
        np.testing.assert_array_equal(
            found.transpose("lat", "lon").sortby("lat", ascending=False), expected
        )
    upside_down = xbinn.stack_covariates({"t": da.isel(y=slice(None, None, -1))}, like=like)["t"]
    np.testing.assert_array_equal(upside_down, expected)


def test_the_date_line_and_longitudes_from_zero():
    """A band around the globe, on a grid that passes both 0 and 180 degrees."""
    lon = np.arange(-179.5, 180.0, 1.0)
    lat = np.arange(9.5, -10.0, -1.0)
    values = np.broadcast_to(np.abs(lon), (lat.size, lon.size))
    band = xr.DataArray(values, {"lat": lat, "lon": lon}, ("lat", "lon"), "t", {"units": "m"})
    shifted = band.assign_coords(lon=lon % 360).sortby("lon")
    for centres in (np.arange(2.0, 360.0, 4.0), np.arange(150.0, 210.0, 4.0)):
        grid = xr.Dataset(
            {"TSOI": (("lat", "lon"), np.zeros((2, centres.size)))},
            {"lat": [2.0, -2.0], "lon": centres},
        )
        for source in (band, shifted):
            found = xbinn.stack_covariates([source], like=grid)["t"]
            assert list(found["lon"].values) == list(centres)
            expected = np.abs((centres + 180) % 360 - 180)
            np.testing.assert_allclose(found[0].values, expected, rtol=1e-6)


@pytest.mark.parametrize("counted", [lambda lon: lon, lambda lon: (lon + 180) % 360 - 180])
def test_a_source_across_the_date_line(counted):
    lat, lon = np.arange(-29.75, -10.0, 0.5), np.arange(170.25, 190.0, 0.5)
    values = lat[:, None] + np.abs(lon - 180.0)
    band = xr.DataArray(values, {"lat": lat, "lon": counted(lon)}, ("lat", "lon"), "t")
    wide = np.arange(-179.0, 180.0, 2.0)
    grid = xr.Dataset(coords={"lat": np.arange(-28.0, -12.0, 2.0), "lon": wide})
    found = [xbinn.stack_covariates(band, like=grid, chunks=c)["t"] for c in (None, {"lon": 3})]
    xr.testing.assert_equal(found[0].compute(), found[1].compute())
    truth = grid["lat"].values[:, None] + np.abs(wide % 360 - 180.0)
    inside = np.abs(wide % 360 - 180.0) < 10.0
    # Rows weigh by their width.
    np.testing.assert_allclose(found[0], np.where(inside, truth, np.nan), atol=0.01)


def test_cells_that_only_touch_a_source_are_missing_in_any_chunks():
    lat, lon = np.arange(9.75, -10.0, -0.5), np.arange(0.25, 20.0, 0.5)
    band = xr.DataArray(np.ones((40, 40)), {"lat": lat, "lon": lon}, ("lat", "lon"), "t")
    grid = xr.Dataset(coords={"lat": np.arange(15.0, -16.0, -2.0), "lon": np.arange(-7.0, 29.0, 2)})
    for chunks in ({"lon": 18}, {"lat": 8, "lon": 3}):
        for how in ("mean", "mode", "nearest"):
            found = xbinn.stack_covariates(
                band, like=grid, chunks=chunks, resampling={"t": how}, units={"t": "1"}
            )["t"]
            inside = (np.abs(grid["lat"]) < 10) & (grid["lon"] > 0) & (grid["lon"] < 20)
            np.testing.assert_array_equal(found, np.where(inside, 1.0, np.nan), err_msg=how)


def test_a_raster_may_be_the_grid(folder):
    raster = rioxarray.open_rasterio(folder / "c_ease.tif")[:, ::40, ::40]
    found = xbinn.stack_covariates({"t": folder / "t_laea.tif"}, like=raster, units={"t": "K"})
    assert found["t"].sizes == {d: raster.sizes[d] for d in ("y", "x")}
    assert found.rio.crs == raster.rio.crs
    assert found["t"].notnull().any()


def test_a_bare_grid_and_many_classes():
    lat, lon = np.arange(40.5, 52.0), np.arange(3.5, 15.0)
    soils = xr.DataArray(np.arange(144).reshape(12, 12), {"lat": lat, "lon": lon}, ("lat", "lon"))
    grid = xr.Dataset(coords={"lat": np.arange(41.0, 51.0), "lon": np.arange(4.0, 14.0)})
    found = xbinn.stack_covariates({"soils": soils}, like=grid, categorical=["soils"])
    assert found["soils"].sizes == {"lat": 10, "lon": 10}
    assert found["soils"].attrs["flag_values"].size == 144
    heights = xbinn.stack_covariates({"z": soils}, like=grid, units={"z": "m"})["z"]
    assert "flag_values" not in heights.attrs


def test_a_projected_grid_keeps_its_crs(folder):
    y, x = np.arange(3.2e6, 2.4e6, -1e5), np.arange(4.0e6, 4.6e6, 1e5)
    grid = xr.Dataset({"TSOI": (("y", "x"), np.zeros((8, 6)))}, {"y": y, "x": x}).rio.write_crs(
        "EPSG:3035"
    )
    found = xbinn.stack_covariates({"t": folder / "t_geographic.tif"}, like=grid, units={"t": "K"})
    assert found.rio.crs == grid.rio.crs
    assert found["t"].attrs["grid_mapping"] == "spatial_ref"
    lon, lat = rasterio.warp.transform("EPSG:3035", "EPSG:4326", np.tile(x, 8), np.repeat(y, 6))
    truth = field(np.array(lat), np.array(lon)).reshape(8, 6)
    # Cells of 100 km against the field at their centres.
    assert int(found["t"].notnull().sum()) > 40
    np.testing.assert_allclose(found["t"], np.where(found["t"].notnull(), truth, np.nan), atol=0.3)


# --- files ------------------------------------------------------------------------------------


def test_netcdf_zarr_and_bands(folder, like, tmp_path):
    da = rioxarray.open_rasterio(folder / "t_laea.tif", masked=True).squeeze(drop=True)
    expected = xbinn.stack_covariates({"t": da}, like=like)["t"]
    ds = da.rename("t").assign_attrs(units="degC", long_name="warmth").to_dataset()
    ds.to_netcdf(tmp_path / "a.nc", encoding={"t": {"dtype": "f4", "grid_mapping": "spatial_ref"}})
    ds.to_zarr(tmp_path / "b.zarr", consolidated=False)
    for file in ("a.nc", "b.zarr"):
        found = xbinn.stack_covariates(tmp_path / file, like=like)["t"]
        np.testing.assert_allclose(found, expected, rtol=1e-6)  # a stated factor of 1 makes float64
        assert (found.attrs["units"], found.attrs["long_name"]) == ("degC", "warmth")
    with rasterio.open(folder / "t_laea.tif") as file:
        values, transform = file.read(1), file.transform
    write(tmp_path / "two.tif", np.stack([values, values]), CRS["laea"], transform, count=2)
    found = xbinn.stack_covariates(tmp_path / "two.tif", like=like)
    assert list(found.data_vars) == ["two_1", "two_2"]
    np.testing.assert_array_equal(found["two_2"], expected)


def test_scale_and_offset_of_a_file(folder, like, tmp_path):
    da = rioxarray.open_rasterio(folder / "t_laea.tif", masked=True).squeeze(drop=True)
    packed = ((da - 5.0) / 0.01).fillna(-32768).round().astype(np.int16)
    path = tmp_path / "packed.tif"
    write(path, packed.values, CRS["laea"], da.rio.transform(), nodata=-32768)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.01,), (5.0,)
    found = xbinn.stack_covariates({"t": path}, like=like, units={"t": "degC"})["t"]
    assert "flag_values" not in found.attrs
    expected = xbinn.stack_covariates({"t": da}, like=like)["t"]
    np.testing.assert_allclose(found, expected, atol=0.006)  # half a step of the packing


@pytest.mark.parametrize("options", [{}, {"chunks": {"x": 7, "y": 7}}, {"masked": True}])
def test_fill_values_that_rioxarray_leaves_are_missing(tmp_path, options):
    stored = np.full((20, 20), 250, dtype=np.int16)
    stored[:, :10] = -9999
    write(tmp_path / "t.tif", stored, "EPSG:4326", Affine(1, 0, 0, 0, -1, 60), nodata=-9999)
    grid = xr.Dataset(coords={"lat": [55.0, 50.0], "lon": [2.5, 7.5, 12.5, 17.5]})
    for source in (rioxarray.open_rasterio(tmp_path / "t.tif", **options), tmp_path / "t.tif"):
        found = xbinn.stack_covariates({"t": source}, like=grid, units={"t": "m"})["t"]
        np.testing.assert_allclose(found[0], [np.nan, np.nan, 250.0, 250.0], rtol=1e-12)
        found = xbinn.stack_covariates({"c": source}, like=grid)["c"]
        assert found.attrs["flag_values"].tolist() == [250]
    with rasterio.open(tmp_path / "t.tif", "r+") as file:
        file.scales, file.offsets = (0.1,), (1.0,)
    found = xbinn.stack_covariates(tmp_path / "t.tif", like=grid, units={"t": "m"})["t"]
    np.testing.assert_allclose(found[0], [np.nan, np.nan, 26.0, 26.0], rtol=1e-6)
    # Whether they have been applied cannot be seen.
    opened = rioxarray.open_rasterio(tmp_path / "t.tif", **options)
    with pytest.raises(InputError, match=r"has scale_factor 0.1, add_offset 1 in its attributes"):
        xbinn.stack_covariates({"t": opened}, like=grid)


def test_a_fit_takes_them(tmp_path):
    grid = small_grid()
    lat, lon = np.arange(70.5, 29.0, -1.0), np.arange(-10.5, 41.0, 1.0)
    covariates = {
        "relief": (field, {"units": "m"}),
        "zone": (classes, {"flag_values": [1, 2, 3, 4], "flag_meanings": "a b c d"}),
    }
    for name, (function, attrs) in covariates.items():
        values = function(*np.meshgrid(lat, lon, indexing="ij"))
        da = xr.DataArray(values, {"lat": lat, "lon": lon}, ("lat", "lon"), name, attrs)
        da.to_netcdf(tmp_path / f"{name}.nc")
    stacked = xbinn.stack_covariates(tmp_path, like=grid)
    profiles = small_profiles(grid)
    model = grid.merge(stacked).binn.fit(
        profiles, covariates=["relief", "zone"], epochs=1, seed=0, hidden=(4,)
    )
    assert set(model.covariates) == {"relief", "zone"}
    assert stacked["zone"].attrs["flag_meanings"] == "a b c d"


# --- known products ---------------------------------------------------------------------------


def test_soilgrids_are_scaled_and_placed(folder, like, tmp_path):
    with rasterio.open(folder / "t_homolosine.tif") as file:
        values, transform = file.read(1), file.transform
    mapped = np.where(values == FILL, -32768, np.round(values * 10)).astype(np.int16)
    # As fetched without a CRS: the table knows it.
    for name in ("clay_0-5cm_mean", "phh2o_15-30cm_Q0.5"):
        write(tmp_path / f"{name}.tif", mapped, None, transform, nodata=-32768)
    found = xbinn.stack_covariates(tmp_path, like=like)
    expected = xbinn.stack_covariates({"t": folder / "t_homolosine.tif"}, like=like)["t"]
    for name, units in (("clay_0_5cm", "percent"), ("phh2o_15_30cm_q5", "1")):
        np.testing.assert_allclose(found[name], expected, atol=0.051)  # rounded to tenths
        assert found[name].attrs["units"] == units
        assert "soilgrids" in found[name].attrs["source"].lower()


def test_koeppen_worldclim_and_land_cover(folder, like, tmp_path):
    zones = classes(*np.meshgrid(LAT, LON, indexing="ij")).astype(np.uint8)
    zones[LAT < 46] = 0  # ocean, of which the file does not say that it is none
    write(tmp_path / "Beck_KG_V1_present_0p0083.tif", zones, "EPSG:4326", FINE, nodata=None)
    write(tmp_path / "Beck_KG_V1_present_conf_0p0083.tif", zones, "EPSG:4326", FINE, nodata=None)
    warmth = field(*np.meshgrid(LAT, LON, indexing="ij")).astype(np.float32)
    write(tmp_path / "wc2.1_10m_bio_4.tif", warmth, "EPSG:4326", FINE)
    write(tmp_path / "wc2.1_30s_prec_07.tif", warmth, "EPSG:4326", FINE)
    write(tmp_path / "wc2.1_2.5m_elev.tif", warmth.astype(np.int16), "EPSG:4326", FINE)
    cover = xr.Dataset(
        {
            "lccs_class": (
                ("lat", "lon"),
                zones * 10,
                {"flag_values": [10, 20], "flag_meanings": "a b"},
            ),
            "change_count": (("lat", "lon"), zones),
        },
        {"lat": LAT, "lon": LON},
    )
    cover.to_netcdf(tmp_path / "C3S-LC-L4-LCCS-Map-300m-P1Y-2020-v2.1.1.nc")
    found = xbinn.stack_covariates(tmp_path, like=like)
    confidence = "Beck_KG_V1_present_conf_0p0083"
    assert set(found) == {"koeppen", confidence, "bio4", "prec_07", "elevation", "land_cover"}
    assert found["koeppen"].attrs["flag_meanings"].split()[:2] == ["Af", "Am"]
    assert found["koeppen"].sel(lat=43.5).isnull().all()
    assert set(np.unique(found["koeppen"].sel(lat=slice(57, 47)))) == {1.0, 2.0, 3.0, 4.0}
    assert found["land_cover"].attrs["flag_meanings"] == "a b"
    assert found["land_cover"].sel(lat=43.5).isnull().all()
    units = {n: found[n].attrs["units"] for n in ("bio4", "prec_07", "elevation")}
    assert units == {"bio4": "0.01 degC", "prec_07": "mm", "elevation": "m"}
    assert "flag_values" not in found["elevation"].attrs


def test_every_product_states_its_source_and_a_unit_that_is_understood():
    from xbinn.labels.units import conversion

    for product in xbinn.rasters.PRODUCTS:
        assert product.source.count("20") >= 1
        assert bool(product.classes) != bool(product.units)
        if product.units:
            conversion(product.name, product.units, product.converted or product.units)


# --- refusals ---------------------------------------------------------------------------------


def test_rasters_that_cannot_be_used(folder, like, tmp_path):
    da = xr.DataArray(
        np.ones((4, 4)), {"lat": [50, 49, 48, 47.0], "lon": [5, 6, 7, 8.0]}, ("lat", "lon")
    )

    def refused(match, sources, kind=InputError, **options):
        with pytest.raises(kind, match=match):
            xbinn.stack_covariates(sources, **({"like": like} | options))

    refused("no rasters were given", [])
    refused("there is no raster in .*files end in", tmp_path)
    refused("there is no raster .*no.tif", tmp_path / "no.tif")
    refused("a DataArray has no name", [da])
    refused("varies with time, but a covariate is one number", {"t": da.expand_dims(time=2)})
    refused("holds no raster", xr.Dataset({"a": ("lat", [1.0, 2.0])}))
    refused("have the same name: t ", [da.rename("t"), da.rename("t")])
    refused("units names 'q'", {"t": da}, units={"q": "m"})
    refused("categorical is a text", {"t": da}, categorical="t")
    refused("resampling 'cubic' is not known", {"t": da}, resampling={"t": "cubic"})
    refused("cannot understand the unit", {"t": da}, UnitsError, units={"t": "parrots"})
    refused("holds 1.5: number its classes", {"t": da * 1.5}, categorical=["t"])
    refused("chunks names y", {"t": da}, chunks={"y": 3})
    refused(
        "no equal steps along y", {"t": da.assign_coords(lat=[50, 49, 48, 40.0])}, CoordinateError
    )
    refused("share no place", {"t": da.assign_coords(lat=da.lat - 80)}, CoordinateError)
    refused("without a CRS", {"t": da.rename(lat="y", lon="x")}, CoordinateError)
    bare = xr.DataArray(np.ones((2, 2)), {"y": [1.0, 0.0], "x": [0.0, 1.0]}, ("y", "x"))
    bare.rio.to_raster(tmp_path / "bare.tif")
    refused(r"bare.tif states no CRS.*write_crs", tmp_path / "bare.tif", CoordinateError)
    refused("2 rasters cannot be used", {"a": tmp_path / "a.tif", "b": tmp_path / "b.nc"})
    refused("no known cell size", {"t": da.isel(lat=[0], lon=[0])}, CoordinateError)
    refused("like is of type float", {"t": da}, like=0.5)
    refused("are given as int, ndarray: give paths", [3, da.values])
    refused("are given as NoneType", None)
    stated = da.assign_attrs(units="degC")
    refused("units gives 'K' for t, but DataArray t states 'degC'", {"t": stated}, units={"t": "K"})
    heights = xr.DataArray(np.arange(144).reshape(12, 12), dims=("lat", "lon"))
    heights = heights.assign_coords(lat=np.arange(52.0, 40.0, -1.0), lon=np.arange(3.0, 15.0))
    refused(r"holds 144 different whole numbers and has no unit: .*units={\"z\"", {"z": heights})
    points = xr.Dataset(
        {"t": ("cell", [1.0, 2.0])}, {"lat": ("cell", [50.0, 51]), "lon": ("cell", [5.0, 6])}
    )
    refused("grid of like: cells lie on no two axes", {"t": da}, CoordinateError, like=points)
    (tmp_path / "broken.tif").write_bytes(b"II*\0")
    refused("cannot be read as a raster", tmp_path / "broken.tif")
    (tmp_path / "broken.nc").write_bytes(b"no")
    refused("cannot be read as NetCDF", tmp_path / "broken.nc")


# --- interruptions ----------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [{"lat": 10, "lon": 12}, {"lat": 60, "lon": 180}])
def test_a_globe_in_an_interrupted_projection(chunks):
    """As SoilGrids has it: parts of the globe lie apart, with nothing in between."""
    step, right, top = 1e5, 2.0e7, 8.6e6
    x, y = np.arange(-right + step / 2, right, step), np.arange(top - step / 2, -top, -step)
    to_degrees = pyproj.Transformer.from_crs(HOMOLOSINE, "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(*np.meshgrid(x, y))
    back = to_degrees.transform(lon, lat, direction="INVERSE")
    on_globe = np.all(np.abs(np.array(back) - np.meshgrid(x, y)) < 1.0, axis=0)
    lat, lon = (np.where(on_globe, v, np.nan) for v in (lat, lon))
    values = field(lat, lon).astype(np.float32)
    globe = xr.DataArray(values, {"y": y, "x": x}, ("y", "x"), "t", {"units": "K"})
    globe = globe.rio.write_crs(HOMOLOSINE).chunk(y=64, x=100)
    lat, lon = np.arange(59.0, -60.0, -2.0), np.arange(-179.0, 180.0, 2.0)
    grid = xr.Dataset({"TSOI": (("lat", "lon"), np.zeros((60, 180)))}, {"lat": lat, "lon": lon})
    found = xbinn.stack_covariates(globe, like=grid, chunks=chunks)["t"].values
    assert np.isfinite(found).all()
    whole = xbinn.stack_covariates(globe, like=grid, chunks={"lat": 60, "lon": 180})["t"]
    np.testing.assert_allclose(found, whole, rtol=1e-6)
    expected = np.full(found.shape, np.nan, dtype=np.float32)
    reproject(
        values, expected, src_transform=Affine(step, 0, -right, 0, -step, top),
        src_crs=HOMOLOSINE, src_nodata=np.nan, dst_crs="EPSG:4326", dst_nodata=np.nan,
        dst_transform=Affine(2, 0, -180, 0, -2, 60), resampling=Resampling.average,
    )  # fmt: skip
    np.testing.assert_allclose(found, expected, atol=0.2)  # an eighth of a cell of 100 km
    # Cells of 2 degrees beside an interruption take in a cell of 100 km of its other side.
    np.testing.assert_allclose(found, field(*np.meshgrid(lat, lon, indexing="ij")), atol=0.35)
