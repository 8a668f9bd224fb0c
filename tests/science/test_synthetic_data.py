"""Synthetic profiles on a grid: the truth in each cell, and what it shows."""

import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.errors import InputError
from xbinn.parameters import PARAMETER_NAMES, prior_bounds
from xbinn.science.synthetic_data import synthetic_profiles
from xbinn.testing import small_grid, small_profiles


@pytest.fixture(scope="module")
def data() -> tuple[xr.Dataset, xr.Dataset]:
    grid = small_grid((8, 9))
    return grid, small_profiles(grid, 30)


@pytest.mark.parametrize("points", [False, True], ids=["grid", "points"])
def test_samples_are_means_of_the_simulated_truth(points):
    grid = small_grid((8, 9), points=points)
    profiles = small_profiles(grid, 30)
    made, truth = synthetic_profiles(grid, profiles, noise=0.0, seed=1)
    assert truth["q10"].dims == grid["elevation"].dims
    for name, (low, high) in zip(PARAMETER_NAMES, prior_bounds("proda"), strict=True):
        inside = (truth[name] > low) & (truth[name] < high)
        assert (inside | truth[name].isnull()).all()
        assert truth[name].attrs["units"]
    assert truth["q10"].notnull().any()
    # Prior to posterior to itself: a sample of one whole layer shows that layer.
    sim = xbinn.simulate(grid, truth)
    whole = made.isel(sample=[0]).copy(deep=True)
    whole["depth_top"] = xr.full_like(whole["depth_top"], 0.02)
    whole["depth_bottom"] = xr.full_like(whole["depth_bottom"], 0.06)
    again, _ = synthetic_profiles(grid, whole, noise=0.0, seed=1)
    found = again["soc"].isel(sample=0).values
    rows = np.flatnonzero(np.isfinite(found))
    assert rows.size > 10
    layer = sim["soc"].isel(depth=1)
    for row in rows:
        lat, lon = (float(again[n][row]) for n in ("lat", "lon"))
        near = (layer["lat"] - lat) ** 2 + (layer["lon"] - lon) ** 2
        place = near.where(layer.notnull()).argmin(...)
        assert found[row] == pytest.approx(float(layer.isel(place)), rel=1e-6)


def test_truth_spreads_as_asked(data):
    narrow, wide = (synthetic_profiles(*data, spread=s, seed=1)[1]["q10"] for s in (0.05, 0.2))
    np.testing.assert_allclose((wide.std() / narrow.std()).item(), 4.0, rtol=0.05)
    for spread in (0.0, "wide"):
        with pytest.raises(InputError, match=f"spread={spread!r} must be a number above 0"):
            synthetic_profiles(*data, spread=spread)


def test_noise_and_seed_change_what_is_shown_and_not_where(data):
    plain, truth = synthetic_profiles(*data, noise=0.0, seed=1)
    noisy, same = synthetic_profiles(*data, noise=0.3, seed=1)
    other, another = synthetic_profiles(*data, noise=0.3, seed=2)
    xr.testing.assert_identical(truth, same)
    assert not np.array_equal(truth["q10"], another["q10"], equal_nan=True)
    for made in (noisy, other):
        xr.testing.assert_equal(made["depth_top"], plain["depth_top"])
        assert (made["soc"].isnull() == plain["soc"].isnull()).all()
    spread = np.log(noisy["soc"] / plain["soc"]).std()
    # The sd of ln for a relative error of 0.3 is 0.294; some 90 samples.
    assert float(spread) == pytest.approx(0.294, rel=0.3)


def test_they_can_be_fitted_to(data):
    made, _ = synthetic_profiles(*data, seed=1)
    model = xbinn.fit(data[0], made, prior="proda", epochs=1, seed=0, block_size=6.0)
    assert model.training_data["profiles"] > 10
