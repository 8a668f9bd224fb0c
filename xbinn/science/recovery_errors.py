"""How far this fit, to these profiles, misses parameters and processes: learnt from known ones.

Nobody observes a parameter, so no interval of it can be checked on real profiles. But the same fit
can be made to profiles that the model itself has made, at the same places and depths, of many
truths (`xbinn.science.synthetic`); what it says in blocks that it has not seen is held against
the truth, and the errors are learnt (`xbinn.science.error_model`). An estimate that follows its
truth gets a narrow interval about it; one that does not is taken back to the middle, with an
interval as wide as the truths spread.

What is promised: over many truths of these kinds, of this spread and with this noise, an interval
of 90 % holds them in 90 % of the cells like those with profiles, where forcing and equations are
right. A single truth is held more or less often.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import torch
import xarray as xr

from xbinn.errors import InputError
from xbinn.labels.covariates import CovariateSpec
from xbinn.labels.sites import Sites
from xbinn.parameters import PARAMETER_NAMES
from xbinn.science.calibration import INTERVALS
from xbinn.science.crossvalidation import hold_out
from xbinn.science.error_model import FEWEST, LEVELS, learn_errors
from xbinn.science.fits import run_fits
from xbinn.science.information import function_index
from xbinn.science.recovery_case import (
    RECOVERED_PROCESSES,
    Case,
    Part,
    gather_experiment,
    recover_case,
)
from xbinn.science.recovery_intervals import recorded_fit
from xbinn.science.recovery_scores import KNOWN
from xbinn.science.settings import FitSettings, is_whole, settings_from
from xbinn.science.synthetic import KINDS, SPREAD, check_unknown
from xbinn.variables import PARAMETER, PROCESS, QUANTILE

__all__ = ["TRUTHS", "recovery_errors"]

TRUTHS: Final = 24
"""Truths that errors are learnt from."""
_STREAM: Final = 1
"""Keeps the seeds of truths apart from others that follow from a seed."""


def recovery_errors(
    ds: xr.Dataset,
    profiles: xr.Dataset,
    *,
    truths: int = TRUTHS,
    kinds: Sequence[str] = tuple(KINDS),
    noise: float = 0.3,
    unknown: Sequence[str] = PARAMETER_NAMES,
    spread: float = SPREAD,
    samples: int = 16,
    fraction: float = 0.2,
    fit: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
    report: Callable[[int], None] | None = None,
) -> xr.Dataset:
    """Fit to synthetic observations of many truths, and learn by how much fits miss them.

    As many fits as ``truths`` times members. With a distributed client each truth is a task.

    Parameters
    ----------
    ds, profiles
        As for `xbinn.fit`. Of the profiles places and depths are used; their SOC only in that a
        sample has any.
    truths : int
        How many, 8 or more; the kinds take turns.
    kinds : sequence of {"linear", "smooth", "interaction", "threshold"}
        Of true functions from covariates to parameters.
    noise : float
        Relative standard deviation of observations, 0 to 0.6; choose what the profiles have.
    unknown : sequence of str
        Parameters to be found, the others being known.
    spread : float
        Standard deviation of a true parameter over its prior range, before it is cut near the ends;
        0.29 is that of the prior.
    samples : int
        Of the posterior, whose mean is the estimate.
    fraction : float
        Share of the spatial blocks that a fit does not see, others for each truth.
    fit : mapping, optional
        Keywords of the `xbinn.fit` whose errors are asked for, but for seed and device.
    seed : int
        Of truths, noise, blocks, fits and samples.
    device : str
        As for `xbinn.fit`.
    report : callable, optional
        Called after every truth with the number done.

    Returns
    -------
    Dataset
        For each ``parameter``, as a fraction of its prior range, and for the natural logarithm of
        each ``process``: ``parameter_intercept`` and ``parameter_slope`` of the truth as a linear
        function of the estimate; ``parameter_error_quantile`` (quantile, parameter) of the error
        about it; ``parameter_contraction``, 1 - mean square of the error / variance of the truths
        at a place, 0 where a fit knows nothing; ``parameter_coverage`` (truth, parameter, level),
        the share of the held-out cells of a truth that the intervals of all the other truths hold;
        the same for processes; and ``function_index`` (truth, parameter), as of
        `recover_parameters`.

    Raises
    ------
    InputError
        If inputs or settings cannot be used.
    ProfileError
        If no profile can be used.
    TrainingError
        If the loss of a fit stops being finite.
    """
    settings = settings_from(
        {} if fit is None else fit, caller="recovery_errors", seed=seed, device=device
    )
    names = (unknown,) if isinstance(unknown, str) else tuple(unknown)
    cases = _checked(truths, kinds, Case("", noise, names, spread), samples, settings)
    sites, spec, blocks = gather_experiment(ds, profiles, settings)
    seeds = np.random.default_rng([seed, _STREAM]).integers(2**31, size=len(cases)).tolist()
    missed = run_fits(
        _miss,
        sites,
        spec,
        [
            Part(case, _with_seed(settings, own), hold_out(blocks, fraction, own), samples, own)
            for case, own in zip(cases, seeds, strict=True)
        ],
        names=[f"{case.name}, truth {n}" for n, case in enumerate(cases, start=1)],
        device=device,
        report=report,
    )
    variables = _learnt(PARAMETER, [m.parameter for m in missed])
    variables |= _learnt(PROCESS, [m.process for m in missed])
    about = "identifiability index, parameters linear functions of covariates"
    index = np.stack([m.function_index for m in missed])
    variables["function_index"] = (("truth", PARAMETER), index, {"units": "1", "long_name": about})
    coords = {
        PARAMETER: list(cases[0].unknown),
        PROCESS: list(RECOVERED_PROCESSES),
        "kind": ("truth", [case.kind for case in cases]),
        QUANTILE: (QUANTILE, LEVELS, {"units": "1", "long_name": "quantile of the error"}),
        "level": ("level", list(INTERVALS), {"units": "1", "long_name": "nominal coverage"}),
    }
    return xr.Dataset(
        variables,
        coords,
        {
            "title": f"Errors of fits to synthetic truths on: {ds.attrs.get('title', '')}",
            "source": f"xbinn {version('xbinn')}, bedrock {settings.bedrock}",
            "prior": settings.prior,
            "members": settings.members,
            "noise": noise,
            "spread": spread,
            "seed": seed,
            "soil_samples": len(sites.soc),
            "posterior_samples": samples,
            "fit": recorded_fit(settings),
        },
    )


@dataclass(frozen=True, eq=False)
class _Pair:
    """Estimate and truth at the held-out sites, and the variance of truths about their mean."""

    estimate: np.ndarray  # (row, site)
    truth: np.ndarray  # (row, site)
    variance: np.ndarray  # (row,)


@dataclass(frozen=True, eq=False)
class _Missed:
    """What is kept of one truth."""

    parameter: _Pair
    process: _Pair
    function_index: np.ndarray  # (parameter,)


def _miss(sites: Sites, covariates: CovariateSpec, part: Part, device: torch.device) -> _Missed:
    """Recover one truth; a task of its own."""
    found, information = recover_case(sites, covariates, part, device)
    return _Missed(
        _Pair(found.unit_estimate, found.unit_true, ((found.unit_true - 0.5) ** 2).mean(axis=-1)),
        _Pair(
            found.process_estimate,
            found.process_true,
            _mean_where_finite(found.process_of_truths.var(axis=0)),
        ),
        function_index(information, sites.select(~part.held_out).numeric),
    )


def _mean_where_finite(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis, of what is finite; NaN where nothing is."""
    some = np.isfinite(values)
    n = some.sum(axis=-1)
    return np.asarray(np.where(n > 0, np.where(some, values, 0.0).sum(axis=-1) / n.clip(1), np.nan))


