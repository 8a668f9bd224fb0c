"""Columns that have no steady state, no input or no thaw, and what their neighbours see of them."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import Tensor

from xbinn.constants import N_LAYERS, N_POOLS, POOLS
from xbinn.physics import dense
from xbinn.physics.column import integrate
from xbinn.physics.processes import processes
from xbinn.physics.steady_state import BEDROCK, SoilCarbonModel

N = 9
BAD = 4
"""Position of the odd column in a batch of ordinary ones."""
DEAD_LAYER = 5
DTYPES = (torch.float32, torch.float64)


@pytest.fixture
def ordinary(draw):
    """Columns with a steady state, carbon in all layers and mixing."""
    deep = torch.full((12, N), 8.6, dtype=torch.float64)
    columns = draw(N, seed=50).force(
        altmax=deep, allocated=torch.ones(N, dtype=torch.bool), nbedrock=torch.full((N,), N_LAYERS)
    )
    return columns.change(efolding=0.9)


def spoil(columns, **changes):
    """Change the column in position BAD: field=value, or field=(layer, value)."""
    forced = {}
    for name, change in changes.items():
        values = getattr(columns.forcing, name).clone()
        if isinstance(change, tuple):
            layer, value = change
            values[:, layer, BAD] = value
        else:
            values[..., BAD] = change
        forced[name] = values
    return columns.force(**forced)


def no_cwd(columns):
    inputs = columns.forcing.inputs.clone()
    inputs[0, BAD] = 0.0
    return columns.force(inputs=inputs)


TRAPPED = {
    "dead layer with woody debris": {"water": (DEAD_LAYER, 0.0)},
    "dead layer by oxygen": {"oxygen": (DEAD_LAYER, 0.0)},
    "dead column": {"water": 0.0},
    "no nitrogen": {"nitrogen": 0.0},
    "dead and unmixed": {"oxygen": 0.0, "altmax": 0.0, "allocated": False},
    "dead layer, unmixed": {"water": (DEAD_LAYER, 0.0), "altmax": 0.0},
    "no nitrogen in a mixed layer": {"nitrogen": (DEAD_LAYER, 0.0)},
    "no nitrogen in an unmixed layer": {"nitrogen": (DEAD_LAYER, 0.0), "altmax": 0.0},
}


def assert_only_bad_is_nan(state) -> None:
    expected = torch.arange(N) != BAD
    assert torch.equal(state.has_steady_state, expected)
    assert bool(state.pools[..., BAD].isnan().all())
    assert bool(state.soc[..., BAD].isnan().all())
    assert bool(state.pools[..., expected].isfinite().all())


@pytest.mark.parametrize("name", TRAPPED)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_carbon_that_nothing_decomposes_has_no_steady_state(ordinary, name, dtype):
    assert_only_bad_is_nan(spoil(ordinary, **TRAPPED[name]).to(dtype).solve())


@pytest.mark.parametrize("name", ["dead column", "no nitrogen", "dead layer with woody debris"])
def test_published_operator_has_none_there_either(ordinary, name):
    assert_only_bad_is_nan(spoil(ordinary, **TRAPPED[name]).solve("published"))


def test_litter_alone_in_a_dead_column_has_none(ordinary):
    assert_only_bad_is_nan(no_cwd(spoil(ordinary, water=0.0)).solve())


def test_woody_debris_alone_ends_up_as_litter(ordinary):
    columns = spoil(ordinary, nitrogen=0.0)
    inputs = columns.forcing.inputs.clone()
    inputs[1:, BAD] = 0.0
    assert_only_bad_is_nan(columns.force(inputs=inputs).solve())


STEADY = {
    "surface input above a dead layer": {
        "water": (DEAD_LAYER, 0.0),
        "altmax": 0.0,
        "allocated": False,
    },
    "dead without input": {"water": 0.0, "inputs": 0.0},
    "no nitrogen, no input": {"nitrogen": 0.0, "inputs": 0.0},
    "dead below bedrock": {"water": (DEAD_LAYER, 0.0), "nbedrock": DEAD_LAYER},
    "frozen all year": {"altmax": 0.0, "allocated": False},
    "no input": {"inputs": 0.0},
}


@pytest.mark.parametrize("name", STEADY)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_other_odd_columns_have_one(ordinary, name, dtype):
    state = spoil(ordinary, **STEADY[name]).to(dtype).solve()
    assert bool(state.has_steady_state.all())
    assert bool(state.pools.isfinite().all())
    assert float(state.pools.min()) >= 0.0


def test_mixing_does_not_excuse_carbon_supplied_to_a_dead_layer(ordinary):
    # It would carry the carbon out in the end, at stocks beyond those of any soil.
    assert_only_bad_is_nan(no_cwd(spoil(ordinary, water=(DEAD_LAYER, 0.0))).solve())


def test_mixing_carries_carbon_through_a_dead_layer_that_is_supplied_with_none(ordinary):
    columns = spoil(ordinary, water=(DEAD_LAYER, 0.0), allocated=False)
    state = columns.solve()
    assert bool(state.has_steady_state.all())
    one = columns.column(BAD)
    a, k, t, inputs = dense.operators(one.parameters, one.forcing, "closed")
    # The dead layer has no woody debris, and no equation for it.
    keep = torch.ones(N_POOLS * N_LAYERS, dtype=torch.bool)
    keep[POOLS.index("CWD") * N_LAYERS + DEAD_LAYER] = False
    expected = torch.zeros(len(keep), dtype=torch.float64)
    expected[keep] = torch.linalg.solve((t - a @ k)[keep][:, keep], inputs[keep])
    actual = state.pools[..., BAD]
    atol = 1e-10 * expected.max().item()
    torch.testing.assert_close(actual.flatten(), expected, rtol=1e-8, atol=atol)
    assert float(actual[POOLS.index("S3"), DEAD_LAYER]) > 0.0


@pytest.mark.parametrize("beta", [0.5, 0.8, 0.95])
def test_status_does_not_depend_on_the_precision(ordinary, beta):
    # beta^(100 z) is nothing in float32 down there.
    columns = spoil(ordinary, water=(N_LAYERS - 1, 0.0)).change(beta=beta)
    for dtype in DTYPES:
        assert_only_bad_is_nan(columns.to(dtype).solve())


def test_carbon_of_a_surface_input_stays_where_nothing_mixes_it(ordinary):
    columns = spoil(ordinary, altmax=0.0, allocated=False)
    pools = columns.solve().pools[..., BAD]
    assert bool((pools[:, 0] > 0.0).all())
    assert not pools[:, 1:].any()
    one = columns.column(BAD)
    expected = dense.steady_state(one.parameters, one.forcing, "closed")
    torch.testing.assert_close(pools, expected, rtol=1e-11, atol=0.0)


def test_no_input_is_no_carbon(ordinary):
    state = spoil(ordinary, inputs=0.0).solve()
    assert not state.pools[..., BAD].any()
    diagnosed = {name: float(value[BAD]) for name, value in vars(processes(state)).items()}
    assert diagnosed.pop("carbon_input") == 0.0
    assert all(np.isnan(value) for value in diagnosed.values()), diagnosed
    others = torch.arange(N) != BAD
    for value in vars(processes(state)).values():
        assert bool(value[others].isfinite().all())


def run(columns, bedrock, others: Tensor) -> dict[str, Tensor]:
    """Pools, processes and gradients of the columns at ``others``."""
    names = [
        f.name
        for f in fields(columns.forcing)
        if f.name in ("temperature", "water", "oxygen", "nitrogen", "inputs")
    ]
    leaves = {name: getattr(columns.forcing, name).clone().requires_grad_() for name in names}
    leaves["parameters"] = columns.parameters.clone().requires_grad_()
    forcing = columns.force(**{name: leaves[name] for name in names}).forcing
    state = SoilCarbonModel(bedrock).steady_state(leaves["parameters"], forcing)
    diagnosed = processes(state)
    # as a loss does: only what is observed is picked
    loss = integrate(state.soc)[others].log().sum() + sum(
        value[others].log().sum() for value in vars(diagnosed).values()
    )
    loss.backward()
    out = {f"gradient of {name}": leaf.grad for name, leaf in leaves.items()}
    out |= {"pools": state.pools.detach()}
    out |= {name: value.detach() for name, value in vars(diagnosed).items()}
    return {name: value[..., others] for name, value in out.items()}


@pytest.mark.parametrize("bedrock", BEDROCK)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", [*TRAPPED, *STEADY])
def test_neighbours_are_untouched(ordinary, name, dtype, bedrock):
    spoilt = spoil(ordinary, **(TRAPPED | STEADY)[name]).to(dtype)
    others = torch.arange(N) != BAD
    actual = run(spoilt, bedrock, others)
    alone = spoilt.select(others.nonzero().squeeze(-1))
    expected = run(alone, bedrock, torch.ones(N - 1, dtype=torch.bool))
    for key, value in actual.items():
        assert bool(value.isfinite().all()), key
        assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize("name", [*TRAPPED, *STEADY])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_one_parameter_vector_for_all_columns_keeps_its_gradient(ordinary, name, dtype):
    """A column without a result hands back zeros, not NaN, to parameters that all share."""
    spoilt = spoil(ordinary, **(TRAPPED | STEADY)[name]).to(dtype)
    others = torch.arange(N) != BAD
    gradients = []
    for columns, picked in (
        (spoilt, others),
        (spoilt.select(others.nonzero().squeeze(-1)), torch.ones(N - 1, dtype=torch.bool)),
    ):
        shared = columns.parameters[:, :1].clone().requires_grad_()
        state = SoilCarbonModel().steady_state(shared.expand(-1, len(columns)), columns.forcing)
        integrate(state.soc)[picked].log().sum().backward()
        gradients.append(shared.grad)
    assert bool(gradients[0].isfinite().all())
    rtol = 1e-10 if dtype == torch.float64 else 1e-4
    scale = float(gradients[1].abs().max())
    torch.testing.assert_close(*gradients, rtol=rtol, atol=1e-3 * rtol * scale)


@pytest.mark.parametrize("field", ["temperature", "water", "inputs"])
def test_nan_in_one_column_stays_there(ordinary, field):
    others = torch.arange(N) != BAD
    actual = run(spoil(ordinary, **{field: float("nan")}), "closed", others)
    expected = run(ordinary, "closed", others)
    for key, value in actual.items():
        assert torch.equal(value, expected[key]), key


def test_rates_that_underflow_are_no_missing_decomposition(ordinary):
    """Deep, cold and dry: exp(-z/efolding) and the scalars leave nothing of a float32 rate."""
    columns = ordinary.change(efolding=0.1, w_scaling=1e-4, q10=3.0)
    columns = columns.force(temperature=columns.forcing.temperature - 40.0).to(torch.float32)
    state = columns.solve()
    assert bool(state.has_steady_state.all())
    assert bool(state.soc.isfinite().all())
    unmixed = columns.force(
        altmax=torch.zeros(12, N).double(), allocated=torch.zeros(N, dtype=torch.bool)
    ).solve()
    assert bool(unmixed.pools.isfinite().all())
    assert not unmixed.pools[:, 1:].any()
