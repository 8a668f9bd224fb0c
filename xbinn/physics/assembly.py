"""From parameters and columns to the linear system, and through its solve to the pools."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from xbinn.constants import MONTHS_PER_YEAR, N_LAYERS
from xbinn.parameters import N_PARAMETERS
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
from xbinn.physics.solver import solve


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


def assemble_and_solve(parameters: Tensor, columns: Columns) -> tuple[Assembled, Tensor, Tensor]:
    """Form the linear system and solve it: by one kernel where it serves, else step by step.

    Returns
    -------
    Assembled
        The system of all columns.
    Tensor
        Pools, (pool, layer, n), without meaning where there is no steady state.
    Tensor
        Whether there is one, (n), boolean.
    """
    found = _at_once(parameters, columns)
    if found is not None:
        return found
    system, has_steady_state = assemble(parameters, columns)
    return system, _solve(system), has_steady_state


def _at_once(parameters: Tensor, columns: Columns) -> tuple[Assembled, Tensor, Tensor] | None:
    """Do so by the kernel of all steps, which is for the CPU and takes no gradients."""
    forcing, shape = columns.forcing, columns.shape
    if shape is None:
        return None
    months = (forcing.temperature, forcing.water, forcing.oxygen, forcing.nitrogen)
    given = (*months, *shape, forcing.inputs)
    if _differentiated(parameters, *given):
        return None
    dtype, n = forcing.temperature.dtype, forcing.inputs.shape[-1]
    both = controls(parameter(parameters, "q10"), parameter(parameters, "w_scaling"), dtype)
    compiled = fused(*both, *given)
    alike = parameters.shape == (N_PARAMETERS, n) and {t.shape for t in months} == {
        (MONTHS_PER_YEAR, N_LAYERS, n)
    }
    if compiled is None or not alike or n < compiled.LEAST_COLUMNS or parameters.is_cuda:
        return None
    found, pools, rests = compiled.steady_state(
        months,
        torch.stack(both),
        parameters,
        (columns.exists, forcing.allocated, bottom_depth(columns.layers), *shape, forcing.inputs),
        time_unit(dtype),
        least_rate(dtype),
    )
    system, has_steady_state = _named(*found), torch.ones_like(forcing.allocated)
    if bool(rests.any()):
        some = rests.nonzero().squeeze(-1)
        part, has_steady_state[some] = assemble(parameters[:, some], columns.select(some))
        for whole, values in zip(_tensors(system), _tensors(part), strict=True):
            whole[..., some] = values
        pools[..., some] = _solve(part)
    return system, pools, has_steady_state


def _solve(system: Assembled) -> Tensor:
    return solve(system.rates, system.transfers, system.mixing, system.inputs)


def _differentiated(*tensors: Tensor) -> bool:
    """Whether a gradient or a tangent of any is wanted."""
    backward = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    return backward or any(unpack_dual(t).tangent is not None for t in tensors)


def _tensors(system: Assembled) -> list[Tensor]:
    return [t for part in system for t in ((part,) if isinstance(part, Tensor) else part)]


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
