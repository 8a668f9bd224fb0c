"""Which variables of a Dataset are covariates, and those as plain numbers and class codes."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from xbinn.errors import InputError, UnitsError
from xbinn.labels.encoding import as_float, convert_units, lay_out, without_fill_values
from xbinn.labels.space import spatial_dims
from xbinn.labels.units import dequantify, parse
from xbinn.parameters import PARAMETER_ALIASES, PARAMETER_NAMES
from xbinn.variables import DEPTH, DEPTH_ALIASES, FORCING, MONTH, MONTH_ALIASES, VARIABLES

_LAYERED: Final = (MONTH, *MONTH_ALIASES, DEPTH, *DEPTH_ALIASES)
_OWN_NAMES: Final = frozenset(
    (
        *PARAMETER_NAMES,
        *PARAMETER_ALIASES,
        *(v.name for v in VARIABLES),
        *(alias for v in FORCING for alias in v.aliases),
    )
)
_AREA_UNITS: Final = frozenset(
    f"{prefix}m{power}" for prefix in ("", "k", "c") for power in ("2", "^2", "**2", "²")
) | {"ha", "hectare", "hectares", "steradian", "sr"}
_LAND_FRACTION_NAMES: Final = ("land_fraction", "landfrac", "sftlf", "land_area_fraction")
_POSITION_NAMES: Final = ("lat", "latitude", "lon", "longitude", "nav_lat", "nav_lon", "xc", "yc")
_POSITION_STANDARD_NAMES: Final = (
    "latitude",
    "longitude",
    "projection_x_coordinate",
    "projection_y_coordinate",
    "grid_latitude",
    "grid_longitude",
)
_DIMENSIONLESS: Final = (None, "", "1", "dimensionless", "unitless")
_MANY_CATEGORIES: Final = 256

_log = logging.getLogger("xbinn")


@dataclass(frozen=True)
class CovariateSpec:
    """The covariates that a network takes, in its order.

    Attributes
    ----------
    numeric : tuple of (name, units)
    categorical : tuple of (name, categories)
        Categories are sorted; category ``i`` has code ``i`` and "missing" has code
        ``len(categories)``.
    """

    numeric: tuple[tuple[str, str], ...]
    categorical: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All covariates, numeric before categorical."""
        return tuple(n for n, _ in self.numeric) + tuple(n for n, _ in self.categorical)

    @property
    def n_categories(self) -> tuple[int, ...]:
        """Categories of each categorical covariate, "missing" not counted."""
        return tuple(len(c) for _, c in self.categorical)


def select_covariates(
    ds: xr.Dataset,
    covariates: Sequence[str] | None = None,
    categorical: Sequence[str] | None = None,
) -> CovariateSpec:
    """Choose covariates and record their units and categories.

    By default every numeric variable on space alone, minus forcing and other variables of xbinn's
    own tables, positions, areas, masks and the land fraction. A covariate is categorical if it is
    integer, has ``flag_values``, or is named in ``categorical``.

    Parameters
    ----------
    ds : Dataset
        Plain or quantified. Only a chunked categorical covariate without ``flag_values`` is
        computed, block by block, to learn its categories.
    covariates : sequence of str, optional
        Take exactly these (and those in ``categorical``).
    categorical : sequence of str, optional
        Take these as categorical covariates, whatever their type.

    Raises
    ------
    InputError
        If named variables are missing or cannot be covariates, categories are not integers, or
        no covariate is left.
    UnitsError
        If the unit of a numeric covariate cannot be understood.
    """
    ds = dequantify(ds)
    named = _as_names(categorical)
    chosen = _default_names(ds) if covariates is None else _as_names(covariates)
    chosen = list(dict.fromkeys((*chosen, *named)))
    _require(ds, chosen)
    if not chosen:
        raise InputError(
            "the Dataset has no covariate: numeric variables on space alone are needed, besides "
            f"forcing, areas, masks and land fraction (it has {', '.join(map(str, ds.data_vars))});"
            " add some with ds.merge(...) or name them with covariates=[...]"
        )
    plain = ds[chosen]
    classes = [n for n in chosen if n in named or _is_categorical(plain[n])]
    numeric = tuple((n, _units(plain[n])) for n in chosen if n not in classes)
    _check_units(numeric)
    categories, problems = {}, []
    for name in classes:
        try:
            categories[name] = _categories(plain[name])
        except (ValueError, TypeError):
            problems.append(name)
    if problems:
        raise InputError(
            f"categories that are not integers: {', '.join(problems)}; number the classes, as in "
            f'ds["{problems[0]}"].attrs["flag_values"] = [1, 2, 3]'
        )
    return CovariateSpec(numeric, tuple(categories.items()))


