"""Units: what is understood, what is refused, and that conversions are exact and lazy."""

import dask.array
import numpy as np
import pint
import pint_xarray
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from xbinn.errors import UnitsError
from xbinn.labels.units import conversion, dequantify, parse, to_units

SPELLINGS = {
    "kg m-3": "kg m-3|kg/m3|kg m**-3|kg m^-3|kg m⁻³|kg.m-3|kg*m^(-3)|kgC m-3|kg C/m3"
    "|kilogram / meter ** 3|1 kg m-3|kg per m3",
    "g cm-3": "g cm-3|g/cm3|gC cm-3",
    "g m-3": "gC m-3|g C m-3|g[C] m-3|g(C) m-3|g_C m-3|gC/m^3|g N m-3",
    "g m-2": "gC m-2|g C m-2|gN m-2",
    "g m-2 s-1": "gC/m^2/s|gC m-2 s-1|gC/(m2 s)|g C m^-2 s^-1",
    "g m-2 month-1": "gC m-2 month-1|gC/m2/month|gC m-2 mon-1|gC m-2 mo-1",
    "g m-2 yr-1": "gC m-2 yr-1|gN m-2 yr-1|gC m-2 year-1|gC/m2/a",
    "kg m-2 yr-1": "kgC m-2 yr-1|kg C m-2 yr-1",
    "kg m-2 s-1": "kg m-2 s-1",
    "kg m-2": "kg C m-2|kgC/m2",
    "Mg ha-1": "Mg C ha-1|MgC/ha",
    "m2 yr-1": "m2 yr-1|m2 year-1|m^2/yr",
    "0.1 g kg-1": "0.1 g kg-1|0.1 g/kg",
    "0.01 degC": "0.01 degC",
    "cg kg-1": "cg kg-1",
    "1": "pH|PH|1|dimensionless||unitless|fraction|-|m3 m-3|gC gC-1|kg kg-1",
    "0.1": "pH*10|pHx10|0.1 pH|0.1",
    "percent": "percent|%|per cent|pct|wt%|vol. %|mass-%|% (w/w)|% (v/v)|g/100g|gC/100 g|cm3/100cm3"
    "|g per 100g",
    "degC": "degC|celsius|Celsius|C|°C|deg C|degrees_C|degree Celsius|degree_Celsius",
    "degF": "degF|°F",
    "K": "K|kelvin|Kelvin|degK|deg K",
    "mm": "mm|millimeter",
    "mm yr-1": "mm year-1|mm/yr",
    "cmol kg-1": "cmolc/kg|cmol(c)/kg|cmol(+) kg-1|cmol_c kg-1",
    "yr": "years|yr|a|year|y",
    "1000 kg": "10^3 kg|1e3 kg|10**3 kg",
    "W m-1 delta_degC-1": "W m-1 degC-1",
}


@pytest.mark.parametrize(
    ("text", "canonical"),
    [(text, canonical) for canonical, texts in SPELLINGS.items() for text in texts.split("|")],
)
def test_spelling(text: str, canonical: str) -> None:
    assert str(parse(text, name="x")) == canonical


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("foo", "'foo' is not a known unit"),
        ("gCO2 m-2", "'gCO' is not a known unit"),
        ("gN2O m-2", "not a known unit"),
        ("kg C-1", "may be carbon, degree Celsius or coulomb"),
        ("mol C m-2", "may be carbon"),
        ("m pH-1", "acidity or picohenry"),
        ("kg/m2 yr", "'yr' behind a '/' may multiply or divide"),
        ("g/100kg", "no name with an integer exponent"),
        ("10-3 kg", "no name with an integer exponent"),
        ("log(mm)", "no name with an integer exponent"),
        ("m0.5", "no name with an integer exponent"),
        ("days since 2000-01-01", "no name with an integer exponent"),
        ("0 kg", "cannot be 0"),
    ],
)
def test_refuses_what_it_cannot_understand(text: str, reason: str) -> None:
    with pytest.raises(UnitsError, match=reason):
        parse(text, name="TSOI")


def test_error_names_variable_text_examples_and_fix() -> None:
    with pytest.raises(UnitsError, match="TSOI: cannot understand the unit 'hot'") as caught:
        conversion("TSOI", "hot", "K")
    assert "'K', 'degC'" in str(caught.value)
    assert 'ds["TSOI"].attrs["units"] = "K"' in str(caught.value)


