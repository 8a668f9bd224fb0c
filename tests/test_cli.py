"""The commands do what the functions do, and say by their exit code how it went."""

import inspect
import json
import subprocess
import sys

import dask
import pytest
import xarray as xr
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


def test_samples_of_the_posterior(folder, tmp_path):
    more = ("--samples", 4, "--seed", 1, "--quantiles", 0.1, "--quantiles", 0.9, "--outputs", "soc")
    said = predict(folder, tmp_path / "out.zarr", *more)
    assert said.exit_code == 0, said.output
    found = xr.open_zarr(tmp_path / "out.zarr", consolidated=False)
    assert list(found["quantile"].values) == [0.1, 0.9]
    assert "4 posterior samples (Monte Carlo dropout, seed 1)" in found.attrs["source"]
    alone = predict(folder, tmp_path / "no.zarr", "--seed", 1)
    assert alone.exit_code == 1
    assert "samples=0 asks for none" in alone.stderr


def test_check(folder, tmp_path):
    said = run(
        "check", "--data", folder / "grid.nc", "--profiles", folder / "profiles.nc", "--json"
    )
    assert said.exit_code == 0, said.output
    report = json.loads(said.stdout)
    assert report["sections"]["Space"][0]["details"] == {"lat": 4, "lon": 5}
    assert report["ok"]
    expected = xbinn.check(small_grid(), xbinn.datasets.open_profiles(folder / "profiles.nc"))
    assert list(report["sections"]) == list(expected.sections)
    bad = small_grid()
    bad["TSOI"].attrs["units"] = "parsec"
    bad.to_netcdf(tmp_path / "bad.nc")
    refused = run("check", "--data", tmp_path / "bad.nc", "--model", folder / "m.xbinn")
    assert refused.exit_code == 1
    assert "x forcing" in refused.stdout
    assert "TSOI" in refused.stdout
    assert "Traceback" not in refused.output


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
    known = set(inspect.signature(xbinn.predict).parameters) - {"ds", "progress", "quantified"}
    options = {p.name for p in main.commands["predict"].params}
    assert known <= options
    assert options - known == {"data", "scheduler", "workers", "as_json"}


def test_options_are_those_of_fit():
    known = set(inspect.signature(xbinn.fit).parameters) - {"ds", "progress"}
    options = {p.name for p in main.commands["fit"].params}
    assert options - known == {"data", "to", "as_json"}
    assert known <= options


def test_options_of_fit_arrive(folder, tmp_path):
    options = {
        "covariates": ("elevation", "npp"), "hidden": (4, 3), "block_size": "900 km",
        "validation": None, "bedrock": "published", "learning_rate": 0.01, "epochs": 1, "seed": 3,
    }  # fmt: skip
    given = [
        "--covariates", "elevation", "--covariates", "npp", "--hidden", "4,3",
        "--block-size", "900 km", "--validation", "none", "--bedrock", "published",
        "--learning-rate", 0.01, "--epochs", 1, "--seed", 3,
    ]  # fmt: skip
    files = ["--data", folder / "grid.nc", "--profiles", folder / "profiles.nc"]
    said = run("fit", *files, "--to", tmp_path / "m.xbinn", *given, "--json")
    assert said.exit_code == 0, said.output
    grid = xbinn.datasets.open_grid(folder / "grid.nc")
    profiles = xbinn.datasets.open_profiles(folder / "profiles.nc")
    assert json.loads(said.stdout)["sha256"] == xbinn.fit(grid, profiles, **options).sha256
    wrong = run("fit", *files, "--to", tmp_path / "m.xbinn", "--hidden", "four")
    assert wrong.exit_code == 2
    assert "not of the form 128,128" in wrong.stderr
    wrong = run("fit", *files, "--to", tmp_path / "nowhere" / "m.xbinn")
    assert wrong.exit_code == 1
    assert "is not there: make it first" in wrong.stderr


def test_files_that_are_not_there_or_cannot_be_read(folder, tmp_path):
    (tmp_path / "text.nc").write_text("no grid")
    grid, model = folder / "grid.nc", folder / "m.xbinn"
    absent, text = tmp_path / "absent.nc", tmp_path / "text.nc"
    to = ["--to", tmp_path / "out.zarr"]
    cases = {
        ("check", "--data", absent): "there is no absent.nc",
        ("check", "--data", text): "cannot be read as NetCDF or Zarr",
        ("check", "--data", grid, "--profiles", text): "cannot be read as NetCDF or Zarr",
        ("inspect", tmp_path / "m.xbinn"): "cannot be read (No such file",
        ("inspect", text): "is not a model",
        ("verify", absent): "is not there",
        ("fit", "--data", grid, "--profiles", absent, *to): "there is no absent.nc",
        ("predict", "--data", absent, "--model", model, *to): "there is no absent.nc",
        ("predict", "--data", grid, "--model", absent, *to): "cannot be read (No such file",
    }
    for command, message in cases.items():
        said = run(*command)
        assert said.exit_code == 1, command
        assert message in said.output
        assert "Traceback" not in said.output
    assert not (tmp_path / "out.zarr").exists()


def test_check_names_all_problems_at_once(tmp_path):
    bad = small_grid()
    profiles = small_profiles(bad)
    bad["TSOI"].attrs["units"] = "parsec"
    bad = bad.assign_coords(lat=[35.0, 35.0, 55.0, 65.0])
    bad.to_netcdf(tmp_path / "bad.nc")
    profiles.drop_vars("soc").to_netcdf(tmp_path / "p.nc")
    said = run(
        "check", "--data", tmp_path / "bad.nc", "--profiles", tmp_path / "p.nc",
        "--model", tmp_path / "none.xbinn",
    )  # fmt: skip
    assert said.exit_code == 1
    problems = [line for line in said.stdout.splitlines() if line.startswith("  x ")]
    assert len(problems) == 4
    for part in ("parsec", "more than once", "lack soc", "none.xbinn"):
        assert part in said.stdout


def test_predict_on_workers_of_its_own(folder, tmp_path):
    assert predict(folder, tmp_path / "here.zarr").exit_code == 0
    said = predict(folder, tmp_path / "out.zarr", "--workers", 1, "--json")
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)["status"] == "complete"
    expected = xr.open_zarr(tmp_path / "here.zarr", consolidated=False)
    found = xr.open_zarr(tmp_path / "out.zarr", consolidated=False)
    xr.testing.assert_equal(found, expected)
    both = predict(folder, tmp_path / "no.zarr", "--workers", 1, "--scheduler", "tcp://here:1")
    assert both.exit_code == 2
    assert "drop one" in both.stderr


def test_a_scheduler_that_does_not_answer(folder, tmp_path):
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        said = predict(folder, tmp_path / "out.zarr", "--scheduler", "tcp://127.0.0.1:9")
    assert said.exit_code == 1
    assert "no dask scheduler answers at 'tcp://127.0.0.1:9'" in said.stderr


def test_progress_is_quiet_off_a_terminal(folder, tmp_path):
    said = predict(folder, tmp_path / "out.zarr", "--json")
    assert said.stderr == ""
    json.loads(said.stdout)


def test_help_is_light():
    code = "import sys, xbinn.cli; assert not {'torch', 'dask'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert xbinn.__version__ in run("--version").stdout
