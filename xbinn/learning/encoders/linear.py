"""The simplest network that looks at covariates."""

from collections.abc import Sequence

from torch import nn

from xbinn.learning.encoders.base import CATEGORY_DROPOUT, REACH, CovariateEncoder


class LinearEncoder(CovariateEncoder):
    """One linear layer from standardised covariates and embedded categories.

    Parameters
    ----------
    n_numeric, n_categories, n_outputs, constraint, category_dropout, reach
        As for `CovariateEncoder`.
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
    ) -> None:
        super().__init__(
            "linear",
            n_numeric,
            n_categories,
            n_outputs,
            constraint=constraint,
            category_dropout=category_dropout,
            reach=reach,
        )
        # A factor, not larger weights: a single layer could not cross the prior at the learning
        # rate that suits a deeper network.
        self.gain = self.constraint.gain
        self.layers = nn.Linear(self.n_features, n_outputs)
