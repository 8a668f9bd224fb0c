"""Files of tables: found by name, read whatever separates their columns."""

import csv
import gzip
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from xbinn.errors import InputError, ProfileError
from xbinn.labels.soil.layouts import Layout

PathLike = str | os.PathLike[str]


def require_key(df: pd.DataFrame, key: str, layout: Layout) -> None:
    """Refuse a table that lacks a key."""
    if key not in df.columns:
        raise ProfileError(
            f"a table of {layout.name} has no column {key} (it has {', '.join(df.columns)}): this "
            f"is not the layout that xbinn knows ({layout.source}); read it with "
            "xbinn.profiles.read_csv and a map of columns"
        )


def one_file(folder: Path, pattern: str, layout: Layout, *, needed: bool = True) -> Any:
    """Find the only file of a pattern."""
    found = sorted(folder.glob(pattern)) if pattern else []
    if len(found) == 1:
        return found[0]
    if not found and not needed:
        return None
    said = f"{len(found)} files" if found else "no file"
    there = ", ".join(sorted(p.name for p in folder.iterdir())[:12]) or "nothing"
    raise InputError(
        f"{said} {pattern} in {folder}, one is needed to read {layout.title} (there is {there})"
    )


def folder_of(path: PathLike) -> Path:
    """Return a folder that is there."""
    folder = existing(Path(path).expanduser())
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name the folder that holds the tables")
    return folder


def existing(path: Path) -> Path:
    """Return a path that is there."""
    if not path.exists():
        raise InputError(f"there is no {path.name} in {path.parent}: correct the path")
    return path


def read_text(file: Path, wanted: Iterable[str] | None = None) -> pd.DataFrame:
    """Read a delimited table, of its columns those that are wanted."""
    kept = None if wanted is None else set(wanted)
    try:
        return pd.read_csv(
            file,
            sep=_separator(file),
            usecols=None if kept is None else (lambda name: name in kept),
            low_memory=False,
            encoding_errors="replace",
        )
    except (ValueError, OSError, csv.Error) as error:
        raise InputError(
            f"{file} cannot be read as a table ({error}): save it as comma or tab separated text"
        ) from error


def _separator(file: Path) -> str:
    """Tell commas, semicolons and tabs apart by the header."""
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8", errors="replace") as text:
        header = text.readline()
    counts = {mark: header.count(mark) for mark in ("\t", ";", ",")}
    return max(counts, key=lambda mark: counts[mark])
