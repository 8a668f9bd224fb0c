"""Rates, transport and inputs from parameters, in lanes, and the way back of their gradients.

The equations are those of `xbinn.physics.cascade`, `mixing`, `inputs` and `scalars`. Exponents
are formed in float64 whatever the precision of the solve, as there. Arrays end in an axis of
lanes; parameters are float64.
"""

from typing import NamedTuple

import numpy as np

from xbinn.constants import (
    DAYS_PER_YEAR,
    INTERFACE_DEPTH,
    LAYER_THICKNESS,
    N_INPUTS,
    N_LAYERS,
    NODE_DEPTH,
)
from xbinn.parameters import PARAMETER_NAMES, TRANSFERS
from xbinn.physics.kernels.compiling import inlined, merged
from xbinn.physics.kernels.functions import exp, expm1
from xbinn.physics.kernels.lanes import Lanes, full, load, rounded, store, where
from xbinn.physics.kernels.sweeps import CWD, L1, L2, L3, S1, S2, S3

THICKNESS = np.array(LAYER_THICKNESS[:N_LAYERS])
NODE = np.array(NODE_DEPTH[:N_LAYERS])
TOP = np.array((0.0, *INTERFACE_DEPTH[: N_LAYERS - 1]))
CM_PER_M = 100.0

_index = PARAMETER_NAMES.index
BETWEEN = np.array([_index(name) for name, _, _ in TRANSFERS])
Q10, W_SCALING = map(_index, ("q10", "w_scaling"))
DIFFUS, CRYO, EFOLDING, BETA, FCWDL2 = map(_index, ("diffus", "cryo", "efolding", "beta", "fcwdl2"))
TAUCWD, TAUL1, TAUL2, TAU4S1, TAU4S2, TAU4S3 = map(
    _index, ("taucwd", "taul1", "taul2", "tau4s1", "tau4s2", "tau4s3")
)


class Turnover(NamedTuple):
    """Baseline rate of each pool."""

    cwd: Lanes
    l1: Lanes
    l2: Lanes
    s1: Lanes
    s2: Lanes
    s3: Lanes


@inlined
def turnover(parameters: np.ndarray, like: np.ndarray) -> Turnover:
    """1/(365 tau), in the precision of ``like``; L2 and L3 share one."""
    return Turnover(
        rounded(like, 1.0 / (load(parameters, (TAUCWD,)) * DAYS_PER_YEAR)),
        rounded(like, 1.0 / (load(parameters, (TAUL1,)) * DAYS_PER_YEAR)),
        rounded(like, 1.0 / (load(parameters, (TAUL2,)) * DAYS_PER_YEAR)),
        rounded(like, 1.0 / (load(parameters, (TAU4S1,)) * DAYS_PER_YEAR)),
        rounded(like, 1.0 / (load(parameters, (TAU4S2,)) * DAYS_PER_YEAR)),
        rounded(like, 1.0 / (load(parameters, (TAU4S3,)) * DAYS_PER_YEAR)),
    )


@inlined
def at_least(value: Lanes, least: float) -> Lanes:
    """The larger of the two."""
    return where(value < least, least, value)


@inlined
def decomposition(
    parameters: np.ndarray,  # (parameter, lane), float64
    means: np.ndarray,  # (4, layer, lane): soil, litter, temperature, water
    holds: np.ndarray,  # (2, layer, lane), boolean: whether soil and litter pools hold carbon
    unit: float,
    least: float,
    rates: np.ndarray,  # (pool, layer, lane), written
    modifier: np.ndarray,  # (layer, lane), written
) -> None:
    """Rates of all pools, at ``least`` so large, in ``unit`` days; and the modifier."""
    base = turnover(parameters, rates)
    inverse = -1.0 / load(parameters, (EFOLDING,))
    for j in range(N_LAYERS):
        depth = rounded(rates, exp(inverse * NODE[j]) * unit)
        climate = load(means, (2, j)) * load(means, (3, j))
        store(modifier, (j,), climate * depth * (1.0 / unit))
        soil = where(load(holds, (0, j)), load(means, (0, j)) * depth, 1.0)
        litter = where(load(holds, (1, j)), load(means, (1, j)) * depth, 1.0)
        store(rates, (CWD, j), at_least(soil * base.cwd, least))
        store(rates, (L1, j), at_least(litter * base.l1, least))
        store(rates, (L2, j), at_least(litter * base.l2, least))
        store(rates, (L3, j), at_least(litter * base.l2, least))
        store(rates, (S1, j), at_least(soil * base.s1, least))
        store(rates, (S2, j), at_least(soil * base.s2, least))
        store(rates, (S3, j), at_least(soil * base.s3, least))


