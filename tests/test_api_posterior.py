"""Samples of the posterior through the public functions: coherent, reproducible, labelled."""

from dataclasses import replace
from pathlib import Path

import dask
import numpy as np
import pytest
import torch
import xarray as xr
from dask.distributed import Client, LocalCluster

import xbinn
from xbinn.errors import InputError, JobError
from xbinn.testing import small_grid, small_profiles

SAMPLES = 6


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid()


@pytest.fixture(scope="module")
def model(grid: xr.Dataset) -> xbinn.Model:
    return xbinn.fit(grid, small_profiles(grid), epochs=2, seed=0)


@pytest.fixture(scope="module")
def samples(grid: xr.Dataset, model: xbinn.Model) -> xr.Dataset:
    return xbinn.predict(grid, model, samples=SAMPLES, reduce=False)


@pytest.fixture(scope="module")
def summary(grid: xr.Dataset, model: xbinn.Model) -> xr.Dataset:
    return xbinn.predict(grid, model, samples=SAMPLES)


def values(ds: xr.Dataset) -> dict[str, np.ndarray]:
    return {str(name): v.values for name, v in ds.data_vars.items()}


def test_summary_is_that_of_the_samples(samples: xr.Dataset, summary: xr.Dataset) -> None:
    assert samples["cSoil"].dims == ("sample", "lat", "lon")
    assert summary["soc_quantile"].dims == ("quantile", "depth", "lat", "lon")
    valid = summary["status"] == 0
    for name in ("q10", "carbon_transfer_efficiency", "soc", "cSoil"):
        drawn = samples[name].astype("float64").where(valid)
        # Mean and quantiles are rounded to float32 once.
        xr.testing.assert_allclose(summary[name], drawn.mean("sample", skipna=False), rtol=1e-6)
        spread = drawn.std("sample", ddof=1, skipna=False)
        xr.testing.assert_allclose(summary[f"{name}_std"], spread, rtol=1e-5)
        quantiles = drawn.quantile(summary["quantile"].values, "sample", skipna=False)
        xr.testing.assert_allclose(summary[f"{name}_quantile"], quantiles, rtol=1e-6)
    assert float(summary["cSoil_std"].min()) > 0.0


def test_a_sample_is_a_steady_state_of_its_own_parameters(
    grid: xr.Dataset, samples: xr.Dataset
) -> None:
    again = xbinn.simulate(grid, samples.isel(sample=2, drop=True), dtype="float32")
    np.testing.assert_array_equal(again["soc"], samples["soc"].isel(sample=2))


def test_a_sample_is_one_network_in_all_cells(grid: xr.Dataset, model: xbinn.Model) -> None:
    # Cells with the same covariates and forcing have the same values in every sample.
    twins = xr.concat([grid.isel(lon=[2]), grid.isel(lon=[2])], "lon").assign_coords(lon=[0.0, 9.0])
    drawn = xbinn.predict(twins, model, samples=SAMPLES, reduce=False)["cSoil"]
    np.testing.assert_array_equal(drawn.isel(lon=0), drawn.isel(lon=1))
    assert (drawn.isel(lon=0).std("sample") > 0.0).any()


def test_seeds_make_the_samples(grid: xr.Dataset, model: xbinn.Model, summary: xr.Dataset) -> None:
    again = xbinn.predict(grid, model, samples=SAMPLES)
    other = xbinn.predict(grid, model, samples=SAMPLES, seed=1)
    for name, array in values(summary).items():
        np.testing.assert_array_equal(array, again[name].values)
    assert not np.array_equal(summary["cSoil"], other["cSoil"], equal_nan=True)


def test_the_first_samples_do_not_depend_on_how_many_follow(
    grid: xr.Dataset, model: xbinn.Model, samples: xr.Dataset
) -> None:
    few = xbinn.predict(grid, model, samples=2, reduce=False)
    np.testing.assert_array_equal(few["soc"], samples["soc"].isel(sample=slice(2)))


@pytest.mark.parametrize("chunks", [{"lat": 1, "lon": 2}, {"lat": 3}, {"lon": 1}])
def test_chunked_grids_have_the_same_samples_lazily(
    grid: xr.Dataset,
    model: xbinn.Model,
    summary: xr.Dataset,
    raise_if_dask_computes,
    chunks: dict[str, int],
) -> None:
    with raise_if_dask_computes():
        lazy = xbinn.predict(grid.chunk(chunks), model, samples=SAMPLES)
    for name, array in values(lazy.compute(scheduler="threads")).items():
        np.testing.assert_allclose(array, summary[name].values, rtol=1e-5)


def test_workers_have_the_same_samples(
    grid: xr.Dataset, model: xbinn.Model, summary: xr.Dataset
) -> None:
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        there = xbinn.predict(grid.chunk(lat=2), model, samples=SAMPLES).compute()
    for name, array in values(there).items():
        np.testing.assert_allclose(array, summary[name].values, rtol=1e-5)


