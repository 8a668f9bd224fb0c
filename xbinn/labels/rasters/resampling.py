"""One raster onto another grid, lazily: GDAL's warp, block by block."""

from dataclasses import dataclass
from typing import Final, Literal

import dask.array as da
import numpy as np
import pyproj
import xarray as xr
from affine import Affine
from dask.delayed import delayed
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT
from rasterio.warp import Resampling as Warp

from xbinn.labels.rasters.grids import RasterGrid

Resampling = Literal["mean", "mode", "nearest"]

_GDAL: Final = {"mean": Warp.average, "mode": Warp.mode, "nearest": Warp.nearest}
_EXACT: Final = 1e-12
"""Tolerance of places, in cells. By default GDAL interpolates them along a row wherever the middle
of the row seems right to an eighth of a cell, so that results would depend on chunks."""
_NO_WEIGHT: Final = 1e-6
_RIM: Final = 1
"""Missing cells around a source: beyond its edges GDAL gives cells that only touch it, or not, by
how large the block is; beside cells that are missing it does not."""
_SAMPLED: Final = 128
"""Corners along each edge of a block that are looked at to find what it covers."""


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
        If the steps of a grid are not equal.
    """
    if source.passes_date_line():
        # Both, where they can be: without a conversion edges stay what they are to the last bit.
        target = target.from_date_line() if target.crs == source.crs else target
        source = source.from_date_line()
    source, order = source.sorted()
    values = values.isel(order)
    if values.chunks is None:
        values = values.chunk({"y": -1, "x": -1})
    goal, turned = target.sorted()
    parts = [_warp(values, source, goal, columns, how, chunks) for columns in goal.runs()]
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
) -> da.Array:
    """Resample onto the columns of a sorted grid."""
    whole = goal.transform(columns)
    shape = (goal.y.size, goal.x[columns].size)
    rows, cols = (
        [(i, min(i + size, n)) for i in range(0, n, size)]
        for n, size in zip(shape, chunks, strict=True)
    )
    across = pyproj.Transformer.from_crs(goal.crs, source.crs, always_xy=True)
    blocks = []
    for top, bottom in rows:
        line = []
        for left, right in cols:
            there = _Block(
                _from(whole, left, top),
                (bottom - top, right - left),
                goal.crs.to_wkt(),
            )
            line.append(_block(values, source, there, across, how))
        blocks.append(line)
    made: da.Array = da.block(blocks)
    return made


@dataclass(frozen=True)
class _Block:
    """Part of a grid: from column and row to places, size, CRS."""

    transform: Affine
    shape: tuple[int, int]
    crs: str


def _block(
    values: xr.DataArray,
    source: RasterGrid,
    there: _Block,
    across: pyproj.Transformer,
    how: Resampling,
) -> da.Array:
    """One block of the result, of the part of the source that it covers."""
    window = _window(source, there, across)
    if window is None:
        nothing: da.Array = da.full(there.shape, np.nan, dtype=values.dtype)
        return nothing
    y, x = window
    here = _Block(
        _from(source.transform(), x.start, y.start),
        (y.stop - y.start, x.stop - x.start),
        source.crs.to_wkt(),
    )
    width = None
    if how == "mean" and source.geographic:
        width = np.cos(np.radians(source.y[y])).astype(values.dtype)
    part = values.data[y, x]
    block = delayed(_reproject, pure=True)(part, here, there, how, width)
    made: da.Array = da.from_delayed(block, there.shape, meta=np.empty((0, 0), dtype=values.dtype))
    return made


def _window(
    source: RasterGrid, there: _Block, across: pyproj.Transformer
) -> tuple[slice, slice] | None:
    """Rows and columns of the source that a block covers; None where there are none."""
    corners = [np.unique(np.append(np.arange(0, n, max(1, n // _SAMPLED)), n)) for n in there.shape]
    row, column = np.meshgrid(*corners, indexing="ij")
    x, y = across.transform(*_moved(there.transform, column, row))
    column, row = _moved(~source.transform(), x, y)
    found = []
    for place, size, axis in ((row, source.y.size, 0), (column, source.x.size, 1)):
        finite = np.isfinite(place)
        if not finite.any():
            return None
        # Between the corners that were looked at, edges may bend; interruptions are no bend.
        steps = np.abs(np.diff(place, axis=axis))
        steps = steps[np.isfinite(steps)]
        margin = 2.0 + (2.0 * float(np.median(steps)) if steps.size else 0.0)
        first = max(0, int(np.floor(place[finite].min() - margin)))
        last = min(size, int(np.ceil(place[finite].max() + margin)))
        if first >= last:
            return None
        found.append(slice(first, last))
    return found[0], found[1]


def _from(transform: Affine, column: int, row: int) -> Affine:
    """Count from another cell."""
    x, y = transform.a * column + transform.c, transform.e * row + transform.f
    return Affine(transform.a, 0.0, x, 0.0, transform.e, y)


def _moved(transform: Affine, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Apply a transform without rotation."""
    return transform.a * x + transform.c, transform.e * y + transform.f


def _reproject(
    values: np.ndarray,  # (y, x)
    here: _Block,
    there: _Block,
    how: Resampling,
    width: np.ndarray | None,  # (y,)
) -> np.ndarray:
    """Warp in memory; ``width`` weights the rows of a mean."""

    def warp(given: np.ndarray) -> np.ndarray:
        given = np.pad(given, _RIM, constant_values=np.nan)
        rows, columns = given.shape
        profile = {"driver": "GTiff", "count": 1, "dtype": given.dtype, "nodata": np.nan}
        placed = {"crs": here.crs, "transform": _from(here.transform, -_RIM, -_RIM)}
        with MemoryFile() as memory:
            with memory.open(height=rows, width=columns, **profile, **placed) as file:
                file.write(given, 1)
            with (
                memory.open() as file,
                WarpedVRT(
                    file,
                    crs=there.crs,
                    transform=there.transform,
                    height=there.shape[0],
                    width=there.shape[1],
                    resampling=_GDAL[how],
                    src_nodata=np.nan,
                    nodata=np.nan,
                    tolerance=_EXACT,
                ) as warped,
            ):
                return np.asarray(warped.read(1))

    if width is None:
        return warp(values)
    # Meridians converge: the mean of value times width over the mean of width.
    weight = width[:, None] * np.where(np.isnan(values), np.nan, 1.0).astype(values.dtype)
    total = warp(weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = warp(values * weight) / total
    return np.where(total > _NO_WEIGHT, mean, np.nan).astype(values.dtype)
