"""The posterior of the 21 parameters of many profiles at once, in coordinates without bounds.

A prior is uniform on a box, so each parameter as a fraction u of its range is sampled as z with
u = Phi(z), Phi the normal distribution function: z is standard normal a priori. The density of z is
the likelihood times a standard normal; that of u needs no Jacobian besides.

Batch kinds: ``n`` profiles and ``chain`` chains of each; tensors end in (chain, n).
"""

from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from xbinn.constants import KG_PER_G, N_LAYERS
from xbinn.parameters import Prior, prior_bounds
from xbinn.physics.column import ordered_sum, spread
from xbinn.physics.columns import Columns
from xbinn.physics.forcing import Forcing
from xbinn.physics.steady_state import SoilCarbonModel
from xbinn.science.proda.likelihoods import LIKELIHOODS, Likelihood
from xbinn.science.proda.pchip import pchip


class Target(Protocol):
    """What a sampler has to know: a log-likelihood of standard normal coordinates."""

    @property
    def n_parameters(self) -> int:
        """Number of coordinates."""

    def value(self, place: Tensor) -> Tensor:
        """Log-likelihood (chain, n) at ``place`` (parameter, chain, n); -inf where impossible."""

    def value_and_slope(self, place: Tensor) -> tuple[Tensor, Tensor]:
        """The same, and its derivatives (parameter, chain, n)."""

    def select(self, profiles: Tensor) -> Self:
        """Take profiles ``(m,)`` int64."""


@dataclass(frozen=True)
class SampleTable:
    """Samples of n profiles, padded to the profile that has most.

    Attributes
    ----------
    weights : Tensor
        Observation operator (layer, sample, n); 0 where a profile has no such sample.
    depth : Tensor
        Middle of the sample, within the soil, (sample, n) [m].
    observed : Tensor
        (sample, n) [kg m-3].
    weight : Tensor
        Of the published likelihood, (sample, n).
    counted : Tensor
        Whether there is such a sample, (sample, n), boolean.
    """

    weights: Tensor
    depth: Tensor
    observed: Tensor
    weight: Tensor
    counted: Tensor

    def select(self, profiles: Tensor) -> "SampleTable":
        """Take profiles ``(m,)`` int64."""
        names = ("weights", "depth", "observed", "weight", "counted")
        return SampleTable(**{n: getattr(self, n).index_select(-1, profiles) for n in names})


@dataclass(frozen=True)
class SoilTarget:
    """Posterior of the parameters of profiles under the soil carbon model.

    Made by `soil_target`.

    Attributes
    ----------
    model : SoilCarbonModel
        With its treatment of bedrock.
    columns : Columns
        Those of the profiles, for one chain after the other, (chain * n).
    samples : SampleTable
        Of the n profiles.
    prior : {"binn", "proda"}
        Bounds of the parameters.
    likelihood : {"relative", "published"}
        See `xbinn.science.proda.likelihoods`.
    interpolated : bool
        Whether samples are seen by pchip between the nodes instead of by their weights.
    """

    model: SoilCarbonModel
    columns: Columns
    samples: SampleTable
    prior: Prior
    likelihood: Likelihood
    interpolated: bool

    @property
    def n_parameters(self) -> int:
        """Number of coordinates."""
        return len(prior_bounds(self.prior))

    def physical(self, place: Tensor) -> Tensor:
        """Parameters in physical units at ``place`` (parameter, ...)."""
        bounds = torch.tensor(prior_bounds(self.prior), dtype=torch.float64, device=place.device)
        low, high = bounds.T.reshape(2, -1, *(1,) * (place.ndim - 1))
        physical: Tensor = low + (high - low) * torch.special.ndtr(place)
        return physical

    def modelled(self, place: Tensor) -> Tensor:
        """What samples show at ``place`` (parameter, chain, n), (sample, chain, n) [kg m-3]."""
        chains, n = place.shape[1:]
        state = self.model.solve(self.physical(place).flatten(1), self.columns)
        soc = state.soc.reshape(N_LAYERS, chains, n) * KG_PER_G
        samples = self.samples
        if self.interpolated:
            return pchip(soc, samples.depth, self.columns.layers[:n])
        # Layer by layer, and spread over the samples instead of broadcast: the order in which a sum
        # is formed, here or in the gradient, must not depend on the batch.
        weights = samples.weights.unsqueeze(2)  # (layer, sample, 1, n)
        layers = spread(soc, axis=1, size=weights.shape[1])  # (layer, sample, chain, n)
        seen = weights[0] * layers[0]
        for weight, layer in zip(weights[1:], layers[1:], strict=True):
            seen = torch.addcmul(seen, weight, layer)
        return seen

    def value(self, place: Tensor) -> Tensor:
        """Log-likelihood (chain, n) at ``place`` (parameter, chain, n); -inf where impossible."""
        with torch.no_grad():
            value = self._value(place)
        return value.where(value.isfinite(), -torch.inf)

    def value_and_slope(self, place: Tensor) -> tuple[Tensor, Tensor]:
        """The same, and its derivatives (parameter, chain, n), 0 where there are none."""
        with torch.enable_grad():
            leaf = place.detach().requires_grad_()
            value = self._value(leaf)
            (slope,) = torch.autograd.grad(value.sum(), leaf)
        value = value.detach()
        possible = value.isfinite() & slope.isfinite().all(0)
        return value.where(possible, -torch.inf), slope.where(possible, 0.0)

    def _value(self, place: Tensor) -> Tensor:
        samples = self.samples
        observed, weight, counted = (
            t.unsqueeze(1) for t in (samples.observed, samples.weight, samples.counted)
        )
        modelled = self.modelled(place)
        # What is not counted must not reach the gradient either.
        modelled = modelled.where(counted, observed)
        terms = LIKELIHOODS[self.likelihood](modelled, observed, weight)
        return ordered_sum(terms.where(counted, 0.0).double())

    def select(self, profiles: Tensor) -> "SoilTarget":
        """Take profiles ``(m,)`` int64."""
        n = self.samples.observed.shape[-1]
        chains = len(self.columns.layers) // n
        first = torch.arange(chains, device=profiles.device).unsqueeze(1) * n
        return replace(
            self,
            columns=self.columns.select((first + profiles).flatten()),
            samples=self.samples.select(profiles),
        )


def soil_target(
    model: SoilCarbonModel,
    forcing: Forcing,
    samples: SampleTable,
    *,
    chains: int,
    prior: Prior,
    likelihood: Likelihood,
    interpolated: bool = False,
) -> SoilTarget:
    """Make the target of n profiles; see `SoilTarget` for what is not here.

    Parameters
    ----------
    model : SoilCarbonModel
        With its treatment of bedrock.
    forcing : Forcing
        Of the profiles, batch (n).
    samples : SampleTable
        Of the same profiles.
    chains : int
        That each profile will have.
    prior, likelihood, interpolated
        As in `SoilTarget`.
    """
    n = samples.observed.shape[-1]
    once = model.prepare(forcing)
    columns = once.select(torch.arange(n, device=samples.observed.device).repeat(chains))
    return SoilTarget(model, columns, samples, prior, likelihood, interpolated)
