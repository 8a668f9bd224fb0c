"""Files of tables: found by name, read whatever separates their columns."""

import csv
import gzip
import os
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

import pandas as pd

from xbinn.errors import InputError, ProfileError
from xbinn.labels.soil.layouts import Layout

PathLike = str | os.PathLike[str]
_USUAL: Final = "utf-8"
_OF_EXCEL: Final = "cp1252"
"""What Excel writes in western Europe and America where it is told nothing else."""


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


def read_text(
    file: Path, wanted: Iterable[str] | None = None, *, text: Iterable[str] = ()
) -> pd.DataFrame:
    """Read a delimited table.

    Parameters
    ----------
    file : Path
        Its separator is found out.
    wanted : iterable of str, optional
        Columns that are read. Default: all.
    text : iterable of str
        Columns that stay as they are written, such as ids: 00123 is no number.

    Returns
    -------
    DataFrame

    Raises
    ------
    InputError
        If the file is no table.
    """
    kept = None if wanted is None else set(wanted)
    written = set(text)

    def read(encoding: str, **more: Any) -> pd.DataFrame:
        table: pd.DataFrame = pd.read_csv(
            file,
            sep=separator(file),
            usecols=None if kept is None else (lambda name: name.strip() in kept),
            encoding=encoding,
            encoding_errors="strict" if encoding == _USUAL else "replace",
            **more,
        )
        return table

    def read_whole(encoding: str) -> pd.DataFrame:
        header = read(encoding, nrows=0).columns
        types = {name: str for name in header if str(name).strip() in written}
        return read(encoding, low_memory=False, dtype=types)

    try:
        with _opened(file) as raw:
            marked = raw.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE)
        try:
            table = read_whole("utf-16" if marked else _USUAL)
        except UnicodeDecodeError:
            table = read_whole(_OF_EXCEL)
    except (ValueError, OSError, csv.Error) as error:
        raise InputError(
            f"{file} cannot be read as a table ({error}): save it as comma or tab separated text"
        ) from error
    table = table.rename(columns=lambda name: str(name).strip())
    return table.assign(**{n: table[n].str.strip() for n in table.columns if n in written})


def numbers_or_text(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Make numbers of a column of text, unless that would change an entry, as 007 or 12E345."""
    numbers = pd.to_numeric(values, errors="coerce")
    changed = values.str.match(r"[+-]?0\d|\d+[eE]\d+$", na=False)
    changed |= values.notna() & numbers.isna()
    return values if changed.any() else numbers


def as_text(ids: "pd.Series[Any]") -> "pd.Series[Any]":
    """Write ids that a database keeps as numbers; those that are missing stay so."""
    if not pd.api.types.is_numeric_dtype(ids):
        return ids
    return ids.map(lambda number: f"{number:.0f}", na_action="ignore")


def _opened(file: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb")


def separator(file: Path) -> str:
    """Tell what separates columns by the header, the first line that is not blank."""
    with _opened(file) as raw:
        header = next((line.decode(errors="replace") for line in raw if line.strip()), "")
    counts = {mark: header.count(mark) for mark in ("\t", ";", ",", "|")}
    return max(counts, key=lambda mark: counts[mark])
