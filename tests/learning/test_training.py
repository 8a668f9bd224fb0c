"""Training, shown on a process model of two layers that is solved by hand."""

from dataclasses import dataclass, replace

import pytest
import torch

from xbinn.errors import InputError, TrainingError
from xbinn.learning.data import TrainingData
from xbinn.learning.encoders import build_encoder
from xbinn.learning.losses import log_smooth_l1
from xbinn.learning.model import BINN
from xbinn.learning.training import (
    History,
    TrainingOptions,
    modelled_samples,
    train,
)


@dataclass(frozen=True)
class Rate:
    name: str
    priors: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Supply:
    supply: torch.Tensor  # (n,) [g m-3 yr-1]

    def select(self, index):
        return Supply(self.supply.index_select(-1, index))


@dataclass(frozen=True)
class TwoLayers:
    @dataclass(frozen=True)
    class State:
        soc: torch.Tensor

    parameters: tuple[Rate, ...] = (
        Rate("turnover", {"wide": (1.0, 100.0)}),
        Rate("decline", {"wide": (0.05, 1.0)}),
    )

    def steady_state(self, parameters, forcing):
        turnover, decline = parameters
        upper = forcing.supply * turnover
        return self.State(torch.stack([upper, decline * upper]))


def truth(numeric: torch.Tensor) -> torch.Tensor:
    """Parameters (parameter, n) as functions of the covariates."""
    return torch.stack([30.0 + 20.0 * torch.tanh(numeric[:, 0]), 0.5 + 0.3 * numeric[:, 1].sin()])


def make_data(n_sites: int, seed: int = 0, noise: float = 0.0) -> TrainingData[Supply]:
    generator = torch.Generator().manual_seed(seed)
    numeric = torch.randn(n_sites, 3, generator=generator)
    categorical = torch.randint(0, 3, (n_sites, 1), generator=generator)
    forcing = Supply(200.0 + 300.0 * torch.rand(n_sites, generator=generator))
    count = torch.randint(1, 4, (n_sites,), generator=generator)
    site = torch.repeat_interleave(torch.arange(n_sites), count)
    site = site[torch.randperm(len(site), generator=generator)]  # in no order
    share = torch.rand(len(site), generator=generator)
    weights = torch.stack([share, 1.0 - share], dim=1)
    soc = TwoLayers().steady_state(truth(numeric), forcing).soc * 1e-3
    observed = (weights * soc[:, site].T).sum(1)
    observed = observed * torch.exp(noise * torch.randn(len(site), generator=generator))
    return TrainingData(numeric, categorical, forcing, site, weights, observed)


def make_model(seed: int = 0, encoder: str = "mlp", dropout: float = 0.0) -> BINN:
    config = {"encoder": encoder, "n_outputs": 2}
    if encoder == "mlp":
        config |= {"n_numeric": 3, "n_categories": [3], "hidden": (32,), "dropout": dropout}
    return BINN(build_encoder(config, seed=seed), TwoLayers(), prior="wide")


QUICK = TrainingOptions(epochs=4, batch_size=32, seed=0)


def test_training_finds_the_parameters_behind_the_samples():
    model, data = make_model(), make_data(600)
    options = TrainingOptions(epochs=60, batch_size=64, learning_rate=2e-2, seed=0)
    history = train(model, data, make_data(200, seed=1), options)
    assert history.training_loss[-1] < 0.1 * history.training_loss[0]
    assert history.validation_r2[history.best_epoch] > 0.95
    unseen = make_data(200, seed=2)
    estimate = model(unseen.numeric, unseen.categorical, unseen.forcing)
    expected = truth(unseen.numeric)
    for found, wanted in zip(estimate.parameters.detach(), expected, strict=True):
        assert float(torch.corrcoef(torch.stack([found, wanted]))[0, 1]) > 0.9


def test_the_penalty_brings_back_what_a_hard_sigmoid_holds_no_more():
    # u = 10 is beyond the bend: no loss reaches it, and weight decay is off.
    encoder = build_encoder({"encoder": "constant", "n_outputs": 2, "constraint": "hard_sigmoid"})
    with torch.no_grad():
        encoder.vector.fill_(1.0)
    options = TrainingOptions(
        epochs=60, learning_rate=0.05, weight_decay=0.0, averaging=0.0, seed=0
    )
    train(BINN(encoder, TwoLayers(), prior="wide"), make_data(300), options=options)
    assert float(encoder.vector.detach().abs().max()) < 0.3 + 1e-3


