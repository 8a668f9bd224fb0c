"""Between the arrays of a block and the tensors of the physics."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from xbinn.constants import MONTHS_PER_YEAR
from xbinn.physics.forcing import Forcing
from xbinn.variables import INPUT_NAMES

Arrays = Mapping[str, np.ndarray]

_MICROMETRES = 6
"""Decimals of a depth in m that float32 can be trusted with, down to 8 m."""


def as_tensor(array: np.ndarray, dtype: torch.dtype | None, device: torch.device) -> Tensor:
    """Turn an array into a tensor, sharing memory where type and device allow it."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        # torch warns of read-only memory although nothing here writes to it, and knows no views
        # that run backwards, as of layers that were turned.
        array = array.copy()
    return torch.from_numpy(array).to(device=device, dtype=dtype)


def extremes(array: np.ndarray) -> tuple[float, float]:
    """Least and greatest value in one pass, of which numpy needs two; NaN if any value is."""
    least, greatest = torch.aminmax(as_tensor(array, None, torch.device("cpu")))
    return float(least), float(greatest)


def pack_forcing(arrays: Arrays, *, dtype: torch.dtype, device: torch.device) -> Forcing:
    """Forcing tensors from standardised arrays in which nothing is missing.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        `xbinn.variables.FORCING` as `xbinn.labels.forcing.standardise_forcing` lays it out:
        (month, depth, n), (month, n) or, for nbedrock, (n) or (month, n); one kind of column.
    dtype : torch.dtype
        Of the monthly fields and the inputs. ALTMAX is float64 always.
    device : torch.device
        Where the tensors go.
    """
    last_year = arrays["ALTMAX_LASTYEAR"]
    altmax = np.maximum(arrays["ALTMAX"], last_year)
    if altmax.dtype == np.float32:
        # Compared exactly with depths such as 1.2 m, which float32 puts beside the threshold.
        altmax = altmax.astype(np.float64).round(_MICROMETRES)
    altmax = altmax.astype(np.float64, copy=False)
    bedrock = arrays["nbedrock"]
    if bedrock.ndim == altmax.ndim and (bedrock == bedrock[:1]).all():
        bedrock = bedrock[0]
    annual = np.stack([_annual(arrays[name]) for name in INPUT_NAMES])
    allocated = np.asarray((last_year > 0.0).all(axis=0))
    return Forcing(
        temperature=as_tensor(arrays["TSOI"], dtype, device),
        water=as_tensor(arrays["W_SCALAR"], dtype, device),
        oxygen=as_tensor(arrays["O_SCALAR"], dtype, device),
        nitrogen=as_tensor(arrays["FPI_vr"], dtype, device),
        altmax=as_tensor(altmax, torch.float64, device),
        allocated=as_tensor(allocated, torch.bool, device),
        nbedrock=as_tensor(bedrock, torch.int64, device),
        inputs=as_tensor(annual, dtype, device),
    )


def _annual(monthly: np.ndarray) -> np.ndarray:
    # Month by month in float64: numpy's own order of summation depends on the memory layout.
    total = np.zeros(monthly.shape[1:])
    # Too much to be counted is infinite, which the cell's status will say.
    with np.errstate(over="ignore"):
        for month in range(MONTHS_PER_YEAR):
            total += monthly[month]
    return total
