"""Time the structured solve against batched dense linear algebra.

Run ``python -m benchmarks.physics`` for a table, with ``--json`` for numbers alone. One thread and
float32 unless ``--threads`` and ``--dtype`` say otherwise; microseconds of the processor a column
(of the clock with several threads), medians of repetitions in which all sides take turns:

solve
    From decomposition rates and conductances to pools.
assembly_and_solve
    From monthly forcing and parameters to pools.
simulate
    ``ds.binn.simulate(parameters, dtype="float32")``: labels, units and diagnostics as well,
    against the forward baseline of assembly_and_solve.

Each is computed by compiled kernels where numba is installed, and by operations of torch alone
(eager). The baseline assembles the 140 x 140 matrices (`xbinn.physics.dense.assemble`) within the
timed region, from the same arguments, and hands them to `torch.linalg.solve` in batches of the size
that suits it best. In forward_backward all arguments (solve) or all parameters
(assembly_and_solve) take gradients.

Every part must read its arguments and write its results. The floor is the time that this takes at
the speed with which a large array is copied in the same run.

The columns are random, from a fixed seed, and physical: seasonal temperature and moisture damped
with depth, bedrock from layer 3 down, parameters uniform in the prior ``binn``; a quarter of them
lie on permafrost with an active layer of 0.2 to 2 m and are cryoturbated. Those of simulate are
drawn with replacement from the cells of the grid: the real one where XBINN_DATA names it,
`xbinn.testing.small_grid` otherwise.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
import xarray as xr
from torch import Tensor

import xbinn
import xbinn.testing
from benchmarks.common import by_both_ways, clock_of_threads, heading, in_turns, parser, report
from benchmarks.floors import copied_bytes_per_us
from xbinn.constants import (
    INPUT_POOLS,
    MONTHS_PER_YEAR,
    N_INPUTS,
    N_LAYERS,
    N_POOLS,
    NODE_DEPTH,
)
from xbinn.parameters import PARAMETERS, prior_bounds
from xbinn.physics import dense
from xbinn.physics.cascade import (
    Transfers,
    decomposition_rates,
    parameter,
    transfers,
    turnover_rates,
)
from xbinn.physics.column import layer_mask
from xbinn.physics.forcing import Forcing
from xbinn.physics.inputs import allocation, input_density
from xbinn.physics.mixing import Mixing, closed_mixing, closed_shape
from xbinn.physics.scalars import annual_scalars, depth_scalar
from xbinn.physics.solver import solve
from xbinn.physics.steady_state import SoilCarbonModel

SEED = 20_240_817
PERMAFROST_SHARE = 0.25
Figures = dict[str, float]


@dataclass(frozen=True)
class Sizes:
    """How many columns are timed together, and how often."""

    batches: tuple[int, int] = (64, 4096)
    dense: tuple[int, ...] = (16, 64, 256, 1024)
    simulated: int = 20_000
    copied: int = 64 * 2**20
    repetitions: int = 15
    dtype: str = "float32"

    @property
    def precision(self) -> torch.dtype:
        """Type of everything that is timed."""
        return {"float32": torch.float32, "float64": torch.float64}[self.dtype]


SMALL = "small_batch"
"""Where the results of the first batch stand; those of the second are the ones that count."""
SMOKE = Sizes(batches=(2, 8), dense=(2, 4), simulated=16, copied=1024, repetitions=1)


def random_columns(n: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Forcing]:
    """Parameters (parameter, n) and forcing of the columns described above."""
    rng = np.random.default_rng(SEED)
    low, high = np.array(prior_bounds("binn")).T[..., None]
    parameters = low + rng.random((len(PARAMETERS), n)) * (high - low)
    depth = np.array(NODE_DEPTH[:N_LAYERS])[:, None]
    season = np.sin(2.0 * np.pi * np.arange(MONTHS_PER_YEAR) / MONTHS_PER_YEAR)[:, None, None]
    permafrost = rng.random(n) < PERMAFROST_SHARE
    mean = np.where(permafrost, rng.uniform(262.0, 272.0, n), rng.uniform(276.0, 301.0, n))
    temperature = mean + rng.uniform(2.0, 15.0, n) * np.exp(-depth / 2.0) * season
    water = rng.uniform(0.2, 0.8, n) * (1.0 - 0.2 * np.exp(-depth) * season)
    altmax = np.where(permafrost, rng.uniform(0.2, 2.0, n), rng.uniform(2.5, 8.6, n))
    monthly = (temperature, water, rng.uniform(0.8, 1.0, water.shape), np.full(water.shape, 0.9))
    return torch.from_numpy(parameters).to(dtype), Forcing(
        *(torch.from_numpy(field).to(dtype) for field in monthly),
        altmax=torch.from_numpy(np.tile(altmax, (MONTHS_PER_YEAR, 1))),
        allocated=torch.ones(n, dtype=torch.bool),
        nbedrock=torch.from_numpy(rng.integers(3, N_LAYERS + 1, n)),
        inputs=torch.from_numpy(rng.lognormal(4.0, 0.7, (N_INPUTS, n))).to(dtype),
    )


def solve_dense(rates: Tensor, moves: Transfers, mixing: Mixing, inputs: Tensor) -> Tensor:
    """Assemble T - A K and solve by LU, (pool, layer, n) as `xbinn.physics.solver.solve`."""
    matrix = dense.assemble(rates, moves, mixing)
    empty = inputs.new_zeros((N_POOLS - len(INPUT_POOLS), *inputs.shape[1:]))
    supplied = torch.cat((inputs, empty)).flatten(0, 1).T
    return torch.linalg.solve(matrix, supplied).T.reshape(rates.shape)


def from_arguments(
    n: int, dtype: torch.dtype, *, structured: bool
) -> tuple[Callable[[], Tensor], list[Tensor]]:
    """From rates and conductances to pools, and what takes gradients."""
    parameters, forcing = random_columns(n, dtype)
    with torch.no_grad():
        state = SoilCarbonModel().steady_state(parameters, forcing)
    leaves = [t.clone() for t in (state.rates, *state.transfers, *state.mixing, state.inputs)]
    rates, between, cwd_to_l2, lower, upper, inputs = leaves
    function = solve if structured else solve_dense
    return lambda: function(
        rates, Transfers(between, cwd_to_l2), Mixing(lower, upper), inputs
    ), leaves


def from_forcing(
    n: int, dtype: torch.dtype, *, structured: bool
) -> tuple[Callable[[], Tensor], list[Tensor]]:
    """From monthly forcing and parameters to pools, and what takes gradients."""
    parameters, forcing = random_columns(n, dtype)
    model = SoilCarbonModel()
    if structured:
        return lambda: model.steady_state(parameters, forcing).pools, [parameters]

    return lambda: solve_dense(*assemble_arguments(parameters, forcing)), [parameters]


def assemble_arguments(
    parameters: Tensor, forcing: Forcing
) -> tuple[Tensor, Transfers, Mixing, Tensor]:
    """Assemble the arguments of `solve_dense` from monthly forcing, as the model does."""
    dtype = forcing.temperature.dtype
    scalars = annual_scalars(
        forcing.temperature,
        forcing.water,
        forcing.oxygen,
        forcing.nitrogen,
        parameter(parameters, "q10"),
        parameter(parameters, "w_scaling"),
    )
    depth = depth_scalar(parameter(parameters, "efolding"), dtype)
    exists = layer_mask(forcing.nbedrock)
    rates = decomposition_rates(
        turnover_rates(parameters),
        torch.where(exists, scalars.soil * depth, 1.0),
        torch.where(exists, scalars.litter * depth, 1.0),
    )
    mixing = closed_mixing(
        closed_shape(forcing.altmax, forcing.nbedrock, dtype),
        parameter(parameters, "diffus"),
        parameter(parameters, "cryo"),
    )
    fraction = allocation(parameter(parameters, "beta"), forcing.nbedrock, forcing.allocated)
    inputs = input_density(forcing.inputs, fraction)
    return rates, transfers(parameters, dtype), mixing, inputs


def compare(
    run: Callable[[], object],
    columns: int,
    baseline: Callable[[], object],
    baseline_columns: int,
    repetitions: int,
) -> Figures:
    """Medians of ours, of ours by torch alone and of the baseline, microseconds a column."""
    sides = {**by_both_ways(run), "baseline": baseline}
    medians = in_turns(sides, repetitions, clock_of_threads())
    us, eager = (medians[side] * 1e6 / columns for side in ("ours", "eager"))
    dense_us = medians["baseline"] * 1e6 / baseline_columns
    return {
        "us": us,
        "eager_us": eager,
        "baseline_us": dense_us,
        "baseline_batch": baseline_columns,
        "ratio": dense_us / us,
        "eager_ratio": dense_us / eager,
    }


def forward(function: Callable[[], Tensor], _: Sequence[Tensor] = ()) -> Callable[[], object]:
    """Call without gradients."""

    def run() -> Tensor:
        with torch.no_grad():
            return function()

    return run


def forward_backward(
    function: Callable[[], Tensor], leaves: Sequence[Tensor]
) -> Callable[[], object]:
    """Call, and go back from a sum over the pools."""
    for leaf in leaves:
        leaf.requires_grad_()

    def run() -> None:
        for leaf in leaves:
            leaf.grad = None
        function().sum().backward()

    return run


def moved_bytes(leaves: list[Tensor], result: Tensor, also: Sequence[Tensor]) -> Figures:
    """Bytes a column that must be read and written, forwards and forwards with backwards."""
    n = result.shape[-1]
    arguments = sum(t.nbytes for t in (*leaves, *also)) / n
    taken, pools = sum(t.nbytes for t in leaves) / n, result.nbytes / n
    # Backwards: all arguments, the pools and their gradient once more, and the gradients found.
    return {
        "forward": arguments + pools,
        "forward_backward": 2 * arguments + 3 * pools + taken,
    }


DIRECTIONS: Final = {"forward": forward, "forward_backward": forward_backward}


def monthly_fields(n: int, dtype: torch.dtype) -> list[Tensor]:
    """What assembly reads beside the parameters."""
    _, forcing = random_columns(n, dtype)
    return [forcing.temperature, forcing.water, forcing.oxygen, forcing.nitrogen, forcing.inputs]


@dataclass(frozen=True)
class Part:
    """What is timed both ways.

    Attributes
    ----------
    build : callable
        From columns and precision to a function that returns pools, and what takes gradients.
    also : callable
        From the same to what is read beside that.
    """

    build: Callable[..., tuple[Callable[[], Tensor], list[Tensor]]]
    also: Callable[[int, torch.dtype], Sequence[Tensor]]


PARTS: Final = {
    "solve": Part(from_arguments, lambda *_: []),
    "assembly_and_solve": Part(from_forcing, monthly_fields),
}


def best_dense(part: str, direction: str, sizes: Sizes) -> tuple[Callable[[], object], int]:
    """Return the dense baseline in batches of the size that suits it best, and that size."""
    build, towards = PARTS[part].build, DIRECTIONS[direction]
    sides = {n: towards(*build(n, sizes.precision, structured=False)) for n in sizes.dense}
    found = in_turns({str(n): run for n, run in sides.items()}, 3, clock_of_threads())
    best = min(sides, key=lambda n: found[str(n)] / n)
    return sides[best], best


def measure(part: str, direction: str, batch: int, sizes: Sizes) -> Figures:
    """One part in one direction, in batches of one size, against the dense baseline."""
    ours = PARTS[part].build(batch, sizes.precision, structured=True)
    baseline, n = best_dense(part, direction, sizes)
    return compare(DIRECTIONS[direction](*ours), batch, baseline, n, sizes.repetitions)


def measure_part(part: str, sizes: Sizes, bytes_per_us: float) -> dict[str, dict[str, Figures]]:
    """One part by batch and direction, with floors."""
    results: dict[str, dict[str, Figures]] = {}
    for n in sizes.batches:
        ours, leaves = PARTS[part].build(n, sizes.precision, structured=True)
        moved = moved_bytes(leaves, ours(), PARTS[part].also(n, sizes.precision))
        results[str(n)] = {
            direction: measure(part, direction, n, sizes)
            | {"floor_us": moved[direction] / bytes_per_us}
            for direction in DIRECTIONS
        }
    return results


def simulated_columns(n: int) -> tuple[xr.Dataset, xr.Dataset]:
    """Cells drawn with replacement, and a parameter vector for each from the prior ``binn``."""
    rng = np.random.default_rng(SEED)
    real = bool(os.environ.get("XBINN_DATA"))
    grid = xbinn.datasets.open_grid() if real else xbinn.testing.small_grid()
    space = [d for d in grid["TSOI"].dims if d not in ("month", "depth")]
    cells = grid[[v.name for v in xbinn.variables.FORCING]].stack(cell=space)
    with_forcing = np.flatnonzero(cells["TSOI"].notnull().all(("month", "depth")).values)
    drawn = cells.isel(cell=rng.choice(with_forcing, n)).drop_vars(["cell", *space])
    # Laid out as a file would be: drawing leaves the months of a cell side by side.
    drawn = drawn.map(lambda field: field.copy(data=np.ascontiguousarray(field.values)))
    unit = xr.Dataset({p.name: ("cell", rng.random(n)) for p in PARAMETERS})
    return drawn, xbinn.from_unit_interval(unit, prior="binn")


def measure_simulate(sizes: Sizes) -> Figures:
    """``ds.binn.simulate`` against the dense solve from monthly forcing."""
    ds, parameters = simulated_columns(sizes.simulated)
    baseline, n = best_dense("assembly_and_solve", "forward", sizes)
    return compare(
        lambda: ds.binn.simulate(parameters, dtype=sizes.dtype),
        sizes.simulated,
        baseline,
        n,
        sizes.repetitions,
    )


def run(sizes: Sizes) -> dict[str, object]:
    """All parts."""
    speed = copied_bytes_per_us(sizes.copied)
    parts = {part: measure_part(part, sizes, speed) for part in PARTS}
    small, large = map(str, sizes.batches)
    return {
        **{part: found[large] for part, found in parts.items()},
        "simulate": measure_simulate(sizes),
        SMALL: {part: found[small] for part, found in parts.items()},
        "copied_bytes_per_us": speed,
    }


def table(results: dict[str, object], sizes: Sizes) -> str:
    """Lay the results out for reading."""
    lines = [
        *heading(threads=torch.get_num_threads(), dtype=sizes.dtype),
        f"dense in the best of batches of {', '.join(map(str, sizes.dense))}; simulate on "
        f"{sizes.simulated} columns; "
        f"medians of {sizes.repetitions}; copying {results['copied_bytes_per_us']:.0f} bytes/us",
        "",
        f"{'':41}{'batch':>6}{'us a column':>12}{'eager':>8}{'dense':>7}{'batch':>6}{'ratio':>7}"
        f"{'eager ratio':>12}{'floor':>7}",
    ]
    for part in PARTS:
        for batch, found in zip(sizes.batches, (results[SMALL], results), strict=True):
            for direction, figures in found[part].items():  # type: ignore[index]
                label = f"{part}, {direction.replace('_', ' and ')}"
                lines.append(row(label, batch, figures) + f"{figures['floor_us']:7.2f}")
    lines.append(row("simulate, forward", sizes.simulated, results["simulate"]))
    return "\n".join(lines)


def row(label: str, batch: object, f: Figures) -> str:
    """One line of the table, but for the floor."""
    return (
        f"{label:41}{batch:>6}{f['us']:12.2f}{f['eager_us']:8.2f}{f['baseline_us']:7.0f}"
        f"{f['baseline_batch']:6}{f['ratio']:7.0f}{f['eager_ratio']:12.0f}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    command = parser("benchmarks.physics", __doc__)
    command.add_argument("--threads", type=int, default=1, help="of torch (default 1)")
    command.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    options = command.parse_args(arguments)
    sizes = replace(SMOKE if options.smoke else Sizes(), dtype=options.dtype)
    torch.set_num_threads(options.threads)
    report(options, lambda: run(sizes), lambda results: table(results, sizes))


if __name__ == "__main__":
    main()
