"""The network of the published PRODA."""

from collections.abc import Sequence
from typing import Final

from torch import nn

from xbinn.learning.encoders.base import CATEGORY_DROPOUT, REACH, CovariateEncoder

PLAIN_HIDDEN: Final = (256, 512, 512, 256)
"""Widths of the hidden layers (as published)."""


class PlainEncoder(CovariateEncoder):
    """Multilayer perceptron of linear layers and ReLU, without batch norm or dropout.

    Parameters
    ----------
    n_numeric, n_categories, n_outputs, constraint, category_dropout, reach
        As for `CovariateEncoder`.
    hidden : sequence of int
        Widths of the hidden layers.

    References
    ----------
    Tao et al. 2020, doi:10.3389/fdata.2020.00017 (PRODA).
    """

    def __init__(
        self,
        n_numeric: int,
        n_categories: Sequence[int],
        n_outputs: int,
        *,
        constraint: str = "sigmoid",
        category_dropout: float = CATEGORY_DROPOUT,
        reach: float = REACH,
        hidden: Sequence[int] = PLAIN_HIDDEN,
    ) -> None:
        super().__init__(
            "plain",
            n_numeric,
            n_categories,
            n_outputs,
            constraint=constraint,
            category_dropout=category_dropout,
            reach=reach,
        )
        self.config |= {"hidden": [int(width) for width in hidden]}
        # As in a linear encoder: at the start the constraint is a plain sigmoid of the last layer.
        self.gain = self.constraint.gain
        layers: list[nn.Module] = []
        width = self.n_features
        for next_width in hidden:
            linear = nn.Linear(width, next_width)
            # Else signals fade from layer to layer, and nothing is there to bring them back.
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.ReLU()]
            width = next_width
        self.layers = nn.Sequential(*layers, nn.Linear(width, n_outputs))
