"""Splits that keep neighbours together.

Profiles close to each other are alike: held out at random they flatter a model (Roberts et al.
2017, doi:10.1111/ecog.02881). Whole blocks of space are held out instead.
"""

from typing import get_args

import numpy as np
import xarray as xr

from xbinn.constants import SOC_FLOOR
from xbinn.errors import InputError
from xbinn.labels.profiles import standardise_profiles
from xbinn.labels.spatial_blocks import spatial_blocks
from xbinn.options import Validation
from xbinn.science.settings import is_real

VALIDATIONS: tuple[Validation, ...] = get_args(Validation)


def hold_out(
    groups: np.ndarray, fraction: float, seed: int | None, *, values: np.ndarray | None = None
) -> np.ndarray:
    """Choose whole groups at random that hold about a fraction of the members.

    Parameters
    ----------
    groups : ndarray (n,)
        Group of each member.
    fraction : float
        Share of the members to hold out, above 0 and below 1; with ``values``, of the groups.
    seed : int or None
        Of the choice; None for another one every time.
    values : ndarray (n,), optional
        What to be representative of: groups are sorted by their mean value, and one is drawn from
        each run of 1/fraction neighbours in that order.

    Returns
    -------
    ndarray (n,)
        Which members are held out; at least one group is, and one is not.

    Raises
    ------
    InputError
        If the fraction is out of range or there are fewer than two groups.
    """
    if not is_real(fraction) or not 0.0 < fraction < 1.0:
        raise InputError(f"the fraction held out must lie between 0 and 1, not be {fraction!r}")
    names, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise InputError(
            f"all {groups.size} members lie in one block, so none can be held out: "
            "choose a smaller block_size, validation='random' or validation=None"
        )
    rng = np.random.default_rng(seed)
    if values is None:
        order = rng.permutation(len(names))
        before = np.cumsum(sizes[order]) - sizes[order]
        chosen = order[before < fraction * groups.size]
    else:
        means = np.bincount(group, values) / sizes
        ranked = np.argsort(means, kind="stable")
        runs = np.array_split(ranked, max(1, round(fraction * len(names))))
        chosen = np.array([rng.choice(run) for run in runs])
    return np.isin(group, chosen[: len(names) - 1])


def split_profiles(
    profiles: xr.Dataset,
    *,
    fraction: float = 0.2,
    block_size: float | str = 2.0,
    seed: int | None = None,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Split profiles into those to learn from and those to test on, by spatial blocks.

    Parameters
    ----------
    profiles : Dataset
        Dimensions (profile, sample), coordinates lat and lon.
    fraction : float
        Share of the blocks to test on, and about that of the profiles.
    block_size : float or str
        Edge of a block in degrees, or as "200 km" in an equal-area projection.
    seed : int or None
        Of the choice of blocks.

    Returns
    -------
    training, test : Dataset
        Profiles of one block are all in the one or all in the other. Blocks are drawn so that
        both hold the whole range of mean ln SOC.
    """
    profiles = standardise_profiles(profiles)
    blocks = spatial_blocks(profiles["lat"].values, profiles["lon"].values, block_size)
    soc = profiles["soc"].values.astype(np.float64)
    logs = np.log(np.maximum(soc, SOC_FLOOR))
    known = np.isfinite(logs)
    mean = np.where(known, logs, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    test = hold_out(blocks, fraction, seed, values=mean)
    return profiles.isel(profile=~test), profiles.isel(profile=test)
