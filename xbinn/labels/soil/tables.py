"""Tables of one's own: files and DataFrames of laboratory values, one row a sample."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pandas as pd
import xarray as xr

from xbinn.errors import ProfileError
from xbinn.labels.profiles import OPTIONAL_COLUMNS, WEIGHT
from xbinn.labels.soil.assembly import profiles_of
from xbinn.labels.soil.files import (
    PathLike,
    existing,
    numbers_or_text,
    read_text,
    separator,
)
from xbinn.labels.soil.layouts import PLAIN
from xbinn.labels.soil.quantities import CARBON, PROFILE_ID, QUANTITIES, Column, units_in_headers

_NUMBERS: Final = {CARBON, WEIGHT, *(q.name for q in QUANTITIES)}


def read_csv(
    path: PathLike,
    *,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    pedotransfer: str | None = None,
) -> xr.Dataset:
    """Read a table of soil samples, one row a sample.

    Parameters
    ----------
    path : path-like
        The file; what separates its columns is found out: commas, tabs, bars, or semicolons, with
        which decimals may have commas. Profile ids are text, as they are written.
    columns, units, pedotransfer
        As for `from_table`.

    Returns
    -------
    Dataset
        As of `from_table`.

    Raises
    ------
    InputError
        If the file is not there or is no table.
    ProfileError, UnitsError
        As by `from_table`.
    """
    file = existing(Path(path).expanduser())
    named = dict(columns or {})
    # What is no quantity is an id or a name: 00123 stays 00123.
    kept = {named.get(n, n) for n in (PROFILE_ID, *named, *OPTIONAL_COLUMNS) if n not in _NUMBERS}
    df = read_text(file, text=kept)
    labels = [n for n in kept if n in df.columns and n != named.get(PROFILE_ID, PROFILE_ID)]
    df = df.assign(**{n: numbers_or_text(df[n]) for n in labels})
    # Where decimals have commas, columns are set apart by semicolons.
    decimal = "," if separator(file) == ";" else "."
    return _of_table(df, columns, units, pedotransfer, file.name, decimal)


def from_table(
    df: pd.DataFrame,
    *,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    pedotransfer: str | None = None,
    title: str = "Soil profiles",
) -> xr.Dataset:
    """Make profiles of a table of laboratory values, one row a sample.

    ``soc`` is the density that is given, else organic carbon x bulk density of fine earth x (1 -
    volume of coarse fragments), else the stock of the interval over its thickness.

    Parameters
    ----------
    df : DataFrame
        Columns in xbinn's names, see the guide to profiles: ``profile_id``, ``lat``, ``lon``,
        ``depth_top``, ``depth_bottom``, ``carbon``, ``bulk_density``, ``coarse_fragments``, ...
    columns : mapping of str to str, optional
        Name of the column where it differs, as in ``{"carbon": "OC"}``. Any other key is carried
        along as a coordinate of the profile.
    units : mapping of str to str, optional
        Unit by xbinn's name, as in ``{"carbon": "%", "depth_top": "cm"}``. A header such as
        ``OC [g/kg]`` or ``top (cm)`` says it too. That of ``carbon`` decides what it is: a mass
        fraction (%, g/kg, g/100g), a stock (t/ha, kg m-2) or a density (kg m-3, gC m-3).
    pedotransfer : str, optional
        Fills in bulk densities that are missing by this function of
        `xbinn.profiles.PEDOTRANSFERS`; each sample says so. By default samples without bulk
        density have no density.
    title : str
        What the table is.

    Returns
    -------
    Dataset
        ``soc``, ``depth_top``, ``depth_bottom`` (profile, sample), NaN-padded, with ``quality``
        (what is wrong with a sample) and ``soc_origin``; `xbinn.profiles.report` counts them.

    Raises
    ------
    ProfileError
        If columns are missing or hold no numbers, or no row has carbon and an id.
    UnitsError
        If a unit is missing, cannot be understood or measures something else.
    """
    if not isinstance(df, pd.DataFrame):
        raise ProfileError(
            f"a table must be a pandas.DataFrame, not {type(df).__name__}: a file is read with "
            "xbinn.profiles.read_csv(path)"
        )
    return _of_table(df, columns, units, pedotransfer, title, ".")


def _of_table(
    df: pd.DataFrame,
    columns: Mapping[str, str] | None,
    units: Mapping[str, str] | None,
    pedotransfer: str | None,
    title: str,
    decimal: str,
) -> xr.Dataset:
    plain, said = units_in_headers(df)
    renamed = {str(old): new for old, new in zip(df.columns, plain.columns, strict=True)}
    chosen = {c.quantity: c for c in PLAIN}
    for quantity, name in (columns or {}).items():
        chosen[quantity] = Column(quantity, (renamed.get(name, name),))
    given = {**{q: said[c.names[0]] for q, c in chosen.items() if c.names[0] in said}}
    given |= dict(units or {})
    unknown = [n for n in given if n not in chosen]
    if unknown:
        raise ProfileError(
            f"units are given of {', '.join(unknown)}, which are no quantities: use xbinn's names, "
            f"{', '.join(c.quantity for c in PLAIN)}"
        )
    missing = [n for n in columns or {} if chosen[n].names[0] not in plain.columns]
    if missing:
        raise ProfileError(
            f"columns missing from the table: "
            f"{', '.join(f'{chosen[n].names[0]} ({n})' for n in missing)}; it has "
            f"{', '.join(map(str, plain.columns))}"
        )
    listed = [replace(c, units=given.get(q, "")) for q, c in chosen.items()]
    # A column that is not there needs no unit.
    listed = [c for c in listed if c.names[0] in plain.columns or c.quantity != CARBON]
    attrs = {"title": title}
    return profiles_of(plain, listed, pedotransfer=pedotransfer, attrs=attrs, decimal=decimal)
