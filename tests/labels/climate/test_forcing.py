"""Forcing from monthly climate: complete, lazy, replaceable, and honest about what it is."""

import json
import subprocess
import sys
from pathlib import Path

import cftime
import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.errors import CoordinateError, InputError, UnitsError
from xbinn.variables import FORCING_NAMES, INPUT_NAMES

ROOT = Path(__file__).parents[3]
BOTH = ("FPI_vr", "nbedrock")


def climate(lat=(60.0, 45.0, 10.0), lon=(10.0, 20.0)):
    month = xr.DataArray(np.arange(1, 13), dims="month", name="month")
    lat = xr.DataArray(np.array(lat), dims="lat", coords={"lat": np.array(lat)})
    lon = xr.DataArray(np.array(lon), dims="lon", coords={"lon": np.array(lon)})
    space = xr.zeros_like(lat * lon)
    summer = -np.cos(2 * np.pi * (month - 1) / 12)
    return xr.Dataset(
        {
            "air_temperature": (28 - 0.5 * lat + 12 * summer * lat / 60 + space).assign_attrs(
                units="degC"
            ),
            "precipitation": (60 + 20 * summer + space).assign_attrs(units="mm month-1"),
            "npp": (500 + space).assign_attrs(units="gC m-2 yr-1"),
            "sand": (40 + space).assign_attrs(units="percent"),
            "clay": (20 + space).assign_attrs(units="percent"),
            "tree_fraction": (0.5 + space).assign_attrs(units="1"),
        }
    ).assign_coords(month=month)


@pytest.fixture(scope="module")
def made():
    return xbinn.forcing.from_climate(climate(), assume=BOTH)


def test_it_is_a_forcing(made):
    assert list(made) == list(FORCING_NAMES)
    for name in FORCING_NAMES:
        assert made[name].attrs["forcing_source"]
    assert made["FPI_vr"].attrs["forcing_source"].startswith("assumed: 1")
    assert "bucket" in made["W_SCALAR"].attrs["forcing_source"]
    assert made["TSOI"].dims == ("month", "depth", "lat", "lon")
    assert xbinn.check(made.assign(npp=climate()["npp"])).ok
    out = xbinn.simulate(made, xbinn.default_parameters(climate()))
    assert (out["status"] == 0).all()
    assert 1.0 < float(out["cSoil"].min()) < float(out["cSoil"].max()) < 200.0


def test_values_are_those_of_the_relations(made):
    # All NPP becomes litter; half of it grows on trees, of which 0.39 is wood.
    total = sum(made[n].sum("month") for n in INPUT_NAMES)
    np.testing.assert_allclose(total, 500.0)
    np.testing.assert_allclose(made["CWD_INPUT"].sum("month"), 500 * 0.39 * 0.5)
    np.testing.assert_allclose(made["LITR2_INPUT"], 2 * made["LITR1_INPUT"])
    air = climate()["air_temperature"]
    warm = {"lat": [10.0]}  # without frost
    mean = made["TSOI"].mean(("month", "depth")).sel(warm)
    np.testing.assert_allclose(mean, air.mean("month").sel(warm) + 273.15)
    swing = made["TSOI"].max("month") - made["TSOI"].min("month")
    assert (swing.diff("depth") <= 1e-9).all()
    assert (made["nbedrock"] == 20).all()
    assert float(made["W_SCALAR"].sel(lat=60).isel(month=0, depth=0).max()) == 0.0  # frozen


def test_lazy_in_any_chunks_months_and_places(made, raise_if_dask_computes):
    given = climate().isel(month=[*range(5, 12), *range(5)]).chunk(lat=1, lon=1)
    with raise_if_dask_computes():
        found = xbinn.forcing.from_climate(given, assume=BOTH)
    xr.testing.assert_allclose(found.compute(), made)
    points = climate().stack(cell=("lat", "lon")).reset_index("cell").reset_coords(drop=False)
    points = points.set_coords(["lat", "lon"])
    found = xbinn.forcing.from_climate(points, assume=BOTH)
    np.testing.assert_allclose(found["W_SCALAR"].values.ravel(), made["W_SCALAR"].values.ravel())
    y, x = np.array([5.0e6, 4.0e6]), np.array([4.0e6, 4.5e6])
    projected = climate((60.0, 45.0)).rename(lat="y", lon="x").assign_coords(y=y, x=x)
    found = xbinn.forcing.from_climate(projected.rio.write_crs("EPSG:3035"), assume=BOTH)
    assert found.rio.crs.to_epsg() == 3035
    assert found["W_SCALAR"].dims == ("month", "depth", "y", "x")


