"""Tables of laboratory values: units, carbon density, pedotransfer functions, flags and counts."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xbinn
from xbinn.errors import InputError, ProfileError, UnitsError
from xbinn.labels.profiles import standardise_profiles
from xbinn.labels.samples import to_samples
from xbinn.labels.soil.bulk_density import PEDOTRANSFERS, estimate
from xbinn.labels.soil.rules import BITS, RULES
from xbinn.profiles import from_table, read_csv, report

COMMON = {"profile_id": "a", "lat": 45.0, "lon": 8.0}


def table(**columns):
    """One profile of samples of 10 cm, one below the other."""
    n = max(len(v) for v in columns.values())
    depths = {
        "depth_top [cm]": np.arange(n) * 10.0,
        "depth_bottom [cm]": np.arange(n) * 10.0 + 10.0,
    }
    return pd.DataFrame({**COMMON, **depths, **columns})


def met(ds, name):
    """Samples that a rule meets, in the order of the padded array."""
    flags = ds["quality"].values
    return ((flags & BITS[name]) != 0).ravel().tolist()


def findings(ds):
    return {f.subject: f for f in report(ds)}


@pytest.mark.parametrize(
    ("units", "values"),
    [
        ("%", [2.0]),
        ("g/kg", [20.0]),
        ("g/100g", [2.0]),
        ("gC/100 g", [2.0]),
        ("mg g-1", [20.0]),
        ("kg kg-1", [0.02]),
        ("wt%", [2.0]),
    ],
)
def test_carbon_as_a_mass_fraction(units, values):
    df = table(carbon=values, **{"bulk_density [g cm-3]": [1.3], "coarse_fragments": [0.1]})
    ds = from_table(df, units={"carbon": units, "coarse_fragments": "1"})
    assert float(ds["soc"][0, 0]) == pytest.approx(0.02 * 1300 * 0.9, rel=1e-14)
    assert float(ds["organic_carbon"][0, 0]) == pytest.approx(20.0)
    assert ds["soc"].attrs["units"] == "kg m-3"
    assert float(ds["depth_bottom"][0, 0]) == 0.1


@pytest.mark.parametrize(
    ("units", "value", "expected"),
    [
        ("t/ha", 30.0, 3.0 / 0.1),
        ("Mg C ha-1", 30.0, 3.0 / 0.1),
        ("kg m-2", 3.0, 3.0 / 0.1),
        ("kg m-3", 21.0, 21.0),
        ("gC m-3", 21000.0, 21.0),
        ("g cm-3", 0.021, 21.0),
    ],
)
def test_carbon_as_a_stock_or_a_density(units, value, expected):
    ds = from_table(table(**{f"carbon [{units}]": [value]}))
    assert float(ds["soc"][0, 0]) == pytest.approx(expected, rel=1e-12)
    origin = ds["soc_origin"].attrs["flag_meanings"].split()[int(ds["soc_origin"][0, 0])]
    assert origin == ("given_density" if "3" in units else "stock_over_thickness")


def test_what_is_measured_comes_before_what_is_not():
    df = table(
        **{
            "soc [kg m-3]": [9.0, np.nan, np.nan, np.nan],
            "organic_carbon [g/kg]": [10.0, 10.0, 10.0, 10.0],
            "bulk_density [kg m-3]": [1000.0, 1000.0, np.nan, np.nan],
            "soc_stock [kg m-2]": [0.5, 0.5, 0.5, np.nan],
        }
    )
    ds = from_table(df, pedotransfer="manrique_jones_1991")
    guess = 0.01 * 1000 * (1.660 - 0.318)
    np.testing.assert_allclose(ds["soc"][0], [9.0, 10.0, 5.0, guess])
    assert ds["soc_origin"][0].values.tolist() == [1, 2, 3, 5]
    assert met(ds, "bulk_density_estimated") == [False, False, False, True]


def test_coarse_fragments_by_mass_become_volume():
    df = table(**{"carbon [%]": [1.0], "bulk_density [g cm-3]": [1.325],
                  "coarse_fragments_mass [%]": [50.0]})  # fmt: skip
    # Half the mass at twice the density is a third of the volume.
    assert float(from_table(df)["coarse_fragments"][0, 0]) == pytest.approx(100 / 3)


def test_carbonate_is_taken_from_total_carbon():
    df = table(**{"total_carbon [%]": [3.0, 1.0, 2.0], "carbonate [%]": [10.0, 20.0, np.nan],
                  "bulk_density [g cm-3]": [1.0, 1.0, 1.0]})  # fmt: skip
    np.testing.assert_allclose(from_table(df)["soc"][0], [18.0, 0.0, 20.0], rtol=1e-12)


# --- pedotransfer functions -------------------------------------------------------------------

PUBLISHED = {
    # OC 2 %, clay 20 %, silt 40 %: worked by hand.
    "adams_1973": 100 / (3.448 / 0.311 + 96.552 / 1.47),
    "alexander_1980": 1.66 - 0.308 * 2**0.5,
    "federer_1983": np.exp(-2.31 - 1.079 * np.log(0.03448) - 0.113 * np.log(0.03448) ** 2),
    "kaur_2002": np.exp(0.313 - 0.382 + 0.4204 - 0.1904 - 0.1728),
    "manrique_jones_1991": 1.660 - 0.318 * 2**0.5,
    "tomasella_hodnett_1998": 1.578 - 0.108 - 0.24 - 0.08,
}


@pytest.mark.parametrize("name", PEDOTRANSFERS)
def test_pedotransfer_functions(name):
    texture = {"clay": np.array([20.0]), "silt": np.array([40.0])}
    density, outside = estimate(name, np.array([20.0]), texture)
    assert density[0] == pytest.approx(1000 * PUBLISHED[name], rel=1e-12)
    assert not outside[0]
    assert 900 < density[0] < 1500
    assert estimate(name, np.array([590.0]), texture)[1][0]
    assert PEDOTRANSFERS[name].citation
    assert PEDOTRANSFERS[name].valid


def test_a_missing_bulk_density_must_be_asked_for():
    df = table(**{"carbon [%]": [2.0, 15.0], "bulk_density [g cm-3]": [np.nan, np.nan]})
    bare = from_table(df)
    assert np.isnan(bare["soc"]).all()
    assert met(bare, "bulk_density_missing") == [True, True]
    assert 'pedotransfer="manrique_jones_1991"' in findings(bare)["bulk_density_missing"].advice
    ds = from_table(df, pedotransfer="alexander_1980")
    assert np.isfinite(ds["soc"]).all()
    assert met(ds, "bulk_density_estimated") == [True, True]
    assert met(ds, "pedotransfer_outside") == [False, True]
    said = findings(ds)["pedotransfer"].text
    assert "1.66 - 0.308 sqrt(OC)" in said
    assert "Alexander 1980" in said
    assert ds.attrs["pedotransfer"] == "alexander_1980"


def test_pedotransfer_functions_that_cannot_be_used():
    df = table(**{"carbon [%]": [2.0]})
    with pytest.raises(ProfileError, match=r"'best' is not known: choose one of adams_1973, alex"):
        from_table(df, pedotransfer="best")
    with pytest.raises(ProfileError, match=r"needs clay, silt, which .* \(adams_1973, alexander"):
        from_table(df, pedotransfer="kaur_2002")


# --- rules: every defect, one at a time -------------------------------------------------------


def good(n=3, **changed):
    """Samples with nothing wrong, but for what is changed."""
    df = table(**{"carbon [%]": [2.0, 1.0, 0.5][:n], "bulk_density [g cm-3]": [1.2, 1.3, 1.4][:n],
                  "coarse_fragments [%]": [0.0] * n})  # fmt: skip
    return df.assign(**changed)


DEFECTS = {
    # name: (what is changed, which samples it meets)
    "position_missing": (good(lat=np.nan), [True] * 3),
    "position_impossible": (good(lat=95.0), [True] * 3),
    "position_differs": (good(lat=[45.0, 45.0, 46.0]), [False, False, True]),
    "position_zero": (good(lat=0.0, lon=0.0), [True] * 3),
    "position_maybe_swapped": (good(lat=-97.0, lon=39.0), [True] * 3),
    "depth_missing": (good(**{"depth_bottom [cm]": [10, 20, np.nan]}), [False, False, True]),
    "depth_order": (good(**{"depth_bottom [cm]": [10, 20, 5]}), [False, False, True]),
    "above_surface": (good(**{"depth_top [cm]": [-5, 10, 20]}), [True, False, False]),
    "litter": (good(litter=[True, False, False]), [True, False, False]),
    "bulk_density_missing": (
        good(**{"bulk_density [g cm-3]": [1.2, np.nan, 1.4]}), [False, True, False],
    ),
    "bulk_density_impossible": (
        good(**{"bulk_density [g cm-3]": [1.2, -1.0, 140.0]}), [False, True, True],
    ),
    "coarse_fragments_impossible": (
        good(**{"coarse_fragments [%]": [-1.0, 0.0, 120.0]}), [True, False, True],
    ),
    "carbon_negative": (good(**{"carbon [%]": [2.0, -999.0, 0.5]}), [False, True, False]),
    "carbon_impossible": (good(**{"carbon [%]": [2.0, 1.0, 65.0]}), [False, False, True]),
    "carbon_zero": (good(**{"carbon [%]": [2.0, 1.0, 0.0]}), [False, False, True]),
    "carbon_suspect": (good(**{"carbon [%]": [20.0, 1.0, 0.5]}), [True, False, False]),
    "duplicate": (
        good(**{"depth_top [cm]": [0, 0, 10], "depth_bottom [cm]": [10, 10, 20],
                "carbon [%]": [2.0, 2.0, 1.0], "bulk_density [g cm-3]": 1.2}),
        [False, True, False],
    ),
    "replicate": (
        good(**{"depth_top [cm]": [0, 0, 10], "depth_bottom [cm]": [10, 10, 20]}),
        [True, True, False],
    ),
    "overlap": (good(**{"depth_bottom [cm]": [15, 20, 30]}), [False, True, False]),
    "gap": (good(**{"depth_top [cm]": [0, 10, 25]}), [False, False, True]),
    "coarse_fragments_assumed": (
        good(**{"coarse_fragments [%]": [0.0, np.nan, 0.0]}), [False, True, False],
    ),
    "texture_sum": (good(sand=[40.0, 90.0, 40.0], silt=40.0, clay=20.0), [False, True, False]),
}  # fmt: skip
UNITS = {"sand": "%", "silt": "%", "clay": "%"}


@pytest.mark.parametrize("name", DEFECTS)
def test_every_defect_alone(name):
    df, expected = DEFECTS[name]
    units = {n: u for n, u in UNITS.items() if n in df}
    columns = {"litter": "litter"} if "litter" in df else None
    ds = from_table(df, units=units, columns=columns)
    assert met(ds, name) == expected
    rule = next(r for r in RULES if r.name == name)
    # Nothing else is found, but for what follows of necessity.
    others = {r.name for r in RULES if any(met(ds, r.name))} - {name}
    swapped = {"position_impossible", "position_maybe_swapped"}
    assert others <= swapped if name in swapped else not others
    lost = np.isnan(ds["soc"].values).ravel().tolist()
    if rule.unusable:
        assert lost == expected
    elif name != "position_maybe_swapped":
        assert not any(lost)
    found = findings(ds)[name]
    assert found.details == {"samples": sum(expected), "profiles": 1}
    assert rule.meaning in found.text


def test_every_rule_is_tested():
    asked = {"bulk_density_estimated", "pedotransfer_outside"}
    assert {r.name for r in RULES} == DEFECTS.keys() | asked


def test_nothing_is_wrong_with_good_samples():
    ds = from_table(good())
    assert not ds["quality"].values.any()
    assert "Left out" not in report(ds).sections


def test_swapped_positions_are_seen_among_others():
    n = 40
    rng = np.random.default_rng(0)
    lat, lon = 40 + rng.uniform(-3, 3, n), 20 + rng.uniform(-3, 3, n)
    lat[3], lon[3] = lon[3], lat[3]
    df = pd.DataFrame({
        "profile_id": np.arange(n), "lat": lat, "lon": lon, "depth_top [m]": 0.0,
        "depth_bottom [m]": 0.1, "carbon [kg m-3]": 20.0,
    })  # fmt: skip
    ds = from_table(df)
    assert np.flatnonzero(met(ds, "position_maybe_swapped")).tolist() == [3]
    assert np.isfinite(ds["soc"]).all()


def test_fit_leaves_out_what_the_report_says(tmp_path):
    df = pd.concat([
        good(), good(profile_id="b", lat=np.nan), good(profile_id="c", **{"carbon [%]": -1.0}),
        good(profile_id=None), good(profile_id="d", **{"carbon [%]": np.nan}),
    ])  # fmt: skip
    ds = from_table(df)
    samples = to_samples(standardise_profiles(ds))
    assert samples.profile.tolist() == [0, 0, 0]
    assert ds["profile_id"].values.tolist() == ["a", "b", "c"]
    said = report(ds)
    assert said["What was read"][0].text == "9 samples of 3 profiles, 3 of these, in 1, can be used"
    found = findings(ds)
    assert found["rows_without_carbon"].details == {"rows": 3}
    assert found["rows_without_profile_id"].details == {"rows": 3}
    assert not said.problems
    assert said.ok
    # Flags and counts live in the Dataset: a file keeps them.
    ds.to_netcdf(tmp_path / "p.nc")
    assert repr(report(xr.load_dataset(tmp_path / "p.nc"))) == repr(said)
    json.dumps(said.to_dict())
    said.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "<table" in page
    assert "carbon_negative" in page
    text = repr(said)
    assert "Left out" in text
    assert "carbon [%], kept in g kg-1" in text


def test_a_report_needs_flags():
    with pytest.raises(
        ProfileError, match=r"carry no quality, soc_origin: only those.*xbinn.check"
    ):
        report(xbinn.testing.small_profiles(xbinn.testing.small_grid()))


# --- tables that cannot be used ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("df", "settings", "error", "match"),
    [
        (good().drop(columns=["lat"]), {}, ProfileError, r"missing from the table: lat \(lat\); it"),  # noqa: E501
        (good().drop(columns=["carbon [%]"]), {}, ProfileError, r"total_carbon \(carbon\); it has"),
        (good(), {"columns": {"carbon": "OC"}}, ProfileError, r"missing .*: OC \(carbon\); it has"),
        (good(), {"units": {"Corg": "%"}}, ProfileError, "Corg, which are no quantities"),
        (good().iloc[:0], {}, ProfileError, "no rows"),
        (
            good(lat="north"), {}, ProfileError,
            r"no numbers: lat \('north', in 3 of 3 rows, first in row 1\); correct the table",
        ),
        (
            good(**{"carbon [%]": ["2,0", "<0.1", 1]}), {}, ProfileError,
            r"carbon \('2,0', '<0.1', in 2 of 3 rows.*decimal=\",\"",
        ),
        (good(**{"carbon [%]": True}), {}, ProfileError, r"carbon \(bool is no number\)"),
        (
            good(**{"depth_top [m]": 0.0}), {}, ProfileError,
            r"of the same name: depth_top \[cm\], depth_top \[m\]; leave one",
        ),
        ([1.0], {}, ProfileError, "must be a pandas.DataFrame, not list: .*read_csv"),
        (
            good(), {"units": {"bulk_density": "parrots"}}, UnitsError,
            r'the unit .parrots.*values are in with units={"bulk_density": "kg m-3"}',
        ),
        (good(**{"carbon [%]": np.nan}), {}, ProfileError, r"no row .* \(3 without carbon, 0 with"),
        (
            good().rename(columns={"carbon [%]": "carbon"}), {}, UnitsError,
            r'carbon has no unit, so it may be .* units={"carbon": "g/kg"}',
        ),
        (
            good().rename(columns={"depth_top [cm]": "depth_top"}), {}, UnitsError,
            "depth_top has no units and is needed in 'm'",
        ),
        (
            good(), {"units": {"carbon": "K"}}, UnitsError,
            r"carbon is given in 'K', which is neither a mass fraction \(%, g/kg",
        ),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_used(df, settings, error, match):
    with pytest.raises(error, match=match):
        from_table(df, **settings)


def test_csv_with_other_separators_and_nulls(tmp_path):
    df = good().rename(columns={"lat": "Breite", "carbon [%]": "C org (g/kg)"})
    df["C org (g/kg)"] = ["20", "NULL", "5"]
    df.to_csv(tmp_path / "soil.csv", sep=";", index=False)
    columns = {"lat": "Breite", "carbon": "C org", "plot": "profile_id"}
    ds = read_csv(tmp_path / "soil.csv", columns=columns)
    np.testing.assert_allclose(ds["soc"][0], [24.0, 7.0])
    assert ds.attrs["rows_without_carbon"] == 1
    assert ds["plot"].values.tolist() == ["a"]
    assert ds.attrs["title"] == "soil.csv"
    df.to_csv(tmp_path / "soil.csv.gz", index=False)
    xr.testing.assert_equal(read_csv(tmp_path / "soil.csv.gz", columns=columns), ds)
    with pytest.raises(InputError, match=r"there is no none\.csv"):
        read_csv(tmp_path / "none.csv")
    (tmp_path / "bad.csv").write_text('a,b\n"1,2\n3,4,5\n')
    with pytest.raises(InputError, match=r"bad.csv cannot be read as a table \(.*save it as"):
        read_csv(tmp_path / "bad.csv")


GERMAN = (
    "Höhe;profile_id; lat;lon;depth_top [cm];depth_bottom [cm];carbon [%];bulk_density [g cm-3]\n"
    "12;a;45,5;8,25;0;10;2,0;1,2\n12;a;45,5;8,25;10;20;1.0;1,4\n"
)


@pytest.mark.parametrize(
    "text",
    [
        GERMAN.encode("utf-8-sig"),
        GERMAN.encode("cp1252"),
        GERMAN.encode("utf-16"),
        b"\r\n" + GERMAN.encode().replace(b"\n", b"\r\n"),
        GERMAN.replace(",", ".").replace(";", "|").encode(),
    ],
    ids=["bom", "cp1252", "utf-16", "blank line", "bars"],
)
def test_csv_as_spreadsheets_of_other_countries_write_it(tmp_path, text):
    (tmp_path / "boden.csv").write_bytes(text)
    ds = read_csv(tmp_path / "boden.csv", columns={"height": "Höhe"})
    np.testing.assert_allclose(ds["soc"], [[24.0, 14.0]])
    assert (float(ds["lat"][0]), float(ds["lon"][0])) == (45.5, 8.25)
    assert ds["height"].values.tolist() == [12]


def test_ids_of_a_file_are_text_as_written(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text(
        "Pit ,site,code,year,lat,lon,depth_top [cm],depth_bottom [cm],soc [kg m-3]\n"
        "00123,007,12E345,1998,45,8,0,10,20\n 123,070,12E346,,46,8,0,10,30\n"
        ",1,1,1,46,8,0,10,30\n"
    )
    columns = {"profile_id": "Pit", "site": "site", "code": "code"}
    ds = read_csv(file, columns=columns)
    assert ds["profile_id"].values.tolist() == ["00123", "123"]
    assert ds["site"].values.tolist() == ["007", "070"]
    assert ds["code"].values.tolist() == ["12E345", "12E346"]
    assert ds.attrs["rows_without_profile_id"] == 1
    # Numbers that a text would not change stay numbers.
    np.testing.assert_array_equal(ds["year"], [1998.0, np.nan])


def test_commas_in_ids_are_no_decimals(tmp_path):
    text = GERMAN.replace(";a;", ";1,10;", 1).replace(";a;", ";1,1;")
    (tmp_path / "boden.csv").write_text(text)
    ds = read_csv(tmp_path / "boden.csv")
    assert ds["profile_id"].values.tolist() == ["1,10", "1,1"]


def test_a_profile_lies_where_its_first_sample_with_a_position_does():
    ds = from_table(good(lat=[np.nan, 45.0, 45.0]))
    assert np.isnan(ds["soc"].values).ravel().tolist() == [True, False, False]
    assert float(ds["lat"][0]) == 45.0
    ds = from_table(good(lat=[4500.0, 45.0, 45.0]))
    assert met(ds, "position_impossible") == [True, False, False]
    assert float(ds["lat"][0]) == 45.0
    assert report(ds).to_dict()["sections"]["What was read"][0]["details"]["usable_samples"] == 2


@pytest.mark.realdata
def test_density_of_the_real_long_table(real_profiles):
    """Carbon, bulk density and coarse fragments give the density that the profiles have."""
    path = Path(os.environ["XBINN_DATA"]) / "conus_profiles_long.csv.gz"
    df = pd.read_csv(path, low_memory=False)
    df = df[df["oc_g_kg"].notna() & df["bd_g_cm3"].notna()]
    columns = {"depth_top": "upper_depth_m", "depth_bottom": "lower_depth_m", "carbon": "oc_g_kg",
               "bulk_density": "bd_g_cm3", "coarse_fragments": "crf_vol_pct"}  # fmt: skip
    units = {"depth_top": "m", "depth_bottom": "m", "carbon": "g/kg", "bulk_density": "g cm-3",
             "coarse_fragments": "%"}  # fmt: skip
    ds = from_table(df, columns=columns, units=units)
    wanted = real_profiles.set_index(profile="profile_id").sel(profile=ds["profile_id"].values)
    found, expected = ds["soc"].values, wanted["soc"].values[:, : ds.sizes["sample"]]
    # Profiles of which some samples have no bulk density are laid out otherwise.
    whole = np.isfinite(found).sum(1) == np.isfinite(wanted["soc"].values).sum(1)
    assert whole.sum() > 600
    both = whole[:, None] & np.isfinite(found)
    assert both.sum() > 2300
    apart = np.abs(found[both] / expected[both] - 1)
    # The table is rounded: bulk density to 1 kg m-3, coarse fragments to 0.01 percent.
    assert np.quantile(apart, 0.99) < 2e-3
    assert (apart < 0.01).mean() > 0.999
    assert apart.max() < 0.05
    assert int((ds["quality"].values & BITS["duplicate"]).sum()) == 0
