"""Gradients: by finite differences, by the complex step, by identities they must satisfy."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from xbinn.constants import N_INPUTS, N_LAYERS, N_POOLS
from xbinn.parameters import PARAMETER_NAMES, PARAMETERS
from xbinn.physics import dense
from xbinn.physics.cascade import Transfers
from xbinn.physics.column import integrate
from xbinn.physics.mixing import Mixing
from xbinn.physics.processes import carbon_closure, processes, respiration
from xbinn.physics.solver import solve
from xbinn.physics.steady_state import BEDROCK, SoilCarbonModel, SteadyState

N = 6
FORCING = {"temperature": "TSOI", "water": "W_SCALAR", "oxygen": "O_SCALAR", "nitrogen": "FPI_vr"}


def summary(state: SteadyState) -> Tensor:
    """Logarithms of what the column holds, (pool + layer, n): all of one magnitude."""
    held = torch.stack([integrate(pool) for pool in state.pools])
    exists = torch.arange(N_LAYERS)[:, None] < state.layers
    # where, not clamp: no gradient below bedrock, where there is no carbon
    return torch.cat((held.log(), torch.where(exists, state.soc, 1.0).log()))


@pytest.fixture(params=BEDROCK)
def case(request, smooth):
    """Columns away from the kinks, and a treatment of bedrock."""
    columns = smooth(N, seed=30, constant_bedrock=request.param == "closed")
    return columns.force(allocated=torch.ones(N, dtype=torch.bool)), request.param


def scaled(columns, bedrock, outputs=summary) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """Outputs as a function of the logarithms of the parameters, and these."""
    forcing = columns.forcing

    def function(logarithms: Tensor) -> Tensor:
        return outputs(SoilCarbonModel(bedrock).steady_state(logarithms.exp(), forcing))

    return function, columns.parameters.log().requires_grad_()


def test_gradcheck_parameters(case):
    columns, bedrock = case
    columns = columns.select(slice(0, 3))
    assert gradcheck(*scaled(columns, bedrock), eps=1e-6, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", FORCING)
def test_gradcheck_forcing(case, name):
    columns, bedrock = case
    model = SoilCarbonModel(bedrock)

    def function(values: Tensor) -> Tensor:
        return summary(
            model.steady_state(columns.parameters, columns.force(**{name: values}).forcing)
        )

    values = getattr(columns.forcing, name).clone().requires_grad_()
    # Fast: a random projection of all 240 x n entries, in both directions.
    for seed in range(3):
        torch.manual_seed(seed)
        assert gradcheck(function, values, eps=1e-6, atol=1e-6, rtol=1e-5, fast_mode=True)


def test_gradcheck_inputs(case):
    columns, bedrock = case

    def function(logarithms: Tensor) -> Tensor:
        forcing = columns.force(inputs=logarithms.exp()).forcing
        return summary(SoilCarbonModel(bedrock).steady_state(columns.parameters, forcing))

    logarithms = columns.forcing.inputs.log().requires_grad_()
    assert gradcheck(function, logarithms, eps=1e-6, atol=1e-6, rtol=1e-5)


def test_gradcheck_processes(case):
    columns, bedrock = case
    columns = columns.force(nbedrock=columns.forcing.nbedrock.clamp(min=2)).select(slice(0, 3))

    def outputs(state: SteadyState) -> Tensor:
        diagnosed = [*vars(processes(state)).values(), *respiration(state)[1:]]
        return torch.stack(diagnosed).log()

    function, logarithms = scaled(columns, bedrock, outputs)
    assert gradcheck(function, logarithms, eps=1e-6, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("bedrock", BEDROCK)
def test_elasticities_of_all_parameters_by_finite_differences(smooth, bedrock):
    """All 21, in many columns at once, by fourth-order central differences."""
    n = 40
    columns = smooth(n, seed=31, constant_bedrock=bedrock == "closed")
    columns = columns.force(allocated=torch.ones(n, dtype=torch.bool))
    stencil = {-2: 1.0, -1: -8.0, 1: 8.0, 2: -1.0}
    for i, name in enumerate(PARAMETER_NAMES):
        # SOC changes a hundred times faster with ln beta than with the logarithm of any other.
        step = 1e-5 if name == "beta" else 1e-3

        def stock(change: Tensor, row: int = i) -> Tensor:
            parameters = columns.parameters.clone()
            parameters[row] = columns.parameters[row] * change.exp()
            state = SoilCarbonModel(bedrock).steady_state(parameters, columns.forcing)
            return integrate(state.soc).log()

        # A kink of the water scalar within the stencil is no derivative.
        if name == "w_scaling":
            water = columns.forcing.water * columns.parameters[i]
            compared = ((water - 1.0).abs() > 3.0 * step).all(0).all(0)
            assert int(compared.sum()) > n // 4
        else:
            compared = torch.ones(n, dtype=torch.bool)
        change = torch.zeros(n, dtype=torch.float64, requires_grad=True)
        (elasticity,) = torch.autograd.grad(stock(change).sum(), change)
        with torch.no_grad():
            numeric = sum(
                weight * stock(torch.full((n,), k * step, dtype=torch.float64))
                for k, weight in stencil.items()
            ) / (12.0 * step)
        torch.testing.assert_close(
            elasticity[compared],
            numeric[compared],
            rtol=1e-7,
            atol=1e-8,
            msg=lambda m, p=name: f"{p}: {m}",
        )


# The solver alone: rates, transfers, conductances and inputs as independent arguments.

ARGUMENTS = ("rates", "between", "cwd_to_l2", "lower", "upper", "inputs")


def call(rates, between, cwd_to_l2, lower, upper, inputs) -> Tensor:
    return solve(rates, Transfers(between, cwd_to_l2), Mixing(lower, upper), inputs)


def arguments(columns, bedrock) -> tuple[Tensor, ...]:
    state = columns.solve(bedrock)
    return (state.rates, *state.transfers, *state.mixing, state.inputs)


def warm(columns):
    """Columns whose dense matrices lose no digits."""
    n = len(columns)
    deep = torch.full((12, n), 8.6, dtype=torch.float64)
    mixed = columns.force(altmax=deep, nbedrock=torch.full((n,), N_LAYERS))
    return mixed.change(efolding=0.9, w_scaling=1.0, taul1=0.05, tau4s1=0.2, fcwdl2=0.7)


def test_gradcheck_of_the_solver(smooth):
    values = arguments(warm(smooth(2, seed=32)), "published")
    # Logarithms of arguments and pools, so that one step suits all.
    logarithms = tuple(v.clamp(min=1e-30).log().requires_grad_() for v in values)

    def function(*logs: Tensor) -> Tensor:
        return call(*(v.exp() for v in logs)).log()

    for seed in range(5):
        torch.manual_seed(seed)
        assert gradcheck(function, logarithms, eps=1e-6, atol=1e-6, rtol=1e-5, fast_mode=True)


@pytest.mark.parametrize("which", range(len(ARGUMENTS)), ids=ARGUMENTS)
def test_solver_against_the_complex_step(smooth, which):
    """Each entry of each argument, through a dense solve in complex arithmetic."""
    values = tuple(v[..., 0] for v in arguments(warm(smooth(1, seed=33)), "closed"))
    entries = values[which].numel()
    step = 1e-30
    batch = [v.unsqueeze(-1).expand(*v.shape, entries).to(torch.complex128) for v in values]
    perturbed = batch[which].clone().reshape(entries, entries)
    perturbed += 1j * step * torch.diag(values[which].reshape(-1)).to(torch.complex128)
    batch[which] = perturbed.reshape(batch[which].shape)
    rates, between, cwd_to_l2, lower, upper, inputs = batch
    matrix = dense.assemble(rates, Transfers(between, cwd_to_l2), Mixing(lower, upper))
    supplied = inputs.reshape(N_INPUTS * N_LAYERS, entries)
    rhs = torch.cat((supplied, supplied.new_zeros((N_POOLS - N_INPUTS) * N_LAYERS, entries)))
    pools = torch.linalg.solve(matrix, rhs.T).reshape(entries, N_POOLS, N_LAYERS)
    thickness = torch.arange(1.0, N_LAYERS + 1.0, dtype=torch.float64)
    weight = thickness * torch.logspace(0, 2, N_POOLS, dtype=torch.float64)[:, None]
    expected = (pools.imag * weight).sum((1, 2)).reshape(values[which].shape) / step

    leaves = [v.unsqueeze(-1).clone().requires_grad_() for v in values]
    total = (call(*leaves)[..., 0] * weight).sum()
    total.backward()
    elasticity = leaves[which].grad[..., 0] * values[which]
    torch.testing.assert_close(elasticity, expected, rtol=1e-9, atol=1e-11 * total.item())


@pytest.mark.parametrize("bedrock", BEDROCK)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-4)])
def test_elasticities_of_rates_and_conductances_sum_to_minus_one(draw, bedrock, dtype, tolerance):
    """Euler: pools are homogeneous of degree -1 in all rates together, and 1 in the input."""
    columns = draw(300, seed=34).force(allocated=torch.ones(300, dtype=torch.bool)).to(dtype)
    leaves = [v.clone().requires_grad_() for v in arguments(columns, bedrock)]
    pools = call(*leaves)
    thickness = torch.linspace(1.0, 3.0, N_LAYERS, dtype=dtype)[:, None]
    stock = (pools[4:] * thickness).sum((0, 1))
    stock.log().sum().backward()
    by_rates, _, _, by_lower, by_upper, by_inputs = (
        (v.grad.double() * v.detach().double()).reshape(-1, 300).sum(0) for v in leaves
    )
    torch.testing.assert_close(
        by_rates + by_lower + by_upper, torch.full_like(by_rates, -1.0), rtol=0, atol=tolerance
    )
    torch.testing.assert_close(by_inputs, torch.ones_like(by_inputs), rtol=0, atol=tolerance)


def test_transposed_solve_is_the_transpose(draw):
    """<g, M^-1 f> = <M^-T g, f>, with the transposed solve taken from the gradient."""
    columns = draw(50, seed=35)
    values = arguments(columns, "closed")
    inputs = values[-1].clone().requires_grad_()
    pools = call(*values[:-1], inputs)
    weight = torch.rand(pools.shape, generator=torch.Generator().manual_seed(0)).double()
    # CWD has no transport; its part of g is left out so that <.,.> is of one magnitude
    weight[0] = 0.0
    (by_inputs,) = torch.autograd.grad((pools * weight).sum(), inputs)
    left = (weight * pools.detach()).sum((0, 1))
    right = (by_inputs * values[-1]).sum((0, 1))
    torch.testing.assert_close(left, right, rtol=1e-12, atol=0.0)


def test_gradient_in_float32_is_that_in_float64(draw):
    columns = draw(500, seed=36).force(allocated=torch.ones(500, dtype=torch.bool))
    columns = columns.to(torch.float32)
    gradients = []
    for dtype in (torch.float32, torch.float64):
        leaf = columns.to(dtype).parameters.log().requires_grad_()
        forcing = columns.to(dtype).forcing
        state = SoilCarbonModel().steady_state(leaf.exp(), forcing)
        integrate(state.soc).log().sum().backward()
        gradients.append(leaf.grad.double())
    single, double = gradients
    error = (single - double).abs() / double.abs().amax(0)
    assert float(error.max()) < 1e-3
    assert float(error.quantile(0.99)) < 2e-5


def test_closure_has_no_gradient(draw):
    """Respiration equals input whatever the parameters: its derivative is zero."""
    columns = draw(20, seed=37)
    function, logarithms = scaled(columns, "closed", carbon_closure)
    (gradient,) = torch.autograd.grad(function(logarithms).sum(), logarithms)
    assert float(gradient.abs().max()) < 1e-9


def test_arguments_that_need_no_gradient_get_none(draw):
    values = list(arguments(draw(3, seed=38), "closed"))
    for wanted in range(len(values)):
        leaves = [v.clone().requires_grad_(i == wanted) for i, v in enumerate(values)]
        call(*leaves).sum().backward()
        assert [leaf.grad is not None for leaf in leaves] == [
            i == wanted for i in range(len(values))
        ]


def test_gradient_at_the_cap_of_the_water_scalar_is_that_below_it(draw):
    columns = draw(1, seed=39).change(w_scaling=2.0)
    for water, sensitive in ((0.49, True), (0.51, False)):
        forced = columns.force(water=torch.full_like(columns.forcing.water, water))
        leaf = forced.parameters.clone().requires_grad_()
        integrate(SoilCarbonModel().steady_state(leaf, forced.forcing).soc).sum().backward()
        assert bool(leaf.grad[PARAMETER_NAMES.index("w_scaling")].abs() > 0.0) is sensitive


def test_every_parameter_matters(draw):
    columns = draw(200, seed=40).force(allocated=torch.ones(200, dtype=torch.bool))
    function, logarithms = scaled(columns, "published")
    (gradient,) = torch.autograd.grad(function(logarithms).sum(), logarithms)
    assert bool(gradient.isfinite().all())
    assert bool((gradient.abs().amax(1) > 0.0).all()), [p.name for p in PARAMETERS]
