"""PRODA (Tao et al. 2020): Bayesian inference of the parameters of each profile, then a network."""

from xbinn.science.proda.retrieval import retrieve
from xbinn.science.upscaling import upscale

__all__ = ["retrieve", "upscale"]
