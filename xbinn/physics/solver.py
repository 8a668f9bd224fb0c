r"""The steady state of seven pools in twenty layers as one structured linear solve.

(T - A K) C = I is block lower triangular in the pools: coarse woody debris (diagonal), then L1,
L2, L3 (one tridiagonal system each), then S1, S2, S3 (block tridiagonal, twenty blocks of 3x3
whose off-diagonal blocks are a scalar times the identity).

No pivot is chosen and none is formed by a subtraction (Grassmann, Taksar and Heyman 1985). Rows
of T sum to zero, so elimination from the surface down carries, in place of a pivot, what leaves
the layers above for good. For a litter pool that sink is

.. math:: s_1 = k_1, \quad s_j = k_j + \frac{lo_j}{s_{j-1} + up_{j-1}} s_{j-1},

and for the soil pools the 3x3 block :math:`S_j = B_j + lo_j D_{j-1}^{-1} S_{j-1}`, with
:math:`D_j = S_j + up_j`, held as its off-diagonal magnitudes and the excess of each column over
them. Every number in the forward sweep is a sum of products and quotients of non-negative
numbers: pools are never negative, and float32 is good to a few units in its last place.

References
----------
Grassmann, Taksar, Heyman 1985, doi:10.1287/opre.33.5.1107. Lu et al. 2020,
doi:10.1029/2020MS002105 (CLM5 in matrix form).
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from xbinn.constants import LITTER_POOLS, N_INPUTS, N_LAYERS, N_POOLS, SOIL_POOLS
from xbinn.physics.blocks import (
    Block,
    carry,
    factorise,
    solve_block,
    solve_block_transposed,
    vectors,
)
from xbinn.physics.cascade import Transfers, transferred_fraction
from xbinn.physics.counting import note_solves
from xbinn.physics.mixing import Mixing
from xbinn.physics.paths import fused

_N_SOIL = SOIL_POOLS.stop - SOIL_POOLS.start
_N_LITTER = LITTER_POOLS.stop - LITTER_POOLS.start
_FIRST, _SECOND, _THIRD = range(_N_SOIL)


def solve(
    rates: Tensor,  # (pool, layer, n) [day-1]
    transfers: Transfers,  # (transfer, n), (n) [1]
    mixing: Mixing,  # (layer, n) twice [day-1]
    inputs: Tensor,  # (4, layer, n) [gC m-3 day-1]
) -> Tensor:
    """Solve (T - A K) C = I.

    Differentiable once in every argument, by one transposed solve with the same factors.

    Returns
    -------
    Tensor
        Pools, (pool, layer, n) [gC m-3]; inf or NaN in columns that have no steady state.
    """
    arguments = (rates, *transfers, *mixing, inputs)
    compiled = fused(*arguments)
    pools: Tensor = _Solve.apply(*arguments) if compiled is None else compiled.solve(*arguments)
    return pools


class _Factors(NamedTuple):
    """What the forward sweeps leave for the transposed solve.

    ``litter``: pivots of the litter pools, (layer, 3, n). ``carry``: up_j D_j^{-1}, (layer, 3, 3,
    n). The others are the factors of D_j: ``pivots`` (layer, 3, n); below them, with unit
    diagonal, ``ratios`` (2,1) and (3,1) (layer, 2, n) and ``last_ratio`` (3,2) (layer, n); above
    them the magnitudes ``offsets`` (1,2) and (1,3) (layer, 2, n) and ``last_offset`` (2,3)
    (layer, n).
    """

    litter: Tensor
    carry: Tensor
    pivots: Tensor
    ratios: Tensor
    last_ratio: Tensor
    offsets: Tensor
    last_offset: Tensor


def _blocks(factors: _Factors) -> list[Block]:
    """Views of the factors, by layer."""
    pivots, ratios, offsets = (
        t.flatten(0, 1).unbind(0) for t in (factors.pivots, factors.ratios, factors.offsets)
    )
    parts = zip(
        factors.last_ratio.unbind(0),
        factors.last_offset.unbind(0),
        factors.ratios.unbind(0),
        factors.offsets.unbind(0),
        strict=True,
    )
    blocks = []
    for j, (m32, u23, both_ratios, both_offsets) in enumerate(parts):
        d1, d2, d3 = pivots[3 * j : 3 * j + 3]
        m21, m31 = ratios[2 * j : 2 * j + 2]
        u12, u13 = offsets[2 * j : 2 * j + 2]
        blocks.append(Block(d1, d2, d3, m21, m31, m32, u12, u13, u23, both_ratios, both_offsets))
    return blocks


class _Solve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        rates: Tensor,
        between: Tensor,
        cwd_to_l2: Tensor,
        lower: Tensor,
        upper: Tensor,
        inputs: Tensor,
    ) -> Tensor:
        note_solves(forward=rates.shape[-1])
        pools = torch.empty_like(rates)
        pools[0] = inputs[0] / rates[0]
        litter_pivots = _solve_litter(rates, cwd_to_l2, lower, upper, inputs, pools)
        factors = _solve_soil(rates, between, lower, upper, pools, litter_pivots)
        ctx.save_for_backward(rates, between, cwd_to_l2, lower, upper, inputs[0], pools, *factors)
        return pools

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        note_solves(transposed=gradient.shape[-1])
        rates, between, cwd_to_l2, lower, upper, cwd_input, pools, *saved = ctx.saved_tensors
        adjoint = _solve_transposed(
            rates, between, cwd_to_l2, lower, upper, gradient, _Factors(*saved)
        )
        return _gradients(rates, between, cwd_input, pools, adjoint, gradient, ctx.needs_input_grad)


def _solve_litter(
    rates: Tensor,
    cwd_to_l2: Tensor,
    lower: Tensor,
    upper: Tensor,
    inputs: Tensor,
    pools: Tensor,
) -> Tensor:
    """Fill L1, L2, L3 of ``pools`` and return the pivots (layer, 3, n)."""
    source = inputs[1:].clone()
    # Coarse woody debris passes on what it receives: the flux, never k C.
    source[1].addcmul_(inputs[0], cwd_to_l2)
    source[2].addcmul_(inputs[0], 1.0 - cwd_to_l2)
    found, given = pools[LITTER_POOLS].unbind(1), source.unbind(1)
    rate, lo, up = rates[LITTER_POOLS].unbind(1), lower.unbind(0), upper.unbind(0)
    factors = rates.new_empty((N_LAYERS, _N_LITTER, rates.shape[-1]))
    pivots = factors.unbind(0)
    sink = rate[0].clone()
    found[0].copy_(given[0])
    for j in range(N_LAYERS):
        torch.add(sink, up[j], out=pivots[j])
        if j + 1 < N_LAYERS:
            ratio = lo[j + 1] / pivots[j]
            torch.addcmul(given[j + 1], ratio, found[j], out=found[j + 1])
            torch.addcmul(rate[j + 1], ratio, sink, out=sink)
    below = found[-1].div_(pivots[-1])
    for j in range(N_LAYERS - 2, -1, -1):
        below = found[j].addcmul_(up[j], below).div_(pivots[j])
    return factors


def _solve_soil(
    rates: Tensor,
    between: Tensor,
    lower: Tensor,
    upper: Tensor,
    pools: Tensor,
    litter_pivots: Tensor,
) -> _Factors:
    """Fill S1, S2, S3 of ``pools`` and return all factors."""
    n = rates.shape[-1]
    fl1s1, fl2s1, fl3s2, fs1s2, fs1s3, fs2s1, fs2s3, fs3s1 = between
    k1, k2, k3 = rates[SOIL_POOLS]
    respired = (1.0 - transferred_fraction(between)[SOIL_POOLS]).unsqueeze(1)
    excess_own = (rates[SOIL_POOLS] * respired).transpose(0, 1).contiguous()  # (layer, 3, n)
    # Off-diagonal magnitudes of B_j: (receiver, donor, fraction, rate of the donor). S3 sends
    # nothing to S2.
    moves = (
        (_SECOND, _FIRST, fs1s2, k1),
        (_THIRD, _FIRST, fs1s3, k1),
        (_FIRST, _SECOND, fs2s1, k2),
        (_THIRD, _SECOND, fs2s3, k2),
        (_FIRST, _THIRD, fs3s1, k3),
    )
    litter_flux = rates[LITTER_POOLS] * pools[LITTER_POOLS]
    source = rates.new_zeros((N_LAYERS, _N_SOIL, n))
    torch.mul(litter_flux[0], fl1s1, out=source[:, _FIRST]).addcmul_(litter_flux[1], fl2s1)
    torch.mul(litter_flux[2], fl3s2, out=source[:, _SECOND])

    factors = _Factors(
        litter_pivots,
        carry=rates.new_empty((N_LAYERS, _N_SOIL, _N_SOIL, n)),
        pivots=torch.empty_like(source),
        ratios=rates.new_empty((N_LAYERS, 2, n)),
        last_ratio=rates.new_empty((N_LAYERS, n)),
        offsets=rates.new_empty((N_LAYERS, 2, n)),
        last_offset=rates.new_empty((N_LAYERS, n)),
    )
    carries, carry_rows = factors.carry.unbind(0), vectors(factors.carry.flatten(0, 1))
    uncoupled = vectors(torch.empty_like(source))  # D_j^{-1} y_j
    own, received = excess_own.unbind(0), source.unbind(0)
    lo, up = lower.unbind(0), upper.unbind(0)
    # Written anew for every layer.
    off = rates.new_zeros((_N_SOIL, _N_SOIL, n))
    off_rows = vectors(off)
    excess, closing, leaving, carried = vectors(rates.new_empty((4, _N_SOIL, n)))
    first_column, first_row, closing_rest = off[1:, 0], off[0, 1:], closing.all[1:]
    own_moves = [
        (off[receiver, donor], fraction, rate.unbind(0))
        for receiver, donor, fraction, rate in moves
    ]
    excess.all.copy_(own[0])
    carried.all.copy_(received[0])
    for j, block in enumerate(_blocks(factors)):
        for entry, fraction, rate in own_moves:
            entry.addcmul_(rate[j], fraction)
        torch.add(excess.all, up[j], out=closing.all)
        factorise(off_rows, first_column, first_row, closing, closing_rest, block)
        solve_block(block, carried, out=uncoupled[j])
        if j + 1 < N_LAYERS:
            carry(block, up[j], out=carry_rows[3 * j : 3 * j + 3])
            solve_block_transposed(block, excess, out=leaving)
            torch.mul(carries[j], lo[j + 1], out=off)
            torch.addcmul(own[j + 1], lo[j + 1], leaving.all, out=excess.all)
            torch.addcmul(received[j + 1], lo[j + 1], uncoupled[j].all, out=carried.all)
    soil = pools[SOIL_POOLS].unbind(1)
    first, second, third = (factors.carry[:, :, q].unbind(0) for q in range(_N_SOIL))  # columns
    below = uncoupled[-1]
    soil[-1].copy_(below.all)
    for j in range(N_LAYERS - 2, -1, -1):
        above = uncoupled[j]
        above.all.addcmul_(first[j], below.first)
        above.all.addcmul_(second[j], below.second)
        above.all.addcmul_(third[j], below.third)
        soil[j].copy_(above.all)
        below = above
    return factors


def _solve_transposed(
    rates: Tensor,
    between: Tensor,
    cwd_to_l2: Tensor,
    lower: Tensor,
    upper: Tensor,
    gradient: Tensor,  # (pool, layer, n)
    factors: _Factors,
) -> Tensor:
    """Solve (T - A K)^T adjoint = gradient for all pools but coarse woody debris.

    The soil pools come first: with the factors of the forward sweep, (L U)^T = U^T L^T.
    Entry 0 of the result holds dL/d(input of coarse woody debris) through L2 and L3 alone.
    """
    adjoint = torch.empty_like(gradient)
    lo, up = lower.unbind(0), upper.unbind(0)
    given = gradient[SOIL_POOLS].unbind(1)
    pending = vectors(torch.empty_like(factors.pivots))
    rows = factors.carry.flatten(0, 1).unbind(0)
    pending[0].all.copy_(given[0])
    for j in range(1, N_LAYERS):
        above = pending[j - 1]
        torch.addcmul(given[j], rows[3 * j - 3], above.first, out=pending[j].all)
        pending[j].all.addcmul_(rows[3 * j - 2], above.second)
        pending[j].all.addcmul_(rows[3 * j - 1], above.third)
    soil = adjoint[SOIL_POOLS]
    layers = soil.unbind(1)
    (found,) = vectors(torch.empty_like(pending[0].all).unsqueeze(0))
    blocks = _blocks(factors)
    for j in range(N_LAYERS - 1, -1, -1):
        if j + 1 < N_LAYERS:
            pending[j].all.addcmul_(lo[j + 1], found.all)
        solve_block_transposed(blocks[j], pending[j], out=found)
        layers[j].copy_(found.all)

    fl1s1, fl2s1, fl3s2 = between[:_N_LITTER]
    litter = adjoint[LITTER_POOLS]
    for p, fraction, receiver in ((0, fl1s1, 0), (1, fl2s1, 0), (2, fl3s2, 1)):
        torch.mul(rates[LITTER_POOLS][p], fraction, out=litter[p]).mul_(soil[receiver])
    litter += gradient[LITTER_POOLS]
    pivots, by_layer = factors.litter.unbind(0), litter.unbind(1)
    for j in range(1, N_LAYERS):
        by_layer[j].addcmul_(up[j - 1] / pivots[j - 1], by_layer[j - 1])
    below = by_layer[-1].div_(pivots[-1])
    for j in range(N_LAYERS - 2, -1, -1):
        below = by_layer[j].addcmul_(lo[j + 1], below).div_(pivots[j])
    torch.mul(litter[1], cwd_to_l2, out=adjoint[0]).addcmul_(litter[2], 1.0 - cwd_to_l2)
    return adjoint


def _gradients(
    rates: Tensor,
    between: Tensor,
    cwd_input: Tensor,
    pools: Tensor,
    adjoint: Tensor,
    gradient: Tensor,
    wanted: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """dL/d(rates, between, cwd_to_l2, lower, upper, inputs) = -adjoint^T d(T - A K) C + ..."""
    fl1s1, fl2s1, fl3s2, fs1s2, fs1s3, fs2s1, fs2s3, fs3s1 = between
    litter, soil = adjoint[LITTER_POOLS], adjoint[SOIL_POOLS]
    by_rates = by_between = by_cwd_to_l2 = by_lower = by_upper = by_inputs = None
    if wanted[3] or wanted[4]:
        by_lower, by_upper = _mixing_gradients(pools[1:], adjoint[1:])
    if wanted[0]:
        by_rates = torch.empty_like(rates)
        # C = I/k: dC/dk = -C/k, never -I/k^2
        torch.mul(pools[0], gradient[0], out=by_rates[0]).div_(rates[0]).neg_()
        # A pool that overflowed and that nobody asked about has no say: 0 x inf is NaN.
        by_rates[0].masked_fill_(gradient[0] == 0.0, 0.0)
        torch.addcmul(-litter[0], soil[0], fl1s1, out=by_rates[1])
        torch.addcmul(-litter[1], soil[0], fl2s1, out=by_rates[2])
        torch.addcmul(-litter[2], soil[1], fl3s2, out=by_rates[3])
        torch.addcmul(-soil[0], soil[1], fs1s2, out=by_rates[4]).addcmul_(soil[2], fs1s3)
        torch.addcmul(-soil[1], soil[0], fs2s1, out=by_rates[5]).addcmul_(soil[2], fs2s3)
        torch.addcmul(-soil[2], soil[0], fs3s1, out=by_rates[6])
        by_rates[1:] *= pools[1:]
    if wanted[1]:
        flux = rates[1:] * pools[1:]
        by_between = _sum_layers(flux[[0, 1, 2, 3, 3, 4, 4, 5]] * soil[[0, 0, 1, 1, 2, 0, 2, 0]])
    if wanted[2]:
        by_cwd_to_l2 = _sum_layers(((litter[1] - litter[2]) * cwd_input).unsqueeze(0))[0]
    if wanted[5]:
        by_inputs = adjoint[:N_INPUTS].clone()
        by_inputs[0] += (gradient[0] / rates[0]).masked_fill_(gradient[0] == 0.0, 0.0)
    return by_rates, by_between, by_cwd_to_l2, by_lower, by_upper, by_inputs


def _sum_layers(terms: Tensor) -> Tensor:
    """(any, layer, n) -> (any, n), layer by layer."""
    total = terms[:, 0].clone()
    for j in range(1, N_LAYERS):
        total += terms[:, j]
    return total


def _mixing_gradients(pools: Tensor, adjoint: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the transport coefficients in flux form.

    As adjoint^T dT C they would be differences of nearly equal numbers.
    """
    step = pools[:, 1:] - pools[:, :-1]
    by_lower, by_upper = (torch.zeros_like(pools[0]) for _ in range(2))
    for p in range(N_POOLS - 1):
        by_upper[:-1].addcmul_(adjoint[p, :-1], step[p])
        by_lower[1:].addcmul_(adjoint[p, 1:], step[p], value=-1.0)
    return by_lower, by_upper
