"""Draws summed up: against numpy, variable by variable."""

import numpy as np
import pytest
import torch

from xbinn.constants import INTERFACE_DEPTH, N_LAYERS
from xbinn.learning.noise import ObservationNoise
from xbinn.running.draws import quantiles_of, sum_up
from xbinn.running.layout import Layout, Posterior

CELLS = 5
SAMPLES = 7
QUANTILES = (0.0, 0.1, 0.5, 1.0)
NOISE = ObservationNoise(surface=0.3, slope=0.4, deepest=1.0)


def drawn(layout: Layout, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    draws = rng.normal(size=(SAMPLES, layout.one_draw.n_channels, CELLS)).astype(np.float32)
    draws[:, -1] = 0.0
    return draws


def unpacked(packed: np.ndarray, layout: Layout) -> dict[str, np.ndarray]:
    return {o.name: packed[o.channels].reshape((*o.shape, CELLS)) for o in layout.outputs}


@pytest.fixture
def reduced() -> Layout:
    return Layout.of(("processes", "soc"), Posterior(SAMPLES, QUANTILES))


def test_mean_spread_and_quantiles_are_those_of_numpy(reduced: Layout) -> None:
    draws = drawn(reduced)
    found = unpacked(sum_up(draws, reduced, NOISE), reduced)
    for output in reduced.one_draw.outputs[:-1]:
        values = draws[:, output.channels].reshape((SAMPLES, *output.shape, CELLS))
        exact = values.astype(np.float64)
        # One rounding to float32.
        close = {"rtol": 1e-6, "atol": 1e-7}
        np.testing.assert_allclose(found[output.name], exact.mean(0), **close)
        np.testing.assert_allclose(found[f"{output.name}_std"], exact.std(0, ddof=1), **close)
        expected = np.quantile(exact, QUANTILES, axis=0)
        np.testing.assert_allclose(found[f"{output.name}_quantile"], expected, **close)


def test_samples_themselves() -> None:
    layout = Layout.of("soc", Posterior(SAMPLES, reduce=False))
    draws = drawn(layout)
    found = unpacked(sum_up(draws, layout), layout)
    for output in layout.one_draw.outputs[:-1]:
        values = draws[:, output.channels].reshape((SAMPLES, *output.shape, CELLS))
        np.testing.assert_array_equal(found[output.name], values)


def test_members_without_samples_are_averaged() -> None:
    layout = Layout.of("soc")
    draws = drawn(layout)
    packed = sum_up(draws, layout)
    np.testing.assert_allclose(packed[:-1], draws[:, :-1].mean(0, dtype=np.float64), rtol=1e-6)


def test_one_bad_sample_makes_the_cell_missing_with_its_status(reduced: Layout) -> None:
    draws = drawn(reduced)
    draws[3, :-1, 1] = np.nan
    draws[3, -1, 1] = 4.0
    found = sum_up(draws, reduced, NOISE)
    assert np.isnan(found[:-1, 1]).all()
    assert list(found[-1]) == [0.0, 4.0, 0.0, 0.0, 0.0]
    last = [o.channels for o in reduced.outputs if o.name == "soc_observation_quantile"]
    # The quantile at 1 is infinite.
    assert not np.isnan(np.delete(found, 1, axis=1)).any()
    assert np.isinf(found[last[0]][-N_LAYERS:, 0]).all()


def test_observations_are_those_of_each_layer_at_its_middle(reduced: Layout) -> None:
    draws = np.exp(drawn(reduced))
    draws[:, -1] = 0.0
    soc = {o.name: o.channels for o in reduced.one_draw.outputs}["soc"]
    draws[:, soc.stop - 1] = np.nan
    found = unpacked(sum_up(draws, reduced, NOISE), reduced)["soc_observation_quantile"]
    assert np.isnan(found[:, -1]).all()
    for layer in (0, 7):
        drawn_here = torch.from_numpy(draws[:, soc][:, layer])
        middle = 0.5 * ((0.0, *INTERFACE_DEPTH)[layer] + INTERFACE_DEPTH[layer])
        expected = NOISE.quantiles(QUANTILES, drawn_here, torch.full((CELLS,), middle))
        np.testing.assert_allclose(found[:, layer], expected, rtol=1e-6)


def test_no_observations_where_soc_is_not_asked_for() -> None:
    names = {o.name for o in Layout.of("processes", Posterior(SAMPLES)).outputs}
    assert "soc_observation_quantile" not in names


def test_what_is_missing_in_any_sample_has_no_quantile() -> None:
    values = np.arange(6.0).reshape(3, 2)
    values[2, 1] = np.nan
    assert np.isnan(quantiles_of(values, (0.0, 0.5))[:, 1]).all()
    np.testing.assert_array_equal(quantiles_of(values, (0.5,))[0, 0], 2.0)


def test_one_sample_is_all_of_its_quantiles() -> None:
    np.testing.assert_array_equal(quantiles_of(np.array([[2.0]]), (0.05, 0.95)), [[2.0], [2.0]])
