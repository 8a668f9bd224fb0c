"""The benchmark runs and prints what it says it prints; its times are nobody's business here."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FIGURES = {"us", "eager_us", "baseline_us", "ratio", "eager_ratio"}


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


def test_training_compares_both_ways_and_the_network_alone():
    command = [sys.executable, "-m", "benchmarks.training", "--smoke", "--json"]
    environment = {**os.environ, "XBINN_DATA": ""}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert list(results) == ["epoch", "predict"]
    for timed in results.values():
        assert timed["gain"] == pytest.approx(timed["eager_s"] / timed["s"])
        assert timed["over_alone"] == pytest.approx(timed["s"] / timed["alone_s"])


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
        assert row["ess_per_1000_solves"] == pytest.approx(1000.0 * row["ess"] / row["solves"])


@pytest.mark.slow
def test_running_prints_ratios_and_what_a_job_of_many_tiles_does():
    command = [sys.executable, "-m", "benchmarks.running", "--smoke", "--json"]
    environment = {**os.environ, "XBINN_DATA": ""}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    for name in ("lazy_path", "tile_job", "resume"):
        timed = results[name]
        assert timed["ratio"] == pytest.approx(timed["s"] / timed["baseline_s"])
    workers = results["two_workers"]
    assert workers["ratio"] == pytest.approx(workers["baseline_s"] / workers["s"])
    assert results["many_tiles"]["tasks_per_tile"] == 1.0
    assert results["lazy_graph"]["tasks"] > 0


@pytest.mark.slow
def test_calibration_counts_every_split_and_their_mean():
    command = [sys.executable, "-m", "benchmarks.calibration", "--smoke"]
    environment = {**os.environ, "XBINN_DATA": ""}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[3:]]
    assert [row[:2] for row in rows] == [["1", "0"], ["1", "mean"], ["2", "0"], ["2", "mean"]]
    assert all(0.0 < float(row[2]) <= 1.0 and float(row[3]) > 0.0 for row in rows)
    assert rows[0][2:] == rows[1][2:]
