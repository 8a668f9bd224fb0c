"""Where cells and profiles are: coordinates, CRS, the cell of a profile, spatial blocks.

Whatever dimension is neither month nor depth is space: two axes of a regular grid, geographic
(lat, lon) or projected (y, x) with a CRS, or a list of points (also curvilinear grids, as points).
Cells are counted flat in C order of `spatial_dims`.
"""

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import Final, TypeGuard

import cf_xarray  # noqa: F401  registers `.cf`
import numpy as np
import numpy.typing as npt
import pyproj
import rioxarray  # noqa: F401  registers `.rio`
import xarray as xr
from pyproj.exceptions import CRSError

from xbinn.errors import CoordinateError
from xbinn.labels.neighbours import (
    Flags,
    Floats,
    Integers,
    LatticeSearch,
    NearestCells,
    ScatteredSearch,
    lattice_of_axes,
    lattice_of_cells,
)
from xbinn.labels.units import dequantify
from xbinn.variables import DEPTH, DEPTH_ALIASES, FORCING, MONTH, MONTH_ALIASES

BAD_COORDINATES: Final = "latitude or longitude missing or impossible"

_NAMES: Final = {
    "latitude": ("lat", "latitude", "nav_lat", "lats", "xlat", "tlat"),
    "longitude": ("lon", "longitude", "nav_lon", "lons", "xlong", "tlong", "long"),
    "Y": ("y", "northing", "yc", "projection_y_coordinate"),
    "X": ("x", "easting", "xc", "projection_x_coordinate"),
}
_WGS84: Final = pyproj.CRS("EPSG:4326")
_ROUNDING: Final = 1e-6
"""Degrees by which a coordinate may pass its bounds (single precision at a pole)."""


@dataclass(frozen=True)
class SpatialCoordinates:
    """Where the cells are.

    ``y`` and ``x`` are axes (ny,), (nx,) if ``regular``, else one value per flat cell (n,).
    They are degrees (longitude in -180..180) where ``crs`` is None, else in units of ``crs``.
    ``dims`` is the order in which cells are counted.
    """

    dims: tuple[Hashable, ...]
    y: Floats
    x: Floats
    regular: bool
    y_first: bool = True
    crs: pyproj.CRS | None = None

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.y.size * self.x.size if self.regular else self.y.size


def spatial_dims(ds: xr.Dataset) -> tuple[str, ...]:
    """Name every dimension of the forcing that is neither month nor depth.

    Without forcing that varies in space, the dimensions of all data variables but bounds count; of
    a Dataset without data, as of a bare grid, those of its coordinates.
    """
    other = {MONTH, *MONTH_ALIASES, DEPTH, *DEPTH_ALIASES}
    forcing = [name for v in FORCING for name in (v.name, *v.aliases) if name in ds.data_vars]
    bounds = {v.attrs.get("bounds") for v in ds.variables.values()}

    def collect(names: Iterable[Hashable]) -> tuple[str, ...]:
        dims = (str(dim) for name in names for dim in ds.variables[name].dims if dim not in other)
        return tuple(dict.fromkeys(dims))

    held = ds.data_vars or ds.coords
    return collect(forcing) or collect(name for name in held if name not in bounds)


def _find(
    ds: xr.Dataset, kind: str, dims: tuple[str, ...], taken: Collection[Hashable] = ()
) -> xr.DataArray | None:
    """Find the coordinate of a kind that lies in space: CF attributes first, then usual names."""
    by_attributes = (ds.cf.coordinates | ds.cf.axes).get(kind, [])
    lower = {str(name).lower(): name for name in ds.variables}
    by_name = [lower[name] for name in _NAMES[kind] if name in lower]
    for name in (*by_attributes, *by_name):
        if name not in taken and set(ds[name].dims) <= set(dims):
            coordinate: xr.DataArray = ds[name]
            return coordinate
    return None


