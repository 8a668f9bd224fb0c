"""The embedded continent and profiles, and the ways to files of one's own."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from xbinn import constants, datasets, parameters, variables
from xbinn.errors import InputError
from xbinn.idealised import sampling
from xbinn.idealised.truth import TRUTH, predictors
from xbinn.physics.forcing import Forcing
from xbinn.physics.steady_state import SoilCarbonModel


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever XBINN_DATA is in this shell, the embedded data."""
    monkeypatch.delenv("XBINN_DATA", raising=False)


@pytest.fixture
def grid(embedded: None) -> xr.Dataset:
    return datasets.open_grid()


@pytest.fixture
def profiles(embedded: None) -> xr.Dataset:
    return datasets.open_profiles()


def on_land(grid: xr.Dataset, name: str) -> np.ndarray:
    return grid[name].values[..., grid["land_fraction"].values > 0.0]


# --- the continent ----------------------------------------------------------------------------


def test_grid_is_a_continent_in_an_ocean(grid: xr.Dataset) -> None:
    land = grid["land_fraction"].values > 0.0
    assert 0.5 < land.mean() < 0.8
    edge = np.ones_like(land)
    edge[1:-1, 1:-1] = False
    assert not land[edge].any()
    altmax = on_land(grid, "ALTMAX_LASTYEAR")[0]
    assert ((altmax > 0.0) & (altmax <= constants.MAX_ALTMAX_CRYOTURBATION)).sum() > 50
    assert (altmax == 0.0).sum() > 10
    assert (altmax == np.float32(constants.COLUMN_DEPTH)).mean() > 0.5
    nbedrock = on_land(grid, "nbedrock")
    assert nbedrock.min() == 6.0
    assert nbedrock[on_land(grid, "elevation") > 2000.0].max() < 16.0
    assert np.median(nbedrock) == constants.N_LAYERS


def test_grid_follows_the_variable_table(grid: xr.Dataset) -> None:
    assert set(variables.FORCING_NAMES) < set(grid.data_vars)
    for v in variables.FORCING:
        da = grid[v.name]
        assert da.dims == (*v.dims, "lat", "lon")
        assert da.attrs["units"] == v.units
        assert da.attrs["long_name"] == v.long_name
        values = on_land(grid, v.name)
        low, high = v.valid_range
        assert np.isfinite(values).all()
        assert low is None or values.min() >= low
        assert high is None or values.max() <= high
    nodes = constants.NODE_DEPTH[: constants.N_LAYERS]
    np.testing.assert_array_equal(grid["depth"], nodes)
    assert grid["depth"].attrs["positive"] == "down"


def test_every_variable_explains_itself(grid: xr.Dataset, profiles: xr.Dataset) -> None:
    for ds in (grid, profiles):
        assert "idealised" in ds.attrs["title"].lower()
        assert "idealised" in ds.attrs["description"].lower()
        for name, da in ds.data_vars.items():
            assert {"units", "long_name"} <= set(da.attrs), name
            assert da.attrs["provenance"].startswith("idealised"), name
            assert da.dtype == np.int8 if name == "parent_material" else da.dtype == np.float32


def test_ocean_is_missing_everywhere(grid: xr.Dataset) -> None:
    ocean = grid["land_fraction"].values == 0.0
    for name, da in grid.data_vars.items():
        if name == "land_fraction":
            continue
        values = da.values[..., ocean]
        assert (values == 0).all() if name == "parent_material" else np.isnan(values).all(), name


@pytest.mark.parametrize("name", ["land_cover", "parent_material"])
def test_categories_are_declared_and_present(grid: xr.Dataset, name: str) -> None:
    flags = grid[name].attrs["flag_values"]
    assert len(grid[name].attrs["flag_meanings"].split()) == len(flags)
    np.testing.assert_array_equal(np.unique(on_land(grid, name)), flags)


