"""Classes of samples: those of a variable at their cells, or of a coordinate of their profiles."""

import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import xarray as xr

from xbinn.errors import InputError
from xbinn.labels.covariates import covariate_arrays, select_covariates
from xbinn.labels.sites import Sites, at_cells
from xbinn.labels.space import spatial_dims
from xbinn.labels.units import dequantify
from xbinn.variables import PROFILE

_KOEPPEN: Final = re.compile(r"A[fmsw]|B[SW][hk]|[CD][fsw][abcd]|E[FT]")
_SEVERAL: Final = 12
"""Names that an error lists."""


def classes_of_samples(ds: xr.Dataset, profiles: xr.Dataset, sites: Sites, name: str) -> np.ndarray:
    """Class of every sample, (sample,) of text, empty where there is none.

    Parameters
    ----------
    ds : Dataset
        The grid in whose cells the sites lie.
    profiles : Dataset
        The profiles that the samples are of, standardised.
    sites : Sites
        Samples.
    name : str
        A coordinate of ``profiles``, else a categorical variable of ``ds``; classes with
        ``flag_meanings`` are called by these.

    Raises
    ------
    InputError
        If neither has it, or its values are no classes.
    """
    if name in profiles.coords:
        return np.asarray(_of_profiles(profiles[name])[sites.profile])
    if name not in ds.data_vars:
        known = [str(n) for n, c in profiles.coords.items() if c.dims == (PROFILE,)]
        flagged = [str(n) for n, da in ds.data_vars.items() if "flag_values" in da.attrs]
        raise InputError(
            f"{name!r} is neither a coordinate of the profiles ({_listed(known)}) nor a variable "
            f"of the Dataset (with classes: {_listed(flagged)}): name one of these"
        )
    spec = select_covariates(ds, [], [name])
    categories = dict(spec.categorical)[name]
    codes = at_cells(covariate_arrays(ds, spec), spatial_dims(ds), sites.cell)[name]
    called = _meanings(ds[name].attrs)
    names = np.array([*(called.get(c, str(c)) for c in categories), ""])
    return np.asarray(names[codes][sites.site])


def find_koeppen(ds: xr.Dataset) -> str | None:
    """Find the first variable whose classes are called as those of Koeppen and Geiger."""
    for name, da in dequantify(ds).data_vars.items():
        meanings = _meanings(da.attrs).values()
        if meanings and all(_KOEPPEN.fullmatch(m) for m in meanings):
            return str(name)
    return None


def main_climates(ds: xr.Dataset) -> xr.DataArray | None:
    """Main climate of each cell, A to E, where the Dataset has the classes of Koeppen and Geiger.

    Returns
    -------
    DataArray or None
        Letters on space, missing where a cell has no class; called ``climate``.
    """
    name = find_koeppen(ds)
    if name is None:
        return None
    classes = dequantify(ds)[name].reset_coords(drop=True)
    letters = {value: meaning[0] for value, meaning in _meanings(classes.attrs).items()}
    # Integers at most: read whole, as classes are wherever they are looked at.
    values = classes.values
    found = np.full(values.shape, None, dtype=object)
    for value, letter in letters.items():
        found[values == value] = letter
    return classes.copy(data=found).drop_attrs().rename("climate")


def _of_profiles(values: xr.DataArray) -> np.ndarray:
    """Text of each profile."""
    if values.dims != (PROFILE,):
        raise InputError(
            f"{values.name} has dimensions {values.dims}, but is to be one class a profile, on "
            f"({PROFILE}): choose another coordinate"
        )
    if (
        values.dtype.kind in "fc"
        and not (values == values.round()).where(values.notnull(), True).all()
    ):
        raise InputError(
            f"{values.name} holds measurements, not classes: number the classes, as in "
            f'profiles.assign_coords(zone=profiles["{values.name}"].round())'
        )
    return np.array(["" if _missing(v) else _text(v) for v in values.values.tolist()])


def _missing(value: Any) -> bool:
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) else str(value)


def _meanings(attrs: Mapping[Any, Any]) -> dict[int, str]:
    """Meaning of each class; none where flags are not described one by one."""
    values = attrs.get("flag_values")
    if isinstance(values, str):
        values = [float(v) for v in values.replace(",", " ").split()]
    meanings = str(attrs.get("flag_meanings", "")).split()
    if values is None or np.size(values) != len(meanings):
        return {}
    return {int(v): m for v, m in zip(np.ravel(values), meanings, strict=True)}


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SEVERAL]) or "none"
