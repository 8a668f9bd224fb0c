"""The Jacobian against finite differences; indices with a known answer."""

import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.constants import SOC_FLOOR
from xbinn.errors import InputError
from xbinn.labels.covariates import CovariateSpec
from xbinn.labels.sites import gather_sites
from xbinn.parameters import PARAMETER_NAMES, prior_bounds
from xbinn.science.fitting import usable_sites
from xbinn.science.identifiability import identifiability
from xbinn.science.information import (
    Information,
    effective_rank,
    fisher_information,
    function_index,
    identifiability_index,
    observation_jacobian,
)
from xbinn.science.synthetic import log_sd, observed_sites
from xbinn.testing import small_grid, small_profiles

KEPT = {"prior": "binn", "bedrock": "closed", "observation": "layer_mean"}


@pytest.fixture(scope="module")
def grid():
    return small_grid((6, 7))


@pytest.fixture(scope="module")
def profiles(grid):
    return small_profiles(grid, 60)


@pytest.fixture(scope="module")
def sites(grid, profiles):
    found = gather_sites(grid, profiles, CovariateSpec((), ()), bedrock="closed")
    return usable_sites(found, **KEPT)


@pytest.fixture(scope="module")
def parameters(sites):
    low, high = np.array(prior_bounds("binn")).T[:, :, None]
    unit = np.random.default_rng(3).uniform(0.2, 0.8, (len(low), sites.n_sites))
    return low + (high - low) * unit


def middle() -> xr.Dataset:
    return xbinn.from_unit_interval(xr.Dataset(dict.fromkeys(PARAMETER_NAMES, 0.5)), prior="binn")


def test_the_jacobian_is_that_of_finite_differences(sites, parameters):
    jacobian, site = observation_jacobian(sites, parameters, **KEPT)
    assert jacobian.shape == (len(sites.soc), len(PARAMETER_NAMES))
    told = site >= 0
    assert told.mean() > 0.5
    span = np.diff(prior_bounds("binn"))[:, 0]
    step = 1e-5

    def logs(values):
        seen = observed_sites(
            sites, values, noise=0.0, bedrock="closed", observation="layer_mean", seed=0
        )
        return np.log(seen.soc)

    capped = sites.forcing["W_SCALAR"] * parameters[PARAMETER_NAMES.index("w_scaling")]
    smooth = (np.abs(capped - 1.0) > 1e-3).all(axis=(0, 1))[sites.site]
    for row, name in enumerate(PARAMETER_NAMES):
        change = np.zeros_like(parameters)
        change[row] = step * span[row]
        expected = (logs(parameters + change) - logs(parameters - change)) / (2.0 * step)
        chosen = told & smooth if name == "w_scaling" else told
        # Second-order differences: the third derivative of ln SOC times step**2.
        np.testing.assert_allclose(
            jacobian[chosen, row], expected[chosen], rtol=1e-4, atol=1e-7, err_msg=name
        )


def test_observations_under_the_floor_say_nothing(sites, parameters):
    jacobian, site = observation_jacobian(sites, parameters, seen="layers", **KEPT)
    assert len(site) == 20 * sites.n_sites
    seen = observed_sites(
        sites, parameters, noise=0.0, bedrock="closed", observation="layer_mean", seed=0
    )
    at_samples, told = observation_jacobian(sites, parameters, **KEPT)
    np.testing.assert_array_equal(told >= 0, seen.soc >= SOC_FLOOR)
    assert (site < 0).any()
    assert not jacobian[site < 0].any()
    assert not at_samples[told < 0].any()


def test_layers_alone_give_what_samples_of_whole_layers_would(sites, parameters):
    by_layer, site = observation_jacobian(sites, parameters, seen="layers", **KEPT)
    information = fisher_information(by_layer, site, sites.n_sites, noise=0.3)
    rows = by_layer[site == 2] / log_sd(0.3)
    np.testing.assert_allclose(information.matrix[2], rows.T @ rows, rtol=1e-9, atol=1e-12)
    assert information.samples[2] == len(rows)


def test_coarse_wood_never_and_cryoturbation_only_with_permafrost_can_be_known(grid, profiles):
    found = identifiability(grid, middle(), profiles)
    assert float(found["index"].sel(parameter="taucwd")) == 0.0
    thaw = np.maximum(grid["ALTMAX"], grid["ALTMAX_LASTYEAR"])
    frozen = (thaw <= 2.0).any("month").sel(lat=found["lat"], lon=found["lon"]).values
    assert frozen.any()
    assert not frozen.all()
    cryo = found["column_index"].sel(parameter="cryo").values
    assert (cryo[~frozen] == 0.0).all()
    assert (cryo[frozen] > 0.0).any()
    assert bool(found["prior_dominated"].sel(parameter="taucwd"))


