"""Coverage and CRPS of intervals against theory, and the promise of recalibrated ones."""

import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.errors import InputError
from xbinn.learning.noise import LEVELS
from xbinn.science import calibration as module
from xbinn.science.calibration import INTERVALS, calibration, conformal_levels, recalibrate
from xbinn.science.crossvalidation import split_profiles
from xbinn.testing import small_grid, small_profiles

BLOCK = 0.5


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid()


@pytest.fixture(scope="module")
def profiles(grid: xr.Dataset) -> xr.Dataset:
    return small_profiles(grid)


@pytest.fixture(scope="module")
def model(grid: xr.Dataset, profiles: xr.Dataset) -> xbinn.Model:
    return xbinn.fit(grid, profiles, epochs=2, seed=0)


@pytest.fixture(scope="module")
def found(grid: xr.Dataset, profiles: xr.Dataset, model: xbinn.Model) -> xr.Dataset:
    return calibration(grid, model, profiles, samples=4, block_size=BLOCK)


def test_labels(found: xr.Dataset, profiles: xr.Dataset, model: xbinn.Model) -> None:
    assert found["coverage"].dims == ("interval_of", "level", "depth_range")
    assert found["crps"].dims == ("interval_of", "scale", "depth_range")
    assert found["pit"].shape == profiles["soc"].shape
    assert list(found["level"].values) == list(INTERVALS)
    assert model.sha256 in found.attrs["source"]
    assert found["coverage"].attrs["units"] == "1"
    assert int(found["n"].sel(depth_range="all")) == int(found["pit"].notnull().sum())


def test_coverage_is_the_share_within_and_lies_in_its_interval(found: xr.Dataset) -> None:
    whole = found.sel(depth_range="all")
    pit = found["pit"].values[np.isfinite(found["pit"])]
    assert ((pit >= 0.0) & (pit <= 1.0)).all()
    for level in INTERVALS:
        share = np.mean(np.abs(2.0 * pit - 1.0) <= level)
        here = whole.sel(level=level, interval_of="observation")
        assert float(here["coverage"]) == pytest.approx(share)
        assert float(here["coverage_low"]) <= share <= float(here["coverage_high"])
    # The mean scatters less than observations do about it.
    narrow, wide = (
        whole["coverage"].sel(interval_of=of) for of in ("modelled_mean", "observation")
    )
    assert bool((narrow <= wide).all())
    assert float(narrow.sel(level=0.9)) < float(wide.sel(level=0.9))


def test_what_is_predicted_is_what_is_scored(
    grid: xr.Dataset, profiles: xr.Dataset, model: xbinn.Model
) -> None:
    # A profile of samples that are whole model layers: its PIT values follow from the map.
    bounds = xbinn.predict(grid, model, outputs="soc")["depth_bnds"].values[:5]
    levels = (0.2, 0.7)
    out = xbinn.predict(grid, model, samples=4, quantiles=levels, outputs="soc")
    here = out["soc_observation_quantile"].isel(lat=1, lon=1, depth=slice(5))
    for number, level in enumerate(levels):
        soc = here.isel(quantile=number).values
        one = xr.Dataset(
            {
                "soc": (("profile", "sample"), soc[None], {"units": "kg m-3"}),
                "depth_top": (("profile", "sample"), bounds[None, :, 0], {"units": "m"}),
                "depth_bottom": (("profile", "sample"), bounds[None, :, 1], {"units": "m"}),
            },
            {"lat": ("profile", [float(here.lat)]), "lon": ("profile", [float(here.lon)])},
        )
        pit = calibration(grid, model, one, samples=4)["pit"]
        np.testing.assert_allclose(pit, level, atol=2e-5)


def test_crps_is_that_of_the_logistic_distribution() -> None:
    observed = np.array([0.2, 1.0, 4.0])
    scale, levels = 0.4, module._CRPS_LEVELS
    quantiles = np.exp(scale * np.log(levels / (1.0 - levels)))[:, None] * np.ones(3)
    z = np.log(observed) / scale
    exact = scale * (z + 2.0 * np.log1p(np.exp(-z)) - 1.0)
    np.testing.assert_allclose(module._crps(quantiles, observed, "log"), exact, rtol=0.01)
    # All quantiles alike: the absolute error.
    sure = np.full((len(levels), 3), 2.0)
    np.testing.assert_allclose(module._crps(sure, observed, "linear"), np.abs(observed - 2.0))


