"""What a tile job is: enough to tell whether a store can be gone on with."""

import hashlib
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr

from xbinn.running.layout import Posterior
from xbinn.running.tiling import Tiling

Fingerprint = dict[str, str]
"""Names of what makes up a job, and its values."""
_SHOWN: Final = 120
_SAMPLES: Final = 5
"""Cells on the diagonal of a tile whose values stand for it. A tile is read whole for them, so they
come from the first, the middle and the last tile only."""


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
    some = _sampled_cells(tiling)
    count = next((len(cells) for cells in some.values()), 1)
    lazy = [n for n, da in inputs.data_vars.items() if not da.variable._in_memory]
    chunked = [n for n in lazy if inputs[n].chunks is not None]
    unknown = [n for n in lazy if _file(inputs[n].variable, inputs.encoding.get("source")) is None]
    sampled = inputs[list(dict.fromkeys((*chunked, *unknown)))]
    if sampled.data_vars and all(tiling.sizes):
        sampled = sampled.isel({d: i for d, i in some.items() if d in sampled.dims})
    for name, da in sampled.compute(scheduler="threads").data_vars.items():
        found[name] = f"sha256 {_digest(da.values)} of {count} cells"
    for name, da in inputs.data_vars.items():
        if da.variable._in_memory:
            found[name] = f"sha256 {_digest(da.values)}"
    return found


def _sampled_cells(tiling: Tiling) -> dict[str, xr.DataArray]:
    """Positions along every dimension of the cells whose values stand for the grid, (sample,)."""
    tiles = sorted({0, tiling.n_tiles // 2, tiling.n_tiles - 1})
    regions = [tiling.region(number) for number in tiles if 0 <= number < tiling.n_tiles]
    cells = {
        dim: [np.linspace(r[dim].start, r[dim].stop - 1, _SAMPLES).round() for r in regions]
        for dim in tiling.dims
    }
    return {
        dim: xr.DataArray(np.concatenate(parts).astype(int), dims="sample")
        for dim, parts in cells.items()
        if parts
    }


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
