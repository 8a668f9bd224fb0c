"""SOC profiles: from tables to Datasets, and those to names, dimensions and units of xbinn."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

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
WEIGHT: Final = "weight"
"""Coordinate (profile) that says how much a profile counts in a fit, relative to the others."""
OPTIONAL_COLUMNS: Final = ("year", "source", WEIGHT)

_TABLE: Final = {v.name: v for v in PROFILE_VARIABLES}
_POSITION_ALIASES: Final = {"lat": ("latitude",), "lon": ("longitude",)}
_POSITION_ATTRS: Final = {
    "lat": {"units": "degrees_north", "standard_name": "latitude"},
    "lon": {"units": "degrees_east", "standard_name": "longitude"},
}
_SAME_POSITION: Final = 1e-6
"""Rows of one profile may differ by this much (degrees)."""
_NAMED: Final = 5


def counted(n: int, noun: str) -> str:
    """Return a number with its noun in singular or plural."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def from_dataframe(df: pd.DataFrame, columns: Mapping[str, str] | None = None) -> xr.Dataset:
    """Make a profile Dataset of a long table of carbon densities, one row a sample.

    Parameters
    ----------
    df : DataFrame
        Depths in m below the surface and soc in kg m-3; where soc is in another unit, set
        ``ds["soc"].attrs["units"]`` afterwards.
    columns : mapping of str to str, optional
        Name of the column that holds ``profile_id``, ``lat``, ``lon``, ``depth_top``,
        ``depth_bottom`` or ``soc`` where it differs from `DEFAULT_COLUMNS`. Any other key is
        carried along as a coordinate of the profile; ``year``, ``source`` and ``weight`` are
        where the table has them. ``weight`` says how much each sample of the profile counts in
        the loss of `xbinn.fit`, relative to those of other profiles: 2 counts double, 0 leaves the
        profile out. Scores count all samples alike.

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
        a profile has several positions or weights.
    """
    return lay_out_samples(df, columns)


def lay_out_samples(
    df: pd.DataFrame, columns: Mapping[str, str] | None = None, samples: Sequence[str] = ()
) -> xr.Dataset:
    """Do as `from_dataframe`, with more variables of the samples.

    Parameters
    ----------
    df, columns
        As for `from_dataframe`.
    samples : sequence of str
        Columns of numbers that become variables (profile, sample) of their name.
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
        lost = int((code < 0).sum())
        raise ProfileError(
            f"{counted(lost, 'row')} without {names['profile_id']}: leave out what has none with "
            f'df.dropna(subset=["{names["profile_id"]}"])'
        )
    first = np.unique(code, return_index=True)[1]
    _one_position(numbers, code, first, identity)
    if WEIGHT in carried:
        _one_weight(_numbers(df, {WEIGHT: carried[WEIGHT]})[WEIGHT], code, first, identity)

    row, column, order = _places(code, numbers["depth_top"], numbers["depth_bottom"])
    shape = (len(identity), int(column.max()) + 1)
    data_vars: dict[str, Any] = {}
    for name, variable in _TABLE.items():
        attrs = {"units": variable.units, "long_name": variable.long_name}
        if name != "soc":
            attrs["positive"] = "down"
        padded = _padded(numbers[name], row, column, order, shape)
        data_vars[name] = ((PROFILE, SAMPLE), padded, attrs)
    for name in samples:
        padded = _padded(df[name].to_numpy(), row, column, order, shape)
        data_vars[name] = ((PROFILE, SAMPLE), padded)
    coords: dict[str, Any] = {
        n: ((PROFILE,), numbers[n][first], dict(_POSITION_ATTRS[n])) for n in _POSITION_ATTRS
    }
    coords["profile_id"] = ((PROFILE,), _plain(pd.Series(identity)))
    for name, source in carried.items():
        coords[name] = ((PROFILE,), _plain(df[source].iloc[first]))
    return xr.Dataset(data_vars, coords)


def _places(
    code: np.ndarray, top: np.ndarray, bottom: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and column of each sample in the padded array, and the order that they are in."""
    order = np.lexsort((bottom, top, code))
    row = code[order]
    start = np.searchsorted(row, np.arange(code.max(initial=-1) + 1))
    return row, np.arange(row.size) - start[row], order


