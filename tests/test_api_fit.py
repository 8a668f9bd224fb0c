"""`xbinn.fit`: what goes in, what is left out, what comes back."""

import random

import numpy as np
import pytest
import torch
import xarray as xr

import xbinn
from xbinn.constants import INTERFACE_DEPTH
from xbinn.errors import (
    DeviceError,
    InputError,
    ProfileError,
    TrainingError,
)
from xbinn.parameters import PARAMETER_NAMES
from xbinn.physics import steady_state
from xbinn.science.fitting import modelled_soc
from xbinn.testing import small_grid, small_profiles
from xbinn.variables import Status

QUICK = {"epochs": 2, "seed": 0}


@pytest.fixture(scope="module")
def _grid() -> xr.Dataset:
    return small_grid((5, 6))


@pytest.fixture
def grid(_grid) -> xr.Dataset:
    return _grid.copy(deep=True)


@pytest.fixture(scope="module")
def _profiles(_grid) -> xr.Dataset:
    return small_profiles(_grid, 40)


@pytest.fixture
def profiles(_profiles) -> xr.Dataset:
    return _profiles.copy(deep=True)


@pytest.fixture(scope="module")
def model(_grid, _profiles) -> xbinn.Model:
    return xbinn.fit(_grid, _profiles, **QUICK)


def one_profile(lat: float, lon: float, soc=(10.0, 5.0), top=(0.0, 0.1), bottom=(0.1, 0.3)):
    """One more profile."""
    n = len(soc)
    return xr.Dataset(
        {
            name: (("profile", "sample"), np.array([values], dtype=np.float32), {"units": units})
            for name, values, units in (
                ("soc", soc, "kg m-3"),
                ("depth_top", top, "m"),
                ("depth_bottom", bottom, "m"),
            )
        },
        {"lat": ("profile", [lat]), "lon": ("profile", [lon]), "sample": np.arange(n)},
    ).drop_vars("sample")


def with_profile(profiles: xr.Dataset, extra: xr.Dataset) -> xr.Dataset:
    extra = extra.pad(sample=(0, profiles.sizes["sample"] - extra.sizes["sample"]))
    bare = profiles.drop_vars(["profile_id", "source"], errors="ignore")
    return xr.concat([bare, extra], "profile", combine_attrs="override")


def land_cell(grid: xr.Dataset) -> dict[str, int]:
    """The deepest cell that thaws and bears plants."""
    thaws = (grid["ALTMAX_LASTYEAR"] > 0).all("month")
    return grid["nbedrock"].where(thaws).argmax(["lat", "lon"])


# --- determinism ------------------------------------------------------------------------------


def test_equal_seeds_give_equal_models_and_leave_no_trace(grid, profiles, model):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    again = xbinn.fit(grid, profiles, **QUICK)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]
    assert again.sha256 == model.sha256
    torch.rand(3)
    assert xbinn.fit(grid, profiles, **QUICK).sha256 == model.sha256


def test_what_the_forcing_decides_is_worked_out_once(grid, profiles, monkeypatch):
    prepared = []
    worked_out = steady_state.prepare_columns

    def count(forcing, bedrock):
        prepared.append(forcing.batch_shape)
        return worked_out(forcing, bedrock)

    monkeypatch.setattr(steady_state, "prepare_columns", count)
    counts = []
    for epochs in (1, 3):
        prepared.clear()
        xbinn.fit(grid, profiles, epochs=epochs, seed=0)
        counts.append(len(prepared))
    assert counts[0] == counts[1] > 0


def test_other_seeds_give_other_models(grid, profiles, model):
    assert xbinn.fit(grid, profiles, epochs=2, seed=1).sha256 != model.sha256
    unseeded = {xbinn.fit(grid, profiles, epochs=1).sha256 for _ in range(2)}
    assert len(unseeded) == 2


def test_chunked_data_give_the_same_model(grid, profiles, model):
    chunked = xbinn.fit(grid.chunk(lat=2, lon=3), profiles.chunk(profile=7), **QUICK)
    assert chunked.sha256 == model.sha256


