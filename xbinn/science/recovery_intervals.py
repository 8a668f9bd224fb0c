"""Intervals of parameters and processes by what fits to known truths have missed.

The errors are those of `xbinn.science.recovery_errors`.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import xarray as xr

from xbinn.errors import InputError
from xbinn.labels.encoding import convert_units, output_attributes
from xbinn.labels.priors import from_unit_interval, to_unit_interval
from xbinn.labels.units import dequantify
from xbinn.parameters import PARAMETER_NAMES
from xbinn.science.error_model import WIDEST, Errors
from xbinn.science.recovery_case import RECOVERED_PROCESSES, Case
from xbinn.science.settings import FitSettings, is_real, recorded
from xbinn.variables import FRACTION_PROCESSES, PARAMETER, PROCESS, PROCESSES, QUANTILE, SAMPLE

__all__ = ["errors_for", "recovery_intervals"]

_CONDITIONS: Final = ("prior", "noise", "spread", "fit")
"""Attributes that say what errors were learnt under."""
_BY_ROW: Final = ("intercept", "slope", "mean_square", "contraction")
"""What errors hold once for each parameter or process."""


def recovery_intervals(out: xr.Dataset, errors: xr.Dataset, *, level: float = 0.9) -> xr.Dataset:
    """Correct the parameters and processes of a map, and give them intervals.

    Parameters
    ----------
    out : Dataset
        From `xbinn.predict`, with ``outputs`` that hold parameters, processes or both, chunked or
        not; best with ``samples``, whose means the errors are of.
    errors : Dataset
        From `recovery_errors` of all 21 parameters, for fits like that of the model.
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
        If the level cannot be used, errors are not of all parameters, ``out`` holds neither
        parameters nor processes, or single samples.
    ParameterError
        If some parameters are missing, or lie outside the prior that the errors are of.
    UnitsError
        If a unit cannot be converted.

    Notes
    -----
    Errors are those at cells with profiles; `xbinn.applicability` says which cells are like these.
    """
    if not is_real(level) or not 0.0 < level <= WIDEST:
        raise InputError(f"level={level!r} must be a number above 0, up to {WIDEST}")
    _check_conditions(errors)
    known = [name for name in PARAMETER_NAMES if name not in errors[PARAMETER].values]
    if known:
        raise InputError(
            f"errors were learnt with {', '.join(known)} known, which no fit to real profiles "
            "knows: leave `unknown` of recovery_errors away"
        )
    if SAMPLE in out.dims:
        raise InputError(
            f"the Dataset has the single samples of the posterior ({SAMPLE} {out.sizes[SAMPLE]}): "
            "give their means, as predict returns them without reduce=False"
        )
    plain = dequantify(out).drop_vars(QUANTILE, errors="ignore")
    found = _parameters(plain, errors, level) | _processes(plain, errors, level)
    if not found:
        raise InputError(
            "neither parameters nor processes are in the Dataset: give a result of "
            'predict(..., outputs=["parameters", "processes"])'
        )
    result = xr.Dataset(
        {name: array.assign_attrs(_attributes(name)) for name, array in found.items()}
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
    """All parameters and their intervals, or none where none is there."""
    if not set(PARAMETER_NAMES) & set(out.data_vars):
        return {}
    prior = errors.attrs["prior"]
    unit = to_unit_interval(out, prior=prior)
    model = errors_of(errors, PARAMETER, PARAMETER_NAMES)
    found: dict[str, xr.DataArray] = {}
    for suffix, values in _about(unit, model, level).items():
        physical = from_unit_interval(values.clip(0.0, 1.0), prior=prior)
        found |= {f"{name}{suffix}": physical[name] for name in PARAMETER_NAMES}
    return found


def _processes(out: xr.Dataset, errors: xr.Dataset, level: float) -> dict[str, xr.DataArray]:
    """Those processes that are there, and their intervals."""
    units = {v.name: v.units for v in PROCESSES if v.name in errors[PROCESS].values}
    there = [name for name in units if name in out.data_vars]
    plain = {n: out[n].assign_attrs({"units": units[n]} | out[n].attrs) for n in there}
    given = xr.Dataset(convert_units(plain, {name: units[name] for name in there}))
    logs = given.where(given > 0.0).map(np.log)
    found = {}
    for suffix, values in _about(logs, errors_of(errors, PROCESS, there), level).items():
        raised = values.map(np.exp)
        for name in there:
            most = 1.0 if name in FRACTION_PROCESSES else np.inf
            own = raised[name].clip(max=most)
            # What is zero, as transport in a single layer, is known to be.
            found[f"{name}{suffix}"] = own.where(given[name] > 0.0, given[name])
    return found


def _attributes(name: str) -> dict[str, Any]:
    """Attributes of a variable, which is no quantile of the samples."""
    attrs = output_attributes(name.removesuffix("_quantile"))
    ends = "ends of the interval of " if name.endswith("_quantile") else ""
    attrs["long_name"] = f"{ends}{attrs['long_name']}, by errors of fits to known truths"
    return attrs


def errors_for(
    errors: xr.Dataset, cases: Sequence[Case], settings: FitSettings
) -> dict[str, Errors]:
    """Errors of parameters and of processes that fit to cases, see `recover_parameters`.

    Raises
    ------
    InputError
        If they were learnt under other conditions.
    """
    _check_conditions(errors)
    given: dict[str, Any] = {name: errors.attrs[name] for name in _CONDITIONS}
    given |= {name: float(given[name]) for name in ("noise", "spread")}
    given["unknown"] = tuple(map(str, errors[PARAMETER].values))
    for case in cases:
        wanted = {
            "prior": settings.prior,
            "noise": case.noise,
            "spread": case.spread,
            "fit": recorded_fit(settings),
            "unknown": case.unknown,
        }
        others = [f"{k}={given[k]!r} (case: {wanted[k]!r})" for k in given if given[k] != wanted[k]]
        if others:
            raise InputError(
                f"errors= were learnt under other conditions than {case.name}: "
                f"{', '.join(others)}; learn them with recovery_errors for each"
            )
    return {
        PARAMETER: errors_of(errors, PARAMETER, cases[0].unknown),
        PROCESS: errors_of(errors, PROCESS, RECOVERED_PROCESSES),
    }


def recorded_fit(settings: FitSettings) -> str:
    """Write down what makes fits alike, but for their seed and device."""
    kept = {k: v for k, v in recorded(settings).items() if k not in ("seed", "device", "tolerance")}
    kept |= {"bedrock": settings.bedrock, "encoder": settings.encoder}
    return json.dumps(kept, sort_keys=True, default=str)


def errors_of(errors: xr.Dataset, what: str, names: Sequence[str]) -> Errors:
    """Read back the errors of some parameters, or of some processes, in this order."""
    own = errors.sel({what: list(names)})
    one = {n: own[f"{what}_{n}"].values for n in _BY_ROW}
    curves = own[f"{what}_error_quantile"].transpose(QUANTILE, what).values
    return Errors(quantile=curves, **one)


def _check_conditions(errors: xr.Dataset) -> None:
    """Refuse what is no result of `recovery_errors`."""
    needed = [f"{w}_{n}" for w in (PARAMETER, PROCESS) for n in (*_BY_ROW, "error_quantile")]
    missing = [name for name in needed if name not in errors]
    missing += [name for name in _CONDITIONS if name not in errors.attrs]
    if "truth" not in errors.dims:
        missing.append("truth")
    if missing:
        raise InputError(
            f"errors lack {', '.join(missing)}: give what "
            "xbinn.science.recovery.recovery_errors returned"
        )


def _about(values: xr.Dataset, errors: Errors, level: float) -> dict[str, xr.Dataset]:
    """Corrected values, and under "_quantile" the ends of the intervals about them.

    Variables are in the order of the errors.
    """
    middle, ends = {}, {}
    bounds = errors.bounds(level)
    for row, name in enumerate(values.data_vars):
        intercept, slope = float(errors.intercept[row]), float(errors.slope[row])
        middle[name] = intercept + slope * values[name]
        own = xr.DataArray(bounds[:, row].astype(values[name].dtype), dims=QUANTILE)
        ends[name] = (middle[name] + own).transpose(QUANTILE, ...)
    return {"": xr.Dataset(middle, values.coords), "_quantile": xr.Dataset(ends, values.coords)}