def test_chunks_along_months_and_values_out_of_range(made):
    given = climate().chunk(month=5, lat=2)
    xr.testing.assert_allclose(xbinn.forcing.from_climate(given, assume=BOTH).compute(), made)
    kelvin = (given["air_temperature"] + 273.15).assign_attrs(units="degC")
    match = r"air_temperature runs from 2\d\d.* degC, outside -90 to 70: set ds"
    with pytest.raises(InputError, match=match):
        xbinn.forcing.from_climate(given.assign(air_temperature=kelvin.compute()), assume=BOTH)
    # In whichever chunk they are computed.
    lazy = xbinn.forcing.from_climate(given.assign(air_temperature=kelvin), assume=BOTH)
    with pytest.raises(InputError, match=match):
        lazy["TSOI"].compute()


def test_months_are_those_of_the_bounds(made):
    """Stamped with the end of each month, as CTSM does."""
    edges = [cftime.DatetimeNoLeap(2001 + i // 12, 1 + i % 12, 1) for i in range(13)]
    given = climate().rename(month="time")
    given = given.assign_coords(time=("time", edges[1:], {"bounds": "time_bnds"}))
    given["time_bnds"] = ("time", "nb"), np.stack([edges[:-1], edges[1:]], axis=1)
    xr.testing.assert_allclose(xbinn.forcing.from_climate(given, assume=BOTH), made)


def test_gaps_stay_gaps(made):
    given = climate()
    given["sand"] = given["sand"].where(given["lat"] > 20)
    found = xbinn.forcing.from_climate(given, assume=BOTH)
    for name in ("TSOI", "W_SCALAR", "O_SCALAR", "ALTMAX", "ALTMAX_LASTYEAR"):
        assert found[name].sel(lat=10).isnull().all(), name
        xr.testing.assert_allclose(found[name].sel(lat=60), made[name].sel(lat=60))
    only = made.drop_vars("nbedrock")
    xr.testing.assert_equal(
        xbinn.forcing.from_climate(only, assume=("nbedrock",))["nbedrock"], made["nbedrock"]
    )


def test_units_and_names_are_understood(made):
    given = climate()
    seconds = 365 * 86400 / 12
    given["air_temperature"] = (given["air_temperature"] + 273.15).assign_attrs(units="K")
    given["precipitation"] = (given["precipitation"] / seconds).assign_attrs(units="kg m-2 s-1")
    monthly = given["npp"] / 12 * xr.ones_like(given["month"])
    given["npp"] = monthly.assign_attrs(units="gC m-2 month-1")
    given["sand"] = (given["sand"] / 100).assign_attrs(units="1")
    given = given.rename(air_temperature="tas", precipitation="pr", npp="NPP", sand="clm_sand")
    found = xbinn.forcing.from_climate(given, assume=BOTH)
    xr.testing.assert_allclose(found, made)
    in_mm = climate()
    in_mm["precipitation"].attrs["units"] = "mm"
    xr.testing.assert_allclose(xbinn.forcing.from_climate(in_mm, assume=BOTH), made)


def test_each_part_is_replaced_by_data(made):
    for name in ("TSOI", "ALTMAX", "nbedrock", "CWD_INPUT"):
        own = (made[name] * 0.9 if name != "nbedrock" else made[name] - 5).drop_attrs()
        own = own.assign_attrs(units=made[name].attrs["units"], forcing_source="mine")
        found = xbinn.forcing.from_climate(climate().assign({name: own}), assume=BOTH)
        np.testing.assert_array_equal(found[name], own)
        assert found[name].attrs["forcing_source"] == "mine"
    only_litter = xbinn.forcing.from_climate(
        made.drop_vars(INPUT_NAMES).merge(climate()[["npp", "tree_fraction"]])
    )
    np.testing.assert_allclose(only_litter["LITR1_INPUT"], made["LITR1_INPUT"])


def test_what_is_known_besides_is_used(made):
    more = climate().assign(
        bedrock_depth=(0.45 + 0 * climate()["npp"]).assign_attrs(units="m"),
        shrub_fraction=(0.5 + 0 * climate()["npp"]).assign_attrs(units="1"),
        soil_moisture=(0.2 + 0 * climate()["precipitation"]).assign_attrs(units="m3 m-3"),
    )
    found = xbinn.forcing.from_climate(more.drop_vars("precipitation"), assume=["FPI_vr"])
    assert (found["nbedrock"] == 6).all()  # nodes 0.01 to 0.40 m
    assert "bucket" not in found["W_SCALAR"].attrs["forcing_source"]
    warm = found["W_SCALAR"].sel(lat=10)
    assert float(warm.max() - warm.min()) < 1e-12
    np.testing.assert_allclose(found["CWD_INPUT"].sum("month"), 500 * 0.39 * 0.75)


def test_missing_inputs_are_named_with_what_needs_them(made):
    match = r"missing: precipitation \(for TSOI, W_SCALAR, O_SCALAR\); npp \(for CWD_INPUT, .*"
    with pytest.raises(
        InputError, match=match + r"bedrock_depth \(for nbedrock\); FPI_vr is neither"
    ):
        xbinn.forcing.from_climate(climate().drop_vars(["precipitation", "npp"]))
    with pytest.raises(InputError, match=r"missing: npp \(for .*; add .* that they are for$"):
        xbinn.forcing.from_climate(climate().drop_vars("npp"), assume=BOTH)
    with pytest.raises(InputError, match="assume='snow' is not known"):
        xbinn.forcing.from_climate(climate(), assume="snow")
    with pytest.raises(InputError, match=r"assume=\['TSOI'\] is not known"):
        xbinn.forcing.from_climate(climate(), assume=["TSOI"])
    deep = climate().assign(TSOI=made["TSOI"].rename(depth="levgrnd"))
    with pytest.raises(InputError, match=r"on other layers or months: TSOI \(month, levgrnd"):
        xbinn.forcing.from_climate(deep, assume=BOTH)


@pytest.mark.parametrize(
    ("change", "kind", "match"),
    [
        (lambda ds: ds.isel(month=slice(6)), InputError, "has no 12 months"),
        (lambda ds: ds.mean("month", keep_attrs=True), InputError, "has no dimension month"),
        (lambda ds: ds.drop_attrs(), UnitsError, "air_temperature has no units"),
        (
            lambda ds: ds.assign(npp=ds["npp"].assign_attrs(units="m")),
            UnitsError,
            "npp is given in 'm'",
        ),
        (
            lambda ds: ds.assign(tree_fraction=ds["tree_fraction"] * 90),
            InputError,
            "from 45 to 45 1, outside",
        ),
        (lambda ds: ds.drop_vars("lat"), CoordinateError, "no coordinate for latitude"),
    ],
)
def test_inputs_that_cannot_be_used(change, kind, match):
    with xr.set_options(keep_attrs=True), pytest.raises(kind, match=match):
        xbinn.forcing.from_climate(change(climate()), assume=BOTH)


def run_benchmark(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.climate", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_comparison_shows_how_near_the_idealised_forcing_is():
    """Another forcing by other relations: how near it is is shown, not promised."""
    figures = json.loads(run_benchmark("--smoke", "--json"))
    assert {"TSOI", "W_SCALAR", "W_SCALAR thawed", *INPUT_NAMES} <= figures.keys()
    assert all(set(f) == {"correlation", "bias", "rmse", "mean"} for f in figures.values())
    assert figures["O_SCALAR"]["correlation"] is None
    assert figures["TSOI"]["correlation"] > 0.97
    assert figures["ALTMAX"]["correlation"] > 0.95
    assert figures["W_SCALAR thawed"]["correlation"] > 0.5


def test_the_real_forcing_is_met_from_its_climate(real_grid):
    from benchmarks.climate import measure

    figures = measure(real_grid)
    assert figures["TSOI"]["correlation"] > 0.9
    assert abs(figures["TSOI"]["bias"]) < 2.0
    assert figures["LITR1_INPUT"]["correlation"] > 0.85
    assert figures["W_SCALAR thawed"]["correlation"] > 0.3
    # Its water is that of a reanalysis, and knows no ice: with the same water little is left.
    assert figures["W_SCALAR thawed, their water"]["correlation"] > 0.85
    assert figures["W_SCALAR of their water alone"]["correlation"] > 0.9
    assert abs(figures["W_SCALAR of their water alone"]["bias"]) < 0.01
    assert figures["W_SCALAR frozen"]["bias"] < -0.5


def test_the_relation_of_water_is_that_of_other_hands(real_points):
    """Where water and texture have not been interpolated on the way: W_SCALAR of other code."""
    from benchmarks.climate import relation_of, water_of

    points = real_points.load()
    ours = relation_of(water_of(points), points["clm_sand"], points["clm_clay"])
    theirs = points["W_SCALAR"].mean("month").transpose(*ours.dims)
    # The mean of the months is not the value of the mean.
    assert float(xr.corr(ours, theirs)) > 0.995
    assert abs(float((ours - theirs).mean())) < 0.01
