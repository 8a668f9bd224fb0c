"""Scores of one map against another, checked against plain numpy, and against a truth."""

import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.errors import CoordinateError, InputError
from xbinn.idealised import true_parameters
from xbinn.parameters import PARAMETER_NAMES
from xbinn.science import compare
from xbinn.science.agreement import QUANTITIES, compare_with_truth
from xbinn.testing import small_grid


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid((7, 8))


@pytest.fixture(scope="module")
def truth(grid) -> xr.Dataset:
    parameters = true_parameters(grid)[list(PARAMETER_NAMES)]
    return xr.merge([parameters, xbinn.simulate(grid, parameters)])


def noisy(truth: xr.Dataset, size: float, seed: int) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    return truth.assign(
        {n: truth[n] * np.exp(size * rng.standard_normal(truth[n].shape)) for n in QUANTITIES}
    )


@pytest.fixture(scope="module")
def pair(truth) -> tuple[xr.Dataset, xr.Dataset]:
    return noisy(truth, 0.1, 0), noisy(truth, 0.3, 1)


def test_scores_are_those_of_numpy(pair):
    found = compare(*pair)
    assert list(found["quantity"].values) == list(QUANTITIES)
    for name in QUANTITIES:
        a, b = (ds[name].values.ravel() for ds in pair)
        known = np.isfinite(a) & np.isfinite(b)
        a, b = a[known], b[known]
        one = found.sel(quantity=name)
        assert int(one["n"]) == known.sum()
        assert float(one["correlation"]) == pytest.approx(np.corrcoef(a, b)[0, 1], rel=1e-9)
        assert float(one["bias"]) == pytest.approx((a - b).mean(), rel=1e-9)
        assert float(one["rmse"]) == pytest.approx(np.sqrt(((a - b) ** 2).mean()), rel=1e-9)
        assert float(one["mean"].sel(model="proda")) == pytest.approx(b.mean(), rel=1e-9)
        assert float(one["standard_deviation"].sel(model="binn")) == pytest.approx(a.std())
    assert found["units"].sel(quantity="tau4s3").item() == "yr"
    assert found["kind"].sel(quantity="vertical_transport").item() == "process"


def test_classes_are_scored_apart_and_weights_count(grid, pair):
    cover = grid["land_cover"]
    weights = cover.copy(data=np.random.default_rng(2).random((7, 8))).rename("w")
    found = compare(*pair, by=cover, weights=weights)
    meanings = cover.attrs["flag_meanings"].split()
    assert list(found["land_cover"].values) == ["all", *meanings]
    inside = (cover == cover.attrs["flag_values"][1]).values.ravel()
    a, b, w = (v.values.ravel() for v in (pair[0]["q10"], pair[1]["q10"], weights))
    known = inside & np.isfinite(a) & np.isfinite(b)
    one = found.sel(quantity="q10", land_cover=meanings[1])
    a, b, w = a[known], b[known], w[known]
    assert int(one["n"]) == known.sum() >= 3
    assert float(one["bias"]) == pytest.approx(np.average(a - b, weights=w), rel=1e-9)
    expected = np.cov(a, b, aweights=w)
    expected = expected[0, 1] / np.sqrt(expected[0, 0] * expected[1, 1])
    assert float(one["correlation"]) == pytest.approx(expected, rel=1e-9)
    by_area = compare(*pair, weights="area")
    assert by_area.attrs["weights"] == "area"
    assert float(abs(by_area["bias"] - compare(*pair)["bias"]).max()) > 0.0


def test_chunked_maps_are_compared_lazily_with_the_same_result(grid, pair, raise_if_dask_computes):
    chunked = [ds.chunk({"lat": 3, "lon": 4}) for ds in pair]
    with raise_if_dask_computes():
        lazy = compare(*chunked, by=grid["land_cover"])
    xr.testing.assert_allclose(lazy.compute(), compare(*pair, by=grid["land_cover"]), rtol=1e-9)


def test_what_does_not_vary_has_no_correlation(pair):
    flat = pair[0].assign(q10=xr.full_like(pair[0]["q10"], 1.5))
    assert np.isnan(compare(flat, pair[1])["correlation"].sel(quantity="q10"))


def test_the_nearer_of_two_is_found(truth, pair):
    found = compare_with_truth(*pair, truth, block_size=4.0)
    assert (found["nearer"] == "binn").mean() > 0.8
    swapped = compare_with_truth(*pair[::-1], truth, block_size=4.0)
    assert (swapped["nearer"] == "proda").mean() > 0.8
    same = compare_with_truth(pair[0], pair[0], truth, block_size=4.0)
    assert set(same["nearer"].values) == {"tie"}
    one = found.sel(quantity="q10")
    error = (pair[1]["q10"] - truth["q10"]).values
    assert float(one["rmse"].sel(model="proda")) == pytest.approx(np.sqrt(np.nanmean(error**2)))
    assert float(one["rmse_difference_low"]) < float(one["rmse_difference"])
    spread = float(truth["q10"].std())
    assert float(one["relative_rmse"].sel(model="proda")) == pytest.approx(
        float(one["rmse"].sel(model="proda")) / spread
    )


def test_what_cannot_be_compared_is_refused(grid, pair, truth):
    first, second = pair
    with pytest.raises(InputError, match="proda has no q10, input_allocation: predict with"):
        compare(first, second.drop_vars(["q10", "input_allocation"]))
    with pytest.raises(InputError, match="binn lies on sample: give maps"):
        compare(first.expand_dims(sample=2), second)
    with pytest.raises(CoordinateError, match="binn and proda do not lie on the same cells"):
        compare(first, second.assign_coords(lat=second["lat"] + 0.1))
    with pytest.raises(CoordinateError, match="only one has the dimension time"):
        compare(first, second.expand_dims(time=2))
    with pytest.raises(InputError, match="weights='size' is not known: give 'area'"):
        compare(first, second, weights="size")
    with pytest.raises(InputError, match="weights hold negative numbers"):
        compare(first, second, weights=-xr.ones_like(first["q10"]))
    with pytest.raises(InputError, match="by='climate' is not in the result: give the DataArray"):
        compare(first, second, by="climate")
    with pytest.raises(CoordinateError, match="truth has no coordinate lat, lon"):
        compare_with_truth(
            *(ds.drop_vars(["lat", "lon"]) for ds in (first, second, truth)), block_size=4.0
        )


def test_the_package_offers_compare_only():
    from xbinn import science

    with pytest.raises(AttributeError, match="has no attribute 'contrast'"):
        science.contrast  # noqa: B018
