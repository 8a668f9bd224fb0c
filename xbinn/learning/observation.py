"""From layers to samples: what a soil sample over an interval sees of the modelled column.

Both operators are linear, hence a matrix of weights ``(sample, layer)`` that is computed once.
Depths are in m. The pools of a finite-volume model are layer means, so the overlap-weighted mean
(`layer_mean_weights`) conserves carbon; interpolation between nodes (`node_weights`) is what
BINN published.
"""

from typing import Final, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from xbinn.constants import INTERFACE_DEPTH, N_LAYERS, NODE_DEPTH
from xbinn.errors import InputError

Bedrock = Literal["closed", "published"]
Observation = Literal["layer_mean", "node"]
OBSERVATIONS: Final[tuple[Observation, ...]] = get_args(Observation)


class Weights(NamedTuple):
    """An observation operator.

    Attributes
    ----------
    weights : Tensor
        ``(sample, layer)`` float64; a row sums to 1, or is 0 where `seen` is False.
    seen : Tensor
        ``(sample,)`` bool; False where no part of the sample lies in the modelled soil.
    """

    weights: Tensor
    seen: Tensor


def layer_mean_weights(
    top: Tensor, bottom: Tensor, nbedrock: Tensor | None, bedrock: Bedrock
) -> Weights:
    """Weights of the mean over the sample's interval, layer by overlap.

    Parameters
    ----------
    top, bottom : Tensor
        ``(sample,)`` interval [m], positive down.
    nbedrock : Tensor or None
        ``(sample,)`` index of the last layer above bedrock, counted from 1. Used by "closed".
    bedrock : {"closed", "published"}
        With "closed" only the part of the interval above bedrock counts.
    """
    top, bottom, seen, last = _clip(top, bottom, nbedrock, bedrock)
    upper, lower = _edges(top.device)
    overlap = torch.minimum(bottom[:, None], lower) - torch.maximum(top[:, None], upper)
    overlap = overlap.clamp(min=0.0)  # (sample, layer)
    # A bedrock depth and the same interface differ by rounding nowhere, but say what is meant.
    overlap = overlap * (torch.arange(N_LAYERS, device=top.device) < last[:, None])
    total = overlap.sum(dim=1)
    seen = seen & (total > 0.0)
    weights = overlap / torch.where(seen, total, torch.ones_like(total))[:, None]
    return Weights(weights * seen[:, None], seen)


def node_weights(top: Tensor, bottom: Tensor, nbedrock: Tensor | None, bedrock: Bedrock) -> Weights:
    """Weights of linear interpolation between nodes at the middle of the sample.

    Parameters are those of `layer_mean_weights`. Above the first and below the last node of the
    soil the value of that node is taken. With "closed" the middle is that of the part above
    bedrock, and no node below bedrock is used.
    """
    top, bottom, seen, last = _clip(top, bottom, nbedrock, bedrock)
    nodes = torch.tensor(NODE_DEPTH[:N_LAYERS], dtype=torch.float64, device=top.device)
    middle = 0.5 * (top + bottom)
    middle = torch.minimum(torch.maximum(middle, nodes[0]), nodes[last - 1])
    below = torch.searchsorted(nodes, middle).clamp(1, N_LAYERS - 1)  # node at or under the middle
    above = below - 1
    share = (middle - nodes[above]) / (nodes[below] - nodes[above])
    weights = torch.zeros(len(top), N_LAYERS, dtype=torch.float64, device=top.device)
    weights.scatter_(1, above[:, None], (1.0 - share)[:, None])
    weights.scatter_(1, below[:, None], share[:, None])
    return Weights(weights * seen[:, None], seen)


def observation_weights(
    observation: str, top: Tensor, bottom: Tensor, nbedrock: Tensor | None, bedrock: Bedrock
) -> Weights:
    """Weights of the operator that has the name `observation`.

    Raises
    ------
    InputError
        If no operator has that name.
    """
    if observation == "layer_mean":
        return layer_mean_weights(top, bottom, nbedrock, bedrock)
    if observation == "node":
        return node_weights(top, bottom, nbedrock, bedrock)
    raise InputError(
        f"observation {observation!r} is not known: choose one of "
        f"{', '.join(map(repr, OBSERVATIONS))}"
    )


def observe(
    soc: Tensor,  # (layer, site)
    weights: Tensor,  # (sample, layer)
    site: Tensor,  # (sample,) int64
) -> Tensor:  # (sample,)
    """Return what the samples would show of the modelled column, in the unit of `soc`."""
    return (weights.T * soc[:, site]).sum(dim=0)


def _edges(device: torch.device) -> tuple[Tensor, Tensor]:
    """Top and bottom of the layers (layer,) [m]."""
    lower = torch.tensor(INTERFACE_DEPTH[:N_LAYERS], dtype=torch.float64, device=device)
    return torch.cat([lower.new_zeros(1), lower[:-1]]), lower


def _clip(
    top: Tensor, bottom: Tensor, nbedrock: Tensor | None, bedrock: Bedrock
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cut intervals at the bottom of the modelled soil; (top, bottom, seen, last layer)."""
    top, bottom = top.to(torch.float64), bottom.to(torch.float64)
    if bedrock == "published":
        last = torch.full(top.shape, N_LAYERS, dtype=torch.int64, device=top.device)
    elif bedrock == "closed":
        if nbedrock is None:
            raise InputError(
                "bedrock 'closed' needs nbedrock of every sample: give it, or choose 'published'"
            )
        last = nbedrock.to(torch.int64).clamp(1, N_LAYERS)
    else:
        raise InputError(f"bedrock {bedrock!r} is not known: choose one of 'closed', 'published'")
    floor = _edges(top.device)[1][last - 1]
    seen = (top < floor) & (bottom > top)
    return top, torch.minimum(bottom, floor), seen, last
