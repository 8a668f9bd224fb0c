"""How long is it until something can be done?

Run ``python -m benchmarks.startup`` for a table, with ``--json`` for numbers alone. Seconds of the
clock of new processes, medians; the sides take turns:

import
    ``import xbinn`` behind ``import xarray``, over ``import xarray`` alone.
predict
    The first map of a process, of a small idealised grid by a saved model: of the whole process,
    start, imports and end included, and of `load` and `predict` alone, which import torch. With the
    kernels' cache filled by a process before, with an empty one, and by torch alone.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import xbinn
from benchmarks.common import heading, parser, report
from xbinn.physics.paths import VARIABLE
from xbinn.testing import small_grid, small_profiles

REPETITIONS: Final = 7
SMOKE: Final = 1
BASE: Final = "import xarray"
PREDICT: Final = """
import time, xarray, xbinn
grid = xarray.open_dataset({grid!r})
start = time.perf_counter()
xbinn.predict(grid, xbinn.load({model!r}))
print(time.perf_counter() - start)
"""
Figures = dict[str, float]


def seconds(code: str, **environment: str) -> tuple[float, float]:
    """Run code in a new process: seconds of the process, and those that it prints, else 0."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return time.perf_counter() - start, float(done.stdout or 0.0)


def medians(
    sides: Mapping[str, tuple[str, dict[str, str]]], repetitions: int
) -> dict[str, tuple[float, float]]:
    """Medians of `seconds` of each side after a round that does not count."""
    rounds = [
        [seconds(code, **more) for code, more in sides.values()] for _ in range(repetitions + 1)
    ]
    each = zip(*rounds[1:], strict=True)
    return {
        side: (statistics.median(whole), statistics.median(within))
        for side, (whole, within) in zip(
            sides, (zip(*pairs, strict=True) for pairs in each), strict=True
        )
    }


def imports(repetitions: int) -> Figures:
    """Import of xarray alone, and with xbinn behind it."""
    sides = {"xarray": (BASE, {}), "both": (f"{BASE}; import xbinn", {})}
    (xarray, _), (both, _) = medians(sides, repetitions).values()
    return {"xarray": xarray, "both": both, "added": both - xarray}


def first_maps(repetitions: int) -> dict[str, Figures]:
    """Whole processes, and what they take to load and predict; in a folder that is removed."""
    with tempfile.TemporaryDirectory(prefix="xbinn-benchmark-") as folder:
        grid, model = Path(folder, "grid.nc"), Path(folder, "m.xbinn")
        here = small_grid()
        here.to_netcdf(grid)
        xbinn.fit(here, small_profiles(here), epochs=1, seed=0, progress=False).save(model)
        code = PREDICT.format(grid=str(grid), model=str(model))
        cache = {"NUMBA_CACHE_DIR": str(Path(folder, "cache"))}
        cold, _ = seconds(code, **cache)
        warm = medians(
            {"kernels": (code, cache), "eager": (code, {VARIABLE: "eager"})}, repetitions
        )
    return {
        "predict": {"first_ever": cold} | {side: whole for side, (whole, _) in warm.items()},
        "load_and_predict": {side: within for side, (_, within) in warm.items()},
    }


def run(repetitions: int) -> dict[str, Figures]:
    """All parts."""
    return {"import": imports(repetitions), **first_maps(repetitions)}


def table(results: dict[str, Figures]) -> str:
    """Lay the results out for reading."""
    imports, predict, call = results["import"], results["predict"], results["load_and_predict"]
    return "\n".join(
        [
            *heading(),
            "",
            f"import xarray {imports['xarray']:.2f} s; xbinn adds {imports['added']:.2f} s",
            f"first map of a small grid, whole process: {predict['kernels']:.2f} s with kernels, "
            f"{predict['eager']:.2f} s by torch alone",
            f"its load and predict, torch's import within: {call['kernels']:.2f} s with kernels, "
            f"{call['eager']:.2f} s by torch alone",
            "with kernels that have to be compiled, once on a machine: "
            f"{predict['first_ever']:.1f} s",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    options = parser("benchmarks.startup", __doc__).parse_args(arguments)
    report(options, lambda: run(SMOKE if options.smoke else REPETITIONS), table)


if __name__ == "__main__":
    main()
