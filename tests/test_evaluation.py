"""`cross_validate`: every profile predicted by a network that has not seen its fold."""

import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster

import xbinn
from xbinn.errors import InputError
from xbinn.labels.spatial_blocks import spatial_blocks
from xbinn.options import BASELINES
from xbinn.science.comparison import MODEL
from xbinn.science.metrics import on_scale, r2
from xbinn.testing import small_grid, small_profiles

FIT = {"epochs": 3, "hidden": (16,), "batch_size": 64}
QUICK = {"folds": 3, "block_size": 6.0, "seed": 0, "device": "cpu", "permutations": 2, "fit": FIT}


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid((12, 14))


@pytest.fixture(scope="module")
def profiles(grid) -> xr.Dataset:
    profiles = small_profiles(grid, 90)
    sources = np.where(np.arange(90) % 9 == 0, "rare", "common")
    profiles["source"] = ("profile", np.where(np.arange(90) == 5, "", sources))
    profiles["soc"][7] = -1.0
    return profiles


@pytest.fixture(scope="module")
def found(grid, profiles) -> xbinn.CrossValidation:
    return grid.binn.cross_validate(profiles, by="land_cover", **QUICK)


def test_predictions_lie_on_the_profiles_as_given(found, profiles):
    p = found.predictions
    for name in ("lat", "source", "profile_id"):
        xr.testing.assert_equal(p[name], profiles[name])
    observed = profiles["soc"].where(profiles["soc"] >= 0.0)
    xr.testing.assert_allclose(p["soc_observed"].drop_attrs(), observed.drop_attrs())
    assert (p["soc_modelled"].notnull() == observed.notnull()).all()
    assert list(p["baseline"].values) == list(BASELINES)
    assert (p["soc_baseline"].notnull() == observed.notnull()).all()
    assert ((p["fold"] >= 0) == observed.notnull()).all()
    assert p["soc_modelled"].attrs["units"] == p["soc_observed"].attrs["units"] == "kg m-3"
    assert p["fold"].attrs["flag_meanings"].split()[1] == "spatial_blocks_1"


def test_profiles_left_out_are_counted(found):
    assert found.left_out["profiles: no usable sample"] == 1
    assert "no usable sample" in found.scores.attrs["left_out"]


@pytest.mark.parametrize("fold", [0, 2])
def test_a_fold_is_predicted_by_the_fit_to_the_others(found, grid, profiles, fold):
    """Scaling, categories, early stopping: the fit to the others alone gives the same numbers."""
    inside = (found.predictions["fold"] == fold).any("sample").values
    model = xbinn.fit(
        grid, profiles.isel(profile=~inside), block_size=6.0, seed=0, device="cpu", **FIT
    )
    own = list(found.models.values())[fold]
    np.testing.assert_array_equal(own.history["validation_loss"], model.history["validation_loss"])
    scores = xbinn.score(grid, model, profiles.isel(profile=inside))
    p = found.predictions.where(found.predictions["fold"] == fold)
    modelled, observed = (p[n].values[inside] for n in ("soc_modelled", "soc_observed"))
    known = np.isfinite(observed)
    r2_here = r2(modelled[known], observed[known])
    assert float(scores["r2"].sel(scale="linear", depth_range="all")) == pytest.approx(
        r2_here,
        rel=1e-5,  # batches of another size round differently
    )


def test_scores_are_those_of_the_predictions(found):
    p = found.predictions
    observed = p["soc_observed"].values
    for where, name in ((p["soc_modelled"], MODEL), (p["soc_baseline"][0], BASELINES[0])):
        known = np.isfinite(observed)
        for scale in ("linear", "log"):
            pair = (on_scale(v[known], scale) for v in (where.values, observed))
            s = found.scores.sel(model=name, scale=scale, depth_range="all", land_cover="all")
            assert float(s["r2"]) == pytest.approx(r2(*pair), rel=1e-12)
            assert float(s["r2_low"]) < float(s["r2"]) < float(s["r2_high"])


def test_depths_and_classes_are_scored_apart(found):
    n = found.scores["n"]
    assert found.scores["r2"].dims == ("model", "scale", "depth_range", "land_cover")
    assert (n.sel(land_cover="all") == n.drop_sel(land_cover="all").sum("land_cover")).all()
    some = n.sel(depth_range="all") > 20
    assert np.isfinite(found.scores["rmse"].sel(depth_range="all").where(some, drop=True)).all()


