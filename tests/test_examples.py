"""Examples run as a user would run them, in small, on the embedded data."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import xarray as xr

from xbinn.parameters import PARAMETER_NAMES

ROOT = Path(__file__).parents[1]


def test_parameter_recovery(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "XBINN_DATA"}
    done = subprocess.run(
        [sys.executable, ROOT / "examples/parameter_recovery.py", "--smoke", "--out", tmp_path],
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "collapsed" not in done.stderr
    names = {path.name for path in tmp_path.iterdir()}
    drawn = {
        f"{n}_{c}.png" for n in ("recovered", "processes", "loadings") for c in ("all", "subset")
    }
    assert drawn | {"spectrum.png", "recovery.txt", "recovery.nc"} <= names
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
    environment = {k: v for k, v in os.environ.items() if k != "XBINN_DATA"}
    done = subprocess.run(
        [sys.executable, ROOT / "examples/first_map.py", "--smoke", "--out", tmp_path],
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("<xbinn.Model>")
    assert {p.name for p in tmp_path.iterdir()} == {"first.xbinn", "first_map.png", "soc.nc"}
    with xr.open_dataset(tmp_path / "soc.nc", engine="h5netcdf") as soc:
        assert float(soc["cSoilAbove1m"].min()) > 0.0
