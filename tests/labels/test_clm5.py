"""CLM5 history files: months, levels, budgets, what is missing, what is refused."""

import clm5_history as history
import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.constants import NODE_DEPTH
from xbinn.errors import InputError
from xbinn.labels.clm5_litter import whole_years
from xbinn.variables import FORCING, INPUT_NAMES

POOLS = dict(zip(INPUT_NAMES, ("CWD", "LITR1", "LITR2", "LITR3"), strict=True))
SECONDS_A_MONTH = 365.0 * 86400.0 / 12.0


@pytest.fixture(scope="module")
def monthly(tmp_path_factory):
    """Three years, one file a year."""
    return history.write_history(tmp_path_factory.mktemp("monthly"))


@pytest.fixture(scope="module")
def expected(monthly):
    """Not to be changed."""
    return xbinn.forcing.from_clm5(monthly[0]).load()


def annual_mean(by_month: np.ndarray) -> np.ndarray:
    return np.average(by_month, axis=0, weights=history.LENGTHS)


def climatology(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, 12, *values.shape[1:]).mean(axis=0)


def blank(values: np.ndarray) -> np.ndarray:
    """The fill value as it is read."""
    return np.where(values > 1e30, np.nan, values)


def test_forcing_is_complete_and_named_by_its_source(expected):
    ds = expected
    assert set(ds.data_vars) == {v.name for v in FORCING}
    for v in FORCING:
        assert ds[v.name].attrs["units"] == v.units
        assert ds[v.name].attrs["long_name"] == v.long_name
        assert "CLM5" in ds[v.name].attrs["forcing_source"]
    assert ds["TSOI"].sizes == {"month": 12, "depth": 20, "lat": 2, "lon": 3}
    np.testing.assert_array_equal(ds["depth"], NODE_DEPTH[:20])
    np.testing.assert_array_equal(ds["month"], np.arange(1, 13))
    assert ds.attrs["clm5_case_id"] == "toy"
    assert "M_CWDC_TO_FIRE" in ds["CWD_INPUT"].attrs["forcing_source"]


def test_the_model_takes_it(expected):
    out = expected.binn.simulate(xbinn.default_parameters(expected))
    status = np.zeros(history.SHAPE, dtype=int)
    status[history.OCEAN] = 1
    np.testing.assert_array_equal(out["status"], status)


def test_months_are_those_of_the_bounds_not_of_the_stamp(monthly, expected):
    """January is stamped the first of February."""
    _, fields, _ = monthly
    for name in ("TSOI", "W_SCALAR", "ALTMAX", "ALTMAX_LASTYEAR"):
        level, values = fields[name]
        mean = blank(climatology(values))
        # float64 means in another order.
        np.testing.assert_allclose(expected[name], mean[:, :20] if level else mean, rtol=1e-12)


@pytest.mark.parametrize(
    ("layout", "calendar"),
    [("field", "noleap"), ("one", "365_day"), ("one", "standard"), ("year", "proleptic_gregorian")],
)
def test_layouts_and_calendars_agree(tmp_path, expected, layout, calendar):
    # Years 1 to 3 have no leap day in any of the calendars.
    paths, *_ = history.write_history(tmp_path, layout=layout, calendar=calendar)
    rng = np.random.default_rng(0)
    shuffled = [paths[i] for i in rng.permutation(len(paths))]
    found = xbinn.forcing.from_clm5(shuffled)
    xr.testing.assert_identical(found.compute(), expected)


def test_netcdf_4_files_agree(tmp_path, expected):
    (path,), *_ = history.write_history(tmp_path, layout="one")
    with xr.open_dataset(path, decode_cf=False) as ds:
        ds.to_netcdf(tmp_path / "4.nc", engine="h5netcdf", unlimited_dims=["time"])
    found = xbinn.forcing.from_clm5(tmp_path / "4.nc")
    xr.testing.assert_identical(found.compute(), expected)