def test_more_data_less_noise_and_fewer_unknowns_never_lower_an_index(grid, profiles):
    found = identifiability(grid, middle(), profiles)
    exact = identifiability(grid, middle(), profiles, noise=0.1)
    alone = identifiability(grid, middle(), profiles, unknown=["tau4s3", "efolding"])
    rounding = 1e-9
    assert (exact["index"] >= found["index"] - rounding).all()
    assert (exact["column_index"] >= found["column_index"] - rounding).all()
    assert (found["index"] >= found["column_index"].max("site") - rounding).all()
    assert list(alone["parameter"].values) == ["efolding", "tau4s3"]
    assert (alone["index"] >= found["index"].sel(parameter=alone["parameter"]) - rounding).all()


def test_spectrum_and_loadings_belong_to_the_information(grid, profiles):
    found = identifiability(grid, middle(), profiles)
    vectors, values = found["loading"].values, found["eigenvalue"].values
    scale = values[0]
    np.testing.assert_allclose(
        (vectors * values) @ vectors.T, found["information"], atol=1e-9 * scale
    )
    assert (np.diff(values) <= 0.0).all()
    expected = (values / (values + 12.0)).sum()
    assert float(found["effective_rank"]) == pytest.approx(expected, abs=1e-6)
    assert (found["column_effective_rank"] <= np.minimum(found["observations"], 21)).all()
    assert found["column_eigenvalue"].dims == ("mode", "site")
    assert all("long_name" in found[name].attrs for name in found.data_vars)


def test_what_two_parameters_do_alike_leaves_their_difference_unknown():
    certain = 1e8  # beside which 12, the precision of the prior, keeps seven digits
    information = certain * np.ones((2, 2))
    # Their sum is known, their difference is not: half of either's variance is left.
    np.testing.assert_allclose(identifiability_index(information), 0.5, rtol=1e-6)
    assert effective_rank(information) == pytest.approx(1.0)


def test_functions_of_covariates_lie_between_columns_and_one_vector():
    rng = np.random.default_rng(0)
    jacobian = rng.standard_normal((40, 1, 2))
    found = Information(
        np.einsum("sop,soq->spq", jacobian, jacobian), ("efolding", "beta"), np.ones(40)
    )
    pooled, single = (identifiability_index(m) for m in (found.pooled, found.matrix))
    constant = function_index(found, np.zeros((40, 1)))
    np.testing.assert_allclose(constant, pooled, rtol=1e-12)
    linear = function_index(found, rng.standard_normal((40, 5)))
    assert (linear < pooled).all()
    assert (linear > single.mean(axis=0)).all()
    # A covariate for each site frees the sites from each other.
    free = function_index(found, np.eye(40)[:, 1:] * 1e3)
    assert (free < linear).all()


def test_chunks_change_nothing(grid, profiles):
    chunked = identifiability(grid.chunk(lat=3), middle(), profiles)
    xr.testing.assert_identical(chunked, identifiability(grid, middle(), profiles))


def test_what_cannot_be_used_is_refused(grid, profiles):
    with pytest.raises(InputError, match=r"noise=0.0 .*; seen='pits' \(must be one of samples"):
        identifiability(grid, middle(), profiles, noise=0.0, seen="pits")
    with pytest.raises(InputError, match=r"noise='some' \(must be above 0"):
        identifiability(grid, middle(), profiles, noise="some")
    one = identifiability(grid, middle(), profiles, unknown="q10")
    assert one["parameter"].values.tolist() == ["q10"]
    with pytest.raises(InputError, match="tau are no parameters"):
        identifiability(grid, middle(), profiles, unknown=["tau"])
    nowhere = middle().map(lambda da: da * xr.full_like(grid["land_fraction"], np.nan))
    with pytest.raises(InputError, match=r"parameters are missing in all .* cells with profiles"):
        identifiability(grid, nowhere, profiles)


@pytest.mark.realdata
def test_real_profiles_constrain_few_combinations(real_grid, real_profiles):
    found = identifiability(real_grid, middle(), real_profiles)
    assert float(found["column_effective_rank"].median()) < 5.0
    assert float(found["effective_rank"]) > float(found["column_effective_rank"].median())
    assert not found["index"].sel(parameter=["taucwd", "cryo"]).any()
