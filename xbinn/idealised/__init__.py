"""An idealised continent: covariates, CLM5-like forcing and true parameters as plain functions.

No place on Earth is meant. Everything is a function of latitude, longitude and a seed (random
waves of terrain and rock), so any grid or list of points can be put on the continent: a cold north
with permafrost, a western range with shallow bedrock, a dry interior in its rain shadow, a bay,
and ocean all around. The 21 parameters are functions of the covariates alone (`true_parameters`):
that is what a network can learn here and cannot know in nature.

`xbinn.idealised.sampling`, which draws soil profiles, runs the soil carbon model and so loads
torch: it is not imported here.
"""

from xbinn.idealised.continent import LATITUDES, LONGITUDES, continent
from xbinn.idealised.truth import TRUTH, true_parameters

__all__ = ["LATITUDES", "LONGITUDES", "TRUTH", "continent", "true_parameters"]