def test_forcing_is_like_that_of_clm(grid: xr.Dataset) -> None:
    # Thaw deepens through the year, up to last year's.
    altmax, last = on_land(grid, "ALTMAX"), on_land(grid, "ALTMAX_LASTYEAR")
    assert (np.diff(altmax, axis=0) >= 0.0).all()
    np.testing.assert_array_equal(altmax[-1], last[-1])
    # The annual wave fades with depth.
    swing = np.ptp(on_land(grid, "TSOI"), axis=0)
    assert (swing[-1] < 0.1 * swing[0]).all()
    # All of the carbon that plants fix reaches the soil.
    total = sum(on_land(grid, n).sum(axis=0) for n in variables.INPUT_NAMES)
    np.testing.assert_allclose(total, on_land(grid, "npp"), rtol=1e-5)  # float32


def test_grid_is_the_same_every_time(grid: xr.Dataset) -> None:
    xr.testing.assert_identical(grid, datasets.open_grid())


@pytest.mark.parametrize("chunks", [{}, {"lat": 20}, "auto"])
def test_chunks_change_nothing_but_laziness(grid: xr.Dataset, chunks: object) -> None:
    chunked = datasets.open_grid(chunks=chunks)  # type: ignore[arg-type]
    assert chunked["TSOI"].chunks is not None
    xr.testing.assert_identical(chunked.compute(), grid)


def test_unknown_chunks_are_refused(embedded: None) -> None:
    with pytest.raises(InputError, match=r"chunks names x, y, but the dimensions of the idealised"):
        datasets.open_grid(chunks={"x": 10, "lat": 10, "y": 2})


# --- true parameters --------------------------------------------------------------------------


def test_true_parameters_are_inside_their_prior(grid: xr.Dataset) -> None:
    truth = datasets.true_parameters()
    assert tuple(truth.data_vars) == parameters.PARAMETER_NAMES == tuple(TRUTH)
    land = grid["land_fraction"].values > 0.0
    for p in parameters.PARAMETERS:
        low, high = p.priors["binn"]
        values = truth[p.name].values
        assert truth[p.name].attrs["units"] == p.units
        np.testing.assert_array_equal(np.isfinite(values), land)
        assert low < values[land].min() < values[land].max() < high


def test_true_parameters_follow_their_formula(grid: xr.Dataset) -> None:
    cell = grid.sel(lat=50.5, lon=0.5)
    x = predictors(cell)
    centre, slopes = TRUTH["q10"]
    u = 1.0 / (1.0 + np.exp(-centre - sum(b * float(x[name]) for name, b in slopes.items())))
    low, high = parameters.PARAMETERS[parameters.PARAMETER_NAMES.index("q10")].priors["binn"]
    assert float(datasets.true_parameters(cell)["q10"]) == pytest.approx(
        low + (high - low) * u, rel=1e-12
    )


def test_true_parameters_of_another_grid_are_refused(grid: xr.Dataset) -> None:
    with pytest.raises(InputError, match=r"lacks its covariates clay, ph: take xbinn\.datasets"):
        datasets.true_parameters(grid.drop_vars(["ph", "clay"]))


# --- the profiles -----------------------------------------------------------------------------


def test_profiles_follow_the_variable_table(profiles: xr.Dataset) -> None:
    assert profiles.sizes == {"profile": 600, "sample": sampling.MAX_SAMPLES}
    for v in variables.PROFILE_VARIABLES:
        assert profiles[v.name].dims == v.dims
        assert profiles[v.name].attrs["units"] == v.units
    top, bottom = profiles["depth_top"].values, profiles["depth_bottom"].values
    present = np.isfinite(top)
    np.testing.assert_array_equal(np.isfinite(profiles["soc"]), present)
    assert present.sum(axis=1).min() >= 3
    assert (bottom[present] > top[present]).all()
    np.testing.assert_array_equal(top[:, 0], 0.0)
    np.testing.assert_array_equal(top[:, 1:][present[:, 1:]], bottom[:, :-1][present[:, 1:]])
    soc = profiles["soc"].values[present]
    assert soc.min() > constants.SOC_FLOOR
    assert soc.max() < 300.0


