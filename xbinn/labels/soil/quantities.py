"""What a table of soil samples can hold, and its columns as plain numbers in fixed units."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from xbinn.errors import ProfileError, UnitsError
from xbinn.labels.units import conversion, parse

PROFILE_ID: Final = "profile_id"
CARBON: Final = "carbon"
"""Organic carbon in whatever form its unit says: see `CARBON_KINDS`."""


@dataclass(frozen=True)
class Quantity:
    """A number that a sample can have: its name, what it is, and the unit it is kept in."""

    name: str
    meaning: str
    units: str


QUANTITIES: Final = (
    Quantity("lat", "latitude", "degrees_north"),
    Quantity("lon", "longitude", "degrees_east"),
    Quantity("depth_top", "top of the sample", "m"),
    Quantity("depth_bottom", "bottom of the sample", "m"),
    Quantity("soc", "organic carbon per volume of soil", "kg m-3"),
    Quantity("soc_stock", "organic carbon of the interval", "kg m-2"),
    Quantity("organic_carbon", "mass of organic carbon in fine earth", "g kg-1"),
    Quantity("total_carbon", "mass of carbon in fine earth", "g kg-1"),
    Quantity("carbonate", "mass of CaCO3 in fine earth", "g kg-1"),
    Quantity("bulk_density", "dry mass of fine earth per volume of fine earth", "kg m-3"),
    Quantity("bulk_density_modelled", "bulk density that the provider has modelled", "kg m-3"),
    Quantity("coarse_fragments", "volume of coarse fragments in whole soil", "percent"),
    Quantity("coarse_fragments_mass", "mass of coarse fragments in whole soil", "percent"),
    Quantity("sand", "sand in fine earth", "percent"),
    Quantity("silt", "silt in fine earth", "percent"),
    Quantity("clay", "clay in fine earth", "percent"),
)
"""Everything that `tidy` makes numbers of. ``degrees`` are taken as they are."""
CARBON_KINDS: Final = ("soc", "soc_stock", "organic_carbon")
"""What ``carbon`` is taken for: the first one whose unit its own converts to."""
NEEDED: Final = (PROFILE_ID, "lat", "lon", "depth_top", "depth_bottom")

_TABLE: Final = {q.name: q for q in QUANTITIES}
_POSITIONS: Final = ("lat", "lon")
_NAMED: Final = 3
_UNIT_IN_HEADER: Final = re.compile(r"^\s*(?P<name>.*?)\s*[\[(]\s*(?P<units>[^\[\]]+?)\s*[\])]\s*$")


@dataclass(frozen=True)
class Column:
    """Where a quantity stands.

    Attributes
    ----------
    quantity : str
        Name in `QUANTITIES`, ``carbon``, or that of a coordinate to carry along.
    names : tuple of str
        Columns in order of preference: in each row the first one that has a value counts.
    units : str
        Of the columns; empty where the quantity has none.
    """

    quantity: str
    names: tuple[str, ...]
    units: str = ""


def units_in_headers(df: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Split headers such as ``OC [g/kg]`` or ``depth (cm)`` into name and unit.

    Returns
    -------
    DataFrame, dict of str to str
        With the plain names, and the unit by plain name.

    Raises
    ------
    ProfileError
        If two columns have the same plain name.
    """
    found = {str(c): m for c in df.columns if (m := _UNIT_IN_HEADER.match(str(c)))}
    plain = {c: m["name"] for c, m in found.items() if m["name"] and _is_unit(m["units"])}
    renamed = df.rename(columns=plain)
    twice = renamed.columns[renamed.columns.duplicated()].unique()
    if twice.size:
        alike = [str(c) for c in df.columns if plain.get(str(c), c) in twice]
        raise ProfileError(
            f"columns of the same name: {', '.join(alike)}; leave one of each with "
            f"df.drop(columns=[{alike[-1]!r}]), or rename it"
        )
    return renamed, {name: found[c]["units"] for c, name in plain.items()}


