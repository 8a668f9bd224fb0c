"""One task: the profiles of a batch, from arrays to summaries of their posteriors."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from xbinn.learning.threads import one_thread
from xbinn.options import Bedrock, Dtype
from xbinn.parameters import N_PARAMETERS, Prior
from xbinn.physics.steady_state import SoilCarbonModel
from xbinn.running.device import choose_device
from xbinn.running.draws import quantiles_of
from xbinn.running.tensors import as_tensor, pack_forcing
from xbinn.science.proda.likelihoods import Likelihood
from xbinn.science.proda.sampler import KERNELS, Chains, Plan, run_chains
from xbinn.science.proda.target import SampleTable, SoilTarget, soil_target
from xbinn.science.settings import check_dtype

FIT_DRAWS: Final = 32
"""Draws of each chain whose modelled samples are averaged."""


@dataclass(frozen=True)
class Task:
    """What all batches have in common; see `xbinn.science.proda.retrieve`."""

    plan: Plan
    sampler: str
    prior: Prior
    bedrock: Bedrock
    likelihood: Likelihood
    interpolated: bool
    quantiles: tuple[float, ...]
    seed: int
    device: str
    dtype: Dtype
    keep_draws: bool


@dataclass(frozen=True, eq=False)
class Batch:
    """Profiles that advance together.

    Attributes
    ----------
    keys : list of int
        Of their random numbers.
    forcing : mapping of str to ndarray
        Standardised, (..., profile).
    samples : mapping of str to ndarray
        The fields of `SampleTable`, (..., sample, profile).
    """

    keys: list[int]
    forcing: Mapping[str, np.ndarray]
    samples: Mapping[str, np.ndarray]


def run_batch(task: Task, number: int, batch: Batch | None) -> dict[str, np.ndarray]:
    """Sample the profiles of a batch.

    Returns
    -------
    dict of str to ndarray
        ``mean``, ``std`` (profile, parameter) and ``quantile`` (quantile, profile, parameter) of
        fractions of the prior range; ``rhat``, ``ess`` (profile, parameter); ``converged``,
        ``steps``, ``evaluations`` (profile); ``modelled`` (profile, sample) [kg m-3]; ``draws``
        (profile, chain, draw, parameter) where they are kept; ``solves``, forward and transposed
        ones of the batch; ``seconds``.
    """
    assert batch is not None
    begun = time.perf_counter()
    device, dtype = choose_device(task.device), check_dtype(task.dtype)
    table = {name: as_tensor(array, None, device) for name, array in batch.samples.items()}
    for name in ("weights", "observed", "weight"):
        table[name] = table[name].to(dtype)
    target = soil_target(
        SoilCarbonModel(task.bedrock),
        pack_forcing(batch.forcing, dtype=dtype, device=device),
        SampleTable(**table),
        chains=task.plan.chains,
        prior=task.prior,
        likelihood=task.likelihood,
        interpolated=task.interpolated,
    )
    with one_thread():
        kernel = KERNELS[task.sampler]()
        chains = run_chains(
            target, kernel, task.plan, seed=task.seed, keys=batch.keys, device=device
        )
        first = task.plan.checks(kernel.every)[0] // kernel.every
        modelled = _modelled(target, chains, min(FIT_DRAWS, first), device)
    evaluations = np.array([one.evaluations for one in chains])
    summarised = min(FIT_DRAWS, first) * task.plan.chains * len(chains)
    gradients = int(evaluations.sum()) if kernel.uses_gradient else 0
    pooled = [one.unit.reshape(-1, N_PARAMETERS).astype(np.float64) for one in chains]
    found = {
        "mean": np.stack([p.mean(axis=0) for p in pooled]),
        "std": np.stack([p.std(axis=0, ddof=1) for p in pooled]),
        "quantile": np.stack([quantiles_of(p, task.quantiles) for p in pooled], axis=1),
        "rhat": np.stack([one.rhat for one in chains]),
        "ess": np.stack([one.ess for one in chains]),
        "converged": np.array([one.converged for one in chains]),
        "steps": np.array([one.steps for one in chains]),
        "evaluations": evaluations,
        "modelled": modelled,
        "solves": np.array([int(evaluations.sum()) + summarised, gradients]),
        "seconds": np.array(time.perf_counter() - begun),
    }
    if task.keep_draws:
        found["draws"] = np.stack([_thinned(one.unit, first).swapaxes(0, 1) for one in chains])
    return found


def _thinned(draws: np.ndarray, length: int) -> np.ndarray:
    """Take ``length`` draws, evenly spaced, the last among them."""
    chosen = np.linspace(0, len(draws), length + 1)[1:].round().astype(int) - 1
    return np.asarray(draws[chosen])


def _modelled(
    target: SoilTarget, chains: list[Chains], draws_each: int, device: torch.device
) -> np.ndarray:
    """Posterior mean of what samples show, (profile, sample) [kg m-3]."""
    chosen = [_thinned(one.unit, draws_each) for one in chains]
    draws = torch.from_numpy(np.stack(chosen, axis=-1)).double().to(device)
    total: Tensor | None = None
    with torch.no_grad():
        for unit in draws:  # (chain, parameter, n)
            place = torch.special.ndtri(unit.movedim(1, 0).clamp(1e-12, 1.0 - 1e-12))
            modelled = target.modelled(place).double()
            for one in modelled.unbind(1):
                total = one if total is None else total + one
    assert total is not None
    mean: np.ndarray = (total / (len(draws) * draws.shape[1])).T.cpu().numpy()
    return mean
