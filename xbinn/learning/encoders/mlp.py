"""The network of the published BINN."""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from xbinn.errors import InputError
from xbinn.learning.encoders.constraints import UnitInterval
from xbinn.options import DROPOUT, HIDDEN

CATEGORY_DROPOUT: Final = 0.5
EMBEDDING_WIDTH: Final = 5
"""Length of the vector that stands for one category (as published)."""
NEGATIVE_SLOPE: Final = 0.3
"""Slope of LeakyReLU below zero (as published)."""
REACH: Final = 2.0
_EMBEDDING_SCALE: Final = 0.3
# Less than a standardised covariate has: a category must earn its say.


class Encoder(nn.Module):
    """Multilayer perceptron with embedded categories and its own standardisation.

    The published network, plus three things that help in places it has not seen: covariates are
    clipped at `reach`, categories are left out at random, and the last layer starts wide.

    Parameters
    ----------
    n_numeric : int
        Number of numeric covariates.
    n_categories : sequence of int
        Number of known categories of each categorical covariate. The class behind the last
        known one stands for missing and unseen categories.
    n_outputs : int
        Number of parameters.
    hidden : sequence of int
        Widths of the hidden layers.
    dropout : float
        Share of hidden units left out while training.
    category_dropout : float
        Share of categories taken for missing while training, so that the missing class learns
        what can be said without the category.
    reach : float
        Standard deviations at which a covariate is clipped: beyond, a place is merely extreme.
        Without it a few outlying sites set the slope with which unseen places are extrapolated.

    Attributes
    ----------
    mean, scale : Tensor
        ``(n_numeric,)``, in the covariates' own units; set by `standardise`, kept in the state.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        n_numeric: int,
        n_categories: Sequence[int],
        n_outputs: int,
        *,
        hidden: Sequence[int] = HIDDEN,
        dropout: float = DROPOUT,
        category_dropout: float = CATEGORY_DROPOUT,
        reach: float = REACH,
    ) -> None:
        super().__init__()
        if n_numeric + len(n_categories) == 0:
            raise InputError(
                "the encoder 'mlp' has no covariate to learn from: give at least one, or choose "
                "the encoder 'constant'"
            )
        shares = {"dropout": dropout, "category_dropout": category_dropout}
        wrong = [f"{name}={share}" for name, share in shares.items() if not 0.0 <= share < 1.0]
        if wrong:
            raise InputError(f"not a share from 0 to below 1: {', '.join(wrong)}")
        if not reach > 0.0:
            raise InputError(f"reach={reach} clips every covariate to one value: give more than 0")
        self.config: dict[str, Any] = {
            "encoder": "mlp",
            "n_numeric": int(n_numeric),
            "n_categories": [int(k) for k in n_categories],
            "n_outputs": int(n_outputs),
            "hidden": [int(width) for width in hidden],
            "dropout": float(dropout),
            "category_dropout": float(category_dropout),
            "reach": float(reach),
        }
        self.category_dropout = category_dropout
        self.reach = float(reach)
        self.register_buffer("mean", torch.zeros(n_numeric))
        self.register_buffer("scale", torch.ones(n_numeric))
        self.embeddings = nn.ModuleList(nn.Embedding(k + 1, EMBEDDING_WIDTH) for k in n_categories)
        for embedding in self.embeddings:
            assert isinstance(embedding, nn.Embedding)
            nn.init.normal_(embedding.weight, std=_EMBEDDING_SCALE)
            # Until it is trained it must say nothing rather than something random.
            nn.init.zeros_(embedding.weight[-1])
        layers: list[nn.Module] = []
        width = n_numeric + EMBEDDING_WIDTH * len(n_categories)
        for next_width in hidden:
            layers += [
                nn.Linear(width, next_width),
                nn.BatchNorm1d(next_width),
                nn.LeakyReLU(NEGATIVE_SLOPE),
                nn.Dropout(dropout),
            ]
            width = next_width
        self.constraint = UnitInterval()
        last = nn.Linear(width, n_outputs)
        # What is divided by T has to be T times as large, or every site starts at mid-prior and
        # the network needs most of its training to get away from there.
        with torch.no_grad():
            last.weight.mul_(self.constraint.temperature)
            last.bias.mul_(self.constraint.temperature)
        self.layers = nn.Sequential(*layers, last)

    @torch.no_grad()
    def standardise(self, numeric: Tensor) -> None:
        """Learn mean and scale from the covariates of the training sites.

        Parameters
        ----------
        numeric : Tensor
            ``(n, n_numeric)``. A covariate that does not vary keeps the scale 1.
        """
        values = numeric.to(torch.float64)  # elevation squared loses digits in float32
        deviation = values.std(dim=0, correction=0)
        varies = deviation > 1e-12 * values.abs().amax(dim=0)
        self.mean.copy_(values.mean(dim=0))
        self.scale.copy_(torch.where(varies, deviation, torch.ones_like(deviation)))

    def forward(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        """Return the parameters as numbers in (0, 1).

        Parameters
        ----------
        numeric : Tensor
            ``(n, n_numeric)``, in the covariates' own units.
        categorical : Tensor
            ``(n, n_categorical)`` int64, class codes.

        Returns
        -------
        Tensor
            ``(n, n_outputs)``. A row with a NaN covariate is NaN.
        """
        parts = [((numeric - self.mean) / self.scale).clamp(-self.reach, self.reach)]
        for codes, embed, known in zip(
            categorical.unbind(1), self.embeddings, self.config["n_categories"], strict=True
        ):
            if self.training and self.category_dropout > 0.0:
                left_out = torch.rand(codes.shape, device=codes.device) < self.category_dropout
                codes = codes.masked_fill(left_out, known)
            parts.append(embed(codes))
        u: Tensor = self.layers(torch.cat(parts, dim=1))
        constrained: Tensor = self.constraint(u)
        return constrained
