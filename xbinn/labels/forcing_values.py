"""Whether the values of the forcing can be what they claim to be, and how to mend them if not."""

from collections.abc import Callable, Mapping
from typing import Final, Literal

import numpy as np
import xarray as xr

from xbinn.errors import InputError
from xbinn.labels.profiles import counted
from xbinn.variables import FORCING, INPUT_NAMES, Variable

_RANGE_TOLERANCE: Final = 1e-6
"""How far past a range, relative to the bound, float32 rounding may carry a value."""
_NAMED: Final = 5
_TABLE: Final = {v.name: v for v in FORCING}

NameCell = Callable[..., str]
"""From the position of a cell along the spatial axes to its name in a message."""


def check_forcing_values(
    arrays: Mapping[str, np.ndarray],
    *,
    bedrock: Literal["closed", "published"],
    where: str,
    name_cell: NameCell | None = None,
    extremes: Mapping[str, tuple[float, float]] | None = None,
) -> None:
    """Refuse forcing values that cannot be what they claim to be.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Standardised forcing of one block, TSOI among it: (month, depth, *space),
        (month, *space) or, for nbedrock, also (*space). Values that are not finite are passed
        over: they are ocean.
    bedrock : {"closed", "published"}
        "closed" needs nbedrock constant over the months.
    where : str
        Names the block in the message.
    name_cell : callable, optional
        Called with the position of a cell along every axis of space; names it in the message. By
        default cells are named by that position. A cell without a name is the only one.
    extremes : mapping of str to (float, float), optional
        Least and greatest value of arrays, where they are known already; NaN if any value is.

    Raises
    ------
    InputError
        If a value lies outside the range of the variable table, or nbedrock is no layer index.
    """
    space = arrays["TSOI"].ndim - len(_TABLE["TSOI"].dims)
    name_cell = name_cell or _by_position
    problems: list[str] = []
    for name, values in arrays.items():
        known = (extremes or {}).get(name)
        problem = _range_problem(_TABLE[name], values, known, space, name_cell)
        if problem is not None:
            problems.append(problem)
    if "nbedrock" in arrays:
        problems += bedrock_problems(arrays["nbedrock"], space, bedrock, name_cell)
    if len(problems) == 1:
        raise InputError(f"forcing values that cannot be used in {where}: {problems[0]}")
    if problems:
        listed = "\n".join(f"- {problem}" for problem in problems)
        raise InputError(f"forcing values that cannot be used in {where}:\n{listed}")


def _by_position(*position: int) -> str:
    return str(position) if len(position) > 1 else "".join(map(str, position))


def _range_problem(
    variable: Variable,
    values: np.ndarray,
    found: tuple[float, float] | None,
    space: int,
    name_cell: NameCell,
) -> str | None:
    if values.size == 0:
        return None
    if found is None:
        found = float(values.min()), float(values.max())
    if not np.isfinite(found).all():
        finite = values[np.isfinite(values)]
        if finite.size == 0:
            return None
        found = float(finite.min()), float(finite.max())
    least, most = _bounds(variable)
    if found[0] >= least and found[1] <= most:
        return None
    bad = np.isfinite(values) & ((values < least) | (values > most))
    return range_sentence(variable, found, bad, np.isfinite(values), space, name_cell)


def _bounds(variable: Variable) -> tuple[float, float]:
    """Range that a variable may have, with what rounding may add."""
    low, high = variable.valid_range
    least = -np.inf if low is None else low - _RANGE_TOLERANCE * max(1.0, abs(low))
    most = np.inf if high is None else high + _RANGE_TOLERANCE * max(1.0, abs(high))
    return least, most


def outside(variable: Variable, values: xr.DataArray) -> xr.DataArray:
    """Say where finite values lie outside their range; lazy where they are."""
    least, most = _bounds(variable)
    finite = values.copy(data=np.isfinite(values.data))
    return finite & ((values < least) | (values > most))


