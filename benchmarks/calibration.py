"""Do 90 % intervals of observations hold 90 % of them, on blocks that the fit has not seen?

Run ``python -m benchmarks.calibration`` for a table, with ``--json`` for numbers alone.

For each of several seeds the profiles are split by 2-degree blocks; one network, and an ensemble,
are fitted to the larger part, and their intervals counted out on the smaller. How far a coverage is
from 0.9 on one split says little: few blocks are held out, and samples of a block are alike. The
mean over the splits says whether intervals are too narrow or too wide.

The same for synthetic profiles at the same places and depths, with known functions from covariates
to parameters (`xbinn.science.synthetic`), other ones for each seed, and 30 % noise.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from typing import Final

import numpy as np
import torch
import xarray as xr
from tqdm import tqdm

import xbinn
from benchmarks.common import parser, report
from xbinn.science.calibration import calibration
from xbinn.science.crossvalidation import split_profiles
from xbinn.science.synthetic_data import synthetic_profiles

FRACTION: Final = 0.2
"""Share of the blocks held out."""
LEVEL: Final = 0.9
SEEDS: Final = tuple(range(7))
MEMBERS: Final = (1, 4)
"""Networks of a fit."""
OBSERVED: Final = "measured"
KINDS: Final = (OBSERVED, "linear", "threshold")
"""Of profiles: those of `xbinn.datasets`, and synthetic ones by the kind of their truth."""
NOISE: Final = 0.3
SMOKE_SEEDS: Final = (0,)
SMOKE_MEMBERS: Final = (1, 2)


@dataclass(frozen=True)
class Outcome:
    """One fit on one split.

    Attributes
    ----------
    profiles : str
        One of `KINDS`.
    members, seed : int
        Of the fit; the seed is that of the split too.
    coverage : float
        Share of the held-out observations within the 90 % interval of an observation.
    crps : float
        Continuous ranked probability score of ln kg m-3.
    r2, r2_log : float
        Of kg m-3 and of ln, mean of the members.
    """

    profiles: str
    members: int
    seed: int
    coverage: float
    crps: float
    r2: float
    r2_log: float


@lru_cache(maxsize=1)
def data() -> tuple[xr.Dataset, xr.Dataset]:
    """Grid and profiles, once a process."""
    torch.set_num_threads(1)
    return xbinn.datasets.open_grid().load(), xbinn.datasets.open_profiles()


def measure(kind: str, members: int, seed: int, epochs: int | None) -> Outcome:
    """Fit to the larger part of a split and count on the smaller."""
    grid, profiles = data()
    if kind != OBSERVED:
        profiles, _ = synthetic_profiles(grid, profiles, kind=kind, noise=NOISE, seed=seed)
    training, held = split_profiles(profiles, fraction=FRACTION, seed=seed)
    given = {} if epochs is None else {"epochs": epochs}
    model = xbinn.fit(
        grid, training, seed=seed, members=members, device="cpu", progress=False, **given
    )
    found = calibration(grid, model, held).sel(interval_of="observation", depth_range="all")
    r2 = xbinn.score(grid, model, held)["r2"].sel(depth_range="all")
    return Outcome(
        kind,
        members,
        seed,
        coverage=found["coverage"].sel(level=LEVEL).item(),
        crps=found["crps"].sel(scale="log").item(),
        r2=r2.sel(scale="linear").item(),
        r2_log=r2.sel(scale="log").item(),
    )


def run(*, smoke: bool) -> list[Outcome]:
    """Measure all with one process a core."""
    seeds, sizes = (SMOKE_SEEDS, SMOKE_MEMBERS) if smoke else (SEEDS, MEMBERS)
    # Forked processes would hang in torch's threads.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        futures = [
            pool.submit(measure, kind, members, seed, 1 if smoke else None)
            for kind in KINDS
            for members in sizes
            for seed in seeds
        ]
        shown = tqdm(futures, desc="fits", unit="fit", mininterval=5)
        return [future.result() for future in shown]


def table(found: Sequence[Outcome]) -> str:
    """Lay it out for reading: a line a split, and the mean over the splits."""
    lines = [
        "90 % intervals of observations on held-out blocks: share of the observations within",
        "",
        f"{'profiles':10}{'members':>7}{'seed':>6}"
        f"{'coverage':>10}{'CRPS (ln)':>11}{'R2':>7}{'R2 (ln)':>9}",
    ]
    for kind, members in dict.fromkeys((o.profiles, o.members) for o in found):
        own = [o for o in found if (o.profiles, o.members) == (kind, members)]
        rows = [(f"{o.seed}", o.coverage, o.crps, o.r2, o.r2_log) for o in own]
        means = np.mean([row[1:] for row in rows], axis=0)
        for seed, *values in [*rows, ("mean", *means)]:
            coverage, crps, r2, r2_log = values
            scores = f"{coverage:10.3f}{crps:11.3f}{r2:7.2f}{r2_log:9.2f}"
            lines.append(f"{kind:10}{members:7}{seed:>6}{scores}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    options = parser("benchmarks.calibration", __doc__).parse_args(arguments)
    report(options, lambda: run(smoke=options.smoke), table)


if __name__ == "__main__":
    main()
