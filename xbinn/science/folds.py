"""Folds: which samples are tested on together, by networks that have seen none of them.

Cells are the unit: all samples of a cell share its covariates, so they are tested on together.
Only where folds follow a property of profiles, as their source, can a cell hold samples of several
folds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from xbinn.errors import InputError, ProfileError
from xbinn.labels.sites import Sites
from xbinn.labels.spatial_blocks import spatial_blocks
from xbinn.options import Split
from xbinn.science.fitting import mean_log_soc

SHARED: Final = "cell shared with training profiles"
LEFT_OUT: Final[Mapping[Split, str]] = {"leave_region_out": "region", "leave_source_out": "source"}
"""Splits that leave out one class of profiles at a time, and what the classes are of."""


@dataclass(frozen=True, eq=False)
class Folds:
    """A fold for every sample.

    Attributes
    ----------
    number : ndarray (sample,)
        Fold of each sample.
    names : tuple of str
        Of the folds.
    """

    number: np.ndarray
    names: tuple[str, ...]

    def parts(self, sites: Sites) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield for every fold the samples to learn from and those to test on, (sample,) boolean.

        Samples in a cell that holds samples to learn from are not tested on.
        """
        for fold in range(len(self.names)):
            inside = self.number == fold
            learnt = np.bincount(sites.site, ~inside, minlength=sites.n_sites) > 0
            yield ~inside, inside & ~learnt[sites.site]


def assign_folds(
    sites: Sites,
    split: Split,
    *,
    folds: int,
    block_size: float | str,
    seed: int | None,
    label: np.ndarray | None = None,
) -> tuple[Sites, Folds]:
    """Give every sample a fold.

    Parameters
    ----------
    sites : Sites
        Cells with samples.
    split : str
        ``spatial_blocks`` and ``random`` deal blocks and cells out so that every fold covers the
        range of mean ln SOC; ``latitude_bands`` cuts the cells, in order of latitude, into bands
        with about equally many; ``leave_region_out`` and ``leave_source_out`` make a fold of every
        class.
    folds : int
        How many there shall be, unless classes decide.
    block_size : float or str
        As in `xbinn.labels.spatial_blocks.spatial_blocks`.
    seed : int or None
        Of the dealing.
    label : ndarray (sample,), optional
        Class of every sample, text, empty where it is not known: such samples are left out.

    Returns
    -------
    Sites, Folds
        Those that are left, and their folds.

    Raises
    ------
    InputError
        If there are fewer blocks, cells, latitudes or classes than folds, or fewer than two folds.
    ProfileError
        If no sample has a class.
    """
    if split in LEFT_OUT:
        assert label is not None
        return _by_class(sites, label, LEFT_OUT[split])
    number = _DEALERS[split](sites, folds, block_size, seed)
    return sites, Folds(number[sites.site], tuple(f"{split} {i + 1}" for i in range(folds)))


def deal(groups: np.ndarray, values: np.ndarray, folds: int, seed: int | None) -> np.ndarray:
    """Deal whole groups out to folds, (n,), so that each covers the range of values.

    Groups are ranked by their mean value; each run of as many neighbours as there are folds gives
    one to each fold, at random.

    Parameters
    ----------
    groups, values : ndarray (n,)
        Group and value of each member.
    folds : int
        Number of folds.
    seed : int or None
        Of the dealing.

    Raises
    ------
    InputError
        If there are fewer groups than folds.
    """
    names, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    _enough(len(names), folds, "blocks with profiles: choose fewer folds or a smaller block_size")
    ranked = np.argsort(np.bincount(group, values) / sizes, kind="stable")
    rng = np.random.default_rng(seed)
    fold = np.empty(len(names), dtype=np.int64)
    for start in range(0, len(names), folds):
        run = ranked[start : start + folds]
        fold[run] = rng.permutation(folds)[: len(run)]
    return fold[group]


def _blocks(sites: Sites, folds: int, block_size: float | str, seed: int | None) -> np.ndarray:
    blocks = spatial_blocks(sites.lat, sites.lon, block_size)
    return deal(blocks, mean_log_soc(sites), folds, seed)


def _random(sites: Sites, folds: int, block_size: float | str, seed: int | None) -> np.ndarray:
    _enough(sites.n_sites, folds, "cells with profiles: choose fewer folds")
    return deal(np.arange(sites.n_sites), mean_log_soc(sites), folds, seed)


def _bands(sites: Sites, folds: int, block_size: float | str, seed: int | None) -> np.ndarray:
    rows, row, sizes = np.unique(sites.lat, return_inverse=True, return_counts=True)
    _enough(len(rows), folds, "latitudes with profiles: choose fewer folds")
    # First row of each band but the lowest; then, so that none is empty, of those beside it.
    wanted = sizes.sum() * np.arange(1, folds) / folds
    step = np.arange(folds - 1)
    first = np.searchsorted(np.cumsum(sizes), wanted) + 1
    first = np.maximum.accumulate(first - step) + step
    first = np.minimum(first, len(rows) - folds + 1 + step)
    return np.asarray(np.searchsorted(first, row, side="right"))


_DEALERS: Final[Mapping[Split, Callable[..., np.ndarray]]] = {
    "spatial_blocks": _blocks,
    "random": _random,
    "latitude_bands": _bands,
}


def _by_class(sites: Sites, label: np.ndarray, what: str) -> tuple[Sites, Folds]:
    everywhere = np.ones(sites.n_sites, dtype=bool)
    known = label != ""
    sites = sites.without(everywhere, known, f"{what} missing")
    names, number = np.unique(label[known], return_inverse=True)
    if len(names) < 2:
        raise InputError(
            f"all profiles are of the {what} {str(names[0])!r}, so it cannot be left out: choose "
            "another split, such as split='spatial_blocks'"
        )
    folds = Folds(number, tuple(str(name) for name in names))
    if not any(test.any() for _, test in folds.parts(sites)):
        raise ProfileError(
            f"every cell holds profiles of more than one {what}, so none is left to test on: "
            "choose another split, or a finer grid"
        )
    return sites, folds


def _enough(n: int, folds: int, what: str) -> None:
    if n < folds:
        raise InputError(f"{folds} folds cannot be made of {n} {what}")
