"""Coordinates, CRS, nearest cells and spatial blocks."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pint_xarray
import pyproj
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from xbinn.errors import CoordinateError
from xbinn.labels.check import check_axes
from xbinn.labels.neighbours import NO_VALID_CELL, OUTSIDE
from xbinn.labels.space import (
    BAD_COORDINATES,
    CellSearch,
    find_coordinates,
    nearest_cells,
    spatial_dims,
)
from xbinn.labels.spatial_blocks import spatial_blocks

LAT = np.arange(30.25, 35, 0.5)
LON = np.arange(-110.25, -103, 0.5)
RNG = np.random.default_rng(0)
SITES = RNG.uniform(29.5, 35.5, 300), RNG.uniform(-111.5, -102, 300)
"""Some lie outside the grid."""
VALID = RNG.random((LAT.size, LON.size)) < 0.7


def grid(lat=LAT, lon=LON, dims=("lat", "lon")) -> xr.Dataset:  # type: ignore[no-untyped-def]
    values = np.zeros((12, len(lat), len(lon)))
    ds = xr.Dataset({"ALTMAX": (("month", "lat", "lon"), values)}, coords={"lat": lat, "lon": lon})
    return ds.transpose("month", *dims)


def centres(ds: xr.Dataset, valid: xr.DataArray, **kwargs: float) -> np.ndarray:
    """Centre of the chosen cell of each site (n, 2), NaN without one: whatever the cell's index."""
    dims = spatial_dims(ds)
    flat = valid.transpose(*dims).values.ravel()
    cells = nearest_cells(ds, *SITES, valid=flat, **kwargs)
    label = xr.broadcast(valid["lat"], valid["lon"], valid)
    y, x = (c.transpose(*dims).values.ravel()[cells.cell] for c in label[:2])
    x = np.where(x > 180, x - 360, x)
    return np.where(cells.cell[:, None] >= 0, np.stack([y, x], axis=1), np.nan)


def mask(ds: xr.Dataset) -> xr.DataArray:
    """Which cells are valid, by place."""
    flags = xr.DataArray(VALID, coords={"lat": LAT, "lon": LON % 360}, dims=("lat", "lon"))
    return flags.sel(lat=ds["lat"], lon=ds["lon"] % 360, method="nearest").assign_coords(
        lon=ds["lon"]
    )


def brute_force() -> np.ndarray:
    """Nearest valid centre within half a cell per axis, one site after the other."""
    geod, out = pyproj.Geod(ellps="sphere"), []
    for lat, lon in zip(*SITES, strict=True):
        near = [
            (geod.inv(lon, lat, x, y)[2], y, x)
            for i, y in enumerate(LAT)
            for j, x in enumerate(LON)
            if VALID[i, j] and abs(y - lat) <= 0.25 and abs(x - lon) <= 0.25
        ]
        out.append(min(near)[1:] if near else (np.nan, np.nan))
    return np.array(out)


VARIANTS: dict[str, Callable[[], xr.Dataset]] = {
    "north up": lambda: grid(lat=LAT[::-1]),
    "0..360": lambda: grid(lon=LON % 360),
    "0..360, north up": lambda: grid(lat=LAT[::-1], lon=LON % 360),
    "lon first": lambda: grid(dims=("lon", "lat")),
    "shifted by 1e-9": lambda: grid(lat=LAT + 1e-9, lon=LON - 1e-9),
    "single precision": lambda: grid(lat=LAT.astype("f4"), lon=(LON % 360).astype("f4")),
    "rolled": lambda: grid().roll(lon=4, roll_coords=True),
}


def test_nearest_is_the_nearest() -> None:
    np.testing.assert_allclose(centres(grid(), mask(grid())), brute_force())


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("tolerance", [None, 0.9])
def test_layout_does_not_matter(variant: str, tolerance: float | None) -> None:
    ds = VARIANTS[variant]()
    expected = centres(grid(), mask(grid()), tolerance=tolerance)
    found = centres(ds, mask(ds), tolerance=tolerance)
    assert np.isfinite(expected).any()
    assert np.isnan(expected).any()
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("tolerance", [None, 0.9])
def test_list_of_cells_equals_its_grid(tolerance: float | None) -> None:
    ds = grid().stack(cell=("lat", "lon")).reset_index("cell")
    assert spatial_dims(ds) == ("cell",)
    whole = nearest_cells(grid(), *SITES, valid=VALID.ravel(), tolerance=tolerance)
    part = nearest_cells(ds, *SITES, valid=VALID.ravel(), tolerance=tolerance)
    np.testing.assert_array_equal(part.cell, whole.cell)
    np.testing.assert_array_equal(part.reason, whole.reason)
    # Cells that are absent from a list are as good as invalid ones.
    land = np.flatnonzero(VALID)
    cut = nearest_cells(
        ds.isel(cell=land), *SITES, valid=np.ones(land.size, bool), tolerance=tolerance
    )
    np.testing.assert_array_equal(np.where(cut.cell < 0, -1, land[cut.cell]), whole.cell)


