"""The kernels for a GPU: one thread a column, with the same functions as those for the CPU.

Each is named as its twin there and takes the same arguments, but for the axis of the layers: arrays
are (pool, layer, n) where those are (pool x layer, n). Columns lie side by side in memory, so that
threads side by side read and write whole lines. What lies between arguments and results is the
thread's own.
"""

import numpy as np
from numba import cuda

from xbinn.constants import N_INPUTS, N_LAYERS, N_POOLS
from xbinn.physics.kernels.adjoint import solve_column_adjoint
from xbinn.physics.kernels.assembly import assemble_column, assemble_column_adjoint
from xbinn.physics.kernels.blocks import Matrix
from xbinn.physics.kernels.months import average_column_adjoint, average_layer
from xbinn.physics.kernels.shaping import shape_column
from xbinn.physics.kernels.sweeps import N_LITTER, solve_column

_ENTRIES = len(Matrix._fields)
_MEANS = 4
_CONTROLS = 2


@cuda.jit
def mark(
    marks: np.ndarray,  # (1, n), written
) -> None:
    """Write ones, which shows that a kernel runs."""
    i = cuda.grid(1)
    if i < marks.shape[1]:
        marks[0, i] = 1.0


@cuda.jit
def solve(
    rates: np.ndarray,  # (pool, layer, n)
    between: np.ndarray,  # (transfer, n)
    cwd_to_l2: np.ndarray,  # (1, n)
    lower: np.ndarray,  # (layer, n)
    upper: np.ndarray,  # (layer, n)
    inputs: np.ndarray,  # (4, layer, n)
    pools: np.ndarray,  # (pool, layer, n), written
) -> None:
    """Solve (T - A K) C = I."""
    i = cuda.grid(1)
    if i < rates.shape[2]:
        shares = cuda.local.array(N_LITTER, rates.dtype)
        pivots = cuda.local.array((N_LITTER, N_LAYERS), rates.dtype)
        carries = cuda.local.array((N_LAYERS, _ENTRIES), rates.dtype)
        solve_column(
            rates[:, :, i],
            between[:, i],
            cwd_to_l2[:, i],
            lower[:, i],
            upper[:, i],
            inputs[:, :, i],
            shares,
            pivots,
            carries,
            pools[:, :, i],
        )


@cuda.jit
def solve_adjoint(
    rates: np.ndarray,  # (pool, layer, n)
    between: np.ndarray,  # (transfer, n)
    cwd_to_l2: np.ndarray,  # (1, n)
    lower: np.ndarray,  # (layer, n)
    upper: np.ndarray,  # (layer, n)
    debris: np.ndarray,  # (layer, n)
    pools: np.ndarray,  # (pool, layer, n)
    gradient: np.ndarray,  # (pool, layer, n)
    by_rates: np.ndarray,  # (pool, layer, n), written as all below
    by_between: np.ndarray,  # (transfer, n)
    by_cwd_to_l2: np.ndarray,  # (1, n)
    by_lower: np.ndarray,  # (layer, n)
    by_upper: np.ndarray,  # (layer, n)
    by_inputs: np.ndarray,  # (4, layer, n)
) -> None:
    """Gradients of the solve in all its arguments."""
    i = cuda.grid(1)
    if i < rates.shape[2]:
        shares = cuda.local.array(N_LITTER, rates.dtype)
        pivots = cuda.local.array((N_LITTER, N_LAYERS), rates.dtype)
        blocks = cuda.local.array((N_LAYERS, _ENTRIES), rates.dtype)
        adjoint = cuda.local.array((N_POOLS, N_LAYERS), rates.dtype)
        solve_column_adjoint(
            rates[:, :, i],
            between[:, i],
            cwd_to_l2[:, i],
            lower[:, i],
            upper[:, i],
            debris[:, i],
            pools[:, :, i],
            gradient[:, :, i],
            shares,
            pivots,
            blocks,
            adjoint,
            by_rates[:, :, i],
            by_between[:, i],
            by_cwd_to_l2[:, i],
            by_lower[:, i],
            by_upper[:, i],
        )
        for p in range(N_INPUTS):
            for j in range(N_LAYERS):
                by_inputs[p, j, i] = adjoint[p, j]


@cuda.jit
def annual_means(
    temperature: np.ndarray,  # (month, layer, n) [K]
    water: np.ndarray,  # (month, layer, n)
    oxygen: np.ndarray,  # (month, layer, n)
    nitrogen: np.ndarray,  # (month, layer, n)
    controls: np.ndarray,  # (2, n)
    means: np.ndarray,  # (4, layer, n), written
) -> None:
    """Average the monthly scalars and their products over the year."""
    i = cuda.grid(1)
    if i < temperature.shape[2]:
        total = cuda.local.array(_MEANS, temperature.dtype)
        for j in range(N_LAYERS):
            average_layer(
                temperature[:, j, i],
                water[:, j, i],
                oxygen[:, j, i],
                nitrogen[:, j, i],
                controls[:, i],
                total,
                means[:, j, i],
            )