def test_a_pattern_a_path_and_an_open_dataset_agree(tmp_path, expected):
    (path,), *_ = history.write_history(tmp_path, layout="one")
    with xr.open_dataset(path, decode_times=xr.coders.CFDatetimeCoder(use_cftime=True)) as ds:
        xr.testing.assert_allclose(xbinn.forcing.from_clm5(ds), expected, rtol=1e-12)
    for files in (path, str(path), str(tmp_path / "*.nc")):
        xr.testing.assert_identical(xbinn.forcing.from_clm5(files).compute(), expected)


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_a_dataset_as_xarray_opens_it_by_default(tmp_path, calendar):
    """Times of numpy where the calendar allows it, and constants at every time."""
    arguments = {"n_years": 2, "first_year": 2001, "calendar": calendar, "layout": "one"}
    (path,), *_ = history.write_history(tmp_path, **arguments)
    expected = xbinn.forcing.from_clm5(path).load()
    with xr.open_dataset(path) as ds:
        assert (ds["time_bounds"].dtype.kind == "M") == (calendar == "standard")
        layer = ("time", "lat", "lon"), np.stack(24 * [ds["nbedrock"].values])
        repeated = ds.assign(nbedrock=layer)
        xr.testing.assert_equal(xbinn.forcing.from_clm5(repeated).load(), expected)


def test_years_may_begin_in_any_month(tmp_path):
    """From July to June, and the months are numbered from January all the same."""
    paths, fields, _ = history.write_history(tmp_path, n_years=4, first_month=6, skip=range(42, 48))
    values = blank(fields["ALTMAX"][1][6:42])
    found = xbinn.forcing.from_clm5(paths)["ALTMAX"]
    july = values.reshape(3, 12, *history.SHAPE).mean(axis=0)
    np.testing.assert_allclose(found, np.roll(july, 6, axis=0), rtol=1e-12)


def test_years_choose_by_the_middle_of_the_month(tmp_path):
    paths, fields, _ = history.write_history(tmp_path, n_years=4, layout="one", first_year=100)
    found = xbinn.forcing.from_clm5(paths, years=(101, 102))
    expected = blank(climatology(fields["ALTMAX"][1][12:36]))
    np.testing.assert_allclose(found["ALTMAX"], expected, rtol=1e-12)
    assert "years 101 to 102" in found["ALTMAX"].attrs["forcing_source"]


def test_levels_are_cut_by_depth_on_any_axis(tmp_path, expected):
    paths, *_ = history.write_history(tmp_path, layout="one", scalars_on="levsoi")
    xr.testing.assert_identical(xbinn.forcing.from_clm5(paths).compute(), expected)


def test_unstructured_grids(tmp_path, expected):
    paths, *_ = history.write_history(tmp_path, layout="one", unstructured=True)
    found = xbinn.forcing.from_clm5(paths).compute()
    assert found["TSOI"].dims == ("month", "depth", "lndgrid")
    assert found["lat"].dims == found["lon"].dims == ("lndgrid",)
    np.testing.assert_allclose(found["TSOI"], expected["TSOI"].stack(c=("lat", "lon")), rtol=1e-12)


def test_bedrock_is_the_last_soil_layer(expected):
    """The long name says shallowest bedrock layer; CTSM's code takes it as the last of soil."""
    found = expected["nbedrock"]
    assert found.dims == ("lat", "lon")
    np.testing.assert_array_equal(found, [[8, 12, np.nan], [20, 15, 6]])
    assert found.attrs["long_name"].startswith("index of the last soil layer")


@pytest.mark.parametrize("names", [None, history.NEW, history.BETWEEN], ids=["5.0", "new", "5.1"])
def test_inputs_of_a_closed_budget_are_recovered(tmp_path, names):
    """To rounding: pools far from steady state, inputs of their own for each calendar month."""
    paths, _, inputs = history.write_history(tmp_path, layout="one", names=names)
    found = xbinn.forcing.from_clm5(paths)
    for name, pool in POOLS.items():
        expected = annual_mean(inputs[pool]) * SECONDS_A_MONTH
        expected[history.OCEAN] = np.nan
        for month in range(12):
            np.testing.assert_allclose(found[name][month], expected, rtol=1e-11)


def test_the_change_of_the_pools_matters(tmp_path):
    """Losses alone would miss the input by a lot here, or the test above would show little."""
    _, fields, inputs = history.write_history(tmp_path, layout="one")
    losses = (
        sum(
            fields[n][1]
            for n in ("CWDC_TO_LITR2C", "CWDC_TO_LITR3C", "M_CWDC_TO_FIRE", "CWD_HR_L2")
        )
        + fields["CWD_HR_L3"][1]
    )
    mean = annual_mean(climatology(losses))[1]
    assert (np.abs(mean / annual_mean(inputs["CWD"])[1] - 1.0) > 0.2).all()


def test_calendar_months_count_alike_in_the_budget():
    days = np.tile(history.LENGTHS, 4).astype(float)
    period = whole_years(days)
    by_month = period.duration.reshape(4, 12).sum(axis=0)
    np.testing.assert_allclose(by_month, 3 * 86400.0 * np.array(history.LENGTHS), rtol=1e-14)
    assert abs(period.change.sum()) < 1e-15