@pytest.mark.parametrize(
    ("given_in", "wanted", "factor", "offset"),
    [
        ("degC", "K", 1, 273.15),
        ("K", "celsius", 1, -273.15),
        ("degF", "degC", 5 / 9, -160 / 9),
        ("0.01 degC", "degC", 0.01, 0),
        ("0.01 degC", "0.01 degC", 1, 0),
        ("g cm-3", "kg m-3", 1000, 0),
        ("gC m-3", "kg m-3", 0.001, 0),
        ("kg m**-3", "kg/m3", 1, 0),
        ("percent", "1", 0.01, 0),
        ("1", "%", 100, 0),
        ("g kg-1", "0.1 g kg-1", 10, 0),
        ("cg kg-1", "0.1 g kg-1", 0.1, 0),
        ("pH*10", "pH", 0.1, 0),
        # CLM's year has 365 days and 12 equal months
        ("gC m-2 yr-1", "gC m-2 month-1", 1 / 12, 0),
        ("gC m-2 day-1", "gC m-2 month-1", 365 / 12, 0),
        ("kg m-2 s-1", "gC m-2 month-1", 1000 * 365 * 86400 / 12, 0),
        ("years", "days", 365, 0),
        ("m2 s-1", "m2 yr-1", 365 * 86400, 0),
        (None, "1", 1, 0),
        (None, "pH", 1, 0),
        ("log10 of something", "log10 of something", 1, 0),
    ],
)
def test_conversion_is_exact(
    given_in: str | None, wanted: str, factor: float, offset: float
) -> None:
    assert conversion("x", given_in, wanted) == (factor, offset)


@pytest.mark.parametrize(
    ("given_in", "wanted", "reason"),
    [
        (None, "K", "TSOI has no units and is needed in 'K'"),
        ("kg m-3", "K", "given in 'kg m-3', which does not convert to 'K'"),
        ("", "K", "does not convert to 'K'"),
        ("0.01 degC", "K", "a scaled temperature may be a temperature or a difference"),
    ],
)
def test_conversion_refuses(given_in: str | None, wanted: str, reason: str) -> None:
    with pytest.raises(UnitsError, match=reason):
        conversion("TSOI", given_in, wanted)


KINDS = [
    ["K", "degC", "degF"],
    ["kg m-3", "g cm-3", "gC m-3", "Mg m-3", "0.1 g dm-3"],
    ["gC m-2 month-1", "kg m-2 s-1", "kgC m-2 yr-1", "t C/ha/yr", "mg C m-2 day-1"],
    ["1", "percent", "g kg-1", "ppm", "0.01"],
    ["m", "cm", "mm"],
]


@given(st.data(), st.floats(-1e3, 1e3))
def test_conversion_round_trip(data: st.DataObject, value: float) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    there, back = data.draw(st.sampled_from(kind)), data.draw(st.sampled_from(kind))
    factor, offset = conversion("x", there, back)
    inverse, inverse_offset = conversion("x", back, there)
    again = (value * factor + offset) * inverse + inverse_offset
    # Rounding: a few units in the last place of the largest number on the way.
    np.testing.assert_allclose(again, value, rtol=1e-12, atol=1e-11)
    assert factor * inverse == pytest.approx(1, rel=1e-15)


@given(
    st.lists(
        st.tuples(st.sampled_from(["kg", "m", "s", "K", "yr", "month"]), st.integers(-4, 4)),
        min_size=1,
        max_size=4,
    )
)
def test_text_of_a_unit_reads_back(factors: list[tuple[str, int]]) -> None:
    unit = parse(" ".join(f"{name}{exponent}" for name, exponent in factors), name="x")
    assert parse(str(unit), name="x") == unit


def temperatures(dtype: str = "float32", units: str = "degC") -> xr.DataArray:
    da = xr.DataArray(
        np.array([[0, 25.5], [np.nan, -40]], dtype),
        dims=("lat", "lon"),
        coords={"lat": [1.0, 2.0]},
        name="TSOI",
        attrs={"units": units, "long_name": "soil temperature"},
    )
    da.encoding = {"scale_factor": 0.1, "add_offset": 3.0, "_FillValue": -1, "dtype": "int16"} | {
        "grid_mapping": "crs"
    }
    return da


