"""How a grid is cut into tiles: each a whole number of stored chunks, one task."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from xbinn.errors import InputError

TILE_CELLS: Final = 16_384
"""Cells of a tile of a grid that has no chunks: large enough that writing its variables costs
little beside computing them, small enough for the memory of a small worker."""
LEAST_CELLS: Final = 4_096
"""Chunks of a grid that have fewer cells are put together to tiles of at least as many."""


@dataclass(frozen=True)
class Tiling:
    """A grid cut into tiles, numbered in C order.

    Attributes
    ----------
    dims : tuple of str
        Spatial dimensions; none for a single column.
    sizes : tuple of int
        Cells of the grid along them.
    tile, chunk : tuple of int
        Cells of a tile and of a stored chunk along them; tiles are whole numbers of chunks.
    """

    dims: tuple[str, ...]
    sizes: tuple[int, ...]
    tile: tuple[int, ...]
    chunk: tuple[int, ...]

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Tiles along each dimension."""
        return tuple(math.ceil(n / t) for n, t in zip(self.sizes, self.tile, strict=True))

    @property
    def n_tiles(self) -> int:
        """Number of tiles."""
        return math.prod(self.counts)

    @property
    def tile_cells(self) -> int:
        """Cells of the largest tile."""
        return math.prod(min(t, n) for t, n in zip(self.tile, self.sizes, strict=True))

    def index(self, number: int) -> tuple[int, ...]:
        """Position of a tile among the tiles, one number a dimension."""
        if not self.dims:
            return ()
        return tuple(int(i) for i in np.unravel_index(number, self.counts))

    def region(self, number: int) -> dict[str, slice]:
        """Cells of a tile along each dimension."""
        starts = (i * t for i, t in zip(self.index(number), self.tile, strict=True))
        return {
            dim: slice(start, min(start + t, n))
            for dim, start, t, n in zip(self.dims, starts, self.tile, self.sizes, strict=True)
        }

    def describe(self, number: int) -> str:
        """Name a tile, as in "tile (0, 3), lat[0:90], lon[270:360]"."""
        index = ", ".join(map(str, self.index(number)))
        cells = (f", {dim}[{s.start}:{s.stop}]" for dim, s in self.region(number).items())
        return f"tile ({index}){''.join(cells)}"


def cut(
    sizes: Mapping[str, int],
    source: Mapping[str, Sequence[int]],
    *,
    chunks: Mapping[str, int] | None = None,
    shards: Mapping[str, int] | None = None,
) -> Tiling:
    """Choose tiles and stored chunks.

    Parameters
    ----------
    sizes : mapping of str to int
        Spatial dimensions and their sizes, in order.
    source : mapping of str to sequence of int
        Chunks of the grid along the dimensions in which it is chunked. Tiles are whole numbers of
        them, so that no chunk is read more often than it must be.
    chunks : mapping of str to int, optional
        Sizes of stored chunks; a dimension that is not named is whole. Default: one chunk a tile,
        the source's chunk or, where that is small, several (`LEAST_CELLS`, `TILE_CELLS`).
    shards : mapping of str to int, optional
        Sizes of shards, files that hold several chunks: a tile is a shard then. A dimension that
        is not named is whole.

    Raises
    ------
    InputError
        If a dimension is not known, a size is no positive whole number, or a shard is no whole
        number of chunks.
    """
    dims, lengths = tuple(sizes), tuple(sizes.values())
    if chunks is None:
        chunk = _grow(sizes, {dim: max(parts, default=1) for dim, parts in source.items()})
        if shards is not None:
            raise InputError(
                f"shards={dict(shards)!r} hold chunks of a size that is not given: add chunks=..., "
                "of which every shard holds a whole number"
            )
    else:
        chunk = _sizes("chunks", chunks, sizes)
    tile = chunk
    if shards is not None:
        named = _sizes("shards", shards, sizes)
        # A shard that is to be the whole grid is filled up with what lies outside.
        tile = tuple(
            t if dim in shards else math.ceil(t / c) * c
            for dim, t, c in zip(dims, named, chunk, strict=True)
        )
    uneven = [f"{dim} {t} of {c}" for dim, t, c in zip(dims, tile, chunk, strict=True) if t % c]
    if uneven:
        raise InputError(
            f"a shard must be a whole number of chunks, not {', '.join(uneven)}: choose multiples"
        )
    return Tiling(dims, lengths, tile, chunk)


def _sizes(name: str, given: Mapping[str, int], sizes: Mapping[str, int]) -> tuple[int, ...]:
    unknown = [str(d) for d in given if d not in sizes]
    if unknown:
        raise InputError(
            f"{name} names {', '.join(unknown)}, but the spatial dimensions are "
            f"{', '.join(sizes) or 'none'}: use those"
        )
    wrong = [f"{d}={n!r}" for d, n in given.items() if not _positive(n)]
    if wrong:
        raise InputError(f"{name} must be whole numbers of cells, 1 or more, not {wrong}")
    return tuple(int(given.get(dim, max(size, 1))) for dim, size in sizes.items())


def _positive(value: object) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and int(value) >= 1  # type: ignore[call-overload]


def _grow(sizes: Mapping[str, int], source: Mapping[str, int]) -> tuple[int, ...]:
    """Whole numbers of source chunks, as square as can be, of enough cells."""
    enough = LEAST_CELLS if source else TILE_CELLS
    length = {dim: max(size, 1) for dim, size in sizes.items()}
    start = {dim: min(source.get(dim, 1), n) for dim, n in length.items()}
    tile = dict(start)
    while True:
        shorter = [dim for dim in tile if tile[dim] < length[dim]]
        if not shorter or math.prod(tile.values()) >= enough:
            return tuple(tile.values())
        dim = min(shorter, key=lambda d: tile[d])
        others = math.prod(tile.values()) // tile[dim]
        # Doubling, but no further than the target: a list of points has one dimension only.
        wanted = min(2 * tile[dim], math.ceil(enough / others))
        steps = max(math.ceil(wanted / start[dim]), tile[dim] // start[dim] + 1)
        tile[dim] = min(steps * start[dim], length[dim])
