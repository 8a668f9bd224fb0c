"""Stocks between two depths from densities by layer."""

import numpy as np
import xarray as xr

from xbinn.constants import COLUMN_DEPTH, NODE_DEPTH, interval_overlap
from xbinn.errors import InputError
from xbinn.labels.units import dequantify, to_units
from xbinn.variables import DEPTH


def stock(out: xr.Dataset, top: float, bottom: float) -> xr.DataArray:
    """SOC stock between two depths.

    Parameters
    ----------
    out : Dataset
        Holds ``soc`` (depth, ...) on the model's layers, from `predict` or `simulate`; kg m-3
        where it states no unit.
    top, bottom : float
        Interval, m below the surface; ``bottom`` at most that of the column (8.6 m).

    Returns
    -------
    DataArray
        (...) [kg m-2]: the layer densities times their overlap with the interval. Layers below
        bedrock hold nothing; NaN where a cell has no result.

    Raises
    ------
    InputError
        If there is no ``soc`` on the model's layers or the interval is not inside the column.
    """
    if "soc" not in out or DEPTH not in out["soc"].dims:
        raise InputError(
            "stock needs the variable soc with dimension depth: make it with "
            'predict(model, outputs=("soc",)) or simulate(parameters)'
        )
    if not 0.0 <= top < bottom <= COLUMN_DEPTH:
        raise InputError(
            f"the interval {top} to {bottom} m must lie within 0 to {COLUMN_DEPTH} m, top first"
        )
    soc = dequantify(out["soc"])
    if "units" in soc.attrs:
        soc = to_units(soc, "kg m-3", name="soc")
    overlap = np.array(interval_overlap(top, bottom), dtype=soc.dtype)
    if soc.sizes[DEPTH] != overlap.size:
        raise InputError(
            f"soc has {soc.sizes[DEPTH]} layers and the model {overlap.size}: give all of them"
        )
    if DEPTH in soc.coords and not np.allclose(soc[DEPTH], NODE_DEPTH[: overlap.size]):
        raise InputError(
            "the depths of soc are not those of the model's layers from the surface down: "
            'put them in order with out.sortby("depth")'
        )
    # The surface layer is there wherever there is a result.
    total = (soc * xr.DataArray(overlap, dims=DEPTH)).sum(DEPTH)
    total = total.where(soc.isel({DEPTH: 0}, drop=True).notnull()).rename("soc_stock")
    total.attrs = {
        "units": "kg m-2",
        "long_name": f"soil organic carbon stock from {top:g} to {bottom:g} m depth",
        "standard_name": "soil_mass_content_of_carbon",
    }
    return total
