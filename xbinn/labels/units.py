"""One unit registry and one normaliser: every unit that enters xbinn is understood here.

The registry is pint's with CLM's calendar (365 days a year, 12 equal months) and exact rational
arithmetic, so that a unit and its synonym differ by a factor of exactly 1. Neither pint's nor
cf-xarray's registry reads what soil data sets write (``gC m-2``, ``0.1 g kg-1``, ``pH``,
``cmol(c)/kg``), and importing cf-xarray's would replace the application registry of the caller.

Units stop at the door: inside xbinn there are plain magnitudes in the units of the tables.
"""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any, Final, TypeVar

import pint
import xarray as xr

from xbinn.constants import DAYS_PER_YEAR, MONTHS_PER_YEAR
from xbinn.errors import UnitsError

XarrayObject = TypeVar("XarrayObject", xr.Dataset, xr.DataArray)


_building: Final = threading.Lock()


def registry() -> pint.UnitRegistry[Any]:
    """Return the registry, built when it is first asked for: units that are as wanted need none."""
    with _building:  # quantities of two registries would not go together
        return _built()


@cache
def _built() -> pint.UnitRegistry[Any]:
    built: pint.UnitRegistry[Any] = pint.UnitRegistry(
        non_int_type=Fraction, on_redefinition="ignore"
    )
    built.define(f"year = {DAYS_PER_YEAR:g} * day = yr = a = y = yrs = annum = julian_year")
    built.define(f"month = year / {MONTHS_PER_YEAR} = month = mo = mon")
    built.define("@alias degree_Celsius = Celsius = deg_C")
    built.define("@alias kelvin = Kelvin = degK = deg_K")
    built.define("@alias percent = pct")
    return built


DIMENSIONLESS: Final = frozenset(
    ("", "1", "-", "dimensionless", "unitless", "none", "fraction", "proportion", "ratio", "ph")
)
"""Texts, in lower case, that stand for the unit 1."""

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "K": ("K", "degC"),
    "m": ("m", "cm"),
    "1": ("1", "percent"),
    "percent": ("percent", "1"),
    "g kg-1": ("g kg-1", "percent", "g/100g"),
    "kg m-3": ("kg m-3", "g cm-3", "gC m-3"),
    "gC m-2 month-1": ("gC m-2 month-1", "gC m-2 yr-1", "kg m-2 s-1"),
    "gC m-3 month-1": ("gC m-3 month-1", "gC m-3 yr-1", "kg m-3 s-1"),
}
"""What an error suggests for a wanted unit; the wanted unit itself where it is not listed."""
IN_ATTRIBUTES: Final = 'ds["{name}"].attrs["units"] = "{unit}"'
"""How to state the unit of a variable, as an error says it."""

_HOLDER: Final = "__xbinn_dequantify__"
_STALE_ENCODING: Final = ("scale_factor", "add_offset", "_FillValue", "missing_value", "dtype")

