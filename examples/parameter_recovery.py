"""Make parameters up, observe them through soil carbon, fit, and see which come back.

    python examples/parameter_recovery.py --out recovery_output

Places, depths, covariates and forcing are those of the folder that XBINN_DATA names, else of the
embedded idealised continent; the truth is synthetic. Each case is fitted on a worker of a local
dask cluster as an ensemble with prior functions, and two of them as one network with dropout,
whose intervals are far too narrow. Writes the result as NetCDF, score tables as text and CSV, and
figures as PNG.
"""

import argparse
import sys
import time
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr
from dask.distributed import Client, LocalCluster

import xbinn
from xbinn.plotting import (
    plot_loadings,
    plot_recovered_processes,
    plot_recovery,
    plot_spectrum,
)
from xbinn.science.information import PRIOR_DOMINATED
from xbinn.science.recovery import SUBSET, Case, recover_parameters
from xbinn.science.recovery_scores import SCORES

SEED = 0
CASES = (
    Case("linear", 0.3),
    Case("smooth", 0.3),
    Case("interaction", 0.3),
    Case("threshold", 0.3),
    Case("linear", 0.0),
    Case("linear", 0.6),
    Case("linear", 0.3, SUBSET),
    Case("smooth", 0.3, SUBSET),
)
# Its members differ enough without dropout, which costs them skill.
ENSEMBLE = {"members": 8, "prior_functions": True, "dropout": 0.0}
SAMPLES = 48
"""Of the networks with dropout."""
ALONE = CASES[:2]
DRAWN = {"all": Case("linear", 0.3), "subset": Case("linear", 0.3, SUBSET)}
INDICES = {"index": "I pooled", "function_index": "I functions", "column_index": "I cell"}
LABELS = dict(
    zip(SCORES, ("r", "R2", "bias", "RMSE", "coverage", "shift", "contraction"), strict=True)
)


def main() -> None:
    """Run the experiment."""
    arguments = _arguments()
    mpl.use("Agg")
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()

    grid = xbinn.datasets.open_grid()
    profiles = xbinn.datasets.open_profiles()
    print(f"grid: {grid.attrs['title']}\nprofiles: {profiles.attrs['title']}", flush=True)
    cases = tuple(DRAWN.values()) if arguments.smoke else CASES
    quick = {"epochs": 2, "hidden": 16} if arguments.smoke else {}
    ensemble = ENSEMBLE | ({"members": 2} if arguments.smoke else {})
    alone = ALONE[:1] if arguments.smoke else ALONE
    print(f"\nFitting {len(cases) + len(alone)} cases on a local dask cluster", flush=True)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster),
    ):
        found, by_dropout = (
            recover_parameters(
                grid,
                profiles,
                cases=chosen,
                samples=samples,
                fit=quick | fit,
                seed=SEED,
                report=lambda done: print(f"  {done} done", flush=True),
            )
            for chosen, fit, samples in (
                (cases, ensemble, ensemble["members"]),
                (alone, {}, 4 if arguments.smoke else SAMPLES),
            )
        )
    found.to_netcdf(out / "recovery.nc", engine="h5netcdf")

    text = "\n\n".join(score_table(found.sel(case=case.name)) for case in cases)
    text = f"{heading(found)}\n\n{text}\n\n{summary(found, by_dropout)}\n"
    print(f"\n{text}", flush=True)
    (out / "recovery.txt").write_text(text)
    for what in ("parameter", "process"):
        scores(found, what).to_csv(out / f"{what}_scores.csv")

    print("Drawing", flush=True)
    draw(found, grid.attrs["title"], out)
    minutes, seconds = divmod(time.perf_counter() - started, 60)
    print(f"\nDone in {minutes:.0f} min {seconds:.0f} s. Look at {out}/:")
    for path in sorted(out.iterdir()):
        print(f"  {path.name}")


def scores(found: xr.Dataset, what: str) -> pd.DataFrame:
    """Lay the scores of parameters or processes out as a table, known ones left out."""
    columns = {f"{what}_{name}": label for name, label in LABELS.items()}
    if what == "parameter":
        columns |= INDICES
    table = found[list(columns)].reset_coords(drop=True).to_dataframe().rename(columns=columns)
    return table.dropna(subset=["RMSE"])


def heading(found: xr.Dataset) -> str:
    """Say what was done and what the columns mean."""
    a = found.attrs
    return (
        f"{a['title']}\nFitted to {a['training_samples']} synthetic samples in "
        f"{a['training_sites']} cells, scored at {a['held_out_sites']} cells of held-out blocks, "
        f"{a['posterior_samples']} samples, of an ensemble of {a['members']}.\n"
        "Parameters as fractions of their prior range; bias and RMSE of processes as ln, over its "
        "central 90 % under the prior.\n"
        "coverage: of the central 90 % of the samples, 0.90 if calibrated; shift: of the estimate "
        "from the prior mean, in prior sd;\ncontraction: 1 - variance of the samples over that of "
        "the prior; I: identifiability index of the parameter\nif it is one for all cells, a "
        f"linear function of covariates, free in each cell; under {PRIOR_DOMINATED:g} it is "
        "prior-dominated."
    )


def score_table(one: xr.Dataset) -> str:
    """Lay the scores of one case out as text."""
    lines = [f"== {one['case'].item()}"]
    for what in ("parameter", "process"):
        table = scores(one, what)
        table.index.name = None
        lines.append(table.to_string(float_format=lambda v: f"{v:.2f}"))
    ranks = (float(one[n]) for n in ("effective_rank", "column_effective_rank"))
    lines.append("combinations constrained: {:.1f} pooled, {:.1f} in a cell".format(*ranks))
    return "\n".join(lines)


def summary(found: xr.Dataset, by_dropout: xr.Dataset) -> str:
    """Compare identifiable with prior-dominated parameters, and both with processes."""
    rows = []
    fits = {"": found, ", one network": by_dropout}
    for how, case in [(how, case) for how, one in fits.items() for case in one["case"].values]:
        one = fits[how].sel(case=case)
        table = scores(one, "parameter")
        known = table["I functions"] >= PRIOR_DOMINATED
        groups = {
            "identifiable": table[known],
            "prior-dominated": table[~known],
            "processes": scores(one, "process"),
        }
        rows += [
            (case + how, name, len(t), t["r"].median(), t["R2"].median(), t["coverage"].mean())
            for name, t in groups.items()
            if len(t)
        ]
    columns = ["case", "group (by I functions)", "n", "median r", "median R2", "mean coverage"]
    table = pd.DataFrame(rows, columns=columns)
    return "== Summary\n" + table.to_string(index=False, float_format=lambda v: f"{v:.2f}")


def draw(found: xr.Dataset, source: str, out: Path) -> None:
    """Write the figures."""
    note = f"Places, depths, covariates and forcing: {source}"
    figures = {"spectrum": plot_spectrum(found, caption=note)}
    for name, case in DRAWN.items():
        figures |= {
            f"recovered_{name}": plot_recovery(found, case.name, caption=note),
            f"processes_{name}": plot_recovered_processes(found, case.name, caption=note),
            f"loadings_{name}": plot_loadings(found, case.name, caption=note),
        }
    for name, figure in figures.items():
        figure.savefig(out / f"{name}.png", dpi=150)
        plt.close(figure)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path("recovery_output"), help="folder to write to"
    )
    parser.add_argument("--smoke", action="store_true", help="two quick cases, to test the path")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
