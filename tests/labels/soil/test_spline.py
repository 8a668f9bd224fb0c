"""Equal-area splines against the published equations, a closed form, and the minimum itself."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from xbinn.errors import ProfileError
from xbinn.labels.profiles import from_dataframe
from xbinn.labels.soil.spline import fit_spline
from xbinn.labels.soil.standard_depths import STANDARD_DEPTHS, to_standard_depths
from xbinn.profiles import from_table

TOP = np.array([0.0, 5.0, 20.0, 55.0])
BOTTOM = np.array([5.0, 20.0, 50.0, 90.0])
CARBON = np.array([40.0, 22.0, 9.0, 4.0])


def published_means(top, bottom, y, lam):
    """Z = I + 6 n lam Q' R^-1 Q, fbar = Z^-1 y, as the paper states them, dense."""
    n = y.size
    d, g = bottom - top, top[1:] - bottom[:-1]
    r = np.diag(2.0 * (d[:-1] + d[1:]) + 6.0 * g) + np.diag(d[1:-1], 1) + np.diag(d[1:-1], -1)
    q = np.eye(n - 1, n, 1) - np.eye(n - 1, n)
    z = np.eye(n) + 6.0 * n * lam * q.T @ np.linalg.inv(r) @ q
    return np.linalg.solve(z, y), 6.0 * np.linalg.inv(r) @ q @ np.linalg.solve(z, y)


@pytest.mark.parametrize("lam", [0.0, 1e-3, 0.1, 10.0])
def test_means_and_slopes_are_those_of_the_published_equations(lam):
    spline = fit_spline(TOP, BOTTOM, CARBON, lam)
    means, slopes = published_means(TOP, BOTTOM, CARBON, lam)
    np.testing.assert_allclose(spline.mean, means, rtol=1e-12)
    # Slopes at the bottoms of layers, which hold across gaps.
    np.testing.assert_allclose(spline.b[1::2], slopes, rtol=1e-10)


def test_it_is_the_spline_of_mpspline2():
    """Its README prints means of the standard depths, of values at the top of each centimetre."""
    top = np.array([0.0, 20.0, 40.0, 60.0])
    spline = fit_spline(top, top + 10.0, np.array([6.0, 4.0, 3.0, 10.0]), 0.1)
    by_centimetre = np.split(spline(np.arange(70.0)), [5, 15, 30, 60])
    printed = [6.105160, 5.618341, 4.316876, 4.192058, 9.732400]
    np.testing.assert_allclose([part.mean() for part in by_centimetre], printed, rtol=1e-6)


def test_two_layers_in_closed_form():
    # R = 2 (d1 + d2), Q Q' = 2: s = (y2 - y1) / (2 (d1 + d2) + 24 lam) for n = 2.
    d1, d2, lam = 10.0, 30.0, 0.5
    spline = fit_spline(np.array([0.0, d1]), np.array([d1, d1 + d2]), np.array([8.0, 2.0]), lam)
    s = (2.0 - 8.0) / (2.0 * (d1 + d2) + 24.0 * lam)
    np.testing.assert_allclose(
        spline.mean, [8.0 + 12.0 * lam * s, 2.0 - 12.0 * lam * s], rtol=1e-14
    )
    assert spline(np.array([0.0]))[0] == pytest.approx(spline.mean[0] - 6.0 * s * d1 / 6.0)


