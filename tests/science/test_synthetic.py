"""Synthetic truth is what its documentation says; observations are the model's, with noise."""

import numpy as np
import pytest
import torch
import xarray as xr

import xbinn
from xbinn.errors import InputError
from xbinn.labels.covariates import CovariateSpec, select_covariates
from xbinn.labels.sites import Sites, gather_sites
from xbinn.parameters import PARAMETER_NAMES
from xbinn.science.fitting import usable_sites
from xbinn.science.synthetic import (
    KINDS,
    LIMITS,
    check_unknown,
    log_sd,
    observed_sites,
    true_functions,
    truth_variance,
)
from xbinn.testing import small_grid, small_profiles

KEPT = {"bedrock": "closed", "observation": "layer_mean"}


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid((6, 7))


@pytest.fixture(scope="module")
def spec(grid: xr.Dataset) -> CovariateSpec:
    return select_covariates(grid)


@pytest.fixture(scope="module")
def sites(grid: xr.Dataset, spec: CovariateSpec) -> Sites:
    found = gather_sites(grid, small_profiles(grid, 80), spec, bedrock="closed")
    return usable_sites(found, "binn", "closed", "layer_mean")


def standardised(sites: Sites, spec: CovariateSpec, names: str) -> np.ndarray:
    columns = [[n for n, _ in spec.numeric].index(name) for name in names.split()]
    x = sites.numeric[:, columns].astype(np.float64)
    return ((x - x.mean(0)) / x.std(0)).clip(-2.0, 2.0) / 2.0


@pytest.mark.parametrize("kind", KINDS)
def test_truth_spreads_as_asked_and_depends_on_the_named_covariates_alone(sites, spec, kind):
    # So little that nothing is cut.
    truth = true_functions(sites, spec, kind=kind, prior="binn", seed=1, spread=0.05)
    assert truth.unit.shape == (len(PARAMETER_NAMES), sites.n_sites)
    np.testing.assert_allclose(truth.unit.mean(1), 0.5, atol=1e-12)
    np.testing.assert_allclose(truth.unit.std(1), 0.05, atol=1e-12)
    again = true_functions(sites, spec, kind=kind, prior="binn", seed=1, spread=0.05)
    np.testing.assert_array_equal(truth.unit, again.unit)
    other = true_functions(sites, spec, kind=kind, prior="binn", seed=2, spread=0.05)
    assert not np.array_equal(truth.unit, other.unit)
    row = 3
    x = standardised(sites, spec, truth.covariates[row])
    residual = unexplained(x, truth.unit[row], kind)
    assert residual < 1e-9


def unexplained(x: np.ndarray, u: np.ndarray, kind: str) -> float:
    """Variance that a regression on the documented terms leaves, over the whole."""
    n = x.shape[1]
    if kind == "linear":
        terms = x
    elif kind == "interaction":
        terms = np.stack([x[:, i] * x[:, j] for i in range(n) for j in range(i)], 1)
    elif kind == "threshold":
        # Steps between any two neighbours: a function of ranks, at most 2**n levels.
        return 0.0 if len(np.unique(u.round(9))) <= 2**n else 1.0
    else:
        # sin(a x + b) is smooth: a polynomial of one covariate each comes close.
        terms = np.concatenate([x**p for p in range(1, 9)], 1)
        design = np.column_stack([np.ones(len(u)), terms])
        left = u - design @ np.linalg.lstsq(design, u, rcond=None)[0]
        # 1e-12 of a series cut at the 9th power: pi**9 / 9! / 2**8, squared
        return 0.0 if left.var() < 1e-4 * u.var() else 1.0
    design = np.column_stack([np.ones(len(u)), terms])
    left = u - design @ np.linalg.lstsq(design, u, rcond=None)[0]
    return float(left.var() / u.var())


def test_truth_is_cut_off_the_ends_of_the_prior(sites, spec):
    unit = np.concatenate(
        [true_functions(sites, spec, kind=k, prior="binn", seed=3, spread=0.4).unit for k in KINDS]
    )
    assert (unit.min(), unit.max()) == LIMITS
    assert np.sqrt(truth_variance(0.4)) < 0.4
    drawn = (0.5 + 0.4 * np.random.default_rng(0).standard_normal(200_000)).clip(*LIMITS)
    assert truth_variance(0.4) == pytest.approx(drawn.var(), rel=0.01)


