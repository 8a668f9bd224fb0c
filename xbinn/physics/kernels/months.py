"""The kernels of the annual means; the equations are those of `xbinn.physics.scalars`.

Layer by layer, so that memory is read in a few streams that the processor can foresee.
"""

import numpy as np

from xbinn.constants import MONTHS_PER_YEAR, N_LAYERS, REFERENCE_TEMPERATURE
from xbinn.physics.kernels.columns import put, take
from xbinn.physics.kernels.compiling import kernel
from xbinn.physics.kernels.functions import exp
from xbinn.physics.kernels.lanes import WIDTH, full, load, store, where

_MEANS = 4
_CONTROLS = 2
_PER_MONTH = 1.0 / MONTHS_PER_YEAR


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
    tsoi = np.empty((MONTHS_PER_YEAR, WIDTH), temperature.dtype)
    w_scalar, o_scalar, fpi = np.empty_like(tsoi), np.empty_like(tsoi), np.empty_like(tsoi)
    control = np.empty((_CONTROLS, WIDTH), temperature.dtype)
    found = np.empty((_MEANS, WIDTH), temperature.dtype)
    for j in range(N_LAYERS):
        for at in range(0, temperature.shape[1], WIDTH):
            take(temperature, at, tsoi, j, N_LAYERS)
            take(water, at, w_scalar, j, N_LAYERS)
            take(oxygen, at, o_scalar, j, N_LAYERS)
            take(nitrogen, at, fpi, j, N_LAYERS)
            take(controls, at, control)
            rate, w_scaling = load(control, (0,)), load(control, (1,))
            soil, litter = full(found, 0.0), full(found, 0.0)
            xit_mean, xiw_mean = full(found, 0.0), full(found, 0.0)
            for month in range(MONTHS_PER_YEAR):
                xit = exp((load(tsoi, (month,)) - REFERENCE_TEMPERATURE) * rate)
                scaled = load(w_scalar, (month,)) * w_scaling
                xiw = where(scaled >= 1.0, 1.0, scaled)
                xit_mean = xit_mean + xit
                xiw_mean = xiw_mean + xiw
                product = xit * xiw * load(o_scalar, (month,))
                soil = soil + product
                litter = litter + product * load(fpi, (month,))
            store(found, (0,), soil * _PER_MONTH)
            store(found, (1,), litter * _PER_MONTH)
            store(found, (2,), xit_mean * _PER_MONTH)
            store(found, (3,), xiw_mean * _PER_MONTH)
            put(found, at, means, j, N_LAYERS)


@kernel
def annual_means_adjoint(
    temperature: np.ndarray,  # (month x layer, n) [K]
    water: np.ndarray,  # (month x layer, n)
    oxygen: np.ndarray,  # (month x layer, n)
    nitrogen: np.ndarray,  # (month x layer, n)
    controls: np.ndarray,  # (2, n): ln(q10)/10 and w_scaling
    by_means: np.ndarray,  # (4 x layer, n): soil, litter, temperature, water
    by_controls: np.ndarray,  # (2, n), added to
) -> None:
    """Gradient in the two controls, with the months computed anew."""
    tsoi = np.empty((MONTHS_PER_YEAR, WIDTH), temperature.dtype)
    w_scalar, o_scalar, fpi = np.empty_like(tsoi), np.empty_like(tsoi), np.empty_like(tsoi)
    control = np.empty((_CONTROLS, WIDTH), temperature.dtype)
    found = np.empty((_CONTROLS, WIDTH), temperature.dtype)
    given = np.empty((_MEANS, WIDTH), temperature.dtype)
    for j in range(N_LAYERS):
        for at in range(0, temperature.shape[1], WIDTH):
            take(temperature, at, tsoi, j, N_LAYERS)
            take(water, at, w_scalar, j, N_LAYERS)
            take(oxygen, at, o_scalar, j, N_LAYERS)
            take(nitrogen, at, fpi, j, N_LAYERS)
            take(controls, at, control)
            take(by_means, at, given, j, N_LAYERS)
            take(by_controls, at, found)
            rate, w_scaling = load(control, (0,)), load(control, (1,))
            by_soil, by_litter = load(given, (0,)) * _PER_MONTH, load(given, (1,)) * _PER_MONTH
            by_xit, by_xiw = load(given, (2,)) * _PER_MONTH, load(given, (3,)) * _PER_MONTH
            by_rate, by_w_scaling = full(found, 0.0), full(found, 0.0)
            for month in range(MONTHS_PER_YEAR):
                relative = load(tsoi, (month,)) - REFERENCE_TEMPERATURE
                xit = exp(relative * rate)
                scaled = load(w_scalar, (month,)) * w_scaling
                xiw = where(scaled >= 1.0, 1.0, scaled)
                by_product = by_soil + by_litter * load(fpi, (month,))
                by_climate = by_product * load(o_scalar, (month,))
                by_exponent = (by_xit + by_climate * xiw) * xit
                # At the cap the gradient is that of the capped side.
                by_scaled = where(scaled >= 1.0, 0.0, by_xiw + by_climate * xit)
                by_rate = by_rate + by_exponent * relative
                by_w_scaling = by_w_scaling + by_scaled * load(w_scalar, (month,))
            store(found, (0,), load(found, (0,)) + by_rate)
            store(found, (1,), load(found, (1,)) + by_w_scaling)
            put(found, at, by_controls)
