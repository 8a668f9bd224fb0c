"""A fitted model beside its baselines, on profiles that nothing was learnt from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from xbinn.errors import InputError
from xbinn.labels.sites import Sites, gather_sites
from xbinn.labels.spatial_blocks import spatial_blocks
from xbinn.model import Model
from xbinn.options import BASELINES as ALL_BASELINES
from xbinn.options import Baseline
from xbinn.science.baselines import (
    BASELINES,
    clm5_defaults,
    global_parameters,
    mean_profile,
    without_physics,
)
from xbinn.science.comparison import MODEL, Held, compare
from xbinn.science.fitting import modelled_soc, prepare
from xbinn.science.metrics import on_scale
from xbinn.science.settings import settings_of


@dataclass(frozen=True, eq=False)
class Skill:
    """Scores on test samples.

    Attributes
    ----------
    scores : Dataset
        Scores of `xbinn.score` with a dimension ``model``, xbinn and every baseline, and their 90 %
        intervals from resampling blocks, ``<score>_low`` and ``<score>_high``.
    gains : Dataset
        Gain in R2 of xbinn over every baseline, ``gain``, ``low``, ``high`` (baseline, scale), with
        90 % intervals from resampling blocks, and ``tie`` where the interval holds zero.
    sites : Sites
        The test samples.
    modelled : dict of str to ndarray
        SOC of the test samples, (sample,) [kg m-3], xbinn's, every rival's and baseline's. The mean
        profile is the arithmetic one.
    """

    scores: xr.Dataset
    gains: xr.Dataset
    sites: Sites
    modelled: dict[str, np.ndarray]


def compare_with_baselines(
    ds: xr.Dataset,
    model: Model,
    training: xr.Dataset,
    test: xr.Dataset,
    *,
    rivals: Mapping[str, Model] | None = None,
    baselines: Sequence[Baseline] = ALL_BASELINES,
    report: Callable[[str], None] | None = None,
) -> Skill:
    """Score a model and its baselines on the same test samples.

    Parameters
    ----------
    ds : Dataset
        Covariates and forcing.
    model : Model
        Fitted to ``training``.
    training : Dataset
        Profiles that the baselines learn from, with the settings and the seed of the model.
    test : Dataset
        Profiles that nothing was learnt from; see
        `xbinn.science.crossvalidation.split_profiles`.
    rivals : mapping of str to Model, optional
        Other models that have seen the same training profiles at most, by the names that they are
        to have in the scores.
    baselines : sequence of str
        Which baselines: ``without_physics``, ``global_parameters``, ``clm5_defaults``,
        ``mean_profile``.
    report : callable, optional
        Called with the name of each baseline before it is fitted.

    Returns
    -------
    Skill
        On the log scale the mean profile is the geometric one, so that it is unbiased there too.

    Raises
    ------
    InputError
        If a baseline is not known, or a rival has the name of another, or says nothing of some of
        the test samples.
    """
    rivals = {} if rivals is None else rivals
    _check_names(rivals, baselines)
    settings = settings_of(model)
    spec = model.predictor.covariates
    sites, unseen = (
        gather_sites(ds, which, spec, bedrock=settings.bedrock, tolerance=settings.tolerance)
        for which in (training, test)
    )
    # Profiles beside each other can fall into different blocks and the same cell.
    apart = ~np.isin(unseen.cell, sites.cell)
    unseen = unseen.without(apart, None, "cell shared with training profiles")
    prepared = prepare(sites, spec, settings)
    modelled, held = modelled_soc(model, unseen)
    say = report or (lambda _: None)
    found = {MODEL: modelled}
    for name, rival in rivals.items():
        found[name] = _of_rival(ds, name, rival, test, held, settings.tolerance)
    makers: dict[str, Callable[[], np.ndarray]] = {
        "without_physics": lambda: without_physics(prepared, held, settings),
        "global_parameters": lambda: global_parameters(prepared, held, settings),
        "clm5_defaults": lambda: clm5_defaults(ds, held, settings),
        "mean_profile": lambda: mean_profile(prepared.sites, held, transform=lambda soc: soc),
    }
    for baseline in baselines:
        say(BASELINES[baseline])
        found[baseline] = makers[baseline]()
    on_log = dict(found)
    if "mean_profile" in baselines:
        on_log["mean_profile"] = np.exp(
            mean_profile(prepared.sites, held, transform=lambda soc: on_scale(soc, "log"))
        )
    blocks = spatial_blocks(held.lat, held.lon, settings.block_size)[held.site]
    samples = Held(held.soc, held.top, held.bottom, blocks)
    scores, gains = compare(found, on_log, samples)
    return Skill(scores, gains.sel(depth_range="all", drop=True), held, found)


def _check_names(rivals: Mapping[str, Model], baselines: Sequence[Baseline]) -> None:
    problems = []
    unknown = [name for name in baselines if name not in ALL_BASELINES]
    if unknown or isinstance(baselines, str):
        known = ", ".join(ALL_BASELINES)
        problems.append(f"baselines={baselines!r} (must be a sequence of {known})")
    taken = [name for name in rivals if name in (MODEL, *ALL_BASELINES)]
    if taken:
        problems.append(f"rivals={{...}} called {', '.join(taken)} (another has that name)")
    if problems:
        raise InputError(f"settings that cannot be used: {'; '.join(problems)}")


def _of_rival(
    ds: xr.Dataset, name: str, rival: Model, test: xr.Dataset, held: Sites, tolerance: float | None
) -> np.ndarray:
    """SOC of the same samples by another model, (sample,) [kg m-3]."""
    predictor = rival.predictor
    own = gather_sites(
        ds, test, predictor.covariates, bedrock=predictor.bedrock, tolerance=tolerance
    )
    modelled, own = modelled_soc(rival, own)
    said = {pair: n for n, pair in enumerate(zip(own.profile, own.sample, strict=True))}
    rows = [said.get(pair, -1) for pair in zip(held.profile, held.sample, strict=True)]
    missing = rows.count(-1)
    if missing:
        raise InputError(
            f"rivals[{name!r}] says nothing of {missing} of {len(rows)} test samples: fit it with "
            "the covariates, the prior and the bedrock of the model"
        )
    return modelled[rows]
