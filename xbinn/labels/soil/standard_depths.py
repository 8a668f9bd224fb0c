"""Profiles at standard depths, by equal-area quadratic splines."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final

import numpy as np
import xarray as xr

from xbinn.errors import ProfileError
from xbinn.labels.profiles import standardise_profiles
from xbinn.labels.soil.rules import TOGETHER
from xbinn.labels.soil.spline import fit_spline
from xbinn.variables import PROFILE, SAMPLE

STANDARD_DEPTHS: Final = (0.0, 0.05, 0.15, 0.30, 0.60, 1.0, 2.0)
"""Edges [m] of the intervals of GlobalSoilMap."""
HARMONISED: Final = "harmonised"

_CM: Final = 100.0
"""Centimetres in a metre: lam is published for depths in cm."""


class Harmonised(IntEnum):
    """How a standard interval of a profile came about."""

    NOT_SAMPLED = 0
    SPLINE = 1
    ACROSS_A_GAP = 2
    SET_TO_ZERO = 3
    OVERLAPPING = 4


def to_standard_depths(
    profiles: xr.Dataset, depths: Sequence[float] = STANDARD_DEPTHS, *, lam: float = 0.1
) -> xr.Dataset:
    """Harmonise profiles to standard depths by equal-area quadratic splines.

    Each profile is a smooth function of depth that trades, as in Bishop et al., the deviation of
    its means over the sampled layers from those measured against its roughness. They are equal for
    ``lam=0`` alone, where the spline preserves the mass of each layer; else it preserves the sum of
    the layer means, and the mass of a profile whose layers are of one thickness. Its exact
    integrals give the means of the standard intervals. Intervals end where the samples end:
    ``depth_top`` and ``depth_bottom`` say what each value is of, so that the carbon of a profile is
    that of its spline, no more and no less.

    Parameters
    ----------
    profiles : Dataset
        ``soc``, ``depth_top``, ``depth_bottom`` (profile, sample), see `from_dataframe`.
    depths : sequence of float
        Edges of the intervals [m], rising.
    lam : float
        Smoothness, not below 0, for depths in cm as published; 0.1 is usual, 0 keeps the carbon of
        every layer exactly, but for intervals that are set to 0.

    Returns
    -------
    Dataset
        ``soc`` [kg m-3], ``depth_top``, ``depth_bottom`` [m] and ``harmonised`` (profile, sample),
        a sample an interval, NaN where a profile has no samples; coordinates of the profiles. A
        profile whose samples overlap has no spline: its ``harmonised`` says so. Where the spline
        falls below 0, the interval is set to 0.

    Raises
    ------
    ProfileError
        If depths do not rise from 0 or more, or ``lam`` is negative.

    References
    ----------
    Bishop, McBratney and Laslett 1999, Geoderma 91, 27-45, doi:10.1016/S0016-7061(99)00003-8.
    """
    edges = np.asarray(depths, dtype=np.float64)
    rising = edges.ndim == 1 and edges.size > 1 and bool((np.diff(edges) > 0.0).all())
    if not rising or not np.isfinite(edges).all() or edges[0] < 0.0:
        raise ProfileError(
            f"depths={depths!r} do not rise from 0 or more: give edges in m, such as "
            f"{STANDARD_DEPTHS}"
        )
    if not lam >= 0.0:
        raise ProfileError(f"lam={lam!r} is negative: give 0 or more, such as 0.1")
    ds = standardise_profiles(profiles)
    top, bottom, soc = (
        ds[n].transpose(PROFILE, SAMPLE).values.astype(np.float64)
        for n in ("depth_top", "depth_bottom", "soc")
    )
    shape = (soc.shape[0], edges.size - 1)
    values = {n: np.full(shape, np.nan) for n in ("soc", "depth_top", "depth_bottom")}
    how = np.full(shape, Harmonised.NOT_SAMPLED, dtype=np.int8)
    sampled = np.isfinite(soc) & np.isfinite(top) & np.isfinite(bottom) & (bottom > top)
    for i in range(shape[0]):
        layers = np.flatnonzero(sampled[i])
        if layers.size:
            layers = layers[np.argsort(top[i, layers], kind="stable")]
            found = _intervals(top[i, layers], bottom[i, layers], soc[i, layers], edges, lam)
            values["depth_top"][i], values["depth_bottom"][i], values["soc"][i], how[i] = found
    attrs = {n: ds[n].attrs for n in values}
    data: dict[str, Any] = {n: ((PROFILE, SAMPLE), v, attrs[n]) for n, v in values.items()}
    data[HARMONISED] = (
        (PROFILE, SAMPLE),
        how,
        {
            "long_name": "how the standard interval came about",
            "flag_values": np.array([int(h) for h in Harmonised], dtype=np.int8),
            "flag_meanings": " ".join(h.name.lower() for h in Harmonised),
        },
    )
    coords = {n: c for n, c in ds.coords.items() if SAMPLE not in c.dims}
    out = xr.Dataset(data, coords, attrs=profiles.attrs)
    out.attrs["standard_depths"] = f"equal-area quadratic spline, lam={lam:g} (depths in cm)"
    return out


def _intervals(
    top: np.ndarray, bottom: np.ndarray, soc: np.ndarray, edges: np.ndarray, lam: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Top, bottom, mean and origin of each standard interval of one profile."""
    n = edges.size - 1
    nothing = np.full(n, np.nan)
    if (top[1:] < bottom[:-1] - TOGETHER).any():
        crossed = (edges[1:] > top[0]) & (edges[:-1] < bottom.max())
        how = np.where(crossed, Harmonised.OVERLAPPING, Harmonised.NOT_SAMPLED)
        return nothing, nothing, nothing, how
    # Depths a rounding apart touch.
    bottom = bottom.copy()
    bottom[:-1] = np.minimum(bottom[:-1], top[1:])
    spline = fit_spline(top * _CM, bottom * _CM, soc, lam)
    upper, lower = (np.clip(e, top[0], bottom[-1]) for e in (edges[:-1], edges[1:]))
    here = lower - upper > TOGETHER
    thickness = np.where(here, (lower - upper) * _CM, np.nan)
    mean = (spline.integral(lower * _CM) - spline.integral(upper * _CM)) / thickness
    gap_top, gap_bottom = bottom[:-1], top[1:]
    open_gap = gap_bottom - gap_top > TOGETHER
    across = (
        (np.minimum(lower[:, None], gap_bottom) - np.maximum(upper[:, None], gap_top) > TOGETHER)
        & open_gap
    ).any(axis=1)
    how = np.where(across, Harmonised.ACROSS_A_GAP, Harmonised.SPLINE)
    how = np.where(mean < 0.0, Harmonised.SET_TO_ZERO, how)
    how = np.where(here, how, Harmonised.NOT_SAMPLED)
    return (
        np.where(here, upper, np.nan),
        np.where(here, lower, np.nan),
        np.where(here, np.maximum(mean, 0.0), np.nan),
        how,
    )
