"""Between labelled and plain arrays: units in by the tables, attributes out by the tables.

Everything here is lazy where its input is chunked.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import xarray as xr

from xbinn.constants import INTERFACE_DEPTH, N_LAYERS, NODE_DEPTH, POOL_LONG_NAMES, POOLS
from xbinn.errors import InputError, UnitsError
from xbinn.labels.units import to_units
from xbinn.parameters import PARAMETER_NAMES, PARAMETERS
from xbinn.variables import (
    APPLICABILITY,
    CARBON,
    CONTROLLED_PROCESSES,
    CONTROLLING_MEANINGS,
    CONTROLLING_PROCESS,
    DEPTH,
    DEPTH_BOUNDS,
    OBSERVATION_QUANTILE,
    PARAMETER,
    POOL,
    POOL_VARIABLES,
    PROCESS,
    PROCESSES,
    QUANTILE,
    SAMPLE,
    SENSITIVITY,
    STATUS,
    STATUS_MEANINGS,
    Status,
    Variable,
)

CONVENTIONS: Final = "CF-1.11, ACDD-1.3"

_OUTPUTS: Final = {
    v.name: v for v in (*PROCESSES, *CARBON, *POOL_VARIABLES, *SENSITIVITY, STATUS, *APPLICABILITY)
}
_PARAMETERS: Final = {p.name: p for p in PARAMETERS}
_SUFFIXES: Final = {
    "_std": "posterior standard deviation of the modelled mean: ",
    "_quantile": "posterior quantiles of the modelled mean: ",
}


def convert_units(
    arrays: Mapping[str, xr.DataArray], wanted: Mapping[str, str]
) -> dict[str, xr.DataArray]:
    """Convert each array to its wanted unit, naming all bad variables in one error.

    Parameters
    ----------
    arrays : mapping of str to DataArray
        Plain arrays with ``attrs["units"]``.
    wanted : mapping of str to str
        Unit of every name in ``arrays``.

    Returns
    -------
    dict of str to DataArray
        Lazy where the input is.

    Raises
    ------
    UnitsError
        If the unit of any array is missing, not understood, or measures something else.
    """
    converted: dict[str, xr.DataArray] = {}
    problems: list[str] = []
    for name, da in arrays.items():
        # The same text needs no conversion, whatever offset or scale the unit has.
        if da.attrs.get("units") == wanted[name]:
            converted[name] = da
            continue
        try:
            converted[name] = to_units(da, wanted[name], name=name)
        except UnitsError as error:
            problems.append(str(error))
    if len(problems) == 1:
        raise UnitsError(problems[0])
    if problems:
        raise UnitsError(
            f"{len(problems)} variables have units that cannot be used:\n- " + "\n- ".join(problems)
        )
    return converted


def without_fill_values(da: xr.DataArray) -> xr.DataArray:
    """Leave out the fill values that a variable states and that nobody has decoded; lazily.

    xarray moves them to the encoding when it decodes; rioxarray leaves them in the attributes.
    """
    fills = [np.ravel(da.attrs[k]) for k in ("_FillValue", "missing_value") if k in da.attrs]
    for fill in np.concatenate(fills) if fills else ():
        da = da.where(da != fill)
    return da


def as_float(da: xr.DataArray) -> xr.DataArray:
    """Cast to the smallest of float32 and float64 that holds the values; floats stay."""
    dtype = np.result_type(da.dtype, np.float32)
    return da if da.dtype == dtype else da.astype(dtype)


def lay_out(da: xr.DataArray, leading: tuple[str, ...], space: Mapping[str, int]) -> xr.DataArray:
    """Order dimensions as ``(*leading, *space)``, repeating the array along missing space.

    Parameters
    ----------
    da : DataArray
        Array with dimensions in any order.
    leading : tuple of str
        Dimensions that come first; those that ``da`` lacks are passed over.
    space : mapping of str to int
        Spatial dimensions and their sizes.
    """
    missing = {dim: size for dim, size in space.items() if dim not in da.dims}
    wanted = (*(dim for dim in leading if dim in da.dims), *space)
    # Most arrays lie as they should, and both steps take longer than many a map.
    if missing:
        da = da.expand_dims(missing)
    return da if da.dims == wanted else da.transpose(*wanted)


def output_attributes(name: str) -> dict[str, Any]:
    """Attributes of an output variable, derived from the tables.

    Parameters
    ----------
    name : str
        A parameter, process, carbon or pool variable, ``status``, one of these with ``_std`` or
        ``_quantile``, or ``soc_observation_quantile``.

    Returns
    -------
    dict
        ``units``, ``long_name`` and, where they exist, ``standard_name``, ``comment`` and flags.

    Raises
    ------
    InputError
        If xbinn writes no variable of that name.
    """
    if name == OBSERVATION_QUANTILE:
        attrs = output_attributes("soc")
        attrs["long_name"] = "posterior quantiles of an observation of " + attrs["long_name"]
        attrs["comment"] = "includes observation noise"
        return attrs
    if name in _PARAMETERS:
        parameter = _PARAMETERS[name]
        return {
            "units": parameter.units,
            "long_name": parameter.long_name,
            "process_group": parameter.group,
            "references": parameter.source,
        }
    if name in _OUTPUTS:
        return _variable_attributes(_OUTPUTS[name])
    for suffix, meaning in _SUFFIXES.items():
        base = name.removesuffix(suffix)
        if base != name and (base in _PARAMETERS or base in _OUTPUTS) and base != STATUS.name:
            attrs = output_attributes(base)
            attrs["long_name"] = meaning + attrs["long_name"]
            # A spread is not the quantity that the standard name stands for.
            if suffix == "_std":
                attrs.pop("standard_name", None)
            return attrs
    raise InputError(
        f"{name!r} is not an output of xbinn: outputs are the parameters "
        f"({', '.join(_PARAMETERS)}) and {', '.join(_OUTPUTS)}; choose one of these"
    )


def _variable_attributes(variable: Variable) -> dict[str, Any]:
    attrs: dict[str, Any] = {"units": variable.units, "long_name": variable.long_name}
    if variable.standard_name is not None:
        attrs["standard_name"] = variable.standard_name
    if variable.symbol is not None:
        attrs["symbol"] = variable.symbol
    if variable.comment is not None:
        attrs["comment"] = variable.comment
    if variable.dims == (DEPTH,):
        # The pools are finite-volume means.
        attrs["cell_methods"] = f"{DEPTH}: mean"
    if variable is STATUS:
        attrs["flag_values"] = np.array([int(s) for s in Status], dtype=np.int8)
        attrs["flag_meanings"] = STATUS_MEANINGS
    if variable is CONTROLLING_PROCESS:
        attrs["flag_values"] = np.arange(len(CONTROLLED_PROCESSES) + 1, dtype=np.int8)
        attrs["flag_meanings"] = CONTROLLING_MEANINGS
    if variable is APPLICABILITY[1]:
        # Of the type of the variable: floating point, so that its mean is a share.
        attrs["flag_values"] = np.array([0, 1], dtype=np.float32)
        attrs["flag_meanings"] = "outside inside"
    return attrs


def output_coordinates(*, pools: bool = False) -> xr.Coordinates:
    """Depth of the model layers with bounds and, on request, the names of the pools.

    Parameters
    ----------
    pools : bool
        Add the ``pool`` coordinate (7,).

    Returns
    -------
    Coordinates
        ``depth`` (depth,) [m] and ``depth_bnds`` (depth, bnds) [m]; ``pool`` (pool,).
    """
    interfaces = np.array((0.0, *INTERFACE_DEPTH[:N_LAYERS]))
    bounds = np.stack([interfaces[:-1], interfaces[1:]], axis=1)
    coords: dict[str, Any] = {
        DEPTH: (
            (DEPTH,),
            np.array(NODE_DEPTH[:N_LAYERS]),
            {
                "units": "m",
                "long_name": "depth of the soil layer node",
                "standard_name": "depth",
                "positive": "down",
                "axis": "Z",
                "bounds": DEPTH_BOUNDS,
            },
        ),
        DEPTH_BOUNDS: ((DEPTH, "bnds"), bounds, {"units": "m"}),
    }
    if pools:
        meanings = "; ".join(f"{p}: {n}" for p, n in zip(POOLS, POOL_LONG_NAMES, strict=True))
        coords[POOL] = ((POOL,), np.array(POOLS), {"long_name": "carbon pool", "comment": meanings})
    return xr.Dataset(coords=coords).coords


def sensitivity_coordinates() -> xr.Coordinates:
    """Names of the parameters with their process groups, and of the processes they control.

    Returns
    -------
    Coordinates
        ``parameter`` and ``process_group`` (parameter,); ``process`` (process,).
    """
    groups = np.array([p.group for p in PARAMETERS])
    coords = {
        PARAMETER: ((PARAMETER,), np.array(PARAMETER_NAMES), {"long_name": "parameter"}),
        "process_group": ((PARAMETER,), groups, {"long_name": "process that it controls"}),
        PROCESS: ((PROCESS,), np.array(CONTROLLED_PROCESSES), {"long_name": "process"}),
    }
    return xr.Dataset(coords=coords).coords


def posterior_coordinates(samples: int, quantiles: Sequence[float]) -> xr.Coordinates:
    """Numbers of posterior samples and the quantiles kept of them.

    Returns
    -------
    Coordinates
        ``sample`` (sample,) and ``quantile`` (quantile,).
    """
    coords = {
        SAMPLE: ((SAMPLE,), np.arange(samples), {"long_name": "posterior sample"}),
        QUANTILE: (
            (QUANTILE,),
            np.asarray(quantiles, dtype=np.float64),
            {"units": "1", "long_name": "quantile of the posterior"},
        ),
    }
    return xr.Dataset(coords=coords).coords


def dataset_attributes(*, title: str, summary: str, source: str, history: str) -> dict[str, str]:
    """Global attributes of an output (CF and the Attribute Convention for Data Discovery).

    Parameters
    ----------
    title, summary : str
        What the dataset is, in a few words and in a sentence.
    source : str
        xbinn version and the model's sha256.
    history : str
        Time and call that made the dataset.
    """
    return {
        "Conventions": CONVENTIONS,
        "title": title,
        "summary": summary,
        "keywords": "soil organic carbon, biogeochemical parameters, CLM5, BINN",
        "source": source,
        "history": history,
        "standard_name_vocabulary": "CF Standard Name Table v86",
    }


def link_ancillary(ds: xr.Dataset) -> xr.Dataset:
    """Point each output at its spread, its quantiles and the status.

    Returns
    -------
    Dataset
        A shallow copy with ``ancillary_variables`` set.
    """
    linked = ds.copy()
    names = {str(n) for n in ds.data_vars}
    for name in names - {STATUS.name}:
        others = [f"{name}{suffix}" for suffix in _SUFFIXES]
        if name == "soc":
            others.append(OBSERVATION_QUANTILE)
        found = [n for n in (*others, STATUS.name) if n in names]
        known = name in _PARAMETERS or name in _OUTPUTS or name.endswith(tuple(_SUFFIXES))
        if known and found:
            linked[name].attrs["ancillary_variables"] = " ".join(found)
    return linked
