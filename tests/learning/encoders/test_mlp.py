"""Networks from covariates to the unit interval."""

import json

import pytest
import torch

from xbinn.errors import InputError
from xbinn.learning.encoders import ConstantEncoder, Encoder, build_encoder
from xbinn.learning.encoders.base import REACH
from xbinn.learning.encoders.constraints import TEMPERATURE_RANGE, SigmoidConstraint
from xbinn.learning.seeding import seeded

CONFIG = {"encoder": "mlp", "n_numeric": 3, "n_categories": [4, 2], "n_outputs": 5}


def covariates(n: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scale = torch.tensor([1.0, 300.0, 1e-3])
    numeric = torch.randn(n, 3, generator=generator) * scale + 10.0 * scale
    categorical = torch.randint(0, 3, (n, 2), generator=generator)
    return numeric, categorical


def test_outputs_are_inside_the_unit_interval_whatever_the_covariates():
    encoder = build_encoder(CONFIG, seed=0)
    numeric, categorical = covariates(50)
    encoder.standardise(numeric)
    encoder.eval()
    unit = encoder(numeric * 1e6, categorical)
    assert unit.shape == (50, 5)
    assert unit.dtype == torch.float32
    assert bool(((unit > 0.0) & (unit < 1.0)).all())


def test_constraint_never_reaches_its_ends_and_keeps_its_temperature_in_range():
    constraint = SigmoidConstraint()
    assert float(constraint.temperature.detach()) == pytest.approx(59.5)
    extremes = constraint(torch.tensor([-1e9, 0.0, 1e9])).detach()
    assert 0.0 < float(extremes[0]) < 1e-5
    assert float(extremes[1]) == pytest.approx(0.5)
    assert 1.0 - 1e-5 < float(extremes[2]) < 1.0
    with torch.no_grad():
        constraint.raw.fill_(1e3)
    assert float(constraint.temperature.detach()) <= TEMPERATURE_RANGE[1]


def test_standardise_learns_mean_and_scale_and_keeps_them_in_the_state():
    encoder = build_encoder(CONFIG, seed=0)
    numeric, _ = covariates(400)
    numeric[:, 1] = 1234.5  # does not vary
    encoder.standardise(numeric)
    torch.testing.assert_close(encoder.mean, numeric.mean(0))
    assert float(encoder.scale[1]) == 1.0
    torch.testing.assert_close(encoder.scale[[0, 2]], numeric.std(0, correction=0)[[0, 2]])
    other = build_encoder(CONFIG, seed=1)
    other.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(other.scale, encoder.scale, rtol=0, atol=0)


def test_the_unit_of_a_covariate_does_not_matter():
    numeric, categorical = covariates(40)
    results = []
    for factor, offset in ((1.0, 0.0), (1e3, 273.15)):
        encoder = build_encoder(CONFIG, seed=0).double()
        converted = numeric.double() * factor + offset
        encoder.standardise(converted)
        results.append(encoder.eval()(converted, categorical))
    torch.testing.assert_close(results[0], results[1])


def test_neighbours_do_not_matter_in_evaluation():
    encoder = build_encoder(CONFIG, seed=0)
    numeric, categorical = covariates(30)
    encoder.standardise(numeric)
    encoder.eval()
    together = encoder(numeric, categorical)
    alone = torch.cat([encoder(numeric[i : i + 1], categorical[i : i + 1]) for i in range(30)])
    torch.testing.assert_close(together, alone)
    numeric[3, 0] = torch.nan
    with_missing = encoder(numeric, categorical)
    assert bool(with_missing[3].isnan().all())
    keep = torch.arange(30) != 3
    torch.testing.assert_close(with_missing[keep], together[keep])


def test_missing_category_says_nothing_before_training():
    encoder = build_encoder(CONFIG, seed=0)
    assert isinstance(encoder, Encoder)
    for embedding, known in zip(encoder.embeddings, CONFIG["n_categories"], strict=True):
        assert embedding.weight.shape == (known + 1, 5)
        assert float(embedding.weight[-1].detach().abs().max()) == 0.0


def test_covariates_beyond_two_standard_deviations_say_no_more():
    encoder = build_encoder(CONFIG, seed=0)
    numeric, categorical = covariates(40)
    encoder.standardise(numeric)
    encoder.eval()
    extreme = encoder.mean + REACH * encoder.scale
    beyond = encoder.mean + 100.0 * encoder.scale
    rows = torch.stack([extreme, beyond, encoder.mean])
    unit = encoder(rows, categorical[:1].expand(3, -1))
    torch.testing.assert_close(unit[0], unit[1])
    assert float((unit[0] - unit[2]).abs().max().detach()) > 1e-3


def test_categories_are_left_out_in_training_only():
    config = CONFIG | {"category_dropout": 0.5, "dropout": 0.0}
    encoder = build_encoder(config, seed=0)
    seen = []
    encoder.embeddings[0].register_forward_pre_hook(lambda _, codes: seen.append(codes[0]))
    numeric, categorical = covariates(400)
    missing = CONFIG["n_categories"][0]
    encoder(numeric, categorical)
    share = (seen[-1] == missing).double().mean()
    assert 0.4 < float(share) < 0.6
    kept = seen[-1] != missing
    assert torch.equal(seen[-1][kept], categorical[kept, 0])
    encoder.eval()(numeric, categorical)
    assert torch.equal(seen[-1], categorical[:, 0])


def test_sites_start_apart():
    encoder = build_encoder(CONFIG, seed=0)  # training: with the statistics of the batch
    unit = encoder(*covariates(200)).detach()
    assert float(unit.std(0).mean()) > 0.02, "the divisor T is not made up for"


def test_constant_encoder_ignores_covariates():
    encoder = build_encoder({"encoder": "constant", "n_outputs": 5})
    assert isinstance(encoder, ConstantEncoder)
    numeric, categorical = covariates(7)
    encoder.standardise(numeric)
    unit = encoder(numeric, categorical)
    assert unit.shape == (7, 5)
    torch.testing.assert_close(unit, torch.full((7, 5), 0.5))


@pytest.mark.parametrize("config", [CONFIG, {"encoder": "constant", "n_outputs": 5}])
def test_configuration_survives_json(config):
    encoder = build_encoder(config, seed=3)
    again = build_encoder(json.loads(json.dumps(encoder.config)), seed=4)
    again.load_state_dict(encoder.state_dict())
    assert again.config == encoder.config
    inputs = covariates(9)
    torch.testing.assert_close(encoder.eval()(*inputs), again.eval()(*inputs), rtol=0, atol=0)


def test_no_covariates_of_a_kind_is_fine():
    numeric, categorical = covariates(6)
    only_numeric = Encoder(3, (), 2).eval()
    assert only_numeric(numeric, categorical[:, :0]).shape == (6, 2)
    only_categorical = Encoder(0, (4, 2), 2).eval()
    assert only_categorical(numeric[:, :0], categorical).shape == (6, 2)


def test_seed_decides_the_weights_and_leaves_no_trace():
    before = torch.get_rng_state()
    first, second, third = (build_encoder(CONFIG, seed=s) for s in (5, 5, 6))
    fourth, fifth = build_encoder(CONFIG), build_encoder(CONFIG)
    assert torch.equal(torch.get_rng_state(), before)
    weight = "layers.0.weight"
    assert torch.equal(first.state_dict()[weight], second.state_dict()[weight])
    assert not torch.equal(first.state_dict()[weight], third.state_dict()[weight])
    assert not torch.equal(fourth.state_dict()[weight], fifth.state_dict()[weight])


def test_seeded_restores_the_state_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="negative dimension"), seeded(1):
        torch.rand(torch.randint(-3, 0, (1,)).item())
    assert torch.equal(torch.get_rng_state(), before)


def test_wrong_settings_are_refused():
    with pytest.raises(
        InputError, match=r"'transformer' is not known.*'mlp', 'linear', 'spline', 'cons"
    ):
        build_encoder({"encoder": "transformer"})
    with pytest.raises(InputError, match="no covariate to learn from"):
        Encoder(0, (), 5)
    with pytest.raises(InputError, match=r"below 1: dropout=1\.0, category_dropout=-0\.1"):
        Encoder(3, (), 5, dropout=1.0, category_dropout=-0.1)


def test_a_reach_that_leaves_nothing_is_refused():
    with pytest.raises(InputError, match=r"reach=0\.0 clips every covariate to one value"):
        Encoder(3, (), 5, reach=0.0)
