"""Columns made ready: what the forcing alone decides, worked out once for any parameters."""

from dataclasses import dataclass

import torch
from torch import Tensor

from xbinn.constants import N_LAYERS
from xbinn.options import Bedrock
from xbinn.physics.column import layer_mask
from xbinn.physics.forcing import Forcing
from xbinn.physics.mixing import (
    Mixing,
    MixingShape,
    closed_mixing,
    closed_shape,
    published_mixing,
)


@dataclass(frozen=True)
class Columns:
    """A flat batch of columns, ready to be solved for any number of parameter vectors.

    Attributes
    ----------
    forcing : Forcing
        Batch (n).
    nbedrock : Tensor
        As that of the forcing, 20 at most.
    layers : Tensor
        Number of layers that exist, (n).
    exists : Tensor
        Which layers do, (layer, n), boolean.
    shape : MixingShape or None
        Conductances per unit of diffusivity, (layer, n); None under ``published`` bedrock, whose
        power law and floors are not homogeneous in the diffusivities.
    """

    forcing: Forcing
    nbedrock: Tensor
    layers: Tensor
    exists: Tensor
    shape: MixingShape | None

    def select(self, index: Tensor) -> "Columns":
        """Take columns ``index`` (m,) int64, each as often as it is named."""
        shape = self.shape
        return Columns(
            forcing=self.forcing.select(index),
            nbedrock=self.nbedrock.index_select(-1, index),
            layers=self.layers.index_select(-1, index),
            exists=self.exists.index_select(-1, index),
            shape=None
            if shape is None
            else MixingShape(*(t.index_select(-1, index) for t in shape)),
        )

    def mixing(self, diffus: Tensor, cryo: Tensor, *, unit: float) -> Mixing:
        """Transport operator for diffusivities (n) [m2 yr-1], in a ``unit`` of time [day]."""
        if self.shape is not None:
            return closed_mixing(self.shape, diffus, cryo, unit=unit)
        altmax = self.forcing.altmax
        dtype = self.forcing.temperature.dtype
        nbedrock = self.nbedrock.expand(altmax.shape)
        return published_mixing(altmax, nbedrock, diffus, cryo, dtype, unit=unit)


def prepare_columns(forcing: Forcing, bedrock: Bedrock) -> Columns:
    """Work out what the forcing, of a flat batch (n), decides under a treatment of bedrock."""
    nbedrock = forcing.nbedrock.clamp(max=N_LAYERS)
    if bedrock == "closed":
        layers = nbedrock
        shape = closed_shape(forcing.altmax, nbedrock, forcing.temperature.dtype)
    else:
        layers = torch.full_like(forcing.allocated, N_LAYERS, dtype=torch.int64)
        shape = None
    return Columns(forcing, nbedrock, layers, layer_mask(layers), shape)
