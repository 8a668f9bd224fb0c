"""The spline encoder holds the functions it should, and its penalties ask for what they should."""

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from xbinn.learning.encoders import SplineEncoder, build_encoder
from xbinn.learning.encoders.spline import (
    SMOOTHNESS,
    SPARSITY,
    SplineLayer,
    centres,
    cubic_basis,
)

REACH, INTERVALS = 2.0, 5
SPLINES = INTERVALS + 3
CONFIG = {"encoder": "spline", "n_numeric": 3, "n_categories": [4, 2], "n_outputs": 5}


def layer(n_numeric: int = 3, n_categorical: int = 0, n_outputs: int = 2) -> SplineLayer:
    made = SplineLayer(n_numeric, n_categorical, n_outputs, reach=REACH, intervals=INTERVALS)
    return made.double()


def points(n: int = 400, columns: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(n, columns, generator=generator, dtype=torch.float64) - 0.5) * 2.0 * REACH


def solve(made: SplineLayer, x: torch.Tensor, wanted: torch.Tensor) -> None:
    """Set the coefficients by least squares; constants are shared among covariates."""
    basis = cubic_basis(x, REACH, INTERVALS).flatten(1).numpy()
    found, *_ = np.linalg.lstsq(basis, wanted.numpy(), rcond=None)
    with torch.no_grad():
        made.coefficients.copy_(torch.from_numpy(found).unflatten(0, (x.shape[1], SPLINES)))
        made.bias.zero_()


def test_the_basis_is_that_of_scipy():
    x = torch.linspace(-REACH, REACH, 201, dtype=torch.float64)
    step = 2.0 * REACH / INTERVALS
    knots = step * np.arange(-3, INTERVALS + 4) - REACH
    expected = BSpline.design_matrix(x.numpy()[:-1], knots, 3).toarray()
    basis = cubic_basis(x, REACH, INTERVALS)
    np.testing.assert_allclose(basis[:-1], expected, atol=1e-14)
    torch.testing.assert_close(basis.sum(-1), torch.ones(201, dtype=torch.float64))


def test_a_sum_of_cubic_splines_is_met():
    x = points()
    truth = layer()
    with torch.no_grad():
        truth.coefficients.normal_(generator=torch.Generator().manual_seed(1))
        truth.bias.copy_(torch.tensor([3.0, -1.0]))
        wanted = truth(x)
        fitted = layer()
        solve(fitted, x, wanted)
        new = points(1000)
        assert float((fitted(new) - truth(new)).abs().max()) < 1e-6
        # Function by function, too, but for a constant.
        ours, theirs = fitted.contributions(new), truth.contributions(new)
        torch.testing.assert_close(ours - ours.mean(0), theirs - theirs.mean(0), atol=1e-6, rtol=0)


def test_straight_lines_and_cubics_are_exact():
    x = points()
    slopes = torch.tensor([[1.5, -0.2], [0.0, 3.0], [-2.0, 0.7]], dtype=torch.float64)
    made = layer()
    with torch.no_grad():
        made.coefficients.copy_(slopes[:, None] * centres(REACH, INTERVALS)[:, None])
        made.bias.zero_()
        torch.testing.assert_close(made(x), x @ slopes, rtol=0.0, atol=1e-13)
        cubic = (x**3 - 2.0 * x**2 + x).sum(1, keepdim=True).expand(-1, 2)
        solve(made, x, cubic)
        torch.testing.assert_close(made(x), cubic, rtol=0.0, atol=1e-10)


def test_it_starts_as_straight_lines():
    made = layer()
    assert float(made.coefficients.detach().diff(n=2, dim=1).abs().max()) < 1e-6  # float32
    assert float(made.coefficients.detach().diff(dim=1).abs().min()) > 0.0


def test_outputs_are_sums_of_contributions():
    made = layer(3, 2)
    features = torch.cat([points(50), torch.randn(50, 10, dtype=torch.float64)], dim=1)
    parts = made.contributions(features)
    assert parts.shape == (50, 5, 2)
    torch.testing.assert_close(parts.sum(1) + made.bias, made(features))


def test_what_is_learnt_of_one_covariate_does_not_depend_on_the_others():
    encoder = build_encoder(CONFIG, seed=0).double().eval()
    none = torch.zeros(2, 2, dtype=torch.int64)

    def change(others: float) -> torch.Tensor:
        x = torch.tensor([[0.5, others, others], [-1.0, others, others]], dtype=torch.float64)
        u = encoder.layers(encoder.features(x, none))
        return u[0] - u[1]

    torch.testing.assert_close(change(0.0), change(1.7))


