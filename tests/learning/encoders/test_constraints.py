"""The way into the unit interval, and the way back from its ends."""

import pytest
import torch

from xbinn.errors import InputError
from xbinn.learning.encoders import ENCODERS, build_encoder
from xbinn.learning.encoders.constraints import CONSTRAINTS, HardSigmoidConstraint, build_constraint

SIZES = {"n_numeric": 3, "n_categories": [4, 2], "n_outputs": 5}


def config(encoder: str, constraint: str) -> dict:
    sizes = {"n_outputs": 5} if encoder == "constant" else SIZES
    return {"encoder": encoder, "constraint": constraint, **sizes}


def test_hard_sigmoid_is_the_published_line():
    u = torch.linspace(-3.0, 3.0, 13, dtype=torch.float64)
    # The margin of 1e-6 at both ends is ours.
    torch.testing.assert_close(HardSigmoidConstraint()(u), u / 6.0 + 0.5, rtol=0.0, atol=1.1e-6)
    far = HardSigmoidConstraint()(torch.tensor([-1e9, 1e9]))
    assert 0.0 < float(far[0]) < 1e-5
    assert 1.0 - 1e-5 < float(far[1]) < 1.0


def test_hard_sigmoid_penalises_what_is_beyond_the_bends():
    u = torch.tensor([[-5.0, -2.9], [1.0, 3.5]], requires_grad=True)
    penalty = HardSigmoidConstraint().penalty(u)
    assert float(penalty.detach()) == pytest.approx((2.0 + 0.5) / 4)
    penalty.backward()
    assert u.grad.tolist() == [[-0.25, 0.0], [0.0, 0.25]]
    assert bool((HardSigmoidConstraint()(u).detach() > 0.0).all())


@pytest.mark.parametrize("name", sorted(CONSTRAINTS))
def test_gain_gives_the_slope_of_a_plain_sigmoid(name):
    constraint = build_constraint(name).double()
    u = torch.zeros((), dtype=torch.float64, requires_grad=True)
    constraint(constraint.gain * u).backward()
    assert float(u.grad) == pytest.approx(0.25, rel=1e-5)


@pytest.mark.parametrize("constraint", sorted(CONSTRAINTS))
@pytest.mark.parametrize("encoder", sorted(ENCODERS))
def test_every_encoder_starts_alive_and_inside(encoder, constraint):
    network = build_encoder(config(encoder, constraint), seed=0)
    numeric = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    categorical = torch.randint(0, 3, (300, 2), generator=torch.Generator().manual_seed(0))
    unit, penalty = network.penalised(numeric, categorical)
    assert unit.shape == (300, 5)
    assert float(penalty.detach()) >= 0.0
    # Hardly an output begins where a hard sigmoid has no slope.
    assert float(((unit > 0.001) & (unit < 0.999)).double().mean()) > 0.99
    if encoder != "constant":
        assert float(unit.detach().std(0).mean()) > 0.02
    (unit.sum() + penalty).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert bool(torch.isfinite(weight.grad).all()), name


def test_outputs_stay_inside_whatever_the_weights():
    network = build_encoder(config("linear", "hard_sigmoid"), seed=0).eval()
    with torch.no_grad():
        network.layers.weight.mul_(1e6)
    unit = network(torch.randn(50, 3), torch.zeros(50, 2, dtype=torch.int64))
    assert bool(((unit > 0.0) & (unit < 1.0)).all())


def test_an_unknown_constraint_is_refused():
    with pytest.raises(InputError, match=r"'soft' is not known.*'sigmoid', 'hard_sigmoid'"):
        build_constraint("soft")
    with pytest.raises(InputError, match="constraint 'soft' is not known"):
        build_encoder(config("constant", "soft"))
