"""Checks that look at everything before they complain."""

from collections.abc import Callable
from typing import Any

import xarray as xr

from xbinn.errors import InputError, UnitsError


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
