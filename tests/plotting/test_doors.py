"""``ds.binn.plot`` and ``model.plot`` lead to the functions and add nothing."""

import inspect

import pytest
import xarray as xr

import xbinn
from xbinn import plotting
from xbinn.plotting import doors
from xbinn.plotting.doors import DatasetPlots, ModelPlots
from xbinn.testing import small_grid, small_profiles

OWN = {"map": {"name"}}
"""What a door asks for to find its data."""
DATA = {"map": "da", "profiles": "out", "training": "history", "functions": "model"}
"""Argument of the function that the door fills, where it is not the first."""


def public(kind: type) -> list[str]:
    return [name for name in vars(kind) if not name.startswith("_")]


CASES = [(kind, name) for kind in (DatasetPlots, ModelPlots) for name in public(kind)]


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[name for _, name in CASES])
def test_a_door_takes_what_its_figure_takes(kind, name):
    door = inspect.signature(getattr(kind, name)).parameters
    figure = dict(inspect.signature(getattr(plotting, f"plot_{name}")).parameters)
    figure.pop(DATA.get(name, next(iter(figure))))
    ours = {n: p for n, p in door.items() if n != "self" and n not in OWN.get(name, set())}
    assert list(ours) == list(figure)
    for own, theirs in zip(ours.values(), figure.values(), strict=True):
        assert (own.kind, own.default, own.annotation) == (
            theirs.kind, theirs.default, theirs.annotation,
        )  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[name for _, name in CASES])
def test_a_door_hands_everything_on(kind, name, monkeypatch):
    seen = {}
    function = getattr(plotting, f"plot_{name}")
    signature = inspect.signature(function)

    def record(*args, **keywords):
        seen.update(signature.bind(*args, **keywords).arguments)

    monkeypatch.setattr(doors, f"plot_{name}", record)
    thing = {"field": "data"} if kind is DatasetPlots else type("M", (), {"history": "data"})()
    taken = inspect.signature(getattr(kind, name)).parameters.values()
    given = {p.name: object() for p in taken if p.name != "self"}
    if name == "map":
        given["name"] = "field"
    getattr(kind(thing), name)(**given)
    data = seen.pop(DATA.get(name, next(iter(signature.parameters))))
    given = {n: v for n, v in given.items() if n not in OWN.get(name, set())}
    assert seen == given
    assert data == (thing if name not in ("map", "training") else "data")


def test_the_doors_open():
    grid = small_grid()
    figure = grid.binn.plot.map("elevation", title="Idealised")
    assert figure.get_suptitle() == "Idealised"
    model = xbinn.fit(grid, small_profiles(grid), epochs=2, seed=0, hidden=(4,))
    assert len(model.plot.training().axes) == 2
    assert isinstance(xr.Dataset().binn.plot, DatasetPlots)
