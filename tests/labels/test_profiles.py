"""Profiles: tables, Datasets, samples, and the count of what is left out."""

from typing import Any

import numpy as np
import pandas as pd
import pint_xarray  # noqa: F401  (registers .pint)
import pytest
import xarray as xr

from xbinn.errors import ProfileError, UnitsError
from xbinn.labels.profiles import from_dataframe, standardise_profiles
from xbinn.labels.samples import to_samples


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "profile_id": ["b", "b", "a", "b", "c"],
            "lat": [40.0, 40.0, 41.0, 40.0, 42.0],
            "lon": [-90.0, -90.0, -91.0, -90.0, -92.0],
            "upper_depth_m": [0.1, 0.0, 0.0, 0.3, 0.0],
            "lower_depth_m": [0.3, 0.1, 0.5, 0.6, 0.2],
            "soc_density": [20.0, 30.0, 10.0, 5.0, np.nan],
            "year": [2001.0, 2001.0, np.nan, 2001.0, 2003.0],
            "source": ["x", "x", None, "x", "y"],
            "ignored": 1,
        }
    )


def test_table_becomes_padded_profiles() -> None:
    ds = from_dataframe(table())
    assert dict(ds.sizes) == {"profile": 3, "sample": 3}
    assert ds["profile_id"].values.tolist() == ["b", "a", "c"]
    np.testing.assert_array_equal(ds["soc"][0], [30.0, 20.0, 5.0])
    np.testing.assert_array_equal(ds["depth_top"][1], [0.0, np.nan, np.nan])
    np.testing.assert_array_equal(ds["lat"], [40.0, 41.0, 42.0])
    np.testing.assert_array_equal(ds["year"], [2001.0, np.nan, 2003.0])
    assert ds["source"].values.tolist() == ["x", "", "y"]
    assert ds["source"].dtype.kind == "U"
    assert ds["soc"].attrs["units"] == "kg m-3"
    assert "ignored" not in ds
    xr.testing.assert_equal(standardise_profiles(ds), ds)


def test_columns_may_have_other_names() -> None:
    renamed = table().rename(columns={"soc_density": "c", "lat": "y", "ignored": "plot"})
    ds = from_dataframe(renamed, {"soc": "c", "lat": "y", "plot_number": "plot"})
    assert ds["plot_number"].values.tolist() == [1, 1, 1]
    xr.testing.assert_equal(ds.drop_vars("plot_number"), from_dataframe(table()))


def test_integer_ids_and_nullable_columns() -> None:
    df = table().assign(profile_id=[2, 2, 1, 2, 3])
    df["soc_density"] = df["soc_density"].astype("Float64")
    ds = from_dataframe(df)
    assert ds["profile_id"].values.tolist() == [2, 1, 3]
    assert ds["soc"].dtype == np.float64


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda df: df.drop(columns=["lat", "soc_density"]),
            r"missing from the table: lat \(lat\), soc_density \(soc\).*columns=",
        ),
        (lambda df: df.iloc[:0], "no rows"),
        (
            lambda df: df.assign(lat="north", soc_density="much"),
            "hold no numbers: lat, soc_density; convert",
        ),
        (
            lambda df: df.assign(profile_id=["b", None, "a", "b", None]),
            "2 rows without profile_id: leave out",
        ),
        (
            lambda df: df.assign(lat=[40.0, 40.1, 41.0, 40.0, 42.0]),
            r"1 profile \(b\) has more than one position; give each",
        ),
    ],
)
def test_tables_that_cannot_be_used(change: Any, match: str) -> None:
    with pytest.raises(ProfileError, match=match):
        from_dataframe(change(table()))


def test_other_dimension_names_units_and_positions() -> None:
    ds = from_dataframe(table())
    expected = standardise_profiles(ds)
    other = ds.rename(profile="site", sample="horizon", lat="latitude", lon="longitude")
    other = other.reset_coords(["latitude", "longitude"]).transpose("horizon", "site")
    other["soc"] = (other["soc"] / 1000).assign_attrs(units="g cm-3")
    other["depth_top"] = (other["depth_top"] * 100).assign_attrs(units="cm")
    other["depth_bottom"] = other["depth_bottom"].pint.quantify("m")
    out = standardise_profiles(other)
    xr.testing.assert_allclose(out, expected)
    assert {"lat", "lon", "profile_id"} <= set(out.coords)
    assert out["soc"].attrs["units"] == "kg m-3"


