"""One parameter vector for all sites."""

from typing import Any, Final

import torch
from torch import Tensor, nn

from xbinn.learning.encoders.constraints import inside

_GAIN: Final = 10.0
# One vector has to cross its prior at the learning rate that suits a network's many weights.


class ConstantEncoder(nn.Module):
    """One learnable vector for every site: the baseline that covariates have to beat."""

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"encoder": "constant", "n_outputs": int(n_outputs)}
        self.vector = nn.Parameter(torch.zeros(n_outputs))

    def standardise(self, numeric: Tensor) -> None:
        """Do nothing: covariates are not looked at."""

    def forward(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        """Return ``(n, n_outputs)`` in (0, 1), n being the rows of `numeric` ``(n, ...)``."""
        return inside(torch.sigmoid(_GAIN * self.vector)).expand(len(numeric), -1)