def test_a_job_writes_the_same_and_keeps_to_its_samples(
    grid: xr.Dataset, model: xbinn.Model, summary: xr.Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "out.zarr"
    chunks = {"lat": 2, "lon": 2}
    with dask.config.set(scheduler="synchronous"):
        stored = xbinn.predict(grid, model, samples=SAMPLES, to=path, chunks=chunks)
        for name, array in values(stored).items():
            np.testing.assert_allclose(array, summary[name].values, rtol=1e-5)
        np.testing.assert_array_equal(stored["quantile"], summary["quantile"])
        assert xbinn.verify(path).sound
        with pytest.raises(JobError, match=r"posterior was '6 posterior samples .*seed 0.*seed 1"):
            xbinn.predict(grid, model, samples=SAMPLES, seed=1, to=path, chunks=chunks)


def test_labels(summary: xr.Dataset, samples: xr.Dataset) -> None:
    assert summary["soc_std"].attrs["units"] == "kg m-3"
    assert "soc_std soc_quantile" in summary["soc"].attrs["ancillary_variables"]
    assert "posterior quantiles" in summary["cSoil_quantile"].attrs["long_name"]
    assert summary["quantile"].attrs["units"] == "1"
    assert "6 posterior samples (Monte Carlo dropout, seed 0)" in summary.attrs["source"]
    assert list(samples["sample"].values) == list(range(SAMPLES))
    assert summary["status"].dims == ("lat", "lon")


def test_observations_scatter_more_than_their_mean(
    model: xbinn.Model, samples: xr.Dataset, summary: xr.Dataset
) -> None:
    found = summary["soc_observation_quantile"]
    assert found.dims == ("quantile", "depth", "lat", "lon")
    assert found.attrs["units"] == "kg m-3"
    assert found.attrs["comment"] == "includes observation noise"
    assert "soc_observation_quantile" in summary["soc"].attrs["ancillary_variables"]
    np.testing.assert_array_equal(found.isnull(), summary["soc_quantile"].isnull())
    of_mean = summary["soc_quantile"]
    wide, narrow = (q.sel(quantile=0.95) / q.sel(quantile=0.05) for q in (found, of_mean))
    # Without carbon input there is nothing to scatter.
    assert bool((wide > narrow).where(of_mean.min("quantile") > 0.0, True).all())
    # By brute force in one cell and layer: samples times noise.
    drawn = samples["soc"].isel(depth=2).sel(lat=summary.lat[1], lon=summary.lon[1]).values
    noise = model.predictor.noise
    assert noise is not None
    middle = float(summary["depth_bnds"].isel(depth=2).mean())
    scale = float(noise.scale(torch.tensor([middle])))
    made = drawn[:, None] * np.exp(
        np.random.default_rng(0).logistic(0.0, scale, (SAMPLES, 200_000))
    )
    here = found.isel(depth=2, lat=1, lon=1)
    np.testing.assert_allclose(here, np.quantile(made, here["quantile"]), rtol=0.01)


def test_a_model_without_noise_says_nothing_of_observations(
    grid: xr.Dataset, model: xbinn.Model
) -> None:
    silent = replace(model, predictor=replace(model.predictor, noise=None))
    with pytest.raises(InputError, match=r"without observation noise.*fit it again"):
        xbinn.predict(grid, silent, samples=SAMPLES)
    assert "cSoil" in xbinn.predict(grid, silent, samples=SAMPLES, reduce=False)
    assert "q10" in xbinn.predict(grid, silent, samples=SAMPLES, outputs=["parameters"])


def test_totals_of_coherent_samples(samples: xr.Dataset) -> None:
    found = xbinn.totals(samples)
    each = [float(xbinn.totals(samples.isel(sample=i))["total"]) for i in range(SAMPLES)]
    assert float(found["total"]) == pytest.approx(np.mean(each))
    assert float(found["total_std"]) == pytest.approx(np.std(each, ddof=1))


def test_settings_that_make_no_sense(grid: xr.Dataset, model: xbinn.Model) -> None:
    with pytest.raises(InputError, match=r"samples=1 .*; seed=-1 .*; quantiles=\(2\.0,\)"):
        xbinn.predict(grid, model, samples=1, seed=-1, quantiles=(2.0,))
    with pytest.raises(InputError, match=r"quantiles=0\.5 \(must be numbers from 0 to 1, at least"):
        xbinn.predict(grid, model, samples=4, quantiles=0.5)
    with pytest.raises(InputError, match=r"\{'seed': 3\} say how to sample, and samples=0"):
        xbinn.predict(grid, model, seed=3)
    with pytest.raises(InputError, match=r"samples=4, but without dropout the model has 1"):
        xbinn.predict(grid, model, samples=4, dropout=False)


def test_a_network_without_dropout_has_no_samples(grid: xr.Dataset) -> None:
    plain = xbinn.fit(grid, small_profiles(grid), epochs=1, seed=0, dropout=0.0)
    with pytest.raises(InputError, match=r"fit with dropout=\.\.\. above 0 or with members=4"):
        xbinn.predict(grid, plain, samples=4)
