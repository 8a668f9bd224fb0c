"""Posteriors of parameters against their priors."""

from typing import Final, overload

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from xbinn.errors import InputError
from xbinn.parameters import PARAMETER_NAMES, PARAMETERS, Parameter, Prior, prior_bounds
from xbinn.plotting.captions import pretty_units, refuse_caption
from xbinn.plotting.colours import BLUE, VERMILION
from xbinn.plotting.sheets import sheet

_BINS: Final = 25
_ROWS: Final = 3
_ROW: Final = 1.15
"""Height of a row of panels (inch)."""
_APART: Final = 0.12
"""Between panels, whose ends are labelled, as a share of their width."""
_JOINT: Final = "parameter_samples"
_TABLE: Final = {p.name: p for p in PARAMETERS}


@overload
def plot_posteriors(
    drawn: xr.Dataset,
    *,
    prior: Prior,
    parameter: str | None = None,
    ax: None = None,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure: ...
@overload
def plot_posteriors(
    drawn: xr.Dataset,
    *,
    prior: Prior,
    parameter: str | None = None,
    ax: Axes,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Axes: ...
def plot_posteriors(
    drawn: xr.Dataset,
    *,
    prior: Prior,
    parameter: str | None = None,
    ax: Axes | None = None,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure | Axes:
    """Draw the posteriors of the 21 parameters at one place, over their priors.

    Parameters
    ----------
    drawn : Dataset
        Samples of the parameters at one place: from `xbinn.predict` with ``samples`` and
        ``reduce=False``, or from `xbinn.science.proda.retrieve` with its draws kept.
    prior : {"binn", "proda"}
        Bounds of the priors, which are uniform.
    parameter : str, optional
        Only this one.
    ax : Axes, optional
        Where to draw a single parameter.
    figure : Figure or SubFigure, optional
        Where to draw all panels, with constrained layout; letters grow with its size, and there is
        no caption. By default a new figure.
    title : str, optional
        Say here which place it is, and if the data are idealised.
    caption : str, optional
        Where data and model come from; it follows the description of the figure.

    Returns
    -------
    Figure or Axes
        The figure, a panel for each parameter, or ``ax`` where it was given.

    Raises
    ------
    InputError
        If there are no samples of parameters, they are of several places, ``ax`` is given without
        ``parameter``, a caption is given with ``ax`` or ``figure``, or both of these are.
    ParameterError
        If the prior is not known.
    """
    refuse_caption(ax, caption, figure)
    bounds = dict(zip(PARAMETER_NAMES, prior_bounds(prior), strict=True))
    names = _chosen(parameter, ax)
    samples = {name: _samples(drawn, name) for name in names}
    if ax is not None:
        _draw(ax, samples[names[0]], _TABLE[names[0]], bounds[names[0]])
        ax.set_xlabel(f"{names[0]} ({pretty_units(_TABLE[names[0]].units)})")
        ax.set_ylabel("density over that of the prior (dimensionless)")
        ax.set_title(title or "")
        return ax
    rows = min(_ROWS, len(names))
    columns = -(-len(names) // rows)
    heading = title or "Posteriors of the parameters, over their priors"
    with sheet(figure, 0.5 + rows * _ROW, heading, caption) as on:
        columns = on.columns(columns)
        rows = -(-len(names) // columns)
        grid = on.figure.subplots(rows, columns, squeeze=False, gridspec_kw={"wspace": _APART})
        for spare in grid.flat[len(names) :]:
            spare.remove()
        for panel, name in zip(grid.flat, names, strict=False):
            _draw(panel, samples[name], _TABLE[name], bounds[name])
            panel.set_title(_label(_TABLE[name]), fontsize="medium")
            panel.set_yticks([])
            # Ends of neighbours must not run into each other.
            for text, side in zip(panel.get_xticklabels(), ("left", "right"), strict=True):
                text.set_horizontalalignment(side)
        count = next(iter(samples.values())).size
        on.describe(
            (
                f"Blue: {count} samples of the posterior of each parameter, over the range of "
                f"its prior {prior}, as density relative to the prior; dashed: the prior, "
                "uniform. A posterior that looks like its prior was told nothing by the data",
                "Triangle: the value of CLM5, where it has one in the range. Each panel is as "
                "high as its posterior; parameters without a unit are dimensionless",
                caption,
            )
        )
    return on.root


def _chosen(parameter: str | None, ax: Axes | None) -> tuple[str, ...]:
    if parameter is None:
        if ax is not None:
            raise InputError('ax holds one parameter: name it, as in parameter="q10"')
        return PARAMETER_NAMES
    if parameter not in PARAMETER_NAMES:
        raise InputError(
            f"parameter={parameter!r} is not known: choose one of {', '.join(PARAMETER_NAMES)}"
        )
    return (parameter,)


def _samples(drawn: xr.Dataset, name: str) -> np.ndarray:
    """Samples of one parameter, (sample,)."""
    if _JOINT in drawn:
        values = drawn[_JOINT].sel(parameter=name)
        over = {"chain", "draw"}
    elif name in drawn and "sample" in drawn[name].dims:
        values, over = drawn[name], {"sample"}
    else:
        raise InputError(
            f"there are no samples of {name}: draw them with ds.binn.predict(model, samples=256, "
            "reduce=False)"
        )
    if other := [str(dim) for dim in values.dims if dim not in over]:
        raise InputError(
            f"the samples of {name} are of several places ({', '.join(other)}): select one, as in "
            f"drawn.isel({other[0]}=0)"
        )
    flat = np.asarray(values.values, dtype=np.float64).ravel()
    if not np.isfinite(flat).all():
        raise InputError(f"{name} is missing here: status tells why; select a place with results")
    return flat


def _draw(ax: Axes, samples: np.ndarray, table: Parameter, bounds: tuple[float, float]) -> None:
    low, high = bounds
    density, edges = np.histogram(samples, bins=_BINS, range=bounds)
    relative = density * _BINS / samples.size
    ax.stairs(relative, edges, fill=True, color=BLUE, alpha=0.75, lw=0.0)
    ax.plot([low, high], [1.0, 1.0], color="0.2", lw=0.9, ls="--")
    default = table.clm5_default
    if default is not None and low <= default <= high:
        ax.plot(
            [default],
            [0.0],
            "^",
            color=VERMILION,
            ms=5,
            clip_on=False,
            zorder=4,
            transform=ax.get_xaxis_transform(),
        )
    ax.set(xlim=bounds, ylim=(0.0, 1.1 * max(1.6, float(relative.max()))))
    ax.set_xticks([low, high], [f"{low:g}", f"{high:g}"])
    ax.spines[["top", "right"]].set_visible(False)


def _label(table: Parameter) -> str:
    return table.name if table.units == "1" else f"{table.name} ({pretty_units(table.units)})"
