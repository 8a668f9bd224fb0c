"""From parameters and columns to the arguments of the solve."""

from typing import NamedTuple

import torch
from torch import Tensor

from xbinn.constants import MONTHS_PER_YEAR, N_LAYERS
from xbinn.physics.cascade import (
    Transfers,
    decomposition_rates,
    least_rate,
    parameter,
    transfers,
    turnover_rates,
)
from xbinn.physics.column import time_unit
from xbinn.physics.columns import Columns
from xbinn.physics.inputs import allocation, bottom_depth, input_density
from xbinn.physics.mixing import Mixing
from xbinn.physics.paths import fused
from xbinn.physics.scalars import AnnualScalars, annual_scalars, controls, depth_scalar


class Assembled(NamedTuple):
    """Arguments of the solve and what else a steady state holds; see `SteadyState`."""

    rates: Tensor
    transfers: Transfers
    mixing: Mixing
    inputs: Tensor
    modifier: Tensor
    fraction: Tensor


class Climate(NamedTuple):
    """What the climate scalars decide of columns.

    ``has_steady_state`` is (n), ``soil_holds`` and ``litter_holds`` are (layer, n): where soil and
    litter pools can hold carbon. All are boolean.
    """

    has_steady_state: Tensor
    soil_holds: Tensor
    litter_holds: Tensor


def assemble(parameters: Tensor, columns: Columns) -> tuple[Assembled, Tensor]:
    """Form the linear system of columns for ``parameters``, (parameter, n).

    Returns
    -------
    Assembled
        Of all columns.
    Tensor
        Whether there is a steady state, (n), boolean.
    """
    forcing = columns.forcing
    scalars = annual_scalars(
        forcing.temperature,
        forcing.water,
        forcing.oxygen,
        forcing.nitrogen,
        parameter(parameters, "q10"),
        parameter(parameters, "w_scaling"),
    )
    climate = _decided_by_climate(scalars, columns, parameters)
    assembled = _compiled(parameters, columns, scalars, climate)
    if assembled is None:
        assembled = _assemble(parameters, columns, scalars, climate)
    return assembled, climate.has_steady_state


def assemble_and_solve(parameters: Tensor, columns: Columns) -> tuple[Assembled, Tensor] | None:
    """Form the linear system and solve it by one kernel on the CPU, without gradients.

    Returns
    -------
    Assembled, Tensor
        The system and the pools (pool, layer, n) of columns that all have a steady state. None
        where the kernel cannot be had or a gradient is wanted, and where litter rests in a layer:
        then the steps one by one give the same.
    """
    forcing, shape = columns.forcing, columns.shape
    months = (forcing.temperature, forcing.water, forcing.oxygen, forcing.nitrogen)
    given = (parameters, *months, *(shape or ()), forcing.inputs)
    if shape is None or parameters.is_cuda:
        return None
    if torch.is_grad_enabled() and any(t.requires_grad for t in given):
        return None
    compiled = fused(*given[1:])
    n = parameters.shape[-1]
    alike = {t.shape for t in months} == {(MONTHS_PER_YEAR, N_LAYERS, n)}
    if compiled is None or not alike:
        return None
    dtype = forcing.temperature.dtype
    found = compiled.steady_state(
        months,
        torch.stack(
            controls(parameter(parameters, "q10"), parameter(parameters, "w_scaling"), dtype)
        ),
        parameters,
        (
            columns.exists,
            forcing.allocated,
            bottom_depth(columns.layers),
            *shape,
            forcing.inputs,
        ),
        time_unit(dtype),
        least_rate(dtype),
    )
    if found is None:
        return None
    *system, pools = found
    return _named(*system), pools


def _named(
    rates: Tensor,
    between: Tensor,
    cwd_to_l2: Tensor,
    lower: Tensor,
    upper: Tensor,
    inputs: Tensor,
    modifier: Tensor,
    fraction: Tensor,
) -> Assembled:
    """Give what a kernel has formed its names."""
    return Assembled(
        rates, Transfers(between, cwd_to_l2), Mixing(lower, upper), inputs, modifier, fraction
    )


