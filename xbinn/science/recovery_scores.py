"""Scores of recovered parameters and processes against the truth, labelled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr

from xbinn.labels.sites import Sites
from xbinn.parameters import PARAMETERS
from xbinn.science.metrics import bias, correlation, r2, rmse
from xbinn.variables import PROCESSES

LEVEL: Final = 0.9
"""Of the intervals."""
_PRIOR_MEAN: Final = 0.5
_PRIOR_VARIANCE: Final = 1.0 / 12.0
"""Of a uniform distribution on the unit interval."""
_KNOWN: Final = 1e-18
"""Variance of what does not vary with the unknown parameters, but for rounding."""

SCORES: Final[Mapping[str, str]] = {
    "correlation": "Pearson correlation of estimate and truth",
    "r2": "coefficient of determination of the estimate, 1 - SSE/SST",
    "bias": "mean of estimate minus truth, over the prior range",
    "rmse": "root mean squared error of the estimate, over the prior range",
    "coverage": f"share of the cells whose {100 * LEVEL:g} % interval holds the truth",
    "shift": "distance of the estimate from the prior mean, root mean square, in prior standard "
    "deviations",
    "contraction": "1 - variance of the samples / variance of the prior",
}


@dataclass(frozen=True, eq=False)
class Recovered:
    """Truth and samples at the held-out cells.

    Attributes
    ----------
    unknown : tuple of str
        Parameters that were to be found.
    unit_true : ndarray (unknown, site)
        Fractions of the prior range.
    unit : ndarray (sample, unknown, site)
        Samples of the same.
    process_true : ndarray (process, site)
        Natural logarithm.
    process : ndarray (sample, process, site)
        Samples of the same.
    process_prior : ndarray (draw, process, site)
        The same for parameters from the prior.
    """

    unknown: tuple[str, ...]
    unit_true: np.ndarray
    unit: np.ndarray
    process_true: np.ndarray
    process: np.ndarray
    process_prior: np.ndarray


def label_recovery(found: Recovered, sites: Sites) -> xr.Dataset:
    """Score one case and label it, see `xbinn.science.recovery.recover_parameters`.

    Parameters
    ----------
    found : Recovered
        Truth and samples.
    sites : Sites
        Held-out cells, for their places.
    """
    middle = np.full_like(found.unit_true, _PRIOR_MEAN)
    parameters = _compare(
        found.unit_true,
        found.unit,
        prior_mean=middle,
        prior_variance=np.full_like(middle, _PRIOR_VARIANCE),
        span=np.ones(len(middle)),
    )
    tail = 0.5 * (1.0 - LEVEL)
    low, high = np.nanquantile(found.process_prior, [tail, 1.0 - tail], axis=(0, 2))
    processes = _compare(
        found.process_true,
        found.process,
        prior_mean=np.nanmean(found.process_prior, axis=0),
        prior_variance=np.nanvar(found.process_prior, axis=0),
        span=high - low,
    )
    named = {v.name: v for v in PROCESSES if v.name != "carbon_input"}
    table = {p.name: p for p in PARAMETERS}
    of_parameter = "fraction of the prior range of the parameter"
    of_process = "natural logarithm of the process"
    return xr.Dataset(
        {
            **_variables("parameter", parameters, of_parameter),
            **_variables("process", processes, of_process),
        },
        coords={
            "parameter": list(found.unknown),
            "parameter_long_name": ("parameter", [table[n].long_name for n in found.unknown]),
            "process": list(named),
            "process_long_name": ("process", [v.long_name for v in named.values()]),
            "process_units": ("process", [v.units for v in named.values()]),
            "lat": ("site", sites.lat, {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": ("site", sites.lon, {"units": "degrees_east", "standard_name": "longitude"}),
        },
    )


def _compare(
    true: np.ndarray,  # (row, site)
    samples: np.ndarray,  # (sample, row, site)
    *,
    prior_mean: np.ndarray,  # (row, site)
    prior_variance: np.ndarray,  # (row, site)
    span: np.ndarray,  # (row,)
) -> dict[str, np.ndarray]:
    tail = 0.5 * (1.0 - LEVEL)
    estimate = samples.mean(axis=0)
    low, high = np.quantile(samples, [tail, 1.0 - tail], axis=0)
    scores = {name: np.full(len(true), np.nan) for name in SCORES}
    for row in range(len(true)):
        # A process may be undefined, or follow from known parameters alone.
        some = np.isfinite(true[row]) & np.isfinite(estimate[row]) & (prior_variance[row] > _KNOWN)
        if not some.any():
            continue
        t, e = true[row, some], estimate[row, some]
        distance = (e - prior_mean[row, some]) ** 2 / prior_variance[row, some]
        left = samples[:, row, some].var(axis=0, ddof=1) / prior_variance[row, some]
        inside = (low[row, some] <= t) & (t <= high[row, some])
        values = (
            correlation(e, t),
            r2(e, t),
            bias(e, t) / span[row],
            rmse(e, t) / span[row],
            inside.mean(),
            np.sqrt(distance.mean()),
            1.0 - left.mean(),
        )
        for name, value in zip(SCORES, values, strict=True):
            scores[name][row] = value
    return {"true": true, "estimate": estimate, "low": low, "high": high} | scores


def _variables(what: str, values: Mapping[str, np.ndarray], quantity: str) -> dict[str, Any]:
    tail = 50.0 * (1.0 - LEVEL)
    fields = {
        "true": f"true {quantity}",
        "estimate": f"estimated {quantity}, mean of the samples",
        "low": f"{tail:g} % quantile of the samples: {quantity}",
        "high": f"{100.0 - tail:g} % quantile of the samples: {quantity}",
    }
    over = "central 90 % of the prior range" if what == "process" else "prior range"
    scores = {n: text.replace("prior range", over) for n, text in SCORES.items()}
    return {
        f"{what}_{name}": (
            (what, "site") if name in fields else what,
            array,
            {"units": "1", "long_name": (fields | scores)[name]},
        )
        for name, array in values.items()
    }
