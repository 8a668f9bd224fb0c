"""Forcing on other layers than the model's, brought to its nodes where that is asked for."""

import logging
from typing import Final

import numpy as np
import xarray as xr

from xbinn.constants import N_LAYERS, NODE_DEPTH
from xbinn.errors import InputError, UnitsError
from xbinn.labels.check import check_dataset
from xbinn.labels.forcing import downwards
from xbinn.labels.profiles import counted
from xbinn.labels.units import conversion, dequantify
from xbinn.variables import DEPTH, DEPTH_ALIASES, FORCING

_NAMES: Final = (DEPTH, *DEPTH_ALIASES)
_NODES: Final = np.array(NODE_DEPTH[:N_LAYERS])
_SAME: Final = 1e-3
"""Agreement (m) of depths that are the model's, as for `standardise_forcing`."""

_log = logging.getLogger("xbinn")


def interpolate_layers(ds: xr.Dataset) -> xr.Dataset:
    """Interpolate forcing to the nodes of CLM5's layers.

    Linearly in depth; above the first and below the last level given, the value there is kept.
    Never done unasked: each variable that was interpolated says so in ``forcing_source``.

    Parameters
    ----------
    ds : Dataset
        TSOI, W_SCALAR, O_SCALAR or FPI_vr on other levels, with a coordinate of depth (m, or as its
        ``units`` say; below the surface, or heights). Variables without levels, or on the model's,
        stay as they are.

    Returns
    -------
    Dataset
        With those on ``depth`` (20,) [m]; lazy where ``ds`` is.

    Raises
    ------
    InputError
        If levels have no depths, or a litter input has levels: its sum must be kept.

    Examples
    --------
    >>> import xbinn
    >>> grid = xbinn.testing.small_grid()
    >>> coarse = grid.isel(depth=slice(0, None, 2))
    >>> xbinn.forcing.interpolate_layers(coarse).sizes["depth"]
    20
    """
    check_dataset(ds)
    plain = dequantify(ds)
    made: dict[str, xr.DataArray] = {}
    used: set[str] = set()
    problems: list[str] = []
    for variable in FORCING:
        name = next((n for n in (variable.name, *variable.aliases) if n in plain), None)
        dim = None if name is None else next((d for d in _NAMES if d in plain[name].dims), None)
        if name is None or dim is None:
            continue
        depths = _depths(plain[name], dim)
        if isinstance(depths, str):
            problems.append(f"{name} {depths}")
        elif _is_model(depths):
            continue
        elif DEPTH in variable.optional_dims:
            problems.append(
                f"{name} is a density on {counted(depths.size, 'level')}, whose sum over depth is "
                "what matters: give its total, as in (da * thickness).sum(dim)"
            )
        else:
            used.add(dim)
            made[name] = _interpolated(plain[name], dim, depths)
    if problems:
        raise InputError(f"layers that cannot be interpolated: {'; '.join(problems)}")
    if not made:
        return ds
    _log.info("interpolated to the nodes of CLM5's layers: %s", ", ".join(made))
    rest = ds.drop_vars(list(made))
    # A dimension that is used up takes its coordinate along.
    over = [d for d in used if not any(d in da.dims for da in rest.data_vars.values())]
    rest = rest.drop_vars([n for n, c in rest.coords.items() if set(c.dims) & set(over)])
    if any(DEPTH in da.dims and da.sizes[DEPTH] != N_LAYERS for da in rest.data_vars.values()):
        others = [str(n) for n, da in rest.data_vars.items() if DEPTH in da.dims]
        raise InputError(
            f"layers that cannot be interpolated: {', '.join(others)} lie on {DEPTH} too and "
            f"are no forcing: drop them with ds.drop_vars({others!r}), or rename their dimension"
        )
    return rest.assign(made)


def _depths(da: xr.DataArray, dim: str) -> np.ndarray | str:
    """Depths of levels below the surface [m], or what is wrong with them."""
    named = next((n for n in (dim, DEPTH) if n in da.coords), None)
    coordinate = None if named is None else da[named]
    if coordinate is None or coordinate.dims != (dim,) or coordinate.dtype.kind not in "fiu":
        return f"has {counted(da.sizes[dim], 'level')} of {dim} without a coordinate of depth"
    depths = coordinate.values.astype(np.float64)
    if "units" in coordinate.attrs:
        try:
            factor, offset = conversion(str(coordinate.name), coordinate.attrs["units"], "m")
        except UnitsError as error:
            return f"has a coordinate of depth that cannot be used ({error})"
        depths = depths * factor + offset
    depths = downwards(coordinate, depths)
    if not np.isfinite(depths).all() or np.unique(depths).size != depths.size or depths.size == 0:
        return f"has depths of {dim} that are missing or the same"
    return depths


def _is_model(depths: np.ndarray) -> bool:
    return bool((np.abs(depths[:, None] - _NODES).min(axis=0) <= _SAME).all())


def _interpolated(da: xr.DataArray, dim: str, depths: np.ndarray) -> xr.DataArray:
    stale = [n for n, c in da.coords.items() if dim in c.dims]
    levels = da.drop_vars(stale).rename({dim: "_level"}).assign_coords(_level=depths)
    levels = levels.sortby("_level")
    if levels.chunks is not None:
        levels = levels.chunk({"_level": -1})
    # Clipped, so that what lies beyond the levels has the value of the last.
    wanted = xr.DataArray(_NODES.clip(depths.min(), depths.max()), dims=DEPTH)
    if depths.size > 1:
        out = levels.interp(_level=wanted, method="linear").drop_vars("_level")
    else:
        out = levels.isel(_level=0, drop=True).expand_dims({DEPTH: N_LAYERS})
    said = f"interpolated from {counted(depths.size, 'level')} at {depths.min():g} to "
    said += f"{depths.max():g} m to the nodes of CLM5's layers"
    source = da.attrs.get("forcing_source")
    out.attrs = {**da.attrs, "forcing_source": f"{source}; {said}" if source else said}
    out = out.assign_coords({DEPTH: (DEPTH, _NODES, {"units": "m", "positive": "down"})})
    order = [DEPTH if d == dim else d for d in da.dims]
    return out.transpose(*order)
