"""Readers of published layouts, on small files written here in those layouts."""

import sqlite3

import numpy as np
import pandas as pd
import pytest

from xbinn.errors import InputError, ProfileError
from xbinn.labels.soil.rules import BITS
from xbinn.profiles import LAYOUTS, read_kssl, read_raca, read_sodah, read_wosis, report


def write(folder, **tables):
    for name, (separator, columns) in tables.items():
        suffix = "tsv" if separator == "\t" else "csv"
        pd.DataFrame(columns).to_csv(folder / f"{name}.{suffix}", sep=separator, index=False)
    return folder


def met(ds, name):
    return (ds["quality"].values & BITS[name]) != 0


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_layouts_say_where_they_come_from(layout):
    assert "confirmed" in layout.source
    assert layout.reference
    assert {"profile_id", "lat", "lon", "depth_top", "depth_bottom"} <= {
        c.quantity for c in layout.columns
    }


@pytest.fixture
def wosis_2019(tmp_path):
    layer = {"profile_layer_id": [1, 2, 3, 4], "profile_id": [7, 7, 7, 9],
             "upper_depth": [0, 10, 30, 0], "lower_depth": [10, 30, 60, 20],
             "litter": [False, False, False, True]}  # fmt: skip
    physical = {
        **layer, "bdfi33_value_avg": [1.2, np.nan, np.nan, 0.2], "bdfiod_value_avg": [1.4, 1.5, np.nan, np.nan],  # noqa: E501
        "cfvo_value_avg": [10, np.nan, 0, np.nan], "clay_value_avg": [20, 25, 30, 10],
        "silt_value_avg": [40, 40, 40, 40], "sand_value_avg": [40, 35, 30, 50],
    }  # fmt: skip
    chemical = {**layer, "orgc_value": ["{1:20}", "{1:10}", "{1:5}", "{1:400}"],
                "orgc_value_avg": [20.0, 10.0, 5.0, 400.0]}  # fmt: skip
    profiles = {"profile_id": [7, 9], "country_name": ["Kenya", "Peru"], "dataset_id": ["X", "Y"],
                "latitude": [-1.0, -9.0], "longitude": [37.0, -75.0], "dsds": [60, 20]}  # fmt: skip
    return write(
        tmp_path, wosis_201909_profiles=("\t", profiles), wosis_201909_layers_physical=("\t", physical),  # noqa: E501
        wosis_201909_layers_chemical=("\t", chemical),
    )  # fmt: skip


def test_wosis_2019(wosis_2019):
    ds = read_wosis(wosis_2019)
    assert ds.attrs["layout"] == "wosis_2019"
    assert ds["profile_id"].values.tolist() == ["7", "9"]
    assert ds["country"].values.tolist() == ["Kenya", "Peru"]
    np.testing.assert_allclose(ds["lat"], [-1.0, -9.0])
    # 33 kPa first, oven dry where that is missing; coarse fragments by volume.
    np.testing.assert_allclose(ds["soc"][0], [20 * 1.2 * 0.9, 10 * 1.5, np.nan], rtol=1e-12)
    np.testing.assert_allclose(ds["depth_bottom"][0], [0.1, 0.3, 0.6])
    assert met(ds, "bulk_density_missing")[0].tolist() == [False, False, True]
    assert met(ds, "litter")[1, 0]
    assert np.isnan(ds["soc"][1]).all()
    filled = read_wosis(wosis_2019, pedotransfer="kaur_2002")
    assert np.isfinite(filled["soc"][0]).all()
    assert "WoSIS snapshot, September 2019" in repr(report(filled))


def test_wosis_2023(tmp_path):
    place = {"profile_id": [7, 7, 7], "layer_id": [1, 2, 2], "longitude": 37.0, "latitude": -1.0,
             "upper_depth": [0, 10, 10], "lower_depth": [10, 30, 30], "litter": "f",
             "country_name": "Kenya"}  # fmt: skip
    folder = write(
        tmp_path,
        wosis_202312_orgc=("\t", {**place, "value_avg": [20.0, 9.0, 11.0]}),
        wosis_202312_bdfi33=("\t", {"profile_id": [7], "layer_id": [1], "value_avg": [1.2]}),
        wosis_202312_bdfiod=("\t", {"profile_id": [7, 7], "layer_id": [1, 2], "value_avg": [1.4, 1.5]}),  # noqa: E501
    )  # fmt: skip
    ds = read_wosis(folder)
    assert ds.attrs["layout"] == "wosis_2023"
    # Several values of a layer are averaged.
    np.testing.assert_allclose(ds["soc"], [[20 * 1.2, 10 * 1.5]], rtol=1e-12)


