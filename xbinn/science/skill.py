"""A fitted model beside its baselines, on profiles that nothing was learnt from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from xbinn.labels.sites import Sites, gather_sites
from xbinn.labels.spatial_blocks import spatial_blocks
from xbinn.model import Model
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
        SOC of the test samples, (sample,) [kg m-3], xbinn's and every baseline's. The mean
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
    report : callable, optional
        Called with the name of each baseline before it is fitted.

    Returns
    -------
    Skill
        On the log scale the mean profile is the geometric one, so that it is unbiased there too.
    """
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
    makers: dict[str, Callable[[], np.ndarray]] = {
        "without_physics": lambda: without_physics(prepared, held, settings),
        "global_parameters": lambda: global_parameters(prepared, held, settings),
        "clm5_defaults": lambda: clm5_defaults(ds, held, settings),
        "mean_profile": lambda: mean_profile(prepared.sites, held, transform=lambda soc: soc),
    }
    for name, make in makers.items():
        say(BASELINES[name])
        found[name] = make()
    geometric = np.exp(
        mean_profile(prepared.sites, held, transform=lambda soc: on_scale(soc, "log"))
    )
    blocks = spatial_blocks(held.lat, held.lon, settings.block_size)[held.site]
    samples = Held(held.soc, held.top, held.bottom, blocks)
    scores, gains = compare(found, found | {"mean_profile": geometric}, samples)
    return Skill(scores, gains.sel(depth_range="all", drop=True), held, found)