def test_two_dimensional_latitude_and_longitude() -> None:
    lat, lon = np.meshgrid(LAT, LON, indexing="ij")
    ds = xr.Dataset(
        {"ALTMAX": (("month", "j", "i"), np.zeros((12, *lat.shape)))},
        coords={"nav_lat": (("j", "i"), lat), "nav_lon": (("i", "j"), lon.T)},
    )
    found = nearest_cells(ds, *SITES, valid=VALID.ravel())
    np.testing.assert_array_equal(
        found.cell, nearest_cells(grid(), *SITES, valid=VALID.ravel()).cell
    )


def projected(crs: str = "EPSG:5070") -> xr.Dataset:
    ds = xr.Dataset(
        {"ALTMAX": (("month", "y", "x"), np.zeros((12, 40, 50)))},
        coords={"y": 2.0e6 - 5e4 * np.arange(40), "x": -2.0e6 + 5e4 * np.arange(50)},
    )
    return ds.rio.write_crs(crs)


@pytest.mark.parametrize("crs", ["EPSG:5070", "EPSG:6933"])
@pytest.mark.parametrize("listed", [False, True])
def test_projected_grid(crs: str, listed: bool) -> None:
    ds = projected(crs)
    if listed:
        ds = ds.stack(cell=("y", "x")).reset_index("cell")
    where = find_coordinates(ds)
    assert where.crs is not None
    assert where.crs.to_epsg() == int(crs.split(":")[1])
    y, x = (a.ravel() for a in np.meshgrid(projected().y, projected().x, indexing="ij"))
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    shift = 2.4e4  # less than half a cell
    lon, lat = to_degrees.transform(x + shift, y - shift)
    valid = np.ones(y.size, bool)
    for longitudes in (lon, lon % 360):
        found = nearest_cells(ds, lat, longitudes, valid=valid)
        np.testing.assert_array_equal(found.cell, np.arange(y.size))
    # The same cells as scattered points of the sphere, where distances differ by distortion only
    lon, lat = to_degrees.transform(x, y)
    points = xr.Dataset(
        {"ALTMAX": (("month", "cell"), np.zeros((12, y.size)))},
        coords={"lat": ("cell", lat), "lon": ("cell", lon)},
    )
    lon, lat = to_degrees.transform(x + 5e3, y - 5e3)
    assert (nearest_cells(points, lat, lon, valid=valid).cell == np.arange(y.size)).all()
    assert (nearest_cells(ds, lat, lon, valid=valid).cell == np.arange(y.size)).all()


def test_projection_wins_over_latitudes_that_come_along() -> None:
    ds = projected()
    ds = ds.assign_coords(
        lat=(("y", "x"), np.zeros((40, 50))), lon=(("y", "x"), np.zeros((40, 50)))
    )
    assert find_coordinates(ds).crs is not None


def test_geographic_crs_on_y_and_x_is_degrees() -> None:
    ds = grid().rename(lat="y", lon="x").rio.write_crs("EPSG:4326")
    assert find_coordinates(ds).crs is None
    found = nearest_cells(ds, *SITES, valid=VALID.ravel())
    np.testing.assert_array_equal(
        found.cell, nearest_cells(grid(), *SITES, valid=VALID.ravel()).cell
    )


def test_crs_of_a_grid_mapping_read_as_data() -> None:
    crs = find_coordinates(projected().reset_coords("spatial_ref")).crs
    assert crs is not None
    assert crs.to_epsg() == 5070


def test_coordinates_by_attributes() -> None:
    ds = grid().rename(lat="north", lon="east")
    ds["north"].attrs["standard_name"] = "latitude"
    ds["east"].attrs["units"] = "degrees_east"
    np.testing.assert_array_equal(find_coordinates(ds).y, LAT)


