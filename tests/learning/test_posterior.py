"""Dropout masks: alike for all sites, different between samples, layers and seeds."""

import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xbinn.learning.encoders import build_encoder
from xbinn.learning.posterior import drawing, has_dropout, sample_dropout

WIDTH = 2000
SHARE = 0.3


@pytest.fixture
def network() -> nn.Module:
    layers = nn.Sequential(nn.Dropout(SHARE), nn.Sequential(nn.Identity(), nn.Dropout(SHARE)))
    return sample_dropout(layers).eval()


def masks(network: nn.Module, seed: int, sample: int, n: int = 3) -> Tensor:
    with drawing(seed, sample):
        return network[0](torch.ones(n, WIDTH))


def test_a_mask_is_the_same_for_all_sites_and_keeps_the_mean(network: nn.Module) -> None:
    drawn = masks(network, 0, 0)
    assert torch.equal(drawn, drawn[:1].expand_as(drawn))
    assert drawn[0].unique().tolist() == [0.0, pytest.approx(1.0 / (1.0 - SHARE))]
    left_out = float((drawn[0] == 0.0).double().mean())
    # Three standard errors of a share of 0.3 of 2000.
    assert left_out == pytest.approx(SHARE, abs=3 * (0.3 * 0.7 / WIDTH) ** 0.5)


def test_a_mask_follows_from_seed_sample_and_layer_alone(network: nn.Module) -> None:
    first = masks(network, 0, 0)
    others = [masks(network, 0, 1), masks(network, 1, 0)]
    with drawing(0, 0):
        others.append(network[1](torch.ones(3, WIDTH)))
    assert all(not torch.equal(first, other) for other in others)
    torch.rand(7)  # torch's own random numbers play no part
    assert torch.equal(first, masks(network, 0, 0))
    assert torch.equal(first[:1], masks(network, 0, 0, n=1))


def test_outside_of_a_sample_evaluation_leaves_nothing_out(network: nn.Module) -> None:
    values = torch.ones(2, WIDTH)
    with drawing(0, 0):
        pass
    assert torch.equal(network(values), values)
    with pytest.raises(ZeroDivisionError), drawing(0, 0):
        raise ZeroDivisionError
    assert torch.equal(network(values), values)


def test_training_draws_anew_for_every_site(network: nn.Module) -> None:
    network.train()
    with drawing(0, 0):
        drawn = network[0](torch.ones(2, WIDTH))
    assert not torch.equal(drawn[0], drawn[1])


def test_threads_draw_their_own_samples(network: nn.Module) -> None:
    both = threading.Barrier(2, timeout=60)
    found: dict[int, Tensor] = {}

    def draw(sample: int) -> None:
        with drawing(0, sample):
            both.wait()
            found[sample] = network[0](torch.ones(1, WIDTH))
            both.wait()

    threads = [threading.Thread(target=draw, args=(sample,)) for sample in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for sample in range(2):
        assert torch.equal(found[sample], masks(network, 0, sample, n=1))


def test_a_mask_from_inference_serves_where_gradients_are_taken(network: nn.Module) -> None:
    with torch.inference_mode():
        drawn = masks(network, 3, 4)
    values = torch.ones(1, WIDTH, requires_grad=True)
    with drawing(3, 4):
        network[0](values).sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, drawn[:1])


def test_what_is_begun_serves_all_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    numeric = torch.randn(5, 3, generator=generator)
    categorical = torch.randint(0, 3, (5, 2), generator=generator)
    shape = {"n_numeric": 3, "n_categories": [4, 2], "n_outputs": 5}
    configs: list[dict[str, Any]] = [{"encoder": "constant", "n_outputs": 5}]
    configs += [{"encoder": name, **shape} for name in ("mlp", "linear", "spline", "plain")]
    configs += [{"encoder": "mlp", **shape, "hidden": []}]
    for config in configs:
        encoder = sample_dropout(build_encoder(config, seed=0)).eval()
        begun = encoder.begin(numeric, categorical)
        for sample in range(3):
            with drawing(0, sample):
                assert torch.equal(encoder.begin(numeric, categorical), begun), config
                assert torch.equal(encoder.finish(begun), encoder(numeric, categorical)), config


def test_a_hidden_layer_is_begun_before_its_dropout() -> None:
    config = {
        "encoder": "mlp",
        "n_numeric": 3,
        "n_categories": [],
        "n_outputs": 5,
        "hidden": [9, 8],
    }
    encoder = build_encoder(config, seed=0).eval()
    assert encoder.begin(torch.ones(2, 3), torch.ones(2, 0, dtype=torch.int64)).shape == (2, 9)


def test_weights_keep_their_names() -> None:
    layers = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.Linear(3, 1))
    names = list(layers.state_dict())
    assert list(sample_dropout(layers).state_dict()) == names


def test_has_dropout() -> None:
    assert has_dropout(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)))
    assert not has_dropout(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.0)))