def test_numpy_numbers_are_numbers(grid, profiles):
    plain = xbinn.fit(
        grid, profiles, epochs=2, seed=3, hidden=(8,), learning_rate=0.5, batch_size=4, block_size=5
    )
    ours = xbinn.fit(
        grid,
        profiles,
        epochs=np.int64(2),
        seed=np.uint8(3),
        hidden=np.array([8]),
        learning_rate=np.float32(0.5),
        batch_size=np.int32(4),
        block_size=np.int64(5),
    )
    assert ours.sha256 == plain.sha256


# --- history and best weights -----------------------------------------------------------------


def test_history(model):
    history = model.history
    assert dict(history.sizes) == {"epoch": 2}
    assert list(history.epoch.values) == [1, 2]
    assert set(history.data_vars) == {
        "training_loss", "regularization", "validation_loss", "validation_r2",
        "validation_log_r2", "learning_rate", "best_epoch",
    }  # fmt: skip
    assert bool(history.to_array().notnull().all())
    assert all("long_name" in da.attrs for da in history.data_vars.values())
    assert history["best_epoch"] == 1 + int(history["validation_loss"].argmin())


def test_best_weights_are_restored_and_training_stops_early(grid, profiles):
    # A rate that is too high: later epochs are worse than the best.
    settings = {"learning_rate": 0.03, "patience": 2, "seed": 0}
    long = xbinn.fit(grid, profiles, epochs=12, **settings)
    best = long.history["best_epoch"]
    assert long.history.sizes["epoch"] == best + 2 < 12
    loss = long.history["validation_loss"]
    assert float(loss.sel(epoch=best)) == float(loss.min()) < float(loss[-1])
    # What is kept is not the last state: the validation score of the kept weights is that of best.
    from xbinn.labels.sites import gather_sites
    from xbinn.science.fitting import usable_sites, validation_sites
    from xbinn.science.metrics import r2
    from xbinn.science.settings import settings_of

    sites = gather_sites(grid, profiles, long.predictor.covariates, bedrock="closed")
    chosen = settings_of(long)
    sites = usable_sites(sites, chosen.prior, chosen.bedrock, chosen.observation)
    held = sites.select(validation_sites(sites, chosen))
    modelled, held = modelled_soc(long, held)
    expected = float(long.history["validation_r2"].sel(epoch=best))
    assert r2(modelled, held.soc) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("validation", ["spatial_blocks", "random", None])
def test_validation(grid, profiles, validation):
    model = xbinn.fit(grid, profiles, validation=validation, **QUICK)
    assert model.settings["validation"] == validation
    held = model.training_data["validation_samples"]
    assert (held == 0) == (validation is None)
    assert bool(model.history["validation_loss"].isnull().all()) == (validation is None)
    assert ("validation" in repr(model)) == (validation is not None)
    assert model.history["best_epoch"] == 2 or validation is not None


def test_block_size_in_kilometres(grid, profiles):
    model = xbinn.fit(grid, profiles, block_size="200 km", **QUICK)
    assert model.settings["block_size"] == "200 km"
    assert model.training_data["validation_samples"] > 0


def test_one_block_cannot_be_split(grid, profiles):
    with pytest.raises(InputError, match=r"lie in one block.*smaller block_size"):
        xbinn.fit(grid, profiles, block_size=360.0, **QUICK)


# --- choices ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"encoder": "constant"},
        {"encoder": "linear"},
        {"encoder": "spline"},
        {"constraint": "hard_sigmoid"},
        {"loss": "relative"},
        {"loss": "relative_robust"},
        {"observation": "node"},
        {"loss": "smooth_l1"},
        {"bedrock": "published"},
        {"prior": "proda"},
        {"hidden": (8,)},
        {"hidden": ()},
        {"dropout": 0.0},
        {"regularization": 1.0},
        {"dtype": "float64"},
    ],
    ids=str,
)
def test_every_choice_makes_a_model_of_its_own(grid, profiles, model, settings):
    other = xbinn.fit(grid, profiles, **QUICK, **settings)
    assert other.sha256 != model.sha256
    out = xbinn.predict(grid, other)
    assert int((out.status == 0).sum()) == int((xbinn.predict(grid, model).status == 0).sum())
    dtype = settings.get("dtype", "float32")
    assert out["soc"].dtype == np.dtype(dtype)