_MASS = r"(?<![A-Za-z])((?:[kMGTPcdmunµμ]?g)|t|tonnes?)"
_REWRITES: Final = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # Said of mass or of volume: wt%, vol. %, % (w/w).
        (
            r"\b(?:wt|vol|mass|weight|volume|w/w|v/v)\.?[\s-]*%|%\s*\((?:w/w|v/v|mass|volume)\)",
            "percent",
        ),
        (r"%|\bper cent\b", "percent"),
        (r"^(?:‰|per ?mill?e?)$", "0.001"),
        (r"℃|[°º]\s*C\b|\bdeg(?:ree)?s?[ _]?(?:C|[Cc]elsius)\b|\b[Cc]elsius\b", "degC"),
        (r"[°º]\s*F\b|\bdeg(?:ree)?s?[ _]?(?:F|[Ff]ahrenheit)\b", "degF"),
        (r"\bdeg(?:ree)?s?[ _](?:K|[Kk]elvin)\b", "K"),
        # Tags that say which element is weighed: gC, kg N, g[C], g_C. A letter or digit behind
        # (gCO2, gN2O) is another substance; an exponent behind a loose C (g C-1) a temperature.
        (_MASS + r"[CN](?![A-Za-z_\d])", r"\1"),
        (_MASS + r"\s?(?:\[[CN]\]|\([CN]\))", r"\1"),
        (_MASS + r"[ _][CN](?=$|[\s/*.·)])", r"\1"),
        # Parts of a hundred: g/100g, cm3/100cm3, g per 100 g.
        (r"^([A-Za-z]+\d?)\s*(?:/|\bper\b)\s*100\s*\1$", "percent"),
        # SoilGrids stores ten times the pH.
        (r"^p[Hh]\s*[*x×]\s*10$", "0.1"),
        # Moles of charge.
        (r"mol(?:\(\s*[c+]\s*\)|_c|c|\+)(?![A-Za-z])", "mol"),
        # x/(a b) is x/a/b
        (r"/\s*\(\s*([^()/]+?)\s*\)", lambda m: "/" + "/".join(re.split(r"[\s*·]+", m[1]))),
    )
)
_UNICODE: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−⁺", "0123456789--+")
_NUMBER: Final = re.compile(
    r"(?:10\s*(?:\^|\*\*)\s*(?P<power>[+-]?\d+)"
    r"|(?P<plain>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+))(?![\d^+-])"
)
_FACTOR: Final = re.compile(
    r"\s*(?P<operator>/|\*|·|\.|\bper\b)?\s*(?P<name>[A-Za-zµμ_]+)"
    r"(?:\s*(?:\^|\*\*)\s*(?:(?P<power>[+-]?\d+)|\((?P<braced>[+-]?\d+)\))|(?P<plain>[+-]?\d+))?"
    r"(?!\d)\s*"
)


@dataclass(frozen=True)
class Unit:
    """A unit as xbinn understands it: ``scale`` times ``unit`` of `registry`.

    ``0.1 g kg-1`` has scale 1/10 and unit gram / kilogram.
    """

    scale: Fraction
    unit: pint.Unit

    @property
    def has_offset(self) -> bool:
        """Whether zero of this unit is not zero of its kind (degC, degF)."""
        return self.unit in _differences()

    @property
    def is_one(self) -> bool:
        """Whether this is the unit 1."""
        return self.scale == 1 and self.unit == registry().dimensionless

    def __str__(self) -> str:
        """UDUNITS-like text, for example ``0.1 g kg-1``."""
        text = _text(dict(registry().Quantity(1, self.unit).unit_items()))
        if self.scale == 1:
            return text
        return f"{float(self.scale):g}" if text == "1" else f"{float(self.scale):g} {text}"


@cache
def _differences() -> Mapping[pint.Unit, pint.Unit]:
    """What a difference of temperatures is measured in, by the unit of the temperatures."""
    parse_units = registry().parse_units
    return {parse_units(name): parse_units(f"delta_{name}") for name in ("degC", "degF")}


_AMBIGUOUS: Final = {"C": "carbon, degree Celsius or coulomb", "pH": "acidity or picohenry"}


class _Unreadable(Exception):
    """Why a text is no unit, without the variable that carries it."""


def _text(items: Mapping[str, Any]) -> str:
    """Names and exponents as UDUNITS-like text, with the symbols of `registry` where it can."""
    factors = []
    for name, exponent in items.items():
        try:
            symbol = registry().get_symbol(name)
        except pint.UndefinedUnitError:
            symbol = name
        if not symbol.isascii() or symbol == "%":
            symbol = name.replace("degree_Celsius", "degC").replace("degree_Fahrenheit", "degF")
        factors.append(symbol if exponent == 1 else f"{symbol}{exponent}")
    return " ".join(factors) or "1"


def _normalised(text: str) -> str:
    text = text.strip().translate(_UNICODE)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return text


