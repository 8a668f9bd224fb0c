"""What all encoders do alike: standardise, clip, embed, constrain."""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from xbinn.errors import InputError
from xbinn.learning.encoders.constraints import build_constraint

CATEGORY_DROPOUT: Final = 0.5
EMBEDDING_WIDTH: Final = 5
"""Length of the vector that stands for one category (as published)."""
REACH: Final = 2.0
_EMBEDDING_SCALE: Final = 0.3
# Less than a standardised covariate has: a category must earn its say.


class CovariateEncoder(nn.Module):
    """Features of the covariates, layers that a subclass sets, and a constraint.

    Features are the numeric covariates, standardised and clipped at `reach`, and then the
    embedding of each category: ``(n, n_features)``.

    Parameters
    ----------
    name : str
        Of the kind of encoder.
    n_numeric : int
        Number of numeric covariates.
    n_categories : sequence of int
        Number of known categories of each categorical covariate. The class behind the last
        known one stands for missing and unseen categories.
    n_outputs : int
        Number of parameters.
    constraint : {"sigmoid", "hard_sigmoid"}
        From what the layers say to (0, 1).
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
    gain : float
        Factor between what the layers say and what the constraint takes; not learnt.
    layers : Module
        From ``(n, n_features)`` to ``(n, n_outputs)``.
    """

    mean: Tensor
    scale: Tensor
    layers: nn.Module

    def __init__(
        self,
        name: str,
        n_numeric: int,
        n_categories: Sequence[int],
        n_outputs: int,
        *,
        constraint: str = "sigmoid",
        category_dropout: float = CATEGORY_DROPOUT,
        reach: float = REACH,
    ) -> None:
        super().__init__()
        if n_numeric + len(n_categories) == 0:
            raise InputError(
                f"the encoder {name!r} has no covariate to learn from: give at least one, or "
                "choose the encoder 'constant'"
            )
        check_shares(category_dropout=category_dropout)
        if not reach > 0.0:
            raise InputError(f"reach={reach} clips every covariate to one value: give more than 0")
        self.config: dict[str, Any] = {
            "encoder": name,
            "n_numeric": int(n_numeric),
            "n_categories": [int(k) for k in n_categories],
            "n_outputs": int(n_outputs),
            "constraint": constraint,
            "category_dropout": float(category_dropout),
            "reach": float(reach),
        }
        self.category_dropout = category_dropout
        self.reach = float(reach)
        self.gain = 1.0
        self.register_buffer("mean", torch.zeros(n_numeric))
        self.register_buffer("scale", torch.ones(n_numeric))
        self.embeddings = nn.ModuleList(nn.Embedding(k + 1, EMBEDDING_WIDTH) for k in n_categories)
        for embedding in self.embeddings:
            assert isinstance(embedding, nn.Embedding)
            nn.init.normal_(embedding.weight, std=_EMBEDDING_SCALE)
            # Until it is trained it must say nothing rather than something random.
            nn.init.zeros_(embedding.weight[-1])
        self.constraint = build_constraint(constraint)

    @property
    def n_features(self) -> int:
        """Length of the second axis of `features`."""
        return len(self.mean) + EMBEDDING_WIDTH * len(self.embeddings)

    @torch.no_grad()
    def standardise(self, numeric: Tensor) -> None:
        """Learn mean and scale from the covariates of the training sites.

        Parameters
        ----------
        numeric : Tensor
            ``(n, n_numeric)``. A covariate that does not vary keeps the scale 1.
        """
        if not numeric.shape[1]:
            return  # torch warns of a deviation over no columns
        values = numeric.to(torch.float64)  # elevation squared loses digits in float32
        deviation = values.std(dim=0, correction=0)
        varies = deviation > 1e-12 * values.abs().amax(dim=0)
        self.mean.copy_(values.mean(dim=0))
        self.scale.copy_(torch.where(varies, deviation, torch.ones_like(deviation)))

    @torch.no_grad()
    def recode(self, codes: Sequence[Sequence[int]]) -> None:
        """Take other categories, each standing for one that was learnt.

        Parameters
        ----------
        codes : sequence of sequence of int
            For each categorical covariate the present code of every new code, "missing" last.
        """
        for embedding, own in zip(self.embeddings, codes, strict=True):
            assert isinstance(embedding, nn.Embedding)
            rows = embedding.weight[torch.as_tensor(own, device=embedding.weight.device)]
            embedding.weight = nn.Parameter(rows.clone())
            embedding.num_embeddings = len(own)
        self.config["n_categories"] = [len(own) - 1 for own in codes]

    def standardised(self, numeric: Tensor) -> Tensor:
        """Return numeric covariates ``(n, n_numeric)`` without units, clipped at `reach`."""
        return ((numeric - self.mean) / self.scale).clamp(-self.reach, self.reach)

    def features(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        """Return what the layers take, ``(n, n_features)``; arguments as for `forward`."""
        parts = [self.standardised(numeric)]
        for codes, embed, known in zip(
            categorical.unbind(1), self.embeddings, self.config["n_categories"], strict=True
        ):
            if self.training and self.category_dropout > 0.0:
                left_out = torch.rand(codes.shape, device=codes.device) < self.category_dropout
                codes = codes.masked_fill(left_out, known)
            parts.append(embed(codes))
        return torch.cat(parts, dim=1)

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
        return self.finish(self.begin(numeric, categorical))

    def begin(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        """Return what `finish` takes, (n, k): in evaluation mode alike in all samples."""
        return self.features(numeric, categorical)

    def finish(self, begun: Tensor) -> Tensor:
        """Return what `forward` does, from what `begin` gave."""
        return self._constrained(self.layers(begun))

    def _constrained(self, u: Tensor) -> Tensor:
        """Return what the layers say ``(n, n_outputs)`` as numbers in (0, 1)."""
        constrained: Tensor = self.constraint(self.gain * u)
        return constrained

    def penalised(self, numeric: Tensor, categorical: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `forward` does, and what training adds to the loss for it, a scalar."""
        features = self.features(numeric, categorical)
        u = self.gain * self.layers(features)  # (n, n_outputs)
        return self.constraint(u), self.constraint.penalty(u) + self.penalty(features)

    def penalty(self, features: Tensor) -> Tensor:
        """Return what the kind of encoder asks of its layers beside the loss, a scalar."""
        return features.new_zeros(())


def check_shares(**shares: float) -> None:
    """Refuse what is no share that leaves something, all at once.

    Raises
    ------
    InputError
        Naming them.
    """
    wrong = [f"{name}={share}" for name, share in shares.items() if not 0.0 <= share < 1.0]
    if wrong:
        raise InputError(f"not a share from 0 to below 1: {', '.join(wrong)}")
