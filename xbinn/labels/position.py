"""Where a cell is, as covariates: waves over the globe."""

import math
from typing import Final

import numpy as np
import pyproj
import xarray as xr

from xbinn.errors import InputError, UnitsError
from xbinn.labels.space import find_coordinates, spatial_dims
from xbinn.labels.units import conversion

EARTH_RADIUS: Final = 6371.0088
"""Mean radius [km]."""
_LONGEST: Final = 4.0 * EARTH_RADIUS
"""Wavelength [km] of which the diameter of the Earth is half."""
_MOST: Final = 16
"""Wavelengths, as many as published: more would tell metres apart."""
_WGS84: Final = "EPSG:4326"


def position_covariates(ds: xr.Dataset, *, shortest: float | str = 1000.0) -> xr.Dataset:
    """Encode where each cell is, as covariates to merge into a grid.

    Sine and cosine along the three axes through the Earth, of wavelengths from twice its diameter
    down by halves: without seam at the date line or at the poles, unlike the published waves of
    longitude and latitude. Short waves let a network memorise places, which spatial blocks show and
    random folds hide.

    Parameters
    ----------
    ds : Dataset
        Grid or list of cells with latitude and longitude, or y and x with a CRS.
    shortest : float or str
        Shortest wavelength, in km or as a length such as ``"500 km"``; over ground no wave is
        shorter.

    Returns
    -------
    Dataset
        ``position_sin_x_25484km`` and so on (*space) [1], float32; chunked where ``ds`` is.

    Raises
    ------
    InputError
        If the wavelength is no length from 0.78 km to 25484 km.
    CoordinateError
        If cells cannot be placed.

    Examples
    --------
    >>> import xbinn
    >>> grid = xbinn.testing.small_grid()
    >>> waves = xbinn.position_covariates(grid, shortest="10000 km")
    >>> [name for name in waves if "_x_" in name]
    ['position_sin_x_25484km', 'position_cos_x_25484km', \
'position_sin_x_12742km', 'position_cos_x_12742km']
    """
    wavelengths, space = _wavelengths(shortest), spatial_dims(ds)
    lat, lon = (np.deg2rad(degrees) for degrees in _lat_lon(ds, space))
    axes = {"x": np.cos(lat) * np.cos(lon), "y": np.cos(lat) * np.sin(lon), "z": np.sin(lat)}
    waves = {}
    for wavelength in wavelengths:
        for axis, place in axes.items():
            phase = 2.0 * math.pi * EARTH_RADIUS / wavelength * place
            for name, function in {"sin": np.sin, "cos": np.cos}.items():
                waves[f"position_{name}_{axis}_{wavelength:.0f}km"] = xr.Variable(
                    space,
                    function(phase).astype("float32").data,
                    {
                        "units": "1",
                        "long_name": f"{name} of {wavelength:.0f} km waves along the {axis} axis",
                    },
                )
    placed = {n: c for n, c in ds.coords.items() if set(c.dims) <= set(space)}
    return xr.Dataset(waves, placed)


def _wavelengths(shortest: float | str) -> list[float]:
    """Wavelengths [km] from the longest by halves to one that is not under the shortest."""
    try:
        least = conversion("shortest", shortest, "km")[0] if isinstance(shortest, str) else shortest
        inside = _LONGEST / 2.0 ** (_MOST - 1) <= least <= _LONGEST
    except (UnitsError, TypeError):
        inside = False
    if not inside:
        raise InputError(
            f"shortest={shortest!r} must be a wavelength from {_LONGEST / 2.0 ** (_MOST - 1):.2g} "
            f'to {_LONGEST:.0f} km, as a number of km or a length such as "500 km"'
        )
    return [_LONGEST / 2.0**n for n in range(_MOST) if _LONGEST / 2.0**n >= least]


def _lat_lon(ds: xr.Dataset, space: tuple[str, ...]) -> tuple[xr.DataArray, xr.DataArray]:
    """Latitude and longitude [degree] of the cells (*space), chunked where the grid is."""
    where = find_coordinates(ds)
    if where.regular:
        down, across = space if where.y_first else space[::-1]
        y, x = xr.DataArray(where.y, dims=down), xr.DataArray(where.x, dims=across)
    else:
        sizes = [ds.sizes[dim] for dim in space]
        y, x = (xr.DataArray(a.reshape(sizes), dims=space) for a in (where.y, where.x))
    chunks = {dim: ds.chunksizes[dim] for dim in space if dim in ds.chunksizes}
    y, x = xr.broadcast(y, x)
    y, x = y.transpose(*space), x.transpose(*space)
    if chunks:
        y, x = y.chunk(chunks), x.chunk(chunks)
    if where.crs is None:
        return y, x
    lat, lon = xr.apply_ufunc(
        _to_degrees,
        y,
        x,
        kwargs={"crs": where.crs},
        output_core_dims=[(), ()],
        dask="parallelized",
        output_dtypes=[np.float64, np.float64],
    )
    return lat, lon


def _to_degrees(y: np.ndarray, x: np.ndarray, *, crs: pyproj.CRS) -> tuple[np.ndarray, np.ndarray]:
    """Transform projected coordinates to latitude and longitude."""
    lon, lat = pyproj.Transformer.from_crs(crs, _WGS84, always_xy=True).transform(x, y)
    return np.asarray(lat), np.asarray(lon)
