"""PRODA: Bayesian inference of the parameters of each profile (Tao et al. 2020)."""

from xbinn.science.proda.retrieval import retrieve

__all__ = ["retrieve"]