def test_gains_are_differences_of_r2(found):
    scores = found.scores["r2"]
    expected = scores.sel(model=MODEL) - scores.drop_sel(model=MODEL).rename(model="baseline")
    expected = expected.transpose(*found.gains["gain"].dims)
    np.testing.assert_allclose(found.gains["gain"], expected, atol=1e-9)
    inside = ~((found.gains["low"] > 0.0) | (found.gains["high"] < 0.0))
    assert (found.gains["tie"] == inside).all()


def test_blocks_are_those_of_the_intervals(found, grid, profiles):
    p = found.predictions
    cell = grid["elevation"].sel(lat=p["lat"], lon=p["lon"], method="nearest")
    expected = spatial_blocks(cell["lat"].values, cell["lon"].values, 6.0)
    known = (p["block"] >= 0).any("sample").values
    np.testing.assert_array_equal(p["block"].max("sample").values[known], expected[known])


def test_a_cluster_gives_the_same(found, grid, profiles):
    with (
        LocalCluster(n_workers=2, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, timeout=30),
    ):
        there = grid.chunk(lat=5).binn.cross_validate(profiles, by="land_cover", **QUICK)
    for name in ("predictions", "scores", "gains", "importance"):
        xr.testing.assert_identical(getattr(there, name), getattr(found, name))


def test_results_can_be_stored(found, tmp_path):
    for name in ("predictions", "scores", "gains", "importance"):
        result = getattr(found, name)
        result.to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
        with xr.open_dataset(tmp_path / f"{name}.nc", engine="h5netcdf") as again:
            xr.testing.assert_equal(again, result)
            assert again.attrs == result.attrs


def test_without_a_seed_it_runs(grid, profiles):
    quick = QUICK | {"seed": None, "baselines": (), "groups": {"clay": ["clay"]}}
    here = grid.binn.cross_validate(profiles, **quick)
    assert np.isfinite(here.importance["importance"]).all()
    assert here.scores.attrs["seed"] == "None"


def test_it_shows_its_scores(found):
    text, page = repr(found), found._repr_html_()
    samples = int((found.predictions["fold"] >= 0).sum())
    whole = found.scores.sel(depth_range="all", model=MODEL, scale="log")
    for dim in whole.dims:
        whole = whole.sel({dim: "all"})
    said = "log {:.2f} [{:.2f}, {:.2f}]".format(
        *(float(whole[f"r2{n}"]) for n in ("", "_low", "_high"))
    )
    for shown in (text, page):
        assert f"{samples} samples in 3 folds" in shown
        assert said in shown
        for name in (MODEL, *BASELINES):
            assert name in shown
        assert "no usable sample" in shown
    for name in ("predictions", "scores", "gains", "importance"):
        assert f"<summary>{name} <span>Dataset: " in page
    assert page.count("xr-wrap") >= 4


def test_sources_and_regions_are_left_out_one_at_a_time(grid, profiles):
    quick = QUICK | {"folds": None, "permutations": 0, "baselines": ("mean_profile",)}
    by_source = grid.binn.cross_validate(profiles, split="leave_source_out", **quick)
    assert set(by_source.models) == {"common", "rare"}
    assert by_source.left_out["profiles: source missing"] == 1
    assert by_source.left_out["profiles: cell shared with training profiles"] > 0
    tested = by_source.predictions["fold"].max("sample").values
    sources = profiles["source"].values
    assert set(sources[tested == 0]) == {"common"}
    assert set(sources[tested == 1]) == {"rare"}
    assert not by_source.importance.sizes["group"]
    assert set(by_source.scores.dims) == {"model", "scale", "depth_range"}
    by_region = grid.binn.cross_validate(
        profiles, split="leave_region_out", region="parent_material", **quick
    )
    assert set(by_region.models) <= {"granite", "limestone", "loess", "basalt"}
    assert len(by_region.models) >= 2


@pytest.fixture(scope="module")
def told(grid, profiles) -> tuple[xr.Dataset, xr.Dataset]:
    """Two covariates, and profiles that follow the first."""
    rng = np.random.default_rng(3)
    shape = grid["elevation"].shape
    signal, noise = rng.standard_normal((2, *shape)).astype(np.float32)
    grid = grid.assign(signal=(("lat", "lon"), signal), noise=(("lat", "lon"), noise))
    here = grid["signal"].sel(lat=profiles["lat"], lon=profiles["lon"], method="nearest")
    soc = 10.0 * np.exp(0.8 * here.values[:, None]) * xr.ones_like(profiles["soc"])
    return grid, profiles.assign(soc=soc.where(profiles["soc"] >= 0).assign_attrs(units="kg m-3"))


