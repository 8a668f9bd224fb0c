"""Residuals against distance."""

from typing import Final, overload

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xbinn.errors import InputError
from xbinn.plotting.captions import (
    add_caption,
    label_of,
    new_figure,
    refuse_caption,
    sentences,
    style,
    wrap,
)
from xbinn.plotting.colours import BLUE

_NEEDED: Final = ("semivariance", "pairs", "variance")
_SMALLEST, _LARGEST = 8.0, 70.0
"""Area of marks (square point)."""
_ROOM: Final = 2.0
"""For the label of the vertical axis (inch)."""


@overload
def plot_semivariogram(
    found: xr.Dataset,
    *,
    ax: None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure: ...
@overload
def plot_semivariogram(
    found: xr.Dataset,
    *,
    ax: Axes,
    title: str | None = None,
    caption: None = None,
) -> Axes: ...
def plot_semivariogram(
    found: xr.Dataset,
    *,
    ax: Axes | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure | Axes:
    """Draw the semivariogram of residuals.

    Parameters
    ----------
    found : Dataset
        From `xbinn.science.semivariogram.semivariogram`.
    ax : Axes, optional
        Where to draw. By default a new figure.
    title : str, optional
        Say here if the data are idealised.
    caption : str, optional
        Where data and model come from; it follows the description of the figure.

    Returns
    -------
    Figure or Axes
        The new figure, or ``ax`` where it was given.

    Raises
    ------
    InputError
        If ``found`` is no such result, or a caption is given with ``ax``.
    """
    refuse_caption(ax, caption)
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise InputError(
            f"found lacks {', '.join(missing)}: give the result of "
            "xbinn.science.semivariogram.semivariogram(cv.predictions)"
        )
    if ax is not None:
        _draw(ax, found)
        ax.set_title(title or "")
        return ax
    with style():
        figure = new_figure(2.9, title or "Semivariogram of residuals", width=4.6)
        _draw(figure.add_subplot(), found)
        least, most = int(found["pairs"].min()), int(found["pairs"].max())
        add_caption(
            figure,
            sentences(
                (
                    f"Half the mean squared difference of residuals, observed minus modelled ln of "
                    f"SOC density, of two of {found.attrs['profiles']} profiles "
                    f"({found.attrs['depth_range']}), by their distance; areas of marks grow with "
                    f"the number of pairs, {least} to {most}. Dashed: the variance of all "
                    "residuals",
                    "A rise with distance is what the covariates leave unexplained in space",
                    caption,
                )
            ),
        )
    return figure


def _draw(ax: Axes, found: xr.Dataset) -> None:
    pairs = found["pairs"].values
    area = _SMALLEST + (_LARGEST - _SMALLEST) * pairs / max(int(pairs.max()), 1)
    ax.axhline(float(found["variance"]), color="0.2", lw=0.9, ls="--")
    ax.plot(found["distance"], found["semivariance"], color=BLUE, lw=1.0)
    ax.scatter(found["distance"], found["semivariance"], s=area, color=BLUE, zorder=3)
    ax.set_xlim(left=0.0)
    ax.set_ylim(bottom=0.0, top=1.15 * float(max(found["semivariance"].max(), found["variance"])))
    ax.set_xlabel(label_of("distance", found["distance"].attrs))
    ax.set_ylabel(wrap(label_of("semivariance", found["semivariance"].attrs), _ROOM, 8.0))
    ax.spines[["top", "right"]].set_visible(False)
