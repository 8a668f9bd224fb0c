"""BINN beside PRODA on the same profiles: skill, maps and cost of both, in one call."""

import inspect
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, TypeVar

import xarray as xr

from xbinn import api, options
from xbinn.display import Section, as_html, as_text
from xbinn.errors import InputError
from xbinn.labels.check import check_dataset
from xbinn.labels.classes import main_climates
from xbinn.labels.showing import show_dataset
from xbinn.labels.sites import describe_left_out
from xbinn.model import Model
from xbinn.options import Baseline, Bedrock, Observation
from xbinn.parameters import Prior
from xbinn.physics.counting import count_solves
from xbinn.prediction import predict
from xbinn.running.resources import check_device
from xbinn.science.agreement import COMPARED_PROCESSES, METHODS, compare
from xbinn.science.comparison import MODEL
from xbinn.science.costs import PUBLISHED_CHAINS, Cost, tabulate_costs
from xbinn.science.crossvalidation import split_profiles
from xbinn.science.proda import retrieve, upscale
from xbinn.science.skill import compare_with_baselines
from xbinn.variables import PROFILE

__all__ = ["MethodComparison", "compare_methods"]

_T = TypeVar("_T")
_BINN, _PRODA = METHODS

_BATCHES: Final = 8
"""Batches of an epoch at least, where profiles are few."""
_FEWEST: Final = 32
"""Cells in a batch at least: batch norm compares them."""
_WALK: Final = 100
"""Published steps of either kind that their cost is measured on."""
_OWN: Final = (
    "covariates", "categorical", "prior", "bedrock", "observation", "block_size", "tolerance",
    "seed", "device", "progress",
)  # fmt: skip
"""Keywords of a step that are keywords of the whole."""


@dataclass(frozen=True, eq=False, repr=False)
class MethodComparison:
    """BINN and PRODA, learnt from the same profiles and tested on the same others.

    Attributes
    ----------
    models : dict of str to Model
        ``binn`` and ``proda``, for `xbinn.predict` and the like.
    maps : dict of str to Dataset
        Parameters and processes of both on the cells of the Dataset; lazy where that is chunked.
    retrieved : Dataset
        What the chains of PRODA found of each training profile.
    agreement : Dataset
        Maps of both against each other, see `xbinn.science.compare`.
    scores, gains : Dataset
        SOC of the held-out profiles by both and by baselines, and the gain in R2 of BINN over all
        others, see `xbinn.science.skill.Skill`; the model is called ``binn``.
    costs : Dataset
        Solves, gradients and seconds of both, see `xbinn.science.costs.tabulate_costs`.
    test : Dataset
        The held-out profiles.
    """

    models: dict[str, Model]
    maps: dict[str, xr.Dataset]
    retrieved: xr.Dataset
    agreement: xr.Dataset
    scores: xr.Dataset
    gains: xr.Dataset
    costs: xr.Dataset
    test: xr.Dataset

    def __repr__(self) -> str:
        """Summarise in text."""
        return as_text("xbinn.MethodComparison", "", self._sections())

    def _repr_html_(self) -> str:
        data = ("retrieved", "agreement", "scores", "gains", "costs", "test")
        shown = [show_dataset(f"maps[{name!r}]", ds) for name, ds in self.maps.items()]
        shown += [show_dataset(name, getattr(self, name)) for name in data]
        return as_html("xbinn.MethodComparison", "", [*self._sections(), *shown])

    def _sections(self) -> list[Section]:
        told = self.retrieved.attrs
        profiles = {
            "to learn from": str(told["profiles"]),
            "converged": f"{told['profiles_converged']} of these, the chains of PRODA",
            "to test on": str(self.test.sizes[PROFILE]),
        }
        whole = self.agreement
        for dim in set(whole.dims) - {"quantity", "model"}:
            whole = whole.isel({dim: 0})
        by_kind = whole["correlation"].groupby("kind").mean()
        maps = {
            "parameters": f"{float(by_kind.sel(kind='parameter')):.2f}",
            f"{len(COMPARED_PROCESSES)} processes": f"{float(by_kind.sel(kind='process')):.2f}",
        }
        overall = self.scores.sel(depth_range="all")
        scores = {
            str(name): ", ".join(
                f"{scale} {float(overall['r2'].sel(model=name, scale=scale)):.2f}"
                for scale in overall["scale"].values
            )
            for name in overall["model"].values
        }
        costs = {
            str(one["description"].item()): f"{float(one['times_solves']):,.1f} times the solves, "
            f"{float(one['times_seconds']):,.1f} times the seconds of BINN ({one['basis'].item()})"
            for one in (self.costs.sel(run=run) for run in self.costs["run"].values)
        }
        return [
            Section("Profiles", profiles),
            Section("Maps", maps, "correlation of one with the other, mean"),
            Section("Scores", scores, "R2 of SOC on the profiles to test on"),
            Section("Costs", costs),
        ]


