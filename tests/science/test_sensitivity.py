"""Elasticities against finite differences and Euler; responses; which process controls."""

import dask.array
import numpy as np
import pytest
import torch
import xarray as xr

import xbinn
from xbinn.constants import DIFFUSIVITY_FLOOR, N_LAYERS, NODE_DEPTH
from xbinn.errors import CoordinateError, InputError, ParameterError
from xbinn.parameters import PARAMETER_NAMES, PARAMETERS
from xbinn.physics import mixing
from xbinn.science.sensitivity import regress_responses
from xbinn.testing import small_grid, small_profiles
from xbinn.variables import CONTROLLED_PROCESSES, PROCESSES, Status

DEGENERATE = 8
"""Column type of the reference file with an e-folding depth of 1 mm, which is not compared."""
NAMES = {
    "TSOI": "soil_temp",
    "W_SCALAR": "w_scalar_input",
    "O_SCALAR": "o_scalar",
    "FPI_vr": "n_scalar",
    "ALTMAX": "altmax_current",
    "ALTMAX_LASTYEAR": "altmax_lastyear",
    "nbedrock": "nbedrock",
    "CWD_INPUT": "input_month_cwd",
    "LITR1_INPUT": "input_month_litter1",
    "LITR2_INPUT": "input_month_litter2",
    "LITR3_INPUT": "input_month_litter3",
}
UNITS = {"TSOI": "K", "ALTMAX": "m", "ALTMAX_LASTYEAR": "m"}
STENCIL = {-2: 1.0, -1: -8.0, 1: 8.0, 2: -1.0}
"""Of the fourth-order central difference, in twelfths."""
STEPS = dict.fromkeys(PARAMETER_NAMES, 1e-4) | dict.fromkeys(
    ("beta", "efolding", "w_scaling"), 1e-5
)
"""SOC bends most with ln beta and ln efolding; the cap of the water scalar has a kink."""
NEGLIGIBLE = 1e-12
"""Layers with less than this part of the profile's maximum are not compared."""


@pytest.fixture(scope="module", params=["closed", "published"])
def bedrock(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def columns(oracle, bedrock) -> tuple[xr.Dataset, xr.Dataset]:
    """Reference columns as a user would hold them, and their parameters."""
    chosen = oracle.isel(column=oracle.column_type.values != DEGENERATE)
    ds = xr.Dataset({n: chosen[theirs].drop_attrs() for n, theirs in NAMES.items()})
    ds = ds.rename(layer="depth").assign_coords(depth=list(NODE_DEPTH[:N_LAYERS]))
    for name, da in ds.data_vars.items():
        da.attrs["units"] = UNITS.get(name, "gC m-2 month-1" if "INPUT" in name else "1")
    if bedrock == "closed":
        ds["nbedrock"] = ds["nbedrock"].isel(month=0, drop=True)
    unit = {
        n: chosen["kp"].isel(param=i, drop=True).drop_attrs() for i, n in enumerate(PARAMETER_NAMES)
    }
    return ds, xbinn.from_unit_interval(xr.Dataset(unit), prior="proda")


@pytest.fixture(scope="module")
def found(columns, bedrock) -> xr.Dataset:
    return xbinn.elasticities(*columns, bedrock=bedrock, by_depth=True)


def difference(columns, bedrock, names, step, outputs) -> xr.Dataset:
    """d ln output / d ln factor, the factor on the parameters ``names``, by central differences."""
    ds, parameters = columns
    factor = xr.DataArray(np.exp([i * step for i in STENCIL]), dims="step")
    out = xbinn.simulate(ds, parameters.assign({n: parameters[n] * factor for n in names}),
                         bedrock=bedrock)  # fmt: skip
    weight = xr.DataArray(list(STENCIL.values()), dims="step") / (12.0 * step)
    # Layers that hold nothing have no logarithm.
    return (np.log(out[outputs].where(lambda o: o > 0.0)) * weight).sum("step", skipna=False)


def away_from_the_cap(columns) -> np.ndarray:
    ds, parameters = columns
    scaled = ds["W_SCALAR"] * parameters["w_scaling"]
    return (abs(scaled - 1.0) > 4.0 * STEPS["w_scaling"]).all(["month", "depth"]).values


def test_elasticities_are_those_of_finite_differences(columns, bedrock, found):
    smooth = away_from_the_cap(columns)
    assert smooth.sum() > 40
    soc = xbinn.simulate(*columns, bedrock=bedrock)["soc"]
    held = (soc > NEGLIGIBLE * soc.max("depth")).isel(column=smooth)
    for name, step in STEPS.items():
        expected = difference(columns, bedrock, [name], step, ["cSoil", "soc"])
        # atol: rounding of ln cSoil over a step; 1e-14 / 1e-5
        for output, variable in (("elasticity", "cSoil"), ("soc_elasticity", "soc")):
            ours = found[output].sel(parameter=name, drop=True).isel(column=smooth)
            theirs = expected[variable].isel(column=smooth).transpose(*ours.dims)
            if variable == "soc":
                ours, theirs = ours.where(held, 0.0), theirs.where(held, 0.0)
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8, err_msg=name)


