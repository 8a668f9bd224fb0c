"""Maps of one field, and of the eight soil carbon processes side by side."""

import math
from string import ascii_lowercase
from typing import Final, Literal, overload

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from xbinn.errors import InputError
from xbinn.plotting.captions import (
    WIDTH,
    add_caption,
    label_of,
    new_figure,
    pretty_units,
    refuse_caption,
    sentences,
    shortened,
    style,
    wrap,
)
from xbinn.plotting.colours import Colours, choose_colours, explain_limits
from xbinn.plotting.geometry import Field, lay_out_field, new_axes
from xbinn.plotting.sheets import sheet
from xbinn.variables import PROCESS_NAMES, PROCESSES

GREY: Final = "Grey: no value."
_BAR: Final = 1.5
"""Width of a colour bar and of labels (inch)."""
_TALLEST: Final = 4.5
"""Height of a map (inch)."""
_NARROWEST: Final = 4.0
"""Width of a figure (inch): a caption needs it."""
_BESIDE: Final = {"right": 0.9, "bottom": 0.2}
"""Width of what stands beside one of several maps: a bar with its label, latitudes (inch)."""
_BELOW: Final = {"right": 0.35, "bottom": 1.35}
"""Height of a title and of what is below (inch)."""
_TITLE: Final = 0.4
"""Height of the title of a figure (inch)."""
_BAR_TICKS: Final = {"right": 5, "bottom": 3}
_GREEK: Final = {"xi": "ξ"}
_WIDE: Final = 0.8
"""Maps lower than this share of their width stand two in a row, others four."""


