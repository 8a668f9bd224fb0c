"""Where plant carbon enters the column: the beta profile of Jackson et al. (1996)."""

import torch
from torch import Tensor

from xbinn.constants import DAYS_PER_YEAR, INTERFACE_DEPTH, LAYER_THICKNESS, N_LAYERS
from xbinn.physics.column import column_tensor, layer_constant, layer_mask, spread

CM_PER_M = 100.0


def allocation(
    beta: Tensor,  # (*batch)
    layers: Tensor,  # (*batch), integer
    allocated: Tensor,  # (*batch), boolean
) -> Tensor:
    """Fraction of the plant carbon that enters each layer.

    With z in cm, fraction_j = (beta^z_{j-1} - beta^z_j) / (1 - beta^z_n), n the number of
    ``layers`` that receive any; all of it in the first layer where not ``allocated``. Formed
    with expm1, so that the differences keep their digits where beta is close to 1.

    Returns
    -------
    Tensor
        (layer, *batch) [1], float64, as exponents reach -600; sums to 1.
    """
    decay = beta.double().log() * CM_PER_M
    top = (0.0, *INTERFACE_DEPTH[: N_LAYERS - 1])
    rate = spread(decay)
    thickness = layer_constant(LAYER_THICKNESS, rate)
    fraction = (rate * layer_constant(top, rate)).exp() * -(rate * thickness).expm1()
    fraction = fraction / spread(-(decay * bottom_depth(layers)).expm1())
    fraction = fraction.where(layer_mask(layers), 0.0)
    if bool(allocated.all()):
        return fraction
    surface = layer_mask(torch.ones_like(layers)).to(fraction.dtype)
    return torch.where(allocated, fraction, surface)


def bottom_depth(layers: Tensor) -> Tensor:
    """Depth (m) of the bottom of layer number ``layers``, (*batch) -> (*batch), float64."""
    depths = column_tensor(INTERFACE_DEPTH, 0, torch.float64, layers.device)
    return depths[layers.long() - 1]


def input_density(
    inputs: Tensor,  # (4, *batch) [gC m-2 yr-1]
    fraction: Tensor,  # (layer, *batch)
    *,
    unit: float = 1.0,
) -> Tensor:
    """Return the input to CWD, L1, L2, L3 in every layer, (4, layer, *batch) [gC m-3 day-1].

    In another ``unit`` of time [day] where one is given.
    """
    thickness = layer_constant(LAYER_THICKNESS, fraction)
    density = (fraction * unit / (DAYS_PER_YEAR * thickness)).to(inputs.dtype)
    return spread(inputs, axis=1) * spread(density, size=len(inputs))