def test_quantified_coordinates() -> None:
    ds = grid().pint.quantify({"lat": "degree"}, unit_registry=pint_xarray.unit_registry)
    np.testing.assert_array_equal(find_coordinates(ds).y, LAT)


def test_dateline_and_poles() -> None:
    ds = grid(lat=np.arange(-89.0, 90, 2), lon=np.arange(1.0, 360, 2))
    valid = np.ones(90 * 180, bool)
    lat, lon = [90.0, -90.0, 0.5, 0.5, 0.5], [0.0, 180.0, 179.5, -179.5, 359.9]
    cells = nearest_cells(ds, lat, lon, valid=valid).cell
    assert (cells >= 0).all()
    np.testing.assert_array_equal(cells[2:] % 180, [89, 90, 179])
    # From just east of the dateline the nearest valid cell may lie west of it.
    valid = valid.reshape(90, 180)
    valid[:, 90] = False
    far = nearest_cells(ds, [0.5], [-179.5], valid=valid.ravel(), tolerance=3)
    assert far.cell % 180 == 89


def test_holes_in_an_axis_belong_to_no_cell() -> None:
    ds = grid(lat=np.array([30.0, 31, 32, 40, 41]))
    found = nearest_cells(ds, [32.5, 36, 39.5, 41.5], [-105.25] * 4, valid=np.ones(75, bool))
    np.testing.assert_array_equal(found.cell >= 0, [True, False, True, True])


def test_reasons() -> None:
    valid = np.zeros_like(VALID)
    valid[0, 0] = True
    found = nearest_cells(
        grid(),
        [30.25, 33.0, 60.0, np.nan, 95.0, 31.0],
        [-110.25, -105.0, -105.0, -105.0, -105.0, 400.0],
        valid=valid.ravel(),
    )
    assert found.cell.tolist() == [0, -1, -1, -1, -1, -1]
    assert found.reason.tolist() == ["", NO_VALID_CELL, OUTSIDE] + 3 * [BAD_COORDINATES]


def test_no_profiles() -> None:
    assert nearest_cells(grid(), [], [], valid=VALID.ravel()).cell.shape == (0,)


def scattered() -> xr.Dataset:
    rng = np.random.default_rng(1)
    return xr.Dataset(
        {"ALTMAX": (("month", "cell"), np.zeros((12, 500)))},
        coords={
            "lat": ("cell", rng.uniform(60, 80, 500)),
            "lon": ("cell", rng.uniform(0, 360, 500)),
        },
    )


@pytest.mark.parametrize("tolerance", [None, 2.0])
def test_scattered_points(tolerance: float | None) -> None:
    ds = scattered()
    rng = np.random.default_rng(2)
    lat, lon, valid = rng.uniform(60, 80, 200), rng.uniform(-180, 180, 200), rng.random(500) < 0.5
    geod = pyproj.Geod(ellps="sphere")
    degree = np.pi * geod.a / 180
    n = np.repeat(np.arange(500)[None], 200, 0)
    every = np.array(
        geod.inv(lon[:, None] + 0 * n, lat[:, None] + 0 * n, ds.lon.values[n], ds.lat.values[n])[2]
    )
    if tolerance is None:
        own = np.array(geod.inv(*(c.ravel() for c in _pairs(ds)))[2]).reshape(500, 500)
        limit = np.median(np.sort(own, axis=1)[:, 1]) / np.sqrt(2)
    else:
        limit = tolerance * degree
    distance = np.where(valid & (every <= limit), every, np.inf)
    expected = np.where(np.isfinite(distance.min(1)), distance.argmin(1), -1)
    found = nearest_cells(ds, lat, lon, valid=valid, tolerance=tolerance)
    np.testing.assert_array_equal(found.cell, expected)
    assert set(found.reason[found.cell < 0]) == {OUTSIDE, NO_VALID_CELL}
    assert (nearest_cells(ds, lat, lon, valid=np.zeros(500, bool)).cell == -1).all()


SEARCHED: dict[str, Callable[[], xr.Dataset]] = {
    **VARIANTS,
    "list": lambda: grid().stack(cell=("lat", "lon")).reset_index("cell"),
    "projected": lambda: projected().isel(y=slice(0, None, 4), x=slice(0, None, 3)),
    "scattered": lambda: scattered().assign_coords(
        lat=("cell", RNG.uniform(30, 35, 500)), lon=("cell", RNG.uniform(-110, -103, 500))
    ),
}


