"""SOC profiles: from tables to Datasets, from Datasets to flat samples. Nothing goes uncounted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from xbinn.constants import COLUMN_DEPTH
from xbinn.errors import ProfileError
from xbinn.labels.encoding import as_float, convert_units
from xbinn.labels.units import dequantify
from xbinn.variables import PROFILE, PROFILE_VARIABLES, SAMPLE

DEFAULT_COLUMNS: Final[Mapping[str, str]] = {
    "profile_id": "profile_id",
    "lat": "lat",
    "lon": "lon",
    "depth_top": "upper_depth_m",
    "depth_bottom": "lower_depth_m",
    "soc": "soc_density",
}
"""Column of a long table that holds each part of a profile; depths in m, soc in kg m-3."""
OPTIONAL_COLUMNS: Final = ("year", "source", "weight")

_TABLE: Final = {v.name: v for v in PROFILE_VARIABLES}
_POSITION_ALIASES: Final = {"lat": ("latitude",), "lon": ("longitude",)}
_POSITION_ATTRS: Final = {
    "lat": {"units": "degrees_north", "standard_name": "latitude"},
    "lon": {"units": "degrees_east", "standard_name": "longitude"},
}
_SAME_POSITION: Final = 1e-6
"""Rows of one profile may differ by this much (degrees)."""
_OVERLAP: Final = 1e-4
"""Samples that share less than this (m) do not overlap: depths are often float32."""
_NAMED: Final = 5


@dataclass(frozen=True, eq=False)
class Samples:
    """All usable samples of all profiles, flat.

    Attributes
    ----------
    profile : ndarray (n,) int64
        Position of the sample's profile along ``profile``.
    top, bottom : ndarray (n,) float64 [m]
    soc : ndarray (n,) float64 [kg m-3]
    dropped_samples, dropped_profiles : dict of str to int
        How many were left out, by reason. Profiles are counted too where all of their samples
        were. Padding (NaN in all of soc and depths) is no sample.
    overlapping : int
        Samples that begin above the bottom of a shallower one of the same profile. Kept.
    """

    profile: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    soc: np.ndarray
    dropped_samples: dict[str, int]
    dropped_profiles: dict[str, int]
    overlapping: int


def from_dataframe(df: pd.DataFrame, columns: Mapping[str, str] | None = None) -> xr.Dataset:
    """Make a profile Dataset of a long table, one row a sample.

    Parameters
    ----------
    df : DataFrame
        Depths in m below the surface and soc in kg m-3; where soc is in another unit, set
        ``ds["soc"].attrs["units"]`` afterwards.
    columns : mapping of str to str, optional
        Name of the column that holds ``profile_id``, ``lat``, ``lon``, ``depth_top``,
        ``depth_bottom`` or ``soc`` where it differs from `DEFAULT_COLUMNS`. Any other key is
        carried along as a coordinate of the profile; ``year``, ``source`` and ``weight`` are
        where the table has them.

    Returns
    -------
    Dataset
        ``soc``, ``depth_top``, ``depth_bottom`` (profile, sample), NaN-padded, samples sorted by
        depth; coordinates ``lat``, ``lon``, ``profile_id`` (profile) and those carried along.
        Profiles come in the order in which the table first names them.

    Raises
    ------
    ProfileError
        If the table is empty, columns are missing or hold no numbers, rows have no profile id, or
        a profile has several positions.
    """
    names = {**DEFAULT_COLUMNS, **(columns or {})}
    absent = [f"{column} ({key})" for key, column in names.items() if column not in df.columns]
    if absent:
        raise ProfileError(
            f"columns missing from the table: {', '.join(absent)}; it has "
            f"{', '.join(map(str, df.columns))}: name them with "
            'columns={"soc": "...", "depth_top": "..."}'
        )
    if df.empty:
        raise ProfileError("the table of profiles has no rows: pass one row a sample")
    carried = {n: n for n in OPTIONAL_COLUMNS if n in df.columns and n not in names}
    carried |= {key: column for key, column in names.items() if key not in DEFAULT_COLUMNS}
    numbers = _numbers(df, {k: names[k] for k in DEFAULT_COLUMNS if k != "profile_id"})
    code, identity = pd.factorize(df[names["profile_id"]])
    if (code < 0).any():
        raise ProfileError(
            f"{int((code < 0).sum())} rows have no {names['profile_id']}: drop them with "
            f'df.dropna(subset=["{names["profile_id"]}"])'
        )
    first = np.unique(code, return_index=True)[1]
    _one_position(numbers, code, first, identity)

    order = np.lexsort((numbers["depth_bottom"], numbers["depth_top"], code))
    row = code[order]
    start = np.searchsorted(row, np.arange(len(identity)))
    column = np.arange(row.size) - start[row]
    shape = (len(identity), int(column.max()) + 1)
    data_vars: dict[str, Any] = {}
    for name, variable in _TABLE.items():
        padded = np.full(shape, np.nan)
        padded[row, column] = numbers[name][order]
        attrs = {"units": variable.units, "long_name": variable.long_name}
        if name != "soc":
            attrs["positive"] = "down"
        data_vars[name] = ((PROFILE, SAMPLE), padded, attrs)
    coords: dict[str, Any] = {
        n: ((PROFILE,), numbers[n][first], dict(_POSITION_ATTRS[n])) for n in _POSITION_ATTRS
    }
    coords["profile_id"] = ((PROFILE,), _plain(pd.Series(identity)))
    for name, source in carried.items():
        coords[name] = ((PROFILE,), _plain(df[source].iloc[first]))
    return xr.Dataset(data_vars, coords)


def standardise_profiles(profiles: xr.Dataset) -> xr.Dataset:
    """Bring a profile Dataset to xbinn's names, dimensions and units.

    Parameters
    ----------
    profiles : Dataset
        ``soc``, ``depth_top``, ``depth_bottom`` on a profile dimension (that of ``lat``) and a
        sample dimension, of any names, or on the profile dimension alone; depths may be on the
        sample dimension alone. ``lat`` and ``lon`` (or latitude, longitude) as coordinates or
        variables. Plain or quantified.

    Returns
    -------
    Dataset
        ``soc`` [kg m-3], ``depth_top``, ``depth_bottom`` [m] (profile, sample), with all
        coordinates of the profiles.

    Raises
    ------
    ProfileError
        If variables are missing, dimensions are not (profile, sample), or positions are impossible.
    UnitsError
        If a unit is missing, cannot be understood, or measures something else.
    """
    if not isinstance(profiles, xr.Dataset):
        raise ProfileError(
            f"profiles must be an xarray.Dataset, not {type(profiles).__name__}: a table becomes "
            "one with xbinn.profiles.from_dataframe(df)"
        )
    ds = dequantify(profiles)
    for name, aliases in _POSITION_ALIASES.items():
        alias = next((a for a in aliases if a in ds.variables), None)
        if name not in ds.variables and alias is not None:
            ds = ds.rename({alias: name})
    missing = [n for n in (*_TABLE, *_POSITION_ALIASES) if n not in ds.variables]
    if missing:
        raise ProfileError(
            f"profiles lack {', '.join(missing)} (they have {', '.join(map(str, ds.variables))}): "
            f'give variables their name with profiles.rename({{"...": "{missing[0]}"}}), or make '
            "the Dataset with xbinn.profiles.from_dataframe(df)"
        )
    ds = _on_profile_dims(ds.set_coords(["lat", "lon"]))
    _check_positions(ds)
    bad = [f"{n} ({ds[n].dtype})" for n in _TABLE if ds[n].dtype.kind not in "fiu"]
    if bad:
        raise ProfileError(
            f"profile variables that are not real numbers: {', '.join(bad)}; convert them with "
            "profiles[name].astype(float)"
        )
    arrays = convert_units(
        {n: as_float(ds[n]) for n in _TABLE}, {n: v.units for n, v in _TABLE.items()}
    )
    return ds.assign(arrays)[list(_TABLE)]


def to_samples(profiles: xr.Dataset) -> Samples:
    """Flatten profiles to their usable samples and count the others by reason.

    Parameters
    ----------
    profiles : Dataset
        From `standardise_profiles`.

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
    most = _TABLE["soc"].valid_range[1]
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
    }
    usable = ~(np.isnan(soc) & np.isnan(top) & np.isnan(bottom))
    dropped: dict[str, int] = {}
    for reason, holds in reasons.items():
        count = int((usable & holds).sum())
        if count:
            dropped[reason] = count
        usable &= ~holds
    empty = placed & ~usable.any(axis=1)
    counts = {"no usable sample": int(empty.sum()), "no position": int((~placed).sum())}
    dropped_profiles = {reason: count for reason, count in counts.items() if count}
    if not usable.any():
        found = ", ".join(f"{n} {reason}" for reason, n in dropped.items()) or "none at all"
        raise ProfileError(
            f"none of the {soc.shape[0]} profiles has a usable sample (left out: {found}): check "
            'the values and units, as in profiles["soc"].attrs["units"] = "g cm-3"'
        )
    profile = np.nonzero(usable)[0].astype(np.int64)
    top, bottom = top[usable], bottom[usable]
    return Samples(
        profile,
        top,
        bottom,
        soc[usable],
        dropped,
        dropped_profiles,
        _count_overlapping(profile, top, bottom),
    )