def grid_mapping_name(ds: xr.Dataset) -> Hashable | None:
    """Name of the variable that holds the CRS, decoded as a coordinate or not."""
    for name, variable in ds.variables.items():
        if {"crs_wkt", "spatial_ref", "grid_mapping_name"} & variable.attrs.keys():
            return name
    return None


def grid_crs(ds: xr.Dataset) -> pyproj.CRS | None:
    """CRS of a grid, None where it states none.

    Raises
    ------
    CoordinateError
        If it states one that cannot be understood.
    """
    # Not ds.rio.crs, which asks every variable for its dimensions: 3 ms each, per call.
    name = grid_mapping_name(ds)
    try:
        if name is not None:
            attrs = ds[name].attrs
            return pyproj.CRS.from_cf(
                {"crs_wkt": attrs["spatial_ref"], **attrs} if "spatial_ref" in attrs else attrs
            )
        if "crs" in ds.attrs:
            return pyproj.CRS.from_user_input(ds.attrs["crs"])
    except CRSError as error:
        raise CoordinateError(
            f"the grid's CRS cannot be understood: {error}; write it with "
            f'ds.rio.write_crs("EPSG:...")'
        ) from error
    return None


def wrapped(longitude: npt.ArrayLike) -> Floats:
    """Longitudes in -180 (included) .. 180 (not included)."""
    values = np.asarray(longitude, dtype=np.float64)
    # Values in range pass untouched: the remainder would change their last bits.
    inside = (values >= -180) & (values < 180)
    return np.where(inside, values, np.mod(values + 180, 360) - 180)


def find_coordinates(ds: xr.Dataset) -> SpatialCoordinates:
    """Find latitude and longitude, or projected y and x with their CRS.

    Parameters
    ----------
    ds
        Grid or list of cells. Coordinates are recognised by CF attributes or usual names, the CRS
        as rioxarray does; latitude may rise or fall, longitudes may be -180..180 or 0..360.

    Returns
    -------
    SpatialCoordinates

    Raises
    ------
    CoordinateError
        For empty dimensions, missing, duplicated, non-finite or impossible coordinates, for
        projected coordinates without a CRS, and for axes of latitude and longitude with a
        projected one.
    """
    ds = dequantify(ds)
    dims = spatial_dims(ds)
    if empty := [dim for dim in dims if ds.sizes[dim] == 0]:
        raise CoordinateError(f"the grid is empty along {', '.join(empty)}: check its selection")
    lat, lon = _find(ds, "latitude", dims), _find(ds, "longitude", dims)
    named = {found.name for found in (lat, lon) if found is not None}
    y, x = _find(ds, "Y", dims, named), _find(ds, "X", dims, named)
    crs = grid_crs(ds)
    if y is not None and x is not None and (lat is None or lon is None or _projected(crs)):
        if crs is None:
            raise CoordinateError(
                f"the grid lies on ({y.name}, {x.name}) without a CRS, so its cells cannot be "
                f'placed: add it with ds.rio.write_crs("EPSG:...")'
            )
        degrees = crs.is_geographic and not crs.is_derived  # rotated poles are derived
        return _checked(ds, dims, y, x, None if degrees else crs)
    if lat is None or lon is None:
        kinds = {"latitude": lat, "longitude": lon}
        missing = " and ".join(kind for kind, found in kinds.items() if found is None)
        raise CoordinateError(
            f"the grid on {dims} has no coordinate for {missing} among its coordinates "
            f"{sorted(map(str, ds.coords))}: add it with ds.assign_coords(lat=..., lon=...), or "
            f"y and x with a CRS"
        )
    if _projected(crs) and lat.ndim == lon.ndim == 1 and lat.dims != lon.dims:
        raise CoordinateError(
            f"the grid lies on ({lat.name}, {lon.name}), but states the projected CRS "
            f"{crs.name}: if these are degrees, write another with "
            'ds.rio.write_crs("EPSG:4326"), else rename them to y and x'
        )
    return _checked(ds, dims, lat, lon, None)