@pytest.mark.parametrize("case", SEARCHED)
@pytest.mark.parametrize("tolerance", [None, 0.9, 300.0])
def test_candidates_are_all_that_can_be_chosen(case: str, tolerance: float | None) -> None:
    ds = SEARCHED[case]()
    if case == "projected" and tolerance is not None:
        tolerance *= 1e5
    search = CellSearch(ds, *(c[:20] for c in SITES), tolerance=tolerance)
    n_cells = int(np.prod([ds.sizes[d] for d in spatial_dims(ds)]))
    near = np.zeros(n_cells, bool)
    near[search.candidates()] = True
    assert near.any()
    assert near.all() == (tolerance in (300.0, 3e7))
    valid = np.random.default_rng(4).random(n_cells) < 0.5
    expected, found = search.nearest(valid), search.nearest(valid & near)
    np.testing.assert_array_equal(found.cell, expected.cell)
    np.testing.assert_array_equal(found.reason, expected.reason)
    # What a candidate is for: if all others are invalid, some profile gets it.
    for cell in search.candidates()[:20]:
        alone = np.zeros(n_cells, bool)
        alone[cell] = True
        assert (search.nearest(alone).cell == cell).any()


def test_positions_are_those_of_the_cells() -> None:
    for dims in (("lat", "lon"), ("lon", "lat")):
        ds = grid(dims=dims)
        place = xr.broadcast(ds["lat"], ds["lon"])
        lat, lon = (c.transpose(*dims).values.ravel() for c in place)
        cell = np.array([3, 0, 149, 77])
        found = CellSearch(ds, [], []).positions(cell)
        np.testing.assert_array_equal(found, (lat[cell], lon[cell]))
    ds = projected()
    lat, lon = CellSearch(ds, [], []).positions(np.array([51]))
    to_degrees = pyproj.Transformer.from_crs("EPSG:5070", "EPSG:4326", always_xy=True)
    assert to_degrees.transform(ds.x[1].item(), ds.y[1].item()) == (lon[0], lat[0])


def test_a_fine_grid_is_searched_without_a_list_of_its_cells() -> None:
    lat, lon = np.linspace(-60, 80, 4000), np.linspace(-180, 179.9, 10_000)
    ds = xr.Dataset(coords={"lat": lat, "lon": lon})
    ds["ALTMAX"] = (("lat", "lon"), np.broadcast_to(np.float32(0.0), (4000, 10_000)))
    tracemalloc.start()
    try:
        search = CellSearch(ds, *SITES)
        near = search.candidates()
        valid = np.zeros(lat.size * lon.size, bool)
        valid[near] = True
        found = search.nearest(valid)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found.cell >= 0).all()
    # A byte a cell for the flags of each, and no number of 8 bytes.
    assert peak < 4 * valid.size


def test_chunked_places_are_computed_once(raise_if_dask_computes: Any) -> None:
    ds = scattered()
    with raise_if_dask_computes(max_computes=1):
        where = find_coordinates(ds.chunk(cell=50))
    np.testing.assert_array_equal(where.y, find_coordinates(ds).y)
    np.testing.assert_array_equal(where.x, find_coordinates(ds).x)


@pytest.mark.parametrize("crs", [None, "EPSG:3035"])
def test_corners_of_turned_cells_belong_to_them(crs: str | None) -> None:
    # A square grid at an angle to the axes, small enough for the sphere to be flat.
    names = ("y", "x") if crs else ("lat", "lon")
    scale, origin = (1e3, (3e6, 4e6)) if crs else (0.01, (0, 10))

    def turned(i: Any, j: Any) -> tuple[Any, Any]:
        c, s = np.cos(0.5), np.sin(0.5)
        return origin[0] + scale * (i * c - j * s), origin[1] + scale * (i * s + j * c)

    i, j = np.meshgrid(np.arange(12.0), np.arange(9.0), indexing="ij")
    coords = {n: (("i", "j"), at) for n, at in zip(names, turned(i, j), strict=True)}
    ds = xr.Dataset({"ALTMAX": (("month", "i", "j"), np.zeros((12, 12, 9)))}, coords)
    ds = ds.rio.write_crs(crs) if crs else ds
    rng = np.random.default_rng(3)
    # The last two: beside the corner of the first cell, and in its middle.
    p, q = (np.append(rng.uniform(0, n, 300), end) for n, end in ((11, [0.45, 0]), (8, [0.49, 0])))
    lat, lon = turned(p, q)
    if crs:
        back = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        lon, lat = back.transform(lon, lat)
    valid = np.ones(i.size, dtype=bool)
    found = nearest_cells(ds, lat, lon, valid=valid)
    np.testing.assert_array_equal(found.cell, np.round(p) * 9 + np.round(q))
    # Without the first cell its corner goes to a neighbour, its middle to none.
    valid[0] = False
    assert nearest_cells(ds, lat[-2:], lon[-2:], valid=valid).cell.tolist() == [1, -1]


