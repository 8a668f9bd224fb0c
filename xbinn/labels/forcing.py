"""The CLM5 forcing of a Dataset: found, named, converted, cut and laid out. Always lazy."""

import logging
from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping
from functools import lru_cache
from typing import Final

import numpy as np
import xarray as xr

from xbinn.constants import (
    LAYER_THICKNESS,
    MONTHS_PER_YEAR,
    N_LAYERS,
    N_LAYERS_CLM5,
    NODE_DEPTH,
)
from xbinn.errors import InputError, UnitsError
from xbinn.labels.encoding import as_float, convert_units, lay_out, output_coordinates
from xbinn.labels.months import bounds_of, month_dim, months_in_order
from xbinn.labels.profiles import counted
from xbinn.labels.space import spatial_dims
from xbinn.labels.units import conversion, dequantify
from xbinn.variables import DEPTH, DEPTH_ALIASES, FORCING, INPUT_NAMES, MONTH, Variable

INPUT_NOISE: Final = 0.01
"""Litter input (gC m-2 month-1) below zero by no more than this is taken as zero: models that
write NPP of deserts and ice leave such residues, and no carbon flows out of litter."""

_NODE_TOLERANCE: Final = 1e-3
"""Agreement (m) asked of depth coordinates; CLM4.5's first node is 3 mm away from CLM5's."""
_NAMED: Final = 5
_TABLE: Final = {v.name: v for v in FORCING}
_DEPTH_NAMES: Final = (DEPTH, *DEPTH_ALIASES)

_log = logging.getLogger("xbinn")


def standardise_forcing(ds: xr.Dataset) -> xr.Dataset:
    """Bring the forcing variables of a Dataset to the form that the model takes.

    Parameters
    ----------
    ds : Dataset
        Holds the forcing variables of `xbinn.variables.FORCING` by name or alias, with units;
        plain or quantified. The depth dimension may be called ``depth``, ``layer``, ``levsoi``,
        ``levgrnd`` or ``levdcmp`` and have more levels than the model's 20 (CLM5 writes 25).

    Returns
    -------
    Dataset
        TSOI [K], W_SCALAR, O_SCALAR, FPI_vr [1] (month, depth, *space); ALTMAX, ALTMAX_LASTYEAR
        [m] and the four litter inputs [gC m-2 month-1] (month, *space); nbedrock [1] (*space) or
        (month, *space). Floating point; lazy where ``ds`` is, with month and depth in one chunk.

    Raises
    ------
    InputError
        If variables are missing, are not numbers, or have wrong months or depths.
    UnitsError
        If a unit is missing, cannot be understood, or measures something else.
    """
    found = _find_forcing(ds)
    space = _space_sizes(found)
    # What is wrong, said of one or of many, with the variables of which it holds.
    problems: defaultdict[str, list[str]] = defaultdict(list)
    found = {n: _in_order(n, da, ds, problems) for n, da in found.items()}
    common = set.intersection(*(set(da.dims) for da in found.values()))
    layered: dict[str, xr.DataArray] = {}
    cut: dict[str, int] = {}
    for name, da in found.items():
        for problem in _dimension_problems(_TABLE[name], da, common):
            problems[problem].append(name)
        layer = _layer_dim(da)
        if layer is None:
            layered[name] = da
            continue
        levels, mismatch = model_levels(da, layer)
        if mismatch is not None:
            problems[mismatch].append(name)
            continue
        if da.sizes[layer] > N_LAYERS:
            cut[name] = da.sizes[layer]
        layered[name] = _on_model_depth(da, layer, levels)
    if problems:
        raise InputError(
            f"forcing that cannot be used: {_sentences(problems)}; needed are {MONTHS_PER_YEAR} "
            f'entries of {MONTH} (ds.groupby("time.month").mean("time") makes them) and '
            f"{N_LAYERS} or {N_LAYERS_CLM5} CLM5 layers (xbinn.forcing.interpolate_layers(ds) "
            "makes them of others)"
        )
    if cut:
        _log.info(
            "cut to the %d biogeochemically active CLM5 layers (to 8.6 m): %s",
            N_LAYERS,
            ", ".join(f"{name} from {size}" for name, size in cut.items()),
        )
    converted = convert_units(layered, {n: _wanted_units(_TABLE[n], layered[n]) for n in layered})
    finished = {name: _finish(_TABLE[name], da, space) for name, da in converted.items()}
    # One coordinate for all: nodes a rounding apart would align to nothing.
    return xr.Dataset(finished, coords={DEPTH: _nodes().copy()})


