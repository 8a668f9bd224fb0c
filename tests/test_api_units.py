"""Units at the door: attributes or pint quantities, every bad one named at once."""

import numpy as np
import pint
import pint_xarray  # noqa: F401
import pytest
import xarray as xr

import xbinn
from xbinn.errors import UnitsError
from xbinn.labels.units import registry
from xbinn.testing import small_grid, small_profiles

QUICK = {"epochs": 2, "seed": 0}


@pytest.fixture(scope="module")
def _grid() -> xr.Dataset:
    return small_grid()


@pytest.fixture
def grid(_grid) -> xr.Dataset:
    return _grid.copy(deep=True)


@pytest.fixture(scope="module")
def profiles(_grid) -> xr.Dataset:
    return small_profiles(_grid)


@pytest.fixture(scope="module")
def model(_grid, profiles) -> xbinn.Model:
    return xbinn.fit(_grid, profiles, **QUICK)


def quantified(ds: xr.Dataset, units: dict[str, str]) -> xr.Dataset:
    """Quantities in units that pint reads, of the variables that have one here."""
    data = {}
    for name, unit in units.items():
        da = ds[name].drop_attrs()
        data[name] = da.copy(data=registry().Quantity(da.data, unit))
    return ds.assign(data)


def test_quantities_are_the_same_as_attributes(grid, profiles, model):
    units = {
        "TSOI": "kelvin",
        "ALTMAX": "meter",
        "elevation": "meter",
        "CWD_INPUT": "gram / meter ** 2 / month",
        "W_SCALAR": "dimensionless",
    }
    ds = quantified(grid, units)
    samples = quantified(
        profiles, {"soc": "kilogram / meter ** 3", "depth_top": "meter", "depth_bottom": "meter"}
    )
    fitted = xbinn.fit(ds, samples, **QUICK)
    assert fitted.training_data == model.training_data
    out = xbinn.predict(ds, fitted)
    xr.testing.assert_equal(out, xbinn.predict(grid, model))
    assert all(isinstance(da.data, np.ndarray) for da in out.variables.values())
    xr.testing.assert_equal(xbinn.score(ds, fitted, samples), xbinn.score(grid, model, profiles))
    parameters = xbinn.default_parameters(grid)
    xr.testing.assert_equal(
        xbinn.simulate(ds, quantified(parameters, {"tau4s1": "year"})),
        xbinn.simulate(grid, parameters),
    )


def test_quantities_on_dask_stay_lazy(grid, model, raise_if_dask_computes):
    ds = quantified(grid.chunk(lat=2), {"TSOI": "kelvin", "elevation": "meter"})
    with raise_if_dask_computes():
        out = xbinn.predict(ds, model)
    xr.testing.assert_allclose(out.compute(), xbinn.predict(grid, model), rtol=1e-4)


def test_other_units_give_the_same(grid, profiles, model):
    def scaled(name: str, factor: float, units: str, offset: float = 0.0) -> None:
        da = grid[name].astype(np.float64)
        grid[name] = (da * factor + offset).assign_attrs(units=units)

    scaled("TSOI", 1.0, "degC", -273.15)
    scaled("W_SCALAR", 100.0, "percent")
    scaled("ALTMAX", 100.0, "cm")
    for name in xbinn.variables.INPUT_NAMES:
        scaled(name, 12e-3 / (365 * 86400), "kg m-2 s-1")
    out = xbinn.predict(grid, model)
    expected = xbinn.predict(small_grid(), model)
    xr.testing.assert_allclose(out.drop_attrs(), expected.drop_attrs(), rtol=1e-4)
    samples = profiles.assign(
        soc=(profiles["soc"] / 1e3).assign_attrs(units="g cm-3"),
        depth_top=(profiles["depth_top"] * 100).assign_attrs(units="cm"),
    )
    skill = xbinn.score(grid, model, samples)
    np.testing.assert_allclose(skill.r2, xbinn.score(small_grid(), model, profiles).r2, rtol=1e-4)


