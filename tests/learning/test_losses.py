"""Losses and the regularization."""

import math

import pytest
import torch

from xbinn.constants import SOC_FLOOR
from xbinn.errors import InputError
from xbinn.learning.losses import (
    LOSSES,
    TAIL_FROM,
    find_loss,
    log_smooth_l1,
    prior_regularization,
    relative,
    relative_robust,
    smooth_l1,
)


def test_log_loss_is_quadratic_near_and_linear_far():
    observed = torch.tensor([10.0, 10.0])
    modelled = observed * torch.tensor([math.exp(0.2), math.exp(-3.0)])
    expected = torch.tensor([0.02, 2.5])
    torch.testing.assert_close(log_smooth_l1(modelled, observed), expected)


def test_too_little_counts_as_much_as_too_much_in_log_loss():
    observed = torch.tensor([4.0])
    too_little, too_much = (
        log_smooth_l1(observed / 3.0, observed),
        log_smooth_l1(observed * 3.0, observed),
    )
    torch.testing.assert_close(too_little, too_much, rtol=1e-6, atol=0.0)


def test_log_loss_is_censored_at_the_floor():
    observed = torch.tensor([0.0, SOC_FLOOR / 2, SOC_FLOOR])
    below = torch.full((3,), 1e-3, requires_grad=True)
    loss = log_smooth_l1(below, observed)
    assert loss.tolist() == [0.0, 0.0, 0.0]
    above = log_smooth_l1(torch.full((3,), SOC_FLOOR * math.exp(0.2)), observed)
    torch.testing.assert_close(above, torch.full((3,), 0.02))


def test_a_prediction_far_too_small_still_has_a_gradient():
    modelled = torch.tensor([1e-4], requires_grad=True)
    log_smooth_l1(modelled, torch.tensor([5.0])).sum().backward()
    assert float(modelled.grad) == pytest.approx(-1e4)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_losses_stay_finite_at_zero_and_far_away(name):
    modelled = torch.tensor([0.0, 1e6, 0.0], requires_grad=True)
    loss = LOSSES[name](modelled, torch.tensor([0.0, 1.0, 50.0]))
    assert loss.shape == (3,)
    loss.sum().backward()
    assert bool(torch.isfinite(loss).all())
    assert bool(torch.isfinite(modelled.grad).all())


def test_published_loss_is_in_grams():
    # 2 g m-3 apart: linear with beta 1
    loss = smooth_l1(torch.tensor([1.002]), torch.tensor([1.0]))
    torch.testing.assert_close(loss, torch.tensor([1.5]), rtol=1e-3, atol=0.0)


def test_relative_is_the_normal_log_likelihood():
    modelled = torch.tensor([0.5, 2.0, 80.0], dtype=torch.float64)
    observed = torch.tensor([0.7, 9.0, 10.0], dtype=torch.float64)
    density = torch.distributions.Normal(modelled, 0.6 * modelled)
    expected = -density.log_prob(observed) - 0.5 * math.log(2.0 * math.pi)
    torch.testing.assert_close(relative(modelled, observed), expected)


def test_relative_is_least_a_fifth_below_the_observation():
    # d/d ln m = 0 where r^2 - r - 0.6^2 = 0 with r = o / m.
    best = 2.0 / (1.0 + math.sqrt(1.0 + 4.0 * 0.36))
    assert best == pytest.approx(0.78, abs=0.005)
    observed = torch.tensor([0.2, 5.0, 300.0], dtype=torch.float64)
    modelled = (best * observed).requires_grad_()
    least = relative(modelled, observed)
    least.sum().backward()
    torch.testing.assert_close(modelled.grad * observed, torch.zeros_like(observed))
    for factor in (0.9, 1.1):
        assert bool((relative(factor * modelled, observed) > least).all())


