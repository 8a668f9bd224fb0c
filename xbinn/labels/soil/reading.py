"""Readers: from the files of a database to one table of samples."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pandas as pd
import xarray as xr

from xbinn.errors import InputError
from xbinn.labels.soil.assembly import profiles_of
from xbinn.labels.soil.files import (
    PathLike,
    as_text,
    existing,
    folder_of,
    one_file,
    read_text,
    require_key,
)
from xbinn.labels.soil.layouts import (
    KSSL,
    RACA,
    SODAH,
    SODAH_PROFILE,
    WOSIS_2019,
    WOSIS_2023,
    WOSIS_PROPERTIES,
    Layout,
)
from xbinn.labels.soil.quantities import PROFILE_ID

_FINE_EARTH_PREPARATION: Final = ("S", "")
"""Preparations of the Lab Data Mart that are fine earth: air dry below 2 mm, or not stated."""
_WOSIS_KEYS: Final = ("profile_id", "profile_layer_id", "layer_id")
_KSSL_KEYS: Final = ("labsampnum", "layer_key", "pedon_key", "site_key")
_RACA_KEYS: Final = ("rcasiteid", "upedonid")
_DATABASES: Final = (".sqlite", ".sqlite3", ".db")


def read_wosis(path: PathLike, *, pedotransfer: str | None = None) -> xr.Dataset:
    """Read a WoSIS snapshot of 2019 or of 2023.

    Parameters
    ----------
    path : path-like
        Folder with the unpacked tables: ``wosis_*_profiles.tsv``, ``..._layers_chemical.tsv`` and
        ``..._layers_physical.tsv`` (2019), or one ``wosis_*_orgc.tsv`` a property (2023).
    pedotransfer : str, optional
        As for `from_table`. Most layers of WoSIS have no bulk density.

    Returns
    -------
    Dataset
        As of `from_table`. Bulk density is that of fine earth, at 33 kPa where there is one, else
        oven dry, air dry, field moist; those of whole soil (bdws...) are not read.

    Raises
    ------
    InputError
        If tables are missing.
    ProfileError
        If columns are missing or no row can be used.

    References
    ----------
    Batjes et al. 2020, doi:10.5194/essd-12-299-2020; 2024, doi:10.5194/essd-16-4735-2024.
    """
    folder = folder_of(path)
    if any(folder.glob(WOSIS_2019.files["chemical"])):
        return _finished(_wosis_2019(folder), WOSIS_2019, pedotransfer)
    return _finished(_wosis_2023(folder), WOSIS_2023, pedotransfer)


def read_kssl(path: PathLike, *, pedotransfer: str | None = None) -> xr.Dataset:
    """Read the NCSS Soil Characterization Database (KSSL, Lab Data Mart).

    Parameters
    ----------
    path : path-like
        The SQLite file of the download, or a folder with its tables as CSV: ``lab_layer``,
        ``lab_chemical_properties``, ``lab_physical_properties`` and ``lab_combine_nasis_ncss`` or
        ``lab_site``.
    pedotransfer : str, optional
        As for `from_table`.

    Returns
    -------
    Dataset
        As of `from_table`. Organic carbon is NRCS's estimate, else Walkley-Black, else total carbon
        less that of carbonate; bulk density is at 1/3 bar, else oven dry; coarse fragments are
        turned from mass to volume with 2650 kg m-3. Preparations other than fine earth are passed
        over.

    Raises
    ------
    InputError
        If tables are missing.
    ProfileError
        If columns are missing or no row can be used.
    """
    given = existing(Path(path).expanduser())
    layer = _mart(given, "layer")
    joined = layer
    for name in ("chemical", "physical"):
        part = _fine_earth(_mart(given, name))
        joined = joined.merge(_new(part, joined, "labsampnum"), on="labsampnum", how="left")
    for name, key in (("pedon", "pedon_key"), ("site", "site_key")):
        part = _mart(given, name, needed=False)
        if part is not None and key in part and key in joined:
            one = _new(part.drop_duplicates(key), joined, key)
            joined = joined.merge(one, on=key, how="left")
    return _finished(joined, KSSL, pedotransfer)


def read_raca(path: PathLike, *, pedotransfer: str | None = None) -> xr.Dataset:
    """Read the samples of the Rapid Carbon Assessment.

    Parameters
    ----------
    path : path-like
        Folder with ``RaCA_samples.csv`` and ``RaCa_general_location.csv``.
    pedotransfer : str, optional
        As for `from_table`; used where NRCS has modelled none either.

    Returns
    -------
    Dataset
        As of `from_table`. Organic carbon is total carbon less 0.12 of carbonate, not below 0; a
        bulk density that NRCS modelled is flagged.

    Raises
    ------
    InputError
        If tables are missing.
    ProfileError
        If columns are missing or no row can be used.
    """
    folder = folder_of(path)
    samples = read_text(one_file(folder, RACA.files["samples"], RACA), text=_RACA_KEYS)
    file = one_file(folder, RACA.files["location"], RACA)
    # The first column of locations is the site, whatever the version calls it.
    first = str(read_text(file).columns[0])
    location = read_text(file, text=(first,)).rename(columns={first: "rcasiteid"})
    location = location.drop_duplicates("rcasiteid")
    require_key(samples, "rcasiteid", RACA)
    return _finished(samples.merge(location, on="rcasiteid", how="left"), RACA, pedotransfer)


def read_sodah(path: PathLike, *, pedotransfer: str | None = None) -> xr.Dataset:
    """Read the Soils Data Harmonization database.

    Parameters
    ----------
    path : path-like
        The data table, a CSV file (EDI package edi.521).
    pedotransfer : str, optional
        As for `from_table`.

    Returns
    -------
    Dataset
        As of `from_table`. SoDaH numbers no profiles: rows of the same network, site, location,
        levels, treatment, date and position are one profile. ``control`` says which are of no
        treatment.

    Raises
    ------
    InputError
        If the file is not there or is no table.
    ProfileError
        If columns are missing or no row can be used.

    References
    ----------
    Wieder et al. 2021, doi:10.5194/essd-13-1843-2021.
    """
    ids = set(SODAH_PROFILE) - {"lat", "long"}
    df = read_text(existing(Path(path).expanduser()), text=ids)
    names = [n for n in SODAH_PROFILE if n in df.columns]
    texts = [df[n].astype(object).where(df[n].notna(), "").astype(str) for n in names]
    if texts:
        df = df.assign(profile_id=["|".join(filter(None, row)) for row in zip(*texts, strict=True)])
    return _finished(df, SODAH, pedotransfer)


def _finished(df: pd.DataFrame, layout: Layout, pedotransfer: str | None) -> xr.Dataset:
    attrs = {
        "title": layout.title,
        "references": layout.reference,
        "layout": layout.name,
        "layout_source": layout.source,
    }
    for column in layout.columns:
        if column.quantity == PROFILE_ID and column.names[0] in df:
            df = df.assign(**{column.names[0]: as_text(df[column.names[0]])})
    return profiles_of(df, layout.columns, pedotransfer=pedotransfer, attrs=attrs)


def _wosis_2019(folder: Path) -> pd.DataFrame:
    wanted = {n for c in WOSIS_2019.columns for n in c.names}
    parts = {
        name: read_text(
            one_file(folder, file, WOSIS_2019), {*wanted, *_WOSIS_KEYS}, text=_WOSIS_KEYS
        )
        for name, file in WOSIS_2019.files.items()
    }
    for name in ("chemical", "physical"):
        require_key(parts[name], "profile_layer_id", WOSIS_2019)
    chemical, physical = parts["chemical"], parts["physical"]
    new = _new(physical, chemical, "profile_layer_id")
    joined = chemical.merge(new, on="profile_layer_id", how="left")
    # A layer that only the physical table has brings its own id and depths.
    lone = physical[~physical["profile_layer_id"].isin(chemical["profile_layer_id"])]
    joined = pd.concat([joined, lone], ignore_index=True)
    return joined.merge(_new(parts["profiles"], joined, "profile_id"), on="profile_id", how="left")


def _wosis_2023(folder: Path) -> pd.DataFrame:
    keys = ["profile_id", "layer_id"]
    place = {n for c in WOSIS_2023.columns for n in c.names} - set(WOSIS_PROPERTIES)
    joined = _property(folder, "orgc", [*keys, *place])
    for code in WOSIS_PROPERTIES[1:]:
        file = one_file(folder, WOSIS_2023.files[code], WOSIS_2023, needed=False)
        if file is not None:
            joined = joined.merge(_property(folder, code, keys), on=keys, how="left")
    return joined


def _property(folder: Path, code: str, kept: Collection[str]) -> pd.DataFrame:
    """One row a layer: the mean of its values, under the code of the property."""
    file = one_file(folder, WOSIS_2023.files[code], WOSIS_2023)
    df = read_text(file, {*kept, "value_avg"}, text=_WOSIS_KEYS)
    for key in ("profile_id", "layer_id", "value_avg"):
        require_key(df, key, WOSIS_2023)
    keys = ["profile_id", "layer_id"]
    values = pd.to_numeric(df["value_avg"], errors="coerce")
    mean = df[keys].assign(**{code: values}).groupby(keys, sort=False, dropna=False).mean()
    others = [n for n in df.columns if n not in (*keys, "value_avg")]
    if not others:
        return mean.reset_index()
    first = df.drop_duplicates(keys)[[*keys, *others]]
    return first.merge(mean.reset_index(), on=keys, how="left")


def _mart(given: Path, name: str, *, needed: bool = True) -> Any:
    """Return a table of the Lab Data Mart, from SQLite or from CSV."""
    table = KSSL.files[name]
    wanted = {n for c in KSSL.columns for n in c.names}
    wanted |= {*_KSSL_KEYS, "prep_code"}
    if given.suffix.lower() in _DATABASES:
        with closing(sqlite3.connect(f"{given.resolve().as_uri()}?mode=ro", uri=True)) as database:
            held = pd.read_sql_query("select name from sqlite_master", database)["name"].tolist()
            found = next((n for n in (table, f"{table}_vw") if n in held), None)
            if found is not None:
                columns = pd.read_sql_query(f'select * from "{found}" limit 0', database).columns
                listed = ", ".join(f'"{c}"' for c in columns if c in wanted)
                return pd.read_sql_query(f'select {listed} from "{found}"', database)
        if not needed:
            return None
        raise InputError(
            f"{given} has no table {table} (it has {', '.join(held[:12]) or 'none'}): take the "
            "SQLite download of the Lab Data Mart"
        )
    file = one_file(folder_of(given), f"{table}*.csv", KSSL, needed=needed)
    return None if file is None else read_text(file, wanted, text=_KSSL_KEYS)


def _fine_earth(df: pd.DataFrame) -> pd.DataFrame:
    """Keep one row a sample: that of fine earth."""
    require_key(df, "labsampnum", KSSL)
    if "prep_code" in df:
        code = df["prep_code"].astype(object).where(df["prep_code"].notna(), "")
        rank = (
            code.astype(str).str.strip().map({c: i for i, c in enumerate(_FINE_EARTH_PREPARATION)})
        )
        df = df[rank.notna()].assign(_rank=rank).sort_values("_rank", kind="stable")
        df = df.drop(columns=["_rank", "prep_code"])
    return df.drop_duplicates("labsampnum")


def _new(part: pd.DataFrame, joined: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return the key and the columns that the joined table does not have yet."""
    return part[[key, *(c for c in part.columns if c not in joined.columns)]]
