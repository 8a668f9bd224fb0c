"""The ledger of a tile job: one line a finished tile, appended and synced, beside the store.

An unwritten tile of a Zarr store reads as missing, and a tile of ocean leaves no chunk file: what
is done stands here. Lines are JSON. The first is the fingerprint of the job, and its plan: what has
to be known to read the tiles back::

    {"xbinn_ledger": 1, "fingerprint": {...}, "plan": {...}}
    {"tile": 3, "sha256": "...", "cells": 4096, "nan": 120, "seconds": 0.4, "notes": []}
    {"tile": 3, "struck": "chunk damaged"}

A line that was cut off by a crash is dropped; a tile that was struck is to be computed again.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from xbinn.errors import JobError

_FORMAT: Final = 1


@dataclass(frozen=True)
class Entry:
    """A finished tile.

    Attributes
    ----------
    tile : int
        Its number.
    sha256 : str
        Of its values, see `xbinn.running.store.digest`.
    cells, nan : int
        Cells, and missing values of all variables together.
    seconds : float
        From reading to written.
    device : str
        Where it was computed.
    notes : list of str
        What did not go smoothly: repeated reads, halved batches.
    """

    tile: int
    sha256: str
    cells: int
    nan: int
    seconds: float
    device: str
    notes: list[str] = field(default_factory=list)


class Ledger:
    """An open ledger; use it under the lock of its store.

    Attributes
    ----------
    fingerprint : dict of str to str
        What the job is.
    plan : dict
        How its tiles are cut and what they hold.
    done : dict of int to Entry
        Finished tiles by number.
    """

    def __init__(
        self, path: Path, fingerprint: dict[str, str], plan: dict[str, Any], end: int
    ) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self.plan = plan
        self.done: dict[int, Entry] = {}
        self._end = end  # bytes that are whole lines

    @classmethod
    def create(cls, path: Path, fingerprint: dict[str, str], plan: dict[str, Any]) -> "Ledger":
        """Begin a ledger; it appears with its first line whole or not at all."""
        line = _line({"xbinn_ledger": _FORMAT, "fingerprint": fingerprint, "plan": plan})
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with temporary.open("wb") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        return cls(path, fingerprint, plan, len(line))

    @classmethod
    def read(cls, path: Path) -> "Ledger":
        """Read a ledger; nothing is changed.

        Raises
        ------
        JobError
            If a line other than the last is damaged.
        """
        # Whatever follows the last end of line was cut off.
        *lines, _ = path.read_bytes().split(b"\n")
        try:
            head = json.loads(lines[0])
            if head["xbinn_ledger"] != _FORMAT:
                raise JobError(
                    f"{path} is a ledger of format {head['xbinn_ledger']!r}, which this version "
                    "of xbinn cannot read: use the version that wrote it, or overwrite=True"
                )
            end = sum(len(line) + 1 for line in lines)
            ledger = cls(path, head["fingerprint"], head["plan"], end)
            for number, line in enumerate(lines[1:], 2):
                ledger._take(json.loads(line), number)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise JobError(
                f"{path} is damaged ({type(error).__name__}: {error}), not only cut off at its "
                "end: restore it from a copy, or start anew with overwrite=True"
            ) from error
        return ledger

    def _take(self, record: dict[str, Any], number: int) -> None:
        if "struck" in record:
            self.done.pop(record["tile"], None)
        else:
            try:
                entry = Entry(**record)
            except TypeError as error:
                raise ValueError(f"line {number} is no entry") from error
            self.done[entry.tile] = entry

    def append(self, entry: Entry) -> None:
        """Record a finished tile; it is on disk when this returns."""
        self._write(asdict(entry))
        self.done[entry.tile] = entry

    def strike(self, tile: int, reason: str) -> None:
        """Take a tile back: it is to be computed again."""
        self._write({"tile": tile, "struck": reason})
        self.done.pop(tile, None)

    def _write(self, record: dict[str, Any]) -> None:
        line = _line(record)
        with self.path.open("r+b") as file:
            # What a crash or a full disk has left behind the last whole line goes.
            file.truncate(self._end)
            file.seek(self._end)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._end += len(line)


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, allow_nan=False).encode() + b"\n"
