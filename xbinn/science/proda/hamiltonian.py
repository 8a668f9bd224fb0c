r"""Hamiltonian Monte Carlo through the adjoint of the solver.

The posterior of z is the likelihood times a standard normal. Of the motion

.. math:: \dot z = v, \quad \dot v = -z + \nabla \ln L(z)

the first term is a rotation of (z, v), which is done exactly, and the likelihood gives kicks before
and after it (Shahbaba et al. 2014). Where the samples of a profile say nothing each step is
accepted; where they say little steps are long, however many parameters there are. Half-way through
the warm-up the rotation is put about a Gaussian nearer to the posterior: the mean and covariance of
the draws so far, with the weight of `SHRINKAGE` draws from the prior. The step size of each profile
follows from its rate of acceptance (dual averaging, Hoffman and Gelman 2014).

References
----------
Shahbaba, Lan, Johnson, Neal 2014, doi:10.1007/s11222-012-9373-1 (split Hamiltonian Monte Carlo).
Hoffman and Gelman 2014, J. Mach. Learn. Res. 15, 1593.
"""

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

import torch
from torch import Tensor

from xbinn.science.proda.kernels import (
    Moments,
    State,
    acceptance,
    chain_mean,
    cholesky,
    half_square,
    lower_product,
    lower_solve,
    transposed_product,
)
from xbinn.science.proda.random import Numbers
from xbinn.science.proda.target import Target

LEAPFROGS: Final = 5
"""Kicks, and so gradients, of a step."""
SHRINKAGE: Final = 40.0
"""Draws from the prior whose weight its mean and covariance have in those of the warm-up."""
_WANTED: Final = 0.8
"""Rate of acceptance that step sizes aim at."""
_JITTER: Final = 0.2
"""Relative half-range of the step size, so that no direction turns by whole periods."""
_QUARTER: Final = 0.5 * math.pi
"""A quarter turn makes a draw independent of the one before, where the likelihood is flat."""
_FIRST_STEP: Final = 0.3
_GAIN, _DELAY, _DECAY = 0.05, 10.0, 0.75
"""Of dual averaging, as Hoffman and Gelman recommend."""


@dataclass
class _Learning:
    """What dual averaging knows, (n)."""

    start: Tensor
    log_step: Tensor
    mean_log_step: Tensor
    deficit: Tensor
    count: int = 0

    def learn(self, accepted: Tensor, longest: float) -> None:
        self.count += 1
        share = 1.0 / (self.count + _DELAY)
        self.deficit = (1.0 - share) * self.deficit + share * (_WANTED - accepted)
        wanted = self.start - math.sqrt(self.count) / _GAIN * self.deficit
        self.log_step = wanted.clamp(max=math.log(longest))
        weight = self.count**-_DECAY
        self.mean_log_step = weight * self.log_step + (1.0 - weight) * self.mean_log_step


@dataclass
class Hamiltonian:
    """The sampler; see the top of the module.

    Parameters
    ----------
    leapfrogs : int
        Kicks of a step.
    """

    every: ClassVar[int] = 1
    uses_gradient: ClassVar[bool] = True

    leapfrogs: int = LEAPFROGS
    _warmup: int = 0
    _done: int = 0
    _mean: Tensor = field(default_factory=lambda: torch.empty(0))  # (p, n)
    _factor: Tensor | None = None  # (p, p, n); None is the identity
    _log_step: Tensor = field(default_factory=lambda: torch.empty(0))  # (n)
    _learning: _Learning | None = None
    _moments: Moments | None = None

    @property
    def evaluations(self) -> int:
        """Gradients of each chain in a step."""
        return self.leapfrogs

    @property
    def _longest(self) -> float:
        return _QUARTER / self.leapfrogs

    def start(self, target: Target, place: Tensor, warmup: int) -> State:
        """Begin at ``place`` (parameter, chain, n), with ``warmup`` steps ahead to learn from."""
        n_parameters, _, n = place.shape
        self._warmup, self._done, self._factor = warmup, 0, None
        self._mean = place.new_zeros((n_parameters, n))
        self._log_step = place.new_full((n,), math.log(min(_FIRST_STEP, self._longest)))
        self._learning = self._relearn()
        self._moments = Moments(n_parameters, n, place.device)
        return State(place, *target.value_and_slope(place))

    def step(self, target: Target, state: State, numbers: Numbers) -> State:
        """Move all chains on; while warming up, learn."""
        assert state.slope is not None
        jitter = 1.0 + _JITTER * (2.0 * numbers.uniform[0] - 1.0)
        angle = self._log_step.exp() * jitter  # (chain, n)
        cosine, sine = angle.cos(), angle.sin()
        velocity, local = numbers.normal, self._local(state.place)
        before = state.log_density() - half_square(velocity)
        force, new = self._force(state, local), state
        for _ in range(self.leapfrogs):
            velocity = torch.addcmul(velocity, force, 0.5 * angle)
            local, velocity = (
                cosine * local + sine * velocity,
                cosine * velocity - sine * local,
            )
            place = self._place(local)
            new = State(place, *target.value_and_slope(place))
            force = self._force(new, local)
            velocity = torch.addcmul(velocity, force, 0.5 * angle)
        probability = acceptance(new.log_density() - half_square(velocity) - before)
        moved = state.moved(numbers.uniform[1] < probability, new)
        if self._done < self._warmup:
            self._learn(moved, probability)
        return moved

    def select(self, profiles: Tensor) -> "Hamiltonian":
        """Take profiles ``(m,)`` int64, once the warm-up is over."""
        factor = self._factor
        return replace(
            self,
            _mean=self._mean[..., profiles],
            _factor=None if factor is None else factor[..., profiles].contiguous(),
            _log_step=self._log_step[profiles],
        )

    def _local(self, place: Tensor) -> Tensor:
        """In coordinates in which the Gaussian is a standard one."""
        away = place - self._mean.unsqueeze(1)
        return away if self._factor is None else lower_solve(self._factor, away)

    def _place(self, local: Tensor) -> Tensor:
        along = local if self._factor is None else lower_product(self._factor, local)
        return along + self._mean.unsqueeze(1)

    def _force(self, state: State, local: Tensor) -> Tensor:
        """Slope of the log density beyond that of the Gaussian."""
        assert state.slope is not None
        slope = state.slope - state.place
        if self._factor is not None:
            slope = transposed_product(self._factor, slope)
        return slope + local

    def _relearn(self) -> _Learning:
        start = self._log_step
        return _Learning(start, start, start, torch.zeros_like(start))

    def _learn(self, state: State, probability: Tensor) -> None:
        assert self._learning is not None
        assert self._moments is not None
        self._done += 1
        self._learning.learn(chain_mean(probability), self._longest)
        self._log_step = self._learning.log_step
        half = self._warmup // 2
        if half // 2 < self._done <= half:
            self._moments.add(state.place)
        if self._done == half:
            count = self._moments.count
            self._mean = self._moments.mean() * (count / (count + SHRINKAGE))
            self._factor = cholesky(self._moments.covariance(SHRINKAGE))
            self._log_step = self._learning.mean_log_step
            self._learning = self._relearn()
        if self._done == self._warmup:
            self._log_step = self._learning.mean_log_step
            self._learning = self._moments = None
