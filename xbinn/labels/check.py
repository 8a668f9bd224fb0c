"""Checks that look at everything before they complain."""

from collections.abc import Callable
from typing import Any

import xarray as xr

from xbinn.errors import CoordinateError, InputError, UnitsError


def all_at_once(*steps: Callable[[], Any]) -> tuple[Any, ...]:
    """Run steps that do not need each other, and raise the errors of all of them together.

    Parameters
    ----------
    *steps : callable
        Without arguments.

    Returns
    -------
    tuple
        Result of each step.

    Raises
    ------
    InputError
        If any step raised one: the error itself if it is the only one, else one that lists all;
        a UnitsError where all of them are.
    """
    results: list[Any] = []
    errors: list[InputError] = []
    for step in steps:
        try:
            results.append(step())
        except InputError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        kind = UnitsError if all(isinstance(e, UnitsError) for e in errors) else InputError
        listed = "\n".join(f"- {error}" for error in errors)
        raise kind(f"{len(errors)} parts of the input cannot be used:\n{listed}")
    return tuple(results)


def check_dataset(ds: Any) -> None:
    """Refuse what is not a Dataset.

    Raises
    ------
    InputError
        If ``ds`` is anything else.
    """
    if not isinstance(ds, xr.Dataset):
        raise InputError(
            f"ds must be an xarray.Dataset of covariates and forcing, not {type(ds).__name__}"
        )


def check_axes(ds: xr.Dataset, space: tuple[str, ...]) -> None:
    """Refuse axes that name a place twice or not at all; dimensions without coordinate are fine.

    Raises
    ------
    CoordinateError
        If a coordinate along ``space`` is duplicated or NaN.
    """
    problems: list[str] = []
    for dim in space:
        index = ds.indexes.get(dim)
        if index is None:
            continue
        if index.nlevels == 1 and index.hasnans:
            problems.append(f"{dim} holds NaN")
        elif not index.is_unique:
            repeated = index[index.duplicated()].unique()[:5].tolist()
            problems.append(f"{dim} holds {repeated} more than once")
    if problems:
        raise CoordinateError(
            f"coordinates that do not tell cells apart: {'; '.join(problems)}; drop them, as in "
            f'ds.drop_duplicates("{space[0]}")'
        )
