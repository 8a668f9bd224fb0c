"""Areas of grid cells, from their bounds or from the distances between them."""

from typing import Final

import numpy as np
import pyproj
import xarray as xr
from pyproj.exceptions import CRSError

from xbinn.errors import CoordinateError, InputError
from xbinn.labels.curved_areas import (
    area_from_equator,
    area_scale,
    projected_areas,
    quadrilateral_areas,
)
from xbinn.labels.neighbours import Floats
from xbinn.labels.space import SpatialCoordinates, find_coordinates, grid_crs, wrapped

_PLANE: Final = 2
_POLE: Final = 90.0
_TURN: Final = 360.0
_GIVE: Final = 'give them with area="name" or area=DataArray, in m2 or km2'


def cell_sizes(ds: xr.Dataset, *, ellipsoid: str | None = None) -> tuple[xr.DataArray, ...]:
    """Factors of the area of each cell of a grid.

    Between meridians and parallels on the ellipsoid, exactly; widths along y and x in a projection
    that keeps areas, those of a sphere among them (see `xbinn.labels.curved_areas.area_scale`);
    within great circles between the corners in other projections, with rotated poles and on
    curvilinear grids. The edges of the cells of a regular grid are their bounds where
    the coordinates have them, else half way between the centres, and no farther than the poles;
    corners of a curvilinear grid lie in the middle of four centres.

    Parameters
    ----------
    ds : Dataset
        Variables on the grid's dimensions alone, with coordinates, their bounds and the CRS.
    ellipsoid : str, optional
        Of a geographic grid, a name that PROJ knows, such as ``WGS84`` or ``sphere``. By default
        that of the grid's CRS, else WGS84.

    Returns
    -------
    tuple of DataArray
        On one or on both dimensions of the grid; their product is the area [m2].

    Raises
    ------
    CoordinateError
        For lists of cells, axes of one cell without bounds, and as
        `xbinn.labels.space.find_coordinates`.
    InputError
        If the ellipsoid is not known, or the grid is projected and has no use for one.
    """
    bounds = {_bounds_name(v) for v in ds.variables.values()}
    where = find_coordinates(ds.drop_vars(bounds & set(ds.data_vars)))
    if not where.regular:
        return (_curvilinear(ds, where, ellipsoid),)
    y_dim, x_dim = map(str, where.dims if where.y_first else where.dims[::-1])
    y = _edges(ds, y_dim, where.y, where.y)
    if where.crs is None:
        globe = _geod(ellipsoid, grid_crs(ds))
        along_y = np.diff(area_from_equator(y.clip(-_POLE, _POLE), globe))
        centres = np.unwrap(where.x, period=_TURN)
        along_x = np.radians(_degrees_between(_edges(ds, x_dim, where.x, centres), centres))
    else:
        if ellipsoid is not None:
            raise InputError(
                f"ellipsoid={ellipsoid!r} has no effect on a projected grid: leave it out"
            )
        x = _edges(ds, x_dim, where.x, where.x)
        scale = area_scale(where.crs, where.y, where.x)
        if scale is None:
            return (xr.DataArray(projected_areas(where.crs, y, x), dims=(y_dim, x_dim)),)
        metres = where.crs.axis_info[0].unit_conversion_factor
        along_y, along_x = np.diff(y) * metres, np.diff(x) * metres
        if scale.shape[1] > 1:
            plane = np.abs(along_y * along_x.ravel())
            return (xr.DataArray(scale * plane, dims=(y_dim, x_dim)),)
        along_y = along_y * scale
    return (
        xr.DataArray(np.abs(along_y).ravel(), dims=y_dim),
        xr.DataArray(np.abs(along_x).ravel(), dims=x_dim),
    )


def _curvilinear(ds: xr.Dataset, where: SpatialCoordinates, ellipsoid: str | None) -> xr.DataArray:
    shape = tuple(ds.sizes[dim] for dim in where.dims)
    if len(shape) != _PLANE or min(shape) < _PLANE or where.crs is not None:
        raise CoordinateError(
            f"cells on {', '.join(map(str, where.dims))} are no grid of latitude and longitude, so "
            f"their areas are not known: {_GIVE}"
        )
    lat, lon = where.y.reshape(shape), where.x.reshape(shape)
    return xr.DataArray(
        quadrilateral_areas(lat, lon, _geod(ellipsoid, grid_crs(ds))), dims=where.dims
    )


def _geod(ellipsoid: str | None, crs: pyproj.CRS | None) -> pyproj.Geod:
    if ellipsoid is None:
        globe = None if crs is None else crs.get_geod()
        return pyproj.Geod(ellps="WGS84") if globe is None else globe
    try:
        return pyproj.Geod(ellps=ellipsoid)
    except (CRSError, KeyError, ValueError) as error:
        raise InputError(
            f"ellipsoid={ellipsoid!r} is not known: choose one of "
            f"{', '.join(sorted(pyproj.get_ellps_map()))}"
        ) from error


def _bounds_name(variable: xr.DataArray | xr.Variable) -> str | None:
    name = variable.attrs.get("bounds", variable.encoding.get("bounds"))
    return None if name is None else str(name)


def _edges(ds: xr.Dataset, dim: str, axis: Floats, centres: Floats) -> Floats:
    """Both edges of each cell along a dimension, (n, 2), by bounds or by ``centres``.

    ``axis`` are the coordinates as `find_coordinates` returns them.
    """
    for coordinate in ds.coords.values():
        name = _bounds_name(coordinate)
        if coordinate.dims != (dim,) or name not in ds.variables:
            continue
        own = coordinate.values
        if ds[name].shape == (axis.size, 2) and (
            np.allclose(own, axis) or np.allclose(wrapped(own), axis)
        ):
            return np.asarray(ds[name].transpose(dim, ...).values, dtype=np.float64)
    if centres.size < 2:
        raise CoordinateError(
            f"{dim} has one cell and no bounds, so its width is not known: add bounds with "
            f'ds.cf.add_bounds("{dim}") before selecting, or {_GIVE}'
        )
    between = 0.5 * (centres[1:] + centres[:-1])
    first, last = 2.0 * centres[0] - between[0], 2.0 * centres[-1] - between[-1]
    edges = np.concatenate(([first], between, [last]))
    return np.stack((edges[:-1], edges[1:]), axis=1)


def _degrees_between(edges: Floats, centres: Floats) -> Floats:
    """Degrees of longitude between two edges, (n, 2), on the side of the centre, (n,)."""
    low, high = edges.min(axis=1), edges.max(axis=1)
    inside = np.mod(centres - low, _TURN) <= high - low
    width: Floats = np.where(inside, high - low, _TURN - (high - low))
    return width
