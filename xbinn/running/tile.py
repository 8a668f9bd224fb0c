"""The task of a tile job: read a tile, compute it, write it, say what was written."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import numpy as np
import xarray as xr

from xbinn.errors import XbinnError
from xbinn.labels.blocks import lay_out_inputs, prediction_inputs
from xbinn.learning.threads import one_thread
from xbinn.running import allocation, store
from xbinn.running.block import predict_block
from xbinn.running.device import choose_device
from xbinn.running.layout import Layout
from xbinn.running.ledger import Entry
from xbinn.running.predictor import ModelReference, load_cached
from xbinn.running.tiling import Tiling

T = TypeVar("T")

RETRIES: Final = 2
"""How often reading or writing is tried again."""
_PAUSE: Final = 0.5
"""Seconds before the first repetition, twice as many before the next."""


@dataclass(frozen=True)
class TileWork:
    """All that the tiles of a job have in common; it travels once to each worker.

    Attributes
    ----------
    source : Dataset or None
        The grid, lazy; None where every task brings its own part of it.
    model : ModelReference
        Loaded once per process and device.
    layout : Layout
        What to compute.
    dtype : str
        Of the solve and of the result.
    device : str
        Name of a device, chosen where the task runs.
    store, identity : str
        Zarr store to write to, and what tells it from another in its place.
    tiling : Tiling
        Which cells a tile has, for a grid with spatial dimensions in this order.
    """

    source: xr.Dataset | None
    model: ModelReference
    layout: Layout
    dtype: str
    device: str
    store: str
    tiling: Tiling
    identity: str = ""


@dataclass
class _Attempt:
    notes: list[str] = field(default_factory=list)

    def repeat(self, what: str, action: Callable[[], T]) -> T:
        """Do something that may fail for a moment, as disks on a network do."""
        for attempt in range(RETRIES):
            try:
                return action()
            except OSError as error:
                if isinstance(error, XbinnError):
                    raise
                self.notes.append(f"{what} again after {type(error).__name__}: {error}")
                time.sleep(_PAUSE * 2**attempt)
        return action()


def run_tile(work: TileWork, number: int, part: xr.Dataset | None = None) -> Entry:
    """Compute and store one tile; doing it again gives the same bytes.

    Parameters
    ----------
    work : TileWork
        What all tiles have in common.
    number : int
        Which tile.
    part : Dataset, optional
        Its part of the grid, where ``work`` has no source.
    """
    allocation.keep_freed_by_tiles()
    try:
        return _run(work, number, part)
    finally:
        # Only now nothing refers to the arrays of the tile any more.
        allocation.give_back()


def _run(work: TileWork, number: int, part: xr.Dataset | None) -> Entry:
    begin = time.perf_counter()
    region = work.tiling.region(number)
    attempt = _Attempt()
    if part is None:
        assert work.source is not None
        part = work.source.isel(region)
    # A worker runs many tiles side by side; none shall start threads of its own.
    inputs = attempt.repeat("read", lambda: part.compute(scheduler="synchronous"))
    with one_thread():
        packed = compute_tile(work, inputs, region, attempt.notes)
    sha256, nan = attempt.repeat(
        "write",
        lambda: store.write_tile(work.store, work.identity, packed, work.layout, region),
    )
    return Entry(
        tile=number,
        sha256=sha256,
        cells=int(np.prod(packed.shape[1:], dtype=np.int64)),
        nan=nan,
        seconds=round(time.perf_counter() - begin, 3),
        device=str(choose_device(work.device)),
        notes=attempt.notes,
    )


def compute_tile(
    work: TileWork, part: xr.Dataset, region: Mapping[str, slice], notes: list[str]
) -> np.ndarray:
    """Return the packed result of a part of the grid that is in memory, (channel, *space)."""
    spec = load_cached(work.model, choose_device(work.device)).covariates
    plain = lay_out_inputs(prediction_inputs(part, spec), work.tiling.dims)
    positions = (np.arange(cells.start, cells.stop) for cells in region.values())
    call: dict[str, Any] = {
        "names": tuple(map(str, plain.data_vars)),
        "space": work.tiling.dims,
        "model": work.model,
        "layout": work.layout,
        "device": work.device,
        "dtype": work.dtype,
        "notes": notes,
    }
    return predict_block(*(v.values for v in plain.data_vars.values()), *positions, **call)
