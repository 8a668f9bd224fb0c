"""Classes of samples, from the grid and from the profiles."""

import numpy as np
import pytest
import xarray as xr

from xbinn.errors import InputError
from xbinn.idealised.continent import LAND_COVER
from xbinn.labels.classes import classes_of_samples, find_koeppen, main_climates
from xbinn.labels.covariates import select_covariates
from xbinn.labels.profiles import standardise_profiles
from xbinn.labels.sites import gather_sites
from xbinn.testing import small_grid, small_profiles


@pytest.fixture(scope="module")
def grid():
    return small_grid((8, 9))


@pytest.fixture(scope="module")
def profiles(grid):
    return standardise_profiles(small_profiles(grid, 30))


@pytest.fixture(scope="module")
def sites(grid, profiles):
    return gather_sites(grid, profiles, select_covariates(grid), bedrock="closed")


@pytest.mark.parametrize("chunks", [None, {"lat": 3}])
def test_variables_are_looked_up_in_the_cells(grid, profiles, sites, chunks):
    lazy = grid if chunks is None else grid.chunk(chunks)
    found = classes_of_samples(lazy, profiles, sites, "land_cover")
    codes = grid["land_cover"].values.ravel()[sites.cell][sites.site].astype(int)
    assert list(found) == [LAND_COVER[code - 1] for code in codes]


def test_classes_without_meaning_are_numbers_and_missing_ones_are_empty(grid, profiles, sites):
    plain = grid.assign(zone=grid["parent_material"].astype(float).drop_attrs())
    plain["zone"] = plain["zone"].where(plain["zone"] != 1)
    found = classes_of_samples(plain, profiles, sites, "zone")
    codes = grid["parent_material"].values.ravel()[sites.cell][sites.site]
    assert list(found) == ["" if code == 1 else str(code) for code in codes]


def test_coordinates_of_profiles_go_before_variables(grid, profiles, sites):
    n = profiles.sizes["profile"]
    number = np.arange(n) % 3
    named = profiles.assign_coords(
        land_cover=("profile", np.where(number == 0, " ", "mine")),
        year=("profile", np.where(number == 0, np.nan, 2000.0 + number)),
    )
    found = classes_of_samples(grid, named, sites, "land_cover")
    assert list(found) == ["" if number[p] == 0 else "mine" for p in sites.profile]
    found = classes_of_samples(grid, named, sites, "year")
    assert list(found) == ["" if number[p] == 0 else f"{2000 + number[p]}" for p in sites.profile]


def test_refusals(grid, profiles, sites):
    with pytest.raises(InputError, match=r"'nowhere' is neither a coordinate .*land_cover"):
        classes_of_samples(grid, profiles, sites, "nowhere")
    with pytest.raises(InputError, match="lat holds measurements, not classes"):
        classes_of_samples(grid, profiles, sites, "lat")
    deep = profiles.assign_coords(horizon=profiles["soc"].fillna(0.0).round().astype(int))
    with pytest.raises(InputError, match="horizon has dimensions"):
        classes_of_samples(grid, deep, sites, "horizon")
    with pytest.raises(InputError, match="categories that are not integers: elevation"):
        classes_of_samples(grid, profiles, sites, "elevation")


def test_koeppen_is_known_by_its_classes(grid):
    assert find_koeppen(grid) is None
    climate = grid["land_cover"].assign_attrs(
        flag_values=np.arange(1, 7), flag_meanings="Af BSk Cfb Dfc EF ET"
    )
    assert find_koeppen(grid.assign(climate=climate)) == "climate"
    climate.attrs["flag_values"] = "1, 2, 3, 4, 5, 6"
    assert find_koeppen(grid.assign(climate=climate)) == "climate"
    climate.attrs["flag_values"] = np.arange(3)
    assert find_koeppen(grid.assign(climate=climate)) is None


def test_koeppen_of_the_real_grid(real_grid):
    assert find_koeppen(real_grid) == "koppen"


def test_main_climates_are_first_letters():
    attrs = {"flag_values": [1, 2, 9], "flag_meanings": "Af BSk ET"}
    koeppen = xr.DataArray([[1, 2], [9, 0]], dims=("lat", "lon"), attrs=attrs)
    grid = small_grid((2, 2)).assign(koeppen=koeppen)
    found = main_climates(grid)
    assert found.fillna("none").values.tolist() == [["A", "B"], ["E", "none"]]
    assert found.name == "climate"
    assert found.dims == ("lat", "lon")
    assert main_climates(grid.drop_vars("koeppen")) is None
