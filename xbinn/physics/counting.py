"""Counting solves: what a method costs, whatever machine it runs on."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

PROCESS: Final = uuid.uuid4().hex
"""Tells this process from those on other machines too."""

_lock = threading.Lock()
_open: list["SolveCount"] = []


@dataclass
class SolveCount:
    """Solves of one column each.

    Attributes
    ----------
    forward : int
        Steady states.
    transposed : int
        Transposed solves: gradients of a steady state in all parameters.
    process : str
        Where they were made, see `PROCESS`.
    """

    forward: int = 0
    transposed: int = 0
    process: str = PROCESS


@contextmanager
def count_solves() -> Iterator[SolveCount]:
    """Count the columns that this process solves, in any of its threads.

    Fits and retrievals on a dask cluster count as if they were made here; other tasks of its
    workers do not.

    Yields
    ------
    SolveCount
        Grows until the block ends. Blocks may be nested; each counts all of its own.

    Examples
    --------
    >>> import xbinn
    >>> from xbinn.physics.counting import count_solves
    >>> grid = xbinn.testing.small_grid()
    >>> with count_solves() as count:
    ...     sim = xbinn.simulate(grid, xbinn.default_parameters(grid))
    >>> count.forward == int((sim["status"] == 0).sum()), count.transposed
    (True, 0)
    """
    count = SolveCount()
    with _lock:
        _open.append(count)
    try:
        yield count
    finally:
        with _lock:
            # By identity: two counts of nothing are equal.
            _open[:] = [other for other in _open if other is not count]


def note_solves(*, forward: int = 0, transposed: int = 0) -> None:
    """Add to the counts that are open."""
    if not _open:
        return
    with _lock:
        for count in _open:
            count.forward += forward
            count.transposed += transposed


def note_elsewhere(count: SolveCount) -> None:
    """Add what was counted in another process; what was counted in this one is there already."""
    if count.process != PROCESS:
        note_solves(forward=count.forward, transposed=count.transposed)
