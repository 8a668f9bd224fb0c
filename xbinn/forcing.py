"""Forcing of the soil carbon model from what people have: CLM5 history files."""

from xbinn.labels.clm5 import ASSUMPTIONS, from_clm5

__all__ = ["ASSUMPTIONS", "from_clm5"]
