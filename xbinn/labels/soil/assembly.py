"""From a tidy table of samples to a profile Dataset that carries its flags."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from xbinn.errors import ProfileError
from xbinn.labels.profiles import lay_out_samples
from xbinn.labels.soil.bulk_density import find_pedotransfer
from xbinn.labels.soil.density import Origin, carbon_density
from xbinn.labels.soil.quantities import PROFILE_ID, QUANTITIES, Column, tidy
from xbinn.labels.soil.rules import BITS, RULES, UNUSABLE, first_place, judge

QUALITY: Final = "quality"
ORIGIN: Final = "soc_origin"
COLUMNS_READ: Final = "columns_read"
WITHOUT_ID: Final = "rows_without_profile_id"
WITHOUT_CARBON: Final = "rows_without_carbon"
PEDOTRANSFER: Final = "pedotransfer"

_KEPT: Final = ("organic_carbon", "bulk_density", "coarse_fragments")
"""Variables of the samples that come along with their carbon density."""
_UNITS: Final = {q.name: q for q in QUANTITIES}


def profiles_of(
    df: pd.DataFrame,
    columns: Iterable[Column],
    *,
    pedotransfer: str | None = None,
    attrs: Mapping[str, Any] | None = None,
    decimal: str = ".",
) -> xr.Dataset:
    """Make a profile Dataset of a table of laboratory values.

    Nothing is lost without a count: rows without carbon or without a profile id are counted in
    attributes, every other one is a sample. Where a sample cannot be used its ``soc`` is NaN and
    ``quality`` says why.

    Parameters
    ----------
    df : DataFrame
        One row a sample.
    columns : iterable of Column
        What stands where.
    pedotransfer : str, optional
        Fills in bulk densities that are missing.
    attrs : mapping, optional
        Attributes of the Dataset, such as where the table comes from.
    decimal : str
        Mark of decimals in numbers that are text.

    Returns
    -------
    Dataset
        As of `xbinn.labels.profiles.from_dataframe`, and (profile, sample) ``quality``,
        ``soc_origin`` and, where they are known, ``organic_carbon`` [g kg-1], ``bulk_density``
        [kg m-3] and ``coarse_fragments`` [percent].

    Raises
    ------
    ProfileError
        If columns are missing or hold no numbers, no row has carbon and an id, or the
        pedotransfer function is not known or lacks an input.
    UnitsError
        If a unit is missing, cannot be understood or measures something else.
    """
    if pedotransfer is not None:
        find_pedotransfer(pedotransfer)
    table, read = tidy(df, columns, decimal=decimal)
    named = table[PROFILE_ID].notna() & (table[PROFILE_ID].astype(str).str.strip() != "")
    table = carbon_density(table[named].reset_index(drop=True), pedotransfer)
    held = table[["soc", "organic_carbon"]].notna().any(axis=1)
    counts = {WITHOUT_ID: int((~named).sum()), WITHOUT_CARBON: int((~held).sum())}
    table = table[held].reset_index(drop=True)
    if table.empty:
        raise ProfileError(
            f"no row of the table has organic carbon and a profile id ({counts[WITHOUT_CARBON]} "
            f"without carbon, {counts[WITHOUT_ID]} without id): check the names of the columns"
        )
    profile = pd.factorize(table[PROFILE_ID])[0]
    flags = judge(table, profile)
    # What is flagged as elsewhere has no carbon, so its place does not matter.
    first = first_place(table["lat"].to_numpy(), table["lon"].to_numpy(), profile)
    lat, lon = (table[n].to_numpy()[first] for n in ("lat", "lon"))
    impossible = (flags & BITS["position_impossible"]) != 0
    impossible |= (flags & BITS["position_zero"]) != 0
    placed = ~impossible[first]
    usable = (flags & UNUSABLE) == 0
    table = table.assign(
        **{QUALITY: flags, ORIGIN: table["origin"].to_numpy()},
        soc=np.where(usable, table["soc"], np.nan),
        lat=np.where(placed, lat, np.nan),
        lon=np.where(placed, lon, np.nan),
    )
    kept = [n for n in _KEPT if table[n].notna().any()]
    own = {*_UNITS, *_KEPT, PROFILE_ID, "litter", "origin", "outside", QUALITY, ORIGIN}
    names = {n: n for n in ("depth_top", "depth_bottom", "soc", "lat", "lon", PROFILE_ID)}
    names |= {str(n): str(n) for n in table.columns if n not in own}
    ds = lay_out_samples(table, names, (*kept, QUALITY, ORIGIN))
    for name in kept:
        ds[name].attrs = {"units": _UNITS[name].units, "long_name": _UNITS[name].meaning}
    ds[QUALITY].attrs = {
        "long_name": "what was found wrong with the sample",
        "flag_masks": np.array([BITS[r.name] for r in RULES], dtype=np.int32),
        "flag_meanings": " ".join(r.name for r in RULES),
    }
    ds[ORIGIN].attrs = {
        "long_name": "how the carbon density of the sample came about",
        "flag_values": np.array([int(o) for o in Origin], dtype=np.int8),
        "flag_meanings": " ".join(o.name.lower() for o in Origin),
    }
    ds["soc"].attrs["ancillary_variables"] = f"{QUALITY} {ORIGIN}"
    ds.attrs = {
        **(attrs or {}),
        COLUMNS_READ: "; ".join(f"{name}: {text}" for name, text in read.items()),
        PEDOTRANSFER: "none" if pedotransfer is None else pedotransfer,
        **counts,
    }
    return ds
