"""Tables of the published data as Datasets: profiles, covariates, retrieved parameters."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from xbinn.constants import KG_PER_G
from xbinn.errors import InputError
from xbinn.labels.encoding import output_attributes
from xbinn.labels.profiles import lay_out_samples
from xbinn.labels.published.layout import (
    CLASSES,
    NO_COVARIATES,
    PROFILE_COLUMNS,
    PROFILE_INFO,
    SAMPLE_COLUMNS,
    SAMPLES,
    PublishedFile,
)
from xbinn.labels.published.matlab import no_array
from xbinn.parameters import PARAMETER_NAMES, prior_bounds
from xbinn.variables import PROFILE

_CM_PER_M: Final = 100.0
_SAMPLE_VARIABLES: Final = {
    "soc_layer_weight": {"units": "1", "long_name": "weight of the sample, as published"},
    "bulk_density": {"long_name": "bulk density, as published"},
    "is_pedo": {"units": "1", "long_name": "whether a pedotransfer function gave bulk density"},
}
ROW: Final = "published_row"
"""Coordinate of a profile: its row in the published tables, from 0."""


def read_profiles(info: Path, samples: Path) -> tuple[xr.Dataset, int]:
    """Read profiles and their samples.

    Returns
    -------
    profiles : Dataset
        As of `xbinn.profiles.from_dataframe`; with ``country_name`` (156: United States) and the
        row of the published table as coordinates.
    n : int
        Rows of that table; profiles without a sample are left out.

    Raises
    ------
    InputError
        If a file has no such table, or no sample is of a profile of the first.
    """
    profiles = _netcdf_table(info, PROFILE_INFO, PROFILE_COLUMNS)
    table = _netcdf_table(samples, SAMPLES, SAMPLE_COLUMNS)
    profiles[ROW] = np.arange(len(profiles))
    joined = table.merge(
        profiles.drop(columns=["date", "layer_num", "country_id"]), on="profile_id", how="left"
    )
    known = joined[ROW].notna()
    if not known.any():
        raise InputError(
            f"no sample of {samples} has a profile_id of {info}: they are of different versions"
        )
    joined = joined[known].astype({ROW: np.int64})
    joined["depth_top"] = joined["upper_depth"] / _CM_PER_M
    joined["depth_bottom"] = joined["lower_depth"] / _CM_PER_M
    joined["soc"] = joined["soc_stock"] * KG_PER_G
    columns = {n: n for n in ("depth_top", "depth_bottom", "soc", ROW, "country_name")}
    ds = lay_out_samples(joined.sort_values(ROW, kind="stable"), columns, list(_SAMPLE_VARIABLES))
    for name, attrs in _SAMPLE_VARIABLES.items():
        ds[name].attrs = dict(attrs)
    ds.attrs["samples_without_profile"] = int((~known).sum())
    ds.attrs["profiles_without_samples"] = len(profiles) - ds.sizes[PROFILE]
    return ds, len(profiles)


def _netcdf_table(path: Path, file: PublishedFile, columns: Sequence[str]) -> pd.DataFrame:
    """Read a table that was written by MATLAB: transposed."""
    try:
        with xr.open_dataset(path, decode_times=False) as ds:
            if file.variable not in ds:
                raise no_array(path, file.variable)
            values = ds[file.variable].values.astype(np.float64)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as NetCDF ({error}): fetch it anew") from error
    if values.ndim == 2 and values.shape[0] == len(columns):
        values = values.T
    return as_table(values, columns, path)


def as_table(values: np.ndarray, columns: Sequence[str], path: Path) -> pd.DataFrame:
    """Name the columns of a table.

    Raises
    ------
    InputError
        If there are others than the layout has.
    """
    if values.ndim != 2 or values.shape[1] != len(columns):
        raise InputError(
            f"{path} has the shape {' x '.join(map(str, values.shape))}, the published layout has "
            f"{len(columns)} columns: {', '.join(columns[:3])}, ..., {columns[-1]}"
        )
    return pd.DataFrame(values, columns=list(columns))


def as_covariates(
    table: pd.DataFrame, dim: str, classes: dict[str, np.ndarray], ranges: pd.DataFrame | None
) -> xr.Dataset:
    """Lay covariates out along a dimension.

    Parameters
    ----------
    table : DataFrame
        Site or grid table.
    dim : str
        Dimension of the rows.
    classes : dict of str to ndarray
        Classes of each column of classes.
    ranges : DataFrame, optional
        Columns ``min`` and ``max`` by name of a column, to be noted.

    Returns
    -------
    Dataset
        (dim,) float32, with ``lat`` and ``lon``.
    """
    data: dict[str, Any] = {}
    for name in (c for c in table.columns if c not in NO_COVARIATES):
        attrs: dict[str, Any] = {}
        if name in CLASSES:
            attrs = {"units": "1", "flag_values": classes[name]}
        if ranges is not None and name in ranges.index:
            attrs["published_min"], attrs["published_max"] = map(float, ranges.loc[name])
        data[name] = (dim, table[name].to_numpy(dtype=np.float32), attrs)
    return xr.Dataset(
        data,
        {
            "lat": (dim, table["Lat"].to_numpy(), {"units": "degrees_north"}),
            "lon": (dim, table["Lon"].to_numpy(), {"units": "degrees_east"}),
        },
    )


def classes_of(tables: Sequence[pd.DataFrame]) -> dict[str, np.ndarray]:
    """Classes that occur in any of the tables, by column."""
    found = {}
    for name in CLASSES:
        values = np.concatenate([table[name].to_numpy() for table in tables])
        found[name] = np.unique(values[np.isfinite(values)]).astype(np.int32)
    return found


def rows_of(numbers: np.ndarray, n: int, path: Path) -> np.ndarray:
    """Turn indices from 1 into rows from 0.

    Raises
    ------
    InputError
        If they are none of a table of ``n`` rows.
    """
    rows = numbers.ravel()
    rows = rows[np.isfinite(rows)]
    if rows.size and (rows.min() < 1 or rows.max() > n or (rows != np.round(rows)).any()):
        raise InputError(
            f"{path} holds indices from {rows.min():g} to {rows.max():g}, but they count the {n} "
            "profiles from 1: the files are of different versions"
        )
    return np.asarray(rows, dtype=np.int64) - 1


def read_parameters(tables: dict[int, tuple[Path, Path]], n: int) -> xr.Dataset:
    """Read parameters that PRODA's networks gave.

    Parameters
    ----------
    tables : dict of int to (Path, Path)
        Files of parameters and of their profiles, by fold.
    n : int
        Number of rows of the published tables.

    Returns
    -------
    Dataset
        The 21 parameters (fold, row) in physical units, float64, NaN where a fold has none. They
        are not clipped: some lie outside the prior.

    Raises
    ------
    InputError
        If tables have other shapes, or name profiles that are not there.
    """
    low, high = np.array(prior_bounds("proda")).T
    physical = np.full((len(tables), n, len(PARAMETER_NAMES)), np.nan)
    outside = 0
    for i, (values, places) in enumerate(tables.values()):
        unit = as_table(_csv(values), PARAMETER_NAMES, values).to_numpy()
        rows = rows_of(_csv(places), n, places)
        if len(rows) != len(unit):
            raise InputError(
                f"{values} has {len(unit)} rows and {places} has {len(rows)}: they are not of the "
                "same run"
            )
        outside += int(((unit < 0.0) | (unit > 1.0)).sum())
        physical[i, rows] = low + unit * (high - low)
    ds = xr.Dataset(
        {
            name: (("fold", "row"), physical[..., i], output_attributes(name))
            for i, name in enumerate(PARAMETER_NAMES)
        },
        {"fold": np.array(list(tables))},
    )
    ds.attrs = {"prior": "proda", "values_outside_the_prior": outside}
    return ds


def _csv(path: Path) -> np.ndarray:
    try:
        values: np.ndarray = pd.read_csv(path, header=None).to_numpy(dtype=np.float64)
        return values
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is no table of numbers without a header ({error}): fetch it anew"
        ) from error
