"""Compare the samplers of `xbinn.science.proda.retrieve`: effective draws for what they cost.

Run ``python -m benchmarks.proda`` for a table, with ``--json`` for numbers alone, with ``--smoke``
for a run of seconds that shows that it works.

The three samplers infer the same profiles, drawn from the real ones where XBINN_DATA names them and
idealised otherwise, in one batch on one thread in float32. Each takes all its steps, whether
profiles have converged or not. The effective sample size of a profile is that of its worst
parameter; figures are medians over the profiles. A gradient counts as one solve, though it costs
more: seconds are what to compare. They are of the processor, so that other jobs on the machine do
not count. The whole takes about seven minutes.

A solve within the sampler is also set against a bare one: the steady state of a column among as
many, forward or with backward as the sampler takes it, from forcing that is prepared. What is above
1 is likelihood, random numbers, proposals and diagnostics. What compiled kernels gain end to end is
measured on shorter chains, the same ones by torch alone.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

import xbinn
from benchmarks.common import heading, in_turns, parser, report, way
from benchmarks.physics import DIRECTIONS, random_columns
from xbinn.physics.steady_state import SoilCarbonModel
from xbinn.science.proda import retrieve
from xbinn.science.proda.sampler import SAMPLERS, SamplerName


@dataclass(frozen=True)
class Size:
    """How much is done; the warm-up is as long as the steps."""

    profiles: int
    steps_with_gradients: int
    steps_without: int


FULL: Final = Size(96, 500, 10_000)
SHORT: Final = Size(96, 60, 1_200)
SMOKE: Final = Size(6, 8, 100)

SEED: Final = 20_250
CHAINS: Final = 4
BARE_REPETITIONS: Final = 5
Figures = dict[str, float]


def bare_solve(n: int, *, gradient: bool) -> float:
    """Seconds a column of ``n`` steady states, with gradients of all parameters or not."""
    parameters, forcing = random_columns(n)
    model = SoilCarbonModel()
    columns = model.prepare(forcing)
    towards = DIRECTIONS["forward_backward" if gradient else "forward"]
    run = towards(lambda: model.steady_state(parameters, columns).pools, [parameters])
    return in_turns({"solve": run}, BARE_REPETITIONS)["solve"] / n


def measure(sampler: SamplerName, size: Size) -> Figures:
    """Infer all profiles by one sampler."""
    torch.set_num_threads(1)
    grid, profiles = xbinn.datasets.open_grid().load(), xbinn.datasets.open_profiles().load()
    drawn = np.random.default_rng(SEED).choice(
        profiles.sizes["profile"], size.profiles, replace=False
    )
    gradient = SAMPLERS[sampler].uses_gradient
    steps = size.steps_with_gradients if gradient else size.steps_without
    begun = time.process_time()
    found = retrieve(
        grid,
        profiles.isel(profile=np.sort(drawn)),
        sampler=sampler,
        chains=CHAINS,
        steps=steps,
        max_steps=steps,
        batch_size=size.profiles,
        seed=0,
        device="cpu",
        progress=False,
    )
    seconds = time.process_time() - begun
    worst = float(found["ess"].min("parameter").median())
    taken = found["forward_solves"] + found["gradient_evaluations"]
    solves = float(taken.median())
    bare = bare_solve(size.profiles * CHAINS, gradient=gradient)
    return {
        "ess": worst,
        "converged": float(found["converged"].mean()),
        "seconds": seconds,
        "solves": solves,
        "ess_per_second": worst * found.sizes["profile"] / seconds,
        "ess_per_1000_solves": 1000.0 * worst / solves,
        "over_solves": seconds / float(taken.sum()) / bare,
    }


def measure_gain(sampler: SamplerName, size: Size) -> float:
    """Seconds by torch alone over seconds with kernels."""
    seconds = {}
    for kernels in ("auto", "eager"):
        with way(kernels):
            measure(sampler, SMOKE)  # what is loaded once is in nobody's time
            seconds[kernels] = measure(sampler, size)["seconds"]
    return seconds["eager"] / seconds["auto"]


def compare(size: Size, short: Size) -> dict[str, Figures]:
    """Measure all samplers, with the ratio of each to the slowest in effective draws a second."""
    gains = {name: measure_gain(name, short) for name in SAMPLERS}
    results = {name: measure(name, size) | {"gain": gains[name]} for name in SAMPLERS}
    slowest = min(figures["ess_per_second"] for figures in results.values())
    for figures in results.values():
        figures["ratio"] = figures["ess_per_second"] / slowest
    return results


def table(results: dict[str, Figures], size: Size) -> str:
    """Lay out the figures, with the machine."""
    lines = [
        *heading(),
        f"{size.profiles} profiles; medians of the worst parameter",
        "",
        f"{'sampler':12}{'ess':>8}{'converged':>11}{'s':>8}{'ess/1000 solves':>17}{'ess/s':>8}"
        f"{'ratio':>8}{'over solves':>13}{'gain':>6}",
    ]
    for name, row in results.items():
        lines.append(
            f"{name:12}{row['ess']:8.0f}{row['converged']:11.0%}{row['seconds']:8.1f}"
            f"{row['ess_per_1000_solves']:17.2f}{row['ess_per_second']:8.1f}{row['ratio']:8.1f}"
            f"{row['over_solves']:13.1f}{row['gain']:6.1f}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    options = parser("benchmarks.proda", __doc__).parse_args(arguments)
    size, short = (SMOKE, SMOKE) if options.smoke else (FULL, SHORT)
    report(options, lambda: compare(size, short), lambda results: table(results, size))


if __name__ == "__main__":
    main()