def test_respiration_of_debris_in_one_field_and_in_none(tmp_path, monthly):
    _, fields, inputs = monthly
    truth = annual_mean(inputs["CWD"]) * SECONDS_A_MONTH
    parts = fields["CWD_HR_L2"][1] + fields["CWD_HR_L3"][1]
    for layout in ("with", "without"):
        (tmp_path / layout).mkdir()
    (path,), *_ = history.write_history(
        tmp_path / "without", layout="one", without=("CWD_HR_L2", "CWD_HR_L3")
    )
    less = xbinn.forcing.from_clm5(path)["CWD_INPUT"][0].values
    assert (less[1] < 0.99 * truth[1]).all()
    with xr.open_dataset(path, decode_times=xr.coders.CFDatetimeCoder(use_cftime=True)) as ds:
        one = ds.assign(CWDC_HR=ds["CWDC_TO_LITR2C"].copy(data=blank(parts)))
        whole = xbinn.forcing.from_clm5(one)["CWD_INPUT"][0].values
    np.testing.assert_allclose(whole[1], truth[1], rtol=1e-11)


def test_everything_is_lazy_but_times_bedrock_and_a_month_of_two_pools(
    monthly, raise_if_dask_computes
):
    with raise_if_dask_computes(max_computes=3):
        ds = xbinn.forcing.from_clm5(monthly[0])
    assert all(ds[v.name].chunks is not None for v in FORCING)


def edit(path, change):
    """Write a file anew, and return its path."""
    with xr.open_dataset(path, decode_cf=False) as ds:
        changed = change(ds).load()
    changed.to_netcdf(path, engine="scipy", unlimited_dims=["time"])
    return path


@pytest.mark.parametrize("holder", [0, 1, 2])
def test_bedrock_may_stand_in_one_file_alone(tmp_path, expected, holder):
    """Time constants are in the files of one tape, or in the first file of a run."""
    paths, *_ = history.write_history(tmp_path)
    for i, path in enumerate(paths):
        if i != holder:
            edit(path, lambda ds: ds.drop_vars("nbedrock"))
    for files in (paths, paths[::-1]):
        xr.testing.assert_identical(xbinn.forcing.from_clm5(files).compute(), expected)


def test_bedrock_may_stand_in_a_file_of_its_own(tmp_path, expected):
    paths, *_ = history.write_history(tmp_path)
    with xr.open_dataset(paths[0], decode_cf=False) as ds:
        constants = ds[["nbedrock", "lat", "lon"]].load()
    constants.encoding = {}
    constants.to_netcdf(tmp_path / "constants.nc", engine="scipy")
    for path in paths:
        edit(path, lambda ds: ds.drop_vars("nbedrock"))
    with pytest.raises(InputError, match="nbedrock is missing"):
        xbinn.forcing.from_clm5(paths)
    for files in ([*paths, tmp_path / "constants.nc"], [tmp_path / "constants.nc", *paths]):
        xr.testing.assert_identical(xbinn.forcing.from_clm5(files).compute(), expected)


def test_files_that_disagree_on_bedrock_are_refused(tmp_path):
    paths, *_ = history.write_history(tmp_path)
    edit(paths[2], lambda ds: ds.assign(nbedrock=ds["nbedrock"].where(ds["nbedrock"] != 12, 11)))
    with pytest.raises(
        InputError, match=r"nbedrock in .*002\.nc differs from that in .*000\.nc in 1 cells, but"
    ):
        xbinn.forcing.from_clm5(paths)
    (path,), *_ = history.write_history(tmp_path, n_years=2, layout="one")
    with xr.open_dataset(path, decode_times=xr.coders.CFDatetimeCoder(use_cftime=True)) as ds:
        layer = ds["nbedrock"].expand_dims(time=24).copy()
        layer[3, 0, 0] = 9
        with pytest.raises(InputError, match="the Dataset differs from that at other times in 1"):
            xbinn.forcing.from_clm5(ds.assign(nbedrock=layer))


def test_bedrock_of_another_grid_is_refused(tmp_path):
    paths, *_ = history.write_history(tmp_path)
    other = tmp_path / "other.nc"
    with xr.open_dataset(paths[0], decode_cf=False) as ds:
        flat = ds["nbedrock"].load().stack(n=("lat", "lon")).drop_vars(["n", "lat", "lon"])
    flat.to_dataset().to_netcdf(other, engine="scipy")
    with pytest.raises(
        InputError, match=r"nbedrock has shape \(6,\) in .*other.nc and \(2, 3\) in"
    ):
        xbinn.forcing.from_clm5([*paths, other])


