"""From any real number to the unit interval."""

from typing import Final

import torch
from torch import Tensor, nn

TEMPERATURE_RANGE: Final = (10.0, 109.0)
"""Range of the learnable divisor before the sigmoid (as published; it starts in the middle)."""
_MARGIN: Final = 1e-6
# A sigmoid reaches 0 and 1 exactly in float32, where a prior that starts at 0 means an infinite
# rate; the margin keeps every parameter strictly inside its prior.


class UnitInterval(nn.Module):
    """The constraint sigmoid(u / T) with one learnable T inside `TEMPERATURE_RANGE`."""

    def __init__(self) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.zeros(()))  # 0 is the middle of the range

    @property
    def temperature(self) -> Tensor:
        """T, a scalar."""
        low, high = TEMPERATURE_RANGE
        return low + (high - low) * torch.sigmoid(self.raw)

    def forward(self, u: Tensor) -> Tensor:
        """Map ``u`` of any shape into (0, 1)."""
        return inside(torch.sigmoid(u / self.temperature))


def inside(unit: Tensor) -> Tensor:
    """Move numbers in [0, 1] off its ends."""
    return _MARGIN + (1.0 - 2.0 * _MARGIN) * unit
