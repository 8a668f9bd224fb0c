"""What the land model tells the soil carbon model about a column."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Forcing:
    """Forcing of a batch of columns; every tensor ends in the same batch shape.

    Attributes
    ----------
    temperature : Tensor
        TSOI, (month, layer, *batch) [K].
    water, oxygen, nitrogen : Tensor
        W_SCALAR, O_SCALAR, FPI_vr, (month, layer, *batch) [1].
    altmax : Tensor
        Larger of ALTMAX and ALTMAX_LASTYEAR, (month, *batch) [m], float64: it is compared with
        interface depths, and 1.2, 1.52 and 2.0 m sit on thresholds.
    allocated : Tensor
        Whether ALTMAX_LASTYEAR is above 0 in all months, (*batch), boolean. Where it is not,
        all plant carbon enters the first layer.
    nbedrock : Tensor
        Last layer above bedrock, counted from 1, (*batch) or (month, *batch), integer.
    inputs : Tensor
        Annual input to CWD, L1, L2, L3, (4, *batch) [gC m-2 yr-1].
    """

    temperature: Tensor
    water: Tensor
    oxygen: Tensor
    nitrogen: Tensor
    altmax: Tensor
    allocated: Tensor
    nbedrock: Tensor
    inputs: Tensor

    @property
    def batch_shape(self) -> torch.Size:
        """Shape of the batch."""
        return self.allocated.shape

    def _map(self, function: Callable[[Tensor], Tensor]) -> "Forcing":
        return Forcing(*(function(getattr(self, field.name)) for field in fields(self)))

    def flatten(self) -> "Forcing":
        """Return the same columns as a batch of one dimension."""
        depth = len(self.batch_shape)
        n = self.batch_shape.numel()
        return self._map(lambda t: t.reshape((*t.shape[: t.ndim - depth], n)))

    def select(self, index: Tensor | slice) -> "Forcing":
        """Take columns along the last batch dimension."""
        if isinstance(index, slice):
            return self._map(lambda t: t[..., index])
        return self._map(lambda t: pick(t, index))

    def by_column(self) -> "Forcing":
        """Return the same with the months of each column side by side in memory.

        Shapes stay. Columns picked at random are then few pieces of memory each, and what is
        picked lies likewise; the physics lays it out anew where it computes.
        """
        columns = {
            name: getattr(self, name).movedim(-1, 0).contiguous().movedim(0, -1)
            for name in ("temperature", "water", "oxygen", "nitrogen")
        }
        return replace(self, **columns)

    def to(self, device: torch.device | str) -> "Forcing":
        """Move to a device."""
        return self._map(lambda t: t.to(device))


def pick(t: Tensor, index: Tensor) -> Tensor:
    """Take columns ``index`` (m,) of (..., n), which lie in memory as they did."""
    columns = t.movedim(-1, 0)
    if t.ndim > 1 and columns.is_contiguous():
        return columns.index_select(0, index).movedim(0, -1)
    return t.index_select(-1, index)