def _numbers(df: pd.DataFrame, names: Mapping[str, str]) -> dict[str, np.ndarray]:
    numbers: dict[str, np.ndarray] = {}
    bad: list[str] = []
    for key, column in names.items():
        try:
            numbers[key] = pd.to_numeric(df[column]).to_numpy(dtype=np.float64, na_value=np.nan)
        except (ValueError, TypeError):
            bad.append(column)
    if bad:
        raise ProfileError(
            f"columns that hold no numbers: {', '.join(bad)}; convert them with "
            'pd.to_numeric(df[column], errors="coerce")'
        )
    return numbers


def _one_position(
    numbers: Mapping[str, np.ndarray], code: np.ndarray, first: np.ndarray, identity: Any
) -> None:
    apart = np.zeros(code.shape, dtype=bool)
    for name in _POSITION_ATTRS:
        apart |= np.abs(numbers[name] - numbers[name][first][code]) > _SAME_POSITION
    if apart.any():
        several = [str(identity[c]) for c in np.unique(code[apart])]
        raise ProfileError(
            f"{len(several)} profiles have more than one position: "
            f"{', '.join(several[:_NAMED])}{', ...' if len(several) > _NAMED else ''}; give each "
            'position its own profile id, as in df["profile_id"] + "_" + df["lat"].astype(str)'
        )


