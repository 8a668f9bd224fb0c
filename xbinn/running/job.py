"""A resumable job: tiles are computed on any scheduler, stored, and entered in a ledger.

The order in which things are written is what makes a job safe to kill at any moment:

1. the lock, so that nobody else writes;
2. the ledger with the fingerprint of the job;
3. the template of the store, whole, marked as incomplete;
4. for every tile its chunks, and then its line in the ledger;
5. the mark as complete.
"""

import errno
import json
import logging
import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import xarray as xr
from distributed.scheduler import KilledWorker

from xbinn.errors import JobError
from xbinn.running import memory, store
from xbinn.running.fingerprint import Fingerprint, differences
from xbinn.running.layout import Layout, Posterior
from xbinn.running.ledger import Entry, Ledger
from xbinn.running.lock import one_writer
from xbinn.running.progress import tile_bar
from xbinn.running.resources import local_threads
from xbinn.running.scheduling import Outcome, run_tasks
from xbinn.running.tile import TileWork, run_tile
from xbinn.running.tiling import Tiling

if TYPE_CHECKING:
    from distributed import Client

MOST_FAILURES: Final = 10
"""Failed tiles after which a job stops: what is wrong with so many is wrong with all."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_NAMED: Final = 5

_log = logging.getLogger("xbinn")


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes
    ----------
    path : Path
        Zarr store.
    work : TileWork
        What the tiles have in common.
    inputs : Dataset
        What is read, lazy or in memory.
    fingerprint : dict of str to str
        What the job is, see `xbinn.running.fingerprint`.
    template : callable
        Makes the labelled result without values.
    """

    path: Path
    work: TileWork
    inputs: xr.Dataset
    fingerprint: Fingerprint
    template: Callable[[], xr.Dataset]


@dataclass
class _Failures:
    """Tiles that failed, and why."""

    job: Job
    errors: dict[int, BaseException] = field(default_factory=dict)

    def add(self, outcome: Outcome[Entry]) -> bool:
        """Note a failure; whether it makes no sense to go on."""
        assert outcome.error is not None
        self.errors[outcome.number] = outcome.error
        full = isinstance(outcome.error, OSError) and outcome.error.errno in _FULL
        return full or len(self.errors) >= MOST_FAILURES

    def take_suspects(self) -> list[int]:
        """Take back the failures of tiles whose workers died.

        A tile that only waits on a dying worker is blamed by dask as the one that kills it is.
        """
        suspects = [n for n, e in self.errors.items() if isinstance(e, KilledWorker)]
        for number in suspects:
            del self.errors[number]
        return suspects

    def raise_error(self, done: int) -> None:
        """Say what failed, what is stored, and how to go on."""
        if not self.errors:
            return
        tiling = self.job.work.tiling
        shown = list(self.errors.items())[:_NAMED]
        listed = "; ".join(f"{tiling.describe(n)}: {self._explain(e)}" for n, e in shown)
        more = len(self.errors) - len(shown)
        raise JobError(
            f"{len(self.errors)} of {tiling.n_tiles} tiles of {self.job.path} failed: {listed}"
            + (f"; and {more} more" if more else "")
            + f". {done} tiles are stored: mend the cause and call again with the same arguments "
            "to compute the rest"
        ) from shown[0][1]

    def _explain(self, error: BaseException) -> str:
        work = self.job.work
        if isinstance(error, KilledWorker):
            needed = memory.tile_bytes(self.job.inputs, work.tiling, work.layout, work.dtype)
            advice = memory.advice(self.job.inputs, work.tiling, 2.0 * needed, needed)
            return (
                f"its worker died, again and again, likely for lack of memory: it needs about "
                f"{needed / 2**30:.2g} GiB for each thread; {advice}"
            )
        if isinstance(error, OSError) and error.errno in _FULL:
            return f"{error} (make room, or raise the quota)"
        return f"{type(error).__name__}: {error}"


def run(
    job: Job,
    *,
    overwrite: bool,
    client: "Client | None",
    resources: dict[str, float] | None,
    show: bool | None,
) -> None:
    """Compute what a store lacks.

    Parameters
    ----------
    job : Job
        What is to be done.
    overwrite : bool
        Start anew whatever is there.
    client : Client or None
        Where to compute; None for this process.
    resources : dict, optional
        What a worker must offer.
    show : bool or None
        A progress bar; None on a terminal only.

    Raises
    ------
    JobError
        If the store belongs to another job or another writer, a tile cannot fit or has failed,
        or the cluster is lost. What is stored stays.
    """
    if not job.path.parent.is_dir():
        raise JobError(f"the folder {job.path.parent} of the store is not there: make it first")
    with one_writer(lock_path(job.path), job.path):
        ledger = _begin(job, overwrite)
        job = replace(job, work=replace(job.work, identity=store.identity(job.path)))
        tiling = job.work.tiling
        left = [n for n in range(tiling.n_tiles) if n not in ledger.done]
        if left:
            work = job.work
            limit = memory.available(client)
            memory.check_memory(job.inputs, tiling, work.layout, work.dtype, limit)
            _compute(job, ledger, left, client, resources, show)
        if store.attributes(job.path).get(store.STATUS_ATTRIBUTE) != store.COMPLETE:
            store.set_status(job.path, store.COMPLETE)


