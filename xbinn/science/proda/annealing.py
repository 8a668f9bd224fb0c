r"""The random walk of the PRODA codes and its annealed acceptance: an optimiser, not a sampler.

Steps are taken in fractions of the prior range: while warming up uniform ones, as wide as a tenth
of the range, then normal ones with 2.4/21 times the covariance that the chain had meanwhile. Step i
of a chain, counted from 0, that raises the cost by :math:`\Delta` is taken with probability

.. math:: \min\left(1, e^{-\Delta \ln(i + 2)}\right).

This is simulated annealing with the temperature 1/ln(i + 2): a chain draws from a density that gets
narrower as it goes on, so its spread says how far it still wanders, not what is known. The cost is
the negative log-likelihood; the prior is flat, and plays no part but for its bounds.

The publication does not say what becomes of a step across a bound; here it is reflected.

References
----------
Tao et al. 2020, doi:10.3389/fdata.2020.00017. Kirkpatrick et al. 1983,
doi:10.1126/science.220.4598.671 (simulated annealing).
"""

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

import torch
from torch import Tensor

from xbinn.science.proda.kernels import Moments, State, cholesky, lower_product
from xbinn.science.proda.random import Numbers
from xbinn.science.proda.target import Target

_WIDTH: Final = 0.1
"""Of the uniform steps, as a fraction of the prior range."""
_FACTOR: Final = 2.4
"""Over the number of parameters: on the covariance of the chain."""
_SHRINKAGE: Final = 1e-3
"""Draws from the prior in the covariance, so that one of a chain that stood still has a root."""
_EDGE: Final = 1e-12
"""How near a chain comes to a bound, where the normal coordinate would be infinite."""


def annealed(rise: Tensor, step: int) -> Tensor:
    """Probability to take a step that raises the cost by ``rise``, of the same shape.

    Parameters
    ----------
    rise : Tensor
        Cost after the step minus that before it; 0 is the answer where it is not a number.
    step : int
        Steps that the chain has taken before.

    Examples
    --------
    >>> import torch
    >>> [round(float(annealed(torch.tensor(1.0), step)), 3) for step in (0, 100, 70_000)]
    [0.5, 0.01, 0.0]
    """
    worse = rise.nan_to_num(nan=torch.inf, posinf=torch.inf).clamp(min=0.0)
    return (-worse * math.log(step + 2)).exp()


@dataclass
class Annealing:
    """The optimiser; see the top of the module."""

    every: ClassVar[int] = 25
    uses_gradient: ClassVar[bool] = False
    evaluations: ClassVar[int] = 1

    _warmup: int = 0
    _done: int = 0
    _factor: Tensor = field(default_factory=lambda: torch.empty(0))  # (p, p, chain, n)
    _moments: Moments | None = None

    def start(self, target: Target, place: Tensor, warmup: int) -> State:
        """Begin at ``place`` (parameter, chain, n), with ``warmup`` steps ahead to learn from."""
        n_parameters, chains, n = place.shape
        self._warmup, self._done = warmup, 0
        # Each chain by itself.
        self._moments = Moments(n_parameters, chains * n, place.device)
        return State(place, target.value(place))

    def step(self, target: Target, state: State, numbers: Numbers) -> State:
        """Move all chains on; while warming up, learn."""
        unit = torch.special.ndtr(state.place)
        if self._done < self._warmup:
            away = _WIDTH * (torch.special.ndtr(numbers.normal) - 0.5)
        else:
            shape = (*self._factor.shape[:2], -1)
            normal = numbers.normal.flatten(1).unsqueeze(1)  # (parameter, 1, chain * n)
            away = lower_product(self._factor.reshape(shape), normal).reshape(unit.shape)
        place = torch.special.ndtri(_reflected(unit + away).clamp(_EDGE, 1.0 - _EDGE))
        new = State(place, target.value(place))
        taken = numbers.uniform[0] < annealed(state.value - new.value, self._done)
        moved = state.moved(taken, new)
        self._done += 1
        if self._done <= self._warmup:
            self._learn(moved)
        return moved

    def select(self, profiles: Tensor) -> "Annealing":
        """Take profiles ``(m,)`` int64, once the warm-up is over."""
        return replace(self, _factor=self._factor[..., profiles].contiguous())

    def _learn(self, state: State) -> None:
        assert self._moments is not None
        n_parameters, chains, n = state.place.shape
        unit = torch.special.ndtr(state.place)
        self._moments.add(unit.flatten(1).unsqueeze(1))
        if self._done == self._warmup:
            scale = math.sqrt(_FACTOR / n_parameters)
            factor = scale * cholesky(self._moments.covariance(_SHRINKAGE))
            self._factor = factor.reshape(n_parameters, n_parameters, chains, n)
            self._moments = None


def _reflected(unit: Tensor) -> Tensor:
    """Mirror at 0 and 1 what lies beyond."""
    folded = unit.remainder(2.0)
    return torch.where(folded > 1.0, 2.0 - folded, folded)
