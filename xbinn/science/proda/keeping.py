"""Finished batches on disk: a folder with a ledger, so that a retrieval can go on."""

import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from xbinn.errors import JobError
from xbinn.running.fingerprint import differences
from xbinn.running.ledger import Entry, Ledger
from xbinn.running.store import digest

_LEDGER = "ledger.jsonl"

Arrays = Mapping[str, np.ndarray]


class Kept:
    """Results of batches in a folder; use it under the lock of the folder.

    Parameters
    ----------
    folder : Path
        Is made where it is not there; its parent must be.
    fingerprint : dict of str to str
        What the retrieval is.

    Raises
    ------
    JobError
        If the folder holds another retrieval, or something else.
    """

    def __init__(self, folder: Path, fingerprint: dict[str, str]) -> None:
        self.folder = folder
        path = folder / _LEDGER
        folder.mkdir(exist_ok=True)
        if path.exists():
            self._ledger = Ledger.read(path)
            differing = differences(self._ledger.fingerprint, fingerprint)
            if differing:
                raise JobError(
                    f"{folder} holds another retrieval: {'; '.join(differing)}. Call as it was "
                    "called then, or choose another folder"
                )
            return
        if any(folder.iterdir()):
            raise JobError(
                f"{folder} is not empty and holds no retrieval: choose another folder for to=..."
            )
        self._ledger = Ledger.create(path, fingerprint, {})

    def load(self, number: int) -> dict[str, np.ndarray] | None:
        """Return the results of a batch; None where it is missing, or not as it was written."""
        entry = self._ledger.done.get(number)
        if entry is None:
            return None
        try:
            with np.load(self._path(number), allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
        except Exception as error:  # noqa: BLE001  numpy and zip raise what they like
            self._ledger.strike(number, f"{type(error).__name__}: {error}")
            return None
        if digest(found) != entry.sha256:
            self._ledger.strike(number, "values differ from those that were written")
            return None
        return found

    def save(self, number: int, found: Arrays) -> None:
        """Store the results of a batch; they are on disk when this returns."""
        buffer = io.BytesIO()
        np.savez(buffer, **found)  # type: ignore[arg-type]
        path = self._path(number)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with temporary.open("wb") as file:
            file.write(buffer.getvalue())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        missing = sum(int(np.isnan(v).sum()) for v in found.values() if v.dtype.kind == "f")
        self._ledger.append(
            Entry(number, digest(found), len(found["steps"]), missing, float(found["seconds"]), "")
        )

    def _path(self, number: int) -> Path:
        return self.folder / f"batch-{number:05d}.npz"
