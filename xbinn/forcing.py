"""Forcing of the soil carbon model from what people have: CLM5 history files, or climate."""

from xbinn.labels.climate.forcing import CLIMATE_ASSUMPTIONS, from_climate
from xbinn.labels.climate.relations import CLIMATE_INPUTS, RELATIONS, ClimateInput
from xbinn.labels.clm5 import ASSUMPTIONS, from_clm5
from xbinn.labels.layers import interpolate_layers

__all__ = [
    "ASSUMPTIONS",
    "CLIMATE_ASSUMPTIONS",
    "CLIMATE_INPUTS",
    "RELATIONS",
    "ClimateInput",
    "from_climate",
    "from_clm5",
    "interpolate_layers",
]
