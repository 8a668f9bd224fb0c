"""The kernel of the mixing per unit of diffusivity; the equations are those of `physics.mixing`."""

import numpy as np

from xbinn.constants import (
    DAYS_PER_YEAR,
    INTERFACE_DEPTH,
    MAX_ALTMAX_CRYOTURBATION,
    MONTHS_PER_YEAR,
    N_LAYERS,
)
from xbinn.physics.kernels.columns import put, take
from xbinn.physics.kernels.compiling import inlined, kernel, merged
from xbinn.physics.kernels.lanes import WIDTH, Lanes, any_lane, full, load, rounded, store, where
from xbinn.physics.mixing import NODE_SPACING, NODE_WEIGHT

_INTERFACE = np.array(INTERFACE_DEPTH[: N_LAYERS + 1])
_WEIGHT = np.array(NODE_WEIGHT[:N_LAYERS])
_PER_SPACING = 1.0 / (np.array(NODE_SPACING[:N_LAYERS]) * DAYS_PER_YEAR * MONTHS_PER_YEAR)


@kernel
def closed_shape(
    altmax: np.ndarray,  # (month, n), float64 [m]
    nbedrock: np.ndarray,  # (1, n), float64
    deepest: np.ndarray,  # (1, n), float64: where cryoturbation has faded [m]
    bioturbation: np.ndarray,  # (layer, n), written
    cryoturbation: np.ndarray,  # (layer, n), written
) -> None:
    """Form the mean conductances per unit of diffusivity, closed at bedrock."""
    months = np.empty((MONTHS_PER_YEAR, WIDTH), altmax.dtype)
    bedrock, end = np.empty((1, WIDTH), altmax.dtype), np.empty((1, WIDTH), altmax.dtype)
    means = np.empty((N_LAYERS, WIDTH), altmax.dtype)
    ramps = np.empty_like(means)
    bio = np.empty((N_LAYERS, WIDTH), bioturbation.dtype)
    cryo = np.empty_like(bio)
    for at in range(0, altmax.shape[1], WIDTH):
        take(altmax, at, months)
        take(nbedrock, at, bedrock)
        take(deepest, at, end)
        shape_column(months, bedrock, end, means, ramps, bio, cryo)
        put(bio, at, bioturbation)
        put(cryo, at, cryoturbation)


@merged
def shape_column(
    months: np.ndarray,  # (month, lane)
    bedrock: np.ndarray,  # (1, lane)
    end: np.ndarray,  # (1, lane)
    means: np.ndarray,  # (layer, lane), scratch
    ramps: np.ndarray,  # (layer, lane), scratch
    bioturbation: np.ndarray,  # (layer, lane), written
    cryoturbation: np.ndarray,  # (layer, lane), written
) -> None:
    """Conductances of all layers."""
    sum_ramps(months, end, means, ramps)
    deep = months_deeper(months)
    for j in range(N_LAYERS):
        per_unit = where(load(bedrock, (0,)) > j + 1.0, full(deep, _PER_SPACING[j]), 0.0)
        store(bioturbation, (j,), rounded(bioturbation, per_unit * deep))
        store(cryoturbation, (j,), rounded(cryoturbation, per_unit * load(ramps, (j,))))


@inlined
def months_deeper(months: np.ndarray) -> Lanes:
    """Count the months in which the soil has thawed too deep for cryoturbation."""
    none = full(load(months, (0,)), 0.0)
    count = none
    for month in range(MONTHS_PER_YEAR):
        deep = load(months, (month,)) > MAX_ALTMAX_CRYOTURBATION
        count = count + where(deep, 1.0, none)
    return count


@inlined
def sum_ramps(
    months: np.ndarray,  # (month, lane)
    end: np.ndarray,  # (1, lane)
    means: np.ndarray,  # (layer, lane), room for those of a month
    ramps: np.ndarray,  # (layer, lane), written
) -> None:
    """Sum the harmonic means of the cryoturbation ramp over the months."""
    for j in range(N_LAYERS):
        store(ramps, (j,), 0.0)
    some = False
    before = load(months, (0,))
    for month in range(MONTHS_PER_YEAR):
        altmax = load(months, (month,))
        # The active layer is an annual maximum: most months repeat the one before.
        if month == 0 or any_lane(altmax != before):
            some = any_lane(mixes(altmax))
            if some:
                average_ramp(altmax, load(end, (0,)), means)
        before = altmax
        if some:
            for j in range(N_LAYERS):
                store(ramps, (j,), load(ramps, (j,)) + load(means, (j,)))


@inlined
def mixes(altmax: Lanes) -> Lanes:
    """Whether an active layer is cryoturbated."""
    return where(altmax > 0.0, altmax, np.inf) <= MAX_ALTMAX_CRYOTURBATION


@inlined
def average_ramp(altmax: Lanes, end: Lanes, means: np.ndarray) -> None:
    """Form the harmonic means of the ramp between interfaces, (layer, lane)."""
    none = full(altmax, 0.0)
    width = end - altmax
    inverse = 1.0 / where(width > 0.0, width, 1.0)
    mixed = where(mixes(altmax), 1.0, none)
    above = ramp_at(_INTERFACE[0], altmax, width, inverse) * mixed
    for j in range(N_LAYERS):
        below = ramp_at(_INTERFACE[j + 1], altmax, width, inverse) * mixed
        weighted = below * (1.0 - _WEIGHT[j]) + above * _WEIGHT[j]
        some = weighted > 0.0
        store(means, (j,), where(some, above * below / where(some, weighted, 1.0), 0.0))
        above = below


@inlined
def ramp_at(interface: float, altmax: Lanes, width: Lanes, inverse: Lanes) -> Lanes:
    """Diffusivity at an interface over that of the active layer."""
    fading = 1.0 - (interface - altmax) * inverse
    fading = where(width > 0.0, where(fading > 0.0, fading, 0.0), 0.0)
    return where(altmax > interface, 1.0, fading)
