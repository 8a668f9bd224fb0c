"""Differential evolution with an archive and snooker moves (DE-MCzs; ter Braak and Vrugt 2008).

A chain moves by differences between two places of an archive, or along the line through a third
(snooker). The archive holds draws from the prior and places the chains have been to; it grows while
warming up and stays afterwards, so that the chains are Markov's.

References
----------
ter Braak and Vrugt 2008, doi:10.1007/s11222-008-9104-9.
"""

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

import torch
from torch import Tensor

from xbinn.physics.column import ordered_sum
from xbinn.science.proda.kernels import State, acceptance
from xbinn.science.proda.random import Numbers
from xbinn.science.proda.target import Target

_SNOOKER: Final = 0.1
"""Share of the steps along the line through a place of the archive."""
_FULL: Final = 0.1
"""Share of the other steps that take a difference whole, as from one mode to another."""
_SHORTEST, _LONGEST = 1.2, 2.2
"""Of a snooker step, in units of the projected difference."""
_NOISE: Final = 1e-3
"""Standard deviation of what is added to a step."""
_APART: Final = 10
"""Steps after which places join the archive."""


@dataclass
class Evolution:
    """The sampler; see the top of the module."""

    every: ClassVar[int] = 25
    uses_gradient: ClassVar[bool] = False
    evaluations: ClassVar[int] = 1

    _warmup: int = 0
    _done: int = 0
    _archive: Tensor = field(default_factory=lambda: torch.empty(0))  # (entry, p, n)
    _entries: int = 0

    def start(self, target: Target, place: Tensor, warmup: int) -> State:
        """Begin at ``place`` (parameter, chain, n), with ``warmup`` steps ahead to learn from."""
        n_parameters, chains, n = place.shape
        self._warmup, self._done = warmup, 0
        joined = chains * (1 + warmup // _APART)
        self._archive = place.new_empty((joined, n_parameters, n))
        self._entries = 0
        self._join(place)
        return State(place, target.value(place))

    def step(self, target: Target, state: State, numbers: Numbers) -> State:
        """Move all chains on; while warming up, let the archive grow."""
        uniform = numbers.uniform
        first, second, third = (self._entry(uniform[k]) for k in range(3))
        n_parameters = len(state.place)
        gamma = torch.where(uniform[3] < _FULL, 1.0, _SCALE / math.sqrt(2.0 * n_parameters))
        away = state.place - third
        length = ordered_sum(away.square()).clamp(min=1e-30)
        projected = ordered_sum((first - second) * away) / length
        stretch = _SHORTEST + (_LONGEST - _SHORTEST) * uniform[3]
        snooker = uniform[4] < _SNOOKER
        move = torch.where(
            snooker,
            stretch * projected * away,
            torch.addcmul(_NOISE * numbers.normal, first - second, gamma),
        )
        place = state.place + move
        new = State(place, target.value(place))
        ratio = ordered_sum((place - third).square()) / length
        correction = torch.where(snooker, 0.5 * (n_parameters - 1) * ratio.log(), 0.0)
        probability = acceptance(new.log_density() - state.log_density() + correction)
        moved = state.moved(uniform[5] < probability, new)
        if self._done < self._warmup:
            self._done += 1
            if self._done % _APART == 0:
                self._join(moved.place)
        return moved

    def select(self, profiles: Tensor) -> "Evolution":
        """Take profiles ``(m,)`` int64, once the warm-up is over."""
        return replace(self, _archive=self._archive[..., profiles].contiguous())

    def _entry(self, uniform: Tensor) -> Tensor:
        """Places of the archive, drawn by uniform numbers (chain, n), (parameter, chain, n)."""
        index = (uniform * self._entries).long().clamp(max=self._entries - 1)
        wide = index.unsqueeze(1).expand(-1, self._archive.shape[1], -1)
        return self._archive.gather(0, wide).movedim(0, 1)

    def _join(self, place: Tensor) -> None:
        end = self._entries + place.shape[1]
        self._archive[self._entries : end] = place.movedim(1, 0)
        self._entries = end


_SCALE: Final = 2.38
"""Over the square root of twice the number of parameters: best for a Gaussian."""
