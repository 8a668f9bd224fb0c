"""How much memory does each part take at its peak?

Run ``python -m benchmarks.memory`` for a table, with ``--json`` for numbers alone. Each part runs
in a process of its own that first makes ready what the part is given; counted is what the process
then takes beyond that, at its peak, as Linux keeps it (``VmHWM`` in ``/proc/self/status``). What
was freed before is handed back to the system first, else the part would begin by using it up. One
thread, float32. Sizes are those of ``python -m benchmarks.training``:

physics
    Steady state of 4,096 columns from monthly forcing, and back to the parameters.
epoch
    Training on 25,925 sites.
predict, samples
    Maps of 20,000 cells, and of 8,192 cells with 64 samples, from memory.
stored
    The latter from a Zarr store, one chunk after the other.
lazy graph
    Building a lazy map of 1,000 blocks.
retrieve
    Chains of the Bayesian predecessor: 24 profiles, 20 steps each for warm-up and draws.
"""

import ctypes
import gc
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import torch

import xbinn
from benchmarks.common import heading, parser, report
from benchmarks.physics import Sizes, forward_backward, from_forcing
from benchmarks.training import CELLS, SAMPLED_CELLS, SAMPLES, SITES, epoch_of, fitted, stored
from xbinn.learning.training import train
from xbinn.physics.steady_state import SoilCarbonModel
from xbinn.science.proda import retrieve

SMOKE_SIZE: Final = 16
COLUMNS: Final = max(Sizes().batches)
BLOCKS: Final = 1000
PROFILES: Final = 24
STEPS: Final = 20
Part = Callable[[], object]


def physics(size: int) -> Part:
    """Solve columns and go back."""
    function, leaves = from_forcing(size, torch.float32, structured=True)
    return forward_backward(function, leaves)


def epoch(size: int) -> Part:
    """Train a default network for an epoch."""
    one = epoch_of(xbinn.datasets.open_grid().load(), xbinn.datasets.open_profiles(), size)
    network = one.network(SoilCarbonModel(one.settings.bedrock))
    return lambda: train(network, one.data, options=one.settings.options)


def predict(size: int) -> Part:
    """Make a map."""
    model, cells = fitted(xbinn.datasets.open_grid().load(), xbinn.datasets.open_profiles(), size)
    return lambda: xbinn.predict(cells, model)


def samples(size: int) -> Part:
    """Make a map of the posterior."""
    model, cells = fitted(xbinn.datasets.open_grid().load(), xbinn.datasets.open_profiles(), size)
    return lambda: xbinn.predict(cells, model, samples=SAMPLES, seed=0)


def stored_samples(size: int) -> Part:
    """Make a map of the posterior from a store."""
    model, cells = fitted(xbinn.datasets.open_grid().load(), xbinn.datasets.open_profiles(), size)
    # The store is removed when nothing refers to it any more.
    folder = tempfile.TemporaryDirectory(prefix="xbinn-benchmark-")
    grid = stored(cells, folder.name)

    def run(_: object = folder) -> object:
        lazy = xbinn.predict(grid, model, samples=SAMPLES, seed=0)
        return lazy.compute(scheduler="synchronous")

    return run


def lazy_graph(size: int) -> Part:
    """Set up a lazy map."""
    model, cells = fitted(xbinn.datasets.open_grid().load(), xbinn.datasets.open_profiles(), size)
    blocks = cells.chunk({"cell": 1})
    return lambda: xbinn.predict(blocks, model)


def chains(size: int) -> Part:
    """Retrieve parameters profile by profile."""
    grid = xbinn.datasets.open_grid().load()
    profiles = xbinn.datasets.open_profiles().isel(profile=slice(size))
    return lambda: retrieve(
        grid, profiles, steps=STEPS, max_steps=STEPS, batch_size=size, seed=0, progress=False
    )


PARTS: Final[dict[str, tuple[Callable[[int], Part], int]]] = {
    "physics": (physics, COLUMNS),
    "epoch": (epoch, SITES),
    "predict": (predict, CELLS),
    "samples": (samples, SAMPLED_CELLS),
    "stored": (stored_samples, SAMPLED_CELLS),
    "lazy graph": (lazy_graph, BLOCKS),
    "retrieve": (chains, PROFILES),
}


def resident(name: str) -> float:
    """Memory of this process [MiB]: ``VmRSS`` now, ``VmHWM`` at its peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {name}: this benchmark needs Linux")


def measure(name: str, *, smoke: bool) -> dict[str, float]:
    """Run one part twice and take the second: libraries that load at first use do not count."""
    torch.set_num_threads(1)
    build, size = PARTS[name]
    part = build(min(size, SMOKE_SIZE) if smoke else size)
    part()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = resident("VmRSS")
    part()
    return {"before_mib": before, "peak_mib": resident("VmHWM") - before}


def run(*, smoke: bool) -> dict[str, dict[str, float]]:
    """All parts, each in a new process."""
    found = {}
    for name in PARTS:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found[name] = pool.submit(measure, name, smoke=smoke).result()
    return found


def table(results: dict[str, dict[str, float]]) -> str:
    """Lay the results out for reading."""
    lines = [*heading(), "", f"{'MiB':12}{'before':>8}{'beyond':>8}"]
    for name, f in results.items():
        lines.append(f"{name:12}{f['before_mib']:8.0f}{f['peak_mib']:8.0f}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    options = parser("benchmarks.memory", __doc__).parse_args(arguments)
    report(options, lambda: run(smoke=options.smoke), table)


if __name__ == "__main__":
    main()
