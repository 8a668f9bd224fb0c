"""Whether a store holds what its ledger says."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xbinn.errors import JobError
from xbinn.running import store
from xbinn.running.job import ledger_path, lock_path, read_plan
from xbinn.running.layout import Layout
from xbinn.running.ledger import Entry, Ledger
from xbinn.running.lock import one_writer
from xbinn.running.progress import counting_bar
from xbinn.running.tiling import Tiling


@dataclass(frozen=True)
class Verification:
    """What was found in a store.

    Attributes
    ----------
    path : Path
        The store.
    status : str
        "complete" or "incomplete", as the store says.
    tiles, stored : int
        Tiles of the job, and those that its ledger lists.
    damaged : dict of str to str
        Stored tiles that cannot be read or are not what was written, and why.
    repaired : bool
        Whether damaged tiles were struck off the ledger: the next `xbinn.predict` to this store
        computes them again.
    """

    path: Path
    status: str
    tiles: int
    stored: int
    damaged: dict[str, str]
    repaired: bool

    @property
    def sound(self) -> bool:
        """Whether the store is complete and nothing is damaged."""
        return self.status == store.COMPLETE and not self.damaged and self.stored == self.tiles


def verify(path: Path, *, repair: bool, show: bool | None) -> Verification:
    """Read every stored tile and compare its sha256 with the ledger's.

    Parameters
    ----------
    path : Path
        Zarr store of a tile job.
    repair : bool
        Strike damaged tiles off the ledger and mark the store as incomplete.
    show : bool or None
        A progress bar; None on a terminal only.

    Raises
    ------
    JobError
        If there is no such store or no ledger beside it, or somebody is writing.
    """
    listed = ledger_path(path)
    for needed in (path, listed):
        if not needed.exists():
            raise JobError(
                f"{needed} is not there: only the Zarr store of a tile job, with its ledger beside "
                "it, can be verified"
            )
    if not repair:
        return _verify(path, Ledger.read(listed), show, strike=None)
    with one_writer(lock_path(path), path):
        ledger = Ledger.read(listed)
        return _verify(path, ledger, show, strike=ledger.strike)


def _problem(path: Path, layout: Layout, tiling: Tiling, entry: Entry) -> str | None:
    """Say what is wrong with a stored tile."""
    try:
        values = store.read_tile(str(path), layout, tiling.region(entry.tile))
    except Exception as error:  # noqa: BLE001  codecs raise many kinds
        return f"cannot be read ({type(error).__name__}: {error})"
    found = store.digest(values)
    if found == entry.sha256:
        return None
    return f"has sha256 {found[:12]}, not {entry.sha256[:12]}: chunks are missing, or not its own"


def _verify(
    path: Path, ledger: Ledger, show: bool | None, strike: Callable[[int, str], None] | None
) -> Verification:
    layout, tiling = read_plan(ledger.plan)
    stored = dict(ledger.done)
    damaged = {}
    with counting_bar(len(stored), "verify", show=show) as tick:
        for number, entry in sorted(stored.items()):
            problem = _problem(path, layout, tiling, entry)
            if problem is not None:
                damaged[tiling.describe(number)] = problem
                if strike is not None:
                    strike(number, problem)
            tick()
    if damaged and strike is not None:
        store.set_status(path, store.INCOMPLETE)
    status = str(store.attributes(path).get(store.STATUS_ATTRIBUTE, "unknown"))
    repaired = bool(damaged) and strike is not None
    return Verification(path, status, tiling.n_tiles, len(stored), damaged, repaired)