def test_the_truth_is_important_and_noise_is_not(told):
    grid, profiles = told
    fit = FIT | {"epochs": 40, "covariates": ["signal", "noise"]}
    quick = QUICK | {"fit": fit, "permutations": 5, "baselines": ()}
    groups = {"signal": "signal", "noise": ["noise"], "both": ["noise", "signal"]}
    importance = grid.binn.cross_validate(profiles, groups=groups, **quick).importance
    signal, noise, both = (importance.sel(group=g) for g in groups)
    assert (signal["low"] > 0.0).all()
    assert (signal["importance"] > 0.2).all()
    assert ((noise["low"] <= 0.0) & (noise["high"] >= 0.0)).all()
    assert (both["importance"] > 0.2).all()
    assert importance["covariates"].sel(group="both") == "noise signal"
    alone = grid.binn.cross_validate(profiles, **quick).importance
    for name in ("signal", "noise"):
        xr.testing.assert_equal(
            alone.sel(group=name, drop=True), importance.sel(group=name, drop=True)
        )


def test_noise_added_to_real_data_is_not_important(real_grid, real_profiles):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(real_grid["bio1"].shape)
    grid = real_grid.assign(noise=(("lat", "lon"), noise))
    importance = grid.binn.cross_validate(
        real_profiles.isel(profile=slice(None, None, 3)),
        folds=3,
        seed=0,
        baselines=(),
        groups={"noise": ["noise"], "productivity": ["npp_casa"]},
        fit={"epochs": 8},
    ).importance
    noise, productivity = importance.sel(group="noise"), importance.sel(group="productivity")
    assert ((noise["low"] <= 0.0) & (noise["high"] >= 0.0)).all()
    assert (productivity["low"].sel(scale="linear") > 0.0).all()


def test_koeppen_classes_are_scored_by_main_climate(grid, profiles):
    climate = grid["land_cover"].assign_attrs(
        flag_values=np.arange(1, 7), flag_meanings="BSk BWk Cfb Dfc Dfb ET"
    )
    quick = QUICK | {"permutations": 0, "baselines": ()}
    scores = grid.assign(climate=climate).binn.cross_validate(profiles, **quick).scores
    assert set(scores["climate"].values) <= {"all", "B", "C", "D", "E"}
    assert scores.sizes["climate"] > 2


def test_settings_that_cannot_be_used_are_named_all_at_once(grid, profiles):
    with pytest.raises(InputError) as error:
        grid.binn.cross_validate(
            profiles, split="blocks", folds=1, region="koppen", baselines="none", permutations=-1
        )
    for part in ("split='blocks'", "folds=1", "region='koppen'", "baselines=", "permutations=-1"):
        assert part in str(error.value)
    with pytest.raises(InputError, match=r"folds=3 \(split='leave_source_out' makes one of each"):
        grid.binn.cross_validate(profiles, split="leave_source_out", folds=3)
    with pytest.raises(InputError, match=r"folds=2.5 \(must be a whole.*permutations=True"):
        grid.binn.cross_validate(profiles, folds=2.5, permutations=True)
    with pytest.raises(InputError, match="region=None"):
        grid.binn.cross_validate(profiles, split="leave_region_out")
    with pytest.raises(
        InputError, match="seed: give it to cross_validate itself; widths: no keyword; it may hold"
    ):
        grid.binn.cross_validate(profiles, fit={"seed": 1, "widths": 3})
    with pytest.raises(InputError, match=r"epochs=0 \(must be 1 or more\)"):
        grid.binn.cross_validate(profiles, fit={"epochs": 0})
    with pytest.raises(InputError, match="soil names moss; none is empty; the covariates"):
        grid.binn.cross_validate(profiles, groups={"soil": ["clay", "moss"], "none": []})
    with pytest.raises(InputError, match=r"groups=\['clay'\] is of type list: give a mapping"):
        grid.binn.cross_validate(profiles, groups=["clay"])
    with pytest.raises(InputError, match="fit=3 is of type int: give a mapping"):
        grid.binn.cross_validate(profiles, fit=3)
    with pytest.raises(InputError, match="'moss' is neither a coordinate"):
        grid.binn.cross_validate(profiles, by="moss", **QUICK)
