"""`xbinn.simulate`, `default_parameters` and `stock`: labels around the physics."""

import dask.array
import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.constants import COLUMN_DEPTH, LAYER_THICKNESS, N_LAYERS, NODE_DEPTH, POOLS
from xbinn.errors import CoordinateError, InputError, ParameterError, UnitsError
from xbinn.parameters import PARAMETER_NAMES
from xbinn.testing import small_grid
from xbinn.variables import CARBON_NAMES, FORCING_NAMES, PROCESS_NAMES, Status

SPACES = {
    "lat_lon": {},
    "projected": {"crs": "EPSG:3035"},
    "points": {"points": True},
}
LAND = {"lat": 1, "lon": 1}


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid()


@pytest.fixture(scope="module")
def simulated(grid) -> xr.Dataset:
    return xbinn.simulate(grid, xbinn.default_parameters(grid), pools=True)


def close(actual: xr.Dataset, expected: xr.Dataset, rtol: float = 1e-12) -> None:
    xr.testing.assert_allclose(actual.drop_attrs(), expected.drop_attrs(), rtol=rtol, atol=0.0)


# --- spaces -----------------------------------------------------------------------------------


@pytest.mark.parametrize("space", SPACES)
def test_any_spatial_dimensions(space):
    grid = small_grid(**SPACES[space])
    out = xbinn.simulate(grid, xbinn.default_parameters(grid), pools=True)
    dims = grid["elevation"].dims
    assert out["cSoil"].dims == dims
    assert out["soc"].dims == ("depth", *dims)
    assert out["carbon_pools"].dims == ("pool", "depth", *dims)
    assert out["respiration"].dims == ("pool", *dims)
    assert out["carbon_closure"].dims == out["status"].dims == dims
    assert set(out.data_vars) == {
        *PROCESS_NAMES, *CARBON_NAMES, "carbon_pools", "respiration", "carbon_closure", "status",
    }  # fmt: skip
    land = grid["TSOI"].notnull().all(["month", "depth"])
    np.testing.assert_array_equal(out["status"] == Status.VALID, land)
    np.testing.assert_array_equal(out["status"] == Status.NO_FORCING, ~land)
    np.testing.assert_array_equal(out["cSoil"].notnull(), land)
    for name in ("lat", "lon", "y", "x"):
        if name in grid.coords:
            xr.testing.assert_equal(
                out[name].drop_vars(out[name].coords), grid[name].drop_vars(grid[name].coords)
            )
    assert list(out.pool.values) == list(POOLS)


def test_one_column(grid, simulated):
    column = grid.isel(LAND)
    out = xbinn.simulate(column, xbinn.default_parameters(column), pools=True)
    assert out["cSoil"].dims == ()
    assert out["soc"].dims == ("depth",)
    close(out, simulated.isel(LAND, drop=True))


def test_parameters_of_one_place_serve_a_whole_grid(grid):
    here = xbinn.default_parameters(grid).isel(LAND)
    out = xbinn.simulate(grid, here)
    assert out["cSoil"].dims == ("lat", "lon")
    xr.testing.assert_equal(out.lat, grid.lat)


def test_parameters_on_a_grid_over_one_column(grid):
    column = grid.isel(LAND)
    parameters = xbinn.default_parameters(grid)
    out = xbinn.simulate(column, parameters)
    assert out["cSoil"].dims == ("lat", "lon")
    xr.testing.assert_equal(out.lat, grid.lat)


@pytest.mark.parametrize("place", [{}, LAND], ids=["grid", "column"])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_extra_dimension_of_the_parameters(grid, place, chunked):
    grid = grid.isel(place)
    values = xr.DataArray([1.5, 2.5], dims="draw", coords={"draw": [10, 20]})
    parameters = xbinn.default_parameters(grid).assign(q10=values)
    if chunked:
        parameters = parameters.chunk(draw=1)
    out = xbinn.simulate(grid, parameters)
    assert out["cSoil"].dims == (*grid["elevation"].dims, "draw")
    assert list(out.draw.values) == [10, 20]
    assert bool(out.chunks) == chunked
    for i in range(2):
        one = xbinn.simulate(grid, parameters.isel(draw=i, drop=True).compute())
        close(out.isel(draw=i, drop=True).compute(), one)


def test_scalar_parameters_serve_every_cell(grid):
    parameters = xbinn.default_parameters(xr.Dataset())
    assert all(da.ndim == 0 for da in parameters.data_vars.values())
    out = xbinn.simulate(grid, parameters)
    full = parameters.broadcast_like(grid["elevation"])
    close(xbinn.simulate(grid, full), out)


