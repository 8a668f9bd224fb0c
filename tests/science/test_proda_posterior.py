"""The posterior of profiles: its density, its moments and the ranks of what is known to be true."""

from dataclasses import replace

import emcee
import numpy as np
import pytest
import torch
import xarray as xr
from scipy.special import ndtr
from scipy.stats import chisquare

import xbinn
from xbinn.constants import INTERFACE_DEPTH, N_LAYERS
from xbinn.parameters import N_PARAMETERS, PARAMETER_NAMES, prior_bounds
from xbinn.physics.steady_state import BEDROCK, SoilCarbonModel
from xbinn.running.tensors import pack_forcing
from xbinn.science.proda import retrieve
from xbinn.science.proda.gathering import Profiles, gather_profiles
from xbinn.science.proda.likelihoods import LIKELIHOODS
from xbinn.science.proda.sampler import SAMPLERS, Plan, run_chains
from xbinn.science.proda.target import SampleTable, SoilTarget, soil_target
from xbinn.testing import small_grid, small_profiles

CHAINS = 4
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data() -> tuple[xr.Dataset, xr.Dataset]:
    grid = small_grid((6, 7))
    return grid, small_profiles(grid, 12)


@pytest.fixture(scope="module")
def gathered(data) -> Profiles:
    return gather_profiles(
        *data, prior="proda", bedrock="closed", observation="layer_mean", tolerance=None
    )


def target_of(
    gathered: Profiles,
    chosen,
    dtype=torch.float64,
    bedrock="closed",
    likelihood="relative",
    interpolated=False,
    chains=CHAINS,
) -> SoilTarget:
    batch = gathered.batch(np.asarray(chosen))
    table = {name: torch.from_numpy(array) for name, array in batch.samples.items()}
    for name in ("weights", "observed", "weight"):
        table[name] = table[name].to(dtype)
    return soil_target(
        SoilCarbonModel(bedrock),
        pack_forcing(batch.forcing, dtype=dtype, device=CPU),
        SampleTable(**table),
        chains=chains,
        prior="proda",
        likelihood=likelihood,
        interpolated=interpolated,
    )


def normal_places(n: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal((N_PARAMETERS, CHAINS, n)))


