"""How far estimates lie from the truth, learnt from experiments of which the truth is known.

In each row, a parameter or a process, the truth is taken to be a linear function of the estimate,
with a slope that is never negative, plus an error. Function and error come from many truths, each
of which counts alike however many sites it has; the error of a truth is that about the function
which the others give. The coverage of all truths together is then nearly what was asked for,
however little an estimate is worth; what it is worth shows in the size of the error, and how much
truths differ in the coverage of each.

References
----------
Beaumont et al. 2002, doi:10.1093/genetics/162.4.2025 (linear adjustment of simulated parameters).
Barber et al. 2021, doi:10.1214/20-AOS1965 (errors about what the others give).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

FEWEST: Final = 8
"""Truths that errors can be learnt from."""
LEVELS: Final = np.linspace(0.005, 0.995, 199)
"""Probabilities of the quantiles of an error that are kept."""
WIDEST: Final = 0.99
"""Level of the widest central interval."""


@dataclass(frozen=True, eq=False)
class Errors:
    """Truth = intercept + slope x estimate + error.

    Attributes
    ----------
    intercept, slope : ndarray (row,)
        Slope 0, and the mean truth, where estimates say nothing: a negative slope is one of chance.
    quantile : ndarray (level, row)
        Of the error, at `LEVELS`.
    mean_square : ndarray (row,)
        Of the error.
    contraction : ndarray (row,)
        1 - mean square of the error / variance of the truths, where that is known; else NaN.
    """

    intercept: np.ndarray
    slope: np.ndarray
    quantile: np.ndarray
    mean_square: np.ndarray
    contraction: np.ndarray

    def corrected(self, estimate: np.ndarray) -> np.ndarray:
        """Take the estimate for what it has been worth, (row, site)."""
        return np.asarray(self.intercept[:, None] + self.slope[:, None] * estimate)

    def bounds(self, level: float) -> np.ndarray:
        """Ends of the central interval of the error, (2, row)."""
        return np.asarray([_at(self.quantile, 0.5 + side * 0.5 * level) for side in (-1.0, 1.0)])


def learn_errors(
    estimates: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    variance: np.ndarray,
    intervals: Sequence[float],
) -> tuple[Errors, np.ndarray]:
    """Learn errors, and count how often each truth lies in the intervals that the others give.

    Parameters
    ----------
    estimates, truths : sequence of ndarray (row, site)
        One array for each truth; NaN where a row is undefined.
    variance : ndarray (row,)
        Of the truths at a site.
    intervals : sequence of float
        Levels of central intervals.

    Returns
    -------
    Errors
        Of all truths.
    ndarray (truth, row, interval)
        Coverage of each truth, left out; NaN where it has no such row.
    """
    pairs = [
        np.where(np.isfinite(e + t), [e, t], np.nan) for e, t in zip(estimates, truths, strict=True)
    ]
    moments = np.stack([_moments(*pair) for pair in pairs])  # (truth, moment, row)
    together = moments.sum(axis=0)
    residuals = [t - _line(together - own, e) for (e, t), own in zip(pairs, moments, strict=True)]
    n_rows = together.shape[-1]
    site = np.concatenate([np.full(r.shape[1], i) for i, r in enumerate(residuals)])
    error = np.concatenate(residuals, axis=1)  # (row, site of any truth)
    quantile = np.full((len(LEVELS), n_rows), np.nan)
    mean_square = np.full(n_rows, np.nan)
    coverage = np.full((len(pairs), n_rows, len(intervals)), np.nan)
    tails = np.array([0.5 + side * 0.5 * i for i in intervals for side in (-1.0, 1.0)])
    for row in range(n_rows):
        some = np.isfinite(error[row])
        if not some.any():
            continue
        own, of = error[row, some], site[some]
        weight = (1.0 / np.bincount(of, minlength=len(pairs)).clip(1))[of]
        order = np.argsort(own, kind="stable")
        own, of, weight = own[order], of[order], weight[order]
        quantile[:, row] = _quantiles(own, weight, LEVELS)
        mean_square[row] = np.average(own**2, weights=weight)
        for truth in np.unique(of):
            here = of == truth
            if here.all():
                continue
            low, high = _quantiles(own[~here], weight[~here], tails).reshape(-1, 2).T
            inside = (own[here, None] >= low) & (own[here, None] <= high)
            coverage[truth, row] = inside.mean(axis=0)
    errors = Errors(*_fit(together), quantile, mean_square, 1.0 - mean_square / variance)
    return errors, coverage


def _moments(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Weight and mean e, t, e^2, e t over the sites, (moment, row); 0 for a row that is nowhere."""
    found = np.isfinite(estimate)
    n = found.sum(axis=1)
    terms = (found, estimate, truth, estimate**2, estimate * truth)
    return np.stack([np.where(found, term, 0.0).sum(axis=1) / n.clip(1) for term in terms])


def _fit(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intercept and slope of least squares, (row,) each."""
    weight = np.where(moments[0] > 0.0, moments[0], np.nan)
    e, t, ee, et = moments[1:] / weight
    variance = ee - e * e
    covariance = et - e * t
    # Neither of what does not vary but for rounding, nor against the truth.
    tells = (variance > 1e-12 * ee) & (covariance > 0.0)
    slope = np.where(tells, covariance / np.where(tells, variance, 1.0), 0.0)
    return t - slope * e, slope


def _line(moments: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    intercept, slope = _fit(moments)
    return np.asarray(intercept[:, None] + slope[:, None] * estimate)


def _quantiles(values: np.ndarray, weight: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Quantiles of sorted values, each at the middle of its weight, interpolated."""
    reached = np.cumsum(weight)
    return np.asarray(np.interp(levels, (reached - 0.5 * weight) / reached[-1], values))


def _at(quantile: np.ndarray, level: float) -> np.ndarray:
    """Quantiles of all rows at one level, (row,)."""
    return np.asarray([np.interp(level, LEVELS, own) for own in quantile.T])
