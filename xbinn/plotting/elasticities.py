"""What soil carbon depends on, parameter by parameter and layer by layer."""

import math
from typing import Any, Final, Literal, overload

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure

from xbinn.constants import INTERFACE_DEPTH
from xbinn.errors import InputError
from xbinn.parameters import PARAMETERS
from xbinn.plotting.captions import refuse_caption, shortened
from xbinn.plotting.colours import BLUE
from xbinn.plotting.sheets import sheet
from xbinn.variables import DEPTH

_BY_DEPTH: Final = "soc_elasticity"
_OF_STOCK: Final = "elasticity"
_GROUPS: Final = ("I", "A", "K", "xi", "V")
"""Processes from the input of carbon to where it ends."""
_GREEK: Final = {"xi": "ξ"}
_HEIGHT: Final = 4.1
"""Without the caption (inch)."""
_RANGE: Final = (0.05, 0.95)
_TICK: Final = 0.3
"""Room of a depth below the panel (inch)."""
_SHARE: Final = 0.55
"""Of the figure that panel (a) takes."""
_SPAN: Final = 98.0
"""Percentile of absolute values at which colours end."""
_FEWEST_CELLS: Final = 0.1
"""Share of the cells that must reach a layer for it to be drawn."""


@overload
def plot_elasticities(
    found: xr.Dataset,
    *,
    ax: None = None,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure: ...
@overload
def plot_elasticities(
    found: xr.Dataset,
    *,
    ax: Axes,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Axes: ...
def plot_elasticities(
    found: xr.Dataset,
    *,
    ax: Axes | None = None,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure | Axes:
    """Draw the elasticity of SOC to each parameter by depth, and that of the stock.

    Parameters
    ----------
    found : Dataset
        From `xbinn.elasticities` with ``by_depth=True``. Of several cells the median is drawn.
    ax : Axes, optional
        Where to draw the panel by depth alone.
    figure : Figure or SubFigure, optional
        Where to draw all panels, with constrained layout; letters grow with its size, and there is
        no caption. By default a new figure.
    title : str, optional
        Say here if the data are idealised.
    caption : str, optional
        Where the data come from; it follows the description of the figure.

    Returns
    -------
    Figure or Axes
        Panel (a) by depth, panel (b) of the stock with its range over cells; or ``ax``.

    Raises
    ------
    InputError
        If elasticities by depth are missing, no cell has any, a caption is given with ``ax`` or
        ``figure``, or both of these are.
    """
    refuse_caption(ax, caption, figure)
    missing = [name for name in (_BY_DEPTH, _OF_STOCK) if name not in found]
    if missing:
        raise InputError(
            f"there is no {', '.join(missing)}: make it with "
            "ds.binn.elasticities(parameters, by_depth=True)"
        )
    by_depth = _over_cells(found[_BY_DEPTH], ("parameter", DEPTH))  # (parameter, depth, cell)
    stock = _over_cells(found[_OF_STOCK], ("parameter",))  # (parameter, cell)
    there = np.isfinite(stock).all(axis=0)
    if not there.any():
        raise InputError("no cell has elasticities: status tells why; choose cells on land")
    reached = np.isfinite(by_depth[:, :, there]).all(axis=0).mean(axis=1) >= _FEWEST_CELLS
    with np.errstate(invalid="ignore"):
        middle = np.nanmedian(by_depth[:, reached][:, :, there], axis=2)
    order = _order(np.median(stock[:, there], axis=1))
    names = [PARAMETERS[i].name for i in order]
    if ax is not None:
        mesh, extend = _by_depth(ax, middle[order], names, ax.bbox.width / ax.figure.dpi)
        bar: Any = ax.figure.colorbar(mesh, ax=ax, extend=extend)
        bar.set_label("elasticity (dimensionless)")
        ax.set_title(title or "")
        return ax
    cells = int(there.sum())
    heading = title or "What soil organic carbon depends on"
    with sheet(figure, _HEIGHT, heading, caption) as on:
        left, right = on.figure.subplots(1, 2, sharey=True, width_ratios=(2.2, 1.0))
        mesh, extend = _by_depth(left, middle[order], names, _SHARE * on.width)
        left.set_title("(a) of SOC density, by depth", loc="left")
        bar = on.figure.colorbar(mesh, ax=left, location="bottom", aspect=40, extend=extend)
        bar.set_label("elasticity (dimensionless)")
        _of_stock(right, stock[order][:, there])
        right.set_title("(b) of the stock", loc="left")
        several = f"; median of {cells} cells" if cells > 1 else ""
        on.describe(
            (
                "Elasticity: per cent of change of soil organic carbon (SOC) for one per cent "
                f"of a parameter{several}. (a) Of SOC density in each layer; layers are drawn "
                "equally wide, and named by the depth of their bottom"
                + ("; arrows hold what lies beyond the colours" if extend == "both" else ""),
                "(b) Of the stock of the column"
                + (f", with the range from 5 to 95 % of the {cells} cells" if cells > 1 else ""),
                "Letters: the process that a parameter belongs to, I input allocation, A "
                "carbon transfer, K baseline decomposition, ξ environmental modifier, V "
                "vertical transport",
                f"Source: {shortened(found.attrs['source'])}" if "source" in found.attrs else None,
                caption,
            )
        )
    return on.root


def _over_cells(da: xr.DataArray, first: tuple[str, ...]) -> np.ndarray:
    """Values with some dimensions first and all others as one."""
    values = da.transpose(*first, ...).values
    return np.asarray(values.reshape(*values.shape[: len(first)], -1), dtype=np.float64)


def _order(stock: np.ndarray) -> list[int]:
    """Parameters by process, and within one those that matter most first."""

    def key(i: int) -> tuple[int, float]:
        return _GROUPS.index(PARAMETERS[i].group), -abs(float(stock[i]))

    return sorted(range(len(PARAMETERS)), key=key)


def _by_depth(
    ax: Axes, values: np.ndarray, names: list[str], width: float
) -> tuple[Any, Literal["neither", "both"]]:
    """Draw (parameter, layer) on axes of about this width [inch]; with the ends of the bar."""
    most = float(np.percentile(np.abs(values), _SPAN)) or 1.0
    rows, layers = values.shape
    mesh = ax.pcolormesh(
        np.arange(layers + 1),
        np.arange(rows + 1),
        values,
        cmap="RdBu_r",
        norm=Normalize(-most, most),
        rasterized=True,
    )
    groups = {p.name: _GREEK.get(p.group, p.group) for p in PARAMETERS}
    ax.set_yticks(np.arange(rows) + 0.5, [f"{name}  {groups[name]}" for name in names])
    ax.invert_yaxis()
    step = math.ceil(_TICK * layers / width)
    ax.set_xticks(
        np.arange(layers)[::step] + 1.0, [f"{b:g}" for b in INTERFACE_DEPTH[:layers:step]]
    )
    ax.set_xlabel("depth of the bottom of the layer (m)")
    for i in range(1, rows):
        if groups[names[i]] != groups[names[i - 1]]:
            ax.axhline(i, color="0.2", lw=0.7)
    return mesh, "both" if np.abs(values).max() > most else "neither"


def _of_stock(ax: Axes, stock: np.ndarray) -> None:
    place = np.arange(len(stock)) + 0.5
    low, high = np.quantile(stock, _RANGE, axis=1)
    ax.axvline(0.0, color="0.4", lw=0.7)
    ax.hlines(place, low, high, color=BLUE, lw=1.2, alpha=0.6)
    ax.plot(np.median(stock, axis=1), place, "o", ms=3.5, color=BLUE)
    ax.set_xlabel("elasticity (dimensionless)")
    ax.grid(axis="y", color="0.92", lw=0.5)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
