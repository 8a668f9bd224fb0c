"""From profiles on a grid to batches of columns and padded samples."""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import torch
import xarray as xr

from xbinn.labels.covariates import CovariateSpec
from xbinn.labels.sites import Sites, gather_sites
from xbinn.learning.observation import observation_weights
from xbinn.options import Bedrock
from xbinn.parameters import Prior
from xbinn.science.fitting import usable_sites
from xbinn.science.proda.batch import Batch
from xbinn.science.proda.likelihoods import published_weights


@dataclass(frozen=True, eq=False)
class Profiles:
    """Profiles that can be inferred from.

    Attributes
    ----------
    sites : Sites
        Their cells and samples, with counts of what was left out.
    profile : ndarray (n,)
        Their places in the profile Dataset.
    rows : list of ndarray
        The samples of each in ``sites``.
    keys : list of int
        Digest of each profile's samples and column.
    weights : ndarray (sample, layer)
        Observation operator of all samples.
    """

    sites: Sites
    profile: np.ndarray
    rows: list[np.ndarray]
    keys: list[int]
    weights: np.ndarray

    def digest(self) -> str:
        """Return a sha256 of all profiles and columns, in order."""
        return sha256(b"".join(key.to_bytes(16, "big") for key in self.keys)).hexdigest()

    def batch(self, chosen: np.ndarray) -> Batch:
        """Take profiles by their number here, padded to the one that has most samples."""
        n, most = len(chosen), max(len(self.rows[i]) for i in chosen)
        sites = self.sites
        weights = np.zeros((self.weights.shape[1], most, n))
        depth, observed, weight = np.ones((3, most, n))
        counted = np.zeros((most, n), dtype=bool)
        middle = 0.5 * (sites.top + sites.bottom)
        for place, number in enumerate(chosen):
            rows = self.rows[number]
            here = slice(len(rows)), place
            weights[:, : len(rows), place] = self.weights[rows].T
            depth[here], observed[here], counted[here] = middle[rows], sites.soc[rows], True
            weight[here] = published_weights(sites.soc[rows], middle[rows])
        column = np.array([sites.site[self.rows[number][0]] for number in chosen])
        return Batch(
            [self.keys[number] for number in chosen],
            {name: np.ascontiguousarray(a[..., column]) for name, a in sites.forcing.items()},
            {
                "weights": weights,
                "depth": depth,
                "observed": observed,
                "weight": weight,
                "counted": counted,
            },
        )


def gather_profiles(
    ds: xr.Dataset,
    profiles: xr.Dataset,
    *,
    prior: Prior,
    bedrock: Bedrock,
    observation: str,
    tolerance: float | None,
) -> Profiles:
    """Find the column and the usable samples of every profile.

    Parameters
    ----------
    ds, profiles, prior, bedrock
        As for `xbinn.science.proda.retrieve`.
    observation : {"layer_mean", "node"}
        Operator.
    tolerance : float, optional
        As for `xbinn.fit`.

    Raises
    ------
    InputError
        If forcing or profiles cannot be used.
    ProfileError
        If no profile is left.
    """
    sites = gather_sites(ds, profiles, CovariateSpec((), ()), bedrock=bedrock, tolerance=tolerance)
    sites = usable_sites(sites, prior, bedrock, observation)
    order = np.lexsort((sites.sample, sites.profile))
    profile, first = np.unique(sites.profile[order], return_index=True)
    rows = np.split(order, first[1:])
    top, bottom = (torch.from_numpy(np.ascontiguousarray(a)) for a in (sites.top, sites.bottom))
    nbedrock = np.atleast_2d(sites.forcing["nbedrock"])[0].astype(np.int64)[sites.site]
    weights = observation_weights(
        observation, top, bottom, torch.from_numpy(nbedrock), bedrock
    ).weights
    return Profiles(sites, profile, rows, [_key(sites, r) for r in rows], weights.numpy())


def _key(sites: Sites, rows: np.ndarray) -> int:
    """Digest of the samples of a profile and of its column."""
    found = sha256()
    for values in (sites.top, sites.bottom, sites.soc):
        found.update(np.ascontiguousarray(values[rows], dtype=np.float64).tobytes())
    site = sites.site[rows[0]]
    for name in sorted(sites.forcing):
        found.update(np.ascontiguousarray(sites.forcing[name][..., site], np.float64).tobytes())
    return int.from_bytes(found.digest()[:16], "big")
