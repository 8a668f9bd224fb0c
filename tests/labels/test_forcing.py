"""Forcing: found by name, converted, cut to the model's layers, checked."""

import logging
from typing import Any

import numpy as np
import pint_xarray  # noqa: F401  (registers .pint)
import pytest
import xarray as xr

from xbinn.constants import LAYER_THICKNESS, N_LAYERS, NODE_DEPTH
from xbinn.errors import InputError, UnitsError
from xbinn.labels.forcing import standardise_forcing
from xbinn.labels.forcing_values import check_forcing_values
from xbinn.variables import FORCING_NAMES, INPUT_NAMES

CLM5_NODES = (*NODE_DEPTH, 13.328, 19.483, 28.871, 41.998)


def forcing(shape: tuple[int, int] = (2, 3)) -> xr.Dataset:
    rng = np.random.default_rng(1)
    space = ("lat", "lon")
    layered, monthly = ("month", "depth", *space), ("month", *space)

    def field(dims: tuple[str, ...], low: float, high: float, units: str) -> Any:
        size = (12, N_LAYERS, *shape) if len(dims) == 4 else (12, *shape)
        return dims, rng.uniform(low, high, size).astype(np.float32), {"units": units}

    variables = {"TSOI": field(layered, 260, 300, "K")}
    variables |= {n: field(layered, 0, 1, "1") for n in ("W_SCALAR", "O_SCALAR", "FPI_vr")}
    variables |= {n: field(monthly, 0, 8, "m") for n in ("ALTMAX", "ALTMAX_LASTYEAR")}
    variables |= {n: field(monthly, 0, 30, "gC m-2 month-1") for n in INPUT_NAMES}
    variables["nbedrock"] = (space, np.full(shape, 12.0), {"units": "1"})
    coords = {
        "month": np.arange(1, 13),
        "depth": ("depth", np.array(NODE_DEPTH[:N_LAYERS]), {"units": "m"}),
        "lat": np.linspace(50, 40, shape[0]),
        "lon": np.linspace(-100, -90, shape[1]),
    }
    return xr.Dataset(variables, coords)


def with_25_levels(ds: xr.Dataset, name: str = "levgrnd") -> xr.Dataset:
    deep = ds[["TSOI", "W_SCALAR", "O_SCALAR", "FPI_vr"]].pad(depth=(0, 5), constant_values=7.0)
    deep = deep.drop_vars("depth").rename(depth=name)
    for variable, original in ds.items():
        if variable in deep:
            deep[variable].attrs = original.attrs
    return deep.assign_coords({name: np.array(CLM5_NODES, np.float32)}).merge(
        ds.drop_vars([*deep.data_vars, "depth"])
    )


def test_standard_input_stays_as_it_is() -> None:
    ds = forcing()
    out = standardise_forcing(ds)
    assert list(out.data_vars) == list(FORCING_NAMES)
    for name in FORCING_NAMES:
        np.testing.assert_array_equal(out[name], ds[name])
        assert out[name].dims == ds[name].dims
        assert out[name].dtype == ds[name].dtype


def test_attributes_of_the_input_stay_as_they_are() -> None:
    """Nothing needs to be converted here, so that nothing makes a copy on the way."""
    ds = forcing()
    ds["TSOI"].attrs["source"] = "mine"
    given = ds.copy(deep=True)
    standardise_forcing(ds)
    xr.testing.assert_identical(ds, given)


def test_any_order_of_dimensions_and_chunks_stays_lazy(raise_if_dask_computes: Any) -> None:
    ds = forcing()
    expected = standardise_forcing(ds)
    turned = ds.transpose("lon", "depth", "lat", "month").chunk(lat=1, month=5, depth=7)
    with raise_if_dask_computes():
        out = standardise_forcing(turned)
    assert out["TSOI"].dims == ("month", "depth", "lon", "lat")
    assert len(out["TSOI"].chunksizes["month"]) == len(out["TSOI"].chunksizes["depth"]) == 1
    order = ("month", "depth", "lat", "lon")
    out = out.compute().transpose(*order, missing_dims="ignore")
    xr.testing.assert_equal(out, expected)


def test_25_levels_are_cut_with_a_note(
    caplog: pytest.LogCaptureFixture, raise_if_dask_computes: Any
) -> None:
    ds = with_25_levels(forcing())
    ds = ds.assign(W_SCALAR=ds["W_SCALAR"].rename(levgrnd="levdcmp")).chunk(lat=1)
    with caplog.at_level(logging.INFO, logger="xbinn"), raise_if_dask_computes():
        out = standardise_forcing(ds)
    assert "TSOI from 25" in caplog.text
    xr.testing.assert_equal(out.compute(), standardise_forcing(forcing()))


