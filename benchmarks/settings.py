"""Compare settings of `xbinn.fit` around the shipped ones, on training profiles alone.

Run ``python -m benchmarks.settings`` for a table, with ``--json`` for numbers alone.

The profiles are split as the demo splits them, and its test blocks are thrown away: what they say
must not depend on which settings were chosen. The training profiles are split again, by 2-degree
blocks, once for each of `INNER_SEEDS`. Every candidate is fitted to the larger part of each inner
split and scored on the smaller; the fit's seed is that of the split, so that candidates are
compared in pairs.

A line of the table is one candidate, named by what it changes: mean and standard deviation over
the inner splits of R2 in kg m-3 and of ln, and how much more than the shipped settings it scores
in both together, with the standard error of that paired difference. Inner splits share profiles,
and the best of many candidates is partly lucky: before a gain is believed, see it on other seeds.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
import xarray as xr

import xbinn
from xbinn import options
from xbinn.science.crossvalidation import split_profiles

DEMO_SEED: Final = 0
FRACTION: Final = 0.2
"""Share held out, by the demo (as `DEMO_SEED` is the demo's) and by each inner split."""
INNER_SEEDS: Final = (1, 2, 3, 4)

Settings = Mapping[str, Any]
"""Keywords of `xbinn.fit`."""
SHIPPED: Final[Settings] = {
    "dropout": options.DROPOUT,
    "learning_rate": options.LEARNING_RATE,
    "weight_decay": options.WEIGHT_DECAY,
    "epochs": options.EPOCHS,
    "regularization": options.REGULARIZATION,
    "patience": options.PATIENCE,
    "batch_size": options.BATCH_SIZE,
}
CHANGES: Final[tuple[Settings, ...]] = (
    {},
    {"dropout": 0.1},
    {"dropout": 0.3},
    {"learning_rate": 1e-3},
    {"learning_rate": 6e-3},
    {"weight_decay": 0.01},
    {"weight_decay": 0.3},
    {"epochs": 25},
    {"epochs": 60},
    {"regularization": 1e-4},
    {"regularization": 1e-2},
    {"patience": 8},
    {"batch_size": 64},
    {"batch_size": 256},
    {"dropout": 0.1, "epochs": 25},
    {"dropout": 0.3, "learning_rate": 6e-3},
    {"learning_rate": 6e-3, "batch_size": 256},
)
"""What each candidate changes in `SHIPPED`; the first is `SHIPPED` itself."""
SMOKE_CHANGES: Final[tuple[Settings, ...]] = ({}, {"dropout": 0.1})


@dataclass(frozen=True)
class Scores:
    """One candidate on every inner split.

    Attributes
    ----------
    change : mapping
        What differs from `SHIPPED`; empty for the shipped settings.
    settings : mapping
        All that was asked for.
    r2, log_r2 : ndarray (split,)
        Of kg m-3 and of ln kg m-3.
    """

    change: Settings
    settings: Settings
    r2: np.ndarray
    log_r2: np.ndarray

    @property
    def both(self) -> np.ndarray:
        """Sum of both scores, (split,)."""
        return np.asarray(self.r2 + self.log_r2)


def inner_splits(profiles: xr.Dataset, seeds: Sequence[int]) -> list[tuple[xr.Dataset, xr.Dataset]]:
    """Split the training profiles of the demo, whose test profiles end here."""
    training, _ = split_profiles(profiles, fraction=FRACTION, seed=DEMO_SEED)
    return [split_profiles(training, fraction=FRACTION, seed=seed) for seed in seeds]


def run(
    changes: Sequence[Settings], seeds: Sequence[int], *, epochs: int | None = None
) -> list[Scores]:
    """Score candidates on all inner splits, the best first.

    Parameters
    ----------
    changes : sequence of mapping
        As `CHANGES`.
    seeds : sequence of int
        Of inner splits and fits.
    epochs : int, optional
        Instead of what candidates say, for a smoke test.
    """
    torch.set_num_threads(1)
    grid = xbinn.datasets.open_grid().load()
    splits = inner_splits(xbinn.datasets.open_profiles(), seeds)
    found = []
    for number, change in enumerate(changes, 1):
        print(f"{number}/{len(changes)}: {name(change)}", file=sys.stderr, flush=True)
        settings = {**SHIPPED, **change} | ({} if epochs is None else {"epochs": epochs})
        scores = []
        for seed, (training, held) in zip(seeds, splits, strict=True):
            model = xbinn.fit(grid, training, **settings, seed=seed, device="cpu", progress=False)
            r2 = xbinn.score(grid, model, held)["r2"].sel(depth_range="all")
            scores.append([float(r2.sel(scale=scale)) for scale in ("linear", "log")])
        found.append(Scores(change, settings, *np.array(scores).T))
    return sorted(found, key=lambda s: -float(s.both.mean()))


def name(change: Settings) -> str:
    """Name a candidate by what it changes."""
    return ", ".join(f"{key}={value:g}" for key, value in change.items()) or "shipped"


def gain(scores: Scores, shipped: Scores) -> tuple[float, float]:
    """Mean paired difference of `Scores.both` to the shipped settings, and its standard error."""
    difference = scores.both - shipped.both
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(difference.size))


def table(found: Sequence[Scores], seeds: Sequence[int]) -> str:
    """Lay the scores out for reading, the shipped settings marked by an asterisk."""
    shipped = next(s for s in found if not s.change)
    lines = [
        "* shipped: " + ", ".join(f"{key}={value:g}" for key, value in SHIPPED.items()),
        f"mean and sd of {len(seeds)} inner splits of the demo's training profiles; gain over the "
        "shipped settings in both, and its standard error",
        "",
        f"  {'':36}{'R2 (kg m-3)':>15}{'R2 (ln)':>15}{'sum':>8}{'gain':>17}",
    ]
    for s in found:
        cells = "".join(f"{v.mean():8.3f}{v.std(ddof=1):7.3f}" for v in (s.r2, s.log_r2))
        more, error = gain(s, shipped)
        versus = f"{more:+10.3f}{error:7.3f}" if s.change else ""
        mark = " " if s.change else "*"
        lines.append(f"{mark} {name(s.change):36}{cells}{s.both.mean():8.3f}{versus}".rstrip())
    return "\n".join(lines)


def numbers(found: Sequence[Scores], seeds: Sequence[int]) -> dict[str, object]:
    """Bring the scores into a form that JSON can hold."""
    shipped = next(s for s in found if not s.change)
    candidates = []
    for s in found:
        more, error = gain(s, shipped)
        candidates.append(
            {
                "name": name(s.change),
                "shipped": not s.change,
                "settings": s.settings,
                "r2": s.r2.tolist(),
                "log_r2": s.log_r2.tolist(),
                "gain": more,
                "standard_error": error,
            }
        )
    return {"seeds": list(seeds), "candidates": candidates}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.settings",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: shows that it runs")
    chosen = parser.parse_args(arguments)
    seeds = INNER_SEEDS[:2] if chosen.smoke else INNER_SEEDS
    found = run(SMOKE_CHANGES, seeds, epochs=1) if chosen.smoke else run(CHANGES, seeds)
    print(json.dumps(numbers(found, seeds), indent=2) if chosen.json else table(found, seeds))


if __name__ == "__main__":
    sys.exit(main())
