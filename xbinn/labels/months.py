"""The twelve months of a variable, however its axis names them, in order from January."""

from typing import Any, Final

import numpy as np
import xarray as xr

from xbinn.constants import MONTHS_PER_YEAR
from xbinn.variables import MONTH, MONTH_ALIASES

_ORDER: Final = np.arange(1, MONTHS_PER_YEAR + 1)
_NAMES: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SHOWN: Final = 5


def month_dim(da: xr.DataArray) -> str | None:
    """Name of the dimension that may be months."""
    return next((name for name in (MONTH, *MONTH_ALIASES) if name in da.dims), None)


def bounds_of(axis: xr.DataArray, ds: xr.Dataset) -> xr.DataArray | None:
    """Bounds of a coordinate, where the Dataset has them."""
    stated = axis.attrs.get("bounds", axis.encoding.get("bounds"))
    return ds[stated] if stated in ds.variables else None


def months_in_order(
    da: xr.DataArray, bounds: xr.DataArray | None = None
) -> tuple[xr.DataArray, str | None]:
    """Put months in order, and call their dimension month.

    Months may be numbers from 1 or from 0, English names, or times of any calendar, of which the
    middle of their bounds counts where these are known. Without a coordinate they are taken as
    they come.

    Parameters
    ----------
    da : DataArray
        (month, ...), of any length; lengths other than 12 are left as they are.
    bounds : DataArray, optional
        (month, 2), the bounds of the coordinate.

    Returns
    -------
    DataArray
        Lazy where ``da`` is.
    str or None
        What is wrong, as a predicate.
    """
    dim = month_dim(da)
    if dim is None or da.sizes[dim] != MONTHS_PER_YEAR or dim not in da.coords:
        return da, None
    if dim != MONTH and not _times(da[dim].values):
        return da, None  # numbers of anything
    if not da.indexes[dim].is_unique:
        return da if dim == MONTH else da.rename({dim: MONTH}), None
    numbers = _numbers(da[dim], bounds)
    if numbers is not None and np.array_equal(numbers, _ORDER) and dim == MONTH:
        return _numbered(da), None
    if numbers is None or not np.array_equal(np.sort(numbers), _ORDER):
        shown = ", ".join(str(v) for v in da[dim].values[:_SHOWN])
        problem = f"{{has}} {dim} {shown}, ..., not each month of a year once"
        return da if dim == MONTH else da.rename({dim: MONTH}), problem
    da = da.isel({dim: np.argsort(numbers)}).drop_vars(dim)
    da = da if dim == MONTH else da.rename({dim: MONTH})
    return _numbered(da), None


def _numbered(da: xr.DataArray) -> xr.DataArray:
    known = MONTH in da.coords and da[MONTH].dtype.kind in "iu"
    return da if known and da[MONTH].values[0] == 1 else da.assign_coords({MONTH: _ORDER})


def _numbers(axis: xr.DataArray, bounds: xr.DataArray | None) -> np.ndarray | None:
    """Months from 1; None where the axis does not tell."""
    values: Any = axis.values
    if _times(values):
        middle = axis if bounds is None else _middle(axis, bounds)
        return np.asarray(middle.dt.month)
    if values.dtype.kind in "OUT":
        names = [str(v).strip().lower()[:3] for v in values]
        return np.array([_NAMES.index(n) + 1 if n in _NAMES else 0 for n in names])
    if values.dtype.kind not in "iuf" or not np.array_equal(values, np.round(values)):
        return None
    return np.asarray(values + 1 if values.min() == 0 else values).astype(np.int64)


def _times(values: Any) -> bool:
    return values.dtype.kind == "M" or (values.dtype.kind == "O" and hasattr(values[0], "month"))


def _middle(axis: xr.DataArray, bounds: xr.DataArray) -> xr.DataArray:
    first, last = bounds.transpose(axis.dims[0], ...).values.T
    return axis.copy(data=first + (last - first) / 2)
