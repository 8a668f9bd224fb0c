"""Ensembles: members alike but for their seed, joined into one model."""

import re

import numpy as np
import pytest
import torch
import xarray as xr
from distributed import Client, LocalCluster

import xbinn
from xbinn.science.ensemble import member_seeds
from xbinn.testing import small_grid, small_profiles

MEMBERS = 3


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid()


@pytest.fixture(scope="module")
def profiles(grid: xr.Dataset) -> xr.Dataset:
    return small_profiles(grid)


@pytest.fixture(scope="module")
def ensemble(grid: xr.Dataset, profiles: xr.Dataset) -> xbinn.Model:
    return xbinn.fit(grid, profiles, members=MEMBERS, epochs=2, seed=3)


def test_seeds_are_different_and_follow_from_the_first() -> None:
    seeds = member_seeds(3, 4)
    assert seeds[0] == 3
    assert len(set(seeds)) == 4
    assert member_seeds(3, 2) == seeds[:2]
    assert member_seeds(None, 2) == [None, None]
    assert all(isinstance(seed, int) and 0 <= seed < 2**64 for seed in seeds)


def test_each_member_is_the_fit_with_its_seed(
    grid: xr.Dataset, profiles: xr.Dataset, ensemble: xbinn.Model
) -> None:
    maps = []
    for seed in member_seeds(3, MEMBERS):
        alone = xbinn.fit(grid, profiles, epochs=2, seed=seed)
        maps.append(xbinn.predict(grid, alone, outputs="soc"))
    members = xbinn.predict(
        grid, ensemble, outputs="soc", samples=MEMBERS, dropout=False, reduce=False
    )
    for number, alone in enumerate(maps):
        member = members["soc"].isel(sample=number)
        # Categories that a member has not seen are added to its table: nothing else changes.
        np.testing.assert_array_equal(member.values, alone["soc"].values)


def test_without_samples_the_mean_of_the_members_is_predicted(
    grid: xr.Dataset, profiles: xr.Dataset, ensemble: xbinn.Model
) -> None:
    mean = xbinn.predict(grid, ensemble)
    members = xbinn.predict(grid, ensemble, samples=MEMBERS, dropout=False)
    for name in mean.data_vars:
        # The same sum of three numbers.
        np.testing.assert_array_equal(mean[name].values, members[name].values)
    assert float(xbinn.score(grid, ensemble, profiles)["n"].max()) > 0


def test_a_saved_ensemble_is_the_same(grid, ensemble, tmp_path) -> None:
    ensemble.save(tmp_path / "e.xbinn")
    loaded = xbinn.load(tmp_path / "e.xbinn")
    assert loaded.members == MEMBERS
    assert loaded.sha256 == ensemble.sha256
    xr.testing.assert_identical(loaded.history, ensemble.history)
    for own, other in zip(loaded.predictor.networks, ensemble.predictor.networks, strict=True):
        for name, weight in own.state_dict().items():
            assert torch.equal(weight, other.state_dict()[name])


def test_history_and_text_tell_of_all_members(ensemble: xbinn.Model) -> None:
    assert dict(ensemble.history.sizes) == {"member": MEMBERS, "epoch": 2}
    assert re.search(r"members +3\n", repr(ensemble))
    assert "mean of members" in repr(ensemble)


def test_members_on_a_cluster_are_the_same(grid, profiles, ensemble) -> None:
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        there = xbinn.fit(grid, profiles, members=MEMBERS, epochs=2, seed=3)
    assert there.sha256 == ensemble.sha256


def test_a_constant_encoder_makes_an_ensemble_too(grid, profiles) -> None:
    model = xbinn.fit(grid, profiles, encoder="constant", members=2, epochs=1, seed=0)
    assert model.members == 2


@pytest.mark.parametrize("members", [0, -1, 1.5, True])
def test_numbers_of_members_that_make_no_sense(grid, profiles, members) -> None:
    with pytest.raises(xbinn.errors.InputError, match=r"members=.*must be"):
        xbinn.fit(grid, profiles, members=members)


def test_folds_are_fitted_by_ensembles_too(grid, profiles) -> None:
    found = xbinn.cross_validate(
        grid,
        profiles,
        split="random",
        folds=2,
        baselines=("without_physics",),
        permutations=0,
        fit={"members": 2, "epochs": 1, "hidden": 4},
        seed=0,
    )
    assert {model.members for model in found.models.values()} == {2}