def test_profiles_cluster_on_land(grid: xr.Dataset, profiles: xr.Dataset) -> None:
    at = grid.sel(lat=profiles["lat"], lon=profiles["lon"], method="nearest")
    assert (at["land_fraction"] > 0.0).all()
    assert (at["ALTMAX_LASTYEAR"] > 0.0).all()
    blocks = set(zip(*(profiles[n].values // 2.0 for n in ("lat", "lon")), strict=True))
    assert 30 < len(blocks) < 0.6 * profiles.sizes["profile"]
    # Nothing lies below bedrock; depths are float32.
    bedrock = np.array(constants.INTERFACE_DEPTH)[at["nbedrock"].values.astype(int) - 1]
    assert (np.nanmax(profiles["depth_bottom"].values, axis=1) <= bedrock + 1e-6).all()


def test_profiles_are_the_true_model_with_noise(grid: xr.Dataset, profiles: xr.Dataset) -> None:
    at = grid.sel(lat=profiles["lat"], lon=profiles["lon"], method="nearest").astype(np.float64)
    truth = datasets.true_parameters(at)
    t = {n: torch.from_numpy(at[n].values) for n in variables.FORCING_NAMES}
    forcing = Forcing(
        t["TSOI"],
        t["W_SCALAR"],
        t["O_SCALAR"],
        t["FPI_vr"],
        torch.maximum(t["ALTMAX"], t["ALTMAX_LASTYEAR"]),
        (t["ALTMAX_LASTYEAR"] > 0.0).all(dim=0),
        t["nbedrock"].long(),
        torch.stack([t[n].sum(dim=0) for n in variables.INPUT_NAMES]),
    )
    vector = torch.from_numpy(np.stack([truth[n].values for n in parameters.PARAMETER_NAMES]))
    soc = SoilCarbonModel().steady_state(vector, forcing).soc.numpy() / 1000.0  # (layer, profile)

    # The overlap-weighted mean, by hand: stock above the bottom minus stock above the top.
    edges = np.concatenate([[0.0], constants.INTERFACE_DEPTH[: constants.N_LAYERS]])
    thickness = np.diff(edges)
    residual = []
    for i in range(profiles.sizes["profile"]):
        stock = np.concatenate([[0.0], np.cumsum(soc[:, i] * thickness)])
        floor = edges[int(at["nbedrock"].values[i])]
        top = profiles["depth_top"].values[i].astype(np.float64)
        bottom = np.minimum(profiles["depth_bottom"].values[i].astype(np.float64), floor)
        mean = (np.interp(bottom, edges, stock) - np.interp(top, edges, stock)) / (bottom - top)
        residual.append(np.log(profiles["soc"].values[i] / mean))
    residuals = np.concatenate(residual)
    residuals = residuals[np.isfinite(residuals)]
    # Four standard errors of the mean and of the standard deviation of so many normals.
    error = 4.0 * sampling.NOISE / np.sqrt(residuals.size)
    assert abs(residuals.mean()) < error
    assert residuals.std() == pytest.approx(sampling.NOISE, abs=error)


def test_profiles_are_the_same_every_time(profiles: xr.Dataset) -> None:
    xr.testing.assert_identical(profiles, datasets.open_profiles())


def test_covariates_explain_what_depth_does_not(grid: xr.Dataset, profiles: xr.Dataset) -> None:
    at = grid.sel(lat=profiles["lat"], lon=profiles["lon"], method="nearest")
    names = ["annual_mean_temperature", "wetness", "clay", "ph", "npp"]
    x = np.stack([at[n].values for n in names], axis=1).astype(np.float64)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    row, column = np.nonzero(np.isfinite(profiles["soc"].values))
    y = np.log(profiles["soc"].values[row, column].astype(np.float64))
    z = np.log(profiles["depth_bottom"].values[row, column].astype(np.float64))
    depth = np.stack([np.ones_like(z), z, z**2], axis=1)

    def explained(design: np.ndarray) -> float:
        fit = design @ np.linalg.lstsq(design, y, rcond=None)[0]
        return 1.0 - float(((y - fit) ** 2).sum() / ((y - y.mean()) ** 2).sum())

    both = np.concatenate([depth, x[row], x[row] * z[:, None]], axis=1)
    assert explained(both) > explained(depth) + 0.3


# --- files ------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, grid: xr.Dataset, profiles: xr.Dataset) -> Path:
    small = grid.isel(lat=slice(0, 4), lon=slice(0, 3)).assign_attrs(title="of a file")
    small = small.assign_coords(spatial_ref=((), 0, {"grid_mapping_name": "latitude_longitude"}))
    for da in small.data_vars.values():
        da.attrs["grid_mapping"] = "spatial_ref"
    small.to_netcdf(tmp_path / "conus_grid.nc")
    profiles.isel(profile=slice(0, 5)).to_netcdf(tmp_path / "conus_profiles.nc")
    return tmp_path


def test_folder_of_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XBINN_DATA", str(folder))
    opened = datasets.open_grid()
    assert opened.attrs["title"] == "of a file"
    assert "spatial_ref" in opened.coords
    assert opened["TSOI"].chunks is None
    assert datasets.open_profiles().sizes["profile"] == 5
    # The truth is known of the embedded continent only.
    assert datasets.true_parameters()["q10"].shape == (40, 60)


def test_empty_environment_asks_for_the_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XBINN_DATA", "")
    assert datasets.open_grid().sizes["lat"] == 40


def test_path_goes_before_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XBINN_DATA", "/nowhere")
    by_folder = datasets.open_grid(folder)
    by_file = datasets.open_grid(str(folder / "conus_grid.nc"))
    xr.testing.assert_identical(by_folder, by_file)
    xr.testing.assert_identical(
        datasets.open_profiles(folder), datasets.open_profiles(folder / "conus_profiles.nc")
    )


def test_file_in_chunks(folder: Path) -> None:
    opened = datasets.open_grid(folder, chunks={"lat": 2})
    assert opened["TSOI"].chunksizes["lat"] == (2, 2)
    assert datasets.open_grid(folder, chunks={})["TSOI"].chunks is not None
    with pytest.raises(InputError, match=r"chunks names x, but the dimensions of .*conus_grid\.nc"):
        datasets.open_grid(folder, chunks={"x": 2})


def test_zarr_store(folder: Path, tmp_path: Path) -> None:
    grid = datasets.open_grid(folder)
    grid.drop_encoding().to_zarr(tmp_path / "grid.zarr", consolidated=False)
    opened = datasets.open_grid(tmp_path / "grid.zarr", chunks={})
    xr.testing.assert_equal(opened.compute(), grid)


def test_profiles_do_not_hold_the_file(folder: Path) -> None:
    opened = datasets.open_profiles(folder)
    (folder / "conus_profiles.nc").unlink()
    assert np.isfinite(opened["soc"]).any()


@pytest.mark.parametrize("function", [datasets.open_grid, datasets.open_profiles])
class TestMissing:
    def test_no_folder(self, function, tmp_path, monkeypatch) -> None:
        monkeypatch.setenv("XBINN_DATA", str(tmp_path / "absent"))
        with pytest.raises(InputError, match=r"XBINN_DATA names .*absent, which is no folder: cor"):
            function()

    def test_no_file_in_the_folder(self, function, tmp_path, monkeypatch) -> None:
        monkeypatch.setenv("XBINN_DATA", str(tmp_path))
        with pytest.raises(InputError, match=r"no conus_\w+\.nc in .*, the folder that XBINN_DATA"):
            function()

    def test_no_such_path(self, function, tmp_path) -> None:
        with pytest.raises(
            InputError, match=rf"no other\.nc in .*xbinn\.{function.__module__[6:]}"
        ):
            function(tmp_path / "other.nc")
        with pytest.raises(InputError, match=r"there is no conus_\w+\.nc in .*: put it there"):
            function(tmp_path)

    def test_unreadable(self, function, tmp_path) -> None:
        file = tmp_path / "table.csv"
        file.write_text("lat,lon\n1,2\n")
        with pytest.raises(InputError, match=r"table\.csv cannot be read as NetCDF or Zarr: fetch"):
            function(file)

    def test_truncated(self, function, folder) -> None:
        for file in folder.iterdir():
            file.write_bytes(file.read_bytes()[:4000])
        with pytest.raises(InputError, match=r"conus_\w+\.nc cannot be read as NetCDF or Zarr"):
            function(folder)


def test_real_data(real_grid: xr.Dataset, real_profiles: xr.Dataset) -> None:
    xr.testing.assert_identical(datasets.open_grid().load(), real_grid)
    xr.testing.assert_identical(datasets.open_profiles(), real_profiles)
