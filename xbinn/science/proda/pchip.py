"""Monotone cubic interpolation between the nodes of the column, as PRODA sees its samples."""

from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

from xbinn.constants import N_LAYERS, NODE_DEPTH
from xbinn.physics.column import column_tensor, spread

_STEP: Final = tuple(b - a for a, b in pairwise(NODE_DEPTH[:N_LAYERS]))


def pchip(
    values: Tensor,  # (layer, chain, n)
    depth: Tensor,  # (sample, n) [m]
    layers: Tensor,  # (n)
) -> Tensor:  # (sample, chain, n)
    """Interpolate values at the nodes to depths by Fritsch and Carlson's cubic.

    Slopes at nodes are weighted harmonic means of those on either side, 0 at a local extreme, and
    at the ends three-point estimates that keep the shape, as in `scipy.interpolate.pchip`. Above
    the first node its value is taken; below the last of the ``layers`` that exist, the value there.

    References
    ----------
    Fritsch and Carlson 1980, doi:10.1137/0717021.
    """
    index = torch.arange(N_LAYERS, device=values.device).reshape(-1, 1, 1)
    last = (layers - 1).reshape(1, 1, -1)
    # What is below bedrock is no soil: the last value goes on.
    bottom = spread(values.gather(0, last.expand(1, *values.shape[1:])).squeeze(0))
    values = torch.where(index <= last, values, bottom)
    step = column_tensor(_STEP, 2, values.dtype, values.device)
    secant = (values[1:] - values[:-1]) / step  # (layer - 1, chain, n)
    slope = torch.cat(
        (
            _end_slope(step[0], step[1], secant[0], secant[1]).unsqueeze(0),
            _inner_slopes(step, secant),
            _end_slope(step[-1], step[-2], secant[-1], secant[-2]).unsqueeze(0),
        )
    )
    nodes = torch.tensor(NODE_DEPTH[:N_LAYERS], dtype=torch.float64, device=values.device)
    place = torch.minimum(depth.double().clamp(min=NODE_DEPTH[0]), nodes[layers - 1])
    above = (torch.searchsorted(nodes, place.contiguous()) - 1).clamp(0, N_LAYERS - 2)
    width = nodes[above + 1] - nodes[above]
    share = ((place - nodes[above]) / width).to(values.dtype).unsqueeze(1)  # (sample, 1, n)
    width = width.to(values.dtype).unsqueeze(1)
    here = above.unsqueeze(1).expand(-1, values.shape[1], -1)  # (sample, chain, n)
    low, high = values.gather(0, here), values.gather(0, here + 1)
    slope_low, slope_high = slope.gather(0, here) * width, slope.gather(0, here + 1) * width
    rise = high - low
    quadratic = 3.0 * rise - 2.0 * slope_low - slope_high
    cubic = slope_low + slope_high - 2.0 * rise
    return low + share * (slope_low + share * (quadratic + share * cubic))


def _inner_slopes(step: Tensor, secant: Tensor) -> Tensor:
    """Slopes at all nodes but the first and the last."""
    before, after = step[:-1], step[1:]
    weight_before, weight_after = 2.0 * after + before, after + 2.0 * before
    left, right = secant[:-1], secant[1:]
    agree = left * right > 0.0
    safe_left, safe_right = left.where(agree, 1.0), right.where(agree, 1.0)
    mean = (weight_before + weight_after) / (weight_before / safe_left + weight_after / safe_right)
    return mean.where(agree, 0.0)


def _end_slope(near: Tensor, next_: Tensor, secant: Tensor, beyond: Tensor) -> Tensor:
    """Slope at an end, from the two secants next to it."""
    slope = ((2.0 * near + next_) * secant - near * beyond) / (near + next_)
    slope = slope.where(slope * secant > 0.0, 0.0)
    overshoots = (secant * beyond <= 0.0) & (slope.abs() > 3.0 * secant.abs())
    return torch.where(overshoots, 3.0 * secant, slope)
