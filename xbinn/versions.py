"""What xbinn runs on, for bug reports."""

import locale
import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final, TextIO

_REQUIREMENT: Final = re.compile(r"(?P<name>[\w.-]+)(?:.*extra == ['\"](?P<extra>[\w-]+)['\"])?")
_FOR_DEVELOPERS: Final = frozenset({"dev", "docs", "test"})


def show_versions(file: TextIO | None = None) -> None:
    """Write the versions of Python, the system, xbinn and what it builds on.

    Parameters
    ----------
    file : file-like, optional
        Where to write; by default standard output.

    Examples
    --------
    >>> import io, xbinn
    >>> shown = io.StringIO()
    >>> xbinn.show_versions(shown)
    >>> shown.getvalue().splitlines()[0]
    'INSTALLED VERSIONS'
    """
    lines = [
        "INSTALLED VERSIONS",
        "------------------",
        f"python: {sys.version.split()[0]}",
        f"system: {platform.platform()}",
        f"machine: {platform.machine()}",
        f"cores: {os.cpu_count()}",
        f"byteorder: {sys.byteorder}",
        f"locale: {'.'.join(part or 'None' for part in locale.getlocale())}",
        "",
        *(f"{name}: {_installed(name)}" for name in ("xbinn", *_builds_on())),
    ]
    (sys.stdout if file is None else file).write("\n".join(lines) + "\n")


def _builds_on() -> list[str]:
    """Names of what xbinn needs, and of what its extras for users hold."""
    parts = [_REQUIREMENT.match(text) for text in requires("xbinn") or ()]
    needed: list[str] = []
    wanted: list[str] = []
    for part in parts:
        if part is not None and part["name"] != "xbinn" and part["extra"] not in _FOR_DEVELOPERS:
            (needed if part["extra"] is None else wanted).append(part["name"])
    return sorted(needed, key=str.lower) + sorted(wanted, key=str.lower)


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
