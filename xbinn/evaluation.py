"""Public functions that say how far a fit can be trusted."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, Final, get_args

import numpy as np
import xarray as xr

from xbinn import api, options
from xbinn.errors import InputError
from xbinn.labels.check import all_at_once, check_dataset
from xbinn.labels.classes import classes_of_samples, find_koeppen
from xbinn.labels.covariates import select_covariates
from xbinn.labels.forcing import standardise_forcing
from xbinn.labels.profiles import standardise_profiles
from xbinn.labels.sites import describe_left_out, gather_sites
from xbinn.labels.spatial_blocks import spatial_blocks
from xbinn.model import Model
from xbinn.options import Baseline, Split
from xbinn.running.progress import counting_bar
from xbinn.running.resources import check_device
from xbinn.science.comparison import MODEL, Held, compare
from xbinn.science.fitting import usable_sites
from xbinn.science.folds import LEFT_OUT, assign_folds
from xbinn.science.importance import check_groups, permutation_importance
from xbinn.science.out_of_fold import FITTED, OutOfFold, predict_out_of_fold
from xbinn.science.settings import FitSettings, fit_settings
from xbinn.variables import PROFILE, SAMPLE

__all__ = ["CrossValidation", "cross_validate"]

_OWN: Final = ("block_size", "device", "progress", "seed")
"""Keywords of a fit that are keywords of `cross_validate` too."""


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Out-of-fold predictions of SOC and what they say.

    Attributes
    ----------
    predictions : Dataset
        On the profiles as they were given: ``soc_observed``, ``soc_modelled`` (profile, sample)
        and ``soc_baseline`` (baseline, profile, sample) [kg m-3], with ``fold`` and ``block``
        (profile, sample); -1 and NaN where there is no prediction.
    scores : Dataset
        ``r2``, ``rmse``, ``bias``, ``correlation`` (model, scale, depth_range, class), of each
        ``_low`` and ``_high``, the 90 % interval from resampling blocks, and ``n``. The last
        dimension is there where there are classes, and is called after them.
    gains : Dataset
        Gain in R2 of xbinn over every baseline, ``gain``, ``low``, ``high`` (baseline, scale,
        depth_range, class), and ``tie`` where the interval holds zero.
    importance : Dataset
        Loss of R2 where a group of covariates is permuted, ``importance`` and its 95 % interval
        ``low``, ``high`` (group, scale).
    models : dict of str to Model
        Model that predicted each fold, by the name of the fold.
    left_out : dict of str to int
        Profiles and samples without a prediction, by reason.
    """

    predictions: xr.Dataset
    scores: xr.Dataset
    gains: xr.Dataset
    importance: xr.Dataset
    models: dict[str, Model]
    left_out: dict[str, int]

    def __repr__(self) -> str:
        """Summarise in text."""
        lines = [f"<xbinn.CrossValidation, {self.predictions.attrs['split']}>"]
        whole = self.scores.sel(depth_range="all")
        for dim in set(whole.dims) - {"model", "scale"}:
            whole = whole.sel({dim: "all"})
        lines.append(f"{int(whole['n'])} samples, {len(self.models)} folds; R2 [90 % interval]")
        for name in whole["model"].values:
            cells = []
            for scale in whole["scale"].values:
                s = whole.sel(model=name, scale=scale)
                r2, low, high = (float(s[n]) for n in ("r2", "r2_low", "r2_high"))
                cells.append(f"{scale} {r2:.2f} [{low:.2f}, {high:.2f}]")
            lines.append(f"  {name:<18} {'   '.join(cells)}")
        lines.append(f"left out: {describe_left_out(self.left_out) or 'nothing'}")
        return "\n".join(lines)


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
    settings = _settings(fit or {}, block_size=block_size, device=device, seed=seed)
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
    results = (_on_profiles(placed, found, block, dealt.names), scores, gains, importance)
    for result in results:
        result.attrs |= about
    models = {dealt.names[fold]: model for fold, model in found.models.items()}
    return CrossValidation(*results, models, dict(sites.left_out))


def _settings(given: Mapping[str, Any], **own: Any) -> FitSettings:
    """Complete the keywords of a fit by its defaults and check them."""
    taken = inspect.signature(fit_settings).parameters
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(api.fit).parameters.items()
        if name in taken
    }
    problems = [f"{n}: give it to cross_validate itself" for n in given if n in _OWN]
    problems += [f"{n}: no keyword" for n in given if n not in defaults and n not in _OWN]
    if problems:
        keywords = ", ".join(n for n in defaults if n not in _OWN)
        raise InputError(
            f"fit={{...}} holds what cannot be used: {'; '.join(problems)}; it may hold {keywords}"
        )
    return fit_settings(**{**defaults, **given, **own})


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
    elif folds is not None and (isinstance(folds, bool) or not folds >= 2):
        problems.append(f"folds={folds!r} (must be 2 or more)")
    if (region is None) == (split == "leave_region_out"):
        problems.append(f"region={region!r} (goes with split='leave_region_out', and only there)")
    unknown = [name for name in baselines if name not in options.BASELINES]
    if unknown or isinstance(baselines, str):
        known = ", ".join(options.BASELINES)
        problems.append(f"baselines={baselines!r} (must be a sequence of {known})")
    if isinstance(permutations, bool) or not permutations >= 0:
        problems.append(f"permutations={permutations!r} (must be 0 or more)")
    if problems:
        raise InputError(f"settings that cannot be used: {'; '.join(problems)}")
    return options.FOLDS if folds is None else folds


def _on_profiles(
    profiles: xr.Dataset, found: OutOfFold, block: np.ndarray, names: tuple[str, ...]
) -> xr.Dataset:
    """Put flat samples back to where they were in the profiles."""
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
