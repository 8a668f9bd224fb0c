"""From any real number u to the unit interval, and what keeps u where it can still learn.

References
----------
Xu et al. 2025, arXiv:2502.00672 (sigmoid with a learnable temperature).
Fan et al. 2025, arXiv:2506.14054 (ScIReN: hard sigmoid and its penalty).
"""

from typing import Final

import torch
from torch import Tensor, nn

from xbinn.errors import InputError

TEMPERATURE_RANGE: Final = (10.0, 109.0)
"""Range of the learnable divisor before the sigmoid (as published; it starts in the middle)."""
BEND: Final = 3.0
"""Where the hard sigmoid meets 0 and 1 (as published)."""
_MARGIN: Final = 1e-6
# A sigmoid reaches 0 and 1 exactly in float32, where a prior that starts at 0 means an infinite
# rate; the margin keeps every parameter strictly inside its prior.


class SigmoidConstraint(nn.Module):
    """The constraint sigmoid(u / T) with one learnable T inside `TEMPERATURE_RANGE`."""

    gain: Final = sum(TEMPERATURE_RANGE) / 2.0
    """Factor on u with which the constraint is as steep at 0 as a plain sigmoid, at the start."""

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

    def penalty(self, u: Tensor) -> Tensor:
        """Nothing, a scalar: a sigmoid has a slope everywhere."""
        return u.new_zeros(())


class HardSigmoidConstraint(nn.Module):
    """The constraint clamp(u / 6 + 0.5, 0, 1): straight, so that a sum of effects stays a sum."""

    gain: Final = BEND / 2.0
    """Factor on u with which the constraint is as steep at 0 as a plain sigmoid."""

    def forward(self, u: Tensor) -> Tensor:
        """Map ``u`` of any shape into (0, 1)."""
        return inside((u / (2.0 * BEND) + 0.5).clamp(0.0, 1.0))

    def penalty(self, u: Tensor) -> Tensor:
        """Mean of max(abs(u) - 3, 0), a scalar: the way back from where the slope is 0."""
        return (u.abs() - BEND).clamp(min=0.0).mean()


Constraint = SigmoidConstraint | HardSigmoidConstraint
CONSTRAINTS: Final[dict[str, type[SigmoidConstraint] | type[HardSigmoidConstraint]]] = {
    "sigmoid": SigmoidConstraint,
    "hard_sigmoid": HardSigmoidConstraint,
}


def build_constraint(name: str) -> Constraint:
    """Return the constraint called `name`, fresh.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in CONSTRAINTS:
        raise InputError(
            f"constraint {name!r} is not known: choose one of {', '.join(map(repr, CONSTRAINTS))}"
        )
    return CONSTRAINTS[name]()


def inside(unit: Tensor) -> Tensor:
    """Move numbers in [0, 1] off its ends."""
    return _MARGIN + (1.0 - 2.0 * _MARGIN) * unit