@cuda.jit
def annual_means_adjoint(
    temperature: np.ndarray,  # (month, layer, n) [K]
    water: np.ndarray,  # (month, layer, n)
    oxygen: np.ndarray,  # (month, layer, n)
    nitrogen: np.ndarray,  # (month, layer, n)
    controls: np.ndarray,  # (2, n)
    by_means: np.ndarray,  # (4, layer, n)
    by_controls: np.ndarray,  # (2, n), written
) -> None:
    """Gradient in the two controls."""
    i = cuda.grid(1)
    if i < temperature.shape[2]:
        by_total = cuda.local.array(_MEANS, temperature.dtype)
        by_layer = cuda.local.array(_CONTROLS, temperature.dtype)
        average_column_adjoint(
            temperature[:, :, i],
            water[:, :, i],
            oxygen[:, :, i],
            nitrogen[:, :, i],
            controls[:, i],
            by_means[:, :, i],
            by_total,
            by_layer,
            by_controls[:, i],
        )


@cuda.jit
def assemble(
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
    rates: np.ndarray,  # (pool, layer, n), written as all below
    between: np.ndarray,  # (transfer, n)
    cwd_to_l2: np.ndarray,  # (1, n)
    lower: np.ndarray,  # (layer, n)
    upper: np.ndarray,  # (layer, n)
    inputs: np.ndarray,  # (4, layer, n)
    modifier: np.ndarray,  # (layer, n)
    fraction: np.ndarray,  # (layer, n), float64
) -> None:
    """Form the rates, the transport and the inputs."""
    i = cuda.grid(1)
    if i < soil.shape[1]:
        means = cuda.local.array((_MEANS, N_LAYERS), soil.dtype)
        holds = cuda.local.array((2, N_LAYERS), exists.dtype)
        for j in range(N_LAYERS):
            means[0, j], means[1, j] = soil[j, i], litter[j, i]
            means[2, j], means[3, j] = temperature[j, i], water[j, i]
            holds[0, j], holds[1, j] = soil_holds[j, i], litter_holds[j, i]
        assemble_column(
            parameters[:, i],
            decay[:, i],
            means,
            holds,
            exists[:, i],
            allocated[:, i],
            bottom[:, i],
            bioturbation[:, i],
            cryoturbation[:, i],
            supplied[:, i],
            unit,
            least,
            rates[:, :, i],
            between[:, i],
            cwd_to_l2[:, i],
            lower[:, i],
            upper[:, i],
            inputs[:, :, i],
            modifier[:, i],
            fraction[:, i],
        )


@cuda.jit
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
    by_rates: np.ndarray,  # (pool, layer, n)
    by_between: np.ndarray,  # (transfer, n)
    by_cwd_to_l2: np.ndarray,  # (1, n)
    by_lower: np.ndarray,  # (layer, n)
    by_upper: np.ndarray,  # (layer, n)
    by_inputs: np.ndarray,  # (4, layer, n)
    by_modifier: np.ndarray,  # (layer, n)
    by_fraction: np.ndarray,  # (layer, n), float64
    by_means: np.ndarray,  # (4, layer, n), written
    by_parameters: np.ndarray,  # (parameter, n), float64, written
) -> None:
    """Gradients in the means and the parameters, those of q10 and w_scaling zero."""
    i = cuda.grid(1)
    if i < soil.shape[1]:
        means = cuda.local.array((_MEANS, N_LAYERS), soil.dtype)
        holds = cuda.local.array((2, N_LAYERS), exists.dtype)
        for j in range(N_LAYERS):
            means[0, j], means[1, j] = soil[j, i], litter[j, i]
            means[2, j], means[3, j] = temperature[j, i], water[j, i]
            holds[0, j], holds[1, j] = soil_holds[j, i], litter_holds[j, i]
        assemble_column_adjoint(
            parameters[:, i],
            decay[:, i],
            means,
            holds,
            exists[:, i],
            allocated[:, i],
            bottom[:, i],
            bioturbation[:, i],
            cryoturbation[:, i],
            supplied[:, i],
            unit,
            least,
            by_rates[:, :, i],
            by_between[:, i],
            by_cwd_to_l2[:, i],
            by_lower[:, i],
            by_upper[:, i],
            by_inputs[:, :, i],
            by_modifier[:, i],
            by_fraction[:, i],
            by_means[:, :, i],
            by_parameters[:, i],
        )


@cuda.jit
def closed_shape(
    altmax: np.ndarray,  # (month, n), float64 [m]
    nbedrock: np.ndarray,  # (1, n), float64
    deepest: np.ndarray,  # (1, n), float64
    bioturbation: np.ndarray,  # (layer, n), written
    cryoturbation: np.ndarray,  # (layer, n), written
) -> None:
    """Form the mean conductances per unit of diffusivity, closed at bedrock."""
    i = cuda.grid(1)
    if i < altmax.shape[1]:
        means = cuda.local.array(N_LAYERS, altmax.dtype)
        ramps = cuda.local.array(N_LAYERS, altmax.dtype)
        shape_column(
            altmax[:, i],
            nbedrock[:, i],
            deepest[:, i],
            means,
            ramps,
            bioturbation[:, i],
            cryoturbation[:, i],
        )
