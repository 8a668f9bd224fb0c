"""Fit, predict and score in one go: maps of soil carbon, its processes and its parameters.

    python examples/demo.py --out demo_output

On the folder that XBINN_DATA names, else on the embedded idealised continent. Writes the model,
the prediction as Zarr and NetCDF, figures as PNG, and the score table as text and CSV.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from dask.distributed import Client, LocalCluster, progress

import xbinn
from xbinn.plotting import plot_agreement, plot_map, plot_processes, plot_training
from xbinn.science.baselines import BASELINES
from xbinn.science.comparison import MODEL
from xbinn.science.crossvalidation import split_profiles
from xbinn.science.skill import Skill, compare_with_baselines

SEED = 0
TEST_FRACTION = 0.2
NAMES = {MODEL: "xbinn"} | dict(BASELINES)
SCALES = {"linear": "kg m-3", "log": "ln"}


def main() -> None:
    """Run the demo."""
    arguments = _arguments()
    mpl.use("Agg")
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()

    grid = xbinn.datasets.open_grid()
    profiles = xbinn.datasets.open_profiles()
    print(f"grid: {grid.attrs['title']}\nprofiles: {profiles.attrs['title']}", flush=True)
    training, test = split_profiles(profiles, fraction=TEST_FRACTION, seed=SEED)
    print(
        f"{training.sizes['profile']} profiles to learn from, {test.sizes['profile']} to test on, "
        "in other 2-degree blocks",
        flush=True,
    )

    _step("Fitting the network through the soil carbon model")
    few = {"epochs": 2} if arguments.smoke else {}
    model = grid.binn.fit(training, seed=SEED, progress=True, **few)
    model.save(out / "model.xbinn")
    print(model, flush=True)

    _step("Predicting on a local dask cluster")
    prediction = predict(grid, model, out)

    _step("Scoring on the test profiles, beside the baselines")
    skill = compare_with_baselines(
        grid, model, training, test, report=lambda name: print(f"  fitting: {name}", flush=True)
    )
    table = score_table(skill)
    print(table, flush=True)
    (out / "scores.txt").write_text(table + "\n")
    skill.scores.to_dataframe().to_csv(out / "scores.csv")

    _step("Drawing")
    draw(model, prediction, skill, grid.attrs["title"], out)
    minutes, seconds = divmod(time.perf_counter() - started, 60)
    print(f"\nDone in {minutes:.0f} min {seconds:.0f} s. Look at {out}/:")
    for path in sorted(out.iterdir()):
        print(f"  {path.name}")


def predict(grid: xr.Dataset, model: xbinn.Model, out: Path) -> xr.Dataset:
    """Predict on a local cluster, write Zarr and NetCDF, and return the store reopened."""
    rows, columns = grid["nbedrock"].dims
    chunks = {rows: -(-grid.sizes[rows] // 2), columns: -(-grid.sizes[columns] // 4)}
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        lazy = grid.chunk(chunks).binn.predict(model)
        with warnings.catch_warnings():
            # Plain xarray opens a store faster, and without a word, that has it.
            warnings.filterwarnings("ignore", "Consolidated metadata")
            stored = lazy.to_zarr(out / "prediction.zarr", mode="w", compute=False)
        writing = client.compute(stored)
        progress(writing, notebook=False)
        print(flush=True)
        writing.result()
    prediction = xr.open_zarr(out / "prediction.zarr", decode_coords="all").load()
    # Zarr keeps attributes as JSON, without their type, and a fill value for everything; CF wants
    # flags of the type of the variable, and coordinates that miss nothing.
    for coordinate in prediction.coords.values():
        coordinate.encoding["_FillValue"] = None
    flags = prediction["status"].attrs
    flags["flag_values"] = np.array(flags["flag_values"], dtype=prediction["status"].dtype)
    prediction.to_netcdf(out / "prediction.nc", engine="h5netcdf")
    return prediction


def score_table(skill: Skill) -> str:
    """Lay the scores out as text."""
    lines = [
        f"Scores on {int(skill.scores['n'].sel(depth_range='all'))} samples of "
        f"{skill.sites.n_profiles} profiles in blocks that touched neither scaling nor early "
        "stopping nor the search for settings (python -m benchmarks.settings, on the others alone)",
        "(R2 = 1 - SSE/SST pooled over samples; RMSE and bias in kg m-3, of ln in ln units)",
    ]
    for depth in skill.scores["depth_range"].values:
        n = int(skill.scores["n"].sel(depth_range=depth))
        frames = []
        for scale, label in SCALES.items():
            chosen = skill.scores.sel(scale=scale, depth_range=depth, drop=True)
            frame = chosen[["r2", "rmse", "bias", "correlation"]].to_dataframe()
            frames.append(frame.add_suffix(f" ({label})"))
        table = pd.concat(frames, axis=1).rename(index=NAMES)
        table.index.name = None
        lines += ["", f"{depth}: n = {n}", table.to_string(float_format=lambda v: f"{v:.2f}")]
    lines += ["", "Gain in R2 of xbinn, 90 % interval from resampling the test blocks:"]
    for name, label in BASELINES.items():
        for scale, unit in SCALES.items():
            g = skill.gains.sel(baseline=name, scale=scale)
            verdict = "tie" if bool(g["tie"]) else ("better" if float(g["gain"]) > 0 else "worse")
            interval = f"{float(g['gain']):+.2f} [{float(g['low']):+.2f}, {float(g['high']):+.2f}]"
            lines.append(f"  over {label:<29} {unit:<7} {interval}  {verdict}")
    return "\n".join(lines)


def draw(model: xbinn.Model, prediction: xr.Dataset, skill: Skill, title: str, out: Path) -> None:
    """Write the figures."""
    source = f"{title}; BINN fitted with xbinn, CLM5-like forcing."
    kind = "idealised continent" if "idealised" in title.lower() else "half-degree demo"
    figures = {
        "training": plot_training(
            model.history, title=f"Training, {kind}", caption=f"Fitted to: {source}"
        ),
        "agreement": plot_agreement(
            skill.modelled[MODEL],
            skill.sites.soc,
            title=f"Soil organic carbon on test profiles, {kind}",
            caption=f"Test profiles in 2-degree blocks that the fit has not seen. {source}",
        ),
        "map_cSoilAbove1m": plot_map(
            prediction["cSoilAbove1m"],
            title=f"Soil organic carbon above 1 m, {kind}",
            caption=source,
        ),
        "map_processes": plot_processes(
            prediction, title=f"Processes that control soil carbon, {kind}", caption=source
        ),
    }
    for name, figure in figures.items():
        figure.savefig(out / f"{name}.png", dpi=150)


def _step(what: str) -> None:
    print(f"\n{what}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="folder to write to")
    parser.add_argument("--smoke", action="store_true", help="two epochs only, to test the path")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
