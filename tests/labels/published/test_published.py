"""Files of the published layout, written here by code of its own, come back as Datasets."""

import h5py
import numpy as np
import pytest
import scipy.io
import xarray as xr

import xbinn
from xbinn.datasets import open_published
from xbinn.errors import InputError

RUN = "cesm2_simu/spinup_ss/sasu_f05_g16_checked_step4_cesm2_ss_4da_661_680_"
WOSIS = "wosis_2019_snap_shot/"
CASE = "cesm2_clm5_cen_vr_v2"
CELLS = np.array([[40.25, -100.25], [-10.75, 25.75], [60.25, 100.25]])
"""Latitude and longitude of the cells of the table; their forcing differs."""
MONTHLY = {
    "TSOI": 285.0, "W_SCALAR": 0.5, "O_SCALAR": 0.9, "FPI_vr": 0.8,
    "LITR1_INPUT_ACC_VECTOR": 60.0, "LITR2_INPUT_ACC_VECTOR": 50.0,
    "LITR3_INPUT_ACC_VECTOR": 20.0, "CWD_INPUT_ACC_VECTOR": 30.0,
}  # fmt: skip
FLAT = {"ALTMAX": 8.0, "ALTMAX_LASTYEAR": 8.0, "nbedrock": 15.0, "NPP": 1e-5}


def row_and_column(lat, lon):
    return int((90 - lat) * 384 / 180), int((lon + 180) * 576 / 360)


def value_of(name, base, cell, layer, month):
    """Made-up, different everywhere, and possible."""
    if name == "nbedrock":
        return base - cell
    return base * (1 + 0.01 * cell + 0.001 * layer + 0.0001 * month)


