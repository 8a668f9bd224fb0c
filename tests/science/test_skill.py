"""The baselines and the comparison with them, on the idealised continent."""

import numpy as np
import pytest
import torch

import xbinn
from xbinn.constants import N_LAYERS
from xbinn.errors import InputError, ProfileError
from xbinn.labels.priors import default_parameters
from xbinn.labels.sites import gather_sites
from xbinn.learning.observation import layer_mean_weights
from xbinn.parameters import N_PARAMETERS
from xbinn.science.baselines import BASELINES, FreeProfile, clm5_defaults, mean_profile
from xbinn.science.comparison import MODEL
from xbinn.science.crossvalidation import split_profiles
from xbinn.science.fitting import modelled_soc
from xbinn.science.metrics import on_scale, r2
from xbinn.science.settings import settings_of
from xbinn.science.skill import Skill, compare_with_baselines


@pytest.fixture(scope="module")
def setting():
    grid = xbinn.testing.small_grid((12, 14))
    profiles = xbinn.testing.small_profiles(grid, 90)
    training, test = split_profiles(profiles, fraction=0.3, block_size=6.0, seed=1)
    model = xbinn.fit(grid, training, seed=0, epochs=3, hidden=(16,), block_size=6.0)
    return grid, model, training, test


@pytest.fixture(scope="module")
def skill(setting) -> Skill:
    return compare_with_baselines(*setting)


def test_every_rival_is_scored_on_the_samples_of_the_model(skill, setting):
    assert list(skill.scores["model"].values) == [MODEL, *BASELINES]
    assert set(skill.modelled) == {MODEL, *BASELINES}
    n = len(skill.sites.soc)
    assert all(m.shape == (n,) and np.isfinite(m).all() for m in skill.modelled.values())
    assert (skill.scores["n"].sel(depth_range="all") == n).all()


def test_other_encoders_have_rivals_too(skill, setting):
    grid, _, training, test = setting
    quick = {"seed": 0, "epochs": 3, "block_size": 6.0}
    found = {
        name: compare_with_baselines(
            grid, xbinn.fit(grid, training, encoder=encoder, **quick), training, test
        )
        for name, encoder in (("spline", "spline"), ("module", torch.nn.LazyLinear(N_PARAMETERS)))
    }
    mlp = compare_with_baselines(grid, xbinn.fit(grid, training, **quick), training, test)
    rival = "without_physics"
    # A module has an output for each parameter, not for each layer: the default MLP stands in.
    np.testing.assert_array_equal(found["module"].modelled[rival], mlp.modelled[rival])
    assert not np.array_equal(found["spline"].modelled[rival], mlp.modelled[rival])
    assert np.isfinite(found["spline"].modelled[rival]).all()


def test_scores_are_those_of_the_modelled_samples(skill):
    for name in (MODEL, "without_physics", "global_parameters", "clm5_defaults"):
        for scale in ("linear", "log"):
            found = skill.scores["r2"].sel(model=name, scale=scale, depth_range="all")
            pair = (on_scale(a, scale) for a in (skill.modelled[name], skill.sites.soc))
            assert float(found) == pytest.approx(r2(*pair), rel=1e-12)


def test_no_test_sample_shares_a_cell_with_training(skill, setting):
    grid, model, training, _ = setting
    learnt = gather_sites(grid, training, model.predictor.covariates, bedrock="closed")
    assert not np.isin(skill.sites.cell, learnt.cell).any()


def test_the_model_says_what_it_says_alone(skill, setting):
    _, model, _, _ = setting
    alone, same = modelled_soc(model, skill.sites)
    assert len(same.soc) == len(skill.sites.soc)
    np.testing.assert_allclose(skill.modelled[MODEL], alone, rtol=1e-9)


def test_gains_are_differences_of_r2_and_ties_hold_zero(skill):
    for name in BASELINES:
        scores = skill.scores["r2"].sel(depth_range="all")
        expected = scores.sel(model=MODEL) - scores.sel(model=name)
        gain = skill.gains.sel(baseline=name)
        np.testing.assert_allclose(gain["gain"].values, expected.values, atol=1e-9)
    inside = (skill.gains["low"] <= 0.0) & (skill.gains["high"] >= 0.0)
    assert (skill.gains["tie"] == inside).all()
    assert (skill.gains["low"] <= skill.gains["high"]).all()


