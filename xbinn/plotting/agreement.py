"""Observed against modelled SOC density, sample by sample."""

from typing import Any, Final, overload

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from xbinn.constants import SOC_FLOOR
from xbinn.errors import InputError
from xbinn.plotting.captions import (
    add_caption,
    new_figure,
    pretty_units,
    refuse_caption,
    sentences,
    style,
)
from xbinn.science.metrics import bias, on_scale, r2, rmse

_UNITS: Final = pretty_units("kg m-3")
_CELLS: Final = 45
"""Hexagons across."""
_SIDE: Final = 4.6
_BAR: Final = 0.8


@overload
def plot_agreement(
    modelled: npt.ArrayLike,
    observed: npt.ArrayLike,
    *,
    ax: None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure: ...
@overload
def plot_agreement(
    modelled: npt.ArrayLike,
    observed: npt.ArrayLike,
    *,
    ax: Axes,
    title: str | None = None,
    caption: None = None,
) -> Axes: ...
def plot_agreement(
    modelled: npt.ArrayLike,
    observed: npt.ArrayLike,
    *,
    ax: Axes | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure | Axes:
    """Draw observed against modelled SOC density on logarithmic axes, with scores.

    Parameters
    ----------
    modelled, observed : array_like (sample,)
        SOC density [kg m-3], sample by sample.
    ax : Axes, optional
        Where to draw. By default a new figure.
    title : str, optional
        By default "Observed against modelled soil organic carbon". Say here if the data are
        idealised.
    caption : str, optional
        Where data and model come from, and whether the fit has seen the samples; it follows the
        description of the figure.

    Returns
    -------
    Figure or Axes
        The new figure, or ``ax`` where it was given.

    Raises
    ------
    InputError
        If the arrays do not match, hold no or impossible samples, or a caption is given with
        ``ax``.

    Examples
    --------
    >>> from xbinn.plotting import plot_agreement
    >>> figure = plot_agreement([1.0, 10.0, 30.0], [2.0, 9.0, 35.0], title="An idealised example")
    >>> [text.get_text().splitlines()[0] for text in figure.axes[0].texts]
    ['n = 3']
    """
    refuse_caption(ax, caption)
    pair = _checked(modelled, observed)
    heading = title or "Observed against modelled soil organic carbon"
    if ax is not None:
        _draw(ax, *pair, letters="small")
        ax.set_title(title or "")
        return ax
    floored = int((np.minimum(*pair) < SOC_FLOOR).sum())
    with style():
        figure = new_figure(_SIDE, heading, width=_SIDE + _BAR)
        _draw(figure.add_subplot(), *pair)
        description = sentences(
            (
                f"Observed against modelled soil organic carbon (SOC) density ({_UNITS}) of "
                f"{pair[0].size} samples; colours count the samples in a hexagon, the line is 1:1",
                "R² is 1 - SSE/SST pooled over samples, bias the mean of modelled minus observed",
                f"For R² of ln and on the axes, {floored} samples below {SOC_FLOOR:g} {_UNITS} "
                "stand at that floor"
                if floored
                else None,
                caption,
            )
        )
        add_caption(figure, description)
    return figure


def _checked(modelled: npt.ArrayLike, observed: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    pair = np.asarray(modelled, dtype=np.float64), np.asarray(observed, dtype=np.float64)
    if pair[0].shape != pair[1].shape or pair[0].ndim != 1:
        raise InputError(
            f"modelled has shape {pair[0].shape} and observed {pair[1].shape}: give one value of "
            "each per sample"
        )
    if not pair[0].size:
        raise InputError("there are no samples to draw: choose profiles inside the grid")
    for name, values in zip(("modelled", "observed"), pair, strict=True):
        bad = ~np.isfinite(values) | (values < 0.0)
        if bad.any():
            raise InputError(
                f"{name} has {int(bad.sum())} values that are missing or negative, such as sample "
                f"{int(np.flatnonzero(bad)[0])}: leave those samples out of both arrays"
            )
    return pair


def _draw(ax: Axes, modelled: np.ndarray, observed: np.ndarray, letters: str = "medium") -> None:
    x, y = np.maximum(modelled, SOC_FLOOR), np.maximum(observed, SOC_FLOOR)
    low, high = 0.8 * min(x.min(), y.min()), 1.25 * max(x.max(), y.max())
    logs = np.log10([low, high])
    # The norm is ours: bins="log" labels the colour bar with logarithms in some versions.
    hexagons = ax.hexbin(
        x,
        y,
        xscale="log",
        yscale="log",
        gridsize=_CELLS,
        extent=(*logs, *logs),
        mincnt=1,
        cmap="viridis",
        norm=LogNorm(1, None),
        linewidths=0.1,
    )
    ax.plot([low, high], [low, high], color="0.1", lw=1.0, ls="--")
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    ax.set_xlabel(f"modelled SOC density ({_UNITS})")
    ax.set_ylabel(f"observed SOC density ({_UNITS})")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g}")
    hexagons.set_clim(1, max(10, float(hexagons.get_clim()[1] or 1)))
    bar: Any = ax.figure.colorbar(hexagons, cax=ax.inset_axes((1.02, 0.0, 0.035, 1.0)))
    bar.formatter = "{x:g}"
    bar.set_label("samples per hexagon (count)")
    ax.text(
        0.03,
        0.97,
        _scores(modelled, observed),
        transform=ax.transAxes,
        va="top",
        fontsize=letters,
        bbox={"facecolor": "white", "edgecolor": "0.7", "alpha": 0.9, "boxstyle": "round"},
    )


def _scores(modelled: np.ndarray, observed: np.ndarray) -> str:
    logs = on_scale(modelled, "log"), on_scale(observed, "log")
    return "\n".join(
        (
            f"n = {observed.size}",
            f"R² = {r2(modelled, observed):.2f}",
            f"R² of ln = {r2(*logs):.2f}",
            f"RMSE = {rmse(modelled, observed):.1f} {_UNITS}",
            f"bias = {bias(modelled, observed):+.1f} {_UNITS}",
        )
    ).replace("-", "−")