def test_responses_are_those_of_finite_differences(columns, bedrock, found):
    smooth = away_from_the_cap(columns)
    for process in CONTROLLED_PROCESSES:
        group = found["parameter"].values[found["process_group"] == symbol(process)]
        change = difference(columns, bedrock, group, 1e-5, ["cSoil", process])
        ours = found["process_response"].sel(process=process, drop=True)
        # Where effects cancel in the process, differences lose digits too.
        sound = smooth & (abs(change[process]).values > 1e-3)
        assert sound.sum() > 20
        expected = (change["cSoil"] / change[process]).values
        np.testing.assert_allclose(
            ours.values[sound], expected[sound], rtol=1e-5, atol=1e-8, err_msg=process
        )


def symbol(process: str) -> str:
    return {v.name: v.symbol for v in PROCESSES}[process]


def euler(elasticity: xr.DataArray) -> xr.DataArray:
    """Turnover times minus diffusivities: 1, as rates and conductances together give -1."""
    sign = elasticity["process_group"].copy(
        data=[{"K": 1.0, "V": -1.0}.get(p.group, 0.0) for p in PARAMETERS]
    )
    return (elasticity * sign).sum("parameter", skipna=False)


def test_euler(columns, bedrock, found, monkeypatch):
    """Pools are homogeneous of degree -1 in all rates and conductances together."""
    assert bool(found["elasticity"].notnull().all())
    total = euler(found["elasticity"])
    if bedrock == "closed":
        np.testing.assert_allclose(total, 1.0, rtol=0, atol=1e-10)
        by_layer = euler(found["soc_elasticity"])
        assert int(by_layer.notnull().sum()) > 10 * found.sizes["column"]
        np.testing.assert_allclose(by_layer.fillna(1.0), 1.0, rtol=0, atol=1e-10)
        return
    # Part of the published conductances is a floor, which rules in frozen columns.
    stocks = []
    for change in (-1e-4, 1e-4):
        monkeypatch.setattr(mixing, "DIFFUSIVITY_FLOOR", np.exp(change) * DIFFUSIVITY_FLOOR)
        stocks.append(np.log(xbinn.simulate(*columns, bedrock=bedrock)["cSoil"]))
    by_floor = (stocks[1] - stocks[0]) / 2e-4
    assert float(abs(by_floor).max()) > 0.1
    np.testing.assert_allclose(total - by_floor, 1.0, rtol=0, atol=1e-6)


def test_stock_is_the_weighted_mean_of_the_layers(columns, bedrock, found):
    out = xbinn.simulate(*columns, bedrock=bedrock)
    held = out["soc"] * np.diff(out["depth_bnds"], axis=1)[:, 0][:, None]
    mean = (found["soc_elasticity"] * held).sum("depth") / held.sum("depth")
    np.testing.assert_allclose(found["elasticity"], mean, rtol=1e-9, atol=1e-12)


def test_small_steps_of_the_regression_give_the_response(columns, bedrock, found):
    steps = (-2e-5, -1e-5, 1e-5, 2e-5)
    regressed = regress_responses(*columns, bedrock=bedrock, steps=steps)
    assert set(regressed.data_vars) == {"process_response", "status"}
    sound = away_from_the_cap(columns)
    ours, theirs = (d["process_response"].isel(column=sound) for d in (found, regressed))
    np.testing.assert_array_equal(ours.isnull(), theirs.isnull())
    # A symmetric fit errs by the square of the step; beta bends most.
    moderate = abs(ours) < 100.0
    np.testing.assert_allclose(
        theirs.where(moderate, 0.0), ours.where(moderate, 0.0), rtol=1e-4, atol=1e-7
    )


