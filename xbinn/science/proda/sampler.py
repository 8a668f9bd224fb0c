"""Run the chains of many profiles together, until those of each have converged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor

from xbinn.science.proda.annealing import Annealing
from xbinn.science.proda.diagnostics import diagnose
from xbinn.science.proda.evolution import Evolution
from xbinn.science.proda.hamiltonian import Hamiltonian
from xbinn.science.proda.kernels import Kernel, State
from xbinn.science.proda.metropolis import Metropolis
from xbinn.science.proda.random import Streams
from xbinn.science.proda.target import Target

SamplerName = Literal["hamiltonian", "metropolis", "evolution"]

SAMPLERS: Final[dict[str, Callable[[], Kernel]]] = {
    "hamiltonian": Hamiltonian,
    "metropolis": Metropolis,
    "evolution": Evolution,
}
ANNEALING: Final = "annealing"
"""What takes the place of a sampler under ``published=True``."""
KERNELS: Final[dict[str, Callable[[], Kernel]]] = {**SAMPLERS, ANNEALING: Annealing}


@dataclass(frozen=True)
class Plan:
    """How long chains are, and when they are long enough.

    Attributes
    ----------
    chains : int
        Of each profile.
    warmup : int
        Steps that are thrown away.
    steps : int
        Steps after which convergence is looked at, again and again.
    max_steps : int
        Steps behind the warm-up at most.
    rhat, ess : float
        Converged are profiles with all split R-hat below the one and all effective sample sizes at
        or above the other.
    """

    chains: int
    warmup: int
    steps: int
    max_steps: int
    rhat: float
    ess: float

    def checks(self, every: int) -> list[int]:
        """Steps at which to look: after each `steps`, then half as much again, at `max_steps`.

        Whole multiples of ``steps`` but for the last, and of ``every``.
        """
        found, at, limit = [], 0, self.max_steps // every * every
        unit = max(self.steps // every, 1) * every
        while at < limit:
            at = min(at + max(unit, at // 2 // unit * unit), limit)
            found.append(at)
        return found


@dataclass(frozen=True, eq=False)
class Chains:
    """What was drawn for one profile.

    Attributes
    ----------
    unit : ndarray (draw, chain, parameter)
        Fractions of the prior range, without the warm-up.
    rhat, ess : ndarray (parameter,)
        Split R-hat and effective sample size.
    converged : bool
        Whether they are as wanted.
    steps : int
        Steps behind the warm-up that were taken.
    evaluations : int
        Solves that were made, forward or with their adjoint, warm-up included.
    """

    unit: np.ndarray
    rhat: np.ndarray
    ess: np.ndarray
    converged: bool
    steps: int
    evaluations: int


def run_chains(
    target: Target,
    kernel: Kernel,
    plan: Plan,
    *,
    seed: int,
    keys: Sequence[int],
    device: torch.device,
) -> list[Chains]:
    """Sample profiles until each has converged, or has taken as many steps as it may.

    All chains advance together; profiles that have converged leave. What is found for a profile
    follows from the target, the seed and its key, whatever other profiles are beside it.

    Parameters
    ----------
    target : Target
        Of n profiles.
    kernel : Kernel
        Sampler; is changed.
    plan : Plan
        Lengths and criteria.
    seed : int
        Of all random numbers.
    keys : sequence of int
        Of the n profiles.
    device : torch.device
        Of the target.

    Returns
    -------
    list of Chains
        In the order of the profiles.
    """
    streams = Streams(
        seed, keys, n_parameters=target.n_parameters, chains=plan.chains, device=device
    )
    state = kernel.start(target, streams.start(), plan.warmup)
    for step in range(plan.warmup):
        state = kernel.step(target, state, streams.numbers(step))
    found: dict[int, Chains] = {}
    running = torch.arange(len(keys), device=device)
    kept: list[Tensor] = []
    done = 0
    for check in plan.checks(kernel.every):
        drawn, state = _draw(target, kernel, state, streams, plan.warmup + done, check - done)
        kept.append(drawn)
        done = check
        unit = torch.cat(kept)  # (draw, parameter, chain, n)
        diagnostics = diagnose(unit.movedim(2, 1))
        converged = ((diagnostics.rhat < plan.rhat) & (diagnostics.ess >= plan.ess)).all(0)
        last = done + kernel.every > plan.max_steps
        leaving = torch.ones_like(converged) if last else converged
        evaluations = (1 + kernel.evaluations * (plan.warmup + done)) * plan.chains
        for place in leaving.nonzero().flatten().tolist():
            found[int(running[place])] = Chains(
                unit[..., place].movedim(2, 1).cpu().numpy(),
                diagnostics.rhat[:, place].cpu().numpy(),
                diagnostics.ess[:, place].cpu().numpy(),
                bool(converged[place]),
                done,
                evaluations,
            )
        left = (~leaving).nonzero().flatten()
        if not len(left):
            break
        if len(left) < len(running):
            target, kernel, state = target.select(left), kernel.select(left), state.select(left)
            streams.select(left)
            running, kept = running[left], [unit[..., left]]
        else:
            kept = [unit]
    return [found[number] for number in range(len(keys))]


def _draw(
    target: Target, kernel: Kernel, state: State, streams: Streams, first: int, steps: int
) -> tuple[Tensor, State]:
    """Take steps and keep each ``every``-th as fractions, (draw, parameter, chain, n) float32."""
    kept = torch.empty(
        (steps // kernel.every, *state.place.shape), dtype=torch.float32, device=state.place.device
    )
    for step in range(steps):
        state = kernel.step(target, state, streams.numbers(first + step))
        if (step + 1) % kernel.every == 0:
            kept[step // kernel.every] = torch.special.ndtr(state.place)
    return kept, state