def test_a_layer_that_only_the_physical_table_of_wosis_has(wosis_2019):
    file = wosis_2019 / "wosis_201909_layers_chemical.tsv"
    pd.read_csv(file, sep="\t").iloc[1:].to_csv(file, sep="\t", index=False)
    ds = read_wosis(wosis_2019)
    # It has no carbon, so it is counted and no sample; the others are as they were.
    assert ds.attrs["rows_without_carbon"] == 1
    np.testing.assert_allclose(ds["depth_top"][0], [0.1, 0.3])
    np.testing.assert_allclose(ds["lat"], [-1.0, -9.0])


def kssl_tables():
    layer = {"layer_key": [1, 2, 3], "labsampnum": ["a", "b", "c"], "pedon_key": [5, 5, 6],
             "site_key": [50, 50, 60], "hzn_top": [0, 15, 0], "hzn_bot": [15, 40, 20],
             "hzn_desgn": ["A", "Bw", "Oe"]}  # fmt: skip
    chemical = {
        "labsampnum": ["a", "a", "b", "c"], "prep_code": ["GP", "S", "S", ""],
        "estimated_organic_carbon": [9.0, 2.0, np.nan, np.nan],
        "organic_carbon_walkley_black": [np.nan] * 4, "total_carbon_ncs": [9.0, 2.5, 1.6, 40.0],
        "caco3_lt_2_mm": [np.nan, 1.0, 5.0, np.nan],
    }  # fmt: skip
    physical = {"labsampnum": ["a", "b", "c"], "prep_code": ["S", "S", "S"],
                "bulk_density_third_bar": [1.3, np.nan, np.nan],
                "bulk_density_oven_dry": [1.5, 1.6, np.nan],
                "total_frag_wt_pct_gt_2_mm_ws": [0.0, 20.0, np.nan],
                "clay_total": 20.0, "silt_total": 40.0, "sand_total": 40.0}  # fmt: skip
    pedon = {"pedon_key": [5, 6], "latitude_decimal_degrees": [40.0, np.nan],
             "longitude_decimal_degrees": [-97.0, np.nan]}  # fmt: skip
    site = {"site_key": [50, 60], "latitude_std_decimal_degrees": [1.0, 41.0],
            "longitude_std_decimal_degrees": [1.0, -98.0]}  # fmt: skip
    return {
        "lab_layer": layer, "lab_chemical_properties": chemical, "lab_physical_properties": physical,  # noqa: E501
        "lab_combine_nasis_ncss": pedon, "lab_site": site,
    }  # fmt: skip


@pytest.mark.parametrize("sqlite", [False, True])
def test_kssl(tmp_path, sqlite):
    path = tmp_path
    if sqlite:
        path = tmp_path / "ncss_labdata.sqlite"
        with sqlite3.connect(path) as database:
            for name, columns in kssl_tables().items():
                pd.DataFrame(columns).to_sql(name, database, index=False)
    else:
        write(tmp_path, **{name: (",", columns) for name, columns in kssl_tables().items()})
    ds = read_kssl(path)
    # Fine earth, not the ground rock of the first row; total carbon less that of carbonate.
    volume = (0.2 / 2650) / (0.2 / 2650 + 0.8 / 1600)
    np.testing.assert_allclose(ds["soc"][0], [20 * 1.3, 10 * 1.6 * (1 - volume)], rtol=1e-12)
    np.testing.assert_allclose(ds["lat"], [40.0, 41.0])
    assert ds["horizon"].values.tolist() == ["A", "Oe"]
    assert met(ds, "bulk_density_missing")[1, 0]
    assert np.isfinite(read_kssl(path, pedotransfer="adams_1973")["soc"][1, 0])


def test_raca(tmp_path):
    samples = {
        "rcasiteid": ["C0101", "C0101", "C0102"], "upedonid": ["C0101-1", "C0101-1", "C0102-1"],
        "TOP": [0, 5, 0], "BOT": [5, 22, 10], "c_tot_ncs": ["3", "1.2", "NULL"], "caco3": [10, np.nan, 1],  # noqa: E501
        "Measure_BD": [1.1, np.nan, 1.0], "Model_BD": [1.2, 1.3, 1.0], "fragvolc": [20.0, 0.0, 0.0],
        "LU": ["C", "C", "F"],
    }  # fmt: skip
    location = {
        "RaCA_Id": ["C0101", "C0102"],
        "Gen_lat": [47.0, 46.0],
        "Gen_long": [-122.8, -121.0],
    }
    write(tmp_path, RaCA_samples=(",", samples), RaCa_general_location=(",", location))
    ds = read_raca(tmp_path)
    np.testing.assert_allclose(ds["soc"], [[18 * 1.1 * 0.8, 12 * 1.3]], rtol=1e-12)
    assert met(ds, "bulk_density_estimated")[0].tolist() == [False, True]
    assert ds.attrs["rows_without_carbon"] == 1
    assert ds["land_use"].values.tolist() == ["C"]
    assert float(ds["lon"][0]) == -122.8


