"""What can be wrong with a sample: one table of rules, and which samples each of them meets."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from xbinn.variables import PROFILE_VARIABLES

PURE_ORGANIC_MATTER: Final = 600.0
"""Organic carbon [g kg-1] above which a sample would be more than organic matter (58 percent
carbon; charcoal has more)."""
DENSE_PEAT: Final = 120.0
"""Carbon density [kg m-3] that only compacted peat exceeds: 0.2 g cm-3 of pure organic matter."""
MINERAL_GRAIN: Final = 2650.0
"""Density of quartz [kg m-3], above which no soil can lie."""
TOGETHER: Final = 1e-4
"""Depths (m) that differ by less are the same."""
TEXTURE_SUM: Final = (90.0, 110.0)
"""Within which sand, silt and clay [percent] add up."""

_MOST: Final = next(v.valid_range[1] for v in PROFILE_VARIABLES if v.name == "soc") or np.inf
_SAME_POSITION: Final = 1e-6
_ENOUGH: Final = 25
"""Profiles that make a region in which others can be out of place."""


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong.

    Attributes
    ----------
    name : str
        As it stands in ``flag_meanings``.
    meaning : str
    unusable : bool
        Whether the sample is left without carbon; else it is kept and flagged.
    advice : str
        What to do.
    """

    name: str
    meaning: str
    unusable: bool
    advice: str


RULES: Final = (
    Rule("position_missing", "latitude or longitude is missing", True, "fill them in"),
    Rule(
        "position_impossible",
        "latitude outside -90..90 or longitude outside -180..360",
        True,
        "convert projected positions to degrees; swap the two columns if they are the wrong way",
    ),
    Rule(
        "position_differs",
        "lies elsewhere than the first sample of its profile that has a position",
        True,
        "give each position its own profile id",
    ),
    Rule(
        "position_zero",
        "latitude and longitude are both 0, as where they were not known",
        True,
        "fill them in",
    ),
    Rule(
        "position_maybe_swapped",
        "would lie among the other profiles if latitude and longitude were swapped",
        False,
        "look at these profiles, and swap the two where they are the wrong way",
    ),
    Rule("depth_missing", "top or bottom is missing", True, "fill them in"),
    Rule(
        "depth_order",
        "top is not above bottom",
        True,
        "swap the two columns if all are so; organic layers counted upwards lie above the mineral "
        "soil and are no part of the model",
    ),
    Rule(
        "above_surface",
        "begins above the surface of the mineral soil",
        True,
        "nothing, where these are litter or organic layers above the mineral soil",
    ),
    Rule("litter", "is surface litter by its source", True, "nothing: litter is no soil carbon"),
    Rule(
        "bulk_density_missing",
        "has organic carbon but no bulk density",
        True,
        'ask for an estimate, as in pedotransfer="manrique_jones_1991"',
    ),
    Rule(
        "bulk_density_impossible",
        f"bulk density is not above 0 and below {MINERAL_GRAIN:g} kg m-3",
        True,
        "check its unit",
    ),
    Rule(
        "coarse_fragments_impossible",
        "coarse fragments outside 0..100 percent",
        True,
        "check their unit",
    ),
    Rule("carbon_negative", "organic carbon is below 0", True, "check what a fill value is"),
    Rule(
        "carbon_impossible",
        f"more than {PURE_ORGANIC_MATTER:g} g of carbon in a kg, or {_MOST:g} kg in a m3",
        True,
        "check the units of carbon and bulk density",
    ),
    Rule("carbon_zero", "organic carbon is exactly 0", False, "nothing: it may be below detection"),
    Rule(
        "carbon_suspect",
        f"more than {DENSE_PEAT:g} kg of carbon in a m3, which only compacted peat has",
        False,
        "check the units of carbon and bulk density where this is no peat",
    ),
    Rule(
        "duplicate",
        "has the depths and the carbon of another sample of its profile",
        True,
        "nothing: the first one is kept",
    ),
    Rule(
        "replicate",
        "has the depths of another sample of its profile, and other carbon",
        False,
        "nothing, where these are replicates; else give each pit its own profile id",
    ),
    Rule(
        "overlap",
        "begins above the bottom of the sample above it",
        False,
        "check whether several pits share a profile id",
    ),
    Rule("gap", "begins below the bottom of the sample above it", False, ""),
    Rule(
        "coarse_fragments_assumed",
        "coarse fragments are not reported and count as 0",
        False,
        "nothing, where soils have few stones: else carbon is too high by their volume",
    ),
    Rule(
        "bulk_density_estimated",
        "bulk density comes from a pedotransfer function or a model of the provider",
        False,
        "nothing; see the validity of the function",
    ),
    Rule(
        "pedotransfer_outside",
        "organic carbon is above that of the soils the pedotransfer function is for",
        False,
        "choose one for organic soils, such as adams_1973",
    ),
    Rule(
        "texture_sum",
        f"sand, silt and clay do not add up to {TEXTURE_SUM[0]:g}..{TEXTURE_SUM[1]:g} percent",
        False,
        "check their units, where a pedotransfer function uses them",
    ),
)
"""In the order of the bits of ``quality``."""

