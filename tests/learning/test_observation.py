"""What samples see of a column."""

import pytest
import torch

from xbinn.constants import COLUMN_DEPTH, INTERFACE_DEPTH, LAYER_THICKNESS, N_LAYERS, NODE_DEPTH
from xbinn.errors import InputError
from xbinn.learning.observation import (
    layer_mean_weights,
    node_weights,
    observation_weights,
    observe,
)

DZ = torch.tensor(LAYER_THICKNESS[:N_LAYERS], dtype=torch.float64)


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def bedrock(*layers: int) -> torch.Tensor:
    return torch.tensor(layers)


def test_layer_mean_conserves_carbon_over_any_cut_of_the_column():
    edges = torch.cat([tensor(0.0), torch.rand(30).double().sort()[0] * 8.0, tensor(COLUMN_DEPTH)])
    soc = torch.rand(N_LAYERS, 1).double()
    weights, seen = layer_mean_weights(edges[:-1], edges[1:], None, "published")
    assert bool(seen.all())
    samples = observe(soc, weights, torch.zeros(31, dtype=torch.int64))
    torch.testing.assert_close((samples * edges.diff()).sum(), (soc[:, 0] * DZ).sum())


def test_layer_mean_of_a_layer_is_that_layer():
    top = tensor(0.0, *INTERFACE_DEPTH[: N_LAYERS - 1])
    bottom = tensor(*INTERFACE_DEPTH[:N_LAYERS])
    weights, _ = layer_mean_weights(top, bottom, None, "published")
    torch.testing.assert_close(weights, torch.eye(N_LAYERS, dtype=torch.float64))


def test_layer_mean_by_hand():
    # 0.05 to 0.30 m: 1 cm of layer 2, layers 3 and 4 whole, 10 cm of layer 5
    weights, _ = layer_mean_weights(tensor(0.05), tensor(0.30), None, "published")
    expected = torch.zeros(1, N_LAYERS, dtype=torch.float64)
    expected[0, 1:5] = tensor(0.01, 0.06, 0.08, 0.10) / 0.25
    torch.testing.assert_close(weights, expected)


@pytest.mark.parametrize("operator", [layer_mean_weights, node_weights])
def test_closed_bedrock_cuts_the_interval(operator):
    # bedrock under layer 4, at 0.20 m
    top, bottom = tensor(0.10, 0.10, 0.20, 0.25), tensor(0.20, 0.50, 0.30, 0.30)
    weights, seen = operator(top, bottom, bedrock(4, 4, 4, 4), "closed")
    assert seen.tolist() == [True, True, False, False]
    torch.testing.assert_close(weights[0], weights[1])
    torch.testing.assert_close(weights.sum(1), seen.double())
    assert float(weights[:, 4:].abs().max()) == 0.0


def test_more_layers_of_soil_than_the_column_has_is_the_column():
    top, bottom = tensor(7.0), tensor(20.0)
    many, _ = layer_mean_weights(top, bottom, bedrock(N_LAYERS + 3), "closed")
    all_of_it, _ = layer_mean_weights(top, bottom, bedrock(N_LAYERS), "closed")
    torch.testing.assert_close(many, all_of_it)


@pytest.mark.parametrize("operator", [layer_mean_weights, node_weights])
def test_samples_below_the_column_or_without_thickness_are_not_seen(operator):
    weights, seen = operator(tensor(8.6, 0.1, 0.3), tensor(9.0, 0.1, 0.2), None, "published")
    assert seen.tolist() == [False, False, False]
    assert float(weights.abs().max()) == 0.0


def test_node_weights_interpolate_linearly_and_end_flat():
    nodes = tensor(*NODE_DEPTH[:N_LAYERS])
    middle = tensor(0.005, 0.01, 0.025, 1.0, 8.03, 8.5)
    weights, seen = node_weights(middle - 1e-3, middle + 1e-3, None, "published")
    assert bool(seen.all())
    at = observe(nodes[:, None], weights, torch.zeros(6, dtype=torch.int64))
    torch.testing.assert_close(at, tensor(0.01, 0.01, 0.025, 1.0, 8.03, 8.03))


def test_node_weights_with_one_layer_of_soil():
    weights, seen = node_weights(tensor(0.0), tensor(1.0), bedrock(1), "closed")
    assert seen.tolist() == [True]
    assert weights[0].tolist() == [1.0] + [0.0] * (N_LAYERS - 1)


def test_observe_takes_each_sample_from_its_site_and_passes_gradients():
    soc = torch.tensor([[1.0, 10.0], [3.0, 30.0]], requires_grad=True)
    weights = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])
    samples = observe(soc, weights, torch.tensor([0, 1, 1]))
    assert samples.tolist() == [2.0, 10.0, 30.0]
    samples.sum().backward()
    assert soc.grad.tolist() == [[0.5, 1.0], [0.5, 1.0]]


def test_no_samples_is_fine():
    none = torch.zeros(0)
    for name in ("layer_mean", "node"):
        weights, seen = observation_weights(name, none, none, None, "published")
        assert weights.shape == (0, N_LAYERS)
        assert seen.shape == (0,)


def test_names_choose_the_operator():
    arguments = (tensor(0.1), tensor(0.4), None, "published")
    torch.testing.assert_close(
        observation_weights("layer_mean", *arguments).weights,
        layer_mean_weights(*arguments).weights,
    )
    torch.testing.assert_close(
        observation_weights("node", *arguments).weights, node_weights(*arguments).weights
    )


def test_wrong_settings_are_refused():
    interval = (tensor(0.1), tensor(0.4))
    with pytest.raises(InputError, match=r"'spline' is not known.*'layer_mean', 'node'"):
        observation_weights("spline", *interval, None, "published")
    with pytest.raises(InputError, match="'open' is not known"):
        layer_mean_weights(*interval, None, "open")
    with pytest.raises(InputError, match="needs nbedrock"):
        layer_mean_weights(*interval, None, "closed")