def _in_order(
    name: str, da: xr.DataArray, ds: xr.Dataset, problems: defaultdict[str, list[str]]
) -> xr.DataArray:
    """Months from January on; what is wrong with them is added to ``problems``."""
    axis = month_dim(da)
    bounds = bounds_of(da[axis], ds) if axis is not None and axis in da.coords else None
    ordered, problem = months_in_order(da, bounds)
    if problem is not None:
        problems[problem].append(name)
    return ordered


def _find_forcing(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    """All forcing variables by table name, dequantified and floating point."""
    names: dict[str, str] = {}
    missing: list[str] = []
    for variable in FORCING:
        name = next((n for n in (variable.name, *variable.aliases) if n in ds.variables), None)
        if name is None:
            missing.append(variable.name)
        else:
            names[variable.name] = name
    if missing:
        raise InputError(
            f"forcing variables missing: {', '.join(missing)}; add them with ds.merge(...), or "
            f'give variables their name with ds.rename({{"...": "{missing[0]}"}})'
        )
    plain = dequantify(ds[list(names.values())])
    not_numbers = [f"{n} ({plain[m].dtype})" for n, m in names.items() if not _numeric(plain[m])]
    if not_numbers:
        raise InputError(
            f"forcing variables that are not real numbers: {', '.join(not_numbers)}; convert "
            "them with ds[name].astype(float)"
        )
    return {table_name: as_float(plain[name]) for table_name, name in names.items()}


def _numeric(da: xr.DataArray) -> bool:
    return da.dtype.kind in "fiu"


def _space_sizes(found: Mapping[str, xr.DataArray]) -> dict[str, int]:
    # Dimensions only: variables on different layer dimensions stand side by side here.
    sizes = {str(d): n for da in found.values() for d, n in da.sizes.items()}
    bare = xr.Dataset({name: da.variable for name, da in found.items()})
    dims = (d for d in spatial_dims(bare) if d not in (MONTH, *_DEPTH_NAMES))
    return {dim: sizes[dim] for dim in dims}


def _layer_dim(da: xr.DataArray) -> str | None:
    return next((name for name in _DEPTH_NAMES if name in da.dims), None)


def _sentences(problems: Mapping[str, list[str]]) -> str:
    said = []
    for problem, names in problems.items():
        has, it = ("has", "it") if len(names) == 1 else ("have", "they")
        said.append(f"{', '.join(names)} {problem.replace('{has}', has).replace('{it}', it)}")
    return "; ".join(said)


def _dimension_problems(
    variable: Variable, da: xr.DataArray, common: Collection[Hashable]
) -> list[str]:
    """Say what is wrong; ``common`` are the dimensions of all variables, space as a rule."""
    layers = [d for d in _DEPTH_NAMES if d in da.dims]
    allowed = (*variable.dims, *variable.optional_dims)
    problems: list[str] = []
    if MONTH in variable.dims and MONTH not in da.dims:
        other = [d for d in da.dims if d not in _DEPTH_NAMES]
        told = [d for d in other if d not in common] or other
        problems.append(f"{{has}} no dimension {MONTH} ({{it}} {{has}} {_listed(told)})")
    if DEPTH in variable.dims and not layers:
        problems.append(f"{{has}} no depth dimension ({{it}} {{has}} {_listed(da.dims)})")
    if len(layers) > 1 or (layers and DEPTH not in allowed):
        problems.append(f"{{has}} dimension {_listed(layers)}, which {{it}} cannot have")
    if da.sizes.get(MONTH, MONTHS_PER_YEAR) != MONTHS_PER_YEAR:
        n = da.sizes[MONTH]
        problems.append(f"{{has}} {n} {'entry' if n == 1 else 'entries'} of {MONTH}")
    elif MONTH in da.coords and MONTH in da.dims and not da.indexes[MONTH].is_unique:
        problems.append(f"{{has}} repeated values of {MONTH}")
    return problems


def _listed(dims: object) -> str:
    return ", ".join(map(str, dims)) if isinstance(dims, tuple | list) and dims else "none"


def model_levels(da: xr.DataArray, layer: str) -> tuple[np.ndarray, str | None]:
    """Positions of the model's layers along ``layer``, or what is wrong with it."""
    first = np.arange(N_LAYERS)
    size = da.sizes[layer]
    coordinate = da.coords.get(layer, da.coords.get(DEPTH))
    if coordinate is None or coordinate.dims != (layer,) or _counts(coordinate):
        if size in (N_LAYERS, N_LAYERS_CLM5):
            upwards = (
                coordinate is not None and coordinate.dims == (layer,) and _upwards(coordinate)
            )
            return (size - 1 - first if upwards else first), None
        return first, f"{{has}} {counted(size, 'level')} of {layer} and no depth coordinate"
    if not _numeric(coordinate):
        return first, f"{{has}} a depth coordinate of type {coordinate.dtype}"
    nodes = coordinate.values.astype(np.float64)
    if "units" in coordinate.attrs:
        try:
            factor, offset = conversion(str(coordinate.name), coordinate.attrs["units"], "m")
        except UnitsError as error:
            return first, f"{{has}} a depth coordinate that cannot be used ({error})"
        nodes = nodes * factor + offset
    if size == 0:
        return first, f"{{has}} no levels of {layer}"
    nodes = downwards(coordinate, nodes)
    apart = np.abs(nodes[:, None] - np.array(NODE_DEPTH[:N_LAYERS]))
    # NaN is no depth: it must not win the search for the nearest.
    apart = np.where(np.isnan(apart), np.inf, apart)
    levels = apart.argmin(axis=0)
    lost = np.flatnonzero(apart.min(axis=0) > _NODE_TOLERANCE)
    if lost.size:
        given = _first_depths(nodes)
        absent = _first_depths(np.array(NODE_DEPTH)[lost])
        return first, (
            f"{{has}} {counted(size, 'level')} of {layer} at {given} m, none at the CLM5 nodes "
            f"{absent} m"
        )
    return levels, None


def downwards(coordinate: xr.DataArray, nodes: np.ndarray) -> np.ndarray:
    """Depths below the surface, of depths or of heights: those that no layer can have."""
    heights = coordinate.attrs.get("positive") == "up" or (
        bool((nodes < 0.0).any()) and not (nodes > 0.0).any()
    )
    return np.abs(nodes) if heights else nodes


def _first_depths(depths: np.ndarray) -> str:
    shown = ", ".join(f"{z:g}" for z in depths[:_NAMED])
    return f"{shown}, ..." if depths.size > _NAMED else shown


def _counts(coordinate: xr.DataArray) -> bool:
    """Whether a coordinate merely numbers the layers."""
    if coordinate.dtype.kind not in "iu":
        return False
    # From the surface down, or from the bottom up.
    values = np.sort(coordinate.values) if _upwards(coordinate) else coordinate.values
    return bool(np.array_equal(values - values[:1], np.arange(values.size))) and (
        values.size == 0 or int(values[0]) in (0, 1)
    )


def _upwards(coordinate: xr.DataArray) -> bool:
    """Whether layers are counted from the bottom of the column up."""
    numbers = coordinate.dtype.kind in "iu" and coordinate.size > 1
    return numbers and bool((np.diff(coordinate.values.astype(np.int64)) == -1).all())


def _on_model_depth(da: xr.DataArray, layer: str, levels: np.ndarray) -> xr.DataArray:
    if not np.array_equal(levels, np.arange(da.sizes[layer])):
        contiguous = np.array_equal(levels, np.arange(N_LAYERS))
        da = da.isel({layer: slice(0, N_LAYERS) if contiguous else levels})
    stale = [c for c in da.coords if c == DEPTH or layer in da.coords[c].dims]
    da = da.drop_vars(stale)
    return da if layer == DEPTH else da.rename({layer: DEPTH})


@lru_cache(maxsize=1)
def _nodes() -> xr.Variable:
    """Depth coordinate of the model's layers, without the mention of its bounds."""
    nodes = output_coordinates()[DEPTH].variable.copy()
    nodes.attrs.pop("bounds")
    return nodes


def _wanted_units(variable: Variable, da: xr.DataArray) -> str:
    if variable.name in INPUT_NAMES and DEPTH in da.dims:
        return variable.units.replace("m-2", "m-3")
    return variable.units


def _finish(variable: Variable, da: xr.DataArray, space: Mapping[str, int]) -> xr.DataArray:
    if variable.name in INPUT_NAMES:
        if DEPTH in da.dims:
            thickness = xr.DataArray(
                np.array(LAYER_THICKNESS[:N_LAYERS], dtype=da.dtype), dims=DEPTH
            )
            da = (da * thickness).sum(DEPTH, skipna=False)
        da = _without_noise(da)
    da = lay_out(da, (MONTH, DEPTH), space)
    if da.chunks is not None:
        da = da.chunk({dim: -1 for dim in (MONTH, DEPTH) if dim in da.dims})
    da = da.copy(deep=False)  # attributes of the caller stay as they are
    da.attrs = {"units": variable.units, "long_name": variable.long_name}
    if variable.standard_name is not None:
        da.attrs["standard_name"] = variable.standard_name
    return da


def _without_noise(da: xr.DataArray) -> xr.DataArray:
    """Take residues below zero, see `INPUT_NOISE`, as zero."""
    if da.chunks is None and not (da.values < 0.0).any():
        return da
    return da.where((da >= 0.0) | (da < -INPUT_NOISE) | da.isnull(), 0.0)
