r"""What the samples of a profile say of the modelled column: log-likelihoods, up to constants.

``relative``
    Normal, its standard deviation 60 % of the modelled density, with the logarithm of that:

    .. math:: \ln L = -\sum_i \left[\frac{(m_i - o_i)^2}{2 s_i^2} + \ln s_i\right], \quad
              s_i = 0.6 \max(m_i, 0.05).

``published``
    The cost of the PRODA codes, its standard deviation 60 % of the *observed* density, samples near
    the extremes of a profile weighing up to ten times as much:

    .. math:: \ln L = -\sum_i w_i \frac{(m_i - o_i)^2}{2 (0.6\, o_i)^2}, \quad
              w_i = \max(1, 10\, e^{1 - r_i}),

    r the mean of two ranks, of abs(o - mean o) and of abs(z - mean z), the largest first. It does
    not integrate to 1 over the observation: it is a cost, not a density.

Modelled and observed densities are in kg m-3 and positive where they count; anything that a profile
has no sample for is masked.

References
----------
Tao et al. 2020, doi:10.3389/fdata.2020.00017.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal

import numpy as np
from torch import Tensor

from xbinn.constants import SOC_FLOOR
from xbinn.learning.losses import RELATIVE_ERROR, relative

Likelihood = Literal["relative", "published"]

_HEAVIEST: Final = 10.0
"""Weight of the sample that is farthest from the mean in both SOC and depth."""

SampleLikelihood = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From modelled (sample, ...), observed and weight, both to be broadcast against it."""


def relative_likelihood(modelled: Tensor, observed: Tensor, weight: Tensor) -> Tensor:
    """``relative``, by sample; ``weight`` plays no part."""
    return -relative(modelled, observed)


def published_likelihood(modelled: Tensor, observed: Tensor, weight: Tensor) -> Tensor:
    """``published``, by sample; observations below 0.05 kg m-3 have the error of 0.05."""
    spread = RELATIVE_ERROR * observed.clamp(min=SOC_FLOOR)
    return -0.5 * weight * ((modelled - observed) / spread).square()


LIKELIHOODS: Final[Mapping[str, SampleLikelihood]] = {
    "relative": relative_likelihood,
    "published": published_likelihood,
}


def published_weights(soc: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Weights of the samples of one profile under ``published``, (sample,) [1].

    Parameters
    ----------
    soc : ndarray (sample,)
        Observed density.
    depth : ndarray (sample,)
        Middle of each sample [m].

    Examples
    --------
    >>> import numpy as np
    >>> published_weights(np.array([30.0, 8.0, 4.0]), np.array([0.05, 0.3, 0.9])).round(2).tolist()
    [6.07, 1.35, 6.07]
    """
    rank = 0.5 * (_descending_rank(soc) + _descending_rank(depth))
    return np.asarray(np.maximum(1.0, _HEAVIEST * np.exp(1.0 - rank)))


def _descending_rank(values: np.ndarray) -> np.ndarray:
    """Rank of the distance from the mean, 1 for the largest; ties in the order given."""
    rank = np.empty(len(values))
    rank[np.argsort(-np.abs(values - values.mean()), kind="stable")] = np.arange(1, len(values) + 1)
    return rank
