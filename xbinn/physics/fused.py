"""Kernels as operations that torch can differentiate: the twins of those in `xbinn.physics`.

Needs numba; `xbinn.physics.paths` decides when it is used. Arguments and results are those of the
twins, gradients those in rates, transfers, transport, inputs, scalars and parameters: a forcing
that takes gradients itself goes the other way. Kernels run where the tensors lie.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from xbinn.constants import N_INPUTS, N_LAYERS, N_POOLS
from xbinn.parameters import PARAMETER_NAMES, TRANSFERS
from xbinn.physics.counting import note_solves
from xbinn.physics.inputs import CM_PER_M
from xbinn.physics.kernels import assembling, months, shaping, solving, whole
from xbinn.physics.kernels.lanes import WIDTH

_BETA = PARAMETER_NAMES.index("beta")
LEAST_COLUMNS = WIDTH
"""Columns that `steady_state` needs; it is for the CPU."""
_SCALARS = 4
_TRIED = 3
"""Columns that a device is tried with."""
_CLOSE = 1e-4
"""Part of the largest value, in single precision."""


class Solve(torch.autograd.Function):
    """The twin of the structured solve in `xbinn.physics.solver`."""

    @staticmethod
    def forward(
        ctx: Any,
        rates: Tensor,  # (pool, layer, n)
        between: Tensor,  # (transfer, n)
        cwd_to_l2: Tensor,  # (n)
        lower: Tensor,  # (layer, n)
        upper: Tensor,  # (layer, n)
        inputs: Tensor,  # (4, layer, n)
    ) -> Tensor:
        """Solve for the pools, (pool, layer, n)."""
        note_solves(forward=rates.shape[-1])
        pools = rates.new_empty(rates.shape)
        given = (rates, between, cwd_to_l2, lower, upper)
        _call(solving.solve, *given, inputs, pools)
        ctx.save_for_backward(*given, inputs[0], pools)
        return pools

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Solve the transposed system for the gradients of all arguments."""
        note_solves(transposed=gradient.shape[-1])
        *given, debris, pools = ctx.saved_tensors
        found = [t.new_empty(t.shape) for t in given]
        found.append(debris.new_empty((N_INPUTS, *debris.shape)))
        _call(solving.solve_adjoint, *given, debris, pools, gradient, *found)
        return _wanted(ctx, *found)


