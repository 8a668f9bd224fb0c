"""Where the cells of a field lie on the page."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator
from scipy.spatial import cKDTree

from xbinn.errors import InputError
from xbinn.labels.neighbours import Floats, lattice_of
from xbinn.labels.space import SpatialCoordinates, find_coordinates
from xbinn.plotting.colours import NO_VALUE, Colours

try:
    from xbinn.plotting import cartography as _cartography
except ModuleNotFoundError:
    cartography: Any = None  # maps do without cartopy
else:
    cartography = _cartography

_KILOMETRE = 1000.0
_STEEPEST = 75.0
"""Latitude (degree) beyond which maps are stretched no further."""
_TICK_WIDTH, _TICK_HEIGHT = 0.5, 0.18
"""Room of a tick's label (inch)."""
_MOST_TICKS = 6
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 90.0, 120.0)
"""Degrees between ticks; graticules have 15, 30 and 60, where matplotlib would take 25 or 100."""
_PALE = (1.0, 1.0, 1.0, 0.35)
"""Laid over cells that are hatched: dark lines show on dark colours."""
_FILL = 0.8
"""Width of the square of a scattered cell over the distance to its neighbour."""
_ROUNDED = 0.01
"""Share of a step by which coordinates of an even grid may be off, for each step."""
_LONGEST = 10_000
"""Rows or columns; coordinates so much finer than their range are no grid."""


@dataclass(frozen=True)
class Field:
    """A field as it is drawn.

    ``y`` and ``x`` are edges of rows and columns and ``values`` (row, column), or centres (n,)
    of squares of height ``side`` and ``values`` (n,), in units of ``crs``, which is None for
    degrees. ``labels`` of x and y are empty for degrees; labelled values are coordinates over
    ``units``. ``on_earth`` is false for idealised data.
    """

    y: Floats
    x: Floats
    values: np.ndarray
    side: float | None
    labels: tuple[str, str] = ("", "")
    crs: pyproj.CRS | None = None
    units: tuple[float, float] = (1.0, 1.0)
    on_earth: bool = True

    @property
    def geographic(self) -> bool:
        """Whether positions are longitude and latitude."""
        return self.crs is None

    @property
    def coastlines(self) -> Path | None:
        """File of the coastlines that can be drawn."""
        if cartography is None or not self.on_earth:
            return None
        found: Path | None = cartography.coastlines_for(self.crs, self.extent)
        return found

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """West, east, south, north of the cells that have values, and a narrow margin."""
        (west, east), (south, north) = self._span(self.x, 0), self._span(self.y, 1)
        if self.side is not None:
            half = 0.5 * self.side
            west, east = west - half * self.aspect, east + half * self.aspect
            south, north = south - half, north + half
        margin = 0.02 * max(east - west, north - south)
        return west - margin, east + margin, south - margin, north + margin

    @property
    def aspect(self) -> float:
        """Length of one unit of y over one unit of x: shapes are true at the middle latitude."""
        return _stretch(*self._span(self.y, 1)) if self.geographic else 1.0

    def _span(self, places: Floats, other_axis: int) -> tuple[float, float]:
        """Least and greatest x or y of edges, or of centres, of cells that have values."""
        there = np.isfinite(self.values)
        if self.side is not None:
            return float(places[there].min()), float(places[there].max())
        used = np.flatnonzero(there.any(axis=other_axis))
        return float(places[used[0]]), float(places[used[-1] + 1])

    @property
    def height_by_width(self) -> float:
        """Shape of the map."""
        west, east, south, north = self.extent
        return (north - south) / (east - west) * self.aspect

    def draw(self, ax: Axes, colours: Colours, width: float) -> QuadMesh | PolyCollection:
        """Draw cells, axes and their labels on a map that is ``width`` [inch] wide."""
        values = np.ma.masked_invalid(colours.drawable(self.values))
        drawn: QuadMesh | PolyCollection
        if self.side is None:
            drawn = ax.pcolormesh(
                self.x,
                self.y,
                values,
                cmap=colours.cmap,
                norm=colours.norm,
                rasterized=True,
                **({"transform": self._source} if self._foreign(ax) else {}),
            )
        else:
            there = ~np.ma.getmaskarray(values)
            corners, kept = self._on_page(ax, self._squares(there))
            drawn = PolyCollection(
                list(corners), cmap=colours.cmap, norm=colours.norm, rasterized=True
            )
            drawn.set_array(values[there][kept])
            ax.add_collection(drawn)
        self._dress(ax, width)
        return drawn

    def hatch(self, ax: Axes, pattern: str) -> PolyCollection:
        """Hatch and pale the cells whose value is 0, on a map of the same cells."""
        if self.side is None:
            row, column = np.nonzero(self.values == 0.0)
            y, x = self.y[row], self.x[column]
            up, right = self.y[row + 1], self.x[column + 1]
            corners = np.stack([x, y, right, y, right, up, x, up], axis=1).reshape(-1, 4, 2)
        else:
            corners = self._squares(self.values == 0.0)
        drawn = PolyCollection(
            list(self._on_page(ax, corners)[0]),
            facecolor=_PALE,
            edgecolor="0.1",
            hatch=pattern,
            linewidth=0.0,
        )
        ax.add_collection(drawn, autolim=False)
        return drawn

    def _squares(self, there: np.ndarray) -> Floats:
        """Corners (n, 4, 2) of the squares of scattered cells."""
        half = 0.5 * (self.side or 0.0) * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
        places = np.stack([self.x[there], self.y[there]], axis=1)
        return np.asarray(places[:, None] + half * (self.aspect, 1.0))

    @property
    def _source(self) -> Any:
        """What the coordinates of the cells are, for cartopy."""
        return cartography.source_of(self.crs, self.extent)

    def _foreign(self, ax: Axes) -> bool:
        """Whether axes have another projection than the cells."""
        return cartography is not None and bool(cartography.is_foreign(ax))

    def _on_page(self, ax: Axes, corners: Floats) -> tuple[Floats, np.ndarray]:
        """Bring corners (n, 4, 2) onto axes; with those (n,) that are there."""
        if self._foreign(ax):
            placed, kept = cartography.project_corners(ax, self._source, corners)
            return placed, kept
        return corners, np.ones(len(corners), dtype=bool)

    def _dress(self, ax: Axes, width: float) -> None:
        west, east, south, north = self.extent
        ax.set_facecolor(NO_VALUE)
        if (path := self.coastlines) is not None:
            cartography.draw_coastlines(ax, path, self.crs, self.extent)
        if self._foreign(ax):
            cartography.dress(ax, self._source, self.crs, self.extent)
            return
        ax.set(xlim=(west, east), ylim=(south, north), aspect=self.aspect)
        for axis, signs, span, room, unit in (
            (ax.xaxis, "WE", east - west, width / _TICK_WIDTH, self.units[0]),
            (ax.yaxis, "SN", north - south, self._height(width) / _TICK_HEIGHT, self.units[1]),
        ):
            axis.set_visible(True)  # cartopy hides them
            ticks = int(np.clip(room, 2, _MOST_TICKS))
            if self.geographic:
                step = next((s for s in _STEPS if span / s < ticks), _STEPS[-1])
                axis.set_major_locator(MultipleLocator(step))
                axis.set_major_formatter(FuncFormatter(partial(_degrees, signs)))
            else:
                axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 5, 10]))
                axis.set_major_formatter(FuncFormatter(partial(_over, unit)))
        ax.set_xlabel(self.labels[0] or "longitude")
        ax.set_ylabel(self.labels[1] or "latitude")

    def _height(self, width: float) -> float:
        return width * self.height_by_width