def test_history_has_one_entry_per_epoch_and_progress_is_called_for_each():
    calls = []
    history = train(
        make_model(),
        make_data(80),
        make_data(20, seed=1),
        QUICK,
        progress=lambda done, so_far: calls.append((done, len(so_far.training_loss))),
    )
    assert calls == [(1, 1), (2, 2), (3, 3), (4, 4)]
    for name in (
        "training_loss",
        "regularization",
        "validation_loss",
        "validation_r2",
        "validation_log_r2",
        "learning_rate",
    ):
        assert len(getattr(history, name)) == 4
    assert history.learning_rate == sorted(history.learning_rate, reverse=True)


def test_the_weights_of_the_best_epoch_are_kept():
    model, validation = make_model(), make_data(40, seed=1, noise=1.0)
    options = TrainingOptions(epochs=40, patience=3, batch_size=32, learning_rate=0.05, seed=0)
    history = train(model, make_data(40, noise=1.0), validation, options)
    losses = history.validation_loss
    assert len(losses) < 40, "was to stop early on noise"
    assert history.best_epoch == losses.index(min(losses)) == len(losses) - 1 - 3
    assert not model.training
    again = log_smooth_l1(modelled_samples(model, validation), validation.observed).mean()
    assert float(again) == pytest.approx(min(losses), rel=1e-5)


def test_without_validation_every_epoch_runs_and_the_last_is_kept():
    history = train(make_model(), make_data(80), options=QUICK)
    assert len(history.training_loss) == 4
    assert history.validation_loss == []
    assert history.best_epoch == 3


def test_seed_decides_everything_and_leaves_no_trace():
    def weights(seed, disturb):
        torch.manual_seed(disturb)
        model = make_model(dropout=0.3)
        before = torch.get_rng_state()
        train(model, make_data(80), make_data(20, seed=1), replace(QUICK, seed=seed))
        assert torch.equal(torch.get_rng_state(), before)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(weights(1, disturb=10), weights(1, disturb=11))
    assert not torch.equal(weights(1, disturb=10), weights(2, disturb=10))
    assert not torch.equal(weights(None, disturb=10), weights(None, disturb=10))


def test_float64_and_the_constant_encoder_train_too():
    data = make_data(60)
    data = TrainingData(
        data.numeric.double(),
        data.categorical,
        Supply(data.forcing.supply.double()),
        data.site,
        data.weights.double(),
        data.observed.double(),
    )
    history = train(make_model(encoder="constant").double(), data, options=QUICK)
    assert history.training_loss[-1] < history.training_loss[0]


def test_select_takes_sites_with_all_their_samples():
    data = replace_weights(make_data(50), None)
    sites = torch.tensor([7, 3, 49])
    part = data.select(sites)
    assert part.n_sites == 3
    torch.testing.assert_close(part.forcing.supply, data.forcing.supply[sites])
    assert part.sample_weights is None
    for new, old in enumerate(sites):
        chosen = data.site == old
        torch.testing.assert_close(part.observed[part.site == new], data.observed[chosen])
        torch.testing.assert_close(part.weights[part.site == new], data.weights[chosen])


def replace_weights(data, sample_weights):
    return TrainingData(
        data.numeric,
        data.categorical,
        data.forcing,
        data.site,
        data.weights,
        data.observed,
        sample_weights,
    )


def test_a_sample_that_weighs_nothing_has_no_say():
    data = make_data(40)
    counts = torch.ones(len(data.observed))
    counts[5] = 0.0
    spoilt = data.observed.clone()
    spoilt[5] = 1e4
    losses = []
    for observed in (data.observed, spoilt):
        weighted = replace_weights(replace_observed(data, observed), counts)
        history = train(make_model(), weighted, weighted, QUICK)
        losses.append((history.training_loss, history.validation_loss))
    assert losses[0] == losses[1]


def replace_observed(data, observed):
    return TrainingData(
        data.numeric, data.categorical, data.forcing, data.site, data.weights, observed
    )


def test_modelled_samples_do_not_depend_on_the_parts_they_are_computed_in(monkeypatch):
    model, data = make_model(dropout=0.5), make_data(50)
    whole = modelled_samples(model, data)
    assert model.training, "the mode is put back"
    monkeypatch.setattr("xbinn.learning.training._EVALUATION_BATCH", 7)
    torch.testing.assert_close(modelled_samples(model, data), whole)


def test_batches_of_one_site_never_happen():
    # 33 sites in batches of 32 would leave one alone, which batch norm cannot take
    history = train(make_model(), make_data(33), options=QUICK)
    assert len(history.training_loss) == 4
    train(make_model(), make_data(2), options=replace(QUICK, batch_size=2))