def test_to_units_converts_and_keeps_the_rest() -> None:
    given_in = temperatures()
    out = to_units(given_in, "K", name="TSOI")
    np.testing.assert_allclose(out, [[273.15, 298.65], [np.nan, 233.15]], rtol=1e-6)
    assert out.dtype == np.float32
    assert out.attrs == {"units": "K", "long_name": "soil temperature"}
    assert out.encoding == {"grid_mapping": "crs"}
    assert given_in.attrs["units"] == "degC"
    assert given_in.encoding["dtype"] == "int16"


def test_to_units_keeps_values_of_synonyms() -> None:
    given_in = temperatures(units="celsius")
    out = to_units(given_in, "degC", name="TSOI")
    np.testing.assert_array_equal(out, given_in)
    assert out.attrs["units"] == "degC"


def test_to_units_is_lazy(raise_if_dask_computes) -> None:  # type: ignore[no-untyped-def]
    given_in = temperatures().chunk(lat=1)
    with raise_if_dask_computes():
        out = to_units(given_in, "K", name="TSOI")
    assert isinstance(out.data, dask.array.Array)
    assert out.chunks == given_in.chunks
    xr.testing.assert_identical(out.compute(), to_units(temperatures(), "K", name="TSOI"))


def test_to_units_of_integers() -> None:
    da = xr.DataArray([1, 50], attrs={"units": "percent"})
    np.testing.assert_allclose(to_units(da, "1", name="sand"), [0.01, 0.5])


def test_to_units_refuses_time_intervals() -> None:
    da = xr.DataArray(np.array([1], "timedelta64[ns]"), attrs={"units": "days"})
    with pytest.raises(UnitsError, match="residence_time holds timedelta64"):
        to_units(da, "yr", name="residence_time")


@pytest.mark.parametrize(
    "registry", [pint_xarray.unit_registry, pint.UnitRegistry(force_ndarray_like=True)]
)
@pytest.mark.parametrize("chunks", [None, {"lat": 1}])
def test_dequantify(registry: pint.UnitRegistry, chunks: dict[str, int] | None) -> None:
    plain = xr.Dataset(
        {
            "TSOI": (("lat", "lon"), np.ones((2, 3)), {"long_name": "temperature"}),
            "flux": (("lat", "lon"), np.ones((2, 3))),
            "other": ("lat", [1, 2]),
        },
        coords={"lat": ("lat", [1.0, 2.0]), "lon": [5.0, 6.0, 7.0], "area": ("lat", [1.0, 2.0])},
    )
    if chunks:
        plain = plain.chunk(chunks)
    quantified = plain.pint.quantify(
        {"TSOI": "degC", "flux": "gram / m**2 / year", "area": "km**2", "lat": "degree"},
        unit_registry=registry,
    )
    quantified["other"].attrs["units"] = "kg m-3"
    out = dequantify(quantified)
    units = {name: out[name].attrs.get("units") for name in out.variables}
    assert units == {
        "TSOI": "degC",
        "flux": "g m-2 yr-1",
        "other": "kg m-3",
        "area": "km2",
        "lat": "deg",
        "lon": None,
    }
    assert out["TSOI"].attrs["long_name"] == "temperature"
    assert set(out.xindexes) == {"lat", "lon"}
    assert out.sel(lat=2.0).sizes == {"lon": 3}
    for name, variable in out.variables.items():
        assert not isinstance(variable._data, pint.Quantity)
        np.testing.assert_array_equal(variable, plain[name])
    if chunks:
        assert isinstance(out["TSOI"].data, dask.array.Array)
    xr.testing.assert_identical(dequantify(quantified["TSOI"]), out["TSOI"])


def test_dequantify_leaves_plain_data_alone() -> None:
    plain = temperatures().to_dataset()
    assert dequantify(plain) is plain


def test_to_units_takes_quantities() -> None:
    quantity = temperatures().pint.quantify(unit_registry=pint_xarray.unit_registry)
    out = to_units(quantity, "K", name="TSOI")
    np.testing.assert_allclose(out[0], [273.15, 298.65], rtol=1e-6)
    assert out.attrs["units"] == "K"


def test_registry_of_the_caller_is_left_alone() -> None:
    assert pint.get_application_registry().Quantity(1, "year").to("day").magnitude == 365.25


@pytest.mark.realdata
def test_every_unit_of_the_real_data(real_grid: xr.Dataset, real_profiles: xr.Dataset) -> None:
    for ds in (real_grid, real_profiles):
        for name, variable in ds.data_vars.items():
            if units := variable.attrs.get("units"):
                assert str(parse(units, name=str(name)))
