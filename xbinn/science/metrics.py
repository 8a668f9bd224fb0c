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


_SCORES: Final[Mapping[str, tuple[Callable[[np.ndarray, np.ndarray], float], str | None, str]]] = {
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
    values = {name: np.full((len(SCALES), len(DEPTH_RANGES)), np.nan) for name in _SCORES}
    n = np.zeros(len(DEPTH_RANGES), dtype=np.int64)
    for column, name in enumerate(DEPTH_RANGES):
        chosen = in_depth_range(top, bottom, name)
        n[column] = chosen.sum()
        for row, scale in enumerate(SCALES):
            pair = on_scale(modelled[chosen], scale), on_scale(observed[chosen], scale)
            for score, (function, _, _) in _SCORES.items():
                values[score][row, column] = function(*pair)
    dims = ("scale", "depth_range")
    data: dict[str, Any] = {
        name: (dims, values[name], {"long_name": long_name} | ({"units": units} if units else {}))
        for name, (_, units, long_name) in _SCORES.items()
    }
    data["n"] = (("depth_range",), n, {"units": "1", "long_name": "number of samples"})
    for name in ("rmse", "bias"):
        data[name][2]["comment"] = "kg m-3 on the linear scale, 1 (natural logarithm) on the log"
    return xr.Dataset(data, coords={"scale": list(SCALES), "depth_range": list(DEPTH_RANGES)})


def block_bootstrap_gain(
    modelled: np.ndarray,
    reference: np.ndarray,
    observed: np.ndarray,
    block: np.ndarray,
    *,
    draws: int = 1000,
    level: float = 0.9,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Gain in R2 over a reference, with an interval from resampling spatial blocks.

    Samples of one block are not independent; blocks are drawn with replacement.

    Parameters
    ----------
    modelled, reference, observed : ndarray (sample,)
        All on the same scale.
    block : ndarray (sample,)
        Block of each sample.
    draws : int
        Number of resamples.
    level : float
        Of the interval.
    seed : int
        Of the resampling.

    Returns
    -------
    gain, low, high : float
        R2(modelled) - R2(reference) and its interval.
    """
    number = np.unique(block, return_inverse=True)[1]
    n_blocks = int(number.max()) + 1
    terms = np.stack(
        [
            np.ones_like(observed),
            observed,
            observed**2,
            (modelled - observed) ** 2,
            (reference - observed) ** 2,
        ]
    )
    by_block = np.stack([np.bincount(number, t, n_blocks) for t in terms])
    weights = np.random.default_rng(seed).multinomial(
        n_blocks, np.full(n_blocks, 1.0 / n_blocks), size=draws
    )
    gains = _gain(weights @ by_block.T)
    tail = 50.0 * (1.0 - level)
    low, high = np.nanpercentile(gains, [tail, 100.0 - tail])
    return float(_gain(by_block.sum(axis=1)[None])[0]), float(low), float(high)


def _gain(sums: np.ndarray) -> np.ndarray:
    """R2 gain from sums of (1, o, o^2, squared errors of both), (draw, 5) -> (draw,)."""
    n, total, squares, error, reference_error = sums.T
    spread = squares - total**2 / n
    return np.asarray((reference_error - error) / spread)
