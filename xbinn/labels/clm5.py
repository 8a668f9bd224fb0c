"""History files of CLM5 and CTSM to the forcing of the soil carbon model. Lazy.

Field names, levels and what is written by default are those of CTSM's ``hist_addfld1d``,
``hist_addfld2d`` and ``hist_addfld_decomp`` calls: ActiveLayerMod.F90 (ALTMAX_LASTYEAR off by
default), SoilBiogeochemStateType.F90 (FPI_vr on levdcmp, off by default),
SoilBiogeochemCarbonFluxType.F90 (W_SCALAR and O_SCALAR on levdcmp or levsoi), histFileMod.F90
(nbedrock, ``time`` at the end of the interval, ``time_bounds``).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import xarray as xr

from xbinn.constants import MONTHS_PER_YEAR
from xbinn.errors import InputError
from xbinn.labels.clm5_files import BEDROCK, Paths, open_history, with_one_bedrock
from xbinn.labels.clm5_litter import (
    CWD_RESPIRATION,
    FLUX_UNITS,
    N_NAMINGS,
    STOCK_UNITS,
    Budget,
    budgets,
    find_naming,
    litter_inputs,
    stock_name,
    whole_years,
)
from xbinn.labels.clm5_months import Months, check_spun_up, find_months
from xbinn.labels.encoding import convert_units
from xbinn.labels.forcing import standardise_forcing
from xbinn.variables import FORCING, INPUT_NAMES, MONTH

Assumption: TypeAlias = Literal["FPI_vr", "O_SCALAR", "ALTMAX_LASTYEAR", "fire"]
Files: TypeAlias = Paths | xr.Dataset

ASSUMPTIONS: Final[Mapping[str, str]] = {
    "FPI_vr": "1: decomposition is never short of nitrogen",
    "O_SCALAR": "1: decomposition is never short of oxygen",
    "ALTMAX_LASTYEAR": "the annual maximum of ALTMAX",
    "fire": "0: no litter and no woody debris burns",
}
"""What stands in for a field that the files lack, where it is asked for."""

_MONTHLY: Final = tuple(v.name for v in FORCING if MONTH in v.dims and v.name not in INPUT_NAMES)
_COORDINATES: Final = ("lat", "lon", "levgrnd", "levdcmp", "levsoi")
_SOIL: Final = ("S2", "S3")


def from_clm5(
    files: Files, *, years: tuple[int, int] | None = None, assume: Sequence[Assumption] = ()
) -> xr.Dataset:
    """Make the 12-month forcing of monthly history files of CLM5 or CTSM.

    Months are those in the middle of the interval that the bounds of ``time`` give: CTSM stamps a
    month with its end. Each month is the mean over all years. Litter inputs, which CTSM does not
    write, follow from the budgets of the litter pools over the period.

    Parameters
    ----------
    files : str, PathLike, sequence of them, or Dataset
        Monthly means, one file a month or one file a field, as in `xarray.open_mfdataset`; or
        what that returned. Whole years, two or more, of a run at normal speed. ``nbedrock`` need
        not be in all of them.
    years : (int, int), optional
        First and last year to take, by the middle of each month. Default: all.
    assume : sequence of {"FPI_vr", "O_SCALAR", "ALTMAX_LASTYEAR", "fire"}
        Fields that may be missing: FPI_vr and O_SCALAR are then 1, ALTMAX_LASTYEAR is the annual
        maximum of ALTMAX, and fire losses of litter are 0. Where the files have them, they are
        taken from there.

    Returns
    -------
    Dataset
        The forcing (month, depth, *space) of `xbinn.variables.FORCING`, in its units, with
        ``forcing_source``. On dask: only times, bedrock, and the last month of the slow and the
        passive pool are read.

    Raises
    ------
    InputError
        If fields are missing (all are named, with the line of ``user_nl_clm`` that writes them),
        times are not whole years of months, fields are not means, files disagree on bedrock, or
        the run is not spun up.
    ModuleNotFoundError
        If cftime, which reads calendars without leap days, is not installed.

    Notes
    -----
    The input to a pool is its change plus its losses minus what it gets from other pools, for
    example for CWD dCWDC/dt + CWDC_TO_LITR2C + CWDC_TO_LITR3C + CWD_HR_L2 + CWD_HR_L3 +
    M_CWDC_TO_FIRE. Change and losses are taken over the same period, from the middle of each
    month of the first year to the middle of that month of the last year.

    A run in accelerated decomposition is refused where it can be told: its passive pool is not
    larger than its slow one by far, because both turn over within a year.

    References
    ----------
    Lawrence et al. 2018 (CLM5 technical note), sections 2.21 and 2.22. Thornton and Rosenbloom
    2005 (accelerated spin-up), doi:10.1016/j.ecolmodel.2005.04.008.
    """
    _check_assumptions(assume)
    ds = with_one_bedrock(files) if isinstance(files, xr.Dataset) else open_history(files, _WANTED)
    found = _find_budgets(ds.data_vars)
    _check_present(ds, found, assume)
    months = find_months(ds, years)
    ds = ds.isel(time=months.order)
    _check_means(ds, [*_MONTHLY, *_litter_fields(ds.data_vars, found)])
    check_spun_up(_stock(ds, "S2"), _stock(ds, "S3"))
    forcing = {n: _climatology(ds[n], months) for n in _MONTHLY if n in ds.data_vars}
    forcing |= _assumed(forcing, assume)
    forcing[BEDROCK] = _constant(ds[BEDROCK])
    forcing |= _litter(ds, found, months)
    coords = {n: _constant(ds[n]) for n in _COORDINATES if n in ds.variables and ds[n].dims}
    # Levels differ from field to field; each carries its own until all are cut to the model's.
    out = standardise_forcing(xr.Dataset(forcing, coords=coords).assign_coords(_month_numbers()))
    return _described(out, ds, found, months)


def _fields_of_interest() -> frozenset[str]:
    """Names of all that may enter the forcing."""
    wanted = {*_MONTHLY, BEDROCK, *_COORDINATES}
    for naming in range(N_NAMINGS):
        wanted |= {stock_name(pool, naming) for pool in _SOIL}
        for budget in budgets(naming, tuple(f for fs in CWD_RESPIRATION for f in fs)).values():
            wanted |= {*budget.fields, budget.fire}
    return frozenset(wanted)


_WANTED: Final = _fields_of_interest()


def _find_budgets(names: Collection[Any]) -> dict[str, Budget]:
    present = {str(n) for n in names}
    respiration = next((f for f in CWD_RESPIRATION if set(f) <= present), ())
    return budgets(find_naming(present), respiration)


def _litter_fields(names: Collection[Any], found: Mapping[str, Budget]) -> list[str]:
    """Fields of the budgets, fire where it is there, each once."""
    fields = (f for b in found.values() for f in (*b.fields, b.fire) if f in names)
    return list(dict.fromkeys(fields))


def _check_assumptions(assume: Sequence[str]) -> None:
    unknown = (
        [a for a in assume if a not in ASSUMPTIONS] if not isinstance(assume, str) else [assume]
    )
    if unknown:
        raise InputError(
            f"assume={assume!r}: give a sequence of {', '.join(map(repr, ASSUMPTIONS))}"
        )


def _check_present(ds: xr.Dataset, found: Mapping[str, Budget], assume: Sequence[str]) -> None:
    """Name all fields that are missing, how CTSM writes them and what may stand in for them."""
    needed = [n for n in _MONTHLY if n not in assume]
    needed += [f for b in found.values() for f in b.fields]
    if "fire" not in assume:
        needed += [b.fire for b in found.values()]
    missing = list(dict.fromkeys(n for n in needed if n not in ds.data_vars))
    problems = []
    if missing:
        line = ", ".join(f"'{n}'" for n in missing)
        problems.append(
            f"history files lack {', '.join(missing)}: run again with this line in user_nl_clm: "
            f"hist_fincl1 = {line}"
        )
        fires = {b.fire for b in found.values()}
        stand_ins = dict.fromkeys("fire" if n in fires else n for n in missing)
        offered = [f"{n!r} for {ASSUMPTIONS[n]}" for n in stand_ins if n in ASSUMPTIONS]
        if offered:
            problems.append(f"or pass assume=(...) with {', '.join(offered)}")
    if BEDROCK not in ds.variables:
        problems.append(
            f"{BEDROCK} is missing; it is one of the constants that CTSM writes into the files of "
            "its first tape (h0): give these too, or add it to the Dataset"
        )
    if problems:
        raise InputError("; ".join(problems))


def _check_means(ds: xr.Dataset, names: Sequence[str]) -> None:
    methods = {n: str(ds[n].attrs.get("cell_methods", "time: mean")) for n in names if n in ds}
    other = {n: m for n, m in methods.items() if "time: mean" not in m}
    if other:
        listed = ", ".join(f"{n} ({m})" for n, m in other.items())
        raise InputError(
            f"fields that are not means over the month: {listed}; write them without a flag "
            "behind their name in hist_fincl1"
        )


def _stock(ds: xr.Dataset, pool: str) -> xr.DataArray | None:
    names = [stock_name(pool, naming) for naming in range(N_NAMINGS)]
    return next((ds[n] for n in names if n in ds.data_vars), None)


def _climatology(da: xr.DataArray, months: Months) -> xr.DataArray:
    """Mean of each calendar month over the years: (time, ...) -> (month, ...)."""
    plain = da.drop_vars([c for c in da.coords if "time" in da[c].dims])
    # In one chunk, so that the order of the sum does not depend on the files.
    plain = plain if plain.chunks is None else plain.chunk(time=-1)
    by_year = plain.coarsen(time=MONTHS_PER_YEAR)
    mean = by_year.construct(time=("year", MONTH)).mean("year", keep_attrs=True)
    return mean.isel({MONTH: months.from_january})


def _constant(da: xr.DataArray) -> xr.DataArray:
    """Without time, along which `xarray.open_mfdataset` repeats constants unless told not to."""
    return da.max("time", keep_attrs=True) if "time" in da.dims else da


def _month_numbers() -> dict[str, Any]:
    return {MONTH: np.arange(1, MONTHS_PER_YEAR + 1)}


def _assumed(forcing: Mapping[str, xr.DataArray], assume: Sequence[str]) -> dict[str, xr.DataArray]:
    """Stand-ins for the fields that are missing, see `ASSUMPTIONS`."""
    absent = [n for n in assume if n in _MONTHLY and n not in forcing]
    made = {}
    for name in absent:
        if name == "ALTMAX_LASTYEAR":
            thaw = forcing["ALTMAX"]
            made[name] = thaw.max(MONTH, skipna=False, keep_attrs=True) + 0.0 * thaw
            made[name].attrs["units"] = thaw.attrs.get("units", "m")
        else:
            # Missing where the other scalar is.
            made[name] = (0.0 * forcing["W_SCALAR"] + 1.0).assign_attrs(units="1")
    return made


def _litter(ds: xr.Dataset, found: Mapping[str, Budget], months: Months) -> dict[str, xr.DataArray]:
    names = _litter_fields(ds.data_vars, found)
    stocks = {b.stock for b in found.values()}
    units = {n: STOCK_UNITS if n in stocks else FLUX_UNITS for n in names}
    fields = convert_units({n: ds[n] for n in names}, units)
    plain = {
        n: da.drop_vars([c for c in da.coords if "time" in da[c].dims]) for n, da in fields.items()
    }
    return litter_inputs(plain, found, whole_years(months.days))


def _described(
    out: xr.Dataset, ds: xr.Dataset, found: Mapping[str, Budget], months: Months
) -> xr.Dataset:
    """Say of each variable where it comes from."""
    first, last = months.years
    span = f"years {first} to {last}"
    for name in _MONTHLY:
        given = name in ds.data_vars
        out[name].attrs["forcing_source"] = (
            f"CLM5 history field, mean of {span}" if given else f"assumed: {ASSUMPTIONS[name]}"
        )
    out[BEDROCK].attrs["forcing_source"] = "CLM5 time constant: the last soil layer"
    for name, budget in found.items():
        text = str(budget)
        if budget.fire not in ds.data_vars:
            text = text.replace(f" + {budget.fire}", "")
        out[name].attrs["forcing_source"] = f"CLM5 pool budget, {span}: {text}"
        if budget.fire not in ds.data_vars:
            out[name].attrs["forcing_source"] += f"; fire assumed {ASSUMPTIONS['fire']}"
    out.attrs = {"title": f"CLM5 forcing, means of {span}"}
    for attribute in ("case_id", "case_title", "source", "version"):
        if attribute in ds.attrs:
            out.attrs[f"clm5_{attribute}"] = str(ds.attrs[attribute])
    return out
