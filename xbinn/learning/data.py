"""What a model is trained on.

A *site* is one column of forcing and covariates with all the samples that were taken there.
"""

from dataclasses import dataclass, field, fields
from typing import Final, Generic

import torch
from torch import Tensor

from xbinn.errors import InputError
from xbinn.learning.model import ForcingT

_NAMED_SITES: Final = 5
"""How many sites an error message lists."""


@dataclass(frozen=True)
class Batch(Generic[ForcingT]):
    """Sites and their samples, as tensors on one device.

    Attributes
    ----------
    numeric : Tensor
        ``(site, p)`` numeric covariates, their own units, all finite.
    categorical : Tensor
        ``(site, c)`` int64 class codes.
    forcing : SiteForcing
        Site as the last axis.
    site : Tensor
        ``(sample,)`` int64, the site of each sample. Every site has at least one sample.
    weights : Tensor
        ``(sample, layer)`` observation operator (`xbinn.learning.observation`).
    observed : Tensor
        ``(sample,)`` SOC density [kg m-3].
    sample_weights : Tensor or None
        ``(sample,)`` how much each sample counts; None for all alike.
    """

    numeric: Tensor
    categorical: Tensor
    forcing: ForcingT
    site: Tensor
    weights: Tensor
    observed: Tensor
    sample_weights: Tensor | None = None

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return len(self.numeric)


@dataclass(frozen=True)
class TrainingData(Batch[ForcingT]):
    """A batch of all sites, whose parts are known to belong together, ready to be drawn from.

    Raises
    ------
    InputError
        If lengths differ, samples name sites that are not there, or sites have no sample.
    """

    _first: Tensor = field(init=False, repr=False)  # (site,) where a site's samples start
    _count: Tensor = field(init=False, repr=False)  # (site,)
    _order: Tensor = field(init=False, repr=False)  # (sample,) samples in the order of sites

    def __post_init__(self) -> None:
        """Check that the parts belong together and index the samples by site."""
        n_sites, n_samples = len(self.numeric), len(self.site)
        lengths = {
            "categorical": (len(self.categorical), n_sites),
            "weights": (len(self.weights), n_samples),
            "observed": (len(self.observed), n_samples),
        }
        if self.sample_weights is not None:
            lengths["sample_weights"] = (len(self.sample_weights), n_samples)
        wrong = [f"{k} has {n}, not {m}" for k, (n, m) in lengths.items() if n != m]
        if wrong:
            raise InputError(
                f"{n_sites} sites and {n_samples} samples do not fit: {'; '.join(wrong)}"
            )
        if n_samples and not 0 <= int(self.site.min()) <= int(self.site.max()) < n_sites:
            raise InputError(
                f"samples name sites from {int(self.site.min())} to {int(self.site.max())}, "
                f"but there are sites 0 to {n_sites - 1} only"
            )
        count = torch.bincount(self.site, minlength=n_sites)
        empty = (count == 0).nonzero()[:, 0]
        if len(empty):
            raise InputError(
                f"{len(empty)} of {n_sites} sites have no sample ({list_sites(empty)}): "
                "leave them out"
            )
        object.__setattr__(self, "_count", count)
        object.__setattr__(self, "_first", count.cumsum(0) - count)
        object.__setattr__(self, "_order", torch.argsort(self.site, stable=True))

    def batch(self, sites: Tensor) -> Batch[ForcingT]:
        """Return the sites `sites` ``(m,)`` int64 with all their samples, numbered anew."""
        count = self._count[sites]
        site = torch.repeat_interleave(torch.arange(len(sites), device=sites.device), count)
        rank = torch.arange(len(site), device=sites.device) - (count.cumsum(0) - count)[site]
        sample = self._order[self._first[sites][site] + rank]
        extra = self.sample_weights
        # index_select copies rows in less time than indexing.
        return Batch(
            self.numeric.index_select(0, sites),
            self.categorical.index_select(0, sites),
            self.forcing.select(sites),
            site,
            self.weights.index_select(0, sample),
            self.observed.index_select(0, sample),
            None if extra is None else extra.index_select(0, sample),
        )

    def select(self, sites: Tensor) -> "TrainingData[ForcingT]":
        """Return a `batch` that can be drawn from in turn."""
        part = self.batch(sites)
        return TrainingData(**{f.name: getattr(part, f.name) for f in fields(Batch)})


def list_sites(sites: Tensor) -> str:
    """Return the first few of `sites` ``(m,)`` and how many more there are, for a message."""
    named = ", ".join(str(int(s)) for s in sites[:_NAMED_SITES])
    return named + (f" and {len(sites) - _NAMED_SITES} more" if len(sites) > _NAMED_SITES else "")
