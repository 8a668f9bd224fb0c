"""Public functions that say how far a fit can be trusted."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any, get_args

import numpy as np
import xarray as xr

from xbinn import options
from xbinn.errors import InputError
from xbinn.labels.carry import carry_bounds, carry_grid
from xbinn.labels.check import all_at_once, check_dataset
from xbinn.labels.classes import classes_of_samples, find_koeppen
from xbinn.labels.covariates import select_covariates
from xbinn.labels.encoding import dataset_attributes, output_attributes
from xbinn.labels.forcing import standardise_forcing
from xbinn.labels.profiles import standardise_profiles
from xbinn.labels.sites import Sites, describe_left_out, gather_sites
from xbinn.labels.spatial_blocks import spatial_blocks
from xbinn.labels.units import dequantify
from xbinn.model import Model, check_model
from xbinn.options import Baseline, Split
from xbinn.running.progress import counting_bar
from xbinn.running.resources import check_device
from xbinn.science.applicability import (
    TrainingSpace,
    area_of_applicability,
    dissimilarity_index,
)
from xbinn.science.comparison import Held, compare
from xbinn.science.cross_validated import CrossValidation
from xbinn.science.fitting import usable_sites
from xbinn.science.folds import LEFT_OUT, assign_folds
from xbinn.science.importance import check_groups, permutation_importance
from xbinn.science.out_of_fold import (
    FITTED,
    on_profiles,
    predict_out_of_fold,
)
from xbinn.science.settings import is_whole, settings_from, settings_of
from xbinn.variables import APPLICABILITY

__all__ = ["applicability", "cross_validate"]


def cross_validate(
    ds: xr.Dataset,
    profiles: xr.Dataset,
    *,
    split: Split = "spatial_blocks",
    folds: int | None = None,
    block_size: float | str = options.BLOCK_SIZE,
    region: str | None = None,
    by: str | None = None,
    baselines: Sequence[Baseline] = options.BASELINES,
    groups: Mapping[str, Sequence[str]] | None = None,
    permutations: int = options.PERMUTATIONS,
    fit: Mapping[str, Any] | None = None,
    seed: int | None = None,
    device: str = "auto",
    progress: bool | None = None,
) -> CrossValidation:
    """Predict every profile by a network that has not seen its fold, and score that.

    For each fold a network is fitted to all others, as `xbinn.fit` does: scaling, categories and
    the cells that decide when to stop come from these alone. With a distributed client the fits
    are tasks of their own; the result is the same.

    Parameters
    ----------
    ds, profiles
        As for `xbinn.fit`.
    split : str
        What is tested on together: ``spatial_blocks`` or, at ``random``, single cells, either
        dealt out so that every fold covers the range of SOC; ``latitude_bands``;
        ``leave_region_out`` and ``leave_source_out``, one region or one ``source`` of the profiles
        at a time. A cell with profiles of other folds is not tested on.
    folds : int, optional
        How many, 5 by default; where regions or sources are left out there are as many as these.
    block_size : float or str
        Edge of a block in degrees, or as "200 km": of the split, of the validation inside each
        fit, and of the blocks that intervals come from.
    region : str, optional
        For ``leave_region_out``: a coordinate of ``profiles`` or a categorical variable of ``ds``.
    by : str, optional
        Classes to score, another coordinate or variable like that. By default the main climates,
        A to E, where ``ds`` has the classes of Koeppen and Geiger.
    baselines : sequence of str
        Rivals under the same folds: ``without_physics``, ``global_parameters``,
        ``clm5_defaults``, ``mean_profile``.
    groups : mapping of str to sequence of str, optional
        Covariates to permute together; by default each by itself.
    permutations : int
        How often covariates are permuted; 0 for no importance.
    fit : mapping, optional
        Keywords of `xbinn.fit`, such as ``{"epochs": 20}``.
    seed : int, optional
        Of folds, of each fit and of permutations.
    device : str
        As for `xbinn.fit`.
    progress : bool, optional
        Show a progress bar of the fits; by default on a terminal only.

    Returns
    -------
    CrossValidation
        Predictions, scores, gains over the baselines, importance, and what was left out.

    Raises
    ------
    InputError
        If inputs or settings cannot be used, or there are too few blocks, cells or classes.
    ProfileError
        If no profile can be used.
    TrainingError
        If the loss of a fit stops being finite.
    DeviceError
        If the device is not there.

    References
    ----------
    Roberts et al. 2017, doi:10.1111/ecog.02881.
    """
    check_dataset(ds)
    settings = settings_from(
        {} if fit is None else fit,
        caller="cross_validate",
        elsewhere=("progress",),
        block_size=block_size,
        device=device,
        seed=seed,
    )
    n_folds = _check_split(split, folds, region, baselines, permutations)
    check_device(device)
    spec, _, placed = all_at_once(
        lambda: select_covariates(ds, settings.covariates, settings.categorical),
        lambda: standardise_forcing(ds),
        lambda: standardise_profiles(profiles),
    )
    permuted = check_groups(groups, spec) if permutations else {}
    sites = gather_sites(ds, profiles, spec, bedrock=settings.bedrock, tolerance=settings.tolerance)
    sites = usable_sites(sites, settings.prior, settings.bedrock, settings.observation)
    label_of = partial(classes_of_samples, ds, placed)
    kind = "source" if split == "leave_source_out" else region
    sites, dealt = assign_folds(
        sites,
        split,
        folds=n_folds,
        block_size=block_size,
        seed=seed,
        label=None if kind is None else label_of(sites, kind),
    )
    # Asked for before hours of fits, so that a wrong name is refused at once.
    koeppen = find_koeppen(ds) if by is None else None
    dim = by or koeppen
    if dim is not None:
        label_of(sites, dim)
    steps = len(dealt.names) * (1 + len(set(baselines) & set(FITTED)) + bool(permuted))
    with counting_bar(steps, "cross-validate", unit="fit", show=progress) as tick:
        found = predict_out_of_fold(
            ds, sites, spec, settings, dealt, baselines=baselines, device=device, report=tick
        )
        sites = found.sites
        block = spatial_blocks(sites.lat, sites.lon, block_size)[sites.site]
        importance = permutation_importance(
            found,
            spec,
            permuted,
            block,
            permutations=permutations,
            seed=int(np.random.default_rng().integers(2**62)) if seed is None else seed,
            device=device,
            report=tick,
        )
    label = None if dim is None else label_of(sites, dim)
    if koeppen is not None and label is not None:
        label = label.astype("U1")
    scores, gains = compare(
        found.linear, found.log, Held(sites.soc, sites.top, sites.bottom, block, dim, label)
    )
    about = {"split": split, "source": f"xbinn {version('xbinn')}", "seed": str(seed)}
    about["left_out"] = describe_left_out(sites.left_out) or "none"
    results = (on_profiles(placed, found, block, dealt.names), scores, gains, importance)
    for result in results:
        result.attrs |= about
    models = {dealt.names[fold]: model for fold, model in found.models.items()}
    return CrossValidation(*results, models, dict(sites.left_out))


def _check_split(
    split: str,
    folds: int | None,
    region: str | None,
    baselines: Sequence[str],
    permutations: int,
) -> int:
    """Return the number of folds after checking that settings go together, all at once."""
    problems = []
    if split not in get_args(Split):
        problems.append(f"split={split!r} (must be one of {', '.join(get_args(Split))})")
    if folds is not None and split in LEFT_OUT:
        problems.append(f"folds={folds} (split={split!r} makes one of each class: leave it away)")
    elif folds is not None and not is_whole(folds, 2):
        problems.append(f"folds={folds!r} (must be a whole number, 2 or more)")
    if (region is None) == (split == "leave_region_out"):
        problems.append(f"region={region!r} (goes with split='leave_region_out', and only there)")
    unknown = [name for name in baselines if name not in options.BASELINES]
    if unknown or isinstance(baselines, str):
        known = ", ".join(options.BASELINES)
        problems.append(f"baselines={baselines!r} (must be a sequence of {known})")
    if not is_whole(permutations, 0):
        problems.append(f"permutations={permutations!r} (must be a whole number, 0 or more)")
    if problems:
        raise InputError(f"settings that cannot be used: {'; '.join(problems)}")
    return options.FOLDS if folds is None else folds


def applicability(
    ds: xr.Dataset,
    model: Model,
    profiles: xr.Dataset,
    *,
    cross_validation: CrossValidation | None = None,
    importance: Mapping[str, float] | None = None,
) -> xr.Dataset:
    """Say where a model is asked about places unlike those it has learnt from.

    Parameters
    ----------
    ds : Dataset
        The model's covariates and the forcing. Where it is chunked, so is the result.
    model : Model
        From `fit` or `load`.
    profiles : Dataset
        Profiles that the model was fitted to.
    cross_validation : CrossValidation, optional
        Of the same profiles: gives the folds and, as weights, the importance on the log scale. By
        default the folds are 5 of spatial blocks, with block size and seed of the model.
    importance : mapping of str to float, optional
        Weights of covariates, instead. Negative ones and covariates that are not named count 0.
        Without any, all weigh alike.

    Returns
    -------
    Dataset
        ``dissimilarity_index`` (*space): distance to the nearest training site in the space of
        standardised, weighted covariates, classes one-hot, over the mean distance of training
        sites from each other. ``area_of_applicability`` (*space): 1 where the index is at most the
        greatest, outliers left aside, of a training site to those of other folds, else 0. NaN
        where a covariate is missing.

    Raises
    ------
    InputError
        If covariates are missing or cannot be used, or importance or cross-validation belong to
        others.
    ProfileError
        If no profile can be used.

    References
    ----------
    Meyer and Pebesma 2021, doi:10.1111/2041-210X.13650.
    """
    check_dataset(ds)
    check_model(model)
    if not isinstance(cross_validation, CrossValidation | None):
        raise InputError(
            f"cross_validation is of type {type(cross_validation).__name__}: give what "
            "xbinn.cross_validate(ds, profiles) returns, or None"
        )
    settings, spec = settings_of(model), model.predictor.covariates
    sites = gather_sites(ds, profiles, spec, bedrock=settings.bedrock, tolerance=settings.tolerance)
    sites = usable_sites(sites, settings.prior, settings.bedrock, settings.observation)
    if cross_validation is None:
        _, folds = assign_folds(
            sites,
            "spatial_blocks",
            folds=options.FOLDS,
            block_size=settings.block_size,
            seed=settings.options.seed,
        )
        number = folds.number
    else:
        number = _folds_of(cross_validation, profiles, sites)
        if importance is None:
            importance = _importance_of(cross_validation)
    note = "weights: importance" if importance else "no importance was given: all weigh alike"
    fold = np.full(sites.n_sites, -1, dtype=np.int64)
    np.maximum.at(fold, sites.site, number)
    space = TrainingSpace.of(
        sites.numeric,
        sites.categorical,
        spec,
        importance or dict.fromkeys(spec.names, 1.0),
        fold,
    )
    index = dissimilarity_index(ds, space)
    inside = area_of_applicability(index, space.threshold)
    result = xr.Dataset(dict(zip((v.name for v in APPLICABILITY), (index, inside), strict=True)))
    for name in result.data_vars:
        result[name].attrs = output_attributes(str(name))
    result["area_of_applicability"].attrs["threshold"] = space.threshold
    plain = dequantify(ds)
    result = carry_bounds(plain, carry_grid(plain, result, tuple(map(str, index.dims))))
    result.attrs = dataset_attributes(
        title="Area of applicability",
        summary="Dissimilarity to the training sites in the space of covariates",
        source=f"xbinn {version('xbinn')}, model sha256 {model.sha256}",
        history=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} xbinn.applicability",
    ) | {"comment": note}
    return result.drop_encoding()


def _folds_of(found: CrossValidation, profiles: xr.Dataset, sites: Sites) -> np.ndarray:
    """Fold of every sample of these profiles, (sample,)."""
    fold = found.predictions["fold"]
    here = standardise_profiles(profiles)
    if dict(here["soc"].sizes) != dict(fold.sizes) or not (
        np.array_equal(here["lat"], fold["lat"], equal_nan=True)
        and np.array_equal(here["lon"], fold["lon"], equal_nan=True)
    ):
        raise InputError(
            f"the cross-validation is of other profiles ({dict(fold.sizes)}, not "
            f"{dict(here['soc'].sizes)}, or at other places): give those that it was made with"
        )
    return np.asarray(fold.values[sites.profile, sites.sample])


def _importance_of(found: CrossValidation) -> dict[str, float]:
    """Importance of every covariate: that of the most important group that it belongs to."""
    table = found.importance["importance"].sel(scale="log")
    weights: dict[str, float] = {}
    for value, names in zip(table.values, table["covariates"].values, strict=True):
        for name in str(names).split():
            weights[name] = max(weights.get(name, 0.0), float(value))
    return weights
