"""Covariates: which ones, in which units, as which codes."""

import logging
from typing import Any

import numpy as np
import pint_xarray  # noqa: F401  (registers .pint)
import pytest
import xarray as xr

from xbinn.errors import InputError, UnitsError
from xbinn.labels.covariates import (
    CovariateSpec,
    covariate_arrays,
    select_covariates,
)

SPACE = ("lat", "lon")


def grid() -> xr.Dataset:
    def field(values: Any, units: str = "1", **attrs: Any) -> Any:
        return SPACE, np.asarray(values), {"units": units, **attrs}

    ones = np.ones((2, 3))
    flags: dict[str, Any] = {"flag_values": np.array([7, 2, 4], np.int16), "flag_meanings": "c a b"}
    return xr.Dataset(
        {
            "bio1": field(np.array([[1, 2, np.nan], [4, np.inf, 6]], np.float32), "degC"),
            "koppen": field(np.array([[2, 4, np.nan], [7, 9, 2.5]], np.float32), **flags),
            "elevation": field(ones * 100, "m"),
            "order": field(np.array([[3, 3, 1], [1, 5, 5]])),
            "leaf_area_index": field(ones),
            "TSOI": (("month", "depth", *SPACE), np.ones((12, 20, 2, 3))),
            "nbedrock": field(ones),
            "land_area": field(ones, "m2"),
            "areacella": (SPACE, ones),
            "cell_size": field(ones, "km^2"),
            "land_mask": field(ones),
            "is_land": field(ones > 0),
            "sftlf": field(ones, "percent"),
            "share": field(ones, standard_name="land_area_fraction"),
            "status": field(ones.astype(np.int8)),
            "soc": (("depth", *SPACE), np.ones((20, 2, 3))),
            "q10": field(ones),
            "latitude": field(ones, "degrees_north"),
            "xlon": field(ones, "degrees_east"),
            "monthly": (("month", *SPACE), np.ones((12, 2, 3))),
            "by_year": (("year", *SPACE), np.ones((4, 2, 3))),
            "name": (SPACE, np.full((2, 3), "loam")),
            "when": (SPACE, np.full((2, 3), np.datetime64("2001-01-01", "ns"))),
            "spatial_ref": ((), 0, {"grid_mapping_name": "latitude_longitude"}),
            "scalar": 3.0,
            "edges": ("lat", [1.0, 2.0]),
        },
        coords={"lat": ("lat", [1.0, 0.0], {"bounds": "edges"}), "lon": [0.0, 1.0, 2.0]},
    )


def test_default_covariates() -> None:
    spec = select_covariates(grid())
    assert spec.numeric == (("bio1", "degC"), ("elevation", "m"), ("leaf_area_index", "1"))
    assert spec.categorical == (("koppen", (2, 4, 7)), ("order", (1, 3, 5)))
    assert spec.names == ("bio1", "elevation", "leaf_area_index", "koppen", "order")
    assert spec.n_categories == (3, 3)


def test_named_covariates_are_taken_whatever_they_are() -> None:
    spec = select_covariates(grid(), ["land_area", "bio1", "bio1"], categorical="order")
    assert spec == CovariateSpec((("land_area", "m2"), ("bio1", "degC")), (("order", (1, 3, 5)),))
    assert select_covariates(grid(), "elevation").names == ("elevation",)
    named = select_covariates(grid(), categorical=["elevation"])
    assert dict(named.categorical)["elevation"] == (100,)
    flags = grid()["koppen"].assign_attrs(flag_values="7, 2")
    assert dict(select_covariates(grid().assign(koppen=flags)).categorical)["koppen"] == (2, 7)


def test_arrays_have_units_codes_and_nothing_infinite() -> None:
    ds = grid()
    spec = select_covariates(ds, ["bio1", "koppen"])
    out = covariate_arrays(ds, spec)
    np.testing.assert_array_equal(
        out["bio1"], np.array([[1, 2, np.nan], [4, np.nan, 6]], np.float32)
    )
    # 9 and 2.5 are no category, NaN is missing: the same code.
    np.testing.assert_array_equal(out["koppen"], [[0, 1, 3], [2, 3, 3]])
    assert out["koppen"].dtype == np.int64
    assert out["bio1"].dtype == np.float32


def test_fill_values_that_nobody_decoded_are_missing() -> None:
    ds = grid()
    ds["elevation"] = ds["elevation"].copy(data=[[-9999.0, 5.0, 1.0], [2.0, -9999.0, 3.0]])
    ds["elevation"].attrs["_FillValue"] = -9999.0
    ds["order"].attrs["missing_value"] = 5
    for held in (ds, ds.chunk(lat=1)):
        spec = select_covariates(held, ["elevation", "order"])
        assert dict(spec.categorical)["order"] == (1, 3)
        arrays = covariate_arrays(held, spec)
        assert arrays["elevation"].isnull().values.tolist() == [[1, 0, 0], [0, 1, 0]]
        assert (arrays["order"].values == 2).tolist() == [[0, 0, 0], [0, 1, 1]]


