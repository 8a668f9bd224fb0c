"""From profiles to flat samples. Nothing goes uncounted."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from xbinn.constants import COLUMN_DEPTH
from xbinn.errors import ProfileError
from xbinn.labels.profiles import WEIGHT
from xbinn.variables import PROFILE, PROFILE_VARIABLES, SAMPLE

BAD_WEIGHT: Final = "weight missing or negative"
ZERO_WEIGHT: Final = "weight zero"

_OVERLAP: Final = 1e-4
"""Samples that share less than this (m) do not overlap: depths are often float32."""


@dataclass(frozen=True, eq=False)
class Samples:
    """All usable samples of all profiles, flat.

    Attributes
    ----------
    profile : ndarray (n,) int64
        Position of the sample's profile along ``profile``.
    sample : ndarray (n,) int64
        Position of the sample along ``sample``.
    top, bottom : ndarray (n,) float64 [m]
    soc : ndarray (n,) float64 [kg m-3]
    weight : ndarray (n,) float64
        Weight of the sample's profile, above 0; 1 where profiles have none.
    dropped_samples, dropped_profiles : dict of str to int
        How many were left out, by reason. Profiles are counted too where all of their samples
        were. Padding (NaN in all of soc and depths) is no sample.
    overlapping : int
        Samples that begin above the bottom of a shallower one of the same profile. Kept.
    """

    profile: np.ndarray
    sample: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    soc: np.ndarray
    weight: np.ndarray
    dropped_samples: dict[str, int]
    dropped_profiles: dict[str, int]
    overlapping: int


def to_samples(profiles: xr.Dataset) -> Samples:
    """Flatten profiles to their usable samples and count the others by reason.

    Parameters
    ----------
    profiles : Dataset
        From `xbinn.labels.profiles.standardise_profiles`.

    Raises
    ------
    ProfileError
        If no sample is left.
    """
    soc, top, bottom = (
        profiles[n].transpose(PROFILE, SAMPLE).values.astype(np.float64)
        for n in ("soc", "depth_top", "depth_bottom")
    )
    placed = np.isfinite(profiles["lat"].values) & np.isfinite(profiles["lon"].values)
    weight = np.ones(placed.shape)
    if WEIGHT in profiles.coords:
        weight = profiles[WEIGHT].values.astype(np.float64)
    weighed = np.isfinite(weight) & (weight >= 0.0)
    most = next(v.valid_range[1] for v in PROFILE_VARIABLES if v.name == "soc")
    depths = np.isfinite(top) & np.isfinite(bottom)
    # The first reason that holds is the one counted.
    reasons = {
        "soc missing": ~np.isfinite(soc),
        "depth missing": ~depths,
        "above the surface": top < 0.0,
        "top not above bottom": ~(top < bottom),
        "below the model column": top >= COLUMN_DEPTH,
        "soc negative": soc < 0.0,
        f"soc above {most:g} kg m-3": soc > (np.inf if most is None else most),
        "profile without position": np.broadcast_to(~placed[:, None], soc.shape),
        BAD_WEIGHT: np.broadcast_to(~weighed[:, None], soc.shape),
        ZERO_WEIGHT: np.broadcast_to((weight == 0.0)[:, None], soc.shape),
    }
    usable = ~(np.isnan(soc) & np.isnan(top) & np.isnan(bottom))
    dropped: dict[str, int] = {}
    for reason, holds in reasons.items():
        count = int((usable & holds).sum())
        if count:
            dropped[reason] = count
        usable &= ~holds
    empty = placed & weighed & (weight > 0.0) & ~usable.any(axis=1)
    counts = {
        "no usable sample": empty,
        "no position": ~placed,
        BAD_WEIGHT: placed & ~weighed,
        ZERO_WEIGHT: placed & (weight == 0.0),
    }
    dropped_profiles = {why: int(which.sum()) for why, which in counts.items() if which.any()}
    if not usable.any():
        found = ", ".join(f"{n} {reason}" for reason, n in dropped.items()) or "none at all"
        whose = f"none of the {len(soc)} profiles has a" if len(soc) > 1 else "the profile has no"
        raise ProfileError(
            f"{whose} usable sample (left out: {found}): check "
            'the values and units, as in profiles["soc"].attrs["units"] = "g cm-3"'
        )
    profile, sample = (index.astype(np.int64) for index in np.nonzero(usable))
    top, bottom = top[usable], bottom[usable]
    return Samples(
        profile,
        sample,
        top,
        bottom,
        soc[usable],
        weight[profile],
        dropped,
        dropped_profiles,
        _count_overlapping(profile, top, bottom),
    )


def _count_overlapping(profile: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> int:
    order = np.lexsort((bottom, top, profile))
    profile, top, bottom = profile[order], top[order], bottom[order]
    # Shifting each profile below the one before turns a maximum by profile into a plain one.
    # A bottom far below the column must not reach into the next profile.
    depth = 2.0 * COLUMN_DEPTH
    shift = profile * depth
    deepest = np.maximum.accumulate(np.minimum(bottom, COLUMN_DEPTH) + shift)
    return int((deepest[:-1] - _OVERLAP > (top + shift)[1:]).sum())
