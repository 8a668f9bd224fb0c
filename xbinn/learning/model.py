"""The join: an encoder proposes parameters, a process model turns them into carbon.

The process model is whatever has a parameter table and a steady state (`ProcessModel`); nothing
here knows soil. Batch kinds: ``n`` is the number of sites; the encoder's side is batch first
``(n, ...)``, the process model's side is batch last ``(..., n)``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from xbinn.constants import KG_PER_G
from xbinn.errors import ParameterError
from xbinn.learning.encoders import AnyEncoder


class BoundedParameter(Protocol):
    """What the join has to know of one parameter."""

    @property
    def name(self) -> str:
        """Name of the parameter."""

    @property
    def priors(self) -> Mapping[str, tuple[float, float]]:
        """Bounds by the name of the prior, in physical units."""


class SiteForcing(Protocol):
    """Forcing of many sites, the site being the last axis of everything in it."""

    def select(self, index: Tensor, /) -> Self:
        """Return the forcing of the sites `index` ``(m,)`` int64, in that order."""


class State(Protocol):
    """What training has to know of a steady state."""

    @property
    def soc(self) -> Tensor:
        """Soil organic carbon ``(layer, *batch)`` [gC m-3], 0 where there is no soil."""


ForcingT = TypeVar("ForcingT", bound=SiteForcing)
ForcingT_contra = TypeVar("ForcingT_contra", bound=SiteForcing, contravariant=True)
StateT = TypeVar("StateT", bound=State)
StateT_co = TypeVar("StateT_co", bound=State, covariant=True)


class ProcessModel(Protocol[ForcingT_contra, StateT_co]):
    """A process model: a parameter table, and carbon for given parameters and forcing."""

    @property
    def parameters(self) -> Sequence[BoundedParameter]:
        """The parameter table; its order is the order of every parameter axis."""

    def steady_state(self, parameters: Tensor, forcing: ForcingT_contra) -> StateT_co:
        """Return the state for `parameters` ``(parameter, *batch)`` in physical units."""


@dataclass(frozen=True)
class Estimate(Generic[StateT]):
    """What a model says of n sites.

    Attributes
    ----------
    parameters : Tensor
        ``(parameter, n)``, physical units.
    unit : Tensor
        ``(n, parameter)``, the same as fractions of their prior range.
    state : object
        Steady state of the process model, batch ``(n,)``.
    penalty : Tensor
        What the encoder asks for beside the loss, a scalar; 0 in evaluation mode.
    """

    parameters: Tensor
    unit: Tensor
    state: StateT
    penalty: Tensor

    @property
    def soc(self) -> Tensor:
        """Soil organic carbon density ``(layer, n)`` [kg m-3]."""
        return self.state.soc * KG_PER_G


class BINN(nn.Module, Generic[ForcingT, StateT]):
    """Biogeochemistry-informed neural network.

    Parameters
    ----------
    encoder : CovariateEncoder or ConstantEncoder
        Has one output for each parameter of `process`.
    process : ProcessModel
        Holds no weights.
    prior : str
        Name of the bounds in the parameter table.

    Raises
    ------
    ParameterError
        If the prior is unknown or the encoder has another number of outputs.

    References
    ----------
    Xu et al. 2025, arXiv:2502.00672.
    """

    lower: Tensor
    span: Tensor

    def __init__(
        self, encoder: AnyEncoder, process: ProcessModel[ForcingT, StateT], *, prior: str
    ) -> None:
        super().__init__()
        table = process.parameters
        without = [p.name for p in table if prior not in p.priors]
        if without:
            known = sorted(set.intersection(*(set(p.priors) for p in table)))
            raise ParameterError(
                f"prior {prior!r} is not known to {', '.join(without)}: choose one of "
                f"{', '.join(map(repr, known))}"
            )
        n_outputs = encoder.config["n_outputs"]
        if n_outputs != len(table):
            raise ParameterError(
                f"the encoder has {n_outputs} outputs and the process model {len(table)} "
                f"parameters: build the encoder with n_outputs={len(table)}"
            )
        self.encoder = encoder
        self.process = process
        self.prior = prior
        bounds = torch.tensor([p.priors[prior] for p in table], dtype=torch.float64)
        # Not saved: they belong to the prior, which is saved by its name. In float64 whatever the
        # network is in: the process model may want more digits of a parameter than the network.
        self.register_buffer("lower", bounds[:, 0], persistent=False)
        self.register_buffer("span", bounds[:, 1] - bounds[:, 0], persistent=False)

    def physical(self, unit: Tensor) -> Tensor:
        """Map ``(n, parameter)`` in [0, 1] to ``(parameter, n)`` in physical units."""
        return (self.lower + self.span * unit).T.contiguous()

    def forward(self, numeric: Tensor, categorical: Tensor, forcing: ForcingT) -> Estimate[StateT]:
        """Estimate parameters and steady state.

        Parameters
        ----------
        numeric : Tensor
            ``(n, p)`` numeric covariates in their own units.
        categorical : Tensor
            ``(n, c)`` int64 class codes.
        forcing : SiteForcing
            Of the same n sites.
        """
        if self.training:
            unit, penalty = self.encoder.penalised(numeric, categorical)
        else:
            unit = self.encoder(numeric, categorical)
            penalty = unit.new_zeros(())
        parameters = self.physical(unit)
        return Estimate(parameters, unit, self.process.steady_state(parameters, forcing), penalty)

    def __call__(self, *args: Any, **kwargs: Any) -> Estimate[StateT]:
        """Run `forward` with torch's hooks; here for its return type."""
        estimate: Estimate[StateT] = super().__call__(*args, **kwargs)
        return estimate
