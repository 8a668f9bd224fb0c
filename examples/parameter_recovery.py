"""Make parameters up, observe them through soil carbon, fit, and see which come back.

    python examples/parameter_recovery.py --out recovery_output

Places, depths, covariates and forcing are those of the folder that XBINN_DATA names, else of the
embedded idealised continent; the truth is synthetic. Fits run on the workers of a local dask
cluster. Intervals come from the errors of fits to other truths; those of the dropout samples of
two of the cases stand beside them, and are far too narrow. Writes the result as NetCDF, score
tables as text and CSV, and figures as PNG.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
    plot_recovery_errors,
    plot_spectrum,
)
from xbinn.science.information import PRIOR_DOMINATED
from xbinn.science.recovery import SUBSET, Case, recover_parameters, recovery_errors
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
FIT = {"members": 2}
TRUTHS = 16
"""That errors are learnt from, for each noise and set of unknowns."""
SAMPLES = 32
_KEPT = ("truth", "level")
BY_SAMPLES = CASES[:2]
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
    fit = FIT | ({"epochs": 2, "hidden": 16} if arguments.smoke else {})
    truths = 8 if arguments.smoke else TRUTHS
    alike: dict[tuple[float, tuple[str, ...]], list[Case]] = {}
    for case in cases:
        alike.setdefault((case.noise, case.unknown), []).append(case)
    n = len(alike) * truths + len(cases)
    print(f"\nFitting {n} truths, {fit['members']} networks each, on a local dask cluster")
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster),
    ):
        parts, learnt = [], {}
        for (noise, unknown), own in alike.items():
            name = f"noise {100 * noise:g} %, {len(unknown)} unknown"
            learnt[name] = recovery_errors(
                grid, profiles, truths=truths, noise=noise, unknown=unknown, fit=fit, seed=SEED
            )
            parts.append(recover(grid, profiles, own, fit, learnt[name]))
            print(f"  {name}: done", flush=True)
        samples = recover(grid, profiles, BY_SAMPLES if not arguments.smoke else cases, fit, None)
    found = xr.concat(parts, "case", join="outer", coords="minimal", compat="override")
    found = found.sel(case=[case.name for case in cases])
    found.to_netcdf(out / "recovery.nc", engine="h5netcdf")
    for errors in learnt.values():
        errors.to_netcdf(out / f"{_file_name(errors)}.nc", engine="h5netcdf")

    text = "\n\n".join(score_table(found.sel(case=case.name)) for case in cases)
    text = f"{heading(found)}\n\n{text}\n\n{summary(found, samples)}\n\n{left_out(learnt)}\n"
    print(f"\n{text}", flush=True)
    (out / "recovery.txt").write_text(text)
    for what in ("parameter", "process"):
        scores(found, what).to_csv(out / f"{what}_scores.csv")

    print("Drawing", flush=True)
    draw(found, learnt, grid.attrs["title"], out)
    minutes, seconds = divmod(time.perf_counter() - started, 60)
    print(f"\nDone in {minutes:.0f} min {seconds:.0f} s. Look at {out}/:")
    for path in sorted(out.iterdir()):
        print(f"  {path.name}")


def recover(
    grid: xr.Dataset,
    profiles: xr.Dataset,
    cases: Sequence[Case],
    fit: dict[str, Any],
    errors: xr.Dataset | None,
) -> xr.Dataset:
    """Fit to the truth of each case."""
    return recover_parameters(
        grid, profiles, cases=cases, samples=SAMPLES, fit=fit, seed=SEED, errors=errors
    )


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
        f"{a['posterior_samples']} samples, of an ensemble of {a['members']};\nestimates are "
        f"corrected, and intervals made, by the errors of fits to {a['truths']} other truths.\n"
        "Parameters as fractions of their prior range; bias and RMSE of processes as ln, over its "
        "central 90 % under the truths.\n"
        "coverage: of the 90 % intervals, 0.90 if calibrated; shift: of the estimate from the mean "
        "of the truths, in their sd;\ncontraction: 1 - variance left over that of the truths; I: "
        "identifiability index of the parameter\nif it is one for all cells, a linear function of "
        f"covariates, free in each cell; under {PRIOR_DOMINATED:g} it is prior-dominated."
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


def summary(found: xr.Dataset, samples: xr.Dataset) -> str:
    """Compare identifiable with prior-dominated parameters, and both with processes."""
    rows = []
    fits = {"": found, ", by samples": samples}
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
            (
                case + how,
                name,
                len(t),
                *(t[score].median() for score in ("r", "R2", "contraction")),
                t["coverage"].mean(),
            )
            for name, t in groups.items()
            if len(t)
        ]
    columns = ["case", "group (by I functions)", "n"]
    columns += ["median r", "median R2", "median contraction", "mean coverage"]
    table = pd.DataFrame(rows, columns=columns)
    return "== Summary\n" + table.to_string(index=False, float_format=lambda v: f"{v:.2f}")


def left_out(learnt: Mapping[str, xr.Dataset]) -> str:
    """Tell how often the intervals that truths give each other hold them."""
    rows = []
    for name, errors in learnt.items():
        known = errors["function_index"] >= PRIOR_DOMINATED
        coverage = errors["parameter_coverage"]
        groups = {
            "identifiable": coverage.where(known),
            "prior-dominated": coverage.where(~known),
            "processes": errors["process_coverage"],
        }
        for kind in (*dict.fromkeys(errors["kind"].values), "all"):
            of = errors["kind"] == kind if kind != "all" else xr.ones_like(errors["kind"], bool)
            for group, values in groups.items():
                by_truth = values.where(of).mean([d for d in values.dims if d not in _KEPT])
                if by_truth.notnull().any():
                    one = by_truth.sel(level=0.9)
                    ends = one.min().item(), one.max().item()
                    rows.append((f"{name}: {kind}", group, *by_truth.mean("truth").values, *ends))
    columns = ["truths", "group (by I functions)"]
    columns += [f"{100 * level:g} %" for level in errors["level"].values]
    columns += ["least at 90 %", "most"]
    table = pd.DataFrame(rows, columns=columns)
    heading = f"== Coverage of {errors.sizes['truth']} truths, each by intervals from the others"
    return f"{heading}\n" + table.to_string(index=False, float_format=lambda v: f"{v:.3f}")


def draw(found: xr.Dataset, learnt: Mapping[str, xr.Dataset], source: str, out: Path) -> None:
    """Write the figures."""
    note = f"Places, depths, covariates and forcing: {source}"
    figures = {"spectrum": plot_spectrum(found, caption=note)}
    for name, errors in learnt.items():
        title = f"What a fit can know of parameters, {name}"
        figures[_file_name(errors)] = plot_recovery_errors(errors, title=title, caption=note)
    for name, case in DRAWN.items():
        figures |= {
            f"recovered_{name}": plot_recovery(found, case.name, caption=note),
            f"processes_{name}": plot_recovered_processes(found, case.name, caption=note),
            f"loadings_{name}": plot_loadings(found, case.name, caption=note),
        }
    for name, figure in figures.items():
        figure.savefig(out / f"{name}.png", dpi=150)
        plt.close(figure)


def _file_name(errors: xr.Dataset) -> str:
    return f"errors_{100 * errors.attrs['noise']:g}_{errors.sizes['parameter']}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path("recovery_output"), help="folder to write to"
    )
    parser.add_argument("--smoke", action="store_true", help="two quick cases, to test the path")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
