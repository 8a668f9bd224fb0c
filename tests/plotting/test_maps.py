import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm, to_rgba
from matplotlib.figure import Figure

from xbinn.errors import CoordinateError, InputError
from xbinn.plotting import geometry, plot_map, plot_processes
from xbinn.plotting.colours import NO_VALUE, choose_colours
from xbinn.testing import small_grid
from xbinn.variables import PROCESS_NAMES, PROCESSES


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(autouse=True, params=["plain", "cartopy"])
def axes(request, monkeypatch) -> None:
    """Maps say the same on either."""
    if request.param == "plain":
        monkeypatch.setattr(geometry, "cartography", None)
    else:
        pytest.importorskip("cartopy")
        monkeypatch.setattr(geometry.cartography, "_installed", lambda resolution: None)


@pytest.fixture
def field() -> xr.DataArray:
    """6 x 8 cells, the outermost without value."""
    values = np.full((6, 8), np.nan)
    values[1:-1, 1:-1] = np.arange(1.0, 25.0).reshape(4, 6)
    coords = {"lat": np.arange(45.0, 39.0, -1.0), "lon": np.arange(-100.0, -92.0)}
    attrs = {"units": "kg m-2", "long_name": "soil organic carbon stock"}
    return xr.DataArray(values, coords, ("lat", "lon"), "cSoil", attrs)


def processes(**grid: object) -> xr.Dataset:
    """Give every process a field of its own on a small grid."""
    template = small_grid((6, 7), **grid)["elevation"]
    out = template.coords.to_dataset()
    for i, variable in enumerate(PROCESSES):
        out[variable.name] = (template / 1000.0 + i + 1.0).assign_attrs(
            units=variable.units, long_name=variable.long_name
        )
    out["residence_time"] = np.exp((template / 100.0).clip(max=9)).assign_attrs(
        units="yr", long_name="residence time"
    )
    out.attrs = {"title": "Idealised processes", "source": "xbinn 0, model sha256 " + "a" * 64}
    return out


def caption(figure: Figure) -> str:
    return figure._supxlabel.get_text().replace("\n", " ")


def bar(ax: Axes) -> Axes:
    (inset,) = ax.child_axes
    return inset


def test_map_stands_alone(field: xr.DataArray) -> None:
    figure = plot_map(field, title="Idealised stocks", caption="Data: made up; model: none")
    figure.canvas.draw()
    (ax,) = (a for a in figure.axes if a.get_xlabel())
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("longitude", "latitude")
    assert all(t.get_text().endswith("°W") for t in ax.get_xticklabels())
    assert all(t.get_text().endswith("°N") for t in ax.get_yticklabels())
    label = bar(ax).get_ylabel().replace("\n", " ")
    assert label == "soil organic carbon stock (kg m⁻²)"
    assert figure.get_suptitle() == "Idealised stocks"
    text = caption(figure)
    assert text.startswith("Map of soil organic carbon stock (kg m⁻²). Colours end at the 2nd and")
    assert text.endswith("Grey: no value. Data: made up; model: none.")


def test_map_ends_where_values_end(field: xr.DataArray) -> None:
    ax = plot_map(field, ax=plt.subplots()[1])
    assert isinstance(ax, Axes)
    margin = 0.02 * 6
    assert ax.get_xlim() == pytest.approx((-99.5 - margin, -93.5 + margin))
    assert ax.get_ylim() == pytest.approx((40.5 - margin, 44.5 + margin))
    assert ax.get_facecolor() == to_rgba(NO_VALUE)


def test_values_stand_in_their_place(field: xr.DataArray) -> None:
    mesh = plot_map(field, ax=plt.subplots()[1]).collections[0]
    drawn = mesh.get_array()
    np.testing.assert_array_equal(drawn.filled(np.nan), field.values[::-1])  # lat falls
    east = field.assign_coords(lon=field.lon % 360.0).transpose("lon", "lat")
    turned = plot_map(east, ax=plt.subplots()[1]).collections[0].get_array()
    np.testing.assert_array_equal(turned.filled(np.nan), drawn.filled(np.nan))


def test_list_of_cells_gives_the_map_of_its_grid(field: xr.DataArray) -> None:
    cells = field.stack(cell=("lat", "lon")).reset_index("cell").dropna("cell")
    mesh = plot_map(cells, ax=plt.subplots()[1]).collections[0]
    np.testing.assert_array_equal(mesh.get_array().filled(np.nan), field.values[4:0:-1, 1:-1])


def test_scattered_cells_are_squares() -> None:
    cells = small_grid((4, 5), points=True)["elevation"]
    ax = plot_map(cells, ax=plt.subplots()[1])
    (squares,) = ax.collections
    assert isinstance(squares, PolyCollection)
    assert len(squares.get_paths()) == int(cells.notnull().sum())


