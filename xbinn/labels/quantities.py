"""Results as quantities of pint, for those who go on calculating with units."""

from functools import cache
from typing import Any

import pint
import xarray as xr

from xbinn.constants import DAYS_PER_YEAR, MONTHS_PER_YEAR
from xbinn.labels.units import parse, registry
from xbinn.variables import FLAG_NAMES


@cache
def _registry() -> pint.UnitRegistry[Any]:
    import pint_xarray  # noqa: F401  registers `.pint`

    # Floating point, unlike the one that reads units: these numbers are calculated with.
    registry: pint.UnitRegistry[Any] = pint.UnitRegistry(
        force_ndarray_like=True, on_redefinition="ignore"
    )
    registry.define(f"year = {DAYS_PER_YEAR:g} * day = yr = a = y")
    registry.define(f"month = year / {MONTHS_PER_YEAR} = month")
    registry.define("@alias percent = pct")
    return registry


def _unit(name: str, text: str) -> pint.Unit:
    """Return the unit of a text as one of the registry."""
    unit = _registry().Unit("")
    for part, exponent in registry().Quantity(1, parse(text, name=name).unit).unit_items():
        unit = unit * _registry().Unit(part) ** int(str(exponent))
    return unit


def quantified(result: xr.Dataset) -> xr.Dataset:
    """Turn the variables of a result into quantities.

    Parameters
    ----------
    result : Dataset
        Of `predict` or `simulate`.

    Returns
    -------
    Dataset
        Each variable but flags as a pint quantity, lazy where it was. Coordinates stay plain. All
        are of one registry, in which a year has 365 days.
    """
    units = {
        name: _unit(str(name), str(da.attrs["units"]))
        for name, da in result.data_vars.items()
        if name not in FLAG_NAMES and "units" in da.attrs
    }
    bare = result.copy()
    for name, variable in bare.variables.items():
        # What is not named here is to stay plain, whatever its attributes say.
        if name in units:
            del variable.attrs["units"]
    kept = {n: v.attrs.pop("units") for n, v in bare.variables.items() if "units" in v.attrs}
    out: xr.Dataset = bare.pint.quantify(units, unit_registry=_registry())
    for name, text in kept.items():
        out[name].attrs["units"] = text
    return out