def write_climatology(path, name, base, layers):
    """As MATLAB -v7.3: HDF5 behind a block of 512 bytes, axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        shape = (12, *((layers,) if layers else ()), 576, 384)
        chunks = (12, *((layers,) if layers else ()), 36, 24)
        data = file.create_dataset(
            "var_record_monthly_mean", shape, "f4", chunks=chunks, fillvalue=1e36
        )
        for cell, (lat, lon) in enumerate(CELLS):
            i, j = row_and_column(lat, lon)
            for month in range(12):
                for layer in range(layers or 1):
                    where = (month, *((layer,) if layers else ()), j, i)
                    data[where] = value_of(name, base, cell, layer, month)


def site_table():
    rng = np.random.default_rng(1)
    table = rng.uniform(0, 10, (4, 81))
    table[:, 0:3] = [[1, 101, 2], [2, 102, 1], [3, 103, 1], [4, 104, 2]]
    table[:, 3] = [-100.1, 25.8, 100.3, -100.2]
    table[:, 4] = [40.2, -10.8, 60.3, 40.3]
    table[:, 9] = [10, 20, 10, 30]  # ESA_Land_Cover
    for column in (11, 12, 13, 62, 63, 64, 65, 66, 72 - 2):
        table[:, column] = np.round(table[:, column])
    return table


def grid_table():
    table = np.random.default_rng(2).uniform(0, 10, (3, 77))
    table[:, 0], table[:, 1] = CELLS[:, 1], CELLS[:, 0]
    table[:, 6] = [10, 20, 40]
    return table


@pytest.fixture(scope="module")
def tables():
    columns = xbinn.labels.published.layout.SITE_COLUMNS
    assert len(columns) == 81
    sites, grid = site_table(), grid_table()
    from xbinn.labels.published.layout import CLASSES, GRID_COLUMNS

    for name in CLASSES:
        sites[:, columns.index(name)] = np.round(sites[:, columns.index(name)])
        grid[:, GRID_COLUMNS.index(name)] = np.round(grid[:, GRID_COLUMNS.index(name)])
    return sites, grid


@pytest.fixture(scope="module")
def root(tmp_path_factory, tables):
    root = tmp_path_factory.mktemp("published")
    sites, grid = tables
    for folder in (WOSIS, "data4nn", RUN.rsplit("/", 1)[0], "output", "PRODA_Results"):
        (root / folder).mkdir(parents=True)
    info = np.array([
        [101, 1, 156, -100.1, 40.2, 2, 1980], [102, 2, 7, 25.8, -10.8, 1, 1990],
        [103, 3, 9, 100.3, 60.3, 1, 2000], [104, 1, 156, -100.2, 40.3, 2, 1985],
    ])  # fmt: skip
    data = np.array([
        [101, 1980, 0, 10, 5, 1, 20000, 1.2, 0], [101, 1980, 10, 30, 20, 2, 9000, 1.4, 1],
        [102, 1990, 0, 20, 10, 1, 15000, 1.3, 0], [104, 1985, 20, 40, 30, 1, 7000, 1.3, 0],
        [104, 1985, 0, 20, 10, 1, 16000, 1.1, 0], [999, 1985, 0, 20, 10, 1, 1, 1.1, 0],
    ])  # fmt: skip
    for stem, name, table in (
        ("soc_profile_wosis_2019_snapshot_hugelius_mishra", "soc_profile_info", info),
        ("soc_data_integrate_wosis_2019_snapshot_hugelius_mishra", "data_soc_integrate", data),
    ):
        # MATLAB writes its columns as the first dimension of netCDF.
        xr.Dataset({name: (("columns", "rows"), table.T)}).to_netcdf(root / f"{WOSIS}{stem}.nc")
    scipy.io.savemat(
        root / f"{WOSIS}wosis_2019_snapshot_hugelius_mishra_env_info.mat", {"EnvInfo": sites}
    )
    scipy.io.savemat(
        root / "data4nn/world_grid_envinfo_present.mat", {"EnvInfo": grid}, do_compression=True
    )
    ranges = np.stack([np.arange(81.0), np.arange(81.0) + 5], axis=1)
    scipy.io.savemat(
        root / f"data4nn/world_grid_envinfo_present_{CASE}_whole_time_col_max_min.mat",
        {"col_max_min": ranges},
    )
    for name, base in MONTHLY.items():
        write_climatology(root / f"{RUN}{name}.mat", name, base, 20)
    for name, base in FLAT.items():
        write_climatology(root / f"{RUN}{name}.mat", name, base, 0)
    scipy.io.savemat(
        root / f"output/{CASE}_para_gr.mat", {"para_gr": 1 + np.arange(84).reshape(4, 21) / 100}
    )
    scipy.io.savemat(
        root / f"output/{CASE}_stat_r2.mat", {"stat_r2": np.arange(12).reshape(4, 3) / 12}
    )
    scipy.io.savemat(
        root / f"output/eligible_profile_loc_0_{CASE}_whole_time.mat",
        {"eligible_loc_0": [[1], [2], [4]]},
    )
    scipy.io.savemat(
        root / f"output/{CASE}_representative_profiles.mat", {"sample_profile_id": [[2]]}
    )
    for fold in range(1, 10):
        end = f"{CASE}_whole_time_cross_valid_0_{fold}.csv"
        unit = np.full((2, 21), 0.5 * fold if fold < 3 else 0.25)
        unit[0, 2] = -0.1 if fold < 3 else 0.1
        np.savetxt(root / f"PRODA_Results/nn_para_result_full_{end}", unit, delimiter=",")
        np.savetxt(
            root / f"PRODA_Results/nn_site_loc_full_{end}",
            [1, 4] if fold == 1 else [2, 3],
            fmt="%d",
        )
    return root


@pytest.fixture(scope="module")
def published(root):
    found = open_published(root, parts=("grid", "profiles", "proda"))
    found.grid.load()  # once for all tests
    return found


def test_forcing_is_that_of_the_cell_month_and_layer(published):
    grid = published.grid
    for name, base in {**MONTHLY, **FLAT}.items():
        short = name.replace("_ACC_VECTOR", "")
        values = grid[short].values
        for cell in range(3):
            for month in (0, 1, 11):
                for layer in (0, 7, 19) if "depth" in grid[short].dims else (0,):
                    where = {"cell": cell, "month": month} | (
                        {"depth": layer} if values.ndim == 3 else {}
                    )
                    expected = value_of(name, base, cell, layer, month)
                    assert float(grid[short].isel(where)) == pytest.approx(expected, rel=1e-6)
    assert grid["CWD_INPUT"].attrs["units"] == "gC m-3 month-1"
    np.testing.assert_array_equal(grid["lat"], CELLS[:, 0])


def test_opening_reads_no_climatology(root, raise_if_dask_computes):
    with raise_if_dask_computes():
        grid = open_published(root, parts=["grid"]).grid
    assert grid["TSOI"].chunks is not None
    assert grid["TSOI"].dims == ("month", "depth", "cell")


def test_covariates_are_the_columns(published, tables):
    sites, grid = tables
    assert float(published.grid["BIO1"][1]) == pytest.approx(grid[1, 18 - 3])
    assert float(published.grid["cesm2_vegc"][2]) == pytest.approx(grid[2, -2])
    assert published.grid["BIO1"].attrs["published_min"] == 18.0
    assert published.grid["BIO1"].attrs["published_max"] == 23.0
    assert list(published.grid["ESA_Land_Cover"].attrs["flag_values"]) == [10, 20, 30, 40]
    assert not {"Date", "Lon", "R_Squared", "ProfileID"} & set(published.grid)
    assert float(published.sites["BIO19"][2]) == pytest.approx(sites[3, 36])
    assert list(published.sites["profile_id"].values) == [101, 102, 104]


def test_profiles_are_those_of_open_profiles(published):
    profiles = published.profiles
    assert dict(profiles.sizes) == {"profile": 3, "sample": 2, "parameter": 21, "chain": 3}
    np.testing.assert_allclose(profiles["soc"], [[20, 9], [15, np.nan], [16, 7]])
    np.testing.assert_allclose(profiles["depth_bottom"], [[0.1, 0.3], [0.2, np.nan], [0.2, 0.4]])
    np.testing.assert_allclose(profiles["bulk_density"][0], [1.2, 1.4])
    assert profiles.attrs["samples_without_profile"] == 1
    assert profiles.attrs["profiles_without_samples"] == 1
    assert list(profiles["country_name"].values) == [156, 7, 156]
    # Rows are counted from 1 in the files.
    assert list(profiles["eligible"].values) == [True, True, True]
    assert list(profiles["representative"].values) == [False, True, False]
    assert float(profiles["gelman_rubin"][2, 0]) == pytest.approx(1.63)
    assert float(profiles["chain_r2"][1, 2]) == pytest.approx(5 / 12)


def test_retrieved_parameters_are_physical_and_not_clipped(published):
    retrieved = published.retrieved
    # PRODA's prior of q10 is 1.2 to 3, that of tau4s3 200 to 1000.
    np.testing.assert_allclose(retrieved["q10"].sel(fold=1), [1.02, np.nan, 2.1])
    np.testing.assert_allclose(retrieved["tau4s3"].sel(fold=2), [np.nan, 1000.0, np.nan])
    assert retrieved.attrs["values_outside_the_prior"] == 2
    assert retrieved["q10"].attrs["units"] == "1"


def test_they_are_used_as_any_other(published):
    report = xbinn.check(published.grid, published.profiles)
    assert report.ok, report
    out = xbinn.simulate(published.grid, xbinn.default_parameters(published.grid))
    assert (out["status"] == 0).all()
    model = published.grid.binn.fit(
        published.profiles, covariates=["BIO1", "ESA_Land_Cover"], epochs=1, seed=0, hidden=(4,),
        validation=None,
    )  # fmt: skip
    assert model.left_out == {}


# --- what is missing or wrong -----------------------------------------------------------------


def test_all_that_is_missing_is_listed_by_name(tmp_path):
    with pytest.raises(InputError, match="missing under") as caught:
        open_published(tmp_path, parts=("grid", "profiles", "proda"))
    for name in ("world_grid_envinfo_present.mat", "661_680_TSOI.mat", "CWD_INPUT_ACC_VECTOR.mat",
                 "soc_profile_wosis_2019_snapshot_hugelius_mishra.nc", f"{CASE}_para_gr.mat",
                 "nn_para_result_full_...cross_valid_0_1.csv",
                 "nn_site_loc_full_...cross_valid_0_9.csv"):  # fmt: skip
        assert name in str(caught.value)
    with pytest.raises(InputError, match="is no folder"):
        open_published(tmp_path / "no")
    with pytest.raises(InputError, match="parts='plants' is not known"):
        open_published(tmp_path, parts="plants")
    with pytest.raises(InputError, match='"proda" without "profiles"'):
        open_published(tmp_path, parts=["proda"])


@pytest.fixture
def copy(root, tmp_path):
    """The small files of the root, to be spoilt."""
    import shutil

    to = tmp_path / "copy"
    shutil.copytree(root, to, ignore=shutil.ignore_patterns("cesm2_simu", "data4nn"))
    return to


def spoil(copy, name, array=None, **arrays):
    (path,) = copy.rglob(name)
    if path.suffix == ".csv":
        np.savetxt(path, array, delimiter=",")
    else:
        scipy.io.savemat(path, arrays)


@pytest.mark.parametrize(
    ("name", "arrays", "match"),
    [
        ("*env_info.mat", {"EnvInfo": np.ones((4, 80))}, "shape 4 x 80, .* 81 columns"),
        ("*env_info.mat", {"EnvInfo": np.ones((3, 81))}, "3 rows, but there are 4 profiles"),
        ("*env_info.mat", {"Other": np.ones((4, 81))}, "has no array EnvInfo"),
        ("*para_gr.mat", {"para_gr": np.ones((5, 21))}, "5 rows, but there are 4 profiles"),
        ("eligible*.mat", {"eligible_loc_0": np.array([[0.0]])}, "indices from 0 to 0"),
        ("nn_para*_1.csv", {"array": np.ones((3, 21))}, "3 rows and .* has 2"),
        ("nn_para*_1.csv", {"array": np.ones((2, 20))}, "shape 2 x 20"),
    ],
)
def test_files_that_hold_something_else(copy, name, arrays, match):
    spoil(copy, name, **arrays)
    with pytest.raises(InputError, match=match):
        open_published(copy, parts=("profiles", "proda"))


def test_damaged_and_double_files(copy, root):
    parts = ("profiles", "proda")
    (copy / "PRODA_Results").joinpath("nn_site_loc_full_x").touch()
    (table,) = copy.rglob("nn_para*_2.csv")
    table.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no table of numbers"):
        open_published(copy, parts=parts)
    table.unlink()
    for places in copy.rglob("nn_site*_[37].csv"):
        places.unlink()
    wanted = r"(?s)nn_para_\S*_2\.csv\n- nn_site_\S*_0_3\.csv\n- nn_site_\S*_0_7\.csv\nput them"
    with pytest.raises(InputError, match=wanted):
        open_published(copy, parts=parts)
    (first,) = copy.rglob("nn_para*_1.csv")
    (copy / first.name).write_bytes(first.read_bytes())
    with pytest.raises(InputError, match=r"nn_para\S*_1\.csv: there more than once"):
        open_published(copy, parts=parts)
    (copy / first.name).rename(copy / "nn_para_result_full_other_cross_valid_0_1.csv")
    with pytest.raises(InputError, match=r"several runs \(cesm2\S*, other_\)"):
        open_published(copy, parts=parts)
    (copy / "nn_para_result_full_other_cross_valid_0_1.csv").unlink()
    for file in (root / "PRODA_Results").iterdir():
        (copy / "PRODA_Results" / file.name).write_bytes(file.read_bytes())
    (gr,) = copy.rglob("*para_gr.mat")
    (copy / gr.name).write_bytes(gr.read_bytes())
    assert open_published(copy, parts=parts).retrieved.sizes["fold"] == 9  # its own place wins
    (copy / "again").mkdir()
    (copy / gr.name).rename(copy / "again" / gr.name)
    with pytest.raises(InputError, match="more than once"):
        open_published(copy, parts=parts)
    (copy / "again" / gr.name).unlink()
    gr.write_bytes(b"MATLAB 5.0 MAT-file, cut")
    with pytest.raises(InputError, match="cannot be read as a MATLAB file"):
        open_published(copy, parts=parts)
    (samples,) = copy.rglob("soc_data*.nc")
    xr.Dataset({"data_soc_integrate": (("c", "r"), np.ones((9, 2)))}).to_netcdf(samples)
    with pytest.raises(InputError, match="no sample of"):
        open_published(copy, parts=parts)
    xr.Dataset({"other": (("c", "r"), np.ones((9, 2)))}).to_netcdf(samples)
    with pytest.raises(InputError, match="has no array data_soc_integrate"):
        open_published(copy, parts=parts)
    samples.write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read as NetCDF"):
        open_published(copy, parts=parts)


def test_climatologies_of_another_grid(root, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    with h5py.File(copy / f"{RUN}ALTMAX.mat", "w") as file:
        file["var_record_monthly_mean"] = np.ones((12, 57, 38))
    with pytest.raises(InputError, match="shape 38 x 57 x 12"):
        open_published(copy, parts=["grid"])
    with h5py.File(copy / f"{RUN}ALTMAX.mat", "w") as file:
        file["other"] = np.ones(3)
    with pytest.raises(InputError, match="no array var_record_monthly_mean"):
        open_published(copy, parts=["grid"])
    with h5py.File(copy / "data4nn/world_grid_envinfo_present.mat", "w") as file:
        file["EnvInfo"] = grid_table().T  # version 7.3 does as well
    with h5py.File(copy / f"{RUN}ALTMAX.mat", "w") as file:
        file["var_record_monthly_mean"] = np.full((12, 576, 384), 3.0, dtype="f4")
    grid = open_published(copy, parts=["grid"]).grid
    assert float(grid["ALTMAX"][0, 0]) == 3.0
    assert float(grid["BIO1"][1]) == pytest.approx(grid_table()[1, 15])
    ranges = next(copy.rglob("*col_max_min.mat"))
    scipy.io.savemat(ranges, {"col_max_min": np.ones((77, 2))})
    with pytest.raises(InputError, match="77 rows, but there are 81 columns"):
        open_published(copy, parts=["grid"])