def covariate_arrays(ds: xr.Dataset, spec: CovariateSpec) -> xr.Dataset:
    """Covariates as numbers in the units of ``spec`` and as class codes.

    Parameters
    ----------
    ds : Dataset
        Holds the covariates of ``spec`` in any order, among any other variables; plain or
        quantified.
    spec : CovariateSpec
        Covariates of the network.

    Returns
    -------
    Dataset
        In the order of ``spec``, each (*space). Numeric: floating point, NaN where missing or not
        finite. Categorical: int64 codes, the last one for missing or unseen. Lazy where ``ds`` is.

    Raises
    ------
    InputError
        If covariates are missing, not numbers, or vary with month or depth.
    UnitsError
        If a unit is missing, cannot be understood, or measures something else.
    """
    _require(ds, spec.names)
    plain = dequantify(ds[list(spec.names)])
    dims = dict.fromkeys((*_forcing_space(ds), *spatial_dims(plain)))
    space = {dim: ds.sizes[dim] for dim in dims}
    units = dict(spec.numeric)
    known = {n: without_fill_values(as_float(plain[n])) for n in units}
    converted = convert_units(known, units)
    arrays: dict[str, xr.DataArray] = {}
    for name, da in converted.items():
        # On the variable: aligning coordinates with themselves takes longer than the values.
        finite = da.variable.where(np.isfinite(da.variable))
        arrays[name] = lay_out(da.copy(deep=False, data=finite.data), (), space)
        arrays[name].attrs = {"units": units[name]}
    for name, categories in spec.categorical:
        da = plain[name]
        codes = xr.apply_ufunc(
            _codes,
            da.variable,
            kwargs={"categories": categories},
            dask="parallelized",
            output_dtypes=[np.int64],
        )
        arrays[name] = lay_out(da.copy(deep=False, data=codes.data), (), space)
        arrays[name].attrs = {"units": "1"}
    return xr.Dataset(arrays)


def _as_names(names: Iterable[str] | None) -> list[str]:
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)


def _default_names(ds: xr.Dataset) -> list[str]:
    bounds = {v.attrs.get("bounds") or v.encoding.get("bounds") for v in ds.variables.values()}
    space = _forcing_space(ds)
    return [
        str(name)
        for name, da in ds.data_vars.items()
        if name not in bounds
        and (not space or set(da.dims) <= set(space))
        and _is_covariate(str(name), da)
    ]


def _forcing_space(ds: xr.Dataset) -> tuple[str, ...]:
    """Spatial dimensions of the forcing; none where the Dataset has no forcing."""
    forcing = [n for v in FORCING for n in (v.name, *v.aliases) if n in ds.data_vars]
    return spatial_dims(ds[forcing]) if forcing else ()


def _is_covariate(name: str, da: xr.DataArray) -> bool:
    standard_name = str(da.attrs.get("standard_name", ""))
    lower = name.lower()
    excluded = (
        da.dtype.kind not in "fiu"
        or not da.dims
        or any(d in _LAYERED for d in da.dims)
        or name in _OWN_NAMES
        or "mask" in lower
        or standard_name.endswith(("_mask", "status_flag", "quality_flag"))
        or lower in _LAND_FRACTION_NAMES
        or standard_name == "land_area_fraction"
        or "grid_mapping_name" in da.attrs
        or "crs_wkt" in da.attrs
    )
    return not (excluded or _is_position(lower, da, standard_name) or _is_area(lower, da))


