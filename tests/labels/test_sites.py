"""From profiles on a grid to sites."""

from collections import Counter
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from xbinn.errors import InputError, ProfileError
from xbinn.labels import sites as sites_module
from xbinn.labels.covariates import CovariateSpec, select_covariates
from xbinn.labels.sites import NO_COVARIATE, Sites, describe_left_out, gather_sites
from xbinn.labels.space import CellSearch, spatial_dims
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


class Watched:
    """An array that says what is read of it, and refuses what nobody has a use for."""

    def __init__(self, values: np.ndarray, near: np.ndarray, reads: Counter[Any], name: str):
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim
        self._values, self._near, self._reads, self._name = values, near, reads, name

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
        if not self._near[key[-self._near.ndim :]].any():
            raise AssertionError(f"{self._name} was read where no profile is: {key}")
        self._reads[(self._name, *((k.start, k.stop) for k in key))] += 1
        return self._values[key]


def watched(grid: xr.Dataset, profiles: xr.Dataset, size: int) -> tuple[xr.Dataset, Counter[Any]]:
    """The grid in square blocks that refuse to be read unless a profile is near."""
    space = spatial_dims(grid)
    shape = tuple(grid.sizes[d] for d in space)
    lat, lon = CellSearch(grid, [], []).positions(np.arange(np.prod(shape)))
    north, east = (
        np.abs(cells[:, None] - profiles[name].values)
        for cells, name in ((lat, "lat"), (lon, "lon"))
    )
    near = ((north < 3.0) & (east < 4.5)).any(axis=1).reshape(shape)
    reads: Counter[Any] = Counter()
    lazy = {}
    for name, variable in grid.data_vars.items():
        variable = variable.transpose(..., *space)
        source = Watched(variable.values, near, reads, str(name))
        chunks = [size if d in space else -1 for d in variable.dims]
        array = da.from_array(source, chunks, name=False, meta=np.empty(0, variable.dtype))
        lazy[name] = (variable.dims, array, variable.attrs)
    return xr.Dataset(lazy, grid.coords), reads


KINDS: dict[str, dict[str, Any]] = {
    "regular": {},
    "points": {"points": True},
    "projected": {"crs": "EPSG:6933"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_one_compute_reads_blocks_with_profiles_once(kind, raise_if_dask_computes):
    grid = small_grid((18, 20), **KINDS[kind])
    profiles = small_profiles(grid, 60)
    profiles = profiles.isel(profile=(profiles.lat < profiles.lat.min() + 8.0).values)
    spec = select_covariates(grid)
    whole = gather_sites(grid, profiles, spec, bedrock="closed")
    lazy, reads = watched(grid, profiles, 10 if kind == "points" else 3)
    with raise_if_dask_computes(max_computes=1):
        found = gather_sites(lazy, profiles, spec, bedrock="closed")
    assert found.fingerprint() == whole.fingerprint()
    np.testing.assert_array_equal(found.cell, whole.cell)
    assert found.left_out == whole.left_out
    assert set(reads.values()) == {1}
    blocks = lazy["TSOI"].data.npartitions
    assert 0 < sum(name == "TSOI" for name, *_ in reads) < blocks / 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tolerance", [None, 1.5, 60.0])
def test_chunks_do_not_matter(kind, tolerance, monkeypatch, raise_if_dask_computes):
    grid = small_grid((9, 11), **KINDS[kind])
    profiles = small_profiles(grid, 80)
    if kind == "projected" and tolerance is not None:
        tolerance *= 1e5
    space = spatial_dims(grid)
    rng = np.random.default_rng(1)
    for name, share in (("TSOI", 0.2), ("elevation", 0.2)):
        there = rng.random([grid.sizes[d] for d in space]) > share
        grid[name] = grid[name].where(xr.DataArray(there, dims=space))
    spec = select_covariates(grid)
    whole = gather_sites(grid, profiles, spec, bedrock="closed", tolerance=tolerance)
    assert tolerance is not None or whole.left_out["profiles: " + NO_COVARIATE] > 0
    lazy = grid.chunk({d: 4 for d in space} | {"month": 5})
    # Of a chunked list of cells the places are chunked too, and have to be known first.
    with raise_if_dask_computes(max_computes=2 if kind == "points" else 1):
        found = gather_sites(lazy, profiles, spec, bedrock="closed", tolerance=tolerance)
    assert found.fingerprint() == whole.fingerprint()
    assert found.left_out == whole.left_out
    # More cells than are held at once: what they miss is found first.
    monkeypatch.setattr(sites_module, "_AT_ONCE", 3)
    for ds in (grid, lazy):
        again = gather_sites(ds, profiles, spec, bedrock="closed", tolerance=tolerance)
        assert again.fingerprint() == whole.fingerprint()
        assert again.left_out == whole.left_out


def test_the_order_of_dimensions_does_not_matter():
    grid = small_grid((6, 7))
    profiles = small_profiles(grid)
    litter = grid["LITR1_INPUT"]
    deep = litter * xr.DataArray(np.random.default_rng(0).random(20).astype("f4"), dims="depth")
    grid["LITR1_INPUT"] = deep.assign_attrs(units="gC m-3 month-1")
    spec = select_covariates(grid)
    expected = gather_sites(grid, profiles, spec, bedrock="closed").fingerprint()
    turned = grid.transpose("lat", "lon", "month", "depth")
    for ds in (turned, turned.copy(deep=True), turned.chunk(lat=2)):
        assert gather_sites(ds, profiles, spec, bedrock="closed").fingerprint() == expected


@pytest.mark.parametrize("stored", [None, 2])
def test_a_file_is_read_by_blocks(stored, tmp_path, monkeypatch, raise_if_dask_computes):
    grid = small_grid((6, 8))
    profiles = small_profiles(grid)
    path = tmp_path / "grid.nc"
    sizes = {d: stored if d in ("lat", "lon") else n for d, n in grid.sizes.items()}
    chunked = {n: {"chunksizes": tuple(sizes[str(d)] for d in v.dims)} for n, v in grid.items()}
    grid.to_netcdf(path, engine="h5netcdf", encoding=chunked if stored else None)
    monkeypatch.setattr(sites_module, "_BLOCK", 6_000)
    with xr.open_dataset(path) as ds:
        spec = select_covariates(grid)
        with raise_if_dask_computes(max_computes=1):
            found = gather_sites(ds, profiles, spec, bedrock="closed")
        assert not any(ds[name].variable._in_memory for name in ds.data_vars)
        blocks = sites_module._in_blocks(ds["TSOI"].variable).chunksizes
        assert len(blocks["lat"]) * len(blocks["lon"]) > 1
        if stored:
            assert {n % stored for d in ("lat", "lon") for n in blocks[d]} == {0}
    whole = gather_sites(xr.load_dataset(path), profiles, spec, bedrock="closed")
    assert found.fingerprint() == whole.fingerprint()


def test_one_column():
    grid = small_grid((6, 7))
    profiles = small_profiles(grid)
    first = gather_sites(grid, profiles, select_covariates(grid), bedrock="closed").cell[0]
    column = grid.isel(lat=first // 7, lon=first % 7)
    spec = select_covariates(grid)
    found = gather_sites(column, profiles, spec, bedrock="closed", tolerance=2.0)
    assert found.n_sites == 1
    np.testing.assert_array_equal(found.forcing["TSOI"][..., 0], column["TSOI"])
    with pytest.raises(ProfileError, match="no grid cell within the tolerance"):
        gather_sites(column, profiles.assign_coords(lat=profiles.lat * 0 + 89.0), spec,
                     bedrock="closed", tolerance=2.0)  # fmt: skip
