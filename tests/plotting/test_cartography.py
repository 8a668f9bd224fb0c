"""Maps where cartopy is installed."""

import socket
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pyproj
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

pytest.importorskip("cartopy")

import cartopy
import shapefile
from cartopy import crs as ccrs
from cartopy.mpl.feature_artist import FeatureArtist
from cartopy.mpl.geoaxes import GeoAxes
from cartopy.mpl.gridliner import Gridliner

from xbinn.plotting import cartography, plot_map, plot_processes, plot_uncertainty
from xbinn.testing import small_grid
from xbinn.variables import PROCESSES

same = partial(
    pytest.mark.mpl_image_compare,
    baseline_dir="baseline",
    style="default",
    remove_text=True,
    tolerance=2.0,
    savefig_kwargs={"dpi": 50, "metadata": {"Software": None}},
)
ALBERS = ccrs.AlbersEqualArea(0.0, 50.0, standard_parallels=(40.0, 60.0))


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path) -> None:
    """No data of cartopy, and none to be had."""

    def refuse(*args: object) -> None:
        raise AssertionError("a figure reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(cartopy.io.Downloader, "acquire_resource", refuse)
    for name in ("pre_existing_data_dir", "data_dir"):
        monkeypatch.setitem(cartopy.config, name, tmp_path / name)
    cartography._read.cache_clear()


@pytest.fixture
def coast(tmp_path) -> None:
    """A coastline around 60°N, 60°S, 60°E and 60°W, as in the file of Natural Earth."""
    folder = tmp_path / "data_dir" / "shapefiles" / "natural_earth" / "physical"
    folder.mkdir(parents=True)
    side = np.linspace(-60.0, 60.0, 25)
    x = np.r_[side, np.full(25, 60.0), side[::-1], np.full(25, -60.0)]
    y = np.r_[np.full(25, -60.0), side, np.full(25, 60.0), side[::-1]]
    with shapefile.Writer(folder / "ne_110m_coastline") as file:
        file.field("name", "C")
        file.line([np.stack([x, y], axis=1).tolist()])
        file.record("square")


@pytest.fixture
def earthly(elevation) -> xr.DataArray:
    """A field that does not say it is idealised."""
    return elevation.drop_attrs().assign_attrs(units="m", long_name="elevation")


@pytest.fixture
def world() -> xr.DataArray:
    """All of it, in cells of 15 degrees."""
    lat, lon = np.arange(-82.5, 90.0, 15.0), np.arange(7.5, 360.0, 15.0)
    return xr.DataArray(
        np.cos(np.radians(lat))[:, None] * (2.0 + np.cos(np.radians(lon))),
        {"lat": lat, "lon": lon},
        ("lat", "lon"),
        "x",
        {"units": "1"},
    )


def coasts(ax: Axes) -> list[FeatureArtist]:
    return [artist for artist in ax.get_children() if isinstance(artist, FeatureArtist)]


def caption(figure: plt.Figure) -> str:
    return figure.get_supxlabel().replace("\n", " ")


@pytest.mark.usefixtures("coast")
def test_new_maps_are_cartopys_with_coastlines(earthly, sampled):
    figure = plot_map(earthly)
    figure.canvas.draw()
    ax = figure.axes[0]
    assert isinstance(ax, GeoAxes)
    assert len(coasts(ax)) == 1
    assert "Coastlines: Natural Earth." in caption(figure)
    assert ax.get_xlabel() == "longitude"
    assert ax.xaxis.get_visible()
    # What cartopy adds lands in its place.
    x, y = ax.projection.transform_point(-20.0, 50.0, ccrs.PlateCarree())
    assert (x, y) == pytest.approx((-20.0, 50.0))


@pytest.mark.usefixtures("coast")
def test_a_projected_grid_has_its_coastlines_too():
    grid = small_grid((8, 8), crs="EPSG:3035")["elevation"]
    for name in ("y", "x"):
        del grid[name].attrs["provenance"]
    field = grid.assign_attrs(provenance="")
    figure = plot_map(field)
    figure.canvas.draw()
    ax = figure.axes[0]
    assert len(coasts(ax)) == 1
    assert "LAEA Europe. Coastlines: Natural Earth." in caption(figure)
    assert ax.projection.transform_point(10.0, 52.0, ccrs.PlateCarree()) == pytest.approx(
        (4_321_000.0, 3_210_000.0)
    )
    ticks = [text.get_text() for text in ax.get_xticklabels()]
    assert "4000" in ticks  # km


@pytest.mark.usefixtures("coast")
def test_plain_axes_have_coastlines_in_their_coordinates(earthly):
    ax = plot_map(earthly, ax=plt.subplots()[1])
    assert not isinstance(ax, GeoAxes)
    (lines,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    drawn = np.concatenate(lines.get_segments())
    # Of the square, what crosses the map.
    assert drawn[:, 1] == pytest.approx(60.0)
    west, east = ax.get_xlim()
    assert drawn[:, 0].min() == pytest.approx(west)
    assert drawn[:, 0].max() == pytest.approx(east)

    grid = small_grid((8, 8), crs="EPSG:3035")["elevation"]
    for name in ("y", "x"):
        del grid[name].attrs["provenance"]
    ax = plot_map(grid.assign_attrs(provenance=""), ax=plt.subplots()[1])
    (lines,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    x, y = np.concatenate(lines.get_segments()).T
    back = pyproj.Transformer.from_crs("EPSG:3035", "EPSG:4326", always_xy=True)
    assert back.transform(x, y)[1] == pytest.approx(60.0, abs=0.05)


def test_without_installed_data_there_are_no_coastlines(earthly):
    figure = plot_map(earthly)
    figure.canvas.draw()
    assert isinstance(figure.axes[0], GeoAxes)
    assert not coasts(figure.axes[0])
    assert "Coastlines" not in caption(figure)


@pytest.mark.usefixtures("coast")
def test_idealised_continents_have_no_coastlines(elevation, sampled):
    for figure in (plot_map(elevation), plot_uncertainty(sampled)):
        assert not any(coasts(ax) for ax in figure.axes)
        assert "Coastlines" not in caption(figure)


def test_the_finest_coastlines_that_suit_are_taken(tmp_path, monkeypatch):
    folder = tmp_path / "pre_existing_data_dir/shapefiles/natural_earth/physical"
    folder.mkdir(parents=True)
    for resolution in ("110m", "50m", "10m"):
        (folder / f"ne_{resolution}_coastline.shp").touch()

    def found(*extent: float, crs: object = None) -> str:
        return cartography.coastlines_for(crs, extent).name.split("_")[1]

    assert found(-180.0, 180.0, -60.0, 80.0) == "110m"
    assert found(-125.0, -66.0, 24.0, 50.0) == "50m"
    assert found(5.0, 15.0, 45.0, 50.0) == "10m"
    laea = pyproj.CRS("EPSG:3035")
    assert found(4.0e6, 4.5e6, 3.0e6, 3.5e6, crs=laea) == "10m"
    assert found(2.0e6, 7.0e6, 1.0e6, 5.5e6, crs=laea) == "50m"
    turned = pyproj.CRS.from_cf(
        {
            "grid_mapping_name": "rotated_latitude_longitude",
            "grid_north_pole_latitude": 39.25,
            "grid_north_pole_longitude": -162.0,
        }
    )
    assert found(-28.0, 18.0, -23.0, 21.0, crs=turned) == "50m"
    (folder / "ne_10m_coastline.shp").unlink()
    assert found(5.0, 15.0, 45.0, 50.0) == "50m"


def test_cells_land_where_axes_of_another_projection_have_them(earthly):
    ax = plot_map(earthly, ax=plt.subplot(projection=ALBERS), title="t")
    west, east, south, north = ax.get_extent(crs=ccrs.PlateCarree())
    lon, lat = earthly["lon"].values, earthly["lat"].values
    assert west < lon.min()
    assert lon.max() < east
    assert south < lat.min()
    assert lat.max() < north
    assert any(isinstance(artist, Gridliner) for artist in ax.artists)
    row, column = np.argwhere(np.isfinite(earthly.values))[0]
    point = ALBERS.transform_point(lon[column], lat[row], ccrs.PlateCarree())
    mesh = ax.collections[0]
    corners = mesh.get_coordinates()
    middle = corners[row : row + 2, column : column + 2].mean(axis=(0, 1))
    placed = (mesh.get_transform() - ax.transData).transform(middle)
    assert placed == pytest.approx(point, abs=2e4)


def test_scattered_cells_are_projected_and_torn_ones_left_out():
    lat = np.array([10.0, 11.0, 20.0, 21.0, 35.0, 36.0])
    lon = np.array([-179.9, -179.9, -100.0, -100.2, 30.0, 30.1])
    cells = xr.DataArray(
        np.arange(6.0), {"lat": ("cell", lat), "lon": ("cell", lon)}, "cell", "x", {"units": "1"}
    )
    ax = plot_map(cells, ax=plt.subplot(projection=ccrs.Robinson()))
    (squares,) = ax.collections
    assert len(squares.get_paths()) == 4
    assert squares.get_array().tolist() == [2.0, 3.0, 4.0, 5.0]
    middle = squares.get_paths()[2].vertices[:4].mean(axis=0)
    expected = ccrs.Robinson().transform_point(30.0, 35.0, ccrs.PlateCarree())
    assert middle == pytest.approx(expected, rel=1e-3)


def test_a_map_of_the_world_shows_all_of_it(world):
    ax = plot_map(world, ax=plt.subplot(projection=ccrs.EqualEarth()))
    ax.figure.canvas.draw()
    assert ax.get_xlim() == pytest.approx(ccrs.EqualEarth().x_limits)


def test_a_graticule_that_is_there_is_left_alone(earthly):
    ax = plt.subplot(projection=ALBERS)
    own = ax.gridlines()
    plot_map(earthly, ax=ax)
    assert [a for a in ax.artists if isinstance(a, Gridliner)] == [own]


def test_maps_of_other_extents_are_other_projections():
    one, two = (cartography.Plane(None, (-10.0, 10.0, 40.0, north)) for north in (50.0, 60.0))
    assert one != two
    assert one == cartography.Plane(None, (-10.0, 10.0, 40.0, 50.0))
    assert len({one, two, cartography.Plane(None, two.bounds)}) == 2


@same()
@pytest.mark.usefixtures("coast")
def test_map_with_coastlines(world):
    return plot_map(world, title="t")


@same()
@pytest.mark.usefixtures("coast")
def test_map_on_axes_of_another_projection(earthly):
    figure = plt.figure(figsize=(6, 4), layout="constrained")
    ax = figure.add_subplot(projection=ALBERS)
    ax.gridlines()  # without letters, which are not compared
    plot_map(earthly, ax=ax)
    return figure


@same()
def test_processes_on_axes_of_cartopy(elevation):
    out = elevation.coords.to_dataset()
    for variable in PROCESSES:
        out[variable.name] = elevation.assign_attrs(
            units=variable.units, long_name=variable.long_name
        )
    return plot_processes(out, title="t")


@same()
@pytest.mark.usefixtures("coast")
def test_uncertainty_with_coastlines(sampled, applicable):
    bare = sampled.drop_attrs()
    for name in sampled.data_vars:
        bare[name].attrs = sampled[name].attrs
    return plot_uncertainty(bare, applicability=applicable)