@overload
def plot_map(
    da: xr.DataArray,
    *,
    cmap: str | None = None,
    limits: tuple[float, float] | None = None,
    log: bool | None = None,
    ax: None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure: ...
@overload
def plot_map(
    da: xr.DataArray,
    *,
    cmap: str | None = None,
    limits: tuple[float, float] | None = None,
    log: bool | None = None,
    ax: Axes,
    title: str | None = None,
    caption: str | None = None,
) -> Axes: ...
def plot_map(
    da: xr.DataArray,
    *,
    cmap: str | None = None,
    limits: tuple[float, float] | None = None,
    log: bool | None = None,
    ax: Axes | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure | Axes:
    """Map one field; the map ends where its values end.

    Parameters
    ----------
    da : DataArray
        Field on (lat, lon), projected (y, x) with a CRS, or a list of cells, with units. Where it
        is chunked it is computed.
    cmap : str, optional
        Colour map of matplotlib. By default viridis, or blue to red about zero where the values
        have both signs.
    limits : (float, float), optional
        Ends of the colours, in the units of ``da``. By default the 2nd and 98th percentile.
    log : bool, optional
        Logarithmic colours; by default where the limits are more than two decades apart.
    ax : Axes, optional
        Where to draw; a map of cartopy may have any projection. By default a new figure.
    title : str, optional
        By default the field's long name. Say here if the data are idealised.
    caption : str, optional
        Where data and model come from; it follows the description of the map below the figure.

    Returns
    -------
    Figure or Axes
        The new figure, or ``ax`` where it was given.

    Raises
    ------
    InputError
        If units are missing, dimensions besides space are left, no value is finite, limits do not
        fit, or a caption is given with ``ax``.
    CoordinateError
        If the cells cannot be placed.

    Notes
    -----
    Where cartopy is installed the axes of a new figure are its ``GeoAxes`` in the projection of the
    cells, and coastlines are drawn from the data of Natural Earth on this machine, if there are
    any: nothing is fetched. Maps of idealised data have none.

    Examples
    --------
    >>> from xbinn.plotting import plot_map
    >>> from xbinn.testing import small_grid
    >>> figure = plot_map(small_grid()["elevation"], title="Elevation of an idealised continent")
    >>> figure.get_suptitle()
    'Elevation of an idealised continent'
    """
    refuse_caption(ax, caption)
    label = label_field(da)
    field = lay_out_field(da)
    colours = choose_colours(field.values, repr(da.name), cmap=cmap, limits=limits, log=log)
    heading = title or label[:1].upper() + label[1:].rpartition(" (")[0]
    if ax is not None:
        box = ax.get_window_extent()
        width = min(box.width, box.height / field.height_by_width) / ax.figure.dpi
        draw_panel(ax, field, colours, label, width=width)
        ax.set_title(title or "")
        return ax
    with style():
        across = min(WIDTH - _BAR, _TALLEST / field.height_by_width)
        height = across * field.height_by_width + 0.6
        figure = new_figure(height, heading, width=max(across + _BAR, _NARROWEST))
        draw_panel(new_axes(figure, [field])[0, 0], field, colours, label, width=across)
        description = sentences(
            (
                f"Map of {label}",
                explain_place(field),
                explain_limits((colours,), given=limits is not None),
                "Colours are logarithmic" if colours.logarithmic else None,
                GREY,
                caption,
            )
        )
        add_caption(figure, description)
    return figure


def plot_processes(
    out: xr.Dataset,
    *,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure:
    """Map the eight soil carbon processes of `xbinn.variables.PROCESSES` side by side.

    Parameters
    ----------
    out : Dataset
        From `xbinn.predict` or `xbinn.simulate`.
    figure : Figure or SubFigure, optional
        Where to draw, with constrained layout; letters grow with its size, and there is no
        caption. By default a new figure.
    title : str, optional
        By default that of ``out``. Say here if the data are idealised.
    caption : str, optional
        Where the data come from; it follows the description and the source of ``out``.

    Returns
    -------
    Figure
        Panels (a) to (h), each with its own colours.

    Raises
    ------
    InputError
        If processes are missing or one cannot be drawn, see `plot_map`, or a caption is given with
        ``figure``.
    """
    missing = [name for name in PROCESS_NAMES if name not in out]
    if missing:
        raise InputError(
            f"there is no {', '.join(missing)}: make the processes with "
            'ds.binn.predict(model, outputs=("processes",)) or ds.binn.simulate(parameters)'
        )
    labels = [label_field(out[name]) for name in PROCESS_NAMES]
    fields = [lay_out_field(out[name]) for name in PROCESS_NAMES]
    colours = [
        choose_colours(field.values, repr(name))
        for name, field in zip(PROCESS_NAMES, fields, strict=True)
    ]
    shape = fields[0].height_by_width
    columns = _arrange(figure, shape)
    where = _side_of_bar(columns)
    height = _row_height(columns, shape)
    rows = -(-len(fields) // columns)
    heading = title or out.attrs.get("title")
    with sheet(figure, rows * height + _TITLE, heading, caption) as on:
        columns = on.columns(columns)
        rows = -(-len(fields) // columns)
        across = on.width / columns - _BESIDE[where]
        if where == "right":  # bars below are as wide as there is room, whatever the height
            across = min(across, ((on.height - _TITLE) / rows - _BELOW[where]) / shape)
        axes = new_axes(on.figure, fields, rows, columns, share=True).ravel()
        for i, variable in enumerate(PROCESSES):
            draw_panel(
                axes[i], fields[i], colours[i], labels[i], where, width=across, scale=on.scale
            )
            symbol = _GREEK.get(variable.symbol or "", variable.symbol)
            name = f"({ascii_lowercase[i]}) {variable.name.replace('_', ' ')}"
            text = axes[i].set_title(f"{name},\u00a0{symbol}" if symbol else name, loc="left")
            text.set_text(wrap(text.get_text(), across, float(text.get_fontsize()) / on.scale))
            axes[i].label_outer()
        # Axes are shared, and some processes have values where others have none.
        west, east, south, north = zip(*(field.extent for field in fields), strict=True)
        axes[0].set(xlim=(min(west), max(east)), ylim=(min(south), max(north)))
        logarithmic = [f"({ascii_lowercase[i]})" for i, c in enumerate(colours) if c.logarithmic]
        on.describe(
            (
                "Soil carbon processes at steady state of CLM5's soil carbon model; quantity and "
                "unit stand at each colour bar",
                explain_place(fields[0]),
                explain_limits(colours),
                f"Colours are logarithmic in {', '.join(logarithmic)}" if logarithmic else None,
                GREY,
                f"Source: {shortened(out.attrs['source'])}" if "source" in out.attrs else None,
                caption,
            )
        )
    return on.root


def _arrange(figure: Figure | SubFigure | None, shape: float) -> int:
    """Choose two or four maps in a row, whichever are larger where the figure is given."""
    if figure is None:
        return 2 if shape < _WIDE else 4
    dpi = figure.get_figure(root=True).dpi
    wide, high = figure.bbox.width / dpi / WIDTH, figure.bbox.height / dpi

    def width(columns: int) -> float:
        rows, side = len(PROCESSES) // columns, _side_of_bar(columns)
        printed = rows * _row_height(columns, shape)
        scale = max(1.0, min(wide, math.sqrt(wide * high / printed)))
        across = wide * WIDTH / columns - scale * _BESIDE[side]
        return min(across, (high / rows - scale * _BELOW[side]) / shape)

    return max((4, 2), key=width)


def _side_of_bar(columns: int) -> Literal["right", "bottom"]:
    return "right" if columns <= 2 else "bottom"


def _row_height(columns: int, shape: float) -> float:
    """Height of a map in print [inch], with a title and what is not beside it."""
    side = _side_of_bar(columns)
    return (WIDTH / columns - _BESIDE[side]) * shape + _BELOW[side]


def draw_panel(
    ax: Axes,
    field: Field,
    colours: Colours,
    label: str,
    where: Literal["right", "bottom"] = "right",
    *,
    width: float,
    scale: float = 1.0,
) -> None:
    """Draw a map, ``width`` [inch] wide in print, with its colour bar."""
    drawn = field.draw(ax, colours, width)
    if where == "right":
        # An inset keeps the height of the map, which the layout does not know.
        inset = ax.inset_axes((1.02, 0.0, 0.035, 1.0))
        bar = ax.figure.colorbar(drawn, cax=inset, extend=colours.extend)
        text = inset.yaxis.label
    else:
        bar = ax.figure.colorbar(drawn, ax=ax, location=where, extend=colours.extend)
        text = bar.ax.xaxis.label
    if not colours.logarithmic:
        bar.locator = MaxNLocator(_BAR_TICKS[where])
    # Hinted letters run wider than they are measured, and the next panel is near.
    room = width * field.height_by_width if where == "right" else 0.94 * width
    bar.set_label(wrap(label, room, float(text.get_fontsize()) / scale))


def explain_place(field: Field) -> str:
    """Say in the caption what the axes are, unless they are degrees, and whose the coasts."""
    return sentences(
        (
            f"Projection: {field.crs.name}" if field.crs is not None else None,
            "Coastlines: Natural Earth" if field.coastlines is not None else None,
        )
    )


def label_field(da: xr.DataArray) -> str:
    """Label with what was selected, such as a depth."""
    chosen = [
        f"{name} {_scalar(c)}"
        for name, c in da.coords.items()
        if c.ndim == 0 and not {"crs_wkt", "grid_mapping_name"} & set(c.attrs)
    ]
    attrs = dict(da.attrs)
    if chosen:
        attrs["long_name"] = f"{attrs.get('long_name', da.name)} at {', '.join(chosen)}"
    return label_of(da.name, attrs)


def _scalar(c: xr.DataArray) -> str:
    value = c.item()
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    units = str(c.attrs.get("units", "1"))
    return text if units == "1" else f"{text} {pretty_units(units)}"