@inlined
def passed(gradient: Lanes, rate: Lanes, least: float) -> Lanes:
    """Gradient of `at_least`."""
    return where(rate >= least, gradient, 0.0)


@inlined
def decomposition_adjoint(
    parameters: np.ndarray,  # (parameter, lane), float64
    means: np.ndarray,  # (4, layer, lane)
    holds: np.ndarray,  # (2, layer, lane), boolean
    unit: float,
    least: float,
    by_rates: np.ndarray,  # (pool, layer, lane)
    by_modifier: np.ndarray,  # (layer, lane)
    by_means: np.ndarray,  # (4, layer, lane), written
    by_parameters: np.ndarray,  # (parameter, lane), float64, written
) -> None:
    """Gradients in the means, turnover times and the e-folding depth."""
    base = turnover(parameters, by_rates)
    inverse = -1.0 / load(parameters, (EFOLDING,))
    none = full(base.cwd, 0.0)
    by_base = Turnover(none, none, none, none, none, none)
    by_inverse = full(inverse, 0.0)
    for j in range(N_LAYERS):
        decayed = exp(inverse * NODE[j]) * unit
        depth = rounded(by_rates, decayed)
        soil_holds, litter_holds = load(holds, (0, j)), load(holds, (1, j))
        soil = where(soil_holds, load(means, (0, j)) * depth, 1.0)
        litter = where(litter_holds, load(means, (1, j)) * depth, 1.0)
        by_cwd = passed(load(by_rates, (CWD, j)), soil * base.cwd, least)
        by_l1 = passed(load(by_rates, (L1, j)), litter * base.l1, least)
        by_l2 = passed(load(by_rates, (L2, j)) + load(by_rates, (L3, j)), litter * base.l2, least)
        by_s1 = passed(load(by_rates, (S1, j)), soil * base.s1, least)
        by_s2 = passed(load(by_rates, (S2, j)), soil * base.s2, least)
        by_s3 = passed(load(by_rates, (S3, j)), soil * base.s3, least)
        by_base = Turnover(
            by_base.cwd + by_cwd * soil,
            by_base.l1 + by_l1 * litter,
            by_base.l2 + by_l2 * litter,
            by_base.s1 + by_s1 * soil,
            by_base.s2 + by_s2 * soil,
            by_base.s3 + by_s3 * soil,
        )
        by_soil = by_cwd * base.cwd + by_s1 * base.s1 + by_s2 * base.s2 + by_s3 * base.s3
        by_soil = where(soil_holds, by_soil, 0.0)
        by_litter = where(litter_holds, by_l1 * base.l1 + by_l2 * base.l2, 0.0)
        store(by_means, (0, j), by_soil * depth)
        store(by_means, (1, j), by_litter * depth)
        by_climate = load(by_modifier, (j,)) * (1.0 / unit)
        temperature, water = load(means, (2, j)), load(means, (3, j))
        store(by_means, (2, j), by_climate * depth * water)
        store(by_means, (3, j), by_climate * depth * temperature)
        by_depth = by_climate * temperature * water
        by_depth = by_depth + by_soil * load(means, (0, j)) + by_litter * load(means, (1, j))
        by_inverse = by_inverse + rounded(parameters, by_depth) * decayed * NODE[j]
    store(by_parameters, (EFOLDING,), by_inverse * inverse * inverse)
    store(by_parameters, (TAUCWD,), by_time(parameters, TAUCWD, by_base.cwd))
    store(by_parameters, (TAUL1,), by_time(parameters, TAUL1, by_base.l1))
    store(by_parameters, (TAUL2,), by_time(parameters, TAUL2, by_base.l2))
    store(by_parameters, (TAU4S1,), by_time(parameters, TAU4S1, by_base.s1))
    store(by_parameters, (TAU4S2,), by_time(parameters, TAU4S2, by_base.s2))
    store(by_parameters, (TAU4S3,), by_time(parameters, TAU4S3, by_base.s3))


@inlined
def by_time(parameters: np.ndarray, row: int, by_rate: Lanes) -> Lanes:
    """Gradient in a turnover time from that in its rate 1/(365 tau)."""
    tau = load(parameters, (row,))
    return -rounded(parameters, by_rate) / (tau * tau * DAYS_PER_YEAR)