# --- what may be missing ----------------------------------------------------------------------


def test_missing_fields_are_listed_with_the_line_that_writes_them(tmp_path):
    without = ("FPI_vr", "O_SCALAR", "ALTMAX_LASTYEAR", "LITR2_HR", "M_LITR1C_TO_FIRE", "nbedrock")
    paths, *_ = history.write_history(tmp_path, n_years=2, layout="one", without=without)
    with pytest.raises(InputError, match="history files lack O_SCALAR, FPI_vr, ALTMAX_LAST") as e:
        xbinn.forcing.from_clm5(paths)
    text = str(e.value)
    assert "hist_fincl1 = 'O_SCALAR', 'FPI_vr', 'ALTMAX_LASTYEAR', 'LITR2_HR', 'M_LITR1C_T" in text
    assert "'FPI_vr' for 1: decomposition is never short of nitrogen" in text
    assert "'fire' for 0" in text
    assert "nbedrock is missing" in text


def test_new_names_are_asked_for_where_new_names_are_found(tmp_path):
    without = ("LIT_CEL_C_TO_SOM_ACT_C", "M_LIT_LIG_C_TO_FIRE")
    paths, *_ = history.write_history(
        tmp_path, n_years=2, layout="one", names=history.NEW, without=without
    )
    with pytest.raises(InputError, match="lack LIT_CEL_C_TO_SOM_ACT_C, M_LIT_LIG_C_TO_FIRE: run"):
        xbinn.forcing.from_clm5(paths)


def test_what_is_assumed_is_said(tmp_path):
    fires = tuple(f"M_{p}C_TO_FIRE" for p in POOLS.values())
    without = ("FPI_vr", "O_SCALAR", "ALTMAX_LASTYEAR", *fires)
    paths, fields, _ = history.write_history(tmp_path, layout="one", without=without)
    found = xbinn.forcing.from_clm5(paths, assume=("FPI_vr", "O_SCALAR", "ALTMAX_LASTYEAR", "fire"))
    land = found["W_SCALAR"].notnull()
    for name in ("FPI_vr", "O_SCALAR"):
        np.testing.assert_array_equal(found[name], xr.where(land, 1.0, np.nan))
        assert found[name].attrs["forcing_source"].startswith("assumed: 1")
    thaw = blank(climatology(fields["ALTMAX"][1])).max(axis=0)
    np.testing.assert_allclose(found["ALTMAX_LASTYEAR"], np.tile(thaw, (12, 1, 1)), rtol=1e-12)
    assert "FIRE" not in found["LITR1_INPUT"].attrs["forcing_source"]
    assert "fire assumed 0" in found["LITR1_INPUT"].attrs["forcing_source"]


def test_what_is_there_is_taken_whatever_is_assumed(monthly, expected):
    found = xbinn.forcing.from_clm5(monthly[0], assume=("FPI_vr", "fire"))
    xr.testing.assert_identical(found.compute(), expected)


@pytest.mark.parametrize("assume", [("TSOI",), "FPI_vr"])
def test_other_assumptions_are_refused(monthly, assume):
    with pytest.raises(InputError, match=r"assume=.*: give a sequence of 'FPI_vr', 'O_SCALAR'"):
        xbinn.forcing.from_clm5(monthly[0], assume=assume)


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_years": 1}, "hold 12 months from 0001-01-01 to 0002-01-01: needed are whole years, 2"),
        ({"skip": (35,)}, r"hold 35 months .* more files, or choose with years=\(1, 2\)$"),
        ({"n_years": 2, "skip": (23,)}, "hold 23 months .*over years; give more files$"),
        ({"skip": (13, 14)}, "do not follow each other: between 0002-02-01 and 0002-04-01"),
        ({"bounds": ""}, "time has no bounds, and CTSM stamps a month with its end"),
        ({"methods": "time: instantaneous"}, r"not means over the month: TSOI \(time: instant"),
        ({"accelerated": True}, r"SOIL3C is 0\.04 times SOIL2C .* accelerated decomposition"),
    ],
    ids=[
        "one year",
        "part of a year",
        "part of two years",
        "gap",
        "no bounds",
        "instantaneous",
        "accelerated",
    ],
)
def test_what_is_no_climatology_of_a_run_at_rest_is_refused(tmp_path, arguments, message):
    paths, *_ = history.write_history(tmp_path, layout="one", **arguments)
    with pytest.raises(InputError, match=message):
        xbinn.forcing.from_clm5(paths)


