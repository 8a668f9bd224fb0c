"""What was made of the month and depth axes of the forcing, in words."""

from collections import defaultdict
from typing import Final

import numpy as np
import xarray as xr

from xbinn.constants import N_LAYERS
from xbinn.labels.forcing import downwards, model_levels
from xbinn.labels.months import bounds_of, month_dim, months_in_order
from xbinn.labels.profiles import counted
from xbinn.labels.reports import Finding, Level
from xbinn.labels.units import dequantify
from xbinn.variables import DEPTH, DEPTH_ALIASES, FORCING, MONTH

_LAYERS: Final = (DEPTH, *DEPTH_ALIASES)


def axes_findings(ds: xr.Dataset) -> tuple[Finding, ...]:
    """Say how months and layers of the forcing were read; what cannot be read is passed over.

    Parameters
    ----------
    ds : Dataset
        As handed in.

    Returns
    -------
    tuple of Finding
        Variables that are read alike stand together.
    """
    plain = dequantify(ds)
    found: defaultdict[tuple[str, Level, str], list[str]] = defaultdict(list)
    for variable in FORCING:
        name = next((n for n in (variable.name, *variable.aliases) if n in plain.variables), None)
        if name is None:
            continue
        da = plain[name]
        for axis, said in (("months", _months(da, plain)), ("layers", _layers(da))):
            if said is not None:
                level, text = said
                found[(axis, level, text)].append(variable.name)
    return tuple(
        Finding(level, axis, f"{text} ({', '.join(names)})", details={"variables": names})
        for (axis, level, text), names in found.items()
    )


def _months(da: xr.DataArray, ds: xr.Dataset) -> tuple[Level, str] | None:
    dim = month_dim(da)
    if dim is None:
        return None
    if dim not in da.coords:
        return "note", f"{dim} has no coordinate: taken from January to December"
    bounds = bounds_of(da[dim], ds)
    ordered, problem = months_in_order(da, bounds)
    if problem is not None or MONTH not in ordered.dims:
        return None
    axis = da[dim]
    kind = axis.dtype.kind
    if kind in "iuf":
        text = f"{dim} numbered from {int(axis.values.min())}"
    elif kind == "M" or hasattr(axis.values[0], "month"):
        text = f"{dim} by times of calendar {axis.dt.calendar}"
        text += ", by the middle of their bounds" if bounds is not None else ""
    else:
        text = f"{dim} by name"
    moved = not np.array_equal(_january_first(axis, bounds), np.arange(axis.size))
    return "ok", text + (", put in order" if moved else "")


def _january_first(axis: xr.DataArray, bounds: xr.DataArray | None) -> np.ndarray:
    """Positions that the entries of a month axis are put in."""
    positions = xr.DataArray(np.arange(axis.size), {axis.name: axis}, axis.dims)
    ordered, _ = months_in_order(positions, bounds)
    return np.asarray(ordered.values)


def _layers(da: xr.DataArray) -> tuple[Level, str] | None:
    dim = next((n for n in _LAYERS if n in da.dims), None)
    if dim is None:
        return None
    levels, problem = model_levels(da, dim)
    if problem is not None:
        return None
    # Asked for by `in`: a dimension without coordinate has a number for each entry.
    named = next((n for n in (dim, DEPTH) if n in da.coords), None)
    coordinate = None if named is None else da[named]
    size = da.sizes[dim]
    cut = f", cut to {N_LAYERS}" if size > N_LAYERS else ""
    turned = ", turned to run from the surface down" if levels[0] > levels[-1] else ""
    if coordinate is None or coordinate.dims != (dim,):
        text = (
            f"{counted(size, 'level')} of {dim} without a coordinate: taken from the surface down"
        )
        return "note", text + cut
    values = coordinate.values
    if coordinate.dtype.kind in "iu":
        return "ok", f"{counted(size, 'level')} of {dim} by number{turned}{cut}"
    units = coordinate.attrs.get("units", "m")
    heights = "" if np.array_equal(downwards(coordinate, values), values) else ", as heights"
    span = f"{values.min():g} to {values.max():g} {units}"
    return "ok", f"{counted(size, 'level')} of {dim} at {span}{heights}{turned}{cut}"
