"""Organic carbon per volume of soil, from what a laboratory measures.

    soc = organic carbon x bulk density of fine earth x (1 - volume of coarse fragments)

or the stock of an interval over its thickness, or a density that is given.
"""

from enum import IntEnum
from typing import Final

import numpy as np
import pandas as pd

from xbinn.labels.soil.bulk_density import estimate

CARBON_IN_CARBONATE: Final = 0.12
"""Mass of carbon in CaCO3, as USDA-NRCS takes it (12.011 / 100.09)."""
ROCK: Final = 2650.0
"""Density of coarse fragments [kg m-3], quartz, where their mass is given and not their volume."""
GRAMS: Final = 1000.0


class Origin(IntEnum):
    """How the carbon density of a sample came about."""

    NONE = 0
    GIVEN_DENSITY = 1
    MEASURED_BULK_DENSITY = 2
    STOCK_OVER_THICKNESS = 3
    PROVIDER_BULK_DENSITY = 4
    PEDOTRANSFER = 5


def carbon_density(table: pd.DataFrame, pedotransfer: str | None) -> pd.DataFrame:
    """Add to a tidy table what carbon density is made of, and the density itself.

    Parameters
    ----------
    table : DataFrame
        From `xbinn.labels.soil.quantities.tidy`.
    pedotransfer : str, optional
        Fills in bulk densities that are missing, see `xbinn.labels.soil.bulk_density`.

    Returns
    -------
    DataFrame
        With ``organic_carbon``, ``bulk_density``, ``coarse_fragments``, ``soc``, ``origin`` and
        ``outside`` (of the range of the pedotransfer function).
    """
    table = table.copy()

    def known(name: str) -> np.ndarray:
        values = table[name] if name in table else pd.Series(np.nan, index=table.index)
        return np.asarray(values, dtype=np.float64)

    carbon = known("organic_carbon")
    inorganic = CARBON_IN_CARBONATE * np.maximum(np.nan_to_num(known("carbonate")), 0.0)
    # The carbonate of a soil without carbon but for carbonate may be overestimated.
    rest = np.where(
        known("total_carbon") < 0.0,
        known("total_carbon"),
        np.maximum(known("total_carbon") - inorganic, 0.0),
    )
    carbon = np.where(np.isnan(carbon), rest, carbon)

    measured, modelled = known("bulk_density"), known("bulk_density_modelled")
    density = np.where(np.isnan(measured), modelled, measured)
    outside = np.zeros(len(table), dtype=bool)
    estimated = np.zeros(len(table), dtype=bool)
    if pedotransfer is not None:
        texture = {n: known(n) for n in ("sand", "silt", "clay") if n in table}
        guess, above = estimate(pedotransfer, carbon, texture)
        estimated = np.isnan(density) & np.isfinite(guess)
        outside = estimated & above
        density = np.where(estimated, guess, density)

    coarse = known("coarse_fragments") / 100.0
    coarse = np.where(np.isnan(coarse), _volume(known("coarse_fragments_mass"), density), coarse)
    computed = carbon / GRAMS * density * (1.0 - np.nan_to_num(coarse))
    thickness = known("depth_bottom") - known("depth_top")
    stock = known("soc_stock") / np.where(thickness > 0.0, thickness, np.nan)

    by_origin = {
        Origin.GIVEN_DENSITY: known("soc"),
        Origin.MEASURED_BULK_DENSITY: np.where(np.isnan(measured), np.nan, computed),
        Origin.STOCK_OVER_THICKNESS: stock,
        Origin.PROVIDER_BULK_DENSITY: np.where(estimated, np.nan, computed),
        Origin.PEDOTRANSFER: np.where(estimated, computed, np.nan),
    }
    soc = np.full(len(table), np.nan)
    origin = np.full(len(table), Origin.NONE, dtype=np.int8)
    for kind, values in by_origin.items():
        takes = np.isnan(soc) & np.isfinite(values)
        soc[takes], origin[takes] = values[takes], kind
    return table.assign(
        organic_carbon=carbon,
        bulk_density=density,
        coarse_fragments=coarse * 100.0,
        soc=soc,
        origin=origin,
        outside=outside,
    )


def _volume(mass: np.ndarray, density: np.ndarray) -> np.ndarray:
    """Volume fraction of coarse fragments from their mass [percent of whole soil]."""
    share = mass / 100.0
    rock, fine = share / ROCK, (1.0 - share) / density
    return np.asarray(rock / (rock + fine))
