"""Any batch shape, any order: a column never depends on its neighbours."""

import itertools
from dataclasses import fields

import pytest
import torch
from torch import Tensor

from xbinn.constants import N_LAYERS, N_POOLS
from xbinn.physics.processes import (
    baseline_residence_time,
    carbon_closure,
    input_allocation_published,
    processes,
    respiration,
)
from xbinn.physics.steady_state import BEDROCK, SoilCarbonModel, SteadyState

DTYPES = (torch.float32, torch.float64)
DIFFERENTIABLE = ("temperature", "water", "oxygen", "nitrogen", "inputs")


def everything(columns, bedrock) -> dict[str, Tensor]:
    """All that is computed of a batch, gradients included, by name."""
    parameters = columns.parameters.clone().requires_grad_()
    forcing = {n: getattr(columns.forcing, n).clone().requires_grad_() for n in DIFFERENTIABLE}
    state = SoilCarbonModel(bedrock).steady_state(parameters, columns.force(**forcing).forcing)
    diagnosed = processes(state)
    loss = state.soc.log().sum() + sum(
        getattr(diagnosed, f.name).nan_to_num(0.0).sum() for f in fields(diagnosed)
    )
    loss.backward()
    out = {f"gradient of {n}": t.grad for n, t in (("parameters", parameters), *forcing.items())}
    for name, value in (*vars(diagnosed).items(), *vars(state).items()):
        parts = value if isinstance(value, tuple) else (value,)
        out |= {f"{name} {i}": t.detach() for i, t in enumerate(parts) if isinstance(t, Tensor)}
    out["respiration"] = respiration(state).detach()
    out["closure"] = carbon_closure(state).detach()
    out["published allocation"] = input_allocation_published(state).detach()
    out["baseline residence time"] = baseline_residence_time(
        columns.parameters, columns.forcing, state
    ).detach()
    return out


def assert_same_bits(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    different = [
        name
        for name, value in actual.items()
        if not torch.equal(value.nan_to_num(-1.0), expected[name].nan_to_num(-1.0))
    ]
    assert not different


def positive(columns):
    """Bedrock at the bottom and input everywhere, so that the logarithm of SOC exists."""
    return columns.force(
        nbedrock=torch.full((len(columns),), N_LAYERS),
        allocated=torch.ones(len(columns), dtype=torch.bool),
    ).change(efolding=0.9)


@pytest.mark.parametrize("bedrock", BEDROCK)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", [2, 7, 33, 129, 1023])
def test_permuting_the_batch_permutes_the_result(draw, device, n, dtype, bedrock):
    columns = positive(draw(n, seed=n)).to(dtype).on(device)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(n)).to(device)
    straight = everything(columns, bedrock)
    permuted = everything(columns.select(order), bedrock)
    assert_same_bits(permuted, {k: v.index_select(-1, order) for k, v in straight.items()})


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", [1, 3, 16, 61])
def test_size_of_the_batch_does_not_matter(draw, device, n, dtype):
    columns = positive(draw(100, seed=21)).to(dtype).on(device)
    whole = everything(columns, "closed")
    part = everything(columns.select(torch.arange(5, 5 + n, device=device)), "closed")
    assert_same_bits(part, {k: v[..., 5 : 5 + n] for k, v in whole.items()})


@pytest.mark.parametrize("bedrock", BEDROCK)
def test_layout_of_the_parameters_does_not_matter(draw, bedrock):
    """A network gives them batch first."""
    columns = draw(37, seed=22).to(torch.float32)
    batch_first = columns.parameters.T.contiguous().T
    model = SoilCarbonModel(bedrock)
    expected = model.steady_state(columns.parameters, columns.forcing).pools
    assert torch.equal(model.steady_state(batch_first, columns.forcing).pools, expected)


@pytest.mark.parametrize("bedrock", BEDROCK)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_columns_made_ready_give_the_same(draw, dtype, bedrock):
    """Whether before a batch is picked, as in training, or after."""
    columns = draw(41, seed=23).to(dtype)
    model = SoilCarbonModel(bedrock)
    picked = torch.tensor([40, 3, 3, 17])
    for index, forcing in itertools.product(
        (torch.arange(41), picked), (columns.forcing, columns.forcing.by_column())
    ):
        ready = model.prepare(forcing)
        part = columns.select(index)
        actual = model.steady_state(part.parameters, ready.select(index))
        expected = part.solve(bedrock)
        assert_same_bits(
            {"pools": actual.pools, "has": actual.has_steady_state},
            {"pools": expected.pools, "has": expected.has_steady_state},
        )


def test_picked_columns_lie_as_they_did(draw):
    forcing = draw(41, seed=24).forcing
    index = torch.tensor([40, 3, 3, 17])
    by_column = forcing.by_column()
    for name, value in vars(forcing.select(index)).items():
        assert torch.equal(vars(by_column.select(index))[name], value), name
    assert by_column.temperature.movedim(-1, 0).is_contiguous()
    assert by_column.select(index).temperature.movedim(-1, 0).is_contiguous()
    assert forcing.select(index).temperature.is_contiguous()


def shaped(columns, batch: tuple[int, ...]):
    fields_ = {
        name: value.reshape((*value.shape[:-1], *batch))
        for name, value in vars(columns.forcing).items()
    }
    parameters = columns.parameters.reshape((columns.parameters.shape[0], *batch))
    return type(columns)(parameters, type(columns.forcing)(**fields_))


@pytest.mark.parametrize("bedrock", BEDROCK)
@pytest.mark.parametrize("batch", [(), (1,), (0,), (6,), (2, 3), (3, 1, 2), (2, 0)])
def test_any_batch_shape(draw, batch, bedrock):
    n = torch.Size(batch).numel()
    flat = draw(6, seed=23, constant_bedrock=bedrock == "closed").select(slice(0, n))
    many = shaped(flat, batch)
    parameters = many.parameters.clone().requires_grad_()
    state = SoilCarbonModel(bedrock).steady_state(parameters, many.forcing)
    assert isinstance(state, SteadyState)
    assert state.pools.shape == (N_POOLS, N_LAYERS, *batch)
    assert state.soc.shape == (N_LAYERS, *batch)
    assert state.has_steady_state.shape == batch
    assert state.has_steady_state.dtype == torch.bool
    for value in vars(processes(state)).values():
        assert value.shape == batch
    assert respiration(state).shape == (N_POOLS, *batch)
    state.soc.sum().backward()
    assert parameters.grad is not None
    assert parameters.grad.shape == many.parameters.shape
    expected = flat.solve(bedrock).pools
    assert torch.equal(state.pools.reshape(expected.shape), expected)


def test_forcing_keeps_its_shapes(draw):
    columns = shaped(draw(6, seed=24), (2, 3))
    assert columns.forcing.batch_shape == (2, 3)
    flat = columns.forcing.flatten()
    assert flat.batch_shape == (6,)
    assert torch.equal(flat.select(slice(1, 3)).inputs, flat.inputs[:, 1:3])
    chosen = flat.select(torch.tensor([5, 0]))
    assert torch.equal(chosen.temperature, flat.temperature[..., [5, 0]])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtype_of_the_forcing_is_the_dtype_of_the_result(draw, dtype):
    columns = draw(4, seed=25)
    mixed = type(columns)(columns.parameters, columns.to(dtype).forcing)
    state = mixed.solve()
    assert state.pools.dtype == dtype
    diagnosed = vars(processes(state))
    assert {v.dtype for v in diagnosed.values()} <= {dtype, torch.float64}
