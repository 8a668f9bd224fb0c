"""What all samplers share: where chains are, and how a sampler is asked to move them on."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import torch
from torch import Tensor

from xbinn.physics.column import ordered_sum
from xbinn.science.proda.random import Numbers
from xbinn.science.proda.target import Target


@dataclass
class State:
    """Chains of n profiles.

    Attributes
    ----------
    place : Tensor
        (parameter, chain, n), standard normal a priori.
    value : Tensor
        Log-likelihood there, (chain, n).
    slope : Tensor or None
        Its derivatives, (parameter, chain, n), where the sampler uses them.
    """

    place: Tensor
    value: Tensor
    slope: Tensor | None = None

    def select(self, profiles: Tensor) -> "State":
        """Take profiles ``(m,)`` int64."""
        slope = None if self.slope is None else self.slope.index_select(-1, profiles)
        return State(
            self.place.index_select(-1, profiles), self.value.index_select(-1, profiles), slope
        )

    def log_density(self) -> Tensor:
        """Log of the posterior density of the place, up to a constant, (chain, n)."""
        return self.value - half_square(self.place)

    def moved(self, accepted: Tensor, to: "State") -> "State":
        """Go ``to`` another state where ``accepted`` (chain, n)."""
        slope = None
        if self.slope is not None and to.slope is not None:
            slope = torch.where(accepted, to.slope, self.slope)
        return State(
            torch.where(accepted, to.place, self.place),
            torch.where(accepted, to.value, self.value),
            slope,
        )


class Kernel(Protocol):
    """A sampler, with what it has learnt of each profile."""

    every: ClassVar[int]
    """Steps from one draw that is kept to the next."""
    uses_gradient: ClassVar[bool]
    """Whether steps are paid for in gradients or in forward solves."""

    @property
    def evaluations(self) -> int:
        """Solves of each chain in a step."""

    def start(self, target: Target, place: Tensor, warmup: int) -> State:
        """Begin at ``place`` (parameter, chain, n), with ``warmup`` steps ahead to learn from."""

    def step(self, target: Target, state: State, numbers: Numbers) -> State:
        """Move all chains on; while warming up, learn."""

    def select(self, profiles: Tensor) -> Self:
        """Take profiles ``(m,)`` int64."""


def half_square(place: Tensor) -> Tensor:
    """Half the squared length, (parameter, ...) -> (...)."""
    return 0.5 * ordered_sum(place.square())


def acceptance(log_ratio: Tensor) -> Tensor:
    """Probability of acceptance; 0 where the ratio is not a number."""
    return log_ratio.nan_to_num(nan=-torch.inf, posinf=0.0).clamp(max=0.0).exp()


def chain_mean(values: Tensor) -> Tensor:
    """Mean over the chains of each profile, (chain, n) -> (n)."""
    return ordered_sum(values) / len(values)


def lower_product(factor: Tensor, vector: Tensor) -> Tensor:
    """L v for lower triangular L (p, p, n) and v (p, chain, n).

    Column by column, so that a profile's result does not depend on the batch.
    """
    result = torch.zeros_like(vector)
    for q in range(len(factor)):
        result[q:].addcmul_(factor[q:, q].unsqueeze(1), vector[q])
    return result


def transposed_product(factor: Tensor, vector: Tensor) -> Tensor:
    """L^T v, as `lower_product`."""
    result = torch.zeros_like(vector)
    for q in range(len(factor)):
        result[: q + 1].addcmul_(factor[q, : q + 1].unsqueeze(1), vector[q])
    return result


def lower_solve(factor: Tensor, vector: Tensor) -> Tensor:
    """L^-1 v, as `lower_product`."""
    left = vector.clone()
    for q in range(len(factor)):
        left[q].div_(factor[q, q])
        left[q + 1 :].addcmul_(factor[q + 1 :, q].unsqueeze(1), left[q], value=-1.0)
    return left


class Moments:
    """Running mean and covariance of the places of all chains of each profile.

    Parameters
    ----------
    n_parameters, n : int
        Coordinates and profiles.
    device : torch.device
        Where they are.
    """

    def __init__(self, n_parameters: int, n: int, device: torch.device) -> None:
        self.count = 0
        self._sum = torch.zeros((n_parameters, n), dtype=torch.float64, device=device)
        self._products = torch.zeros(
            (n_parameters, n_parameters, n), dtype=torch.float64, device=device
        )

    def add(self, place: Tensor) -> None:
        """Take in places (parameter, chain, n)."""
        for chain in place.unbind(1):
            self.count += 1
            self._sum += chain
            self._products.addcmul_(chain.unsqueeze(1), chain)

    def mean(self) -> Tensor:
        """Mean (parameter, n)."""
        return self._sum / max(self.count, 1)

    def covariance(self, shrinkage: float) -> Tensor:
        """Covariance (parameter, parameter, n), drawn to that of the prior, the identity.

        With the weight that ``shrinkage`` draws from the prior would have.
        """
        mean = self.mean()
        scatter = self._products - self.count * mean.unsqueeze(1) * mean
        identity = torch.eye(len(mean), dtype=mean.dtype, device=mean.device).unsqueeze(-1)
        return (scatter + shrinkage * identity) / (self.count + shrinkage)


def cholesky(covariance: Tensor) -> Tensor:
    """Lower triangular factor of matrices (p, p, n), (p, p, n)."""
    factor: Tensor = torch.linalg.cholesky(covariance.movedim(-1, 0))
    return factor.movedim(0, -1).contiguous()
