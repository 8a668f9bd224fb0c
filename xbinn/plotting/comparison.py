"""Two maps against each other, cell by cell, quantity by quantity."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from xbinn.errors import InputError
from xbinn.plotting.captions import WIDTH, pretty_units, wrap
from xbinn.plotting.sheets import sheet
from xbinn.science.agreement import COMPARED_PROCESSES, QUANTITIES, compare

_CELLS: Final = 30
"""Hexagons across."""
_COLUMNS: Final = 3
_SIDE: Final = 2.3
_TAILS: Final = (0.5, 99.5)
"""Percentiles of both maps together at which panels end."""


def plot_comparison(
    binn: xr.Dataset,
    proda: xr.Dataset,
    *,
    quantities: Sequence[str] = COMPARED_PROCESSES,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure:
    """Draw BINN against PRODA, a panel for each quantity, with the scores of `compare`.

    Parameters
    ----------
    binn, proda : Dataset
        As for `xbinn.science.compare`.
    quantities : sequence of str
        Parameters or processes to draw; by default the six processes.
    figure : Figure or SubFigure, optional
        Where to draw, with constrained layout; letters grow with its size, and there is no
        caption. By default a new figure.
    title : str, optional
        Say here if the data are idealised.
    caption : str, optional
        Where data and models come from; it follows the description of the figure.

    Raises
    ------
    InputError
        If a quantity is none of those compared, none is given, or a caption is given with
        ``figure``, and as `compare`.
    """
    unknown = [name for name in quantities if name not in QUANTITIES]
    if unknown or not quantities or isinstance(quantities, str):
        raise InputError(
            f"quantities={quantities!r} cannot be drawn: give a sequence of one or more of "
            f"{', '.join(QUANTITIES)}"
        )
    found = compare(binn, proda).compute()
    columns = min(_COLUMNS, len(quantities))
    rows = math.ceil(len(quantities) / columns)
    # A caption needs the width of two.
    width = WIDTH * max(columns, 2) / _COLUMNS
    heading = title or "BINN against PRODA"
    with sheet(figure, 0.4 + rows * _SIDE, heading, caption, width=width) as on:
        columns = on.columns(columns)
        rows = math.ceil(len(quantities) / columns)
        grid = on.figure.subplots(rows, columns, squeeze=False)
        for ax in grid.flat[len(quantities) :]:
            ax.remove()
        norm = LogNorm(1, None)
        panels = [
            _panel(ax, binn[name], proda[name], found.sel(quantity=name), norm)
            for ax, name in zip(grid.flat, quantities, strict=False)
        ]
        _share_colours(on.figure, list(grid.flat[: len(quantities)]), panels)
        cells = found["n"].sel(quantity=list(quantities))
        on.describe(
            (
                f"BINN against PRODA in {int(cells.max())} cells, units above the panels; "
                "colours count the cells in a hexagon, the dashed line is 1:1",
                "r is the correlation over all cells, bias the mean of BINN minus PRODA, in "
                "the units of the panel",
                f"Panels end at the {_TAILS[0]:g}th and {_TAILS[1]:g}th percentile of both "
                "maps together; scores are of all cells",
                caption,
            )
        )
    return on.root


def _panel(
    ax: Axes, binn: xr.DataArray, proda: xr.DataArray, scores: xr.Dataset, norm: LogNorm
) -> Any:
    x, y = proda.values.ravel(), binn.transpose(*proda.dims).values.ravel()
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    low, high = np.percentile(np.concatenate([x, y]), _TAILS) if x.size else (0.0, 1.0)
    margin = 0.04 * (high - low) or 0.04 * (abs(high) or 1.0)
    low, high = low - margin, high + margin
    hexagons = ax.hexbin(
        x, y, gridsize=_CELLS, extent=(low, high, low, high), mincnt=1, norm=norm, linewidths=0.1
    )
    ax.plot([low, high], [low, high], color="0.1", lw=0.9, ls="--")
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(4))
    ax.ticklabel_format(scilimits=(-3, 4))
    ax.set_xlabel("PRODA")
    ax.set_ylabel("BINN")
    label = str(scores["quantity"].item()).replace("_", " ")
    said = f"r = {float(scores['correlation']):.2f}, bias = {float(scores['bias']):+.2g}"
    head = wrap(f"{label} ({pretty_units(str(scores['units'].item()))})", _SIDE, 7.0)
    ax.set_title(f"{head}\n{said}".replace("-", "−"), fontsize="medium")
    return hexagons


def _share_colours(figure: Figure | SubFigure, axes: list[Axes], panels: list[Any]) -> None:
    """One scale of counts for all panels."""
    most = max(10.0, *(float(np.max(p.get_array())) for p in panels if len(p.get_array())))
    for panel in panels:
        panel.set_clim(1, most)
    bar: Any = figure.colorbar(panels[0], ax=axes, shrink=0.6, aspect=30)
    bar.formatter = "{x:g}"
    bar.set_label("cells per hexagon (count)")