class AnnualScalars(torch.autograd.Function):
    """The twin of the annual means in `xbinn.physics.scalars`."""

    @staticmethod
    def forward(
        ctx: Any,
        temperature: Tensor,  # (month, layer, n)
        water: Tensor,  # (month, layer, n)
        oxygen: Tensor,  # (month, layer, n)
        nitrogen: Tensor,  # (month, layer, n)
        rate: Tensor,  # (n)
        w_scaling: Tensor,  # (n)
    ) -> tuple[Tensor, ...]:
        """Average the months, four times (layer, n)."""
        given = (temperature, water, oxygen, nitrogen, torch.stack((rate, w_scaling)))
        means = temperature.new_empty((_SCALARS, *temperature.shape[1:]))
        _call(months.annual_means, *given, means)
        ctx.save_for_backward(*given)
        return means.unbind(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the last two arguments."""
        controls = ctx.saved_tensors[-1]
        found = torch.zeros_like(controls)
        by_means = torch.stack(gradients)
        _call(months.annual_means_adjoint, *ctx.saved_tensors, by_means, found)
        return _wanted(ctx, None, None, None, None, *found.unbind(0))


class Assemble(torch.autograd.Function):
    """The twin of the assembly in `xbinn.physics.assembly`, with a closed boundary at bedrock."""

    @staticmethod
    def forward(
        ctx: Any,
        parameters: Tensor,  # (parameter, n)
        soil: Tensor,  # (layer, n), annual scalar as the next three
        litter: Tensor,  # (layer, n)
        temperature: Tensor,  # (layer, n)
        water: Tensor,  # (layer, n)
        soil_holds: Tensor,  # (layer, n), boolean
        litter_holds: Tensor,  # (layer, n), boolean
        exists: Tensor,  # (layer, n), boolean
        allocated: Tensor,  # (n), boolean
        bottom: Tensor,  # (n), float64
        bioturbation: Tensor,  # (layer, n)
        cryoturbation: Tensor,  # (layer, n)
        supplied: Tensor,  # (4, n)
        unit: float,
        least: float,
    ) -> tuple[Tensor, ...]:
        """Form rates, between, cwd_to_l2, lower, upper, inputs, modifier and fraction."""
        double = parameters.double()
        decay = double[_BETA].log() * CM_PER_M
        columns = (soil_holds, litter_holds, exists, allocated, bottom, bioturbation, cryoturbation)
        given = (double, decay, soil, litter, temperature, water, *columns, supplied)
        found = _empty_system(soil, double)
        _call(assembling.assemble, *given, unit, least, *found)
        ctx.save_for_backward(*given)
        ctx.scalars = (unit, least)
        ctx.dtype = parameters.dtype
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the parameters and of the annual scalars."""
        given = ctx.saved_tensors
        double, soil = given[0], given[2]
        by_means = soil.new_empty((_SCALARS, *soil.shape))
        by_parameters = double.new_empty(double.shape)
        written = by_means, by_parameters
        _call(assembling.assemble_adjoint, *given, *ctx.scalars, *gradients, *written)
        found = (by_parameters.to(ctx.dtype), *by_means.unbind(0))
        return _wanted(ctx, *found, *[None] * (len(ctx.needs_input_grad) - len(found)))


def steady_state(
    months: Sequence[Tensor],  # four times (month, layer, n)
    controls: Tensor,  # (2, n)
    parameters: Tensor,  # (parameter, n)
    columns: Sequence[Tensor],  # from exists to supplied, as the kernel takes them
    unit: float,
    least: float,
) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """Form what `Assemble` does, and the pools behind it, without gradients.

    Last comes where litter rests in some layer (n), boolean: there the rest means nothing.
    """
    double = parameters.double()
    decay = double[_BETA].log() * CM_PER_M
    found = _empty_system(months[0][0], double)
    pools, resting = found[0].new_empty(found[0].shape), controls.new_empty(controls.shape[-1])
    given = (*months, controls, double, decay, *columns)
    _call(whole.steady_state, *given, unit, least, *found, pools, resting)
    rests = resting > 0.0
    note_solves(forward=len(rests) - int(rests.sum()))
    return found, pools, rests


def _empty_system(like: Tensor, double: Tensor) -> tuple[Tensor, ...]:
    """Memory for what the assembly writes, for columns like (layer, n)."""
    layer, n = like.shape
    return (
        like.new_empty((N_POOLS, layer, n)),
        like.new_empty((len(TRANSFERS), n)),
        like.new_empty(n),
        like.new_empty((layer, n)),
        like.new_empty((layer, n)),
        like.new_empty((N_INPUTS, layer, n)),
        like.new_empty((layer, n)),
        double.new_empty((layer, n)),
    )


def solve(*arguments: Tensor) -> Tensor:
    """Call `Solve`."""
    pools: Tensor = Solve.apply(*arguments)
    return pools


def annual_scalars(*arguments: Tensor) -> tuple[Tensor, ...]:
    """Call `AnnualScalars`."""
    means: tuple[Tensor, ...] = AnnualScalars.apply(*arguments)
    return means


def assemble(*arguments: Tensor | float) -> tuple[Tensor, ...]:
    """Call `Assemble`."""
    assembled: tuple[Tensor, ...] = Assemble.apply(*arguments)
    return assembled


def closed_shape(
    altmax: Tensor,  # (month, n), float64
    nbedrock: Tensor,  # (n)
    deepest: Tensor,  # (n), float64
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """Be the twin of the conductances per unit of diffusivity in `xbinn.physics.mixing`."""
    shape = (N_LAYERS, altmax.shape[-1])
    found = altmax.new_empty(shape, dtype=dtype), altmax.new_empty(shape, dtype=dtype)
    _call(shaping.closed_shape, altmax, nbedrock.double(), deepest, *found)
    return found


def solves_as_here(device: torch.device) -> bool:
    """Whether the kernels on a device solve a few columns, and go back, as those for the CPU do."""
    generator = torch.Generator().manual_seed(0)
    layers = (N_LAYERS, _TRIED)
    shapes = ((N_POOLS, *layers), (len(TRANSFERS), _TRIED), (_TRIED,), layers, layers)
    # Fractions of what leaves a pool, two at most, stay below 1.
    drawn = [
        0.05 + 0.4 * torch.rand(shape, generator=generator)
        for shape in (*shapes, (N_INPUTS, *layers))
    ]
    here, there = (_solved_and_back([t.to(d) for t in drawn]) for d in ("cpu", device))
    return all(
        torch.allclose(a, b.cpu(), rtol=_CLOSE, atol=_CLOSE * float(a.abs().max()))
        for a, b in zip(here, there, strict=True)
    )


def _solved_and_back(arguments: list[Tensor]) -> list[Tensor]:
    """Pools, and gradients of their sum in all arguments; nothing is counted."""
    *given, inputs = arguments
    pools = torch.full_like(given[0], torch.nan)
    _call(solving.solve, *given, inputs, pools)
    found = [torch.full_like(t, torch.nan) for t in arguments]
    _call(solving.solve_adjoint, *given, inputs[0], pools, torch.ones_like(pools), *found)
    return [pools, *found]


def _call(kernel: Callable[..., None], *arguments: Tensor | float) -> None:
    """Run a kernel, or its twin on the GPU where the first argument lies."""
    first = arguments[0]
    if isinstance(first, Tensor) and first.is_cuda:
        launching = import_module("xbinn.physics.kernels.launching")
        launching.launch(kernel.__name__, *map(_columns, arguments))
    else:
        kernel(*map(_rows, arguments))


def _rows(t: Tensor | float) -> np.ndarray | float:
    """Memory of (..., n) as (row, n); of a copy where it does not lie in one piece."""
    if not isinstance(t, Tensor):
        return t
    if t.requires_grad:
        t = t.detach()
    # numpy makes a view in a third of the time that torch takes.
    return t.contiguous().numpy().reshape(-1, t.shape[-1])


def _columns(t: Tensor | float) -> Tensor | float:
    """The same for the GPU: (n) as (1, n), all others as they are."""
    if not isinstance(t, Tensor):
        return t
    t = t.detach().contiguous()
    return t[None] if t.ndim == 1 else t


def _wanted(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
    """Gradients of those arguments that take any."""
    pairs = zip(gradients, ctx.needs_input_grad, strict=True)
    return tuple(gradient if wanted else None for gradient, wanted in pairs)
