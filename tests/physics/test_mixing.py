"""Active layer thresholds, ramps and the input profile."""

import math

import numpy as np
import pytest
import torch

from xbinn.constants import INTERFACE_DEPTH, N_LAYERS, NODE_DEPTH
from xbinn.physics.inputs import allocation
from xbinn.physics.mixing import closed_mixing, closed_shape

DIFFUS, CRYO = 1e-4, 5e-4
DTYPES = (torch.float32, torch.float64)


def upper(altmax, nbedrock=N_LAYERS, dtype=torch.float64, months=12):
    """Upper coefficients (layer) [day-1] of one column with the same active layer all year."""
    alt = torch.full((months, 1), altmax, dtype=torch.float64)
    shape = closed_shape(alt, torch.tensor([nbedrock]), dtype)
    return closed_mixing(shape, torch.tensor([DIFFUS]), torch.tensor([CRYO])).upper[:, 0]


def conductance(above, below, j):
    spacing = NODE_DEPTH[j] - NODE_DEPTH[j - 1]
    w = (NODE_DEPTH[j] - INTERFACE_DEPTH[j - 1]) / spacing
    return 1.0 / ((1.0 - w) / above + w / below) / spacing / 365.0


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_two_metres_is_still_cryoturbated(dtype):
    """The threshold belongs to the cold side, in float32 too."""
    at, beyond = upper(2.0, dtype=dtype), upper(math.nextafter(2.0, 3.0), dtype=dtype)
    thickness = 0.02
    assert float(at[0]) == pytest.approx(conductance(CRYO, CRYO, 1) / thickness, rel=1e-6)
    assert float(beyond[0]) == pytest.approx(conductance(DIFFUS, DIFFUS, 1) / thickness, rel=1e-6)
    assert float(at[-2]) == 0.0
    assert float(beyond[-2]) > 0.0


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("interface", [9, 10])
def test_an_interface_at_the_active_layer_is_not_above_it(dtype, interface):
    """1.2 and 1.52 m are interfaces: z < alt is strict, and there the ramp still is 1."""
    depth = INTERFACE_DEPTH[interface - 1]
    ramp = lambda z: 1.0 - (z - depth) / (3.0 - depth)  # noqa: E731
    at = upper(depth, dtype=dtype)
    expected = conductance(CRYO, CRYO * ramp(INTERFACE_DEPTH[interface]), interface)
    thickness = INTERFACE_DEPTH[interface - 1] - INTERFACE_DEPTH[interface - 2]
    assert float(at[interface - 1]) == pytest.approx(expected / thickness, rel=1e-6)


def test_ramp_ends_at_bedrock_or_three_metres():
    shallow = upper(0.5, nbedrock=9)
    assert bool((shallow[:8] > 0.0).all())
    assert not shallow[8:].any()
    deep = upper(0.5)
    below = torch.tensor([z >= 3.0 for z in INTERFACE_DEPTH[1 : N_LAYERS + 1]])
    assert not deep[below].any()
    assert bool((deep[~below][:-1] > 0.0).all())


@pytest.mark.parametrize("nbedrock", [5, 8])
def test_a_ramp_of_no_width_is_no_ramp(nbedrock):
    """Where min(3 m, z of nb + 1) is the active layer itself: no 0/0."""
    depth = INTERFACE_DEPTH[nbedrock]
    coefficients = upper(depth, nbedrock=nbedrock)
    assert bool(coefficients.isfinite().all())
    assert bool((coefficients[: nbedrock - 1] > 0.0).all())


def test_nothing_is_mixed_where_nothing_thaws():
    assert not upper(0.0).any()
    assert not upper(-1.0).any()


def test_months_are_averaged():
    alt = torch.tensor([8.6] * 3 + [0.0] * 9, dtype=torch.float64).unsqueeze(-1)
    shape = closed_shape(alt, torch.tensor([N_LAYERS]), torch.float64)
    mixing = closed_mixing(shape, torch.tensor([DIFFUS]), torch.tensor([CRYO]))
    torch.testing.assert_close(mixing.upper[:, 0], 0.25 * upper(8.6), rtol=1e-14, atol=0.0)


def test_closed_mixing_is_homogeneous_in_the_diffusivities():
    alt = torch.tensor([[0.8], [8.6]] * 6, dtype=torch.float64)
    shape = closed_shape(alt, torch.tensor([12]), torch.float64)
    diffus, cryo = torch.tensor([1e-4]).double(), torch.tensor([1e-3]).double()
    once, twice = closed_mixing(shape, diffus, cryo), closed_mixing(shape, 2 * diffus, 2 * cryo)
    assert torch.equal(twice.upper, 2.0 * once.upper)
    assert torch.equal(twice.lower, 2.0 * once.lower)


@pytest.mark.parametrize("layers", [1, 2, 7, 20])
@pytest.mark.parametrize("beta", [0.5, 0.95, 0.9999, 1.0 - 1e-9])
def test_allocation_sums_to_one_and_keeps_its_digits(beta, layers):
    fraction = allocation(
        torch.tensor([beta], dtype=torch.float64),
        torch.tensor([layers]),
        torch.tensor([True]),
    )[:, 0].numpy()
    assert fraction.sum() == pytest.approx(1.0, rel=1e-14)
    assert not fraction[layers:].any()
    rate = 100.0 * math.log(beta)
    top = np.array((0.0, *INTERFACE_DEPTH[: layers - 1]))
    thickness = np.array(INTERFACE_DEPTH[:layers]) - top
    expected = np.exp(rate * top) * -np.expm1(rate * thickness)
    expected /= -math.expm1(rate * INTERFACE_DEPTH[layers - 1])
    np.testing.assert_allclose(fraction[:layers], expected, rtol=1e-12)


def test_all_input_enters_the_surface_of_soil_that_never_thawed():
    fraction = allocation(torch.tensor([0.9]), torch.tensor([10]), torch.tensor([False]))
    assert fraction[:, 0].tolist() == [1.0] + [0.0] * (N_LAYERS - 1)