def test_one_sample_a_profile_and_common_depths() -> None:
    ds = from_dataframe(table())
    single = ds.isel(sample=0)
    assert standardise_profiles(single)["soc"].shape == (3, 1)
    common = ds.assign(depth_top=ds["depth_top"][0], depth_bottom=ds["depth_bottom"][0])
    assert standardise_profiles(common)["depth_top"].shape == (3, 3)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda ds: ds.drop_vars(["lat", "soc"]), r"profiles lack soc, lat \(they have.*rename"),
        (
            lambda ds: ds.assign_coords(lat=40.0),
            r"have dimensions soc .*lat \(\), .*from_dataframe",
        ),
        (lambda ds: ds.expand_dims(replicate=2), r"needed are soc and depths on \(profile, sample"),
        (
            lambda ds: ds.assign_coords(lat=ds["lon"], lon=ds["lat"] + 400),
            r"lat outside -90 to 90 in 2 .*-91 \(profile 1\).*lon outside -180 to 360.*swapped",
        ),
        (
            lambda ds: ds.assign_coords(lat=ds["lat"].astype(str)),
            "impossible positions: lat is of type <U",
        ),
        (
            lambda ds: ds.assign(soc=ds["soc"].astype(str)),
            r"not real numbers: soc \(<U.*astype",
        ),
        (lambda ds: ds.to_dataframe(), "must be an xarray.Dataset, not DataFrame: a table becomes"),
    ],
)
def test_profiles_that_cannot_be_used(change: Any, match: str) -> None:
    with pytest.raises(ProfileError, match=match):
        standardise_profiles(change(from_dataframe(table())))


def test_bad_units_are_named_together() -> None:
    ds = from_dataframe(table())
    ds["soc"].attrs["units"] = "percent"
    del ds["depth_top"].attrs["units"]
    with pytest.raises(UnitsError, match=r"2 variables(.|\n)*soc(.|\n)*depth_top"):
        standardise_profiles(ds)


def test_weights_are_carried_and_must_be_one_a_profile() -> None:
    df = table().assign(weight=[2, 2, 1, 2, 0])
    weight = standardise_profiles(from_dataframe(df))["weight"]
    np.testing.assert_array_equal(weight, [2, 1, 0])
    bare = from_dataframe(df).reset_coords("weight")
    xr.testing.assert_equal(standardise_profiles(bare)["weight"].variable, weight.variable)
    with pytest.raises(ProfileError, match=r"1 profile \(b\) has more than one weight; give"):
        from_dataframe(df.assign(weight=[2, np.nan, 1, 2, 0]))
    wide = from_dataframe(df).assign_coords(weight=(("profile", "sample"), np.ones((3, 3))))
    with pytest.raises(ProfileError, match=r"weight has dimensions \(profile, sample\).*reduce"):
        standardise_profiles(wide)
    text = bare.assign(weight=("profile", ["a", "b", "c"]))
    with pytest.raises(ProfileError, match=r"not real numbers: weight \(<U1"):
        standardise_profiles(text)


def test_no_profiles_and_nothing_at_all() -> None:
    with pytest.raises(ProfileError, match=r"there are no profiles: .* length 0"):
        standardise_profiles(from_dataframe(table()).isel(profile=slice(0)))
    with pytest.raises(ProfileError, match="they have no variables at all"):
        standardise_profiles(xr.Dataset())


def profile(*samples: tuple[float, float, float], lat: float = 40.0) -> xr.Dataset:
    """One profile of (top, bottom, soc)."""
    columns = np.array(samples).T.reshape(3, 1, -1)
    data = {
        name: (("profile", "sample"), values, {"units": units})
        for name, values, units in zip(
            ("depth_top", "depth_bottom", "soc"), columns, ("m", "m", "kg m-3"), strict=True
        )
    }
    coords = {"lat": ("profile", [lat]), "lon": ("profile", [-90.0])}
    return standardise_profiles(xr.Dataset(data, coords))