def test_aliases_dimensions_and_order_do_not_matter(grid, simulated):
    turned = grid.transpose("lon", "depth", "lat", "month").rename(depth="levsoi")
    turned = turned[list(reversed(list(turned.data_vars)))]
    parameters = xbinn.default_parameters(grid)
    out = xbinn.simulate(turned, parameters[list(reversed(list(parameters.data_vars)))], pools=True)
    for name, expected in simulated.data_vars.items():
        same = out[name].transpose(*expected.dims)
        np.testing.assert_allclose(same, expected, rtol=1e-12, err_msg=name)


# --- lazy, dtypes -----------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["ds", "parameters", "one variable"])
def test_lazy_where_anything_is_lazy(grid, simulated, raise_if_dask_computes, which):
    parameters = xbinn.default_parameters(grid)
    if which == "ds":
        grid = grid.chunk(lat=3, lon=2)
    elif which == "parameters":
        parameters = parameters.broadcast_like(grid["elevation"]).chunk(lat=1)
    else:
        grid = grid.assign(TSOI=grid["TSOI"].chunk(month=5, depth=7, lon=2))
    with raise_if_dask_computes():
        out = xbinn.simulate(grid, parameters, pools=True)
    assert all(isinstance(da.data, dask.array.Array) for da in out.data_vars.values())
    close(out.compute(scheduler="synchronous"), simulated)


def test_default_parameters_are_lazy_where_sand_is(grid, raise_if_dask_computes):
    with raise_if_dask_computes():
        lazy = xbinn.default_parameters(grid.chunk(lat=2))
    assert lazy["fs1s2"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), xbinn.default_parameters(grid))
    assert tuple(lazy.data_vars) == PARAMETER_NAMES


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_that_of_the_result(grid, simulated, dtype):
    out = xbinn.simulate(grid, xbinn.default_parameters(grid), dtype=dtype, pools=True)
    kinds = {da.dtype for name, da in out.data_vars.items() if name != "status"}
    assert kinds == {np.dtype(dtype)}
    assert out["status"].dtype == np.int8
    # float32 rounds the forcing and every operation; physics has its own, sharper, test
    close(
        out[["soc", "cSoil", "cSoilAbove1m"]],
        simulated[["soc", "cSoil", "cSoilAbove1m"]],
        rtol=1e-4 if dtype == "float32" else 1e-12,
    )


# --- carbon -----------------------------------------------------------------------------------


def test_carbon_closes(simulated):
    valid = simulated.where(simulated.status == 0)
    assert float(abs(valid["carbon_closure"]).max()) < 1e-12
    respired = valid["respiration"].sum("pool", min_count=1)
    xr.testing.assert_allclose(respired, valid["carbon_input"], rtol=1e-12)


def test_nothing_below_bedrock(grid, simulated):
    layer = xr.DataArray(np.arange(1, N_LAYERS + 1), dims="depth")
    soil = (layer <= grid["nbedrock"]).transpose("depth", ...)
    valid = simulated.status == 0
    np.testing.assert_array_equal(simulated["soc"].notnull(), (soil & valid).values)
    assert not bool(soil.all())
    pools = simulated["carbon_pools"]
    np.testing.assert_array_equal(pools.isel(pool=0).notnull(), (soil & valid).values)
    assert bool((pools.fillna(0.0) >= 0.0).all())
    soil_pools = pools.sel(pool=["S1", "S2", "S3"]).sum("pool", skipna=False)
    xr.testing.assert_allclose(soil_pools.drop_attrs(), simulated["soc"].drop_attrs(), rtol=1e-14)


