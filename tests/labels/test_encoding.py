"""Attributes and coordinates of outputs; units of many variables at once."""

import numpy as np
import pytest
import xarray as xr

from xbinn.errors import InputError, UnitsError
from xbinn.labels.encoding import (
    as_float,
    convert_units,
    dataset_attributes,
    lay_out,
    link_ancillary,
    output_attributes,
    output_coordinates,
)
from xbinn.parameters import PARAMETERS
from xbinn.variables import CARBON_NAMES, PROCESS_NAMES, STATUS_MEANINGS


def test_every_output_has_attributes_of_the_tables() -> None:
    for parameter in PARAMETERS:
        assert output_attributes(parameter.name)["units"] == parameter.units
    for name in (*PROCESS_NAMES, *CARBON_NAMES, "carbon_pools", "respiration"):
        assert {"units", "long_name"} <= output_attributes(name).keys()


def test_status_explains_its_flags() -> None:
    attrs = output_attributes("status")
    assert attrs["flag_values"].tolist() == [0, 1, 2, 3, 4]
    assert len(attrs["flag_values"]) == len(attrs["flag_meanings"].split())
    assert attrs["flag_meanings"] == STATUS_MEANINGS


def test_spread_and_quantiles_derive_from_the_variable() -> None:
    std, quantile = output_attributes("cSoil_std"), output_attributes("q10_quantile")
    assert std["units"] == "kg m-2"
    assert std["long_name"].startswith("posterior standard deviation")
    assert "standard_name" not in std
    assert quantile["long_name"].startswith("posterior quantiles of the modelled mean")
    assert output_attributes("soc_observation_quantile")["comment"] == "includes observation noise"


@pytest.mark.parametrize("name", ["nonsense", "status_std", "nonsense_std"])
def test_unknown_output_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name!r} is not an output of xbinn.*choose one"):
        output_attributes(name)


def test_depth_has_bounds_that_hold_the_nodes() -> None:
    coords = output_coordinates()
    bounds = coords["depth_bnds"].values
    assert coords["depth"].attrs["positive"] == "down"
    assert coords["depth"].attrs["bounds"] == "depth_bnds"
    assert (bounds[1:, 0] == bounds[:-1, 1]).all()
    assert ((bounds[:, 0] < coords["depth"].values) & (coords["depth"].values < bounds[:, 1])).all()
    assert "pool" not in coords
    assert output_coordinates(pools=True)["pool"].size == 7


def test_dataset_attributes_name_the_conventions() -> None:
    attrs = dataset_attributes(title="t", summary="s", source="xbinn", history="h")
    assert attrs["Conventions"] == "CF-1.11, ACDD-1.3"


def test_ancillary_variables_are_linked_on_a_copy() -> None:
    names = ("soc", "soc_std", "soc_quantile", "soc_observation_quantile", "status", "other")
    ds = xr.Dataset({name: ("x", [1.0]) for name in names})
    linked = link_ancillary(ds)
    assert (
        linked["soc"].attrs["ancillary_variables"]
        == "soc_std soc_quantile soc_observation_quantile status"
    )
    assert "ancillary_variables" not in linked["status"].attrs
    assert "ancillary_variables" not in linked["other"].attrs
    assert "ancillary_variables" not in ds["soc"].attrs


def test_all_bad_units_are_named_at_once() -> None:
    arrays = {n: xr.DataArray(1.0, attrs={"units": "K"}) for n in ("depth_top", "depth_bottom")}
    with pytest.raises(UnitsError, match=r"2 variables have units(.|\n)*depth_top(.|\n)*depth_bot"):
        convert_units(arrays, dict.fromkeys(arrays, "m"))
    with pytest.raises(UnitsError, match=r"^depth_top"):
        convert_units({"depth_top": arrays["depth_top"]}, {"depth_top": "m"})


def test_integers_become_floats_that_hold_them() -> None:
    assert as_float(xr.DataArray(np.int16(3))).dtype == np.float32
    assert as_float(xr.DataArray(np.int64(3))).dtype == np.float64
    assert as_float(xr.DataArray(np.float32(3))).dtype == np.float32


def test_lay_out_orders_and_repeats() -> None:
    da = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("lon", "month"))
    out = lay_out(da, ("month", "depth"), {"lat": 4, "lon": 2})
    assert out.dims == ("month", "lat", "lon")
    assert out.shape == (3, 4, 2)
    assert (out.isel(lat=3).values == da.values.T).all()
