"""Intervals of parameters and processes by what fits to known truths have missed.

The errors are those of `xbinn.science.recovery_errors`.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import xarray as xr

from xbinn.errors import InputError
from xbinn.labels.encoding import output_attributes
from xbinn.labels.priors import from_unit_interval, to_unit_interval
from xbinn.parameters import PARAMETER_NAMES
from xbinn.science.error_model import WIDEST, Errors
from xbinn.science.recovery_case import Case
from xbinn.science.settings import FitSettings, is_real
from xbinn.variables import PARAMETER, PROCESS, QUANTILE

__all__ = ["errors_for", "recovery_intervals"]

FRACTIONS: Final = ("carbon_transfer_efficiency", "input_allocation", "litter_transfer_fraction")
"""Processes that are never above 1."""


def recovery_intervals(out: xr.Dataset, errors: xr.Dataset, *, level: float = 0.9) -> xr.Dataset:
    """Correct the parameters and processes of a map, and give them intervals.

    Parameters
    ----------
    out : Dataset
        From `xbinn.predict`, with ``outputs`` that hold parameters, processes or both, chunked or
        not; with ``samples``, their means are taken.
    errors : Dataset
        From `recovery_errors`, for fits like that of the model.
    level : float
        Of the central interval, above 0 up to 0.99.

    Returns
    -------
    Dataset
        Each of the parameters and processes in ``out`` as its error lets it be known, such as
        ``efolding`` (*space), and ``efolding_quantile`` (quantile, *space), the ends of the
        interval, in the same units and within the prior; lazy where ``out`` is.

    Raises
    ------
    InputError
        If the level cannot be used, or there is nothing in ``out`` that the errors are of.
    ParameterError
        If parameters lie outside the prior that the errors are of.
    """
    if not is_real(level) or not 0.0 < level <= WIDEST:
        raise InputError(f"level={level!r} must be a number above 0, up to {WIDEST}")
    found = _parameters(out, errors, level) | _processes(out, errors, level)
    if not found:
        raise InputError(
            "neither all parameters nor a process that the errors are of are in the Dataset: give "
            'a result of predict(..., outputs=["parameters", "processes"]), and errors of all '
            "parameters"
        )
    result = xr.Dataset(
        {name: array.assign_attrs(output_attributes(name)) for name, array in found.items()}
    )
    about = {"units": "1", "long_name": "quantile of the error"}
    ends = [0.5 - 0.5 * level, 0.5 + 0.5 * level]
    result = result.assign_coords({QUANTILE: (QUANTILE, ends, about)})
    result.attrs = out.attrs | {
        "comment": f"parameters and processes corrected, with central {100.0 * level:g} % "
        f"intervals, by the errors of fits to {errors.sizes['truth']} synthetic truths (noise "
        f"{errors.attrs['noise']:g}, spread {errors.attrs['spread']:g}, prior "
        f"{errors.attrs['prior']})"
    }
    return result


def _parameters(out: xr.Dataset, errors: xr.Dataset, level: float) -> dict[str, xr.DataArray]:
    """All parameters and their intervals, or none."""
    model = _errors_of(errors, PARAMETER)
    if not set(PARAMETER_NAMES) <= set(out.data_vars) & set(errors[PARAMETER].values):
        return {}
    prior = errors.attrs["prior"]
    unit = to_unit_interval(out, prior=prior)
    found: dict[str, xr.DataArray] = {}
    for suffix, values in _about(unit, errors[PARAMETER].values, model, level).items():
        physical = from_unit_interval(values.clip(0.0, 1.0), prior=prior)
        found |= {f"{name}{suffix}": physical[name] for name in PARAMETER_NAMES}
    return found


def _processes(out: xr.Dataset, errors: xr.Dataset, level: float) -> dict[str, xr.DataArray]:
    """Those processes that are there, and their intervals."""
    model = _errors_of(errors, PROCESS)
    there = [name for name in errors[PROCESS].values if name in out.data_vars]
    given = out[there]
    logs = given.where(given > 0.0).map(np.log)
    found = {}
    for suffix, values in _about(logs, errors[PROCESS].values, model, level).items():
        for name in there:
            own = np.exp(values[name]).clip(max=1.0 if name in FRACTIONS else None)
            # What is zero, as transport in a single layer, is known to be.
            found[f"{name}{suffix}"] = own.where(given[name] > 0.0, given[name])
    return found


def errors_for(
    errors: xr.Dataset, cases: Sequence[Case], settings: FitSettings
) -> dict[str, Errors]:
    """Errors of parameters and of processes that fit to cases, see `recover_parameters`.

    Raises
    ------
    InputError
        If they were learnt under other conditions.
    """
    given = {
        "prior": errors.attrs["prior"],
        "members": errors.attrs["members"],
        "noise": errors.attrs["noise"],
        "spread": errors.attrs["spread"],
        "unknown": tuple(errors[PARAMETER].values),
    }
    for case in cases:
        wanted = {
            "prior": settings.prior,
            "members": settings.members,
            "noise": case.noise,
            "spread": case.spread,
            "unknown": case.unknown,
        }
        others = [f"{k}={given[k]!r} (case: {wanted[k]!r})" for k in given if given[k] != wanted[k]]
        if others:
            raise InputError(
                f"errors= were learnt under other conditions than {case.name}: "
                f"{', '.join(others)}; learn them with recovery_errors for each"
            )
    return {what: _errors_of(errors, what) for what in (PARAMETER, PROCESS)}


def _errors_of(errors: xr.Dataset, what: str) -> Errors:
    """Read back what `_learnt` has written."""
    names = [f"{what}_{n}" for n in ("intercept", "slope", "error_quantile", "mean_square")]
    missing = [name for name in names if name not in errors]
    if missing:
        raise InputError(
            f"errors lack {', '.join(missing)}: give what "
            "xbinn.science.recovery.recovery_errors returned"
        )
    intercept, slope, quantile, square = (errors[name] for name in names)
    curves = quantile.transpose(QUANTILE, what).values
    return Errors(intercept.values, slope.values, curves, square.values)


def _about(
    values: xr.Dataset, rows: np.ndarray, errors: Errors, level: float
) -> dict[str, xr.Dataset]:
    """Corrected values, and under "_quantile" the ends of the intervals about them."""
    middle, ends = {}, {}
    bounds = errors.bounds(level)
    for name in values.data_vars:
        row = list(rows).index(name)
        middle[name] = errors.intercept[row] + errors.slope[row] * values[name]
        interval = xr.DataArray(bounds[:, row], dims=QUANTILE)
        ends[name] = (middle[name] + interval).transpose(QUANTILE, ...)
    return {"": xr.Dataset(middle, values.coords), "_quantile": xr.Dataset(ends, values.coords)}
