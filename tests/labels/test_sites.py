"""From profiles on a grid to sites."""

import numpy as np
import pytest
import xarray as xr

from xbinn.errors import InputError, ProfileError
from xbinn.labels.covariates import CovariateSpec, select_covariates
from xbinn.labels.sites import Sites, describe_left_out, gather_sites
from xbinn.testing import small_grid, small_profiles


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid()


@pytest.fixture(scope="module")
def profiles(grid) -> xr.Dataset:
    return small_profiles(grid)


@pytest.fixture(scope="module")
def sites(grid, profiles) -> Sites:
    return gather_sites(grid, profiles, select_covariates(grid), bedrock="closed")


def test_each_cell_once_with_its_values(grid, profiles, sites):
    assert len(np.unique(sites.cell)) == sites.n_sites
    assert sites.n_profiles == profiles.sizes["profile"]
    assert len(sites.soc) == int(profiles["soc"].notnull().sum())
    flat = grid.stack(cell=("lat", "lon")).isel(cell=sites.cell)
    np.testing.assert_array_equal(sites.lat, flat.lat)
    np.testing.assert_array_equal(sites.forcing["TSOI"], flat["TSOI"].transpose(..., "cell"))
    np.testing.assert_array_equal(sites.numeric[:, 0], flat["annual_mean_temperature"])
    nearest = grid.sel(lat=profiles.lat, lon=profiles.lon, method="nearest")
    here = sites.site
    np.testing.assert_array_equal(sites.lat[here], nearest.lat.values[sites.profile])
    np.testing.assert_array_equal(sites.lon[here], nearest.lon.values[sites.profile])


def test_select_and_without(sites):
    keep = np.arange(sites.n_sites) % 2 == 0
    kept = sites.select(keep)
    assert kept.n_sites == keep.sum()
    np.testing.assert_array_equal(kept.cell, sites.cell[keep])
    np.testing.assert_array_equal(kept.soc, sites.soc[keep[sites.site]])
    np.testing.assert_array_equal(kept.cell[kept.site], sites.cell[sites.site][keep[sites.site]])
    counted = sites.without(keep, None, "a reason")
    assert counted.left_out == {
        "profiles: a reason": sites.n_profiles - kept.n_profiles,
        "samples: a reason": len(sites.soc) - len(kept.soc),
    }
    assert sites.left_out == {}
    # A site without samples is no site.
    only = sites.select(np.ones(sites.n_sites, bool), sites.site == 0)
    assert only.n_sites == 1
    with pytest.raises(ProfileError, match=r"no profile can be used \(.*a reason"):
        sites.without(np.zeros(sites.n_sites, bool), None, "a reason")


def test_weights_go_with_their_samples(grid, profiles, sites):
    np.testing.assert_array_equal(sites.weight, np.ones(len(sites.soc)))
    weight = np.arange(profiles.sizes["profile"]) % 3
    weighted = profiles.assign_coords(weight=("profile", weight))
    found = gather_sites(grid, weighted, select_covariates(grid), bedrock="closed")
    np.testing.assert_array_equal(found.weight, weight[found.profile])
    assert set(found.weight) == {1.0, 2.0}
    assert found.left_out["profiles: weight zero"] == (weight == 0).sum()
    part = found.select(np.arange(found.n_sites) < 5)
    np.testing.assert_array_equal(part.weight, weight[part.profile])
    assert found.fingerprint() != sites.fingerprint()


def test_what_was_left_out_is_said_in_words():
    left_out = {"profiles: no position": 1, "samples: soc negative": 12, "samples: x: y": 1}
    said = describe_left_out(left_out)
    assert said == "1 profile: no position; 12 samples: soc negative; 1 sample: x: y"


def test_profiles_forcing_and_covariates_are_looked_at_together(grid, profiles):
    spec = select_covariates(grid)
    bare = grid.drop_vars(["TSOI", "elevation"])
    with pytest.raises(InputError, match=r"(?s)3 parts .*lack lat.*TSOI.*elevation"):
        gather_sites(bare, profiles.drop_vars("lat"), spec, bedrock="closed")


def test_fingerprint_tells_data_apart(grid, profiles, sites):
    spec = select_covariates(grid)
    same = gather_sites(grid.chunk(lat=1), profiles, spec, bedrock="closed")
    assert same.fingerprint() == sites.fingerprint()
    other = profiles.assign(soc=profiles["soc"] * 1.0000002)
    other["soc"].attrs["units"] = "kg m-3"
    changed = gather_sites(grid, other, spec, bedrock="closed")
    assert changed.fingerprint() != sites.fingerprint()


def test_no_numeric_covariate(grid, profiles):
    spec = CovariateSpec((), (("land_cover", (1, 2, 3)),))
    found = gather_sites(grid, profiles, spec, bedrock="closed")
    assert found.numeric.shape == (found.n_sites, 0)


def test_nothing_left(grid, profiles):
    away = profiles.assign_coords(lat=profiles.lat * 0 - 70.0)
    with pytest.raises(ProfileError, match=r"no profile can be used.*widen tolerance"):
        gather_sites(grid, away, select_covariates(grid), bedrock="closed")
