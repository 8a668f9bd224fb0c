"""Compiled kernels against the operations of torch that they are twins of."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numba
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from ways import KERNELS, take

from xbinn.constants import N_LAYERS
from xbinn.physics import fused, solver
from xbinn.physics.cascade import Transfers
from xbinn.physics.column import integrate
from xbinn.physics.counting import count_solves
from xbinn.physics.kernels import whole
from xbinn.physics.kernels.functions import exp, expm1
from xbinn.physics.kernels.lanes import WIDTH, load, store
from xbinn.physics.kernels.sweeps import Moves
from xbinn.physics.mixing import Mixing, closed_shape
from xbinn.physics.paths import VARIABLE
from xbinn.physics.steady_state import BEDROCK, Bedrock, SoilCarbonModel, SteadyState

NAMES = ("rates", "between", "cwd_to_l2", "lower", "upper", "inputs")
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-12}
"""Of sums of terms of both signs; relative to the largest of their column."""
new_empty = Tensor.new_empty


@pytest.fixture(scope="module", params=[None], ids=["both"], autouse=True)
def kernels():
    """Take no side: each test here names its own."""


@numba.njit
def _exp(x, y):
    for i in range(len(x)):
        store(y, (i,), exp(load(x, (i,))))


@numba.njit
def _expm1(x, y):
    for i in range(len(x)):
        store(y, (i,), expm1(load(x, (i,))))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("compiled", "exact", "ulps"),
    [pytest.param(_exp, np.exp, 2.0, id="exp"), pytest.param(_expm1, np.expm1, 4.0, id="expm1")],
)
def test_functions_to_the_last_places(compiled, exact, ulps, dtype):
    most = np.log(np.finfo(dtype).max)
    draws = np.random.default_rng(0).uniform(-1.2 * most, 1.02 * most, 4000)
    draws[::4] *= 1e-2
    draws[1::4] *= 1e-6
    special = np.array([0.0, -0.0, np.inf, -np.inf, most, np.log(np.finfo(dtype).tiny), 1e-30, 1.0])
    x = np.resize(np.concatenate((special, draws)), (500, WIDTH)).astype(dtype)
    y = np.empty_like(x)
    compiled(x, y)
    with np.errstate(over="ignore"):
        wide = exact(x.astype(np.longdouble))
        expected = wide.astype(dtype)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(y[~finite], expected[~finite])
    error = np.abs(y[finite] - wide[finite]) / np.spacing(np.abs(expected[finite]))
    assert error.max() <= ulps


def test_functions_keep_nan_in_its_lane():
    x = np.zeros((1, WIDTH))
    x[0, 3] = np.nan
    for compiled, otherwise in ((_exp, 1.0), (_expm1, 0.0)):
        y = np.empty_like(x)
        compiled(x, y)
        assert np.isnan(y[0, 3])
        np.testing.assert_array_equal(np.delete(y[0], 3), otherwise)


def test_transfers_come_in_the_order_of_the_table():
    from xbinn.parameters import TRANSFERS

    assert Moves._fields == tuple(name for name, _, _ in TRANSFERS)


def solved(values: list[Tensor]) -> dict[str, Tensor]:
    """Pools, and elasticities of a sum of their logarithms to all arguments."""
    leaves = [v.clone().requires_grad_() for v in values]
    rates, between, cwd_to_l2, lower, upper, inputs = leaves
    pools = solver.solve(rates, Transfers(between, cwd_to_l2), Mixing(lower, upper), inputs)
    weight = torch.linspace(1.0, 2.0, pools[..., 0].numel(), dtype=pools.dtype)
    (pools.log() * weight.reshape(*pools.shape[:2], 1)).sum().backward()
    found = {name: leaf.grad * leaf.detach() for name, leaf in zip(NAMES, leaves, strict=True)}
    return found | {"pools": pools.detach(), "way": type(pools.grad_fn).__name__}


@pytest.fixture(params=KERNELS)
def twins(request):
    """``twins(function)``: what it gives by operations of torch, and by kernels.

    What nothing has been written to is NaN.
    """

    def run(function):
        found = []
        for way in ("eager", request.param):
            with pytest.MonkeyPatch.context() as patch:
                take(way, patch)
                patch.setattr(Tensor, "new_empty", nothing_written)
                found.append(function())
        return found

    return run


def nothing_written(like: Tensor, *args, **kwargs) -> Tensor:
    """`Tensor.new_empty` as it is where memory was never used before."""
    return new_empty(like, *args, **kwargs).fill_(torch.nan)


@pytest.fixture
def arguments(draw):
    """``arguments(n, dtype, bedrock)`` of the solve, in columns that hold carbon everywhere."""

    def made(n: int, dtype: torch.dtype, bedrock: str = "closed") -> list[Tensor]:
        columns = draw(n, seed=60).force(
            nbedrock=torch.full((n,), N_LAYERS), allocated=torch.ones(n, dtype=torch.bool)
        )
        columns = columns.change(efolding=0.9, w_scaling=1.0, beta=0.995).to(dtype)
        with pytest.MonkeyPatch.context() as patch:
            take("eager", patch)
            state = columns.solve(bedrock)
        return [state.rates, *state.transfers, *state.mixing, state.inputs]

    return made


@pytest.mark.parametrize("bedrock", BEDROCK)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_solve_is_its_twin(twins, arguments, dtype, bedrock):
    values = arguments(100, dtype, bedrock)
    plain, compiled = twins(lambda: solved(values))
    assert plain.pop("way") == "_SolveBackward"
    assert compiled.pop("way") == "SolveBackward"
    for name, actual in compiled.items():
        expected = plain[name]
        largest = expected.abs().reshape(-1, expected.shape[-1]).amax(0)
        assert bool(((actual - expected).abs() <= TOLERANCE[dtype] * largest).all()), name


def everything(columns) -> dict[str, Tensor]:
    """A steady state, and elasticities of the stocks to all parameters, by name."""
    parameters = columns.parameters.clone().requires_grad_()
    state = SoilCarbonModel().steady_state(parameters, columns.forcing)
    stock = integrate(state.soc)[state.has_steady_state]
    (stock.log().sum() + state.modifier.sum() + state.fraction.square().sum()).backward()
    return {"elasticities": parameters.grad * columns.parameters} | named(state)


def named(state: SteadyState) -> dict[str, Tensor]:
    """All tensors of a steady state by name."""
    parts = {k: v if isinstance(v, tuple) else (v,) for k, v in vars(state).items()}
    return {
        f"{name} {i}": t.detach()
        for name, values in parts.items()
        for i, t in enumerate(values)
        if isinstance(t, Tensor)
    }


@pytest.fixture
def went_at_once(monkeypatch):
    """Numbers of columns that the kernel of all steps was given so far."""
    take("numba", monkeypatch)
    given = []

    def steady_state(*arguments: np.ndarray | float) -> None:
        given.append(arguments[-1].shape[-1])
        whole.steady_state(*arguments)

    monkeypatch.setattr(fused, "whole", SimpleNamespace(steady_state=steady_state))
    return given


def fields_of(columns, bedrock: Bedrock = "closed", gradients: bool = False) -> dict[str, Tensor]:
    """All of a steady state by name."""
    parameters = columns.parameters.clone().requires_grad_(gradients)
    return named(SoilCarbonModel(bedrock).steady_state(parameters, columns.forcing))


@pytest.mark.parametrize("n", [WIDTH, WIDTH + 3, 2500])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_all_steps_at_once_give_the_bits_of_one_by_one(went_at_once, draw, monkeypatch, n, dtype):
    columns = draw(n, seed=63).to(dtype)
    monkeypatch.setattr(Tensor, "new_empty", nothing_written)
    expected = fields_of(columns, gradients=True)
    assert went_at_once == []
    with count_solves() as counted:
        actual = fields_of(columns)
    assert went_at_once == [n]
    assert counted.forward == n
    assert int((columns.forcing.nbedrock < N_LAYERS).sum()) > 0
    assert_same_bits(actual, expected)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_columns_where_litter_rests_are_solved_one_by_one(went_at_once, draw, dtype):
    """Three of them: one has no steady state, one rests below bedrock only and counts for none."""
    columns = draw(3 * WIDTH, seed=64).to(dtype)
    water, nitrogen = columns.forcing.water.clone(), columns.forcing.nitrogen.clone()
    water[:, 0, 2 * WIDTH + 1] = 0.0
    nitrogen[:, 2, 5] = 0.0
    bedrock = columns.forcing.nbedrock.clone()
    bedrock[7] = 3
    water[:, 3:, 7] = 0.0
    columns = columns.force(water=water, nitrogen=nitrogen, nbedrock=bedrock)
    with count_solves() as counted:
        actual = fields_of(columns)
    assert went_at_once == [3 * WIDTH]
    assert counted.forward == 3 * WIDTH
    assert not bool(actual["has_steady_state 0"][2 * WIDTH + 1])
    assert bool(actual["has_steady_state 0"][7])
    assert_same_bits(actual, fields_of(columns, gradients=True))


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_what_is_missing_in_one_column_stays_there(went_at_once, draw, dtype):
    columns = draw(2 * WIDTH, seed=66).to(dtype)
    water = columns.forcing.water.clone()
    water[4, 0, 9] = torch.nan
    actual = fields_of(columns.force(water=water))
    assert went_at_once == [2 * WIDTH]
    others = torch.arange(2 * WIDTH) != 9
    assert bool(actual["pools 0"][..., 9].isnan().any())
    for name, values in fields_of(columns).items():
        assert torch.equal(actual[name][..., others], values[..., others]), name


def test_parameters_of_a_higher_precision_are_used(went_at_once, draw):
    columns = draw(WIDTH, seed=67)
    mixed = replace(columns.to(torch.float32), parameters=columns.parameters)
    actual = fields_of(mixed)
    assert went_at_once == [WIDTH]
    assert actual["pools 0"].dtype == torch.float32
    assert_same_bits(actual, fields_of(mixed, gradients=True))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_others_go_one_by_one(went_at_once, draw):
    columns = draw(WIDTH, seed=65)
    fields_of(draw(WIDTH - 1, seed=65))
    fields_of(columns, "published")
    model = SoilCarbonModel()
    ready = model.prepare(columns.forcing)
    one = columns.parameters[:, :1]
    assert model.steady_state(one, ready).pools.shape[-1] == WIDTH
    with pytest.raises(RuntimeError, match="size of tensor"):
        model.steady_state(columns.parameters[:, None].expand(-1, 2, -1), ready)
    with forward_ad.dual_level(), pytest.raises(RuntimeError, match="forward"):
        model.steady_state(forward_ad.make_dual(columns.parameters, columns.parameters), ready)
    assert went_at_once == []


def assert_same_bits(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    for name, values in expected.items():
        assert values.dtype == actual[name].dtype, name
        assert torch.equal(values.isnan(), actual[name].isnan()), name
        assert torch.equal(values.nan_to_num(), actual[name].nan_to_num()), name


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_steady_state_is_its_twin(twins, draw, dtype):
    """Permafrost, shallow bedrock, columns frozen all year and some without a steady state."""
    columns = draw(200, seed=61)
    water = columns.forcing.water.clone()
    water[:, 3:, ::9] = 0.0
    columns = columns.force(water=water).to(dtype)
    plain, compiled = twins(lambda: everything(columns))
    steady = plain.pop("has_steady_state 0")
    assert 0 < int(steady.sum()) < len(steady)
    assert torch.equal(compiled.pop("has_steady_state 0"), steady)
    for name, expected in plain.items():
        actual = compiled[name]
        assert actual.dtype == expected.dtype, name
        assert torch.equal(actual.isnan(), expected.isnan()), name
        largest = expected.abs().reshape(-1, expected.shape[-1]).amax(0)
        close = (actual - expected).abs() <= TOLERANCE[dtype] * largest
        assert bool((close | expected.isnan()).all()), name


@pytest.mark.parametrize("repeated", [1, 4, 12])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_closed_shape_is_its_twin(twins, repeated, dtype):
    """Active layers of all kinds, alike for so many months, above and below bedrock."""
    special = [0.0, -1.0, 2.0, np.nextafter(2.0, 3.0), 8.6, np.nan, np.inf]
    n, rng = 4 * WIDTH + 3, np.random.default_rng(70)
    altmax = rng.uniform(-0.5, 3.5, (12 // repeated, n))
    altmax[:, : len(special)] = special
    altmax[:, WIDTH : 2 * WIDTH] = 8.6  # none of a whole vector is cryoturbated
    months = torch.from_numpy(np.repeat(altmax, repeated, axis=0))
    nbedrock = torch.from_numpy(rng.integers(1, N_LAYERS + 1, n))
    plain, compiled = twins(lambda: closed_shape(months, nbedrock, dtype))
    exact = {torch.float32: 5e-7, torch.float64: 1e-13}[dtype]
    for actual, expected in zip(compiled, plain, strict=True):
        assert bool((expected > 0.0).any())
        torch.testing.assert_close(actual, expected, rtol=exact, atol=0.0)


@pytest.mark.parametrize("way", KERNELS)
@pytest.mark.parametrize("n", [1, 3, WIDTH - 1, WIDTH, WIDTH + 1, 2 * WIDTH + 1, 3 * WIDTH - 1])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_no_lane_sees_another(arguments, way, n, dtype, monkeypatch):
    take(way, monkeypatch)
    values = arguments(3 * WIDTH, dtype)
    whole = solved(values)
    order = torch.randperm(3 * WIDTH, generator=torch.Generator().manual_seed(n))[:n]
    part = solved([v[..., order] for v in values])
    for name in ("pools", *NAMES):
        assert torch.equal(part[name], whole[name][..., order]), name


def test_threads_do_not_meet(arguments, monkeypatch):
    monkeypatch.setenv(VARIABLE, "numba")
    cases = [arguments(n, torch.float64) for n in (5, 40, 77, 130)] * 3
    expected = [solved(values)["pools"] for values in cases]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda values: solved(values)["pools"], cases))
    assert all(map(torch.equal, found, expected))


def test_memory_may_lie_anyhow(arguments, monkeypatch):
    monkeypatch.setenv(VARIABLE, "numba")
    values = arguments(40, torch.float64)
    scattered = [torch.repeat_interleave(v, 2, dim=-1)[..., ::2] for v in values]
    assert not scattered[0].is_contiguous()
    assert torch.equal(solved(scattered)["pools"], solved(values)["pools"])