def new_axes(
    figure: Figure | SubFigure,
    fields: Sequence[Field],
    rows: int = 1,
    columns: int = 1,
    *,
    share: bool = False,
) -> np.ndarray:
    """Put axes for maps of the same cells on a figure: cartopy's where it is installed.

    They are projected as the cells are, so what is drawn with plain axes can be drawn on them.
    """
    kind = None
    if cartography is not None:
        west, east, south, north = zip(*(field.extent for field in fields), strict=True)
        extent = (min(west), max(east), min(south), max(north))
        kind = {"projection": cartography.Plane(fields[0].crs, extent)}
    return figure.subplots(
        rows, columns, squeeze=False, sharex=share, sharey=share, subplot_kw=kind
    )


def _over(unit: float, value: float, _: object = None) -> str:
    """Write 1.2e6 m as 1200, in kilometres."""
    return f"{value / unit:.8g}".replace("-", "\u2212")


def _stretch(south: float, north: float) -> float:
    """Degrees of longitude in the length of a degree of latitude, half-way."""
    return float(1.0 / np.cos(np.radians(min(abs(south + north) / 2.0, _STEEPEST))))


def _degrees(signs: str, value: float, _: object = None) -> str:
    """Write -110.0 as 110°W."""
    side = "" if value == 0 else signs[int(value > 0)]
    return f"{abs(value):g}°{side}"


