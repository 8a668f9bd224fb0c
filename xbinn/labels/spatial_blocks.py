"""Blocks of space, which are held out whole: neighbours are alike."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyproj

from xbinn.errors import CoordinateError, UnitsError
from xbinn.labels.neighbours import Integers
from xbinn.labels.space import wrapped
from xbinn.labels.units import conversion

_WGS84: Final = pyproj.CRS("EPSG:4326")
_EQUAL_AREA: Final = pyproj.CRS("EPSG:6933")


def spatial_blocks(lat: npt.ArrayLike, lon: npt.ArrayLike, block_size: float | str) -> Integers:
    """Assign each profile to a block of a fixed global grid.

    Parameters
    ----------
    lat, lon
        (n,) [degree]; longitudes -180..180 or 0..360.
    block_size
        Width of a block: a number is in degrees; a text such as ``"200 km"`` is a length in the
        equal-area projection EPSG:6933.

    Returns
    -------
    (n,) int64
        The same number for profiles of one block, whatever the other profiles are.

    Raises
    ------
    CoordinateError
        If a coordinate is missing or impossible, or the size is no positive length.
    """
    lat, lon = np.asarray(lat, dtype=np.float64), np.asarray(lon, dtype=np.float64)
    bad = ~(np.isfinite(lat) & np.isfinite(lon) & (np.abs(lat) <= 90))
    if bad.any():
        raise CoordinateError(
            f"{int(bad.sum())} profiles have no usable lat and lon, such as number "
            f"{int(np.flatnonzero(bad)[0])}: drop them first"
        )
    y, x = lat + 90, wrapped(lon) + 180
    width = 360.0
    try:
        size = (
            conversion("block_size", block_size, "m")[0]
            if isinstance(block_size, str)
            else float(block_size)
        )
    except UnitsError as error:
        raise _no_block(block_size) from error
    if not (np.isfinite(size) and size > 0):
        raise _no_block(block_size)
    if isinstance(block_size, str):
        to_plane = pyproj.Transformer.from_crs(_WGS84, _EQUAL_AREA, always_xy=True)
        x, y = to_plane.transform(wrapped(lon), lat)
        (west, east), (south, _) = to_plane.transform([-180, 180], [-90, 90])
        x, y, width = x - west, y - south, east - west
    per_row = int(np.ceil(width / size))
    row, column = np.floor(y / size), np.floor(x / size)
    return np.asarray(row * per_row + column, dtype=np.int64)


def _no_block(block_size: float | str) -> CoordinateError:
    return CoordinateError(
        f"block_size is {block_size!r}: give a positive number of degrees such as 2.0, or a "
        f'length such as "200 km"'
    )
