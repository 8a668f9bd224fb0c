"""Litter inputs of a CLM5 run, which no history field holds, by the budgets of the litter pools.

What enters a pool from plants is what the pool gained, plus what left it, minus what it received
from another pool. CTSM has written the fields under three sets of names; all are made from
`POOL_NAMES`, as CTSM itself makes them (`hist_addfld1d` in SoilBiogeochemCarbonFluxType.F90,
SoilBiogeochemCarbonStateType.F90 and CNVegCarbonFluxType.F90).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add, sub
from typing import Final

import numpy as np
import xarray as xr

from xbinn.constants import INPUT_POOLS, MONTHS_PER_YEAR
from xbinn.variables import INPUT_NAMES, MONTH

POOL_NAMES: Final[Mapping[str, tuple[str, str, str]]] = {
    "CWD": ("CWD", "CWD_", "CWD_"),
    "L1": ("LITR1", "LIT_MET_", "MET_LIT_"),
    "L2": ("LITR2", "LIT_CEL_", "CEL_LIT_"),
    "L3": ("LITR3", "LIT_LIG_", "LIG_LIT_"),
    "S1": ("SOIL1", "SOM_ACT_", "ACT_SOM_"),
    "S2": ("SOIL2", "SOM_SLO_", "SLO_SOM_"),
    "S3": ("SOIL3", "SOM_PAS_", "PAS_SOM_"),
}
"""What stands in front of a pool's C in history files: CLM4.5 to 5.0, today's CTSM, and
for a while in between."""
N_NAMINGS: Final = 3
TRANSFERS: Final = (("CWD", "L2"), ("CWD", "L3"), ("L1", "S1"), ("L2", "S1"), ("L3", "S2"))
CWD_RESPIRATION: Final = (("CWD_HR_L2", "CWD_HR_L3"), ("CWDC_HR",))
"""Respiration of woody debris, in parts or as one; 0 by default, and not written by CLM5.0."""
FLUX_UNITS: Final = "gC m-2 s-1"
STOCK_UNITS: Final = "gC m-2"
_SECONDS_PER_DAY: Final = 86400.0


@dataclass(frozen=True)
class Budget:
    """Names of the history fields that enter the budget of one pool.

    ``stock`` [gC m-2]; ``losses`` without fire, ``fire`` and ``gains`` (from other pools)
    [gC m-2 s-1].
    """

    stock: str
    losses: tuple[str, ...]
    fire: str
    gains: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields without fire."""
        return (self.stock, *self.losses, *self.gains)

    def __str__(self) -> str:
        """Return the budget as a formula."""
        text = " + ".join((f"d{self.stock}/dt", *self.losses, self.fire))
        return " - ".join((text, *self.gains))


@dataclass(frozen=True)
class Period:
    """Weights (time,) that turn monthly means of whole years into a closed budget.

    ``change`` times the stocks is their change [gC m-2 over the period], ``duration`` times the
    fluxes their integral over the same period. Each calendar month counts alike in both.
    """

    change: np.ndarray
    duration: np.ndarray


def stock_name(pool: str, naming: int) -> str:
    """Name the history field that holds the carbon of a pool."""
    return f"{POOL_NAMES[pool][naming]}C"


def budgets(naming: int, respiration: tuple[str, ...]) -> dict[str, Budget]:
    """Make the budget of each input of `xbinn.variables.INPUT_NAMES`.

    Parameters
    ----------
    naming : int
        Position in `POOL_NAMES`.
    respiration : tuple of str
        Fields with the respiration of woody debris.
    """

    def flow(donor: str, receiver: str) -> str:
        return f"{stock_name(donor, naming)}_TO_{stock_name(receiver, naming)}"

    def respired(pool: str) -> tuple[str, ...]:
        return respiration if pool == "CWD" else (f"{POOL_NAMES[pool][naming].rstrip('_')}_HR",)

    return {
        name: Budget(
            stock=stock_name(pool, naming),
            losses=(*respired(pool), *(flow(a, b) for a, b in TRANSFERS if a == pool)),
            fire=f"M_{stock_name(pool, naming)}_TO_FIRE",
            gains=tuple(flow(a, b) for a, b in TRANSFERS if b == pool),
        )
        for name, pool in zip(INPUT_NAMES, INPUT_POOLS, strict=True)
    }


def find_naming(names: Collection[str]) -> int:
    """Position in `POOL_NAMES` of the names that are found most often; the first in doubt."""
    found = [
        sum(name in names for b in budgets(naming, ()).values() for name in (*b.fields, b.fire))
        for naming in range(N_NAMINGS)
    ]
    return found.index(max(found))


def whole_years(days: np.ndarray) -> Period:
    """Weights for monthly means of at least two whole years.

    The mean of a stock over a month is its value in the middle where fluxes are constant within
    the month. From the middle of each month of the first year to that of the last the change of
    the stock is the integral of the fluxes, with half of the first and of the last month; the
    twelve such differences are averaged, weighted by the length of their month.

    Parameters
    ----------
    days : ndarray (time,)
        Length of each month.
    """
    n, year = days.size, MONTHS_PER_YEAR
    share = days[:year] / days[:year].sum()
    change, duration = np.zeros(n), np.zeros(n)
    for i in range(year):
        first, last = i, n - year + i
        change[last] += share[i]
        change[first] -= share[i]
        between = np.ones(last - first + 1)
        between[[0, -1]] = 0.5
        duration[first : last + 1] += share[i] * between * days[first : last + 1]
    return Period(change, duration * _SECONDS_PER_DAY)


def litter_inputs(
    fields: Mapping[str, xr.DataArray], found: Mapping[str, Budget], period: Period
) -> dict[str, xr.DataArray]:
    """Litter inputs by the budgets of their pools.

    Parameters
    ----------
    fields : mapping of str to DataArray
        (time, *space), `FLUX_UNITS` and `STOCK_UNITS`.
    found : mapping of str to Budget
        By name of the input. A field for fire that ``fields`` lacks counts as 0.
    period : Period
        Weights of the times.

    Returns
    -------
    dict of str to DataArray
        (month, *space) [gC m-2 s-1]: the annual mean in each month, because only the annual total
        enters the model and storage over seasons is not known. Lazy where ``fields`` are.
    """
    change = xr.DataArray(period.change, dims="time")
    duration = xr.DataArray(period.duration, dims="time")
    seconds = float(period.duration.sum())
    months = xr.DataArray(np.ones(MONTHS_PER_YEAR), dims=MONTH)

    def read(name: str) -> xr.DataArray:
        # Small differences of large stocks: float64, whatever the file holds.
        return fields[name].astype(np.float64)

    def weighted(field: xr.DataArray, weights: xr.DataArray) -> xr.DataArray:
        # Times in one chunk, so that the order of the sum does not depend on the files.
        field = field if field.chunks is None else field.chunk(time=-1)
        return (field * weights).sum("time", skipna=False) / seconds

    inputs = {}
    for name, budget in found.items():
        fire = (budget.fire,) if budget.fire in fields else ()
        # All fluxes first: one sum over the times instead of one a field.
        net = reduce(add, (read(loss) for loss in (*budget.losses, *fire)))
        net = reduce(sub, (read(gain) for gain in budget.gains), net)
        rate = weighted(read(budget.stock), change) + weighted(net, duration)
        inputs[name] = (rate * months).transpose(MONTH, ...).assign_attrs(units=FLUX_UNITS)
    return inputs
