"""Adaptive Metropolis (Haario et al. 2001): random walks that learn the covariance of the chains.

While warming up the covariance is that of all places of all chains of the profile so far, and the
scale follows from the rate of acceptance; after it both stay, so that the chains are Markov's.

References
----------
Haario, Saksman, Tamminen 2001, doi:10.2307/3318737.
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
    lower_product,
)
from xbinn.science.proda.random import Numbers
from xbinn.science.proda.target import Target

_SCALE: Final = 2.38
"""Over the square root of the number of parameters: best for a Gaussian (Gelman et al. 1996)."""
_WANTED: Final = 0.234
_SHRINKAGE: Final = 40.0
_RENEWED: Final = 50
"""Steps after which the covariance is taken anew."""


@dataclass
class Metropolis:
    """The sampler; see the top of the module."""

    every: ClassVar[int] = 25
    uses_gradient: ClassVar[bool] = False
    evaluations: ClassVar[int] = 1

    _warmup: int = 0
    _done: int = 0
    _factor: Tensor = field(default_factory=lambda: torch.empty(0))  # (p, p, n)
    _log_scale: Tensor = field(default_factory=lambda: torch.empty(0))  # (n)
    _moments: Moments | None = None

    def start(self, target: Target, place: Tensor, warmup: int) -> State:
        """Begin at ``place`` (parameter, chain, n), with ``warmup`` steps ahead to learn from."""
        n_parameters, _, n = place.shape
        self._warmup, self._done = warmup, 0
        self._moments = Moments(n_parameters, n, place.device)
        self._factor = cholesky(self._moments.covariance(_SHRINKAGE))
        self._log_scale = place.new_full((n,), math.log(_SCALE / math.sqrt(n_parameters)))
        return State(place, target.value(place))

    def step(self, target: Target, state: State, numbers: Numbers) -> State:
        """Move all chains on; while warming up, learn."""
        along = lower_product(self._factor, numbers.normal)
        place = state.place + self._log_scale.exp() * along
        new = State(place, target.value(place))
        probability = acceptance(new.log_density() - state.log_density())
        moved = state.moved(numbers.uniform[0] < probability, new)
        if self._done < self._warmup:
            self._learn(moved, probability)
        return moved

    def select(self, profiles: Tensor) -> "Metropolis":
        """Take profiles ``(m,)`` int64, once the warm-up is over."""
        return replace(
            self,
            _factor=self._factor[..., profiles].contiguous(),
            _log_scale=self._log_scale[profiles],
        )

    def _learn(self, state: State, probability: Tensor) -> None:
        assert self._moments is not None
        self._done += 1
        self._moments.add(state.place)
        gain = 1.0 / math.sqrt(self._done)
        self._log_scale = self._log_scale + gain * (chain_mean(probability) - _WANTED)
        if self._done % _RENEWED == 0:
            self._factor = cholesky(self._moments.covariance(_SHRINKAGE))
        if self._done == self._warmup:
            self._moments = None
