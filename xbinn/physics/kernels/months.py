"""The kernels of the annual means; the equations are those of `xbinn.physics.scalars`.

Thousands of columns go through the months together, layer by layer: memory is read in few long
streams, which the processor can foresee, and the sums stay in the caches.
"""

from typing import NamedTuple

import numpy as np

from xbinn.constants import MONTHS_PER_YEAR, N_LAYERS, REFERENCE_TEMPERATURE
from xbinn.physics.kernels.columns import take
from xbinn.physics.kernels.compiling import inlined, kernel
from xbinn.physics.kernels.functions import exp
from xbinn.physics.kernels.lanes import (
    WIDTH,
    Lanes,
    full,
    load,
    load_from,
    store,
    store_from,
    where,
)

MEANS = 4
_CONTROLS = 2
_PER_MONTH = 1.0 / MONTHS_PER_YEAR
_TOGETHER = 256
"""Vectors of columns, so many that the streams in which the months are read are long."""


class Month(NamedTuple):
    """What a month does to a layer: temperature [K], water, oxygen and nitrogen scalars."""

    temperature: Lanes
    water: Lanes
    oxygen: Lanes
    nitrogen: Lanes


@inlined
def add_month(
    month: Month,
    rate: Lanes,  # ln(q10)/10
    w_scaling: Lanes,
    total: np.ndarray,  # (4, lane), added to: soil, litter, temperature, water
) -> None:
    """Add the scalars of a month and their products."""
    xit = exp((month.temperature - REFERENCE_TEMPERATURE) * rate)
    scaled = month.water * w_scaling
    xiw = where(scaled >= 1.0, 1.0, scaled)
    product = xit * xiw * month.oxygen
    litter = product * month.nitrogen
    store(total, (0,), load(total, (0,)) + product)
    store(total, (1,), load(total, (1,)) + litter)
    store(total, (2,), load(total, (2,)) + xit)
    store(total, (3,), load(total, (3,)) + xiw)


@inlined
def add_month_adjoint(
    month: Month,
    rate: Lanes,  # ln(q10)/10
    w_scaling: Lanes,
    by_total: np.ndarray,  # (4, lane)
    by_controls: np.ndarray,  # (2, lane), added to
) -> None:
    """Add the gradient in the two controls of what a month adds."""
    warming = month.temperature - REFERENCE_TEMPERATURE
    xit = exp(warming * rate)
    scaled = month.water * w_scaling
    xiw = where(scaled >= 1.0, 1.0, scaled)
    by_product = load(by_total, (0,)) + load(by_total, (1,)) * month.nitrogen
    by_climate = by_product * month.oxygen
    by_exponent = (load(by_total, (2,)) + by_climate * xiw) * xit
    # At the cap the gradient is that of the capped side.
    by_scaled = where(scaled >= 1.0, 0.0, load(by_total, (3,)) + by_climate * xit)
    store(by_controls, (0,), load(by_controls, (0,)) + by_exponent * warming)
    store(by_controls, (1,), load(by_controls, (1,)) + by_scaled * month.water)


@inlined
def average_layer(
    temperature: np.ndarray,  # (month, lane) [K]
    water: np.ndarray,  # (month, lane)
    oxygen: np.ndarray,  # (month, lane)
    nitrogen: np.ndarray,  # (month, lane)
    controls: np.ndarray,  # (2, lane)
    total: np.ndarray,  # (4, lane), scratch
    means: np.ndarray,  # (4, lane), written
) -> None:
    """Annual means of one layer."""
    rate, w_scaling = load(controls, (0,)), load(controls, (1,))
    for mean in range(MEANS):
        store(total, (mean,), 0.0)
    for m in range(MONTHS_PER_YEAR):
        month = Month(
            load(temperature, (m,)), load(water, (m,)), load(oxygen, (m,)), load(nitrogen, (m,))
        )
        add_month(month, rate, w_scaling, total)
    for mean in range(MEANS):
        store(means, (mean,), load(total, (mean,)) * _PER_MONTH)


