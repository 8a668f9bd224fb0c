"""The kernels of the annual means; the equations are those of `xbinn.physics.scalars`.

A few hundred columns go through the months together, layer by layer: memory is read in few long
streams, which the processor can foresee, and the sums stay in the nearest cache.
"""

import numpy as np

from xbinn.constants import MONTHS_PER_YEAR, N_LAYERS, REFERENCE_TEMPERATURE
from xbinn.physics.kernels.columns import take
from xbinn.physics.kernels.compiling import inlined, kernel
from xbinn.physics.kernels.functions import exp
from xbinn.physics.kernels.lanes import WIDTH, load, store, where

_MEANS = 4
_CONTROLS = 2
_PER_MONTH = 1.0 / MONTHS_PER_YEAR
_TOGETHER = 32
"""Vectors of columns."""


@inlined
def place(start: int, vector: int, n: int) -> int:
    """First column of a vector; the last one begins early, and does some columns twice."""
    return min(start + vector * WIDTH, n - WIDTH)


@inlined
def padded(given: np.ndarray) -> np.ndarray:  # (row, n) -> (row, lane)
    """Repeat the last of fewer columns than a vector holds."""
    rows = np.empty((given.shape[0], WIDTH), given.dtype)
    take(given, 0, rows)
    return rows


@kernel
def annual_means(
    temperature: np.ndarray,  # (month x layer, n) [K]
    water: np.ndarray,  # (month x layer, n)
    oxygen: np.ndarray,  # (month x layer, n)
    nitrogen: np.ndarray,  # (month x layer, n)
    controls: np.ndarray,  # (2, n): ln(q10)/10 and w_scaling
    means: np.ndarray,  # (4 x layer, n), written: soil, litter, temperature, water
) -> None:
    """Average the monthly scalars and their products over the year."""
    n = temperature.shape[1]
    if n >= WIDTH:
        average(temperature, water, oxygen, nitrogen, controls, means)
    else:
        given = padded(temperature), padded(water), padded(oxygen), padded(nitrogen)
        found = np.empty((means.shape[0], WIDTH), means.dtype)
        average(*given, padded(controls), found)
        means[:] = found[:, :n]


@inlined
def average(
    temperature: np.ndarray,  # as `annual_means`
    water: np.ndarray,
    oxygen: np.ndarray,
    nitrogen: np.ndarray,
    controls: np.ndarray,
    means: np.ndarray,
) -> None:
    """Do so for a vector of columns or more."""
    n = temperature.shape[1]
    total = np.empty((_MEANS, _TOGETHER, WIDTH), temperature.dtype)
    for start in range(0, n, _TOGETHER * WIDTH):
        vectors = min(_TOGETHER, (n - start + WIDTH - 1) // WIDTH)
        for j in range(N_LAYERS):
            total[:] = 0.0
            for row in range(j, MONTHS_PER_YEAR * N_LAYERS, N_LAYERS):
                for i in range(vectors):
                    at = place(start, i, n)
                    warming = load(temperature, (row, at)) - REFERENCE_TEMPERATURE
                    xit = exp(warming * load(controls, (0, at)))
                    scaled = load(water, (row, at)) * load(controls, (1, at))
                    xiw = where(scaled >= 1.0, 1.0, scaled)
                    product = xit * xiw * load(oxygen, (row, at))
                    litter = product * load(nitrogen, (row, at))
                    store(total, (0, i), load(total, (0, i)) + product)
                    store(total, (1, i), load(total, (1, i)) + litter)
                    store(total, (2, i), load(total, (2, i)) + xit)
                    store(total, (3, i), load(total, (3, i)) + xiw)
            for mean in range(_MEANS):
                for i in range(vectors):
                    row, at = mean * N_LAYERS + j, place(start, i, n)
                    store(means, (row, at), load(total, (mean, i)) * _PER_MONTH)


@kernel
def annual_means_adjoint(
    temperature: np.ndarray,  # (month x layer, n) [K]
    water: np.ndarray,  # (month x layer, n)
    oxygen: np.ndarray,  # (month x layer, n)
    nitrogen: np.ndarray,  # (month x layer, n)
    controls: np.ndarray,  # (2, n): ln(q10)/10 and w_scaling
    by_means: np.ndarray,  # (4 x layer, n): soil, litter, temperature, water
    by_controls: np.ndarray,  # (2, n), written
) -> None:
    """Gradient in the two controls, with the months computed anew."""
    n = temperature.shape[1]
    if n >= WIDTH:
        average_adjoint(temperature, water, oxygen, nitrogen, controls, by_means, by_controls)
    else:
        given = padded(temperature), padded(water), padded(oxygen), padded(nitrogen)
        found = np.empty((_CONTROLS, WIDTH), by_controls.dtype)
        average_adjoint(*given, padded(controls), padded(by_means), found)
        by_controls[:] = found[:, :n]


@inlined
def average_adjoint(
    temperature: np.ndarray,  # as `annual_means_adjoint`
    water: np.ndarray,
    oxygen: np.ndarray,
    nitrogen: np.ndarray,
    controls: np.ndarray,
    by_means: np.ndarray,
    by_controls: np.ndarray,
) -> None:
    """Do so for a vector of columns or more."""
    n = temperature.shape[1]
    given = np.empty((_MEANS, _TOGETHER, WIDTH), temperature.dtype)
    by_layer = np.empty((_CONTROLS, _TOGETHER, WIDTH), temperature.dtype)
    total = np.empty_like(by_layer)
    for start in range(0, n, _TOGETHER * WIDTH):
        vectors = min(_TOGETHER, (n - start + WIDTH - 1) // WIDTH)
        total[:] = 0.0
        for j in range(N_LAYERS):
            for mean in range(_MEANS):
                for i in range(vectors):
                    row, at = mean * N_LAYERS + j, place(start, i, n)
                    store(given, (mean, i), load(by_means, (row, at)) * _PER_MONTH)
            by_layer[:] = 0.0
            for row in range(j, MONTHS_PER_YEAR * N_LAYERS, N_LAYERS):
                for i in range(vectors):
                    at = place(start, i, n)
                    warming = load(temperature, (row, at)) - REFERENCE_TEMPERATURE
                    xit = exp(warming * load(controls, (0, at)))
                    moisture = load(water, (row, at))
                    scaled = moisture * load(controls, (1, at))
                    xiw = where(scaled >= 1.0, 1.0, scaled)
                    by_product = load(given, (0, i)) + load(given, (1, i)) * load(
                        nitrogen, (row, at)
                    )
                    by_climate = by_product * load(oxygen, (row, at))
                    by_exponent = (load(given, (2, i)) + by_climate * xiw) * xit
                    # At the cap the gradient is that of the capped side.
                    by_scaled = where(scaled >= 1.0, 0.0, load(given, (3, i)) + by_climate * xit)
                    store(by_layer, (0, i), load(by_layer, (0, i)) + by_exponent * warming)
                    store(by_layer, (1, i), load(by_layer, (1, i)) + by_scaled * moisture)
            for control in range(_CONTROLS):
                for i in range(vectors):
                    layers = load(total, (control, i)) + load(by_layer, (control, i))
                    store(total, (control, i), layers)
        for control in range(_CONTROLS):
            for i in range(vectors):
                store(by_controls, (control, place(start, i, n)), load(total, (control, i)))
