"""Structured solve against dense linear algebra on equations written down separately."""

import dataclasses

import numpy as np
import pytest
import torch

from xbinn.constants import N_LAYERS, N_POOLS
from xbinn.errors import InputError
from xbinn.physics import dense
from xbinn.physics.steady_state import BEDROCK, SoilCarbonModel

NEGLIGIBLE = 1e-12
extended = pytest.mark.skipif(
    np.finfo(np.longdouble).eps > 1e-18, reason="long double is no wider than double here"
)


def eliminate(matrix: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    """Gaussian elimination without pivoting, in the precision of the arguments."""
    matrix, rhs = matrix.copy(), rhs.copy()
    n = len(rhs)
    for k in range(n - 1):
        ratio = matrix[k + 1 :, k] / matrix[k, k]
        matrix[k + 1 :, k:] -= ratio[:, None] * matrix[k, k:]
        rhs[k + 1 :] -= ratio * rhs[k]
    for k in range(n - 1, -1, -1):
        rhs[k] = (rhs[k] - matrix[k, k + 1 :] @ rhs[k + 1 :]) / matrix[k, k]
    return rhs


def solve_in_long_double(operators: dense.Operators, layers: int) -> np.ndarray:
    """Solve the dense system with its diagonal formed in long double, (pool, layer)."""
    a, k, t, rhs = (np.asarray(m.numpy(), dtype=np.longdouble) for m in operators)
    mixing = np.where(np.eye(len(t), dtype=bool), 0, t)
    mixing -= np.diag(mixing.sum(1))  # rows of T sum to zero
    matrix = mixing - a * np.diag(k)
    keep = (np.arange(N_POOLS)[:, None] * N_LAYERS + np.arange(layers)).ravel()
    pools = np.zeros(len(t), dtype=np.longdouble)
    pools[keep] = eliminate(matrix[np.ix_(keep, keep)], rhs[keep])
    return pools.reshape(N_POOLS, N_LAYERS)


@extended
@pytest.mark.parametrize("bedrock", BEDROCK)
def test_pools_equal_dense_pools(draw, bedrock):
    columns = draw(24, seed=1, constant_bedrock=bedrock == "closed")
    state = columns.solve(bedrock)
    for i in range(len(columns)):
        one = columns.column(i)
        operators = dense.operators(one.parameters, one.forcing, bedrock)
        expected = solve_in_long_double(operators, int(state.layers[i]))
        actual = state.pools[..., i].numpy()
        compared = expected > NEGLIGIBLE * expected.max()
        np.testing.assert_allclose(actual[compared], expected[compared].astype(float), rtol=1e-12)


def temperate(columns):
    """Where rates span so few decades that LAPACK's pivoting costs no digits that matter."""
    n = len(columns)
    deep = torch.full((12, n), 8.6, dtype=torch.float64)
    warm = columns.force(altmax=deep, allocated=torch.ones(n, dtype=torch.bool))
    return warm.change(efolding=0.9, w_scaling=1.0, tau4s1=0.2, taul1=0.05)


@pytest.mark.parametrize("bedrock", BEDROCK)
def test_pools_equal_those_of_the_dense_reference(draw, bedrock):
    columns = temperate(draw(8, seed=2))
    pools = columns.solve(bedrock).pools
    for i in range(len(columns)):
        one = columns.column(i)
        expected = dense.steady_state(one.parameters, one.forcing, bedrock)
        error = (pools[..., i] - expected).abs().max() / expected.abs().max()
        assert float(error) < 1e-10


@pytest.mark.parametrize("bedrock", BEDROCK)
def test_assembled_matrices_equal_the_operators(draw, bedrock):
    columns = draw(12, seed=3)
    state = columns.solve(bedrock)
    assembled = dense.assemble(state.rates, state.transfers, state.mixing)
    for i in range(len(columns)):
        one = columns.column(i)
        a, k, t, rhs = dense.operators(one.parameters, one.forcing, bedrock)
        exists = (torch.arange(N_LAYERS) < state.layers[i]).repeat(N_POOLS)
        expected = (t - a @ k)[exists][:, exists]
        actual = assembled[i][exists][:, exists]
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=0.0)
        density = torch.cat((state.inputs[..., i].flatten(), rhs.new_zeros(3 * N_LAYERS)))
        torch.testing.assert_close(density, rhs, rtol=1e-11, atol=0.0)


def test_batched_dense_solve_is_the_same_model(draw):
    """What the benchmark takes as its baseline solves the same system."""
    columns = temperate(draw(6, seed=4))
    state = columns.solve("published")
    matrix = dense.assemble(state.rates, state.transfers, state.mixing)
    rhs = torch.cat((state.inputs.flatten(0, 1), state.inputs.new_zeros(3 * N_LAYERS, 6))).T
    pools = torch.linalg.solve(matrix, rhs).T.reshape(state.pools.shape)
    error = (pools - state.pools).abs().amax((0, 1)) / state.pools.amax((0, 1))
    assert float(error.max()) < 1e-10


def test_unknown_bedrock_is_refused():
    with pytest.raises(InputError, match="bedrock='open' is not known: choose one of 'closed'"):
        SoilCarbonModel("open")  # type: ignore[arg-type]


def test_model_is_a_value():
    assert SoilCarbonModel() == SoilCarbonModel("closed") != SoilCarbonModel("published")
    with pytest.raises(dataclasses.FrozenInstanceError):
        SoilCarbonModel().bedrock = "published"  # type: ignore[misc]
