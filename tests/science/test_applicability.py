"""The area of applicability: against the published definition, by hand and by brute force."""

import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.errors import InputError
from xbinn.labels.covariates import CovariateSpec
from xbinn.science.applicability import (
    TrainingSpace,
    area_of_applicability,
    dissimilarity_index,
)
from xbinn.testing import small_grid, small_profiles

NUMBERS = CovariateSpec(numeric=(("a", "1"), ("b", "1")), categorical=())
MIXED = CovariateSpec(numeric=(("a", "1"),), categorical=(("kind", (3, 5)),))
NO_CLASSES = np.empty((4, 0), dtype=np.int64)


def space(numeric, categorical=NO_CLASSES, spec=NUMBERS, weights=None, fold=(0, 0, 1, 1)):
    weights = dict.fromkeys(spec.names, 1.0) if weights is None else weights
    return TrainingSpace.of(np.array(numeric), categorical, spec, weights, np.array(fold))


def test_worked_example():
    """Four sites on a line: a = 0, 2, 6, 8; b is the same everywhere and does not count.

    The standard deviation of a is sqrt(40/3); distances before division by it: pairs 2, 6, 8, 4,
    6, 2, mean 28/6. To the other fold: 6, 4, 4, 6.
    """
    s = space([[0.0, 7.0], [2.0, 7.0], [6.0, 7.0], [8.0, 7.0]])
    deviation, mean = np.sqrt(40.0 / 3.0), 28.0 / 6.0
    assert s.mean_distance == pytest.approx(mean / deviation, rel=1e-12)
    assert s.threshold == pytest.approx(6.0 / mean, rel=1e-12)
    new = np.array([1.0, 8.0, 12.0, np.nan])
    index = s.index(new, np.zeros(4))
    np.testing.assert_allclose(index, [1.0 / mean, 0.0, 4.0 / mean, np.nan], rtol=1e-12)
    assert np.isnan(s.index(new, np.full(4, np.nan))).all()
    inside = area_of_applicability(xr.DataArray([0.5, s.threshold, 1.3, np.nan]), s.threshold)
    np.testing.assert_array_equal(inside, [1.0, 1.0, 0.0, np.nan])


def test_weights_stretch_and_negative_ones_are_nothing():
    values = [[0.0, 1.0], [2.0, 9.0], [6.0, 4.0], [8.0, 5.0]]
    alone = space(values, weights={"a": 0.3, "b": -0.2})
    line = space([[a, 0.0] for a, _ in values])
    assert alone.weights == {"a": 0.3, "b": 0.0}
    assert alone.threshold == pytest.approx(line.threshold, rel=1e-12)
    new = np.array([1.0, 12.0]), np.array([100.0, -100.0])
    np.testing.assert_allclose(alone.index(*new), line.index(*new), rtol=1e-12)
    both = space(values)
    assert (both.index(*new) > alone.index(*new)).all()


def test_classes_are_one_hot_and_unknown_ones_as_far_as_any_other():
    codes = np.array([[0], [0], [1], [1]])
    s = space([[0.0], [2.0], [6.0], [8.0]], codes, MIXED, weights={"kind": 0.5})
    step = 0.5 * np.sqrt(2.0)
    assert s.mean_distance == pytest.approx(4.0 * step / 6.0, rel=1e-12)
    same, other, unknown = s.index(np.array([0.0] * 3), np.array([0, 1, 2]))
    assert same == other == 0.0
    assert unknown == pytest.approx(6.0 / 4.0, rel=1e-12)


def test_brute_force():
    """The definition written out, on random sites with numbers, classes, weights and folds."""
    rng = np.random.default_rng(5)
    n, weights = 60, {"a": 0.7, "kind": 0.2}
    a, kind = rng.standard_normal(n) ** 3, rng.integers(3, size=n)
    fold = rng.integers(-1, 4, size=n)
    s = space(a[:, None], kind[:, None], MIXED, weights, fold)

    def columns(a_, kind_):
        z = (a_ - np.mean(a)) / np.std(a, ddof=1)
        return [0.7 * z, *(0.2 * float(kind_ == k) for k in range(3))]

    def distance(p, q):
        return sum((x - y) ** 2 for x, y in zip(p, q, strict=True)) ** 0.5

    sites = [columns(x, k) for x, k in zip(a, kind, strict=True)]
    pairs = [distance(sites[i], sites[j]) for i in range(n) for j in range(i)]
    mean = sum(pairs) / len(pairs)
    own = [
        min(distance(sites[i], sites[j]) for j in range(n) if fold[j] != fold[i]) / mean
        for i in range(n)
        if fold[i] >= 0
    ]
    lower, upper = np.quantile(own, [0.25, 0.75])
    whisker = max(v for v in own if v <= upper + 1.5 * (upper - lower))
    assert s.threshold == pytest.approx(whisker, rel=1e-9)
    assert s.threshold < max(own)
    new = [(x, k) for x in (-4.0, 0.1, 7.0) for k in range(3)]
    expected = [min(distance(columns(*p), q) for q in sites) / mean for p in new]
    found = s.index(*(np.array(v) for v in zip(*new, strict=True)))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_refusals():
    values = [[0.0, 1.0], [2.0, 9.0], [6.0, 4.0], [8.0, 5.0]]
    with pytest.raises(InputError, match=r"importance names moss, .* its covariates are a, b"):
        space(values, weights={"moss": 1.0})
    with pytest.raises(InputError, match=r"importance that is no number: a=nan, b='much'; give"):
        space(values, weights={"a": np.nan, "b": "much"})
    with pytest.raises(InputError, match=r"importance=\['a'\] is of type list: give a mapping"):
        space(values, weights=["a"])
    with pytest.raises(InputError, match="all training sites lie in one fold"):
        space(values, fold=(0, 0, 0, -1))
    with pytest.raises(InputError, match="all training sites are alike in what counts"):
        space(values, weights={"a": -1.0})


