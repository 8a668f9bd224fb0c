"""Random numbers that belong to a profile, not to a batch: counter-based, one key a profile."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

BLOCK: Final = 32
"""Steps whose numbers are drawn together."""
UNIFORMS: Final = 6
"""Uniform numbers of a chain in a step; no kernel takes more."""


@dataclass(frozen=True)
class Numbers:
    """Random numbers of one step.

    Attributes
    ----------
    normal : Tensor
        Standard normal (parameter, chain, n), float64.
    uniform : Tensor
        In [0, 1), (number, chain, n), float64.
    """

    normal: Tensor
    uniform: Tensor


class Streams:
    """Streams of random numbers, one for each profile.

    The numbers of a profile in a step follow from the seed, its key and the step: they are the same
    beside any other profiles, in any order.

    Parameters
    ----------
    seed : int
        Of everything.
    keys : sequence of int
        Of the profiles, 0 or more.
    n_parameters, chains : int
        Sizes.
    device : torch.device
        Where the numbers go.
    """

    def __init__(
        self,
        seed: int,
        keys: Sequence[int],
        *,
        n_parameters: int,
        chains: int,
        device: torch.device,
    ) -> None:
        self._seed = seed
        self._keys = list(keys)
        self._shape = (n_parameters, chains)
        self._device = device
        self._block = -1
        self._normal = self._uniform = torch.empty(0)

    def select(self, profiles: Tensor) -> None:
        """Go on with profiles ``(m,)`` int64 alone."""
        self._keys = [self._keys[i] for i in profiles.tolist()]
        self._normal = self._normal[..., profiles]
        self._uniform = self._uniform[..., profiles]

    def start(self) -> Tensor:
        """Standard normal places to start from, (parameter, chain, n)."""
        drawn = [
            self._generator(key, 0).standard_normal(self._shape, dtype=np.float64)
            for key in self._keys
        ]
        return torch.from_numpy(np.stack(drawn, axis=-1)).to(self._device)

    def numbers(self, step: int) -> Numbers:
        """Return the numbers of a step, counted from 0."""
        block, row = divmod(step, BLOCK)
        if block != self._block:
            self._draw(block)
        return Numbers(self._normal[row], self._uniform[row])

    def _draw(self, block: int) -> None:
        n_parameters, chains = self._shape
        n = len(self._keys)
        normal = np.empty((BLOCK, n_parameters, chains, n))
        uniform = np.empty((BLOCK, UNIFORMS, chains, n))
        for place, key in enumerate(self._keys):
            generator = self._generator(key, block + 1)
            normal[..., place] = generator.standard_normal(normal.shape[:-1])
            uniform[..., place] = generator.random(uniform.shape[:-1])
        self._block = block
        self._normal, self._uniform = (
            torch.from_numpy(a).to(self._device) for a in (normal, uniform)
        )

    def _generator(self, key: int, block: int) -> np.random.Generator:
        words = np.random.SeedSequence([self._seed, key, block])
        return np.random.Generator(np.random.Philox(words))
