"""Whole blocks are held out."""

import numpy as np
import pytest

from xbinn.errors import InputError
from xbinn.labels.spatial_blocks import spatial_blocks
from xbinn.science.crossvalidation import hold_out, split_profiles
from xbinn.testing import small_grid, small_profiles


def test_groups_stay_together():
    groups = np.repeat(np.arange(20), 5)
    held = hold_out(groups, 0.2, 0)
    assert held.sum() == 20
    assert all(len(set(held[groups == g])) == 1 for g in range(20))
    np.testing.assert_array_equal(held, hold_out(groups, 0.2, 0))
    assert not np.array_equal(held, hold_out(groups, 0.2, 1))


def test_held_out_groups_cover_the_range_of_values():
    groups = np.repeat(np.arange(25), 4)
    values = groups.astype(np.float64)
    for seed in range(5):
        held = np.unique(groups[hold_out(groups, 0.2, seed, values=values)])
        # One from each run of five neighbours in the order of their means.
        assert (held // 5).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_neither_part_is_empty(fraction):
    held = hold_out(np.array([0, 1]), fraction, 0)
    assert held.sum() == 1


def test_refusals():
    for fraction in (0.0, 1.0, np.nan):
        with pytest.raises(InputError, match="must lie between 0 and 1"):
            hold_out(np.arange(4), fraction, 0)
    with pytest.raises(InputError, match="all 4 members lie in one block"):
        hold_out(np.zeros(4), 0.2, 0)


@pytest.mark.parametrize("block_size", [2.0, "200 km"])
def test_profiles_are_split_by_blocks(block_size):
    profiles = small_profiles(small_grid(), 60)
    training, test = split_profiles(profiles, block_size=block_size, seed=0)
    assert training.sizes["profile"] + test.sizes["profile"] == 60
    blocks = [set(spatial_blocks(p.lat.values, p.lon.values, block_size)) for p in (training, test)]
    assert blocks[0]
    assert blocks[1]
    assert not blocks[0] & blocks[1]