def test_it_is_the_minimum_among_smooth_piecewise_quadratics():
    """Independent of R and Q: a, b, c of each piece free, continuity as constraints."""
    lam, n = 0.1, CARBON.size
    edges = [(t, b, i) for i, (t, b) in enumerate(zip(TOP, BOTTOM, strict=True))]
    pieces = []
    for k, (t, b, i) in enumerate(edges):
        pieces.append((t, b, i))
        if k + 1 < n and edges[k + 1][0] > b:
            pieces.append((b, edges[k + 1][0], None))
    m = 3 * len(pieces)
    hessian, gradient = np.zeros((m, m)), np.zeros(m)
    constraints = []
    for p, (t, b, layer) in enumerate(pieces):
        h = b - t
        if layer is not None:
            mean = np.zeros(m)
            mean[3 * p : 3 * p + 3] = 1.0, h / 2.0, h**2 / 3.0
            hessian += 2.0 / n * np.outer(mean, mean)
            gradient += 2.0 / n * CARBON[layer] * mean
        # Integral of (b + 2 c x)^2.
        rough = np.array([[h, h**2], [h**2, 4.0 / 3.0 * h**3]])
        hessian[3 * p + 1 : 3 * p + 3, 3 * p + 1 : 3 * p + 3] += 2.0 * lam * rough
        if p + 1 < len(pieces):
            value, slope = np.zeros(m), np.zeros(m)
            value[3 * p : 3 * p + 4] = 1.0, h, h**2, -1.0
            slope[3 * p + 1 : 3 * p + 5] = 1.0, 2.0 * h, 0.0, -1.0
            constraints += [value, slope]
    a = np.array(constraints)
    system = np.block([[hessian, a.T], [a, np.zeros((len(a), len(a)))]])
    solved = np.linalg.solve(system, np.concatenate([gradient, np.zeros(len(a))]))[:m]
    spline = fit_spline(TOP, BOTTOM, CARBON, lam)
    depths = np.linspace(0.0, 90.0, 200, endpoint=False)
    starts = np.array([t for t, _, _ in pieces])
    piece = np.searchsorted(starts, depths, side="right") - 1
    x = depths - starts[piece]
    expected = solved[3 * piece] + solved[3 * piece + 1] * x + solved[3 * piece + 2] * x**2
    np.testing.assert_allclose(spline(depths), expected, rtol=1e-8, atol=1e-8)


def test_integral_is_that_of_the_function():
    spline = fit_spline(TOP, BOTTOM, CARBON, 0.1)
    for z in (3.0, 20.0, 52.5, 90.0):
        # Broken at the edges, where the curvature jumps.
        expected = quad(lambda x: spline(np.array([x]))[0], 0.0, z, points=[5, 20, 50, 55])[0]
        assert spline.integral(np.array([z]))[0] == pytest.approx(expected, rel=1e-8)


layers = st.lists(
    st.tuples(st.floats(1.0, 40.0), st.floats(0.0, 10.0), st.floats(0.1, 100.0)),
    min_size=1,
    max_size=9,
)


@given(layers, st.sampled_from([0.0, 1e-3, 0.1, 5.0]))
def test_mass_is_kept_as_far_as_the_method_goes(drawn, lam):
    thickness, gap, carbon = (np.array(v) for v in zip(*drawn, strict=True))
    bottom = np.cumsum(thickness + gap)
    top = bottom - thickness
    spline = fit_spline(top, bottom, carbon, lam)
    # Exactly: the integral over each layer is its fitted mean times its thickness ...
    mass = spline.integral(bottom) - spline.integral(top)
    np.testing.assert_allclose(mass, spline.mean * thickness, rtol=1e-9, atol=1e-9)
    # ... the sum of all fitted means is that of the measured ones, and without smoothing each is.
    np.testing.assert_allclose(spline.mean.sum(), carbon.sum(), rtol=1e-9)
    if lam == 0.0:
        np.testing.assert_allclose(spline.mean, carbon, rtol=1e-12)
    # Continuous where pieces meet.
    inner = spline.edge[1:-1]
    np.testing.assert_allclose(spline(inner - 1e-9), spline(inner), rtol=1e-5, atol=1e-5)


def profiles(*rows):
    names = ("profile_id", "depth_top", "depth_bottom", "soc")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    df = pd.DataFrame(columns).assign(lat=45.0, lon=8.0, year=2001)
    return from_dataframe(df, {n: n for n in ("depth_top", "depth_bottom", "soc")})


def test_standard_depths_without_smoothing_keep_the_carbon_of_a_profile():
    given = profiles(
        ("a", 0.0, 0.1, 30.0), ("a", 0.1, 0.4, 12.0), ("a", 0.4, 0.9, 5.0), ("b", 0.05, 0.2, 8.0)
    )
    out = to_standard_depths(given, lam=0.0)
    assert out["soc"].shape == (2, len(STANDARD_DEPTHS) - 1)
    mass = (out["soc"] * (out["depth_bottom"] - out["depth_top"])).sum("sample")
    np.testing.assert_allclose(mass, [30 * 0.1 + 12 * 0.3 + 5 * 0.5, 8 * 0.15], rtol=1e-12)
    # Intervals end where samples end.
    np.testing.assert_allclose(out["depth_bottom"][0], [0.05, 0.15, 0.3, 0.6, 0.9, np.nan])
    np.testing.assert_allclose(out["depth_top"][1], [np.nan, 0.05, 0.15, *[np.nan] * 3])
    # One layer is a constant.
    np.testing.assert_allclose(out["soc"][1, 1:3], [8.0, 8.0], rtol=1e-12)
    assert out["harmonised"].values.tolist() == [[1, 1, 1, 1, 1, 0], [0, 1, 1, 0, 0, 0]]
    assert {"lat", "lon", "profile_id", "year"} <= set(out.coords)