def test_published_bedrock_agrees_with_the_reference_columns(oracle):
    columns = oracle.isel(column=oracle.column_type.values != 8)
    names = {
        "TSOI": ("soil_temp", "K"),
        "W_SCALAR": ("w_scalar_input", "1"),
        "O_SCALAR": ("o_scalar", "1"),
        "FPI_vr": ("n_scalar", "1"),
        "ALTMAX": ("altmax_current", "m"),
        "ALTMAX_LASTYEAR": ("altmax_lastyear", "m"),
        "nbedrock": ("nbedrock", "1"),
        "CWD_INPUT": ("input_month_cwd", "gC m-2 month-1"),
        "LITR1_INPUT": ("input_month_litter1", "gC m-2 month-1"),
        "LITR2_INPUT": ("input_month_litter2", "gC m-2 month-1"),
        "LITR3_INPUT": ("input_month_litter3", "gC m-2 month-1"),
    }
    assert set(names) == set(FORCING_NAMES)
    ds = xr.Dataset(
        {
            new: columns[old].reset_coords(drop=True).assign_attrs(units=units)
            for new, (old, units) in names.items()
        }
    )
    unit = columns["kp"].transpose("param", "column").values
    u = xr.Dataset({n: ("column", row) for n, row in zip(PARAMETER_NAMES, unit, strict=True)})
    parameters = xbinn.from_unit_interval(u, prior="proda")
    out = xbinn.simulate(ds.drop_vars(ds.coords), parameters, bedrock="published", pools=True)
    assert int(out.status.max()) == 0
    exact = columns.transpose("pool", "layer", ..., "column")
    # Pools far below the largest of their profile carry its rounding error.
    for ours, theirs in (("carbon_pools", "cpools_exact"), ("soc", "soc_layer_exact")):
        expected = exact[theirs].values * 1e-3
        scale = np.abs(expected).max(axis=tuple(range(expected.ndim - 1)))
        error = np.abs(out[ours].values - expected) / scale
        assert error.max() < 1e-12
    np.testing.assert_allclose(out.cSoil, exact["soc_stock_exact"] * 1e-3, rtol=1e-12)
    np.testing.assert_allclose(out.carbon_input, exact["carbon_input"] * 1e-3, rtol=1e-12)
    np.testing.assert_allclose(
        out.respiration.sum("pool"), exact["respiration_exact"] * 1e-3, rtol=1e-12
    )
    for ours, theirs in (
        ("carbon_transfer_efficiency", "bulk_A_exact"),
        ("baseline_decomposition", "bulk_K_exact"),
        ("vertical_transport", "bulk_V_exact"),
        ("environmental_modifier", "bulk_Xi_exact"),
    ):
        np.testing.assert_allclose(out[ours], exact[theirs], rtol=1e-12)


def test_real_data(real_grid):
    box = real_grid.isel(lat=slice(40, 50), lon=slice(40, 52))
    out = xbinn.simulate(box, xbinn.default_parameters(box), pools=True)
    assert set(np.unique(out.status)) <= {0, 1}
    assert bool((out.status == 0).any())
    assert float(abs(out.carbon_closure).max()) < 1e-12


# --- status -----------------------------------------------------------------------------------


@pytest.fixture
def column(grid) -> xr.Dataset:
    """Three copies of a land column, float64."""
    one = grid.isel(LAND, drop=True)
    many = one.expand_dims(cell=3).transpose(..., "cell").astype(np.float64, keep_attrs=True)
    return many.copy(deep=True)


def status_of_second(ds: xr.Dataset, parameters: xr.Dataset | None = None) -> int:
    """Status of the second of three columns; its neighbours must not notice."""
    given = xbinn.default_parameters(xr.Dataset()) if parameters is None else parameters
    out = xbinn.simulate(ds, given, pools=True)
    assert list(out.status.values[[0, 2]]) == [0, 0]
    own = xbinn.simulate(ds.isel(cell=[0, 2]), given.isel(cell=[0, 2], missing_dims="ignore"))
    for name in ("soc", "cSoil"):
        np.testing.assert_array_equal(out[name].values[..., [0, 2]], own[name].values)
    status = int(out.status[1])
    if status:
        for name, da in out.drop_vars("status").data_vars.items():
            assert bool(da.isel(cell=1).isnull().all()), name
    return status


def test_status_no_forcing(column):
    column["FPI_vr"][3, 5, 1] = np.nan
    assert status_of_second(column) == Status.NO_FORCING


def test_status_covariate_missing_for_a_parameter_that_is_missing(column):
    parameters = xbinn.default_parameters(xr.Dataset())
    parameters["q10"] = ("cell", [1.5, np.nan, 1.5])
    assert status_of_second(column, parameters) == Status.COVARIATE_MISSING


def test_status_no_steady_state(column):
    column["W_SCALAR"][:, :, 1] = 0.0
    assert status_of_second(column) == Status.NO_STEADY_STATE


def test_status_nonfinite(column):
    column["LITR2_INPUT"][:, 1] = 1.7e308
    assert status_of_second(column) == Status.NONFINITE


def test_no_input_is_no_carbon_not_a_failure(column):
    for name in FORCING_NAMES[-4:]:
        column[name][:, 1] = 0.0
    out = xbinn.simulate(column, xbinn.default_parameters(xr.Dataset()))
    assert list(out.status.values) == [0, 0, 0]
    assert float(out.cSoil[1]) == 0.0
    assert float(out.carbon_input[1]) == 0.0
    assert np.isnan(out.residence_time[1])


