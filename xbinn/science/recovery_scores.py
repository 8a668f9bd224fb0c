"""Scores of recovered parameters and processes against the truth, labelled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr

from xbinn.labels.sites import Sites
from xbinn.parameters import PARAMETERS
from xbinn.science.error_model import Errors
from xbinn.science.metrics import bias, correlation, r2, rmse
from xbinn.science.synthetic import truth_variance
from xbinn.variables import FRACTION_PROCESSES, PROCESSES

LEVEL: Final = 0.9
"""Of the intervals."""
_RECOVERED: Final = tuple(v.name for v in PROCESSES if v.name != "carbon_input")
KNOWN: Final = 1e-18
"""Variance of what does not vary with the unknown parameters, but for rounding."""

SCORES: Final[Mapping[str, str]] = {
    "correlation": "Pearson correlation of estimate and truth",
    "r2": "coefficient of determination of the estimate, 1 - SSE/SST",
    "bias": "mean of estimate minus truth, over the prior range",
    "rmse": "root mean squared error of the estimate, over the prior range",
    "coverage": f"share of the cells whose {100 * LEVEL:g} % interval holds the truth",
    "shift": "distance of the estimate from the mean of the truths, root mean square, in their "
    "standard deviations",
    "contraction": "1 - variance left / variance of the truths",
}


@dataclass(frozen=True, eq=False)
class Recovered:
    """Truth and samples at the held-out cells.

    Attributes
    ----------
    unknown : tuple of str
        Parameters that were to be found.
    spread : float
        Of their truths, as in `xbinn.science.synthetic`.
    unit_true : ndarray (unknown, site)
        Fractions of the prior range.
    unit : ndarray (sample, unknown, site)
        Samples of the same.
    process_true : ndarray (process, site)
        Natural logarithm.
    process : ndarray (sample, process, site)
        Samples of the same.
    process_of_truths : ndarray (draw, process, site)
        The same for parameters that spread as those of truths.
    """

    unknown: tuple[str, ...]
    spread: float
    unit_true: np.ndarray
    unit: np.ndarray
    process_true: np.ndarray
    process: np.ndarray
    process_of_truths: np.ndarray

    @property
    def unit_estimate(self) -> np.ndarray:
        """Mean of the samples of parameters, (unknown, site)."""
        return np.asarray(self.unit.mean(axis=0))

    @property
    def process_estimate(self) -> np.ndarray:
        """Natural logarithm of the mean of the samples of processes, (process, site)."""
        with np.errstate(invalid="ignore"):  # NaN where a process is undefined
            total = np.logaddexp.reduce(self.process, axis=0)
        return np.asarray(total - np.log(len(self.process)))


Bounds = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Estimate, low and high end of the interval, (row, site) each; and either the variance left,
(row, site), or the contraction of all cells, (row,)."""


def label_recovery(
    found: Recovered, sites: Sites, errors: Mapping[str, Errors] | None = None
) -> xr.Dataset:
    """Score one case and label it, see `xbinn.science.recovery.recover_parameters`.

    Parameters
    ----------
    found : Recovered
        Truth and samples.
    sites : Sites
        Held-out cells, for their places.
    errors : mapping of "parameter" and "process" to Errors, optional
        What estimates and intervals follow from; by default from the samples.
    """
    if errors is None:
        parameters, processes = _of_samples(found.unit), _of_samples(found.process)
    else:
        parameters = _of_errors(errors["parameter"], found.unit_estimate, (0.0, 1.0))
        fractions = np.isin(_RECOVERED, FRACTION_PROCESSES)[:, None]
        most = np.where(fractions, 0.0, np.inf)
        processes = _of_errors(errors["process"], found.process_estimate, (-np.inf, most))
    middle = np.full_like(found.unit_true, 0.5)
    parameters_scored = _compare(
        found.unit_true,
        parameters,
        mean=middle,
        variance=np.full_like(middle, truth_variance(found.spread)),
        span=np.ones(len(middle)),
    )
    tail = 0.5 * (1.0 - LEVEL)
    low, high = np.nanquantile(found.process_of_truths, [tail, 1.0 - tail], axis=(0, 2))
    processes_scored = _compare(
        found.process_true,
        processes,
        mean=np.nanmean(found.process_of_truths, axis=0),
        variance=np.nanvar(found.process_of_truths, axis=0),
        span=high - low,
    )
    named = {v.name: v for v in PROCESSES if v.name in _RECOVERED}
    table = {p.name: p for p in PARAMETERS}
    of_parameter = "fraction of the prior range of the parameter"
    of_process = "natural logarithm of the process"
    return xr.Dataset(
        {
            **_variables("parameter", parameters_scored, of_parameter),
            **_variables("process", processes_scored, of_process),
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


def _of_samples(samples: np.ndarray) -> Bounds:  # (sample, row, site)
    tail = 0.5 * (1.0 - LEVEL)
    low, high = np.quantile(samples, [tail, 1.0 - tail], axis=0)
    return samples.mean(axis=0), low, high, samples.var(axis=0, ddof=1)


def _of_errors(
    errors: Errors,
    estimate: np.ndarray,  # (row, site)
    limits: tuple[float, float | np.ndarray],
) -> Bounds:
    middle = errors.corrected(estimate)
    low, high = (middle + end[:, None] for end in errors.bounds(LEVEL))
    middle, low, high = (values.clip(*limits) for values in (middle, low, high))
    return middle, low, high, errors.contraction


def _compare(
    true: np.ndarray,  # (row, site)
    bounds: Bounds,
    *,
    mean: np.ndarray,  # (row, site), of the truths
    variance: np.ndarray,  # (row, site), of the truths
    span: np.ndarray,  # (row,)
) -> dict[str, np.ndarray]:
    estimate, low, high, left = bounds
    over_cells = left.ndim > 1
    scores = {name: np.full(len(true), np.nan) for name in SCORES}
    for row in range(len(true)):
        # A process may be undefined, or follow from known parameters alone.
        some = np.isfinite(true[row]) & np.isfinite(estimate[row]) & (variance[row] > KNOWN)
        if not some.any():
            continue
        t, e = true[row, some], estimate[row, some]
        distance = (e - mean[row, some]) ** 2 / variance[row, some]
        inside = (low[row, some] <= t) & (t <= high[row, some])
        values = (
            correlation(e, t),
            r2(e, t),
            bias(e, t) / span[row],
            rmse(e, t) / span[row],
            inside.mean(),
            np.sqrt(distance.mean()),
            1.0 - left[row, some].mean() / variance[row, some].mean() if over_cells else left[row],
        )
        for name, value in zip(SCORES, values, strict=True):
            scores[name][row] = value
    return {"true": true, "estimate": estimate, "low": low, "high": high} | scores


def _variables(what: str, values: Mapping[str, np.ndarray], quantity: str) -> dict[str, Any]:
    tail = 50.0 * (1.0 - LEVEL)
    fields = {
        "true": f"true {quantity}",
        "estimate": f"estimated {quantity}",
        "low": f"{tail:g} % quantile: {quantity}",
        "high": f"{100.0 - tail:g} % quantile: {quantity}",
    }
    over = "central 90 % of the truths" if what == "process" else "prior range"
    scores = {n: text.replace("prior range", over) for n, text in SCORES.items()}
    return {
        f"{what}_{name}": (
            (what, "site") if name in fields else what,
            array,
            {"units": "1", "long_name": (fields | scores)[name]},
        )
        for name, array in values.items()
    }
