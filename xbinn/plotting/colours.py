"""From values to colours: limits that outliers do not stretch, and what the reader must know."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Colormap, LogNorm, Normalize

from xbinn.errors import InputError

NO_VALUE: Final = "0.87"
"""Light grey of cells without a value."""

BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
GREEN: Final = "#009E73"
"""Lines and marks, told apart by colour-blind readers too (Okabe and Ito 2008)."""

_PERCENTILES: Final = (2.0, 98.0)
_DECADES: Final = 2.0
"""A positive field that spans more is drawn on a logarithmic scale."""
_EXTEND: Final[Mapping[tuple[bool, bool], Literal["neither", "both", "min", "max"]]] = {
    (False, False): "neither",
    (True, True): "both",
    (True, False): "min",
    (False, True): "max",
}
"""By whether values lie below and above the limits."""
_SEQUENTIAL: Final = "viridis"
_DIVERGING: Final = "RdBu_r"


@dataclass(frozen=True)
class Colours:
    """How a field is coloured; ``extend`` is that of the colour bar."""

    cmap: Colormap
    norm: Normalize
    extend: Literal["neither", "both", "min", "max"]
    signed: bool = False

    @property
    def logarithmic(self) -> bool:
        """Whether equal steps of colour are equal ratios."""
        return isinstance(self.norm, LogNorm)

    def drawable(self, values: np.ndarray) -> np.ndarray:
        """Values with those that have no logarithm just below the scale, not missing."""
        return (
            np.maximum(values, 0.5 * float(self.norm.vmin or 1.0)) if self.logarithmic else values
        )


def choose_colours(
    values: np.ndarray,
    name: str,
    *,
    cmap: str | None = None,
    limits: tuple[float, float] | None = None,
    log: bool | None = None,
) -> Colours:
    """Choose scale, limits and colour map.

    Parameters
    ----------
    values : ndarray
        Not finite where there is no value.
    name : str
        Of the field, for messages.
    cmap : str, optional
        A colour map of matplotlib; by default sequential, or diverging about zero where the values
        have both signs.
    limits : (float, float), optional
        By default the 2nd and 98th percentile.
    log : bool, optional
        By default where the limits are positive and more than two decades apart.

    Raises
    ------
    InputError
        If no value is finite, or limits and scale do not go together.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise InputError(
            f"{name} has no finite value, so there is nothing to map: status tells why cells of a "
            "prediction have none"
        )
    low, high = limits or map(float, np.percentile(finite, _PERCENTILES))
    if not (np.isfinite(low) and np.isfinite(high) and low <= high) or (limits and low == high):
        raise InputError(f"limits=({low:g}, {high:g}) of {name} must be finite and rise")
    if log is None:
        log = low > 0.0 and bool(np.log10(high / low) > _DECADES)
    signed = limits is None and not log and low < 0.0 < high
    if signed:
        high = max(-low, high)
        low = -high
    if low == high:  # one value everywhere
        margin = 0.05 * abs(low) or 0.5
        low, high = low - margin, high + margin
    if log and low <= 0.0:
        raise InputError(
            f"{name} cannot have a logarithmic scale from {low:g} to {high:g}: give positive "
            "limits=(low, high) or log=False"
        )
    norm = LogNorm(low, high) if log else Normalize(low, high)
    below, above = bool(finite.min() < low), bool(finite.max() > high)
    chosen = mpl.colormaps[cmap or (_DIVERGING if signed else _SEQUENTIAL)]
    return Colours(chosen, norm, _EXTEND[below, above], signed)


def explain_limits(colours: Iterable[Colours], *, given: bool = False) -> str | None:
    """Say in the caption what the arrows of the colour bars hold, if there are any."""
    cut = [c for c in colours if c.extend != "neither"]
    if not cut:
        return None
    ends = "the limits shown" if given else "the 2nd and 98th percentile of the cells"
    if any(c.signed for c in cut):
        ends += " (about zero at the one farther from it, both ways)"
    return f"Colours end at {ends}; arrows hold what lies beyond."
