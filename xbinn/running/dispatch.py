"""Run a block function over a Dataset: at once in memory, chunk by chunk where it is lazy."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

import dask.array as da
import numpy as np
import xarray as xr

from xbinn.learning.threads import one_thread
from xbinn.running.layout import Layout, Output
from xbinn.variables import DEPTH, FLAG_NAMES, MONTH


class BlockFunction(Protocol):
    """A function of arrays of a block to a packed array."""

    __name__: str

    def __call__(self, *arrays: np.ndarray, **call: Any) -> np.ndarray:
        """Compute a block."""


_CHANNEL = "xbinn_channel"
"""No spatial dimension may have this name."""


def run_blocks(
    function: BlockFunction,
    inputs: xr.Dataset,
    space: tuple[str, ...],
    layout: Layout,
    dtype: str,
    **kwargs: Any,
) -> dict[str, xr.Variable]:
    """Apply a block function and take its packed result apart.

    Parameters
    ----------
    function : callable
        `xbinn.running.block.predict_block`, ``simulate_block`` or one of
        `xbinn.running.sensitivity`.
    inputs : Dataset
        Standardised variables, (month, depth, *space), (month, *space), (*space) or ().
    space : tuple of str
        Spatial dimensions, in order.
    layout : Layout
        Of the packed result.
    dtype : str
        Of the result.
    **kwargs
        Further arguments of the function.

    Returns
    -------
    dict of str to Variable
        The outputs, (*own dimensions, *space). Lazy where any input is chunked: building them
        computes nothing, and the graph has one task per block that computes.
    """
    call = {
        "names": tuple(map(str, inputs.data_vars)),
        "space": space,
        "layout": layout,
        "dtype": dtype,
        **kwargs,
    }
    # Not `inputs.chunks`, which refuses variables that are chunked differently.
    if any(v.chunks is not None for v in inputs.variables.values()):
        packed: Any = _lazy(function, inputs, space, layout, dtype, call)
    else:
        positions = (np.arange(inputs.sizes[dim]) for dim in space)
        packed = function(*(v.values for v in inputs.data_vars.values()), *positions, **call)
    outputs = {o.name: _unpack(packed, o, space) for o in layout.outputs}
    for name in set(FLAG_NAMES) & outputs.keys():
        outputs[name] = outputs[name].astype(np.int8)
    return outputs


def _lazy(
    function: BlockFunction,
    inputs: xr.Dataset,
    space: tuple[str, ...],
    layout: Layout,
    dtype: str,
    call: Mapping[str, Any],
) -> da.Array:
    aligned = inputs.unify_chunks()
    arguments: list[Any] = []
    for variable in aligned.data_vars.values():
        whole = {dim: -1 for dim in variable.dims if dim in (MONTH, DEPTH)}
        data = variable.chunk(whole).data if variable.chunks else variable.values
        arguments += [data, tuple(map(str, variable.dims))]
    for dim in space:
        # So that a block can name its cells as the user counts them.
        chunks = aligned.chunks.get(dim, (aligned.sizes[dim],))
        arguments += [da.arange(aligned.sizes[dim], chunks=(chunks,)), (dim,)]
    packed: da.Array = da.blockwise(
        partial(_one_threaded, function, **call),
        (_CHANNEL, *space),
        *arguments,
        new_axes={_CHANNEL: layout.n_channels},
        concatenate=True,
        token=function.__name__,
        dtype=dtype,
        # Stated, not inferred: inference would call the function on empty arrays.
        meta=np.empty((0,) * (1 + len(space)), dtype),
    )
    return packed


def _one_threaded(function: BlockFunction, *arrays: Any, **call: Any) -> np.ndarray:
    """Run a block with one thread of torch: the blocks themselves run side by side."""
    with one_thread():
        return function(*arrays, **call)


def _unpack(packed: Any, output: Output, space: tuple[str, ...]) -> xr.Variable:
    part = packed[output.channels]
    if not output.dims:
        part = part[0]
    elif len(output.dims) > 1:
        part = part.reshape((*output.shape, *part.shape[1:]))
    return xr.Variable((*output.dims, *space), part)
