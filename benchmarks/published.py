"""The soil carbon model as published codes compute it: a dense matrix by profile and month.

Written from its description (Xu et al. 2025; Tao et al. 2020), not from their code: for each of
twelve months the 140 x 140 operator of every profile is assembled, the months are averaged, and
the mean is factorised. All profiles of a batch and all entries of a matrix are worked on together,
which is more than a loop over profiles would get out of a machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xbinn.constants import (
    INPUT_POOLS,
    MONTHS_PER_YEAR,
    N_POOLS,
    Q10_INTERVAL,
    REFERENCE_TEMPERATURE,
    SOIL_POOLS,
)
from xbinn.parameters import PARAMETERS, Parameter
from xbinn.physics import dense
from xbinn.physics.cascade import decomposition_rates, parameter, transfers, turnover_rates
from xbinn.physics.columns import Columns
from xbinn.physics.inputs import allocation, input_density
from xbinn.physics.mixing import closed_mixing, closed_shape
from xbinn.physics.scalars import depth_scalar


@dataclass(frozen=True)
class DenseState:
    """Pools of a batch, (pool, layer, n) [gC m-3]; 0 below bedrock."""

    pools: Tensor

    @property
    def soc(self) -> Tensor:
        """Soil organic carbon, (layer, n) [gC m-3]."""
        return self.pools[SOIL_POOLS].sum(0)


@dataclass(frozen=True)
class DenseModel:
    """Takes the place of `xbinn.physics.steady_state.SoilCarbonModel` in a network."""

    @property
    def parameters(self) -> Sequence[Parameter]:
        """The same table."""
        return PARAMETERS

    def steady_state(self, parameters: Tensor, columns: Columns) -> DenseState:
        """Solve for the pools, ``parameters`` (parameter, n)."""
        forcing = columns.forcing
        inputs = input_density(
            forcing.inputs,
            allocation(parameter(parameters, "beta"), columns.layers, forcing.allocated),
        )
        matrix = month_operator(parameters, columns, 0)
        for month in range(1, MONTHS_PER_YEAR):
            matrix = matrix + month_operator(parameters, columns, month)
        empty = inputs.new_zeros((N_POOLS - len(INPUT_POOLS), *inputs.shape[1:]))
        supplied = torch.cat((inputs, empty)).flatten(0, 1).T.to(matrix.dtype)
        pools = torch.linalg.solve(matrix / MONTHS_PER_YEAR, supplied).T
        return DenseState(pools.reshape(N_POOLS, *inputs.shape[1:]) * columns.exists)


def month_operator(parameters: Tensor, columns: Columns, month: int) -> Tensor:
    """T - A K of one month, (n, 140, 140) [day-1]."""
    forcing = columns.forcing
    temperature = forcing.temperature[month]
    dtype = temperature.dtype
    warming = (temperature - REFERENCE_TEMPERATURE) / Q10_INTERVAL
    water = (parameter(parameters, "w_scaling").to(dtype) * forcing.water[month]).clamp(max=1.0)
    soil = parameter(parameters, "q10").to(dtype) ** warming * water * forcing.oxygen[month]
    soil = soil * depth_scalar(parameter(parameters, "efolding"), dtype)
    litter = soil * forcing.nitrogen[month]
    rates = decomposition_rates(
        turnover_rates(parameters),
        torch.where(columns.exists, soil, 1.0),
        torch.where(columns.exists, litter, 1.0),
    )
    altmax = forcing.altmax[month].expand(MONTHS_PER_YEAR, -1)
    mixing = closed_mixing(
        closed_shape(altmax, columns.nbedrock, dtype),
        parameter(parameters, "diffus"),
        parameter(parameters, "cryo"),
    )
    return dense.assemble(rates, transfers(parameters, dtype), mixing)
