"""Soil physics of a column on plain arrays: water potential, conductivity, heat.

Arrays broadcast; fractions are 0..1, sand and clay percent.
"""

from typing import Any, Final

import numpy as np

from xbinn.constants import INTERFACE_DEPTH, N_LAYERS, NODE_DEPTH

Array = Any

FREEZING: Final = 273.15
"""K"""
SECONDS_PER_YEAR: Final = 365.0 * 86400.0
_WATER: Final = 1000.0
"""Density of water [kg m-3]."""
_FUSION: Final = 3.337e5
"""Latent heat of fusion [J kg-1]."""
_GRAVITY: Final = 9.80616
_HEAT_OF_WATER: Final = 4188.0
"""[J kg-1 K-1]"""
_PA_PER_MM: Final = _GRAVITY
"""Pressure [Pa] of a millimetre of water."""
_MINERAL_DENSITY: Final = 2700.0
_WATER_CONDUCTIVITY: Final = 0.57
"""[W m-1 K-1]"""
WILTING: Final = -1.5
FIELD_CAPACITY: Final = -0.033
"""Water potential [MPa] at wilting point and field capacity."""
DRIEST: Final = -2.0
WETTEST: Final = -0.002
"""Water potential [MPa] below which nothing decomposes, and above which water is no limit."""
_YEARS: Final = 5
SNOW: Final = 0.5
"""Part of the frost of the air that is felt under snow: freezing n-factor (Lunardini 1978; 0.2 to
0.7 under natural snow, Smith and Riseborough 2002)."""
_NODES: Final = np.array(NODE_DEPTH[:N_LAYERS])


def porosity(sand: Array) -> Array:
    """Volume of pores, equal to saturated water content (Cosby et al. 1984) [1]."""
    return 0.489 - 0.00126 * sand


def potential(water: Array, sand: Array, clay: Array) -> Array:
    """Water potential [MPa] of a water content [1] (Clapp and Hornberger 1978)."""
    saturated = -10.0 * 10.0 ** (1.88 - 0.0131 * sand) * _PA_PER_MM * 1e-6
    filled = np.clip(water / porosity(sand), 0.01, 1.0)
    return saturated * filled ** -(2.91 + 0.159 * clay)


def water_at(pressure: float, sand: Array, clay: Array) -> Array:
    """Water content [1] at a water potential [MPa]: the inverse of `potential`."""
    saturated = -10.0 * 10.0 ** (1.88 - 0.0131 * sand) * _PA_PER_MM * 1e-6
    filled = (pressure / saturated) ** (-1.0 / (2.91 + 0.159 * clay))
    return porosity(sand) * np.clip(filled, 0.01, 1.0)


def water_scalar(water: Array, temperature: Array, sand: Array, clay: Array) -> Array:
    """Scalar of decomposition by water [1]; ``temperature`` [K]."""
    liquid = potential(water, sand, clay)
    # Below freezing, ice holds what is left of the water under suction.
    ice = _FUSION * (temperature - FREEZING) / temperature * _WATER * 1e-6
    pressure = np.minimum(liquid, np.where(temperature < FREEZING, ice, 0.0))
    pressure = np.clip(pressure, DRIEST, WETTEST)
    return np.log(DRIEST / pressure) / np.log(DRIEST / WETTEST)


def oxygen_scalar(water: Array, sand: Array) -> Array:
    """Scalar of decomposition by oxygen [1]."""
    return np.clip((porosity(sand) - water) / 0.10, 0.2, 1.0)


def conductivity(water: Array, sand: Array, clay: Array, frozen: Array) -> Array:
    """Thermal conductivity [W m-1 K-1] (Johansen 1975)."""
    pores = porosity(sand)
    solids = (8.80 * sand + 2.92 * clay) / np.maximum(sand + clay, 1.0)
    saturated = solids ** (1.0 - pores) * _WATER_CONDUCTIVITY**pores
    bulk = _MINERAL_DENSITY * (1.0 - pores)
    dry = (0.135 * bulk + 64.7) / (_MINERAL_DENSITY - 0.947 * bulk)
    filled = np.clip(water / pores, 1e-3, 1.0)
    kersten = np.where(frozen, filled, np.maximum(np.log10(filled) + 1.0, 0.0))
    return kersten * saturated + (1.0 - kersten) * dry


def heat_capacity(water: Array, sand: Array, clay: Array) -> Array:
    """Volumetric heat capacity [J m-3 K-1] (de Vries 1963)."""
    solids = (2.128 * sand + 2.385 * clay) / np.maximum(sand + clay, 1.0) * 1e6
    return solids * (1.0 - porosity(sand)) + water * _WATER * _HEAT_OF_WATER


def surface_temperature(air: Array) -> Array:
    """Temperature of the soil surface [K] under air [K]: frost reaches it through snow."""
    return np.minimum(air, FREEZING) * SNOW + np.maximum(air, FREEZING) - FREEZING * SNOW