def test_sodah(tmp_path):
    data = {
        "network": "LTER", "site_code": ["HFR", "HFR", "HFR", "KNZ"], "location_name": "plot",
        "L1": ["a", "a", "b", np.nan], "observation_date": "2001-06-01", "lat": [42.5, 42.5, 42.5, 39.1],  # noqa: E501
        "long": [-72.2, -72.2, -72.2, -96.6], "layer_top": [0, 10, 0, 0], "layer_bot": [10, 20, 10, 15],  # noqa: E501
        "lyr_soc": [4.0, 2.0, 5.0, np.nan], "lyr_soc_stock": [np.nan, np.nan, 4000.0, 3000.0],
        "bd_samp": [0.8, 1.0, np.nan, np.nan], "coarse_frac": [np.nan, 0.0, np.nan, np.nan],
        "control_sample": True,
    }  # fmt: skip
    write(tmp_path, sodah=(",", data))
    ds = read_sodah(tmp_path / "sodah.csv")
    assert ds.sizes["profile"] == 3
    assert str(ds["profile_id"][0].item()).startswith("LTER|HFR|plot|a|2001-06-01|42.5")
    np.testing.assert_allclose(ds["soc"][0], [32.0, 20.0], rtol=1e-12)
    # g m-2 of the interval over its thickness.
    np.testing.assert_allclose(ds["soc"][1:, 0], [40.0, 20.0], rtol=1e-12)


def test_what_is_missing_is_named(tmp_path, wosis_2019):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(
        InputError, match=r"no file wosis_\*_orgc.tsv in .* one is needed to read WoS"
    ):
        read_wosis(empty)
    with pytest.raises(InputError, match="is no folder: name the folder that holds the tables"):
        read_wosis(wosis_2019 / "wosis_201909_profiles.tsv")
    with pytest.raises(InputError, match="there is no nowhere"):
        read_raca(tmp_path / "nowhere")
    (wosis_2019 / "wosis_201909_profiles.tsv").unlink()
    with pytest.raises(
        InputError, match=r"no file wosis_\*_profiles.tsv .*there is empty, wosis_2019"
    ):
        read_wosis(wosis_2019)
    with sqlite3.connect(tmp_path / "other.sqlite") as database:
        pd.DataFrame({"a": [1]}).to_sql("soils", database)
    with pytest.raises(InputError, match=r"has no table lab_layer \(it has soils"):
        read_kssl(tmp_path / "other.sqlite")


def test_another_version_of_a_layout_is_refused(wosis_2019):
    file = wosis_2019 / "wosis_201909_layers_chemical.tsv"
    df = pd.read_csv(file, sep="\t")
    df.drop(columns="profile_layer_id").to_csv(file, sep="\t", index=False)
    with pytest.raises(ProfileError, match=r"a table of wosis_2019 has no column profile_layer_id"):
        read_wosis(wosis_2019)
    df.drop(columns="orgc_value_avg").to_csv(file, sep="\t", index=False)
    with pytest.raises(ProfileError, match=r"missing from the table: orgc_value_avg \(carbon\)"):
        read_wosis(wosis_2019)


def test_ids_keep_their_zeros(tmp_path):
    """Also where sample numbers look like powers of ten."""
    tables = kssl_tables()
    new = {5: "00012", 6: "12"}
    for name in ("lab_layer", "lab_combine_nasis_ncss"):
        tables[name]["pedon_key"] = [new[i] for i in tables[name]["pedon_key"]]
    samples = {"a": "12E345", "b": "12E0345", "c": "00123"}
    for columns in tables.values():
        if "labsampnum" in columns:
            columns["labsampnum"] = [samples[i] for i in columns["labsampnum"]]
    ds = read_kssl(write(tmp_path, **{n: (",", columns) for n, columns in tables.items()}))
    assert ds["profile_id"].values.tolist() == ["00012", "12"]
    np.testing.assert_allclose(ds["lat"], [40.0, 41.0])
    np.testing.assert_allclose(ds["organic_carbon"][0], [20.0, 10.0])


def test_ids_of_the_database_are_those_of_its_tables(tmp_path):
    path = tmp_path / "ncss_labdata.sqlite"
    with sqlite3.connect(path) as database:
        for name, columns in kssl_tables().items():
            pd.DataFrame(columns).to_sql(name, database, index=False)
    assert read_kssl(path)["profile_id"].values.tolist() == ["5", "6"]
