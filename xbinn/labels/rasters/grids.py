"""Regular grids as rasters: two axes of equal steps, edges half a step beyond the centres."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyproj
import rioxarray  # noqa: F401  registers `.rio`
import xarray as xr
from affine import Affine
from pyproj.crs import GeographicCRS
from pyproj.crs.datum import CustomDatum, CustomPrimeMeridian

from xbinn.errors import CoordinateError
from xbinn.labels.neighbours import Floats
from xbinn.labels.space import find_coordinates, grid_crs, grid_mapping_name, wrapped

RASTER: Final = "xbinn_raster"
_WGS84: Final = pyproj.CRS("EPSG:4326")
_EQUAL_STEPS: Final = 1e-2
"""Part of a step by which centres may lie off: files state coordinates in single precision."""
_SAMPLED: Final = 100
"""Cells along each axis that are looked at to see whether two grids meet."""


@dataclass(frozen=True)
class RasterGrid:
    """A regular grid in a CRS.

    ``y`` (ny,) and ``x`` (nx,) are centres as the axes have them, of either direction;
    longitudes are -180..180.
    """

    y_dim: str
    x_dim: str
    y: Floats
    x: Floats
    crs: pyproj.CRS
    origin: str

    @property
    def geographic(self) -> bool:
        """Whether the axes are latitude and longitude."""
        return bool(self.crs.is_geographic and not self.crs.is_derived)

    def steps(self) -> tuple[float, float]:
        """Distance of neighbours along y and x, positive."""
        return _step(self.y, self.x), _step(self.x, self.y)

    def sorted(self) -> tuple["RasterGrid", dict[str, Any]]:
        """Turn it north up, west left, and say which entries of y and x that takes."""
        order = {"y": np.argsort(-self.y), "x": np.argsort(self.x)}
        turned = replace(self, y=self.y[order["y"]], x=self.x[order["x"]])
        return turned, {n: _as_slice(index) for n, index in order.items()}

    def passes_date_line(self) -> bool:
        """Whether it lies on both sides of the date line, and not all around the globe."""
        return self.geographic and len(self.sorted()[0].runs()) > 1

    def from_date_line(self) -> "RasterGrid":
        """Count longitudes from 180 degrees, so that the date line is in the middle."""
        meridian = CustomPrimeMeridian(longitude=180.0)
        datum = CustomDatum(ellipsoid=self.crs.ellipsoid, prime_meridian=meridian)
        return replace(self, x=wrapped(self.x - 180.0), crs=GeographicCRS(datum=datum))

    def runs(self) -> list[slice]:
        """Parts of the sorted x axis without a gap: two where longitudes pass the date line."""
        _, step = self.steps()
        breaks = np.flatnonzero(np.diff(self.x) > (1.0 + _EQUAL_STEPS) * step) + 1
        edges = [0, *breaks.tolist(), self.x.size]
        return [slice(a, b) for a, b in pairwise(edges)]

    def transform(self, columns: slice = slice(None)) -> Affine:
        """From column and row of a sorted grid to the corner of the cell there.

        Raises
        ------
        CoordinateError
            If the steps are not equal.
        """
        step_y, step_x = self.steps()
        x = self.x[columns]
        for name, axis, step in (("y", self.y[::-1], step_y), ("x", x, step_x)):
            even = axis[0] + step * np.arange(axis.size)
            if np.abs(axis - even).max() > _EQUAL_STEPS * step:
                raise CoordinateError(
                    f"{self.origin} has no equal steps along {name} ({step:g} as a rule, off by "
                    f"up to {np.abs(axis - even).max():g}): a raster needs a regular grid; "
                    "interpolate to one with ds.interp(...)"
                )
        # From the ends, so that rounding of one coordinate moves no edge.
        top, left = self.y[0] + 0.5 * step_y, x[0] - 0.5 * step_x
        return Affine(step_x, 0.0, left, 0.0, -step_y, top)

    def meets(self, other: "RasterGrid") -> bool:
        """Whether some cell of one lies within the other, of a sample of each."""
        return self._holds(other) or other._holds(self)

    def _holds(self, other: "RasterGrid") -> bool:
        y, x = (axis[:: max(1, axis.size // _SAMPLED)] for axis in (other.y, other.x))
        x, y = np.meshgrid(x, y)
        across = pyproj.Transformer.from_crs(other.crs, self.crs, always_xy=True)
        there_x, there_y = across.transform(x, y)
        step_y, step_x = self.steps()
        within = np.ones(there_x.shape, dtype=bool)
        for there, axis, step in ((there_y, self.y, step_y), (there_x, self.x, step_x)):
            within &= (there >= axis.min() - step) & (there <= axis.max() + step)
        return bool(within.any())


def _step(axis: Floats, other: Floats) -> float:
    # A single row has the width of a column: cells are squares as a rule.
    along = axis if axis.size > 1 else other
    if along.size < 2:
        raise CoordinateError(
            "a grid of a single cell has no known cell size: give two cells or more along an axis"
        )
    return float(np.median(np.abs(np.diff(along))))


def _as_slice(index: np.ndarray) -> Any:
    """Return the index as a slice where it is the axis as it is, or turned: that stays lazy."""
    if np.array_equal(index, np.arange(index.size)):
        return slice(None)
    return slice(None, None, -1) if np.array_equal(index, np.arange(index.size)[::-1]) else index


def find_raster_grid(ds: xr.Dataset, origin: str, crs: str | None = None) -> RasterGrid:
    """Find the axes and the CRS of a raster or of a target grid.

    Parameters
    ----------
    ds : Dataset
        Variables on two dimensions of space.
    origin : str
        Where it comes from, for messages.
    crs : str, optional
        Taken where the Dataset states none.

    Returns
    -------
    RasterGrid

    Raises
    ------
    CoordinateError
        If coordinates are missing, impossible or on no regular grid, or there is no CRS.
    """
    if crs is not None and grid_mapping_name(ds) is None:
        ds = ds.rio.write_crs(crs)
    try:
        where = find_coordinates(ds)
        if not where.regular:
            raise CoordinateError(
                "cells lie on no two axes: a regular grid of (lat, lon) or (y, x) is needed"
            )
    except CoordinateError as error:
        raise CoordinateError(f"{origin}: {error}") from error
    y_dim, x_dim = map(str, where.dims if where.y_first else where.dims[::-1])
    stated = where.crs or grid_crs(ds) or _WGS84
    return RasterGrid(y_dim, x_dim, where.y, where.x, stated, origin)
