"""A look at inputs before they are used: what was recognised, what is missing, what to do."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import numpy as np
import xarray as xr
from dask.base import compute

from xbinn.errors import InputError
from xbinn.labels.axes import axes_findings
from xbinn.labels.blocks import lay_out_inputs, space_of
from xbinn.labels.check import check_axes, check_dataset
from xbinn.labels.covariates import CovariateSpec, covariate_arrays, select_covariates
from xbinn.labels.forcing import standardise_forcing
from xbinn.labels.forcing_values import bedrock_problems, outside, range_sentence
from xbinn.labels.profiles import counted, standardise_profiles
from xbinn.labels.reports import Finding, Report
from xbinn.labels.samples import to_samples
from xbinn.labels.sites import describe_left_out, gather_sites
from xbinn.labels.space import find_coordinates, spatial_dims
from xbinn.labels.units import dequantify
from xbinn.options import Bedrock
from xbinn.variables import DEPTH, FORCING, MONTH

_TABLE: Final = {v.name: v for v in FORCING}
_ROUNDING: Final = 1e-6
"""How far past a range, relative to its ends, float32 may carry a value."""
_T = TypeVar("_T")


def check_inputs(
    ds: xr.Dataset,
    profiles: xr.Dataset | None = None,
    *,
    bedrock: Bedrock = "closed",
    spec: CovariateSpec | None = None,
    ranges: Mapping[str, Sequence[float]] | None = None,
) -> Report:
    """Look whether inputs can be used, see `xbinn.check`.

    Parameters
    ----------
    ds, profiles, bedrock
        As there.
    spec : CovariateSpec, optional
        Covariates of a model. By default those that a fit would choose.
    ranges : mapping of str to (float, float), optional
        Least and greatest value of covariates that a model has seen; also asks for classes that it
        has not.
    """
    check_dataset(ds)
    sections: dict[str, tuple[Finding, ...]] = {}
    space = _space(ds)
    chosen: tuple[Finding, ...] = ()
    if spec is None:
        spec, chosen = _tried("covariates", lambda: select_covariates(ds))
    forcing, forced = _tried("forcing", lambda: standardise_forcing(ds))
    covariates = None
    if spec is not None:
        wanted = spec
        covariates, wrong = _tried("covariates", lambda: covariate_arrays(ds, wanted))
        chosen = (*chosen, *wrong)
    stated = () if forcing is None else _recognised(ds, forcing)
    values: dict[str, tuple[Finding, ...]] = {}
    if not any(f.level == "problem" for f in space):
        values = _values(ds, forcing, covariates, spec, bedrock, ranges)
    sections["Space"] = space
    sections["Axes"] = axes_findings(ds)
    sections["Forcing"] = (*forced, *stated, *values.get("forcing", ()))
    sections["Covariates"] = (*chosen, *values.get("covariates", ()))
    if profiles is not None:
        broken = any(f.level == "problem" for fs in sections.values() for f in fs)
        sections["Profiles"] = _profiles(ds, profiles, None if broken else spec, bedrock)
    return Report("Inputs of xbinn", {n: f for n, f in sections.items() if f})


def _tried(subject: str, step: Callable[[], _T]) -> tuple[_T | None, tuple[Finding, ...]]:
    """Run a step; what it raises is a problem, in its own words."""
    try:
        return step(), ()
    except InputError as error:
        return None, (Finding("problem", subject, str(error)),)


def _space(ds: xr.Dataset) -> tuple[Finding, ...]:
    dims = spatial_dims(ds)
    sizes = {dim: int(ds.sizes[dim]) for dim in dims}
    listed = " x ".join(f"{dim} {size}" for dim, size in sizes.items()) or "a single column"
    found = [Finding("ok", "dimensions", listed, details=dict(sizes))]
    where, problems = _tried("coordinates", lambda: find_coordinates(ds))
    if not problems:
        _, problems = _tried("coordinates", lambda: check_axes(ds, dims))
    if where is not None:
        crs = "latitude and longitude" if where.crs is None else f"{where.crs.name}"
        found.append(Finding("ok", "CRS", crs))
        if where.regular:
            steps = {n: np.abs(np.diff(getattr(where, n))) for n in ("y", "x")}
            known = {n: float(np.median(s)) for n, s in steps.items() if s.size}
            said = ", ".join(f"{n} {step:g}" for n, step in known.items())
            found.append(Finding("ok", "spacing", said or "one cell", details=dict(known)))
    return (*found, *problems)


def _recognised(ds: xr.Dataset, forcing: xr.Dataset) -> tuple[Finding, ...]:
    """Name and unit under which each forcing variable was found."""
    plain = dequantify(ds)
    found = []
    for variable in FORCING:
        name = next(n for n in (variable.name, *variable.aliases) if n in plain.variables)
        given, kept = plain[name].attrs.get("units"), forcing[variable.name].attrs["units"]
        text = f"found as {name}" if name != variable.name else "found"
        dims = ", ".join(str(d) for d in plain[name].dims if d not in spatial_dims(ds))
        text += f" on ({dims})" if dims else ""
        text += f", {given or 'no unit'}"
        text += f" converted to {kept}" if given is not None and given != kept else ""
        found.append(Finding("ok", variable.name, text))
    return tuple(found)


def _values(
    ds: xr.Dataset,
    forcing: xr.Dataset | None,
    covariates: xr.Dataset | None,
    spec: CovariateSpec | None,
    bedrock: Bedrock,
    ranges: Mapping[str, Sequence[float]] | None,
) -> dict[str, tuple[Finding, ...]]:
    """Ranges and gaps of all values, read in one pass over the chunks."""
    asked: dict[str, Any] = {}
    space: tuple[str, ...] = ()
    if forcing is not None:
        space = space_of(forcing)
        for name, da in lay_out_inputs(forcing, space).data_vars.items():
            asked[f"f {name}"] = _statistics(da, outside(_TABLE[str(name)], da))
            if name == "nbedrock":
                asked["bedrock"] = da.variable
    if covariates is not None:
        for name, da in covariates.data_vars.items():
            asked[f"c {name}"] = _statistics(
                da, None if ranges is None else _unlike(str(name), da, ds, spec, ranges)
            )
    (read,) = compute(asked)

    def name_cell(*position: int) -> str:
        return "(" + ", ".join(f"{d}={i}" for d, i in zip(space, position, strict=True)) + ")"

    found: dict[str, list[Finding]] = {"forcing": [], "covariates": []}
    for name in () if forcing is None else map(str, forcing.data_vars):
        low, high, known, bad = read[f"f {name}"]
        if bad.any():
            text = range_sentence(_TABLE[name], (low, high), bad, known, len(space), name_cell)
            share = float(bad.sum() / max(known.sum(), 1))
            details = {"low": low, "high": high, "cells": int(bad.sum()), "share": share}
            found["forcing"].append(Finding("problem", name, text, details=details))
        elif not known.any():
            found["forcing"].append(Finding("note", name, "missing in all cells"))
    if "bedrock" in read:
        for text in bedrock_problems(np.asarray(read["bedrock"]), len(space), bedrock, name_cell):
            found["forcing"].append(Finding("problem", "nbedrock", text))
    classes = {} if spec is None else dict(spec.categorical)
    for name in () if covariates is None else map(str, covariates.data_vars):
        low, high, known, unlike = read[f"c {name}"]
        missing = int(known.size - known.sum())
        text = (
            f"categorical, {len(classes[name])} classes"
            if name in classes
            else f"numeric, {low:g} to {high:g} {covariates[name].attrs['units']}"
            if covariates is not None
            else ""
        )
        gaps = f", missing in {counted(missing, 'cell')}" if missing else ""
        new = int(unlike.sum())
        if new:
            what = (
                "of classes"
                if name in classes
                else "outside {:g} to {:g},".format(*(ranges or {})[name])
            )
            gaps += f"; {what} that the model has not seen in {counted(new, 'cell')}"
        found["covariates"].append(
            Finding(
                "note" if new else "ok",
                name,
                text + gaps,
                details={"missing": missing, "unseen": new},
            )
        )
    return {n: tuple(f) for n, f in found.items()}


def _unlike(
    name: str,
    da: xr.DataArray,
    ds: xr.Dataset,
    spec: CovariateSpec | None,
    ranges: Mapping[str, Sequence[float]],
) -> xr.DataArray | None:
    """Where a covariate is unlike all that a model has seen; None where that is not known."""
    if name in ranges:
        low, high = ranges[name]
        slack = _ROUNDING * max(abs(low), abs(high))
        return (da < low - slack) | (da > high + slack)
    classes = dict(spec.categorical) if spec is not None else {}
    if name not in classes:
        return None
    given = dequantify(ds[[name]])[name].transpose(*da.dims)
    known = xr.Variable(given.dims, np.isfinite(given.data))
    return da.copy(data=((da.variable == len(classes[name])) & known).data)


def _statistics(da: xr.DataArray, bad: xr.DataArray | None) -> tuple[Any, ...]:
    """Least and greatest finite value; cells in which any value is known, and any out of range."""
    finite: Any = xr.Variable(da.dims, np.isfinite(da.data))
    over = [d for d in (MONTH, DEPTH) if d in da.dims]
    held = da.variable.astype(np.float64).where(finite)
    cells = finite.any(over).data
    out = (finite & False if bad is None else bad.variable).any(over)
    return held.min(skipna=True).data, held.max(skipna=True).data, cells, out.data


def _profiles(
    ds: xr.Dataset, profiles: xr.Dataset, spec: CovariateSpec | None, bedrock: Bedrock
) -> tuple[Finding, ...]:
    placed, problems = _tried("profiles", lambda: standardise_profiles(profiles))
    if placed is None:
        return problems
    samples, problems = _tried("samples", lambda: to_samples(placed))
    if samples is None:
        return problems
    if spec is None:
        said = f"{counted(samples.soc.size, 'sample')}; their cells were not looked for"
        return (Finding("note", "samples", said),)
    sites, problems = _tried("sites", lambda: gather_sites(ds, profiles, spec, bedrock=bedrock))
    if sites is None:
        return problems
    text = f"{counted(len(sites.soc), 'sample')} of {counted(sites.n_profiles, 'profile')}"
    text += f" in {counted(sites.n_sites, 'cell')}"
    found = [Finding("ok", "used", text, details={"profiles": sites.n_profiles})]
    if sites.left_out:
        left = describe_left_out(sites.left_out)
        found.append(Finding("note", "left out", left, details=dict(sites.left_out)))
    if sites.overlapping:
        found.append(Finding("note", "overlapping", counted(sites.overlapping, "sample")))
    return tuple(found)
