"""One raster onto another grid, lazily: GDAL's warp by way of odc-geo, block by block."""

from typing import Any, Final, Literal

import dask.array as da
import numpy as np
import xarray as xr

from xbinn.errors import CoordinateError
from xbinn.labels.rasters.grids import RasterGrid

Resampling = Literal["mean", "mode", "nearest"]

_GDAL: Final = {"mean": "average", "mode": "mode", "nearest": "nearest"}
_EXACT: Final = 0.0
"""Transform every cell: GDAL interpolates between some, and results would depend on chunks."""
_NO_WEIGHT: Final = 1e-6


def resample(
    values: xr.DataArray,
    source: RasterGrid,
    target: RasterGrid,
    how: Resampling,
    chunks: tuple[int, int],
) -> xr.DataArray:
    """Bring a raster to the cells of another grid.

    ``mean`` weights each source cell by the part of it inside the target cell and, on latitude and
    longitude, by its width on the globe. Missing source cells count in nothing; a target cell
    without any other is missing.

    Parameters
    ----------
    values : DataArray
        (y, x) floating point on ``source``, NaN where missing; plain or chunked.
    source, target : RasterGrid
        Where it lies, and where it should.
    how : {"mean", "mode", "nearest"}
        Resampling.
    chunks : (int, int)
        Cells of a chunk of the result.

    Returns
    -------
    DataArray
        (y, x) on ``target``, chunked, of the type of ``values``.

    Raises
    ------
    CoordinateError
        If a source in longitudes passes the date line without going round the globe.
    """
    source, order = source.sorted()
    values = values.isel(order)
    if len(source.runs()) > 1:
        raise CoordinateError(
            f"{source.origin} passes the date line in the middle: hand over its parts, as in "
            '{"west": da.where(da.lon > 180, drop=True), "east": ...}'
        )
    if values.chunks is None:
        values = values.chunk({"y": -1, "x": -1})
    goal, turned = target.sorted()
    parts = [
        _warp(values, source, goal, columns, how, chunks, weighted=how == "mean")
        for columns in goal.runs()
    ]
    data = da.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
    out = xr.DataArray(data, dims=("y", "x"), name=values.name)
    # The entries that sorting took go back to where they were.
    back = {n: i if isinstance(i, slice) else np.argsort(i) for n, i in turned.items()}
    return out.isel(back).chunk({"y": chunks[0], "x": chunks[1]})


def _warp(
    values: xr.DataArray,
    source: RasterGrid,
    goal: RasterGrid,
    columns: slice,
    how: Resampling,
    chunks: tuple[int, int],
    *,
    weighted: bool,
) -> Any:
    box = goal.geobox(columns)
    size = tuple(min(c, n) for c, n in zip(chunks, box.shape, strict=True))

    def to_box(da_: xr.DataArray) -> Any:
        from odc.geo.xr import xr_reproject

        return xr_reproject(
            _placed(da_, source), box, resampling=_GDAL[how], chunks=size, tolerance=_EXACT
        ).data

    if not weighted or not source.geographic:
        return to_box(values)
    # Meridians converge: the mean of value times width over the mean of width.
    width = xr.DataArray(np.cos(np.radians(source.y)).astype(values.dtype), dims="y")
    there = xr.ones_like(values).where(values.notnull())
    over = to_box(values * width)
    total = to_box(there * width)
    return da.where(total > _NO_WEIGHT, over / total, np.nan).astype(values.dtype)


def _placed(values: xr.DataArray, source: RasterGrid) -> xr.DataArray:
    """Give a sorted raster the coordinates from which odc-geo reads its geometry."""
    from odc.geo.xr import xr_coords

    coords = xr_coords(source.geobox(), dims=("y", "x"))
    return values.assign_coords(coords)
