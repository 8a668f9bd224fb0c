"""One parameter vector for all sites."""

from typing import Any, Final

import torch
from torch import Tensor, nn

from xbinn.learning.encoders.constraints import HardSigmoidConstraint, build_constraint, inside

_GAIN: Final = 10.0
# One vector has to cross its prior at the learning rate that suits a network's many weights.


class ConstantEncoder(nn.Module):
    """One learnable vector for every site: the baseline that covariates have to beat.

    Parameters
    ----------
    n_outputs : int
        Number of parameters.
    constraint : {"sigmoid", "hard_sigmoid"}
        The sigmoid has no temperature here: it would be one more factor on the vector.
    """

    def __init__(self, n_outputs: int, *, constraint: str = "sigmoid") -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "encoder": "constant",
            "n_outputs": int(n_outputs),
            "constraint": constraint,
        }
        build_constraint(constraint)
        self._hard = HardSigmoidConstraint() if constraint == "hard_sigmoid" else None
        self.vector = nn.Parameter(torch.zeros(n_outputs))

    def standardise(self, numeric: Tensor) -> None:
        """Do nothing: covariates are not looked at."""

    def forward(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        """Return ``(n, n_outputs)`` in (0, 1), n being the rows of `numeric` ``(n, ...)``."""
        return self.penalised(numeric, categorical)[0]

    def begin(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        """Return what `finish` takes, one row for each site."""
        return numeric

    def finish(self, begun: Tensor) -> Tensor:
        """Return what `forward` does, from what `begin` gave."""
        return self.forward(begun, begun)

    def penalised(self, numeric: Tensor, categorical: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `forward` does, and what training adds to the loss for it, a scalar."""
        u = _GAIN * self.vector  # (n_outputs,)
        if self._hard is None:
            unit, penalty = inside(torch.sigmoid(u)), u.new_zeros(())
        else:
            unit, penalty = self._hard(u), self._hard.penalty(u)
        return unit.expand(len(numeric), -1), penalty
