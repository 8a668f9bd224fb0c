"""What the benchmarks share: taking turns, the head of a table, the command line."""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import torch

import xbinn
from xbinn.physics.paths import VARIABLE

ResultsT = TypeVar("ResultsT")
TURN: Final = 0.03
"""Least seconds of a turn."""


@contextmanager
def way(kernels: str) -> Iterator[None]:
    """Compute one way, whatever the environment says."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = kernels
    try:
        yield
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before


def clock_of_threads() -> Callable[[], float]:
    """Time of the processor, but that of the wall where torch has several threads."""
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def seconds(run: Callable[[], object], clock: Callable[[], float]) -> float:
    """Time one call."""
    start = clock()
    run()
    return clock() - start


def in_turns(
    sides: Mapping[str, Callable[[], object]],
    repetitions: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Median seconds of one call of each side.

    They take turns, so that a slower minute of the machine hits all. A turn is as many calls as
    fill some hundredths of a second: a short one would be timed with the caches that the others
    left. A first round, of imports, compilers and caches, does not count.
    """
    calls = {}
    for name, run in sides.items():
        run()
        calls[name] = max(1, math.ceil(TURN / max(seconds(run, clock), 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repetitions):
        for name, run in sides.items():
            took = seconds(lambda run=run, n=calls[name]: repeat(run, n), clock)
            times[name].append(took / calls[name])
    return {name: statistics.median(own) for name, own in times.items()}


def repeat(run: Callable[[], object], n: int) -> None:
    """Call ``n`` times."""
    for _ in range(n):
        run()


def by_both_ways(run: Callable[[], object]) -> dict[str, Callable[[], object]]:
    """Sides of a comparison: as users have it, and by torch alone."""

    def eager() -> None:
        with way("eager"):
            run()

    def compiled() -> None:
        with way("auto"):
            run()

    return {"ours": compiled, "eager": eager}


def heading(*, threads: int = 1, dtype: str = "float32") -> list[str]:
    """Machine and versions, without which no figure means anything."""
    try:
        numba = f"numba {importlib.metadata.version('numba')}"
    except importlib.metadata.PackageNotFoundError:
        numba = "no numba: no compiled kernels"
    count = "one thread" if threads == 1 else f"{threads} threads"
    return [
        f"{processor()}, {platform.system()}, {count}, {dtype}",
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"numpy {np.__version__}, {numba}, xbinn {xbinn.__version__}",
    ]


def processor() -> str:
    """Name the processor, as the system does where Python cannot."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Return the command line of a benchmark: a table, numbers alone, or a trial."""
    command = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--json", action="store_true", help="print the numbers as JSON")
    command.add_argument("--smoke", action="store_true", help="tiny sizes: shows that it runs")
    return command


def report(
    options: argparse.Namespace,
    run: Callable[[], ResultsT],
    table: Callable[[ResultsT], str],
) -> None:
    """Run a benchmark and print what it found as its command line asks."""
    results = run()
    print(json.dumps(results, indent=2, default=vars) if options.json else table(results))
