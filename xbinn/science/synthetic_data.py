"""Profiles that the model itself has made: a truth in every cell, and what soil would show of it.

The functions are those of `xbinn.science.synthetic`, scaled over all cells of a Dataset, so that
maps can be held against the truth.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xbinn.constants import INTERFACE_DEPTH
from xbinn.labels.covariates import select_covariates
from xbinn.labels.encoding import output_attributes
from xbinn.labels.profiles import standardise_profiles
from xbinn.labels.sites import gather_sites
from xbinn.labels.space import CellSearch, spatial_dims
from xbinn.options import Bedrock, Observation
from xbinn.parameters import PARAMETER_NAMES, Prior
from xbinn.science.fitting import usable_sites
from xbinn.science.synthetic import SPREAD, observed_sites, true_functions
from xbinn.variables import PROFILE, SAMPLE


def synthetic_profiles(
    ds: xr.Dataset,
    profiles: xr.Dataset,
    *,
    kind: str = "linear",
    noise: float = 0.3,
    spread: float = SPREAD,
    covariates: Sequence[str] | None = None,
    prior: Prior = "proda",
    bedrock: Bedrock = "closed",
    observation: Observation = "layer_mean",
    tolerance: float | None = None,
    seed: int = 0,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Make the parameters of all cells known, and show them at the places and depths of profiles.

    Parameters
    ----------
    ds : Dataset
        Covariates and forcing on any spatial dimensions.
    profiles : Dataset
        As for `xbinn.fit`. Of their SOC only that a sample has any is used.
    kind : {"linear", "smooth", "interaction", "threshold"}
        Of the functions from covariates to parameters, see `xbinn.science.synthetic`.
    noise : float
        Relative standard deviation of a sample, 0 to 0.6.
    spread : float
        Standard deviation of a parameter over the cells, as a share of its prior range.
    covariates : sequence of str, optional
        As for `xbinn.fit`; the truth depends on numeric ones.
    prior : {"proda", "binn"}
        Bounds of the parameters.
    bedrock, observation, tolerance
        As for `xbinn.fit`.
    seed : int
        Of functions and noise.

    Returns
    -------
    profiles : Dataset
        The same, with SOC of the known parameters and noise; NaN in samples that cannot be used.
    truth : Dataset
        The 21 parameters (*space) in physical units, NaN in cells without forcing or covariates;
        see `xbinn.simulate` for what follows from them.

    Raises
    ------
    InputError
        If inputs or settings cannot be used.
    ProfileError
        If no profile or no cell can be used.
    """
    spec = select_covariates(ds, covariates, None)
    space = spatial_dims(ds)
    shape = tuple(ds.sizes[d] for d in space)
    everywhere, sites = (
        usable_sites(
            gather_sites(ds, which, spec, bedrock=bedrock, tolerance=tolerance),
            prior,
            bedrock,
            observation,
        )
        for which in (_one_in_each_cell(ds, math.prod(shape)), profiles)
    )
    truth = true_functions(everywhere, spec, kind=kind, prior=prior, seed=seed, spread=spread)
    here = np.searchsorted(everywhere.cell, sites.cell)
    seen = observed_sites(
        sites,
        truth.parameters[:, here],
        noise=noise,
        bedrock=bedrock,
        observation=observation,
        seed=seed,
    )
    placed = standardise_profiles(profiles)
    soc = np.full(placed["soc"].transpose(PROFILE, SAMPLE).shape, np.nan)
    soc[seen.profile, seen.sample] = seen.soc
    made = placed.assign(soc=((PROFILE, SAMPLE), soc, placed["soc"].attrs))
    made.attrs["title"] = f"Synthetic SOC at the places of: {profiles.attrs.get('title', '')}"
    on_space = {n: c for n, c in ds.coords.items() if set(c.dims) <= set(space)}
    data: dict[str, Any] = {}
    for name, values in zip(PARAMETER_NAMES, truth.parameters, strict=True):
        flat = np.full(math.prod(shape), np.nan)
        flat[everywhere.cell] = values
        data[name] = (space, flat.reshape(shape), output_attributes(name))
    return made, xr.Dataset(data, on_space, {"title": "Synthetic parameters"})


def _one_in_each_cell(ds: xr.Dataset, n: int) -> xr.Dataset:
    """A profile of one sample in each cell; its carbon plays no part."""
    lat, lon = CellSearch(ds, np.zeros(1), np.zeros(1)).positions(np.arange(n))
    one = (PROFILE, SAMPLE)
    return xr.Dataset(
        {
            "soc": (one, np.ones((n, 1)), {"units": "kg m-3"}),
            "depth_top": (one, np.zeros((n, 1)), {"units": "m"}),
            "depth_bottom": (one, np.full((n, 1), INTERFACE_DEPTH[0]), {"units": "m"}),
        },
        {"lat": (PROFILE, lat), "lon": (PROFILE, lon)},
    )