@pytest.fixture(scope="module")
def setting():
    grid = small_grid((12, 14))
    profiles = small_profiles(grid, 90)
    fit = {"epochs": 2, "hidden": (16,)}
    model = grid.binn.fit(profiles, seed=0, block_size=6.0, device="cpu", **fit)
    cv = grid.binn.cross_validate(
        profiles, folds=3, block_size=6.0, permutations=2, baselines=(), fit=fit, seed=0
    )
    return grid, profiles, model, cv


def test_lazy_and_the_same_for_all_chunks(setting, raise_if_dask_computes):
    grid, profiles, model, _ = setting
    whole = grid.binn.applicability(model, profiles)
    for chunks in ({"lat": 5}, {"lat": 1, "lon": 14}, {"lat": 12, "lon": 3}):
        chunked = grid.chunk(chunks)
        lazy = chunked.binn.applicability(model, profiles)
        assert all(lazy[n].chunks is not None for n in lazy.data_vars)
        xr.testing.assert_equal(lazy.compute(), whole)
    space_ = TrainingSpace.of(
        np.zeros((4, len(model.predictor.covariates.numeric))) + np.arange(4.0)[:, None],
        np.zeros((4, len(model.predictor.covariates.categorical)), dtype=np.int64),
        model.predictor.covariates,
        dict.fromkeys(model.predictor.covariates.names, 1.0),
        np.array([0, 0, 1, 1]),
    )
    with raise_if_dask_computes():
        dissimilarity_index(grid.chunk(lat=5), space_)


def test_labels(setting):
    grid, profiles, model, _ = setting
    out = grid.binn.applicability(model, profiles)
    index, inside = out["dissimilarity_index"], out["area_of_applicability"]
    assert index.attrs["units"] == inside.attrs["units"] == "1"
    assert list(inside.attrs["flag_values"]) == [0, 1]
    assert inside.attrs["flag_meanings"] == "outside inside"
    assert out.attrs["comment"] == "no importance was given: all weigh alike"
    assert model.sha256 in out.attrs["source"]
    xr.testing.assert_equal(out["lat"], grid["lat"])
    missing = grid["elevation"].isnull()
    assert missing.any()
    assert (index.isnull() == missing).all()
    assert (inside.isnull() == missing).all()
    assert set(np.unique(inside.values[~missing.values])) == {0.0, 1.0}
    assert ((index <= inside.attrs["threshold"]) == (inside == 1.0)).all()


def test_training_sites_are_at_no_distance_and_strange_places_outside(setting):
    grid, profiles, model, _ = setting
    out = grid.binn.applicability(model, profiles)
    at = out["dissimilarity_index"].sel(lat=profiles["lat"], lon=profiles["lon"], method="nearest")
    np.testing.assert_allclose(at, 0.0, atol=1e-9)  # the square root of a rounding error
    used = out["dissimilarity_index"].fillna(0.0) < 1e-6
    free = np.argwhere(~used.values & grid["elevation"].notnull().values)[0]
    place = dict(zip(("lat", "lon"), free, strict=True))
    hot = grid["annual_mean_temperature"].copy(deep=True)
    hot[place] = 500.0
    strange = grid.assign(annual_mean_temperature=hot).binn.applicability(model, profiles)
    assert float(strange["area_of_applicability"][place]) == 0.0
    others = strange["dissimilarity_index"].copy()
    others[place] = out["dissimilarity_index"][place]
    xr.testing.assert_equal(others, out["dissimilarity_index"])
    with pytest.raises(InputError, match="covariates missing from the Dataset: clay"):
        xbinn.applicability(grid.drop_vars("clay"), model, profiles)


def test_cross_validation_gives_folds_and_importance(setting):
    grid, profiles, model, cv = setting
    out = grid.binn.applicability(model, profiles, cross_validation=cv)
    assert out.attrs["comment"] == "weights: importance"
    weights = {
        str(n): max(0.0, float(v))
        for n, v in zip(
            cv.importance["group"].values,
            cv.importance["importance"].sel(scale="log").values,
            strict=True,
        )
    }
    same = grid.binn.applicability(model, profiles, cross_validation=cv, importance=weights)
    xr.testing.assert_equal(out, same)
    alike = grid.binn.applicability(model, profiles)
    assert not out["dissimilarity_index"].equals(alike["dissimilarity_index"])
    with pytest.raises(InputError, match="cross_validation is of type Dataset: give what"):
        grid.binn.applicability(model, profiles, cross_validation=cv.predictions)
    with pytest.raises(InputError, match="the cross-validation is of other profiles"):
        grid.binn.applicability(model, profiles.isel(profile=slice(80)), cross_validation=cv)


def test_real_grid(real_grid, real_profiles):
    model = real_grid.binn.fit(real_profiles, epochs=1, seed=0)
    out = real_grid.binn.applicability(model, real_profiles)
    share = float(out["area_of_applicability"].mean())
    assert 0.8 < share < 1.0
