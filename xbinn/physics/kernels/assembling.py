"""The kernels of the assembly: from parameters and annual means to what the solve takes."""

import numpy as np

from xbinn.constants import N_INPUTS, N_LAYERS, N_POOLS
from xbinn.parameters import N_PARAMETERS, TRANSFERS
from xbinn.physics.kernels.assembly import assemble_column, assemble_column_adjoint
from xbinn.physics.kernels.columns import put, take
from xbinn.physics.kernels.compiling import kernel
from xbinn.physics.kernels.lanes import WIDTH

_POOL_ROWS = N_POOLS * N_LAYERS
_INPUT_ROWS = N_INPUTS * N_LAYERS
_MEANS = 4
_TRANSFERS = len(TRANSFERS)


@kernel
def assemble(
    parameters: np.ndarray,  # (parameter, n), float64
    decay: np.ndarray,  # (1, n), float64: ln(beta) per m
    soil: np.ndarray,  # (layer, n), annual mean as those below
    litter: np.ndarray,  # (layer, n)
    temperature: np.ndarray,  # (layer, n)
    water: np.ndarray,  # (layer, n)
    soil_holds: np.ndarray,  # (layer, n), boolean: whether soil pools hold carbon
    litter_holds: np.ndarray,  # (layer, n), boolean: whether litter pools do
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
) -> None:
    """Form the rates, the transport and the inputs of all columns."""
    values = np.empty((N_PARAMETERS, WIDTH), parameters.dtype)
    climate = np.empty((_MEANS, N_LAYERS, WIDTH), soil.dtype)
    holds = np.empty((2, N_LAYERS, WIDTH), exists.dtype)
    here, deep = np.empty((N_LAYERS, WIDTH), exists.dtype), np.empty((1, WIDTH), exists.dtype)
    beta, depth = np.empty((1, WIDTH), decay.dtype), np.empty((1, WIDTH), decay.dtype)
    bio, cryo = np.empty((N_LAYERS, WIDTH), soil.dtype), np.empty((N_LAYERS, WIDTH), soil.dtype)
    annual = np.empty((N_INPUTS, WIDTH), soil.dtype)
    k = np.empty((N_POOLS, N_LAYERS, WIDTH), soil.dtype)
    moves = np.empty((_TRANSFERS, WIDTH), soil.dtype)
    to_l2 = np.empty((1, WIDTH), soil.dtype)
    lo, up, scalar = np.empty_like(bio), np.empty_like(bio), np.empty_like(bio)
    density = np.empty((N_INPUTS, N_LAYERS, WIDTH), soil.dtype)
    share = np.empty((N_LAYERS, WIDTH), parameters.dtype)
    k_rows, density_rows = k.reshape(_POOL_ROWS, WIDTH), density.reshape(_INPUT_ROWS, WIDTH)
    for at in range(0, parameters.shape[1], WIDTH):
        take(parameters, at, values)
        take(decay, at, beta)
        take(soil, at, climate[0])
        take(litter, at, climate[1])
        take(temperature, at, climate[2])
        take(water, at, climate[3])
        take(soil_holds, at, holds[0])
        take(litter_holds, at, holds[1])
        take(exists, at, here)
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


@kernel
def assemble_adjoint(
    parameters: np.ndarray,  # (parameter, n), float64
    decay: np.ndarray,  # (1, n), float64
    soil: np.ndarray,  # (layer, n)
    litter: np.ndarray,  # (layer, n)
    temperature: np.ndarray,  # (layer, n)
    water: np.ndarray,  # (layer, n)
    soil_holds: np.ndarray,  # (layer, n), boolean
    litter_holds: np.ndarray,  # (layer, n), boolean
    exists: np.ndarray,  # (layer, n), boolean
    allocated: np.ndarray,  # (1, n), boolean
    bottom: np.ndarray,  # (1, n), float64
    bioturbation: np.ndarray,  # (layer, n)
    cryoturbation: np.ndarray,  # (layer, n)
    supplied: np.ndarray,  # (4, n)
    unit: float,
    least: float,
    by_rates: np.ndarray,  # (pool x layer, n)
    by_between: np.ndarray,  # (transfer, n)
    by_cwd_to_l2: np.ndarray,  # (1, n)
    by_lower: np.ndarray,  # (layer, n)
    by_upper: np.ndarray,  # (layer, n)
    by_inputs: np.ndarray,  # (4 x layer, n)
    by_modifier: np.ndarray,  # (layer, n)
    by_fraction: np.ndarray,  # (layer, n), float64
    by_means: np.ndarray,  # (4 x layer, n), written
    by_parameters: np.ndarray,  # (parameter, n), float64, written
) -> None:
    """Gradients in the means and the parameters, those of q10 and w_scaling zero."""
    values = np.empty((N_PARAMETERS, WIDTH), parameters.dtype)
    climate = np.empty((_MEANS, N_LAYERS, WIDTH), soil.dtype)
    holds = np.empty((2, N_LAYERS, WIDTH), exists.dtype)
    here, deep = np.empty((N_LAYERS, WIDTH), exists.dtype), np.empty((1, WIDTH), exists.dtype)
    beta, depth = np.empty((1, WIDTH), decay.dtype), np.empty((1, WIDTH), decay.dtype)
    bio, cryo = np.empty((N_LAYERS, WIDTH), soil.dtype), np.empty((N_LAYERS, WIDTH), soil.dtype)
    annual = np.empty((N_INPUTS, WIDTH), soil.dtype)
    by_k = np.empty((N_POOLS, N_LAYERS, WIDTH), soil.dtype)
    by_moves = np.empty((_TRANSFERS, WIDTH), soil.dtype)
    by_to_l2 = np.empty((1, WIDTH), soil.dtype)
    by_lo, by_up, by_scalar = np.empty_like(bio), np.empty_like(bio), np.empty_like(bio)
    by_density = np.empty((N_INPUTS, N_LAYERS, WIDTH), soil.dtype)
    by_share = np.empty((N_LAYERS, WIDTH), parameters.dtype)
    by_climate = np.empty_like(climate)
    by_values = np.empty_like(values)
    by_climate_rows = by_climate.reshape(_MEANS * N_LAYERS, WIDTH)
    by_k_rows = by_k.reshape(_POOL_ROWS, WIDTH)
    by_density_rows = by_density.reshape(_INPUT_ROWS, WIDTH)
    for at in range(0, parameters.shape[1], WIDTH):
        take(parameters, at, values)
        take(decay, at, beta)
        take(soil, at, climate[0])
        take(litter, at, climate[1])
        take(temperature, at, climate[2])
        take(water, at, climate[3])
        take(soil_holds, at, holds[0])
        take(litter_holds, at, holds[1])
        take(exists, at, here)
        take(allocated, at, deep)
        take(bottom, at, depth)
        take(bioturbation, at, bio)
        take(cryoturbation, at, cryo)
        take(supplied, at, annual)
        take(by_rates, at, by_k_rows)
        take(by_between, at, by_moves)
        take(by_cwd_to_l2, at, by_to_l2)
        take(by_lower, at, by_lo)
        take(by_upper, at, by_up)
        take(by_inputs, at, by_density_rows)
        take(by_modifier, at, by_scalar)
        take(by_fraction, at, by_share)
        assemble_column_adjoint(
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
            by_k,
            by_moves,
            by_to_l2,
            by_lo,
            by_up,
            by_density,
            by_scalar,
            by_share,
            by_climate,
            by_values,
        )
        put(by_climate_rows, at, by_means)
        put(by_values, at, by_parameters)
