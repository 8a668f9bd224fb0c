"""How a fit went: losses and scores by epoch."""

from typing import Final

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from xbinn.errors import InputError
from xbinn.plotting.captions import pretty_units
from xbinn.plotting.sheets import sheet

_NEEDED: Final = ("training_loss", "validation_loss", "best_epoch", "epoch")
_OF_CARBON: Final = ("validation_r2", "validation_log_r2")
_OF_PARAMETERS: Final = "validation_parameter_r2"
_BLUE: Final = "#0072B2"
_VERMILION: Final = "#D55E00"
_GREEN: Final = "#009E73"
_LOWEST_R2: Final = -0.5
"""A first epoch far below would leave no room for the others."""
_HEIGHT: Final = 2.8
_ROOM: Final = 0.5
"""Of a legend over the lines, as a share of these."""


def plot_training(
    history: xr.Dataset,
    *,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure:
    """Draw losses by epoch and, where the fit had validation, its R2.

    Parameters
    ----------
    history : Dataset
        ``model.history``; of an ensemble every member has lines of its own.
    figure : Figure or SubFigure, optional
        Where to draw, with constrained layout; letters grow with its size, and there is no
        caption. By default a new figure.
    title : str, optional
        By default "Training of the network". Say here if the data are idealised.
    caption : str, optional
        Where data and model come from; it follows the description of the figure.

    Returns
    -------
    Figure
        Panel (a) losses; panel (b) R2 of the validation samples, left out without validation.

    Raises
    ------
    InputError
        If ``history`` is not that of a model or holds no epoch, or a caption is given with
        ``figure``.
    """
    scores = () if _OF_PARAMETERS in history else _OF_CARBON
    missing = [name for name in (*_NEEDED, *scores) if name not in history]
    if missing:
        raise InputError(f"history lacks {', '.join(missing)}: give model.history")
    if not history.sizes["epoch"]:
        raise InputError("history holds no epoch, so there is no training to draw: fit again")
    # One line a member; numbers of epochs where there is one member only.
    history = history if "member" in history.dims else history.expand_dims("member")
    members = history.sizes["member"]
    best = ", ".join(map(str, sorted(set(history["best_epoch"].values.tolist()))))
    which = f"the best epoch, {best}," if members == 1 else f"the best epochs ({best})"
    validated = bool(history["validation_loss"].notnull().any())
    held_out = (
        "profiles held out to decide when to stop. (b) R², 1 - SSE/SST pooled over their parameters"
        if _OF_PARAMETERS in history
        else "samples held out to decide when to stop. (b) Their R², 1 - SSE/SST pooled over "
        "samples, of SOC density (kg m⁻³) and of its natural logarithm"
    )
    heading = title or "Training of the network"
    with sheet(figure, _HEIGHT, heading, caption, small=False) as on:
        panels = 2 if validated else 1
        columns = on.columns(panels)
        axes = on.figure.subplots(panels // columns, columns, sharex=True, squeeze=False).ravel()
        _losses(axes[0], history, validated)
        below = _scores(axes[1], history) if validated else False
        for ax in axes:
            _dress(ax, history["best_epoch"].values.tolist() if validated else [])
            _explain(ax)
        on.describe(
            (
                "(a) Loss by epoch. The training loss is the mean over batches while weights and "
                "dropout change, without regularization"
                if validated
                else "Loss by epoch: mean over training batches, without regularization; nothing "
                "was held out for validation, and the weights of the last epoch were kept",
                f"The validation loss is that of {held_out}. Dashed: {which} whose weights "
                "were kept"
                if validated
                else None,
                f"Lines: {members} members of an ensemble" if members > 1 else None,
                f"R² below {_LOWEST_R2:g} is not shown" if below else None,
                caption,
            )
        )
    return on.root


def _losses(ax: Axes, history: xr.Dataset, validated: bool) -> None:
    _lines(ax, history["training_loss"], "o-", _BLUE, "training")
    if validated:
        _lines(ax, history["validation_loss"], "s-", _VERMILION, "validation")
        ax.set_title("(a)", loc="left")
    units = pretty_units(str(history["training_loss"].attrs.get("units", "1")))
    ax.set_ylabel(f"loss ({units})")


def _lines(ax: Axes, values: xr.DataArray, marks: str, colour: str, label: str) -> None:
    for number, member in enumerate(values.transpose("member", "epoch")):
        ax.plot(
            values["epoch"], member, marks, ms=2.5, color=colour, label=None if number else label
        )


def _scores(ax: Axes, history: xr.Dataset) -> bool:
    """Draw R2; tell whether some of it lies below the panel."""
    lines = (
        (_OF_CARBON[0], "o-", _VERMILION, "SOC density"),
        (_OF_CARBON[1], "s-", _GREEN, "ln of SOC density"),
        (_OF_PARAMETERS, "o-", _VERMILION, "parameters"),
    )
    drawn = [line for line in lines if line[0] in history]
    for name, marks, colour, label in drawn:
        _lines(ax, history[name], marks, colour, label)
    lowest = min(float(history[name].min()) for name, *_ in drawn)
    below = lowest < _LOWEST_R2
    if below:
        ax.set_ylim(bottom=_LOWEST_R2)
    ax.set_ylabel("validation R² (dimensionless)")
    ax.set_title("(b)", loc="left")
    return below


def _explain(ax: Axes) -> None:
    """Put the legend above the lines."""
    low, high = ax.get_ylim()
    ax.set_ylim(top=high + _ROOM * (high - low))
    ax.legend(loc="upper right", frameon=False)


def _dress(ax: Axes, best: list[int]) -> None:
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y", color="0.92")
    ax.spines[["top", "right"]].set_visible(False)
    for number, epoch in enumerate(sorted(set(best))):
        label = f"best epoch, {epoch}" if len(best) == 1 else "best epochs"
        ax.axvline(
            epoch,
            ymax=1.0 / (1.0 + _ROOM),
            color="0.35",
            ls="--",
            lw=1.2,
            label=None if number else label,
            zorder=1.5,
        )
