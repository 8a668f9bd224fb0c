"""BINN beside PRODA in one call: the same profiles, the same blocks, and what both cost."""

import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.errors import InputError
from xbinn.methods import MethodComparison, compare_methods
from xbinn.physics.counting import count_solves
from xbinn.science.agreement import METHODS, QUANTITIES
from xbinn.science.crossvalidation import split_profiles
from xbinn.testing import small_grid, small_profiles

QUICK = {
    "fit": {"epochs": 2, "hidden": 16},
    "retrieval": {"steps": 12, "warmup": 12, "max_steps": 12, "rhat": 2.0, "ess": 5.0},
    "upscaling": {"epochs": 2, "hidden": 16, "members": 2},
    "baselines": ("mean_profile",),
    "block_size": 6.0,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def data() -> tuple[xr.Dataset, xr.Dataset]:
    grid = small_grid((8, 9))
    return grid, small_profiles(grid, 60)


@pytest.fixture(scope="module")
def found(data) -> MethodComparison:
    return compare_methods(*data, by="land_cover", seed=3, **QUICK)


def test_both_learn_from_the_same_profiles_and_are_tested_on_the_same_others(data, found):
    training, test = split_profiles(data[1], block_size=6.0, seed=3)
    xr.testing.assert_identical(found.test, test)
    told = found.retrieved
    np.testing.assert_array_equal(told["lat"], training["lat"][told["profile_index"]])
    assert [m.predictor.prior for m in found.models.values()] == ["proda", "proda"]
    assert list(found.scores["model"].values) == ["binn", "proda", "mean_profile"]
    assert int(found.scores["n"].sel(depth_range="all")) > 0
    for name in METHODS:
        mine = xbinn.score(data[0], found.models[name], test)["r2"].sel(depth_range="all")
        # No cell of these profiles is shared, so that all samples are scored here too.
        here = found.scores["r2"].sel(model=name, depth_range="all")
        if int(found.scores["n"].sel(depth_range="all")) == int(
            xbinn.score(data[0], found.models[name], test)["n"].sel(depth_range="all")
        ):
            np.testing.assert_allclose(here, mine, rtol=1e-5)


def test_maps_are_compared_by_class(data, found):
    assert list(found.maps) == list(METHODS)
    assert list(found.agreement["quantity"].values) == list(QUANTITIES)
    assert found.agreement["land_cover"].values[0] == "all"
    binn, proda = (found.maps[m]["q10"].values for m in METHODS)
    known = np.isfinite(binn) & np.isfinite(proda)
    bias = found.agreement["bias"].sel(quantity="q10", land_cover="all")
    assert float(bias) == pytest.approx((binn - proda)[known].mean(), rel=1e-6)


def test_costs_are_those_that_were_counted(data, found):
    costs = found.costs.sel(run="proda")
    told = found.retrieved.attrs
    # The chains of a profile begin with a gradient; fits are summed up by forward solves.
    assert int(costs["gradient_evaluations"]) == told["gradient_evaluations"]
    assert int(costs["forward_solves"]) > told["gradient_evaluations"]
    training, _ = split_profiles(data[1], block_size=6.0, seed=3)
    with count_solves() as count:
        xbinn.fit(
            data[0], training, seed=3, prior="proda", block_size=6.0, device="cpu",
            batch_size=32, **QUICK["fit"],
        )  # fmt: skip
    binn = found.costs.sel(run="binn")
    assert (int(binn["forward_solves"]), int(binn["gradient_evaluations"])) == (
        count.forward,
        count.transposed,
    )
    n = told["profiles"]
    assert int(found.costs["forward_solves"].sel(run="proda_published")) == 3 * 70_000 * n
    assert (found.costs["seconds"] > 0.0).all()
    assert "extrapolated" in found.costs["basis"].sel(run="proda_published").item()


def test_it_shows_what_it_found(found):
    text, page = repr(found), found._repr_html_()
    r2 = float(found.scores["r2"].sel(model="binn", depth_range="all", scale="log"))
    for shown in (text, page):
        assert (
            f"{found.retrieved.attrs['profiles_converged']} of these, the chains of PRODA" in shown
        )
        assert f"log {r2:.2f}" in shown
        assert "times the seconds of BINN" in shown
    assert "<summary>maps[&#x27;binn&#x27;] <span>Dataset: " in page
    assert "<summary>costs <span>Dataset: " in page


def test_what_a_step_does_not_take_is_named(data):
    with pytest.raises(InputError, match=r"fit=.* holds 'prior': give it to compare_methods") as e:
        compare_methods(*data, fit={"prior": "binn"}, retrieval={"x": 1}, by="biome")
    assert "retrieval={...} holds 'x': no keyword of it" in str(e.value)
    assert "by='biome' is no variable of the Dataset" in str(e.value)