def test_years_that_are_not_there_are_refused(monthly):
    with pytest.raises(InputError, match=r"years=\(7, 9\): no month lies in these years.*1 to 3"):
        xbinn.forcing.from_clm5(monthly[0], years=(7, 9))


def test_times_that_are_not_decoded_are_refused(tmp_path):
    (path,), *_ = history.write_history(tmp_path, n_years=2, layout="one")
    with (
        xr.open_dataset(path, decode_times=False) as ds,
        pytest.raises(InputError, match=r"time_bounds holds float64 \(24, 2\), not two dates"),
    ):
        xbinn.forcing.from_clm5(ds)


def test_daily_files_are_refused(tmp_path):
    (path,), *_ = history.write_history(tmp_path, n_years=2, layout="one")
    with xr.open_dataset(path, decode_times=xr.coders.CFDatetimeCoder(use_cftime=True)) as ds:
        bounds = ds["time_bounds"].values.copy()
        bounds[3, 1] = bounds[3, 0] + (bounds[3, 1] - bounds[3, 0]) / 30
        daily = ds.assign(time_bounds=ds["time_bounds"].copy(data=bounds))
        with pytest.raises(InputError, match="1 of 24 records are no months: 0001-04-01 to 0001"):
            xbinn.forcing.from_clm5(daily)


def test_without_time_is_refused(monthly, expected):
    fields = {n: xr.zeros_like(expected["nbedrock"]) for n in monthly[1]}
    with pytest.raises(InputError, match="have no coordinate time"):
        xbinn.forcing.from_clm5(expected.assign(fields))


def test_a_tape_of_days_beside_that_of_months_is_pointed_to(tmp_path, monthly):
    days = np.arange(1.0, 366.0)
    time = {"units": "days since 0001-01-01", "calendar": "noleap", "bounds": "time_bounds"}
    for year in (1, 2):
        daily = xr.Dataset(
            {"TSA": ("time", days), "time_bounds": (("time", "two"), np.c_[days - 1, days])},
            {"time": ("time", days + 365 * (year - 1), time)},
        )
        daily.to_netcdf(tmp_path / f"case.clm2.h1.{year}.nc", engine="scipy")
    files = [*monthly[0], *sorted(tmp_path.glob("*.nc"))]
    with pytest.raises(InputError, match=r"leave out .* is needed: .*h1\.1\.nc and 1 more$"):
        xbinn.forcing.from_clm5(files)


def test_files_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.nc cannot be opened as one dataset"):
        xbinn.forcing.from_clm5(tmp_path / "nothing.nc")


def test_files_of_other_grids_are_refused(tmp_path, monthly):
    with xr.open_dataset(monthly[0][1], decode_cf=False) as ds:
        ds.assign_coords(lat=ds["lat"] + 1).to_netcdf(tmp_path / "moved.nc", engine="scipy")
    with pytest.raises(
        InputError, match=r"2 history files \(.*000\.nc, \.\.\.\) cannot be.*one grid"
    ):
        xbinn.forcing.from_clm5([monthly[0][0], tmp_path / "moved.nc"])


def test_months_given_twice_are_refused(tmp_path, monthly):
    (path,), *_ = history.write_history(tmp_path, n_years=2, layout="one")
    with pytest.raises(InputError, match=r"cannot be opened as one dataset.*not have monotonic"):
        xbinn.forcing.from_clm5([*monthly[0], path])


def test_no_files_are_refused():
    with pytest.raises(InputError, match="0 history files cannot be opened"):
        xbinn.forcing.from_clm5([])


def test_cftime_is_asked_for_by_name(monthly, monkeypatch):
    def absent(*args, **kwargs):
        raise ModuleNotFoundError("No module named 'cftime'", name="cftime")

    monkeypatch.setattr(xr, "open_mfdataset", absent)
    with pytest.raises(ModuleNotFoundError, match=r"needs cftime: pip install .xbinn.clm5."):
        xbinn.forcing.from_clm5(monthly[0])


def test_runs_whose_soil_pools_are_not_written_pass(tmp_path):
    """What cannot be told is not refused."""
    paths, *_ = history.write_history(
        tmp_path, n_years=2, layout="one", without=("SOIL2C", "SOIL3C"), accelerated=True
    )
    assert xbinn.forcing.from_clm5(paths)["TSOI"].notnull().any()