def test_projected_grid_is_labelled_from_its_coordinates() -> None:
    figure = plot_map(small_grid((5, 6), crs="EPSG:3035")["elevation"])
    ax = figure.axes[0]
    assert ax.get_xlabel() == "x coordinate of projection (km)"
    assert ax.get_ylabel() == "y coordinate of projection (km)"
    assert ax.get_aspect() == 1.0
    assert "Projection: ETRS89-extended / LAEA Europe." in caption(figure)


def test_selection_is_named(field: xr.DataArray) -> None:
    chosen = field.assign_coords(depth=xr.DataArray(0.16, attrs={"units": "m"}))
    figure = plot_map(chosen)
    assert figure.get_suptitle() == "Soil organic carbon stock at depth 0.16 m"
    assert "soil organic carbon stock at depth 0.16 m (kg m⁻²)" in caption(figure)


def test_colours_follow_the_values() -> None:
    values = np.linspace(1.0, 100.0, 101)
    plain = choose_colours(values, "x")
    assert (plain.cmap.name, plain.extend, plain.logarithmic) == ("viridis", "both", False)
    assert (plain.norm.vmin, plain.norm.vmax) == pytest.approx((2.98, 98.02))
    wide = choose_colours(np.r_[0.0, np.logspace(-3, 3, 99)], "x")
    assert isinstance(wide.norm, LogNorm)
    assert wide.drawable(np.array([0.0]))[0] > 0.0  # drawn as below the scale, not as missing
    signed = choose_colours(values - 20.0, "x")
    assert signed.cmap.name == "RdBu_r"
    assert signed.norm.vmin == -signed.norm.vmax
    assert choose_colours(values, "x", limits=(0.0, 200.0)).extend == "neither"
    one = choose_colours(np.full(3, 0.95), "x")
    assert one.norm.vmin < 0.95 < one.norm.vmax


def test_processes_have_panels_letters_and_units() -> None:
    out = processes()
    figure = plot_processes(out, caption="Idealised data")
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert len(panels) == len(PROCESS_NAMES) == 8
    titles = [ax.get_title(loc="left").replace("\n", " ") for ax in panels]
    assert titles[0] == "(a) carbon transfer efficiency, A"
    assert titles[2] == "(c) environmental modifier, ξ"
    assert titles[7] == "(h) residence time"
    bars = [ax for ax in figure.axes if ax not in panels]
    labels = " | ".join(ax.get_xlabel().replace("\n", " ") for ax in bars)
    assert "total annual plant carbon input (kg m⁻² yr⁻¹)" in labels
    assert "(dimensionless)" in labels
    assert {ax.get_xlim() for ax in panels} == {panels[0].get_xlim()}
    assert figure.get_suptitle() == "Idealised processes"
    assert "Colours are logarithmic in (h)." in caption(figure)
    assert "model sha256 aaaaaaaaaaaa. Idealised data." in caption(figure)


def test_wide_maps_stand_two_in_a_row() -> None:
    out = processes().sel(lat=slice(None, 45))
    figure = plot_processes(out)
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert panels[0].get_subplotspec().get_gridspec().ncols == 2
    assert bar(panels[7]).get_ylabel() == "residence time (yr)"


def test_missing_processes_are_all_named() -> None:
    with pytest.raises(InputError, match=r"no vertical_transport, carbon_input: make the proc"):
        plot_processes(processes().drop_vars(["carbon_input", "vertical_transport"]))


def test_what_cannot_be_mapped_is_refused(field: xr.DataArray) -> None:
    with pytest.raises(InputError, match=r"'cSoil' has no units"):
        plot_map(field.drop_attrs())
    with pytest.raises(InputError, match=r"has depth besides .* da\.isel\(depth=0\)"):
        plot_map(field.expand_dims(depth=2))
    with pytest.raises(InputError, match=r"'cSoil' has no finite value"):
        plot_map(field.where(False))
    with pytest.raises(CoordinateError, match=r"without a CRS.*write_crs"):
        plot_map(field.rename(lat="y", lon="x"))
    with pytest.raises(InputError, match=r"limits=\(2, 1\) of 'cSoil' must be finite and rise"):
        plot_map(field, limits=(2.0, 1.0))
    with pytest.raises(InputError, match=r"cannot have a logarithmic scale from -1 to 5"):
        plot_map(field, limits=(-1.0, 5.0), log=True)
    with pytest.raises(InputError, match=r"a caption belongs to a whole figure"):
        plot_map(field, ax=plt.subplots()[1], caption="no")
