"""Areas of cells whose edges are no meridians and parallels: on the globe, from their corners.

Edges are great circles on the sphere of the same area as the ellipsoid, to which authalic latitudes
lead. What a projection does to areas is measured so, with small squares, and not known by its name.
"""

from typing import Final

import numpy as np
import pyproj
from pyproj.crs import GeographicCRS

from xbinn.labels.neighbours import Floats

_POLE: Final = 90.0
_WGS84: Final = pyproj.CRS("EPSG:4326")
_SAMPLED: Final = 50
"""Cells along each axis at which a projection is measured."""
_SQUARE: Final = 1000.0
"""Edge of the squares that it is measured with [m]."""
_KEPT: Final = 1e-5
"""Part by which areas of such squares may differ where a projection keeps them."""
_STRAIGHT: Final = 1e-10
"""Part by which they may differ along a row whose latitude is the same everywhere."""


def area_from_equator(latitude: Floats, globe: pyproj.Geod) -> Floats:
    """Signed area between the equator and a latitude, per radian of longitude [m2]."""
    sine = np.sin(np.radians(latitude))
    e = np.sqrt(globe.es)
    curved = sine if e == 0.0 else np.arctanh(e * sine) / e
    area: Floats = 0.5 * globe.b**2 * (sine / (1.0 - globe.es * sine**2) + curved)
    return area