def test_conformal_levels_by_hand() -> None:
    # Ten blocks of one sample: 5 of 11 lie at or below the fifth score, 10 of 11 below the last.
    score = np.arange(1, 11) / 20.0
    levels = conformal_levels(score, np.arange(10))
    nominal = np.linspace(0.0, 1.0, LEVELS)
    assert levels[nominal.searchsorted(5 / 11)] == pytest.approx(0.30)
    assert levels[nominal.searchsorted(5 / 11) - 1] == pytest.approx(0.25)
    assert levels[nominal.searchsorted(10 / 11) - 1] == pytest.approx(0.50)
    assert levels[-1] == 1.0
    assert (np.diff(levels) >= 0.0).all()
    # Blocks weigh alike, however many samples they have.
    times = np.arange(1, 11)
    again = conformal_levels(np.repeat(score, times), np.repeat(np.arange(10), times))
    np.testing.assert_allclose(again, levels)


def test_recalibrated_levels_keep_their_promise_in_new_blocks() -> None:
    rng = np.random.default_rng(0)
    level, kept = round(0.9 * (LEVELS - 1)), []
    for _ in range(300):
        # Blocks have scatter of their own; the score of a wrong noise is not uniform.
        scatter = np.exp(rng.normal(0.0, 0.5, 31))[:, None]
        score = np.tanh(np.abs(scatter * rng.normal(size=(31, 20))))
        block = np.repeat(np.arange(30), 20)
        taken = conformal_levels(score[:30].ravel(), block)[level]
        kept.append(np.mean(score[30] <= taken))
    error = np.std(kept) / np.sqrt(len(kept))
    assert 0.9 - 2.0 * error < np.mean(kept) < 0.95


def test_recalibrate_returns_another_model(
    grid: xr.Dataset, profiles: xr.Dataset, model: xbinn.Model, tmp_path
) -> None:
    before = model.sha256
    other = recalibrate(grid, model, profiles, samples=4, block_size=BLOCK)
    assert model.sha256 == before != other.sha256
    assert other.predictor.noise is not None
    assert len(other.predictor.noise.widened) == LEVELS
    other.save(tmp_path / "other.xbinn")
    again = xbinn.load(tmp_path / "other.xbinn")
    assert again.predictor.noise == other.predictor.noise
    one, two, three = (
        xbinn.predict(grid, m, samples=4, outputs="soc") for m in (model, other, again)
    )
    name = "soc_observation_quantile"
    np.testing.assert_array_equal(two[name], three[name])
    np.testing.assert_array_equal(one["soc_quantile"], two["soc_quantile"])
    median = one[name].sel(quantile=0.5)
    np.testing.assert_allclose(two[name].sel(quantile=0.5), median, rtol=1e-5)
    assert not np.allclose(two[name].sel(quantile=0.95), one[name].sel(quantile=0.95))
    # On the very profiles it promises no less than it says; twice is the same as once.
    scores = calibration(grid, other, profiles, samples=4, block_size=BLOCK)
    assert "recalibrated" in scores.attrs["noise"]
    twice = recalibrate(grid, other, profiles, samples=4, block_size=BLOCK)
    assert twice.sha256 == other.sha256


def test_what_cannot_be_calibrated(
    grid: xr.Dataset, profiles: xr.Dataset, model: xbinn.Model
) -> None:
    with pytest.raises(InputError, match=r"lie in 2 blocks, too few .*smaller block_size"):
        recalibrate(grid, model, profiles, samples=4, block_size=90.0)
    with pytest.raises(InputError, match=r"model must be an xbinn.Model, not str"):
        calibration(grid, "model.xbinn", profiles)
    with pytest.raises(InputError, match=r"samples=0 \(must be a whole number, 1 or more\)"):
        calibration(grid, model, profiles, samples=0)


def test_a_network_without_dropout_is_one_sample(grid: xr.Dataset, profiles: xr.Dataset) -> None:
    plain = xbinn.fit(grid, profiles, epochs=1, seed=0, dropout=0.0, validation=None)
    found = calibration(grid, plain, profiles, samples=1, block_size=BLOCK)
    of_mean = found["coverage"].sel(interval_of="modelled_mean", depth_range="all")
    assert bool((of_mean == 0.0).all())
    assert float(found["coverage"].sel(interval_of="observation", level=0.95)[0]) > 0.5


@pytest.mark.slow
def test_intervals_hold_nine_in_ten_on_held_out_blocks_of_the_idealised_data(monkeypatch) -> None:
    monkeypatch.delenv("XBINN_DATA", raising=False)
    grid, profiles = xbinn.datasets.open_grid(), xbinn.datasets.open_profiles()
    held = []
    for seed in range(3):
        training, test = split_profiles(profiles, seed=seed)
        fitted = xbinn.fit(grid, training, seed=seed)
        scores = calibration(grid, fitted, test)["coverage"].sel(level=0.9, depth_range="all")
        held.append(float(scores.sel(interval_of="observation")))
    # A single split knows it to a few percent only.
    assert 0.87 < np.mean(held) < 0.93, held
