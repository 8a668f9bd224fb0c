"""What networks say of samples in folds that they have not seen, and what their rivals say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import xarray as xr

from xbinn.labels.covariates import CovariateSpec
from xbinn.labels.sites import Sites
from xbinn.model import Model
from xbinn.options import Baseline
from xbinn.science.baselines import (
    clm5_defaults,
    global_parameters,
    mean_profile,
    without_physics,
)
from xbinn.science.comparison import MODEL
from xbinn.science.fits import fit_many, run_fits
from xbinn.science.fitting import modelled_soc, prepare, recoded
from xbinn.science.folds import SHARED, Folds
from xbinn.science.metrics import on_scale
from xbinn.science.settings import FitSettings
from xbinn.variables import PROFILE, SAMPLE

FITTED: Final[Mapping[Baseline, Callable[..., np.ndarray]]] = {
    "without_physics": without_physics,
    "global_parameters": global_parameters,
}
"""Baselines that are networks: as much work as the model itself."""


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Predictions of samples by networks that have not seen their fold.

    Attributes
    ----------
    sites : Sites
        The samples that were predicted.
    fold : ndarray (sample,)
        Fold of each.
    models : dict of int to Model
        Model that predicted each fold that has samples to test on.
    linear, log : dict of str to ndarray
        SOC (sample,) [kg m-3] by the model, `MODEL`, and by each baseline. They differ in the mean
        profile, which is the arithmetic and the geometric one, unbiased on either scale.
    """

    sites: Sites
    fold: np.ndarray
    models: dict[int, Model]
    linear: dict[str, np.ndarray]
    log: dict[str, np.ndarray]


@dataclass(frozen=True)
class _Rival:
    """A network that is trained beside the model."""

    name: Baseline
    settings: FitSettings
    learn: np.ndarray  # (sample,) boolean
    test: np.ndarray  # (sample,) boolean


def predict_out_of_fold(
    ds: xr.Dataset,
    sites: Sites,
    covariates: CovariateSpec,
    settings: FitSettings,
    folds: Folds,
    *,
    baselines: Sequence[Baseline],
    device: str,
    report: Callable[[], None],
) -> OutOfFold:
    """Fit once for every fold to all others, and predict it.

    Scaling, categories and the samples that decide when to stop come from the training part. Fits
    are independent tasks where there is a distributed client.

    Parameters
    ----------
    ds : Dataset
        Grid of the sites, for the default parameters.
    sites : Sites
        That the model can speak of, see `xbinn.science.fitting.usable_sites`.
    covariates : CovariateSpec
        Of ``sites``.
    settings : FitSettings
        Of every fit.
    folds : Folds
        Of the samples.
    baselines : sequence of str
        Rivals, in the order in which they are returned.
    device : str
        As in `xbinn.fit`.
    report : callable
        Called after every fit.

    Raises
    ------
    ProfileError
        If no sample is left to test on.
    """
    parts = list(folds.parts(sites))
    used = [fold for fold, (_, test) in enumerate(parts) if test.any()]
    learn, test = ([parts[fold][side] for fold in used] for side in (0, 1))
    models = fit_many(
        sites,
        covariates,
        [settings] * len(used),
        samples=learn,
        device=device,
        report=lambda done: report(),
    )
    found = {MODEL: np.full(len(sites.soc), np.nan)}
    for model, held in zip(models, test, strict=True):
        found[MODEL][held], _ = modelled_soc(model, sites_of_test(sites, covariates, model, held))
    rivals = [
        _Rival(name, settings, *masks)
        for name in baselines
        if name in FITTED
        for masks in zip(learn, test, strict=True)
    ]
    named = [f"baseline {r.name}, seed {settings.options.seed}" for r in rivals]
    said = run_fits(
        _fit_rival,
        sites,
        covariates,
        rivals,
        names=named,
        device=device,
        report=lambda done: report(),
    )
    for rival, values in zip(rivals, said, strict=True):
        found.setdefault(rival.name, np.full(len(sites.soc), np.nan))[rival.test] = values
    if "clm5_defaults" in baselines:
        found["clm5_defaults"] = clm5_defaults(ds, sites, settings)
    on_log = dict(found)
    if "mean_profile" in baselines:
        found["mean_profile"] = _mean_profiles(sites, learn, test, "linear")
        on_log["mean_profile"] = np.exp(_mean_profiles(sites, learn, test, "log"))
    everywhere, predicted = np.ones(sites.n_sites, dtype=bool), np.any(test, axis=0)
    order = (MODEL, *baselines)
    return OutOfFold(
        sites.without(everywhere, predicted, SHARED),
        folds.number[predicted],
        dict(zip(used, models, strict=True)),
        {name: found[name][predicted] for name in order},
        {name: on_log[name][predicted] for name in order},
    )


