"""Do intervals hold what they promise? Coverage, and the probability integral transform."""

from typing import Final, overload

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from xbinn.errors import InputError
from xbinn.plotting.captions import refuse_caption, shortened
from xbinn.plotting.colours import BLUE, VERMILION
from xbinn.plotting.sheets import sheet

_NEEDED: Final = ("coverage", "coverage_low", "coverage_high", "pit")
_OF: Final = {
    "observation": ("observations", BLUE, "o"),
    "modelled_mean": ("modelled mean", VERMILION, "s"),
}
_HEIGHT: Final = 3.2
"""Without the caption (inch)."""
_BINS: Final = 10
_APART: Final = 0.006
"""Bars of two kinds stand side by side."""


@overload
def plot_calibration(
    found: xr.Dataset,
    *,
    depth_range: str = "all",
    ax: None = None,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure: ...
@overload
def plot_calibration(
    found: xr.Dataset,
    *,
    depth_range: str = "all",
    ax: Axes,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Axes: ...
def plot_calibration(
    found: xr.Dataset,
    *,
    depth_range: str = "all",
    ax: Axes | None = None,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure | Axes:
    """Draw how often intervals hold held-out observations, and where in them these lie.

    Parameters
    ----------
    found : Dataset
        From `xbinn.science.calibration.calibration`.
    depth_range : str
        Samples whose coverage is drawn, one of its depth ranges.
    ax : Axes, optional
        Where to draw the coverage alone.
    figure : Figure or SubFigure, optional
        Where to draw all panels, with constrained layout; letters grow with its size, and there is
        no caption. By default a new figure.
    title : str, optional
        Say here if the data are idealised.
    caption : str, optional
        Where data and model come from; it follows the description of the figure.

    Returns
    -------
    Figure or Axes
        Panel (a) coverage, panel (b) the histogram of the PIT of all samples; or ``ax``.

    Raises
    ------
    InputError
        If ``found`` is no such result, has no such depth range, a caption is given with ``ax`` or
        ``figure``, or both of these are.
    """
    refuse_caption(ax, caption, figure)
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise InputError(
            f"found lacks {', '.join(missing)}: give the result of "
            "xbinn.science.calibration.calibration(ds, model, profiles)"
        )
    known = [str(name) for name in found["depth_range"].values]
    if depth_range not in known:
        raise InputError(
            f"depth_range={depth_range!r} is not there: choose one of {', '.join(map(repr, known))}"
        )
    one = found.sel(depth_range=depth_range)
    if ax is not None:
        _coverage(ax, one)
        ax.set_title(title or "")
        return ax
    pit = found["pit"].values
    pit = pit[np.isfinite(pit)]
    heading = title or "Calibration of intervals on held-out profiles"
    with sheet(figure, _HEIGHT, heading, caption, small=False) as on:
        columns = on.columns(2)
        left, right = on.figure.subplots(2 // columns, columns, squeeze=False).ravel()
        _coverage(left, one)
        left.set_title("(a) coverage", loc="left")
        _histogram(right, pit)
        right.set_title("(b) place in the distribution", loc="left")
        chosen = "" if depth_range == "all" else f" of {depth_range}"
        on.describe(
            (
                f"(a) Share of {int(one['n'])} held-out samples{chosen} that lie in central "
                "intervals of each level, with 90 % intervals from resampling blocks; dashed: "
                "as promised. Intervals of the modelled mean hold no noise of observations and "
                "are not meant to hold them",
                f"(b) Probability of an observation up to the one made (PIT), {pit.size} "
                "samples of all depths; even, as dashed, where the distribution is right, high "
                "at both ends where it is too narrow, high in the middle where too wide",
                f"Source: {shortened(found.attrs['source'])}" if "source" in found.attrs else None,
                caption,
            )
        )
    return on.root


def _coverage(ax: Axes, one: xr.Dataset) -> None:
    ax.plot([0.0, 1.0], [0.0, 1.0], color="0.2", lw=0.9, ls="--")
    for number, (name, (label, colour, mark)) in enumerate(_OF.items()):
        values = one.sel(interval_of=name)
        level = values["level"].values + (2 * number - 1) * _APART
        low, high = values["coverage_low"].values, values["coverage_high"].values
        ax.vlines(level, low, high, color=colour, lw=1.2)
        ax.plot(
            level, values["coverage"].values, mark + "-", color=colour, ms=4.5, lw=1.0, label=label
        )
    ax.set(xlim=(0.0, 1.0), ylim=(0.0, 1.0), aspect="equal")
    ax.set_xlabel("nominal level (dimensionless)")
    ax.set_ylabel("coverage (dimensionless)")
    ax.legend(title="intervals of", loc="upper left", frameon=False)
    ax.spines[["top", "right"]].set_visible(False)


def _histogram(ax: Axes, pit: np.ndarray) -> None:
    count, edges = np.histogram(pit, bins=_BINS, range=(0.0, 1.0))
    ax.stairs(count * _BINS / max(pit.size, 1), edges, fill=True, color=BLUE, alpha=0.75)
    ax.axhline(1.0, color="0.2", lw=0.9, ls="--")
    ax.set(xlim=(0.0, 1.0))
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel("PIT (dimensionless)")
    ax.set_ylabel("density (dimensionless)")
    ax.spines[["top", "right"]].set_visible(False)
