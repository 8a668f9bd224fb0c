"""The cells near a point and the nearest valid one: numpy only, on a lattice or scattered.

Coordinates are degrees on the sphere (``spherical``) or lengths in a plane.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class NearestCells:
    """Flat cell of each point (n,), -1 without one, and ``reason`` (n,), empty with one."""

    cell: Integers
    reason: Texts


@dataclass(frozen=True)
class Lattice:
    """Rows and columns, rising, and the flat cell, of ``n_cells``, at each of their crossings.

    ``cell_at`` takes positions among rows and columns, which broadcast, and gives -1 where there
    is no cell. It is a function because a fine grid has more crossings than are worth listing.
    """

    rows: Floats  # (row,)
    columns: Floats  # (column,)
    n_cells: int
    cell_at: Callable[[Integers, Integers], Integers]


def lattice_of_axes(y: Floats, x: Floats, *, y_first: bool) -> Lattice:
    """Lattice of a regular grid by its axes (ny,), (nx,) in any order, y counted first or last."""
    down, right = np.argsort(y), np.argsort(x)
    step_y, step_x = (x.size, 1) if y_first else (1, y.size)
    return Lattice(
        y[down],
        x[right],
        y.size * x.size,
        lambda i, j: np.asarray(down[i] * step_y + right[j] * step_x),
    )


def lattice_of_cells(y: Floats, x: Floats) -> Lattice | None:
    """Find the lattice of cells (n,) that were cut from a grid; None where they lie on none.

    Raises
    ------
    CoordinateError
        If cells share their place.
    """
    place = np.stack([y, x], axis=1)
    _, first, counts = np.unique(place, axis=0, return_index=True, return_counts=True)
    if (counts > 1).any():
        example = int(first[counts > 1][0])
        raise CoordinateError(
            f"{int((counts - 1).sum())} cells lie at the place of another, such as cell {example} "
            f"at {place[example].tolist()}: keep one each, for example with ds.isel"
        )
    found = lattice_of(y, x)
    if found is None:
        return None
    rows, columns, cells = found
    return Lattice(rows, columns, y.size, lambda i, j: np.asarray(cells[i, j]))


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


class LatticeSearch:
    """Points among cells on a lattice: near are those within the tolerance per axis.

    Parameters
    ----------
    lattice : Lattice
        Of the cells.
    y, x : ndarray (n,)
        Points.
    tolerance : float or None
        None for half a cell.
    spherical : bool
        Whether coordinates are degrees on the sphere.
    """

    def __init__(
        self,
        lattice: Lattice,
        y: Floats,
        x: Floats,
        *,
        tolerance: float | None,
        spherical: bool,
    ) -> None:
        rows, columns = lattice.rows, lattice.columns
        half_rows, half_columns = _half_cells(rows, columns, spherical, tolerance)
        index = np.arange(columns.size)
        if spherical:
            columns = np.concatenate([columns - 360, columns, columns + 360])
            half_columns, index = np.tile(half_columns, (1, 3)), np.tile(index, 3)
        self._rows, self._columns, self._index = rows, columns, index
        self._cell_at, self._n_cells = lattice.cell_at, lattice.n_cells
        self._y, self._x, self._spherical = y, x, spherical
        self._low_y, self._high_y = _window(rows, half_rows, y)
        self._low_x, self._high_x = _window(columns, half_columns, x)

    def candidates(self) -> Flags:
        """Which cells (cell,) are near any point."""
        near = np.zeros(self._n_cells, dtype=bool)
        for _, _, _, candidate, inside in self._windows():
            near[candidate[inside]] = True
        return near

    def nearest(self, valid: Flags) -> NearestCells:
        """Find the nearest valid one (cell,) of the cells near each point."""
        cell = np.full(self._y.size, -1, dtype=np.int64)
        reason = np.full(self._y.size, OUTSIDE, dtype=_longest())
        for here, i, j, candidate, inside in self._windows():
            part = (here, None, None)
            far = _separation(
                self._y[part], self._x[part], self._rows[i], self._columns[j], self._spherical
            )
            far = np.where(inside & valid[candidate], far, np.inf).reshape(len(i), -1)
            # Of equally near cells the first in rising order of y and x, whatever the rounding.
            nearest = far.min(axis=1, keepdims=True)
            chosen = np.argmax(far <= nearest * (1 + _TIE), axis=1)
            found = np.isfinite(nearest[:, 0])
            of_chosen = candidate.reshape(len(i), -1)[np.arange(len(i)), chosen]
            cell[here] = np.where(found, of_chosen, -1)
            missing = np.where(inside.any(axis=(1, 2)), NO_VALID_CELL, OUTSIDE)
            reason[here] = np.where(found, FOUND, missing)
        return NearestCells(cell, reason)

    def _windows(self) -> Iterator[tuple[slice, Integers, Integers, Integers, Flags]]:
        """Runs of points; row, column and cell around each, and which of these are near it.

        Rows are (n, deep, 1), columns (n, 1, wide), cells and flags (n, deep, wide).
        """
        deep = int((self._high_y - self._low_y).max(initial=1))
        wide = int((self._high_x - self._low_x).max(initial=1))
        step = max(1, _CANDIDATES // (deep * wide))
        for start in range(0, self._y.size, step):
            here = slice(start, start + step)
            part = (here, None, None)
            i = self._low_y[part] + np.arange(deep)[:, None]
            j = self._low_x[part] + np.arange(wide)
            inside = (i < self._high_y[part]) & (j < self._high_x[part])
            i, j = np.minimum(i, self._rows.size - 1), np.minimum(j, self._columns.size - 1)
            candidate = self._cell_at(i, self._index[j])
            yield here, i, j, candidate, inside & (candidate >= 0)


class ScatteredSearch:
    """Points among scattered cells: near are those within the tolerance as a distance.

    Without a tolerance that is half the diagonal of a square as wide as the median distance
    between neighbours, so that the corners of cells belong to them. Distances on the sphere are
    chords, which rise with the great circle.

    Parameters
    ----------
    cell_y, cell_x : ndarray (cell,)
        Cells.
    y, x : ndarray (n,)
        Points.
    tolerance : float or None
        None for half a cell.
    spherical : bool
        Whether coordinates are degrees on the sphere.
    """

    def __init__(
        self,
        cell_y: Floats,
        cell_x: Floats,
        y: Floats,
        x: Floats,
        *,
        tolerance: float | None,
        spherical: bool,
    ) -> None:
        embed = _unit_vectors if spherical else _in_plane
        self._cells, self._points = embed(cell_y, cell_x), embed(y, x)
        self._everything = cKDTree(self._cells)
        if tolerance is None:
            if len(self._cells) == 1:
                raise _one_cell()
            spacing = float(np.median(_query(self._everything, self._cells, k=2)[0][:, 1]))
            reach = spacing / np.sqrt(2.0)
        elif spherical:
            reach = 2 * float(np.sin(np.radians(min(tolerance, 180.0)) / 2))
        else:
            reach = tolerance
        self._reach = reach * (1 + _EDGE)
        self._placed = np.flatnonzero(np.isfinite(self._points).all(axis=1))

    def candidates(self) -> Flags:
        """Which cells (cell,) are near any point, and perhaps a few just beyond."""
        near = np.zeros(len(self._cells), dtype=bool)
        if not self._placed.size:
            return near
        points = cKDTree(self._points[self._placed])
        # Seen from the other side a distance may round up: a little further leaves none out.
        reach = self._reach * (1 + _EDGE)
        for start in range(0, len(near), _CANDIDATES):
            part = slice(start, start + _CANDIDATES)
            near[part] = np.isfinite(_query(points, self._cells[part], reach)[0])
        return near

    def nearest(self, valid: Flags) -> NearestCells:
        """Find the nearest valid one (cell,) of the cells near each point."""
        points, placed = self._points, self._placed
        cell = np.full(len(points), -1, dtype=np.int64)
        reason = np.full(len(points), OUTSIDE, dtype=_longest())
        near = placed[np.isfinite(_query(self._everything, points[placed], self._reach)[0])]
        reason[near] = NO_VALID_CELL
        choices = np.flatnonzero(valid)
        if choices.size:
            distance, which = _query(cKDTree(self._cells[choices]), points[near], self._reach)
            found = np.isfinite(distance)
            cell[near[found]] = choices[which[found]]
            reason[near[found]] = FOUND
        return NearestCells(cell, reason)


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
