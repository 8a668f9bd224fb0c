"""An encoder that can be read: every parameter is a sum of functions of one covariate each.

This is a Kolmogorov-Arnold network (KAN) of one layer, as ScIReN takes for its encoder.

What is published and what is not. From the abstract and public summaries of ScIReN: one KAN layer,
a hard sigmoid, and three penalties, on entropy (sparsity), on roughness of the splines and on
leaving the straight part of the hard sigmoid. From Liu et al.: cubic B-splines on a uniform grid,
the magnitude of a function as its mean absolute value over a batch, and the entropy of the
magnitudes. The formula of ScIReN's roughness penalty and its weights for the soil carbon task
could not be read; public experiment code gives second differences of the coefficients a name and
searches weights from 0.001 to 0.1, the deviation from the mean in place of the absolute value
being an option. `SplineLayer.penalty` says what is done here.

References
----------
Fan et al. 2025, arXiv:2506.14054 (ScIReN).
Liu et al. 2024, arXiv:2404.19756 (KAN).
Eilers and Marx 1996, doi:10.1214/ss/1038425655 (B-splines with penalties).
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from xbinn.learning.encoders.base import (
    CATEGORY_DROPOUT,
    EMBEDDING_WIDTH,
    REACH,
    CovariateEncoder,
)

INTERVALS: Final = 5
"""Intervals of the grid between the clips (the default of KAN)."""
SPARSITY: Final = 1e-3
"""Weight of magnitude and entropy (of the size that was searched)."""
SMOOTHNESS: Final = 1e-2
"""Weight of roughness (of the size that was searched)."""
_DEGREE: Final = 3
_TINY: Final = 1e-6


def cubic_basis(x: Tensor, reach: float, intervals: int) -> Tensor:
    """Evaluate the uniform cubic B-splines that cover [-reach, reach].

    Parameters
    ----------
    x : Tensor
        Any shape, inside [-reach, reach].
    reach : float
        Half the length of the grid.
    intervals : int
        Intervals of the grid.

    Returns
    -------
    Tensor
        ``(*x.shape, intervals + 3)``; they sum to 1. With the peaks
        (`centres`) as weights they give back ``x`` itself.
    """
    step = 2.0 * reach / intervals
    distance = (x.unsqueeze(-1) - centres(reach, intervals).to(x)).abs() / step
    # Of the spline centred at 0: two cubic pieces, the inner one cut out of the outer one.
    outer, inner = ((end - distance).clamp(min=0.0) for end in (2.0, 1.0))
    return (outer**_DEGREE - 4.0 * inner**_DEGREE) / 6.0


def centres(reach: float, intervals: int) -> Tensor:
    """Return where the splines of `cubic_basis` have their peaks, ``(intervals + 3,)``."""
    step = 2.0 * reach / intervals
    return step * torch.arange(-1, intervals + 2, dtype=torch.float64) - reach


class SplineLayer(nn.Module):
    """A sum of one-dimensional functions for each output.

    No base function beside the splines, as KAN has it: a cubic spline holds every straight line
    already, and what two terms share could not be read off either.

    Parameters
    ----------
    n_numeric, n_categorical, n_outputs : int
        Of covariates and outputs. A category adds a linear function of its embedding, that is,
        one number for each class and output.
    reach : float
        Where covariates are clipped.
    intervals : int
        Of the grid between the clips.

    Attributes
    ----------
    coefficients : Tensor
        ``(n_numeric, intervals + 3, n_outputs)``.
    tables : Tensor
        ``(n_categorical, EMBEDDING_WIDTH, n_outputs)``.
    bias : Tensor
        ``(n_outputs,)``.
    """

    def __init__(
        self, n_numeric: int, n_categorical: int, n_outputs: int, *, reach: float, intervals: int
    ) -> None:
        super().__init__()
        self.n_numeric = n_numeric
        self.reach, self.intervals = reach, intervals
        # As a linear layer starts: straight lines, as steep as torch makes them.
        bound = (n_numeric + EMBEDDING_WIDTH * n_categorical) ** -0.5
        slopes = torch.empty(n_numeric, 1, n_outputs).uniform_(-bound, bound)
        start = slopes * centres(reach, intervals).to(slopes)[:, None]
        self.coefficients = nn.Parameter(start)
        tables = torch.empty(n_categorical, EMBEDDING_WIDTH, n_outputs).uniform_(-bound, bound)
        self.tables = nn.Parameter(tables)
        self.bias = nn.Parameter(torch.zeros(n_outputs))

    def _split(self, features: Tensor) -> tuple[Tensor, Tensor]:
        numeric, embedded = features.tensor_split([self.n_numeric], dim=1)
        basis = cubic_basis(numeric, self.reach, self.intervals)  # (n, n_numeric, spline)
        return basis, embedded.unflatten(1, (len(self.tables), EMBEDDING_WIDTH))

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, n_features)`` to ``(n, n_outputs)``."""
        basis, embedded = self._split(features)
        return (
            torch.einsum("njk,jkq->nq", basis, self.coefficients)
            + torch.einsum("njk,jkq->nq", embedded, self.tables)
            + self.bias
        )

    def contributions(self, features: Tensor) -> Tensor:
        """Return what each covariate adds, ``(n, covariate, n_outputs)``: numeric ones first."""
        basis, embedded = self._split(features)
        return torch.cat(
            [
                torch.einsum("njk,jkq->njq", basis, self.coefficients),
                torch.einsum("njk,jkq->njq", embedded, self.tables),
            ],
            dim=1,
        )

    def penalty(self, features: Tensor) -> Tensor:
        """Return magnitude, entropy and roughness with their weights, a scalar.

        The magnitude of a function is its mean absolute deviation over the batch, for a constant
        says nothing of a covariate. Magnitudes are summed over covariates, and their entropy is
        that of the shares of covariates; both are means over outputs, so that each parameter
        keeps few covariates. Roughness is the mean absolute second difference of coefficients,
        which is 0 for a straight line.
        """
        parts = self.contributions(features)
        magnitude = (parts - parts.mean(dim=0)).abs().mean(dim=0)  # (covariate, n_outputs)
        total = magnitude.sum(dim=0)  # (n_outputs,)
        share = magnitude / (total + _TINY)  # (covariate, n_outputs)
        entropy = -(share * (share + _TINY).log()).sum(dim=0)  # (n_outputs,)
        penalty = SPARSITY * (total.mean() + entropy.mean())
        if self.n_numeric:
            rough = self.coefficients.diff(n=2, dim=1).abs().mean()
            penalty = penalty + SMOOTHNESS * rough
        return penalty


