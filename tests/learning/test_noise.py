"""Observation noise: what it is learnt to be, and quantiles against brute force."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from xbinn.constants import SOC_FLOOR
from xbinn.learning.noise import LEVELS, ObservationNoise, assumed_noise, learn_noise

NOISE = ObservationNoise(surface=0.3, slope=0.5, deepest=1.5)
QUANTILES = (0.001, 0.05, 0.25, 0.5, 0.9, 0.999)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def made(n: int, draws: int, spread: float) -> tuple[Tensor, Tensor, Tensor]:
    """Observations, draws of what is modelled and depths, with `NOISE` about one of the draws."""
    random = rng()
    depth = random.uniform(0.0, 2.0, n)
    centre = random.normal(1.0, 1.0, n)
    modelled = np.exp(centre + random.normal(0.0, spread, (draws, n)))
    truth = centre + random.normal(0.0, spread, n)
    scale = NOISE.surface * np.exp(NOISE.slope * np.minimum(depth, NOISE.deepest))
    observed = np.exp(truth + scale * random.logistic(size=n))
    return torch.from_numpy(observed), torch.from_numpy(modelled), torch.from_numpy(depth)


@pytest.mark.parametrize("spread", [0.0, 0.4])
def test_the_noise_is_recovered_whatever_the_spread_of_the_draws(spread: float) -> None:
    observed, modelled, depth = made(20_000, 32, spread)
    found = learn_noise(observed, modelled, depth)
    # 99 % of the depths are above 1.98 m, where the scale was not log-linear any more.
    shallow = depth < 1.4
    again = learn_noise(observed[shallow], modelled[:, shallow], depth[shallow])
    assert again.surface == pytest.approx(NOISE.surface, rel=0.03)
    assert again.slope == pytest.approx(NOISE.slope, abs=0.04)
    assert found.deepest == pytest.approx(1.98, abs=0.01)
    pit = found.cdf(observed, modelled, depth).numpy()
    for level in (0.5, 0.9):
        assert np.mean(np.abs(2.0 * pit - 1.0) <= level) == pytest.approx(level, abs=0.015)


def test_weights_count_as_repetitions() -> None:
    observed, modelled, depth = made(400, 4, 0.2)
    times = torch.from_numpy(rng(1).integers(1, 4, 400))
    repeated = [a.repeat_interleave(times, -1) for a in (observed, modelled, depth)]
    one, many = learn_noise(observed, modelled, depth, times), learn_noise(*repeated)
    # The prior of the slope weighs against the number of samples.
    assert one.surface == pytest.approx(many.surface, rel=0.01)
    assert one.slope == pytest.approx(many.slope, abs=0.02)


def test_no_noise_and_one_depth_are_no_trouble() -> None:
    soc = torch.tensor([1.0, 2.0, 3.0])
    found = learn_noise(soc, soc[None], torch.full((3,), 0.1))
    scale = float(found.scale(torch.tensor([0.1]))[0])
    assert scale == pytest.approx(0.01)
    assert found.slope == pytest.approx(0.0, abs=1e-6)
    assert math.isfinite(found.surface)


def test_learning_leaves_the_random_state() -> None:
    state = torch.get_rng_state()
    learn_noise(*made(50, 2, 0.1))
    torch.testing.assert_close(torch.get_rng_state(), state)


@pytest.mark.parametrize("spread", [0.0, 0.3, 4.0])
def test_quantiles_invert_the_distribution(spread: float) -> None:
    _, modelled, depth = made(500, 16, spread)
    modelled = modelled * 1e3  # keeps what is found above the floor
    found = NOISE.quantiles(QUANTILES, modelled, depth)
    above = found > SOC_FLOOR
    assert above.double().mean() > 0.9
    for level, values, known in zip(QUANTILES, found, above, strict=True):
        back = NOISE.cdf(values, modelled, depth)[known]
        np.testing.assert_allclose(back, level, rtol=1e-5)


def test_quantiles_are_those_of_brute_force() -> None:
    _, modelled, depth = made(3, 8, 0.5)
    noise = NOISE.scale(depth).numpy() * rng().logistic(size=(200_000, 8, 3))
    drawn = (modelled.numpy() * np.exp(noise)).reshape(-1, 3)
    found = NOISE.quantiles((0.05, 0.5, 0.95), modelled, depth)
    np.testing.assert_allclose(found, np.quantile(drawn, (0.05, 0.5, 0.95), axis=0), rtol=0.01)


def test_one_draw_has_the_quantiles_of_the_logistic_distribution() -> None:
    found = NOISE.quantiles((0.9,), torch.tensor([[2.0]]), torch.tensor([0.0]))
    assert float(found) == pytest.approx(2.0 * 9.0**0.3)


def test_a_value_does_not_depend_on_its_neighbours() -> None:
    _, modelled, depth = made(1200, 8, 1.0)
    whole = NOISE.quantiles(QUANTILES, modelled, depth)
    part = NOISE.quantiles(QUANTILES, modelled[:, 700:], depth[700:])
    np.testing.assert_allclose(part, whole[:, 700:], rtol=1e-12)


def test_the_ends_and_what_is_missing() -> None:
    modelled = torch.tensor([[1.0, torch.nan], [2.0, 1.0]])
    found = NOISE.quantiles((0.0, 0.5, 1.0), modelled, torch.tensor([0.1, 0.1]))
    assert found[0, 0] == 0.0
    assert torch.isinf(found[2, 0])
    assert found[:, 1].isnan().all()


def test_the_scale_stays_below_the_deepest_sample() -> None:
    scale = NOISE.scale(torch.tensor([0.0, 1.5, 8.0]))
    np.testing.assert_allclose(scale, 0.3 * np.exp([0.0, 0.75, 0.75]))


def test_recalibrated_levels_hold_for_quantiles_and_distribution() -> None:
    levels = np.linspace(0.0, 1.0, LEVELS)
    wide = ObservationNoise(0.3, 0.5, 1.5, widened=tuple(levels**0.5))
    _, modelled, depth = made(50, 8, 0.2)
    at = (0.05, 0.5, 0.95)
    found = wide.quantiles(at, modelled, depth)
    # 90 % between the 5 and 95 % quantiles become the square root of that.
    tail = 0.5 - 0.5 * 0.9**0.5
    np.testing.assert_allclose(found, NOISE.quantiles((tail, 0.5, 1.0 - tail), modelled, depth))
    for level, values in zip(at, found, strict=True):
        np.testing.assert_allclose(wide.cdf(values, modelled, depth), level, atol=1e-6)
    assert "recalibrated" in wide.describe()
    assert "as learnt" in NOISE.describe()


def test_assumed_noise_is_the_same_at_all_depths_and_says_so():
    noise = assumed_noise(0.5)
    scale = noise.scale(torch.tensor([0.0, 3.0], dtype=torch.float64))
    torch.testing.assert_close(scale, torch.full_like(scale, 0.5 * 3**0.5 / torch.pi))
    assert noise.describe() == "standard deviation 0.50 of ln kg m-3 at all depths, as assumed"