BITS: Final = {rule.name: 1 << i for i, rule in enumerate(RULES)}
UNUSABLE: Final = sum(BITS[rule.name] for rule in RULES if rule.unusable)
_NOWHERE: Final = sum(
    BITS[name]
    for name in ("position_differs", "depth_missing", "depth_order", "above_surface", "litter")
)


def judge(table: pd.DataFrame, profile: np.ndarray) -> np.ndarray:
    """Say which rules the samples of a table meet.

    Parameters
    ----------
    table : DataFrame
        From `xbinn.labels.soil.density.carbon_density`.
    profile : ndarray (n,)
        Number of the profile of each sample.

    Returns
    -------
    ndarray (n,) int32
        Sum of `BITS`.
    """

    def known(name: str) -> np.ndarray:
        values = table[name] if name in table else pd.Series(np.nan, index=table.index)
        return np.asarray(values, dtype=np.float64)

    top, bottom, soc = known("depth_top"), known("depth_bottom"), known("soc")
    carbon, density, coarse = (
        known(n) for n in ("organic_carbon", "bulk_density", "coarse_fragments")
    )
    concentration = np.isnan(known("soc_stock")) & np.isnan(soc) & np.isfinite(carbon)
    used = table["origin"].isin((2, 4, 5)).to_numpy()
    bad_density = (density <= 0.0) | (density >= MINERAL_GRAIN)
    bad_coarse = (coarse < 0.0) | (coarse > 100.0)
    # What follows from these says nothing of the carbon.
    soc = np.where((bad_density | bad_coarse) & used, np.nan, soc)
    met = _positions(known("lat"), known("lon"), profile)
    met |= {
        "depth_missing": ~(np.isfinite(top) & np.isfinite(bottom)),
        "depth_order": top >= bottom,
        "above_surface": (top < 0.0) & (top < bottom),
        "litter": _true(table["litter"]) if "litter" in table else np.zeros(len(table), bool),
        "bulk_density_missing": concentration & np.isnan(density),
        "bulk_density_impossible": bad_density,
        "coarse_fragments_impossible": bad_coarse,
        "carbon_negative": (soc < 0.0) | (carbon < 0.0),
        "carbon_impossible": (carbon > PURE_ORGANIC_MATTER) | (soc > _MOST),
        "carbon_zero": soc == 0.0,
        "carbon_suspect": (soc > DENSE_PEAT) & (soc <= _MOST),
        "coarse_fragments_assumed": used & np.isnan(coarse),
        "bulk_density_estimated": table["origin"].isin((4, 5)).to_numpy(),
        "pedotransfer_outside": table["outside"].to_numpy(),
        "texture_sum": _texture(known("sand"), known("silt"), known("clay")),
    }
    flags = np.zeros(len(table), dtype=np.int32)
    for name, holds in met.items():
        flags[holds] |= BITS[name]
    # Neighbours are those whose place is known, whether or not their carbon is.
    placed = np.flatnonzero((flags & _NOWHERE) == 0)
    between = _neighbours(profile[placed], top[placed], bottom[placed], soc[placed])
    for name, holds in between.items():
        flags[placed[holds]] |= BITS[name]
    return flags


def _true(values: "pd.Series[Any]") -> np.ndarray:
    text = values.astype(str).str.strip().str.lower()
    return text.isin(("true", "t", "1", "1.0", "yes", "y")).to_numpy()


def _texture(sand: np.ndarray, silt: np.ndarray, clay: np.ndarray) -> np.ndarray:
    total = sand + silt + clay
    return np.asarray((total < TEXTURE_SUM[0]) | (total > TEXTURE_SUM[1]))


