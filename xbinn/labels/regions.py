"""Sums over the cells of each region, chunk by chunk."""

import math
from dataclasses import dataclass
from typing import Any, Final

import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr

from xbinn.errors import InputError

_NO_REGION: Final = -1


@dataclass(frozen=True, eq=False)
class Regions:
    """To which region each cell belongs.

    ``number`` counts regions from 0, -1 for none, on spatial dimensions; ``labels`` names them
    along the dimension ``name``.
    """

    name: str
    labels: np.ndarray
    number: xr.DataArray


def find_regions(by: xr.DataArray, name: str) -> Regions:
    """Number the regions of a variable by ``flag_values``, or by the values that it takes.

    Parameters
    ----------
    by : DataArray
        Classes or names of regions; missing where a cell belongs to none. Without
        ``flag_values`` chunked values are read, and nothing else is.
    name : str
        Of the dimension of regions.

    Returns
    -------
    Regions

    Raises
    ------
    InputError
        If there are not as many ``flag_meanings`` as ``flag_values``.
    """
    if "flag_values" not in by.attrs:
        numbers, labels = pd.factorize(by.values.ravel(), sort=True)
        number = by.copy(data=numbers.reshape(by.shape))
        return Regions(name, np.asarray(labels), number)
    values = np.atleast_1d(by.attrs["flag_values"])
    meanings = str(by.attrs.get("flag_meanings", "")).split()
    if meanings and len(meanings) != len(values):
        raise InputError(
            f"{name} has {len(values)} flag_values and {len(meanings)} flag_meanings: give one "
            "word each, or remove flag_meanings"
        )
    number = xr.apply_ufunc(
        _position,
        by,
        kwargs={"values": values},
        dask="parallelized",
        output_dtypes=[np.int64],
    )
    return Regions(name, np.array(meanings) if meanings else values, number)


def sum_by_region(weights: xr.DataArray, regions: Regions, space: tuple[str, ...]) -> xr.DataArray:
    """Sum over the cells of each region.

    Parameters
    ----------
    weights : DataArray
        (..., *space), without missing values.
    regions : Regions
        On some of the dimensions of ``space``.
    space : tuple of str
        Dimensions to sum over.

    Returns
    -------
    DataArray
        (..., region), float64; lazy where ``weights`` or the regions are.
    """
    where = {dim: weights.sizes[dim] for dim in space if dim not in regions.number.dims}
    number = regions.number.drop_vars(list(regions.number.coords)).expand_dims(where)
    total: xr.DataArray = xr.apply_ufunc(
        _summed,
        weights.drop_vars(list(weights.coords)),
        number.transpose(*space),
        kwargs={"count": len(regions.labels)},
        input_core_dims=[list(space), list(space)],
        output_core_dims=[[regions.name]],
        dask="allowed",
    )
    return total.assign_coords({regions.name: regions.labels})


def _position(by: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Position of each entry among ``values``, -1 where it is none of them."""
    order = np.argsort(values)
    place = np.searchsorted(values, by, sorter=order).clip(max=len(values) - 1)
    return np.where(values[order[place]] == by, order[place], _NO_REGION)


def _summed(weights: Any, number: Any, *, count: int) -> Any:
    """Sum (..., *space) by number (*space) -> (..., count)."""
    if not isinstance(weights, da.Array) and not isinstance(number, da.Array):
        return _count(weights, number, count=count, keep=False)
    axes = number.ndim
    if isinstance(weights, da.Array):
        chunks = weights.chunks[weights.ndim - axes :]
    else:
        chunks = number.chunks
        weights = da.from_array(weights, chunks=(*weights.shape[: weights.ndim - axes], *chunks))
    number = da.asarray(number).rechunk(chunks)
    # A block of cells becomes one entry along each dimension of space.
    ones = tuple((1,) * len(lengths) for lengths in chunks)
    parts = da.map_blocks(
        _count,
        weights,
        number,
        count=count,
        dtype=np.float64,
        chunks=(*weights.chunks[: weights.ndim - axes], *ones, (count,)),
        new_axis=weights.ndim,
        meta=np.empty((0,) * (weights.ndim + 1)),
    )
    return parts.sum(axis=tuple(range(weights.ndim - axes, weights.ndim)))


def _count(weights: np.ndarray, number: np.ndarray, *, count: int, keep: bool = True) -> np.ndarray:
    """Sum a block; ``keep`` leaves a dimension of one in the place of each of space."""
    leading = weights.shape[: weights.ndim - number.ndim]
    place = np.where(number < 0, count, number).ravel()
    rows = weights.reshape(math.prod(leading), number.size)
    sums = [np.bincount(place, row, minlength=count + 1)[:count] for row in rows]
    ones = (1,) * number.ndim if keep else ()
    return np.array(sums, dtype=np.float64).reshape(*leading, *ones, count)
