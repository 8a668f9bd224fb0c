"""Months by number, name or time, in any order: the same forcing."""

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xbinn
from xbinn.errors import InputError
from xbinn.labels.forcing import standardise_forcing
from xbinn.labels.months import months_in_order
from xbinn.testing import small_grid

PERMUTED = np.array([3, 1, 12, 2, 4, 11, 5, 10, 6, 9, 7, 8]) - 1
MONTHS = np.arange(1, 13)
NAMES = [
    *("January", "feb", "March", "April", "MAY", "June", "July"),
    *("Aug", "September", "October", "Nov", "December"),
]


@pytest.fixture(scope="module")
def grid():
    return small_grid()


def noleap(months):
    return [cftime.DatetimeNoLeap(2001, m, 16) for m in months]


COORDINATES = {
    "from 1": MONTHS,
    "from 0": MONTHS - 1,
    "floating": MONTHS.astype(float),
    "names": np.array(NAMES),
    "datetime": pd.date_range("2001-01-15", periods=12, freq=pd.DateOffset(months=1)),
    "noleap": np.array(noleap(MONTHS)),
    "360 days": np.array([cftime.Datetime360Day(2001, m, 30) for m in MONTHS]),
    "several years": np.array([cftime.DatetimeNoLeap(2001 + m % 3, m, 16) for m in MONTHS]),
}


@pytest.mark.parametrize("kind", COORDINATES)
@pytest.mark.parametrize("dim", ["month", "time"])
def test_months_are_put_in_order(grid, kind, dim, raise_if_dask_computes):
    expected = standardise_forcing(grid)
    given = grid.assign_coords(month=COORDINATES[kind]).isel(month=PERMUTED).chunk(lat=2)
    if dim == "time":
        given = given.rename(month="time")
        if not kind.endswith(("datetime", "noleap", "days", "years")):
            with pytest.raises(InputError, match=r"have no dimension month \(they have time\)"):
                standardise_forcing(given)
            return
    with raise_if_dask_computes():
        found = standardise_forcing(given)
    xr.testing.assert_equal(found.compute().drop_vars("month"), expected.drop_vars("month"))
    assert list(found["month"].values) == list(MONTHS)


def test_variables_may_have_axes_of_their_own(grid):
    """Each in its own order, on its own dimension: matched by month."""
    times = grid[["TSOI", "ALTMAX"]].assign_coords(month=noleap(MONTHS)).isel(month=PERMUTED)
    mixed = xr.merge([grid.drop_vars(["TSOI", "ALTMAX"]), times.rename(month="time")])
    parameters = xbinn.default_parameters(grid)
    found, expected = xbinn.simulate(mixed, parameters), xbinn.simulate(grid, parameters)
    np.testing.assert_array_equal(found["soc"].values, expected["soc"].values)
    assert "time" not in found.dims


def test_the_middle_of_the_bounds_counts(grid):
    """CTSM stamps a month with its end: the first instant of the next."""
    start = noleap(MONTHS)
    start = [t.replace(day=1) for t in start]
    end = [*start[1:], cftime.DatetimeNoLeap(2002, 1, 1)]
    bounds = xr.DataArray(np.stack([start, end], axis=1), dims=("time", "nbnd"))
    given = grid.rename(month="time").assign_coords(time=end)
    given["time"].attrs["bounds"] = "time_bounds"
    given = given.assign(time_bounds=bounds).isel(time=PERMUTED)
    found = standardise_forcing(given)["TSOI"]
    np.testing.assert_array_equal(found.values, grid["TSOI"].values)
    # Without them the stamp is all there is, and every month is taken for the next.
    shifted = standardise_forcing(given.drop_vars("time_bounds"))["TSOI"]
    np.testing.assert_array_equal(shifted.values, np.roll(grid["TSOI"].values, 1, axis=0))


@pytest.mark.parametrize(
    "values",
    [
        MONTHS + 4,
        MONTHS / 2,
        np.array([*NAMES[:11], "Smarch"]),
        pd.date_range("2001-01-01", periods=12, freq="D"),
    ],
    ids=["5 to 16", "halves", "names", "days"],
)
def test_what_is_no_month_is_told(grid, values):
    spoilt = grid.assign_coords(month=values)
    with pytest.raises(InputError, match=r"month .*, not each month of a year once"):
        standardise_forcing(spoilt)
    if isinstance(values, pd.DatetimeIndex):
        with pytest.raises(InputError, match=r"time 2001-01-01.*, not each month of a year once"):
            standardise_forcing(spoilt.rename(month="time"))


def test_other_lengths_and_bare_axes_are_left_alone(grid):
    for da in (grid["TSOI"].isel(month=slice(6)), grid["TSOI"].drop_vars("month"), grid["sand"]):
        found, wrong = months_in_order(da)
        assert wrong is None
        xr.testing.assert_identical(found, da)
