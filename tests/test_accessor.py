"""``Dataset.binn`` is a signpost: the same signatures and results as the functions, no state."""

import inspect
import sys

import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.accessor import BinnAccessor
from xbinn.testing import small_grid, small_profiles

METHODS = (
    "applicability",
    "cross_validate",
    "elasticities",
    "fit",
    "predict",
    "score",
    "simulate",
)


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid()


@pytest.fixture(scope="module")
def profiles(grid) -> xr.Dataset:
    return small_profiles(grid)


@pytest.fixture(scope="module")
def model(grid, profiles) -> xbinn.Model:
    return grid.binn.fit(profiles, epochs=2, seed=0)


def public(obj) -> set[str]:
    return {name for name in vars(obj) if not name.startswith("_")}


def test_every_method_is_known_here():
    assert public(BinnAccessor) == {*METHODS, "plot"}


@pytest.mark.parametrize("name", METHODS)
def test_signature_is_that_of_the_function(name):
    function = list(inspect.signature(getattr(xbinn, name)).parameters.values())
    method = list(inspect.signature(getattr(BinnAccessor, name)).parameters.values())
    assert function[0].name == "ds"
    assert method[0].name == "self"
    for ours, theirs in zip(method[1:], function[1:], strict=True):
        assert (ours.name, ours.kind, ours.default) == (theirs.name, theirs.kind, theirs.default)
        # The accessor quotes what it does not import.
        assert str(ours.annotation).strip("'") in str(theirs.annotation)


@pytest.mark.parametrize("name", METHODS)
def test_settings_are_keyword_only(name):
    kinds = [p.kind for p in inspect.signature(getattr(xbinn, name)).parameters.values()]
    inputs = 3 if name in ("applicability", "score") else 2
    assert set(kinds[:inputs]) == {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert set(kinds[inputs:]) == {inspect.Parameter.KEYWORD_ONLY}


def test_settings_are_refused_by_position(grid, profiles, model):
    with pytest.raises(TypeError, match="positional"):
        grid.binn.fit(profiles, ["elevation"])
    with pytest.raises(TypeError, match="positional"):
        xbinn.predict(grid, model, ("soc",))


def test_a_feature_that_does_not_exist_is_refused(grid, model):
    with pytest.raises(TypeError, match="unexpected keyword"):
        grid.binn.predict(model, posterior="laplace")


def test_results_are_those_of_the_functions(grid, profiles, model):
    assert xbinn.fit(grid, profiles, epochs=2, seed=0).sha256 == model.sha256
    ours, theirs = grid.binn.predict(model), xbinn.predict(grid, model)
    xr.testing.assert_equal(ours, theirs)
    assert {n: v.attrs for n, v in ours.variables.items()}.keys() == set(theirs.variables)
    for name, variable in ours.variables.items():
        np.testing.assert_equal(variable.attrs, theirs[name].attrs)
    xr.testing.assert_identical(
        grid.binn.score(model, profiles), xbinn.score(grid, model, profiles)
    )
    parameters = xbinn.default_parameters(grid)
    xr.testing.assert_equal(
        grid.binn.simulate(parameters, pools=True), xbinn.simulate(grid, parameters, pools=True)
    )
    xr.testing.assert_equal(
        grid.binn.elasticities(parameters), xbinn.elasticities(grid, parameters)
    )


def test_every_setting_reaches_the_function(grid, profiles, monkeypatch):
    """A setting that the accessor forgets would be taken from the default without a word."""
    for name in METHODS:
        seen = {}
        home = sys.modules[getattr(xbinn, name).__module__]
        monkeypatch.setattr(home, name, lambda *args, _seen=seen, **kw: _seen.update(kw))
        signature = inspect.signature(getattr(BinnAccessor, name))
        inputs = [
            p.name
            for p in list(signature.parameters.values())[1:]
            if p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        settings = {
            p.name: object() for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY
        }
        getattr(grid.binn, name)(*([None] * len(inputs)), **settings)
        assert seen == settings


def test_the_accessor_keeps_no_state(grid, profiles, model):
    accessor = grid.binn
    before = dict(vars(accessor))
    attributes = dict(grid.attrs)
    accessor.predict(model)
    accessor.score(model, profiles)
    assert vars(accessor) == before
    assert before.keys() == {"_obj"}
    assert before["_obj"] is grid
    assert grid.attrs == attributes


def test_inputs_are_left_as_they_were(profiles):
    grid = small_grid(chunks={"lat": 2})
    untouched, samples = grid.copy(deep=True), profiles.copy(deep=True)
    model = grid.binn.fit(profiles, epochs=2, seed=0)
    grid.binn.predict(model).compute()
    grid.binn.simulate(xbinn.default_parameters(grid)).compute()
    grid.binn.elasticities(xbinn.default_parameters(grid)).compute()
    xr.testing.assert_identical(grid, untouched)
    xr.testing.assert_identical(profiles, samples)
    assert grid.chunks == untouched.chunks