def test_clm5_defaults_are_what_simulate_gives(skill, setting):
    grid, model, _, _ = setting
    sites = skill.sites
    here = clm5_defaults(grid, sites, settings_of(model))
    maps = grid.binn.simulate(default_parameters(grid))["soc"].fillna(0.0)
    columns = maps.stack(cell=("lat", "lon")).values[:, sites.cell]  # (layer, site)
    weights = layer_mean_weights(
        torch.from_numpy(sites.top),
        torch.from_numpy(sites.bottom),
        torch.from_numpy(sites.forcing["nbedrock"].astype(np.int64)[sites.site]),
        "closed",
    ).weights.numpy()
    expected = (weights * columns[:, sites.site].T).sum(axis=1)
    np.testing.assert_allclose(here, expected, rtol=1e-10)


def test_mean_profile_gives_a_profile_back_that_all_samples_share(setting):
    grid, model, training, test = setting
    spec = model.predictor.covariates
    learnt = gather_sites(grid, training, spec, bedrock="closed")
    _, held = modelled_soc(model, gather_sites(grid, test, spec, bedrock="closed"))
    object.__setattr__(learnt, "soc", np.full_like(learnt.soc, 12.5))
    np.testing.assert_allclose(mean_profile(learnt, held, transform=lambda soc: soc), 12.5)
    logs = mean_profile(learnt, held, transform=np.log)
    np.testing.assert_allclose(logs, np.log(12.5))


def test_free_profile_says_its_parameters():
    process = FreeProfile(middle=2.0)
    assert len(process.parameters) == N_LAYERS
    low, high = process.parameters[0].priors["free"]
    assert (low + high) / 2.0 == pytest.approx(2.0)
    parameters = torch.linspace(-1.0, 1.0, N_LAYERS)[:, None]
    state = process.steady_state(parameters, None)
    torch.testing.assert_close(state.soc, parameters.exp() * 1e3)


def test_profiles_find_their_cells_with_the_tolerance_of_the_fit(setting):
    grid, model, training, test = setting
    away = test.assign_coords(lat=test.lat * 0.0 + float(grid.lat.max()) + 9.0)
    near = xbinn.Model(
        model.predictor, model.settings | {"tolerance": 12.0}, model.record, model.training_data
    )
    assert settings_of(near).tolerance == 12.0
    found = compare_with_baselines(grid, near, training, away).sites
    assert found.n_profiles > 0
    assert "profiles: no grid cell within the tolerance" not in found.left_out
    with pytest.raises(ProfileError, match="no grid cell within the tolerance"):
        compare_with_baselines(grid, model, training, away)


def test_report_names_each_baseline(setting):
    named = []
    compare_with_baselines(*setting, report=named.append)
    assert named == list(BASELINES.values())


def test_rivals_are_scored_on_the_same_samples(skill, setting):
    grid, model, training, test = setting
    quick = {"epochs": 1, "hidden": (16,), "block_size": 6.0}
    rival = xbinn.fit(grid, training, seed=7, **quick)
    found = compare_with_baselines(
        *setting, rivals={"other": rival, "same": model}, baselines=("mean_profile",)
    )
    assert list(found.scores["model"].values) == [MODEL, "other", "same", "mean_profile"]
    np.testing.assert_array_equal(found.modelled["same"], skill.modelled[MODEL])
    alone, _ = modelled_soc(
        rival, gather_sites(grid, test, rival.predictor.covariates, bedrock="closed")
    )
    assert set(found.modelled["other"]) <= set(alone)
    assert not np.array_equal(found.modelled["other"], skill.modelled[MODEL])
    assert float(found.gains["gain"].sel(baseline="same", scale="log")) == 0.0


def test_rivals_that_cannot_be_scored_are_refused(setting):
    grid, model, training, test = setting
    with pytest.raises(InputError, match=r"baselines=\('mean',\) .*; rivals=.* called xbinn"):
        compare_with_baselines(*setting, rivals={MODEL: model}, baselines=("mean",))
    # Half of the test profiles lie where the covariate of another model is missing.
    south = grid["lat"] < float(test["lat"].median())
    holes = grid.assign(extra=grid["elevation"].where(south))
    names = [*model.covariates, "extra"]
    other = xbinn.fit(
        holes, training, seed=0, epochs=1, hidden=(16,), block_size=6.0, covariates=names
    )
    with pytest.raises(InputError, match=r"rivals\['other'\] says nothing of \d+ of \d+ test"):
        compare_with_baselines(holes, model, training, test, rivals={"other": other}, baselines=())