def area_scale(crs: pyproj.CRS, y: Floats, x: Floats) -> Floats | None:
    """Area on the globe per area in the plane, of a projection that keeps areas.

    Some projections have the formulas of a sphere only (of the products in use the interrupted
    homolosine, Mollweide, Eckert's, Hammer), and take latitudes of an ellipsoid for those of a
    sphere of its larger radius. What they keep are areas of that sphere; those of the ellipsoid
    are up to 0.7 % larger or smaller.

    Parameters
    ----------
    crs : CRS
        Of the projection.
    y, x : ndarray (ny,), (nx,)
        Centres of the cells, in its units.

    Returns
    -------
    ndarray (1, 1), (ny, 1), (ny, nx) [1], or None
        1 where the centre lies beyond the projection. None where areas are not kept.
    """
    if not crs.is_projected:
        return None
    rows, columns = (axis[:: max(1, axis.size // _SAMPLED)] for axis in (y, x))
    measured = _measured_scale(crs, rows[:, None], columns)
    known = np.isfinite(measured)
    if not known.any():
        return None
    if _kept(measured[known]):
        return np.ones((1, 1))
    if not _kept((measured / _sphere_scale(crs, rows[:, None], columns))[known]):
        return None
    sampled = _sphere_scale(crs, y[:, None], columns)
    by_row = _first_known(sampled)
    bent = np.abs(sampled - by_row) > _STRAIGHT
    if bent.any():
        return np.nan_to_num(_sphere_scale(crs, y[:, None], x), nan=1.0)
    for row in np.flatnonzero(np.isnan(by_row)):
        by_row[row] = _first_known(_sphere_scale(crs, y[[row], None], x))[0]
    return np.nan_to_num(by_row, nan=1.0)


def projected_areas(crs: pyproj.CRS, y: Floats, x: Floats) -> Floats:
    """Areas of the cells of a projection that does not keep areas, or of a rotated pole.

    Parameters
    ----------
    crs : CRS
        Of the projection.
    y, x : ndarray (ny, 2), (nx, 2)
        Edges of the cells, in its units.

    Returns
    -------
    ndarray (ny, nx) [m2]
        Where a corner lies beyond the projection, by its scale at the centre; NaN where that lies
        beyond it too.
    """
    edges = y[:, :1], y[:, 1:], x[:, 0], x[:, 1]
    found = _between(crs, *edges)
    row, column = np.nonzero(np.isnan(found))
    if row.size and crs.is_projected:
        (top, left), (height, width) = (
            (fold(y[row], axis=1), fold(x[column], axis=1)) for fold in (np.mean, np.ptp)
        )
        plane = height * width * crs.axis_info[0].unit_conversion_factor ** 2
        found[row, column] = plane * _measured_scale(crs, top, left)
    return found


def _between(crs: pyproj.CRS, y0: Floats, y1: Floats, x0: Floats, x1: Floats) -> Floats:
    """Areas between edges in a plane that broadcast against each other [m2], NaN beyond it."""
    globe = _globe(crs)
    to_degrees = _to_degrees(crs)
    corners = []
    for corner in ((x0, y0), (x0, y1), (x1, y1), (x1, y0)):
        x, y = np.broadcast_arrays(*corner)
        lon, lat = to_degrees.transform(x, y)
        # NaN, since the sine of infinity warns.
        known = np.isfinite(lon) & np.isfinite(lat)
        lat, lon = np.where(known, lat, np.nan), np.where(known, lon, np.nan)
        corners.append(_on_sphere(lat, lon, globe))
    return _whole(globe) * _quadrilaterals(*corners)


def _measured_scale(crs: pyproj.CRS, y: Floats, x: Floats) -> Floats:
    """Area on the globe per area in the plane around points."""
    half = 0.5 * _SQUARE / crs.axis_info[0].unit_conversion_factor
    return _between(crs, y - half, y + half, x - half, x + half) / _SQUARE**2


def _sphere_scale(crs: pyproj.CRS, y: Floats, x: Floats) -> Floats:
    """Do as `_measured_scale`, if latitudes on the ellipsoid are taken for those on a sphere."""
    globe = _globe(crs)
    x, y = np.broadcast_arrays(x, y)
    _, lat = _to_degrees(crs).transform(x, y)
    sine = np.sin(np.radians(np.where(np.isfinite(lat), lat, np.nan)))
    scale: Floats = (1.0 - globe.es) / (1.0 - globe.es * sine**2) ** 2
    return scale


def _first_known(values: Floats) -> Floats:
    """First number of each row (n, 1), NaN where there is none."""
    first = np.isfinite(values).argmax(axis=1)
    return np.take_along_axis(values, first[:, None], axis=1)


def _kept(scale: Floats) -> bool:
    # Squares across an interruption are no squares on the globe.
    return bool(np.median(np.abs(scale - 1.0)) < _KEPT)


def _to_degrees(crs: pyproj.CRS) -> pyproj.Transformer:
    """Lead to degrees on the ellipsoid of the CRS itself: another datum has other areas."""
    own = crs.geodetic_crs
    target = _WGS84 if own is None else GeographicCRS(datum=own.datum)
    return pyproj.Transformer.from_crs(crs, target, always_xy=True)


def _globe(crs: pyproj.CRS) -> pyproj.Geod:
    return crs.get_geod() or pyproj.Geod(ellps="WGS84")


def quadrilateral_areas(lat: Floats, lon: Floats, globe: pyproj.Geod) -> Floats:
    """Areas of the cells of a curvilinear grid.

    Corners lie in the middle of four centres.

    Parameters
    ----------
    lat, lon : ndarray (ny, nx)
        Centres [degree]; two or more along both axes.
    globe : Geod
        The ellipsoid.

    Returns
    -------
    ndarray (ny, nx) [m2]
    """
    centres = _on_sphere(lat, lon, globe)
    for axis in (0, 1):
        first, second, last, before = (np.take(centres, [i], axis) for i in (0, 1, -1, -2))
        rim = 2.0 * first - second, centres, 2.0 * last - before
        centres = np.concatenate(rim, axis=axis)
    corner = centres[:-1, :-1] + centres[1:, :-1] + centres[1:, 1:] + centres[:-1, 1:]
    corner = corner / np.linalg.norm(corner, axis=-1, keepdims=True)
    found = _quadrilaterals(corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:])
    return _whole(globe) * found


def _whole(globe: pyproj.Geod) -> float:
    """Square of the radius of the sphere of the same area [m2]."""
    return float(area_from_equator(np.array(_POLE), globe))


def _on_sphere(lat: Floats, lon: Floats, globe: pyproj.Geod) -> Floats:
    """Points on the unit sphere (..., 3) at authalic latitudes."""
    sine = area_from_equator(lat, globe) / _whole(globe)
    cosine, turn = np.sqrt(1.0 - np.minimum(sine**2, 1.0)), np.radians(lon)
    return np.stack([cosine * np.cos(turn), cosine * np.sin(turn), sine], axis=-1)


def _quadrilaterals(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    """Areas on the unit sphere, by corners (..., 3) in turn."""
    return _excess(a, b, c) + _excess(a, c, d)


def _excess(a: Floats, b: Floats, c: Floats) -> Floats:
    """Area of triangles on the unit sphere (Van Oosterom and Strackee 1983)."""
    volume = np.abs((a * np.cross(b, c)).sum(axis=-1))
    dots = 1.0 + (a * b).sum(axis=-1) + (b * c).sum(axis=-1) + (c * a).sum(axis=-1)
    return np.asarray(2.0 * np.arctan2(volume, dots))
