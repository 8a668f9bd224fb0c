"""Arrays of MATLAB files as MATLAB has them, of version 5 to 7.2 and, lazily, of version 7.3."""

from pathlib import Path
from typing import Any, Final

import dask.array as da
import h5py
import numpy as np
import scipy.io

from xbinn.errors import InputError

_ROWS: Final = 48
"""Latitudes of a climatology that are read at once."""


class StoredArray:
    """An array of a version 7.3 file, read where it is indexed; a file is open only then.

    Parameters
    ----------
    path : Path
        File, which is HDF5: axes are stored in reverse.
    variable : str
        Name of the array.
    """

    def __init__(self, path: Path, variable: str) -> None:
        self.path, self.variable = path, variable
        with h5py.File(path, "r") as file:
            self.shape: tuple[int, ...] = file[variable].shape[::-1]
            self.dtype: np.dtype[Any] = file[variable].dtype
        self.ndim = len(self.shape)

    def __getitem__(self, index: tuple[Any, ...]) -> np.ndarray:
        with h5py.File(self.path, "r") as file:
            return np.asarray(file[self.variable][index[::-1]]).T


def read_matrix(path: Path, variable: str) -> np.ndarray:
    """Read a table into memory.

    Parameters
    ----------
    path : Path
        MATLAB file of any version.
    variable : str
        Name of the array.

    Returns
    -------
    ndarray
        As MATLAB has it; float64.

    Raises
    ------
    InputError
        If the file cannot be read or has no such array.
    """
    try:
        if h5py.is_hdf5(path):
            stored = StoredArray(path, variable)
            return np.asarray(stored[(slice(None),) * stored.ndim], dtype=np.float64)
        return np.asarray(
            scipy.io.loadmat(path, variable_names=[variable])[variable], dtype=np.float64
        )
    except KeyError as error:
        raise no_array(path, variable) from error
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise InputError(
            f"{path} cannot be read as a MATLAB file ({error}): fetch it anew"
        ) from error


def open_climatology(path: Path, variable: str) -> da.Array:
    """Open a monthly climatology lazily.

    Parameters
    ----------
    path : Path
        MATLAB file of version 7.3; an older one is read into memory.
    variable : str
        Name of the array.

    Returns
    -------
    dask.array.Array
        (lat, lon, [layer], month), in chunks of some latitudes.

    Raises
    ------
    InputError
        As for `read_matrix`.
    """
    if not h5py.is_hdf5(path):
        values = read_matrix(path, variable)
        whole: da.Array = da.from_array(values, chunks=(_ROWS, *values.shape[1:]))
        return whole
    try:
        stored = StoredArray(path, variable)
    except KeyError as error:
        raise no_array(path, variable) from error
    lazy: da.Array = da.from_array(
        stored,
        chunks=(_ROWS, *stored.shape[1:]),
        meta=np.empty((0,) * stored.ndim, dtype=stored.dtype),
    )
    return lazy


def no_array(path: Path, variable: str) -> InputError:
    """Make the error for a file that lacks the array."""
    return InputError(
        f"{path} has no array {variable}, which the published layout has there: it may be another "
        "file of the same name"
    )
