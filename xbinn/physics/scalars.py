"""How temperature, water, oxygen and nitrogen slow decomposition, as annual means.

Month m, layer j (Koven et al. 2013; Lawrence et al. 2018, chapter 21.5)::

    xit = q10^((TSOI - 298.15)/10)      xiw = min(1, w_scaling W_SCALAR)
    xio = O_SCALAR                      xin = FPI_vr  (litter pools only)

Products are averaged over the months, not means multiplied.
"""

from types import ModuleType
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from xbinn.constants import (
    MONTHS_PER_YEAR,
    NODE_DEPTH,
    Q10_INTERVAL,
    REFERENCE_TEMPERATURE,
)
from xbinn.physics.column import layer_constant, ordered_sum, spread
from xbinn.physics.paths import fused


class AnnualScalars(NamedTuple):
    """Means over the months, each (layer, *batch) [1].

    ``soil`` is the mean of xit xiw xio, ``litter`` that of xit xiw xio xin, ``temperature`` and
    ``water`` are the means of xit and xiw alone, which the diagnostics use.
    """

    soil: Tensor
    litter: Tensor
    temperature: Tensor
    water: Tensor


def annual_scalars(
    temperature: Tensor,  # (month, layer, *batch) [K]
    water: Tensor,  # (month, layer, *batch)
    oxygen: Tensor,  # (month, layer, *batch)
    nitrogen: Tensor,  # (month, layer, *batch)
    q10: Tensor,  # (*batch)
    w_scaling: Tensor,  # (*batch)
) -> AnnualScalars:
    """Average the monthly scalars over the year.

    Differentiable in all six arguments; at the cap of the water scalar the gradient is that of
    the capped side.

    Returns
    -------
    AnnualScalars
        Four tensors (layer, *batch) [1].
    """
    # Columns picked at random may lie one behind the other, see `Forcing.by_column`.
    months = tuple(
        t if t.stride(-1) == 1 else t.contiguous() for t in (temperature, water, oxygen, nitrogen)
    )
    both = controls(q10, w_scaling, temperature.dtype)
    compiled = None if any(t.requires_grad for t in months) else _compiled(months, both)
    function = _AnnualScalars.apply if compiled is None else compiled.annual_scalars
    return AnnualScalars(*cast(tuple[Tensor, ...], function(*months, *both)))


def controls(q10: Tensor, w_scaling: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return ln(q10)/10 and w_scaling, (*batch), as the products over the months take them."""
    # In float64, as one rounding of ln(q10) is worth more than twelve of its uses.
    return (q10.double().log() / Q10_INTERVAL).to(dtype), w_scaling.to(dtype)


def _compiled(months: tuple[Tensor, ...], controls: tuple[Tensor, ...]) -> ModuleType | None:
    """The fused way, for columns in one axis, each with controls of its own."""
    shapes = {t.shape for t in months}, {t.shape for t in controls}
    wanted = {months[0].shape}, {months[0].shape[2:]}
    return fused(*months, *controls) if shapes == wanted and controls[0].ndim == 1 else None


class _AnnualScalars(torch.autograd.Function):
    """Mean products, with the months recomputed in the backward pass instead of kept."""

    @staticmethod
    def forward(
        ctx: Any,
        temperature: Tensor,
        water: Tensor,
        oxygen: Tensor,
        nitrogen: Tensor,
        rate: Tensor,
        w_scaling: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(temperature, water, oxygen, nitrogen, rate, w_scaling)
        soil, litter, xit_mean, xiw_mean = (torch.zeros_like(temperature[0]) for _ in range(4))
        xit, xiw = (torch.empty_like(soil) for _ in range(2))
        months = (t.unbind(0) for t in (temperature, water, oxygen, nitrogen))
        for tsoi, w_scalar, o_scalar, fpi in zip(*months, strict=True):
            _temperature_scalar(tsoi, rate, out=xit)
            torch.mul(w_scalar, w_scaling, out=xiw).clamp_(max=1.0)
            xit_mean += xit
            xiw_mean += xiw
            product = xit.mul_(xiw).mul_(o_scalar)
            soil += product
            litter.addcmul_(product, fpi)
        return tuple(t.mul_(1.0 / MONTHS_PER_YEAR) for t in (soil, litter, xit_mean, xiw_mean))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        temperature, water, oxygen, nitrogen, rate, w_scaling = ctx.saved_tensors
        by_soil, by_litter, by_xit, by_xiw = (g / MONTHS_PER_YEAR for g in gradients)
        wanted = ctx.needs_input_grad
        forcing = (temperature, water, oxygen, nitrogen)
        grads = [torch.empty_like(t) if wanted[i] else None for i, t in enumerate(forcing)]
        grad_rate, grad_w = (torch.zeros_like(by_soil) for _ in range(2))
        for month in range(MONTHS_PER_YEAR):
            xit = _temperature_scalar(temperature[month], rate)
            scaled = water[month] * w_scaling
            xiw = scaled.clamp(max=1.0)
            by_product = torch.addcmul(by_soil, by_litter, nitrogen[month])
            by_climate = by_product * oxygen[month]
            # d/d(exponent of xit) and d/d(xiw)
            exponent = torch.addcmul(by_xit, by_climate, xiw).mul_(xit)
            uncapped = torch.addcmul(by_xiw, by_climate, xit).masked_fill_(scaled >= 1.0, 0.0)
            grad_rate.addcmul_(exponent, temperature[month] - REFERENCE_TEMPERATURE)
            grad_w.addcmul_(uncapped, water[month])
            monthly = (
                exponent * rate if wanted[0] else None,
                uncapped * w_scaling if wanted[1] else None,
                by_product * xit * xiw if wanted[2] else None,
                by_litter * xit * xiw * oxygen[month] if wanted[3] else None,
            )
            for grad, term in zip(grads, monthly, strict=True):
                if grad is not None and term is not None:
                    grad[month] = term
        return (
            *grads,
            ordered_sum(grad_rate) if wanted[4] else None,
            ordered_sum(grad_w) if wanted[5] else None,
        )


def _temperature_scalar(temperature: Tensor, rate: Tensor, out: Tensor | None = None) -> Tensor:
    # exp(ln(q10) x): torch's pow changes its last bits with the position in the batch.
    return torch.sub(temperature, REFERENCE_TEMPERATURE, out=out).mul_(rate).exp_()


def depth_scalar(efolding: Tensor, dtype: torch.dtype, *, unit: float = 1.0) -> Tensor:
    """Return exp(-z/efolding) at the layer nodes, times a unit.

    Parameters
    ----------
    efolding : Tensor
        (*batch) [m].
    dtype : torch.dtype
        Of the result. The exponent, up to -80 within the prior, is formed in float64.
    unit : float
        Of time, for rates that would underflow without it.

    Returns
    -------
    Tensor
        (layer, *batch) [1].
    """
    inverse = -spread(efolding.double().reciprocal())
    return ((inverse * layer_constant(NODE_DEPTH, inverse)).exp() * unit).to(dtype)
