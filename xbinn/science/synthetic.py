"""Synthetic truth: parameters that are known functions of covariates, and what soil would show.

Covariates are standardised over the sites, cut at 2 standard deviations and halved, so that x lies
in [-1, 1]. Each parameter depends on `N_COVARIATES` of them, drawn with a seed, with weights w of
either sign and size 0.5 to 1, through one of `KINDS`:

======================  ==================================================
``linear``              sum_k w_k x_k
``smooth``              sum_k w_k sin(a_k x_k + b_k), a_k from pi/2 to pi
``interaction``         sum of w_jk x_j x_k over the pairs
``threshold``           sum_k w_k [x_k > t_k], t_k a quantile from 0.25 to 0.75
======================  ==================================================

The sum is brought to the middle of the unit interval of the prior and to one standard deviation
over the sites, the same for all kinds, and cut at `LIMITS`, off the ends, where no network with a
sigmoid could follow. Truths of all kinds spread alike, and intervals can be held against that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np
import torch
from scipy.special import ndtri

from xbinn.constants import KG_PER_G
from xbinn.errors import InputError
from xbinn.labels.covariates import CovariateSpec
from xbinn.labels.sites import Sites
from xbinn.learning.observation import observe
from xbinn.options import Bedrock
from xbinn.parameters import N_PARAMETERS, PARAMETER_NAMES, Prior, prior_bounds
from xbinn.physics.steady_state import SoilCarbonModel
from xbinn.science.fitting import training_data
from xbinn.science.settings import is_real

N_COVARIATES: Final = 3
"""Covariates that a parameter depends on, at most."""
SPREAD: Final = 0.23
"""Standard deviation of a true parameter in the unit interval of the prior, before it is cut: that
of a uniform distribution from 0.1 to 0.9."""
MAX_SPREAD: Final = 0.5
"""No more fits into the unit interval."""
LIMITS: Final = (0.02, 0.98)
"""Of the true parameters in the unit interval of the prior."""
MAX_NOISE: Final = 0.6
"""Relative error of BINN's and PRODA's cost function."""
_CUT: Final = 2.0


def _linear(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(_weights(rng, len(x)) @ x)


def _smooth(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    weights = _weights(rng, len(x))
    steepness = rng.uniform(0.5 * np.pi, np.pi, (len(x), 1))
    phase = rng.uniform(0.0, 2.0 * np.pi, (len(x), 1))
    return np.asarray(weights @ np.sin(steepness * x + phase))


def _interaction(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    # A single covariate interacts with itself.
    pairs = list(combinations(range(len(x)), 2)) or [(0, 0)]
    products = np.stack([x[i] * x[j] for i, j in pairs])
    return np.asarray(_weights(rng, len(pairs)) @ products)


def _threshold(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    weights = _weights(rng, len(x))
    levels = rng.uniform(0.25, 0.75, len(x))
    at = np.array([np.quantile(row, level) for row, level in zip(x, levels, strict=True)])
    return np.asarray(weights @ (x > at[:, None]))


KINDS: Final[Mapping[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]]] = {
    "linear": _linear,
    "smooth": _smooth,
    "interaction": _interaction,
    "threshold": _threshold,
}
"""From covariates (covariate, site) in [-1, 1] to a number a site, see the top of the module."""


@dataclass(frozen=True, eq=False)
class Truth:
    """Known parameters.

    Attributes
    ----------
    unit : ndarray (parameter, site)
        Fractions of the prior range.
    parameters : ndarray (parameter, site)
        The same in physical units.
    covariates : tuple of str
        What each parameter depends on, names with blanks between.
    """

    unit: np.ndarray
    parameters: np.ndarray
    covariates: tuple[str, ...]


def true_functions(
    sites: Sites,
    covariates: CovariateSpec,
    *,
    kind: str,
    prior: Prior,
    seed: int,
    spread: float = SPREAD,
) -> Truth:
    """Make the 21 parameters known functions of the numeric covariates of sites.

    Parameters
    ----------
    sites : Sites
        All of them: the scaling of covariates and functions is over these.
    covariates : CovariateSpec
        What the columns of ``sites.numeric`` are.
    kind : {"linear", "smooth", "interaction", "threshold"}
        Of the functions.
    prior : {"binn", "proda"}
        Bounds of the parameters.
    seed : int
        Of covariates, weights and shapes. The function of a parameter does not depend on others.
    spread : float
        Standard deviation of a parameter over the sites, before it is cut, in the unit interval.

    Raises
    ------
    InputError
        If kind or spread cannot be used, or no numeric covariate varies.
    """
    if kind not in KINDS:
        raise InputError(f"kind={kind!r} is not known: choose one of {', '.join(KINDS)}")
    if not is_real(spread) or not 0.0 < spread <= MAX_SPREAD:
        raise InputError(
            f"spread={spread!r} must be a number above 0, up to {MAX_SPREAD}: the standard "
            "deviation of a parameter over its prior range"
        )
    values = sites.numeric.T.astype(np.float64)  # (covariate, site)
    scale = values.std(axis=1)
    varies = np.flatnonzero(scale > 1e-6 * np.abs(values).max(axis=1, initial=0.0))
    if not varies.size:
        raise InputError(
            f"none of the {len(values)} numeric covariates varies among the {sites.n_sites} sites, "
            "so nothing can depend on them: give covariates that do"
        )
    x = (values[varies] - values[varies].mean(axis=1, keepdims=True)) / scale[varies, None]
    x = x.clip(-_CUT, _CUT) / _CUT
    unit = np.empty((N_PARAMETERS, sites.n_sites))
    named = []
    for row in range(N_PARAMETERS):
        rng = np.random.default_rng([seed, list(KINDS).index(kind), row])
        chosen = rng.choice(varies.size, min(N_COVARIATES, varies.size), replace=False)
        unit[row] = into_prior(KINDS[kind](x[chosen], rng), spread)
        named.append(" ".join(covariates.numeric[varies[c]][0] for c in chosen))
    low, high = np.array(prior_bounds(prior)).T[:, :, None]
    return Truth(unit, low + (high - low) * unit, tuple(named))


def observed_sites(
    sites: Sites,
    parameters: np.ndarray,
    *,
    noise: float,
    bedrock: Bedrock,
    observation: str,
    seed: int,
) -> Sites:
    """Replace SOC by what the model with known parameters shows at the same places and depths.

    Parameters
    ----------
    sites : Sites
        Whose places and intervals are taken.
    parameters : ndarray (parameter, site)
        Physical units.
    noise : float
        Standard deviation of a sample over its mean, 0 to 0.6; the median is the modelled value.
    bedrock, observation
        As in `xbinn.fit`.
    seed : int
        Of the noise. The same draws are scaled for every ``noise``.

    Raises
    ------
    InputError
        If the noise is out of range.
    """
    if not 0.0 <= noise <= MAX_NOISE:
        raise InputError(f"noise={noise!r} must be a relative error from 0 to {MAX_NOISE}")
    data = training_data(sites, bedrock, observation, torch.float64, torch.device("cpu"))
    known = torch.from_numpy(np.ascontiguousarray(parameters, dtype=np.float64))
    with torch.inference_mode():
        state = SoilCarbonModel(bedrock).steady_state(known, data.forcing)
        soc = observe(state.soc * KG_PER_G, data.weights, data.site).numpy()  # (sample,)
    drawn = np.random.default_rng(seed).standard_normal(soc.size)
    return replace(sites, soc=soc * np.exp(log_sd(noise) * drawn))


def log_sd(noise: float) -> float:
    """Standard deviation of ln for lognormal noise of a relative standard deviation.

    Examples
    --------
    >>> round(log_sd(0.6), 3)
    0.555
    """
    return float(np.sqrt(np.log1p(noise**2)))


def check_unknown(unknown: tuple[str, ...]) -> tuple[str, ...]:
    """Return parameters to be found in the order of the table, all if none are given.

    Raises
    ------
    InputError
        If a name is not that of a parameter.
    """
    wrong = [name for name in unknown if name not in PARAMETER_NAMES]
    if wrong:
        raise InputError(
            f"{', '.join(map(str, wrong))} are no parameters: choose among "
            f"{', '.join(PARAMETER_NAMES)}"
        )
    return tuple(name for name in PARAMETER_NAMES if name in unknown) or PARAMETER_NAMES


def _weights(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.asarray(rng.uniform(0.5, 1.0, n) * rng.choice([-1.0, 1.0], n))


def truth_variance(spread: float) -> float:
    """Variance of a normal true parameter, cut at `LIMITS`, in the unit interval.

    Examples
    --------
    >>> round(truth_variance(0.23) ** 0.5, 3)
    0.222
    """
    probability = (np.arange(1000) + 0.5) / 1000
    return float((0.5 + spread * ndtri(probability)).clip(*LIMITS).var())


def into_prior(values: np.ndarray, spread: float) -> np.ndarray:
    """Bring numbers to the middle of the unit interval and to a standard deviation, and cut."""
    if values.min() == values.max():
        return np.full_like(values, 0.5)
    standard = (values - values.mean()) / values.std()
    return np.asarray((0.5 + spread * standard).clip(*LIMITS))