@inlined
def average_column_adjoint(
    temperature: np.ndarray,  # (month, layer, lane) [K]
    water: np.ndarray,  # (month, layer, lane)
    oxygen: np.ndarray,  # (month, layer, lane)
    nitrogen: np.ndarray,  # (month, layer, lane)
    controls: np.ndarray,  # (2, lane)
    by_means: np.ndarray,  # (4, layer, lane)
    by_total: np.ndarray,  # (4, lane), scratch
    by_layer: np.ndarray,  # (2, lane), scratch
    by_controls: np.ndarray,  # (2, lane), written
) -> None:
    """Gradient in the two controls, summed as `average_adjoint` does."""
    rate, w_scaling = load(controls, (0,)), load(controls, (1,))
    none = full(rate, 0.0)
    by_rate, by_scaling = none, none
    for j in range(N_LAYERS):
        for mean in range(MEANS):
            store(by_total, (mean,), load(by_means, (mean, j)) * _PER_MONTH)
        store(by_layer, (0,), none)
        store(by_layer, (1,), none)
        for m in range(MONTHS_PER_YEAR):
            month = Month(
                load(temperature, (m, j)),
                load(water, (m, j)),
                load(oxygen, (m, j)),
                load(nitrogen, (m, j)),
            )
            add_month_adjoint(month, rate, w_scaling, by_total, by_layer)
        by_rate = by_rate + load(by_layer, (0,))
        by_scaling = by_scaling + load(by_layer, (1,))
    store(by_controls, (0,), by_rate)
    store(by_controls, (1,), by_scaling)


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
def average_layers(
    temperature: np.ndarray,  # as `annual_means`
    water: np.ndarray,
    oxygen: np.ndarray,
    nitrogen: np.ndarray,
    controls: np.ndarray,
    layer: int,
    start: int,
    vectors: int,
    means: np.ndarray,  # (4, vector, lane), written
) -> None:
    """Annual means of one layer of some vectors of columns from ``start`` on."""
    n = temperature.shape[1]
    means[:, :vectors] = 0.0
    for row in range(layer, MONTHS_PER_YEAR * N_LAYERS, N_LAYERS):
        for i in range(vectors):
            at = place(start, i, n)
            month = Month(
                load_from(temperature, (row, at)),
                load_from(water, (row, at)),
                load_from(oxygen, (row, at)),
                load_from(nitrogen, (row, at)),
            )
            rate, w_scaling = load_from(controls, (0, at)), load_from(controls, (1, at))
            add_month(month, rate, w_scaling, means[:, i])
    for mean in range(MEANS):
        for i in range(vectors):
            store(means, (mean, i), load(means, (mean, i)) * _PER_MONTH)


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
    total = np.empty((MEANS, _TOGETHER, WIDTH), temperature.dtype)
    for start in range(0, n, _TOGETHER * WIDTH):
        vectors = min(_TOGETHER, (n - start + WIDTH - 1) // WIDTH)
        for j in range(N_LAYERS):
            average_layers(
                *(temperature, water, oxygen, nitrogen, controls, j, start, vectors, total)
            )
            for mean in range(MEANS):
                for i in range(vectors):
                    row, at = mean * N_LAYERS + j, place(start, i, n)
                    store_from(means, (row, at), load(total, (mean, i)))


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
    given = np.empty((MEANS, _TOGETHER, WIDTH), temperature.dtype)
    by_layer = np.empty((_CONTROLS, _TOGETHER, WIDTH), temperature.dtype)
    total = np.empty_like(by_layer)
    for start in range(0, n, _TOGETHER * WIDTH):
        vectors = min(_TOGETHER, (n - start + WIDTH - 1) // WIDTH)
        total[:] = 0.0
        for j in range(N_LAYERS):
            for mean in range(MEANS):
                for i in range(vectors):
                    row, at = mean * N_LAYERS + j, place(start, i, n)
                    store(given, (mean, i), load_from(by_means, (row, at)) * _PER_MONTH)
            by_layer[:, :vectors] = 0.0
            for row in range(j, MONTHS_PER_YEAR * N_LAYERS, N_LAYERS):
                for i in range(vectors):
                    at = place(start, i, n)
                    month = Month(
                        load_from(temperature, (row, at)),
                        load_from(water, (row, at)),
                        load_from(oxygen, (row, at)),
                        load_from(nitrogen, (row, at)),
                    )
                    rate, w_scaling = load_from(controls, (0, at)), load_from(controls, (1, at))
                    add_month_adjoint(month, rate, w_scaling, given[:, i], by_layer[:, i])
            for control in range(_CONTROLS):
                for i in range(vectors):
                    layers = load(total, (control, i)) + load(by_layer, (control, i))
                    store(total, (control, i), layers)
        for control in range(_CONTROLS):
            for i in range(vectors):
                store_from(by_controls, (control, place(start, i, n)), load(total, (control, i)))
