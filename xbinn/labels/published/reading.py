"""The published data as Datasets: a list of cells, profiles, retrieved parameters."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr

from xbinn.constants import MONTHS_PER_YEAR
from xbinn.errors import InputError
from xbinn.labels.published.finding import Folder
from xbinn.labels.published.layout import (
    CHAIN_R2,
    ELIGIBLE,
    FORCING_FILES,
    FORCING_UNITS,
    FURTHER_FILES,
    GELMAN_RUBIN,
    GRID,
    GRID_COLUMNS,
    N_CHAINS,
    PROFILE_INFO,
    RANGES,
    REPRESENTATIVE,
    RUN_SHAPE,
    SAMPLES,
    SITE_COLUMNS,
    SITES,
    Part,
    PublishedFile,
)
from xbinn.labels.published.matlab import open_climatology, read_matrix
from xbinn.labels.published.tables import (
    ROW,
    as_covariates,
    as_table,
    classes_of,
    read_parameters,
    read_profiles,
    rows_of,
)
from xbinn.parameters import PARAMETER_NAMES
from xbinn.variables import DEPTH, FORCING, MONTH, PARAMETER, PROFILE

PARTS: Final = get_args(Part)
CELL: Final = "cell"
_LAT: Final = 90.0 - (np.arange(RUN_SHAPE[0]) + 0.5) * 180.0 / RUN_SHAPE[0]
_LON: Final = -180.0 + (np.arange(RUN_SHAPE[1]) + 0.5) * 360.0 / RUN_SHAPE[1]
"""Centres of the cells of the monthly climatologies."""
_FILL: Final = 1e30
"""What is larger is CESM's fill value, 1e36."""
_TITLES: Final = {
    "grid": "Published covariates and CLM5 forcing",
    "profiles": "Published SOC profiles",
    "sites": "Published covariates at the profiles",
    "retrieved": "Published parameters, retrieved by PRODA",
}
_CHAINS: Final = {
    "para_gr": ("gelman_rubin", "Gelman-Rubin statistic of the published chains"),
    "stat_r2": ("chain_r2", "coefficient of determination of each published chain"),
}


@dataclass(frozen=True)
class Published:
    """What `open_published` has read; None for a part that was not asked for.

    Attributes
    ----------
    grid : Dataset or None
        Covariates (cell) in memory and forcing (month, depth, cell), lazy, on the land cells of
        0.5 degree; for `xbinn.fit` and `xbinn.predict`.
    profiles : Dataset or None
        ``soc``, ``depth_top``, ``depth_bottom`` (profile, sample), as of `open_profiles`.
    sites : Dataset or None
        Covariates at the profiles (profile).
    retrieved : Dataset or None
        The 21 parameters (fold, profile) that PRODA's networks gave, in physical units.
    """

    grid: xr.Dataset | None = None
    profiles: xr.Dataset | None = None
    sites: xr.Dataset | None = None
    retrieved: xr.Dataset | None = None


def open_published(
    root: str | os.PathLike[str], *, parts: Sequence[Part] = ("grid", "profiles")
) -> Published:
    """Open the data of PRODA and BINN in the layout that their authors publish.

    Parameters
    ----------
    root : str or PathLike
        Folder with the files, in their own folders or in any other below it.
    parts : sequence of {"grid", "profiles", "proda"}
        What to read: covariates and forcing; profiles; retrieved parameters and convergence of
        each profile, which needs the profiles.

    Returns
    -------
    Published
        Its ``grid``, ``profiles``, ``sites`` and ``retrieved``.

    Raises
    ------
    InputError
        If files of a part are missing, which are listed by name, or hold something else.

    Notes
    -----
    The forcing is taken of the nearest cell of its 384 x 576 climatologies, whose cells have equal
    steps from 90 N and from 180 W: the files state no coordinates. Columns have the units that the
    layout states, or none.
    """
    chosen = [parts] if isinstance(parts, str) else list(parts)
    unknown = [p for p in chosen if p not in PARTS]
    if unknown or not chosen:
        raise InputError(f"parts={parts!r} is not known: choose of {', '.join(map(repr, PARTS))}")
    if "proda" in chosen and "profiles" not in chosen:
        raise InputError('parts has "proda" without "profiles", which it is about: add it')
    folder = Folder(root)
    wanted = {
        "grid": (GRID, RANGES, *FORCING_FILES.values()),
        "profiles": (PROFILE_INFO, SAMPLES, SITES),
        "proda": (GELMAN_RUBIN, CHAIN_R2, ELIGIBLE, REPRESENTATIVE),
    }
    files = [file for part in chosen for file in wanted[part]]
    tables, further = folder.parameter_tables() if "proda" in chosen else ({}, [])
    paths = dict(zip(files, folder.require(files, further), strict=True))

    def table(file: PublishedFile, columns: Sequence[str]) -> pd.DataFrame:
        return as_table(read_matrix(paths[file], file.variable), columns, paths[file])

    site_table = table(SITES, SITE_COLUMNS) if "profiles" in chosen else None
    grid_table = table(GRID, GRID_COLUMNS) if "grid" in chosen else None
    classes = classes_of([t for t in (site_table, grid_table) if t is not None])
    read: dict[str, xr.Dataset] = {}
    ranges = None
    if grid_table is not None:
        ranges = table(RANGES, ("min", "max"))
        _same_length(paths[RANGES], len(ranges), len(SITE_COLUMNS), "columns of the sites")
        ranges.index = pd.Index(SITE_COLUMNS)
        grid = as_covariates(grid_table, CELL, classes, ranges)
        read["grid"] = grid.merge(_forcing(folder, grid_table))
    if site_table is not None:
        profiles, n = read_profiles(paths[PROFILE_INFO], paths[SAMPLES])
        _same_length(paths[SITES], len(site_table), n, "profiles")
        rows = profiles[ROW].values
        places = {name: profiles[name] for name in ("lat", "lon", "profile_id")}
        sites = as_covariates(site_table.iloc[rows], PROFILE, classes, ranges)
        read["sites"] = sites.assign_coords(places)
        if "proda" in chosen:
            profiles = _with_convergence(profiles, table, paths, n)
            retrieved = read_parameters(tables, n).isel(row=rows).rename(row=PROFILE)
            read["retrieved"] = retrieved.assign_coords(places)
        read["profiles"] = profiles
    for name, ds in read.items():
        ds.attrs = {"title": _TITLES[name], "source": str(folder.root)} | ds.attrs
    return Published(**read)