def _compute(
    job: Job,
    ledger: Ledger,
    left: list[int],
    client: "Client | None",
    resources: dict[str, float] | None,
    show: bool | None,
) -> None:
    tiling = job.work.tiling
    failures = _Failures(job)
    if ledger.done:
        _log.info("%s: %d of %d tiles are stored", job.path, len(ledger.done), tiling.n_tiles)

    def part(number: int) -> xr.Dataset | None:
        return None if job.work.source is not None else job.inputs.isel(tiling.region(number))

    def attempt(numbers: list[int], tick: Callable[[Entry], None], *, alone: bool) -> bool:
        """Compute tiles; whether it makes sense to go on."""
        outcomes = run_tasks(
            run_tile,
            job.work,
            numbers,
            part=part,
            client=client,
            threads=1 if client is not None else local_threads(),
            resources=resources,
            alone=alone,
        )
        with closing(outcomes):
            for outcome in outcomes:
                if outcome.result is None:
                    if failures.add(outcome):
                        return False
                else:
                    ledger.append(outcome.result)
                    tick(outcome.result)
        return True

    try:
        with tile_bar(tiling.n_tiles, len(ledger.done), show=show) as tick:
            if attempt(left, tick, alone=False):
                attempt(failures.take_suspects(), tick, alone=True)
    except KeyboardInterrupt:
        _log.warning("interrupted: %s", _how_to_resume(job, ledger))
        raise
    except JobError as error:
        raise JobError(f"{error}; {_how_to_resume(job, ledger)}") from error
    except OSError as error:
        raise JobError(
            f"{ledger.path} cannot be written ({error}): make room; {_how_to_resume(job, ledger)}"
        ) from error
    failures.raise_error(len(ledger.done))


def _how_to_resume(job: Job, ledger: Ledger) -> str:
    return (
        f"{len(ledger.done)} of {job.work.tiling.n_tiles} tiles of {job.path} are stored, and the "
        "same call goes on from there"
    )


def _begin(job: Job, overwrite: bool) -> Ledger:
    """Open what is there, or make it."""
    path, listed = job.path, ledger_path(job.path)
    for left in (
        *path.parent.glob(f".{path.name}.*.new"),
        *path.parent.glob(f".{path.name}.*.old"),
    ):
        shutil.rmtree(left)
    if overwrite:
        _clear(path, listed)
    if not listed.exists():
        if path.exists():
            raise JobError(
                f"{path} exists and no ledger of a tile job ({listed.name}) stands beside it: "
                "choose another path, or give overwrite=True to replace it"
            )
        ledger = Ledger.create(listed, job.fingerprint, plan(job.work))
        store.create(path, job.template(), job.work.tiling, job.fingerprint)
        return ledger
    ledger = Ledger.read(listed)
    differing = differences(ledger.fingerprint, job.fingerprint)
    if differing:
        raise JobError(
            f"{path} was begun by another job: {'; '.join(differing)}. Call as it was called then, "
            "choose another path, or give overwrite=True to start anew"
        )
    if path.exists():
        store.remove_partial(path)
        stored = store.attributes(path).get(store.FINGERPRINT_ATTRIBUTE)
        if stored != json.dumps(job.fingerprint):
            raise JobError(
                f"{path} is not the store that {listed} belongs to: put that back, choose another "
                "path, or give overwrite=True to start anew"
            )
    elif ledger.done:
        raise JobError(
            f"{listed} lists {len(ledger.done)} finished tiles and {path} is not there: put it "
            "back, or give overwrite=True to start anew"
        )
    else:
        store.create(path, job.template(), job.work.tiling, job.fingerprint)
    return ledger


def _clear(path: Path, listed: Path) -> None:
    if path.exists():
        if not store.is_zarr(path):
            raise JobError(f"{path} is no Zarr store and is not overwritten: choose another path")
        store.remove(path)
    listed.unlink(missing_ok=True)


def plan(work: TileWork) -> dict[str, Any]:
    """Return what has to be known to read tiles back, as JSON; see `read_plan`."""
    tiling = {name: list(value) for name, value in asdict(work.tiling).items()}
    posterior = work.layout.posterior
    return {
        "outputs": list(work.layout.groups),
        "posterior": None if posterior is None else asdict(posterior),
        "tiling": tiling,
    }


def read_plan(found: Mapping[str, Any]) -> tuple[Layout, Tiling]:
    """Return layout and tiling from the plan of a ledger."""
    tiling = {name: tuple(value) for name, value in found["tiling"].items()}
    posterior = found["posterior"]
    if posterior is not None:
        posterior = Posterior(**{**posterior, "quantiles": tuple(posterior["quantiles"])})
    return Layout(tuple(found["outputs"]), posterior), Tiling(**tiling)


def ledger_path(path: Path) -> Path:
    """Where the ledger of a store is."""
    return path.with_name(f"{path.name}.ledger")


def lock_path(path: Path) -> Path:
    """Where the lock of a store is."""
    return path.with_name(f"{path.name}.lock")


def remove(path: Path) -> None:
    """Remove a store with its ledger, once its content is somewhere else; under its lock."""
    ledger_path(path).unlink(missing_ok=True)
    store.remove(path)
