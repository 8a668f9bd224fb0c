"""One writer: a lock file that names host and process, beside the store."""

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from xbinn.errors import JobError

_SAME_START: Final = 2.0
"""Seconds."""

_log = logging.getLogger("xbinn")


@contextmanager
def one_writer(path: Path, what: Path) -> Iterator[None]:
    """Hold a lock file while a store is written.

    A lock whose process has ended on this host is taken over, with a line in the log. Of another
    host that cannot be known: the message says what to do.

    Parameters
    ----------
    path : Path
        Of the lock file.
    what : Path
        The store, for messages.

    Raises
    ------
    JobError
        If somebody else is writing.
    """
    own = {**_identity(), "since": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    while not _create(path, own):
        found = _read(path)
        if found is None:
            continue  # it was released in between
        _check_stale(found, path, what)
        if _remove(path, found):
            _log.warning(
                "%s was being written by process %s of this host since %s, which has ended without "
                "finishing: taking over its lock and going on",
                what,
                found["pid"],
                found["since"],
            )
    try:
        yield
    finally:
        _remove(path, own)


def _identity() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        # The same number is another process in another container of the same host.
        "namespace": _namespace(),
        "pid": os.getpid(),
        # The same number is another process after a while.
        "started": psutil.Process().create_time(),
    }


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _create(path: Path, content: dict[str, Any]) -> bool:
    """Create the lock file with its content; False where there is one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content))
    try:
        # A link appears whole, which a file that is created and then written does not.
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:
        return _create_without_links(path, temporary.read_bytes())
    finally:
        temporary.unlink()
    return True


def _create_without_links(path: Path, content: bytes) -> bool:
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
        return {key: found[key] for key in ("host", "namespace", "pid", "started", "since")}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise JobError(
            f"{path} is no lock of this version of xbinn: if nobody is writing, delete it"
        ) from error


def _check_stale(found: dict[str, Any], path: Path, what: Path) -> None:
    """Refuse unless the process that holds a lock is known to have ended."""
    holder = f"process {found['pid']} of host {found['host']} since {found['since']}"
    here = _identity()
    if (found["host"], found["namespace"]) != (here["host"], here["namespace"]):
        raise JobError(
            f"{what} is being written by {holder}, another machine than this ({here['host']}), "
            f"where it cannot be seen whether that is still running: if it has ended, delete the "
            f"stale lock {path} and call again; finished tiles are kept"
        )
    try:
        # A clock that was set shifts both by a little.
        apart = abs(psutil.Process(found["pid"]).create_time() - found["started"])
        running = apart < _SAME_START
    except psutil.NoSuchProcess:
        running = False
    if running:
        raise JobError(
            f"{what} is being written by {holder}: wait for it, stop it, or write somewhere else"
        )


def _remove(path: Path, expected: dict[str, Any]) -> bool:
    """Remove a lock if it is still the one that was looked at."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return False
    if _read(aside) == expected:
        aside.unlink()
        return True
    # Somebody was faster, and this is theirs.
    with suppress(FileExistsError):
        os.link(aside, path)
    aside.unlink()
    return False
