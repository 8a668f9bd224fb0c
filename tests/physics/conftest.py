"""Columns to test the physics on: random, from the reference file, from the real data."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor
from ways import CUDA, take

from xbinn.constants import INTERFACE_DEPTH, MONTHS_PER_YEAR, N_INPUTS, N_LAYERS, NODE_DEPTH
from xbinn.parameters import PARAMETER_NAMES, Prior, prior_bounds
from xbinn.physics.forcing import Forcing
from xbinn.physics.steady_state import Bedrock, SoilCarbonModel, SteadyState
from xbinn.variables import INPUT_NAMES

REAL_VALUED = ("temperature", "water", "oxygen", "nitrogen", "inputs")
"""Fields of `Forcing` that carry the dtype of the solve."""

DEGENERATE = 8
"""Column type of the reference file with an e-folding depth of 1 mm: underflow, not compared."""


@pytest.fixture(scope="module", params=["eager", "numba", CUDA], autouse=True)
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    """All ways to compute: whatever holds of the physics holds of all."""
    with pytest.MonkeyPatch.context() as patch:
        take(request.param, patch)
        yield request.param


@dataclass(frozen=True)
class Columns:
    """Parameters (parameter, n) and forcing of a batch of columns."""

    parameters: Tensor
    forcing: Forcing

    def __len__(self) -> int:
        return self.parameters.shape[-1]

    def solve(self, bedrock: Bedrock = "closed") -> SteadyState:
        return SoilCarbonModel(bedrock).steady_state(self.parameters, self.forcing)

    def select(self, index: Tensor | slice) -> "Columns":
        return Columns(self.parameters[:, index].contiguous(), self.forcing.select(index))

    def column(self, i: int) -> "Columns":
        """One column with an empty batch shape."""
        fields = {name: value[..., i] for name, value in vars(self.forcing).items()}
        return Columns(self.parameters[:, i], Forcing(**fields))

    def to(self, dtype: torch.dtype) -> "Columns":
        cast = {name: getattr(self.forcing, name).to(dtype) for name in REAL_VALUED}
        return Columns(self.parameters.to(dtype), replace(self.forcing, **cast))

    def on(self, device: torch.device) -> "Columns":
        return Columns(self.parameters.to(device), self.forcing.to(device))

    def force(self, **fields: Tensor) -> "Columns":
        return Columns(self.parameters, replace(self.forcing, **fields))

    def change(self, **values: float) -> "Columns":
        """Set parameters to one value in all columns."""
        parameters = self.parameters.clone()
        for name, value in values.items():
            parameters[PARAMETER_NAMES.index(name)] = value
        return Columns(parameters, self.forcing)


def physical(unit: Tensor, prior: Prior) -> Tensor:
    """(parameter, *batch) in the unit interval -> physical units."""
    low, high = torch.tensor(prior_bounds(prior), dtype=torch.float64).T
    shape = (-1, *(1,) * (unit.ndim - 1))
    return low.reshape(shape) + unit * (high - low).reshape(shape)


def random_forcing(n: int, seed: int, *, constant_bedrock: bool = True) -> Forcing:
    """Seasons under a damped wave; a third of the columns on permafrost, some frozen all year."""
    rng = np.random.default_rng(seed)
    depth = np.asarray(NODE_DEPTH[:N_LAYERS])[:, None]
    month = np.arange(MONTHS_PER_YEAR)[:, None, None]

    def season(phase: np.ndarray) -> np.ndarray:
        return np.sin(2.0 * np.pi * (month / MONTHS_PER_YEAR - phase))

    permafrost = rng.random(n) < 1.0 / 3.0
    mean = np.where(permafrost, rng.uniform(258.0, 272.0, n), rng.uniform(275.0, 303.0, n))
    swing = rng.uniform(1.0, 18.0, n) * np.exp(-depth / rng.uniform(0.5, 4.0, n))
    temperature = mean + swing * season(rng.random(n))
    water = rng.uniform(0.08, 0.9, n) * (1.0 + 0.4 * season(rng.random(n)))
    water = np.clip(water * np.exp(-depth * rng.uniform(-0.1, 0.2, n)), 0.01, 1.0)
    oxygen = rng.uniform(0.4, 1.0, (MONTHS_PER_YEAR, N_LAYERS, n))
    nitrogen = rng.uniform(0.5, 1.0, (MONTHS_PER_YEAR, N_LAYERS, n))
    thaw = rng.choice([0.3, 0.9, INTERFACE_DEPTH[8], INTERFACE_DEPTH[9], 1.7, 2.0, 2.3], n)
    altmax = np.where(permafrost, thaw, 8.6) * np.where(rng.random((12, n)) < 0.3, 1.0, 0.95)
    frozen = rng.random(n) < 0.05
    altmax[:, frozen] = 0.0
    nbedrock = rng.integers(1, N_LAYERS + 3, n)
    if not constant_bedrock:
        nbedrock = rng.integers(1, N_LAYERS + 1, (MONTHS_PER_YEAR, n))
    inputs = rng.lognormal(4.0, 1.0, (N_INPUTS, n))
    return Forcing(
        *(torch.from_numpy(a) for a in (temperature, water, oxygen, nitrogen, altmax)),
        allocated=torch.from_numpy(~frozen),
        nbedrock=torch.from_numpy(nbedrock),
        inputs=torch.from_numpy(inputs),
    )


Draw = Callable[..., Columns]


@pytest.fixture(scope="session")
def draw() -> Draw:
    """``draw(n, seed=0, prior="binn")``: random columns in float64."""

    def columns(
        n: int, seed: int = 0, *, prior: Prior = "binn", constant_bedrock: bool = True
    ) -> Columns:
        generator = torch.Generator().manual_seed(seed)
        unit = torch.rand(len(PARAMETER_NAMES), n, generator=generator, dtype=torch.float64)
        # Not on the ends: the lower ones of `proda` are impossible values.
        unit = 0.001 + 0.998 * unit
        forcing = random_forcing(n, seed, constant_bedrock=constant_bedrock)
        return Columns(physical(unit, prior), forcing)

    return columns


@pytest.fixture(scope="session")
def smooth(draw: Draw) -> Draw:
    """``smooth(n, seed)``: as `draw`, with the water scalar away from its cap."""

    def columns(n: int, seed: int = 0, **kwargs: Any) -> Columns:
        drawn = draw(n, seed, **kwargs)
        scaled = drawn.forcing.water * drawn.parameters[PARAMETER_NAMES.index("w_scaling")]
        near = (scaled - 1.0).abs() < 1e-3
        return drawn.force(water=torch.where(near, 0.99 * drawn.forcing.water, drawn.forcing.water))

    return columns


@pytest.fixture(scope="session")
def reference(oracle: xr.Dataset) -> xr.Dataset:
    """Those columns of the reference file that are compared."""
    return oracle.isel(column=oracle.column_type.values != DEGENERATE)


@pytest.fixture(scope="session")
def reference_columns(reference: xr.Dataset) -> Columns:
    """The same columns as tensors; nbedrock varies over the months in some."""

    def tensor(name: str, *dims: str) -> Tensor:
        return torch.from_numpy(reference[name].transpose(*dims, "column").values.copy())

    lastyear = tensor("altmax_lastyear", "month")
    inputs = ("cwd", "litter1", "litter2", "litter3")
    return Columns(
        physical(tensor("kp", "param"), "proda"),
        Forcing(
            temperature=tensor("soil_temp", "month", "layer"),
            water=tensor("w_scalar_input", "month", "layer"),
            oxygen=tensor("o_scalar", "month", "layer"),
            nitrogen=tensor("n_scalar", "month", "layer"),
            altmax=torch.maximum(tensor("altmax_current", "month"), lastyear),
            allocated=(lastyear > 0.0).all(0),
            nbedrock=tensor("nbedrock", "month").long(),
            inputs=torch.stack([tensor(f"input_month_{i}", "month").sum(0) for i in inputs]),
        ),
    )


def forcing_of(ds: xr.Dataset) -> Forcing:
    """Forcing of all cells of real data that have any, float32, in the order of the file."""
    space = [d for d in ds["TSOI"].dims if d not in ("month", "depth")]
    cells = ds.stack(cell_=space)
    has_forcing = cells["TSOI"].notnull().all(["month", "depth"]) & cells["nbedrock"].notnull()
    cells = cells.isel(cell_=has_forcing.values)

    def tensor(name: str, *dims: str) -> Tensor:
        return torch.from_numpy(cells[name].transpose(*dims, "cell_").values.copy())

    thaw, lastyear = (tensor(n, "month").double() for n in ("ALTMAX", "ALTMAX_LASTYEAR"))
    inputs = torch.stack([tensor(name, "month").double().sum(0) for name in INPUT_NAMES])
    return Forcing(
        *(tensor(n, "month", "depth").float() for n in ("TSOI", "W_SCALAR", "O_SCALAR", "FPI_vr")),
        altmax=torch.maximum(thaw, lastyear),
        allocated=(lastyear > 0.0).all(0),
        nbedrock=tensor("nbedrock").long(),
        inputs=inputs.float(),
    )


@pytest.fixture(params=["all cells", "permafrost"])
def real_columns(
    request: pytest.FixtureRequest, real_grid: xr.Dataset, real_points: xr.Dataset
) -> Columns:
    """20,000 draws of real cells x prior cube, parameters float64, forcing float32.

    Only cells that have input and, for each of their draws, a steady state. Cells with an active
    layer of at most 2 m are few and the hardest in single precision: they have a case of their own.
    """
    n = 20_000
    generator = torch.Generator().manual_seed(20_250)
    parts = [forcing_of(ds) for ds in (real_grid, real_points)]
    forcing = Forcing(
        *(torch.cat([vars(part)[name] for part in parts], -1) for name in vars(parts[0]))
    )
    if request.param == "permafrost":
        thawed = forcing.altmax.amax(0)
        forcing = forcing.select(((thawed > 0.0) & (thawed <= 2.0)).nonzero().squeeze(-1))
    unit = torch.rand(len(PARAMETER_NAMES), n + n // 2, generator=generator, dtype=torch.float64)
    chosen = torch.randint(0, len(forcing.allocated), (n + n // 2,), generator=generator)
    columns = Columns(physical(unit, "binn"), forcing.select(chosen))
    usable = []
    for start in range(0, len(columns), 5_000):
        state = columns.select(slice(start, start + 5_000)).solve()
        usable.append(state.has_steady_state & (state.annual_input > 0.0))
    return columns.select(torch.cat(usable).nonzero().squeeze(-1)[:n])
