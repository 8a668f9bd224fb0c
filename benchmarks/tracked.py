"""What is tracked from commit to commit by asv: one number a benchmark, and less is better.

asv imports all modules here and goes by names: these functions begin with ``track_``, and no other
one may, nor with ``time_``, ``mem_`` or ``peakmem_``. What is measured stands in the modules that
print it; here it is only named. Times are divided by those of a baseline in the same run, so that
commits can be compared that ran on different days.

With the environment variable ``XBINN_BENCHMARKS_SMOKE`` sizes are tiny, to show that it runs.
"""

import os
from dataclasses import replace
from typing import Final

import torch

import xbinn
from benchmarks import memory, physics, proda, running, stages, startup, training
from xbinn.science.proda.sampler import SAMPLERS, SamplerName

SMOKE: Final = bool(os.environ.get("XBINN_BENCHMARKS_SMOKE"))
PHYSICS: Final = physics.SMOKE if SMOKE else physics.Sizes()
TRAINING: Final = training.SMOKE if SMOKE else training.Sizes()
JOBS: Final = running.SMOKE if SMOKE else running.Sizes(repeats=50)
CHAINS: Final = proda.SMOKE if SMOKE else proda.Size(96, 100, 1_000)
STARTS: Final = startup.SMOKE if SMOKE else startup.REPETITIONS

# asv reads these.
unit = "times as long"
timeout = 1800  # seconds a number


class Physics:
    """The structured solve, against batched dense linear algebra."""

    param_names = ("part", "direction", "batch", "dtype", "threads")
    params = (
        list(physics.PARTS),
        list(physics.DIRECTIONS),
        list(PHYSICS.batches),
        ["float32", "float64"],
        [1, 2],
    )

    def track_over_dense(
        self, part: str, direction: str, batch: int, dtype: str, threads: int
    ) -> float:
        """Ours over dense."""
        torch.set_num_threads(threads)
        return 1.0 / physics.measure(part, direction, batch, replace(PHYSICS, dtype=dtype))["ratio"]


class Simulate:
    """`xbinn.simulate`, labels included, against batched dense linear algebra."""

    def track_over_dense(self) -> float:
        """Ours over dense."""
        torch.set_num_threads(1)
        return 1.0 / physics.measure_simulate(PHYSICS)["ratio"]


class Stages:
    """Each stage of a column, against what this machine can do."""

    unit = "floors"
    param_names = ("stage",)
    params = (list(stages.ROWS),)

    def track_over_floor(self, stage: str) -> float:
        """Ours over the floor."""
        torch.set_num_threads(1)
        ceilings = stages.measured_ceilings(smoke=SMOKE)
        return stages.measure(stage, ceilings, smoke=SMOKE)["over_floor"]


class Training:
    """An epoch of the default network."""

    def setup(self) -> None:
        """Draw the sites."""
        torch.set_num_threads(1)
        grid, profiles = xbinn.datasets.open_grid().load(), xbinn.datasets.open_profiles().load()
        self.epoch = training.epoch_of(grid, profiles, TRAINING.sites)

    def track_over_network(self) -> float:
        """Ours over the network without physics."""
        return training.measure_epoch(self.epoch, TRAINING.repetitions)["over_alone"]

    def track_over_published(self) -> float:
        """Ours over the published scheme."""
        return 1.0 / training.measure_published(self.epoch, TRAINING.few)["published_ratio"]


class Maps:
    """Maps, against their steps alone."""

    param_names = ("source", "samples")
    params = (["memory", "zarr"], [0, TRAINING.samples])

    def setup(self, source: str, samples: int) -> None:
        """Fit a model and draw cells."""
        torch.set_num_threads(1)
        grid, profiles = xbinn.datasets.open_grid().load(), xbinn.datasets.open_profiles().load()
        self.model, self.cells = training.fitted(grid, profiles, TRAINING.sampled)

    def track_over_steps(self, source: str, samples: int) -> float:
        """Ours over the steps."""
        found = training.measure_map(self.model, self.cells, samples, TRAINING.few, source=source)
        return found["over_alone"]


class Jobs:
    """A lazy map and a tile job, against a plain loop."""

    param_names = ("what",)
    params = (list(running.OVERHEADS),)

    def track_over_loop(self, what: str) -> float:
        """Ours over the loop; for resume, over a job that is not interrupted."""
        with running.setting(JOBS) as here:
            measure = running.OVERHEADS[what]
            return running.overhead(measure, here, JOBS.repetitions)["ratio"]


class Graph:
    """A lazy map of many blocks."""

    unit = "tasks a block"

    def track_tasks(self) -> float:
        """Tasks of the optimised graph."""
        with running.setting(JOBS) as here:
            return running.lazy_graph(here, JOBS.blocks)["tasks"] / 1000


class Sampling:
    """A solve within a sampler, against a bare one."""

    param_names = ("sampler",)
    params = (list(SAMPLERS),)

    def track_over_solves(self, sampler: SamplerName) -> float:
        """Ours over the bare solve."""
        return proda.measure(sampler, CHAINS)["over_solves"]


class Memory:
    """What a part takes at its peak beyond what it is given; asv starts a process for each."""

    unit = "MiB"
    param_names = ("part",)
    params = (list(memory.PARTS),)

    def track_peak(self, part: str) -> float:
        """Beyond what was there before."""
        return memory.measure(part, smoke=SMOKE)["peak_mib"]


class Startup:
    """New processes."""

    def track_import_over_xarray(self) -> float:
        """Import of both over import of xarray."""
        found = startup.imports(STARTS)
        return found["both"] / found["xarray"]

    def track_first_map_over_eager(self) -> float:
        """Whole process of a first map with kernels from their cache, over torch alone."""
        found = startup.first_maps(STARTS)["predict"]
        return found["kernels"] / found["eager"]
