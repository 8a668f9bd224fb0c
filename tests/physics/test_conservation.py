"""Carbon in is carbon out, nothing is below bedrock, no pool is negative."""

import pytest
import torch

from xbinn.constants import LAYER_THICKNESS, N_LAYERS
from xbinn.physics import dense
from xbinn.physics.column import integrate, ordered_sum
from xbinn.physics.processes import carbon_closure, respiration
from xbinn.physics.steady_state import BEDROCK

THICKNESS = torch.tensor(LAYER_THICKNESS[:N_LAYERS], dtype=torch.float64)
CLOSURE = {torch.float64: 1e-13, torch.float32: 2e-6}
# `proda` allows an e-folding depth near 0: woody debris beyond what float32 can hold.
CASES = [(torch.float64, "binn"), (torch.float64, "proda"), (torch.float32, "binn")]


@pytest.mark.parametrize(("dtype", "prior"), CASES)
def test_respiration_equals_input(draw, device, dtype, prior):
    columns = draw(2_000, seed=10, prior=prior).to(dtype).on(device)
    state = columns.solve()
    assert bool(state.has_steady_state.all())
    assert state.pools.dtype == dtype
    assert float(carbon_closure(state).abs().max()) < CLOSURE[dtype]
    # and with respiration worked out by hand: what is decomposed and not passed on
    t = state.transfers.between.double()
    passed = torch.stack((torch.ones_like(t[0]), t[0], t[1], t[2], t[3] + t[4], t[5] + t[6], t[7]))
    decomposed = (state.rates.double() * state.pools.double()) * THICKNESS[:, None].to(device)
    released = ((1.0 - passed) * decomposed.sum(1)).sum(0) * 365.0 / state.time_unit
    given = columns.forcing.inputs.double().sum(0)
    assert float((released / given - 1.0).abs().max()) < CLOSURE[dtype]


def test_coarse_woody_debris_respires_nothing(draw):
    state = draw(50, seed=11).solve()
    assert not respiration(state)[0].any()


@pytest.mark.parametrize("dtype", CLOSURE, ids=str)
def test_nothing_is_below_closed_bedrock(draw, dtype):
    columns = draw(500, seed=12).to(dtype)
    state = columns.solve()
    bedrock = columns.forcing.nbedrock.clamp(max=N_LAYERS)
    torch.testing.assert_close(state.layers, bedrock, rtol=0, atol=0)
    below = torch.arange(1, N_LAYERS + 1)[:, None] > bedrock
    assert bool(below.any())
    for held in (*state.pools, *state.inputs, state.soc, state.fraction):
        assert not held[below].any()
    # nothing crosses it either
    boundary = below.clone()
    boundary[:-1] |= below[1:]
    boundary[-1] = True
    assert not state.mixing.upper[boundary].any()
    assert not state.mixing.lower[below].any()


def test_what_is_below_closed_bedrock_does_not_matter(draw):
    columns = draw(200, seed=13)
    below = torch.arange(1, N_LAYERS + 1)[:, None] > columns.forcing.nbedrock
    spoilt = columns.force(
        temperature=torch.where(below, 400.0, columns.forcing.temperature),
        water=torch.where(below, 0.0, columns.forcing.water),
        oxygen=torch.where(below, 0.0, columns.forcing.oxygen),
        nitrogen=torch.where(below, 0.0, columns.forcing.nitrogen),
    )
    expected, actual = columns.solve(), spoilt.solve()
    assert bool(actual.has_steady_state.all())
    assert torch.equal(actual.pools, expected.pools)


def test_bedrock_deeper_than_the_column_is_the_bottom_of_the_column(draw):
    columns = draw(20, seed=14)
    deep, deeper = (
        columns.force(nbedrock=torch.full((20,), layers)).solve().pools for layers in (20, 25)
    )
    assert torch.equal(deep, deeper)


@pytest.mark.parametrize("bedrock", BEDROCK)
@pytest.mark.parametrize(("dtype", "prior"), CASES)
def test_pools_are_never_negative(draw, device, bedrock, dtype, prior):
    pools = draw(3_000, seed=15, prior=prior).to(dtype).on(device).solve(bedrock).pools
    assert bool(pools.isfinite().all())
    assert float(pools.min()) >= 0.0


def transport(columns, bedrock, i):
    one = columns.column(i)
    return dense.operators(one.parameters, one.forcing, bedrock).transport[-N_LAYERS:, -N_LAYERS:]


@pytest.mark.parametrize("bedrock", BEDROCK)
def test_rows_of_the_transport_operator_sum_to_zero(draw, bedrock):
    columns = draw(30, seed=16)
    for i in range(len(columns)):
        block = transport(columns, bedrock, i)
        assert float(block.sum(1).abs().max()) <= 1e-14 * float(block.abs().max())
    # The structured operator holds the two off-diagonals only, so that no rounding can undo it.
    state = columns.solve(bedrock)
    even = torch.ones_like(state.soc)
    flux = state.mixing.lower[1:] * (even[:-1] - even[1:])
    assert not flux.any()


def test_closed_transport_conserves_carbon(draw):
    """dz-weighted columns of T sum to zero: what leaves a layer arrives in another."""
    columns = draw(30, seed=17)
    for i in range(len(columns)):
        weighted = THICKNESS @ transport(columns, "closed", i)
        assert float(weighted.abs().max()) <= 1e-14 * float(
            transport(columns, "closed", i).abs().max()
        )
    lower, upper = columns.solve().mixing
    torch.testing.assert_close(
        lower[1:] * THICKNESS[1:, None], upper[:-1] * THICKNESS[:-1, None], rtol=1e-14, atol=0.0
    )


def test_published_transport_does_not_conserve_carbon_at_bedrock(draw):
    columns = draw(40, seed=18, constant_bedrock=True)
    mixed = torch.full((12, 40), 8.6, dtype=torch.float64)
    shallow = columns.force(nbedrock=torch.full((40,), 4), altmax=mixed)
    assert float(carbon_closure(shallow.solve("published")).abs().min()) > 1e-6
    deep = shallow.force(nbedrock=torch.full((40,), 20))
    assert float(carbon_closure(deep.solve("published")).abs().max()) < 1e-9


def test_twice_the_input_is_twice_the_carbon(draw):
    columns = draw(50, seed=19)
    twice = columns.force(inputs=2.0 * columns.forcing.inputs)
    assert torch.equal(twice.solve().pools, 2.0 * columns.solve().pools)


def test_stock_is_what_is_in_the_layers(draw):
    soc = draw(5, seed=20).solve().soc
    expected = (soc * THICKNESS[:, None]).sum(0)
    torch.testing.assert_close(integrate(soc), expected, rtol=1e-14, atol=0.0)
    assert torch.equal(ordered_sum(soc), torch.stack(list(soc)).cumsum(0)[-1])