def _pairs(ds: xr.Dataset) -> tuple[np.ndarray, ...]:
    lon, lat = ds.lon.values, ds.lat.values
    to_lon, from_lon = np.meshgrid(lon, lon)
    to_lat, from_lat = np.meshgrid(lat, lat)
    return from_lon, from_lat, to_lon, to_lat


def test_single_column() -> None:
    ds = grid().isel(lat=3, lon=4)
    assert spatial_dims(ds) == ()
    found = nearest_cells(ds, [LAT[3] + 0.1, 60], [LON[4], LON[4]], valid=[True], tolerance=0.25)
    assert found.cell.tolist() == [0, -1]


@pytest.mark.parametrize("selection", [{"lat": [3]}, {"lon": [3]}])
def test_single_row(selection: dict[str, list[int]]) -> None:
    ds = grid().isel(selection)
    found = nearest_cells(
        ds, [LAT[3] + 0.2], [LON[3] + 0.2], valid=np.ones(ds.ALTMAX[0].size, bool)
    )
    assert found.cell.tolist() == [3]


def test_spatial_dims() -> None:
    ds = xr.Dataset(
        {
            "TSOI": (("month", "levsoi", "y", "x"), np.zeros((12, 2, 3, 4))),
            "ndvi": (("time", "y", "x"), np.zeros((5, 3, 4))),
        }
    )
    assert spatial_dims(ds) == ("y", "x")
    bounded = grid().drop_vars("ALTMAX").assign(mat=(("lat", "lon"), np.zeros((10, 15))))
    bounded["lat"].attrs["bounds"] = "lat_bnds"
    bounded["lat_bnds"] = (("lat", "nv"), np.zeros((10, 2)))
    assert spatial_dims(bounded) == ("lat", "lon")


REFUSED: dict[str, tuple[Callable[[], xr.Dataset], str]] = {
    "empty": (lambda: grid().isel(lat=slice(0)), "the grid is empty along lat"),
    "no latitude": (lambda: grid().drop_vars("lat"), "no coordinate for latitude among"),
    "nothing": (lambda: grid().drop_vars(["lat", "lon"]), "latitude and longitude among"),
    "projected without CRS": (
        lambda: projected().drop_vars("spatial_ref"),
        r"lies on \(y, x\) without a CRS.*write_crs",
    ),
    "bad CRS": (
        lambda: projected().drop_vars("spatial_ref").assign_attrs(crs="nonsense"),
        "the grid's CRS cannot be understood",
    ),
    "another dimension": (
        lambda: grid().expand_dims(member=3),
        "lat and lon do not vary along member",
    ),
    "degrees with a projected CRS": (
        lambda: grid().rio.write_crs("EPSG:3035"),
        r"lies on \(lat, lon\), but states the projected CRS ETRS89.*write_crs",
    ),
    "NaN": (lambda: grid(lat=np.where(LAT > 34, np.nan, LAT)), "lat holds NaN or infinite"),
    "metres as latitude": (lambda: grid(lat=LAT * 1e5), "lat runs from .* outside -90..90"),
    "metres as longitude": (lambda: grid(lon=LON * 1e5), "lon runs from .* outside -180..360"),
    "duplicated": (
        lambda: grid().isel(lat=[0, 1, 1, 2]),
        r"lat holds \[30.75\] more than once .*drop_duplicates",
    ),
    "cyclic column": (
        lambda: grid(lon=np.linspace(0, 360, 37)),
        r"lon holds \[0.0\] more than once",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_coordinates(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(CoordinateError, match=message):
        find_coordinates(make())


def test_nearest_refuses() -> None:
    one = np.ones(150, bool)
    with pytest.raises(CoordinateError, match="lat has 1 values, lon 2, valid 150, the grid 150"):
        nearest_cells(grid(), [30], [1, 2], valid=one)
    with pytest.raises(CoordinateError, match="tolerance is -1: give a positive number"):
        nearest_cells(grid(), [30], [1], valid=one, tolerance=-1)
    with pytest.raises(CoordinateError, match="one cell, whose size is unknown"):
        nearest_cells(grid().isel(lat=[0], lon=[0]), [30], [1], valid=[True])
    with pytest.raises(CoordinateError, match="one cell, whose size is unknown"):
        nearest_cells(grid().isel(lat=0, lon=0), [30], [1], valid=[True])
    twice = scattered().isel(cell=[0, 1, 2, 1])
    with pytest.raises(
        CoordinateError, match="1 cells lie at the place of another, such as cell 1"
    ):
        nearest_cells(twice, [70], [1], valid=np.ones(4, bool))


def test_blocks_in_degrees() -> None:
    blocks = spatial_blocks([30.1, 31.9, 32.1, 30.1], [-100.5, -100.1, -100.5, -99.9], 2.0)
    assert blocks.dtype == np.int64
    assert blocks[0] == blocks[1]
    assert len(set(blocks.tolist())) == 3


@given(
    st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 179)), min_size=1, max_size=20),
    st.sampled_from([1.0, 2.0, 7.0, "200 km", "50000 m"]),
)
def test_blocks_depend_on_the_place_only(
    places: list[tuple[float, float]], size: float | str
) -> None:
    lat, lon = np.array(places).T
    lon = np.round(lon, 3) + 0.0005  # off the edges, where a turn of 360 degrees may round across
    blocks = spatial_blocks(lat, lon, size)
    np.testing.assert_array_equal(blocks, spatial_blocks(lat, lon + 360 * (lon < 0), size))
    np.testing.assert_array_equal(blocks[:1], spatial_blocks(lat[:1], lon[:1], size))