class SplineEncoder(CovariateEncoder):
    """Each parameter is a sum over covariates of learnt functions, straight through to its prior.

    Parameters
    ----------
    n_numeric, n_categories, n_outputs
        As for `CovariateEncoder`.
    constraint : {"hard_sigmoid", "sigmoid"}
        Only the hard one, being straight, leaves the sum a sum in the parameter itself.
    category_dropout, reach
        As for `CovariateEncoder`.
    intervals : int
        Of the grid of the splines.

    Attributes
    ----------
    lowest, highest : Tensor
        ``(n_numeric,)`` what was met in training, standardised and clipped: a function says
        nothing beyond. Set by `standardise`, kept in the state.
    """

    layers: SplineLayer
    lowest: Tensor
    highest: Tensor

    def __init__(
        self,
        n_numeric: int,
        n_categories: Sequence[int],
        n_outputs: int,
        *,
        constraint: str = "hard_sigmoid",
        category_dropout: float = CATEGORY_DROPOUT,
        reach: float = REACH,
        intervals: int = INTERVALS,
    ) -> None:
        super().__init__(
            "spline",
            n_numeric,
            n_categories,
            n_outputs,
            constraint=constraint,
            category_dropout=category_dropout,
            reach=reach,
        )
        self.config |= {"intervals": int(intervals)}
        # As for the linear encoder; it also makes the penalties those of a plain logit.
        self.gain = self.constraint.gain
        self.register_buffer("lowest", torch.full((n_numeric,), -self.reach))
        self.register_buffer("highest", torch.full((n_numeric,), self.reach))
        self.layers = SplineLayer(
            n_numeric, len(n_categories), n_outputs, reach=self.reach, intervals=intervals
        )

    @torch.no_grad()
    def standardise(self, numeric: Tensor) -> None:
        """Learn mean, scale and range from the covariates of the training sites."""
        super().standardise(numeric)
        seen = self.standardised(numeric)  # (n, n_numeric)
        self.lowest.copy_(seen.amin(dim=0))
        self.highest.copy_(seen.amax(dim=0))

    def penalty(self, features: Tensor) -> Tensor:
        """Return the penalty of the splines, a scalar."""
        return self.layers.penalty(features)

    @torch.no_grad()
    def functions(self, points: int) -> tuple[Tensor, Tensor]:
        """Evaluate the learnt functions of the numeric covariates.

        Parameters
        ----------
        points : int
            How many, evenly over what was met in training.

        Returns
        -------
        x : Tensor
            ``(n_numeric, points)`` covariates in their own units.
        u : Tensor
            ``(n_numeric, points, n_outputs)`` what is added to u, less its mean over the points.
        """
        share = torch.linspace(0.0, 1.0, points, dtype=torch.float64).to(self.mean)
        # A weighted mean, so that rounding leads nowhere beyond the ends.
        z = self.lowest[:, None] * (1.0 - share) + self.highest[:, None] * share
        basis = cubic_basis(z, self.reach, self.layers.intervals)  # (n_numeric, points, spline)
        u = self.gain * torch.einsum("jpk,jkq->jpq", basis, self.layers.coefficients)
        x = self.mean[:, None] + self.scale[:, None] * z  # (n_numeric, points)
        return x, u - u.mean(dim=1, keepdim=True)

    @torch.no_grad()
    def class_effects(self, number: int) -> Tensor:
        """Return what each class of a categorical covariate adds to u, "missing" adding 0.

        Parameters
        ----------
        number : int
            Which categorical covariate.

        Returns
        -------
        Tensor
            ``(class + 1, n_outputs)``.
        """
        weight = self.embeddings.get_parameter(f"{number}.weight")  # (class + 1, width)
        effects = self.gain * weight @ self.layers.tables[number]
        return effects - effects[-1]
