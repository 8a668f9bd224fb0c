"""The network of the published BINN."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from xbinn.learning.encoders.base import (
    CATEGORY_DROPOUT,
    REACH,
    CovariateEncoder,
    check_shares,
)
from xbinn.options import DROPOUT, HIDDEN

NEGATIVE_SLOPE: Final = 0.3
"""Slope of LeakyReLU below zero (as published)."""


class Encoder(CovariateEncoder):
    """Multilayer perceptron with embedded categories and its own standardisation.

    The published network, plus three things that help in places it has not seen: covariates are
    clipped at `reach`, categories are left out at random, and the last layer starts wide.

    Parameters
    ----------
    n_numeric, n_categories, n_outputs, constraint, category_dropout, reach
        As for `CovariateEncoder`.
    hidden : sequence of int
        Widths of the hidden layers.
    dropout : float
        Share of hidden units left out while training.
    """

    layers: nn.Sequential

    def __init__(
        self,
        n_numeric: int,
        n_categories: Sequence[int],
        n_outputs: int,
        *,
        constraint: str = "sigmoid",
        category_dropout: float = CATEGORY_DROPOUT,
        reach: float = REACH,
        hidden: Sequence[int] = HIDDEN,
        dropout: float = DROPOUT,
    ) -> None:
        check_shares(dropout=dropout, category_dropout=category_dropout)
        super().__init__(
            "mlp",
            n_numeric,
            n_categories,
            n_outputs,
            constraint=constraint,
            category_dropout=category_dropout,
            reach=reach,
        )
        self.config |= {"hidden": [int(width) for width in hidden], "dropout": float(dropout)}
        layers: list[nn.Module] = []
        width = self.n_features
        for next_width in hidden:
            layers += [
                nn.Linear(width, next_width),
                nn.BatchNorm1d(next_width),
                nn.LeakyReLU(NEGATIVE_SLOPE),
                nn.Dropout(dropout),
            ]
            width = next_width
        last = nn.Linear(width, n_outputs)
        # What is divided by T has to be T times as large, or every site starts at mid-prior and
        # the network needs most of its training to get away from there.
        with torch.no_grad():
            last.weight.mul_(self.constraint.gain)
            last.bias.mul_(self.constraint.gain)
        self.layers = nn.Sequential(*layers, last)
        # Linear, batch norm and LeakyReLU stand before the first dropout.
        self._unmasked = 3 if layers else 0

    def begin(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        """Return what `finish` takes, (n, width): the first hidden layer before its dropout."""
        begun: Tensor = self.layers[: self._unmasked](self.features(numeric, categorical))
        return begun

    def finish(self, begun: Tensor) -> Tensor:
        """Return what `forward` does, from what `begin` gave."""
        return self._constrained(self.layers[self._unmasked :](begun))