def _number(match: re.Match[str]) -> Fraction:
    return Fraction(10) ** int(match["power"]) if match["power"] else Fraction(match["plain"])


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Unit:
    """Read a unit: an optional number in front, then factors with integer exponents."""
    rest = _normalised(text)
    scale = Fraction(1)
    if number := _NUMBER.match(rest):
        scale, rest = _number(number), rest[number.end() :].strip()
    if scale == 0:
        raise _Unreadable("a unit cannot be 0")
    if rest.lower() in DIMENSIONLESS:
        return Unit(scale, registry().dimensionless)
    factors: list[tuple[str, int]] = []
    position, divided = 0, False
    while position < len(rest):
        factor = _FACTOR.match(rest, position)
        if factor is None:
            raise _Unreadable(f"{rest[position:]!r} is no name with an integer exponent")
        exponent = int(factor["power"] or factor["braced"] or factor["plain"] or 1)
        if factor["operator"] in ("/", "per"):
            exponent, divided = -exponent, True
        elif divided and exponent > 0:
            raise _Unreadable(
                f"{factor['name']!r} behind a '/' may multiply or divide: write exponents"
            )
        factors.append((factor["name"], exponent))
        position = factor.end()
    return Unit(scale, _product(factors))


def _product(factors: list[tuple[str, int]]) -> pint.Unit:
    if factors == [("C", 1)]:
        return registry().parse_units("degC")
    product = registry().dimensionless
    for name, exponent in factors:
        if name in _AMBIGUOUS:
            raise _Unreadable(f"{name!r} may be {_AMBIGUOUS[name]} here")
        try:
            unit = registry().parse_units(name)
        except (pint.UndefinedUnitError, pint.DefinitionSyntaxError) as error:
            raise _Unreadable(f"{name!r} is not a known unit") from error
        if len(factors) > 1 or exponent != 1:
            unit = _differences().get(unit, unit)
        product = product * unit**exponent
    return product


def _advice(name: str, wanted: str | None, fix: str) -> str:
    examples = EXAMPLES.get(wanted, (wanted,)) if wanted else ("K", "kg m-3", "gC m-2 yr-1", "1")
    listed = ", ".join(repr(e) for e in examples)
    stated = fix.format(name=name, unit=wanted or examples[0])
    return f"accepted are for example {listed}; state what the values are in with {stated}"


def parse(units: str, *, name: str, wanted: str | None = None, fix: str = IN_ATTRIBUTES) -> Unit:
    """Understand the text of a unit.

    Parameters
    ----------
    units
        Text such as ``kg m-3``, ``gC/m^2/yr``, ``0.1 g kg-1``, ``percent``. A year has 365 days
        and a month is its twelfth. Tags of carbon and nitrogen (gC, kg N) are dropped.
    name
        Variable that carries the unit, for the message.
    wanted
        Unit that the variable should be convertible to, for the message.
    fix
        How to state ``{unit}`` of ``{name}``, for the message.

    Returns
    -------
    Unit

    Raises
    ------
    UnitsError
        If the text cannot be understood.
    """
    try:
        return _parsed(str(units))
    except _Unreadable as error:
        raise UnitsError(
            f"{name}: cannot understand the unit {str(units)!r}: {error}; "
            f"{_advice(name, wanted, fix)}"
        ) from error


