"""The nearest valid cell of a point: numpy only, cells on a lattice or scattered.

Coordinates are degrees on the sphere (``spherical``) or lengths in a plane.
"""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from xbinn.errors import CoordinateError

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Texts: TypeAlias = npt.NDArray[np.str_]

FOUND: Final = ""
OUTSIDE: Final = "no grid cell within the tolerance"
NO_VALID_CELL: Final = "no valid grid cell within the tolerance"

_EDGE: Final = 1e-6
"""Share of a cell by which a point may lie outside and still counts as on its edge."""
_TIE: Final = 1e-6
"""Relative difference below which two cells are equally near."""
_HOLE: Final = 1.5
"""A gap this many times wider than the one on the other side is no cell but a hole in the axis."""
_LATTICE_FILL: Final = 0.02
"""Least share of the lattice of its coordinates that a list of cells cut from a grid occupies."""
_CANDIDATES: Final = 2_000_000
"""Distances held at once."""


def lattice_of(y: Floats, x: Floats) -> tuple[Floats, Floats, Integers] | None:
    """Find rows, columns and the cell at each crossing (-1: none) of cells cut from a grid.

    None where the cells (n,) lie on no lattice.
    """
    rows, row = np.unique(y, return_inverse=True)
    columns, column = np.unique(x, return_inverse=True)
    if max(rows.size, columns.size) > y.size / 2:
        return None
    if y.size < _LATTICE_FILL * rows.size * columns.size:
        return None
    cells = np.full((rows.size, columns.size), -1, dtype=np.int64)
    cells[row, column] = np.arange(y.size)
    return rows, columns, cells