def test_relative_gradient_is_right_on_both_sides_of_the_floor():
    modelled = torch.tensor([0.01, 0.049, 0.051, 3.0], dtype=torch.float64, requires_grad=True)
    observed = torch.tensor([0.02, 4.0, 4.0, 1.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda m: relative(m, observed), modelled)
    around = relative(torch.tensor([SOC_FLOOR - 1e-9, SOC_FLOOR + 1e-9], dtype=torch.float64), 1.0)
    assert float(around[0] - around[1]) == pytest.approx(0.0, abs=1e-4)


def test_relative_draws_a_prediction_of_nothing_upwards():
    modelled = torch.tensor([0.0, 1e-6], requires_grad=True)
    relative(modelled, torch.tensor([5.0, 5.0])).sum().backward()
    assert bool((modelled.grad < 0.0).all())


# --- with a tail ----------------------------------------------------------------------------


def test_the_tail_begins_at_twice_the_model():
    assert find_loss("relative") is relative
    assert find_loss("relative_robust") is relative_robust
    modelled = torch.tensor([0.5, 2.0, 80.0, 0.01], dtype=torch.float64)
    observed = torch.tensor([0.7, 3.9, 10.0, 0.09], dtype=torch.float64)
    torch.testing.assert_close(
        relative_robust(modelled, observed), relative(modelled, observed), rtol=0.0, atol=0.0
    )
    # Beyond, from where observed = 2 modelled, 1 - 2 / 0.36 for each unit of ln modelled.
    far = relative_robust(torch.tensor([1.0, 0.0]), torch.tensor([20.0, 5.0]))
    start = relative(torch.tensor([10.0]), torch.tensor([20.0]))
    expected = float(start) + (2.0 / 0.36 - 1.0) * math.log(10.0)
    assert float(far[0]) == pytest.approx(expected, rel=1e-5)
    assert bool(torch.isfinite(far).all())


def test_no_sample_pulls_more_than_at_the_start_of_the_tail():
    modelled = torch.logspace(-6, 4, 400, dtype=torch.float64, requires_grad=True)
    observed = torch.tensor(4.0, dtype=torch.float64)
    (pull,) = torch.autograd.grad(relative_robust(modelled, observed).sum(), modelled)
    pull = pull * modelled.detach()  # by unit of ln modelled
    assert float(pull.min()) == pytest.approx(1.0 - 2.0 / 0.36, rel=1e-9)
    assert float(pull.max()) < 1.8
    # It never lets go: a prediction of next to nothing is still drawn to the observation.
    assert bool((pull[modelled < 1.9] < -4.5).all())
    steps = (pull.diff().abs() / torch.linspace(-6, 4, 400).diff()[0]).max()
    assert float(steps) < 40.0  # no jump at the join, which would be 180
    near = torch.linspace(0.3, 9.0, 30, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m: relative_robust(m, observed), near)


def test_with_its_tail_it_is_the_likelihood_of_an_error_that_scales_with_the_model():
    ratio = torch.linspace(0.0, 2000.0, 4_000_001, dtype=torch.float64)
    mass = []
    for model in (0.5, 30.0):
        modelled = torch.tensor(model, dtype=torch.float64)
        density = (-relative_robust(modelled, ratio * model)).exp()
        mass.append(float(torch.trapezoid(density, ratio * model)))
    assert mass[0] == pytest.approx(mass[1], rel=1e-3)  # below twice the floor there is no tail


@pytest.mark.parametrize(
    ("errors", "low", "high"),
    [
        # Normal errors of 60 %, which the loss without a tail is exact for.
        (lambda z: 1.0 + 0.6 * z, 0.95, 0.99),
        # ln SOC about a fit to real profiles: without a tail the model comes out 1.6 times the
        # median.
        (lambda z: (0.75 * z).exp(), 1.05, 1.2),
    ],
)
def test_where_the_model_comes_out(errors, low, high):
    ratio = errors(torch.randn(20_000, generator=torch.Generator().manual_seed(0)).double())
    model = torch.linspace(0.5, 3.0, 251, dtype=torch.float64)
    mean = torch.stack([relative_robust(m, ratio).mean() for m in model])
    assert low < float(model[mean.argmin()]) < high
    assert TAIL_FROM == 2.0


def test_regularization_is_a_wall_at_the_bounds():
    assert float(prior_regularization(torch.full((4, 3), 0.5))) == 0.0
    at_ends = prior_regularization(torch.tensor([[0.0, 1.0]], dtype=torch.float64))
    assert float(at_ends) == pytest.approx(math.cosh(5.0) - 1.0)


def test_unknown_loss_is_refused():
    assert find_loss("smooth_l1") is smooth_l1
    with pytest.raises(InputError, match=r"'mse' is not known.*'log_smooth_l1', 'smooth_l1'"):
        find_loss("mse")
