"""The learnt functions of a spline encoder add up to what the model predicts."""

import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.errors import InputError
from xbinn.parameters import PARAMETER_NAMES
from xbinn.science.functions import learnt_functions
from xbinn.testing import small_grid, small_profiles


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid((5, 6))


def fitted(grid: xr.Dataset, **settings: object) -> xbinn.Model:
    return xbinn.fit(grid, small_profiles(grid, 60), encoder="spline", epochs=3, seed=0, **settings)


def test_a_change_of_one_covariate_changes_parameters_as_shown(grid):
    model = fitted(grid, dtype="float64")
    found = learnt_functions(model)
    assert set(found) == set(model.covariates)
    function = found["elevation"]
    ends = function["elevation"].values[[10, 90]]
    low, high = (
        xbinn.predict(
            grid.assign(elevation=xr.full_like(grid["elevation"], x)),
            model,
            outputs=("parameters",),
        )
        for x in ends
    )
    for name in PARAMETER_NAMES:
        shown = function.sel(parameter=name).values
        change = (high[name] - low[name]).values
        np.testing.assert_allclose(
            change[np.isfinite(change)], shown[90] - shown[10], rtol=1e-4, err_msg=name
        )


def test_a_change_of_class_changes_parameters_as_shown(grid):
    model = fitted(grid, dtype="float64")
    effect = learnt_functions(model)["land_cover"]
    classes = effect["land_cover"].values[[0, -1]]
    first, last = (
        xbinn.predict(
            grid.assign(land_cover=xr.full_like(grid["land_cover"], c)),
            model,
            outputs=("parameters",),
        )["q10"]
        for c in classes
    )
    change = (last - first).values
    shown = effect.sel(parameter="q10").values
    np.testing.assert_allclose(change[np.isfinite(change)], shown[-1] - shown[0], rtol=1e-4)


def test_units_and_range(grid):
    function = learnt_functions(fitted(grid), points=7)["elevation"]
    assert function.shape == (len(PARAMETER_NAMES), 7)
    assert function["elevation"].attrs["units"] == "m"
    assert float(grid["elevation"].min()) <= float(function["elevation"].min()) * (1 + 1e-6)
    assert float(function["elevation"].max()) <= float(grid["elevation"].max()) * (1 + 1e-6)
    assert function["parameter_units"].sel(parameter="tau4s3").item() == "yr"
    np.testing.assert_allclose(function.mean("elevation") / abs(function).max(), 0.0, atol=1e-5)


def test_under_a_sigmoid_effects_are_on_u(grid):
    function = learnt_functions(fitted(grid, constraint="sigmoid"))["elevation"]
    assert set(function["parameter_units"].values) == {"1"}
    assert function.attrs["long_name"] == "change in u"


def test_what_cannot_be_shown_is_refused(grid):
    other = xbinn.fit(grid, small_profiles(grid), encoder="linear", epochs=1, seed=0)
    with pytest.raises(InputError, match=r"is 'linear', which has no function.*encoder=\"spline\""):
        learnt_functions(other)
    with pytest.raises(InputError, match="points=1 make no curve"):
        learnt_functions(fitted(grid), points=1)
