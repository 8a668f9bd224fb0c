"""What a tile job is: enough to tell whether a store can be gone on with."""

import hashlib
import itertools
import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr
from dask.base import compute

from xbinn.running.layout import Posterior
from xbinn.running.tiling import Tiling

Fingerprint = dict[str, str]
"""Names of what makes up a job, and its values."""
_SHOWN: Final = 120
_SAMPLES: Final = 5
"""Cells along each dimension of a tile whose values stand for it, about. A tile is read whole for
them, so each variable is seen in one tile only: in the first, the middle and the last in turns."""


def fingerprint(
    inputs: xr.Dataset,
    tiling: Tiling,
    *,
    crs: str,
    model: str,
    version: str,
    outputs: tuple[str, ...],
    dtype: str,
    posterior: Posterior | None = None,
) -> Fingerprint:
    """Describe a job.

    Parameters
    ----------
    inputs : Dataset
        The variables that the job reads, as they were given. Those that are not in memory are
        known by their file, its size and its time, as far as xarray tells it, and chunked ones by
        their values at a few cells besides: names of dask graphs differ between processes. Those
        in memory are known by all their values.
    tiling : Tiling
        Dimensions, tiles and chunks.
    crs, model, version, outputs, dtype
        As text: CRS of the grid, sha256 of the model, version of xbinn, groups of outputs,
        precision.
    posterior : Posterior, optional
        What is sampled.
    """
    along = dict(zip(tiling.dims, tiling.sizes, strict=True))
    found = {
        "model": model,
        "xbinn version": version,
        "outputs": ", ".join(outputs),
        "dtype": dtype,
        "posterior": "no samples" if posterior is None else posterior.describe(),
        "grid": ", ".join(f"{d} {n}" for d, n in along.items()) or "one column",
        "CRS": crs,
        "tile": ", ".join(f"{d} {n}" for d, n in zip(tiling.dims, tiling.tile, strict=True)),
        "chunk": ", ".join(f"{d} {n}" for d, n in zip(tiling.dims, tiling.chunk, strict=True)),
    }
    for name, coordinate in sorted(inputs.coords.items(), key=lambda item: str(item[0])):
        if set(coordinate.dims) & set(tiling.dims):
            found[f"coordinate {name}"] = f"sha256 {_digest(coordinate.values)}"
    samples = _samples(inputs, tiling)
    for name, da in sorted(inputs.data_vars.items(), key=lambda item: str(item[0])):
        dims = ", ".join(f"{d} {n}" for d, n in da.sizes.items())
        file = _file(da.variable, inputs.encoding.get("source"))
        values = [samples[name]] if name in samples else []
        if file is not None:
            found[f"file {file}"] = _state(file)
            values.append(f"from {file.name}")
        units = da.attrs.get("units", "no units")
        found[str(name)] = f"{da.dtype} ({dims}), {units}, {', '.join(values)}"
    return found


def differences(stored: Mapping[str, str], given: Mapping[str, str]) -> list[str]:
    """Say how two fingerprints differ, with both values; empty where they agree."""
    names = dict.fromkeys((*stored, *given))
    return [
        f"{name} was {_short(stored.get(name))} and is now {_short(given.get(name))}"
        for name in names
        if stored.get(name) != given.get(name)
    ]


def _short(value: str | None) -> str:
    if value is None:
        return "absent"
    return repr(value) if len(value) <= _SHOWN else repr(value[: _SHOWN - 3] + "...")


def _samples(inputs: xr.Dataset, tiling: Tiling) -> dict[Hashable, str]:
    """Name the values of variables: of chunked ones a few cells, of others all.

    What lies unread in a file is not touched.
    """
    found: dict[Hashable, str] = {}
    picked: dict[Hashable, xr.Variable] = {}
    places = itertools.cycle(_places(tiling))
    for name, da in sorted(inputs.data_vars.items(), key=lambda item: str(item[0])):
        if da.variable._in_memory:
            found[name] = f"sha256 {_digest(da.values)}"
        elif da.chunks is not None or _file(da.variable, inputs.encoding.get("source")) is None:
            here = next(places)
            picked[name] = da.variable.isel({d: s for d, s in here.items() if d in da.dims})
    # Of variables rather than a Dataset: they are picked at different places.
    values = compute(*(v.data for v in picked.values()), scheduler="threads")
    for (name, variable), read in zip(picked.items(), values, strict=True):
        cells = math.prod(variable.sizes[d] for d in tiling.dims if d in variable.dims)
        found[name] = f"sha256 {_digest(np.asarray(read))} of {cells} cells"
    return found


def _places(tiling: Tiling) -> list[dict[str, slice]]:
    """Cells along every dimension in the first, the middle and the last tile; of no tile, none."""
    tiles = sorted({0, tiling.n_tiles // 2, tiling.n_tiles - 1})
    regions = [tiling.region(number) for number in tiles if 0 <= number < tiling.n_tiles]
    return [
        {
            dim: slice(s.start, s.stop, max(1, (s.stop - s.start - 1) // (_SAMPLES - 1)))
            for dim, s in region.items()
        }
        for region in regions
    ] or [{}]


def _digest(values: np.ndarray) -> str:
    plain = values.astype(str) if values.dtype == object else values
    return hashlib.sha256(np.ascontiguousarray(plain).tobytes()).hexdigest()


def _file(variable: xr.Variable, beside: object) -> Path | None:
    """Return the file of a variable that is not in memory, else that of its Dataset."""
    # Public xarray does not say whether a variable is in memory; asking for values reads it.
    if variable._in_memory:
        return None
    source = variable.encoding.get("source", beside)
    return None if source is None else Path(str(source))


def _state(file: Path) -> str:
    # What is written last in a Zarr store is its metadata, as a rule.
    metadata = file / "zarr.json"
    try:
        state = (metadata if metadata.exists() else file).stat()
    except OSError:
        return "not on this machine"
    return f"{state.st_size} bytes, changed {state.st_mtime_ns} ns"
