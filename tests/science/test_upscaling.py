"""Networks fitted to retrieved parameters: models like any other, and what they leave out."""

import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.errors import InputError, ParameterError, ProfileError, TrainingError
from xbinn.idealised import true_parameters
from xbinn.parameters import PARAMETER_NAMES
from xbinn.science.proda import retrieve, upscale
from xbinn.science.settings import settings_of
from xbinn.testing import small_grid, small_profiles

QUICK = {"hidden": (32, 32), "epochs": 40, "members": 2, "seed": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid((8, 9))


@pytest.fixture(scope="module")
def profiles(grid) -> xr.Dataset:
    return small_profiles(grid, 100)


@pytest.fixture(scope="module")
def retrieved(grid, profiles) -> xr.Dataset:
    """Parameters as a perfect retrieval would find them, but for five profiles."""
    place = {n: profiles[n] for n in ("lat", "lon")}
    truth = true_parameters(grid)[list(PARAMETER_NAMES)]
    found = truth.sel(place, method="nearest").reset_coords(drop=True).assign_coords(place)
    converged = np.arange(profiles.sizes["profile"]) >= 5
    about = {"prior": "binn", "bedrock": "closed"}
    return found.assign(converged=("profile", converged)).assign_attrs(about)


@pytest.fixture(scope="module")
def model(grid, retrieved) -> xbinn.Model:
    return upscale(grid, retrieved, **(QUICK | {"epochs": 150}))


def test_what_was_retrieved_comes_back_on_the_map(grid, model):
    out = xbinn.predict(grid, model, outputs="parameters")
    truth = true_parameters(grid)
    found = {}
    for name in PARAMETER_NAMES:
        a, b = out[name].values, truth[name].values
        some = np.isfinite(a) & np.isfinite(b)
        found[name] = np.corrcoef(a[some], b[some])[0, 1]
    assert np.median(list(found.values())) > 0.8, found


def test_profiles_that_have_not_converged_are_left_out_and_counted(grid, retrieved, model):
    assert model.left_out["profiles: chains not converged"] == 5
    known = retrieved.assign(q10=retrieved["q10"].where(np.arange(100) != 50))
    again = upscale(grid, known, **(QUICK | {"epochs": 1}))
    assert again.left_out["profiles: no parameters retrieved"] == 1
    assert model.training_data["profiles"] == again.training_data["profiles"] + 1


def test_it_is_a_model_like_that_of_a_fit(grid, profiles, model, tmp_path):
    model.save(tmp_path / "m.xbinn")
    loaded = xbinn.load(tmp_path / "m.xbinn")
    assert loaded.sha256 == model.sha256
    fitted = xbinn.fit(grid, profiles, epochs=1, seed=0, prior="binn")
    xr.testing.assert_identical(
        xbinn.predict(grid, loaded).drop_attrs(), xbinn.predict(grid, model).drop_attrs()
    )
    assert set(xbinn.predict(grid, model)) == set(xbinn.predict(grid, fitted))
    assert np.isfinite(xbinn.score(grid, model, profiles)["r2"]).all()
    assert "retrieved parameters of 95 profiles" in repr(model)
    assert set(model.history) == {
        "training_loss",
        "validation_loss",
        "validation_parameter_r2",
        "learning_rate",
        "best_epoch",
    }
    assert settings_of(model).options.batch_size == 32


def test_members_give_spread_and_observations(grid, model):
    out = xbinn.predict(grid, model, samples=2)
    assert float(out["q10_std"].max()) > 0.0
    assert "soc_observation_quantile" in out
    assert "as assumed" in repr(model)


def test_maps_are_lazy(grid, model, raise_if_dask_computes):
    with raise_if_dask_computes():
        out = xbinn.predict(grid.chunk({"lat": 4}), model)
    np.testing.assert_allclose(out["cSoil"], xbinn.predict(grid, model)["cSoil"], rtol=1e-6)


def test_equal_seeds_give_equal_models(grid, retrieved):
    one, two, other = (
        upscale(grid, retrieved, **(QUICK | {"epochs": 1, "seed": seed})) for seed in (1, 1, 2)
    )
    assert one.sha256 == two.sha256 != other.sha256


def test_a_single_member_without_validation_trains_to_the_end(grid, retrieved):
    only = upscale(grid, retrieved, **(QUICK | {"members": 1, "validation": None, "epochs": 3}))
    assert int(only.history["best_epoch"]) == 3
    assert not only.history["validation_loss"].notnull().any()


def test_what_cannot_be_upscaled_is_refused(grid, retrieved):
    with pytest.raises(InputError, match="it lacks prior"):
        upscale(grid, retrieved.drop_attrs(), **QUICK)
    with pytest.raises(InputError, match="it has 'flat'"):
        upscale(grid, retrieved.assign_attrs(prior="flat"), **QUICK)
    with pytest.raises(InputError, match="retrieved has no converged"):
        upscale(grid, retrieved.drop_vars("converged"), **QUICK)
    none = retrieved.assign(converged=xr.zeros_like(retrieved["converged"]))
    with pytest.raises(ProfileError, match=r"profile of 100 can be used \(100 profiles: chains"):
        upscale(grid, none, **QUICK)
    with pytest.raises(ParameterError, match="outside prior 'proda': tau4s3"):
        upscale(grid, retrieved.assign_attrs(prior="proda"), **QUICK)
    with pytest.raises(InputError, match="training needs at least 2 profiles"):
        upscale(
            grid,
            retrieved.isel(profile=[10]),
            **(QUICK | {"members": 1, "validation": None}),
        )
    with pytest.raises(TrainingError, match="the loss is not finite: lower learning_rate"):
        upscale(grid, retrieved, **(QUICK | {"members": 1, "learning_rate": 1e38}))


def test_what_the_sampler_retrieves_is_taken_as_it_is(grid, profiles):
    few = retrieve(grid, profiles.isel(profile=slice(12)), warmup=8, steps=8, seed=0)
    few["converged"] = xr.ones_like(few["converged"], dtype=bool)
    model = upscale(grid, few, **(QUICK | {"members": 1, "epochs": 2, "validation": None}))
    assert model.predictor.prior == "proda"
    assert int((xbinn.predict(grid, model)["status"] == 0).sum()) > 0