def test_blocks_in_km_have_equal_areas() -> None:
    # Uniform on the sphere: every full block holds about as many points, at any latitude.
    rng = np.random.default_rng(0)
    lat = np.degrees(np.arcsin(rng.uniform(0, np.sin(np.radians(80)), 400_000)))
    _, counts = np.unique(
        spatial_blocks(lat, rng.uniform(-180, 180, lat.size), "2000 km"), return_counts=True
    )
    full = counts > 0.8 * np.median(counts)
    assert full.sum() > 30
    assert counts[full].std() < 0.03 * counts[full].mean()


@pytest.mark.parametrize("size", [0, -2.0, np.nan, "0 km", "2 kg", "wide", "-3 km"])
def test_blocks_refuse_sizes(size: float | str) -> None:
    with pytest.raises(CoordinateError, match=r"block_size is .*: give a positive number"):
        spatial_blocks([30], [1], size)


def test_blocks_refuse_coordinates() -> None:
    with pytest.raises(CoordinateError, match=r"2 profiles have no usable lat and lon.* number 1"):
        spatial_blocks([30, np.nan, 95], [1, 2, 3], 2.0)


@pytest.mark.realdata
def test_real_profiles_find_their_cells(real_grid: xr.Dataset, real_profiles: xr.Dataset) -> None:
    lat, lon = real_profiles["lat"].values, real_profiles["lon"].values
    land = np.isfinite(real_grid["ALTMAX"]).all("month").values.ravel()
    found = nearest_cells(real_grid, lat, lon, valid=land)
    assert (found.cell >= 0).mean() > 0.9
    rows, columns = np.unravel_index(found.cell[found.cell >= 0], (50, 117))
    kept = found.cell >= 0
    assert np.abs(real_grid["lat"].values[rows] - lat[kept]).max() <= 0.25 + 1e-5
    assert np.abs(real_grid["lon"].values[columns] - lon[kept]).max() <= 0.25 + 1e-5


@pytest.mark.realdata
def test_real_points_are_a_lattice(real_points: xr.Dataset) -> None:
    lat, lon = real_points["lat"].values, real_points["lon"].values
    found = nearest_cells(real_points, lat + 0.9, lon + 1.2, valid=np.ones(lat.size, bool))
    np.testing.assert_array_equal(found.cell, np.arange(lat.size))


def test_axes_that_do_not_tell_cells_apart() -> None:
    ds = xr.Dataset(coords={"lat": [1.0, 1.0, 2.0], "lon": [0.0, np.nan]})
    with pytest.raises(CoordinateError, match=r"lat holds \[1.0\] more than once; lon holds NaN"):
        check_axes(ds, ("lat", "lon"))
    check_axes(ds.drop_vars(["lat", "lon"]), ("lat", "lon"))
