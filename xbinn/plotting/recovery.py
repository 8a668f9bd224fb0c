"""Recovered against true parameters and processes, and what profiles can tell of parameters.

All draw a result of `xbinn.science.recovery.recover_parameters`.
"""

import math
from typing import Any, Final

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import NullLocator

from xbinn.errors import InputError
from xbinn.plotting.captions import WIDTH, pretty_units, wrap
from xbinn.plotting.colours import BLUE, GREEN, VERMILION
from xbinn.plotting.sheets import sheet
from xbinn.science.information import PRIOR_DOMINATED, PRIOR_PRECISION

_GREY: Final = "0.55"
_CASES: Final = (BLUE, VERMILION, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "0.2", "0.6")
_MARKS: Final = "osD^vP*X"
_COLUMNS: Final = 6
"""Of panels of parameters: all of them fit on a page."""
_PARAMETER, _PROCESS = 1.5, 2.0
"""Height of a panel and what is above it (inch)."""
_FEW: Final = 100
"""Points that are drawn larger."""
_MODES: Final = 12
"""Eigenvectors drawn at most."""
_LEAST: Final = 1e-3
"""Smallest eigenvalue drawn: nothing beside the prior."""


def plot_recovery(
    found: xr.Dataset,
    case: str,
    *,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure:
    """Draw recovered against true parameters at the held-out cells, identifiable ones in colour.

    Parameters
    ----------
    found : Dataset
        From `xbinn.science.recovery.recover_parameters`.
    case : str
        One of its cases.
    figure : Figure or SubFigure, optional
        Where to draw, with constrained layout; letters grow with its size, and there is no
        caption. By default a new figure.
    title : str, optional
        By default the case. Say here if the data are idealised.
    caption : str, optional
        Where places and depths come from; it follows the description of the figure.

    Raises
    ------
    InputError
        If the result has no such case, or a caption is given with ``figure``.
    """
    one = _case(found, case)
    unknown = one["parameter"].values[one["parameter_rmse"].notnull().values]
    columns, rows = _layout(len(unknown), _COLUMNS)
    heading = title or f"Recovered parameters: {case}"
    with sheet(figure, 0.6 + rows * _PARAMETER, heading, caption, width=_width(columns)) as on:
        columns, rows = _layout(len(unknown), on.columns(columns))
        panels = _panels(on.figure, len(unknown), rows, columns)
        for ax, name in zip(panels, unknown, strict=True):
            _parameter(ax, one.sel(parameter=name), str(name))
        _outer_labels(on.figure, "truth (fraction)", "estimate (fraction)")
        on.describe(
            (
                "Estimated against true parameters, as fractions of their prior range "
                f"(dimensionless), at {one.sizes['site']} cells of held-out blocks: mean of "
                f"{_samples(found)}, the dashed line 1:1",
                "r is the correlation, R² 1 - SSE/SST, cov. the share of the bars that "
                "hold the truth (0.90 if they were calibrated)",
                "I is the identifiability index of parameters that are linear functions of the "
                f"covariates, 0 to 1; blue where it is {PRIOR_DOMINATED:g} or more, grey, "
                "“prior-dominated”, where not",
                f"Synthetic truth; {case}",
                caption,
            )
        )
    return on.root


def plot_recovered_processes(
    found: xr.Dataset,
    case: str,
    *,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure:
    """Draw recovered against true processes at the held-out cells.

    Parameters and errors are those of `plot_recovery`.

    Raises
    ------
    InputError
        If the result has no such case, or a caption is given with ``figure``.
    """
    one = _case(found, case)
    drawn = one["process"].values[one["process_rmse"].notnull().values]
    columns, rows = _layout(len(drawn), 4)
    heading = title or f"Recovered processes: {case}"
    with sheet(figure, 0.9 + rows * _PROCESS, heading, caption, width=_width(columns)) as on:
        columns, rows = _layout(len(drawn), on.columns(columns))
        panels = _panels(on.figure, len(drawn), rows, columns)
        for ax, name in zip(panels, drawn, strict=True):
            _process(ax, one.sel(process=name))
        _outer_labels(on.figure, "true process", "estimate")
        left_out = [str(n).replace("_", " ") for n in one["process"].values if n not in drawn]
        kind = "mean" if found.attrs["truths"] else "geometric mean"
        on.describe(
            (
                f"Estimated against true processes at {one.sizes['site']} cells of held-out "
                "blocks, units above the panels, axes logarithmic: "
                f"{kind} of {_samples(found)}, the dashed line 1:1",
                "r is the correlation and R² 1 - SSE/SST of logarithms, cov. the share of the "
                "bars that hold the truth (0.90 if they were calibrated)",
                f"Not drawn, since it follows from what is known: {', '.join(left_out)}"
                if left_out
                else None,
                f"Synthetic truth; {case}",
                caption,
            )
        )
    return on.root


def plot_spectrum(
    found: xr.Dataset,
    *,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure:
    """Draw the eigenvalues of the pooled Fisher information of each case, and the indices.

    Parameters
    ----------
    found : Dataset
        From `xbinn.science.recovery.recover_parameters`.
    figure : Figure or SubFigure, optional
        Where to draw, with constrained layout; letters grow with its size, and there is no
        caption. By default a new figure.
    title : str, optional
        Say here if the data are idealised.
    caption : str, optional
        Where places and depths come from; it follows the description of the figure.

    Raises
    ------
    InputError
        If a caption is given with ``figure``.
    """
    rows = math.ceil(found.sizes["case"] / 2)
    heading = title or "What profiles can tell of parameters"
    with sheet(figure, 3.4 + 0.18 * rows, heading, caption) as on:
        ax = on.figure.add_subplot()
        for number, case in enumerate(found["case"].values):
            values = found["eigenvalue"].sel(case=case).dropna("mode")
            shown = values.where(values >= _LEAST)
            rank, column = (
                float(found[name].sel(case=case))
                for name in ("effective_rank", "column_effective_rank")
            )
            ax.plot(
                values["mode"],
                shown,
                color=_CASES[number % len(_CASES)],
                marker=_MARKS[number % len(_MARKS)],
                ms=4,
                lw=1.0,
                label=f"{case}: {rank:.1f} pooled, {column:.1f} a column",
            )
        ax.axhline(PRIOR_PRECISION, color="0.2", lw=0.9, ls="--")
        ax.annotate(
            "prior: 12",
            (1.0, PRIOR_PRECISION),
            xycoords=("axes fraction", "data"),
            xytext=(-3, 3),
            textcoords="offset points",
            ha="right",
        )
        ax.set(yscale="log", xlabel="combination of parameters (rank)")
        ax.set_ylabel("information\n(per squared prior range)")
        ax.set_xticks(found["mode"].values[::2])
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(
            title="case: combinations constrained (effective rank)",
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=on.columns(2),
            fontsize="medium",
            frameon=False,
        )
        on.describe(
            (
                "Eigenvalues of the Fisher information of "
                f"{found.attrs['training_samples']} samples in "
                f"{found.attrs['training_sites']} cells on one vector of parameters for all "
                "of them, about the synthetic truth, as fractions of the prior range; noise "
                "as in the case, at least 5 %",
                "Above the dashed line, the precision of the uniform prior, a combination is "
                "better known from the samples than from the prior",
                f"Values below {_LEAST:g} are not drawn",
                caption,
            )
        )
    return on.root


def plot_loadings(
    found: xr.Dataset,
    case: str,
    *,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure:
    """Draw which parameters make the best known combinations, and the index of each parameter.

    Parameters and errors are those of `plot_recovery`.

    Raises
    ------
    InputError
        If the result has no such case, or a caption is given with ``figure``.
    """
    one = _case(found, case)
    one = one.isel(parameter=one["index"].notnull().values).dropna("mode", subset=["eigenvalue"])
    names = [str(n) for n in one["parameter"].values]
    heading = title or f"Combinations known: {case}"
    with sheet(figure, 2.0 + 0.17 * len(names), heading, caption) as on:
        shown = one.isel(mode=slice(on.columns(_MODES)))
        left, right = on.figure.subplots(1, 2, sharey=True, width_ratios=(2.1, 1.0))
        mesh = left.pcolormesh(
            shown["mode"], np.arange(len(names)), shown["loading"], cmap="RdBu_r", vmin=-1, vmax=1
        )
        left.set_yticks(np.arange(len(names)), names)
        left.set_xticks(
            shown["mode"].values,
            [
                f"{mode}\n{_short(value)}"
                for mode, value in zip(
                    shown["mode"].values, shown["eigenvalue"].values, strict=True
                )
            ],
        )
        text = "combination: rank, and its information (per squared prior range)"
        left.set_xlabel(wrap(text, 0.55 * on.width, 7.0))
        left.set_ylabel("parameter")
        left.invert_yaxis()
        bar: Any = on.figure.colorbar(mesh, ax=left, location="bottom", aspect=40)
        bar.set_label("loading (dimensionless)")
        levels = {
            "index": ("one vector for all cells", _GREY, "s"),
            "function_index": ("linear functions of covariates", BLUE, "o"),
            "column_index": ("each cell by itself (median)", VERMILION, "^"),
        }
        for name, (label, colour, mark) in levels.items():
            right.plot(one[name], np.arange(len(names)), mark, color=colour, ms=4, label=label)
        right.axvline(PRIOR_DOMINATED, color="0.2", lw=0.9, ls="--")
        right.set_xlim(-0.03, 1.03)
        right.set_xlabel(wrap("identifiability index (dimensionless)", 0.28 * on.width, 7.0))
        right.grid(axis="y", color="0.9", lw=0.5)
        right.set_axisbelow(True)
        right.legend(
            title="parameters are", loc="upper center", bbox_to_anchor=(0.5, -0.1), frameon=False
        )
        on.describe(
            (
                "Left: the combinations of parameters, as fractions of their prior range, that "
                f"{found.attrs['training_samples']} samples in "
                f"{found.attrs['training_sites']} cells tell best, eigenvectors of the pooled "
                "Fisher information; those under 12 are better known from the prior",
                "Right: identifiability index, 1 - posterior over prior variance, if "
                "parameters are the same everywhere, linear functions of the covariates, or "
                "free in each cell; left of the dashed line a parameter is prior-dominated",
                f"About the synthetic truth; {case}",
                caption,
            )
        )
    return on.root


def _samples(found: xr.Dataset) -> str:
    """Say how many samples there are, and of what, and what the bars are."""
    members, truths = found.attrs["members"], found.attrs["truths"]
    of = f"an ensemble of {members}" if members > 1 else "one network, by dropout"
    bars = "bars the central 90 % of these"
    if truths:
        bars = f"corrected, and bars of 90 %, by the errors of fits to {truths} other truths"
    return f"{found.attrs['posterior_samples']} samples of {of}, {bars}"


def _case(found: xr.Dataset, case: str) -> xr.Dataset:
    known = [str(c) for c in found["case"].values]
    if case not in known:
        raise InputError(f"case={case!r} is not there: choose one of {', '.join(map(repr, known))}")
    return found.sel(case=case)


def _layout(n: int, most: int) -> tuple[int, int]:
    """Columns and rows of panels."""
    # Five or six in rows of three: nearly full.
    columns = min(3 if n in (5, 6) else n, most)
    return columns, math.ceil(n / columns)


def _width(columns: int) -> float:
    """Of a figure (inch): a caption needs three columns of four."""
    return WIDTH * max(min(columns / 4, 1.0), 0.75)


def _panels(figure: Figure | SubFigure, n: int, rows: int, columns: int) -> list[Axes]:
    grid = figure.subplots(rows, columns, squeeze=False)
    for ax in grid.flat[n:]:
        ax.remove()
    return list(grid.flat[:n])


def _outer_labels(figure: Figure | SubFigure, x: str, y: str) -> None:
    """Label the panels at the rim: the lowest of each column and the first of each row."""
    by_column: dict[int, Axes] = {}
    for ax in figure.axes:
        place: Any = ax.get_subplotspec()
        by_column[place.colspan.start] = ax
        if place.colspan.start == 0:
            ax.set_ylabel(y)
    for ax in by_column.values():
        ax.set_xlabel(x)


def _parameter(ax: Axes, one: xr.Dataset, name: str) -> None:
    index = float(one["function_index"])
    colour = BLUE if index >= PRIOR_DOMINATED else _GREY
    values = [one[f"parameter_{n}"].values for n in ("true", "estimate", "low", "high")]
    _bars(ax, values, colour)
    ax.set(xlim=(0.0, 1.0), ylim=(0.0, 1.0), aspect="equal")
    ax.set_xticks([0.0, 0.5, 1.0], ["0", "0.5", "1"])
    ax.set_yticks([0.0, 0.5, 1.0], ["0", "0.5", "1"])
    ax.plot([0, 1], [0, 1], color="0.1", lw=0.8, ls="--")
    scores = [float(one[f"parameter_{n}"]) for n in ("correlation", "r2", "coverage")]
    r, score, coverage = _said(scores)
    said = f"{name}, I {index:.2f}\n{r}, {score}\n{coverage}"
    ax.set_title(said, fontsize="medium")


def _process(ax: Axes, one: xr.Dataset) -> None:
    values = [np.exp(one[f"process_{n}"].values) for n in ("true", "estimate", "low", "high")]
    _bars(ax, values, BLUE)
    together = np.concatenate(values[:2])
    low, high = np.nanmin(together), np.nanmax(together)
    margin = (high / low) ** 0.06
    low, high = low / margin, high * margin
    ax.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
    ends = [_round(low * (high / low) ** share) for share in (0.15, 0.85)]
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_ticks(ends, [f"{v:g}" for v in ends])
    ax.plot([low, high], [low, high], color="0.1", lw=0.8, ls="--")
    scores = [float(one[f"process_{n}"]) for n in ("correlation", "r2", "coverage")]
    label = str(one["process"].item()).replace("_", " ")
    units = pretty_units(str(one["process_units"].item()))
    head = wrap(f"{label} ({units})", WIDTH / 4, 7.0)
    ax.set_title(f"{head}\n{', '.join(_said(scores))}", fontsize="medium")


def _bars(ax: Axes, values: list[np.ndarray], colour: str) -> None:
    true, estimate, low, high = values
    ax.vlines(true, low, high, color=colour, lw=0.4, alpha=0.35)
    size = 1.8 if true.size > _FEW else 3.0
    ax.plot(true, estimate, "o", ms=size, color=colour, alpha=0.7, mew=0.0)


def _said(scores: list[float]) -> list[str]:
    names = ("r", "R²", "cov.")
    return [f"{n} {v:.2f}".replace("-", "−") for n, v in zip(names, scores, strict=True)]


def _short(number: float) -> str:
    return f"{number:.0f}" if 1.0 <= number < 1e4 else f"{number:.0e}".replace("e+0", "e")


def _round(value: float) -> float:
    return float(f"{value:.1g}") if value < 0.3 or value > 1.5 else round(value, 2)
