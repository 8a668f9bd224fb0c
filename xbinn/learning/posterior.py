"""Samples of what a network might say, by dropout: Monte Carlo dropout.

A sample is one mask for each dropout layer, the same for every site: all cells of a map are drawn
from one network, so that a sample is a coherent map and its total is a sample of the total. Masks
follow from a seed and the number of the sample alone, wherever and in whatever order samples are
drawn.

References
----------
Gal and Ghahramani 2016, arXiv:1506.02142.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

ModuleT = TypeVar("ModuleT", bound=nn.Module)

_MASKS: Final = 128
"""Masks that are kept, since the cells of a sample are drawn in parts, in several threads."""
_drawn = threading.local()
"""Seed and number of the sample that is drawn in a thread: threads share a network."""


@contextmanager
def drawing(seed: int, sample: int) -> Iterator[None]:
    """Let networks that `sample_dropout` has prepared speak for one sample, in this thread.

    Parameters
    ----------
    seed, sample : int
        What the masks follow from, 0 or more.
    """
    before = getattr(_drawn, "key", None)
    _drawn.key = (seed, sample)
    try:
        yield
    finally:
        _drawn.key = before


class SampledDropout(nn.Dropout):
    """Dropout that in evaluation applies the mask of the sample being drawn, if one is.

    Parameters
    ----------
    share : float
        Of the features left out.
    number : int
        Which dropout layer of the network it is: each has masks of its own.
    """

    def __init__(self, share: float, number: int) -> None:
        super().__init__(share)
        self.number = number

    def forward(self, values: Tensor) -> Tensor:
        """Return ``values`` (n, feature), masked alike in each row."""
        key = None if self.training else getattr(_drawn, "key", None)
        if key is None:
            return super().forward(values)
        return values * _mask((*key, self.number), self.p, values.shape[-1]).to(values)


@lru_cache(maxsize=_MASKS)
def _mask(key: tuple[int, int, int], share: float, width: int) -> Tensor:
    """Zeros for a share of the features and 1/(1 - share) for what is kept, (width,)."""
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)
    # Drawn on the CPU: a sample shall not depend on the device.
    generator = torch.Generator().manual_seed(int(state[0]))
    # Others may want it where gradients are taken.
    with torch.inference_mode(False):
        kept = torch.rand(width, generator=generator, dtype=torch.float64) >= share
        return kept.double() / (1.0 - share)


def sample_dropout(network: ModuleT) -> ModuleT:
    """Put `SampledDropout` in the place of each dropout layer of a network, which is returned."""
    layers = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Dropout)]
    for number, (name, layer) in enumerate(layers):
        sampled = SampledDropout(layer.p, number)
        sampled.train(layer.training)
        network.set_submodule(name, sampled)
    return network


def has_dropout(network: nn.Module) -> bool:
    """Whether samples of a network differ from each other."""
    return any(isinstance(m, nn.Dropout) and m.p > 0.0 for m in network.modules())
