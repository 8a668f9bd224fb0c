"""Forcing of the soil carbon model from what people have: CLM5 history files, other layers."""

from xbinn.labels.clm5 import ASSUMPTIONS, from_clm5
from xbinn.labels.layers import interpolate_layers

__all__ = ["ASSUMPTIONS", "from_clm5", "interpolate_layers"]
