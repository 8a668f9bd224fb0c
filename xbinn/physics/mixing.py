"""Vertical mixing by bioturbation and cryoturbation, under both treatments of bedrock.

Diffusivity at the bottom interface of layer j, in a month with active layer thickness alt (the
larger of this and last year's), nb the last layer above bedrock (Koven et al. 2013)::

    alt > 2 m        D = diffus
    0 < alt <= 2 m   D = cryo                                         where z_j < alt
                     D = cryo max(0, 1 - (z_j - alt)/(z_max - alt))   elsewhere
                     with z_max = min(3 m, z_{nb+1})
    alt <= 0         D = 0

and D = 0 below interface nb + 1. As published, the D of interface j is used as if it stood at
node j: the conductance of the boundary between layers j and j + 1 takes the harmonic mean of
D_j and D_{j+1}.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from xbinn.constants import (
    DAYS_PER_YEAR,
    DIFFUSIVITY_FLOOR,
    INTERFACE_DEPTH,
    LAYER_THICKNESS,
    MAX_ALTMAX_CRYOTURBATION,
    MAX_DEPTH_CRYOTURBATION,
    MONTHS_PER_YEAR,
    N_LAYERS,
    NODE_DEPTH,
)
from xbinn.physics.column import column_tensor, layer_constant, layer_mask, spread
from xbinn.physics.paths import PRECISIONS, fused

NODE_SPACING = tuple(b - a for a, b in pairwise(NODE_DEPTH))
"""Distance from node j to node j + 1, j = 1..20 (m)."""
NODE_WEIGHT = tuple(
    (below - interface) / spacing
    for below, interface, spacing in zip(
        NODE_DEPTH[1:], INTERFACE_DEPTH, NODE_SPACING, strict=False
    )
)
"""Weight of D_{j+1} in the harmonic mean between nodes j and j + 1."""


class Mixing(NamedTuple):
    """The tridiagonal transport operator, row j = -lo_j C_{j-1} + (lo_j + up_j) C_j - up_j C_{j+1}.

    ``lower`` and ``upper`` are (layer, *batch) [day-1]; lower[0] and upper[-1] are zero. The same
    operator serves L1 to S3; coarse woody debris is not mixed.
    """

    lower: Tensor
    upper: Tensor


class MixingShape(NamedTuple):
    """Conductances per unit of diffusivity, from the forcing alone: reusable for any parameters.

    Each (layer, *batch) [day-1 yr-1 m-1]: entry j, times a diffusivity in m2 yr-1, is the
    conductance in m day-1 of the boundary below layer j. The last one is zero.
    """

    bioturbation: Tensor
    cryoturbation: Tensor


def closed_shape(altmax: Tensor, nbedrock: Tensor, dtype: torch.dtype) -> MixingShape:
    """Mean conductances per unit diffusivity with a closed boundary at bedrock.

    Parameters
    ----------
    altmax : Tensor
        (month, n) [m], float64.
    nbedrock : Tensor
        (n), integer in 1..20.
    dtype : torch.dtype
        Of the result.
    """
    compiled = fused(altmax)
    if compiled is not None and dtype in PRECISIONS:
        deepest = _deepest_cryoturbation(nbedrock)
        return MixingShape(*compiled.closed_shape(altmax, nbedrock, deepest, dtype))
    spacing = column_tensor(NODE_SPACING[:N_LAYERS], 1, dtype, altmax.device)
    open_below = layer_mask(nbedrock - 1) / (spacing * (DAYS_PER_YEAR * MONTHS_PER_YEAR))
    deep = altmax > MAX_ALTMAX_CRYOTURBATION
    bioturbated = open_below * deep.sum(0)
    cryoturbated = torch.zeros_like(bioturbated)
    # Most columns are never cryoturbated: the ramp is worked out for those that are.
    columns = ((altmax > 0.0) & ~deep).any(0).nonzero().squeeze(-1)
    if len(columns):
        ramps = _cryoturbated_months(altmax[:, columns], nbedrock[columns]).to(dtype)
        cryoturbated[:, columns] = ramps * open_below[:, columns]
    return MixingShape(bioturbated, cryoturbated)


def _cryoturbated_months(altmax: Tensor, nbedrock: Tensor) -> Tensor:
    """Sum over the months of the harmonic means of the cryoturbation ramp, (layer, n)."""
    weight = column_tensor(NODE_WEIGHT[:N_LAYERS], 1, torch.float64, altmax.device)
    total = torch.zeros((N_LAYERS, altmax.shape[-1]), dtype=torch.float64, device=altmax.device)
    previous, mean = None, torch.zeros_like(total)
    for month in altmax:
        # The active layer is an annual maximum: most months repeat the one before.
        if previous is None or not torch.equal(month, previous):
            ramp = _cryoturbation_ramp(month, nbedrock)
            ramp = ramp * ((month > 0.0) & (month <= MAX_ALTMAX_CRYOTURBATION))
            above, below = ramp[:-1], ramp[1:]
            denominator = (1.0 - weight) * below + weight * above
            mean = torch.where(denominator > 0.0, above * below / denominator, 0.0)
            previous = month
        total += mean
    return total


def _cryoturbation_ramp(altmax: Tensor, nbedrock: Tensor) -> Tensor:
    """D/cryo at interfaces 1..21, (n) and (n) -> (interface, n), for 0 < alt <= 2 m."""
    interface = column_tensor(INTERFACE_DEPTH, 1, torch.float64, altmax.device)
    width = _deepest_cryoturbation(nbedrock) - altmax
    fading = 1.0 - (interface - altmax) / torch.where(width > 0.0, width, 1.0)
    fading = torch.where(width > 0.0, fading.clamp(min=0.0), 0.0)
    return torch.where(interface < altmax, 1.0, fading)


def _deepest_cryoturbation(nbedrock: Tensor) -> Tensor:
    """Depth at which cryoturbation has faded, (n) -> (n) [m], float64."""
    interface = column_tensor(INTERFACE_DEPTH, 1, torch.float64, nbedrock.device)
    return interface[nbedrock.long(), 0].clamp(max=MAX_DEPTH_CRYOTURBATION)


def closed_mixing(
    shape: MixingShape,
    diffus: Tensor,  # (n) [m2 yr-1]
    cryo: Tensor,  # (n) [m2 yr-1]
    *,
    unit: float = 1.0,
) -> Mixing:
    """Transport operator that conserves carbon: nothing crosses bedrock.

    In another ``unit`` of time [day] where one is given.
    """
    dtype = shape.bioturbation.dtype
    bio, cryo = (spread((p * unit).to(dtype)) for p in (diffus, cryo))
    conductance = torch.addcmul(shape.bioturbation * bio, shape.cryoturbation, cryo)
    thickness = layer_constant(LAYER_THICKNESS, conductance)
    upper = conductance / thickness
    none = torch.zeros_like(conductance[:1])
    lower = torch.cat((none, conductance[:-1])) / thickness
    return Mixing(lower, upper)


def published_mixing(
    altmax: Tensor,  # (month, n) [m], float64
    nbedrock: Tensor,  # (month, n), integer in 1..20
    diffus: Tensor,  # (n) [m2 yr-1]
    cryo: Tensor,  # (n) [m2 yr-1]
    dtype: torch.dtype,
    *,
    unit: float = 1.0,
) -> Mixing:
    """Transport operator of the published PRODA and BINN codes.

    It does not conserve carbon at bedrock: from layer nb + 1 on the upper coefficient is the
    conductance of the boundary above, so that layers exchange one way. Diffusivities and the
    advective velocity have a floor, and the power law of Patankar (1980) weighs the two. In
    another ``unit`` of time [day] where one is given.
    """
    # In float64 whatever the dtype: the gradient squares the inverse of the floor.
    spacing = layer_constant(NODE_SPACING, diffus.double().unsqueeze(0))
    weight = layer_constant(NODE_WEIGHT, spacing)
    thickness = layer_constant(LAYER_THICKNESS, spacing)
    index = torch.arange(1, N_LAYERS + 1, device=altmax.device).reshape(-1, 1)
    bio, cryo_daily = (
        spread(p.double() / DAYS_PER_YEAR, size=len(INTERFACE_DEPTH)) for p in (diffus, cryo)
    )
    lower, upper = (torch.zeros_like(bio[:N_LAYERS]) for _ in range(2))
    for alt, bedrock in zip(altmax, nbedrock, strict=True):
        diffusivity = _published_diffusivity(alt, bedrock, bio, cryo_daily)
        above, below = diffusivity[:-1], diffusivity[1:]
        conductance = 1.0 / ((1.0 - weight) / above + weight / below) / spacing
        conductance = conductance[: N_LAYERS - 1]
        diffused = conductance * _power_law(DIFFUSIVITY_FLOOR / conductance)
        none = torch.zeros_like(diffused[:1])
        from_above = torch.cat((none, diffused + DIFFUSIVITY_FLOOR))
        from_below = torch.cat((diffused, none))
        one_way = (index >= torch.clamp(bedrock + 1, min=2)) & (index < N_LAYERS)
        unweighted = torch.cat((none, conductance))
        lower = lower + from_above
        upper = upper + torch.where(one_way, unweighted, from_below)
    scale = unit / (MONTHS_PER_YEAR * thickness)
    return Mixing((lower * scale).to(dtype), (upper * scale).to(dtype))


def _published_diffusivity(alt: Tensor, bedrock: Tensor, bio: Tensor, cryo: Tensor) -> Tensor:
    """Diffusivity at interfaces 1..21 in one month, with its floor, (interface, n) [m2 day-1]."""
    ramp = _cryoturbation_ramp(alt, bedrock).to(bio.dtype)
    diffusivity = torch.where(alt > MAX_ALTMAX_CRYOTURBATION, bio, cryo * ramp)
    interface = torch.arange(1, N_LAYERS + 2, device=alt.device).reshape(-1, 1)
    mixed = (alt > 0.0) & (interface <= bedrock + 1)
    return torch.where(mixed, diffusivity, 0.0).clamp(min=DIFFUSIVITY_FLOOR)


def _power_law(peclet: Tensor) -> Tensor:
    """Patankar's (1980) weight of diffusion against advection, max(0, (1 - 0.1 |P|)^5)."""
    base = 1.0 - 0.1 * peclet.abs()
    squared = base * base
    return (squared * squared * base).clamp(min=0.0)