def test_log_likelihood_is_that_of_simulated_columns(data, gathered):
    """From `simulate`, thicknesses in each sample's interval and the normal density alone."""
    grid, profiles = data
    place = normal_places(3)
    found = target_of(gathered, [0, 1, 2]).value(place)
    unit = torch.special.ndtr(place).numpy()
    edges = np.array([0.0, *INTERFACE_DEPTH[:N_LAYERS]])
    for n in range(3):
        profile = profiles.isel(profile=int(gathered.profile[n]))
        cell = grid.sel(lat=profile["lat"], lon=profile["lon"], method="nearest")
        kept = slice(int(cell["nbedrock"].max()))
        for chain in range(CHAINS):
            fractions = dict(zip(PARAMETER_NAMES, unit[:, chain, n], strict=True))
            parameters = xbinn.from_unit_interval(xr.Dataset(fractions), prior="proda")
            soc = xbinn.simulate(cell, parameters)["soc"].values[kept]
            expected = 0.0
            samples = (profile[v].values for v in ("depth_top", "depth_bottom", "soc"))
            for top, bottom, observed in zip(*samples, strict=True):
                shared = np.minimum(edges[1:], bottom) - np.maximum(edges[:-1], top)
                if np.isfinite(observed) and (shared[kept] > 0.0).any():
                    mean = np.average(soc, weights=shared.clip(min=0.0)[kept])
                    spread = 0.6 * max(mean, 0.05)
                    expected -= 0.5 * ((mean - observed) / spread) ** 2 + np.log(spread)
            np.testing.assert_allclose(found[chain, n], expected, rtol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("interpolated", [False, True], ids=["layers", "pchip"])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("bedrock", BEDROCK)
def test_neighbours_do_not_matter_to_the_last_bit(
    gathered, bedrock, likelihood, interpolated, dtype
):
    settings = (dtype, bedrock, likelihood, interpolated)
    for seed in range(2):
        place = normal_places(12, seed)
        whole = target_of(gathered, range(12), *settings)
        alone, (value, slope) = whole.value(place), whole.value_and_slope(place)
        for chosen in ([7], [5, 6], list(range(11, 0, -1))):
            part = target_of(gathered, chosen, *settings)
            here = place[..., chosen].contiguous()
            assert torch.equal(part.value(here), alone[..., chosen])
            found = part.value_and_slope(here)
            assert torch.equal(found[0], value[..., chosen])
            assert torch.equal(found[1], slope[..., chosen])


def test_moments_are_those_that_emcee_finds(data):
    """On one profile of three samples, within errors from both effective sample sizes."""
    grid, profiles = data
    profiles = profiles.isel(profile=[1], sample=slice(3))
    long = {"chains": 32, "warmup": 40, "steps": 80, "max_steps": 80, "ess": np.inf}
    found = retrieve(grid, profiles, samples=True, seed=0, device="cpu", **long)
    low, high = np.array(prior_bounds("proda")).T
    ours = found["parameter_samples"].transpose("draw", "chain", "parameter", ...).values
    ours = (ours.reshape(ours.shape[:3]) - low) / (high - low)

    gathered = gather_profiles(
        grid, profiles, prior="proda", bedrock="closed", observation="layer_mean", tolerance=None
    )
    half = 64
    target = target_of(gathered, [0], chains=half)

    def log_posterior(places: np.ndarray) -> np.ndarray:  # (walker, parameter) -> (walker,)
        parts = [part.T[..., None].copy() for part in places.reshape(-1, half, N_PARAMETERS)]
        value = np.concatenate([target.value(torch.from_numpy(p))[:, 0] for p in parts])
        return value - 0.5 * (places**2).sum(axis=1)

    rng = np.random.default_rng(0)
    sampler = emcee.EnsembleSampler(
        2 * half, N_PARAMETERS, log_posterior, vectorize=True, moves=emcee.moves.DEMove()
    )
    start = emcee.State(
        rng.standard_normal((2 * half, N_PARAMETERS)),
        random_state=np.random.RandomState(0).get_state(),
    )
    sampler.run_mcmc(start, 800)
    theirs = ndtr(sampler.get_chain(discard=160))
    centre = theirs.mean(axis=(0, 1))
    assert (np.abs(centre - 0.5) > 0.1).any()  # the samples do say something
    for power in (1, 2):
        values, errors = zip(
            *(mean_and_error((draws - centre) ** power) for draws in (ours, theirs)), strict=True
        )
        assert (np.abs(values[0] - values[1]) < 4.0 * np.hypot(*errors)).all()


def mean_and_error(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over (draw, chain, parameter) and its standard error, by emcee's autocorrelation."""
    time = emcee.autocorr.integrated_time(draws, tol=0).clip(min=1.0)
    effective = draws.shape[0] * draws.shape[1] / time
    return draws.mean(axis=(0, 1)), draws.std(axis=(0, 1)) / np.sqrt(effective)


def ranks(n: int, *, warmup: int, steps: int, apart: int) -> np.ndarray:
    """Rank of the true parameters among draws of their posteriors, (profile, parameter).

    Truth comes from the prior, observations from the likelihood; draws are ``apart`` steps apart.
    """
    grid = small_grid((6, 7))
    gathered = gather_profiles(
        grid,
        small_profiles(grid, n),
        prior="proda",
        bedrock="closed",
        observation="layer_mean",
        tolerance=None,
    )
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(rng.standard_normal((N_PARAMETERS, 1, n)))
    modelled = target_of(gathered, range(n), chains=1).modelled(truth)[:, 0]
    noise = torch.from_numpy(rng.standard_normal(modelled.shape))
    observed = modelled + 0.6 * modelled.clamp(min=0.05) * noise
    target = target_of(gathered, range(n), torch.float32)
    target = replace(target, samples=replace(target.samples, observed=observed.float()))
    plan = Plan(CHAINS, warmup, steps, steps, 1.05, np.inf)
    found = run_chains(
        target, SAMPLERS["hamiltonian"](), plan, seed=0, keys=gathered.keys, device=CPU
    )
    drawn = np.stack([one.unit[apart - 1 :: apart] for one in found])  # (n, draw, chain, p)
    return (drawn < torch.special.ndtr(truth[:, 0]).T[:, None, None].numpy()).sum((1, 2))


@pytest.mark.parametrize(
    ("n", "plan"),
    [
        (120, {"warmup": 50, "steps": 64, "apart": 32}),
        pytest.param(
            600,
            {"warmup": 100, "steps": 300, "apart": 100},
            marks=[pytest.mark.slow, pytest.mark.timeout(1200)],
        ),
    ],
    ids=["small", "large"],
)
def test_true_parameters_rank_evenly_among_draws_of_their_posteriors(n, plan):
    """Simulation-based calibration (Talts et al. 2018, arXiv:1804.06788)."""
    found = ranks(n, **plan)
    classes = plan["steps"] // plan["apart"] * CHAINS + 1
    counts = np.stack([np.bincount(rank, minlength=classes) for rank in found.T])
    assert chisquare(counts, axis=1).pvalue.min() > 0.01 / N_PARAMETERS