def _learnt(what: str, pairs: Sequence[_Pair]) -> dict[str, Any]:
    """Variables of all parameters, or of all processes."""
    variance = _mean_where_finite(np.stack([p.variance for p in pairs], axis=1))
    # Processes that follow from known parameters have no error.
    known = variance <= KNOWN
    variance[known] = np.nan
    errors, coverage = learn_errors(
        [p.estimate for p in pairs], [p.truth for p in pairs], variance, INTERVALS
    )
    coverage[:, known] = np.nan
    of = "fraction of the prior range" if what == PARAMETER else "natural logarithm"
    table = {
        "intercept": (what, errors.intercept, f"intercept of the truth over the estimate, {of}"),
        "slope": (what, errors.slope, f"slope of the truth over the estimate, {of}"),
        "error_quantile": ((QUANTILE, what), errors.quantile, f"error of the estimate, {of}"),
        "mean_square": (what, errors.mean_square, f"mean square of the error, {of} squared"),
        "contraction": (
            what,
            errors.contraction,
            "1 - mean square of the error / variance of the truths at a place",
        ),
        "coverage": (
            ("truth", what, "level"),
            coverage,
            "share of the cells of a truth that intervals of the others hold",
        ),
    }
    return {
        f"{what}_{name}": (dims, values, {"units": "1", "long_name": about})
        for name, (dims, values, about) in table.items()
    }


def _with_seed(settings: FitSettings, seed: int) -> FitSettings:
    return replace(settings, options=replace(settings.options, seed=seed))


def _checked(
    truths: int, kinds: Sequence[str], like: Case, samples: int, settings: FitSettings
) -> list[Case]:
    """One case for each truth; the kinds take turns."""
    problems = []
    if not is_whole(truths, FEWEST):
        problems.append(f"truths={truths!r} (must be a whole number, {FEWEST} or more)")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if not kinds:
        problems.append(f"kinds={kinds!r} (must hold one or more of {', '.join(KINDS)})")
        kinds = list(KINDS)
    if not is_whole(settings.options.seed, 0):
        problems.append(f"seed={settings.options.seed!r} (must be a whole number)")
    if not is_whole(samples, settings.members):
        problems.append(f"samples={samples!r} (must be a whole number, {settings.members} or more)")
    each = [replace(like, kind=kind, unknown=check_unknown(like.unknown)) for kind in kinds]
    for case in each:
        problems += [problem for problem in case.problems() if problem not in problems]
    if problems:
        raise InputError(f"settings that cannot be used: {'; '.join(problems)}")
    return [each[number % len(each)] for number in range(truths)]
