"""Predictions that go into a file: a resumable tile job, and NetCDF made from it."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import dask
import dask.array as da
import numpy as np
import xarray as xr
from dask.highlevelgraph import MaterializedLayer
from distributed import Future

from xbinn.errors import InputError, JobError
from xbinn.labelled import About, label
from xbinn.labels.blocks import prediction_inputs, space_of, used_variables
from xbinn.labels.check import check_axes
from xbinn.labels.space import grid_crs, spatial_dims
from xbinn.labels.units import dequantify
from xbinn.model import Model
from xbinn.running import job as jobs
from xbinn.running import store, verification
from xbinn.running.fingerprint import Fingerprint, differences, fingerprint
from xbinn.running.job import Job
from xbinn.running.layout import Layout
from xbinn.running.lock import one_writer
from xbinn.running.resources import current_client, gpu_resources
from xbinn.running.tile import TileWork
from xbinn.running.tiling import Tiling, cut
from xbinn.running.verification import Verification
from xbinn.variables import STATUS

ZARR: Final = ".zarr"
NETCDF: Final = ".nc"
_UNFINISHED: Final = ".unfinished"
_LINKS: Final = ("grid_mapping", "bounds", "ancillary_variables", "cell_measures")
"""What xarray keeps in the encoding of a file that it has read."""

_log = logging.getLogger("xbinn")


def predict_to_store(
    ds: xr.Dataset,
    model: Model,
    layout: Layout,
    about: About,
    to: str | os.PathLike[str],
    *,
    overwrite: bool,
    chunks: Mapping[str, int] | None,
    shards: Mapping[str, int] | None,
    device: str,
    progress: bool | None,
) -> xr.Dataset:
    """Predict tile by tile into a file, or go on where an earlier call stopped.

    Parameters
    ----------
    ds, model
        As for `xbinn.predict`.
    layout : Layout
        What to return.
    about : About
        For the attributes.
    to, overwrite, chunks, shards, device, progress
        As for `xbinn.predict`.

    Returns
    -------
    Dataset
        The file, opened lazily.
    """
    path = _checked(to)
    zarr = path if path.suffix == ZARR else path.with_name(f"{path.name}{ZARR}")
    ds = dequantify(ds)
    used = used_variables(ds, model.predictor.covariates)
    _refuse_futures(used)
    space = space_of(prediction_inputs(_without_cells(used), model.predictor.covariates))
    check_axes(ds, space)
    sizes = {dim: ds.sizes[dim] for dim in space}
    tiling = cut(sizes, _source_chunks(used, space), chunks=chunks, shards=shards)
    dtype = model.settings["dtype"]
    crs = grid_crs(ds)
    identity = fingerprint(
        used,
        tiling,
        crs="none" if crs is None else crs.to_string(),
        model=model.sha256,
        version=version("xbinn"),
        outputs=layout.groups,
        dtype=dtype,
        posterior=layout.posterior,
    )
    if path != zarr and path.exists() and not (overwrite or jobs.ledger_path(zarr).exists()):
        return _finished(path, identity)
    client = current_client()
    # Places of cells play no part in a tile, and aligning them takes time.
    inputs = used.drop_vars([n for n, c in used.coords.items() if set(c.dims) & set(space)])
    work = TileWork(
        # A grid in memory travels part by part; a lazy one, or one that need not travel, whole.
        source=inputs if client is None or _lazy(used) else None,
        model=model.reference(),
        layout=layout,
        dtype=dtype,
        device=device,
        store=str(zarr.resolve()),
        tiling=tiling,
    )
    jobs.run(
        Job(zarr, work, inputs, identity, lambda: _template(ds, layout, sizes, dtype, about)),
        overwrite=overwrite,
        client=client,
        resources=None if client is None else gpu_resources(client, device),
        show=progress,
    )
    return store.reopen(zarr) if path == zarr else _to_netcdf(zarr, path, tiling)


def verify(
    path: str | os.PathLike[str], *, repair: bool = False, progress: bool | None = None
) -> Verification:
    """Compare a store that `predict` has written with its ledger, tile by tile.

    Parameters
    ----------
    path : path-like
        The ``to`` of a `predict`, a Zarr store.
    repair : bool
        Strike damaged tiles off the ledger: the same `predict` computes them again then.
    progress : bool, optional
        Show a progress bar; by default on a terminal only.

    Returns
    -------
    Verification
        Which tiles are stored and which of them are damaged.

    Raises
    ------
    JobError
        If there is no store with a ledger, or somebody is writing it.
    """
    return verification.verify(Path(path).expanduser(), repair=repair, show=progress)


def _checked(to: str | os.PathLike[str]) -> Path:
    text = os.fspath(to)
    if "://" in text:
        raise InputError(
            f"to={text!r}: a tile job keeps a ledger and a lock beside its store, which needs a "
            "folder; write to a local or shared one and copy the result"
        )
    path = Path(text).expanduser()
    if path.suffix not in (ZARR, NETCDF):
        raise InputError(f"to={text!r} must end in {ZARR} or {NETCDF}: that says what to write")
    return path


def _without_cells(ds: xr.Dataset) -> xr.Dataset:
    """Names, units and dimensions of a grid, in memory, and none of its cells."""
    space = spatial_dims(ds)

    def empty(v: xr.Variable) -> xr.Variable:
        shape = tuple(0 if d in space else n for d, n in v.sizes.items())
        return xr.Variable(v.dims, np.empty(shape, v.dtype), v.attrs, v.encoding)

    # Of variables: selecting in each of many dask arrays takes longer than all the rest.
    places = ds.drop_vars(ds.data_vars).isel(dict.fromkeys(space, slice(0)), missing_dims="ignore")
    return places.assign({name: empty(v.variable) for name, v in ds.data_vars.items()})


def _lazy(ds: xr.Dataset) -> bool:
    return not any(v.variable._in_memory for v in ds.data_vars.values())


def _source_chunks(ds: xr.Dataset, space: Sequence[str]) -> dict[str, Sequence[int]]:
    """Chunks along every spatial dimension, of dask or of the file, where they are largest."""
    found: dict[str, Sequence[int]] = {}
    for v in ds.data_vars.values():
        in_file = {} if v.variable._in_memory else v.encoding.get("preferred_chunks", {})
        for dim, parts in (v.chunksizes or {d: (n,) for d, n in in_file.items()}).items():
            if max(parts, default=0) > max(found.get(str(dim), ()), default=0):
                found[str(dim)] = parts
    return {dim: parts for dim, parts in found.items() if dim in space}


def _refuse_futures(ds: xr.Dataset) -> None:
    """Refuse arrays that live on the cluster: a tile could not read them, nor a later call."""
    for name, v in ds.data_vars.items():
        if v.chunks is None:
            continue
        for layer in v.data.dask.layers.values():
            values = layer.mapping.values() if isinstance(layer, MaterializedLayer) else ()
            if isinstance(next(iter(values), None), Future):
                raise InputError(
                    f"{name} is held by the cluster (persist): a tile job reads its grid tile by "
                    "tile, today and when it is resumed; give the grid as it was before persist()"
                )


def _template(
    ds: xr.Dataset, layout: Layout, sizes: Mapping[str, int], dtype: str, about: About
) -> xr.Dataset:
    """Return the labelled result with variables that have no values."""
    # One for all variables of a shape: making a dask array takes longer than all the rest.
    nothing = lru_cache(lambda shape, kind: da.zeros(shape, dtype=kind, chunks=shape))
    outputs = {
        output.name: xr.Variable(
            (*output.dims, *sizes),
            nothing(
                (*output.shape, *sizes.values()), "i1" if output.name == STATUS.name else dtype
            ),
        )
        for output in layout.outputs
    }
    template = label(ds, outputs, layout, tuple(sizes), about)
    return template.assign_coords({n: c.compute() for n, c in template.coords.items()})


def _finished(path: Path, identity: Fingerprint) -> xr.Dataset:
    """Open a NetCDF that an earlier call has finished.

    Raises
    ------
    JobError
        If it is something else.
    """
    try:
        ds = _open_netcdf(path)
        stored = json.loads(ds.attrs[store.FINGERPRINT_ATTRIBUTE])
    except (OSError, ValueError, KeyError) as error:
        raise JobError(
            f"{path} exists and is no result of a tile job: choose another path, or give "
            "overwrite=True to replace it"
        ) from error
    differing = differences(stored, identity)
    if differing:
        raise JobError(
            f"{path} was written by another job: {'; '.join(differing)}. Choose another path, or "
            "give overwrite=True to replace it"
        )
    _log.info("%s is complete", path)
    return ds


def _to_netcdf(zarr: Path, path: Path, tiling: Tiling) -> xr.Dataset:
    """Turn a complete store into NetCDF, which appears whole or not at all."""
    with one_writer(jobs.lock_path(zarr), zarr):
        for left in path.parent.glob(f".{path.name}.*{_UNFINISHED}"):
            # A conversion that was killed.
            left.unlink()
        _convert(zarr, path, tiling)
        jobs.remove(zarr)
    return _open_netcdf(path)


def _convert(zarr: Path, path: Path, tiling: Tiling) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_UNFINISHED}")
    ds = _plain(store.reopen(zarr))
    try:
        # One chunk after the other; HDF5 is not parallel anyway.
        with dask.config.set(scheduler="synchronous"):
            ds.to_netcdf(
                temporary,
                engine="h5netcdf",
                encoding={str(n): _encoding(v, tiling) for n, v in ds.data_vars.items()},
            )
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise JobError(
            f"{path} cannot be written ({error}): make room; {zarr} is complete, and the same call "
            "tries again"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _plain(ds: xr.Dataset) -> xr.Dataset:
    """Without encoding; what leads from a variable to another stays, as attributes."""
    links = {
        n: {k: v.encoding[k] for k in _LINKS if k in v.encoding} for n, v in ds.variables.items()
    }
    plain = ds.drop_encoding()
    for name, link in links.items():
        plain[name].attrs |= link
    return plain


def _encoding(v: xr.DataArray, tiling: Tiling) -> dict[str, Any]:
    tile = dict(zip(tiling.dims, tiling.chunk, strict=True))
    chunks = tuple(max(1, min(tile.get(str(d), n), n)) for d, n in v.sizes.items())
    # Plain HDF5 reads flipped bits without a word.
    checked: dict[str, Any] = {"zlib": True, "complevel": 1, "fletcher32": True}
    return {**checked, "chunksizes": chunks} if v.ndim and v.size else {}


def _open_netcdf(path: Path) -> xr.Dataset:
    ds: xr.Dataset = xr.open_dataset(path, engine="h5netcdf", decode_coords="all", chunks={})
    return ds