def compare_methods(
    ds: xr.Dataset,
    profiles: xr.Dataset,
    *,
    covariates: Sequence[str] | None = None,
    categorical: Sequence[str] | None = None,
    prior: Prior = "proda",
    bedrock: Bedrock = "closed",
    observation: Observation = "layer_mean",
    fraction: float = 0.2,
    block_size: float | str = options.BLOCK_SIZE,
    tolerance: float | None = None,
    by: str | xr.DataArray | None = None,
    baselines: Sequence[Baseline] = options.BASELINES,
    fit: Mapping[str, Any] | None = None,
    retrieval: Mapping[str, Any] | None = None,
    upscaling: Mapping[str, Any] | None = None,
    seed: int | None = None,
    device: str = "auto",
    progress: bool | None = None,
    report: Callable[[str], None] | None = None,
) -> MethodComparison:
    """Fit BINN and PRODA to the same profiles, and compare skill, maps and cost.

    Whole blocks of profiles are held out. BINN is fitted to the others; PRODA infers the parameters
    of each of these by itself (`xbinn.science.proda.retrieve`) and fits networks to those whose
    chains have converged (`xbinn.science.proda.upscale`). Both have the same prior, physics,
    covariates and operator of observations. With a distributed client the batches of the chains and
    the networks of PRODA are tasks.

    Parameters
    ----------
    ds, profiles, covariates, categorical
        As for `xbinn.fit`.
    prior : {"proda", "binn"}
        Bounds of the parameters, for both.
    bedrock, observation
        As for `xbinn.fit`, for both.
    fraction : float
        Share of the blocks to hold out.
    block_size : float or str
        Edge of a block in degrees, or as "200 km": of those held out, and of those that decide
        within each fit when to stop.
    tolerance : float, optional
        As for `xbinn.fit`.
    by : str or DataArray, optional
        Classes in which maps are compared too: a variable of ``ds``, or on its cells. By default
        the main climates, A to E, where ``ds`` has the classes of Koeppen and Geiger.
    baselines : sequence of str
        Others on the same held-out profiles: ``without_physics``, ``global_parameters``,
        ``clm5_defaults``, ``mean_profile``.
    fit, retrieval, upscaling : mapping, optional
        Keywords of `xbinn.fit`, `retrieve` and `upscale` that are none of this function. Where
        profiles are few, batches of the fit are small by default, so that an epoch has eight of
        them. ``retrieval`` may hold ``observation``, for that of PRODA alone.
    seed : int, optional
        Of the blocks, the fits and the chains.
    device : str
        As for `xbinn.fit`.
    progress : bool, optional
        Show progress bars; by default on a terminal only.
    report : callable, optional
        Called with a line of text before each step.

    Returns
    -------
    MethodComparison
        Models, maps, scores and costs. Profiles whose chains have not converged are counted in
        ``costs``, and what convergence would have cost is extrapolated, and said to be.

    Raises
    ------
    InputError
        If inputs or settings cannot be used.
    ProfileError
        If no profile can be used, or no chains have converged.
    TrainingError
        If the loss of a fit stops being finite.
    DeviceError, JobError
        As `xbinn.fit` and `retrieve`.

    References
    ----------
    Tao et al. 2020, doi:10.3389/fdata.2020.00017 (PRODA). Xu et al. 2025, arXiv:2502.00672, where
    maps and cost of the two are compared.
    """
    check_dataset(ds)
    check_device(device)
    given = _checked(ds, by, fit or {}, retrieval or {}, upscaling or {})
    classes = main_climates(ds) if by is None else ds[by] if isinstance(by, str) else by
    seed = secrets.randbits(62) if seed is None else seed
    say = report or (lambda _: None)
    training, test = split_profiles(profiles, fraction=fraction, block_size=block_size, seed=seed)
    physics: dict[str, Any] = {"prior": prior, "bedrock": bedrock, "observation": observation}
    learning: dict[str, Any] = {
        "covariates": covariates,
        "categorical": categorical,
        "block_size": block_size,
    }
    always: dict[str, Any] = {"tolerance": tolerance, "seed": seed, "device": device}

    say("timing published steps")
    steps: dict[str, Any] = {
        "published": True,
        "likelihood": "published",
        "chains": PUBLISHED_CHAINS,
        "steps": _WALK,
        "max_steps": _WALK,
        "warmup": _WALK,
    }
    walking = {**physics, **steps, **always, "progress": False}
    # Once before: what is loaded or compiled once, here and in workers, is in no time that is
    # compared.
    retrieve(ds, training, **walking)
    walked, walk = _timed(lambda: retrieve(ds, training, **walking))
    say(f"fitting BINN to {training.sizes[PROFILE]} profiles")
    few: dict[str, Any] = {"batch_size": _batch_size(training.sizes[PROFILE])}
    fit_keywords = {**few, **given["fit"], **physics, **learning, **always}
    # An epoch first, for what is loaded or compiled once here.
    api.fit(ds, training, **{**fit_keywords, "epochs": 1, "progress": False})
    binn, fitted = _timed(lambda: api.fit(ds, training, **{**fit_keywords, "progress": progress}))
    say("running the chains of PRODA")
    chains = {**physics, **given["retrieval"], **always, "progress": progress}
    retrieved, sampled = _timed(lambda: retrieve(ds, training, **chains))
    say("fitting the networks of PRODA to what they found")
    stored = {**given["upscaling"], "observation": observation, **learning, **always}
    proda, upscaled = _timed(lambda: upscale(ds, retrieved, **stored))
    wanted = inspect.signature(retrieve).parameters
    costs = tabulate_costs(
        fitted,
        Cost(sampled.solves, retrieved.attrs["seconds"]),
        upscaled,
        Cost(walk.solves, walked.attrs["seconds"]),
        retrieved,
        **{name: chains.get(name, wanted[name].default) for name in ("rhat", "ess")},
    )
    say("mapping and scoring")
    models = {_BINN: binn, _PRODA: proda}
    outputs: Any = ("parameters", "processes")
    maps = {
        name: predict(ds, model, outputs=outputs, device=device) for name, model in models.items()
    }
    skill = compare_with_baselines(
        ds, binn, training, test, rivals={_PRODA: proda}, baselines=baselines
    )
    named = [_BINN if name == MODEL else name for name in skill.scores["model"].values]
    scores = skill.scores.assign_coords(model=named)
    agreement = compare(maps[_BINN], maps[_PRODA], by=classes).compute()
    about = {
        "source": f"xbinn {version('xbinn')}",
        "seed": str(seed),
        "test_left_out": describe_left_out(skill.sites.left_out) or "none",
    }
    for result in (agreement, scores, skill.gains, costs):
        result.attrs |= about
    return MethodComparison(models, maps, retrieved, agreement, scores, skill.gains, costs, test)


