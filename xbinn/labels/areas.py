"""Areas of grid cells, from their bounds or from the distances between them."""

from typing import Final

import numpy as np
import pyproj
import xarray as xr
from pyproj.exceptions import CRSError

from xbinn.errors import CoordinateError, InputError
from xbinn.labels.neighbours import Floats
from xbinn.labels.space import find_coordinates, grid_crs, wrapped

_EQUAL_AREA: Final = (
    "equal area",
    "equal earth",
    "mollweide",
    "sinusoidal",
    "eckert iv",
    "eckert vi",
    "homolosine",
    "hammer",
)
"""Parts of the names of projections that keep areas."""
_POLE: Final = 90.0
_TURN: Final = 360.0
_GIVE: Final = 'give them with area="name" or area=DataArray, in m2 or km2'


def cell_sizes(
    ds: xr.Dataset, *, ellipsoid: str | None = None
) -> tuple[xr.DataArray, xr.DataArray]:
    """Two factors of the area of each cell of a regular grid, along y and along x.

    Between meridians and parallels on the ellipsoid, exactly; widths along y and x in a
    projection that keeps areas. The edges of cells are their bounds where the coordinates have
    them, else half way between the centres, and no farther than the poles.

    Parameters
    ----------
    ds : Dataset
        Variables on the grid's dimensions alone, with coordinates, their bounds and the CRS.
    ellipsoid : str, optional
        Of a geographic grid, a name that PROJ knows, such as ``WGS84`` or ``sphere``. By default
        that of the grid's CRS, else WGS84.

    Returns
    -------
    along_y, along_x : DataArray
        (y,) and (x,); their product is the area [m2].

    Raises
    ------
    CoordinateError
        For lists of cells, projections that do not keep areas, axes of one cell without bounds,
        and as `xbinn.labels.space.find_coordinates`.
    InputError
        If the ellipsoid is not known, or the grid is projected and has no use for one.
    """
    bounds = {_bounds_name(v) for v in ds.variables.values()}
    where = find_coordinates(ds.drop_vars(bounds & set(ds.data_vars)))
    if not where.regular:
        raise CoordinateError(
            f"cells on {', '.join(map(str, where.dims))} are no regular grid, so their areas are "
            f"not known: {_GIVE}"
        )
    y_dim, x_dim = map(str, where.dims if where.y_first else where.dims[::-1])
    y = _edges(ds, y_dim, where.y, where.y)
    if where.crs is None:
        globe = _geod(ellipsoid, grid_crs(ds))
        along_y = np.diff(_area_from_equator(y.clip(-_POLE, _POLE), globe))
        centres = np.unwrap(where.x, period=_TURN)
        along_x = np.radians(_degrees_between(_edges(ds, x_dim, where.x, centres), centres))
    else:
        if ellipsoid is not None:
            raise InputError(
                f"ellipsoid={ellipsoid!r} has no effect on a projected grid: leave it out"
            )
        _check_equal_area(where.crs)
        along_y, along_x = np.diff(y), np.diff(_edges(ds, x_dim, where.x, where.x))
        metres = where.crs.axis_info[0].unit_conversion_factor
        along_y, along_x = along_y * metres, along_x * metres
    return (
        xr.DataArray(np.abs(along_y).ravel(), dims=y_dim),
        xr.DataArray(np.abs(along_x).ravel(), dims=x_dim),
    )


def _check_equal_area(crs: pyproj.CRS) -> None:
    operation = crs.coordinate_operation
    method = "no projection" if operation is None else operation.method_name
    if not any(name in method.lower() for name in _EQUAL_AREA):
        raise CoordinateError(
            f"the grid's CRS, {crs.name} ({method}), does not keep areas: {_GIVE}"
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


def _area_from_equator(latitude: Floats, globe: pyproj.Geod) -> Floats:
    """Signed area between the equator and a latitude, per radian of longitude [m2]."""
    sine = np.sin(np.radians(latitude))
    e = np.sqrt(globe.es)
    curved = sine if e == 0.0 else np.arctanh(e * sine) / e
    area: Floats = 0.5 * globe.b**2 * (sine / (1.0 - globe.es * sine**2) + curved)
    return area


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
