"""Exponentials of lanes in plain arithmetic, which a compiler can keep in vectors.

With x = k ln 2 + r, k an integer and r at most ln(2)/2, e^x is 2^k times the series of e^r.
"""

import math
from fractions import Fraction
from typing import Any, Final, NamedTuple

import numpy as np
from numba.core import types
from numba.extending import overload

from xbinn.physics.kernels.compiling import inlined
from xbinn.physics.kernels.lanes import Lanes, LanesType, power_of_two, where

_LN2: Final = Fraction("0.6931471805599453094172321214581765680755")


class _Precision(NamedTuple):
    """What the reduction and the series need of a precision.

    ``terms`` of the series from r^2 / 2 on leave less than a tenth of its last digit;
    ``ln2_bits`` of ln 2, times any exponent, are exact (Cody and Waite 1980); a number becomes an
    integer by adding ``shifter``; exp is zero below ``lowest`` and infinite above ``highest``.
    """

    terms: int
    ln2_bits: int
    shifter: float
    lowest: float
    highest: float


_PRECISIONS: Final = {
    types.float32: _Precision(6, 9, 1.5 * 2.0**23, -104.0, 89.0),
    types.float64: _Precision(12, 32, 1.5 * 2.0**52, -746.0, 710.0),
}


def exp(x: Lanes) -> Lanes:
    """Return e^x, to a unit or two in the last place."""
    return np.exp(x)


def expm1(x: Lanes) -> Lanes:
    """Return e^x - 1, to a few units in the last place, also where x is small."""
    return np.expm1(x)


def _reduction(precision: _Precision) -> tuple[Any, Any]:
    """Functions of lanes: x to the exponent k and the rest r, and r to e^r - 1."""
    shifter = precision.shifter
    per_ln2 = float(1 / _LN2)
    high = Fraction(round(_LN2 * 2**precision.ln2_bits), 2**precision.ln2_bits)
    ln2_high, ln2_low = float(high), float(_LN2 - high)
    last, *others = [1.0 / math.factorial(2 + i) for i in reversed(range(precision.terms))]
    coefficients = tuple(others)

    @inlined
    def reduce(x: Lanes) -> tuple[Lanes, Lanes]:
        k = (x * per_ln2 + shifter) - shifter
        return k, x - k * ln2_high - k * ln2_low

    @inlined
    def series(r: Lanes) -> Lanes:
        total = r * last + coefficients[0]
        for coefficient in coefficients[1:]:
            total = r * total + coefficient
        return r + r * r * total

    return reduce, series


@overload(exp)
def _exp(x: Any) -> Any:
    if not isinstance(x, LanesType):
        return None
    precision = _PRECISIONS[x.element]
    reduce, series = _reduction(precision)
    lowest, highest, shifter = precision.lowest, precision.highest, precision.shifter

    def compiled(x: Lanes) -> Lanes:
        x = where(x < lowest, lowest, x)
        x = where(x >= highest, highest, x)
        k, r = reduce(x)
        # In two steps, as 2^k alone may be beyond the numbers on either side.
        half = (k * 0.5 + shifter) - shifter
        return (1.0 + series(r)) * power_of_two(half) * power_of_two(k - half)

    return compiled


@overload(expm1)
def _expm1(x: Any) -> Any:
    if not isinstance(x, LanesType):
        return None
    precision = _PRECISIONS[x.element]
    reduce, series = _reduction(precision)
    lowest, highest = precision.lowest / 2.0, precision.highest

    def compiled(x: Lanes) -> Lanes:
        # Far below zero 2^k counts for nothing.
        x = where(x < lowest, lowest, x)
        x = where(x >= highest, highest, x)
        k, r = reduce(x)
        # Of half the result, as 2^k itself may overflow where the result does not.
        scale = power_of_two(k - 1.0)
        return (scale * series(r) + (scale - 0.5)) * 2.0

    return compiled
