"""Fit BINN and PRODA to the same soil profiles: skill, maps, cost, and which is nearer to a truth.

    python examples/binn_vs_proda.py --out proda_output

On a sample of the profiles of the folder that XBINN_DATA names, else of the embedded idealised
continent; chains and networks of PRODA run on a local dask cluster of two workers. Then the same
with SOC that the model made from known parameters. Writes tables as text and CSV, and figures as
PNG. Plan for a quarter of an hour on two cores.
"""

import argparse
import os
import platform
import sys
import time
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import xarray as xr
from dask.distributed import Client, LocalCluster

import xbinn
from xbinn.plotting import (
    plot_class_agreement,
    plot_comparison,
    plot_nearness,
    plot_processes,
)
from xbinn.science.agreement import METHODS, compare_with_truth
from xbinn.science.synthetic_data import synthetic_profiles

SEED = 0
PROFILES = 300
MAX_STEPS = 1300
"""Behind the warm-up; profiles that have not converged by then are counted."""
KIND, NOISE = "linear", 0.3
SMOKE = {
    "fit": {"epochs": 2, "hidden": 16},
    "retrieval": {"steps": 8, "warmup": 8, "max_steps": 8, "rhat": 5.0, "ess": 1.0},
    "upscaling": {"epochs": 2, "hidden": 16, "members": 2},
    "baselines": ("mean_profile",),
}


def main() -> None:
    """Run both comparisons."""
    arguments = _arguments()
    mpl.use("Agg")
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()

    grid = xbinn.datasets.open_grid()
    everything = xbinn.datasets.open_profiles()
    n = min(arguments.profiles, everything.sizes["profile"])
    chosen = np.sort(np.random.default_rng(SEED).permutation(everything.sizes["profile"])[:n])
    profiles = everything.isel(profile=chosen)
    settings = SMOKE if arguments.smoke else {"retrieval": {"max_steps": MAX_STEPS}}
    text = [
        f"grid: {grid.attrs['title']}; {dict(grid['nbedrock'].sizes)}",
        f"profiles: {everything.attrs['title']}; {n} of {everything.sizes['profile']}, seed {SEED}",
        f"xbinn {xbinn.__version__}, torch {torch.__version__}, {platform.machine()}, "
        f"{os.cpu_count()} cores, 2 workers",
    ]
    print("\n".join(text), flush=True)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster),
    ):
        _step("Observed SOC", started)
        real = xbinn.compare_methods(grid, profiles, seed=SEED, report=_tell, **settings)
        text += ["", "== Observed SOC", *tables(real)]
        print("\n".join(text[3:]), flush=True)

        _step("Synthetic SOC of known parameters", started)
        made, parameters = synthetic_profiles(grid, profiles, kind=KIND, noise=NOISE, seed=SEED)
        truth = xr.merge([parameters, xbinn.simulate(grid, parameters)])
        synthetic = xbinn.compare_methods(grid, made, seed=SEED, report=_tell, **settings)
        nearness = compare_with_truth(*(synthetic.maps[name] for name in METHODS), truth)
    known = f"== Synthetic SOC: {KIND} functions of covariates, noise {100 * NOISE:.0f} %"
    second = ["", known, *tables(synthetic), "", nearness_table(nearness)]
    print("\n".join(second), flush=True)
    (out / "binn_vs_proda.txt").write_text("\n".join([*text, *second]) + "\n")
    write(real, synthetic, nearness, out)

    _step("Drawing", started)
    draw(real, synthetic, nearness, grid.attrs["title"], out)
    minutes, seconds = divmod(time.perf_counter() - started, 60)
    print(f"\nDone in {minutes:.0f} min {seconds:.0f} s. Look at {out}/:")
    for path in sorted(out.iterdir()):
        print(f"  {path.name}")


def tables(found: xbinn.MethodComparison) -> list[str]:
    """Lay out what a comparison found as text."""
    told = found.retrieved.attrs
    return [
        f"{told['profiles']} profiles to learn from (left out: {told['left_out']}), "
        f"{found.test.sizes['profile']} to test on, in other 2-degree blocks",
        f"chains of {told['profiles_converged']} of {told['profiles']} profiles have converged: "
        f"{found.costs.attrs['criterion']}",
        "",
        "Maps of BINN and PRODA against each other, in the units of each quantity",
        agreement_table(found.agreement),
        "",
        skill_table(found),
        "",
        cost_table(found.costs),
    ]


def agreement_table(agreement: xr.Dataset) -> str:
    """Correlation, bias and RMSE over all cells, and the correlation in each class."""
    dims = [d for d in agreement["correlation"].dims if d != "quantity"]
    whole = agreement.isel(dict.fromkeys(dims, 0))
    frame = whole[["correlation", "bias", "rmse", "units"]].to_dataframe()
    frame = frame[["correlation", "bias", "rmse", "units"]]
    for dim in dims:
        for label in agreement[dim].values[1:]:
            one = agreement.sel({dim: label})
            if int(one["n"].max()) > 2:
                frame[f"r {label}"] = one["correlation"].to_series()
    return _plain(frame, bias="{:.2g}", rmse="{:.2g}")