def test_constant_is_one_vector_for_all(grid, profiles):
    out = xbinn.predict(grid, xbinn.fit(grid, profiles, encoder="constant", **QUICK))
    valid = out.where(out.status == 0)
    for name in PARAMETER_NAMES:
        assert float(valid[name].max()) == float(valid[name].min())
    assert float(valid["cSoil"].max()) > float(valid["cSoil"].min())


def test_regularization_pulls_parameters_to_the_middle(grid, profiles):
    free, held = (
        xbinn.fit(
            grid, profiles, epochs=30, seed=0, regularization=r, validation=None, learning_rate=0.5
        )
        for r in (0.0, 100.0)
    )
    assert float(held.history["regularization"][-1]) < float(free.history["regularization"][-1])


def test_parameters_stay_inside_the_prior(grid, profiles, model):
    from xbinn.parameters import prior_bounds

    out = xbinn.predict(grid, model, outputs=("parameters",))
    for name, (low, high) in zip(PARAMETER_NAMES, prior_bounds("binn"), strict=True):
        assert low <= float(out[name].min()) <= float(out[name].max()) <= high * (1 + 1e-6)


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"prior": "flat"}, InputError, r"prior='flat' \(must be 'binn' or 'proda'\)"),
        ({"bedrock": "open"}, InputError, r"bedrock='open' \(must be 'closed' or"),
        ({"encoder": "cnn"}, InputError, r"encoder='cnn' \(must be 'mlp', .* or a torch.nn.Module"),
        ({"encoder": ["mlp"]}, InputError, r"encoder=\['mlp'\] \(must be 'mlp', "),
        ({"observation": "x"}, InputError, r"observation='x' \(must be 'layer_mean' or"),
        ({"loss": "mse"}, InputError, r"loss='mse' \(must be 'log_smooth_l1', "),
        ({"constraint": "soft"}, InputError, r"constraint='soft' \(must be 'sigmoid', 'hard_s"),
        ({"validation": "x"}, InputError, r"validation='x' \(must be .*or None"),
        ({"dtype": "float16"}, InputError, r"dtype='float16' \(must be 'float32' or"),
        ({"device": "tpu"}, DeviceError, "device 'tpu' is not known"),
        ({"block_size": "2 kg"}, InputError, r"block_size='2 kg' \(must be .* such as \"200 km"),
        ({"block_size": -1.0}, InputError, r"block_size=-1.0 \(must be a positive"),
        ({"block_size": None}, InputError, r"block_size=None \(must be a positive"),
        ({"tolerance": 0.0}, InputError, r"tolerance.* 0|tolerance=0.0 \(must be above 0"),
        ({"dropout": 1.0}, InputError, "a share from 0 to below 1"),
        ({"epochs": 1.5}, InputError, r"epochs=1.5 \(must be a whole number\)"),
        ({"seed": -1}, InputError, r"seed=-1 \(must be 0 or more\)"),
        ({"seed": 2**64}, InputError, r"seed=\d+ \(must be below"),
        ({"epochs": None}, InputError, r"epochs=None \(must be a whole number"),
        ({"epochs": True}, InputError, r"epochs=True \(must be a whole number"),
        ({"hidden": "128"}, InputError, r"hidden='128' \(must be a whole number or a seq"),
        ({"hidden": 1.5}, InputError, r"hidden=1.5 \(must be a whole number or a seq"),
        ({"hidden": (8, "a")}, InputError, r"hidden\[1\]='a' \(must be a whole number"),
        ({"dropout": "much"}, InputError, r"dropout='much' \(must be a number, a share"),
        ({"learning_rate": None}, InputError, r"learning_rate=None \(must be a number, above 0"),
        ({"weight_decay": float("inf")}, InputError, r"weight_decay=inf \(must be a number"),
        ({"hidden": (8, 0)}, InputError, r"hidden\[1\]=0 \(must be 1 or more\)"),
        ({"learning_rate": 0.0}, InputError, "learning_rate=0.0"),
        ({"weight_decay": -1.0}, InputError, "weight_decay=-1.0"),
        ({"regularization": float("nan")}, InputError, "regularization=nan"),
    ],
    ids=str,
)
def test_settings_are_checked(grid, profiles, settings, error, match):
    with pytest.raises(error, match=match):
        xbinn.fit(grid, profiles, **{**QUICK, **settings})


