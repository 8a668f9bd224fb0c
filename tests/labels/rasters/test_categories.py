"""Meanings of classes that GDAL keeps beside a GeoTIFF, or in its tags."""

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import rioxarray
import xarray as xr
from rasterio.transform import from_origin

import xbinn

LIKE = xr.Dataset(coords={"lat": np.arange(44.5, 40.0, -1.0), "lon": np.arange(0.5, 10.0, 1.0)})
CODES = np.zeros((10, 20), "uint8")
CODES[:4] = 1
CODES[4:, 10:] = 3
CODES[0, 0] = 255

NAMES = "<CategoryNames>{}</CategoryNames>"
COLUMN = '<FieldDefn index="{}"><Name>{}</Name><Type>{}</Type><Usage>{}</Usage></FieldDefn>'


def raster(path, *bands, values=CODES, count=1, **profile):
    """A GeoTIFF with, for each band, what PAM keeps beside it."""
    profile |= {"dtype": values.dtype, "nodata": 255, "crs": "EPSG:4326", "count": count}
    transform = from_origin(0.0, 45.0, 0.5, 0.5)
    with rasterio.open(path, "w", height=10, width=20, transform=transform, **profile) as file:
        file.write(np.stack([values] * count))
    inside = "".join(
        f'<PAMRasterBand band="{i}">{text}</PAMRasterBand>' for i, text in enumerate(bands, 1)
    )
    (path.parent / f"{path.name}.aux.xml").write_text(f"<PAMDataset>{inside}</PAMDataset>")
    return path


def names(*listed):
    return NAMES.format("".join(f"<Category>{n}</Category>" for n in listed))


def table(columns, rows):
    """Columns are (name, type, usage) in GDAL's numbers."""
    fields = "".join(COLUMN.format(i, *column) for i, column in enumerate(columns))
    cells = "".join(
        f'<Row index="{i}">{"".join(f"<F>{c}</F>" for c in row)}</Row>'
        for i, row in enumerate(rows)
    )
    kind = 'tableType="thematic"'
    return f"<GDALRasterAttributeTable {kind}>{fields}{cells}</GDALRasterAttributeTable>"


def stacked(source, **settings):
    return xbinn.stack_covariates({"k": source}, like=LIKE, **settings)["k"]


def classes(da):
    meanings = da.attrs["flag_meanings"].split()
    return dict(zip(np.asarray(da.attrs["flag_values"]).tolist(), meanings, strict=True))


@pytest.mark.parametrize("suffix", ["tif", "vrt"])
def test_category_names(tmp_path, suffix):
    listed = ("water", "broad-leaved forest", "", "crop land, irrigated", *(251 * [""]), "nothing")
    path = raster(tmp_path / "k.tif", names(*listed))
    if suffix == "vrt":
        rasterio.shutil.copy(path, tmp_path / "k.vrt", driver="VRT")
        path = tmp_path / "k.vrt"
    found = stacked(path)
    # Words of CF have no blanks; what has no name or is no data is no class.
    assert classes(found) == {0: "water", 1: "broad-leaved_forest", 3: "crop_land_irrigated"}
    assert found.attrs["cell_methods"] == "area: mode"
    np.testing.assert_array_equal(found[:, [0, -1]], [[1, 1], [1, 1], [0, 3], [0, 3], [0, 3]])


ROWS = [(3, 10, "crops"), (0, 20, "water"), (1, 30, "forest")]


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        ([("Value", 0, 5), ("Count", 0, 1), ("Class", 2, 2)], ROWS),
        ([("VALUE", 0, 0), ("Count", 1, 1), ("whatever", 2, 0)], ROWS),
        ([("from", 1, 3), ("Count", 0, 1), ("it", 2, 2), ("to", 1, 4)], [(*r, r[0]) for r in ROWS]),
        ([("Count", 0, 1), ("Class", 2, 2)], [(1, "water"), (2, "forest"), (0, ""), (9, "crops")]),
    ],
    ids=["usages", "names", "ranges of one", "rows"],
)  # fmt: skip
def test_attribute_tables(tmp_path, columns, rows):
    found = stacked(raster(tmp_path / "k.tif", table(columns, rows)))
    assert classes(found) == {0: "water", 1: "forest", 3: "crops"}


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        ([("Value", 0, 5), ("Count", 0, 1)], [(0, 1), (1, 2)]),
        ([("min", 1, 3), ("max", 1, 4), ("label", 2, 2)], [(0, 9, "low"), (10, 99, "high")]),
        ([("Value", 1, 5), ("label", 2, 2)], [(0.5, "half"), (1, "whole")]),
        ([("Value", 0, 5), ("a", 2, 0), ("b", 2, 0)], [(0, "x", "y"), (1, "z", "w")]),
    ],
    ids=["no names", "ranges", "no whole numbers", "two texts"],
)
def test_tables_that_name_no_classes(tmp_path, columns, rows):
    found = stacked(raster(tmp_path / "k.tif", table(columns, rows)))
    assert "flag_meanings" not in found.attrs
    np.testing.assert_array_equal(found.attrs["flag_values"], [0, 1, 3])


def test_each_band_has_its_own_and_names_that_look_alike_stay_apart(tmp_path):
    path = raster(tmp_path / "k.tif", names("a b", "a (b)", "c"), names("x", "y"), count=2)
    ds = xbinn.stack_covariates(path, like=LIKE)
    assert classes(ds["k_1"]) == {0: "a_b_0", 1: "a_b_1", 2: "c"}
    assert classes(ds["k_2"]) == {0: "x", 1: "y"}


def test_measurements_have_no_classes(tmp_path):
    path = raster(tmp_path / "k.tif", names("low", "high"), values=CODES.astype("float32"))
    assert "flag_values" not in stacked(path).attrs


def test_a_palette_alone_has_no_meanings(tmp_path):
    path = raster(tmp_path / "k.tif")
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {0: (0, 0, 255), 1: (0, 255, 0), 3: (255, 0, 0)})
    found = stacked(path)
    assert "flag_meanings" not in found.attrs
    np.testing.assert_array_equal(found.attrs["flag_values"], [0, 1, 3])


@pytest.mark.parametrize("written", ["[0 1 3]", "{0,1,3}", "0, 1, 3"])
@pytest.mark.parametrize("opened", [True, False])
def test_flags_in_tags(tmp_path, written, opened):
    """As rioxarray and as GDAL's netCDF driver write them, by path and opened before."""
    path = raster(tmp_path / "k.tif")
    with rasterio.open(path, "r+") as file:
        file.update_tags(1, flag_values=written, flag_meanings="water forest crops", units="1")
    found = stacked(rioxarray.open_rasterio(path, masked=True) if opened else path)
    assert classes(found) == {0: "water", 1: "forest", 3: "crops"}
    assert found.attrs["units"] == "1"


def test_a_result_written_by_rioxarray_is_read_again(tmp_path):
    grid = xbinn.testing.small_grid()
    zones = grid["land_cover"].fillna(-1).astype("int16").rename(lat="y", lon="x")
    zones.attrs = grid["land_cover"].attrs
    zones.rio.write_crs("EPSG:4326").rio.write_nodata(-1).rio.to_raster(tmp_path / "zones.tif")
    found = xbinn.stack_covariates(tmp_path / "zones.tif", like=grid)["zones"]
    assert classes(found) == classes(grid["land_cover"])
    np.testing.assert_array_equal(found, grid["land_cover"].transpose(*found.dims))
    assert found.attrs["units"] == "1"
