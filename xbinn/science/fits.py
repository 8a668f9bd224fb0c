"""Several fits of the same sites, for members and folds: each a task of its own.

On a cluster they run side by side, one to a GPU where workers offer any; without one they run one
after the other. Equal seeds give equal models either way.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import numpy as np

from xbinn.errors import InputError, TrainingError, XbinnError
from xbinn.labels.covariates import CovariateSpec
from xbinn.labels.sites import Sites
from xbinn.learning.threads import one_thread
from xbinn.model import Model
from xbinn.running.device import choose_device
from xbinn.running.resources import check_device, current_client, gpu_resources
from xbinn.running.scheduling import run_tasks
from xbinn.science.fitting import fit_sites
from xbinn.science.settings import FitSettings

_ALONE: Final = threading.Lock()
"""Held by the one fit of a process. torch has one random state per process and device: fits in
two threads of a worker would draw from each other's numbers."""


@dataclass(frozen=True)
class _Shared:
    """What all fits have in common."""

    sites: Sites
    covariates: CovariateSpec
    device: str


@dataclass(frozen=True)
class _Own:
    """What each fit has for itself."""

    settings: FitSettings
    among: np.ndarray | None


def fit_many(
    sites: Sites,
    covariates: CovariateSpec,
    settings: Sequence[FitSettings],
    *,
    among: Sequence[np.ndarray] | None = None,
    device: str = "auto",
    report: Callable[[int], None] | None = None,
) -> list[Model]:
    """Fit several networks, each as `xbinn.science.fitting.fit_sites` does.

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
        If ``among`` does not fit to sites and settings.
    XbinnError
        Of the first fit that fails, with its place and seed; what has not begun is withdrawn.
    JobError
        If the cluster is lost.
    """
    chosen = _chosen(sites, len(settings), among)
    check_device(device)
    client = current_client()
    outcomes = run_tasks(
        _fit,
        _Shared(sites, covariates, device),
        range(len(settings)),
        part=lambda number: _Own(settings[number], chosen[number]),
        client=client,
        resources=None if client is None else gpu_resources(client, device),
    )
    models: dict[int, Model] = {}
    with closing(outcomes):
        for outcome in outcomes:
            if outcome.error is not None:
                raise _named(outcome.error, outcome.number, settings) from outcome.error
            assert outcome.result is not None
            models[outcome.number] = outcome.result
            if report is not None:
                report(len(models))
    return [models[number] for number in range(len(settings))]


def _chosen(
    sites: Sites, n_fits: int, among: Sequence[np.ndarray] | None
) -> Sequence[np.ndarray | None]:
    if among is None:
        return [None] * n_fits
    chosen = [np.asarray(keep) for keep in among]
    shapes = {(keep.shape, keep.dtype.kind) for keep in chosen}
    if len(chosen) != n_fits or shapes - {((sites.n_sites,), "b")}:
        raise InputError(
            f"among holds {len(chosen)} arrays of shape {sorted({k.shape for k in chosen})} for "
            f"{n_fits} fits and {sites.n_sites} sites: give each fit a boolean array with one "
            "value a site"
        )
    return chosen


def _fit(shared: _Shared, number: int, own: _Own | None) -> Model:
    """Fit one network, alone in its process."""
    assert own is not None
    sites = shared.sites if own.among is None else shared.sites.select(own.among)
    with _ALONE, one_thread():
        return fit_sites(
            sites, shared.covariates, own.settings, device=choose_device(shared.device)
        )


def _named(error: BaseException, number: int, settings: Sequence[FitSettings]) -> XbinnError:
    """Say which fit an error is of."""
    seed = settings[number].options.seed
    place = f"fit {number + 1} of {len(settings)} (settings[{number}], seed {seed})"
    if isinstance(error, XbinnError):
        return type(error)(f"{place}: {error}")
    return TrainingError(f"{place} failed: {type(error).__name__}: {error}")
