"""The processes that control soil carbon: one definition each, with the published variants named.

With x the modifier, C the pools, w_j = soc_j dz_j / sum(soc dz), stock_p = sum_j C_pj dz_j and
flow_p = sum_j C_pj x_j dz_j / tau_p (Tao et al. 2020, 2023; Xu et al. 2025).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from xbinn.constants import (
    DAYS_PER_YEAR,
    INTERFACE_DEPTH,
    KG_PER_G,
    LITTER_POOLS,
    MONTHS_PER_YEAR,
    N_LAYERS,
    N_POOLS,
    NODE_DEPTH,
    SOIL_POOLS,
)
from xbinn.physics.cascade import parameter, transferred_fraction
from xbinn.physics.column import integrate, layer_constant, ordered_sum, spread
from xbinn.physics.forcing import Forcing
from xbinn.physics.inputs import CM_PER_M, bottom_depth
from xbinn.physics.scalars import annual_scalars
from xbinn.physics.steady_state import SteadyState


@dataclass(frozen=True)
class Processes:
    """Processes of a batch of columns, each (*batch), in the units of `xbinn.variables.PROCESSES`.

    Ratios are NaN in columns that hold or receive no carbon.
    """

    carbon_transfer_efficiency: Tensor
    baseline_decomposition: Tensor
    environmental_modifier: Tensor
    vertical_transport: Tensor
    input_allocation: Tensor
    litter_transfer_fraction: Tensor
    carbon_input: Tensor
    residence_time: Tensor


def processes(state: SteadyState) -> Processes:
    """Diagnose the processes of `xbinn.variables.PROCESSES` from a steady state."""
    soc_stock = integrate(state.soc)
    return Processes(
        carbon_transfer_efficiency=carbon_transfer_efficiency(state),
        baseline_decomposition=baseline_decomposition(state),
        environmental_modifier=integrate(state.modifier * state.soc) / soc_stock,
        vertical_transport=vertical_transport(state),
        input_allocation=input_allocation(state),
        litter_transfer_fraction=litter_transfer_fraction(state),
        carbon_input=state.annual_input * KG_PER_G,
        residence_time=soc_stock / state.annual_input,
    )


def carbon_transfer_efficiency(state: SteadyState) -> Tensor:
    """Fraction of the decomposed carbon of L1 to S3 that is transferred, (*batch) [1].

    Flows take the modifier x, without oxygen and nitrogen, as published.
    """
    modifier = spread(state.modifier, size=N_POOLS - 1)
    flow = _stocks(state.pools[1:] * modifier) * state.turnover[1:].to(state.pools.dtype)
    moved = flow * transferred_fraction(state.transfers.between)[1:]
    return ordered_sum(moved) / ordered_sum(flow)


def baseline_decomposition(state: SteadyState, *, pools: slice = SOIL_POOLS) -> Tensor:
    """Stock-weighted mean of 1/tau, (*batch) [yr-1].

    Over S1, S2, S3 (PRODA's definition). ``pools=slice(None)`` gives the variant over all seven,
    which is what the BINN code means.
    """
    stock = _stocks(state.pools[pools])
    rate = (state.turnover[pools] * DAYS_PER_YEAR).to(stock.dtype)
    return ordered_sum(stock * rate) / ordered_sum(stock)


def vertical_transport(state: SteadyState) -> Tensor:
    """Carbon-weighted diagonal of the transport operator, (*batch) [yr-1]."""
    diagonal = (state.mixing.lower + state.mixing.upper) * (DAYS_PER_YEAR / state.time_unit)
    return integrate(diagonal * state.soc) / integrate(state.soc)


def input_allocation(state: SteadyState) -> Tensor:
    """Back-calculated beta, (*batch) [1]; see `back_calculated_beta`.

    The input of this model follows beta by construction, and what is calculated back from it is
    that beta. NaN where all input enters the surface, where there is one layer only and where
    there is no input.
    """
    deeper = _follows_beta(state) & (state.layers > 1)
    return torch.where(deeper, parameter(state.parameters, "beta"), torch.nan)


def back_calculated_beta(fraction: Tensor, beta: Tensor, layers: Tensor) -> Tensor:
    """Mean over the layers above the last one of (1 - c_j N)^(1/z_j), (*batch) [1].

    c_j is the fraction of the input down to depth z_j (cm) and N = 1 - beta^z_n undoes the
    normaliser of n layers. 1 - c_j N is summed from the bottom up: 1 - cumsum loses all digits.

    Parameters
    ----------
    fraction : Tensor
        Of the input by layer, (layer, *batch) [1], float64.
    beta : Tensor
        That made the normaliser, (*batch) [1], float64.
    layers : Tensor
        Number of layers that receive input, (*batch).
    """
    interface = layer_constant(INTERFACE_DEPTH, fraction)
    beyond = spread((bottom_depth(layers) * CM_PER_M * beta.log()).exp())
    remaining = _below(fraction) * (1.0 - beyond) + beyond
    total = torch.zeros_like(beta)
    for j in range(N_LAYERS - 1):
        value = (remaining[j].log() / (CM_PER_M * interface[j])).exp()
        total = total + torch.where(j + 1 < layers, value, 0.0)
    return total / (layers - 1)


def input_allocation_published(state: SteadyState) -> Tensor:
    """Variant of `input_allocation` in the published codes, in closed form, (*batch) [1].

    Mean over all layers but the last of (1 - c_j)^(1/z_j) with z_j the node depth. The codes
    average the layers whose float64 cumulative sum stays below 1, which rounding decides.
    """
    node = layer_constant(NODE_DEPTH, state.fraction)
    remaining = _below(state.fraction)
    total = torch.zeros_like(remaining[0])
    for j in range(N_LAYERS - 1):
        total = total + (remaining[j].log() / (CM_PER_M * node[j])).exp()
    return torch.where(_follows_beta(state), total / (N_LAYERS - 1), torch.nan)


def _follows_beta(state: SteadyState) -> Tensor:
    """Whether there is input and it enters below the surface too, (*batch), boolean."""
    return (state.annual_input > 0.0) & (state.fraction[1] > 0.0)


def _below(fraction: Tensor) -> Tensor:
    """Fraction of the input below each layer, summed from the bottom up, (layer, *batch)."""
    below = torch.zeros_like(fraction)
    for j in range(N_LAYERS - 2, -1, -1):
        below[j] = below[j + 1] + fraction[j + 1]
    return below


def litter_transfer_fraction(state: SteadyState) -> Tensor:
    """1 - respired/decomposed carbon of L1, L2, L3, (*batch) [1].

    True fluxes k C, with oxygen and nitrogen; coarse woody debris excluded.
    """
    flux = _stocks(state.rates[LITTER_POOLS] * state.pools[LITTER_POOLS])
    moved = flux * transferred_fraction(state.transfers.between)[LITTER_POOLS]
    return ordered_sum(moved) / ordered_sum(flux)


def respiration(state: SteadyState) -> Tensor:
    """Heterotrophic respiration by pool, (pool, *batch) [gC m-2 yr-1]."""
    flux = _stocks(state.rates * state.pools) * (DAYS_PER_YEAR / state.time_unit)
    return flux * (1.0 - transferred_fraction(state.transfers.between))


def carbon_closure(state: SteadyState) -> Tensor:
    """(input - respiration)/input, (*batch) [1]: zero where transport conserves carbon."""
    return (state.annual_input - ordered_sum(respiration(state))) / state.annual_input


def baseline_residence_time(parameters: Tensor, forcing: Forcing, state: SteadyState) -> Tensor:
    """Residence time that the pools would have without climate, (pool, layer, *batch) [yr m-1].

    C_pj h_j / input, h_j the harmonic mean over the months of xit xiw xio xin: nitrogen on all
    pools, no depth scalar, as published. Summed over S1 to S3 it is PRODA's baseline residence
    time density. The BINN code multiplies element by element what PRODA solves for.
    """
    total = torch.zeros_like(state.modifier)
    for month in range(MONTHS_PER_YEAR):
        temperature, water, oxygen, nitrogen = (
            scalar[month : month + 1].expand(scalar.shape)
            for scalar in (forcing.temperature, forcing.water, forcing.oxygen, forcing.nitrogen)
        )
        scalars = annual_scalars(
            temperature,
            water,
            oxygen,
            nitrogen,
            parameter(parameters, "q10"),
            parameter(parameters, "w_scaling"),
        )
        total = total + scalars.litter.reciprocal()
    per_input = MONTHS_PER_YEAR / (total * spread(state.annual_input))
    return state.pools * spread(per_input, size=N_POOLS)


def _stocks(density: Tensor) -> Tensor:
    """Integrate over depth by pool, (pool, layer, *batch) [X m-3] -> (pool, *batch) [X m-2]."""
    return integrate(density.transpose(0, 1))
