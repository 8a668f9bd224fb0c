"""Observation noise: what a soil sample shows beside what is modelled.

ln(observed) is ln(modelled) plus noise of a logistic distribution, whose scale changes with depth.
Modelled are several draws of the posterior, so an observation has a mixture of log-logistic
distributions. The noise is learnt under that mixture: the spread of the draws is not in it.

The logistic distribution has a closed form, and tails that are heavier than normal ones, as the
residuals on held-out blocks have.

References
----------
Chernozhukov et al. 2021, doi:10.1073/pnas.2107794118 (recalibrated levels).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from xbinn.constants import SOC_FLOOR

LEVELS: Final = 201
"""Levels of central intervals from 0 to 1 at which a recalibration is kept."""

_SMALLEST: Final = 0.01
"""Scale [ln kg m-3] below which no noise goes: 1 %, less than any laboratory has."""
_ABS_OF_SCALE: Final = 2.0 * math.log(2.0)
"""Mean absolute value of logistic noise in units of its scale, 2 ln 2."""
_VARIANCE: Final = math.pi**2 / 3.0
"""Of a logistic distribution of scale 1."""
_DEEPEST: Final = 0.99
"""Quantile of the depths of the samples beyond which the scale stays as it is."""
_SLOPE: Final = 1.0
"""Standard deviation [m-1] of the normal prior of the slope, for samples of one depth only."""
_ITERATIONS: Final = 60
_SMALL_STEP: Final = 1e-3
"""In units of the scale: what is left after such a Newton step is of the order of its square."""
_LEVELS_TOGETHER: Final = 3
_NUMBERS: Final = 3 * 64 * 1024
"""Of levels, draws and samples, whose quantiles are sought together: few calls, little memory."""
_TINY: Final = 1e-45
"""In the place of no carbon at all, the least that float32 holds."""
_FARTHEST: Final = 600.0
"""From a draw to their middle, in units of the scale: so far exp does not overflow."""


@dataclass(frozen=True)
class ObservationNoise:
    """Noise of ln(observed) about ln(modelled): logistic, its scale log-linear in depth.

    Attributes
    ----------
    surface : float
        Scale at the surface [1, natural logarithm]. The standard deviation is 1.81 times that.
    slope : float
        Increase of ln(scale) with depth [m-1].
    deepest : float
        Depth [m] below which the scale stays as it is; 0 where it was assumed, not learnt.
    widened : tuple of float
        Level of the central interval to take for each of `LEVELS` nominal ones from 0 to 1; empty
        where nothing was recalibrated.
    """

    surface: float
    slope: float
    deepest: float
    widened: tuple[float, ...] = ()

    def describe(self) -> str:
        """Say it in words."""
        deviation = self.surface * math.sqrt(_VARIANCE)
        if not self.deepest:
            return f"standard deviation {deviation:.2f} of ln kg m-3 at all depths, as assumed"
        how = "recalibrated" if self.widened else "as learnt"
        return (
            f"standard deviation {deviation:.2f} of ln kg m-3 at the surface, "
            f"times {math.exp(self.slope):.2f} per m of depth, {how}"
        )

    def scale(self, depth: Tensor) -> Tensor:
        """Scale of the noise at depths ``(n,)`` [m]."""
        return _scale(
            torch.tensor([self.surface, self.slope], dtype=torch.float64), depth, self.deepest
        )

    def cdf(
        self,
        observed: Tensor,  # (n,)
        modelled: Tensor,  # (draw, n)
        depth: Tensor,  # (n,)
    ) -> Tensor:  # (n,)
        """Probability of an observation up to the one made, in float64; its PIT value.

        Parameters
        ----------
        observed : Tensor
            SOC density [kg m-3], floored at `SOC_FLOOR`.
        modelled : Tensor
            Draws of the posterior of the same samples [kg m-3].
        depth : Tensor
            Middle of each sample [m].
        """
        away = (_log(observed, SOC_FLOOR) - _log(modelled, _TINY)) / self.scale(depth)
        share = torch.sigmoid(away).mean(0)
        if not self.widened:
            return share
        offset = 2.0 * share - 1.0
        taken = torch.tensor(self.widened, dtype=torch.float64)
        nominal = torch.linspace(0.0, 1.0, len(taken), dtype=torch.float64)
        return 0.5 + 0.5 * offset.sign() * _interpolate(offset.abs(), taken, nominal)

    def quantiles(
        self,
        levels: Sequence[float],
        modelled: Tensor,  # (draw, n)
        depth: Tensor,  # (n,)
    ) -> Tensor:  # (level, n)
        """Quantiles of an observation [kg m-3], in float64.

        Newton steps on the logit of the mixture's distribution function, which is linear for a
        single draw, within a bracket that the quantiles of the draws make. Each value is found for
        itself, so that none depends on its neighbours. NaN where any draw is.

        Parameters
        ----------
        levels : sequence of float
            From 0 to 1; the quantiles at 0 and 1 are 0 and infinite.
        modelled, depth
            As for `cdf`.
        """
        taken, scale = self._taken(levels), self.scale(depth)
        found = modelled.new_empty((len(taken), modelled.shape[1]), dtype=torch.float64)
        together = max(1, _NUMBERS // (_LEVELS_TOGETHER * max(1, len(modelled))))
        for start in range(0, modelled.shape[1], together):
            part = slice(start, start + together)
            # In units of the scale, (draw, n).
            logs = _log(modelled[:, part], _TINY) / scale[part]
            found[:, part] = (_mixture_quantiles(taken, logs) * scale[part]).exp()
        return found

    def _taken(self, levels: Sequence[float]) -> Tensor:
        """Levels of the mixture to take for nominal ones (level,)."""
        nominal = torch.tensor(list(levels), dtype=torch.float64)
        if not self.widened:
            return nominal
        offset = 2.0 * nominal - 1.0
        taken = torch.tensor(self.widened, dtype=torch.float64)
        at = torch.linspace(0.0, 1.0, len(taken), dtype=torch.float64)
        return 0.5 + 0.5 * offset.sign() * _interpolate(offset.abs(), at, taken)


def assumed_noise(deviation: float) -> ObservationNoise:
    """Noise of one standard deviation [1, natural logarithm] at all depths, learnt from nothing."""
    return ObservationNoise(deviation / math.sqrt(_VARIANCE), slope=0.0, deepest=0.0)


def learn_noise(
    observed: Tensor,  # (n,)
    modelled: Tensor,  # (draw, n)
    depth: Tensor,  # (n,)
    weights: Tensor | None = None,  # (n,)
) -> ObservationNoise:
    """Learn the noise by maximum likelihood under the mixture of the draws.

    Parameters
    ----------
    observed, modelled, depth
        As for `ObservationNoise.cdf`; of samples that the network was not trained on.
    weights : Tensor, optional
        How much each sample counts; all alike by default.
    """
    residual = _log(observed, SOC_FLOOR) - _log(modelled, _TINY)
    depth = depth.double()
    counts = torch.ones_like(depth) if weights is None else weights.double()
    counts = counts * (len(counts) / counts.sum())
    deepest = float(torch.quantile(depth, _DEEPEST))
    start = float(residual.abs().mean()) / _ABS_OF_SCALE
    values = torch.tensor([max(start, _SMALLEST), 0.0], dtype=torch.float64)
    values[0] = values[0].log()
    values.requires_grad_()
    optimiser = torch.optim.LBFGS([values], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        scale = _scale(torch.stack([values[0].exp(), values[1]]), depth, deepest)
        away = residual / scale
        density = logsigmoid(away) + logsigmoid(-away) - scale.log()
        negative = -(counts * density.logsumexp(0)).sum() + 0.5 * (values[1] / _SLOPE) ** 2
        mean = negative / len(depth)
        mean.backward()
        return mean

    with torch.enable_grad():
        optimiser.step(loss)
    surface, slope = values.detach().tolist()
    return ObservationNoise(math.exp(surface), slope, deepest)


def _scale(values: Tensor, depth: Tensor, deepest: float) -> Tensor:
    """Scale (n,) for that at the surface and its slope, (2,)."""
    return (values[0] * (values[1] * depth.double().clamp(max=deepest)).exp()).clamp(min=_SMALLEST)


def _log(soc: Tensor, floor: float) -> Tensor:
    return soc.double().clamp(min=floor).log()


def _mixture_quantiles(levels: Tensor, logs: Tensor) -> Tensor:
    """Quantiles (level, n) of unit logistic distributions about ``logs`` (draw, n), mixed."""
    middle = logs.mean(0)
    logs = (logs - middle).clamp(-_FARTHEST, _FARTHEST)
    low, high = torch.aminmax(logs, dim=0)
    # A logistic distribution of the same variance as the mixture is where to start.
    wider = (1.0 + logs.square().mean(0) / _VARIANCE).sqrt()
    weight = logs.exp()
    found = [
        middle + _solve(wanted, weight, wanted * wider, low + wanted, high + wanted)
        for wanted in levels.logit()[:, None].split(_LEVELS_TOGETHER)
    ]
    return torch.cat(found)


def _solve(
    wanted: Tensor,  # (level, 1)
    weight: Tensor,  # (draw, n)
    start: Tensor,  # (level, n)
    low: Tensor,  # (level, n)
    high: Tensor,  # (level, n)
) -> Tensor:  # (level, n)
    """Find x between ``low`` and ``high`` where the mean of 1/(1 + weight/e^x) has a wanted logit.

    A Newton step that would leave the bracket is replaced by its middle. Where the logit is
    infinite, so is x.
    """
    place = torch.minimum(torch.maximum(start, low), high)
    active = place.isfinite()
    share = weight.new_empty((len(wanted), *weight.shape))
    for _ in range(_ITERATIONS):
        torch.mul(weight, (-place).exp()[:, None], out=share).add_(1.0).reciprocal_()
        mean = share.mean(1)
        slope = mean - share.square_().mean(1)
        miss = mean.logit() - wanted
        low = torch.where(miss < 0.0, place, low)
        high = torch.where(miss > 0.0, place, high)
        new = place - miss * mean * (1.0 - mean) / slope
        new = torch.where((new >= low) & (new <= high), new, 0.5 * (low + high))
        moved = (new - place).abs()
        place = torch.where(active, new, place)
        active = active & (moved > _SMALL_STEP)
        if not bool(active.any()):
            break
    return place


def _interpolate(x: Tensor, at: Tensor, values: Tensor) -> Tensor:
    """Linear interpolation between points ``at`` that do not decrease, all one-dimensional."""
    right = torch.searchsorted(at, x.contiguous()).clamp(1, len(at) - 1)
    left = right - 1
    width = at[right] - at[left]
    share = torch.where(width > 0.0, (x - at[left]) / width, torch.zeros_like(x))
    return values[left] + share.clamp(0.0, 1.0) * (values[right] - values[left])
