"""Small grids and profiles of the idealised continent, for tests of xbinn and of what uses it."""

from typing import TYPE_CHECKING, Final

import numpy as np
import xarray as xr

from xbinn import idealised
from xbinn.datasets import Chunks
from xbinn.errors import InputError

if TYPE_CHECKING:
    import pyproj

__all__ = ["small_grid", "small_profiles"]

_BOX: Final = {"lat": idealised.LATITUDES, "lon": idealised.LONGITUDES}
_ATTRS: Final = {
    "lat": {"units": "degrees_north", "standard_name": "latitude"},
    "lon": {"units": "degrees_east", "standard_name": "longitude"},
}
_GEOGRAPHIC: Final = "EPSG:4326"


def small_grid(
    shape: tuple[int, int] = (4, 5),
    *,
    seed: int = 0,
    chunks: Chunks = None,
    crs: str | None = None,
    points: bool = False,
) -> xr.Dataset:
    """Put a coarse grid on the idealised continent.

    The default has ocean, permafrost and shallow bedrock.

    Parameters
    ----------
    shape : (int, int)
        Cells from south to north and from west to east; 0 and 1 are possible.
    seed : int
        Of the continent's waves, and of the places of points.
    chunks : int, dict or "auto", optional
        As in `xarray.Dataset.chunk`. Default: no dask.
    crs : str, optional
        Anything that pyproj understands. The grid is regular in it and carries it: on (y, x),
        y from north to south, or on (lat, lon) if it is geographic.
    points : bool
        An unstructured list of cells instead: dimension ``cell`` with ``lat`` and ``lon``.

    Returns
    -------
    Dataset
        As of `xbinn.datasets.open_grid`.

    Raises
    ------
    InputError
        If ``crs`` is not understood, or is given with ``points``.

    Examples
    --------
    >>> from xbinn.testing import small_grid
    >>> dict(small_grid((2, 3))["elevation"].sizes)
    {'lat': 2, 'lon': 3}
    """
    if points and crs is not None:
        raise InputError(f"points have lat and lon but no crs (got {crs!r}): leave one of them out")
    if crs is not None:
        grid = _on_crs(shape, crs, seed)
    elif points:
        grid = idealised.continent(*_points(shape, seed), seed=seed)
    else:
        grid = _on_degrees(shape, seed)
    return grid if chunks is None else grid.chunk(chunks)


def small_profiles(grid: xr.Dataset, n: int = 40, *, seed: int = 0) -> xr.Dataset:
    """Sample soil profiles on a grid of the idealised continent.

    Parameters
    ----------
    grid : Dataset
        Made by `small_grid` or `xbinn.datasets.open_grid`; where it is chunked, it is computed.
    n : int
        Number of profiles.
    seed : int
        Of places, depths and noise.

    Returns
    -------
    Dataset
        As of `xbinn.datasets.open_profiles`.

    Raises
    ------
    InputError
        If the cells have no positions, none is land that thaws, or the grid is not of the idealised
        continent.

    Examples
    --------
    >>> from xbinn.testing import small_grid, small_profiles
    >>> small_profiles(small_grid(), 25).sizes["profile"]
    25
    """
    # Sampling runs the soil carbon model: torch takes a second to import.
    from xbinn.idealised.sampling import sample_profiles

    return sample_profiles(grid, *_positions(grid), n=n, seed=seed)


def _centres(bounds: tuple[float, float], size: int) -> np.ndarray:
    """Middles of equal cells between two bounds, from the first to the second."""
    first, last = bounds
    return first + (last - first) * (np.arange(size) + 0.5) / max(size, 1)


def _axis(name: str, values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, {name: (name, values, _ATTRS.get(name))}, name, name)


def _on_degrees(shape: tuple[int, int], seed: int) -> xr.Dataset:
    lat, lon = (
        _axis(name, _centres(bounds, size))
        for (name, bounds), size in zip(_BOX.items(), shape, strict=True)
    )
    return idealised.continent(lat, lon, seed=seed)


def _points(shape: tuple[int, int], seed: int) -> list[xr.DataArray]:
    """Cells of a regular grid moved by up to a quarter of their size, as a list."""
    rng = np.random.default_rng(seed)
    regular = np.meshgrid(*map(_centres, _BOX.values(), shape), indexing="ij")
    coords = {}
    for (name, (low, high)), values, size in zip(_BOX.items(), regular, shape, strict=True):
        move = 0.25 * (high - low) / max(size, 1) * rng.uniform(-1.0, 1.0, values.size)
        coords[name] = ("cell", values.ravel() + move, _ATTRS[name])
    points = xr.Dataset(coords=coords)
    return [points["lat"], points["lon"]]


def _on_crs(shape: tuple[int, int], crs: str, seed: int) -> xr.Dataset:
    # PROJ and GDAL: most tests have no use for them.
    import pyproj
    import rioxarray  # noqa: F401  (registers Dataset.rio)

    try:
        target = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise InputError(
            f'crs={crs!r} is not understood ({error}): give one such as "EPSG:3035"'
        ) from error
    if target.is_geographic:
        grid = _on_degrees(shape, seed)
        return grid.rio.write_crs(target)  # type: ignore[no-any-return]
    project = pyproj.Transformer.from_crs(_GEOGRAPHIC, target, always_xy=True)
    (south, north), (west, east) = _BOX.values()
    left, lower, right, upper = project.transform_bounds(west, south, east, north)
    y, x = (
        _axis("y", _centres((upper, lower), shape[0])),
        _axis("x", _centres((left, right), shape[1])),
    )
    grid = idealised.continent(*_unproject(y, x, target), seed=seed)
    return grid.rio.write_crs(target).rio.write_coordinate_system()  # type: ignore[no-any-return]


def _unproject(
    y: xr.DataArray, x: xr.DataArray, crs: "pyproj.CRS"
) -> tuple[xr.DataArray, xr.DataArray]:
    """Latitude and longitude (y, x) of projected positions."""
    import pyproj  # as in _on_crs

    y, x = xr.broadcast(y, x)
    lon, lat = pyproj.Transformer.from_crs(crs, _GEOGRAPHIC, always_xy=True).transform(
        x.values, y.values
    )
    # What lies off the projection's globe is put at the pole, which is ocean.
    off = ~(np.isfinite(lat) & np.isfinite(lon))
    return y.copy(data=np.where(off, 90.0, lat)), y.copy(data=np.where(off, 0.0, lon))


def _positions(grid: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    if "lat" in grid.coords and "lon" in grid.coords:
        return grid["lat"], grid["lon"]
    import pyproj
    import rioxarray  # noqa: F401  (registers Dataset.rio)

    crs = grid.rio.crs if {"y", "x"} <= set(grid.coords) else None
    if crs is None:
        raise InputError(
            "the cells have no positions: lat and lon, or y and x with a CRS, are needed "
            f"(coordinates: {', '.join(map(str, grid.coords)) or 'none'}); sample profiles from "
            "the grid as xbinn.testing.small_grid() made it"
        )
    return _unproject(grid["y"], grid["x"], pyproj.CRS.from_user_input(crs))