def test_bad_forcing_units_are_named_all_at_once(grid, profiles, model):
    grid["TSOI"].attrs["units"] = "m"
    grid["ALTMAX"].attrs["units"] = "furlongs per what"
    del grid["CWD_INPUT"].attrs["units"]
    match = r"(?s)3 variables.*TSOI is given in 'm'.*ALTMAX: cannot understand.*CWD_INPUT has no"
    for call in (
        lambda: xbinn.fit(grid, profiles, **QUICK),
        lambda: xbinn.predict(grid.chunk(lat=2), model),
        lambda: xbinn.simulate(grid, xbinn.default_parameters(grid)),
        lambda: xbinn.score(grid, model, profiles),
    ):
        with pytest.raises(UnitsError, match=match):
            call()


def test_bad_units_of_profiles_covariates_parameters(grid, profiles, model):
    bad = profiles.assign(
        soc=profiles["soc"].assign_attrs(units="kg m-2"),
        depth_top=profiles["depth_top"].drop_attrs(),
    )
    with pytest.raises(UnitsError, match=r"(?s)2 variables.*soc is given.*depth_top has no units"):
        xbinn.fit(grid, bad, **QUICK)
    parameters = xbinn.default_parameters(grid)
    parameters["diffus"].attrs["units"] = "m"
    parameters["tau4s1"].attrs["units"] = "blocks"
    with pytest.raises(UnitsError, match=r"(?s)2 variables.*diffus is given.*tau4s1: cannot"):
        xbinn.simulate(grid, parameters)
    grid["elevation"].attrs["units"] = "K"
    grid["sand"].attrs["units"] = "kg"
    with pytest.raises(UnitsError, match=r"(?s)2 variables.*elevation is given.*sand is given"):
        xbinn.predict(grid, model)


def test_degrees_without_their_unit_are_recognised(grid, profiles):
    grid["TSOI"] = (grid["TSOI"] - 273.15).assign_attrs(units="K")
    with pytest.raises(ValueError, match="looks like degC"):
        xbinn.fit(grid, profiles, **QUICK)


@pytest.mark.parametrize("chunks", [None, {"lat": 2}])
def test_results_as_quantities(grid, model, chunks, raise_if_dask_computes):
    given = grid if chunks is None else grid.chunk(chunks)
    parameters = xbinn.default_parameters(grid)
    with raise_if_dask_computes(max_computes=0 if chunks else 99):
        out = xbinn.predict(given, model, quantified=True)
        sim = given.binn.simulate(parameters, quantified=True)
    plain = xbinn.predict(grid, model)
    assert isinstance(out["cSoil"].data, pint.Quantity)
    in_tonnes = out["cSoil"].pint.to("t/ha").pint.dequantify()
    np.testing.assert_allclose(in_tonnes, plain["cSoil"] * 10.0, rtol=1e-6)
    # A year has 365 days, as in CLM.
    daily = out["diffus"].pint.to("m**2/day").pint.dequantify()
    np.testing.assert_allclose(daily, plain["diffus"] / 365.0, rtol=1e-6)
    assert not isinstance(out["status"].data, pint.Quantity)
    assert out["lat"].attrs == plain["lat"].attrs
    assert str(sim["residence_time"].pint.units) == "year"
    back = out.pint.dequantify()
    np.testing.assert_allclose(back["soc"].values, plain["soc"].values)
    assert "units" not in out["soc"].attrs


def test_stored_results_as_quantities(grid, model, tmp_path):
    out = xbinn.predict(grid, model, to=tmp_path / "out.zarr", outputs=["soc"], quantified=True)
    assert isinstance(out["cSoil"].data, pint.Quantity)
    assert (
        xr.open_zarr(tmp_path / "out.zarr", consolidated=False)["cSoil"].attrs["units"] == "kg m-2"
    )
