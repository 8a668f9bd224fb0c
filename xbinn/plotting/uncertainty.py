"""A map beside its uncertainty, and where the model should not be asked."""

from typing import Final

import numpy as np
import xarray as xr
from matplotlib.figure import Figure, SubFigure

from xbinn.errors import InputError
from xbinn.plotting.captions import WIDTH, shortened
from xbinn.plotting.colours import choose_colours, explain_limits
from xbinn.plotting.geometry import lay_out_field, new_axes
from xbinn.plotting.maps import GREY, draw_panel, explain_place, label_field
from xbinn.plotting.sheets import sheet

_AREA: Final = "area_of_applicability"
_HATCH: Final = "//////"
_BAR: Final = 1.15
"""Width of a colour bar and of labels (inch)."""
_TALLEST: Final = 3.6
_SPREAD_MAP: Final = "cividis"
"""Another than that of the mean, so that nobody takes one for the other."""


def plot_uncertainty(
    out: xr.Dataset,
    name: str = "cSoilAbove1m",
    *,
    applicability: xr.Dataset | None = None,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure:
    """Map the mean of a field beside its spread, hatched where the model is out of its depth.

    Parameters
    ----------
    out : Dataset
        From `xbinn.predict` with ``samples``.
    name : str
        A field of it on space alone; select a depth before.
    applicability : Dataset, optional
        From `xbinn.applicability`, on the same cells.
    figure : Figure or SubFigure, optional
        Where to draw, with constrained layout; letters grow with its size, and there is no
        caption. By default a new figure.
    title : str, optional
        By default the long name of the field. Say here if the data are idealised.
    caption : str, optional
        Where data and model come from; it follows the description of the figure.

    Returns
    -------
    Figure
        Panel (a) the mean, panel (b) the standard deviation: relative to the mean [%] where that is
        positive everywhere, else in the units of the field.

    Raises
    ------
    InputError
        If the field or its standard deviation is missing, ``applicability`` is none, a field cannot
        be drawn, see `plot_map`, or a caption is given with ``figure``.
    """
    spread_name = f"{name}_std"
    missing = [n for n in (name, spread_name) if n not in out]
    if missing:
        raise InputError(
            f"there is no {', '.join(missing)}: predict with samples, as in "
            "ds.binn.predict(model, samples=64), and name one of its fields"
        )
    if applicability is not None and _AREA not in applicability:
        raise InputError(
            f"applicability has no {_AREA}: give the result of ds.binn.applicability(model, "
            "profiles)"
        )
    mean, spread = out[name], out[spread_name]
    relative = bool((mean.fillna(1.0) > 0.0).all())
    if relative:
        spread = (100.0 * spread / mean).assign_attrs(
            units="%", long_name="standard deviation relative to the mean"
        )
    fields = [lay_out_field(mean), lay_out_field(spread)]
    outside = None if applicability is None else lay_out_field(applicability[_AREA])
    colours = [
        choose_colours(fields[0].values, repr(name)),
        choose_colours(fields[1].values, repr(spread_name), cmap=_SPREAD_MAP),
    ]
    labels = [label_field(mean), label_field(spread)]
    shape = fields[0].height_by_width
    across = min(WIDTH / 2 - _BAR, _TALLEST / shape)
    heading = title or labels[0][:1].upper() + labels[0][1:].rpartition(" (")[0]
    with sheet(figure, across * shape + 0.75, heading, caption) as on:
        columns = on.columns(2)
        across = min(on.width / columns - _BAR, _TALLEST / shape)
        axes = new_axes(on.figure, fields, 2 // columns, columns).ravel()
        for ax, field, colour, label, head in zip(
            axes, fields, colours, labels, ("(a) mean", "(b) spread"), strict=True
        ):
            draw_panel(ax, field, colour, label, width=across, scale=on.scale)
            ax.set_title(head, loc="left")
            if outside is not None:
                outside.hatch(ax, _HATCH)
        # Both maps show the same cells; their latitudes stand once.
        axes[1].set(xlim=axes[0].get_xlim(), ylim=axes[0].get_ylim())
        if columns == 2:
            axes[1].set_ylabel("")
        share = None
        if outside is not None:
            known = np.isfinite(outside.values)
            share = float((outside.values[known] == 0.0).mean())
            axes[1].set_title("hatched: outside applicability", loc="right")
        how = "relative to it" if relative else "in the same units"
        on.describe(
            (
                f"(a) Mean of samples of the posterior: {labels[0]}. (b) Standard deviation of "
                f"the samples, {how}: of the modelled mean, without the noise of observations",
                explain_place(fields[0]),
                explain_limits(colours),
                "Hatched and paler: covariates unlike those of the training sites "
                f"({_percent(share)} of the cells), where neither panel can be trusted"
                if share is not None
                else None,
                GREY,
                f"Source: {shortened(out.attrs['source'])}" if "source" in out.attrs else None,
                caption,
            )
        )
    return on.root


def _percent(share: float) -> str:
    """Write a share; a small one is not nothing."""
    if 0.0 < share < 0.01:
        return "under 1\u00a0%"
    return f"{100 * share:.0f}\u00a0%"
