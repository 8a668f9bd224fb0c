"""Bayesian retrieval of the 21 parameters of each profile, as a labelled Dataset."""

import math
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Final, get_args

import numpy as np
import xarray as xr

from xbinn.errors import InputError, JobError, XbinnError
from xbinn.labels.check import check_dataset
from xbinn.options import QUANTILES, Bedrock, Dtype
from xbinn.parameters import PRIORS, Prior
from xbinn.physics.counting import PROCESS, SolveCount, note_elsewhere
from xbinn.running.lock import one_writer
from xbinn.running.progress import counting_bar
from xbinn.running.resources import check_device, current_client, gpu_resources
from xbinn.running.scheduling import run_tasks
from xbinn.science.proda.batch import Batch, Task, run_batch
from xbinn.science.proda.gathering import Profiles, gather_profiles
from xbinn.science.proda.keeping import Kept
from xbinn.science.proda.labelling import label
from xbinn.science.proda.likelihoods import LIKELIHOODS, Likelihood
from xbinn.science.proda.sampler import ANNEALING, KERNELS, SAMPLERS, Plan, SamplerName

OBSERVATIONS: Final = ("layer_mean", "node", "pchip")
MOST_TOGETHER, FEWEST_TOGETHER = 512, 64
"""Profiles in a batch: more are no faster, fewer waste what each operation costs at least."""


