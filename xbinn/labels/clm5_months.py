"""Months and years of history files, and whether the run behind them is at steady state."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr

from xbinn.constants import MONTHS_PER_YEAR
from xbinn.errors import InputError

SPUN_UP_RATIO: Final = 0.2
"""Least median ratio of passive to slow carbon of a run at normal speed. At steady state the
passive pool, fed with 3 % of what leaves the slow pool and turning over 44 times more slowly, holds
more carbon than the slow one (1.3 times and more, CLM5 technical note, table 2.22.2). In
accelerated decomposition both turn over in a year, and the ratio is a few percent."""

_MIN_DAYS: Final = 27.0
_MAX_DAYS: Final = 32.0
_SECONDS_PER_DAY: Final = 86400.0
_GAP: Final = 0.5
"""Days by which the end of a month may miss the beginning of the next."""
_MIN_YEARS: Final = 2
_NAMED: Final = 3


@dataclass(frozen=True)
class Months:
    """Which records are taken, and what they are.

    Attributes
    ----------
    order : ndarray (time,)
        Positions of the records, in the order of time.
    days : ndarray (time,)
        Length of each.
    from_january : ndarray (month,)
        Position of each calendar month among the first twelve.
    years : (int, int)
        First and last year.
    """

    order: np.ndarray
    days: np.ndarray
    from_january: np.ndarray
    years: tuple[int, int]


def find_months(ds: xr.Dataset, years: tuple[int, int] | None) -> Months:
    """Find calendar months by the middle of the bounds of time.

    Parameters
    ----------
    ds : Dataset
        With ``time`` and the bounds that its attribute ``bounds`` names.
    years : (int, int), optional
        First and last year to take.

    Returns
    -------
    Months

    Raises
    ------
    InputError
        If there are no bounds, or records are not months, overlap, leave gaps or are not two or
        more whole years.
    """
    start, end = _bounds(ds)
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    middle = start + (end - start) / 2
    year = np.array([m.year for m in middle])
    month = np.array([m.month for m in middle])
    if years is not None:
        taken = (year >= years[0]) & (year <= years[1])
        if not taken.any():
            raise InputError(
                f"years={years}: no month lies in these years, the files have {year.min()} to "
                f"{year.max()}"
            )
        order, start, end, year, month = (a[taken] for a in (order, start, end, year, month))
    days = np.array(
        [(b - a).total_seconds() / _SECONDS_PER_DAY for a, b in zip(start, end, strict=True)]
    )
    _check_months(start, end, days)
    n_years, rest = divmod(order.size, MONTHS_PER_YEAR)
    if rest or n_years < _MIN_YEARS:
        raise InputError(
            f"the files hold {order.size} months from {_name(start[0])} to {_name(end[-1])}: "
            f"needed are whole years, {_MIN_YEARS} or more, because litter inputs come from the "
            f"change of the pools over years; give more files{_whole_years(year)}"
        )
    return Months(order, days, np.argsort(month[:MONTHS_PER_YEAR]), (int(year[0]), int(year[-1])))


def _whole_years(year: np.ndarray) -> str:
    """Offer the calendar years of which there are all months, where they are enough."""
    found, months = np.unique(year, return_counts=True)
    whole = found[months == MONTHS_PER_YEAR]
    if whole.size < _MIN_YEARS:
        return ""
    return f", or choose with years=({whole[0]}, {whole[-1]})"


def _bounds(ds: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Begin and end of each record (time,), as dates."""
    if "time" not in ds.dims or "time" not in ds.coords:
        raise InputError(
            f"history files have no coordinate time (dimensions {', '.join(map(str, ds.dims))}): "
            "give monthly history files"
        )
    time = ds["time"]
    name = time.attrs.get("bounds", time.encoding.get("bounds"))
    if name is None or name not in ds.variables:
        raise InputError(
            "time has no bounds, and CTSM stamps a month with its end, so months cannot be told: "
            'keep the variable that time.attrs["bounds"] names (time_bounds)'
        )
    bounds = ds[name].transpose("time", ...).values
    if bounds.dtype.kind == "M":
        # Dates of the calendar that numpy knows: to the microsecond they are Python's.
        bounds = bounds.astype("datetime64[us]").astype(object)
    if bounds.ndim != 2 or bounds.shape[1] != 2 or not hasattr(bounds.flat[0], "year"):
        raise InputError(
            f"{name} holds {bounds.dtype} {bounds.shape}, not two dates a record: open the files "
            "with xarray.coders.CFDatetimeCoder(use_cftime=True), which decodes bounds as time"
        )
    return bounds[:, 0], bounds[:, 1]


def _check_months(start: np.ndarray, end: np.ndarray, days: np.ndarray) -> None:
    odd = (days < _MIN_DAYS) | (days > _MAX_DAYS)
    if odd.any():
        listed = ", ".join(f"{_name(a)} to {_name(b)}" for a, b in _few(start, end, odd))
        raise InputError(
            f"{int(odd.sum())} of {days.size} records are no months: {listed}; give monthly means "
            "(hist_nhtfrq = 0)"
        )
    gap = np.array(
        [
            (b - a).total_seconds() / _SECONDS_PER_DAY
            for a, b in zip(end[:-1], start[1:], strict=True)
        ]
    )
    apart = np.abs(gap) > _GAP
    if apart.any():
        listed = ", ".join(
            f"{_name(a)} and {_name(b)}" for a, b in _few(end[:-1], start[1:], apart)
        )
        raise InputError(
            f"months that do not follow each other: between {listed}; give every month once"
        )


def _few(a: np.ndarray, b: np.ndarray, which: np.ndarray) -> list[tuple[Any, Any]]:
    return list(zip(a[which][:_NAMED], b[which][:_NAMED], strict=True))


def _name(date: Any) -> str:
    return f"{date.year:04d}-{date.month:02d}-{date.day:02d}"


def check_spun_up(slow: xr.DataArray | None, passive: xr.DataArray | None) -> None:
    """Refuse runs in accelerated decomposition, and runs far from steady state.

    Parameters
    ----------
    slow, passive : DataArray or None
        (time, *space): soil carbon. Nothing is checked where one is missing.

    Raises
    ------
    InputError
        If the median ratio of passive to slow carbon in the last month is below `SPUN_UP_RATIO`.
    """
    if slow is None or passive is None:
        return
    last = xr.Dataset({"slow": slow.isel(time=-1), "passive": passive.isel(time=-1)}).compute()
    held = last["slow"].values > 0.0
    if not held.any():
        return
    ratio = float(np.nanmedian(last["passive"].values[held] / last["slow"].values[held]))
    if ratio < SPUN_UP_RATIO:
        raise InputError(
            f"{passive.name} is {ratio:.2g} times {slow.name} in the median cell, but at steady "
            f"state it is more than {SPUN_UP_RATIO:g} times as large: the run is in accelerated "
            "decomposition (CLM_ACCELERATED_SPINUP=on) or not spun up, and its fluxes and pools "
            "do not belong together; give history files of the run after spin-up"
        )