def _is_position(lower: str, da: xr.DataArray, standard_name: str) -> bool:
    units = str(da.attrs.get("units", "")).lower()
    return (
        lower in _POSITION_NAMES
        or standard_name in _POSITION_STANDARD_NAMES
        or units.startswith(("degrees_north", "degrees_east", "degree_north", "degree_east"))
    )


def _is_area(lower: str, da: xr.DataArray) -> bool:
    text = str(da.attrs.get("units", "")).replace(" ", "")
    if text in _AREA_UNITS or da.attrs.get("standard_name") in ("cell_area", "area"):
        return True
    # leaf_area_index [1] is no area; a cell_area that states no unit is.
    return "area" in lower and text == ""


def _require(ds: xr.Dataset, names: Iterable[str]) -> None:
    """Refuse names that the Dataset lacks or that cannot be covariates, all at once."""
    names = list(names)
    missing = [n for n in names if n not in ds.variables]
    if missing:
        raise InputError(
            f"covariates missing from the Dataset: {', '.join(missing)}; add them with "
            f'ds.merge(...), or give variables their name with ds.rename({{"...": "{missing[0]}"}})'
        )
    problems = [f"{n} is of type {ds[n].dtype}" for n in names if ds[n].dtype.kind not in "fiub"]
    space = _forcing_space(ds)
    for name in names:
        others = [str(d) for d in ds[name].dims if d in _LAYERED or (space and d not in space)]
        if others:
            problems.append(f"{name} varies with {', '.join(others)}")
    if problems:
        raise InputError(
            f"variables that cannot be covariates: {'; '.join(problems)}; a covariate is one "
            'number a cell: reduce it, as in ds[name].mean("month"), or number its classes'
        )


def _is_categorical(da: xr.DataArray) -> bool:
    if "flag_values" in da.attrs:
        return True
    if da.dtype.kind not in "iu":
        return False
    if da.attrs.get("units") not in _DIMENSIONLESS:
        _log.warning(
            "%s [%s] is stored as integer and so taken as categorical; if it is a measurement, "
            'use ds.assign(%s=ds["%s"].astype("float32"))',
            da.name,
            da.attrs["units"],
            da.name,
            da.name,
        )
    return True


def _units(da: xr.DataArray) -> str:
    units = str(da.attrs.get("units", "")).strip()
    return units or "1"


def _check_units(numeric: Iterable[tuple[str, str]]) -> None:
    problems: list[str] = []
    for name, units in numeric:
        try:
            parse(units, name=name)
        except UnitsError as error:
            problems.append(str(error))
    if problems:
        raise UnitsError("\n".join(problems))


def _categories(da: xr.DataArray) -> tuple[int, ...]:
    """Sorted categories: those declared, else those that occur."""
    flags = da.attrs.get("flag_values")
    if isinstance(flags, str):
        flags = [float(f) for f in flags.replace(",", " ").split()]
    values = _present(da) if flags is None else np.unique(np.asarray(flags, dtype=np.float64))
    if not np.array_equal(values, np.round(values)):
        raise ValueError(f"categories of {da.name} are not integers")
    if flags is None and values.size > _MANY_CATEGORIES:
        _log.warning("%s has %d categories; is it a measurement?", da.name, values.size)
    return tuple(int(v) for v in values)


def _present(da: xr.DataArray) -> np.ndarray:
    # numpy hands a chunked array to dask's own unique: one block in memory at a time.
    values = np.asarray(np.unique(without_fill_values(da).data))
    return np.asarray(values[np.isfinite(values)])


def _codes(values: np.ndarray, *, categories: tuple[int, ...]) -> np.ndarray:
    """Position of each value among the sorted categories; their number where it is none."""
    missing = len(categories)
    if missing == 0:
        return np.full(values.shape, 0, dtype=np.int64)
    known = np.asarray(categories)
    # NaN sorts behind everything and equals nothing.
    position = np.searchsorted(known, values).clip(max=missing - 1)
    return np.where(known[position] == values, position, missing).astype(np.int64)