def retrieve(
    ds: xr.Dataset,
    profiles: xr.Dataset,
    *,
    prior: Prior = "proda",
    bedrock: Bedrock = "closed",
    likelihood: Likelihood = "relative",
    observation: str = "layer_mean",
    sampler: SamplerName | None = None,
    published: bool = False,
    chains: int = 4,
    steps: int | None = None,
    warmup: int | None = None,
    rhat: float = 1.05,
    ess: float = 100.0,
    max_steps: int | None = None,
    samples: bool = False,
    tolerance: float | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    to: str | Path | None = None,
    device: str = "auto",
    dtype: Dtype = "float32",
    progress: bool | None = None,
) -> xr.Dataset:
    """Infer the parameters of each profile by itself, as PRODA does, by Markov chains.

    The chains of all profiles of a batch advance together. With a distributed client batches are
    tasks; without one they follow each other. The random numbers of a profile follow from its
    samples, its column and the seed, whatever else is inferred beside it.

    Parameters
    ----------
    ds : Dataset
        Forcing on any spatial dimensions.
    profiles : Dataset
        As for `xbinn.fit`; a weight of 0 leaves a profile out, others play no part.
    prior : {"proda", "binn"}
        Bounds; the prior is uniform between them.
    bedrock : {"closed", "published"}
        As for `xbinn.fit`.
    likelihood : {"relative", "published"}
        ``relative`` is a density of the observation, its standard deviation 60 % of the model;
        ``published`` is PRODA's weighted cost, with 60 % of the observation.
    observation : {"layer_mean", "node", "pchip"}
        What a sample sees: as for `xbinn.fit`, or pchip between the nodes at mid-depth (PRODA).
    sampler : {"hamiltonian", "metropolis", "evolution"}, optional
        Hamiltonian Monte Carlo through the adjoint (default), adaptive Metropolis, or differential
        evolution (DE-MCzs).
    published : bool
        Instead of a sampler, the random walk of the PRODA codes with its annealed acceptance. It is
        an optimiser: what it returns as standard deviations, quantiles and draws is no posterior.
        It takes either likelihood; all that is known of the codes is ``likelihood="published"``,
        ``observation="pchip"``, ``bedrock="published"``, ``chains=3``, ``warmup=20_000`` and
        ``steps=max_steps=50_000`` with it.
    chains : int
        Of each profile, 2 or more; differential evolution needs 3.
    steps : int, optional
        Steps after which convergence is looked at, again and again; by default 100 with gradients,
        2000 without.
    warmup : int, optional
        Steps before, which are thrown away; by default as many as ``steps``.
    rhat, ess : float
        A profile has converged when the split R-hat of all parameters is below the one and their
        effective sample sizes are at least the other.
    max_steps : int, optional
        Steps behind the warm-up at most; by default 25 times ``steps``.
    samples : bool
        Return ``parameter_samples`` too.
    tolerance : float, optional
        As for `xbinn.fit`.
    batch_size : int, optional
        Profiles that advance together; results do not depend on it.
    seed : int, optional
        Equal seeds give equal results on one kind of device.
    to : path, optional
        Folder to keep finished batches in; the same call goes on from there. It needs a seed.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
    dtype : {"float32", "float64"}
        Of the physics.
    progress : bool, optional
        Show a progress bar; by default on a terminal only.

    Returns
    -------
    Dataset
        On ``profile``: each parameter (posterior mean), ``<name>_std`` and ``<name>_quantile``
        (quantile) in physical units; ``rhat``, ``ess`` (parameter); ``converged``; ``steps``,
        ``forward_solves``, ``gradient_evaluations``, warm-up included; ``soc_modelled`` and
        ``soc_observed`` (sample) [kg m-3] and their ``r2``, NaN for one sample. Coordinates
        ``lat``, ``lon``, ``profile_index``, the place in ``profiles``, and what ``profiles`` has
        on its profile dimension. Attributes count what was left out and give the seconds of all
        batches together.

    Raises
    ------
    InputError
        If forcing, profiles or settings cannot be used.
    ProfileError
        If no profile can be used.
    JobError
        If ``to`` holds something else, or a batch fails.
    DeviceError
        If the device is not there.

    References
    ----------
    Tao et al. 2020, doi:10.3389/fdata.2020.00017 (PRODA).
    """
    _check_choices(prior, bedrock, likelihood, observation, sampler, dtype)
    moves = ANNEALING if published else sampler or "hamiltonian"
    unit = steps if steps is not None else (100 if KERNELS[moves]().uses_gradient else 2000)
    plan = Plan(
        chains=chains,
        warmup=unit if warmup is None else warmup,
        steps=unit,
        max_steps=25 * unit if max_steps is None else max_steps,
        rhat=rhat,
        ess=ess,
    )
    _check_plan(plan, moves, published and sampler is not None, batch_size, seed, to)
    check_dataset(ds)
    check_device(device)
    found = gather_profiles(
        ds,
        profiles,
        prior=prior,
        bedrock=bedrock,
        observation="node" if observation == "pchip" else observation,
        tolerance=tolerance,
    )
    task = Task(
        plan,
        moves,
        prior,
        bedrock,
        likelihood,
        observation == "pchip",
        QUANTILES,
        secrets.randbits(63) if seed is None else seed,
        device,
        dtype,
        samples,
    )
    n = len(found.profile)
    size = batch_size or min(max(math.ceil(n / 2), FEWEST_TOGETHER), MOST_TOGETHER)
    parts = np.array_split(np.arange(n), math.ceil(n / size))
    with (
        _kept(to, task, observation, found, len(parts)) as kept,
        counting_bar(len(parts), "retrieve", unit="batch", show=progress) as tick,
    ):
        results = _run(task, found, parts, kept, tick)
    return label(results, parts, found, profiles, task)


def _run(
    task: Task,
    found: Profiles,
    parts: list[np.ndarray],
    kept: Kept | None,
    tick: Callable[[], None],
) -> list[dict[str, np.ndarray]]:
    results: dict[int, dict[str, np.ndarray]] = {}
    for number in range(len(parts)):
        stored = None if kept is None else kept.load(number)
        if stored is not None:
            results[number] = stored
            tick()
    client = current_client()
    outcomes = run_tasks(
        _batch,
        task,
        [n for n in range(len(parts)) if n not in results],
        part=lambda number: found.batch(parts[number]),
        client=client,
        resources=None if client is None else gpu_resources(client, task.device),
    )
    with closing(outcomes):
        for outcome in outcomes:
            if outcome.result is None:
                error = outcome.error
                kind = type(error) if isinstance(error, XbinnError) else JobError
                raise kind(
                    f"batch {outcome.number + 1} of {len(parts)} failed: "
                    f"{type(error).__name__}: {error}"
                ) from error
            result, process = outcome.result
            forward, transposed = result["solves"].tolist()
            note_elsewhere(SolveCount(forward, transposed, process))
            if kept is not None:
                kept.save(outcome.number, result)
            results[outcome.number] = result
            tick()
    return [results[number] for number in range(len(parts))]


