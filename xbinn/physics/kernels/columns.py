"""Columns in and out of the kernels: from arrays (row, n) to rows of lanes, and back.

Behind the last column of a batch the remaining lanes repeat it.
"""

import numpy as np

from xbinn.physics.kernels.compiling import inlined
from xbinn.physics.kernels.lanes import WIDTH, load, load_from, store, store_from


@inlined
def take(
    given: np.ndarray,  # (row, n)
    at: int,
    rows: np.ndarray,  # (row, lane), written
    first: int = 0,
    step: int = 1,
) -> None:
    """Copy the columns from ``at`` on, of every ``step``-th row from the ``first``."""
    n = given.shape[1]
    if at + WIDTH <= n:
        for row in range(len(rows)):
            store(rows, (row,), load_from(given, (first + step * row, at)))
    else:
        for row in range(len(rows)):
            for lane in range(WIDTH):
                rows[row, lane] = given[first + step * row, min(at + lane, n - 1)]


@inlined
def put(
    rows: np.ndarray,  # (row, lane)
    at: int,
    result: np.ndarray,  # (row, n), written
    first: int = 0,
    step: int = 1,
) -> None:
    """Copy back what `take` would take."""
    n = result.shape[1]
    if at + WIDTH <= n:
        for row in range(len(rows)):
            store_from(result, (first + step * row, at), load(rows, (row,)))
    else:
        for row in range(len(rows)):
            for lane in range(n - at):
                result[first + step * row, at + lane] = rows[row, lane]
