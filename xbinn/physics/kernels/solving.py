"""The kernels of the solve: all columns of a batch, some at a time, from end to end."""

import numpy as np

from xbinn.constants import N_INPUTS, N_LAYERS, N_POOLS
from xbinn.physics.kernels.adjoint import solve_column_adjoint
from xbinn.physics.kernels.blocks import Matrix
from xbinn.physics.kernels.columns import put, take
from xbinn.physics.kernels.compiling import kernel
from xbinn.physics.kernels.lanes import WIDTH
from xbinn.physics.kernels.sweeps import N_LITTER, Moves, solve_column

_POOL_ROWS = N_POOLS * N_LAYERS
_INPUT_ROWS = N_INPUTS * N_LAYERS
_ENTRIES = len(Matrix._fields)
_TRANSFERS = len(Moves._fields)


@kernel
def solve(
    rates: np.ndarray,  # (pool x layer, n)
    between: np.ndarray,  # (transfer, n)
    cwd_to_l2: np.ndarray,  # (1, n)
    lower: np.ndarray,  # (layer, n)
    upper: np.ndarray,  # (layer, n)
    inputs: np.ndarray,  # (4 x layer, n)
    pools: np.ndarray,  # (pool x layer, n), written
) -> None:
    """Solve (T - A K) C = I."""
    k = np.empty((N_POOLS, N_LAYERS, WIDTH), rates.dtype)
    moves = np.empty((_TRANSFERS, WIDTH), rates.dtype)
    to_l2 = np.empty((1, WIDTH), rates.dtype)
    lo = np.empty((N_LAYERS, WIDTH), rates.dtype)
    up = np.empty((N_LAYERS, WIDTH), rates.dtype)
    given = np.empty((N_INPUTS, N_LAYERS, WIDTH), rates.dtype)
    shares = np.empty((N_LITTER, WIDTH), rates.dtype)
    pivots = np.empty((N_LITTER, N_LAYERS, WIDTH), rates.dtype)
    carries = np.empty((N_LAYERS, _ENTRIES, WIDTH), rates.dtype)
    found = np.empty((N_POOLS, N_LAYERS, WIDTH), rates.dtype)
    k_rows, given_rows = k.reshape(_POOL_ROWS, WIDTH), given.reshape(_INPUT_ROWS, WIDTH)
    found_rows = found.reshape(_POOL_ROWS, WIDTH)
    for at in range(0, rates.shape[1], WIDTH):
        take(rates, at, k_rows)
        take(between, at, moves)
        take(cwd_to_l2, at, to_l2)
        take(lower, at, lo)
        take(upper, at, up)
        take(inputs, at, given_rows)
        solve_column(k, moves, to_l2, lo, up, given, shares, pivots, carries, found)
        put(found_rows, at, pools)


@kernel
def solve_adjoint(
    rates: np.ndarray,  # (pool x layer, n)
    between: np.ndarray,  # (transfer, n)
    cwd_to_l2: np.ndarray,  # (1, n)
    lower: np.ndarray,  # (layer, n)
    upper: np.ndarray,  # (layer, n)
    debris: np.ndarray,  # (layer, n), input of coarse woody debris
    pools: np.ndarray,  # (pool x layer, n)
    gradient: np.ndarray,  # (pool x layer, n)
    by_rates: np.ndarray,  # (pool x layer, n), written as all below
    by_between: np.ndarray,  # (transfer, n)
    by_cwd_to_l2: np.ndarray,  # (1, n)
    by_lower: np.ndarray,  # (layer, n)
    by_upper: np.ndarray,  # (layer, n)
    by_inputs: np.ndarray,  # (4 x layer, n)
) -> None:
    """Gradients of the solve in all its arguments, by one transposed solve.

    The factors are formed anew: that costs less than to keep them.
    """
    k = np.empty((N_POOLS, N_LAYERS, WIDTH), rates.dtype)
    moves = np.empty((_TRANSFERS, WIDTH), rates.dtype)
    to_l2 = np.empty((1, WIDTH), rates.dtype)
    lo = np.empty((N_LAYERS, WIDTH), rates.dtype)
    up = np.empty((N_LAYERS, WIDTH), rates.dtype)
    given = np.empty((N_LAYERS, WIDTH), rates.dtype)
    found = np.empty((N_POOLS, N_LAYERS, WIDTH), rates.dtype)
    asked = np.empty((N_POOLS, N_LAYERS, WIDTH), rates.dtype)
    shares = np.empty((N_LITTER, WIDTH), rates.dtype)
    pivots = np.empty((N_LITTER, N_LAYERS, WIDTH), rates.dtype)
    blocks = np.empty((N_LAYERS, _ENTRIES, WIDTH), rates.dtype)
    adjoint = np.empty((N_POOLS, N_LAYERS, WIDTH), rates.dtype)
    by_k, by_moves, by_to_l2 = np.empty_like(k), np.empty_like(moves), np.empty_like(to_l2)
    by_lo, by_up = np.empty_like(lo), np.empty_like(up)
    k_rows, by_k_rows = k.reshape(_POOL_ROWS, WIDTH), by_k.reshape(_POOL_ROWS, WIDTH)
    found_rows, asked_rows = found.reshape(_POOL_ROWS, WIDTH), asked.reshape(_POOL_ROWS, WIDTH)
    adjoint_rows = adjoint.reshape(_POOL_ROWS, WIDTH)
    for at in range(0, rates.shape[1], WIDTH):
        take(rates, at, k_rows)
        take(between, at, moves)
        take(cwd_to_l2, at, to_l2)
        take(lower, at, lo)
        take(upper, at, up)
        take(debris, at, given)
        take(pools, at, found_rows)
        take(gradient, at, asked_rows)
        solve_column_adjoint(
            k,
            moves,
            to_l2,
            lo,
            up,
            given,
            found,
            asked,
            shares,
            pivots,
            blocks,
            adjoint,
            by_k,
            by_moves,
            by_to_l2,
            by_lo,
            by_up,
        )
        put(by_k_rows, at, by_rates)
        put(by_moves, at, by_between)
        put(by_to_l2, at, by_cwd_to_l2)
        put(by_lo, at, by_lower)
        put(by_up, at, by_upper)
        put(adjoint_rows[:_INPUT_ROWS], at, by_inputs)
