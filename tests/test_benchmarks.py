"""The benchmark runs and prints what it says it prints; its times are nobody's business here."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FIGURES = {"us", "baseline_us", "ratio"}


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.physics", "--smoke", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_json_has_the_promised_structure():
    results = json.loads(run("--json"))
    assert list(results) == ["solve", "assembly_and_solve", "simulate"]
    figures = [results["simulate"]]
    for part in ("solve", "assembly_and_solve"):
        assert list(results[part]) == ["forward", "forward_backward"]
        figures += results[part].values()
    for timed in figures:
        assert timed.keys() == FIGURES
        assert all(math.isfinite(value) and value > 0.0 for value in timed.values())
        assert timed["ratio"] == pytest.approx(timed["baseline_us"] / timed["us"])


def test_table_names_machine_and_versions():
    lines = run().splitlines()
    assert "one thread, float32" in lines[0]
    assert "torch" in lines[1]
    assert sum("forward" in line for line in lines) == 5
