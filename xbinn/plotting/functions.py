"""What a spline encoder has learnt: parameters as functions of one covariate each."""

import math
from typing import Final

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from xbinn.errors import InputError
from xbinn.model import Model
from xbinn.parameters import PARAMETER_NAMES, PARAMETERS
from xbinn.plotting.captions import pretty_units, sentences, wrap
from xbinn.plotting.colours import BLUE, VERMILION
from xbinn.plotting.sheets import sheet
from xbinn.science.functions import learnt_functions

_COLUMNS: Final = 3
_ROW: Final = 1.75
"""Height of a row of panels (inch)."""
_MANY_CLASSES: Final = 12
"""Classes that have room for their numbers."""


def plot_functions(
    model: Model,
    parameter: str,
    *,
    most: int = 9,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure:
    """Draw how one parameter depends on each covariate under a spline encoder.

    Parameters
    ----------
    model : Model
        Fitted with ``encoder="spline"``.
    parameter : str
        One of the 21 names.
    most : int
        Covariates to draw, those with the widest effect first.
    figure : Figure or SubFigure, optional
        Where to draw, with constrained layout; letters grow with its size, and there is no
        caption. By default a new figure.
    title : str, optional
        By default the parameter and its meaning. Say here if the data are idealised.
    caption : str, optional
        Where data and model come from; it follows the description of the figure.

    Returns
    -------
    Figure
        A panel for each covariate, all with one vertical axis: a curve over a numeric covariate, a
        mark for each class of a categorical one.

    Raises
    ------
    InputError
        If the model has another encoder, the parameter is not known, ``most`` is below 1, or a
        caption is given with ``figure``.
    """
    if parameter not in PARAMETER_NAMES:
        raise InputError(
            f"parameter={parameter!r} is not known: choose one of {', '.join(PARAMETER_NAMES)}"
        )
    if most < 1:
        raise InputError(f"most={most} leaves nothing to draw: give 1 or more")
    effects = {name: da.sel(parameter=parameter) for name, da in learnt_functions(model).items()}
    ranked = sorted(effects, key=lambda name: -_width(effects[name]))
    shown = [name for name in ranked if effects[name].size][:most]
    table = PARAMETERS[PARAMETER_NAMES.index(parameter)]
    straight = model.predictor.network.encoder.config["constraint"] == "hard_sigmoid"
    units = pretty_units(str(effects[shown[0]]["parameter_units"].item()))
    numeric = dict(model.predictor.covariates.numeric)
    columns = min(_COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    heading = title or f"{parameter}: {table.long_name}"
    with sheet(figure, 0.4 + rows * _ROW, heading, caption) as on:
        columns = on.columns(columns)
        rows = math.ceil(len(shown) / columns)
        panels = on.figure.subplots(rows, columns, sharey=True, squeeze=False)
        for ax, name in zip(panels.flat, shown, strict=False):
            _curve(ax, effects[name]) if name in numeric else _classes(ax, effects[name])
            x_units = f" ({pretty_units(numeric[name])})" if name in numeric else " (class)"
            room = on.width / columns - 0.6
            ax.set_xlabel(wrap(name.replace("_", " ") + x_units, room, 7.0))
        for ax in panels.flat[len(shown) :]:
            ax.remove()
        for ax in panels[:, 0]:
            ax.set_ylabel(f"change in {parameter if straight else 'u'} ({units})")
        on.describe((_describe(model, parameter, effects, shown), caption))
    return on.root


def _width(effect: xr.DataArray) -> float:
    return float(np.ptp(effect.values)) if effect.size else 0.0


def _curve(ax: Axes, effect: xr.DataArray) -> None:
    ax.plot(effect[str(effect.name)].values, effect.values, color=BLUE, lw=1.4)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    _dress(ax)


def _classes(ax: Axes, effect: xr.DataArray) -> None:
    """Draw classes in their order, evenly apart: their numbers are names."""
    places = np.arange(effect.size)
    ax.plot(places, effect.values, "o", ms=2.5, color=VERMILION)
    if effect.size <= _MANY_CLASSES:
        ax.set_xticks(places, [str(c) for c in effect[str(effect.name)].values])
    else:
        step = math.ceil(effect.size / _MANY_CLASSES) * 2
        ax.set_xticks(places[::step], [str(c) for c in effect[str(effect.name)].values[::step]])
    _dress(ax)


def _dress(ax: Axes) -> None:
    ax.axhline(0.0, color="0.6", lw=0.6, zorder=0.5)
    ax.spines[["top", "right"]].set_visible(False)


def _describe(
    model: Model, parameter: str, effects: dict[str, xr.DataArray], shown: list[str]
) -> str:
    spec = model.predictor.covariates
    classes = {name for name, _ in spec.categorical}
    config = model.predictor.network.encoder.config
    return sentences(
        (
            f"What covariates add to {parameter}, the widest effects first"
            + (f" ({len(shown)} of {len(effects)})" if len(shown) < len(effects) else ""),
            "Effects are summed, and the sum is cut at the ends of the prior "
            f"{model.predictor.prior}"
            if config["constraint"] == "hard_sigmoid"
            else "Effects are summed to u, which a sigmoid turns into a fraction of the prior "
            f"{model.predictor.prior}",
            "Lines: numeric covariates over the range of the training cells, at most "
            f"{config['reach']:g} standard deviations to either side of their mean, beyond which "
            "the effect stays as it is; each less its mean over what is shown"
            if set(shown) - classes
            else None,
            "Dots: classes, less the effect of a missing class" if set(shown) & classes else None,
        )
    )