def tidy(
    df: pd.DataFrame, columns: Iterable[Column], *, decimal: str = "."
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Bring the columns of a table to the names and units of `QUANTITIES`.

    Parameters
    ----------
    df : DataFrame
        One row a sample.
    columns : iterable of Column
        Those that the table does not have are passed over, unless they are `NEEDED`.
    decimal : str
        Mark of decimals in numbers that are text.

    Returns
    -------
    DataFrame, dict of str to str
        One column a quantity, float64 but for ids and what is carried along; and, by quantity,
        which columns it was read from and what was converted.

    Raises
    ------
    ProfileError
        If needed columns are missing, there is no carbon, or columns hold no numbers.
    UnitsError
        If a unit is missing, cannot be understood or measures something else.
    """
    columns = [_decided(c) for c in columns if c.quantity != CARBON or _there(c, df)]
    _require(df, columns)
    out: dict[str, Any] = {}
    read: dict[str, str] = {}
    bad: list[str] = []
    units: list[str] = []
    for column in columns:
        names = _there(column, df)
        if not names:
            continue
        quantity = _TABLE.get(column.quantity)
        if quantity is None:
            out[column.quantity] = _first(df, names)
            read[column.quantity] = ", ".join(names)
            continue
        factor, offset = 1.0, 0.0
        if column.quantity not in _POSITIONS:
            try:
                factor, offset = conversion(
                    names[0],
                    column.units or None,
                    quantity.units,
                    fix=f'units={{{{"{quantity.name}": "{{unit}}"}}}}',
                )
            except UnitsError as error:
                units.append(str(error))
                continue
        values: pd.Series[Any] = pd.Series(np.nan, index=df.index, dtype=np.float64)
        for name in names:
            try:
                values = values.where(values.notna(), _as_number(df[name], decimal))
            except (ValueError, TypeError):
                bad.append(f"{name} ({_no_numbers(df[name], decimal)})")
        # A quantity may stand in several units, column by column.
        before = out.get(column.quantity, pd.Series(np.nan, index=df.index, dtype=np.float64))
        out[column.quantity] = before.where(before.notna(), values * factor + offset)
        given = f" [{column.units}]" if column.units else ""
        kept = f", kept in {quantity.units}" if (factor, offset) != (1.0, 0.0) else ""
        said = f"{', '.join(names)}{given}{kept}"
        read[column.quantity] = " and ".join(filter(None, (read.get(column.quantity), said)))
    if units:
        raise UnitsError("\n".join(units))
    if bad:
        raise ProfileError(
            f"columns that hold no numbers: {', '.join(bad)}; correct the table, or read it with "
            "pandas, say what stands for a missing value or a decimal mark, as in "
            """pd.read_csv(path, na_values=["n.d."], decimal=","), and use from_table"""
        )
    return pd.DataFrame(out, index=df.index).reset_index(drop=True), read


def _decided(column: Column) -> Column:
    """Say which kind of carbon a column of ``carbon`` holds, from its unit."""
    if column.quantity != CARBON:
        return column
    if not column.units:
        raise UnitsError(
            f"{column.names[0]} has no unit, so it may be a density, a stock or a mass fraction: "
            'state it, as in units={"carbon": "g/kg"}; "%", "g/100g", "t/ha", "kg m-3" are others'
        )
    given = parse(
        column.units, name=column.names[0], wanted="g kg-1", fix='units={{"carbon": "{unit}"}}'
    ).unit.dimensionality
    for kind in CARBON_KINDS:
        if given == parse(_TABLE[kind].units, name=kind).unit.dimensionality:
            return Column(kind, column.names, column.units)
    raise UnitsError(
        f"{column.names[0]} is given in {column.units!r}, which is neither a mass fraction "
        "(%, g/kg, g/100g) nor a stock (t/ha, kg m-2) nor a density (kg m-3, gC m-3): correct it"
    )


def _there(column: Column, df: pd.DataFrame) -> list[str]:
    return [n for n in column.names if n in df.columns]


def _require(df: pd.DataFrame, columns: list[Column]) -> None:
    wanted: dict[str, list[str]] = {}
    for column in columns:
        wanted.setdefault(column.quantity, []).extend(column.names)

    def present(quantity: str) -> bool:
        return any(n in df.columns for n in wanted.get(quantity, ()))

    absent = [f"{' or '.join(wanted.get(q, [q]))} ({q})" for q in NEEDED if not present(q)]
    carbon = (*CARBON_KINDS, "total_carbon")
    if not any(map(present, carbon)):
        absent.append(f"{' or '.join(n for q in carbon for n in wanted.get(q, ()))} (carbon)")
    if absent:
        raise ProfileError(
            f"columns missing from the table: {', '.join(absent)}; it has "
            f"{', '.join(map(str, df.columns))}: name them with "
            'columns={"depth_top": "...", "carbon": "..."}'
        )
    if df.empty:
        raise ProfileError("the table of profiles has no rows: pass one row a sample")


def _first(df: pd.DataFrame, names: list[str]) -> "pd.Series[Any]":
    """In each row the first of some columns that has a value."""
    values: pd.Series[Any] = df[names[0]]
    for name in names[1:]:
        values = values.where(values.notna(), df[name])
    return values


def _as_number(
    values: "pd.Series[Any]", decimal: str, errors: Literal["raise", "coerce"] = "raise"
) -> "pd.Series[Any]":
    if values.dtype == object or pd.api.types.is_string_dtype(values):
        text = values.astype(object).where(values.notna(), None)
        # "NULL" and blanks are how databases write nothing.
        values = text.map(lambda v: None if str(v).strip() in ("", "NULL", "NA") else v)
        if decimal != ".":
            values = values.map(lambda v: v.replace(decimal, ".") if isinstance(v, str) else v)
    elif values.dtype.kind not in "iuf":
        raise TypeError(f"{values.dtype} is no number")
    numbers = pd.to_numeric(values, errors=errors)
    return pd.Series(numbers.to_numpy(dtype=np.float64, na_value=np.nan), index=values.index)


def _no_numbers(values: "pd.Series[Any]", decimal: str) -> str:
    """Tell which values of a column are no numbers."""
    try:
        numbers = _as_number(values, decimal, "coerce")
    except TypeError as error:
        return str(error)
    blank = values.astype(str).str.strip().isin(("", "NULL", "NA"))
    bad = np.flatnonzero((numbers.isna() & values.notna() & ~blank).to_numpy())
    shown = ", ".join(repr(str(v)) for v in values.iloc[bad].drop_duplicates()[:_NAMED])
    rows = f"{len(bad)} of {len(values)} rows, first in row {int(bad[0]) + 1}"
    return f"{shown}, in {rows}"


def _is_unit(text: str) -> bool:
    try:
        parse(text, name="")
    except UnitsError:
        return text.startswith("degree")
    return True
