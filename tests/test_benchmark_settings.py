"""The search for settings runs, keeps the better ones and never sees the demo's test blocks."""

import importlib
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import xarray as xr

from xbinn import datasets, options
from xbinn.learning.encoders import base
from xbinn.science.crossvalidation import split_profiles

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> str:
    """Run on the embedded data, whatever XBINN_DATA is in this shell."""
    command = [sys.executable, "-m", "benchmarks.settings", "--smoke", *arguments]
    environment = {**os.environ, "XBINN_DATA": ""}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, which is no part of the package."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.settings")


def places(profiles: xr.Dataset) -> set[tuple[float, float]]:
    return set(zip(profiles["lat"].values.tolist(), profiles["lon"].values.tolist(), strict=True))


@pytest.mark.slow
def test_json_holds_every_candidate_and_the_choice_comes_first():
    found = json.loads(run("--json"))
    # Two candidates meet two splits, and the better one another.
    assert [len(c["scores"]) for c in found] == [3, 2]
    assert np.isfinite([s for c in found for s in c["scores"]]).all()
    assert found[0]["choice"] != found[1]["choice"]


def test_fewer_candidates_meet_more_splits(settings):
    asked = []

    def score(jobs):
        asked.append([seed for _, seed in jobs])
        return [[choice["dropout"], 0.0] for choice, _ in jobs]

    found = [settings.Candidate({"dropout": d}) for d in (0.1, 0.4, 0.2, 0.3)]
    ranked = settings.search(score, found, ((4, 2), (2, 3), (1, 1)))
    assert [c.choice["dropout"] for c in ranked] == [0.4, 0.3, 0.2, 0.1]
    assert [len(c.scores) for c in ranked] == [6, 5, 2, 2]
    assert asked == [[1, 2] * 4, [3, 4, 5] * 2, [6]]


def test_table_names_the_choice_first_and_the_published_settings(settings):
    best = settings.Candidate({"dropout": 0.1, "reach": settings.NO_CLIP}, [[0.5, 0.7], [0.6, 0.8]])
    published = settings.Candidate(settings.PUBLISHED, [[0.4, 0.5], [0.3, 0.4]])
    _, _, _, first, second = settings.table([best, published]).splitlines()
    assert first.split() == ["2", "0.550", "0.750", "1.300", "0.100", "dropout=0.1,", "reach=none"]
    assert second.split() == ["2", "0.350", "0.450", "0.800", "0.100", "published"]


def test_what_is_shipped_is_among_what_is_searched(settings):
    shipped = options
    assert shipped.LEARNING_RATE in settings.VALUES["learning_rate"]
    assert shipped.WEIGHT_DECAY in settings.VALUES["weight_decay"]
    assert base.REACH in settings.VALUES["reach"]
    assert base.CATEGORY_DROPOUT in settings.VALUES["category_dropout"]
    for name in ("epochs", "patience", "batch_size", "dropout", "regularization"):
        assert getattr(shipped, name.upper()) in settings.VALUES[name]


def test_a_choice_reaches_the_fit(settings):
    asked = settings.settings_of({**settings.PUBLISHED, "averaging": 0.9, "reach": 3.0}, 7)
    assert asked.options.seed == 7
    assert asked.options.averaging == 0.9
    assert asked.options.learning_rate == settings.PUBLISHED["learning_rate"]
    assert asked.encoder["reach"] == 3.0
    assert asked.encoder["category_dropout"] == 0.0


def test_the_search_never_holds_a_test_profile_of_the_demo(settings, monkeypatch):
    monkeypatch.delenv("XBINN_DATA", raising=False)
    fraction, seed = settings.FRACTION, settings.DEMO_SEED
    demo = runpy.run_path(str(ROOT / "examples" / "demo.py"))
    assert (demo["SEED"], demo["TEST_FRACTION"]) == (seed, fraction)
    profiles = datasets.open_profiles()
    learnt, tested = split_profiles(profiles, fraction=fraction, seed=seed)
    settings.training_data.cache_clear()
    _, training = settings.training_data()
    assert places(training) == places(learnt)
    assert not places(training) & places(tested)
