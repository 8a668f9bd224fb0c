"""A random function that is added, is as wide as the prior, and stays as it is."""

import math

import pytest
import torch

from xbinn.errors import InputError
from xbinn.learning.encoders import build_encoder
from xbinn.learning.encoders.constraints import CONSTRAINTS, build_constraint
from xbinn.learning.encoders.prior_function import LEVEL_SHARE, PriorFunction
from xbinn.learning.seeding import seeded

CONFIG = {"encoder": "mlp", "n_numeric": 3, "n_categories": [4], "n_outputs": 5}
N_DRAWS = 3000


def inputs(n: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(n, 3), torch.zeros(n, 1, dtype=torch.int64)


def test_draws_have_the_moments_that_are_promised():
    places = torch.tensor([[0.0, 0.0], [1.0, -1.0], [2.0, 1.0]])
    with seeded(0):
        draws = torch.stack([PriorFunction(2, 1)(places)[:, 0] for _ in range(N_DRAWS)])
    squared = (places[:, None] - places).square().mean(-1)
    expected = LEVEL_SHARE + (1.0 - LEVEL_SHARE) * torch.exp(-0.5 * squared)
    found = draws.T @ draws / N_DRAWS
    # Five standard errors of a covariance of unit normal variables.
    torch.testing.assert_close(found, expected, rtol=0.0, atol=5.0 * math.sqrt(2.0 / N_DRAWS))
    assert float(draws.mean(0).abs().max()) < 5.0 / math.sqrt(N_DRAWS)


def test_parameters_have_functions_of_their_own():
    with seeded(1):
        values = PriorFunction(3, 400)(torch.randn(2, 3))  # (place, parameter)
    assert abs(float(torch.corrcoef(torch.stack([values[0, ::2], values[0, 1::2]]))[0, 1])) < 0.35


@pytest.mark.parametrize("name", sorted(CONSTRAINTS))
def test_a_normal_of_the_spread_fills_the_unit_interval(name):
    constraint = build_constraint(name).double()
    normal = torch.distributions.Normal(0.0, 1.0)
    even = normal.icdf((torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000)
    unit = constraint(constraint.prior_spread * even).detach()
    assert float(unit.std()) == pytest.approx(math.sqrt(1.0 / 12.0), rel=1e-3)


def test_the_spread_does_not_follow_the_temperature_in_units_of_the_constraint():
    constraint = build_constraint("sigmoid")
    before = constraint(constraint.prior_spread * torch.tensor(0.7)).item()
    with torch.no_grad():
        constraint.raw.fill_(1.5)
    after = constraint(constraint.prior_spread * torch.tensor(0.7)).item()
    assert after == pytest.approx(before, rel=1e-6)
    assert not constraint.prior_spread.requires_grad


def test_it_is_added_to_what_the_layers_say_and_never_learnt():
    plain = build_encoder(CONFIG, seed=2).eval()
    wide = build_encoder(CONFIG | {"prior_function": True}, seed=2).eval()
    # The same initial weights.
    for name, weight in plain.state_dict().items():
        assert torch.equal(weight, wide.state_dict()[name])
    numeric, codes = inputs()
    added = wide.constraint.prior_spread * wide.prior_function(wide.standardised(numeric))
    u = plain.layers(plain.features(numeric, codes)) + added
    torch.testing.assert_close(wide(numeric, codes), wide.constraint(u))
    torch.testing.assert_close(wide.penalised(numeric, codes)[0], wide(numeric, codes))
    learnt = {name for name, _ in wide.named_parameters()}
    assert learnt == {name for name, _ in plain.named_parameters()}
    assert {n for n in wide.state_dict() if n not in plain.state_dict()} == {
        f"prior_function.{name}" for name in ("frequency", "phase", "amplitude", "level")
    }


def test_it_follows_from_the_seed_and_survives_its_configuration():
    first, second, other = (
        build_encoder(CONFIG | {"prior_function": True}, seed=seed) for seed in (4, 4, 5)
    )
    assert torch.equal(first.prior_function.phase, second.prior_function.phase)
    assert not torch.equal(first.prior_function.phase, other.prior_function.phase)
    again = build_encoder(first.config)
    again.load_state_dict(first.state_dict())
    numeric, codes = inputs()
    assert torch.equal(again.eval()(numeric, codes), first.eval()(numeric, codes))


def test_without_numeric_covariates_it_is_one_level():
    config = CONFIG | {"n_numeric": 0, "prior_function": True}
    encoder = build_encoder(config, seed=0)
    values = encoder.prior_function(torch.zeros(4, 0))
    assert torch.equal(values, values[:1].expand(4, -1))


def test_a_vector_for_all_places_takes_none():
    config = {"encoder": "constant", "n_outputs": 5, "prior_function": True}
    with pytest.raises(InputError, match="'constant' takes no prior function"):
        build_encoder(config)