def soil_temperature(air: Array, water: Array, sand: Array, clay: Array) -> Array:
    """Temperature of the layers under a periodic year.

    Parameters
    ----------
    air : array (*space, month)
        Temperature at the surface [K].
    water : array (*space,)
        Water content [1].
    sand, clay : array (*space,)
        Texture [percent].

    Returns
    -------
    array (*space, month, layer)
        [K]
    """
    months: int = air.shape[-1]
    low, high = air.min(axis=-1), air.max(axis=-1)
    crosses = (low < FREEZING) & (high > FREEZING)
    capacity = heat_capacity(water, sand, clay)
    # The heat of freezing is spread over the annual range.
    latent = _FUSION * _WATER * water / np.maximum(high - low, 1.0)
    capacity = capacity + np.where(crosses, latent, 0.0)
    mean = air.mean(axis=-1)
    diffusivity = conductivity(water, sand, clay, mean < FREEZING) / capacity
    waves = np.fft.rfft(air, axis=-1)  # (*space, harmonic)
    harmonic = np.arange(waves.shape[-1])
    angular = 2.0 * np.pi * harmonic / SECONDS_PER_YEAR
    rate = np.sqrt(angular / (2.0 * diffusivity[..., None]))  # (*space, harmonic), per m
    decay = np.exp(-(1.0 + 1.0j) * rate[..., None] * _NODES)  # (*space, harmonic, layer)
    temperature: Array = np.fft.irfft(waves[..., None] * decay, n=months, axis=-2)
    return temperature


def bucket(air: Array, rain: Array, demand: Array, capacity: Array) -> Array:
    """Water above the wilting point in a metre of soil, in a year that repeats itself.

    dS/dt = supply - demand S / capacity, at most the capacity; exact for a month in which supply
    and demand are constant. What falls in a month below 0 degC is snow, which melts in the first
    month above.

    Parameters
    ----------
    air : array (*space, month)
        Air temperature [degC].
    rain, demand : array (*space, month)
        Precipitation and potential evapotranspiration [mm month-1].
    capacity : array (*space,)
        What the bucket holds [mm].

    Returns
    -------
    array (*space, month)
        Mean of the beginning and the end of each month [mm].
    """
    months: int = rain.shape[-1]
    out = np.zeros(rain.shape)
    held, snow = 0.5 * capacity, np.zeros_like(capacity)
    # As many years as it takes to forget how full it was at first.
    for step in range(_YEARS * months):
        month = step % months
        cold = air[..., month] < 0.0
        supply = np.where(cold, 0.0, rain[..., month] + snow)
        snow = np.where(cold, snow + rain[..., month], 0.0)
        # Ice that never melts is no store of water.
        snow = np.minimum(snow, rain.sum(axis=-1))
        rate = np.maximum(demand[..., month] / np.maximum(capacity, 1.0), 1e-9)
        left = np.exp(-rate)
        before, held = held, np.minimum(held * left + supply * (1.0 - left) / rate, capacity)
        out[..., month] = 0.5 * (before + held)
    return out


def thornthwaite(air: Array, daylight: Array) -> Array:
    """Potential evapotranspiration [mm month-1] (Thornthwaite 1948).

    Parameters
    ----------
    air : array (*space, month)
        Air temperature [degC].
    daylight : array (*space, month)
        Length of the day [h].
    """
    warm = np.maximum(air, 0.0)
    index = np.sum((warm / 5.0) ** 1.514, axis=-1, keepdims=True)
    power = 6.75e-7 * index**3 - 7.71e-5 * index**2 + 1.792e-2 * index + 0.49239
    return 16.0 * daylight / 12.0 * (10.0 * warm / np.maximum(index, 1e-6)) ** power


def daylight(latitude: Array, months: int) -> Array:
    """Length of the day in the middle of each month [h], (*space, month)."""
    day = (np.arange(months) + 0.5) / months * 365.0
    declination = 0.4093 * np.sin(2.0 * np.pi * day / 365.0 - 1.405)
    cosine = -np.tan(np.radians(np.clip(latitude, -89.0, 89.0)))[..., None] * np.tan(declination)
    return 24.0 / np.pi * np.arccos(np.clip(cosine, -1.0, 1.0))


def thaw_depth(temperature: Array) -> Array:
    """Depth to which the warmest month thaws [m].

    Parameters
    ----------
    temperature : array (*space, month, layer)
        [K]

    Returns
    -------
    array (*space,)
        The bottom of the column where all of it thaws, 0 where nothing does, NaN where the
        temperature is not known.
    """
    warmest = temperature.max(axis=-2) - FREEZING
    frozen = warmest <= 0.0
    first = np.where(frozen.any(axis=-1), frozen.argmax(axis=-1), N_LAYERS)
    below = np.minimum(first, N_LAYERS - 1)
    above = np.maximum(below - 1, 0)
    cold = np.take_along_axis(warmest, below[..., None], axis=-1)[..., 0]
    warm = np.take_along_axis(warmest, above[..., None], axis=-1)[..., 0]
    part = np.clip(warm / np.where(warm > cold, warm - cold, 1.0), 0.0, 1.0)
    crossing = _NODES[above] + part * (_NODES[below] - _NODES[above])
    depth = np.where(first == 0, 0.0, crossing)
    depth = np.where(first == N_LAYERS, INTERFACE_DEPTH[N_LAYERS - 1], depth)
    return np.where(np.isnan(warmest).any(axis=-1), np.nan, depth)
