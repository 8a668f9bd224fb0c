"""A random function added to an encoder, fixed while its layers learn: randomized prior functions.

Where observations say nothing, the layers have no reason to take it back, and the members of an
ensemble differ as much as the prior lets them; elsewhere they can come to agree.

References
----------
Osband et al. 2018, arXiv:1806.03335 (randomized prior functions). Rahimi and Recht 2007, Advances
in Neural Information Processing Systems 20 (random features).
"""

import math
from typing import Final

import torch
from torch import Tensor, nn

N_WAVES: Final = 128
"""Cosine waves of which a function is made."""
LEVEL_SHARE: Final = 0.2
"""Share of the variance in a level that all places have in common."""


class PriorFunction(nn.Module):
    r"""Draw of a Gaussian process over standardised covariates, one function for each parameter.

    At each place the mean over draws is 0 and the variance 1. Two places at a distance d, the root
    mean square over their standardised covariates, have the covariance
    :math:`0.2 + 0.8 \exp(-d^2 / 2)`: places that have nothing to do with each other, d = 1.4, the
    covariance 0.49. Functions of different parameters are independent.

    Parameters
    ----------
    n_numeric : int
        Number of numeric covariates; without any, functions are levels and phases alone.
    n_outputs : int
        Number of parameters.

    Attributes
    ----------
    frequency, phase, amplitude, level : Tensor
        ``(n_numeric, wave)``, ``(wave,)``, ``(wave, n_outputs)`` and ``(n_outputs,)``: drawn from
        torch's global random state, kept in the state, never learnt.
    """

    frequency: Tensor
    phase: Tensor
    amplitude: Tensor
    level: Tensor

    def __init__(self, n_numeric: int, n_outputs: int) -> None:
        super().__init__()
        spread = math.sqrt(2.0 * (1.0 - LEVEL_SHARE) / N_WAVES)
        for name, values in {
            "frequency": torch.randn(n_numeric, N_WAVES) / math.sqrt(max(n_numeric, 1)),
            "phase": 2.0 * math.pi * torch.rand(N_WAVES),
            "amplitude": spread * torch.randn(N_WAVES, n_outputs),
            "level": math.sqrt(LEVEL_SHARE) * torch.randn(n_outputs),
        }.items():
            self.register_buffer(name, values)

    def forward(self, standardised: Tensor) -> Tensor:
        """Return the functions ``(n, n_outputs)`` at covariates ``(n, n_numeric)``."""
        waves = torch.cos(standardised @ self.frequency + self.phase)  # (n, wave)
        return self.level + waves @ self.amplitude
