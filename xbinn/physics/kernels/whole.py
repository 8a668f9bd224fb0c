"""The kernel of all that leads to the pools: months, assembly and solve in one go.

Two thousand columns go through the months together, then a vector of them at a time through
assembly and solve: what one step hands to the next stays in the caches. No gradient is prepared.
"""

import numpy as np

from xbinn.constants import N_INPUTS, N_LAYERS, N_POOLS
from xbinn.parameters import N_PARAMETERS, TRANSFERS
from xbinn.physics.kernels.assembly import assemble_column
from xbinn.physics.kernels.blocks import Matrix
from xbinn.physics.kernels.columns import put, take
from xbinn.physics.kernels.compiling import inlined, kernel
from xbinn.physics.kernels.lanes import WIDTH, full, load, store, where
from xbinn.physics.kernels.months import MEANS, average_layers, place
from xbinn.physics.kernels.sweeps import N_LITTER, solve_column

_POOL_ROWS = N_POOLS * N_LAYERS
_INPUT_ROWS = N_INPUTS * N_LAYERS
_ENTRIES = len(Matrix._fields)
_TRANSFERS = len(TRANSFERS)
_TOGETHER = 128
"""Vectors of columns: with more the months are read in longer streams, and their means leave the
second cache."""
_LITTER = 1
"""Which of the means is that of litter pools."""


@inlined
def count_resting(
    means: np.ndarray,  # (4, layer, lane)
    exists: np.ndarray,  # (layer, lane), boolean
    resting: np.ndarray,  # (1, lane), written
) -> None:
    """Count the layers in which nothing decomposes litter."""
    none = full(load(means, (_LITTER, 0)), 0.0)
    layers = none
    for j in range(N_LAYERS):
        rests = where(load(means, (_LITTER, j)) == 0.0, 1.0, none)
        layers = layers + where(load(exists, (j,)), rests, 0.0)
    store(resting, (0,), layers)


@kernel
def steady_state(
    temperature: np.ndarray,  # (month x layer, n) [K]
    water: np.ndarray,  # (month x layer, n)
    oxygen: np.ndarray,  # (month x layer, n)
    nitrogen: np.ndarray,  # (month x layer, n)
    controls: np.ndarray,  # (2, n): ln(q10)/10 and w_scaling
    parameters: np.ndarray,  # (parameter, n), float64
    decay: np.ndarray,  # (1, n), float64: ln(beta) per m
    exists: np.ndarray,  # (layer, n), boolean
    allocated: np.ndarray,  # (1, n), boolean
    bottom: np.ndarray,  # (1, n), float64: depth of the deepest layer [m]
    bioturbation: np.ndarray,  # (layer, n), conductance per unit of diffusivity
    cryoturbation: np.ndarray,  # (layer, n)
    supplied: np.ndarray,  # (4, n) [gC m-2 yr-1]
    unit: float,  # of time [day]
    least: float,  # of the rates
    rates: np.ndarray,  # (pool x layer, n), written as all below
    between: np.ndarray,  # (transfer, n)
    cwd_to_l2: np.ndarray,  # (1, n)
    lower: np.ndarray,  # (layer, n)
    upper: np.ndarray,  # (layer, n)
    inputs: np.ndarray,  # (4 x layer, n)
    modifier: np.ndarray,  # (layer, n)
    fraction: np.ndarray,  # (layer, n), float64
    pools: np.ndarray,  # (pool x layer, n)
    resting: np.ndarray,  # (1, n), number of layers in which litter does not decompose
) -> None:
    """Solve for the pools of a vector of columns or more.

    Where litter rests somewhere, what is written means nothing.
    """
    n = temperature.shape[1]
    most = min(_TOGETHER, (n + WIDTH - 1) // WIDTH)
    means = np.empty((MEANS, N_LAYERS, most, WIDTH), temperature.dtype)
    values = np.empty((N_PARAMETERS, WIDTH), parameters.dtype)
    holds = np.empty((2, N_LAYERS, WIDTH), exists.dtype)
    here, deep = np.empty((N_LAYERS, WIDTH), exists.dtype), np.empty((1, WIDTH), exists.dtype)
    beta, depth = np.empty((1, WIDTH), decay.dtype), np.empty((1, WIDTH), decay.dtype)
    bio, cryo = np.empty((N_LAYERS, WIDTH), means.dtype), np.empty((N_LAYERS, WIDTH), means.dtype)
    annual = np.empty((N_INPUTS, WIDTH), means.dtype)
    k = np.empty((N_POOLS, N_LAYERS, WIDTH), means.dtype)
    moves = np.empty((_TRANSFERS, WIDTH), means.dtype)
    to_l2 = np.empty((1, WIDTH), means.dtype)
    lo, up, scalar = np.empty_like(bio), np.empty_like(bio), np.empty_like(bio)
    density = np.empty((N_INPUTS, N_LAYERS, WIDTH), means.dtype)
    share = np.empty((N_LAYERS, WIDTH), parameters.dtype)
    shares = np.empty((N_LITTER, WIDTH), means.dtype)
    pivots = np.empty((N_LITTER, N_LAYERS, WIDTH), means.dtype)
    carries = np.empty((N_LAYERS, _ENTRIES, WIDTH), means.dtype)
    found = np.empty((N_POOLS, N_LAYERS, WIDTH), means.dtype)
    rests = np.empty((1, WIDTH), means.dtype)
    k_rows, found_rows = k.reshape(_POOL_ROWS, WIDTH), found.reshape(_POOL_ROWS, WIDTH)
    density_rows = density.reshape(_INPUT_ROWS, WIDTH)
    for start in range(0, n, _TOGETHER * WIDTH):
        vectors = min(_TOGETHER, (n - start + WIDTH - 1) // WIDTH)
        for j in range(N_LAYERS):
            average_layers(
                *(temperature, water, oxygen, nitrogen, controls, j, start, vectors, means[:, j])
            )
        for i in range(vectors):
            at = place(start, i, n)
            climate = means[:, :, i]
            take(exists, at, here)
            count_resting(climate, here, rests)
            put(rests, at, resting)
            holds[0] = here
            holds[1] = here
            take(parameters, at, values)
            take(decay, at, beta)
            take(allocated, at, deep)
            take(bottom, at, depth)
            take(bioturbation, at, bio)
            take(cryoturbation, at, cryo)
            take(supplied, at, annual)
            assemble_column(
                values,
                beta,
                climate,
                holds,
                here,
                deep,
                depth,
                bio,
                cryo,
                annual,
                unit,
                least,
                k,
                moves,
                to_l2,
                lo,
                up,
                density,
                scalar,
                share,
            )
            put(k_rows, at, rates)
            put(moves, at, between)
            put(to_l2, at, cwd_to_l2)
            put(lo, at, lower)
            put(up, at, upper)
            put(density_rows, at, inputs)
            put(scalar, at, modifier)
            put(share, at, fraction)
            solve_column(k, moves, to_l2, lo, up, density, shares, pivots, carries, found)
            put(found_rows, at, pools)
