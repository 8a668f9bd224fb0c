"""Noise learnt at the end of a fit: it touches nothing, and draws are those of predict."""

import numpy as np
import pytest
import torch
import xarray as xr

import xbinn
from xbinn.learning.noise import ObservationNoise
from xbinn.science import fitting
from xbinn.science.noise import mean_noise
from xbinn.testing import small_grid, small_profiles


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid()


def test_a_fit_is_the_same_with_and_without(grid: xr.Dataset, monkeypatch) -> None:
    profiles = small_profiles(grid)
    state = torch.get_rng_state()
    model = xbinn.fit(grid, profiles, epochs=2, seed=0)
    torch.testing.assert_close(torch.get_rng_state(), state)
    monkeypatch.setattr(fitting, "learnt_noise", lambda *_: None)
    plain = xbinn.fit(grid, profiles, epochs=2, seed=0)
    assert plain.predictor.noise is None
    for name, weight in plain.predictor.weights.items():
        torch.testing.assert_close(model.predictor.weights[name], weight, rtol=0.0, atol=0.0)


def test_equal_seeds_learn_equal_noise(grid: xr.Dataset) -> None:
    one, two = (xbinn.fit(grid, small_profiles(grid), epochs=2, seed=0) for _ in range(2))
    assert one.predictor.noise == two.predictor.noise
    assert one.sha256 == two.sha256


def test_an_ensemble_has_the_mean_of_its_members() -> None:
    one = ObservationNoise(0.2, 0.0, 1.0, widened=(0.0, 1.0))
    two = ObservationNoise(0.8, 1.0, 2.0)
    found = mean_noise([one, two])
    assert found is not None
    np.testing.assert_allclose((found.surface, found.slope, found.deepest), (0.4, 0.5, 1.5))
    assert found.widened == ()
    assert mean_noise([one, None]) is None