def test_frozen_all_year(column):
    column["ALTMAX"][:, 1] = 0.0
    column["ALTMAX_LASTYEAR"][:, 1] = 0.0
    column["TSOI"][:, :, 1] = 250.0
    out = xbinn.simulate(column, xbinn.default_parameters(xr.Dataset()))
    assert int(out.status[1]) in (Status.VALID, Status.NO_STEADY_STATE)
    assert list(out.status.values[[0, 2]]) == [0, 0]


def test_flags_are_described(simulated):
    attrs = simulated.status.attrs
    assert list(attrs["flag_values"]) == [0, 1, 2, 3, 4]
    assert attrs["flag_meanings"] == (
        "valid no_forcing covariate_missing no_steady_state nonfinite"
    )


# --- refusals ---------------------------------------------------------------------------------


def test_impossible_parameters_are_refused_by_name(grid):
    parameters = xbinn.default_parameters(grid).assign(
        tau4s1=xr.DataArray(-1.0), q10=xr.DataArray(0.0)
    )
    with pytest.raises(ParameterError, match=r"(?s)q10 = 0.*tau4s1 = -1"):
        xbinn.simulate(grid, parameters)
    parameters = xbinn.default_parameters(grid).assign(
        fs1s2=xr.DataArray(0.7), fs1s3=xr.DataArray(0.6)
    )
    with pytest.raises(ParameterError, match=r"fs1s2 \+ fs1s3 = 1.3 \(allowed at most 1\)"):
        xbinn.simulate(grid, parameters)


def test_impossible_chunked_parameters_are_refused_when_computed(grid):
    bad = xr.full_like(grid["elevation"], -1.0).chunk(lat=2).assign_attrs(units="yr")
    out = xbinn.simulate(grid, xbinn.default_parameters(grid).assign(tau4s1=bad))
    with pytest.raises(ParameterError, match="tau4s1 = -1"):
        out.compute(scheduler="synchronous")


def test_values_outside_a_prior_are_accepted(grid):
    parameters = xbinn.default_parameters(grid).assign(q10=xr.DataArray(8.0))
    with pytest.raises(ParameterError, match="outside prior"):
        xbinn.to_unit_interval(parameters, prior="binn")
    assert int((xbinn.simulate(grid, parameters).status == 0).sum()) > 5


def test_missing_parameters_are_named_all_at_once(grid):
    parameters = xbinn.default_parameters(grid).drop_vars(["q10", "beta"])
    with pytest.raises(ParameterError, match="parameters missing: q10, beta"):
        xbinn.simulate(grid, parameters)


@pytest.mark.parametrize("dim", ["month", "depth"])
def test_parameters_that_vary_within_a_column_are_refused(grid, dim):
    q10 = xr.DataArray(np.full(grid.sizes[dim], 1.5), dims=dim)
    parameters = xbinn.default_parameters(grid).assign(q10=q10)
    with pytest.raises(ParameterError, match=f"q10 varies with {dim}.*mean\\('{dim}'\\)"):
        xbinn.simulate(grid, parameters)


def test_parameters_on_other_coordinates_are_refused(grid):
    parameters = xbinn.default_parameters(grid)
    with pytest.raises(
        CoordinateError, match=r"(?s)not lie on the same coordinates.*lat.*reindex_like"
    ):
        xbinn.simulate(grid, parameters.assign_coords(lat=parameters.lat + 1e-9))
    mended = parameters.assign_coords(lat=parameters.lat + 1e-9)
    mended = mended.reindex_like(grid, method="nearest", tolerance=1e-6)
    close(xbinn.simulate(grid, mended), xbinn.simulate(grid, parameters))


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"bedrock": "open"}, "bedrock='open' is not known"),
        ({"dtype": "float16"}, "dtype='float16' is not supported"),
    ],
)
def test_unknown_settings_are_refused(grid, settings, match):
    with pytest.raises(InputError, match=match):
        xbinn.simulate(grid, xbinn.default_parameters(grid), **settings)


def test_what_is_no_dataset_is_refused(grid):
    with pytest.raises(InputError, match=r"ds must be an xarray.Dataset.*not DataArray"):
        xbinn.simulate(grid["TSOI"], xbinn.default_parameters(grid))
    with pytest.raises(ParameterError, match=r"must be an xarray.Dataset"):
        xbinn.simulate(grid, {"q10": 1.5})