def _positions(lat: np.ndarray, lon: np.ndarray, profile: np.ndarray) -> dict[str, np.ndarray]:
    first = first_place(lat, lon, profile)
    apart = np.abs(lat - lat[first]) > _SAME_POSITION
    apart |= np.abs(lon - lon[first]) > _SAME_POSITION
    impossible, zero = _nowhere(lat, lon)
    return {
        "position_missing": ~(np.isfinite(lat) & np.isfinite(lon)),
        "position_impossible": impossible,
        "position_differs": apart,
        "position_zero": zero,
        "position_maybe_swapped": _swapped(lat, lon, ~(impossible | zero)),
    }


def _nowhere(lat: np.ndarray, lon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which positions are impossible, and which are 0."""
    impossible = (np.abs(lat) > 90.0) | (lon < -180.0) | (lon > 360.0)
    return np.asarray(impossible), np.asarray((lat == 0.0) & (lon == 0.0))


def first_place(lat: np.ndarray, lon: np.ndarray, profile: np.ndarray) -> np.ndarray:
    """Find the first sample of each profile that says where it is, else its first one.

    Parameters
    ----------
    lat, lon : ndarray (n,)
        [degree] of each sample.
    profile : ndarray (n,)
        Number of its profile.

    Returns
    -------
    ndarray (n,)
        Row of that sample, for each sample.
    """
    impossible, zero = _nowhere(lat, lon)
    placed = np.isfinite(lat) & np.isfinite(lon) & ~impossible & ~zero
    rank = np.arange(profile.size) + np.where(placed, 0, profile.size)
    first = pd.Series(rank).groupby(profile).transform("min").to_numpy()
    return np.asarray(first % max(profile.size, 1))


def _swapped(lat: np.ndarray, lon: np.ndarray, placed: np.ndarray) -> np.ndarray:
    """Positions out of the region of the others that would be in it if swapped."""
    placed = placed & np.isfinite(lat) & np.isfinite(lon)
    places = np.unique(np.stack([lat[placed], lon[placed]]), axis=1)
    if places.shape[1] < _ENOUGH:
        # Too few to tell a region: only what is impossible as it stands and possible if swapped.
        return np.asarray((np.abs(lat) > 90.0) & (np.abs(lat) <= 360.0) & (np.abs(lon) <= 90.0))
    (south, west), (north, east) = np.quantile(places, [0.05, 0.95], axis=1)
    # A region has margins of half its size, or a degree.
    dy, dx = max(0.5 * (north - south), 1.0), max(0.5 * (east - west), 1.0)

    def inside(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        within = (y >= south - dy) & (y <= north + dy) & (x >= west - dx) & (x <= east + dx)
        return np.asarray(within)

    return np.asarray(~inside(lat, lon) & inside(lon, lat))


def _neighbours(
    profile: np.ndarray, top: np.ndarray, bottom: np.ndarray, soc: np.ndarray
) -> dict[str, np.ndarray]:
    """Compare each sample with those above it in its profile."""
    order = np.lexsort((np.arange(profile.size), bottom, top, profile))
    p, t, b, c = (a[order] for a in (profile, top, bottom, soc))
    same = np.zeros(p.size, dtype=bool)
    same[1:] = (
        (p[1:] == p[:-1])
        & (np.abs(t[1:] - t[:-1]) < TOGETHER)
        & (np.abs(b[1:] - b[:-1]) < TOGETHER)
    )
    # Samples of the same depths form a run; within it, equal carbon is a duplicate.
    run = np.cumsum(~same)
    seen = pd.DataFrame({"run": run, "soc": c})
    duplicate = seen.duplicated().to_numpy() & np.isfinite(c)
    sizes = np.bincount(run[~duplicate], minlength=run.max(initial=0) + 1)
    replicate = (sizes[run] > 1) & ~duplicate
    # The deepest bottom above, profile by profile: shifting profiles apart makes one running
    # maximum of many. Runs of the same depths count once.
    reach = (p - p.min(initial=0)) * 1e4
    deepest = np.maximum.accumulate(np.minimum(b, 1e3) + reach) - reach if p.size else b
    before = np.full(p.size, np.nan)
    before[1:] = np.where(p[1:] == p[:-1], deepest[:-1], np.nan)
    start = pd.Series(np.where(same, np.nan, before))
    above = start.groupby(run).transform("first").to_numpy()
    found = {
        "duplicate": duplicate,
        "replicate": replicate,
        "overlap": ~duplicate & (above - t > TOGETHER),
        "gap": ~duplicate & (t - above > TOGETHER),
    }
    back = np.empty(p.size, dtype=np.int64)
    back[order] = np.arange(p.size)
    return {name: holds[back] for name, holds in found.items()}
