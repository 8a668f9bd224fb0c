"""The small grids and profiles that other tests rest on."""

import numpy as np
import pytest
import xarray as xr

from xbinn import constants
from xbinn.errors import InputError
from xbinn.testing import small_grid, small_profiles


def test_default_has_every_kind_of_cell() -> None:
    grid = small_grid()
    assert dict(grid["TSOI"].sizes) == {"month": 12, "depth": 20, "lat": 4, "lon": 5}
    land = grid["land_fraction"].values > 0.0
    assert 0 < (~land).sum() < 8
    altmax = grid["ALTMAX_LASTYEAR"].values[0]
    assert (altmax == 0.0).any()
    assert ((altmax > 0.0) & (altmax <= constants.MAX_ALTMAX_CRYOTURBATION)).any()
    assert np.nanmin(grid["nbedrock"]) < 10.0
    assert len(np.unique(grid["parent_material"].values[land])) > 1


def test_seed_moves_the_terrain() -> None:
    xr.testing.assert_identical(small_grid(seed=3), small_grid(seed=3))
    assert not small_grid(seed=3).equals(small_grid(seed=4))


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (7, 2)])
def test_any_shape(shape: tuple[int, int]) -> None:
    grid = small_grid(shape)
    assert grid["TSOI"].shape[-2:] == shape
    assert (grid["land_fraction"] > 0.0).any()
    assert np.isfinite(small_profiles(grid, 5)["soc"]).any("sample").all()


def test_no_cells_no_profiles() -> None:
    grid = small_grid((0, 3))
    assert grid["TSOI"].sizes["lat"] == 0
    assert small_profiles(grid, 0).sizes["profile"] == 0
    with pytest.raises(InputError, match=r"no cell of the grid is land that thaws, .* take more"):
        small_profiles(grid, 1)


def test_chunks() -> None:
    chunked = small_grid(chunks={"lat": 2, "lon": 3})
    assert chunked["TSOI"].chunksizes["lon"] == (3, 2)
    xr.testing.assert_identical(chunked.compute(), small_grid())
    xr.testing.assert_identical(small_profiles(chunked), small_profiles(small_grid()))


def test_points() -> None:
    grid = small_grid(points=True)
    assert grid["TSOI"].dims == ("month", "depth", "cell")
    assert grid["nbedrock"].dims == ("cell",)
    assert grid["lat"].dims == grid["lon"].dims == ("cell",)
    assert len(np.unique(grid["lat"])) == grid.sizes["cell"] == 20


def test_projected() -> None:
    grid = small_grid(crs="EPSG:3035")
    assert grid["TSOI"].dims == ("month", "depth", "y", "x")
    assert "lat" not in grid.coords
    assert grid.rio.crs.to_epsg() == 3035
    assert (np.diff(grid["y"]) < 0.0).all()
    assert grid["x"].attrs["standard_name"] == "projection_x_coordinate"
    assert 0 < int((grid["land_fraction"] > 0.0).sum()) < 20


def test_geographic_crs() -> None:
    grid = small_grid(crs="EPSG:4326")
    assert grid.rio.crs.to_epsg() == 4326
    np.testing.assert_array_equal(grid["TSOI"], small_grid()["TSOI"])


def test_same_place_same_soil_on_any_grid() -> None:
    """A projected cell and a point at its place have the same covariates."""
    import pyproj

    from xbinn import idealised

    grid = small_grid(crs="EPSG:6933")
    x, y = np.meshgrid(grid["x"], grid["y"])
    lon, lat = pyproj.Transformer.from_crs(6933, 4326, always_xy=True).transform(x, y)
    points = idealised.continent(
        xr.DataArray(lat.ravel(), dims="cell"), xr.DataArray(lon.ravel(), dims="cell")
    )
    for name in ("elevation", "TSOI", "parent_material"):
        expected = grid[name].stack(cell=("y", "x")).values
        np.testing.assert_allclose(points[name].values, expected, rtol=1e-6)  # float32


@pytest.mark.parametrize(
    "options", [{}, {"points": True}, {"crs": "EPSG:3035"}], ids=["degrees", "points", "projected"]
)
def test_profiles_lie_in_cells_with_soil(options: dict[str, object]) -> None:
    import pyproj

    grid = small_grid(**options)  # type: ignore[arg-type]
    profiles = small_profiles(grid, 30, seed=2)
    assert profiles.sizes["profile"] == 30
    if "points" in options:
        apart = np.hypot(
            grid["lat"] - profiles["lat"],
            (grid["lon"] - profiles["lon"]) * np.cos(np.deg2rad(profiles["lat"])),
        )
        at = grid.isel(cell=apart.argmin("cell"))
    elif "crs" in options:
        project = pyproj.Transformer.from_crs(4326, 3035, always_xy=True)
        x, y = project.transform(profiles["lon"].values, profiles["lat"].values)
        at = grid.sel(
            x=xr.DataArray(x, dims="profile"), y=xr.DataArray(y, dims="profile"), method="nearest"
        )
    else:
        at = grid.sel(lat=profiles["lat"], lon=profiles["lon"], method="nearest")
    assert (at["land_fraction"] > 0.0).all()


def test_profiles_differ_by_seed() -> None:
    grid = small_grid()
    xr.testing.assert_identical(small_profiles(grid, 8, seed=1), small_profiles(grid, 8, seed=1))
    assert not small_profiles(grid, 8, seed=1).equals(small_profiles(grid, 8, seed=2))


def test_refuses_points_on_a_crs() -> None:
    with pytest.raises(InputError, match=r"points have lat and lon but no crs \(got 'EPSG:3035'\)"):
        small_grid(crs="EPSG:3035", points=True)


def test_refuses_an_unknown_crs() -> None:
    with pytest.raises(
        InputError, match=r"crs='EPSG:0' is not understood .* such as \"EPSG:3035\""
    ):
        small_grid(crs="EPSG:0")


def test_refuses_cells_without_position() -> None:
    with pytest.raises(
        InputError, match=r"the cells have no positions: .*\(coordinates: month, de"
    ):
        small_profiles(small_grid().drop_vars(["lat", "lon"]))


def test_refuses_another_grid() -> None:
    with pytest.raises(InputError, match=r"known on the idealised continent only"):
        small_profiles(small_grid().drop_vars("clay"))
