"""Errors of estimates, learnt from many truths: the line, the quantiles, what they promise."""

import numpy as np
import pytest

from xbinn.science.error_model import LEVELS, Errors, learn_errors

TRUTHS, SITES = 40, 60
SLOPE, INTERCEPT, NOISE = 0.6, 0.2, 0.1
INTERVALS = (0.5, 0.9)


@pytest.fixture(scope="module")
def pairs() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Row 0: truth = intercept + slope x estimate + error; row 1: estimates know nothing."""
    rng = np.random.default_rng(0)
    estimates, truths = [], []
    for truth in range(TRUTHS):
        # Truths have numbers of sites of their own.
        n = SITES + 10 * (truth % 3)
        estimate = rng.uniform(0.0, 1.0, (2, n))
        error = rng.standard_normal(n)
        estimates.append(estimate)
        truths.append(
            np.stack([INTERCEPT + SLOPE * estimate[0] + NOISE * error, rng.uniform(0.0, 1.0, n)])
        )
    return estimates, truths


def learn(estimates, truths, intervals=INTERVALS):
    """With the variance of uniform truths."""
    return learn_errors(estimates, truths, np.full(len(truths[0]), 1.0 / 12.0), intervals)


def test_the_line_and_the_quantiles_of_the_error_come_back(pairs):
    errors, _ = learn(*pairs)
    assert errors.slope[0] == pytest.approx(SLOPE, abs=0.02)
    assert errors.intercept[0] == pytest.approx(INTERCEPT, abs=0.01)
    assert errors.mean_square[0] == pytest.approx(NOISE**2, rel=0.05)
    low, high = errors.bounds(0.9)[:, 0]
    assert (low, high) == pytest.approx((-1.645 * NOISE, 1.645 * NOISE), rel=0.06)
    # 0.123 lies between two of the levels that are kept.
    between = errors.bounds(1.0 - 2.0 * 0.1225)[0, 0]
    around = errors.quantile[[23, 24], 0]
    np.testing.assert_allclose(LEVELS[[23, 24]], [0.12, 0.125])
    assert between == pytest.approx(around.mean())


def test_estimates_that_know_nothing_go_back_to_the_mean(pairs):
    errors, _ = learn(*pairs)
    middle = errors.corrected(np.array([[0.0, 1.0], [0.0, 1.0]]))
    np.testing.assert_allclose(middle[1], 0.5, atol=0.03)
    np.testing.assert_allclose(errors.bounds(0.9)[:, 1], [-0.45, 0.45], atol=0.02)


def test_an_estimate_against_the_truth_is_one_of_chance():
    rng = np.random.default_rng(2)
    estimates = [rng.uniform(0.0, 1.0, (1, 50)) for _ in range(9)]
    truths = [0.5 - 0.4 * (e - 0.5) for e in estimates]
    errors, _ = learn(estimates, truths)
    assert errors.slope[0] == 0.0
    assert errors.intercept[0] == pytest.approx(np.mean(truths), abs=0.01)


def test_contraction_says_what_an_estimate_is_worth(pairs):
    errors, _ = learn(*pairs)
    assert errors.contraction[0] == pytest.approx(1.0 - 12.0 * NOISE**2, rel=0.01)
    assert errors.contraction[1] == pytest.approx(0.0, abs=0.05)


def test_truths_that_were_left_out_lie_in_the_intervals_as_often_as_promised(pairs):
    _, coverage = learn(*pairs)
    assert coverage.shape == (TRUTHS, 2, len(INTERVALS))
    np.testing.assert_allclose(coverage.mean(axis=0), [INTERVALS] * 2, atol=0.02)


def test_a_truth_is_scored_by_the_others_alone():
    rng = np.random.default_rng(1)
    estimates = [rng.uniform(0.0, 1.0, (1, 30)) for _ in range(9)]
    truths = [e + 0.01 * rng.standard_normal(e.shape) for e in estimates]
    truths[4] = truths[4] + 1.0
    errors, coverage = learn(estimates, truths, (0.9,))
    assert coverage[4, 0, 0] == 0.0
    assert np.delete(coverage, 4, axis=0).min() > 0.8
    # Once it counts, its errors are among those of the interval.
    assert errors.bounds(0.98)[1, 0] > 0.9


def test_truths_count_alike_however_many_sites_they_have():
    few, many = np.zeros((1, 10)), np.zeros((1, 1000))
    truths = [few + 1.0, few + 1.0, many - 1.0, many - 1.0]
    errors, _ = learn([few, few, many, many], truths, (0.9,))
    assert errors.slope[0] == 0.0
    assert errors.intercept[0] == pytest.approx(0.0)


def test_rows_that_are_undefined_somewhere_or_everywhere(pairs):
    estimates, truths = ([a.copy() for a in side] for side in pairs)
    for e, t in zip(estimates, truths, strict=True):
        e[1], t[0, :5] = np.nan, np.nan
    truths[3][0] = np.nan
    errors, coverage = learn(estimates, truths)
    assert errors.slope[0] == pytest.approx(SLOPE, abs=0.02)
    assert np.isnan([errors.intercept[1], errors.mean_square[1]]).all()
    assert np.isnan(coverage[3, 0]).all()
    assert np.isfinite(np.delete(coverage, 3, axis=0)[:, 0]).all()
    assert np.isnan(coverage[:, 1]).all()


def test_bounds_follow_the_quantiles_of_each_row():
    curves = np.stack([LEVELS, 2.0 * LEVELS], axis=1)
    errors = Errors(np.zeros(2), np.ones(2), curves, np.ones(2), np.zeros(2))
    np.testing.assert_allclose(errors.bounds(0.8), [[0.1, 0.2], [0.9, 1.8]])
