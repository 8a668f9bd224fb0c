"""Parameter recovery: what a fit finds of parameters that are known because they were made.

Parameters are made known functions of the covariates (`xbinn.science.synthetic`); the soil carbon
model, seen at the places and depths of the profiles and with noise, gives observations; a network
is fitted to these as to real ones, and what it says in blocks that it has not seen is compared with
the truth.

References
----------
Xu et al. 2025, arXiv:2502.00672, where four of the parameters are recovered and the others known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any, Final

import xarray as xr

from xbinn.errors import InputError
from xbinn.labels.sites import Sites
from xbinn.learning.posterior import has_dropout
from xbinn.parameters import PARAMETER_NAMES
from xbinn.science.crossvalidation import hold_out
from xbinn.science.fits import run_fits
from xbinn.science.identifiability import label_information
from xbinn.science.information import Information, function_index
from xbinn.science.recovery_case import Case, Part, gather_experiment, recover_case
from xbinn.science.recovery_errors import recovery_errors
from xbinn.science.recovery_intervals import errors_for, recovery_intervals
from xbinn.science.recovery_scores import label_recovery
from xbinn.science.settings import FitSettings, is_whole, settings_from
from xbinn.science.synthetic import check_unknown

__all__ = ["SUBSET", "Case", "recover_parameters", "recovery_errors", "recovery_intervals"]

SUBSET: Final = ("efolding", "tau4s3", "fs1s3", "w_scaling")
"""Parameters that the published experiment recovers, the others being known."""


def recover_parameters(
    ds: xr.Dataset,
    profiles: xr.Dataset,
    *,
    cases: Sequence[Case] = (Case(),),
    samples: int = 50,
    fraction: float = 0.2,
    fit: Mapping[str, Any] | None = None,
    seed: int = 0,
    errors: xr.Dataset | None = None,
    device: str = "auto",
    report: Callable[[int], None] | None = None,
) -> xr.Dataset:
    """Fit networks to synthetic observations of known parameters, and compare.

    With a distributed client each case is a task.

    Parameters
    ----------
    ds, profiles
        As for `xbinn.fit`. Of the profiles places and depths are used; their SOC only in that a
        sample has any.
    cases : sequence of Case
        What to try; all share the sites, the held-out blocks and the seed.
    samples : int
        Of the posterior, by Monte Carlo dropout over the members in turn, 2 or more, and no fewer
        than members.
    fraction : float
        Share of the spatial blocks to hold out, about.
    fit : mapping, optional
        Keywords of `xbinn.fit`, such as ``{"epochs": 20}``, but for seed and device. Either the
        encoder has dropout or there are several ``members``; each case fits its ensemble within
        its task.
    seed : int
        Of truth, noise, blocks, fits and samples.
    errors : Dataset, optional
        Of `xbinn.science.recovery_errors.recovery_errors` for fits of these settings, with the
        noise, the spread and the unknown parameters of the cases: what estimates and intervals
        then follow from. By default they are the mean and the quantiles of the samples. The
        attribute ``truths`` counts the truths behind them.
    device : str
        As for `xbinn.fit`.
    report : callable, optional
        Called after every case with the number done.

    Returns
    -------
    Dataset
        By ``case``: ``parameter_true``, ``parameter_estimate``, ``parameter_low``,
        ``parameter_high`` (case, parameter, site), fractions of the prior range at the cells of
        held-out blocks, the interval being the central one of 90 %; scores
        ``parameter_correlation``, ``_r2``, ``_bias``, ``_rmse``, ``_coverage``, ``_shift``,
        ``_contraction`` (case, parameter), NaN where a parameter is known; the same for the natural
        logarithm of each ``process``; and what `xbinn.science.identifiability` says of the
        training sites at the truth: ``index``, ``column_index`` (its median over columns),
        ``function_index`` (parameter), where parameters are linear functions of the numeric
        covariates, ``eigenvalue``, ``loading`` and effective ranks.

    Raises
    ------
    InputError
        If inputs, cases or settings cannot be used.
    ProfileError
        If no profile can be used.
    TrainingError
        If the loss of a fit stops being finite.

    Notes
    -----
    Intervals of dropout and of ensembles are far too narrow; those of ``errors`` hold what they
    promise over many truths. ``parameter_coverage`` says how often.
    """
    settings = settings_from(
        {} if fit is None else fit, caller="recover_parameters", seed=seed, device=device
    )
    cases = _checked(cases, samples, seed, settings, by_samples=errors is None)
    learnt = None if errors is None else errors_for(errors, cases, settings)
    sites, spec, blocks = gather_experiment(ds, profiles, settings)
    held_out = hold_out(blocks, fraction, seed)
    found = run_fits(
        recover_case,
        sites,
        spec,
        [Part(case, settings, held_out, samples, seed) for case in cases],
        names=[case.name for case in cases],
        device=device,
        report=report,
    )
    test, training = (sites.select(which) for which in (held_out, ~held_out))
    labelled = [
        label_recovery(result, test, learnt).merge(
            _summary(information, training), join="outer", compat="no_conflicts"
        )
        for result, information in found
    ]
    result = xr.concat(
        [one.reindex(parameter=list(PARAMETER_NAMES)) for one in labelled],
        "case",
        join="outer",
        coords="minimal",
        compat="override",
        combine_attrs="override",
    )
    result = result.assign_coords(
        case=[case.name for case in cases],
        kind=("case", [case.kind for case in cases]),
        noise=("case", [case.noise for case in cases], {"units": "1"}),
        n_unknown=("case", [len(case.unknown) for case in cases]),
        spread=("case", [case.spread for case in cases], {"units": "1"}),
    )
    result.attrs = {
        "title": f"Recovery of known parameters, synthetic truth on: {ds.attrs.get('title', '')}",
        "source": f"xbinn {version('xbinn')}, prior {settings.prior}, bedrock {settings.bedrock}",
        "seed": seed,
        "training_sites": training.n_sites,
        "training_samples": len(training.soc),
        "held_out_sites": test.n_sites,
        "posterior_samples": samples,
        "members": settings.members,
        "truths": 0 if errors is None else errors.sizes["truth"],
    }
    return result


def _summary(information: Information, training: Sites) -> xr.Dataset:
    """What is kept of the identifiability of the training sites."""
    full = label_information(information, training)
    kept = full[["index", "eigenvalue", "loading", "effective_rank"]]
    about = "identifiability index, parameters linear functions of covariates"
    linear = function_index(information, training.numeric)
    kept["function_index"] = ("parameter", linear, {"units": "1", "long_name": about})
    for name in ("column_index", "column_effective_rank"):
        median = full[name].median("site", keep_attrs=True)
        median.attrs["long_name"] += ", median over the columns"
        kept[name] = median
    return kept


def _are_of(kind: type, values: object) -> bool:
    return isinstance(values, Sequence) and all(isinstance(value, kind) for value in values)


def _checked(
    cases: Sequence[Case], samples: int, seed: int, settings: FitSettings, *, by_samples: bool
) -> tuple[Case, ...]:
    if not _are_of(Case, cases):
        raise InputError(
            f"cases={cases!r} (must be a sequence of Case): give several, or [Case(...)] for one"
        )
    problems = []
    if not cases:
        problems.append("cases is empty (give one or more)")
    for case in cases:
        problems += case.problems()
    if not is_whole(seed, 0):
        problems.append(f"seed={seed!r} (must be a whole number: truth and noise follow from it)")
    named = {(case.kind, case.noise, case.spread, len(case.unknown)) for case in cases}
    if len(named) < len(cases):
        problems.append(
            "cases that have one name (kind, noise, spread or number of unknowns must differ)"
        )
    fewest = max(2, settings.members)
    if not is_whole(samples, fewest):
        problems.append(f"samples={samples!r} (must be a whole number, {fewest} or more)")
    masked = settings.encoder.get("dropout") or (
        settings.module is not None and has_dropout(settings.module)
    )
    if by_samples and settings.members == 1 and not masked:
        problems.append(
            f"one member of the encoder {settings.encoder['encoder']!r} (without dropout there is "
            "no interval: give several members, or errors)"
        )
    if problems:
        raise InputError(f"settings that cannot be used: {'; '.join(problems)}")
    return tuple(replace(c, unknown=check_unknown(tuple(c.unknown))) for c in cases)