@inlined
def transport(
    parameters: np.ndarray,  # (parameter, lane), float64
    bioturbation: np.ndarray,  # (layer, lane), conductance per unit of diffusivity
    cryoturbation: np.ndarray,  # (layer, lane)
    unit: float,
    lower: np.ndarray,  # (layer, lane), written
    upper: np.ndarray,  # (layer, lane), written
) -> None:
    """Transport coefficients with a closed boundary at bedrock."""
    diffus = rounded(lower, load(parameters, (DIFFUS,)) * unit)
    cryo = rounded(lower, load(parameters, (CRYO,)) * unit)
    above = full(diffus, 0.0)
    for j in range(N_LAYERS):
        conductance = load(bioturbation, (j,)) * diffus + load(cryoturbation, (j,)) * cryo
        store(lower, (j,), above / THICKNESS[j])
        store(upper, (j,), conductance / THICKNESS[j])
        above = conductance


@inlined
def transport_adjoint(
    bioturbation: np.ndarray,  # (layer, lane)
    cryoturbation: np.ndarray,  # (layer, lane)
    unit: float,
    by_lower: np.ndarray,  # (layer, lane)
    by_upper: np.ndarray,  # (layer, lane)
    by_parameters: np.ndarray,  # (parameter, lane), float64, written
) -> None:
    """Gradients in the two diffusivities."""
    none = full(load(by_lower, (0,)), 0.0)
    by_diffus, by_cryo = none, none
    for j in range(N_LAYERS):
        by_conductance = load(by_upper, (j,)) / THICKNESS[j]
        if j + 1 < N_LAYERS:
            by_conductance = by_conductance + load(by_lower, (j + 1,)) / THICKNESS[j + 1]
        by_diffus = by_diffus + by_conductance * load(bioturbation, (j,))
        by_cryo = by_cryo + by_conductance * load(cryoturbation, (j,))
    store(by_parameters, (DIFFUS,), rounded(by_parameters, by_diffus) * unit)
    store(by_parameters, (CRYO,), rounded(by_parameters, by_cryo) * unit)


@inlined
def allocation(
    decay: np.ndarray,  # (1, lane), float64: ln(beta) per m
    bottom: np.ndarray,  # (1, lane), float64: depth of the deepest layer [m]
    exists: np.ndarray,  # (layer, lane), boolean
    allocated: np.ndarray,  # (1, lane), boolean
    supplied: np.ndarray,  # (4, lane)
    unit: float,
    fraction: np.ndarray,  # (layer, lane), float64, written
    inputs: np.ndarray,  # (4, layer, lane), written
) -> None:
    """Fraction of the plant carbon by layer, and the inputs that follow, in ``unit`` days."""
    rate, below = load(decay, (0,)), load(allocated, (0,))
    total = expm1(rate * load(bottom, (0,)))
    for j in range(N_LAYERS):
        share = exp(rate * TOP[j]) * expm1(rate * THICKNESS[j]) / total
        share = where(load(exists, (j,)), share, 0.0)
        share = where(below, share, 1.0 if j == 0 else 0.0)
        store(fraction, (j,), share)
        density = rounded(inputs, share * (unit / DAYS_PER_YEAR) / THICKNESS[j])
        for p in range(N_INPUTS):
            store(inputs, (p, j), load(supplied, (p,)) * density)


@inlined
def allocation_adjoint(
    decay: np.ndarray,  # (1, lane), float64
    bottom: np.ndarray,  # (1, lane), float64
    exists: np.ndarray,  # (layer, lane), boolean
    allocated: np.ndarray,  # (1, lane), boolean
    supplied: np.ndarray,  # (4, lane)
    unit: float,
    by_fraction: np.ndarray,  # (layer, lane), float64
    by_inputs: np.ndarray,  # (4, layer, lane)
    parameters: np.ndarray,  # (parameter, lane), float64
    by_parameters: np.ndarray,  # (parameter, lane), float64, written
) -> None:
    """Gradient in beta."""
    rate, depth, below = load(decay, (0,)), load(bottom, (0,)), load(allocated, (0,))
    total = expm1(rate * depth)
    slope = depth * exp(rate * depth) / total
    by_rate = full(rate, 0.0)
    for j in range(N_LAYERS):
        by_density = full(load(by_inputs, (0, j)), 0.0)
        for p in range(N_INPUTS):
            by_density = by_density + load(by_inputs, (p, j)) * load(supplied, (p,))
        by_share = rounded(parameters, by_density) * (unit / DAYS_PER_YEAR) / THICKNESS[j]
        by_share = by_share + load(by_fraction, (j,))
        above = exp(rate * TOP[j]) / total
        share = above * expm1(rate * THICKNESS[j])
        steeper = above * exp(rate * THICKNESS[j]) * THICKNESS[j]
        change = by_share * (share * (TOP[j] - slope) + steeper)
        by_rate = by_rate + where(load(exists, (j,)), change, 0.0)
    by_rate = where(below, by_rate, 0.0)
    store(by_parameters, (BETA,), by_rate * CM_PER_M / load(parameters, (BETA,)))