def _projected(crs: pyproj.CRS | None) -> TypeGuard[pyproj.CRS]:
    return crs is not None and bool(crs.is_projected)


def _loaded(y: xr.DataArray, x: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Compute coordinates that are chunked, as those of a chunked list of cells, in one go."""
    if y.chunks is None and x.chunks is None:
        return y, x
    # Apart from the coordinates along them, which need not be loaded.
    both = xr.Dataset({i: c.variable.to_base_variable() for i, c in enumerate((y, x))}).compute()
    return y.copy(data=both[0].values), x.copy(data=both[1].values)


def _checked(
    ds: xr.Dataset,
    dims: tuple[str, ...],
    y: xr.DataArray,
    x: xr.DataArray,
    crs: pyproj.CRS | None,
) -> SpatialCoordinates:
    """Turn a pair of coordinates into arrays after checking that they place every cell once."""
    y, x = _loaded(y, x)
    if uncovered := set(dims) - {*y.dims, *x.dims}:
        raise CoordinateError(
            f"{y.name} and {x.name} do not vary along {', '.join(sorted(uncovered))}, so cells "
            f"share their place: select one entry, for example with ds.isel"
        )
    for coordinate in (y, x):
        if not np.isfinite(np.asarray(coordinate, dtype=np.float64)).all():
            raise CoordinateError(
                f"{coordinate.name} holds NaN or infinite values: drop those cells, or repair it"
            )
    if crs is None:
        for coordinate, low, high in ((y, -90, 90), (x, -180, 360)):
            lowest, highest = float(coordinate.min()), float(coordinate.max())
            if lowest < low - _ROUNDING or highest > high + _ROUNDING:
                raise CoordinateError(
                    f"{coordinate.name} runs from {lowest:g} to {highest:g}, outside {low}..{high} "
                    f"degrees: if it is projected, rename it to y or x and add the CRS with "
                    f'ds.rio.write_crs("EPSG:...")'
                )
        x = x.copy(data=wrapped(x))
    regular = y.ndim == x.ndim == 1 and y.dims != x.dims
    if regular:
        for axis in (y, x):
            values, counts = np.unique(np.round(axis.values, 9), return_counts=True)
            if (counts > 1).any():
                raise CoordinateError(
                    f"{axis.name} holds {values[counts > 1][:5].tolist()} more than once "
                    f"(longitudes count modulo 360): "
                    f'drop them with ds.drop_duplicates("{axis.dims[0]}")'
                )
        as_y, as_x = y.values, x.values
    else:
        everywhere = xr.DataArray(np.zeros([ds.sizes[dim] for dim in dims]), dims=dims)
        as_y, as_x = (
            (c.drop_vars(list(c.coords)) + everywhere).transpose(*dims).values.ravel()
            for c in (y, x)
        )
    return SpatialCoordinates(
        dims=dims,
        y=np.asarray(as_y, dtype=np.float64),
        x=np.asarray(as_x, dtype=np.float64),
        regular=regular,
        y_first=not regular or y.dims[0] == dims[0],
        crs=crs,
    )


class CellSearch:
    """Profiles among the cells of a grid, by their places alone: no value of the grid is read.

    Parameters
    ----------
    ds
        Grid or list of cells.
    lat, lon
        (n,) [degree] of the profiles; longitudes -180..180 or 0..360.
    tolerance
        Largest distance along each axis, in units of the grid's coordinates (degree, or those of
        its CRS). None is half a cell per axis, edges included. For a list of cells that lie on
        no grid it is the distance itself (great-circle in degrees); None is then half the diagonal
        of a square as wide as the median distance between neighbours.

    Raises
    ------
    CoordinateError
        See `find_coordinates`; also for cells at the same place, and where no tolerance can be
        derived.
    """

    def __init__(
        self,
        ds: xr.Dataset,
        lat: npt.ArrayLike,
        lon: npt.ArrayLike,
        *,
        tolerance: float | None = None,
    ) -> None:
        where = find_coordinates(ds)
        lat, lon = (np.asarray(v, dtype=np.float64).ravel() for v in (lat, lon))
        if tolerance is not None and not tolerance > 0:
            raise CoordinateError(f"tolerance is {tolerance}: give a positive number, or None")
        usable = np.isfinite(lat) & np.isfinite(lon)
        usable &= (np.abs(lat) <= 90) & (lon >= -180) & (lon <= 360)
        # A list of cells that was cut from a grid has a lattice too: it gives what the grid gives.
        lattice = (
            lattice_of_axes(where.y, where.x, y_first=where.y_first)
            if where.regular
            else lattice_of_cells(where.y, where.x)
        )
        y, x = _to_grid(where, lat[usable], lon[usable])
        spherical = where.crs is None
        self._where, self._usable = where, usable
        self._search: LatticeSearch | ScatteredSearch = (
            ScatteredSearch(where.y, where.x, y, x, tolerance=tolerance, spherical=spherical)
            if lattice is None
            else LatticeSearch(lattice, y, x, tolerance=tolerance, spherical=spherical)
        )

    def candidates(self) -> Integers:
        """Flat cells, rising, one of which `nearest` gives to any profile if they are valid."""
        return np.flatnonzero(self._search.candidates())

    def nearest(self, valid: Flags) -> NearestCells:
        """Find the nearest valid cell of each profile.

        ``valid`` (cell,) says whether a cell may be chosen, flat in C order of `spatial_dims`.
        """
        cells = np.full(self._usable.size, -1, dtype=np.int64)
        reasons = np.full(self._usable.size, BAD_COORDINATES)
        found = self._search.nearest(valid)
        cells[self._usable], reasons[self._usable] = found.cell, found.reason
        return NearestCells(cells, reasons)

    def positions(self, cell: Integers) -> tuple[Floats, Floats]:
        """Latitude and longitude [degree] of the centres of flat cells (n,)."""
        where, row, column = self._where, cell, cell
        if where.regular:
            first, second = np.divmod(cell, where.x.size if where.y_first else where.y.size)
            row, column = (first, second) if where.y_first else (second, first)
        y, x = where.y[row], where.x[column]
        if where.crs is None:
            return y, x
        to_degrees = pyproj.Transformer.from_crs(where.crs, _WGS84, always_xy=True)
        lon, lat = to_degrees.transform(x, y)
        return np.asarray(lat), np.asarray(lon)


def nearest_cells(
    ds: xr.Dataset,
    lat: npt.ArrayLike,
    lon: npt.ArrayLike,
    *,
    valid: Flags,
    tolerance: float | None = None,
) -> NearestCells:
    """Find the nearest valid cell of each profile: `CellSearch` where validity is known before.

    Parameters
    ----------
    ds, lat, lon, valid, tolerance
        See `CellSearch` and `CellSearch.nearest`.

    Raises
    ------
    CoordinateError
        See `CellSearch`; also where ``valid`` has another length than the grid has cells.
    """
    valid = np.asarray(valid, dtype=bool).ravel()
    n_cells = find_coordinates(ds).n_cells
    if np.size(lat) != np.size(lon) or valid.size != n_cells:
        raise CoordinateError(
            f"lat has {np.size(lat)} values, lon {np.size(lon)}, valid {valid.size}, the grid "
            f"{n_cells} cells: lat and lon need one value per profile, valid one per cell"
        )
    return CellSearch(ds, lat, lon, tolerance=tolerance).nearest(valid)


def _to_grid(where: SpatialCoordinates, lat: Floats, lon: Floats) -> tuple[Floats, Floats]:
    """Profiles in the coordinates of the grid; infinite where its projection has no such point."""
    if where.crs is None:
        return lat, wrapped(lon)
    transformer = pyproj.Transformer.from_crs(_WGS84, where.crs, always_xy=True)
    x, y = transformer.transform(wrapped(lon), lat)
    return np.asarray(y, dtype=np.float64), np.asarray(x, dtype=np.float64)