def test_kept_weights_are_the_running_mean_of_the_epochs():
    def vectors(averaging, epochs):
        seen = []
        model = make_model(encoder="constant")
        options = replace(QUICK, averaging=averaging, epochs=epochs)
        train(
            model,
            make_data(80),
            options=options,
            progress=lambda *_: seen.append(model.encoder.vector.detach().clone()),
        )
        return seen, model.encoder.vector.detach()

    seen, kept = vectors(0.0, epochs=4)
    torch.testing.assert_close(kept, seen[-1], rtol=0, atol=0)
    # 0.5 of the past from the second epoch on: 1/8, 1/8, 1/4, 1/2
    seen, kept = vectors(0.5, epochs=4)
    expected = (seen[0] + seen[1] + 2.0 * seen[2] + 4.0 * seen[3]) / 8.0
    torch.testing.assert_close(kept, expected)


def test_non_finite_validation_is_named_as_such():
    validation = make_data(10)
    validation.observed[validation.site == 2] = torch.nan
    with pytest.raises(TrainingError, match=r"epoch 1, validation: .*observations at sites 2:"):
        train(make_model(), make_data(30), validation, QUICK)


def test_no_finite_soc_names_batch_sites_and_cause():
    data = make_data(30)
    data.forcing.supply[4] = torch.nan
    with pytest.raises(TrainingError, match=r"epoch 1, batch 1: .* at sites 4: .*steady state"):
        train(make_model(), data, options=QUICK)


def test_missing_covariates_are_named():
    data = make_data(30)
    data.numeric[:, 0] = torch.nan
    with pytest.raises(TrainingError, match=r"non-finite covariates at sites .* and 25 more"):
        train(make_model(), data, options=QUICK)


def test_missing_observations_are_named():
    data = make_data(30)
    data.observed[data.site == 8] = torch.nan
    with pytest.raises(TrainingError, match="non-finite observations at sites 8: leave"):
        train(make_model(), data, options=QUICK)


def test_non_finite_encoder_outputs_are_named():
    model = make_model()
    with torch.no_grad():
        model.encoder.layers[-1].bias.fill_(torch.nan)
    with pytest.raises(TrainingError, match=r"non-finite encoder outputs.*lower learning_rate"):
        train(model, make_data(10), options=QUICK)


def test_other_non_finite_losses_are_not_blamed_on_sites():
    data = make_data(10)
    data = replace_weights(data, torch.zeros(len(data.observed)))
    with pytest.raises(TrainingError, match=r"all samples are.*sample_weights"):
        train(make_model(), data, options=QUICK)


def test_non_finite_gradient_is_an_error_of_its_own():
    model = make_model(encoder="constant")
    model.encoder.vector.register_hook(lambda gradient: gradient * torch.nan)
    with pytest.raises(TrainingError, match=r"gradient is not finite.*regularization"):
        train(model, make_data(10), options=QUICK)


def test_one_site_is_not_enough():
    with pytest.raises(InputError, match="at least 2 sites, got 1"):
        train(make_model(), make_data(1), options=QUICK)


def test_parts_that_do_not_fit_are_refused():
    data = make_data(10)
    n = len(data.site)
    with pytest.raises(InputError, match=rf"weights has {n - 1}.*observed has {n - 2}.*sample_w"):
        TrainingData(
            data.numeric,
            data.categorical,
            data.forcing,
            data.site,
            data.weights[1:],
            data.observed[2:],
            data.observed[2:],
        )
    with pytest.raises(InputError, match="sites 0 to 8 only"):
        TrainingData(
            data.numeric[:9],
            data.categorical[:9],
            data.forcing,
            data.site,
            data.weights,
            data.observed,
        )
    with pytest.raises(InputError, match=r"1 of 10 sites have no sample \(6\)"):
        TrainingData(
            data.numeric,
            data.categorical,
            data.forcing,
            torch.where(data.site == 6, 5, data.site),
            data.weights,
            data.observed,
        )


def test_options_out_of_range_are_named_all_at_once():
    with pytest.raises(InputError, match=r"epochs=0 .*batch_size=1 .*clip=0"):
        TrainingOptions(epochs=0, batch_size=1, clip=0.0)
    with pytest.raises(InputError, match="'mse' is not known"):
        TrainingOptions(loss="mse")


def test_history_starts_empty():
    assert History().training_loss == []
    assert History().best_epoch == -1