def _padded(
    values: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    order: np.ndarray,
    shape: tuple[int, int],
) -> np.ndarray:
    """Lay samples out (profile, sample), with NaN, or 0 for integers, where there is none."""
    padded = np.full(shape, 0 if values.dtype.kind in "iu" else np.nan, dtype=values.dtype)
    padded[row, column] = values[order]
    return padded


def standardise_profiles(profiles: xr.Dataset) -> xr.Dataset:
    """Bring a profile Dataset to xbinn's names, dimensions and units.

    Parameters
    ----------
    profiles : Dataset
        ``soc``, ``depth_top``, ``depth_bottom`` on a profile dimension (that of ``lat``) and a
        sample dimension, of any names, or on the profile dimension alone; depths may be on the
        sample dimension alone. ``lat`` and ``lon`` (or latitude, longitude) as coordinates or
        variables, as may be ``weight``, see `from_dataframe`. Plain or quantified.

    Returns
    -------
    Dataset
        ``soc`` [kg m-3], ``depth_top``, ``depth_bottom`` [m] (profile, sample), with all
        coordinates of the profiles.

    Raises
    ------
    ProfileError
        If variables are missing, there are no profiles, dimensions are not (profile, sample), or
        positions are impossible.
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
        held = ", ".join(map(str, ds.variables)) or "no variables at all"
        raise ProfileError(
            f"profiles lack {', '.join(missing)} (they have {held}): "
            f'give variables their name with profiles.rename({{"...": "{missing[0]}"}}), or make '
            "the Dataset with xbinn.profiles.from_dataframe(df)"
        )
    weighted = [WEIGHT] if WEIGHT in ds.variables else []
    ds = _on_profile_dims(ds.set_coords(["lat", "lon", *weighted]))
    if not ds.sizes[PROFILE]:
        raise ProfileError(
            f"there are no profiles: the dimension {PROFILE} has length 0; check their selection"
        )
    _check_positions(ds)
    bad = [f"{n} ({ds[n].dtype})" for n in (*_TABLE, *weighted) if ds[n].dtype.kind not in "fiu"]
    if bad:
        raise ProfileError(
            f"profile variables that are not real numbers: {', '.join(bad)}; convert them with "
            "profiles[name].astype(float)"
        )
    arrays = convert_units(
        {n: as_float(ds[n]) for n in _TABLE}, {n: v.units for n, v in _TABLE.items()}
    )
    return ds.assign(arrays)[list(_TABLE)]


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
        raise ProfileError(
            f"{_several(identity, code[apart])} more than one position; give each "
            'position its own profile id, as in df["profile_id"] + "_" + df["lat"].astype(str)'
        )


def _one_weight(weight: np.ndarray, code: np.ndarray, first: np.ndarray, identity: Any) -> None:
    own = weight[first][code]
    apart = (weight != own) & ~(np.isnan(weight) & np.isnan(own))
    if apart.any():
        raise ProfileError(
            f"{_several(identity, code[apart])} more than one weight; give each profile one, as in "
            'df["weight"] = df.groupby("profile_id")["weight"].transform("mean")'
        )


def _several(identity: Any, code: np.ndarray) -> str:
    names = [str(identity[c]) for c in np.unique(code)]
    listed = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    return f"{counted(len(names), 'profile')} ({listed}) {'have' if len(names) > 1 else 'has'}"


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
    if WEIGHT in ds.coords and ds[WEIGHT].dims != (PROFILE,):
        shown = ", ".join(map(str, ds[WEIGHT].dims))
        raise ProfileError(
            f"{WEIGHT} has dimensions ({shown}), but is one number a profile, on ({PROFILE}): "
            'reduce it, as in profiles["weight"].mean("sample"), or if it is something else, '
            'leave it away with profiles.drop_vars("weight")'
        )
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
                f"{name} outside {low:g} to {high:g} in {counted(bad.size, 'profile')}: {shown}"
                f"{', ...' if bad.size > _NAMED else ''}"
            )
    if problems:
        raise ProfileError(
            f"impossible positions: {'; '.join(problems)}; positions are degrees north and east: "
            'if they are swapped, use profiles.rename({"lat": "lon", "lon": "lat"})'
        )
