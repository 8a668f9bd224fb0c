"""Areas of cells whose edges are no meridians and parallels: on the globe, from their corners.

Edges are great circles on the sphere of the same area as the ellipsoid, to which authalic latitudes
lead.
"""

from typing import Final

import numpy as np
import pyproj

from xbinn.labels.neighbours import Floats

_POLE: Final = 90.0
_WGS84: Final = pyproj.CRS("EPSG:4326")


def area_from_equator(latitude: Floats, globe: pyproj.Geod) -> Floats:
    """Signed area between the equator and a latitude, per radian of longitude [m2]."""
    sine = np.sin(np.radians(latitude))
    e = np.sqrt(globe.es)
    curved = sine if e == 0.0 else np.arctanh(e * sine) / e
    area: Floats = 0.5 * globe.b**2 * (sine / (1.0 - globe.es * sine**2) + curved)
    return area


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
        NaN where a corner lies beyond the projection.
    """
    globe = crs.get_geod() or pyproj.Geod(ellps="WGS84")
    # Another datum moves places by some 100 m, and changes no area.
    to_degrees = pyproj.Transformer.from_crs(crs, _WGS84, always_xy=True)
    corners = []
    for i, j in ((0, 0), (1, 0), (1, 1), (0, 1)):
        lon, lat = to_degrees.transform(*np.meshgrid(x[:, j], y[:, i]))
        # NaN, since the sine of infinity warns.
        known = np.isfinite(lon) & np.isfinite(lat)
        lat, lon = np.where(known, lat, np.nan), np.where(known, lon, np.nan)
        corners.append(_on_sphere(lat, lon, globe))
    return _whole(globe) * _quadrilaterals(*corners)


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