# --- stock ------------------------------------------------------------------------------------


def test_stock_is_the_operator_of_the_carbon_variables(simulated):
    for bottom, name in ((1.0, "cSoilAbove1m"), (COLUMN_DEPTH, "cSoil")):
        stock = xbinn.stock(simulated, 0.0, bottom)
        xr.testing.assert_allclose(
            stock.drop_attrs(), simulated[name].drop_attrs().rename("soc_stock"), rtol=1e-13
        )
        assert stock.attrs["units"] == "kg m-2"
        assert stock.attrs["standard_name"] == simulated[name].attrs["standard_name"]


def test_stock_is_additive(simulated):
    rng = np.random.default_rng(0)
    for top, middle, bottom in np.sort(rng.uniform(0.0, COLUMN_DEPTH, (10, 3)), axis=1):
        parts = xbinn.stock(simulated, top, middle) + xbinn.stock(simulated, middle, bottom)
        whole = xbinn.stock(simulated, top, bottom)
        np.testing.assert_allclose(parts, whole, rtol=1e-12, atol=1e-14)


def test_stock_by_hand(simulated):
    soc = simulated["soc"].fillna(0.0)
    by_hand = soc[0] * LAYER_THICKNESS[0] + soc[1] * 0.01
    expected = by_hand.where(simulated.status == 0)
    np.testing.assert_allclose(xbinn.stock(simulated, 0.0, 0.03), expected, rtol=1e-13)


def test_stock_below_bedrock_is_zero_and_no_result_is_missing(grid, simulated):
    deep = xbinn.stock(simulated, 8.0, 8.6)
    shallow = (grid["nbedrock"] < 19) & (simulated.status == 0)
    assert bool(shallow.any())
    assert float(abs(deep.where(shallow)).max()) == 0.0
    np.testing.assert_array_equal(deep.isnull(), simulated.status != 0)


def test_stock_is_lazy_and_takes_any_unit(simulated, raise_if_dask_computes):
    expected = xbinn.stock(simulated, 0.0, 0.3)
    with raise_if_dask_computes():
        lazy = xbinn.stock(simulated.chunk(lat=2), 0.0, 0.3)
    xr.testing.assert_allclose(lazy.compute(), expected)
    grams = (simulated["soc"] * 1e3).assign_attrs(units="gC m-3")
    xr.testing.assert_allclose(
        xbinn.stock(simulated.assign(soc=grams), 0.0, 0.3), expected, rtol=1e-12
    )
    bare = simulated.assign(soc=simulated["soc"].drop_attrs(deep=False))
    xr.testing.assert_identical(xbinn.stock(bare, 0.0, 0.3), expected)
    wrong = simulated.assign(soc=simulated["soc"].assign_attrs(units="K"))
    with pytest.raises(UnitsError, match="soc is given in 'K'"):
        xbinn.stock(wrong, 0.0, 0.3)


@pytest.mark.parametrize(
    ("top", "bottom"), [(0.3, 0.3), (1.0, 0.5), (-0.1, 1.0), (0.0, 8.7), (np.nan, 1.0)]
)
def test_stock_refuses_intervals(simulated, top, bottom):
    with pytest.raises(InputError, match=r"must lie within 0 to 8.6 m, top first"):
        xbinn.stock(simulated, top, bottom)


def test_stock_refuses_what_has_no_layers(simulated):
    with pytest.raises(InputError, match="stock needs the variable soc with dimension depth"):
        xbinn.stock(simulated.drop_vars("soc"), 0.0, 1.0)
    with pytest.raises(InputError, match="stock needs the variable soc with dimension depth"):
        xbinn.stock(simulated.isel(depth=0), 0.0, 1.0)
    with pytest.raises(InputError, match="soc has 5 layers and the model 20"):
        xbinn.stock(simulated.isel(depth=slice(5)), 0.0, 1.0)
    with pytest.raises(InputError, match="not those of the model's layers"):
        xbinn.stock(simulated.sortby("depth", ascending=False), 0.0, 1.0)


def test_depth_has_bounds(simulated):
    assert simulated.depth.attrs["bounds"] == "depth_bnds"
    assert simulated.depth.attrs["positive"] == "down"
    np.testing.assert_allclose(simulated.depth, NODE_DEPTH[:N_LAYERS])
    np.testing.assert_allclose(
        simulated.depth_bnds.diff("bnds").squeeze(), LAYER_THICKNESS[:N_LAYERS], rtol=1e-6
    )
