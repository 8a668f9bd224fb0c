"""The Zarr store of a tile job: made from a template, filled tile by tile, hashed, finished.

Chunks are compressed with a checksum: plain Zarr reads flipped bits without a word. Each chunk
file appears whole or not at all (Zarr writes beside and renames). All of a tile is written by one
task, and writing it again gives the same bytes.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec

from xbinn.errors import JobError
from xbinn.running.fingerprint import Fingerprint
from xbinn.running.layout import Layout
from xbinn.running.tiling import Tiling
from xbinn.variables import STATUS

STATUS_ATTRIBUTE: Final = "xbinn_job_status"
FINGERPRINT_ATTRIBUTE: Final = "xbinn_job_fingerprint"
IDENTITY_ATTRIBUTE: Final = "xbinn_job_id"
INCOMPLETE: Final = "incomplete"
COMPLETE: Final = "complete"

NOT_COMPUTED: Final = -1
"""``status`` of a cell whose tile has not been written; no flag of the finished result."""
_COMPRESSION: Final = 1
_PARTIAL: Final = "*.partial"
"""Names of what Zarr is still writing."""


def create(path: Path, template: xr.Dataset, tiling: Tiling, fingerprint: Fingerprint) -> None:
    """Write coordinates, attributes and the shapes of all variables, but no values.

    Parameters
    ----------
    path : Path
        Where no file is yet.
    template : Dataset
        The labelled result with lazy variables, of which only shape, type and attributes are
        looked at; coordinates have their values.
    tiling : Tiling
        Chunks and shards.
    fingerprint : dict of str to str
        What the job is, for the attributes.
    """
    template = template.assign_attrs(
        {
            STATUS_ATTRIBUTE: INCOMPLETE,
            IDENTITY_ATTRIBUTE: uuid.uuid4().hex,
            FINGERPRINT_ATTRIBUTE: json.dumps(fingerprint),
        }
    )
    unfinished = _beside(path, "new")
    shutil.rmtree(unfinished, ignore_errors=True)
    encoding = {str(name): _encoding(da, tiling) for name, da in template.data_vars.items()}
    template.to_zarr(
        unfinished, mode="w-", compute=False, encoding=encoding, consolidated=False, zarr_format=3
    )
    unfinished.rename(path)


def _encoding(da: xr.DataArray, tiling: Tiling) -> dict[str, Any]:
    def along(sizes: tuple[int, ...]) -> tuple[int, ...]:
        by_dim = dict(zip(tiling.dims, sizes, strict=True))
        return tuple(by_dim.get(str(d), n) for d, n in da.sizes.items())

    encoding: dict[str, Any] = {
        "chunks": along(tiling.chunk),
        "compressors": [ZstdCodec(level=_COMPRESSION, checksum=True)],
    }
    if tiling.tile != tiling.chunk:
        encoding["shards"] = along(tiling.tile)
    if da.name == STATUS.name:
        # Zero would read as valid.
        encoding["fill_value"] = NOT_COMPUTED
    return encoding


def write_tile(
    path: str, expected: str, packed: np.ndarray, layout: Layout, region: Mapping[str, slice]
) -> tuple[str, int]:
    """Write all variables of a tile.

    Parameters
    ----------
    path : str
        The store.
    expected : str
        `identity` of the store: a task that outlives its job must not write into another store
        that has been put in its place.
    packed : ndarray (channel, *space)
        Values of the tile.
    layout : Layout
        Which channels are which variable.
    region : mapping of str to slice
        Cells of the tile along each spatial dimension.

    Returns
    -------
    sha256 : str
        See `digest`.
    nan : int
        Missing values.

    Raises
    ------
    JobError
        If another store is there.
    """
    values = _unpack(packed, layout)
    if attributes(Path(path)).get(IDENTITY_ATTRIBUTE) != expected:
        raise JobError(
            f"{path} was replaced or removed while a tile was computed: nothing is written"
        )
    arrays = _arrays(path, expected)
    for name, value in values.items():
        arrays[name][_selection(region)] = value
    return digest(values), sum(int(np.isnan(v).sum()) for v in values.values() if v.dtype != "i1")


def read_tile(path: str, layout: Layout, region: Mapping[str, slice]) -> dict[str, np.ndarray]:
    """Read all variables of a tile back, as `write_tile` was given them.

    Raises
    ------
    Exception
        Whatever Zarr and its codecs raise on damaged files.
    """
    arrays = _open_arrays(path, "r")
    chosen = _selection(region)
    return {o.name: np.asarray(arrays[o.name][chosen]) for o in layout.outputs}


def _selection(region: Mapping[str, slice]) -> Any:
    return (..., *region.values())


def digest(values: Mapping[str, np.ndarray]) -> str:
    """Return the sha256 of named arrays: names, types and values, whatever the chunks."""
    found = hashlib.sha256()
    for name in sorted(values):
        value = np.ascontiguousarray(values[name])
        found.update(f"{name} {value.dtype.str} {value.shape}\n".encode())
        found.update(value.tobytes())
    return found.hexdigest()


def _unpack(packed: np.ndarray, layout: Layout) -> dict[str, np.ndarray]:
    # One bit pattern for missing, so that equal tiles are equal bytes.
    packed = np.where(np.isnan(packed), np.asarray(np.nan, packed.dtype), packed)
    space = packed.shape[1:]
    values = {o.name: packed[o.channels].reshape((*o.shape, *space)) for o in layout.outputs}
    values[STATUS.name] = values[STATUS.name].astype(np.int8)
    return values


def _open_arrays(path: str, mode: Literal["r", "r+"]) -> dict[str, zarr.Array[Any]]:
    return dict(zarr.open_group(path, mode=mode, use_consolidated=False).arrays())


@lru_cache(maxsize=8)
def _arrays(path: str, identity: str) -> dict[str, zarr.Array[Any]]:
    # Opening all arrays takes longer than writing a small tile.
    return _open_arrays(path, "r+")


def identity(path: Path) -> str:
    """Return what tells a store from any other that may take its place."""
    return str(attributes(path).get(IDENTITY_ATTRIBUTE, ""))


def set_status(path: Path, status: str) -> None:
    """Say in the store's attributes whether it is complete."""
    group = zarr.open_group(str(path), mode="r+", use_consolidated=False)
    group.attrs[STATUS_ATTRIBUTE] = status


def attributes(path: Path) -> dict[str, Any]:
    """Return the attributes of a store; none where it is no Zarr group."""
    try:
        return dict(zarr.open_group(str(path), mode="r", use_consolidated=False).attrs)
    except (OSError, ValueError):
        return {}


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return any((path / mark).exists() for mark in ("zarr.json", ".zgroup", ".zmetadata"))


def remove_partial(path: Path) -> None:
    """Remove what was being written when a job was killed."""
    for left in path.rglob(_PARTIAL):
        left.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a store; it is gone at once, however large it is."""
    aside = _beside(path, "old")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)
    shutil.rmtree(aside)


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{what}")


def reopen(path: Path) -> xr.Dataset:
    """Open a store lazily, in its own chunks."""
    ds: xr.Dataset = xr.open_zarr(path, decode_coords="all", consolidated=False)
    return ds
