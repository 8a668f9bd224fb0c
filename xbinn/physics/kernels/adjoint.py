"""The transposed solve in lanes and the gradients that follow from it, as in `physics.solver`."""

import numpy as np

from xbinn.constants import N_LAYERS, N_POOLS
from xbinn.physics.kernels.blocks import Block, solve_block_transposed
from xbinn.physics.kernels.compiling import inlined, merged
from xbinn.physics.kernels.lanes import full, load, load_rows, store, store_rows, where
from xbinn.physics.kernels.sweeps import (
    CWD,
    L1,
    L2,
    L3,
    N_LITTER,
    RECEIVERS,
    S1,
    S2,
    S3,
    Moves,
    Soil,
    litter_pivots,
    nothing_above,
    shares_of_debris,
    soil_block,
)


@inlined
def transpose_soil(
    rates: np.ndarray,  # (pool, layer, lane)
    between: np.ndarray,  # (transfer, lane)
    lower: np.ndarray,  # (layer, lane)
    upper: np.ndarray,  # (layer, lane)
    blocks: np.ndarray,  # (layer, entry, lane), scratch
    gradient: np.ndarray,  # (pool, layer, lane)
    adjoint: np.ndarray,  # (pool, layer, lane), written
) -> None:
    """S1, S2, S3 of the adjoint: with the factors of the forward sweep, (L U)^T = U^T L^T."""
    moves = load_rows(between, (), Moves)
    carried, leaving = nothing_above(moves.fl1s1)
    pending = leaving
    for j in range(N_LAYERS):
        c = carried
        pending = Soil(
            load(gradient, (S1, j)) + c.a11 * pending.s1 + c.a21 * pending.s2 + c.a31 * pending.s3,
            load(gradient, (S2, j)) + c.a12 * pending.s1 + c.a22 * pending.s2 + c.a32 * pending.s3,
            load(gradient, (S3, j)) + c.a13 * pending.s1 + c.a23 * pending.s2 + c.a33 * pending.s3,
        )
        store(adjoint, (S1, j), pending.s1)
        store(adjoint, (S2, j), pending.s2)
        store(adjoint, (S3, j), pending.s3)
        block, carried, leaving = soil_block(
            rates, moves, load(lower, (j,)), load(upper, (j,)), j, carried, leaving
        )
        store_rows(blocks, (j,), block)
    _, below = nothing_above(moves.fl1s1)
    lo = below.s1
    for j in range(N_LAYERS - 1, -1, -1):
        x1, x2, x3 = solve_block_transposed(
            load_rows(blocks, (j,), Block),
            load(adjoint, (S1, j)) + lo * below.s1,
            load(adjoint, (S2, j)) + lo * below.s2,
            load(adjoint, (S3, j)) + lo * below.s3,
        )
        below, lo = Soil(x1, x2, x3), load(lower, (j,))
        store(adjoint, (S1, j), x1)
        store(adjoint, (S2, j), x2)
        store(adjoint, (S3, j), x3)


@inlined
def transpose_litter(
    rates: np.ndarray,  # (pool, layer, lane)
    between: np.ndarray,  # (transfer, lane)
    shares: np.ndarray,  # (litter, lane)
    lower: np.ndarray,  # (layer, lane)
    upper: np.ndarray,  # (layer, lane)
    pivots: np.ndarray,  # (litter, layer, lane)
    gradient: np.ndarray,  # (pool, layer, lane)
    adjoint: np.ndarray,  # (pool, layer, lane), written
) -> None:
    """L1, L2, L3 of the adjoint, given its soil pools; and what reaches CWD through them."""
    for p in range(N_LITTER):
        pool, receiver = L1 + p, RECEIVERS[p]
        fraction = load(between, (p,))
        none = full(fraction, 0.0)
        found, ratio = none, none
        for j in range(N_LAYERS):
            moved = load(rates, (pool, j)) * fraction * load(adjoint, (receiver, j))
            found = load(gradient, (pool, j)) + moved + ratio * found
            ratio = load(upper, (j,)) / load(pivots, (p, j))
            store(adjoint, (pool, j), found)
        found, lo = none, none
        for j in range(N_LAYERS - 1, -1, -1):
            found = (load(adjoint, (pool, j)) + lo * found) / load(pivots, (p, j))
            lo = load(lower, (j,))
            store(adjoint, (pool, j), found)
    for j in range(N_LAYERS):
        to_l2 = load(adjoint, (L2, j)) * load(shares, (L2 - L1,))
        store(adjoint, (CWD, j), to_l2 + load(adjoint, (L3, j)) * load(shares, (L3 - L1,)))


