"""The join of encoder and process model, with a process model that is not soil."""

from dataclasses import dataclass

import pytest
import torch

from xbinn.errors import ParameterError
from xbinn.learning.encoders import ConstantEncoder, build_encoder
from xbinn.learning.model import BINN


@dataclass(frozen=True)
class Rate:
    name: str
    priors: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Supply:
    supply: torch.Tensor  # (n,)

    def select(self, index):
        return Supply(self.supply[index])


@dataclass(frozen=True)
class Level:
    soc: torch.Tensor


@dataclass(frozen=True)
class Reservoir:
    """One layer: what comes in over how fast it goes out."""

    parameters: tuple[Rate, ...] = (
        Rate("rate", {"narrow": (1.0, 2.0), "wide": (0.5, 10.0)}),
        Rate("gain", {"narrow": (0.0, 4.0)}),
    )

    def steady_state(self, parameters, forcing):
        rate, gain = parameters
        return Level((gain * forcing.supply / rate)[None])


def test_forward_maps_unit_interval_to_prior_and_runs_the_process_model():
    model = BINN(ConstantEncoder(2), Reservoir(), prior="narrow")
    forcing = Supply(torch.tensor([1000.0, 2000.0, 3000.0]))
    estimate = model(torch.zeros(3, 0), torch.zeros(3, 0, dtype=torch.int64), forcing)
    torch.testing.assert_close(estimate.unit, torch.full((3, 2), 0.5))
    torch.testing.assert_close(
        estimate.parameters, torch.tensor([[1.5] * 3, [2.0] * 3], dtype=torch.float64)
    )
    torch.testing.assert_close(
        estimate.soc, torch.tensor([[2.0, 4.0, 6.0]], dtype=torch.float64) / 1.5
    )


def test_gradients_reach_the_encoder():
    config = {"encoder": "mlp", "n_numeric": 2, "n_categories": [3], "n_outputs": 2}
    model = BINN(build_encoder(config, seed=0), Reservoir(), prior="narrow")
    estimate = model(torch.randn(6, 2), torch.arange(6)[:, None] % 4, Supply(torch.ones(6)))
    estimate.soc.sum().backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None]
    assert missing == []


def test_physical_reaches_both_bounds():
    model = BINN(ConstantEncoder(2), Reservoir(), prior="narrow")
    ends = model.physical(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    assert ends.is_contiguous()
    assert ends.tolist() == [[1.0, 2.0], [0.0, 4.0]]


def test_bounds_follow_dtype_and_stay_out_of_the_state():
    model = BINN(ConstantEncoder(2), Reservoir(), prior="narrow").double()
    assert model.lower.dtype == torch.float64
    assert sorted(model.state_dict()) == ["encoder.vector"]


def test_unknown_prior_is_refused_with_the_known_ones():
    with pytest.raises(ParameterError, match=r"'wide' is not known to gain.*'narrow'"):
        BINN(ConstantEncoder(2), Reservoir(), prior="wide")


def test_wrong_number_of_outputs_is_refused():
    with pytest.raises(ParameterError, match=r"3 outputs .* 2 parameters.*n_outputs=2"):
        BINN(ConstantEncoder(3), Reservoir(), prior="narrow")
