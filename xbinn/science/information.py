r"""Which parameters, and which combinations of them, soil carbon profiles can tell.

With J the derivatives of ln SOC of the samples of a column to the parameters as fractions u of
their prior range, and noise of a standard deviation sigma in ln SOC, the Fisher information of the
column is

.. math:: F = J^\mathsf{T} J / \sigma^2 .

The uniform prior has the variance 1/12. With a Gaussian of that variance in its place, and a model
that is linear about the given parameters, the posterior covariance is :math:`(F + 12 I)^{-1}`.

* The **identifiability index** of a parameter is 1 - posterior variance / prior variance, between
  0 (the data say nothing) and 1. Below `PRIOR_DOMINATED` most of the prior variance is left.
* Eigenvalues of F say how well the **combinations** in its eigenvectors are known: one above 12
  brings more than the prior does. The sum of :math:`\lambda / (\lambda + 12)` is the number of
  combinations that the data constrain, the **effective rank**.

Each column by itself, with parameters of its own, is one extreme. The other is **pooled**: one
vector of parameters for all columns, whose information adds up. A network that makes parameters
functions of covariates lies between them; linear functions of all covariates, `function_index`,
are the simplest of those.

References
----------
Rodgers 2000, Inverse Methods for Atmospheric Sounding, chapter 2 (degrees of freedom for signal).
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor

from xbinn.constants import KG_PER_G, N_LAYERS, SOC_FLOOR
from xbinn.labels.sites import Sites
from xbinn.options import Bedrock
from xbinn.parameters import PARAMETER_NAMES, Prior, prior_bounds
from xbinn.physics.sensitivity import layer_derivative
from xbinn.physics.steady_state import SoilCarbonModel
from xbinn.science.fitting import training_data
from xbinn.science.synthetic import log_sd

Seen = Literal["samples", "layers"]

PRIOR_DOMINATED: Final = 0.5
"""Below this identifiability index a parameter is called prior-dominated."""
PRIOR_PRECISION: Final = 12.0
"""1 / variance of a uniform distribution on the unit interval."""


@dataclass(frozen=True, eq=False)
class Information:
    """Fisher information of columns.

    Attributes
    ----------
    matrix : ndarray (site, unknown, unknown)
        Per squared unit of the prior range.
    unknown : tuple of str
        Parameters to be found; the others are known.
    samples : ndarray (site,)
        How many observations there are at or above the floor of SOC.
    """

    matrix: np.ndarray
    unknown: tuple[str, ...]
    samples: np.ndarray

    @property
    def pooled(self) -> np.ndarray:
        """Information on one vector of parameters for all columns, (unknown, unknown)."""
        return np.asarray(self.matrix.sum(axis=0))


def observation_jacobian(
    sites: Sites,
    parameters: np.ndarray,
    *,
    prior: Prior,
    bedrock: Bedrock,
    observation: str,
    seen: Seen = "samples",
) -> tuple[np.ndarray, np.ndarray]:
    """Derive ln SOC of observations to parameters as fractions of their prior range.

    One backward pass a layer, over all columns at once, in float64: samples are weighted means of
    layers.

    Parameters
    ----------
    sites : Sites
        Usable ones, see `xbinn.science.fitting.usable_sites`.
    parameters : ndarray (parameter, site)
        Where to derive, physical units.
    prior, bedrock, observation
        As in `xbinn.fit`.
    seen : {"samples", "layers"}
        The samples of the sites, or all layers of each site.

    Returns
    -------
    jacobian : ndarray (observation, parameter)
        0 where modelled SOC is under the floor that fits take for zero.
    site : ndarray (observation,)
        -1 where it is.
    """
    data = training_data(sites, bedrock, observation, torch.float64, torch.device("cpu"))
    leaf = torch.tensor(np.asarray(parameters, dtype=np.float64), requires_grad=True)
    state = SoilCarbonModel(bedrock).steady_state(leaf, data.forcing)
    derivative = layer_derivative(state, leaf)  # (parameter, layer, site)
    soc = state.soc.detach()  # (layer, site)
    if seen == "samples":
        site, weights = data.site, data.weights  # (sample,), (sample, layer)
    else:
        site = torch.arange(sites.n_sites).repeat_interleave(N_LAYERS)
        weights = torch.eye(N_LAYERS, dtype=torch.float64).repeat(sites.n_sites, 1)
    modelled = (weights.T * soc[:, site]).sum(0)  # (observation,)
    change = torch.einsum("sl,pls->sp", weights, derivative[..., site])
    told = (modelled * KG_PER_G >= SOC_FLOOR) & change.isfinite().all(1)
    span = torch.tensor(prior_bounds(prior), dtype=torch.float64).diff(dim=1)[:, 0]
    relative = change / torch.where(told, modelled, 1.0)[:, None] * span
    jacobian = torch.where(told[:, None], relative, 0.0)
    return jacobian.numpy(), torch.where(told, site, -1).numpy()


def fisher_information(
    jacobian: np.ndarray,
    site: np.ndarray,
    n_sites: int,
    *,
    noise: float,
    unknown: tuple[str, ...] = PARAMETER_NAMES,
) -> Information:
    """Add up the information of observations by site.

    Parameters
    ----------
    jacobian, site
        From `observation_jacobian`.
    n_sites : int
        Number of sites.
    noise : float
        Relative standard deviation of an observation, above 0.
    unknown : tuple of str
        Parameters to be found; the others are taken as known.
    """
    rows = [PARAMETER_NAMES.index(name) for name in unknown]
    told = site >= 0
    chosen, where = torch.from_numpy(jacobian[told][:, rows]), torch.from_numpy(site[told])
    products: Tensor = chosen[:, :, None] * chosen[:, None, :]  # (observation, unknown, unknown)
    matrix = torch.zeros((n_sites, len(rows), len(rows)), dtype=torch.float64)
    matrix.index_add_(0, where, products)
    count = np.bincount(site[told], minlength=n_sites)
    return Information(matrix.numpy() / log_sd(noise) ** 2, unknown, count)


def identifiability_index(information: np.ndarray) -> np.ndarray:
    """1 - posterior variance / prior variance, (..., unknown, unknown) -> (..., unknown).

    Examples
    --------
    >>> import numpy as np
    >>> identifiability_index(np.diag([0.0, 12.0, 108.0])).round(3).tolist()
    [0.0, 0.5, 0.9]
    """
    n = information.shape[-1]
    # 1 - 12 (F + 12 I)^-1 = F (F + 12 I)^-1, without the difference of what is nearly equal.
    gain = np.linalg.solve(information + PRIOR_PRECISION * np.eye(n), information)
    return np.asarray(np.diagonal(gain, axis1=-2, axis2=-1).clip(0.0, 1.0))


def effective_rank(information: np.ndarray) -> np.ndarray:
    """Count the combinations that data constrain, (..., unknown, unknown) -> (...)."""
    return np.asarray(identifiability_index(information).sum(axis=-1))


def function_index(found: Information, covariates: np.ndarray) -> np.ndarray:
    r"""Find the index of parameters that are linear functions of covariates, (unknown,).

    The parameters of a site are a constant plus a sum over its standardised covariates, with
    coefficients that are unknown: Gaussian, independent, of one variance, such that a parameter has
    the prior variance 1/12, averaged over the sites. The index is 1 - posterior variance / prior
    variance of the parameters, averaged over the sites.

    Parameters
    ----------
    found : Information
        Of the sites.
    covariates : ndarray (site, p)
        Numeric ones.
    """
    values = covariates.astype(np.float64)
    spread = values.std(axis=0)
    varies = spread > 1e-6 * np.abs(values).max(axis=0, initial=0.0)
    x = (values[:, varies] - values[:, varies].mean(axis=0)) / spread[varies]
    features = np.column_stack([np.ones(len(x)), x]) / np.sqrt(1 + x.shape[1])  # (site, k)
    n, k = len(found.unknown), features.shape[1]
    pairs = (features[:, :, None] * features[:, None, :]).reshape(len(x), k * k)
    joint = found.matrix.reshape(len(x), n * n).T @ pairs  # (unknown * unknown, k * k)
    joint = joint.reshape(n, n, k, k).transpose(0, 2, 1, 3).reshape(n * k, n * k)
    gain = np.linalg.solve(joint + PRIOR_PRECISION * np.eye(n * k), joint)
    # Mean over the sites of the features' products, for each parameter's own block.
    products = pairs.mean(axis=0).reshape(k, k)
    own = np.einsum("pkpl->pkl", gain.reshape(n, k, n, k))
    return np.asarray(np.einsum("pkl,lk->p", own, products).clip(0.0, 1.0))