def test_lam_is_that_of_centimetres():
    given = profiles(("a", 0.0, 0.05, 40.0), ("a", 0.05, 0.2, 22.0), ("a", 0.2, 0.5, 9.0))
    out = to_standard_depths(given, (0.0, 0.05, 0.2, 0.5), lam=0.1)
    means, _ = published_means(TOP[:3], BOTTOM[:3], CARBON[:3], 0.1)
    np.testing.assert_allclose(out["soc"][0], means, rtol=1e-10)


def test_gaps_overlaps_and_values_below_zero_are_said():
    given = profiles(
        ("gap", 0.0, 0.1, 30.0), ("gap", 0.3, 0.5, 10.0),
        ("two", 0.0, 0.3, 30.0), ("two", 0.2, 0.5, 10.0),
        ("low", 0.0, 0.05, 100.0), ("low", 0.05, 0.15, 0.0), ("low", 0.15, 0.3, 30.0),
    )  # fmt: skip
    out = to_standard_depths(given, (0.0, 0.08, 0.2, 0.4, 1.0), lam=0.0)
    assert out["harmonised"][0].values.tolist() == [1, 2, 2, 1]
    assert out["harmonised"][1].values.tolist() == [4, 4, 4, 4]
    assert np.isnan(out["soc"][1]).all()
    fine = to_standard_depths(given, (0.05, 0.08, 0.1, 0.12), lam=0.0).isel(profile=2)
    assert 3 in fine["harmonised"].values
    assert float(fine["soc"].min()) == 0.0
    meanings = out["harmonised"].attrs["flag_meanings"].split()
    assert meanings[4] == "overlapping"


def test_samples_that_cannot_be_used_take_no_part():
    given = profiles(("a", 0.0, 0.1, 30.0), ("a", 0.1, 0.3, np.nan), ("b", 0.0, 0.1, np.nan))
    out = to_standard_depths(given, lam=0.0)
    assert out["harmonised"].values.tolist() == [[1, 1, 0, 0, 0, 0], [0] * 6]
    assert out["depth_bottom"].max() == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("depths", "lam", "match"),
    [
        ((0.0, 0.3, 0.1), 0.1, "do not rise from 0 or more: give edges in m"),
        ((0.5,), 0.1, "do not rise"),
        ((-0.1, 0.3), 0.1, "do not rise"),
        ((0.0, np.nan), 0.1, "do not rise"),
        ((0.0, 0.3), -1.0, "lam=-1.0 is negative: give 0 or more"),
        ((0.0, 0.3), np.nan, "lam=nan is negative"),
    ],
)
def test_settings_that_cannot_be_used(depths, lam, match):
    with pytest.raises(ProfileError, match=match):
        to_standard_depths(profiles(("a", 0.0, 0.1, 30.0)), depths, lam=lam)


@pytest.mark.realdata
def test_real_profiles_keep_their_carbon(real_profiles):
    some = real_profiles.isel(profile=slice(0, 400))
    out = to_standard_depths(some, lam=0.0)
    spline = (out["harmonised"] == 1).where(out["harmonised"] > 0, True).all("sample")
    deep = (some["depth_bottom"].max("sample") <= 2.0) & spline
    assert int(deep.sum()) > 300

    def mass(ds):
        return (ds["soc"] * (ds["depth_bottom"] - ds["depth_top"])).sum("sample")

    # The depths of the file are single precision.
    xr.testing.assert_allclose(mass(out)[deep], mass(some)[deep].drop_attrs(), rtol=1e-5)


def test_a_table_goes_to_standard_depths_in_one_go():
    df = pd.DataFrame({
        "profile_id": ["a", "a"], "lat": 45.0, "lon": 8.0, "top [cm]": [0, 10],
        "bottom [cm]": [10, 30], "carbon [kg m-3]": [30.0, 12.0],
    })  # fmt: skip
    table = from_table(df, columns={"depth_top": "top", "depth_bottom": "bottom"})
    out = to_standard_depths(table, (0.0, 0.1, 0.3), lam=0.0)
    np.testing.assert_allclose(out["soc"][0], [30.0, 12.0], rtol=1e-12)
