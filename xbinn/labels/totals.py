"""Totals over regions: density times area times land fraction."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from importlib.metadata import version
from operator import mul
from typing import Final

import numpy as np
import xarray as xr

from xbinn.constants import KG_PER_PG
from xbinn.errors import CoordinateError, InputError
from xbinn.labels.areas import cell_sizes
from xbinn.labels.encoding import dataset_attributes
from xbinn.labels.regions import Regions, find_regions, sum_by_region
from xbinn.labels.space import grid_mapping_name
from xbinn.labels.units import dequantify, to_units
from xbinn.options import QUANTILES
from xbinn.variables import (
    DEPTH,
    DEPTH_ALIASES,
    MONTH,
    PARAMETER,
    POOL,
    PROCESS,
    QUANTILE,
    SAMPLE,
)

_ROUNDING: Final = 1e-4
"""By which a land fraction may exceed 1, as those of packed files do."""
_NOT_SPACE: Final = {MONTH, DEPTH, *DEPTH_ALIASES, POOL, PARAMETER, PROCESS, QUANTILE}


def totals(
    out: xr.Dataset,
    variable: str = "cSoil",
    *,
    by: str | xr.DataArray | None = None,
    area: str | xr.DataArray | None = None,
    land_fraction: str | xr.DataArray | None = None,
    quantiles: Sequence[float] = QUANTILES,
    ellipsoid: str | None = None,
) -> xr.Dataset:
    """Total carbon of a result, over all cells or by region.

    Parameters
    ----------
    out : Dataset
        Result of `predict` or `simulate`, on a regular grid unless ``area`` is given. With a
        dimension ``sample`` of coherent posterior samples, the total of each sample is taken.
    variable : str
        What to sum; anything in kg m-2.
    by : str or DataArray, optional
        Classes or regions on the same grid, or the name of such a variable of ``out``. Labels are
        ``flag_meanings``, else the values found. Cells without class belong to no region.
    area : str or DataArray, optional
        Areas of the cells, in m2 or km2. By default those between the edges of the cells, from
        bounds or half way between centres, on the ellipsoid. Needed for lists of cells.
    land_fraction : str or DataArray, optional
        Part of each cell that is land, 1 or percent. By default 1. Where it is missing, a cell
        with a value counts as missing with all of its area, one without as no land.
    quantiles : sequence of float
        Of the totals over samples, in 0..1.
    ellipsoid : str, optional
        Of a geographic grid, a name that PROJ knows, such as ``WGS84`` or ``sphere``. By default
        that of the CRS, else WGS84.

    Returns
    -------
    Dataset
        ``total`` [Pg], ``area`` [m2] of the land that it is of, and ``area_missing`` [m2] of the
        land without result, which is left out: (region) named as ``by``, or (). With samples
        ``total`` is the mean, beside ``total_std`` and ``total_quantile`` (quantile, region).
        Lazy where ``out`` is.

    Raises
    ------
    InputError
        If variables are missing or have dimensions that are neither space nor sample, settings
        cannot be used, land fractions lie outside 0..1 or areas are negative. Chunked values are
        looked at when computed.
    UnitsError
        If the variable is not in kg m-2, or areas are not in m2.
    CoordinateError
        If areas cannot be derived, or what is given lies on other coordinates.

    Examples
    --------
    >>> import xbinn
    >>> grid = xbinn.testing.small_grid()
    >>> sim = xbinn.simulate(grid, xbinn.default_parameters(grid))
    >>> total = xbinn.totals(sim, land_fraction=grid["land_fraction"])
    >>> total["total"].attrs["units"]
    'Pg'
    """
    out = dequantify(out)
    value = _named(out, variable, "variable")
    space = _space(value)
    asked = _levels(quantiles)
    value = to_units(value, "kg m-2", name=variable)
    areas = _areas(out, area, value, space, ellipsoid)
    fraction = xr.DataArray(1.0)
    if land_fraction is not None:
        given = _given(out, land_fraction, "land_fraction", value, space)
        fraction = _within(to_units(given, "1", name="land_fraction"), "land_fraction", 1.0)
    regions = None
    if by is not None:
        classes = _given(out, by, "by", value, space)
        own = by if isinstance(by, str) else by.name
        name = "region" if own is None else str(own)
        regions = find_regions(classes, "region" if name in value.dims else name)

    present = value.notnull()
    if SAMPLE in value.dims:
        # A cell counts in all samples or in none, so that all totals are of the same land.
        present = present.all(SAMPLE)
    counted = present & fraction.notnull()
    # With a result it is land, though nobody knows how much of it.
    land = areas * fraction.where(fraction.notnull(), present.astype(float))
    held = (value * (land / KG_PER_PG)).where(counted, 0.0)
    found = xr.Dataset(
        {
            "total": _add(held, regions, space),
            "area": _add(land.where(counted, 0.0), regions, space),
            "area_missing": _add(land.where(~counted, 0.0), regions, space),
        }
    )
    if SAMPLE in value.dims:
        found = _over_samples(found, asked)
    return _described(found, out, variable, "none given: 1" if land_fraction is None else "given")


def _levels(quantiles: Sequence[float]) -> np.ndarray:
    """Quantiles that are asked for, as numbers from 0 to 1."""
    try:
        asked = np.asarray(quantiles, dtype=np.float64)
    except (TypeError, ValueError):
        asked = np.array(np.nan)
    if asked.ndim != 1 or not ((asked >= 0.0) & (asked <= 1.0)).all():
        raise InputError(
            f"quantiles={quantiles!r} are not all between 0 and 1: for example {QUANTILES}"
        )
    return asked


def _within(da: xr.DataArray, name: str, most: float) -> xr.DataArray:
    """Refuse values under 0 and above ``most``, where they are computed."""

    def check(values: np.ndarray) -> np.ndarray:
        outside = values[(values < 0.0) | (values > most * (1.0 + _ROUNDING))]
        if outside.size:
            units = da.attrs["units"]
            raise InputError(
                f"{name} has {outside.size} values from {outside.min():g} to {outside.max():g} "
                f"[{units}] (must be from 0 to {most:g}): mask what is no value, and state what "
                f'the others are in with {name}.attrs["units"] = "..."'
            )
        return values

    checked: xr.DataArray = xr.apply_ufunc(
        check, da, dask="parallelized", output_dtypes=[da.dtype], keep_attrs=True
    )
    return checked


def _named(out: xr.Dataset, name: str, what: str) -> xr.DataArray:
    if name not in out.variables:
        raise InputError(
            f"{what}={name!r} is not in the result, which has {', '.join(map(str, out.variables))}"
        )
    return out[name]


def _space(value: xr.DataArray) -> tuple[str, ...]:
    """Spatial dimensions of what is to be summed."""
    space = tuple(str(d) for d in value.dims if d != SAMPLE)
    layered = sorted(_NOT_SPACE & set(space))
    if layered or not space:
        what = f"lies on {', '.join(layered)} besides space" if layered else "is one column"
        raise InputError(
            f"{value.name} {what}: a total needs a grid or a list of cells; for an interval of "
            "depth take out.assign(stock=xbinn.stock(out, top, bottom))"
        )
    return space


def _given(
    out: xr.Dataset,
    given: str | xr.DataArray,
    what: str,
    value: xr.DataArray,
    space: tuple[str, ...],
) -> xr.DataArray:
    """Take a variable by name or as it is, on the coordinates of ``value``."""
    if not isinstance(given, str | xr.DataArray):
        raise InputError(
            f"{what}={given!r} is of type {type(given).__name__}: give a DataArray on "
            f"{', '.join(space)}, or the name of a variable of the result"
        )
    da = _named(out, given, what) if isinstance(given, str) else dequantify(given)
    if other := [str(d) for d in da.dims if d not in space]:
        raise InputError(
            f"{what} lies on {', '.join(other)}, and {value.name} on {', '.join(space)}: select "
            "or reduce it to these"
        )
    try:
        xr.align(value, da, join="exact")
    except (xr.AlignmentError, ValueError) as error:
        raise CoordinateError(
            f"{what} and {value.name} do not lie on the same coordinates ({error}); bring them "
            f'together with {what}.reindex_like(out, method="nearest", tolerance=...)'
        ) from error
    return da.reset_coords(drop=True)


def _areas(
    out: xr.Dataset,
    area: str | xr.DataArray | None,
    value: xr.DataArray,
    space: tuple[str, ...],
    ellipsoid: str | None,
) -> xr.DataArray:
    """Areas of the cells [m2]; nothing where they are missing."""
    if area is not None and ellipsoid is not None:
        raise InputError(
            f"ellipsoid={ellipsoid!r} has no effect where area is given: leave one of them out"
        )
    if area is not None:
        given = to_units(_given(out, area, "area", value, space), "m2", name="area")
        return _within(given, "area", np.inf).fillna(0.0)
    coordinates = value.isel({SAMPLE: 0}, missing_dims="ignore").to_dataset(name=value.name)
    bounds = (c.attrs.get("bounds", c.encoding.get("bounds")) for c in coordinates.coords.values())
    more = {n for n in (*bounds, grid_mapping_name(out)) if n in out.variables}
    sizes = cell_sizes(
        coordinates.assign_coords({n: out[n].variable for n in more}), ellipsoid=ellipsoid
    )
    if value.chunks is not None:
        # So that no product of the whole grid is made.
        sizes = tuple(size.chunk({d: value.chunksizes[d] for d in size.dims}) for size in sizes)
    return reduce(mul, sizes)


def _add(weights: xr.DataArray, regions: Regions | None, space: tuple[str, ...]) -> xr.DataArray:
    weights = weights.reset_coords(drop=True)
    if regions is None:
        return weights.sum(space)
    return sum_by_region(weights.transpose(..., *space), regions, space)


def _over_samples(found: xr.Dataset, quantiles: np.ndarray) -> xr.Dataset:
    """Mean, standard deviation and quantiles of the totals of each sample."""
    # One number a sample and region: quantiles need all samples together.
    total = found["total"].chunk({SAMPLE: -1}) if found["total"].chunks else found["total"]
    return found.assign(
        total=total.mean(SAMPLE),
        total_std=total.std(SAMPLE, ddof=1),
        total_quantile=total.quantile(quantiles, SAMPLE, skipna=False),
    ).drop_vars(SAMPLE, errors="ignore")


def _described(found: xr.Dataset, out: xr.Dataset, variable: str, land: str) -> xr.Dataset:
    what = out[variable].attrs.get("long_name", variable)
    names = {
        "total": f"total of {what}",
        "total_std": f"standard deviation over samples of the total of {what}",
        "total_quantile": f"quantiles over samples of the total of {what}",
        "area": "area of land with a result",
        "area_missing": "area of land without a result, which is left out of the total",
    }
    for name, da in found.data_vars.items():
        da.attrs = {
            "units": "m2" if str(name).startswith("area") else "Pg",
            "long_name": names[str(name)],
            "cell_methods": "area: sum where land",
            "land_fraction": land,
        }
    done = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} xbinn.totals"
    found.attrs = dataset_attributes(
        title=f"Totals of {variable}",
        summary=f"{variable} times cell area times land fraction, summed over cells",
        source=str(out.attrs.get("source", f"xbinn {version('xbinn')}")),
        history="\n".join(filter(None, (done, out.attrs.get("history")))),
    )
    return found
