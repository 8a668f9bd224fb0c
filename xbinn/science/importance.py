"""Permutation importance: what R2 is lost where a group of covariates says nothing.

The columns of a group are permuted together among the test sites of each fold, so that what they
say of each other stays and what they say of the site goes (Breiman 2001, Fisher et al. 2019).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
import xarray as xr

from xbinn.errors import InputError
from xbinn.labels.covariates import CovariateSpec
from xbinn.labels.sites import Sites
from xbinn.model import Model
from xbinn.science.comparison import MODEL
from xbinn.science.fits import run_fits
from xbinn.science.fitting import modelled_soc
from xbinn.science.metrics import SCALES, BlockBootstrap, on_scale, r2_gains
from xbinn.science.out_of_fold import OutOfFold, sites_of_test

Groups = Mapping[str, Sequence[str]]

LEVEL: Final = 0.95
"""Of the intervals: wider than those of scores, for there is one for every covariate."""
_PICKS: Final = 1
"""Seed of which repeat belongs to which resample of blocks."""


@dataclass(frozen=True)
class _Part:
    """One fold: its model, its samples, and what to permute."""

    model: Model
    test: np.ndarray  # (sample,) boolean
    groups: tuple[tuple[str, ...], ...]
    permutations: int
    seed: tuple[int, int]


def check_groups(groups: Groups | None, covariates: CovariateSpec) -> dict[str, tuple[str, ...]]:
    """Groups of covariates; each by itself where none are given.

    Raises
    ------
    InputError
        If groups are no mapping, or one is empty or names something that is no covariate of the
        fit.
    """
    if groups is None:
        return {name: (name,) for name in covariates.names}
    if not isinstance(groups, Mapping):
        raise InputError(
            f"groups={groups!r} is of type {type(groups).__name__}: give a mapping of names to "
            f"covariates, such as {{'first': [{covariates.names[0]!r}]}}"
        )
    given = {k: (v,) if isinstance(v, str) else tuple(v) for k, v in groups.items()}
    unknown = {k: [n for n in v if n not in covariates.names] for k, v in given.items()}
    problems = [f"{k} names {', '.join(map(str, v))}" for k, v in unknown.items() if v]
    problems += [f"{k} is empty" for k, v in given.items() if not v]
    if problems:
        raise InputError(
            f"groups that cannot be permuted: {'; '.join(problems)}; the covariates of the fit are "
            f"{', '.join(covariates.names)}"
        )
    return given


def permutation_importance(
    predicted: OutOfFold,
    covariates: CovariateSpec,
    groups: Mapping[str, tuple[str, ...]],
    block: np.ndarray,
    *,
    permutations: int,
    seed: int,
    device: str,
    report: Callable[[], None],
) -> xr.Dataset:
    """Loss of R2 on out-of-fold predictions where a group of covariates is permuted.

    Parameters
    ----------
    predicted : OutOfFold
        Predictions and the models that made them.
    covariates : CovariateSpec
        Of the sites of ``predicted``.
    groups : mapping of str to tuple of str
        From `check_groups`.
    block : ndarray (sample,)
        Spatial block of each sample.
    permutations : int
        How often, each time in another order. All groups meet the same orders.
    seed : int
        Of the orders.
    device : str
        As in `xbinn.fit`; networks run on the CPU, but where fits run.
    report : callable
        Called after every fold.

    Returns
    -------
    Dataset
        ``importance``, ``low``, ``high`` (group, scale): the mean over permutations, and 95 % of
        the losses that one permutation gave on resampled blocks, a permutation drawn for each
        resample.
    """
    sites = predicted.sites
    chosen = tuple(groups.values())
    parts = [
        _Part(model, predicted.fold == fold, chosen, permutations, (seed, fold))
        for fold, model in predicted.models.items()
        if groups
    ]
    permuted = np.full((len(groups), permutations, len(sites.soc)), np.nan)
    found = run_fits(
        _permute,
        sites,
        covariates,
        parts,
        names=[f"permutations in fold {part.seed[1]}" for part in parts],
        device=device,
        report=lambda done: report(),
    )
    for part, values in zip(parts, found, strict=True):
        permuted[:, :, part.test] = values
    blocks = BlockBootstrap(block, level=LEVEL)
    result = np.empty((3, len(groups), len(SCALES)))
    for column, scale in enumerate(SCALES):
        observed, own = (on_scale(v, scale) for v in (sites.soc, predicted.linear[MODEL]))
        for row, group in enumerate(permuted):
            gains = r2_gains(own, on_scale(group, scale), observed, blocks)
            pick = np.random.default_rng(_PICKS).integers(permutations, size=gains.shape[1] - 1)
            drawn = np.take_along_axis(gains[:, 1:], pick[None], axis=0)[0]
            result[:, row, column] = gains[:, 0].mean(), *blocks.interval(drawn)
    return _label(result, groups)


def _permute(
    sites: Sites, covariates: CovariateSpec, part: _Part, device: torch.device
) -> np.ndarray:
    """SOC with every group permuted, (group, permutation, sample of the fold)."""
    test = sites_of_test(sites, covariates, part.model, part.test)
    numeric = [n for n, _ in covariates.numeric]
    categorical = [n for n, _ in covariates.categorical]
    said = np.empty((len(part.groups), part.permutations, len(test.soc)))
    for repeat in range(part.permutations):
        order = np.random.default_rng([*part.seed, repeat]).permutation(test.n_sites)
        for row, group in enumerate(part.groups):
            changed: dict[str, Any] = {}
            for field, names in (("numeric", numeric), ("categorical", categorical)):
                values = getattr(test, field)
                columns = np.isin(names, group)
                changed[field] = np.where(columns, values[order], values)
            said[row, repeat], _ = modelled_soc(part.model, replace(test, **changed))
    return said


def _label(values: np.ndarray, groups: Mapping[str, tuple[str, ...]]) -> xr.Dataset:
    what = "loss of R2 where the covariates of the group are permuted"
    how = "; over blocks, resampled, and permutations, one for each resample"
    tail = 50.0 * (1.0 - LEVEL)
    names = {
        "importance": what,
        "low": f"{tail:g} % quantile: {what}",
        "high": f"{100.0 - tail:g} % quantile: {what}",
    }
    return xr.Dataset(
        {
            name: (("group", "scale"), array, {"units": "1", "long_name": text + (how * bool(n))})
            for n, ((name, text), array) in enumerate(zip(names.items(), values, strict=True))
        },
        coords={
            "group": list(groups),
            "scale": list(SCALES),
            "covariates": ("group", [" ".join(v) for v in groups.values()]),
        },
    )
