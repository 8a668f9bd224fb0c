"""The commands do what the functions do, and say by their exit code how it went."""

import inspect
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

import xbinn
from xbinn.cli import main
from xbinn.testing import small_grid, small_profiles


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A grid, profiles, and a model that the command has fitted."""
    folder = tmp_path_factory.mktemp("cli")
    grid = small_grid()
    grid.to_netcdf(folder / "grid.nc")
    small_profiles(grid).to_netcdf(folder / "profiles.nc")
    done = run(
        "fit", "--data", folder / "grid.nc", "--profiles", folder / "profiles.nc",
        "--to", folder / "m.xbinn", "--epochs", 1, "--seed", 0,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def predict(folder, to, *more):
    return run("predict", "--model", folder / "m.xbinn", "--data", folder / "grid.nc", "--to", to,
               "--chunks", "lat=2,lon=3", *more)  # fmt: skip


def test_fit_is_that_of_the_function(folder):
    grid = xbinn.datasets.open_grid(folder / "grid.nc")
    profiles = xbinn.datasets.open_profiles(folder / "profiles.nc")
    expected = xbinn.fit(grid, profiles, epochs=1, seed=0)
    said = json.loads(run("inspect", folder / "m.xbinn", "--json").stdout)
    assert said["sha256"] == expected.sha256 == xbinn.load(folder / "m.xbinn").sha256
    assert said["covariates"] == expected.covariates


def test_predict_verify_repair(folder, tmp_path):
    store = tmp_path / "out.zarr"
    assert predict(folder, store).exit_code == 0
    said = json.loads(run("inspect", store, "--json").stdout)
    assert (said["status"], said["tiles"], said["stored"]) == ("complete", 4, 4)
    assert run("verify", store).exit_code == 0
    (store / "soc" / "c" / "0" / "0" / "0").unlink()
    found = run("verify", store, "--json")
    assert found.exit_code == 1
    assert list(json.loads(found.stdout)["damaged"]) == ["tile (0, 0), lat[0:2], lon[0:3]"]
    assert run("verify", store, "--repair").exit_code == 1
    assert predict(folder, store).exit_code == 0
    assert "True" in run("verify", store).stdout


def test_check(folder, tmp_path):
    said = run(
        "check", "--data", folder / "grid.nc", "--profiles", folder / "profiles.nc", "--json"
    )
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)["space"] == {"lat": 4, "lon": 5}
    bad = small_grid()
    bad["TSOI"].attrs["units"] = "parsec"
    bad.to_netcdf(tmp_path / "bad.nc")
    refused = run("check", "--data", tmp_path / "bad.nc", "--model", folder / "m.xbinn")
    assert refused.exit_code == 1
    assert "TSOI" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_errors_and_usage(folder, tmp_path):
    refused = predict(folder, tmp_path / "out.tif", "--json")
    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["error"]["type"] == "InputError"
    assert run("predict").exit_code == 2
    wrong = run("predict", "--model", "m", "--data", "d", "--to", "t", "--chunks", "lat:5")
    assert wrong.exit_code == 2
    assert "not of the form lat=90,lon=180" in wrong.stderr
    (tmp_path / "folder").mkdir()
    assert "is not there: only the store" in run("inspect", tmp_path / "folder").stderr


def test_options_are_those_of_predict():
    known = set(inspect.signature(xbinn.predict).parameters) - {"ds", "progress"}
    options = {p.name for p in main.commands["predict"].params}
    assert known <= options
    assert options - known == {"data", "scheduler", "as_json"}


def test_help_is_light():
    code = "import sys, xbinn.cli; assert not {'torch', 'dask'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert xbinn.__version__ in run("--version").stdout
