"""Two methods in one look: agreement of their maps by class, and which is nearer to the truth."""

import math
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from xbinn.errors import InputError
from xbinn.plotting.captions import wrap
from xbinn.plotting.colours import BLUE, NO_VALUE, VERMILION
from xbinn.plotting.sheets import sheet
from xbinn.science.agreement import ALL, METHODS, QUANTITY, TIE
from xbinn.variables import PROCESS_NAMES

_NAMES: Final = {"binn": "BINN", "proda": "PRODA"}
_MARKS: Final = {"binn": ("o", BLUE), "proda": ("s", VERMILION)}
_ROW: Final = 0.165
"""Height of a quantity (inch)."""
_SHORT: Final = 3
"""Letters of a class that fit below a column."""
_WIDTHS: Final = (2.2, 1.0)
_X: Final = (
    "RMSE over s.d. of the truth (dimensionless)",
    "correlation with the truth (dimensionless)",
)
_PANELS: Final = 0.75
"""Share of the width that is not names."""
_STEPS: Final = ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))
"""Within a decade: ticks, as many as there is room for."""
_MOST_TICKS: Final = 8


def plot_class_agreement(
    found: xr.Dataset,
    *,
    most: int = 8,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure:
    """Draw correlation, bias and RMSE of two maps for each quantity, overall and by class.

    Parameters
    ----------
    found : Dataset
        From `xbinn.science.compare`.
    most : int
        Columns, of the classes with most cells.
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
        If it is no such Dataset, ``most`` is below 1, or a caption is given with ``figure``.
    """
    if most < 1:
        raise InputError(f"most={most} leaves nothing to draw: give 1 or more")
    _check(found, ("correlation", "bias", "rmse", "standard_deviation"))
    dims = [str(d) for d in found["correlation"].dims if d != QUANTITY]
    by = dims[0] if dims else "cells"
    if not dims:
        found = found.expand_dims({by: [ALL]})
    found = found.transpose(QUANTITY, by, ...)
    classes = found.sizes[by]
    spread = found["standard_deviation"].sel(model=METHODS[1], drop=True).isel({by: 0})
    panels: list[tuple[str, xr.DataArray, str, Normalize]] = [
        ("correlation", found["correlation"], "RdBu", Normalize(-1.0, 1.0)),
        ("bias / s.d.", found["bias"] / spread, "PuOr", Normalize(-2.0, 2.0)),
        ("RMSE / s.d.", found["rmse"] / spread, "Purples", Normalize(0.0, 2.5)),
    ]
    height = 0.7 + _ROW * found.sizes[QUANTITY]
    with sheet(figure, height, title or "BINN against PRODA", caption) as on:
        counts = found["n"].max(QUANTITY).values
        # In their order; all cells together are the first of them.
        kept = np.sort(np.argsort(-counts, kind="stable")[: on.columns(most)])
        labels = [str(label).replace("_", " ") for label in found[by].values[kept]]
        long = len(labels) > 1 and max(map(len, labels)) > _SHORT
        axes = on.figure.subplots(1, len(panels), sharey=True)
        for ax, (what, values, cmap, norm) in zip(axes, panels, strict=True):
            _heat(ax, values.values[:, kept], cmap, norm)
            _line_between(ax, found, np.arange(found.sizes[QUANTITY]))
            ax.set_title(what)
            ax.set_xticks(range(len(labels)), labels, rotation=90 if long else 0)
            ax.xaxis.set_ticks_position("bottom")
        axes[0].set_yticks(range(found.sizes[QUANTITY]), _quantities(found))
        cells = ", ".join(f"{label} {n}" for label, n in zip(labels, counts[kept], strict=True))
        on.describe(
            (
                "Maps of BINN and PRODA against each other, cell by cell: correlation, mean of "
                "BINN minus PRODA, and root mean squared difference, the last two over the "
                "standard deviation of PRODA's map over all cells, all dimensionless; below "
                "the line, processes",
                f"Columns: {by.replace('_', ' ')}, with the number of cells ({cells})"
                + (f", the {len(kept)} of {classes} with most" if len(kept) < classes else "")
                if dims
                else f"{counts[0]} cells",
                "Grey: fewer than 3 cells, or a map that does not vary",
                caption,
            )
        )
    return on.root


def plot_nearness(
    found: xr.Dataset,
    *,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure:
    """Draw how far the maps of two methods are from a known truth, and which is nearer.

    Parameters
    ----------
    found : Dataset
        From `xbinn.science.agreement.compare_with_truth`.
    figure : Figure or SubFigure, optional
        Where to draw, with constrained layout; letters grow with its size, and there is no
        caption. By default a new figure.
    title : str, optional
        Say here if the data are idealised.
    caption : str, optional
        What the truth is; it follows the description of the figure.

    Raises
    ------
    InputError
        If it is no such Dataset, or a caption is given with ``figure``.
    """
    _check(found, ("relative_rmse", "correlation", "nearer"))
    nearer = found["nearer"].values
    rows = np.arange(found.sizes[QUANTITY])
    height = 0.9 + _ROW * len(rows)
    with sheet(figure, height, title or "Which is nearer to the truth", caption) as on:
        axes = on.figure.subplots(1, 2, sharey=True, width_ratios=_WIDTHS)
        distance, likeness = axes
        for ax, name in ((distance, "relative_rmse"), (likeness, "correlation")):
            values = found[name].transpose("model", QUANTITY)
            ax.hlines(rows, values.min("model"), values.max("model"), color="0.8", lw=0.8, zorder=1)
            for method, (mark, colour) in _MARKS.items():
                here = values.sel(model=method).values
                for wins in (False, True):
                    chosen = (nearer == method) == wins
                    ax.scatter(
                        here[chosen],
                        rows[chosen],
                        s=22,
                        marker=mark,
                        edgecolors=colour,
                        facecolors=colour if wins else "white",
                        linewidths=1.0,
                        zorder=3,
                    )
            ax.grid(axis="x", color="0.92", zorder=0)
            ax.spines[["top", "right"]].set_visible(False)
            _line_between(ax, found, rows)
        distance.axvline(1.0, color="0.2", lw=0.9, ls="--", zorder=2)
        distance.set_xscale("log")
        distance.xaxis.set_major_locator(FixedLocator(_log_ticks(*distance.get_xlim())))
        distance.xaxis.set_minor_locator(NullLocator())
        distance.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        for ax, text, share in zip(axes, _X, _WIDTHS, strict=True):
            ax.set_xlabel(wrap(text, _PANELS * on.width * share / sum(_WIDTHS), 7.0))
        likeness.xaxis.set_major_locator(MaxNLocator(4))
        likeness.axvline(0.0, color="0.6", lw=0.6, zorder=2)
        distance.set_yticks(rows, _quantities(found))
        distance.set_ylim(len(rows) - 0.4, -0.6)
        on.legend(_handles(), columns=len(METHODS))
        won = {name: int((nearer == name).sum()) for name in (*METHODS, TIE)}
        on.describe(
            (
                f"Maps of both methods against the truth in {int(found['n'].max())} cells; "
                "below the line, processes",
                "Filled where that method is nearer: the 90 % interval of the difference in "
                "RMSE, from resampling blocks of cells, holds no zero; with both hollow it is "
                f"a tie (BINN nearer {won['binn']}, PRODA {won['proda']}, ties {won[TIE]})",
                "Right of the dashed line the mean of the truth would be a better map",
                caption,
            )
        )
    return on.root


def _log_ticks(low: float, high: float) -> list[float]:
    """Choose round numbers between the ends of a logarithmic axis.

    Examples
    --------
    >>> _log_ticks(0.4, 3.5), _log_ticks(0.03, 7.0)
    ([0.5, 0.7, 1.0, 1.5, 2.0, 3.0], [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0])
    """
    decades = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    ticks: list[float] = []
    for steps in _STEPS:
        every = [float(f"{step}e{decade}") for decade in decades for step in steps]
        ticks = [tick for tick in every if low <= tick <= high]
        if len(ticks) <= _MOST_TICKS:
            break
    return ticks[:: math.ceil(len(ticks) / _MOST_TICKS) or 1]


def _check(found: xr.Dataset, needed: tuple[str, ...]) -> None:
    missing = [name for name in needed if name not in found.variables]
    if missing or QUANTITY not in found.dims:
        raise InputError(
            f"this is no comparison of maps: it lacks {', '.join(missing) or QUANTITY}; give a "
            "result of xbinn.science.compare or xbinn.science.agreement.compare_with_truth"
        )


def _quantities(found: xr.Dataset) -> list[str]:
    return [
        str(name).replace("_", " ") if name in PROCESS_NAMES else str(name)
        for name in found[QUANTITY].values
    ]


def _line_between(ax: Axes, found: xr.Dataset, rows: np.ndarray) -> None:
    """Between parameters and processes."""
    parameters = int((found["kind"] == "parameter").sum())
    if 0 < parameters < len(rows):
        ax.axhline(parameters - 0.5, color="0.2", lw=0.8)


def _heat(ax: Axes, values: np.ndarray, cmap: str, norm: Normalize) -> None:
    colours = mpl.colormaps[cmap].with_extremes(bad=NO_VALUE)
    ax.imshow(np.ma.masked_invalid(values), cmap=colours, norm=norm, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            red, green, blue, _ = colours(norm(value))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            letters: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": "small"}
            ax.text(column, row, _short(value), color="white" if dark else "0.1", **letters)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _short(value: float) -> str:
    """Write a number that fits into a narrow column.

    Examples
    --------
    >>> [_short(value) for value in (-0.001, 0.07, -0.59, 1.0, -1.56, 23.4)]
    ['.00', '.07', '−.59', '1.00', '−1.6', '23']
    """
    rounded = round(value, 2) + 0.0  # no -0.00
    if abs(rounded) < 1.0:
        text = f"{rounded:.2f}".replace("0.", ".", 1)
    elif abs(rounded) == 1.0:
        text = f"{rounded:.2f}"
    else:
        text = f"{value:.1f}" if abs(value) < 10.0 else f"{value:.0f}"
    return text.replace("-", "−")


def _handles() -> list[Line2D]:
    return [
        Line2D([], [], ls="none", marker=mark, color=colour, ms=4.5, label=_NAMES[method])
        for method, (mark, colour) in _MARKS.items()
    ]
