"""Any module of torch as an encoder."""

import pytest
import torch
from torch import nn

from xbinn.errors import InputError
from xbinn.learning.encoders import ModuleEncoder, build_encoder

SIZES = {"n_numeric": 3, "n_categories": [4, 2], "n_outputs": 5}
FEATURES = 3 + 2 * 5
CONFIG = {"encoder": "module", **SIZES}


class Stateful(nn.Linear):
    def get_extra_state(self) -> dict:
        return {"a": 1}

    def set_extra_state(self, state: dict) -> None:
        pass


def inputs(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(n, 3), torch.zeros(n, 2, dtype=torch.int64)


def test_the_module_says_u_and_is_copied():
    module = nn.Linear(FEATURES, 5)
    encoder = build_encoder(CONFIG | {"constraint": "hard_sigmoid"}, module=module)
    assert isinstance(encoder, ModuleEncoder)
    assert encoder.layers is not module
    encoder.eval()
    numeric, codes = inputs()
    u = module(encoder.features(numeric, codes))
    torch.testing.assert_close(encoder(numeric, codes), u / 6.0 + 0.5, atol=1e-5, rtol=0.0)
    with torch.no_grad():
        encoder.layers.weight.zero_()
    assert float(module.weight.detach().abs().max()) > 0.0
    assert encoder.config["module"] == "torch.nn.modules.linear.Linear"


def test_lazy_layers_find_their_sizes_from_the_seed():
    module = nn.Sequential(nn.LazyLinear(8), nn.BatchNorm1d(8), nn.ReLU(), nn.LazyLinear(5))
    first, second = (build_encoder(CONFIG, module=module, seed=3) for _ in range(2))
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])
    assert first.layers.training
    assert nn.parameter.is_lazy(module[0].weight)
    assert first(*inputs()).shape == (6, 5)


class Broken(nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.missing(features)


def test_double_precision_is_brought_to_that_of_the_fit():
    encoder = build_encoder(CONFIG, module=nn.Linear(FEATURES, 5).double())
    assert encoder(*inputs()).dtype == torch.float32


@pytest.mark.parametrize(
    ("module", "match"),
    [
        (nn.Linear(4, 5), r"must map \(n, 13\) to \(n, 5\).*RuntimeError.*LazyLinear"),
        (nn.Linear(FEATURES, 4), r"must map \(n, 13\) to \(n, 5\) and gave \(2, 4\)"),
        (nn.LSTM(FEATURES, 5), r"gave tuple for n = 2"),
        (Broken(), r"failed at it \(AttributeError: .*'missing'"),
        (nn.Bilinear(FEATURES, 1, 5), r"failed at it \(TypeError"),
        (nn.LazyBatchNorm1d(), r"LazyBatchNorm1d cannot be copied \(ValueError.*give its sizes"),
        (Stateful(FEATURES, 5), r"Stateful keeps _extra_state in its state, which is no tensor"),
    ],
)
def test_a_module_that_does_not_fit_is_refused(module, match):
    with pytest.raises(InputError, match=match):
        build_encoder(CONFIG, module=module)


def test_a_module_goes_with_its_name_only():
    with pytest.raises(InputError, match="'module' needs module"):
        build_encoder(CONFIG)
    with pytest.raises(InputError, match="'linear' takes no module"):
        build_encoder({"encoder": "linear", **SIZES}, module=nn.Linear(FEATURES, 5))
