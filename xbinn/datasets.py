"""Grids and profiles to start from: your own files, or the embedded idealised continent.

`open_grid` and `open_profiles` look at their ``path``, else at the folder that the environment
variable ``XBINN_DATA`` names, else make the data of `xbinn.idealised`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import xarray as xr

from xbinn import idealised
from xbinn.errors import InputError
from xbinn.labels.published.reading import Published, open_published

__all__ = ["Published", "open_grid", "open_profiles", "open_published", "true_parameters"]

DATA_VARIABLE: Final = "XBINN_DATA"
GRID_FILE: Final = "conus_grid.nc"
PROFILES_FILE: Final = "conus_profiles.nc"
N_PROFILES: Final = 600
_SEED: Final = 0
_ZARR_MARKS: Final = ("zarr.json", ".zgroup", ".zmetadata")

Chunks = int | Literal["auto"] | Mapping[Any, Any] | None


def open_grid(path: str | os.PathLike[str] | None = None, *, chunks: Chunks = None) -> xr.Dataset:
    """Open covariates and forcing on a grid.

    Parameters
    ----------
    path : str or PathLike, optional
        A NetCDF file, a Zarr store, or a folder with ``conus_grid.nc``. Default: the folder that
        the environment variable ``XBINN_DATA`` names; where that is unset or empty, the embedded
        idealised continent, 40 x 60 cells of 1 degree.
    chunks : int, dict or "auto", optional
        Sizes of dask chunks, as in `xarray.open_dataset`; ``{}`` takes those of the file.
        Default: no dask.

    Returns
    -------
    Dataset
        Covariates (*space) and forcing (month, depth, *space) with units; a CRS, where the file
        has one, is among the coordinates.

    Raises
    ------
    InputError
        If there is no such file, it cannot be read, or ``chunks`` names unknown dimensions.

    Examples
    --------
    >>> import xbinn
    >>> grid = xbinn.datasets.open_grid()
    """
    file = _resolve(path, GRID_FILE, "open_grid")
    if file is not None:
        grid = _open(file, chunks)
        _check_chunks(chunks, grid, str(file))
        return grid
    grid = _idealised_grid()
    _check_chunks(chunks, grid, "the idealised grid")
    return grid if chunks is None else grid.chunk(chunks)


def open_profiles(path: str | os.PathLike[str] | None = None) -> xr.Dataset:
    """Open profiles of soil organic carbon.

    Parameters
    ----------
    path : str or PathLike, optional
        A NetCDF file, a Zarr store, or a folder with ``conus_profiles.nc``. Default: as for
        `open_grid`; the idealised profiles are samples of the soil carbon model run with
        `true_parameters`, times lognormal noise (see `xbinn.idealised.sampling`).

    Returns
    -------
    Dataset
        ``soc`` [kg m-3], ``depth_top`` and ``depth_bottom`` [m], (profile, sample), NaN-padded,
        in memory; ``lat`` and ``lon`` (profile).

    Raises
    ------
    InputError
        If there is no such file or it cannot be read.

    Examples
    --------
    >>> import xbinn
    >>> profiles = xbinn.datasets.open_profiles()
    """
    file = _resolve(path, PROFILES_FILE, "open_profiles")
    if file is not None:
        with _open(file, None) as profiles:
            return profiles.load()
    # Sampling runs the soil carbon model: torch takes a second to import.
    from xbinn.idealised.sampling import sample_profiles

    grid = _idealised_grid()
    return sample_profiles(grid, grid["lat"], grid["lon"], n=N_PROFILES, seed=_SEED)


def true_parameters(grid: xr.Dataset | None = None) -> xr.Dataset:
    """Return the parameters that made the idealised profiles.

    Parameters
    ----------
    grid : Dataset, optional
        A grid of the idealised continent. Default: the embedded one, whatever ``XBINN_DATA`` is.

    Returns
    -------
    Dataset
        The 21 parameters (*space), physical units, float64, NaN in the ocean; inside the prior
        ``binn``.

    Raises
    ------
    InputError
        If ``grid`` lacks covariates of the idealised continent.

    Examples
    --------
    >>> import xbinn
    >>> float(xbinn.datasets.true_parameters()["q10"].max()) < 3.0
    True
    """
    return idealised.true_parameters(_idealised_grid() if grid is None else grid)


def _idealised_grid() -> xr.Dataset:
    lat, lon = (
        xr.DataArray(
            np.arange(low + 0.5, high),
            dims=name,
            coords={name: np.arange(low + 0.5, high)},
            name=name,
        )
        for name, (low, high) in (("lat", idealised.LATITUDES), ("lon", idealised.LONGITUDES))
    )
    return idealised.continent(lat, lon)


def _resolve(path: str | os.PathLike[str] | None, name: str, function: str) -> Path | None:
    """Find the file that is meant; None means the embedded data."""
    # Set to nothing asks for the embedded data, as unset does.
    given = path if path is not None else os.environ.get(DATA_VARIABLE) or None
    if given is None:
        return None
    root = Path(given).expanduser()
    call = f'xbinn.datasets.{function}("/path/to/{name}")'
    if path is None and not root.is_dir():
        raise InputError(
            f"{DATA_VARIABLE} names {root}, which is no folder: correct it, unset it for the "
            f"embedded idealised data, or name the file: {call}"
        )
    if root.is_dir() and not _is_zarr(root):
        file = root / name
        where = f", the folder that {DATA_VARIABLE} names" if path is None else ""
    else:
        file, where = root, ""
    if not file.exists():
        raise InputError(
            f"there is no {file.name} in {file.parent}{where}: put it there, name another file: "
            f"{call}, or unset {DATA_VARIABLE} and call xbinn.datasets.{function}() for the "
            "embedded idealised data"
        )
    return file


def _is_zarr(path: Path) -> bool:
    return any((path / mark).exists() for mark in _ZARR_MARKS)


def _open(file: Path, chunks: Chunks) -> xr.Dataset:
    # A folder on disk is read as fast without consolidated metadata, which not every store has.
    options: dict[str, Any] = {"engine": "zarr", "consolidated": False} if file.is_dir() else {}
    try:
        # "all" makes the CRS a coordinate, so that it survives a selection of variables.
        return xr.open_dataset(file, chunks=chunks, decode_coords="all", **options)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{file} cannot be read as NetCDF or Zarr: fetch a damaged file anew; a table of "
            "profiles goes through xbinn.profiles.read_csv(...) "
            f"({error})"
        ) from error


def _check_chunks(chunks: Chunks, grid: xr.Dataset, where: str) -> None:
    """Refuse names that xarray would pass over in files, so that a grid stays in one chunk."""
    unknown = [str(d) for d in chunks if d not in grid.dims] if isinstance(chunks, Mapping) else []
    if unknown:
        raise InputError(
            f"chunks names {', '.join(unknown)}, but the dimensions of {where} are "
            f"{', '.join(map(str, grid.dims))}: use those, as in "
            f"chunks={{{str(next(iter(grid.dims)))!r}: 10}}"
        )