def test_steps_to_impossible_values_are_left_out():
    grid = small_grid().isel(lat=1, lon=1)
    parameters = xbinn.default_parameters(grid).assign(beta=xr.DataArray(0.95))
    # 0.95 x 1.1 is no beta: the other steps decide.
    all_steps = regress_responses(grid, parameters, steps=(-0.1, 0.0, 0.1))
    possible = regress_responses(grid, parameters, steps=(-0.1, 0.0))
    allocation = {"process": "input_allocation"}
    xr.testing.assert_equal(
        all_steps["process_response"].sel(allocation), possible["process_response"].sel(allocation)
    )
    none = regress_responses(grid, parameters, steps=(0.1, 0.2))["process_response"]
    assert np.isnan(none.sel(allocation))
    assert np.isfinite(none.sel(process="baseline_decomposition"))


@pytest.mark.parametrize("steps", [(0.1,), (0.1, 0.1), (-1.0, 0.1), (np.nan, 0.1), 0.1, "few"])
def test_steps_that_cannot_be_regressed_on_are_refused(steps):
    grid = small_grid()
    with pytest.raises(InputError, match="two or more different relative changes above -1"):
        regress_responses(grid, xbinn.default_parameters(grid), steps=steps)


# --- labels -----------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [{}, {"crs": "EPSG:3035"}, {"points": True}])
def test_any_spatial_dimensions(space):
    grid = small_grid(**space)
    out = grid.binn.elasticities(xbinn.default_parameters(grid), by_depth=True)
    dims = grid["elevation"].dims
    assert out["elasticity"].dims == ("parameter", *dims)
    assert out["soc_elasticity"].dims == ("parameter", "depth", *dims)
    assert out["process_response"].dims == ("process", *dims)
    assert out["controlling_process"].dims == out["status"].dims == dims
    land = grid["TSOI"].notnull().all(["month", "depth"])
    np.testing.assert_array_equal(out["status"] == Status.VALID, land)
    np.testing.assert_array_equal(out["elasticity"].notnull().all("parameter"), land)
    for name in set(grid.coords) - {"month", "depth"}:
        np.testing.assert_array_equal(out[name], grid[name])


def test_outputs_and_their_attributes():
    grid = small_grid()
    parameters = xbinn.default_parameters(grid)
    out = xbinn.elasticities(grid, parameters)
    assert set(out.data_vars) == {
        "elasticity", "process_response", "controlling_process", "status",
    }  # fmt: skip
    assert "depth" not in out.coords
    assert list(out.parameter.values) == list(PARAMETER_NAMES)
    assert list(out.process_group.values) == [p.group for p in PARAMETERS]
    assert list(out.process.values) == list(CONTROLLED_PROCESSES)
    for name in ("elasticity", "process_response", "controlling_process"):
        assert out[name].attrs["units"] == "1"
        assert out[name].attrs["long_name"]
        assert out[name].attrs["ancillary_variables"] == "status"
    only = xbinn.elasticities(grid, parameters, responses=False)
    assert set(only.data_vars) == {"elasticity", "status"}
    assert "process" not in only.coords
    xr.testing.assert_equal(only["elasticity"], out["elasticity"])


def test_backward_passes(monkeypatch):
    """One for all parameters, one a process, one a layer."""
    passes = []
    backward = torch.autograd.grad
    monkeypatch.setattr(
        torch.autograd, "grad", lambda *args, **kw: passes.append(1) or backward(*args, **kw)
    )
    grid = small_grid()
    parameters = xbinn.default_parameters(grid)
    for settings, expected in (
        ({"responses": False}, 1),
        ({}, 1 + len(CONTROLLED_PROCESSES)),
        ({"responses": False, "by_depth": True}, 1 + N_LAYERS),
    ):
        passes.clear()
        xbinn.elasticities(grid, parameters, **settings)
        assert len(passes) == expected


