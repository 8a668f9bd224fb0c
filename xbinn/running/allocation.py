"""What the allocator does with memory that is freed: kept for the next array, or given back.

Arrays of the size that maps are made with are taken of the system anew wherever glibc has returned
them, and cleared page by page, which takes much of the time of a map.
"""

import ctypes
import os
from functools import cache
from itertools import count
from typing import Final

_GIVE_BACK_EVERY: Final = 8
"""Tiles between two times that freed memory is given back."""
_SET_BY_DASK: Final = ("MALLOC_TRIM_THRESHOLD_", "65536")
"""Variable, and the value that dask gives it for its workers; another is its user's choice."""
_CHOICES: Final = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
"""Variables by which a user chooses."""
_MIB: Final = 1024**2
_THRESHOLDS: Final = ((-3, 32 * _MIB), (-1, 64 * _MIB))
"""M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h, in bytes: the highest that glibc settles at
by itself."""


def keep_freed() -> None:
    """Let one array have the memory of another, once for a process.

    Not where the environment has chosen; dask chooses for its workers, see `keep_freed_by_tiles`.
    """
    if not any(name in os.environ for name in _CHOICES):
        _set_thresholds()


def keep_freed_by_tiles() -> None:
    """Do the same in workers of dask too, between tiles that end with `give_back`.

    dask starts its workers with a variable by which glibc returns all that is freed at once.
    """
    if _SET_BY_DASK in os.environ.items():
        _set_thresholds()
    else:
        keep_freed()


def give_back() -> None:
    """Return freed memory to the system after every so many tiles.

    glibc keeps it otherwise, in pieces that fit no later tile, and a worker grows and grows.
    """
    if _GLIBC is not None and next(_TILES) % _GIVE_BACK_EVERY == 0:
        _GLIBC.malloc_trim(0)


@cache
def _set_thresholds() -> None:
    if _GLIBC is not None:
        for option, size in _THRESHOLDS:
            _GLIBC.mallopt(option, size)


def _glibc() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libc.so.6")
    except OSError:
        return None
    return library if hasattr(library, "malloc_trim") else None


_GLIBC: Final = _glibc()
_TILES: Final = count(1)