def _timed(work: Callable[[], _T]) -> tuple[_T, Cost]:
    begun = time.perf_counter()
    with count_solves() as solves:
        result = work()
    return result, Cost(solves, time.perf_counter() - begun)


def _batch_size(n_profiles: int) -> int:
    return min(options.BATCH_SIZE, max(_FEWEST, n_profiles // _BATCHES))


def _checked(
    ds: xr.Dataset,
    by: str | xr.DataArray | None,
    fit: Mapping[str, Any],
    retrieval: Mapping[str, Any],
    upscaling: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """Return the keywords of each step, after checking that it takes them, all at once."""
    steps: dict[str, tuple[Callable[..., Any], Mapping[str, Any]]] = {
        "fit": (api.fit, fit),
        "retrieval": (retrieve, retrieval),
        "upscaling": (upscale, upscaling),
    }
    problems = []
    for step, (function, given) in steps.items():
        known = [
            name
            for name, p in inspect.signature(function).parameters.items()
            if p.kind is p.KEYWORD_ONLY
            and (name not in _OWN or (step, name) == ("retrieval", "observation"))
        ]
        wrong = [name for name in given if name not in known]
        problems += [
            f"{step}={{...}} holds {name!r}: "
            + ("give it to compare_methods itself" if name in _OWN else "no keyword of it")
            for name in wrong
        ]
        if wrong:
            problems.append(f"{step}={{...}} may hold {', '.join(known)}")
    if isinstance(by, str) and by not in ds.variables:
        problems.append(f"by={by!r} is no variable of the Dataset: name one, or give a DataArray")
    if problems:
        raise InputError(f"settings that cannot be used: {'; '.join(problems)}")
    return {step: dict(given) for step, (_, given) in steps.items()}
