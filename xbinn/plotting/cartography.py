"""What cartopy does for maps: axes that know their projection, and coastlines.

Needs cartopy, which `xbinn.plotting.geometry` does without where it is missing. Nothing is fetched:
coastlines are those of Natural Earth that cartopy finds on this machine.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyproj
from cartopy import config
from cartopy.crs import CRS, PlateCarree, Projection
from cartopy.io import Downloader
from cartopy.io.shapereader import Reader
from cartopy.mpl.geoaxes import GeoAxes
from cartopy.mpl.gridliner import Gridliner
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from shapely.geometry import LinearRing, box

from xbinn.labels.neighbours import Floats

Extent = tuple[float, float, float, float]
"""West, east, south, north."""

_DEGREES: Final = pyproj.CRS("OGC:CRS84")
_FINENESS: Final = 2000.0
"""Curves are broken into so many pieces along the width of a map."""
_RESOLUTIONS: Final = ((15.0, ("10m", "50m", "110m")), (90.0, ("50m", "110m", "10m")))
"""By the degrees that a map spans at most: resolutions of coastlines, the first that is there."""
_COARSEST: Final = ("110m", "50m", "10m")
_INK, _LINE, _ORDER = "0.1", 0.5, 1.5
"""Colour, width (point) and order of coastlines."""
_GLOBAL: Final = 300.0
"""Degrees of longitude from which a map is one of the world."""


class Plane(Projection):  # type: ignore[misc]  # published without types
    """Coordinates of cells as the projection of a map.

    Parameters
    ----------
    crs : pyproj.CRS, optional
        None for degrees, which are drawn as they are.
    extent : (float, float, float, float)
        West, east, south, north of the map, in the units of ``crs``.
    """

    def __init__(self, crs: pyproj.CRS | None, extent: Extent) -> None:
        super().__init__(crs or _DEGREES)
        # Not those of the area of use: cells may lie beyond.
        west, east, south, north = map(float, extent)
        self.bounds: Extent = (west, east, south, north)
        self.threshold = (east - west) / _FINENESS

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plane) and super().__eq__(other) and self.bounds == other.bounds

    def __hash__(self) -> int:
        # Cartopy keeps what it has projected, and cut at the bounds.
        return hash((super().__hash__(), self.bounds))

    @property
    def x_limits(self) -> tuple[float, float]:
        """West and east."""
        return self.bounds[:2]

    @property
    def y_limits(self) -> tuple[float, float]:
        """South and north."""
        return self.bounds[2:]

    @property
    def boundary(self) -> LinearRing:
        """The frame."""
        west, east, south, north = self.bounds
        return LinearRing([(west, south), (west, north), (east, north), (east, south)])


def source_of(crs: pyproj.CRS | None, extent: Extent) -> CRS:
    """Give the CRS that cells lie in; it can wrap degrees."""
    return PlateCarree() if crs is None else Plane(crs, extent)


def is_foreign(ax: Axes) -> bool:
    """Whether axes are cartopy's and of another projection than that of the cells."""
    return isinstance(ax, GeoAxes) and not isinstance(ax.projection, Plane)


def project_corners(ax: Axes, source: CRS, corners: Floats) -> tuple[Floats, np.ndarray]:
    """Bring corners of squares (n, 4, 2) into the projection of axes.

    Returns
    -------
    Corners (m, 4, 2) and which (n,) are there: those that the projection tears apart are not.
    """
    projection = ax.projection  # type: ignore[attr-defined]
    flat = corners.reshape(-1, 2)
    placed = projection.transform_points(source, flat[:, 0], flat[:, 1])[:, :2].reshape(-1, 4, 2)
    west, east = projection.x_limits
    kept = np.isfinite(placed).all(axis=(1, 2))
    kept[kept] = np.ptp(placed[kept, :, 0], axis=1) < 0.5 * (east - west)
    return placed[kept], kept


def dress(ax: Any, source: CRS, crs: pyproj.CRS | None, extent: Extent) -> None:
    """Show the part of a foreign projection that holds the cells, with a graticule."""
    west, east, south, north = extent
    if crs is None and east - west > _GLOBAL:
        ax.set_global()
    else:
        if crs is None:
            west, east = max(west, -180.0), min(east, 180.0)
            south, north = max(south, -90.0), min(north, 90.0)
        ax.set_extent((west, east, south, north), crs=source)
    if not any(isinstance(artist, Gridliner) for artist in ax.artists):
        ax.gridlines(
            draw_labels={"bottom": "x", "left": "y"},
            x_inline=False,
            y_inline=False,
            rotate_labels=False,
            lw=0.4,
            color="0.4",
            alpha=0.5,
        )


def coastlines_for(crs: pyproj.CRS | None, extent: Extent) -> Path | None:
    """Find the file of coastlines that suits a map, among those that are installed."""
    span = max(extent[1] - extent[0], extent[3] - extent[2])
    if crs is not None and (found := crs.axis_info[0].unit_conversion_factor):
        # Metres in a degree of latitude; axes of a rotated pole are degrees, given as radians.
        span *= found / (np.radians(1.0) if crs.is_geographic else 111_195.0)
    order = next((names for most, names in _RESOLUTIONS if span <= most), _COARSEST)
    return next((path for name in order if (path := _installed(name)) is not None), None)


def _installed(resolution: str) -> Path | None:
    category, name = "physical", "coastline"
    downloader = Downloader.from_config(("shapefiles", "natural_earth", resolution, category, name))
    told = {"config": config, "resolution": resolution, "category": category, "name": name}
    # Not Downloader.path, which fetches what is not there.
    places = (downloader.pre_downloaded_path(told), downloader.target_path(told))
    return next((Path(p) for p in places if p is not None and Path(p).is_file()), None)


@lru_cache(maxsize=3)
def _read(path: Path) -> tuple[Any, ...]:
    return tuple(Reader(path).geometries())


def draw_coastlines(ax: Any, path: Path, crs: pyproj.CRS | None, extent: Extent) -> None:
    """Draw coastlines above the cells and below what is hatched."""
    shapes, degrees = _read(path), PlateCarree()
    if isinstance(ax, GeoAxes):
        # Degrees on degrees need not be projected, which takes seconds for the world.
        source = ax.projection if crs is None and isinstance(ax.projection, Plane) else degrees
        ax.add_geometries(
            shapes, crs=source, facecolor="none", edgecolor=_INK, lw=_LINE, zorder=_ORDER
        )
        return
    # Plain axes, whose coordinates are those of the cells.
    west, east, south, north = extent
    frame = box(west, south, east, north)
    if crs is None:
        cut = [shape.intersection(frame) for shape in shapes if shape.intersects(frame)]
    else:
        plane = Plane(crs, extent)
        around = degrees.project_geometry(frame, plane)
        near = [shape for shape in shapes if shape.intersects(around)]
        cut = [plane.project_geometry(shape, degrees) for shape in near]
    parts = (part for shape in cut for part in getattr(shape, "geoms", [shape]))
    lines = [np.asarray(part.coords) for part in parts if part.geom_type == "LineString"]
    drawn = LineCollection(lines, colors=_INK, linewidths=_LINE, zorder=_ORDER)
    ax.add_collection(drawn, autolim=False)