def lay_out_field(da: xr.DataArray) -> Field:
    """Find where the cells of a field lie.

    Parameters
    ----------
    da : DataArray
        On two axes, or a list of cells.

    Returns
    -------
    Field

    Raises
    ------
    InputError
        If there are dimensions besides space.
    CoordinateError
        If the cells cannot be placed, see `xbinn.labels.space.find_coordinates`.
    """
    where = find_coordinates(da.rename("field").to_dataset())
    if other := [str(dim) for dim in da.dims if dim not in where.dims]:
        raise InputError(
            f"{da.name!r} has {', '.join(other)} besides the dimensions of space: select one "
            f"entry, for example with da.isel({other[0]}=0)"
        )
    values = np.asarray(da.transpose(*where.dims).values, dtype=np.float64)
    y, x = where.y, where.x
    (y_label, y_scale), (x_label, x_scale) = (_axis(da, where, first) for first in (True, False))
    place = partial(
        Field,
        labels=(x_label, y_label),
        crs=where.crs,
        units=(x_scale, y_scale),
        on_earth=not _idealised(da),
    )
    if where.regular:
        values = values if where.y_first else values.T
        down, right = np.argsort(y), np.argsort(x)
        y, x, values = y[down], x[right], values[np.ix_(down, right)]
    elif (lattice := _filled_lattice(y, x, values.ravel())) is not None:
        y, x, values = lattice
    else:
        narrow = 1.0 if where.crs is not None else _stretch(y.min(), y.max())
        side = _FILL * _spacing(np.stack([y, x / narrow], axis=1))
        return place(y, x, values.ravel(), side)
    widths = [np.diff(axis).min() for axis in (y, x) if axis.size > 1]
    width = float(min(widths, default=1.0))
    return place(_edges(y, width), _edges(x, width), values, None)


def _idealised(da: xr.DataArray) -> bool:
    """Whether a field or its coordinates say that they are no place on Earth."""
    told = (
        attrs.get("provenance", "") for attrs in (da.attrs, *(c.attrs for c in da.coords.values()))
    )
    return any(str(text).startswith("idealised") for text in told)


def _axis(da: xr.DataArray, where: SpatialCoordinates, is_y: bool) -> tuple[str, float]:
    """Label of an axis, empty for degrees, and the number by which its values are divided."""
    if where.crs is None:
        return "", 1.0
    letter = "y" if is_y else "x"
    candidates: list[Hashable] = [
        name
        for name, c in da.coords.items()
        if c.attrs.get("standard_name") == f"projection_{letter}_coordinate"
    ]
    if where.regular:
        candidates.append(where.dims[0 if is_y == where.y_first else 1])
    attrs = next((da[name].attrs for name in candidates if name in da.coords), {})
    text = attrs.get("long_name", f"{letter} coordinate of projection")
    unit = str(attrs.get("units") or where.crs.axis_info[0].unit_name)
    if unit in ("m", "metre", "meter", "metres", "meters"):
        return f"{text} (km)", _KILOMETRE
    return f"{text} ({unit})", 1.0


def _filled_lattice(
    y: Floats, x: Floats, values: np.ndarray
) -> tuple[Floats, Floats, np.ndarray] | None:
    """Give a list of cells cut from an even grid its rows and columns back, empty ones too."""
    lattice = lattice_of(y, x)
    if lattice is None:
        return None
    rows, columns, cells = lattice
    full = []
    for axis in (rows, columns):
        step = float(np.diff(axis).min()) if axis.size > 1 else 1.0
        place = (axis - axis[0]) / step
        index = np.rint(place).astype(np.int64)
        # A few per cent: steps of coordinates that were rounded, or stored in single precision.
        if np.abs(place - index).max() > _ROUNDED * max(1, index[-1]) or index[-1] > _LONGEST:
            return None
        full.append((index, np.linspace(axis[0], axis[-1], int(index[-1]) + 1)))
    (row, y), (column, x) = full
    there = cells >= 0
    grid = np.full((y.size, x.size), np.nan)
    grid[np.ix_(row, column)] = np.where(there, values[cells], np.nan)
    return y, x, grid


def _spacing(places: Floats) -> float:
    """Median distance of places (n, 2) to the nearest other one; 1 where there is no other."""
    if len(places) == 1:
        return 1.0
    distance = np.asarray(cKDTree(places).query(places, k=2)[0])
    return float(np.median(distance[:, 1])) or 1.0


def _edges(centres: Floats, width: float) -> Floats:
    """Edges (n + 1,) half-way between rising centres (n,); a single one is ``width`` wide."""
    if centres.size == 1:
        return np.array([centres[0] - width / 2, centres[0] + width / 2])
    middle = (centres[1:] + centres[:-1]) / 2
    first, last = 2 * centres[0] - middle[0], 2 * centres[-1] - middle[-1]
    return np.concatenate([[first], middle, [last]])
