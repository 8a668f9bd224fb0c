"""The soil carbon model with some of its parameters known, column by column.

To a network this is a process model with fewer parameters: what is known travels with the forcing
and takes no part in the fit.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from xbinn.errors import ParameterError
from xbinn.parameters import PARAMETER_NAMES, PARAMETERS, Parameter
from xbinn.physics.columns import Columns
from xbinn.physics.forcing import Forcing
from xbinn.physics.steady_state import SoilCarbonModel, SteadyState


@dataclass(frozen=True)
class KnownForcing:
    """Forcing of n columns, and parameters that are known there.

    Attributes
    ----------
    forcing : Forcing or Columns
        Batch (n,).
    parameters : Tensor
        (parameter, n), all of the table, physical units. Those that are not known are not looked
        at.
    """

    forcing: Forcing | Columns
    parameters: Tensor

    def select(self, index: Tensor) -> "KnownForcing":
        """Take columns ``index`` (m,) int64."""
        return KnownForcing(self.forcing.select(index), self.parameters.index_select(-1, index))


@dataclass(frozen=True)
class PartlyKnownModel:
    """Soil carbon model of which only some parameters are to be found.

    Parameters
    ----------
    model : SoilCarbonModel
        Takes all parameters.
    unknown : tuple of str
        Names of those to be found, in the order of the table.

    Raises
    ------
    ParameterError
        If a name is not known, repeated or out of order, or there is none.
    """

    model: SoilCarbonModel
    unknown: tuple[str, ...] = PARAMETER_NAMES

    def __post_init__(self) -> None:
        ordered = tuple(name for name in PARAMETER_NAMES if name in self.unknown)
        if not ordered or ordered != tuple(self.unknown):
            raise ParameterError(
                f"unknown={self.unknown!r} must name one or more parameters, each once, in the "
                f"order of the table: {', '.join(PARAMETER_NAMES)}"
            )

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The rows of the table that are to be found."""
        return tuple(p for p in PARAMETERS if p.name in self.unknown)

    def complete(self, parameters: Tensor, known: Tensor) -> Tensor:
        """Put unknown parameters (unknown, n) among the known ones, (parameter, n) both ways."""
        rows = [PARAMETER_NAMES.index(name) for name in self.unknown]
        index = torch.tensor(rows, device=parameters.device)
        return known.to(parameters.dtype).index_copy(0, index, parameters)

    def steady_state(self, parameters: Tensor, forcing: KnownForcing) -> SteadyState:
        """Solve for the pools, given ``parameters`` (unknown, n) in physical units."""
        full = self.complete(parameters, forcing.parameters)  # (parameter, n)
        return self.model.steady_state(full, forcing.forcing)