def test_magnitude_and_entropy_ask_for_few_covariates():
    x = points()
    made = layer(3, 0, 1)

    def sparsity(sizes: list[float]) -> float:
        with torch.no_grad():
            line = centres(REACH, INTERVALS)[:, None]
            made.coefficients.copy_(torch.tensor(sizes)[:, None, None] * line)
        return float(made.penalty(x).detach()) / SPARSITY

    # |x| uniform on [0, 2] has mean 1; one covariate alone has no entropy.
    assert sparsity([1.0, 0.0, 0.0]) == pytest.approx(1.0, rel=0.05)
    assert sparsity([1 / 3, 1 / 3, 1 / 3]) == pytest.approx(1.0 + np.log(3.0), rel=0.05)
    assert np.isfinite(sparsity([0.0, 0.0, 0.0]))


def test_roughness_is_the_second_difference():
    made = layer(1, 0, 1)
    zero = torch.zeros(4, 1, dtype=torch.float64)  # one place: no magnitude
    with torch.no_grad():
        made.coefficients.copy_(torch.arange(SPLINES, dtype=torch.float64)[None, :, None] ** 2)
    assert float(made.penalty(zero).detach()) == pytest.approx(2.0 * SMOOTHNESS)


def test_a_constant_covariate_has_no_magnitude():
    made = layer(1, 0, 1)
    with torch.no_grad():
        made.coefficients.fill_(5.0)
    assert float(made.penalty(points(20, 1)).detach()) == pytest.approx(0.0, abs=1e-9)


def test_functions_are_in_units_of_the_covariates():
    encoder = build_encoder(CONFIG, seed=0).double()
    assert isinstance(encoder, SplineEncoder)
    # Far outliers on both sides in all but the last: clipped there, and the range as it is here.
    z = torch.randn(400, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z[:, 2] = z[:, 2].clamp(min=-0.5)
    numeric = z * torch.tensor([1.0, 300.0, 1e-3]) + 7.0
    encoder.standardise(numeric)
    x, u = encoder.functions(11)
    assert x.shape == (3, 11)
    assert u.shape == (3, 11, 5)
    torch.testing.assert_close(x[:2, 5], encoder.mean[:2])
    torch.testing.assert_close(x[:, -1], encoder.mean + REACH * encoder.scale)
    torch.testing.assert_close(x[2, 0], numeric[:, 2].min())
    # What it says of two sites that differ in one covariate.
    sites = encoder.mean.repeat(2, 1)
    sites[:, 1] = x[1, [2, 9]]
    none = torch.zeros(2, 2, dtype=torch.int64)
    raw = encoder.eval().layers(encoder.features(sites, none)).detach() * encoder.gain
    torch.testing.assert_close(raw[1] - raw[0], u[1, 9] - u[1, 2])


def test_class_effects_are_those_of_sites():
    encoder = build_encoder(CONFIG, seed=0).double().eval()
    effects = encoder.class_effects(0)
    assert effects.shape == (5, 5)
    assert float(effects[-1].abs().max()) == 0.0
    codes = torch.tensor([[2, 0], [4, 0]])
    raw = encoder.layers(encoder.features(encoder.mean.repeat(2, 1), codes)).detach()
    torch.testing.assert_close(encoder.gain * (raw[0] - raw[1]), effects[2])


def test_only_categories_or_only_numbers_will_do():
    none = torch.zeros(4, 0, dtype=torch.int64)
    for numeric, codes in (
        (torch.zeros(4, 0), none[:, :0].new_zeros(4, 2)),
        (torch.ones(4, 3), none),
    ):
        encoder = SplineEncoder(numeric.shape[1], [3] * codes.shape[1], 5)
        unit, penalty = encoder.penalised(numeric, codes)
        assert unit.shape == (4, 5)
        assert bool(torch.isfinite(penalty))


def test_a_missing_covariate_is_nan_and_leaves_neighbours_alone():
    encoder = build_encoder(CONFIG, seed=0).eval()
    numeric, codes = torch.zeros(3, 3), torch.zeros(3, 2, dtype=torch.int64)
    numeric[1, 0] = torch.nan
    assert encoder(numeric, codes).isnan().any(1).tolist() == [False, True, False]