@pytest.mark.parametrize("dim", ["layer", "levsoi", "levdcmp"])
@pytest.mark.parametrize("coordinate", [None, 0, 1])
def test_layers_may_be_counted_or_bare(dim: str, coordinate: int | None) -> None:
    ds = forcing().drop_vars("depth").rename(depth=dim)
    if coordinate is not None:
        ds = ds.assign_coords({dim: np.arange(N_LAYERS) + coordinate})
    xr.testing.assert_equal(standardise_forcing(ds), standardise_forcing(forcing()))


@pytest.mark.parametrize("start", [0, 1])
def test_counted_layers_may_be_upside_down(start: int) -> None:
    ds = forcing().drop_vars("depth").rename(depth="layer")
    ds = ds.assign_coords(layer=np.arange(N_LAYERS) + start)
    turned = ds.isel(layer=slice(None, None, -1))
    xr.testing.assert_equal(standardise_forcing(turned), standardise_forcing(forcing()))
    deep = with_25_levels(forcing()).drop_vars("levgrnd")
    deep = deep.assign_coords(levgrnd=np.arange(25) + start).isel(levgrnd=slice(None, None, -1))
    xr.testing.assert_equal(standardise_forcing(deep), standardise_forcing(forcing()))


def test_depth_in_cm_and_upside_down() -> None:
    ds = forcing()
    turned = ds.assign_coords(depth=("depth", ds["depth"].values * 100, {"units": "cm"}))
    turned = turned.isel(depth=slice(None, None, -1))
    xr.testing.assert_allclose(standardise_forcing(turned), standardise_forcing(ds))


def test_units_are_converted() -> None:
    ds = forcing()
    expected = standardise_forcing(ds)
    ds["TSOI"] = (ds["TSOI"] - 273.15).assign_attrs(units="degC")
    ds["W_SCALAR"] = (ds["W_SCALAR"] * 100).assign_attrs(units="percent")
    ds["ALTMAX"] = (ds["ALTMAX"] * 100).assign_attrs(units="cm")
    ds["CWD_INPUT"] = (ds["CWD_INPUT"] * 12).assign_attrs(units="gC m-2 yr-1")
    seconds = 365 * 86400 / 12
    ds["LITR1_INPUT"] = (ds["LITR1_INPUT"] / seconds).assign_attrs(units="gC/m^2/s")
    ds["LITR2_INPUT"] = (ds["LITR2_INPUT"] / seconds / 1000).assign_attrs(units="kg m-2 s-1")
    del ds["nbedrock"].attrs["units"]
    out = standardise_forcing(ds)
    xr.testing.assert_allclose(out, expected, rtol=1e-5)
    assert out["TSOI"].dtype == np.float32
    assert {out[n].attrs["units"] for n in INPUT_NAMES} == {"gC m-2 month-1"}


def test_quantified_input_is_understood() -> None:
    bare = forcing()[["TSOI", "ALTMAX"]].drop_attrs(deep=True)
    quantified = bare.pint.quantify({"TSOI": "kelvin", "ALTMAX": "m", "depth": "m"})
    ds = quantified.merge(forcing().drop_vars(["TSOI", "ALTMAX", "depth"]))
    xr.testing.assert_equal(standardise_forcing(ds), standardise_forcing(forcing()))


def test_layered_litter_is_summed_over_thickness() -> None:
    ds = forcing()
    profile = np.exp(-np.array(NODE_DEPTH[:N_LAYERS]))
    expected = ds["LITR1_INPUT"] * float((profile * LAYER_THICKNESS[:N_LAYERS]).sum())
    ds["LITR1_INPUT"] = ds["LITR1_INPUT"] * xr.DataArray(profile * 12, dims="depth")
    ds["LITR1_INPUT"].attrs["units"] = "gC m-3 yr-1"
    out = standardise_forcing(ds)["LITR1_INPUT"]
    assert out.dims == ("month", "lat", "lon")
    np.testing.assert_allclose(out, expected, rtol=1e-5)


def test_residues_below_zero_are_no_input() -> None:
    ds = forcing()
    ds["CWD_INPUT"][0, 0] = [-0.004, np.nan, -0.5]
    out = standardise_forcing(ds)["CWD_INPUT"].values[0, 0]
    np.testing.assert_array_equal(out, np.array([0.0, np.nan, -0.5], np.float32))


def test_a_list_of_cells_and_a_constant_variable() -> None:
    ds = forcing((1, 3)).isel(lat=0, drop=True).rename(lon="cell")
    ds["O_SCALAR"] = ds["O_SCALAR"].isel(cell=0, drop=True)
    ds["nbedrock"] = ds["nbedrock"].expand_dims(month=12).astype(np.int32)
    out = standardise_forcing(ds)
    assert out["O_SCALAR"].dims == ("month", "depth", "cell")
    assert out["nbedrock"].dims == ("month", "cell")
    assert out["nbedrock"].dtype.kind == "f"


