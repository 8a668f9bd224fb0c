"""How a fit went: losses and scores by epoch."""

from typing import Final

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xbinn.errors import InputError
from xbinn.plotting.captions import add_caption, new_figure, pretty_units, sentences, style

_NEEDED: Final = ("training_loss", "validation_loss", "validation_r2", "validation_log_r2")
_BLUE: Final = "#0072B2"
_VERMILION: Final = "#D55E00"
_GREEN: Final = "#009E73"
_LOWEST_R2: Final = -0.5
"""A first epoch far below would leave no room for the others."""
_HEIGHT: Final = 2.8


def plot_training(
    history: xr.Dataset, *, title: str | None = None, caption: str | None = None
) -> Figure:
    """Draw losses by epoch and, where the fit had validation, its R2.

    Parameters
    ----------
    history : Dataset
        ``model.history``.
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
        If ``history`` is not that of a model, or holds no epoch.
    """
    missing = [name for name in (*_NEEDED, "epoch") if name not in history]
    if missing or "best_epoch" not in history.attrs:
        raise InputError(
            f"history lacks {', '.join(missing) or 'its attribute best_epoch'}: give model.history"
        )
    if not history.sizes["epoch"]:
        raise InputError("history holds no epoch, so there is no training to draw: fit again")
    best = int(history.attrs["best_epoch"])
    validated = bool(history["validation_loss"].notnull().any())
    with style():
        figure = new_figure(_HEIGHT, title or "Training of the network")
        axes = figure.subplots(1, 2 if validated else 1, sharex=True, squeeze=False).ravel()
        _losses(axes[0], history, validated)
        below = _scores(axes[1], history) if validated else False
        for ax in axes:
            _dress(ax, best if validated else None)
            ax.legend(loc="best", edgecolor="none")
        description = sentences(
            (
                "(a) Loss by epoch. The training loss is the mean over batches while weights and "
                "dropout change, without regularization"
                if validated
                else "Loss by epoch: mean over training batches, without regularization; nothing "
                "was held out for validation, and the weights of the last epoch were kept",
                "The validation loss is that of samples held out to decide when to stop. (b) Their "
                "R², 1 - SSE/SST pooled over samples, of SOC density (kg m⁻³) and of its natural "
                f"logarithm. Dashed: the best epoch, {best}, whose weights were kept"
                if validated
                else None,
                f"R² below {_LOWEST_R2:g} is not shown" if below else None,
                caption,
            )
        )
        add_caption(figure, description)
    return figure


def _losses(ax: Axes, history: xr.Dataset, validated: bool) -> None:
    epoch = history["epoch"].values
    ax.plot(epoch, history["training_loss"], "o-", ms=2.5, color=_BLUE, label="training")
    if validated:
        loss = history["validation_loss"]
        ax.plot(epoch, loss, "s-", ms=2.5, color=_VERMILION, label="validation")
        ax.set_title("(a)", loc="left")
    units = pretty_units(str(history["training_loss"].attrs.get("units", "1")))
    ax.set_ylabel(f"loss ({units})")


def _scores(ax: Axes, history: xr.Dataset) -> bool:
    """Draw R2; tell whether some of it lies below the panel."""
    epoch = history["epoch"].values
    lines = (
        ("validation_r2", "o-", _VERMILION, "SOC density"),
        ("validation_log_r2", "s-", _GREEN, "ln of SOC density"),
    )
    for name, marks, colour, label in lines:
        ax.plot(epoch, history[name], marks, ms=2.5, color=colour, label=label)
    lowest = float(history[["validation_r2", "validation_log_r2"]].to_array().min())
    below = lowest < _LOWEST_R2
    if below:
        ax.set_ylim(bottom=_LOWEST_R2)
    ax.set_ylabel("validation R² (dimensionless)")
    ax.set_title("(b)", loc="left")
    return below


def _dress(ax: Axes, best: int | None) -> None:
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y", color="0.92")
    ax.spines[["top", "right"]].set_visible(False)
    if best is not None:
        ax.axvline(best, color="0.35", ls="--", lw=1.2, label=f"best epoch, {best}", zorder=1.5)
