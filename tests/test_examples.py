"""Examples run as a user would run them, in small, on the embedded data."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import xarray as xr

from xbinn.parameters import PARAMETER_NAMES

ROOT = Path(__file__).parents[1]


def smoke(name: str, out: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "XBINN_DATA"}
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / name, "--smoke", "--out", out],
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_parameter_recovery(tmp_path: Path) -> None:
    done = smoke("parameter_recovery.py", tmp_path)
    assert "collapsed" not in done.stderr
    names = {path.name for path in tmp_path.iterdir()}
    drawn = {
        f"{n}_{c}.png" for n in ("recovered", "processes", "loadings") for c in ("all", "subset")
    }
    learnt = {f"errors_30_{n}.{end}" for n in (21, 4) for end in ("nc", "png")}
    assert drawn | learnt | {"spectrum.png", "recovery.txt", "recovery.nc"} <= names
    text = (tmp_path / "recovery.txt").read_text()
    assert "Idealised continent" in text
    assert text in done.stdout
    table = pd.read_csv(tmp_path / "parameter_scores.csv")
    assert list(table.loc[table["case"].str.contains("21 unknown"), "parameter"]) == list(
        PARAMETER_NAMES
    )
    with xr.open_dataset(tmp_path / "recovery.nc", engine="h5netcdf") as found:
        assert found.sizes["case"] == 2
        assert list(found["parameter"].values) == list(PARAMETER_NAMES)


def test_first_map(tmp_path: Path) -> None:
    done = smoke("first_map.py", tmp_path)
    assert done.stdout.startswith("<xbinn.Model>")
    assert {p.name for p in tmp_path.iterdir()} == {"first.xbinn", "first_map.png", "soc.nc"}
    with xr.open_dataset(tmp_path / "soc.nc", engine="h5netcdf") as soc:
        assert float(soc["cSoilAbove1m"].min()) > 0.0


def test_binn_vs_proda(tmp_path: Path) -> None:
    done = smoke("binn_vs_proda.py", tmp_path)
    assert "collapsed" not in done.stderr
    names = {path.name for path in tmp_path.iterdir()}
    drawn = ("agreement", "map_binn", "map_proda", "nearness", "processes", "processes_synthetic")
    assert {f"{name}.png" for name in drawn} <= names
    text = (tmp_path / "binn_vs_proda.txt").read_text()
    assert "Idealised continent" in text
    assert "more than 50 times" in text
    assert all(line in done.stdout for line in text.splitlines())
    costs = pd.read_csv(tmp_path / "observed_costs.csv", index_col="run")
    assert list(costs.index) == ["binn", "proda", "proda_converged", "proda_published"]
    assert costs.loc["binn", "times_solves"] == 1.0
    near = pd.read_csv(tmp_path / "nearness.csv")
    assert set(near["nearer"]) <= {"binn", "proda", "tie"}
