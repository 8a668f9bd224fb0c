"""How far is each stage of the way from covariates to carbon from what this machine can do?

Run ``python -m benchmarks.stages`` for a table, with ``--json`` for numbers alone. One thread,
float32, microseconds of the processor a column, medians:

encoder
    The default network as it is trained, on 58 numeric covariates, as many as Xu et al. (2025)
    have.
encoder of a map
    The same as maps are made: in float64, without dropout, in parts of 1,024 columns.
prepare
    What the forcing alone decides; once for all epochs of a fit and all samples of a map.
assembly
    From parameters and monthly forcing to the linear system.
solve
    From the linear system to the pools.
processes
    From the pools to the processes.
64 samples summed up
    Means, deviations and quantiles of parameters, processes and SOC, those of observations among
    them. By operations of numpy and torch, of which the latter are counted.

The floor of a stage is the larger of two times: for its arguments and results to be moved once,
at the speed at which a large array is copied in the same run, and for its operations to be done,
at the speed of a large product of matrices. No code reaches both at once, and exponentials,
divisions and the dependence of each layer on the one above keep any solve far from the second.
Operations are those of torch's way (`benchmarks.floors`); backward they are counted with those
forward.
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import torch
from torch import Tensor

from benchmarks.common import by_both_ways, heading, in_turns, parser, report
from benchmarks.floors import (
    COPIED,
    MULTIPLIED,
    copied_bytes_per_us,
    count_operations,
    multiplied_operations_per_us,
)
from benchmarks.physics import random_columns
from benchmarks.training import SAMPLES, TOGETHER
from xbinn.learning.encoders import build_encoder
from xbinn.learning.noise import assumed_noise
from xbinn.parameters import N_PARAMETERS
from xbinn.physics.assembly import assemble
from xbinn.physics.processes import processes
from xbinn.physics.solver import solve
from xbinn.physics.steady_state import SoilCarbonModel
from xbinn.running.block import pack
from xbinn.running.draws import sum_up
from xbinn.running.layout import Layout, Posterior
from xbinn.science.settings import fit_settings

N_COVARIATES: Final = 58
BATCH: Final = 4096
REPETITIONS: Final = 15
AND_BACKWARD: Final = ", and backward"
ROWS: Final = (
    "encoder",
    f"encoder{AND_BACKWARD}",
    "encoder of a map",
    "prepare",
    "assembly",
    f"assembly{AND_BACKWARD}",
    "solve",
    f"solve{AND_BACKWARD}",
    "processes",
    "64 samples summed up",
)
"""Stages forward and, where they are trained through, with backward."""
Figures = dict[str, float]


@dataclass(frozen=True)
class Stage:
    """A computation, and what it must read and write.

    Attributes
    ----------
    run : callable
        Returns the results, (..., n) or (n, ...).
    reads : sequence of Tensor
        Arguments that take no gradients.
    leaves : sequence of Tensor
        Arguments that do; none where the stage is never differentiated.
    """

    run: Callable[[], Iterable[Tensor]]
    reads: Sequence[Tensor]
    leaves: Sequence[Tensor] = field(default=())


def stages(n: int) -> dict[str, Stage]:
    """All stages for ``n`` columns, each with the results of the one before."""
    parameters, forcing = random_columns(n)
    model = SoilCarbonModel()
    columns = model.prepare(forcing)
    months = (forcing.temperature, forcing.water, forcing.oxygen, forcing.nitrogen)
    with torch.no_grad():
        system = assemble(parameters, columns)[0]
        state = model.steady_state(parameters, columns)
    numeric, none = torch.randn(n, N_COVARIATES), torch.empty(n, 0, dtype=torch.int64)
    config = fit_settings().encoder | {
        "n_outputs": N_PARAMETERS,
        "n_numeric": N_COVARIATES,
        "n_categories": (),
    }
    encoder = build_encoder(config, seed=0)
    encoder.standardise(numeric)
    encoder.train()
    mapping = copy.deepcopy(encoder).double().eval()
    parts = [(rows, none[: len(rows)]) for rows in numeric.double().split(TOGETHER)]
    layout = Layout.of(("parameters", "processes", "soc"), Posterior(SAMPLES))
    one = torch.from_numpy(pack(parameters, state, layout.one_draw))
    # As far apart as samples are, but for the status.
    draws = one * (0.1 * torch.randn(SAMPLES, *one.shape)).exp()
    draws[:, -1] = one[-1]
    noise = assumed_noise(0.5)
    leaves = (system.rates, *system.transfers, *system.mixing, system.inputs)
    leaves = tuple(t.clone() for t in leaves)
    rates, *rest = leaves
    transfers, mixing = type(system.transfers)(*rest[:2]), type(system.mixing)(*rest[2:4])
    shape = () if columns.shape is None else tuple(columns.shape)
    return {
        "encoder": Stage(
            lambda: (encoder(numeric, none),), (numeric,), tuple(encoder.parameters())
        ),
        "encoder of a map": Stage(
            lambda: tuple(mapping(*part) for part in parts),
            [rows for rows, _ in parts],
            tuple(mapping.parameters()),
        ),
        "prepare": Stage(
            lambda: model.prepare(forcing).shape or (), (forcing.altmax, forcing.nbedrock)
        ),
        "assembly": Stage(
            lambda: flat(assemble(parameters, columns)[0]),
            (*months, *shape, forcing.inputs),
            (parameters,),
        ),
        "solve": Stage(lambda: (solve(rates, transfers, mixing, rest[4]),), (), leaves),
        "processes": Stage(
            # A copy has not summed its pools up yet.
            lambda: vars(processes(replace(state))).values(),
            (state.pools, state.modifier, state.fraction, *state.mixing, parameters),
        ),
        "64 samples summed up": Stage(
            lambda: (torch.from_numpy(sum_up(draws.numpy(), layout, noise)),), (draws,)
        ),
    }


def flat(system: Iterable[Tensor | Iterable[Tensor]]) -> list[Tensor]:
    """Name the tensors of an assembled system one by one."""
    return [t for part in system for t in ((part,) if isinstance(part, Tensor) else part)]


def forward(stage: Stage) -> None:
    """Call without gradients."""
    with torch.no_grad():
        stage.run()


def forward_backward(stage: Stage) -> None:
    """Call, and go back from the sum of the results."""
    for leaf in stage.leaves:
        leaf.grad = None
    torch.autograd.backward(sum(result.sum() for result in stage.run()))


def moved(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors."""
    return sum(t.nbytes for t in tensors)