def skill_table(found: xbinn.MethodComparison) -> str:
    """Scores on the held-out profiles."""
    scores = found.scores.sel(depth_range="all")
    frames = []
    for scale in scores["scale"].values:
        one = scores.sel(scale=scale, drop=True)[["r2", "r2_low", "r2_high", "rmse", "bias"]]
        frames.append(one.to_dataframe().drop(columns="depth_range").add_suffix(f" ({scale})"))
    gain = found.gains.sel(baseline="proda")
    told = "; ".join(
        f"{scale} {float(g['gain']):+.2f} [{float(g['low']):+.2f}, {float(g['high']):+.2f}]"
        f"{', a tie' if bool(g['tie']) else ''}"
        for scale, g in ((s, gain.sel(scale=s)) for s in gain["scale"].values)
    )
    return (
        f"SOC of {int(scores['n'])} samples in held-out blocks (kg m-3; ln kg m-3), R2 with 90 % "
        f"interval from resampling blocks\n{_plain(pd.concat(frames, axis=1))}\n"
        f"gain in R2 of BINN over PRODA: {told}"
    )


def cost_table(costs: xr.Dataset) -> str:
    """Solves, gradients and seconds, and how many times those of BINN."""
    lines = [f"Cost; {costs.attrs['claim']}"]
    for run in costs["run"].values:
        one = costs.sel(run=run)
        lines.append(
            f"{one['description'].item()}\n    {float(one['forward_solves']):,.0f} forward solves, "
            f"{float(one['gradient_evaluations']):,.0f} of them with a gradient, "
            f"{float(one['seconds']):,.1f} s: {float(one['times_solves']):,.1f} times the solves "
            f"and {float(one['times_seconds']):,.1f} times the seconds of BINN\n"
            f"    {one['basis'].item()}"
        )
    return "\n".join(lines)


def nearness_table(found: xr.Dataset) -> str:
    """Distance of both maps from the truth."""
    frame = pd.DataFrame({"nearer": found["nearer"].to_series()})
    for name in METHODS:
        one = found.sel(model=name)
        frame[f"RMSE/s.d. {name}"] = one["relative_rmse"].to_series()
        frame[f"r {name}"] = one["correlation"].to_series()
    counts = frame["nearer"].value_counts()
    told = ", ".join(f"{name} {counts.get(name, 0)}" for name in (*METHODS, "tie"))
    return f"Maps of both against the truth; nearer: {told}\n{_plain(frame)}"


def write(
    real: xbinn.MethodComparison,
    synthetic: xbinn.MethodComparison,
    nearness: xr.Dataset,
    out: Path,
) -> None:
    """Write the tables as CSV."""
    for kind, found in (("observed", real), ("synthetic", synthetic)):
        for name in ("agreement", "scores", "costs"):
            getattr(found, name).to_dataframe().to_csv(out / f"{kind}_{name}.csv")
    nearness.to_dataframe().to_csv(out / "nearness.csv")


def draw(
    real: xbinn.MethodComparison,
    synthetic: xbinn.MethodComparison,
    nearness: xr.Dataset,
    source: str,
    out: Path,
) -> None:
    """Write the figures."""
    note, of_made = (
        f"Both learnt from the same {found.retrieved.sizes['profile']} profiles; covariates and "
        f"forcing: {source}"
        for found in (real, synthetic)
    )
    made = f"Synthetic SOC, {KIND} functions of covariates, noise {100 * NOISE:.0f} %. {of_made}"
    kind = "idealised continent" if "idealised" in source.lower() else "observed SOC"
    figures = {
        "processes": plot_comparison(
            *(real.maps[m] for m in METHODS), title=f"BINN against PRODA, {kind}", caption=note
        ),
        "agreement": plot_class_agreement(
            real.agreement, title=f"Maps of BINN and PRODA, {kind}", caption=note
        ),
        "nearness": plot_nearness(
            nearness,
            title="Which is nearer to the truth, synthetic SOC",
            caption=made,
        ),
        "processes_synthetic": plot_comparison(
            *(synthetic.maps[m] for m in METHODS),
            title="BINN against PRODA, synthetic SOC",
            caption=made,
        ),
    }
    for method in METHODS:
        figures[f"map_{method}"] = plot_processes(
            real.maps[method], title=f"Processes by {method.upper()}, {kind}", caption=note
        )
    for name, figure in figures.items():
        figure.savefig(out / f"{name}.png", dpi=150)
        plt.close(figure)


def _plain(frame: pd.DataFrame, **formats: str) -> str:
    frame = frame.rename_axis(None)
    known = {name: form.format for name, form in formats.items()}
    return frame.to_string(formatters=known, float_format="{:.2f}".format)


def _tell(what: str) -> None:
    print(f"  {what}", flush=True)


def _step(what: str, started: float) -> None:
    print(f"\n{what} (after {time.perf_counter() - started:.0f} s)", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("proda_output"), help="folder to write to")
    parser.add_argument("--profiles", type=int, default=PROFILES, help="how many to sample")
    parser.add_argument("--smoke", action="store_true", help="a few steps, to test the path")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.profiles = min(arguments.profiles, 60)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
