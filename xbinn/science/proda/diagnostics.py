r"""Whether chains agree and how many draws they are worth, for many quantities at once.

Each chain is split into halves. With m half-chains of n draws, W the mean of their variances and B
n times the variance of their means, :math:`V = \frac{n-1}{n} W + \frac1n B` and

.. math:: \hat R = \sqrt{V / W}

is the classic split statistic. Parameters are bounded, so that variances exist and ranks are not
needed. The effective sample size is :math:`m n / \tau`, :math:`\tau` the autocorrelation time of
all half-chains together by Geyer's initial monotone sequence.

References
----------
Gelman et al. 2013, Bayesian Data Analysis, third edition, sections 11.4 and 11.5. Geyer 1992,
doi:10.1214/ss/1177011137. Vehtari et al. 2021, doi:10.1214/20-BA1221 (equations 3 and 10 to 13).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from xbinn.physics.column import ordered_sum


class Diagnostics(NamedTuple):
    """Split R-hat and effective sample size, each (...)."""

    rhat: Tensor
    ess: Tensor


def diagnose(draws: Tensor) -> Diagnostics:
    """Return split R-hat and effective sample size.

    Parameters
    ----------
    draws : Tensor
        (draw, chain, ...), four draws at least. A last odd one is left out of the halves.

    Returns
    -------
    Diagnostics
        NaN where no draw differs from the others.
    """
    half = len(draws) // 2
    halves = torch.cat((draws[:half], draws[half : 2 * half]), dim=1).double()
    # Draws last: the sums of a quantity must not depend on how many others there are.
    halves = halves.movedim((1, 0), (-2, -1)).contiguous()  # (..., half-chain, draw)
    means = halves.mean(-1)
    centred = halves - means.unsqueeze(-1)
    within = centred.square().sum(-1) / (half - 1)
    mean_within = within.mean(-1)
    pooled = (half - 1) / half * mean_within + means.var(-1)
    rhat = (pooled / mean_within).sqrt()
    rhat = rhat.where(mean_within > 0.0, torch.where(pooled > 0.0, torch.inf, torch.nan))
    time = _autocorrelation_time(centred, mean_within, pooled)
    total = half * halves.shape[-2]
    # Draws that alternate may be worth more than as many independent ones, but not endlessly.
    ess = (total / time).clamp(max=total * math.log10(total))
    return Diagnostics(rhat, ess.where(pooled > 0.0, torch.nan))


def _autocorrelation_time(centred: Tensor, within: Tensor, pooled: Tensor) -> Tensor:
    """Sum of the autocorrelations over all lags, positive and negative, (...)."""
    n = centred.shape[-1]
    spectrum = torch.fft.rfft(centred, n=2 * n)
    power = spectrum.real.square() + spectrum.imag.square()
    covariance = torch.fft.irfft(ordered_sum(power.movedim(-2, 0)), n=2 * n)[..., :n]
    covariance = covariance / (n * centred.shape[-2])  # (..., lag)
    correlation = 1.0 - (within.unsqueeze(-1) - covariance) / pooled.unsqueeze(-1)
    correlation[..., 0] = 1.0
    even = n - n % 2
    pairs = correlation[..., 0:even:2] + correlation[..., 1:even:2]
    # Up to the first pair that is not positive, and never rising.
    positive = (pairs > 0.0).to(pairs.dtype).cumprod(-1)
    monotone = pairs.cummin(-1).values * positive
    time: Tensor = 2.0 * monotone.sum(-1) - 1.0
    return time
