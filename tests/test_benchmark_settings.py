"""The comparison of settings runs, marks the shipped ones and never sees the demo's test blocks."""

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


def test_json_holds_every_split_and_sorts_by_both_scores():
    results = json.loads(run("--json"))
    assert results["seeds"] == [1, 2]
    candidates = results["candidates"]
    sums = [np.mean(c["r2"]) + np.mean(c["log_r2"]) for c in candidates]
    assert sums == sorted(sums, reverse=True)
    shipped = next(c for c in candidates if c["shipped"])
    assert shipped["name"] == "shipped"
    assert shipped["settings"]["dropout"] == options.DROPOUT
    for candidate in candidates:
        both = np.add(candidate["r2"], candidate["log_r2"])
        difference = both - np.add(shipped["r2"], shipped["log_r2"])
        assert both.shape == (2,)
        assert np.isfinite(both).all()
        assert candidate["gain"] == pytest.approx(difference.mean())


def test_table_has_a_line_for_each_candidate_and_marks_the_shipped_one(settings):
    changes = [{"dropout": 0.1}, {}]
    r2 = [np.array([0.5, 0.6]), np.array([0.4, 0.3])]
    found = [settings.Scores(c, settings.SHIPPED, v, v) for c, v in zip(changes, r2, strict=True)]
    _, body = settings.table(found, (1, 2)).split("\n\n")
    lines = body.splitlines()[1:]
    assert lines[0].split() == [
        "dropout=0.1",
        *("0.550 0.071 " * 2).split(),
        "1.100",
        "+0.400",
        "0.200",
    ]
    assert lines[1].split() == ["*", "shipped", *("0.350 0.071 " * 2).split(), "0.700"]


def test_inner_splits_never_hold_a_test_profile_of_the_demo(settings, monkeypatch):
    monkeypatch.delenv("XBINN_DATA", raising=False)
    fraction, seed = settings.FRACTION, settings.DEMO_SEED
    demo = runpy.run_path(str(ROOT / "examples" / "demo.py"))
    assert (demo["SEED"], demo["TEST_FRACTION"]) == (seed, fraction)
    profiles = datasets.open_profiles()
    learnt, tested = split_profiles(profiles, fraction=fraction, seed=seed)
    splits = settings.inner_splits(profiles, settings.INNER_SEEDS)
    assert len({frozenset(places(held)) for _, held in splits}) == len(settings.INNER_SEEDS)
    for training, held in splits:
        assert not places(tested) & (places(training) | places(held))
        assert training.sizes["profile"] + held.sizes["profile"] == learnt.sizes["profile"]
