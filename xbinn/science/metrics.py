"""How well modelled SOC agrees with samples that took no part in the fit."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import xarray as xr

from xbinn.constants import SOC_FLOOR

DEPTH_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "all": (0.0, np.inf),
    "0-30 cm": (0.0, 0.30),
    "30-100 cm": (0.30, 1.00),
}
"""Samples belong to the range that holds the middle of their interval (m)."""
SCALES: Final = ("linear", "log")
"""kg m-3, and ln of it with a floor of `xbinn.constants.SOC_FLOOR`."""
LEVEL: Final = 0.9
"""Of the intervals of scores, gains and importances."""
_ROUNDING: Final = 1e-12


def r2(modelled: np.ndarray, observed: np.ndarray) -> float:
    """1 - SSE/SST pooled over samples; NaN where observations do not vary."""
    total = float(((observed - observed.mean()) ** 2).sum()) if observed.size else 0.0
    return 1.0 - float(((modelled - observed) ** 2).sum()) / total if total > 0.0 else np.nan


def rmse(modelled: np.ndarray, observed: np.ndarray) -> float:
    """Root mean squared error."""
    return float(np.sqrt(((modelled - observed) ** 2).mean())) if observed.size else np.nan


def bias(modelled: np.ndarray, observed: np.ndarray) -> float:
    """Mean of modelled minus observed."""
    return float((modelled - observed).mean()) if observed.size else np.nan


def correlation(modelled: np.ndarray, observed: np.ndarray) -> float:
    """Pearson correlation; NaN where either does not vary."""
    if observed.size < 2 or modelled.std() == 0.0 or observed.std() == 0.0:
        return np.nan
    return float(np.corrcoef(modelled, observed)[0, 1])


SCORES: Final[Mapping[str, tuple[Callable[[np.ndarray, np.ndarray], float], str | None, str]]] = {
    "r2": (r2, "1", "coefficient of determination, 1 - SSE/SST pooled over samples"),
    "rmse": (rmse, None, "root mean squared error"),
    "bias": (bias, None, "mean of modelled minus observed"),
    "correlation": (correlation, "1", "Pearson correlation of modelled and observed"),
}


def on_scale(soc: np.ndarray, scale: str) -> np.ndarray:
    """SOC density [kg m-3] on one of `SCALES`."""
    return np.log(np.maximum(soc, SOC_FLOOR)) if scale == "log" else soc


def in_depth_range(top: np.ndarray, bottom: np.ndarray, name: str) -> np.ndarray:
    """Which samples belong to one of `DEPTH_RANGES`, (sample,) boolean."""
    middle = 0.5 * (top + bottom)
    low, high = DEPTH_RANGES[name]
    return np.asarray((middle >= low) & (middle < high))


def score_samples(
    modelled: np.ndarray, observed: np.ndarray, top: np.ndarray, bottom: np.ndarray
) -> xr.Dataset:
    """Score modelled against observed SOC by depth, on the linear and the log scale.

    Parameters
    ----------
    modelled, observed : ndarray (sample,)
        SOC density [kg m-3].
    top, bottom : ndarray (sample,)
        Intervals of the samples [m].

    Returns
    -------
    Dataset
        ``r2``, ``rmse``, ``bias``, ``correlation`` (scale, depth_range) and ``n`` (depth_range).
        On the log scale rmse and bias are in ln units.
    """
    values = {name: np.full((len(SCALES), len(DEPTH_RANGES)), np.nan) for name in SCORES}
    n = np.zeros(len(DEPTH_RANGES), dtype=np.int64)
    for column, name in enumerate(DEPTH_RANGES):
        chosen = in_depth_range(top, bottom, name)
        n[column] = chosen.sum()
        for row, scale in enumerate(SCALES):
            pair = on_scale(modelled[chosen], scale), on_scale(observed[chosen], scale)
            for score, (function, _, _) in SCORES.items():
                values[score][row, column] = function(*pair)
    dims = ("scale", "depth_range")
    data: dict[str, Any] = {
        name: (dims, values[name], {"long_name": long_name} | ({"units": units} if units else {}))
        for name, (_, units, long_name) in SCORES.items()
    }
    data["n"] = (("depth_range",), n, {"units": "1", "long_name": "number of samples"})
    for name in ("rmse", "bias"):
        data[name][2]["comment"] = "kg m-3 on the linear scale, 1 (natural logarithm) on the log"
    return xr.Dataset(data, coords={"scale": list(SCALES), "depth_range": list(DEPTH_RANGES)})


class BlockBootstrap:
    """Resamples of whole blocks: samples of one block are not independent.

    Parameters
    ----------
    block : ndarray (sample,)
        Block of each sample.
    draws : int
        Number of resamples; in each, as many blocks as there are, drawn with replacement.
    level : float
        Of the intervals.
    seed : int
        Of the resampling.
    """

    def __init__(
        self, block: np.ndarray, *, draws: int = 1000, level: float = LEVEL, seed: int = 0
    ) -> None:
        self._number = np.unique(block, return_inverse=True)[1]
        self._n_blocks = n = int(self._number.max(initial=0)) + 1
        self._level = level
        # How often each block is in each resample, (draw, block).
        self._times = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=draws)

    def sums(self, *terms: np.ndarray) -> np.ndarray:
        """Sum terms (sample,) over all samples and over each resample, (term, 1 + draw)."""
        by_block = np.stack([np.bincount(self._number, t, self._n_blocks) for t in terms])
        return np.concatenate([by_block.sum(axis=1)[:, None], by_block @ self._times.T], axis=1)

    def interval(self, values: np.ndarray) -> tuple[float, float]:
        """Take the interval of what the resamples gave, (draw,); NaN of fewer than two blocks."""
        known = values[np.isfinite(values)]
        if self._n_blocks < 2 or not known.size:
            return np.nan, np.nan
        tail = 50.0 * (1.0 - self._level)
        low, high = np.percentile(known, [tail, 100.0 - tail])
        return float(low), float(high)


def score_intervals(
    modelled: np.ndarray, observed: np.ndarray, blocks: BlockBootstrap
) -> dict[str, tuple[float, float]]:
    """Find the interval of every score, by its name, from resampling blocks.

    Parameters
    ----------
    modelled, observed : ndarray (sample,)
        Both on the same scale.
    blocks : BlockBootstrap
        Of the same samples.
    """
    if not observed.size:
        return dict.fromkeys(SCORES, (np.nan, np.nan))
    # Less a common number, which changes no score, so that squares keep their digits.
    m, o = modelled - observed.mean(), observed - observed.mean()
    terms = (np.ones_like(o), m, o, m * m, o * o, m * o, (m - o) ** 2)
    n, sm, so, smm, soo, smo, error = blocks.sums(*terms)[:, 1:]
    spread, spread_m = _spread(n, so, soo), _spread(n, sm, smm)
    drawn = {
        "r2": 1.0 - error / spread,
        "rmse": np.sqrt(error / n),
        "bias": (sm - so) / n,
        "correlation": (smo - sm * so / n) / np.sqrt(spread * spread_m),
    }
    return {name: blocks.interval(values) for name, values in drawn.items()}


def block_bootstrap_gain(
    modelled: np.ndarray,
    reference: np.ndarray,
    observed: np.ndarray,
    blocks: BlockBootstrap,
) -> tuple[float, float, float]:
    """Gain in R2 over a reference, with an interval from resampling spatial blocks.

    Parameters
    ----------
    modelled, reference, observed : ndarray (sample,)
        All on the same scale.
    blocks : BlockBootstrap
        Of the same samples.

    Returns
    -------
    gain, low, high : float
        R2(modelled) - R2(reference) and its interval.
    """
    gains = r2_gains(modelled, reference[None], observed, blocks)[0]
    return float(gains[0]), *blocks.interval(gains[1:])


def r2_gains(
    modelled: np.ndarray, references: np.ndarray, observed: np.ndarray, blocks: BlockBootstrap
) -> np.ndarray:
    """Gain in R2 over several references, on all samples and on every resample of blocks.

    Parameters
    ----------
    modelled : ndarray (sample,)
        On either scale.
    references : ndarray (reference, sample)
        On the same scale.
    observed : ndarray (sample,)
        On the same scale.
    blocks : BlockBootstrap
        Of the same samples.

    Returns
    -------
    ndarray (reference, 1 + draw)
        NaN where observations do not vary.
    """
    if not observed.size:
        return np.full((len(references), 2), np.nan)
    o = observed - observed.mean()
    error = (modelled - observed) ** 2
    # Differences are summed, not subtracted as sums: what is equal gains 0, not a rounding error.
    excess = ((reference - observed) ** 2 - error for reference in references)
    n, total, squares, *differences = blocks.sums(np.ones_like(o), o, o * o, *excess)
    return np.asarray(differences / _spread(n, total, squares))


def _spread(n: np.ndarray, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Sum of squared differences from the mean; NaN where that is rounding only."""
    spread = squares - total**2 / n
    return np.where(spread > _ROUNDING * squares, spread, np.nan)
