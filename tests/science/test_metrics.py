"""Scores of samples, and the interval of a gain."""

import numpy as np
import pytest

from xbinn.science.metrics import (
    BlockBootstrap,
    bias,
    block_bootstrap_gain,
    correlation,
    on_scale,
    r2,
    rmse,
    score_intervals,
    score_samples,
)


def test_perfect_and_mean():
    o = np.array([1.0, 2.0, 4.0])
    assert r2(o, o) == 1.0
    assert rmse(o, o) == bias(o, o) == 0.0
    assert r2(np.full(3, o.mean()), o) == pytest.approx(0.0)
    assert bias(o + 1.0, o) == 1.0
    assert correlation(-o, o) == pytest.approx(-1.0)


def test_nothing_to_score_is_nan():
    none, same = np.array([]), np.ones(3)
    assert all(np.isnan(f(none, none)) for f in (r2, rmse, bias, correlation))
    assert np.isnan(r2(same, same))
    assert np.isnan(correlation(same, np.arange(3.0)))


def test_modelled_zero_is_floored_on_the_log_scale():
    scores = score_samples(np.zeros(2), np.array([0.0, 1.0]), np.zeros(2), np.full(2, 0.1))
    assert np.isfinite(scores["rmse"].sel(depth_range="all")).all()
    assert on_scale(np.array([0.0]), "log")[0] == pytest.approx(np.log(0.05))
    assert int(scores.n.sel(depth_range="30-100 cm")) == 0
    assert np.isnan(scores.r2.sel(depth_range="30-100 cm")).all()


def test_gain():
    rng = np.random.default_rng(0)
    o = rng.normal(size=200)
    good, poor = o + 0.1 * rng.normal(size=200), o + rng.normal(size=200)
    blocks = BlockBootstrap(np.arange(200) // 10)
    gain, low, high = block_bootstrap_gain(good, poor, o, blocks)
    assert gain == pytest.approx(r2(good, o) - r2(poor, o))
    assert 0.0 < low < gain < high
    assert block_bootstrap_gain(good, good, o, blocks) == (0.0, 0.0, 0.0)
    assert block_bootstrap_gain(good, poor, o, blocks) == (gain, low, high)


def test_intervals_are_those_of_resampled_blocks():
    """Of 400 resamples, made sample by sample, nine in ten have their score in the interval."""
    rng = np.random.default_rng(1)
    o = 50.0 + rng.normal(size=120)
    m = o + 0.3 + 0.5 * rng.normal(size=120)
    block = np.repeat(np.arange(12), 10)
    intervals = score_intervals(m, o, BlockBootstrap(block))
    drawn = [np.flatnonzero(block == b) for b in range(12)]
    picks = [np.concatenate([drawn[b] for b in rng.integers(12, size=12)]) for _ in range(400)]
    for name, function in {
        "r2": r2,
        "rmse": rmse,
        "bias": bias,
        "correlation": correlation,
    }.items():
        low, high = intervals[name]
        assert low < function(m, o) < high
        inside = np.mean([low <= function(m[p], o[p]) <= high for p in picks])
        assert inside == pytest.approx(0.9, abs=0.05)  # three times its standard error


def test_one_block_has_no_interval():
    o = np.arange(5.0)
    alone = BlockBootstrap(np.zeros(5))
    assert np.isnan(list(score_intervals(o + 1.0, o, alone).values())).all()
    gain, low, high = block_bootstrap_gain(o, o + 1.0, o, alone)
    assert gain == pytest.approx(0.5)
    assert np.isnan([low, high]).all()
