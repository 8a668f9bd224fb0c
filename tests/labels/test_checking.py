"""The report on inputs: what was recognised, and problems in the words of fit and predict."""

import json

import cftime
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

import xbinn
from xbinn.cli import main
from xbinn.errors import InputError
from xbinn.testing import small_grid, small_profiles


@pytest.fixture(scope="module")
def _grid():
    return small_grid()


@pytest.fixture
def grid(_grid):
    return _grid.copy(deep=True)


@pytest.fixture(scope="module")
def profiles(_grid):
    return small_profiles(_grid)


def words(call):
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


def test_good_inputs(grid, profiles, tmp_path):
    grid["TSOI"] = (grid["TSOI"] - 273.15).assign_attrs(units="degC")
    report = xbinn.check(grid, profiles)
    assert report.ok
    text = repr(report)
    assert "degC converted to K" in text
    assert "lat 4 x lon 5" in text
    assert "classes" in text
    assert json.loads(json.dumps(report.to_dict()))["ok"]
    report.to_html(tmp_path / "report.html")
    assert "converted to K" in (tmp_path / "report.html").read_text()
    assert report["Profiles"][0].details["profiles"] == 40
    assert "numeric" in report._repr_html_()


def test_problems_have_the_words_of_fit(grid, profiles):
    spoilt = grid.drop_vars(["TSOI", "ALTMAX"])
    assert words(lambda: xbinn.fit(spoilt, profiles, epochs=1)) in repr(xbinn.check(spoilt))
    bad = profiles.drop_vars("soc")
    said = xbinn.check(grid, bad).problems
    assert [p.text for p in said] == [words(lambda: xbinn.fit(grid, bad, epochs=1))]
    twice = grid.assign_coords(lat=[35.0, 35.0, 55.0, 65.0])
    assert "more than once" in xbinn.check(twice).problems[0].text
    with pytest.raises(InputError, match=r"must be an xarray\.Dataset"):
        xbinn.check(grid["TSOI"])


@pytest.mark.parametrize("chunks", [None, {"lat": 2, "lon": 3}])
def test_values_out_of_range(grid, profiles, chunks, raise_if_dask_computes):
    grid["FPI_vr"] = grid["FPI_vr"] * 90.0
    grid["nbedrock"] = grid["nbedrock"] + 0.5
    expected = words(lambda: xbinn.simulate(grid, xbinn.default_parameters(grid)))
    chunked = grid if chunks is None else grid.chunk(chunks)
    with raise_if_dask_computes(max_computes=3):
        report = xbinn.check(chunked)
    found = {p.subject: p for p in report.problems}
    assert {"FPI_vr", "nbedrock"} == set(found)
    for problem in found.values():
        # The same sentence, up to how a block names its cells.
        assert problem.text.split("; ")[-1] in expected
        assert problem.text.split(" in ")[0] in expected
    assert found["FPI_vr"].details["share"] == pytest.approx(1.0)
    assert 'units"] = "percent"' in found["FPI_vr"].text
    assert "lat=" in found["FPI_vr"].text


def test_missing_values_are_counted(grid):
    grid["elevation"] = grid["elevation"].where(grid["lat"] > 40)
    found = {f.subject: f for f in xbinn.check(grid)["Covariates"]}
    assert found["elevation"].details["missing"] == int(np.isnan(grid["elevation"]).sum())
    empty = grid.assign(ALTMAX=xr.full_like(grid["ALTMAX"], np.nan))
    notes = [f for f in xbinn.check(empty)["Forcing"] if f.level == "note"]
    assert [(f.subject, f.text) for f in notes] == [("ALTMAX", "missing in all cells")]


def test_the_command_writes_a_page(grid, tmp_path):
    grid.to_netcdf(tmp_path / "grid.nc")
    page = tmp_path / "report.html"
    said = CliRunner().invoke(
        main, ["check", "--data", str(tmp_path / "grid.nc"), "--html", str(page)]
    )
    assert said.exit_code == 0, said.output
    assert "Inputs of xbinn" in page.read_text()


# --- axes and models --------------------------------------------------------------------------


def axes(ds):
    return {f.subject + ": " + f.text.split(" (")[0]: f for f in xbinn.check(ds)["Axes"]}


def test_axes_are_told_as_they_were_read(grid):
    assert list(axes(grid)) == [
        "months: month numbered from 1",
        "layers: 20 levels of depth at 0.01 to 8.03 m",
    ]
    times = [cftime.DatetimeNoLeap(2000, m, 15) for m in (3, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12)]
    permuted = grid.rename(month="time").assign_coords(time=times)
    assert "months: time by times of calendar noleap, put in order" in axes(permuted)
    bare = grid.drop_vars(["month", "depth"])
    said = axes(bare)
    assert [f.level for f in said.values()] == ["note", "note"]
    assert "months: month has no coordinate: taken from January to December" in said
    heights = grid.assign_coords(depth=-grid["depth"].values).isel(depth=slice(None, None, -1))
    assert list(axes(heights))[1] == (
        "layers: 20 levels of depth at -8.03 to -0.01 m, as heights, turned to run from the "
        "surface down"
    )
    short = grid.isel(depth=slice(10))
    assert [f.subject for f in xbinn.check(short)["Axes"]] == ["months"]
    assert "10 levels of depth" in xbinn.check(short).problems[0].text


def test_a_model_is_looked_for(grid, profiles):
    model = xbinn.fit(grid, profiles, epochs=1, seed=0, hidden=(4,))
    ranges = model.training_data["covariate_ranges"]
    assert set(ranges) == {n for n, _ in model.predictor.covariates.numeric}
    high = grid.assign(elevation=grid["elevation"] + 1e5)
    found = {f.subject: f for f in xbinn.check(high, model=model)["Covariates"]}
    cells = int(grid["elevation"].notnull().sum())
    assert found["elevation"].level == "note"
    assert found["elevation"].details["unseen"] == cells
    assert f"that the model has not seen in {cells} cells" in found["elevation"].text
    name, _ = model.predictor.covariates.categorical[0]
    other = grid.assign({name: xr.full_like(grid[name], 99).where(grid[name].notnull())})
    found = {f.subject: f for f in xbinn.check(other.chunk(lat=2), model=model)["Covariates"]}
    assert found[name].details["unseen"] == int(grid[name].notnull().sum())
    assert "of classes that the model has not seen" in found[name].text
    bad = grid.drop_vars("elevation")
    report = xbinn.check(bad, profiles, model=model)
    assert [p.text for p in report.problems] == [words(lambda: xbinn.predict(bad, model))]
    assert "their cells were not looked for" in repr(report["Profiles"])
    with pytest.raises(InputError, match="model"):
        xbinn.check(grid, model="m.xbinn")