def _assemble(
    parameters: Tensor, columns: Columns, scalars: AnnualScalars, climate: Climate
) -> Assembled:
    """Assemble by operations of torch."""
    forcing = columns.forcing
    dtype = forcing.temperature.dtype
    unit = time_unit(dtype)
    depth = depth_scalar(parameter(parameters, "efolding"), dtype, unit=unit)
    fraction = allocation(parameter(parameters, "beta"), columns.layers, forcing.allocated)
    # Rows that hold nothing get the rate 1: k may be 0 there, and 0/0 is no pool.
    soil = torch.where(climate.soil_holds, scalars.soil * depth, 1.0)
    litter = torch.where(climate.litter_holds, scalars.litter * depth, 1.0)
    return Assembled(
        rates=decomposition_rates(turnover_rates(parameters), soil, litter),
        transfers=transfers(parameters, dtype),
        mixing=_mixing(parameters, columns),
        inputs=input_density(forcing.inputs.to(dtype), fraction, unit=unit),
        modifier=scalars.temperature * scalars.water * depth * (1.0 / unit),
        fraction=fraction,
    )


def _compiled(
    parameters: Tensor, columns: Columns, scalars: AnnualScalars, climate: Climate
) -> Assembled | None:
    """Assemble by the kernel, which knows closed bedrock only and no gradient of the inputs."""
    forcing, shape = columns.forcing, columns.shape
    if shape is None or forcing.inputs.requires_grad:
        return None
    compiled = fused(*scalars, *shape, forcing.inputs)
    if compiled is None or parameters.shape[-1] != forcing.inputs.shape[-1]:
        return None
    dtype = forcing.temperature.dtype
    system = compiled.assemble(
        parameters,
        *scalars,
        climate.soil_holds,
        climate.litter_holds,
        columns.exists,
        forcing.allocated,
        bottom_depth(columns.layers),
        *shape,
        forcing.inputs,
        time_unit(dtype),
        least_rate(dtype),
    )
    return _named(*system)


def _mixing(parameters: Tensor, columns: Columns) -> Mixing:
    return columns.mixing(
        parameter(parameters, "diffus"),
        parameter(parameters, "cryo"),
        unit=time_unit(columns.forcing.temperature.dtype),
    )


def _decided_by_climate(scalars: AnnualScalars, columns: Columns, parameters: Tensor) -> Climate:
    """By the climate scalars alone, before anything can underflow: the same in every precision."""
    exists, forcing = columns.exists, columns.forcing
    litter = (scalars.litter != 0.0) & exists
    # Litter scalars are zero wherever soil scalars are: the common case needs no more.
    if torch.equal(litter, exists):
        return Climate(torch.ones_like(forcing.allocated), exists, exists)
    soil = (scalars.soil != 0.0) & exists
    surface = torch.zeros_like(exists)
    surface[0] = True
    supplied = torch.where(forcing.allocated, exists, surface)
    trapped = (supplied & ~litter).any(0) & (forcing.inputs > 0.0).any(0)
    with torch.no_grad():
        mixing = _mixing(parameters, columns)
    return Climate(~trapped, _reached(soil, mixing), _reached(litter, mixing))


def _reached(decomposes: Tensor, mixing: Mixing) -> Tensor:
    """Layers from which mixing brings carbon to where it decomposes, (layer, n), boolean."""
    reached = decomposes.clone()
    downward, upward = mixing.upper > 0.0, mixing.lower > 0.0
    for j in range(N_LAYERS - 2, -1, -1):
        reached[j] |= reached[j + 1] & downward[j]
    for j in range(1, N_LAYERS):
        reached[j] |= reached[j - 1] & upward[j]
    return reached
