"""What a fit can know of each parameter and process, and whether its intervals hold the truth."""

from typing import Final

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from xbinn.errors import InputError
from xbinn.plotting.colours import BLUE, GREEN, VERMILION
from xbinn.plotting.sheets import sheet
from xbinn.science.information import PRIOR_DOMINATED
from xbinn.science.synthetic import LIMITS

_GREY: Final = "0.55"
_ROW: Final = 0.17
"""Height of a parameter (inch)."""
_LOWEST: Final = 3.4
"""Height that the legend needs (inch)."""
_ENDS: Final = {0.5: 4.0, 0.9: 1.4}
"""Intervals that are drawn, and the width of their lines (pt)."""
_COLOURS: Final = (BLUE, VERMILION, GREEN, "#CC79A7")
_MARKS: Final = "osD^"
_NEEDED: Final = ("parameter_error_quantile", "parameter_contraction", "parameter_coverage")


def plot_recovery_errors(
    errors: xr.Dataset,
    *,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure:
    """Draw the errors of parameters beside the spread of their truths, and how often they hold.

    Parameters
    ----------
    errors : Dataset
        From `xbinn.science.recovery.recovery_errors`.
    figure : Figure or SubFigure, optional
        Where to draw, with constrained layout; letters grow with its size, and there is no
        caption. By default a new figure.
    title : str, optional
        Say here if the data are idealised.
    caption : str, optional
        Where places and depths come from; it follows the description of the figure.

    Returns
    -------
    Figure
        Panel (a) central 50 % and 90 % of the error of each parameter, the best known on top;
        panel (b) coverage of truths that were left out, by kind.

    Raises
    ------
    InputError
        If ``errors`` are no such result, or a caption is given with ``figure``.
    """
    missing = [name for name in _NEEDED if name not in errors]
    if missing:
        raise InputError(
            f"errors lack {', '.join(missing)}: give the result of "
            "xbinn.science.recovery.recovery_errors(ds, profiles)"
        )
    n = errors.sizes["parameter"]
    heading = title or "What a fit can know of parameters"
    with sheet(figure, max(_LOWEST, 1.6 + _ROW * n), heading, caption) as on:
        columns = on.columns(2)
        left, right = on.figure.subplots(2 // columns, columns, squeeze=False).ravel()
        _intervals(left, errors)
        left.set_title("(a) error of the estimate", loc="left")
        _coverage(right, errors)
        right.set_title("(b) truths within intervals", loc="left")
        spread = errors.attrs["spread"]
        on.describe(
            (
                f"(a) Central 50 % (thick) and 90 % (thin) of truth minus corrected estimate in "
                f"blocks that the fit has not seen, of {errors.sizes['truth']} synthetic truths "
                f"with {100 * errors.attrs['noise']:g} % noise, as fractions of the prior range; "
                f"shaded: 90 % of normal truths about their mean (standard deviation {spread:g}). "
                "Numbers: contraction, 1 - mean square of the error over variance of the truths. "
                f"Blue: identifiability index of {PRIOR_DOMINATED:g} or more, mean over truths",
                "(b) Share of the cells of a truth within intervals that the other truths give, "
                "mean over identifiable parameters and truths of a kind, and over processes of "
                "all; dashed: as promised",
                caption,
            )
        )
    return on.root


def _intervals(ax: Axes, errors: xr.Dataset) -> None:
    """One row a parameter, the best known on top."""
    ordered = errors.sortby("parameter_contraction")
    rows = np.arange(ordered.sizes["parameter"])
    known = (ordered["function_index"].mean("truth") >= PRIOR_DOMINATED).values
    edge = min(1.645 * errors.attrs["spread"], LIMITS[1] - 0.5)
    ax.axvspan(-edge, edge, color="0.93", lw=0)
    ax.axvline(0.0, color="0.75", lw=0.6)
    for level, width in _ENDS.items():
        tails = [0.5 - 0.5 * level, 0.5 + 0.5 * level]
        low, high = ordered["parameter_error_quantile"].interp(quantile=tails).values
        colours = [BLUE if own else _GREY for own in known]
        ax.hlines(rows, low, high, colors=colours, lw=width)
    for row, contraction in zip(rows, ordered["parameter_contraction"].values, strict=True):
        ax.annotate(
            f"{contraction:.2f}",
            (1.0, row),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="center",
        )
    ax.set_yticks(rows, [str(name) for name in ordered["parameter"].values])
    ax.set_ylim(-0.6, rows[-1] + 0.6)
    # Room for the numbers.
    ax.set_xlim(-1.5 * edge, 2.0 * edge)
    ax.set_xlabel("error (fraction of the prior range)")
    ax.spines[["top", "right"]].set_visible(False)


def _coverage(ax: Axes, errors: xr.Dataset) -> None:
    """One line a kind of truth, and one for processes."""
    level = errors["level"].values
    ax.plot([0.0, 1.0], [0.0, 1.0], color="0.5", lw=0.9, ls="--")
    known = errors["function_index"] >= PRIOR_DOMINATED
    kinds = dict.fromkeys(str(kind) for kind in errors["kind"].values)
    handles: list[Line2D] = []
    for number, kind in enumerate(kinds):
        of = errors["parameter_coverage"].where(known & (errors["kind"] == kind))
        handles += ax.plot(
            level,
            of.mean(["truth", "parameter"]),
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKS[number % len(_MARKS)],
            ms=4,
            lw=1.0,
            label=kind,
        )
    handles += ax.plot(
        level,
        errors["process_coverage"].mean(["truth", "process"]),
        color="0.2",
        marker="x",
        ms=4,
        lw=1.0,
        label="processes",
    )
    ax.set(xlim=(0.4, 1.0), ylim=(0.4, 1.0), aspect="equal")
    ax.set_xlabel("level of the interval (1)")
    ax.set_ylabel("share of the cells within (1)")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(handles=handles, frameon=False, loc="lower right")