def test_empty_space_passes() -> None:
    out = standardise_forcing(forcing().isel(lat=slice(0, 0)))
    assert out["TSOI"].shape == (12, 20, 0, 3)
    check_forcing_values({str(n): v.values for n, v in out.items()}, bedrock="closed", where="tile")


def test_all_missing_variables_are_named() -> None:
    with pytest.raises(InputError, match=r"missing: TSOI, LITR3_INPUT; add them.*rename"):
        standardise_forcing(forcing().drop_vars(["TSOI", "LITR3_INPUT"]))


def test_variables_that_are_no_numbers_are_named() -> None:
    ds = forcing().assign(ALTMAX=forcing()["ALTMAX"].astype(str))
    with pytest.raises(InputError, match=r"not real numbers: ALTMAX .*astype\(float\)"):
        standardise_forcing(ds)


def test_bad_units_are_named_together() -> None:
    ds = forcing()
    ds["TSOI"].attrs["units"] = "m"
    del ds["ALTMAX"].attrs["units"]
    with pytest.raises(UnitsError, match=r"2 variables(.|\n)*TSOI(.|\n)*ALTMAX"):
        standardise_forcing(ds)


def spoiled(kind: str) -> Any:
    ds = forcing()
    shallow = dict.fromkeys(["depth"], ("depth", np.linspace(0.007, 8, N_LAYERS)))
    strange = ("depth", [f"layer {j}" for j in range(N_LAYERS)])
    both = ds["TSOI"].isel(depth=0, drop=True).expand_dims(layer=2, depth=N_LAYERS)
    return {
        "months": lambda: ds.isel(month=slice(0, 6)),
        "time": lambda: ds.rename(month="time"),
        "no month": lambda: ds.assign(ALTMAX=ds["ALTMAX"].isel(month=0, drop=True)),
        "repeated": lambda: ds.assign_coords(month=[1] * 12),
        "no depth": lambda: ds.assign(TSOI=ds["TSOI"].isel(depth=0, drop=True)),
        "not layered": lambda: ds.assign(ALTMAX=ds["TSOI"].assign_attrs(units="m")),
        "two layers": lambda: ds.assign(TSOI=both.assign_attrs(units="K")),
        "levels": lambda: ds.isel(depth=slice(0, 10)),
        "bare levels": lambda: ds.isel(depth=slice(0, 10)).drop_vars("depth"),
        "no levels": lambda: ds.isel(depth=slice(0, 0)),
        "nodes": lambda: ds.assign_coords(shallow),
        "nan nodes": lambda: ds.assign_coords(depth=np.full(N_LAYERS, np.nan)),
        "text nodes": lambda: ds.assign_coords(depth=strange),
        "depth units": lambda: ds.assign_coords(
            depth=ds["depth"].assign_attrs(units="kelvin"),
        ),
    }[kind]()


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("months", "TSOI, W_SCALAR, .*, LITR3_INPUT have 6 entries of month; needed.*groupby"),
        ("time", r"TSOI, W_SCALAR, .*INPUT have no dimension month \(they have time\); needed"),
        ("no month", r"ALTMAX has no dimension month \(it has lat, lon\)"),
        ("repeated", "TSOI, .* have repeated values of month"),
        ("no depth", "TSOI has no depth dimension"),
        ("not layered", "ALTMAX has dimension depth, which it cannot have"),
        ("two layers", "TSOI has dimension depth, layer, which it cannot have"),
        (
            "levels",
            r"TSOI, W_SCALAR, O_SCALAR, FPI_vr have 10 levels of depth at 0.01, .* none at the "
            r"CLM5 nodes 1.7, 2.08",
        ),
        ("bare levels", "TSOI, .* have 10 levels of depth and no depth coordinate.*interp"),
        ("no levels", "TSOI, .* have no levels of depth"),
        ("nodes", "TSOI, .* have 20 levels of depth at 0.007.*none at the CLM5 nodes 0.01, 0.04"),
        ("nan nodes", "TSOI, .* have 20 levels of depth at nan"),
        ("text nodes", "TSOI, .* have a depth coordinate of type <U"),
        ("depth units", r"TSOI, .* cannot be used \(depth is given in 'kelvin'"),
    ],
)
def test_wrong_dimensions_are_explained(kind: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        standardise_forcing(spoiled(kind))


def plain(**changed: Any) -> dict[str, np.ndarray]:
    arrays = {str(n): v.values.copy() for n, v in standardise_forcing(forcing()).items()}
    for name, change in changed.items():
        arrays[name] = change(arrays[name])
    return arrays


def test_good_values_pass_and_ocean_is_passed_over() -> None:
    ocean = plain()
    for values in ocean.values():
        values[..., 0, 0] = np.nan
    ocean["TSOI"][..., 1] = np.inf
    check_forcing_values(ocean, bedrock="closed", where="tile (0, 0)")
    deep = plain(nbedrock=lambda v: v + 10, W_SCALAR=lambda v: np.minimum(v * 2, 1 + 5e-7))
    check_forcing_values(deep, bedrock="closed", where="tile (0, 0)")


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        (
            {"TSOI": lambda v: v - 273.15},
            r'in tile 7: TSOI from .* K \(allowed.*\) in all 6 cells: .*units"\] = "degC"$',
        ),
        ({"TSOI": lambda v: v - 500}, r'looks like K labelled degC.*units"\] = "K"$'),
        ({"TSOI": lambda v: v + 500}, r"TSOI from 7\d\d.* \(allowed 150 to 373.15\).*where\("),
        ({"FPI_vr": lambda v: v * 90}, r'FPI_vr from 0\S* to \d+\.\d+ \(allowed.*"percent"$'),
        ({"FPI_vr": lambda v: v * 1.5}, r"FPI_vr .*a fill value .*where\(.* >= 0\) & .* <= 1\)\)"),
        ({"ALTMAX": lambda v: v - 9999}, r'ALTMAX .*0 to any\).*where\(\(ds\["ALTMAX"\] >= 0\)\)'),
        ({"CWD_INPUT": lambda v: -v}, r'carbon that enters .* ds\["CWD_INPUT"\] \*= -1$'),
        ({"CWD_INPUT": lambda v: v - 1}, r"carbon that enters .*\.clip\(min=0\)$"),
        ({"nbedrock": lambda v: v * 0}, r'nbedrock from 0 to 0 \(.*ds\["nbedrock"\] \+= 1'),
        (
            {"nbedrock": lambda v: v + 0.5},
            r"nbedrock is not an integer in all 6 cells: \(0, 0\), .* and 1 more; .*round",
        ),
        (
            {"TSOI": lambda v: v * 0, "ALTMAX": lambda v: v - 99},
            r"tile 7:\n- TSOI .*\n- ALTMAX .*",
        ),
    ],
)
def test_values_out_of_range_are_explained(changed: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        check_forcing_values(plain(**changed), bedrock="closed", where="tile 7")


def test_bad_cells_are_named() -> None:
    arrays = plain()
    arrays["TSOI"][3, 4, 1, 2] = 20.0
    with pytest.raises(InputError, match=r"allowed 150 to 373.15\) in 1 cell: \(1, 2\);"):
        check_forcing_values(arrays, bedrock="closed", where="tile")
    with pytest.raises(InputError, match=r"in 1 cell: row 1 column 2;"):
        check_forcing_values(
            arrays,
            bedrock="closed",
            where="tile",
            name_cell=lambda i, j: f"row {i} column {j}",
        )


def test_monthly_bedrock_must_be_constant_only_where_closed() -> None:
    arrays = plain(nbedrock=lambda v: np.repeat(v.reshape(1, -1), 12, axis=0))
    arrays |= {n: v.reshape(*v.shape[:-2], -1) for n, v in arrays.items() if n != "nbedrock"}
    check_forcing_values(arrays, bedrock="closed", where="tile")
    arrays["nbedrock"][3, [1, 4]] = 5
    arrays["nbedrock"][:, 0] = np.nan
    check_forcing_values(arrays, bedrock="published", where="tile")
    match = r'varies over the months.*closed.* in 2 cells: 1, 4; take one.*\.max\("month"\)$'
    with pytest.raises(InputError, match=match):
        check_forcing_values(arrays, bedrock="closed", where="tile")
    arrays["nbedrock"][:, 2] = 3.5
    with pytest.raises(InputError, match="not an integer in 1 cell: 2;"):
        check_forcing_values(arrays, bedrock="published", where="tile")


def test_one_column_is_named() -> None:
    arrays = {n: v[..., 0, 0] for n, v in plain(nbedrock=lambda v: v + 0.5).items()}
    with pytest.raises(InputError, match="nbedrock is not an integer in the only cell"):
        check_forcing_values(arrays, bedrock="closed", where="tile")


@pytest.mark.realdata
@pytest.mark.parametrize("fixture", ["real_grid", "real_points"])
def test_real_forcing_passes(
    fixture: str, request: pytest.FixtureRequest, raise_if_dask_computes: Any
) -> None:
    ds = request.getfixturevalue(fixture).chunk()
    with raise_if_dask_computes():
        out = standardise_forcing(ds)
    check_forcing_values(
        {str(n): v.values for n, v in out.items()}, bedrock="closed", where="the grid"
    )
    assert float(out["CWD_INPUT"].min()) >= 0.0
