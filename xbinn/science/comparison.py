"""A model beside its rivals on the same samples, by depth and by class, each with its interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr

from xbinn.science.metrics import (
    DEPTH_RANGES,
    LEVEL,
    SCALES,
    SCORES,
    BlockBootstrap,
    block_bootstrap_gain,
    in_depth_range,
    on_scale,
    score_intervals,
)

MODEL: Final = "xbinn"
ALL: Final = "all"
"""Name of the class that holds every sample."""

_TAIL: Final = 50.0 * (1.0 - LEVEL)
_BOUNDS: Final[Mapping[str, str]] = {
    "_low": f"{_TAIL:.0f} % quantile over resampled blocks: ",
    "_high": f"{100.0 - _TAIL:.0f} % quantile over resampled blocks: ",
}


@dataclass(frozen=True, eq=False)
class Held:
    """Samples that nothing was learnt from.

    Attributes
    ----------
    observed : ndarray (sample,)
        SOC density [kg m-3].
    top, bottom : ndarray (sample,)
        Intervals [m].
    block : ndarray (sample,)
        Spatial block of each sample.
    by : str or None
        What the classes are of, the name of their dimension.
    label : ndarray (sample,)
        Class of each sample, text; empty where it has none.
    """

    observed: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    block: np.ndarray
    by: str | None = None
    label: np.ndarray | None = None


def compare(
    linear: Mapping[str, np.ndarray], log: Mapping[str, np.ndarray], held: Held
) -> tuple[xr.Dataset, xr.Dataset]:
    """Score everything on the same samples.

    Parameters
    ----------
    linear, log : mapping of str to ndarray
        SOC (sample,) [kg m-3] of the model, first and called `MODEL`, and of its rivals, as they
        are to be scored on the linear and on the log scale.
    held : Held
        The samples.

    Returns
    -------
    scores : Dataset
        ``r2``, ``rmse``, ``bias``, ``correlation`` and of each ``_low`` and ``_high`` (model,
        scale, depth_range, class), and ``n`` (depth_range, class). The last dimension is there
        where samples have classes, and has the name of what they are of.
    gains : Dataset
        Gain in R2 of the model over every rival, ``gain``, ``low``, ``high`` and ``tie``
        (baseline, scale, depth_range, class).
    """
    strata = _strata(held)
    names = list(linear)
    rivals = [name for name in names if name != MODEL]
    shape = (len(SCALES), *strata.shape)
    scores = {k: np.full((3, len(names), *shape), np.nan) for k in SCORES}
    gains = np.full((3, len(rivals), *shape), np.nan)
    n = np.zeros(strata.shape, dtype=np.int64)
    for index, chosen in np.ndenumerate(strata):
        n[index] = len(chosen)
        if not len(chosen):
            continue
        blocks = BlockBootstrap(held.block[chosen])
        for row, (scale, modelled) in enumerate(zip(SCALES, (linear, log), strict=True)):
            observed = on_scale(held.observed[chosen], scale)
            said = {name: on_scale(modelled[name][chosen], scale) for name in names}
            for column, name in enumerate(names):
                intervals = score_intervals(said[name], observed, blocks)
                for score, (function, _, _) in SCORES.items():
                    found = (function(said[name], observed), *intervals[score])
                    scores[score][(slice(None), column, row, *index)] = found
            for column, name in enumerate(rivals):
                found = block_bootstrap_gain(said[MODEL], said[name], observed, blocks)
                gains[(slice(None), column, row, *index)] = found
    return _label_scores(scores, n, names, held), _label_gains(gains, rivals, held)


def _strata(held: Held) -> np.ndarray:
    """Samples of every depth range and class, (depth_range[, class]) of arrays of their numbers."""
    depths = [in_depth_range(held.top, held.bottom, name) for name in DEPTH_RANGES]
    if held.label is None:
        return _numbers([[d] for d in depths])[:, 0]
    labels = [held.label == name for name in _classes(held)[1:]]
    everything = np.ones(len(held.observed), dtype=bool)
    return _numbers([[d & c for c in (everything, *labels)] for d in depths])


def _numbers(masks: list[list[np.ndarray]]) -> np.ndarray:
    """Where masks are true, as an array of arrays of which numpy makes no larger one."""
    found = np.empty((len(masks), len(masks[0])), dtype=object)
    for index in np.ndindex(*found.shape):
        found[index] = np.flatnonzero(masks[index[0]][index[1]])
    return found


def _classes(held: Held) -> list[str]:
    assert held.label is not None
    return [ALL, *(str(name) for name in np.unique(held.label) if name)]


def _coords(held: Held) -> dict[str, Any]:
    coords: dict[str, Any] = {"scale": list(SCALES), "depth_range": list(DEPTH_RANGES)}
    return coords if held.by is None else coords | {held.by: _classes(held)}


def _label_scores(
    scores: Mapping[str, np.ndarray], n: np.ndarray, names: list[str], held: Held
) -> xr.Dataset:
    coords = _coords(held)
    data: dict[str, Any] = {}
    for name, (_, units, long_name) in SCORES.items():
        given = {"units": units} if units else {"comment": "kg m-3 on linear, ln units on log"}
        parts = {"": "", **_BOUNDS}.items()
        for (suffix, what), values in zip(parts, scores[name], strict=True):
            attrs = {"long_name": what + long_name} | given
            data[name + suffix] = (("model", *coords), values, attrs)
    data["n"] = (tuple(coords)[1:], n, {"units": "1", "long_name": "number of samples"})
    return xr.Dataset(data, {"model": names} | coords)


def _label_gains(gains: np.ndarray, rivals: list[str], held: Held) -> xr.Dataset:
    coords = _coords(held)
    dims = ("baseline", *coords)
    gain, low, high = gains
    what = "gain in R2 over the baseline"
    return xr.Dataset(
        {
            "gain": (dims, gain, {"units": "1", "long_name": what}),
            "low": (dims, low, {"units": "1", "long_name": _BOUNDS["_low"] + what}),
            "high": (dims, high, {"units": "1", "long_name": _BOUNDS["_high"] + what}),
            "tie": (
                dims,
                # Also where there is no interval: nothing is shown to be better there.
                ~((low > 0.0) | (high < 0.0)),
                {"long_name": "interval holds zero"},
            ),
        },
        coords={"baseline": rivals} | coords,
    )