def _batch(task: Task, number: int, batch: Batch | None) -> tuple[dict[str, np.ndarray], str]:
    """Sample a batch, and say in which process."""
    return run_batch(task, number, batch), PROCESS


@contextmanager
def _kept(
    to: str | Path | None, task: Task, observation: str, found: Profiles, batches: int
) -> Iterator[Kept | None]:
    if to is None:
        yield None
        return
    folder = Path(to)
    if not folder.parent.is_dir():
        raise JobError(f"the folder {folder.parent} of {folder.name} is not there: make it first")
    settings = {k: str(v) for k, v in asdict(task).items() if k not in ("plan", "device")}
    fingerprint = {
        **settings,
        **{k: str(v) for k, v in asdict(task.plan).items()},
        "observation": observation,
        "profiles": f"{len(found.keys)}, sha256 {found.digest()}",
        "batches": str(batches),
        "xbinn version": version("xbinn"),
    }
    with one_writer(folder.with_name(f"{folder.name}.lock"), folder):
        yield Kept(folder, fingerprint)


def _check_choices(
    prior: str, bedrock: str, likelihood: str, observation: str, sampler: str | None, dtype: str
) -> None:
    choices: dict[str, tuple[str | None, tuple[str | None, ...]]] = {
        "prior": (prior, tuple(PRIORS)),
        "bedrock": (bedrock, get_args(Bedrock)),
        "likelihood": (likelihood, tuple(LIKELIHOODS)),
        "observation": (observation, OBSERVATIONS),
        "sampler": (sampler, (*SAMPLERS, None)),
        "dtype": (dtype, get_args(Dtype)),
    }
    problems = [
        f"{name}={value!r} (must be one of {', '.join(map(repr, known))})"
        for name, (value, known) in choices.items()
        if value not in known
    ]
    if problems:
        raise InputError(f"settings of the retrieval that cannot be used: {'; '.join(problems)}")


def _check_plan(
    plan: Plan,
    moves: str,
    both: bool,
    batch_size: int | None,
    seed: int | None,
    to: str | Path | None,
) -> None:
    kernel = KERNELS[moves]()
    fewest = 3 if moves == "evolution" else 2
    wrong = {
        "published=True and sampler=... (it takes the place of one: leave either out)": both,
        f"chains={plan.chains} (must be {fewest} or more)": plan.chains < fewest,
        f"steps={plan.steps} (must be {4 * kernel.every} or more)": plan.steps < 4 * kernel.every,
        f"warmup={plan.warmup} (must be 4 or more)": plan.warmup < 4,
        f"max_steps={plan.max_steps} (must be steps={plan.steps} or more)": plan.max_steps
        < plan.steps,
        f"rhat={plan.rhat} (must be above 1)": not plan.rhat > 1.0,
        f"ess={plan.ess} (must be above 0)": not plan.ess > 0.0,
        f"batch_size={batch_size} (must be 1 or more)": batch_size is not None and batch_size < 1,
        f"seed={seed} (must be 0 or more)": seed is not None and seed < 0,
        "to=... without seed (what is kept must be told from other chains)": to is not None
        and seed is None,
    }
    problems = [text for text, holds in wrong.items() if holds]
    if problems:
        raise InputError(f"settings of the retrieval that cannot be used: {'; '.join(problems)}")