def nearest_on_lattice(
    rows: Floats,  # (row,) rising
    columns: Floats,  # (column,) rising
    cells: Integers,  # (row, column), -1 where there is none
    y: Floats,  # (n,)
    x: Floats,  # (n,)
    *,
    valid: Flags,  # (cell,)
    tolerance: float | None,
    spherical: bool,
) -> tuple[Integers, Texts]:
    """Find cell (n,) and reason (n,): the nearest valid one within the tolerance per axis."""
    half_rows, half_columns = _half_cells(rows, columns, spherical, tolerance)
    index = np.arange(columns.size)
    if spherical:
        columns = np.concatenate([columns - 360, columns, columns + 360])
        half_columns, index = np.tile(half_columns, (1, 3)), np.tile(index, 3)
    low_y, high_y = _window(rows, half_rows, y)
    low_x, high_x = _window(columns, half_columns, x)
    deep, wide = int((high_y - low_y).max(initial=1)), int((high_x - low_x).max(initial=1))
    cell = np.full(y.size, -1, dtype=np.int64)
    reason = np.full(y.size, OUTSIDE, dtype=_longest())
    step = max(1, _CANDIDATES // (deep * wide))
    for start in range(0, y.size, step):
        part = (slice(start, start + step), None, None)
        i = low_y[part] + np.arange(deep)[:, None]  # (n, deep, 1)
        j = low_x[part] + np.arange(wide)  # (n, 1, wide)
        inside = (i < high_y[part]) & (j < high_x[part])
        i, j = np.minimum(i, rows.size - 1), np.minimum(j, columns.size - 1)
        candidate = cells[i, index[j]]
        inside &= candidate >= 0
        far = _separation(y[part], x[part], rows[i], columns[j], spherical)
        far = np.where(inside & valid[candidate], far, np.inf).reshape(len(i), -1)
        # Of equally near cells the first in rising order of y and x, whatever the rounding.
        nearest = far.min(axis=1, keepdims=True)
        chosen = np.argmax(far <= nearest * (1 + _TIE), axis=1)
        found = np.isfinite(nearest[:, 0])
        here = slice(start, start + step)
        cell[here] = np.where(found, candidate.reshape(len(i), -1)[np.arange(len(i)), chosen], -1)
        missing = np.where(inside.any(axis=(1, 2)), NO_VALID_CELL, OUTSIDE)
        reason[here] = np.where(found, FOUND, missing)
    return cell, reason


def nearest_scattered(
    cell_y: Floats,  # (cell,)
    cell_x: Floats,  # (cell,)
    y: Floats,  # (n,)
    x: Floats,  # (n,)
    *,
    valid: Flags,  # (cell,)
    tolerance: float | None,
    spherical: bool,
) -> tuple[Integers, Texts]:
    """Find cell (n,) and reason (n,): the nearest valid one within the tolerance as a distance.

    Without a tolerance that is half the diagonal of a square as wide as the median distance
    between neighbours, so that the corners of cells belong to them. Distances on the sphere are
    chords, which rise with the great circle.
    """
    embed = _unit_vectors if spherical else _in_plane
    cells, points = embed(cell_y, cell_x), embed(y, x)
    everything = cKDTree(cells)
    if tolerance is None:
        if len(cells) == 1:
            raise _one_cell()
        spacing = float(np.median(_query(everything, cells, k=2)[0][:, 1]))
        reach = spacing / np.sqrt(2.0)
    elif spherical:
        reach = 2 * float(np.sin(np.radians(min(tolerance, 180.0)) / 2))
    else:
        reach = tolerance
    reach *= 1 + _EDGE
    cell = np.full(len(points), -1, dtype=np.int64)
    reason = np.full(len(points), OUTSIDE, dtype=_longest())
    placed = np.flatnonzero(np.isfinite(points).all(axis=1))
    near = placed[np.isfinite(_query(everything, points[placed], reach)[0])]
    reason[near] = NO_VALID_CELL
    choices = np.flatnonzero(valid)
    if choices.size:
        distance, which = _query(cKDTree(cells[choices]), points[near], reach)
        found = np.isfinite(distance)
        cell[near[found]] = choices[which[found]]
        reason[near[found]] = FOUND
    return cell, reason


def _half_cells(
    rows: Floats, columns: Floats, spherical: bool, tolerance: float | None
) -> tuple[Floats, Floats]:
    """How far each cell reaches below and above its centre, (2, n), along each axis."""
    if tolerance is not None:
        return np.full((2, rows.size), tolerance), np.full((2, columns.size), tolerance)
    if rows.size == columns.size == 1:
        raise _one_cell()
    halves = []
    for axis, period in ((rows, None), (columns, 360.0 if spherical else None)):
        other = columns if axis is rows else rows
        gaps = np.diff(axis if axis.size > 1 else other)
        if axis.size == 1:  # a single row is as high as a cell is wide
            halves.append(np.full((2, 1), np.median(gaps) / 2))
            continue
        around = np.inf if period is None else axis[0] + period - axis[-1]
        below, above = np.append(around, gaps), np.append(gaps, around)
        below, above = (
            np.where(below > _HOLE * above, above, below),
            np.where(above > _HOLE * below, below, above),
        )
        halves.append(np.stack([below, above]) / 2)
    return halves[0], halves[1]


def _window(axis: Floats, half: Floats, points: Floats) -> tuple[Integers, Integers]:
    """First and last + 1 of the cells of a rising axis that hold each point."""
    edge = _EDGE * half.min()
    low = np.searchsorted(axis + half[1] + edge, points, side="left")
    high = np.searchsorted(axis - half[0] - edge, points, side="right")
    return low.astype(np.int64), high.astype(np.int64)


def _query(
    tree: cKDTree, points: Floats, reach: float = np.inf, k: int = 1
) -> tuple[Floats, Integers]:
    """Distance (infinite where none is within reach) and index of the k nearest, (n,) or (n, k)."""
    distance, which = tree.query(points, k=k, distance_upper_bound=reach)
    return np.asarray(distance, dtype=np.float64), np.asarray(which, dtype=np.int64)


def _longest() -> str:
    return f"U{max(len(OUTSIDE), len(NO_VALID_CELL))}"


def _one_cell() -> CoordinateError:
    return CoordinateError("the grid is one cell, whose size is unknown: give tolerance=...")


def _unit_vectors(lat: Floats, lon: Floats) -> Floats:
    """Points on the unit sphere, (n, 3)."""
    phi, lam = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def _in_plane(y: Floats, x: Floats) -> Floats:
    return np.stack([y, x], axis=-1)


def _separation(y: Floats, x: Floats, to_y: Floats, to_x: Floats, spherical: bool) -> Floats:
    """Haversine on the sphere, squared distance in the plane: both rise with the distance."""
    if not spherical:
        return np.asarray((y - to_y) ** 2 + (x - to_x) ** 2)
    phi, to_phi = np.radians(y), np.radians(to_y)
    across = np.cos(phi) * np.cos(to_phi) * np.sin(np.radians(x - to_x) / 2) ** 2
    return np.asarray(np.sin((phi - to_phi) / 2) ** 2 + across)