def sites_of_test(
    sites: Sites, covariates: CovariateSpec, model: Model, chosen: np.ndarray
) -> Sites:
    """Take some samples (sample,), with categories numbered as a model does."""
    part = sites.select(np.ones(sites.n_sites, dtype=bool), chosen)
    return recoded(part, covariates, model.predictor.covariates)


def _fit_rival(
    sites: Sites, covariates: CovariateSpec, rival: _Rival, device: torch.device
) -> np.ndarray:
    everywhere = np.ones(sites.n_sites, dtype=bool)
    training = prepare(sites.select(everywhere, rival.learn), covariates, rival.settings)
    test = recoded(sites.select(everywhere, rival.test), covariates, training.covariates)
    return FITTED[rival.name](training, test, rival.settings, device=device)


def _mean_profiles(
    sites: Sites, learn: Sequence[np.ndarray], test: Sequence[np.ndarray], scale: str
) -> np.ndarray:
    everywhere = np.ones(sites.n_sites, dtype=bool)
    mean = np.full(len(sites.soc), np.nan)
    for before, held in zip(learn, test, strict=True):
        training, apart = (sites.select(everywhere, which) for which in (before, held))
        mean[held] = mean_profile(training, apart, transform=lambda soc: on_scale(soc, scale))
    return mean


def on_profiles(
    profiles: xr.Dataset, found: OutOfFold, block: np.ndarray, names: tuple[str, ...]
) -> xr.Dataset:
    """Put flat samples back to where they were in the profiles.

    Parameters
    ----------
    profiles : Dataset
        Standardised, those that the samples are of.
    found : OutOfFold
        Predictions.
    block : ndarray (sample,)
        Spatial block of each sample.
    names : tuple of str
        Of the folds.
    """
    place = (found.sites.profile, found.sites.sample)
    shape = (profiles.sizes[PROFILE], profiles.sizes[SAMPLE])

    def laid_out(values: np.ndarray, fill: float) -> np.ndarray:
        array = np.full(shape, fill, dtype=values.dtype)
        array[place] = values
        return array

    rivals = [name for name in found.linear if name != MODEL]
    said = [laid_out(found.linear[name], np.nan) for name in rivals]
    dims = (PROFILE, SAMPLE)
    soc = {"units": "kg m-3"}
    flags = {
        "flag_values": np.arange(-1, len(names)),
        "flag_meanings": " ".join(n.replace(" ", "_") for n in ("no prediction", *names)),
    }
    return profiles[["depth_top", "depth_bottom"]].assign(
        soc_observed=(
            dims,
            laid_out(found.sites.soc, np.nan),
            soc | {"long_name": "observed soil organic carbon density"},
        ),
        soc_modelled=(
            dims,
            laid_out(found.linear[MODEL], np.nan),
            soc | {"long_name": "soil organic carbon density by a network that has not seen it"},
        ),
        soc_baseline=(
            ("baseline", *dims),
            np.stack(said) if said else np.empty((0, *shape)),
            soc | {"long_name": "soil organic carbon density by baselines"},
        ),
        fold=(dims, laid_out(found.fold, -1), {"long_name": "fold"} | flags),
        block=(dims, laid_out(block, -1), {"long_name": "spatial block of the intervals"}),
        baseline=("baseline", np.array(rivals, dtype=str)),
    )
