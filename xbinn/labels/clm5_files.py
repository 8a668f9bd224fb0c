"""Opening history files as one Dataset, whichever of them hold its constants. Lazy."""

import os
from collections.abc import Collection, Sequence
from functools import partial
from typing import Final, TypeAlias

import numpy as np
import xarray as xr
from dask.base import compute

from xbinn.errors import InputError

Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

BEDROCK: Final = "nbedrock"


def open_history(files: Paths, wanted: Collection[str]) -> xr.Dataset:
    """Open files side by side or one behind the other, by what each of them holds.

    Parameters
    ----------
    files : str, PathLike, or sequence of them
        As for `xarray.open_mfdataset`.
    wanted : collection of str
        Variables to keep, with the bounds of ``time``.

    Returns
    -------
    Dataset
        On dask. ``nbedrock`` is from whichever file has it.

    Raises
    ------
    InputError
        If files do not fit each other, or disagree on ``nbedrock``.
    ModuleNotFoundError
        If cftime is not installed.
    """
    coder = xr.coders.CFDatetimeCoder(use_cftime=True)
    bedrock: list[tuple[str, xr.DataArray]] = []
    others: list[str] = []
    try:
        ds = xr.open_mfdataset(
            files,
            combine="by_coords",
            preprocess=partial(_only_needed, wanted=wanted, bedrock=bedrock, others=others),
            data_vars="minimal",
            coords="minimal",
            compat="override",
            join="exact",
            combine_attrs="override",
            decode_times=coder,
            decode_timedelta=False,
            chunks={},
        )
        if not bedrock:
            return ds
        layer = _agreed(bedrock).to_dataset(name=BEDROCK)
        return xr.merge([ds, layer], join="exact", compat="override", combine_attrs="override")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'the calendar of CLM5 needs {error.name}: pip install "xbinn[clm5]"'
        ) from error
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(
            f"{_told(files)} cannot be opened as one dataset: {error}; give monthly history files "
            "of one run and one grid, with the same fields at all times, or open them yourself "
            f"with xarray.open_mfdataset and pass the Dataset{_left_over(others)}"
        ) from error


def with_one_bedrock(ds: xr.Dataset) -> xr.Dataset:
    """Take ``nbedrock`` without time, along which `xarray.open_mfdataset` repeats constants.

    Raises
    ------
    InputError
        If it changes with time.
    """
    if BEDROCK not in ds.variables:
        return ds
    return ds.assign({BEDROCK: _agreed([("the Dataset", ds[BEDROCK])])})


def _only_needed(
    ds: xr.Dataset,
    wanted: Collection[str],
    bedrock: list[tuple[str, xr.DataArray]],
    others: list[str],
) -> xr.Dataset:
    """Keep what enters the forcing: other constants stand in some files and not in others."""
    source = str(ds.encoding.get("source", "a file"))
    if not set(wanted) & set(ds.data_vars):
        others.append(source)
    kept = {*wanted} - {BEDROCK}
    if "time" in ds.variables:
        time = ds["time"]
        kept.add(str(time.attrs.get("bounds", time.encoding.get("bounds", "time"))))
    if BEDROCK in ds.variables:
        bedrock.append((source, ds[BEDROCK]))
    return ds[[n for n in ds.variables if n in kept]]


def _agreed(found: Sequence[tuple[str, xr.DataArray]]) -> xr.DataArray:
    """Bedrock of the first file, if it is that of all files and times."""
    sources = [source for source, _ in found]
    known = compute(*(da.data for _, da in found))
    values = [
        np.moveaxis(layer, da.dims.index("time"), 0) if "time" in da.dims else layer[None]
        for layer, (_, da) in zip(known, found, strict=True)
    ]
    for source, layers in zip(sources, values, strict=True):
        for other, reference in ((source, layers[0]), (sources[0], values[0][0])):
            if layers.shape[1:] != reference.shape:
                raise InputError(
                    f"{BEDROCK} has shape {layers.shape[1:]} in {source} and {reference.shape} in "
                    f"{other}: give history files of one grid"
                )
            apart = ~((layers == reference) | ((layers != layers) & (reference != reference)))
            if apart.any():
                where = "at other times" if other == source else f"in {other}"
                raise InputError(
                    f"{BEDROCK} in {source} differs from that {where} in "
                    f"{int(apart.any(axis=0).sum())} cells, but it is constant in a run: give "
                    "history files of one run, or the right one alone, in a Dataset from "
                    "xarray.open_mfdataset"
                )
    first = found[0][1]
    return first.isel(time=0, drop=True) if "time" in first.dims else first


def _left_over(others: Sequence[str]) -> str:
    """Point to files of other tapes."""
    if not others:
        return ""
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return f"; leave out those that hold no field that is needed: {others[0]}{more}"


def _told(files: Paths) -> str:
    """Name files; of more than one the first, because there may be a thousand."""
    if isinstance(files, str | os.PathLike):
        return f"history files {files}"
    first = f" ({files[0]}, ...)" if len(files) else ""
    return f"{len(files)} history files{first}"
