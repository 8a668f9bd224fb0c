"""What does a map of the world cost? Seconds and gigabytes, from what is measured here.

Run ``python -m benchmarks.costs`` for a table, with ``--json`` for numbers alone. Two tile jobs of
different length are run on one core, without and with 64 samples, and what one more cell takes of
the processor is their difference, so that what a job costs at its beginning and end does not count.
Read and written bytes are those of a cell in memory; Zarr compresses them. From these:

2 cores, 100 workers
    Two and a hundred times as fast as one core. Two workers were measured
    (``python -m benchmarks.running``); that a hundred can be fed by their storage is assumed.
1 GPU (estimated, not run)
    One core that reads, sums up and writes beside a device that computes encoder, steady state
    and processes as is done here, faster by the ratio of memory speeds: that of an array copied
    here, and 2,000 GB/s.

Land is what the grid of the Climatic Research Unit has at 0.5 degree without Antarctica, 67,420
cells (Harris et al. 2020), and 25 and 3,600 times as many at 0.1 degree and at 30 arc seconds
(1 km). Cells without a result cost next to nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import dask
import torch
import xarray as xr

import xbinn
from benchmarks.common import heading, in_turns, parser, report
from benchmarks.floors import COPIED, copied_bytes_per_us
from benchmarks.running import Setting, Sizes, clear, job, setting
from benchmarks.training import SAMPLED_CELLS, SAMPLES, Steps, fitted

LAND: Final = {"0.5 degree": 67_420, "0.1 degree": 25 * 67_420, "1 km": 3_600 * 67_420}
GPU_BYTES_PER_US: Final = 2_000_000.0
REPETITIONS: Final = 3
Figures = dict[str, float]


@dataclass(frozen=True)
class Trial:
    """How much is run."""

    shares: tuple[int, int] = (4, 24)
    sampled: tuple[int, int] = (1, 3)
    samples: int = SAMPLES
    cells: int = SAMPLED_CELLS
    copied: int = COPIED
    repetitions: int = REPETITIONS


SMOKE: Final = Trial((1, 2), (1, 2), 2, 8, 1024, 1)


def per_cell(here: Setting, tiles: tuple[int, int], samples: int, repetitions: int) -> Figures:
    """Seconds of one more cell with a result in a tile job, and its bytes."""
    rows = next(iter(here.tile))
    parts = [replace(here, grid=here.grid.isel({rows: slice(n * here.tile[rows])})) for n in tiles]
    options = {} if samples == 1 else {"samples": samples, "seed": 0}

    def run(part: Setting) -> xr.Dataset:
        clear(part)
        return job(part, **options)

    with dask.config.set(scheduler="synchronous"):
        took = in_turns(
            {str(i): lambda p=part: run(p) for i, part in enumerate(parts)},
            repetitions,
        )
        done = [run(part) for part in parts]
    valid = [int((out["status"] == 0).sum()) for out in done]
    return {
        "s": (took["1"] - took["0"]) / (valid[1] - valid[0]),
        "read": here.grid.nbytes / here.cells,
        "written": done[0].nbytes / parts[0].cells,
    }


def run(trial: Trial) -> dict[str, dict[str, float]]:
    """Measure both kinds of map and scale them up."""
    torch.set_num_threads(1)
    share = copied_bytes_per_us(trial.copied) / GPU_BYTES_PER_US
    small, profiles = xbinn.datasets.open_grid().load(), xbinn.datasets.open_profiles()
    model, cells = fitted(small, profiles, trial.cells)
    steps = Steps(model, cells)
    read = steps.read()
    rows = small.sizes[small["TSOI"].dims[-2]]
    # A tile is one copy of the grid at hand.
    with setting(Sizes(repeats=max(trial.shares), rows=rows)) as here:
        kinds = {
            "one map": (trial.shares, 1),
            f"{trial.samples} samples": (trial.sampled, trial.samples),
        }
        results = {}
        for name, (tiles, samples) in kinds.items():
            found = per_cell(here, tiles, samples, trial.repetitions)
            compute = partial(steps.compute, *read, 0 if samples == 1 else samples, begin_once=True)
            alone = in_turns({"alone": compute}, trial.repetitions)["alone"] / trial.cells
            found["device"] = alone
            found["gpu"] = max(found["s"] - alone, 0.0) + alone * share
            results[name] = found
    return results


def table(results: dict[str, dict[str, float]]) -> str:
    """Lay the results out for reading."""
    lines = [
        *heading(),
        "",
        *(
            f"{name}: {f['s'] * 1e6:.0f} us a cell, of which {f['device'] * 1e6:.0f} us encoder, "
            f"steady state and processes; {f['read']:.0f} bytes read, {f['written']:.0f} written"
            for name, f in results.items()
        ),
        "",
        f"{'':12}{'':12}{'2 cores':>10}{'1 GPU (est.)':>14}{'100 workers':>13}{'read, GB':>10}"
        f"{'written, GB':>13}",
    ]
    for where, n in LAND.items():
        for name, f in results.items():
            times = (f["s"] / 2, f["gpu"], f["s"] / 100)
            two, gpu, many = (duration(n * each) for each in times)
            lines.append(
                f"{where:12}{name:12}{two:>10}{gpu:>14}{many:>13}{n * f['read'] / 1e9:10.1f}"
                f"{n * f['written'] / 1e9:13.1f}"
            )
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Name a time in the unit that suits it."""
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    options = parser("benchmarks.costs", __doc__).parse_args(arguments)
    trial = SMOKE if options.smoke else Trial()
    report(options, lambda: run(trial), table)


if __name__ == "__main__":
    main()
