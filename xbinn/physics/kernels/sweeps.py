"""The structured solve and its adjoint in lanes; the equations are those of `physics.solver`.

All that lies between arguments and result of a few columns stays in the nearest cache. Arrays end
in an axis of lanes.
"""

from typing import NamedTuple

import numpy as np

from xbinn.constants import N_LAYERS, N_POOLS
from xbinn.physics.kernels.blocks import (
    Block,
    Matrix,
    factorise,
    scaled_inverse,
    solve_block,
    solve_block_transposed,
)
from xbinn.physics.kernels.compiling import inlined, merged
from xbinn.physics.kernels.lanes import Lanes, full, load, load_rows, store, store_rows

CWD, L1, L2, L3, S1, S2, S3 = range(N_POOLS)
N_LITTER = S1 - L1
RECEIVERS = (S1, S1, S2)
"""Of the litter pools."""


class Moves(NamedTuple):
    """Transfer fractions, in the order of `xbinn.parameters.TRANSFERS`."""

    fl1s1: Lanes
    fl2s1: Lanes
    fl3s2: Lanes
    fs1s2: Lanes
    fs1s3: Lanes
    fs2s1: Lanes
    fs2s3: Lanes
    fs3s1: Lanes


class Soil(NamedTuple):
    """One number for each of S1, S2, S3."""

    s1: Lanes
    s2: Lanes
    s3: Lanes


@inlined
def shares_of_debris(
    cwd_to_l2: np.ndarray,  # (1, lane)
    shares: np.ndarray,  # (litter, lane), written
) -> None:
    """Fractions of the flux from coarse woody debris that L1, L2, L3 receive."""
    to_l2 = load(cwd_to_l2, (0,))
    store(shares, (0,), 0.0)
    store(shares, (1,), to_l2)
    store(shares, (2,), 1.0 - to_l2)


@inlined
def litter_pivots(
    rates: np.ndarray,  # (pool, layer, lane)
    lower: np.ndarray,  # (layer, lane)
    upper: np.ndarray,  # (layer, lane)
    pivots: np.ndarray,  # (litter, layer, lane), written
) -> None:
    """Eliminate L1, L2, L3 from the surface down: pivots are sink + up."""
    for p in range(N_LITTER):
        above = load(upper, (0,))
        sink, pivot = full(above, 0.0), full(above, 1.0)
        for j in range(N_LAYERS):
            sink = load(rates, (L1 + p, j)) + load(lower, (j,)) / pivot * sink
            pivot = sink + load(upper, (j,))
            store(pivots, (p, j), pivot)


@inlined
def solve_litter(
    inputs: np.ndarray,  # (4, layer, lane)
    shares: np.ndarray,  # (litter, lane)
    lower: np.ndarray,  # (layer, lane)
    upper: np.ndarray,  # (layer, lane)
    pivots: np.ndarray,  # (litter, layer, lane)
    pools: np.ndarray,  # (pool, layer, lane), written
) -> None:
    """L1, L2, L3 of the pools; coarse woody debris passes on the flux that it receives."""
    for p in range(N_LITTER):
        share = load(shares, (p,))
        found, pivot = full(share, 0.0), full(share, 1.0)
        for j in range(N_LAYERS):
            given = load(inputs, (L1 + p, j)) + load(inputs, (CWD, j)) * share
            found = given + load(lower, (j,)) / pivot * found
            pivot = load(pivots, (p, j))
            store(pools, (L1 + p, j), found)
        found = full(share, 0.0)
        for j in range(N_LAYERS - 1, -1, -1):
            found = load(pools, (L1 + p, j)) + load(upper, (j,)) * found
            found = found / load(pivots, (p, j))
            store(pools, (L1 + p, j), found)


