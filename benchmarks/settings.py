"""Search for the default settings of `xbinn.fit` on training profiles alone.

Run ``python -m benchmarks.settings`` for a table, with ``--json`` for numbers alone.

The profiles are split as the demo splits them, and its test blocks are thrown away: what they say
must not depend on which settings were chosen. The training profiles are split again and again, by
2-degree blocks. A candidate is fitted to the larger part of each inner split and scored on the
smaller, R2 of kg m-3 and of ln together; the fit's seed is that of the split.

Candidates are the published settings and random draws from `VALUES`, with a fixed seed. All of them
meet a few splits; the better ones meet more, in steps (`RUNGS`; successive halving, Jamieson and
Talwalkar 2016), so that in the end few are compared on many splits. The best of the last step is
what `xbinn.fit` ships. Settings act together, which is why they are not tried one by one.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from inspect import Parameter, signature
from multiprocessing import get_context
from typing import Final

import numpy as np
import torch
import xarray as xr
from tqdm import tqdm

import xbinn
from benchmarks.common import parser, report
from xbinn.labels.covariates import select_covariates
from xbinn.labels.sites import gather_sites
from xbinn.science.crossvalidation import split_profiles
from xbinn.science.fitting import fit_sites
from xbinn.science.settings import FitSettings, fit_settings

DEMO_SEED: Final = 0
FRACTION: Final = 0.2
"""Share held out, by the demo (as `DEMO_SEED` is the demo's) and by each inner split."""
CANDIDATES: Final = 48
RUNGS: Final = ((CANDIDATES, 4), (12, 12), (4, 24))
"""How many candidates meet how many further splits."""
SMOKE_RUNGS: Final = ((2, 2), (1, 1))

Choice = Mapping[str, float]
"""One value for each setting."""

NO_CLIP: Final = 1e9
PUBLISHED: Final[Choice] = {
    "learning_rate": 0.01,
    "epochs": 50,
    "dropout": 0.0,
    "averaging": 0.0,
    "reach": NO_CLIP,
    "category_dropout": 0.0,
    "weight_decay": 0.01,
    "regularization": 1e-3,
    "batch_size": 128,
    "patience": 10,
}
"""As published, and off where nothing is published; the published weight of the regularization
belongs to a loss of gC m-3, here the loss is of ln."""
VALUES: Final[Mapping[str, Sequence[float]]] = {
    "learning_rate": (0.001, 0.003, 0.01),
    "epochs": (25, 40, 50, 80),
    "dropout": (0.0, 0.1, 0.2, 0.3),
    "averaging": (0.0, 0.8, 0.9),
    "reach": (2.0, 3.0, NO_CLIP),
    "category_dropout": (0.0, 0.2, 0.5),
    "weight_decay": (0.01, 0.1, 0.3),
    "regularization": (1e-4, 1e-3, 1e-2),
    "batch_size": (64, 128, 256),
    "patience": (10, 15),
}
_ENCODER: Final = ("reach", "category_dropout")
_OPTIMISER: Final = ("averaging",)
"""Settings that are no keywords of `xbinn.fit`."""


@dataclass
class Candidate:
    """Settings and how they do.

    Attributes
    ----------
    choice : mapping
        One value for each setting.
    scores : list of [float, float]
        R2 of kg m-3 and of ln on each inner split that it met.
    """

    choice: Choice
    scores: list[list[float]] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """Mean of the sum of both scores."""
        return float(np.sum(self.scores, axis=1).mean())

    @property
    def error(self) -> float:
        """Standard error of `mean`."""
        sums = np.sum(self.scores, axis=1)
        return float(sums.std(ddof=1) / math.sqrt(sums.size))


def candidates(count: int) -> list[Candidate]:
    """The published settings and random ones, all different."""
    rng = np.random.default_rng(DEMO_SEED)
    drawn = [dict(PUBLISHED)]
    while len(drawn) < count:
        choice = {name: float(rng.choice(values)) for name, values in VALUES.items()}
        if choice not in drawn:
            drawn.append(choice)
    return [Candidate(choice) for choice in drawn]


def search(
    score: Callable[[Sequence[tuple[Choice, int]]], list[list[float]]],
    found: Sequence[Candidate],
    rungs: Sequence[tuple[int, int]],
) -> list[Candidate]:
    """Let ever fewer candidates meet ever more splits.

    Parameters
    ----------
    score : callable
        From choices and seeds of splits to both scores of each.
    found : sequence of Candidate
        To compare.
    rungs : sequence of (int, int)
        As `RUNGS`.

    Returns
    -------
    list of Candidate
        Those that met all splits first, the best first.
    """
    ranked, first = list(found), 1
    for keep, splits in rungs:
        seeds = range(first, first + splits)
        first += splits
        jobs = [(c, seed) for c in ranked[:keep] for seed in seeds]
        scores = score([(c.choice, seed) for c, seed in jobs])
        for (candidate, _), both in zip(jobs, scores, strict=True):
            candidate.scores.append(both)
        ranked[:keep] = sorted(ranked[:keep], key=lambda c: -c.mean)
    return ranked


@lru_cache(maxsize=1)
def training_data() -> tuple[xr.Dataset, xr.Dataset]:
    """Grid and the demo's training profiles; its test profiles end here."""
    torch.set_num_threads(1)
    profiles = xbinn.datasets.open_profiles()
    training, _ = split_profiles(profiles, fraction=FRACTION, seed=DEMO_SEED)
    return xbinn.datasets.open_grid().load(), training


def settings_of(choice: Choice, seed: int) -> FitSettings:
    """Return what `xbinn.fit` is asked for by a choice."""
    given = {
        name: parameter.default
        for name, parameter in signature(xbinn.fit).parameters.items()
        if parameter.kind is Parameter.KEYWORD_ONLY and name != "progress"
    }
    integers = ("epochs", "patience", "batch_size")
    values = {n: int(v) if n in integers else v for n, v in choice.items()}
    given |= {n: v for n, v in values.items() if n in given}
    settings = fit_settings(**given | {"seed": seed})
    return replace(
        settings,
        encoder={**settings.encoder, **{n: values[n] for n in _ENCODER}},
        options=replace(settings.options, **{n: values[n] for n in _OPTIMISER}),
    )


def score_split(choice: Choice, seed: int) -> list[float]:
    """Fit to the larger part of one inner split and score on the smaller."""
    grid, profiles = training_data()
    training, held = split_profiles(profiles, fraction=FRACTION, seed=seed)
    settings = settings_of(choice, seed)
    spec = select_covariates(grid)
    sites = gather_sites(grid, training, spec, bedrock=settings.bedrock)
    model = fit_sites(sites, spec, settings, device=torch.device("cpu"))
    r2 = xbinn.score(grid, model, held)["r2"].sel(depth_range="all")
    return [float(r2.sel(scale=scale)) for scale in ("linear", "log")]


def run(*, smoke: bool) -> list[Candidate]:
    """Search with one process per core; the result does not depend on how many there are."""
    rungs = SMOKE_RUNGS if smoke else RUNGS
    found = candidates(rungs[0][0])
    if smoke:
        found = [Candidate({**c.choice, "epochs": 1}) for c in found]
    # Forked processes would hang in torch's threads.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:

        def score(jobs: Sequence[tuple[Choice, int]]) -> list[list[float]]:
            futures = [pool.submit(score_split, *job) for job in jobs]
            shown = tqdm(futures, desc="fits", unit="fit", mininterval=5)
            return [future.result() for future in shown]

        return search(score, found, rungs)


def table(found: Sequence[Candidate]) -> str:
    """Lay the search out for reading, the best first."""
    lines = [
        "R2 on inner splits of the demo's training profiles; sum of both with its standard error; "
        "the first is the choice",
        "",
        f"{'splits':>6}{'R2 (kg m-3)':>13}{'R2 (ln)':>9}{'sum':>8}{'error':>8}  settings",
    ]
    for c in found:
        linear, log = np.mean(c.scores, axis=0)
        settings = (
            "published"
            if c.choice == PUBLISHED
            else ", ".join(map(name, *zip(*c.choice.items(), strict=True)))
        )
        lines.append(
            f"{len(c.scores):6}{linear:13.3f}{log:9.3f}{c.mean:8.3f}{c.error:8.3f}  {settings}"
        )
    return "\n".join(lines)


def name(setting: str, value: float) -> str:
    """Name a setting with its value."""
    return f"{setting}=none" if value == NO_CLIP else f"{setting}={value:g}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    options = parser("benchmarks.settings", __doc__).parse_args(arguments)
    report(options, lambda: run(smoke=options.smoke), table)


if __name__ == "__main__":
    main()
