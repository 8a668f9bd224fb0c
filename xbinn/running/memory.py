"""How much memory a tile needs, and whether there is as much."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import xarray as xr
from distributed.system import MEMORY_LIMIT

from xbinn.errors import JobError
from xbinn.running.block import cells_per_step
from xbinn.running.layout import Layout
from xbinn.running.resources import local_threads, workers
from xbinn.running.tiling import Tiling

if TYPE_CHECKING:
    from distributed import Client

COPIES: Final = 2.0
"""Copies of a tile's inputs that exist at once, as measured: as read and as standardised."""
STEP_BYTES: Final = 15_000
"""Of one of the cells that are solved together in float32, as measured."""
_SHARE: Final = 0.7
"""Of the memory, for tiles; the rest is Python, torch and xarray."""
_GIB: Final = 2**30


def input_bytes(inputs: xr.Dataset, dims: Sequence[str]) -> float:
    """Bytes of all variables for one cell."""
    return float(
        sum(
            v.dtype.itemsize * math.prod(n for d, n in v.sizes.items() if d not in dims)
            for v in inputs.data_vars.values()
        )
    )


def tile_bytes(inputs: xr.Dataset, tiling: Tiling, layout: Layout, dtype: str) -> int:
    """Estimate the memory of one tile in work.

    Parameters
    ----------
    inputs : Dataset
        What is read.
    tiling : Tiling
        A chunk of the grid that is larger than a tile counts in full: it is read as a whole.
    layout : Layout
        What is computed.
    dtype : str
        Of the solve.
    """
    size = np.dtype(dtype).itemsize
    read = tiling.tile_cells
    for variable in inputs.data_vars.values():
        chunks = dict(variable.chunksizes)
        here = (max(chunks.get(d, (1,)), default=0) for d in tiling.dims if d in variable.dims)
        read = max(read, math.prod(here))
    needed = COPIES * input_bytes(inputs, tiling.dims) * read
    needed += 2 * size * layout.n_channels * tiling.tile_cells
    n_draws = 1 if layout.posterior is None else layout.posterior.samples
    cells = min(cells_per_step(n_draws), tiling.tile_cells)
    needed += STEP_BYTES * size / 4 * cells
    if layout.posterior is not None:
        needed += n_draws * size * layout.one_draw.n_channels * cells
    return int(needed)


def available(client: "Client | None") -> float:
    """Memory for one tile in work: of a worker's thread, or of a thread of this process."""
    if client is None:
        return _SHARE * MEMORY_LIMIT / local_threads()
    each = [
        (worker["memory_limit"] or MEMORY_LIMIT) / max(worker["nthreads"], 1)
        for worker in workers(client).values()
    ]
    return _SHARE * min(each, default=math.inf)


def check_memory(
    inputs: xr.Dataset,
    tiling: Tiling,
    layout: Layout,
    dtype: str,
    memory: float,
) -> None:
    """Refuse tiles that cannot fit.

    Raises
    ------
    JobError
        With the estimate and a chunking that fits.
    """
    needed = tile_bytes(inputs, tiling, layout, dtype)
    if needed > memory:
        raise JobError(
            f"a tile of {described(tiling.dims, tiling.tile)} needs about {needed / _GIB:.2g} GiB "
            f"and a thread has {memory / _GIB:.2g} GiB: {advice(inputs, tiling, needed, memory)}, "
            "or give every worker more memory or fewer threads"
        )


def advice(inputs: xr.Dataset, tiling: Tiling, needed: float, memory: float) -> str:
    """Say which chunks would fit."""
    cells = max(1.0, tiling.tile_cells * 0.8 * memory / needed)
    edge = max(1, math.floor(cells ** (1 / max(len(tiling.dims), 1))))
    smaller = {dim: min(edge, n) for dim, n in zip(tiling.dims, tiling.sizes, strict=True)}
    source = any(v.chunks is not None for v in inputs.variables.values())
    where = "open the grid with" if source else "call predict with"
    return f"{where} chunks={smaller!r}"


def described(dims: Sequence[str], sizes: Sequence[int] | Mapping[str, int]) -> str:
    """Name a size, as in "lat 90 x lon 180"."""
    return " x ".join(f"{d} {n}" for d, n in zip(dims, sizes, strict=True)) or "one column"
