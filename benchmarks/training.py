"""Time training and prediction with compiled kernels, with torch alone, and without any physics.

Run ``python -m benchmarks.training`` for a table, with ``--json`` for numbers alone. One thread,
float32, seconds of the processor, medians of repetitions in which all sides take turns:

epoch
    One pass over 25,925 sites, as many as the profiles of Xu et al. (2025): sites of the profiles
    at hand drawn with replacement, with covariates, depths and forcing. A default network.
predict
    ``ds.binn.predict(model)`` on cells that lie in memory, with all outputs.

The baseline is the same network without physics: forward with backward over the batches of an
epoch, and forward over the cells. Grid and profiles are the real ones where XBINN_DATA names
them, the idealised ones otherwise.
"""

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
import xarray as xr

import xbinn
from benchmarks.physics import heading, way
from xbinn.labels.covariates import select_covariates
from xbinn.labels.sites import gather_sites
from xbinn.learning.encoders import build_encoder
from xbinn.learning.model import BINN
from xbinn.learning.training import train
from xbinn.parameters import N_PARAMETERS
from xbinn.physics.steady_state import SoilCarbonModel
from xbinn.running.block import CELLS_PER_STEP
from xbinn.science.fitting import encoder_config, prepare, training_data
from xbinn.science.settings import fit_settings

SEED: Final = 20_250
SITES: Final = 25_925
"""Profiles over the contiguous United States in Xu et al. (2025)."""
CELLS: Final = 20_000
REPETITIONS: Final = 5
Figures = dict[str, float]


def compare(run: Callable[[], object], alone: Callable[[], object], repetitions: int) -> Figures:
    """Median seconds of both ways and of the baseline, taking turns."""
    sides = {"s": (run, "auto"), "eager_s": (run, "eager"), "alone_s": (alone, "auto")}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for repetition in range(repetitions + 1):
        for name, (function, kernels) in sides.items():
            with way(kernels):
                start = time.process_time()
                function()
                seconds = time.process_time() - start
            # The first time is for imports, compilers and caches.
            if repetition:
                times[name].append(seconds)
    found = {name: statistics.median(values) for name, values in times.items()}
    return found | {
        "gain": found["eager_s"] / found["s"],
        "over_alone": found["s"] / found["alone_s"],
    }


def time_epoch(grid: xr.Dataset, profiles: xr.Dataset, n_sites: int, repetitions: int) -> Figures:
    """One epoch of the default network, against forward and backward without physics."""
    settings = fit_settings(epochs=1, seed=0, validation=None)
    covariates = select_covariates(grid)
    sites = gather_sites(grid, profiles, covariates, bedrock=settings.bedrock)
    prepared = prepare(sites, covariates, settings)
    data = training_data(
        prepared.sites, settings.bedrock, settings.observation, torch.float32, torch.device("cpu")
    )
    drawn = np.random.default_rng(SEED).integers(0, data.n_sites, n_sites)
    data = data.select(torch.from_numpy(drawn))
    config = encoder_config(prepared.covariates, settings, n_outputs=N_PARAMETERS)
    network = BINN(
        build_encoder(config, seed=0), SoilCarbonModel(settings.bedrock), prior=settings.prior
    )
    network.encoder.standardise(data.numeric)
    batches = torch.arange(n_sites).tensor_split(max(1, n_sites // settings.options.batch_size))

    def alone() -> None:
        network.encoder.train()
        for batch in batches:
            network.encoder(data.numeric[batch], data.categorical[batch]).sum().backward()

    return compare(lambda: train(network, data, options=settings.options), alone, repetitions)


def time_predict(grid: xr.Dataset, profiles: xr.Dataset, n_cells: int, repetitions: int) -> Figures:
    """A map with all outputs, against the network alone in the precision of maps."""
    model = xbinn.fit(grid, profiles, epochs=1, seed=0)
    space = [d for d in grid["TSOI"].dims if d not in ("month", "depth")]
    cells = grid.stack(cell=space)
    valid = np.flatnonzero((model_status(grid, model).stack(cell=space) == 0).values)
    drawn = np.random.default_rng(SEED).choice(valid, n_cells)
    cells = cells.isel(cell=drawn).drop_vars(["cell", *space])
    cells = cells.map(lambda field: field.copy(data=np.ascontiguousarray(field.values)))
    (network,) = model.predictor.networks
    encoder = copy.deepcopy(network.encoder).double().eval()
    spec = model.predictor.covariates
    numeric = torch.from_numpy(np.stack([cells[name].values for name, _ in spec.numeric], axis=1))
    known = torch.zeros((n_cells, len(spec.categorical)), dtype=torch.int64)

    def alone() -> None:
        with torch.inference_mode():
            for part in range(0, n_cells, CELLS_PER_STEP):
                chosen = slice(part, part + CELLS_PER_STEP)
                encoder(numeric[chosen].double(), known[chosen])

    return compare(lambda: xbinn.predict(cells, model), alone, repetitions)


def model_status(grid: xr.Dataset, model: xbinn.Model) -> xr.DataArray:
    """Which cells have a result, on the grid."""
    return xbinn.predict(grid, model, outputs=("soc",))["status"]


def run(*, smoke: bool) -> dict[str, Figures]:
    """All parts."""
    torch.set_num_threads(1)
    grid, profiles = xbinn.datasets.open_grid().load(), xbinn.datasets.open_profiles().load()
    n_sites, n_cells, repetitions = (64, 64, 1) if smoke else (SITES, CELLS, REPETITIONS)
    return {
        "epoch": time_epoch(grid, profiles, n_sites, repetitions),
        "predict": time_predict(grid, profiles, n_cells, repetitions),
    }


def table(results: dict[str, Figures]) -> str:
    """Lay the results out for reading."""
    lines = [
        *heading(),
        "",
        f"{'':10}{'s':>8}{'eager':>8}{'gain':>7}{'network alone':>15}{'over alone':>12}",
    ]
    for name, f in results.items():
        lines.append(
            f"{name:10}{f['s']:8.2f}{f['eager_s']:8.2f}{f['gain']:7.1f}"
            f"{f['alone_s']:15.2f}{f['over_alone']:12.1f}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: shows that it runs")
    options = parser.parse_args(arguments)
    results = run(smoke=options.smoke)
    print(json.dumps(results, indent=2) if options.json else table(results))


if __name__ == "__main__":
    sys.exit(main())
