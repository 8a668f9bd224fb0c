"""Several fits among the same sites, for members and folds: each a task of its own.

On a cluster they run side by side, one to a GPU where workers offer any; without one they run one
after the other. Equal seeds give equal models either way.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import numpy as np
import torch

from xbinn.errors import InputError, TrainingError, XbinnError
from xbinn.labels.covariates import CovariateSpec
from xbinn.labels.sites import Sites
from xbinn.learning.threads import one_thread
from xbinn.model import Model
from xbinn.physics.counting import SolveCount, count_solves, note_elsewhere
from xbinn.running.device import choose_device
from xbinn.running.resources import check_device, current_client, gpu_resources
from xbinn.running.scheduling import run_tasks
from xbinn.science.ensemble import join, member_settings
from xbinn.science.fitting import fit_sites
from xbinn.science.settings import FitSettings

PartT = TypeVar("PartT")
ResultT = TypeVar("ResultT")

Fit = Callable[[Sites, CovariateSpec, PartT, torch.device], ResultT]
"""From sites, covariates, what is one fit's own and a device to what is wanted of that fit."""

_ALONE: Final = threading.Lock()
"""Held by the one fit of a process. torch has one random state per process and device: fits in
two threads of a worker would draw from each other's numbers."""


@dataclass(frozen=True)
class _Shared(Generic[PartT, ResultT]):
    """What all fits have in common."""

    function: Fit[PartT, ResultT]
    sites: Sites
    covariates: CovariateSpec
    device: str


@dataclass(frozen=True)
class _Own:
    """What each fit has for itself."""

    settings: FitSettings
    among: np.ndarray | None
    samples: np.ndarray | None


def fit_many(
    sites: Sites,
    covariates: CovariateSpec,
    settings: Sequence[FitSettings],
    *,
    among: Sequence[np.ndarray] | None = None,
    samples: Sequence[np.ndarray] | None = None,
    device: str = "auto",
    report: Callable[[int], None] | None = None,
) -> list[Model]:
    """Fit several models, each as `xbinn.fit` does.

    With a distributed client each fit is a task, and the sites travel to every worker once. A
    worker with several threads still makes one fit at a time. Without a client fits follow each
    other.

    Parameters
    ----------
    sites : Sites
        Cells with samples.
    covariates : CovariateSpec
        What the columns of ``sites.numeric`` and ``sites.categorical`` are.
    settings : sequence of FitSettings
        Of every fit; members differ in their seed.
    among : sequence of ndarray (site,), optional
        Sites that each fit may use, boolean, as for folds; all by default.
    samples : sequence of ndarray (sample,), optional
        Samples that each fit may use, boolean; all by default.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``. Where workers offer the resource GPU, all but
        ``cpu`` takes one of these for each fit.
    report : callable, optional
        Called after every fit with the number of fits done.

    Returns
    -------
    list of Model
        In the order of ``settings``, whatever the order in which they were finished.

    Raises
    ------
    DeviceError
        If the device is not there.
    InputError
        If ``among`` or ``samples`` do not fit to sites and settings.
    XbinnError
        Of the first fit that fails, with its place and seed; what has not begun is withdrawn.
    JobError
        If the cluster is lost.
    """
    sites_of = _chosen("among", "site", sites.n_sites, len(settings), among)
    samples_of = _chosen("samples", "sample", len(sites.soc), len(settings), samples)
    return run_fits(
        _fit,
        sites,
        covariates,
        [_Own(*own) for own in zip(settings, sites_of, samples_of, strict=True)],
        names=[f"settings[{n}], seed {s.options.seed}" for n, s in enumerate(settings)],
        device=device,
        report=report,
    )


def run_fits(
    function: Fit[PartT, ResultT],
    sites: Sites,
    covariates: CovariateSpec,
    parts: Sequence[PartT],
    *,
    names: Sequence[str],
    device: str = "auto",
    report: Callable[[int], None] | None = None,
) -> list[ResultT]:
    """Do what is to be done among the same sites, as `fit_many` does with its fits.

    Parameters
    ----------
    function : callable
        From sites, covariates, a part and a device to a result; in an importable module.
    sites, covariates
        As in `fit_many`.
    parts : sequence
        What each call has for itself.
    names : sequence of str
        What errors call each part.
    device, report
        As in `fit_many`.

    Raises
    ------
    DeviceError
        If the device is not there.
    XbinnError
        Of the first call that fails, with its place and name; what has not begun is withdrawn.
    JobError
        If the cluster is lost.
    """
    check_device(device)
    client = current_client()
    outcomes = run_tasks(
        _run,
        _Shared(function, sites, covariates, device),
        range(len(parts)),
        part=lambda number: parts[number],
        client=client,
        resources=None if client is None else gpu_resources(client, device),
    )
    results: dict[int, ResultT] = {}
    with closing(outcomes):
        for outcome in outcomes:
            if outcome.error is not None:
                place = f"fit {outcome.number + 1} of {len(parts)} ({names[outcome.number]})"
                raise _named(outcome.error, place) from outcome.error
            assert outcome.result is not None
            results[outcome.number], count = outcome.result
            note_elsewhere(count)
            if report is not None:
                report(len(results))
    return [results[number] for number in range(len(parts))]


def fit_ensemble(
    sites: Sites,
    covariates: CovariateSpec,
    settings: FitSettings,
    *,
    device: str,
    report: Callable[[int], None] | None = None,
) -> Model:
    """Fit ``settings.members`` networks, each as an independent task.

    Members have weights, batches, dropout and validation blocks of their own, so that together
    they learn from all sites.

    Parameters
    ----------
    sites, covariates
        As for `fit_many`.
    settings : FitSettings
        Of all members; its seed is that of the first.
    device, report
        As for `fit_many`.

    Returns
    -------
    Model
        With all members; with seeds, the same on any number of workers.
    """
    each = member_settings(settings)
    return join(fit_many(sites, covariates, each, device=device, report=report))


def _chosen(
    name: str, what: str, size: int, n_fits: int, given: Sequence[np.ndarray] | None
) -> Sequence[np.ndarray | None]:
    if given is None:
        return [None] * n_fits
    chosen = [np.asarray(keep) for keep in given]
    shapes = {(keep.shape, keep.dtype.kind) for keep in chosen}
    if len(chosen) != n_fits or shapes - {((size,), "b")}:
        raise InputError(
            f"{name} holds {len(chosen)} arrays of shape {sorted({k.shape for k in chosen})} for "
            f"{n_fits} fits and {size} {what}s: give each fit a boolean array with one value a "
            f"{what}"
        )
    return chosen


def _run(shared: _Shared[Any, ResultT], number: int, part: Any) -> tuple[ResultT, SolveCount]:
    """Do one part, alone in its process, and count its solves."""
    with _ALONE, one_thread(), count_solves() as count:
        device = choose_device(shared.device)
        return shared.function(shared.sites, shared.covariates, part, device), count


def _fit(sites: Sites, covariates: CovariateSpec, own: _Own, device: torch.device) -> Model:
    """Fit one network, or the members of an ensemble in turn, to its part of the sites."""
    if own.among is not None or own.samples is not None:
        everywhere = np.ones(sites.n_sites, dtype=bool)
        sites = sites.select(everywhere if own.among is None else own.among, own.samples)
    each = member_settings(own.settings)
    return join([fit_sites(sites, covariates, one, device=device) for one in each])


def _named(error: BaseException, place: str) -> XbinnError:
    """Say which fit an error is of."""
    if isinstance(error, XbinnError):
        return type(error)(f"{place}: {error}")
    return TrainingError(f"{place} failed: {type(error).__name__}: {error}")
