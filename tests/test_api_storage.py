"""What `predict` and `simulate` return can be written as it is, and comes back the same."""

import json

import numpy as np
import pytest
import rasterio
import xarray as xr
import zarr

import xbinn
from xbinn.testing import small_grid, small_profiles

GRIDS = {
    "lat_lon": {},
    "geographic_crs": {"crs": "EPSG:4326"},
    "projected": {"crs": "EPSG:3035"},
    "points": {"points": True},
}


@pytest.fixture(scope="module", params=GRIDS)
def grid(request) -> xr.Dataset:
    return small_grid(**GRIDS[request.param])


@pytest.fixture(scope="module")
def model() -> xbinn.Model:
    grid = small_grid()
    return xbinn.fit(grid, small_profiles(grid), epochs=1, seed=0)


def written(out: xr.Dataset, path, store: str, encoding=None) -> xr.Dataset:
    if store == "zarr":
        out.to_zarr(path, encoding=encoding)
        assert zarr.open_group(path, mode="r").metadata.zarr_format == 3
        return xr.open_zarr(path, decode_coords="all", chunks=None).load()
    out.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    with xr.open_dataset(path, engine="h5netcdf", decode_coords="all") as again:
        return again.load()


@pytest.mark.parametrize("store", ["zarr", "nc"])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("encoded", [False, True])
def test_written_and_reopened(grid, model, tmp_path, store, chunked, encoded):
    source = grid.chunk({d: 2 for d in grid["elevation"].dims}) if chunked else grid
    out = xbinn.predict(source, model)
    encoding = {"cSoil": {"dtype": "float64"}, "soc": {"dtype": "float32"}} if encoded else None
    again = written(out, tmp_path / f"out.{store}", store, encoding)
    expected = out.compute()
    xr.testing.assert_allclose(again, expected, rtol=1e-7)
    assert set(again.coords) == set(expected.coords)
    for name, da in expected.data_vars.items():
        for key in ("units", "long_name", "standard_name", "ancillary_variables"):
            assert again[name].attrs.get(key) == da.attrs.get(key), (name, key)
    assert again["status"].dtype == np.int8
    assert list(again["status"].attrs["flag_values"]) == [0, 1, 2, 3, 4]
    assert again["status"].attrs["flag_meanings"] == out["status"].attrs["flag_meanings"]
    assert "depth_bnds" in again.coords
    assert again.attrs["source"] == out.attrs["source"]
    if "spatial_ref" in grid.coords:
        assert again.rio.crs == grid.rio.crs
        assert again["cSoil"].encoding["grid_mapping"] == "spatial_ref"
        assert again["cSoil"].rio.crs == grid.rio.crs


@pytest.mark.parametrize("store", ["zarr", "nc"])
def test_with_pools(tmp_path, store):
    grid = small_grid()
    out = xbinn.simulate(grid, xbinn.default_parameters(grid), pools=True)
    again = written(out, tmp_path / f"out.{store}", store)
    xr.testing.assert_allclose(again, out, rtol=1e-12)
    assert list(again.pool.values) == list(out.pool.values)


def test_chunks_of_the_source_file_do_not_matter(model, tmp_path):
    small_grid(points=True).to_zarr(tmp_path / "grid.zarr")
    source = xr.open_zarr(tmp_path / "grid.zarr").chunk(cell=7)
    before = {n: dict(v.encoding) for n, v in source.variables.items()}
    xbinn.predict(source, model).to_zarr(tmp_path / "out.zarr")
    assert {n: v.encoding for n, v in source.variables.items()} == before


@pytest.mark.parametrize("decode_coords", [True, "all"])
def test_bounds_of_coordinates_come_along(model, tmp_path, decode_coords, recwarn):
    grid = small_grid()
    edges = np.stack([grid.lat - 5, grid.lat + 5], axis=1)
    grid = grid.assign_coords(lat_bnds=(("lat", "nv"), edges))
    grid["lat"].attrs["bounds"] = "lat_bnds"
    grid.to_netcdf(tmp_path / "grid.nc", engine="h5netcdf")
    with xr.open_dataset(
        tmp_path / "grid.nc", engine="h5netcdf", decode_coords=decode_coords
    ) as source:
        out = xbinn.predict(source.load(), model)
    np.testing.assert_array_equal(out["lat_bnds"], edges)
    again = written(out, tmp_path / "out.nc", "nc")
    np.testing.assert_array_equal(again["lat_bnds"], edges)
    bare = grid.drop_vars("lat_bnds")
    assert "bounds" not in xbinn.predict(bare, model)["lat"].attrs
    assert "bounds" in bare["lat"].attrs
    assert not [w for w in recwarn if "bounds" in str(w.message)]


def test_a_crs_in_the_attributes_of_the_grid_becomes_one_of_the_result(model):
    grid = small_grid(crs="EPSG:3035").drop_vars("spatial_ref")
    for v in grid.variables.values():
        v.attrs.pop("grid_mapping", None)
        v.encoding.pop("grid_mapping", None)
    out = xbinn.predict(grid.assign_attrs(crs="EPSG:3035"), model)
    assert out.rio.crs.to_epsg() == 3035
    assert out["cSoil"].attrs["grid_mapping"] == "spatial_ref"


@pytest.mark.parametrize("falling", [True, False])
def test_a_geotiff_of_a_result_lies_where_the_grid_lies(model, tmp_path, falling):
    grid = small_grid(crs="EPSG:3035")
    grid = grid.sortby("y", ascending=not falling)
    out = xbinn.predict(grid, model, outputs="soc")["cSoil"]
    out.rio.to_raster(tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as raster:
        assert raster.crs.to_epsg() == 3035
        assert raster.transform == grid.rio.transform()
        # By place: row and column are those of the file.
        at = [(x, y) for y in grid["y"].values for x in grid["x"].values]
        found = np.reshape([value[0] for value in raster.sample(at)], out.shape)
    np.testing.assert_array_equal(found, out.transpose("y", "x").values)


def test_an_empty_result_can_be_written(model, tmp_path):
    out = xbinn.predict(small_grid().isel(lat=slice(0, 0)), model)
    assert written(out, tmp_path / "out.nc", "nc").sizes["lat"] == 0


@pytest.mark.parametrize("store", ["zarr", "nc"])
def test_a_job_says_where_its_result_comes_from(grid, model, tmp_path, store):
    xbinn.predict(grid, model, outputs="soc", to=tmp_path / f"out.{store}", chunks={})
    # With plain xarray, as somebody without xbinn would.
    opened = {"zarr": {"engine": "zarr", "consolidated": False}, "nc": {"engine": "h5netcdf"}}
    with xr.open_dataset(tmp_path / f"out.{store}", **opened[store]) as found:
        said = found.attrs
        assert found["depth"].attrs["bounds"] == "depth_bnds"
        for name in ("cSoil", "soc", "status"):
            mapping = found[name].attrs.get("grid_mapping")
            assert mapping == ("spatial_ref" if "spatial_ref" in grid.coords else None), name
    if store == "nc" and "y" in grid.dims:
        with rasterio.open(f"netcdf:{tmp_path / 'out.nc'}:cSoil") as raster:
            assert raster.crs == grid.rio.crs
            assert raster.transform == grid.rio.transform()
    assert said["Conventions"] == "CF-1.11, ACDD-1.3"
    assert f"xbinn {xbinn.__version__}" in said["source"]
    assert model.sha256 in said["source"]
    assert "predict" in said["history"]
    fingerprint = json.loads(said["xbinn_job_fingerprint"])
    assert fingerprint["model"] == model.sha256
    assert said["xbinn_job_status"] == "complete"