def test_physical_values_are_those_of_the_prior(sites, spec):
    for prior in ("binn", "proda"):
        truth = true_functions(sites, spec, kind="smooth", prior=prior, seed=0)
        unit = xr.Dataset({n: ("site", truth.unit[i]) for i, n in enumerate(PARAMETER_NAMES)})
        expected = xbinn.from_unit_interval(unit, prior=prior)
        for i, name in enumerate(PARAMETER_NAMES):
            np.testing.assert_allclose(truth.parameters[i], expected[name], rtol=1e-12)


def test_observations_without_noise_are_what_simulate_gives(grid, sites, spec):
    truth = true_functions(sites, spec, kind="linear", prior="binn", seed=0)
    seen = observed_sites(sites, truth.parameters, noise=0.0, seed=0, **KEPT)
    row, column = np.unravel_index(sites.cell, (grid.sizes["lat"], grid.sizes["lon"]))
    place = {"lat": xr.DataArray(row, dims="site"), "lon": xr.DataArray(column, dims="site")}
    parameters = xr.Dataset(
        {n: ("site", truth.parameters[i]) for i, n in enumerate(PARAMETER_NAMES)}
    )
    out = xbinn.simulate(grid.isel(place).drop_vars(["lat", "lon"]), parameters)
    for sample in range(0, len(sites.soc), 17):
        column = out.isel(site=int(sites.site[sample]))
        floor = float(column["depth_bnds"].where(column["soc"].notnull()).max())
        top, bottom = float(sites.top[sample]), min(float(sites.bottom[sample]), floor)
        mean = float(xbinn.stock(column, top, bottom)) / (bottom - top)
        # Layers are float64 on both ways; stock sums them in another order.
        assert seen.soc[sample] == pytest.approx(mean, rel=1e-9)


def test_noise_has_the_relative_spread_that_was_asked_for(sites, spec):
    truth = true_functions(sites, spec, kind="linear", prior="binn", seed=0)
    exact = observed_sites(sites, truth.parameters, noise=0.0, seed=0, **KEPT).soc
    factor = observed_sites(sites, truth.parameters, noise=0.6, seed=0, **KEPT).soc / exact
    # Of some hundred draws: three standard errors of a standard deviation.
    assert np.log(factor).std() == pytest.approx(log_sd(0.6), rel=3.0 / np.sqrt(2 * factor.size))
    less = observed_sites(sites, truth.parameters, noise=0.3, seed=0, **KEPT).soc / exact
    np.testing.assert_allclose(np.log(less) / log_sd(0.3), np.log(factor) / log_sd(0.6), atol=1e-9)


def test_what_cannot_be_used_is_refused(sites, spec):
    with pytest.raises(InputError, match="kind='cubic' is not known: choose one of linear"):
        true_functions(sites, spec, kind="cubic", prior="binn", seed=0)
    with pytest.raises(InputError, match=r"noise=0\.7 must be a relative error from 0 to 0\.6"):
        observed_sites(sites, np.ones((21, sites.n_sites)), noise=0.7, seed=0, **KEPT)
    one = sites.select(np.arange(sites.n_sites) == 0)
    with pytest.raises(InputError, match="numeric covariates varies among the 1 sites"):
        true_functions(one, spec, kind="linear", prior="binn", seed=0)
    with pytest.raises(InputError, match="tau9, x are no parameters: choose among diffus"):
        check_unknown(("tau9", "beta", "x"))


def test_a_single_covariate_is_enough(sites, spec):
    alone = CovariateSpec(spec.numeric[:1], ())
    one = Sites(**{**vars(sites), "numeric": sites.numeric[:, :1]})
    for kind in KINDS:
        truth = true_functions(one, alone, kind=kind, prior="binn", seed=0)
        assert set(truth.covariates) == {spec.numeric[0][0]}
        assert torch.isfinite(torch.from_numpy(truth.parameters)).all()
