"""Which parameters profiles can tell, as a labelled Dataset; see `xbinn.science.information`."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import get_args

import numpy as np
import xarray as xr

from xbinn.errors import InputError
from xbinn.labelled import with_parameters
from xbinn.labels.covariates import CovariateSpec
from xbinn.labels.encoding import lay_out
from xbinn.labels.sites import Sites, at_cells, gather_sites
from xbinn.labels.space import spatial_dims
from xbinn.learning.threads import one_thread
from xbinn.options import Bedrock, Observation
from xbinn.parameters import PARAMETER_NAMES, PARAMETERS, Prior
from xbinn.science.fitting import usable_sites
from xbinn.science.information import (
    PRIOR_DOMINATED,
    Information,
    Seen,
    effective_rank,
    fisher_information,
    identifiability_index,
    observation_jacobian,
)
from xbinn.science.settings import is_real
from xbinn.science.synthetic import check_unknown


def identifiability(
    ds: xr.Dataset,
    parameters: xr.Dataset,
    profiles: xr.Dataset,
    *,
    noise: float = 0.3,
    unknown: Sequence[str] = PARAMETER_NAMES,
    seen: Seen = "samples",
    prior: Prior = "binn",
    bedrock: Bedrock = "closed",
    observation: Observation = "layer_mean",
    tolerance: float | None = None,
) -> xr.Dataset:
    """Say which parameters profiles can tell, about given parameters.

    Parameters
    ----------
    ds : Dataset
        Forcing on any spatial dimensions.
    parameters : Dataset
        The 21 parameters in physical units, broadcast against ``ds``.
    profiles : Dataset
        As for `xbinn.fit`. Their places and depths count, their SOC only in that a sample has any.
    noise : float
        Relative standard deviation of a sample about the model, above 0: of the measurement, of
        the soil within a cell, and of what is wrong with the model.
    unknown : sequence of str
        Parameters to be found; the others are taken as known.
    seen : {"samples", "layers"}
        What is observed at each place: the samples, or all 20 layers once.
    prior, bedrock, observation, tolerance
        As for `xbinn.fit`.

    Returns
    -------
    Dataset
        ``index`` (parameter) and ``column_index`` (parameter, site) in [0, 1], pooled and by
        column; ``prior_dominated`` (parameter), where the pooled index is under 0.5, and
        ``column_prior_dominated``, where the median over the columns is; ``information``
        (parameter, parameter_other), its ``eigenvalue`` (mode) and ``loading``
        (parameter, mode), ``column_eigenvalue`` (mode, site), ``effective_rank`` and
        ``column_effective_rank`` (site). A site is a cell with profiles.

    Raises
    ------
    InputError
        If forcing, profiles or settings cannot be used.
    ParameterError
        If parameters are missing or impossible.
    ProfileError
        If no profile can be used.
    """
    _check(noise, seen)
    wanted = check_unknown((unknown,) if isinstance(unknown, str) else tuple(unknown))
    _, inputs = with_parameters(ds, parameters)
    sites = gather_sites(ds, profiles, CovariateSpec((), ()), bedrock=bedrock, tolerance=tolerance)
    sites = usable_sites(sites, prior, bedrock, observation)
    space = spatial_dims(ds)
    sizes = {dim: ds.sizes[dim] for dim in space}
    laid_out = inputs[list(PARAMETER_NAMES)].map(lay_out, leading=(), space=sizes)
    values = at_cells(laid_out, space, sites.cell)
    here = np.stack([values[name] for name in PARAMETER_NAMES])
    known = np.isfinite(here).all(axis=0)
    if not known.any():
        raise InputError(
            f"parameters are missing in all {known.size} cells with profiles: give them there"
        )
    sites, here = sites.select(known), here[:, known]
    # Threads of torch wait for each other more than they work on so small steps.
    with one_thread():
        jacobian, site = observation_jacobian(
            sites, here, prior=prior, bedrock=bedrock, observation=observation, seen=seen
        )
    found = fisher_information(jacobian, site, sites.n_sites, noise=noise, unknown=wanted)
    result = label_information(found, sites)
    result.attrs |= {
        "title": "Identifiability of parameters from soil organic carbon profiles",
        "source": f"xbinn {version('xbinn')}, prior {prior}, bedrock {bedrock}, {seen} seen",
        "noise": noise,
    }
    return result


def label_information(found: Information, sites: Sites) -> xr.Dataset:
    """Index, spectrum and loadings of the information of sites, see `identifiability`."""
    values, vectors = np.linalg.eigh(found.pooled)
    order = np.argsort(values)[::-1]
    # The sign of an eigenvector is arbitrary: its largest loading is made positive.
    vectors = vectors[:, order]
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[largest, np.arange(len(values))])
    spectra = np.linalg.eigvalsh(found.matrix)[:, ::-1].T.clip(0.0)  # (mode, site)
    pooled, by_column = (identifiability_index(m) for m in (found.pooled, found.matrix))
    told = found.samples > 0
    typical = np.median(by_column[told], axis=0) if told.any() else np.zeros(len(found.unknown))
    one = {"units": "1"}
    note = {"comment": f"index under {PRIOR_DOMINATED:g}: most of the prior variance is left"}
    table = {p.name: p for p in PARAMETERS}
    return xr.Dataset(
        {
            "index": (
                "parameter",
                pooled,
                one | {"long_name": "identifiability index, one parameter vector for all columns"},
            ),
            "column_index": (
                ("parameter", "site"),
                by_column.T,
                one | {"long_name": "identifiability index, each column by itself"},
            ),
            "prior_dominated": (
                "parameter",
                pooled < PRIOR_DOMINATED,
                {"long_name": "whether the pooled index is low"} | note,
            ),
            "column_prior_dominated": (
                "parameter",
                typical < PRIOR_DOMINATED,
                {"long_name": "whether the median index of the columns is low"} | note,
            ),
            "information": (
                ("parameter", "parameter_other"),
                found.pooled,
                one | {"long_name": "Fisher information on fractions of the prior range, pooled"},
            ),
            "eigenvalue": (
                "mode",
                values[order].clip(0.0),
                one | {"long_name": "eigenvalue of the pooled Fisher information"},
            ),
            "loading": (
                ("parameter", "mode"),
                vectors,
                one | {"long_name": "eigenvector of the pooled Fisher information"},
            ),
            "column_eigenvalue": (
                ("mode", "site"),
                spectra,
                one | {"long_name": "eigenvalue of the Fisher information of a column"},
            ),
            "effective_rank": (
                (),
                effective_rank(found.pooled),
                one | {"long_name": "combinations that all columns together constrain"},
            ),
            "column_effective_rank": (
                "site",
                effective_rank(found.matrix),
                one | {"long_name": "combinations that a column constrains"},
            ),
            "observations": (
                "site",
                found.samples,
                one | {"long_name": "observations at or above the floor of SOC"},
            ),
        },
        coords={
            "parameter": list(found.unknown),
            "parameter_other": list(found.unknown),
            "parameter_long_name": ("parameter", [table[n].long_name for n in found.unknown]),
            "mode": np.arange(1, len(values) + 1),
            "lat": ("site", sites.lat, {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": ("site", sites.lon, {"units": "degrees_east", "standard_name": "longitude"}),
        },
    )


def _check(noise: float, seen: str) -> None:
    problems = []
    if not (is_real(noise) and noise > 0.0):
        problems.append(f"noise={noise!r} (must be above 0: without it every effect is known)")
    if seen not in get_args(Seen):
        problems.append(f"seen={seen!r} (must be one of {', '.join(get_args(Seen))})")
    if problems:
        raise InputError(f"settings that cannot be used: {'; '.join(problems)}")
