"""The CLM5 column as tensors, and reductions that do not depend on the position in a batch."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from xbinn import constants


@lru_cache(maxsize=64)
def column_tensor(
    values: Sequence[float], batch_dims: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Values by layer as a tensor (layer, 1, ..., 1) with ``batch_dims`` trailing axes."""
    # Kept for later calls, which may need gradients though this one does not.
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device).reshape(-1, *(1,) * batch_dims)


def layer_constant(values: Sequence[float], like: Tensor) -> Tensor:
    """Return the first 20 ``values`` as (layer, 1, ...), to go with ``like`` (layer, *batch)."""
    return column_tensor(
        tuple(values[: constants.N_LAYERS]), like.ndim - 1, like.dtype, like.device
    )


def layer_mask(count: Tensor) -> Tensor:
    """Mark the first ``count`` layers: (*batch) integers -> (layer, *batch) booleans."""
    index = torch.arange(1, constants.N_LAYERS + 1, device=count.device)
    return index.reshape(-1, *(1,) * count.ndim) <= count


def time_unit(dtype: torch.dtype) -> float:
    """Unit of time of the linear system [day]; a power of two, so that it costs no digit.

    Deep, cold and dry layers decompose at 1e-48 day-1 within the priors, which is nothing in
    float32. Steady state does not care for the unit of time: float32 counts in 2^60 days.
    """
    return 2.0**60 if dtype == torch.float32 else 1.0


def ordered_sum(terms: Tensor) -> Tensor:
    """Sum over the first axis, term by term.

    ``Tensor.sum`` chooses its order by the position in the batch; this one does not, so that the
    result of a column never depends on its neighbours.
    """
    first, *rest = terms.unbind(0)
    total = first.clone()
    for term in rest:
        total = total + term
    return total


def weighted_sum(terms: Tensor, weights: Sequence[float]) -> Tensor:
    """Sum over the first axis with a weight for each term, in the order of `ordered_sum`."""
    total = terms[0] * weights[0]
    for term, weight in zip(terms.unbind(0)[1:], weights[1:], strict=True):
        total = torch.add(total, term, alpha=weight)
    return total


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, axis: int, size: int) -> Tensor:
        ctx.axis = axis
        return value.unsqueeze(axis).expand(*value.shape[:axis], size, *value.shape[axis:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ordered_sum(gradient.movedim(ctx.axis, 0)), None, None


def spread(value: Tensor, *, axis: int = 0, size: int = constants.N_LAYERS) -> Tensor:
    """Repeat over a new axis, by default the layers: (*batch) -> (layer, *batch).

    As broadcasting does, but with the gradient summed term by term: what broadcasting does
    there depends on the position in the batch.
    """
    repeated: Tensor = _Spread.apply(value, axis, size)
    return repeated


def integrate(density: Tensor) -> Tensor:
    """Integrate a density over depth.

    Parameters
    ----------
    density : Tensor
        (layer, *batch) [X m-3].

    Returns
    -------
    Tensor
        (*batch) [X m-2].
    """
    return weighted_sum(density, constants.LAYER_THICKNESS[: constants.N_LAYERS])
