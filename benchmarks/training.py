"""Time training and prediction: with compiled kernels, with torch alone, and against baselines.

Run ``python -m benchmarks.training`` for a table, with ``--json`` for numbers alone. One thread,
float32, seconds of the processor, medians of repetitions in which all sides take turns:

epoch
    One pass over 25,925 sites, as many as the profiles of Xu et al. (2025): sites of the profiles
    at hand drawn with replacement, with covariates, depths and forcing. A default network.
map, samples
    ``ds.binn.predict(model)`` on cells, with all outputs, and ``ds.binn.predict(model,
    samples=64)`` on fewer of these cells: from memory, and from a Zarr store.

The baseline of an epoch is the same network without physics, forward with backward over as many
batches. That of a map is its steps alone: the cells read and their forcing prepared once, and for
each sample the whole network, steady state and processes.

An epoch has a second baseline, the published scheme (`benchmarks.published`): the same training
with a dense matrix for each profile and month, in batches of 32 as published. It is timed on a part
of the sites and scaled to all. Grid and profiles are the real ones where XBINN_DATA names them, the
idealised ones otherwise.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import starmap
from typing import Any, Final

import numpy as np
import torch
import xarray as xr
from torch import Tensor

import xbinn
from benchmarks.common import by_both_ways, heading, in_turns, parser, report
from benchmarks.published import DenseModel
from xbinn.labels.covariates import select_covariates
from xbinn.labels.sites import gather_sites
from xbinn.learning.data import TrainingData
from xbinn.learning.encoders import build_encoder
from xbinn.learning.model import BINN
from xbinn.learning.posterior import drawing
from xbinn.learning.training import train
from xbinn.parameters import N_PARAMETERS
from xbinn.physics.columns import Columns
from xbinn.physics.processes import processes
from xbinn.physics.steady_state import SoilCarbonModel
from xbinn.running.predictor import for_inference
from xbinn.running.tensors import pack_forcing
from xbinn.science.fitting import encoder_config, prepare, training_data
from xbinn.science.settings import FitSettings, fit_settings
from xbinn.variables import FORCING_NAMES

SEED: Final = 20_250
SITES: Final = 25_925
"""Profiles over the contiguous United States in Xu et al. (2025)."""
CELLS: Final = 20_000
SAMPLED_CELLS: Final = 8_192
SAMPLES: Final = 64
STORED_CHUNK: Final = 4_096
"""Cells of a chunk of a store."""
TOGETHER: Final = 1_024
"""Cells in a product of the network alone, which is fastest with them."""
PUBLISHED_SITES: Final = 256
PUBLISHED_BATCH: Final = 32
"""Sites of a batch of the published training."""
REPETITIONS: Final = 5
Figures = dict[str, float]
MAPS: Final = {
    "map": (False, "memory"),
    "map, Zarr": (False, "zarr"),
    "samples": (True, "memory"),
    "samples, Zarr": (True, "zarr"),
}
"""Whether samples are drawn, and where the cells are."""


@dataclass(frozen=True)
class Sizes:
    """How much is timed, and how often."""

    sites: int = SITES
    cells: int = CELLS
    sampled: int = SAMPLED_CELLS
    samples: int = SAMPLES
    repetitions: int = REPETITIONS

    @property
    def few(self) -> int:
        """Repetitions of what takes long."""
        return min(self.repetitions, 3)


SMOKE: Final = Sizes(64, 64, 64, 2, 1)


def compare(
    run: Callable[[], object], alone: Callable[[], object], repetitions: int, n: int
) -> Figures:
    """Median seconds of both ways and of the baseline, taking turns, for ``n`` sites or cells."""
    found = in_turns({**by_both_ways(run), "baseline": alone}, repetitions)
    return {
        "s": found["ours"],
        "us_each": found["ours"] / n * 1e6,
        "eager_s": found["eager"],
        "alone_s": found["baseline"],
        "gain": found["eager"] / found["ours"],
        "over_alone": found["ours"] / found["baseline"],
    }


@dataclass(frozen=True)
class Epoch:
    """Sites with their samples, and how a network is built and trained for them."""

    data: TrainingData[Columns]
    settings: FitSettings
    config: Mapping[str, Any]

    def network(self, process: SoilCarbonModel | DenseModel) -> BINN:
        """Return a fresh network around a process model."""
        network = BINN(build_encoder(self.config, seed=0), process, prior=self.settings.prior)
        network.encoder.standardise(self.data.numeric)
        return network


def epoch_of(grid: xr.Dataset, profiles: xr.Dataset, n_sites: int) -> Epoch:
    """Draw sites with replacement, for a default network."""
    settings = fit_settings(epochs=1, seed=0, validation=None)
    covariates = select_covariates(grid)
    sites = gather_sites(grid, profiles, covariates, bedrock=settings.bedrock)
    prepared = prepare(sites, covariates, settings)
    data = training_data(
        prepared.sites, settings.bedrock, settings.observation, torch.float32, torch.device("cpu")
    )
    drawn = np.random.default_rng(SEED).integers(0, data.n_sites, n_sites)
    config = encoder_config(prepared.covariates, settings, n_outputs=N_PARAMETERS)
    return Epoch(data.select(torch.from_numpy(drawn)), settings, config)


def measure_epoch(epoch: Epoch, repetitions: int) -> Figures:
    """One epoch of the default network, against forward and backward without physics."""
    data, options = epoch.data, epoch.settings.options
    n_sites = data.n_sites
    network = epoch.network(SoilCarbonModel(epoch.settings.bedrock))
    batches = [
        (data.numeric[sites], data.categorical[sites])
        for sites in torch.arange(n_sites).tensor_split(max(1, n_sites // options.batch_size))
    ]

    def alone() -> None:
        network.encoder.train()
        for batch in batches:
            network.encoder.zero_grad()
            network.encoder.penalised(*batch)[0].sum().backward()

    return compare(lambda: train(network, data, options=options), alone, repetitions, n_sites)


def measure_published(epoch: Epoch, repetitions: int) -> Figures:
    """One epoch of the published scheme, from a part of the sites, against ours."""
    data, options = epoch.data, epoch.settings.options
    part = data.select(torch.arange(min(PUBLISHED_SITES, data.n_sites)))
    ours, theirs = (
        epoch.network(p) for p in (SoilCarbonModel(epoch.settings.bedrock), DenseModel())
    )
    small = replace(options, batch_size=min(PUBLISHED_BATCH, part.n_sites))
    sides = {
        "ours": lambda: train(ours, data, options=options),
        "published": lambda: train(theirs, part, options=small),
    }
    found = in_turns(sides, repetitions)
    published = found["published"] * data.n_sites / part.n_sites
    return {"published_s": published, "published_ratio": published / found["ours"]}


def fitted(grid: xr.Dataset, profiles: xr.Dataset, n_cells: int) -> tuple[xbinn.Model, xr.Dataset]:
    """A model, and cells drawn with replacement from those that it has a result for."""
    model = xbinn.fit(grid, profiles, epochs=1, seed=0, progress=False)
    space = [d for d in grid["TSOI"].dims if d not in ("month", "depth")]
    cells = grid.stack(cell=space)
    valid = np.flatnonzero((model_status(grid, model).stack(cell=space) == 0).values)
    drawn = np.random.default_rng(SEED).choice(valid, n_cells)
    cells = cells.isel(cell=drawn).drop_vars(["cell", *space])
    return model, cells.map(lambda field: field.copy(data=np.ascontiguousarray(field.values)))


def covariates_of(cells: xr.Dataset, model: xbinn.Model) -> tuple[Tensor, Tensor]:
    """What the encoder takes, in the precision of maps; all categories as the class "missing"."""
    spec = model.predictor.covariates
    numeric = np.stack([cells[name].values for name, _ in spec.numeric], axis=1)
    known = torch.zeros((len(numeric), len(spec.categorical)), dtype=torch.int64)
    return torch.from_numpy(numeric).double(), known


@dataclass(frozen=True)
class Steps:
    """The steps of a map, one at a time.

    Attributes
    ----------
    model : Model
        Of one network.
    cells : Dataset
        In memory or lazy.
    """

    model: xbinn.Model
    cells: xr.Dataset

    def read(self) -> tuple[dict[str, np.ndarray], list[tuple[Tensor, ...]]]:
        """Read forcing and covariates, the latter in parts that suit the network."""
        spec = self.model.predictor.covariates
        names = [*FORCING_NAMES, *(name for name, _ in spec.numeric)]
        read = self.cells[names].compute(scheduler="synchronous")
        split = (values.split(TOGETHER) for values in covariates_of(read, self.model))
        return {n: read[n].values for n in FORCING_NAMES}, list(zip(*split, strict=True))

    def compute(
        self,
        arrays: Mapping[str, np.ndarray],
        parts: Sequence[tuple[Tensor, ...]],
        samples: int,
        *,
        begin_once: bool = False,
    ) -> None:
        """Prepare the forcing, and compute network, state and processes for each sample.

        What stands before the first dropout of the network is computed for each, or once, as maps
        do. 0 samples are one map without dropout.
        """
        (network,) = self.model.predictor.networks
        ready = for_inference(network, torch.device("cpu"))
        encoder = ready.encoder
        with torch.inference_mode():
            forcing = pack_forcing(arrays, dtype=torch.float32, device=torch.device("cpu"))
            columns = network.process.prepare(forcing)
            begun = [encoder.begin(*part) for part in parts] if begin_once else []
            for number in range(max(samples, 1)):
                with drawing(SEED, number) if samples else nullcontext():
                    units = map(encoder.finish, begun) if begin_once else starmap(encoder, parts)
                    parameters = ready.physical(torch.cat(list(units)))
                processes(network.process.steady_state(parameters, columns))


def stored(cells: xr.Dataset, folder: str) -> xr.Dataset:
    """Write cells to a Zarr store and open it lazily."""
    cells.chunk(cell=STORED_CHUNK).to_zarr(folder, consolidated=False)
    return xr.open_zarr(folder, consolidated=False, decode_coords="all")


def measure_map(
    model: xbinn.Model, cells: xr.Dataset, samples: int, repetitions: int, *, source: str = "memory"
) -> Figures:
    """A map of cells from "memory" or "zarr", against its steps alone.

    With so many samples of the posterior; 0 is one map without.
    """
    options = {"samples": samples, "seed": SEED} if samples else {}
    with tempfile.TemporaryDirectory(prefix="xbinn-benchmark-") as folder:
        grid = stored(cells, folder) if source == "zarr" else cells

        def ours() -> xr.Dataset:
            return xbinn.predict(grid, model, **options).compute(scheduler="synchronous")

        steps = Steps(model, grid)

        def alone() -> None:
            steps.compute(*steps.read(), samples)

        return compare(ours, alone, repetitions, cells.sizes["cell"])


def model_status(grid: xr.Dataset, model: xbinn.Model) -> xr.DataArray:
    """Which cells have a result, on the grid."""
    return xbinn.predict(grid, model, outputs=("soc",))["status"]


def run(sizes: Sizes) -> dict[str, Figures]:
    """All parts."""
    torch.set_num_threads(1)
    grid, profiles = xbinn.datasets.open_grid().load(), xbinn.datasets.open_profiles().load()
    epoch = epoch_of(grid, profiles, sizes.sites)
    model, cells = fitted(grid, profiles, sizes.cells)
    some = cells.isel(cell=slice(sizes.sampled))
    results = {
        "epoch": measure_epoch(epoch, sizes.repetitions) | measure_published(epoch, sizes.few)
    }
    for name, (sampled, source) in MAPS.items():
        part, samples, n = (
            (some, sizes.samples, sizes.few) if sampled else (cells, 0, sizes.repetitions)
        )
        results[name] = measure_map(model, part, samples, n, source=source)
    return results


def table(results: dict[str, Figures]) -> str:
    """Lay the results out for reading."""
    lines = [
        *heading(),
        "",
        f"{'':14}{'s':>7}{'us each':>9}{'eager, s':>10}{'gain':>6}{'alone, s':>10}"
        f"{'over alone':>12}",
    ]
    for name, f in results.items():
        lines.append(
            f"{name:14}{f['s']:7.2f}{f['us_each']:9.1f}{f['eager_s']:10.2f}{f['gain']:6.1f}"
            f"{f['alone_s']:10.2f}{f['over_alone']:12.2f}"
        )
    epoch = results["epoch"]
    lines += [
        "",
        f"an epoch of the published scheme takes {epoch['published_s']:.0f} s, "
        f"{epoch['published_ratio']:.0f} times as long",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    options = parser("benchmarks.training", __doc__).parse_args(arguments)
    report(options, lambda: run(SMOKE if options.smoke else Sizes()), table)


if __name__ == "__main__":
    main()