def test_bad_settings_are_named_all_at_once(grid, profiles):
    match = (
        r"prior='x' .*loss='y' .*epochs=0 .*patience=0 .*batch_size=1 .*learning_rate='z' "
        r".*block_size=\[\] "
    )
    bad = {"prior": "x", "loss": "y", "learning_rate": "z", "block_size": []}
    with pytest.raises(InputError, match=match):
        xbinn.fit(grid, profiles, epochs=0, patience=0, batch_size=1, **bad)


def test_a_device_that_is_not_there(grid, profiles):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here, which would be used")
    with pytest.raises(DeviceError, match=r"device 'cuda' was asked for.*device='auto'"):
        xbinn.fit(grid, profiles, device="cuda")


@pytest.mark.parametrize("progress", [True, False])
def test_progress_bar(grid, profiles, model, capsys, progress):
    assert xbinn.fit(grid, profiles, progress=progress, **QUICK).sha256 == model.sha256
    shown = capsys.readouterr()
    assert shown.out == ""
    assert ("2/2" in shown.err) == progress


# --- covariates -------------------------------------------------------------------------------


def test_default_covariates(grid, model):
    assert model.covariates["elevation"] == "m"
    assert model.covariates["annual_mean_temperature"] == "degC"
    assert "land_fraction" not in model.covariates
    assert not {"TSOI", "nbedrock", "ALTMAX"} & set(model.covariates)
    assert model.covariates["parent_material"].endswith("classes")  # integer, flag_values
    assert model.covariates["land_cover"].endswith("classes")  # float with flag_values