def test_every_sample_is_used_or_counted() -> None:
    nan = np.nan
    good = [(0.0, 0.1, 30.0), (0.1, 0.2, 0.0), (8.5, 9.0, 1.0)]
    bad = {
        "soc missing": [(0.2, 0.3, nan), (0.2, 0.3, np.inf)],
        "depth missing": [(nan, 0.3, 5.0), (0.2, nan, 5.0)],
        "above the surface": [(-0.05, 0.0, 5.0)],
        "top not above bottom": [(0.3, 0.3, 5.0), (0.4, 0.3, 5.0)],
        "below the model column": [(8.6, 9.0, 5.0)],
        "soc negative": [(0.3, 0.4, -1.0)],
        "soc above 700 kg m-3": [(0.3, 0.4, 701.0)],
    }
    padding = [(nan, nan, nan)]
    samples = to_samples(profile(*good, *(s for group in bad.values() for s in group), *padding))
    assert samples.dropped_samples == {reason: len(group) for reason, group in bad.items()}
    assert samples.dropped_profiles == {}
    assert samples.profile.tolist() == [0, 0, 0]
    assert samples.profile.dtype == np.int64
    np.testing.assert_array_equal(samples.top, [0.0, 0.1, 8.5])
    np.testing.assert_array_equal(samples.bottom, [0.1, 0.2, 9.0])
    np.testing.assert_array_equal(samples.soc, [30.0, 0.0, 1.0])


def test_profiles_without_samples_or_position_are_counted() -> None:
    good = profile((0.0, 0.1, 30.0))
    empty = profile((0.0, 0.1, -30.0))
    nowhere = profile((0.0, 0.1, 30.0), lat=np.nan)
    samples = to_samples(xr.concat([empty, good, nowhere], "profile"))
    assert samples.profile.tolist() == [1]
    assert samples.dropped_samples == {"soc negative": 1, "profile without position": 1}
    assert samples.dropped_profiles == {"no usable sample": 1, "no position": 1}


def test_samples_have_the_weight_of_their_profile() -> None:
    one = profile((0.0, 0.1, 30.0), (0.1, 0.2, 10.0))
    np.testing.assert_array_equal(to_samples(one).weight, [1.0, 1.0])
    weights = [3.0, 0.0, np.nan, -1.0, np.inf, 0.5]
    many = xr.concat([one] * len(weights), "profile").assign_coords(weight=("profile", weights))
    samples = to_samples(many)
    assert samples.profile.tolist() == [0, 0, 5, 5]
    assert samples.weight.tolist() == [3.0, 3.0, 0.5, 0.5]
    assert samples.weight.dtype == np.float64
    assert samples.dropped_profiles == {"weight missing or negative": 3, "weight zero": 1}
    assert samples.dropped_samples == {"weight missing or negative": 6, "weight zero": 2}


def test_overlapping_samples_are_kept_and_counted() -> None:
    one = profile((0.0, 0.3, 1.0), (0.2, 0.4, 1.0), (0.0, 10.0, 1.0), (0.4, 0.5, 1.0))
    nan = np.nan
    other = profile((0.0, 0.3, 1.0), (0.3 - 1e-6, 0.5, 1.0), (nan, nan, nan), (nan, nan, nan))
    samples = to_samples(xr.concat([one, other], "profile"))
    assert samples.overlapping == 3
    assert samples.soc.size == 6


def test_no_sample_left_is_an_error() -> None:
    with pytest.raises(
        ProfileError,
        match=r"the profile has no usable sample .*1 soc missing, 1 soc negative.*units",
    ):
        to_samples(profile((0.0, 0.1, np.nan), (0.1, 0.2, -1.0)))
    with pytest.raises(ProfileError, match="left out: none at all"):
        to_samples(profile((np.nan, np.nan, np.nan)))


@pytest.mark.realdata
def test_real_profiles_are_all_used(real_profiles: xr.Dataset) -> None:
    profiles = standardise_profiles(real_profiles)
    samples = to_samples(profiles)
    assert samples.soc.size == int(np.isfinite(real_profiles["soc"]).sum())
    assert samples.dropped_samples == samples.dropped_profiles == {}
    assert profiles["profile_id"].dtype.kind == "U"
