"""Against exact results of the published equations, in 1500-bit arithmetic."""

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor

from xbinn.constants import INPUT_POOLS, N_LAYERS, SOIL_POOLS
from xbinn.physics import dense
from xbinn.physics.column import integrate, ordered_sum
from xbinn.physics.processes import (
    baseline_residence_time,
    carbon_closure,
    input_allocation,
    input_allocation_published,
    processes,
    respiration,
)
from xbinn.physics.steady_state import SteadyState

RTOL = 1e-12
RTOL_PUBLISHED_CODE = 1e-11
"""Of the published code itself, in columns where its LU did not pivot."""
NEGLIGIBLE = 1e-12
"""Entries below this fraction of the maximum of their profile are compared to the maximum."""


def assert_close(actual: Tensor, exact: np.ndarray, *, rtol: float = RTOL) -> None:
    """Compare (..., column); profiles run over all axes but the last."""
    given = actual.numpy()
    assert given.shape == exact.shape
    assert given.dtype == np.float64
    profile = tuple(range(exact.ndim - 1))
    largest = np.abs(exact).max(axis=profile, keepdims=True)
    scale = np.where(np.abs(exact) > NEGLIGIBLE * largest, np.abs(exact), largest)
    error = np.divide(np.abs(given - exact), scale, out=np.abs(given - exact), where=scale > 0.0)
    assert error.max() <= rtol, f"relative error {error.max():.1e} in {np.argmax(error)}"


@pytest.fixture(scope="module")
def state(reference_columns) -> SteadyState:
    return reference_columns.solve("published")


def exact(reference: xr.Dataset, name: str, *dims: str) -> np.ndarray:
    return reference[name].transpose(*dims, "column").values


def test_it_compares_every_column_but_the_degenerate_one(oracle, reference):
    assert reference.sizes["column"] == oracle.sizes["column"] - 1


def test_pools(state, reference):
    assert bool(state.has_steady_state.all())
    assert_close(state.pools, exact(reference, "cpools_exact", "pool", "layer"))


def test_each_pool_by_its_own_maximum(state, reference):
    expected = exact(reference, "cpools_exact", "pool", "layer")
    for actual, profile in zip(state.pools, expected, strict=True):
        assert_close(actual, profile)


def test_soc_and_stock(state, reference):
    assert_close(state.soc, exact(reference, "soc_layer_exact", "layer"))
    assert_close(integrate(state.soc), exact(reference, "soc_stock_exact"))


def test_all_carbon_by_layer(state, reference):
    assert_close(ordered_sum(state.pools), exact(reference, "cpools_layer_exact", "layer"))


def test_decomposition_rates(state, reference):
    assert_close(state.rates, exact(reference, "k_mean_diag", "pool", "layer"))


def test_right_hand_side(state, reference):
    rhs = exact(reference, "rhs", "pool", "layer")
    assert_close(state.inputs, rhs[: len(INPUT_POOLS)])
    assert not rhs[len(INPUT_POOLS) :].any()


def test_transport_operator(state, reference):
    block = exact(reference, "tri_mean_block", "layer", "layer_from")
    lower, upper = state.mixing
    layer = np.arange(N_LAYERS)
    assert_close(lower + upper, block[layer, layer])
    assert_close(lower[1:], -block[layer[1:], layer[:-1]])
    assert_close(upper[:-1], -block[layer[:-1], layer[1:]])
    assert not lower[0].any()
    assert not upper[-1].any()


def test_dense_matrices(oracle, reference, reference_columns):
    """A, K and T of the readable reference, entry by entry."""
    for i, column in enumerate(oracle.matrix_column.values):
        position = int(np.flatnonzero(reference.column.values == oracle.column.values[column])[0])
        one = reference_columns.column(position)
        operators = dense.operators(one.parameters, one.forcing, "published")
        for actual, name in (
            (operators.transfer, "A_matrix"),
            (operators.decomposition, "K_matrix_mean"),
            (operators.transport, "Tri_matrix_mean"),
        ):
            expected = oracle[name].values[i]
            np.testing.assert_allclose(actual.numpy(), expected, rtol=RTOL, atol=0.0)


@pytest.mark.parametrize(
    ("name", "process"),
    [
        ("bulk_A_exact", "carbon_transfer_efficiency"),
        ("bulk_K_exact", "baseline_decomposition"),
        ("bulk_V_exact", "vertical_transport"),
        ("bulk_Xi_exact", "environmental_modifier"),
    ],
)
def test_processes(state, reference, name, process):
    assert_close(getattr(processes(state), process), exact(reference, name))


def test_scalars_of_the_modifier(state, reference, reference_columns):
    depth = torch.exp(
        -torch.tensor(reference.node_depth.values)[:, None] / reference_columns.parameters[3]
    )
    expected = exact(reference, "t_scalar_mean", "layer") * exact(
        reference, "w_scalar_mean", "layer"
    )
    assert_close(state.modifier, expected * depth.numpy())


def test_input_allocation_in_closed_form(state, reference):
    expected = exact(reference, "bulk_I_closed_form")
    allocated = np.isfinite(expected)
    assert 0 < allocated.sum() < len(expected)
    actual = input_allocation_published(state)
    np.testing.assert_array_equal(np.isfinite(actual.numpy()), allocated)
    assert_close(actual[torch.from_numpy(allocated)], expected[allocated])


def test_input_allocation_gives_beta_back(state, reference_columns):
    allocated = reference_columns.forcing.allocated
    actual = input_allocation(state)
    assert bool(actual[~allocated].isnan().all())
    assert_close(actual[allocated], reference_columns.parameters[-1][allocated].numpy())


def test_residence_times(state, reference, reference_columns):
    assert_close(state.soc / state.annual_input, exact(reference, "total_res_time_exact", "layer"))
    baseline = baseline_residence_time(
        reference_columns.parameters, reference_columns.forcing, state
    )
    assert_close(baseline, exact(reference, "res_time_base_pools_exact", "pool", "layer"))
    assert_close(
        ordered_sum(baseline[SOIL_POOLS]), exact(reference, "total_res_time_base_exact", "layer")
    )


def test_input_and_respiration(state, reference):
    assert_close(state.annual_input, exact(reference, "carbon_input"))
    assert_close(ordered_sum(respiration(state)), exact(reference, "respiration_exact"))


def test_published_operator_misses_the_input_by_what_it_should(state, reference):
    miss = exact(reference, "respiration_minus_input_rel_exact")
    # A difference of two numbers each good to RTOL: its error is relative to the larger.
    np.testing.assert_allclose(-carbon_closure(state).numpy(), miss, rtol=RTOL, atol=RTOL)


def test_published_code_agrees_where_it_did_not_pivot(state, reference):
    exact_lu = reference.lu_pivoted_rows.values == 0
    published = exact(reference, "cpools", "pool", "layer")[..., exact_lu]
    columns = torch.from_numpy(exact_lu)
    assert_close(state.pools[..., columns], published, rtol=RTOL_PUBLISHED_CODE)