@inlined
def soil_block(
    rates: np.ndarray,  # (pool, layer, lane)
    moves: Moves,
    lower: Lanes,
    upper: Lanes,
    j: int,
    carried: Matrix,
    leaving: Soil,
) -> tuple[Block, Matrix, Soil]:
    """Factors of D_j, from up D^-1 and the excess solved for in the layer above; and these here."""
    k1, k2, k3 = load(rates, (S1, j)), load(rates, (S2, j)), load(rates, (S3, j))
    excess1 = k1 * (1.0 - (moves.fs1s2 + moves.fs1s3)) + lower * leaving.s1
    excess2 = k2 * (1.0 - (moves.fs2s1 + moves.fs2s3)) + lower * leaving.s2
    excess3 = k3 * (1.0 - moves.fs3s1) + lower * leaving.s3
    none = full(k1, 0.0)
    off = Matrix(
        none,
        carried.a12 * lower + k2 * moves.fs2s1,
        carried.a13 * lower + k3 * moves.fs3s1,
        carried.a21 * lower + k1 * moves.fs1s2,
        none,
        carried.a23 * lower,
        carried.a31 * lower + k1 * moves.fs1s3,
        carried.a32 * lower + k2 * moves.fs2s3,
        none,
    )
    block = factorise(off, excess1 + upper, excess2 + upper, excess3 + upper)
    x1, x2, x3 = solve_block_transposed(block, excess1, excess2, excess3)
    return block, scaled_inverse(block, upper), Soil(x1, x2, x3)


@inlined
def nothing_above(like: Lanes) -> tuple[Matrix, Soil]:
    """What the surface layer finds above it."""
    none = full(like, 0.0)
    return Matrix(none, none, none, none, none, none, none, none, none), Soil(none, none, none)


@inlined
def solve_soil(
    rates: np.ndarray,  # (pool, layer, lane)
    between: np.ndarray,  # (transfer, lane)
    lower: np.ndarray,  # (layer, lane)
    upper: np.ndarray,  # (layer, lane)
    carries: np.ndarray,  # (layer, entry, lane), scratch
    pools: np.ndarray,  # (pool, layer, lane), written
) -> None:
    """S1, S2, S3 of the pools, which hold the litter already."""
    moves = load_rows(between, (), Moves)
    carried, leaving = nothing_above(moves.fl1s1)
    found = leaving
    for j in range(N_LAYERS):
        lo = load(lower, (j,))
        block, carried, leaving = soil_block(
            rates, moves, lo, load(upper, (j,)), j, carried, leaving
        )
        store_rows(carries, (j,), carried)
        flux1 = load(rates, (L1, j)) * load(pools, (L1, j))
        flux2 = load(rates, (L2, j)) * load(pools, (L2, j))
        flux3 = load(rates, (L3, j)) * load(pools, (L3, j))
        x1, x2, x3 = solve_block(
            block,
            flux1 * moves.fl1s1 + flux2 * moves.fl2s1 + lo * found.s1,
            flux3 * moves.fl3s2 + lo * found.s2,
            lo * found.s3,
        )
        found = Soil(x1, x2, x3)
        store(pools, (S1, j), x1)
        store(pools, (S2, j), x2)
        store(pools, (S3, j), x3)
    for j in range(N_LAYERS - 2, -1, -1):
        c = load_rows(carries, (j,), Matrix)
        x1, x2, x3 = found
        found = Soil(
            load(pools, (S1, j)) + c.a11 * x1 + c.a12 * x2 + c.a13 * x3,
            load(pools, (S2, j)) + c.a21 * x1 + c.a22 * x2 + c.a23 * x3,
            load(pools, (S3, j)) + c.a31 * x1 + c.a32 * x2 + c.a33 * x3,
        )
        store(pools, (S1, j), found.s1)
        store(pools, (S2, j), found.s2)
        store(pools, (S3, j), found.s3)


@merged
def solve_column(
    rates: np.ndarray,  # (pool, layer, lane)
    between: np.ndarray,  # (transfer, lane)
    cwd_to_l2: np.ndarray,  # (1, lane)
    lower: np.ndarray,  # (layer, lane)
    upper: np.ndarray,  # (layer, lane)
    inputs: np.ndarray,  # (4, layer, lane)
    shares: np.ndarray,  # (litter, lane), scratch
    pivots: np.ndarray,  # (litter, layer, lane), scratch
    carries: np.ndarray,  # (layer, entry, lane), scratch
    pools: np.ndarray,  # (pool, layer, lane), written
) -> None:
    """All pools."""
    for j in range(N_LAYERS):
        store(pools, (CWD, j), load(inputs, (CWD, j)) / load(rates, (CWD, j)))
    shares_of_debris(cwd_to_l2, shares)
    litter_pivots(rates, lower, upper, pivots)
    solve_litter(inputs, shares, lower, upper, pivots, pools)
    solve_soil(rates, between, lower, upper, carries, pools)
