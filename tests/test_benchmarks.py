"""The benchmark runs and prints what it says it prints; its times are nobody's business here."""

import importlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from xbinn.physics.steady_state import SoilCarbonModel

ROOT = Path(__file__).parents[1]
FIGURES = {"us", "eager_us", "baseline_us", "baseline_batch", "ratio", "eager_ratio"}


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.physics", "--smoke", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_json_has_the_promised_structure():
    results = json.loads(run("--json"))
    parts = ["solve", "assembly_and_solve"]
    assert list(results) == [*parts, "simulate", "small_batch", "copied_bytes_per_us"]
    assert list(results["small_batch"]) == parts
    assert results["simulate"].keys() == FIGURES
    timed = [results["simulate"]]
    for directions in (
        found[part] for found in (results, results["small_batch"]) for part in parts
    ):
        assert list(directions) == ["forward", "forward_backward"]
        for figures in directions.values():
            assert figures.keys() == FIGURES | {"floor_us"}
            timed.append(figures)
    for figures in timed:
        assert all(math.isfinite(value) and value > 0.0 for value in figures.values())
        assert figures["ratio"] == pytest.approx(figures["baseline_us"] / figures["us"])
        assert figures["eager_ratio"] == pytest.approx(figures["baseline_us"] / figures["eager_us"])


def test_table_names_machine_and_versions():
    lines = run().splitlines()
    assert "one thread, float32" in lines[0]
    assert "torch" in lines[1]
    assert "numba" in lines[1]
    assert sum("forward" in line for line in lines) == 9


def on_embedded_data(module: str, *arguments: str) -> str:
    """Print of a smoke run that does not see real data."""
    command = [sys.executable, "-m", f"benchmarks.{module}", "--smoke", *arguments]
    environment = {**os.environ, "XBINN_DATA": ""}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_training_compares_both_ways_and_the_steps_alone():
    results = json.loads(on_embedded_data("training", "--json"))
    assert list(results) == ["epoch", "map", "map, Zarr", "samples", "samples, Zarr"]
    for timed in results.values():
        assert timed["gain"] == pytest.approx(timed["eager_s"] / timed["s"])
        assert timed["over_alone"] == pytest.approx(timed["s"] / timed["alone_s"])
    assert results["epoch"]["published_ratio"] > 1.0


def test_published_scheme_solves_the_same_model(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    published = importlib.import_module("benchmarks.published")
    physics = importlib.import_module("benchmarks.physics")
    parameters, forcing = physics.random_columns(32, torch.float64)
    model = SoilCarbonModel()
    columns = model.prepare(forcing)
    ours = model.steady_state(parameters, columns).soc
    theirs = published.DenseModel().steady_state(parameters, columns).soc
    # LAPACK's pivoting loses digits where little carbon is.
    torch.testing.assert_close(theirs, ours, rtol=1e-6, atol=1e-6 * float(ours.max()))


def test_operations_are_those_of_arithmetic(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    floors = importlib.import_module("benchmarks.floors")
    a, b = torch.rand(3, 4), torch.rand(4, 5)
    assert floors.count_operations(lambda: a @ b) == 2 * 3 * 4 * 5
    assert floors.count_operations(lambda: (a + 1.0).exp()) == 2 * 12
    assert floors.count_operations(lambda: a.sum(0)) == 12
    assert floors.count_operations(lambda: a.T.reshape(2, 6).clone()) == 0


def test_memory_beyond_is_what_a_part_takes(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    memory = importlib.import_module("benchmarks.memory")
    mib = 48  # less than what malloc keeps

    def build(size):
        # A large block that is freed lets malloc keep smaller ones, which must count nevertheless.
        torch.empty(31 << 20, dtype=torch.uint8)
        return lambda: [torch.ones(1 << 20, dtype=torch.uint8) for _ in range(size)]

    monkeypatch.setitem(memory.PARTS, "ours", (build, mib))
    found = memory.measure("ours", smoke=False)
    assert mib - 2 < found["peak_mib"] < mib + 8  # pages that others touch meanwhile
    assert found["before_mib"] > mib


@pytest.mark.slow
def test_stages_are_over_their_floors():
    results = json.loads(on_embedded_data("stages", "--json"))
    assert list(results)[:3] == ["ceilings", "encoder", "encoder, and backward"]
    del results["ceilings"]
    for stage in results.values():
        floor = max(stage["floor_by_bytes_us"], stage["floor_by_operations_us"])
        assert stage["over_floor"] == pytest.approx(stage["us"] / floor)
        assert stage["bytes"] > 0
    assert results["solve"]["operations"] > 1000


@pytest.mark.slow
def test_memory_is_that_of_each_part():
    results = json.loads(on_embedded_data("memory", "--json"))
    assert list(results) == [
        "physics", "epoch", "predict", "samples", "stored", "lazy graph", "retrieve"
    ]  # fmt: skip
    assert all(part["before_mib"] > 50.0 for part in results.values())


@pytest.mark.slow
def test_startup_compares_with_xarray_and_with_torch_alone():
    results = json.loads(on_embedded_data("startup", "--json"))
    imports, predict = results["import"], results["predict"]
    assert imports["added"] == pytest.approx(imports["both"] - imports["xarray"])
    assert predict["first_ever"] > predict["eager"] > imports["xarray"]


@pytest.mark.slow
def test_costs_of_the_world_are_printed_for_every_resolution():
    lines = on_embedded_data("costs").splitlines()
    for where in ("0.5 degree", "0.1 degree", "1 km"):
        assert sum(line.startswith(where) for line in lines) == 2


@pytest.mark.slow
def test_proda_compares_all_samplers():
    command = [sys.executable, "-m", "benchmarks.proda", "--smoke", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert list(results) == ["hamiltonian", "metropolis", "evolution"]
    slowest = min(row["ess_per_second"] for row in results.values())
    for row in results.values():
        assert row["ratio"] == pytest.approx(row["ess_per_second"] / slowest)
        assert row["over_solves"] > 0.0
        assert row["ess_per_1000_solves"] == pytest.approx(1000.0 * row["ess"] / row["solves"])


@pytest.mark.slow
def test_running_prints_ratios_and_what_a_job_of_many_tiles_does():
    results = json.loads(on_embedded_data("running", "--json"))
    for name in ("lazy_path", "tile_job", "resume"):
        timed = results[name]
        assert timed["ratio"] == pytest.approx(timed["s"] / timed["baseline_s"])
    workers = results["two_workers"]
    assert workers["ratio"] == pytest.approx(workers["baseline_s"] / workers["s"])
    assert results["many_tiles"]["tasks_per_tile"] == 1.0
    assert results["lazy_graph"]["tasks"] > 0


@pytest.mark.slow
def test_calibration_counts_every_split_and_their_mean():
    rows = [line.split() for line in on_embedded_data("calibration").splitlines()[3:]]
    assert [row[:3] for row in rows] == [
        [kind, members, which]
        for kind in ("measured", "linear", "threshold")
        for members in ("1", "2")
        for which in ("0", "mean")
    ]
    assert all(0.0 < float(row[3]) <= 1.0 and float(row[4]) > 0.0 for row in rows)
    assert rows[0][3:] == rows[1][3:]
    assert len({tuple(row[3:]) for row in rows[::2]}) == len(rows) // 2