def test_order_and_extra_do_not_matter_and_units_are_converted() -> None:
    ds = grid()
    spec = select_covariates(ds, ["bio1", "elevation", "order"])
    expected = covariate_arrays(ds, spec)
    other = ds[["order", "elevation", "bio1", "koppen"]].transpose("lon", "lat")
    other["bio1"] = (other["bio1"].astype(np.float64) + 273.15).assign_attrs(units="K")
    other["elevation"] = (other["elevation"] / 1000).pint.quantify("km")
    out = covariate_arrays(other, spec)
    assert list(out.data_vars) == ["bio1", "elevation", "order"]
    xr.testing.assert_allclose(out.transpose(*SPACE), expected)


def test_everything_is_lazy(raise_if_dask_computes: Any) -> None:
    ds = grid()
    chunked = ds.chunk(lat=1)
    spec = select_covariates(ds)
    with raise_if_dask_computes(max_computes=1):  # categories of `order`, which declares none
        assert select_covariates(chunked) == spec
    with raise_if_dask_computes():
        out = covariate_arrays(chunked, spec)
    assert all(v.chunks is not None for v in out.values())
    xr.testing.assert_equal(out.compute(), covariate_arrays(ds, spec))


def test_quantified_covariates_are_chosen_alike() -> None:
    ds = grid()
    quantified = ds.assign(
        elevation=ds["elevation"].pint.quantify("m"),
        land_area=ds["land_area"].pint.quantify("m**2"),
    )
    spec = select_covariates(quantified)
    assert dict(spec.numeric).keys() == dict(select_covariates(ds).numeric).keys()
    assert dict(spec.numeric)["elevation"] == "m"


def test_a_covariate_on_part_of_space_is_repeated() -> None:
    ds = grid().assign(zone=("lat", [1.0, 2.0], {"units": "1"}))
    spec = select_covariates(ds, ["zone"])
    assert covariate_arrays(ds, spec)["zone"].dims == SPACE


def test_one_cell_without_categories() -> None:
    spec = CovariateSpec((), (("order", ()),))
    assert (covariate_arrays(grid(), spec)["order"] == 0).all()


def test_an_integer_measurement_is_pointed_out(caplog: pytest.LogCaptureFixture) -> None:
    ds = grid().assign(elevation=grid()["elevation"].astype(np.int16))
    many = xr.DataArray(np.arange(300), dims="x", name="many")
    with caplog.at_level(logging.WARNING, logger="xbinn"):
        assert "elevation" in dict(select_covariates(ds).categorical)
        select_covariates(many.to_dataset())
    assert 'ds["elevation"].astype("float32")' in caplog.text
    assert "many has 300 categories" in caplog.text


def test_all_missing_covariates_are_named() -> None:
    spec = select_covariates(grid())
    with pytest.raises(
        InputError, match=r"missing from the Dataset: bio1, order; add them.*rename"
    ):
        covariate_arrays(grid().drop_vars(["bio1", "order"]), spec)
    with pytest.raises(InputError, match="missing from the Dataset: ph, cec;"):
        select_covariates(grid(), ["bio1", "ph"], categorical=["cec"])


def test_what_cannot_be_a_covariate_is_named() -> None:
    with pytest.raises(
        InputError, match="name is of type <U4; monthly varies with month; by_year varies with year"
    ):
        select_covariates(grid(), ["bio1", "name", "monthly", "by_year"])


def test_no_covariate_is_an_error() -> None:
    with pytest.raises(InputError, match=r"no covariate: .*it has TSOI, nbedrock.*covariates="):
        select_covariates(grid()[["TSOI", "nbedrock"]])


def test_categories_must_be_integers() -> None:
    ds = grid()
    ds["koppen"].attrs["flag_values"] = "Af Am"
    with pytest.raises(InputError, match=r"not integers: koppen, bio1; number.*flag_values"):
        select_covariates(
            ds.assign(bio1=ds["bio1"] + 0.5), ["koppen", "bio1"], categorical=["bio1"]
        )


def test_units_must_be_understood() -> None:
    ds = grid()
    ds["bio1"].attrs["units"] = "furlongs-ish"
    ds["elevation"].attrs["units"] = "zzz"
    with pytest.raises(UnitsError, match=r"bio1(.|\n)*elevation"):
        select_covariates(ds)


def test_units_at_prediction_are_checked() -> None:
    ds = grid()
    spec = select_covariates(ds)
    del ds["bio1"].attrs["units"]
    ds["elevation"].attrs["units"] = "K"
    with pytest.raises(UnitsError, match=r"2 variables(.|\n)*bio1(.|\n)*elevation"):
        covariate_arrays(ds, spec)


@pytest.mark.realdata
@pytest.mark.parametrize("fixture", ["real_grid", "real_points"])
def test_real_covariates(fixture: str, request: pytest.FixtureRequest) -> None:
    ds = request.getfixturevalue(fixture)
    spec = select_covariates(ds)
    names = [name for name, _ in spec.categorical]
    assert names == ["koppen", "biome4", "soil_texture_class", "usda_suborder", "igbp"]
    assert len(spec.numeric) == 44
    assert not {"land_area", "land_fraction", "lat", "lon"} & set(spec.names)
    arrays = covariate_arrays(ds, spec)
    for (name, _), n in zip(spec.categorical, spec.n_categories, strict=True):
        assert (arrays[name] == n).sum() >= ds[name].isnull().sum()
        assert int(arrays[name].max()) <= n