def test_named_covariates_and_categories(grid, profiles):
    grid["zone"] = (grid["elevation"] // 500).astype("float32")
    chosen = xbinn.fit(grid, profiles, covariates=["sand"], categorical=["zone"], **QUICK)
    assert list(chosen.covariates) == ["sand", "zone"]
    assert "classes" in chosen.covariates["zone"]


def test_integer_covariate_is_categorical(grid, profiles):
    grid["zone"] = (grid["elevation"].fillna(0.0) // 500).astype("int16")
    assert "classes" in xbinn.fit(grid, profiles, **QUICK).covariates["zone"]


@pytest.mark.parametrize("unseen", [99.0, np.nan])
def test_unseen_and_missing_categories_are_the_class_missing(grid, model, unseen):
    other = grid.copy()
    other["land_cover"] = xr.full_like(grid["land_cover"], unseen)
    other["parent_material"] = xr.full_like(grid["parent_material"], 77)
    out = xbinn.predict(other, model)
    reference = grid.copy()
    reference["land_cover"] = xr.full_like(grid["land_cover"], -1.0)
    reference["parent_material"] = xr.full_like(grid["parent_material"], 0)
    xr.testing.assert_equal(out, xbinn.predict(reference, model))
    assert bool(((out.status == 0) == (xbinn.predict(grid, model).status == 0)).all())


def test_order_of_covariates_is_irrelevant_and_others_are_ignored(grid, model):
    out = xbinn.predict(grid, model)
    turned = grid[list(reversed(list(grid.data_vars)))]
    turned["extra"] = xr.full_like(grid["elevation"], np.nan)
    turned["name"] = xr.full_like(grid["elevation"], "a", dtype=object)
    xr.testing.assert_equal(xbinn.predict(turned, model), out)


def test_missing_covariates_are_named_all_at_once(grid, model):
    with pytest.raises(InputError, match=r"covariates missing.*: elevation, clay"):
        xbinn.predict(grid.drop_vars(["clay", "elevation"]), model)


def test_covariates_are_converted_to_the_units_of_the_fit(grid, model):
    out = xbinn.predict(grid, model)
    other = grid.copy()
    kelvin = grid["annual_mean_temperature"].astype(np.float64) + 273.15
    other["annual_mean_temperature"] = kelvin.assign_attrs(units="K")
    other["elevation"] = (grid["elevation"].astype(np.float64) / 1e3).assign_attrs(units="km")
    other["sand"] = (grid["sand"].astype(np.float64) / 1e2).assign_attrs(units="1")
    same = xbinn.predict(other, model)
    xr.testing.assert_allclose(same.drop_attrs(), out.drop_attrs(), rtol=1e-4)


def test_no_covariate_is_an_error(grid, profiles):
    forcing = grid.drop_vars([n for n in grid if n not in xbinn.variables.FORCING_NAMES])
    with pytest.raises(InputError, match="has no covariate"):
        xbinn.fit(forcing, profiles, **QUICK)


def test_missing_covariate_is_a_status_and_drops_the_profile(grid, profiles, model):
    cell = land_cell(grid)
    assert int(xbinn.predict(grid, model).status.isel(cell)) == Status.VALID
    grid["elevation"][cell] = np.nan
    out = xbinn.predict(grid, model)
    assert int(out.status.isel(cell)) == Status.COVARIATE_MISSING
    assert np.isnan(out.cSoil.isel(cell))
    here = one_profile(*(float(grid[d][cell[d]]) for d in ("lat", "lon")))
    fitted = xbinn.fit(grid, with_profile(profiles, here), **QUICK)
    assert fitted.left_out["profiles: covariate missing in the cell"] >= 1


# --- profiles ---------------------------------------------------------------------------------


def test_profile_in_the_ocean(grid, profiles, model):
    ocean = grid["TSOI"].isel(month=0, depth=0).isnull()
    assert bool(ocean[0, 0])
    extra = one_profile(float(grid.lat[0]), float(grid.lon[0]))
    fitted = xbinn.fit(grid, with_profile(profiles, extra), **QUICK)
    assert fitted.left_out == {"profiles: no valid grid cell within the tolerance": 1}
    np.testing.assert_equal(fitted.training_data["fingerprint"], model.training_data["fingerprint"])


def test_profile_outside(grid, profiles):
    fitted = xbinn.fit(grid, with_profile(profiles, one_profile(-10.0, 100.0)), **QUICK)
    assert fitted.left_out == {"profiles: no grid cell within the tolerance": 1}


def test_tolerance_takes_profiles_from_farther_away(grid, profiles):
    outside = with_profile(profiles, one_profile(float(grid.lat[-1]) + 6.0, 0.0))
    assert (
        "profiles: no grid cell within the tolerance" in xbinn.fit(grid, outside, **QUICK).left_out
    )
    assert xbinn.fit(grid, outside, tolerance=8.0, **QUICK).left_out == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"soc": (-1.0, 5.0)}, "soc negative"),
        ({"soc": (5000.0, 5.0)}, "soc above 700 kg m-3"),
        ({"soc": (np.inf, 5.0)}, "soc missing"),
        ({"top": (0.2, 0.1)}, "top not above bottom"),
        ({"top": (-0.1, 0.1)}, "above the surface"),
        ({"top": (9.0, 0.1), "bottom": (9.5, 0.3)}, "below the model column"),
        ({"bottom": (np.nan, 0.3)}, "depth missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_samples_are_counted(grid, profiles, model, change, reason):
    cell = land_cell(grid)
    place = [float(grid[d][cell[d]]) for d in ("lat", "lon")]
    fitted = xbinn.fit(grid, with_profile(profiles, one_profile(*place, **change)), **QUICK)
    assert fitted.left_out == {f"samples: {reason}": 1}
    assert fitted.training_data["samples"] == model.training_data["samples"] + 1
    assert reason in repr(fitted)


@pytest.mark.parametrize(
    "change",
    [
        {"soc": (10.0,), "top": (0.0,), "bottom": (0.1,)},
        {"soc": (0.0, 5.0)},
        {"top": (0.0, 0.05)},
    ],
    ids=["one sample", "zero", "overlapping"],
)
def test_odd_samples_are_used(grid, profiles, model, change):
    cell = land_cell(grid)
    place = [float(grid[d][cell[d]]) for d in ("lat", "lon")]
    extra = one_profile(*place, **change)
    fitted = xbinn.fit(grid, with_profile(profiles, extra), **QUICK)
    assert fitted.left_out == {}
    added = fitted.training_data["samples"] - model.training_data["samples"]
    assert added == extra.sizes["sample"]
    overlapping = fitted.training_data["overlapping_samples"]
    assert overlapping - model.training_data["overlapping_samples"] == (
        "top" in change and added > 1
    )


def test_sample_wholly_below_bedrock(grid, profiles):
    shallow = grid["nbedrock"].argmin(["lat", "lon"])
    last = int(grid["nbedrock"].isel(shallow))
    floor = INTERFACE_DEPTH[last - 1]
    place = [float(grid[d][shallow[d]]) for d in ("lat", "lon")]
    extra = one_profile(*place, top=(0.0, floor + 0.01), bottom=(0.1, floor + 0.1))
    both = with_profile(profiles, extra)
    assert xbinn.fit(grid, both, **QUICK).left_out == {"samples: sample below bedrock": 1}
    published = xbinn.fit(grid, both, bedrock="published", **QUICK)
    assert published.left_out == {}


def test_cells_that_cannot_hold_carbon_are_left_out(grid, profiles):
    cell = land_cell(grid)
    place = [float(grid[d][cell[d]]) for d in ("lat", "lon")]
    both = with_profile(profiles, one_profile(*place))
    for name, reason in (
        ("_INPUT", "no carbon input in the cell"),
        ("W_SCALAR", "no steady state in the cell"),
    ):
        spoilt = grid.copy(deep=True)
        for variable in spoilt.data_vars:
            if str(variable).endswith(name):
                spoilt[variable][{k: v for k, v in cell.items()}] = 0.0
        fitted = xbinn.fit(spoilt, both, **QUICK)
        assert fitted.left_out[f"profiles: {reason}"] >= 1
        assert fitted.left_out[f"samples: {reason}"] >= 2


def same_network(one: xbinn.Model, other: xbinn.Model) -> bool:
    states = (m.predictor.network.state_dict() for m in (one, other))
    return all(torch.equal(a, b) for a, b in zip(*(s.values() for s in states), strict=True))


def test_weights_are_relative(grid, profiles, model):
    weight = np.random.default_rng(1).uniform(0.1, 3.0, profiles.sizes["profile"])
    once, twice, alike = (
        xbinn.fit(grid, profiles.assign_coords(weight=("profile", w)), **QUICK)
        for w in (weight, 2.0 * weight, np.full_like(weight, 0.3))
    )
    assert same_network(once, twice)
    assert not same_network(once, model)
    assert same_network(alike, model)
    prints = {m.training_data["fingerprint"] for m in (once, twice, alike, model)}
    assert len(prints) == 4
    ones = profiles.assign_coords(weight=("profile", np.ones(len(weight), int)))
    assert xbinn.fit(grid, ones, **QUICK).sha256 == model.sha256


def test_weight_zero_leaves_a_profile_out(grid, profiles):
    out = np.arange(profiles.sizes["profile"]) % 4 == 0
    weighted = profiles.assign_coords(weight=("profile", np.where(out, 0.0, 1.0)))
    zero = xbinn.fit(grid, weighted, **QUICK)
    without = xbinn.fit(grid, profiles.isel(profile=~out), **QUICK)
    assert same_network(zero, without)
    assert zero.training_data["fingerprint"] == without.training_data["fingerprint"]
    assert zero.left_out["profiles: weight zero"] == out.sum()
    lost = weighted.assign_coords(weight=("profile", np.where(out, -1.0, 1.0)))
    assert xbinn.fit(grid, lost, **QUICK).left_out["profiles: weight missing or negative"]


def test_no_profile_left_is_an_error_that_says_why(grid, profiles):
    with pytest.raises(
        ProfileError, match=r"no profile can be used \(40 profiles: no grid cell within"
    ):
        xbinn.fit(grid, profiles.assign_coords(lat=profiles.lat - 100.0 + 20.0), **QUICK)
    with pytest.raises(ProfileError, match="none of the 40 profiles has a usable sample"):
        xbinn.fit(grid, profiles.assign(soc=-profiles["soc"]), **QUICK)
    nothing = grid.copy()
    for name in xbinn.variables.INPUT_NAMES:
        nothing[name] = nothing[name] * 0.0
    with pytest.raises(ProfileError, match="no carbon input in the cell"):
        xbinn.fit(nothing, profiles, **QUICK)


def test_one_cell_is_too_few(grid, profiles):
    cell = land_cell(grid)
    place = [float(grid[d][cell[d]]) for d in ("lat", "lon")]
    with pytest.raises(InputError, match="at least 2 sites, got 1"):
        xbinn.fit(grid, one_profile(*place), validation=None, **QUICK)


# --- bedrock ----------------------------------------------------------------------------------


@pytest.fixture
def monthly(grid) -> xr.Dataset:
    """Bedrock that varies over the months in one cell with profiles."""
    months = xr.DataArray(np.arange(12) == 3, dims="month")
    varying = grid["nbedrock"].broadcast_like(grid["ALTMAX"])
    varying = xr.where(months & (varying > 1), varying - 1.0, varying).transpose("month", ...)
    return grid.assign(nbedrock=varying.assign_attrs(units="1"))


def test_closed_needs_bedrock_that_stays(monthly, profiles):
    with pytest.raises(InputError, match=r"nbedrock varies over the months.*cells: lat \S+ lon "):
        xbinn.fit(monthly, profiles, **QUICK)


def test_published_takes_monthly_bedrock(monthly, grid, profiles):
    fitted = xbinn.fit(monthly, profiles, bedrock="published", **QUICK)
    assert int((xbinn.predict(monthly, fitted).status == 0).sum()) > 5
    parameters = xbinn.default_parameters(grid)
    varying, constant = (
        xbinn.simulate(ds, parameters, bedrock="published")["cSoil"] for ds in (monthly, grid)
    )
    assert not np.allclose(varying, constant, equal_nan=True, rtol=1e-6)


def test_months_that_agree_are_constant(grid, profiles, model):
    same = grid["nbedrock"].expand_dims(month=12).assign_attrs(units="1")
    fitted = xbinn.fit(grid.assign(nbedrock=same), profiles, **QUICK)
    xr.testing.assert_equal(xbinn.predict(grid, fitted), xbinn.predict(grid, model))


@pytest.mark.parametrize(
    ("value", "match"),
    [(2.5, "nbedrock is not an integer in"), (0.0, "nbedrock from 0 to .*counted from 1")],
)
def test_bedrock_is_a_layer(grid, profiles, value, match):
    bad = xr.where(grid["nbedrock"] > 18, value, grid["nbedrock"]).assign_attrs(units="1")
    with pytest.raises(InputError, match=match):
        xbinn.fit(grid.assign(nbedrock=bad), profiles, **QUICK)


def test_more_than_twenty_layers_are_twenty(grid, profiles, model):
    deeper = xr.where(grid["nbedrock"] == 20, 25.0, grid["nbedrock"]).assign_attrs(units="1")
    out = xbinn.predict(grid.assign(nbedrock=deeper), model)
    xr.testing.assert_equal(out, xbinn.predict(grid, model))


# --- training goes wrong ----------------------------------------------------------------------


def test_the_robust_relative_loss_is_not_led_by_a_few_samples_of_much_carbon():
    # One sample in fifty holds ten times too much. With the squared error of a normal likelihood
    # R2 of ln SOC is 0.25 here.
    grid = small_grid((12, 18))
    training, apart = small_profiles(grid, 300), small_profiles(grid, 300, seed=50)
    rng = np.random.default_rng(0)
    scatter = np.exp(0.7 * rng.standard_normal((300, 1)))
    scatter = scatter * np.where(rng.random(training["soc"].shape) < 0.02, 10.0, 1.0)
    with xr.set_options(keep_attrs=True):
        training["soc"] = training["soc"] * scatter
    scores = {
        loss: xbinn.score(
            grid, xbinn.fit(grid, training, loss=loss, epochs=30, seed=0, progress=False), apart
        ).sel(depth_range="all", scale="log")
        for loss in ("log_smooth_l1", "relative_robust")
    }
    assert float(scores["relative_robust"]["r2"]) > float(scores["log_smooth_l1"]["r2"]) - 0.1
    assert abs(float(scores["relative_robust"]["bias"])) < 0.4


def test_a_loss_that_is_not_finite_names_the_batch(grid, profiles):
    # One step with this rate and the weights overflow in the network.
    with pytest.raises(TrainingError, match=r"epoch \d+, batch \d+: the loss is not finite"):
        xbinn.fit(grid, profiles, learning_rate=1e30, epochs=3, seed=0, validation=None)


def test_real_data(real_grid, real_profiles):
    part = real_profiles.isel(profile=slice(0, 400))
    model = real_grid.binn.fit(part, epochs=2, seed=0)
    assert sum(n for why, n in model.left_out.items() if why.startswith("profiles")) < 200
    skill = real_grid.binn.score(model, part)
    assert int(skill.n.sel(depth_range="all")) > 500
