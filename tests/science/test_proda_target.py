"""The log posterior of profiles: against a computation of its own, and by any batch."""

import numpy as np
import pytest
import torch
import xarray as xr

import xbinn
from xbinn.constants import INTERFACE_DEPTH, N_LAYERS
from xbinn.parameters import N_PARAMETERS, PARAMETER_NAMES
from xbinn.physics.steady_state import BEDROCK, SoilCarbonModel
from xbinn.running.tensors import pack_forcing
from xbinn.science.proda.gathering import Profiles, gather_profiles
from xbinn.science.proda.likelihoods import LIKELIHOODS
from xbinn.science.proda.target import SampleTable, SoilTarget, soil_target
from xbinn.testing import small_grid, small_profiles

CHAINS = 4


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
) -> SoilTarget:
    batch = gathered.batch(np.asarray(chosen))
    table = {name: torch.from_numpy(array) for name, array in batch.samples.items()}
    for name in ("weights", "observed", "weight"):
        table[name] = table[name].to(dtype)
    return soil_target(
        SoilCarbonModel(bedrock),
        pack_forcing(batch.forcing, dtype=dtype, device=torch.device("cpu")),
        SampleTable(**table),
        chains=CHAINS,
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
    for seed in range(3):
        place = normal_places(12, seed)
        whole = target_of(gathered, range(12), *settings)
        alone, (value, slope) = whole.value(place), whole.value_and_slope(place)
        for chosen in ([7], [5, 6], [3, 9, 1], list(range(11, 0, -1))):
            part = target_of(gathered, chosen, *settings)
            here = place[..., chosen].contiguous()
            assert torch.equal(part.value(here), alone[..., chosen])
            found = part.value_and_slope(here)
            assert torch.equal(found[0], value[..., chosen])
            assert torch.equal(found[1], slope[..., chosen])
