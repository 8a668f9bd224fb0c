"""From parameters and forcing to the carbon pools at steady state."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, get_args

import torch
from torch import Tensor

from xbinn.constants import SOIL_POOLS
from xbinn.errors import InputError
from xbinn.options import Bedrock
from xbinn.parameters import PARAMETERS, Parameter
from xbinn.physics.assembly import assemble_and_solve
from xbinn.physics.cascade import Transfers, turnover_rates
from xbinn.physics.column import ordered_sum, time_unit
from xbinn.physics.columns import Columns, prepare_columns
from xbinn.physics.forcing import Forcing
from xbinn.physics.mixing import Mixing
from xbinn.variables import FORCING_NAMES

BEDROCK: tuple[Bedrock, ...] = get_args(Bedrock)


@dataclass(frozen=True)
class SteadyState:
    """A batch of columns at steady state, with what made them so.

    Layers below closed bedrock hold 0 in ``pools`` and ``inputs``, and 1 in the scalars' place in
    ``rates``; `layers` says which exist. Columns without a steady state are NaN in ``pools``.
    Rates, mixing and inputs are in units of ``time_unit``, 1 day in float64.

    Attributes
    ----------
    parameters : Tensor
        What the columns were solved for, (parameter, *batch), physical units.
    pools : Tensor
        (pool, layer, *batch) [gC m-3].
    has_steady_state : Tensor
        (*batch), boolean; False where carbon is supplied to layers in which nothing decomposes
        all year.
    layers : Tensor
        Number of layers that exist, (*batch).
    rates : Tensor
        Decomposition rates, (pool, layer, *batch) [day-1].
    transfers : Transfers
        (transfer, *batch) and (*batch) [1].
    mixing : Mixing
        (layer, *batch) twice [day-1].
    modifier : Tensor
        Mean temperature scalar x mean water scalar x depth scalar, (layer, *batch) [1].
    fraction : Tensor
        Of the plant carbon by layer, (layer, *batch) [1].
    inputs : Tensor
        (4, layer, *batch) [gC m-3 day-1].
    time_unit : float
        Of rates, mixing and inputs [day]; see `xbinn.physics.column.time_unit`.
    annual_input : Tensor
        Total annual input, (*batch) [gC m-2 yr-1].
    """

    parameters: Tensor
    pools: Tensor
    has_steady_state: Tensor
    layers: Tensor
    rates: Tensor
    transfers: Transfers
    mixing: Mixing
    modifier: Tensor
    fraction: Tensor
    inputs: Tensor
    annual_input: Tensor
    time_unit: float

    @cached_property
    def soc(self) -> Tensor:
        """Soil organic carbon S1 + S2 + S3, (layer, *batch) [gC m-3]."""
        return ordered_sum(self.pools[SOIL_POOLS])

    @cached_property
    def turnover(self) -> Tensor:
        """Baseline rates, (pool, *batch) [day-1]."""
        return turnover_rates(self.parameters)

    def unflatten(self, batch: torch.Size) -> "SteadyState":
        """Give a flat batch its shape back."""

        def shaped(t: Tensor) -> Tensor:
            return t.reshape((*t.shape[:-1], *batch))

        values: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                value = type(value)(*map(shaped, value))
            values[field.name] = shaped(value) if isinstance(value, Tensor) else value
        return SteadyState(**values)


@dataclass(frozen=True)
class SoilCarbonModel:
    """CLM5's soil carbon model: 7 pools x 20 layers at steady state.

    Parameters
    ----------
    bedrock : {"closed", "published"}
        ``closed`` conserves carbon: nothing crosses bedrock and nothing exists below it.
        ``published`` is the operator of the PRODA and BINN codes, which does not.
    """

    bedrock: Bedrock = "closed"

    def __post_init__(self) -> None:
        if self.bedrock not in BEDROCK:
            raise InputError(
                f"bedrock={self.bedrock!r} is not known: choose one of "
                f"{', '.join(map(repr, BEDROCK))}"
            )

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The table of its parameters, in the order of their axis."""
        return PARAMETERS

    @property
    def forcing(self) -> tuple[str, ...]:
        """Names of the forcing variables it needs."""
        return FORCING_NAMES

    def steady_state(self, parameters: Tensor, forcing: Forcing | Columns) -> SteadyState:
        """Solve for the pools.

        Parameters
        ----------
        parameters : Tensor
            (parameter, *batch), physical units, in the order of `xbinn.parameters.PARAMETERS`.
        forcing : Forcing or Columns
            With the same batch shape; columns as this model prepares them. Its dtype is the dtype
            of the solve; parameters may be of a higher precision, which is used where they enter.

        Returns
        -------
        SteadyState
            The result of a column never depends on its neighbours in the batch.
        """
        if isinstance(forcing, Columns):
            return self.solve(parameters, forcing)
        batch = forcing.batch_shape
        flat = parameters.reshape(len(PARAMETERS), batch.numel())
        return self.solve(flat, self.prepare(forcing.flatten())).unflatten(batch)

    def prepare(self, forcing: Forcing) -> Columns:
        """Work out once what ``forcing``, of a flat batch (n), decides for any parameters."""
        return prepare_columns(forcing, self.bedrock)

    def solve(self, parameters: Tensor, columns: Columns) -> SteadyState:
        """Solve columns that have been prepared, (parameter, n); as `steady_state` does."""
        system, pools, has_steady_state = assemble_and_solve(parameters, columns)
        if not bool(has_steady_state.all()):
            pools = torch.where(has_steady_state, pools, torch.nan)
        return SteadyState(
            parameters=parameters,
            pools=pools,
            has_steady_state=has_steady_state,
            layers=columns.layers,
            annual_input=ordered_sum(columns.forcing.inputs),
            time_unit=time_unit(pools.dtype),
            **system._asdict(),
        )