def conversion(
    name: str, given: str | None, wanted: str, *, fix: str = IN_ATTRIBUTES
) -> tuple[float, float]:
    """Find factor and offset with ``wanted = given * factor + offset``.

    Parameters
    ----------
    name
        Variable that is converted, for the message.
    given
        Its unit; None where it has none, which passes only where ``wanted`` is the unit 1.
    wanted
        The unit to convert to.
    fix
        How to state ``{unit}`` of ``{name}``, for the message.

    Returns
    -------
    factor, offset : float
        Exactly 1 and 0 for synonyms.

    Raises
    ------
    UnitsError
        If ``given`` is missing, cannot be understood or measures something else.
    """
    if given is not None and given.strip() == wanted.strip():
        return 1.0, 0.0
    target = parse(wanted, name=name)
    if given is None:
        if target.is_one:
            return 1.0, 0.0
        raise UnitsError(
            f"{name} has no units and is needed in {wanted!r}: {_advice(name, wanted, fix)}"
        )
    source = parse(given, name=name, wanted=wanted, fix=fix)
    if source.unit.dimensionality != target.unit.dimensionality:
        raise UnitsError(
            f"{name} is given in {given!r}, which does not convert to {wanted!r}: "
            f"{_advice(name, wanted, fix)}"
        )
    offset = Fraction(0)
    if source.has_offset or target.has_offset:
        offset = registry().Quantity(Fraction(0), source.unit).to(target.unit).magnitude
        if offset and (source.scale != 1 or target.scale != 1):
            raise UnitsError(
                f"{name} is given in {given!r} and needed in {wanted!r}: a scaled temperature may "
                f"be a temperature or a difference; rescale it to 'degC', 'K' or 'delta_degC' first"
            )
    step = registry().Quantity(Fraction(1), _differences().get(source.unit, source.unit))
    factor = step.to(_differences().get(target.unit, target.unit)).magnitude
    return float(factor * source.scale / target.scale), float(offset)


def to_units(da: xr.DataArray, wanted: str, *, name: str) -> xr.DataArray:
    """Convert a variable to a unit: plain magnitudes, the unit in ``attrs["units"]``.

    Parameters
    ----------
    da
        Any shape, plain with ``attrs["units"]`` or quantified by pint. Stays lazy where it is on
        dask, and keeps its floating dtype.
    wanted
        The unit to convert to.
    name
        Name for messages.

    Returns
    -------
    xr.DataArray
        In ``wanted``, without the packing of the file that it came from.

    Raises
    ------
    UnitsError
        See `conversion`; also where the values are no numbers (decoded time intervals).
    """
    da = dequantify(da)
    given = da.attrs.get("units")
    factor, offset = conversion(name, None if given is None else str(given), wanted)
    if da.dtype.kind not in "fiub":
        raise UnitsError(
            f"{name} holds {da.dtype}, not numbers in {wanted!r}: open the file with "
            f"decode_timedelta=False, or convert it with .astype(float)"
        )
    out = da.copy(deep=False)
    if factor != 1.0:
        out = out.copy(data=out.data * factor)
    if offset != 0.0:
        out = out.copy(data=out.data + offset)
    out.attrs = {**da.attrs, "units": wanted}
    out.encoding = {k: v for k, v in da.encoding.items() if k not in _STALE_ENCODING}
    return out


def dequantify(obj: XarrayObject) -> XarrayObject:
    """Turn quantities into plain magnitudes with ``attrs["units"]``; the rest stays as it is.

    Parameters
    ----------
    obj
        Dataset or DataArray, quantified by pint in any registry, in part, or not at all.

    Returns
    -------
    xr.Dataset or xr.DataArray
        The same object where nothing in it is quantified. Index coordinates get plain indexes.
    """
    if isinstance(obj, xr.DataArray):
        return dequantify(obj.to_dataset(name=_HOLDER))[_HOLDER].rename(obj.name)
    # `_data`, because `data` would read a variable that is still on disk.
    quantified = {k: v for k, v in obj.variables.items() if isinstance(v._data, pint.Quantity)}
    if not quantified:
        return obj
    plain = {
        name: xr.Variable(
            variable.dims,
            variable.data.magnitude,
            {**variable.attrs, "units": _text(dict(variable.data.unit_items()))},
            variable.encoding,
        )
        for name, variable in quantified.items()
    }
    indexed = [name for name in quantified if name in obj.xindexes]
    data = {name: v for name, v in plain.items() if name in obj.data_vars}
    coords = {name: v for name, v in plain.items() if name not in obj.data_vars}
    return obj.drop_indexes(indexed).assign(data).assign_coords(coords)
