"""Folds: every sample once, cells whole, neighbours together."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from xbinn.errors import InputError, ProfileError
from xbinn.labels.covariates import select_covariates
from xbinn.labels.sites import Sites, gather_sites
from xbinn.labels.spatial_blocks import spatial_blocks
from xbinn.science.folds import assign_folds, deal
from xbinn.testing import small_grid, small_profiles


@pytest.fixture(scope="module")
def sites() -> Sites:
    grid = small_grid((12, 14))
    spec = select_covariates(grid)
    return gather_sites(grid, small_profiles(grid, 90), spec, bedrock="closed")


def assigned(sites, split, **changed):
    given = {"folds": 4, "block_size": 6.0, "seed": 0, **changed}
    return assign_folds(sites, split, **given)


def by_site(sites, folds) -> np.ndarray:
    """Fold of every site, after checking that a site has one."""
    fold = np.full(sites.n_sites, -1)
    fold[sites.site] = folds.number
    np.testing.assert_array_equal(fold[sites.site], folds.number)
    return fold


@pytest.mark.parametrize("split", ["spatial_blocks", "random", "latitude_bands"])
def test_every_sample_is_tested_on_once_by_what_has_not_seen_its_cell(sites, split):
    same, folds = assigned(sites, split)
    assert same is sites
    assert len(folds.names) == 4
    assert set(by_site(sites, folds)) == {0, 1, 2, 3}
    tested = np.zeros(len(sites.soc), dtype=int)
    for learn, test in folds.parts(sites):
        assert not set(sites.site[learn]) & set(sites.site[test])
        np.testing.assert_array_equal(learn, ~test)
        tested += test
    assert (tested == 1).all()


def test_blocks_stay_whole(sites):
    fold = by_site(sites, assigned(sites, "spatial_blocks")[1])
    blocks = spatial_blocks(sites.lat, sites.lon, 6.0)
    assert all(len(set(fold[blocks == b])) == 1 for b in blocks)


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_bands_follow_each_other_and_are_about_equal(sites, folds):
    fold = by_site(sites, assigned(sites, "latitude_bands", folds=folds)[1])
    limits = [(sites.lat[fold == f].min(), sites.lat[fold == f].max()) for f in range(folds)]
    assert all(a[1] < b[0] for a, b in pairwise(limits))
    row = np.unique(sites.lat, return_counts=True)[1].max()
    assert np.ptp(np.bincount(fold)) <= 2 * row


def test_no_band_is_empty_where_one_row_holds_nearly_all(sites):
    lat = np.where(np.arange(sites.n_sites) < 3, np.arange(sites.n_sites) * 1.0, 40.0)
    for place in (lat, -lat):
        fold = by_site(sites, assigned(replace(sites, lat=place), "latitude_bands")[1])
        assert set(fold) == {0, 1, 2, 3}


def test_dealt_folds_cover_the_range_of_values():
    fold = deal(np.repeat(np.arange(20), 3), np.repeat(np.arange(20.0), 3), 5, seed=1)
    runs = fold[::3].reshape(4, 5)
    assert (np.sort(runs, axis=1) == np.arange(5)).all()


def test_folds_depend_on_the_seed_alone(sites):
    first, again, other = (assigned(sites, "random", seed=seed)[1].number for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_classes_are_left_out_one_at_a_time(sites):
    label = np.where(sites.lat[sites.site] > 50.0, "north", "south")
    label[:3] = ""
    kept, folds = assigned(sites, "leave_source_out", label=label)
    assert folds.names == ("north", "south")
    assert len(kept.soc) == len(sites.soc) - 3
    assert kept.left_out["samples: source missing"] == 3
    np.testing.assert_array_equal(folds.number, (label[3:] == "south").astype(int))


def test_a_cell_of_two_classes_is_learnt_from_and_not_tested_on(sites):
    twice = np.bincount(sites.site).argmax()
    mixed = sites.site == twice
    label = np.where(sites.lat[sites.site] > 50.0, "north", "south")
    label[np.flatnonzero(mixed)[0]] = "north"
    label[np.flatnonzero(mixed)[1]] = "south"
    _, folds = assigned(sites, "leave_region_out", label=label)
    for number, (learn, test) in enumerate(folds.parts(sites)):
        assert not test[mixed].any()
        np.testing.assert_array_equal(learn, folds.number != number)


def test_refusals(sites):
    with pytest.raises(InputError, match=r"999 folds cannot be made of \d+ blocks with profiles"):
        assigned(sites, "spatial_blocks", folds=999)
    with pytest.raises(InputError, match=r"999 folds cannot be made of \d+ cells"):
        assigned(sites, "random", folds=999)
    with pytest.raises(InputError, match=r"999 folds cannot be made of \d+ latitudes"):
        assigned(sites, "latitude_bands", folds=999)
    one = np.full(len(sites.soc), "here")
    with pytest.raises(InputError, match="all profiles are of the source 'here'"):
        assigned(sites, "leave_source_out", label=one)
    with pytest.raises(ProfileError, match="region missing"):
        assigned(sites, "leave_region_out", label=np.full(len(sites.soc), ""))
    several = sites.select(np.bincount(sites.site) > 1)
    first = np.unique(several.site, return_index=True)[1]
    label = np.full(len(several.soc), "a")
    label[first] = "b"
    with pytest.raises(ProfileError, match="every cell holds profiles of more than one source"):
        assigned(several, "leave_source_out", label=label)