@merged
def assemble_column(
    parameters: np.ndarray,  # (parameter, lane), float64
    decay: np.ndarray,  # (1, lane), float64: ln(beta) per m
    means: np.ndarray,  # (4, layer, lane): soil, litter, temperature, water
    holds: np.ndarray,  # (2, layer, lane), boolean: whether soil and litter pools hold carbon
    exists: np.ndarray,  # (layer, lane), boolean
    allocated: np.ndarray,  # (1, lane), boolean
    bottom: np.ndarray,  # (1, lane), float64
    bioturbation: np.ndarray,  # (layer, lane)
    cryoturbation: np.ndarray,  # (layer, lane)
    supplied: np.ndarray,  # (4, lane)
    unit: float,
    least: float,
    rates: np.ndarray,  # (pool, layer, lane), written as all below
    between: np.ndarray,  # (transfer, lane)
    cwd_to_l2: np.ndarray,  # (1, lane)
    lower: np.ndarray,  # (layer, lane)
    upper: np.ndarray,  # (layer, lane)
    inputs: np.ndarray,  # (4, layer, lane)
    modifier: np.ndarray,  # (layer, lane)
    fraction: np.ndarray,  # (layer, lane), float64
) -> None:
    """All that the solve takes."""
    decomposition(parameters, means, holds, unit, least, rates, modifier)
    transport(parameters, bioturbation, cryoturbation, unit, lower, upper)
    allocation(decay, bottom, exists, allocated, supplied, unit, fraction, inputs)
    for i in range(len(BETWEEN)):
        store(between, (i,), rounded(between, load(parameters, (BETWEEN[i],))))
    store(cwd_to_l2, (0,), rounded(cwd_to_l2, load(parameters, (FCWDL2,))))


@merged
def assemble_column_adjoint(
    parameters: np.ndarray,  # (parameter, lane), float64
    decay: np.ndarray,  # (1, lane), float64
    means: np.ndarray,  # (4, layer, lane)
    holds: np.ndarray,  # (2, layer, lane), boolean
    exists: np.ndarray,  # (layer, lane), boolean
    allocated: np.ndarray,  # (1, lane), boolean
    bottom: np.ndarray,  # (1, lane), float64
    bioturbation: np.ndarray,  # (layer, lane)
    cryoturbation: np.ndarray,  # (layer, lane)
    supplied: np.ndarray,  # (4, lane)
    unit: float,
    least: float,
    by_rates: np.ndarray,  # (pool, layer, lane)
    by_between: np.ndarray,  # (transfer, lane)
    by_cwd_to_l2: np.ndarray,  # (1, lane)
    by_lower: np.ndarray,  # (layer, lane)
    by_upper: np.ndarray,  # (layer, lane)
    by_inputs: np.ndarray,  # (4, layer, lane)
    by_modifier: np.ndarray,  # (layer, lane)
    by_fraction: np.ndarray,  # (layer, lane), float64
    by_means: np.ndarray,  # (4, layer, lane), written
    by_parameters: np.ndarray,  # (parameter, lane), float64, written
) -> None:
    """Gradients in the means and in all parameters, those of the means themselves zero."""
    decomposition_adjoint(
        parameters, means, holds, unit, least, by_rates, by_modifier, by_means, by_parameters
    )
    transport_adjoint(bioturbation, cryoturbation, unit, by_lower, by_upper, by_parameters)
    allocation_adjoint(
        *(decay, bottom, exists, allocated, supplied, unit, by_fraction, by_inputs),
        *(parameters, by_parameters),
    )
    for i in range(len(BETWEEN)):
        store(by_parameters, (BETWEEN[i],), rounded(by_parameters, load(by_between, (i,))))
    store(by_parameters, (FCWDL2,), rounded(by_parameters, load(by_cwd_to_l2, (0,))))
    store(by_parameters, (Q10,), 0.0)
    store(by_parameters, (W_SCALING,), 0.0)