def _same_length(path: Path, found: int, wanted: int, what: str) -> None:
    if found != wanted:
        raise InputError(
            f"{path} has {found} rows, but there are {wanted} {what}: the files are of different "
            "versions"
        )


def _forcing(folder: Folder, table: pd.DataFrame) -> xr.Dataset:
    """Forcing, and further fields that are there, at the nearest cell of the climatologies."""
    lat, lon = table["Lat"].to_numpy(), table["Lon"].to_numpy()
    row = np.abs(_LAT[:, None] - lat).argmin(axis=0)
    column = np.floor((lon + 180.0) / 360.0 * RUN_SHAPE[1]).astype(np.int64) % RUN_SHAPE[1]
    fields: dict[str, xr.DataArray] = {}
    wanted = {n: (file, FORCING_UNITS[n]) for n, file in FORCING_FILES.items()} | FURTHER_FILES
    names = {v.name: v.long_name for v in FORCING}
    for name, (file, units) in wanted.items():
        path = folder.find(file)
        if path is None:
            continue
        values = open_climatology(path, file.variable)
        _check_shape(values, str(path))
        cells = values.vindex[row, column]
        dims = (CELL, MONTH) if cells.ndim == 2 else (CELL, DEPTH, MONTH)
        kept = xr.DataArray(cells, dims=dims)
        kept = kept.where(np.abs(kept) < _FILL).transpose(MONTH, ..., CELL)
        kept.attrs = {"units": units, "long_name": names.get(name, name)}
        fields[name] = kept
    return xr.Dataset(fields)


def _check_shape(values: da.Array, path: str) -> None:
    good = values.ndim in (3, 4) and values.shape[:2] == RUN_SHAPE
    if not good or values.shape[-1] != MONTHS_PER_YEAR:
        raise InputError(
            f"{path} has the shape {' x '.join(map(str, values.shape))}, the published layout has "
            f"{RUN_SHAPE[0]} x {RUN_SHAPE[1]} x [layer] x {MONTHS_PER_YEAR}"
        )


def _with_convergence(
    profiles: xr.Dataset,
    table: Callable[[PublishedFile, Sequence[str]], pd.DataFrame],
    paths: Mapping[PublishedFile, Path],
    n: int,
) -> xr.Dataset:
    """Add what PRODA's chains say of each profile."""
    rows = profiles[ROW].values
    columns = {
        GELMAN_RUBIN: (PARAMETER, list(PARAMETER_NAMES)),
        CHAIN_R2: ("chain", [f"chain_{i + 1}" for i in range(N_CHAINS)]),
    }
    for file, (dim, names) in columns.items():
        found = table(file, names)
        _same_length(paths[file], len(found), n, "profiles")
        name, long_name = _CHAINS[file.variable]
        profiles[name] = (
            (PROFILE, dim),
            found.to_numpy()[rows],
            {"units": "1", "long_name": long_name},
        )
    for name, file in (("eligible", ELIGIBLE), ("representative", REPRESENTATIVE)):
        flags = np.zeros(n, dtype=bool)
        flags[rows_of(read_matrix(paths[file], file.variable), n, paths[file])] = True
        profiles = profiles.assign_coords({name: (PROFILE, flags[rows])})
    return profiles.assign_coords({PARAMETER: list(PARAMETER_NAMES)})