@inlined
def gradients_by_rates(
    rates: np.ndarray,  # (pool, layer, lane)
    between: np.ndarray,  # (transfer, lane)
    pools: np.ndarray,  # (pool, layer, lane)
    gradient: np.ndarray,  # (pool, layer, lane)
    adjoint: np.ndarray,  # (pool, layer, lane); its CWD is completed
    by_rates: np.ndarray,  # (pool, layer, lane), written
) -> None:
    """Find dL/d(rates), and dL/d(inputs) in the first pools of the adjoint."""
    moves = load_rows(between, (), Moves)
    for j in range(N_LAYERS):
        given, k = load(gradient, (CWD, j)), load(rates, (CWD, j))
        # C = I/k: dC/dk = -C/k, never -I/k^2. A pool that overflowed and that nobody asked about
        # has no say: 0 x inf is NaN.
        by_debris = -(load(pools, (CWD, j)) * given) / k
        store(by_rates, (CWD, j), where(given == 0.0, 0.0, by_debris))
        store(adjoint, (CWD, j), load(adjoint, (CWD, j)) + where(given == 0.0, 0.0, given / k))
        s1, s2, s3 = load(adjoint, (S1, j)), load(adjoint, (S2, j)), load(adjoint, (S3, j))
        by_l1 = s1 * moves.fl1s1 - load(adjoint, (L1, j))
        by_l2 = s1 * moves.fl2s1 - load(adjoint, (L2, j))
        by_l3 = s2 * moves.fl3s2 - load(adjoint, (L3, j))
        store(by_rates, (L1, j), by_l1 * load(pools, (L1, j)))
        store(by_rates, (L2, j), by_l2 * load(pools, (L2, j)))
        store(by_rates, (L3, j), by_l3 * load(pools, (L3, j)))
        by_s1 = s2 * moves.fs1s2 - s1 + s3 * moves.fs1s3
        by_s2 = s1 * moves.fs2s1 - s2 + s3 * moves.fs2s3
        by_s3 = s1 * moves.fs3s1 - s3
        store(by_rates, (S1, j), by_s1 * load(pools, (S1, j)))
        store(by_rates, (S2, j), by_s2 * load(pools, (S2, j)))
        store(by_rates, (S3, j), by_s3 * load(pools, (S3, j)))


@inlined
def gradients_by_transfers(
    rates: np.ndarray,  # (pool, layer, lane)
    debris: np.ndarray,  # (layer, lane), its input
    pools: np.ndarray,  # (pool, layer, lane)
    adjoint: np.ndarray,  # (pool, layer, lane)
    by_between: np.ndarray,  # (transfer, lane), written
    by_cwd_to_l2: np.ndarray,  # (1, lane), written
) -> None:
    """Find dL/d(transfer fractions), summed over the layers from the surface down."""
    none = full(load(debris, (0,)), 0.0)
    total = Moves(none, none, none, none, none, none, none, none)
    by_debris = none
    for j in range(N_LAYERS):
        s1, s2, s3 = load(adjoint, (S1, j)), load(adjoint, (S2, j)), load(adjoint, (S3, j))
        from_s1 = load(rates, (S1, j)) * load(pools, (S1, j))
        from_s2 = load(rates, (S2, j)) * load(pools, (S2, j))
        from_s3 = load(rates, (S3, j)) * load(pools, (S3, j))
        total = Moves(
            total.fl1s1 + load(rates, (L1, j)) * load(pools, (L1, j)) * s1,
            total.fl2s1 + load(rates, (L2, j)) * load(pools, (L2, j)) * s1,
            total.fl3s2 + load(rates, (L3, j)) * load(pools, (L3, j)) * s2,
            total.fs1s2 + from_s1 * s2,
            total.fs1s3 + from_s1 * s3,
            total.fs2s1 + from_s2 * s1,
            total.fs2s3 + from_s2 * s3,
            total.fs3s1 + from_s3 * s1,
        )
        difference = load(adjoint, (L2, j)) - load(adjoint, (L3, j))
        by_debris = by_debris + difference * load(debris, (j,))
    store_rows(by_between, (), total)
    store(by_cwd_to_l2, (0,), by_debris)


@inlined
def gradients_by_mixing(
    pools: np.ndarray,  # (pool, layer, lane)
    adjoint: np.ndarray,  # (pool, layer, lane)
    by_lower: np.ndarray,  # (layer, lane), written
    by_upper: np.ndarray,  # (layer, lane), written
) -> None:
    """Find dL/d(transport coefficients) in flux form: else differences of nearly equal numbers."""
    last = N_LAYERS - 1
    store(by_lower, (0,), 0.0)
    store(by_upper, (last,), 0.0)
    none = full(load(pools, (CWD, 0)), 0.0)
    for j in range(last):
        above, below = none, none
        for p in range(L1, N_POOLS):
            step = load(pools, (p, j + 1)) - load(pools, (p, j))
            above = above + load(adjoint, (p, j)) * step
            below = below - load(adjoint, (p, j + 1)) * step
        store(by_upper, (j,), above)
        store(by_lower, (j + 1,), below)


@merged
def solve_column_adjoint(
    rates: np.ndarray,  # (pool, layer, lane)
    between: np.ndarray,  # (transfer, lane)
    cwd_to_l2: np.ndarray,  # (1, lane)
    lower: np.ndarray,  # (layer, lane)
    upper: np.ndarray,  # (layer, lane)
    debris: np.ndarray,  # (layer, lane), input of coarse woody debris
    pools: np.ndarray,  # (pool, layer, lane)
    gradient: np.ndarray,  # (pool, layer, lane)
    shares: np.ndarray,  # (litter, lane), scratch
    pivots: np.ndarray,  # (litter, layer, lane), scratch
    blocks: np.ndarray,  # (layer, entry, lane), scratch
    adjoint: np.ndarray,  # (pool, layer, lane), written as all below; its first pools: by inputs
    by_rates: np.ndarray,  # (pool, layer, lane)
    by_between: np.ndarray,  # (transfer, lane)
    by_cwd_to_l2: np.ndarray,  # (1, lane)
    by_lower: np.ndarray,  # (layer, lane)
    by_upper: np.ndarray,  # (layer, lane)
) -> None:
    """Gradients of the solve in all its arguments, with the factors formed anew."""
    shares_of_debris(cwd_to_l2, shares)
    litter_pivots(rates, lower, upper, pivots)
    transpose_soil(rates, between, lower, upper, blocks, gradient, adjoint)
    transpose_litter(rates, between, shares, lower, upper, pivots, gradient, adjoint)
    gradients_by_transfers(rates, debris, pools, adjoint, by_between, by_cwd_to_l2)
    gradients_by_mixing(pools, adjoint, by_lower, by_upper)
    gradients_by_rates(rates, between, pools, gradient, adjoint, by_rates)