def range_sentence(
    variable: Variable,
    found: tuple[float, float],
    bad: np.ndarray,
    known: np.ndarray,
    space: int,
    name_cell: NameCell,
) -> str:
    """Tell how far values lie out of range, where, and what to do.

    Parameters
    ----------
    variable : Variable
        Which one.
    found : (float, float)
        Its least and greatest value.
    bad, known : ndarray of bool (..., *space)
        Which values are out of range, and which are there.
    space : int
        Number of spatial dimensions.
    name_cell : callable
        As of `check_forcing_values`.
    """
    low, high = variable.valid_range
    allowed = f"{'any' if low is None else f'{low:g}'} to {'any' if high is None else f'{high:g}'}"
    units = "" if variable.units == "1" else f" {variable.units}"
    return (
        f"{variable.name} from {found[0]:g} to {found[1]:g}{units} (allowed {allowed}) "
        f"{_cells(bad, known, space, name_cell)}; {_remedy(variable, *found)}"
    )


def _remedy(variable: Variable, low: float, high: float) -> str:
    name, (least, most) = variable.name, variable.valid_range
    da = f'ds["{name}"]'
    if name == "TSOI" and low > -100.0 and high < 100.0:
        return f'looks like degC: {da}.attrs["units"] = "degC"'
    if name == "TSOI" and -173.15 > low > -300.0:
        return f'looks like K labelled degC: {da}.attrs["units"] = "K"'
    if (least, most) == (0.0, 1.0) and low >= 0.0 and 2.0 < high <= 100.0:
        return f'looks like percent: {da}.attrs["units"] = "percent"'
    if name == "nbedrock" and low >= 0.0:
        return (
            f"layers are counted from 1: {da} += 1 if these are counted from 0, or where there is "
            f"no soil {da} = {da}.where({da} >= 1)"
        )
    if name in INPUT_NAMES and high <= 0.0:
        return f"carbon that enters the soil is positive: {da} *= -1"
    if name in INPUT_NAMES:
        return (
            "carbon that enters the soil is positive: remove residues below zero with "
            f"{da} = {da}.clip(min=0)"
        )
    bounds = [f"({da} {op} {b:g})" for op, b in ((">=", least), ("<=", most)) if b is not None]
    return (
        "a fill value that was not decoded, or another unit: "
        f'{da} = {da}.where({" & ".join(bounds)}), or set {da}.attrs["units"]'
    )


def bedrock_problems(
    values: np.ndarray, space: int, bedrock: str, name_cell: NameCell
) -> list[str]:
    """Say why values (month, *space) or (*space) cannot be indices of layers."""
    da = 'ds["nbedrock"]'
    known = np.isfinite(values)
    index = np.where(known, values, 1.0)
    fractional = known & (index != np.round(index))
    problems: list[str] = []
    if values.ndim > space and bedrock == "closed":
        low = np.where(known, values, np.inf).min(axis=0, initial=np.inf)
        high = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
        varying = high > low
        if varying.any():
            problems.append(
                'nbedrock varies over the months, which bedrock="closed" does not allow, '
                f"{_cells(varying, known, space, name_cell)}; take one, as in "
                f'{da} = {da}.max("month")'
            )
    if fractional.any():
        problems.append(
            f"nbedrock is not an integer {_cells(fractional, known, space, name_cell)}; it is the "
            f"index of a layer: {da} = {da}.round()"
        )
    return problems


def _cells(bad: np.ndarray, known: np.ndarray, space: int, name_cell: NameCell) -> str:
    """Name the first cells in which anything is bad, of those in which anything is known."""
    positions = np.argwhere(bad.any(axis=tuple(range(bad.ndim - space))))
    named = [name_cell(*(int(i) for i in p)) for p in positions[:_NAMED]]
    if named == [""]:
        return "in the only cell"
    more = len(positions) - len(named)
    cells = np.count_nonzero(known.any(axis=tuple(range(known.ndim - space))))
    every = "all " if len(positions) == cells > 1 else ""
    return (
        f"in {every}{counted(len(positions), 'cell')}: {', '.join(named)}"
        f"{f' and {more} more' if more else ''}"
    )