def test_controlling_process_is_the_largest_response():
    grid = small_grid()
    out = xbinn.elasticities(grid, xbinn.default_parameters(grid))
    control = out["controlling_process"]
    assert control.dtype == np.int8
    assert control.attrs["flag_meanings"].split() == ["none", *CONTROLLED_PROCESSES]
    assert list(control.attrs["flag_values"]) == list(range(len(CONTROLLED_PROCESSES) + 1))
    valid = out["status"] == Status.VALID
    assert bool((control.where(~valid, 0) == 0).all())
    assert bool((control.where(valid, 1) > 0).all())
    number = control.where(valid, 1).astype(int) - 1
    chosen = abs(out["process_response"]).isel(process=number)
    others = abs(out["process_response"].drop_sel(process="environmental_modifier")).max("process")
    assert bool((chosen >= others).where(valid, True).all())


def test_lazy_and_equal_whatever_the_chunks(raise_if_dask_computes):
    grid = small_grid()
    parameters = xbinn.default_parameters(grid)
    chunked = grid.chunk(lat=3, lon=2)
    for function in (xbinn.elasticities, regress_responses):
        with raise_if_dask_computes():
            lazy = function(chunked, parameters)
        assert all(isinstance(v.data, dask.array.Array) for v in lazy.data_vars.values())
        xr.testing.assert_equal(lazy.compute(scheduler="synchronous"), function(grid, parameters))


def test_parameters_may_come_from_predict():
    grid = small_grid()
    model = grid.binn.fit(small_profiles(grid), epochs=1, seed=0, hidden=(4,))
    predicted = grid.binn.predict(model)
    out = grid.binn.elasticities(predicted)
    np.testing.assert_array_equal(
        out["elasticity"].notnull().all("parameter"), predicted["q10"].notnull()
    )
    np.testing.assert_allclose(
        euler(out["elasticity"]).where(predicted["q10"].notnull(), 1.0), 1.0, atol=1e-10
    )


def test_without_input_there_is_nothing_to_depend_on():
    grid = small_grid().isel(lat=1, lon=[1, 2])
    for name in (n for n in grid.data_vars if n.endswith("_INPUT")):
        grid[name] = grid[name].where(grid.lon == grid.lon[1], 0.0)
    out = xbinn.elasticities(grid, xbinn.default_parameters(grid), by_depth=True)
    assert list(out["status"].values) == [Status.VALID, Status.VALID]
    assert list(out["controlling_process"].values > 0) == [False, True]
    for name in ("elasticity", "soc_elasticity", "process_response"):
        assert bool(out[name].isel(lon=0).isnull().all()), name
    assert bool(out["elasticity"].isel(lon=1).notnull().all())


def test_a_cell_without_steady_state_does_not_spoil_its_neighbours():
    grid = small_grid().isel(lat=1, lon=[1, 2])
    grid["W_SCALAR"] = grid["W_SCALAR"].where(grid.lon == grid.lon[1], 0.0)
    parameters = xbinn.default_parameters(grid)
    out = xbinn.elasticities(grid, parameters)
    assert list(out["status"].values) == [Status.NO_STEADY_STATE, Status.VALID]
    assert bool(out["elasticity"].isel(lon=0).isnull().all())
    alone = xbinn.elasticities(grid.isel(lon=[1]), parameters.isel(lon=[1]))
    xr.testing.assert_equal(out.isel(lon=[1]), alone)


def test_absent_parameters_and_other_coordinates_are_refused():
    grid = small_grid()
    parameters = xbinn.default_parameters(grid)
    for function in (xbinn.elasticities, regress_responses):
        with pytest.raises(ParameterError, match="beta"):
            function(grid, parameters.drop_vars("beta"))
        with pytest.raises(ParameterError, match="q10 = 0"):
            function(grid, parameters.assign(q10=xr.DataArray(0.0)))
        with pytest.raises(CoordinateError, match="do not lie on the same coordinates"):
            function(grid, parameters.assign_coords(lat=parameters.lat + 1e-3))
        with pytest.raises(InputError, match="bedrock='open' is not known"):
            function(grid, parameters, bedrock="open")


# --- real data --------------------------------------------------------------------------------


def test_every_cell_of_the_real_grid_satisfies_euler(real_grid, bedrock):
    out = xbinn.elasticities(real_grid, xbinn.default_parameters(real_grid), bedrock=bedrock)
    total = euler(out["elasticity"])
    valid = out["status"] == Status.VALID
    assert int(valid.sum()) > 4000
    np.testing.assert_array_equal(total.notnull(), valid)
    np.testing.assert_allclose(total.where(valid, 1.0), 1.0, rtol=0, atol=1e-10)
    assert bool((out["controlling_process"] > 0).where(valid, True).all())