def _plain(values: "pd.Series[Any]") -> np.ndarray:
    """Numbers as they are, everything else as fixed-width text with "" for missing."""
    if pd.api.types.is_numeric_dtype(values):
        if values.isna().any():
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        return values.to_numpy()
    return values.astype(object).where(values.notna(), "").to_numpy().astype(str)


def _on_profile_dims(ds: xr.Dataset) -> xr.Dataset:
    """Rename dimensions to (profile, sample), adding those that are missing."""
    where = {n: ds[n].dims for n in (*_TABLE, *_POSITION_ALIASES)}
    positions = {where["lat"], where["lon"]}
    others = {d for n in _TABLE for d in where[n]} - set(where["lat"])
    if len(positions) != 1 or len(where["lat"]) != 1 or len(others) > 1:
        shown = ", ".join(f"{n} ({', '.join(map(str, dims))})" for n, dims in where.items())
        raise ProfileError(
            f"profiles have dimensions {shown}; needed are soc and depths on ({PROFILE}, "
            f"{SAMPLE}), lat and lon on ({PROFILE}): a long table becomes that with "
            "xbinn.profiles.from_dataframe(df)"
        )
    profile = where["lat"][0]
    renamed = {profile: PROFILE} | dict.fromkeys(others, SAMPLE)
    ds = ds.rename({old: new for old, new in renamed.items() if old != new})
    shape = {PROFILE: ds.sizes[PROFILE], SAMPLE: ds.sizes.get(SAMPLE, 1)}
    whole = {}
    for name in _TABLE:
        missing = {d: n for d, n in shape.items() if d not in ds[name].dims}
        whole[name] = ds[name].expand_dims(missing).transpose(PROFILE, SAMPLE)
    return ds.assign(whole)


def _check_positions(ds: xr.Dataset) -> None:
    problems: list[str] = []
    for name, low, high in (("lat", -90.0, 90.0), ("lon", -180.0, 360.0)):
        values = ds[name].values
        if values.dtype.kind not in "fiu":
            problems.append(f"{name} is of type {values.dtype}")
            continue
        bad = np.flatnonzero((values < low) | (values > high))
        if bad.size:
            shown = ", ".join(f"{values[i]:g} (profile {i})" for i in bad[:_NAMED])
            problems.append(
                f"{name} outside {low:g} to {high:g} in {bad.size} profiles: {shown}"
                f"{', ...' if bad.size > _NAMED else ''}"
            )
    if problems:
        raise ProfileError(
            f"impossible positions: {'; '.join(problems)}; positions are degrees north and east: "
            'if they are swapped, use profiles.rename({"lat": "lon", "lon": "lat"})'
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
