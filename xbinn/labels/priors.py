"""Labelled parameters: names, units, priors, CLM5 defaults and what is impossible."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import xarray as xr

from xbinn.errors import InputError, ParameterError
from xbinn.labels.encoding import as_float, convert_units, output_attributes
from xbinn.labels.units import dequantify
from xbinn.parameters import (
    N_PARAMETERS,
    PARAMETER_NAMES,
    PARAMETERS,
    Prior,
    clm5_sand_rule,
    prior_bounds,
)
from xbinn.variables import DEPTH, DEPTH_ALIASES, MONTH

DEFAULT_SAND: Final = 50.0
"""Sand content (percent) of the loam whose fractions stand in where sand is not known."""
SAND_NAMES: Final = ("sand", "clm_sand")

_ROUNDING: Final = 1e-6
"""How far past a bound float32 rounding may carry a value that started on it."""
_DONOR_SUMS: Final = (("fs1s2", "fs1s3"), ("fs2s1", "fs2s3"))
"""Fractions out of the same pool: together they cannot exceed what is decomposed."""


def check_parameters(p: xr.Dataset) -> xr.Dataset:
    """Bring a Dataset of parameters to the table's names, order and units.

    Parameters
    ----------
    p : Dataset
        The 21 parameters by name or alias, any dimensions, chunked or not, plain or quantified.
        A parameter without ``attrs["units"]`` is in the unit of the table. Other variables are
        left out.

    Returns
    -------
    Dataset
        The 21 parameters in table order, floating point, with attributes; lazy where ``p`` is.
        Values are not looked at: `impossible` does that.

    Raises
    ------
    ParameterError
        If parameters are missing or are not numbers.
    UnitsError
        If a unit cannot be understood or converted.
    """
    found = _find_parameters(p)
    found = {
        q.name: da if "units" in da.attrs else da.assign_attrs(units=q.units)
        for q in PARAMETERS
        for da in (found[q.name],)
    }
    converted = convert_units(found, {q.name: q.units for q in PARAMETERS})
    return xr.Dataset(
        {name: _with_attrs(da, output_attributes(name)) for name, da in converted.items()}
    )


def from_unit_interval(u: xr.Dataset, *, prior: Prior) -> xr.Dataset:
    """Scale parameters from the unit interval to physical units: min + u (max - min).

    Parameters
    ----------
    u : Dataset
        The 21 parameters by name or alias, each in [0, 1]; NaN passes through.
    prior : {"binn", "proda"}
        The table of bounds that ``u`` was made with.

    Returns
    -------
    Dataset
        The 21 parameters in physical units; lazy where ``u`` is.

    Raises
    ------
    ParameterError
        If parameters are missing, lie outside [0, 1], or were made with another prior. Chunked
        values are looked at when they are computed.
    UnitsError
        If a unit is given that is not dimensionless.
    """
    bounds = dict(zip(PARAMETER_NAMES, prior_bounds(prior), strict=True))
    found = _find_parameters(u)
    others = sorted({str(da.attrs["prior"]) for da in found.values() if "prior" in da.attrs})
    if any(other != prior for other in others):
        raise ParameterError(
            f"these unit-interval parameters were made with prior {', '.join(map(repr, others))}, "
            f"not with {prior!r}: pass prior={others[0]!r}"
        )
    units = convert_units(found, dict.fromkeys(PARAMETER_NAMES, "1"))
    checked = _within_unit_interval(units, prior, physical=False)
    scaled = {name: low + checked[name] * (high - low) for name, (low, high) in bounds.items()}
    return xr.Dataset(
        {name: _with_attrs(da, output_attributes(name)) for name, da in scaled.items()}
    )


def to_unit_interval(p: xr.Dataset, *, prior: Prior) -> xr.Dataset:
    """Scale parameters from physical units to the unit interval: (p - min) / (max - min).

    Parameters
    ----------
    p : Dataset
        As for `check_parameters`; NaN passes through.
    prior : {"binn", "proda"}
        The table of bounds.

    Returns
    -------
    Dataset
        The 21 parameters in [0, 1], with the prior's name in ``attrs["prior"]``; lazy where
        ``p`` is.

    Raises
    ------
    ParameterError
        If parameters are missing or lie outside the prior. Chunked values are looked at when
        they are computed.
    UnitsError
        If a unit cannot be understood or converted.
    """
    bounds = dict(zip(PARAMETER_NAMES, prior_bounds(prior), strict=True))
    physical = check_parameters(p)
    scaled = {name: (physical[name] - low) / (high - low) for name, (low, high) in bounds.items()}
    checked = _within_unit_interval(scaled, prior, physical=True)
    return xr.Dataset(
        {
            name: _with_attrs(
                da,
                {
                    "units": "1",
                    "long_name": f"{output_attributes(name)['long_name']}, in its prior",
                    "prior": prior,
                },
            )
            for name, da in checked.items()
        }
    )


def default_parameters(ds: xr.Dataset) -> xr.Dataset:
    """CLM5's default parameters, with the sand rule where sand is known.

    Fractions out of fast SOC follow ``sand`` (or ``clm_sand``; its unit is honoured) and have its
    dimensions. Where sand is missing, and where the Dataset has no sand at all, they are those
    of a loam with 50 percent sand. All other parameters are scalars.

    Parameters
    ----------
    ds : Dataset
        Any Dataset.

    Returns
    -------
    Dataset
        The 21 parameters in physical units; lazy where sand is.

    Raises
    ------
    InputError
        If sand varies with month or depth.
    UnitsError
        If the unit of sand is missing or is not a fraction.

    References
    ----------
    Lawrence et al. 2018 (CLM5 technical note), section 21.2.
    """
    rule = _sand_rule(_sand(ds))
    defaults = {
        q.name: rule[q.name] if q.clm5_default is None else xr.DataArray(q.clm5_default)
        for q in PARAMETERS
    }
    return xr.Dataset(
        {name: _with_attrs(da, output_attributes(name)) for name, da in defaults.items()}
    )


def _sand_rule(sand: xr.DataArray) -> dict[str, xr.DataArray]:
    """`xbinn.parameters.clm5_sand_rule` of an array of sand content [percent]."""
    # The rule is arithmetic only, so it takes arrays although it is typed for floats.
    rule: dict[str, Any] = clm5_sand_rule(sand)  # type: ignore[arg-type]
    return rule


def impossible(values: np.ndarray) -> str | None:
    """Say which parameter values the equations cannot take.

    Parameters
    ----------
    values : ndarray (parameter, ...)
        Physical units, in table order; NaN is passed over.

    Returns
    -------
    str or None
        One message that names every impossible parameter, what was found and what is allowed;
        None where all values are possible.

    Raises
    ------
    ParameterError
        If the first axis is not the parameter table.
    """
    if values.shape[:1] != (N_PARAMETERS,):
        raise ParameterError(
            f"parameter values have shape {values.shape}: the first axis must be the "
            f"{N_PARAMETERS} parameters in table order; stack them by PARAMETER_NAMES"
        )
    problems = [
        f"{what} {_range(found[bad])} (allowed {allowed})"
        for what, found, bad, allowed in _violations(values)
        if bad.any()
    ]
    if not problems:
        return None
    return (
        f"impossible parameter values: {'; '.join(problems)}; "
        "correct them, or start from xbinn.default_parameters(ds)"
    )


def possible(values: np.ndarray) -> np.ndarray:
    """Whether the equations can take each vector of values, (parameter, n) -> (n,) boolean.

    NaN is passed over.
    """
    bad = np.logical_or.reduce([broken for _, _, broken, _ in _violations(values)])
    return np.asarray(~bad)


def _violations(values: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray, str]]:
    """Yield for each rule what it is about, the values (n,), which break it, what it allows."""
    rows = dict(zip(PARAMETER_NAMES, values.reshape(N_PARAMETERS, -1), strict=True))
    for parameter in PARAMETERS:
        low, high = parameter.limits
        low_closed, high_closed = parameter.limits_inclusive
        row = rows[parameter.name]
        bad = (row < low if low_closed else row <= low) | (
            row > high if high_closed else row >= high
        )
        interval = f"{'[' if low_closed else '('}{low:g}, {high:g}{']' if high_closed else ')'}"
        yield parameter.name, row, bad, f"{interval} {parameter.units}"
    for first, second in _DONOR_SUMS:
        total = rows[first].astype(np.float64) + rows[second]
        yield f"{first} + {second}", total, total > 1.0 + _ROUNDING, "at most 1"


def _find_parameters(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    """Find the 21 parameters by name or alias; dequantified, floating point, in table order."""
    if not isinstance(ds, xr.Dataset):
        raise ParameterError(
            f"parameters must be an xarray.Dataset of the {N_PARAMETERS} names, not "
            f"{type(ds).__name__}: use xr.Dataset({{name: value, ...}})"
        )
    ds = dequantify(ds)
    found: dict[str, xr.DataArray] = {}
    missing: list[str] = []
    for parameter in PARAMETERS:
        name = next((n for n in (parameter.name, *parameter.aliases) if n in ds.variables), None)
        if name is None:
            missing.append(parameter.name)
        else:
            found[parameter.name] = (
                ds[name].reset_coords(drop=True) if name in ds.coords else ds[name]
            )
    if missing:
        raise ParameterError(
            f"parameters missing: {', '.join(missing)}; all {N_PARAMETERS} are needed: fill the "
            "others with xbinn.default_parameters(ds).assign(...)"
        )
    not_numbers = [f"{n} ({da.dtype})" for n, da in found.items() if da.dtype.kind not in "fiu"]
    if not_numbers:
        raise ParameterError(
            f"parameters that are not real numbers: {', '.join(not_numbers)}; convert them with "
            "ds[name].astype(float)"
        )
    return {name: as_float(da) for name, da in found.items()}


def _sand(ds: xr.Dataset) -> xr.DataArray:
    """Sand content [percent], never missing."""
    name = next((n for n in SAND_NAMES if n in ds.variables), None)
    if name is None:
        return xr.DataArray(DEFAULT_SAND)
    sand = dequantify(ds[[name]])[name]
    layered = [str(d) for d in sand.dims if d in (MONTH, DEPTH, *DEPTH_ALIASES)]
    if layered:
        raise InputError(
            f"{name} varies with {', '.join(layered)}; the CLM5 sand rule takes one value a "
            f'column: use ds.assign({name}=ds["{name}"].mean("{layered[0]}"))'
        )
    if sand.dtype.kind not in "fiu":
        raise InputError(
            f"{name} is of type {sand.dtype}, not a number: convert it with ds[name].astype(float)"
        )
    percent = convert_units({name: sand.astype(np.float64)}, {name: "percent"})[name]
    return percent.fillna(DEFAULT_SAND)


def _within_unit_interval(
    arrays: Mapping[str, xr.DataArray], prior: Prior, *, physical: bool
) -> dict[str, xr.DataArray]:
    """Refuse what lies outside [0, 1]: at once where in memory, else when computed."""
    eager = {n: np.asarray(da.data) for n, da in arrays.items() if da.chunks is None}
    problem = _outside(eager, prior, physical)
    if problem is not None:
        raise ParameterError(problem)
    return {
        name: xr.apply_ufunc(
            _checked_block,
            da,
            kwargs={"name": name, "prior": prior, "physical": physical},
            dask="parallelized",
            output_dtypes=[da.dtype],
        )
        for name, da in arrays.items()
    }


def _checked_block(block: np.ndarray, *, name: str, prior: Prior, physical: bool) -> np.ndarray:
    problem = _outside({name: block}, prior, physical)
    if problem is not None:
        raise ParameterError(problem)
    return np.asarray(block.clip(0.0, 1.0))


def _outside(arrays: Mapping[str, np.ndarray], prior: Prior, physical: bool) -> str | None:
    """Name what lies outside the unit interval, in the scale that the caller knows."""
    bounds = dict(zip(PARAMETER_NAMES, prior_bounds(prior), strict=True))
    problems: list[str] = []
    for name, values in arrays.items():
        bad = (values < -_ROUNDING) | (values > 1.0 + _ROUNDING)
        if not bad.any():
            continue
        low, high = bounds[name] if physical else (0.0, 1.0)
        problems.append(
            f"{name} {_range(low + values[bad] * (high - low))} (allowed {low:g} to {high:g})"
        )
    if not problems:
        return None
    if physical:
        return (
            f"parameters outside prior {prior!r}: {'; '.join(problems)}; choose another prior, or "
            "bring them inside with p[name].clip(min, max)"
        )
    return (
        f"unit-interval parameters outside 0 to 1: {'; '.join(problems)}; if they are physical "
        f"already, use them as they are, or convert with xbinn.to_unit_interval(p, prior={prior!r})"
    )


def _range(values: np.ndarray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"= {low:g}" if low == high else f"from {low:g} to {high:g}"


def _with_attrs(da: xr.DataArray, attrs: dict[str, Any]) -> xr.DataArray:
    fresh = da.copy(deep=False)
    fresh.attrs = attrs
    fresh.encoding = {}
    return fresh
