"""What asv tracks is found by it, and each number is one, in small."""

import importlib
import inspect
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).parents[1]
CONFIG = json.loads((ROOT / "asv.conf.json").read_text())
QUICK = ("Physics", "Simulate", "Stages", "Training", "Maps", "Graph", "Sampling", "Memory")
SLOW = ("Jobs", "Startup")
"""These run many tiles, or start many processes."""
FIND = """
import sys
from asv_runner.discovery import disc_benchmarks, list_benchmarks
list_benchmarks({0!r}, sys.stdout)
sys.exit(not all(one.check({0!r}) for one in disc_benchmarks({0!r})))
"""


@pytest.fixture
def tracked(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module with tiny sizes, on embedded data."""
    monkeypatch.setenv("XBINN_BENCHMARKS_SMOKE", "1")
    monkeypatch.setenv("XBINN_DATA", "")
    monkeypatch.syspath_prepend(ROOT)
    module = importlib.import_module("benchmarks.tracked")
    assert module.SMOKE
    return module


@pytest.fixture(autouse=True)
def threads():
    """Leave torch the threads that it had."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def numbers(benchmarks: type) -> list[str]:
    return [name for name, _ in inspect.getmembers(benchmarks) if name.startswith("track_")]


def covering(benchmarks: type) -> list[tuple[object, ...]]:
    """As few combinations of parameters as hold each value once."""
    params = getattr(benchmarks, "params", ())
    longest = max(map(len, params), default=1)
    return [tuple(values[i % len(values)] for values in params) for i in range(longest)]


def check_numbers(benchmarks: type, combinations: list[tuple[object, ...]]) -> None:
    """Set up and measure each by itself."""
    assert numbers(benchmarks)
    for name in numbers(benchmarks):
        for arguments in combinations:
            own = benchmarks()
            if hasattr(own, "setup"):
                own.setup(*arguments)
            value = getattr(own, name)(*arguments)
            assert math.isfinite(value), (name, arguments)
            # The second run of a tiny part fits into what the first has left.
            nothing = name == "track_peak" and value == 0.0
            assert value > 0.0 or nothing, (name, arguments)


def test_asv_finds_what_is_tracked_and_nothing_else(tracked):
    """Elsewhere, as it does, and in full size: nothing is run."""
    code = FIND.format(str(ROOT / CONFIG["benchmark_dir"]))
    environment = {k: v for k, v in os.environ.items() if k != "XBINN_BENCHMARKS_SMOKE"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert set(found) == {
        f"tracked.{kind}.{name}"
        for kind in (*QUICK, *SLOW)
        for name in numbers(getattr(tracked, kind))
    }
    for one in found.values():
        assert one["type"] == "track"
        assert one["unit"] != "unit", "name the unit of a number"
        assert one["timeout"] == tracked.timeout
        assert len(one["param_names"]) == len(one["params"])
    batches = found["tracked.Physics.track_over_dense"]["params"][2]
    assert batches == [str(n) for n in tracked.physics.Sizes().batches]


@pytest.mark.parametrize("kind", QUICK)
def test_numbers_are_finite_and_positive(tracked, kind):
    benchmarks = getattr(tracked, kind)
    check_numbers(benchmarks, covering(benchmarks)[:2])


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*QUICK, *SLOW])
def test_numbers_are_so_for_each_value_of_a_parameter(tracked, kind):
    benchmarks = getattr(tracked, kind)
    check_numbers(benchmarks, covering(benchmarks))