def measured_ceilings(*, smoke: bool) -> Figures:
    """What this machine can do."""
    return {
        "copied_bytes_per_us": copied_bytes_per_us(1024 if smoke else COPIED),
        "multiplied_operations_per_us": multiplied_operations_per_us(64 if smoke else MULTIPLIED),
    }


def measure(row: str, ceilings: Figures, *, smoke: bool) -> Figures:
    """Time one of `ROWS` both ways and put the floor beside it."""
    n, repetitions = (8, 1) if smoke else (BATCH, REPETITIONS)
    stage = stages(n)[row.removesuffix(AND_BACKWARD)]
    with torch.no_grad():
        written = moved(stage.run())
    read, taken = moved(stage.reads), moved(stage.leaves)
    if row.endswith(AND_BACKWARD):
        for leaf in stage.leaves:
            leaf.requires_grad_()
        # Backwards: arguments once more, the results and their gradients, gradients found.
        once = 2 * (read + taken) + 3 * written + taken
        towards = forward_backward
    else:
        once = read + taken + written
        towards = forward
    sides = by_both_ways(lambda: towards(stage))
    found = {side: s * 1e6 / n for side, s in in_turns(sides, repetitions).items()}
    operations = count_operations(lambda: towards(stage))
    by_bytes = once / ceilings["copied_bytes_per_us"] / n
    by_operations = operations / ceilings["multiplied_operations_per_us"] / n
    return {
        "us": found["ours"],
        "eager_us": found["eager"],
        "bytes": once / n,
        "operations": operations / n,
        "floor_by_bytes_us": by_bytes,
        "floor_by_operations_us": by_operations,
        "over_floor": found["ours"] / max(by_bytes, by_operations),
    }


def run(*, smoke: bool) -> dict[str, Figures]:
    """All rows."""
    torch.set_num_threads(1)
    ceilings = measured_ceilings(smoke=smoke)
    rows = {row: measure(row, ceilings, smoke=smoke) for row in ROWS}
    return {"ceilings": ceilings, **rows}


def table(results: dict[str, Figures]) -> str:
    """Lay the results out for reading."""
    ceilings = results["ceilings"]
    lines = [
        *heading(),
        f"copying {ceilings['copied_bytes_per_us'] / 1e3:.1f} GB/s, multiplying matrices "
        f"{ceilings['multiplied_operations_per_us'] / 1e3:.0f} Gflop/s",
        "",
        f"{'':24}{'us':>8}{'eager':>8}{'bytes':>9}{'operations':>12}{'floors, us':>16}"
        f"{'over floor':>12}",
    ]
    for name, f in results.items():
        if name != "ceilings":
            floors = f"{f['floor_by_bytes_us']:.2f} {f['floor_by_operations_us']:.2f}"
            lines.append(
                f"{name:24}{f['us']:8.2f}{f['eager_us']:8.2f}{f['bytes']:9.0f}"
                f"{f['operations']:12.0f}{floors:>16}{f['over_floor']:12.1f}"
            )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    options = parser("benchmarks.stages", __doc__).parse_args(arguments)
    report(options, lambda: run(smoke=options.smoke), table)


if __name__ == "__main__":
    main()
