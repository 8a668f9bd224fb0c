"""The 12-month forcing from monthly climate, soil texture and NPP."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pyproj
import xarray as xr

from xbinn.constants import MONTHS_PER_YEAR, N_LAYERS, NODE_DEPTH
from xbinn.errors import InputError, UnitsError
from xbinn.labels.carry import carry_grid
from xbinn.labels.check import check_dataset
from xbinn.labels.climate import soil
from xbinn.labels.climate.relations import (
    CLIMATE_INPUTS,
    LITTER_PARTS,
    RELATIONS,
    SOIL_WATER,
    WOOD_OF_SHRUBS,
    WOOD_OF_TREES,
    ClimateInput,
)
from xbinn.labels.encoding import as_float
from xbinn.labels.months import bounds_of, month_dim, months_in_order
from xbinn.labels.space import find_coordinates, spatial_dims
from xbinn.labels.units import dequantify, to_units
from xbinn.variables import DEPTH, DEPTH_ALIASES, FORCING, INPUT_NAMES, MONTH

CLIMATE_ASSUMPTIONS: Final = {
    "FPI_vr": RELATIONS["FPI_vr"],
    "nbedrock": "no bedrock within the column",
}
"""What ``assume`` accepts, and what is put in the place of what is missing."""

_METRE: Final = 1000.0
"""Depth of the bucket [mm]."""
_NODES: Final = np.array(NODE_DEPTH[:N_LAYERS])
_WGS84: Final = pyproj.CRS("EPSG:4326")


def from_climate(ds: xr.Dataset, *, assume: Sequence[str] = ()) -> xr.Dataset:
    """Make the 12-month forcing of monthly climate, soil texture and NPP.

    A stand-in where there is no run of CLM5. Each variable of the forcing that ``ds`` has is taken
    as it is; the others are made by the relations of `xbinn.forcing.RELATIONS`.

    Parameters
    ----------
    ds : Dataset
        ``air_temperature`` and ``precipitation`` (month, *space), ``npp`` (*space), ``sand`` and
        ``clay`` (*space), ``tree_fraction`` (*space), with units; ``bedrock_depth`` (*space),
        ``shrub_fraction`` (*space) and ``soil_moisture`` (month, *space) where they are known. What
        is not needed for what is missing may be left away.
    assume : sequence of {"FPI_vr", "nbedrock"}
        Put in stand-ins: no limitation by nitrogen, and no bedrock within the column.

    Returns
    -------
    Dataset
        The forcing, with ``forcing_source`` in the attributes of all that was made; lazy where
        ``ds`` is.

    Raises
    ------
    InputError
        If inputs are missing or have other dimensions; all are named with what needs them.
    UnitsError
        If units are missing, cannot be understood, or measure something else.
    CoordinateError
        If soil water is to be made and the latitude is not known.

    Notes
    -----
    Snow halves frost wherever it freezes; there is no wetland and no plant, and every year is the
    same. Where a layer is frozen all year its W_SCALAR is 0, so that the cell has no steady state
    (status 3). How far all of it is from other forcing is shown by
    ``python -m benchmarks.climate``.

    Examples
    --------
    >>> import xarray as xr, xbinn
    >>> grid = xbinn.testing.small_grid()
    >>> monthly = xr.ones_like(grid["month"])
    >>> climate = grid.drop_vars("TSOI").assign(
    ...     air_temperature=grid["TSOI"].isel(depth=0, drop=True),
    ...     precipitation=(grid["annual_precipitation"] / 12 * monthly).assign_attrs(units="mm"),
    ... )
    >>> made = xbinn.forcing.from_climate(climate)
    >>> [name for name, da in made.items() if "forcing_source" in da.attrs]
    ['TSOI']
    """
    check_dataset(ds)
    unknown = [a for a in assume if a not in CLIMATE_ASSUMPTIONS]
    if isinstance(assume, str) or unknown:
        raise InputError(
            f"assume={assume!r} is not known: choose of "
            f"{', '.join(map(repr, CLIMATE_ASSUMPTIONS))}, as in assume=('FPI_vr',)"
        )
    plain = dequantify(ds)
    given = {
        v.name: _in_order(plain[name], plain)[0]
        for v in FORCING
        for name in (v.name, *v.aliases)
        if name in plain.data_vars
    }
    wanted = [v.name for v in FORCING if v.name not in given and v.name not in assume]
    climate = _inputs(plain, wanted, assume)
    space = _space(plain, given, climate)
    _check_layers(given)
    made = dict(given)
    _make(made, climate, plain, wanted)
    for name in assume:
        if name not in given:
            made[name] = _stand_in(name, made["TSOI"])
    out = {}
    for variable in FORCING:
        da = made[variable.name]
        if variable.name not in given:
            da = da.transpose(*(d for d in (MONTH, DEPTH) if d in da.dims), ...)
            source = CLIMATE_ASSUMPTIONS.get(variable.name) if variable.name in assume else None
            da.attrs = {
                "units": variable.units,
                "long_name": variable.long_name,
                "forcing_source": f"assumed: {source}" if source else RELATIONS[variable.name],
            }
            if variable.name in ("W_SCALAR", "O_SCALAR") and "soil_moisture" not in climate:
                da.attrs["forcing_source"] += f"; water by a {SOIL_WATER}"
        out[variable.name] = da
    result = xr.Dataset({n: _bare(da) for n, da in out.items()})
    result = result.assign_coords({MONTH: np.arange(1, MONTHS_PER_YEAR + 1)})
    return carry_grid(plain, result, space)


def _bare(da: xr.DataArray) -> xr.DataArray:
    """Without coordinates but those of space that index it."""
    stale = [n for n in (MONTH, DEPTH) if n in da.coords]
    return da.reset_coords(drop=True).drop_vars(stale, errors="ignore")


def _check_layers(given: dict[str, xr.DataArray]) -> None:
    """Refuse forcing on layers with which what is made could not be combined."""
    other = [
        f"{name} ({', '.join(map(str, da.dims))})"
        for name, da in given.items()
        if set(da.dims) & set(DEPTH_ALIASES)
        or da.sizes.get(DEPTH, N_LAYERS) != N_LAYERS
        or da.sizes.get(MONTH, MONTHS_PER_YEAR) != MONTHS_PER_YEAR
    ]
    if other:
        raise InputError(
            f"forcing that is given on other layers or months: {', '.join(other)}; what is made "
            f"has {MONTHS_PER_YEAR} of {MONTH} and {N_LAYERS} of {DEPTH}: bring it there with "
            "xbinn.forcing.interpolate_layers(ds), or rename its dimension"
        )


def _make(
    made: dict[str, xr.DataArray],
    climate: dict[str, xr.DataArray],
    ds: xr.Dataset,
    wanted: Sequence[str],
) -> None:
    """Add what is wanted to ``made``."""
    physical = {"TSOI", "W_SCALAR", "O_SCALAR", "ALTMAX", "ALTMAX_LASTYEAR"} & set(wanted)
    if physical - {"ALTMAX_LASTYEAR"}:
        texture = [climate[n] for n in ("sand", "clay") if n in climate]
        if {"TSOI", "W_SCALAR", "O_SCALAR"} & physical:
            water = _water(climate, ds)
        if "TSOI" not in made:
            mean = water.mean(MONTH)
            made["TSOI"] = _apply(
                soil.soil_temperature,
                soil.surface_temperature(climate["air_temperature"] + soil.FREEZING),
                mean,
                *texture,
                cores=([MONTH], [], [], []),
                to=[MONTH, DEPTH],
            )
        if {"W_SCALAR", "O_SCALAR"} & physical:
            # Below a metre the year is not felt.
            upper = xr.DataArray(_NODES <= 1.0, dims=DEPTH)
            layered = xr.where(upper, water, water.mean(MONTH))
        if "W_SCALAR" in physical:
            made["W_SCALAR"] = _apply(soil.water_scalar, layered, _kelvin(made["TSOI"]), *texture)
        if "O_SCALAR" in physical:
            made["O_SCALAR"] = _apply(soil.oxygen_scalar, layered, texture[0])
        if "ALTMAX" in physical:
            depth = _apply(soil.thaw_depth, _kelvin(made["TSOI"]), cores=([MONTH, DEPTH],), to=[])
            made["ALTMAX"] = depth.expand_dims({MONTH: MONTHS_PER_YEAR}).assign_attrs(units="m")
    if "ALTMAX_LASTYEAR" in wanted:
        made["ALTMAX_LASTYEAR"] = to_units(made["ALTMAX"].copy(), "m", name="ALTMAX")
    if "nbedrock" in wanted:
        nodes = xr.DataArray(_NODES, dims=DEPTH)
        depth = climate["bedrock_depth"]
        layers = (nodes <= depth).sum(DEPTH).clip(1)
        made["nbedrock"] = layers.astype(np.float32).where(depth.notnull())
    if set(INPUT_NAMES) & set(wanted):
        for name, da in _litter(climate).items():
            made.setdefault(name, da)


def _litter(climate: dict[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    npp = climate["npp"].clip(0.0) / MONTHS_PER_YEAR
    wood = WOOD_OF_TREES * climate["tree_fraction"]
    if "shrub_fraction" in climate:
        wood = wood + WOOD_OF_SHRUBS * climate["shrub_fraction"]
    parts = (wood, *(part * (1.0 - wood) for part in LITTER_PARTS))
    return {
        name: (npp * part).expand_dims({MONTH: MONTHS_PER_YEAR})
        for name, part in zip(INPUT_NAMES, parts, strict=True)
    }


def _water(climate: dict[str, xr.DataArray], ds: xr.Dataset) -> xr.DataArray:
    """Water content (month, *space) [1]: the given one, or that of a bucket."""
    if "soil_moisture" in climate:
        return climate["soil_moisture"]
    sand, clay = climate["sand"], climate["clay"]
    air, rain = climate["air_temperature"], climate["precipitation"]
    dry, moist = (
        _apply(lambda s, c, p=p: soil.water_at(p, s, c), sand, clay)
        for p in (soil.WILTING, soil.FIELD_CAPACITY)
    )
    light = _apply(
        lambda latitude: soil.daylight(latitude, MONTHS_PER_YEAR),
        _latitude(ds),
        cores=([],),
        to=[MONTH],
    )
    demand = _apply(soil.thornthwaite, air, light, cores=([MONTH], [MONTH]), to=[MONTH])
    held = _apply(
        soil.bucket,
        air,
        rain,
        demand,
        (moist - dry) * _METRE,
        cores=([MONTH], [MONTH], [MONTH], []),
        to=[MONTH],
    )
    return dry + held / _METRE


def _apply(
    function: Callable[..., Any],
    *arrays: xr.DataArray,
    cores: Sequence[list[str]] | None = None,
    to: list[str] | None = None,
) -> xr.DataArray:
    sizes = {MONTH: MONTHS_PER_YEAR, DEPTH: N_LAYERS}
    result: xr.DataArray = xr.apply_ufunc(
        function,
        *arrays,
        input_core_dims=cores if cores is not None else [[]] * len(arrays),
        output_core_dims=[to or []],
        dask="parallelized",
        dask_gufunc_kwargs={"output_sizes": {d: sizes[d] for d in to or []}},
        output_dtypes=[np.float64],
        keep_attrs=False,
    )
    return result


def _kelvin(temperature: xr.DataArray) -> xr.DataArray:
    return to_units(temperature, "K", name="TSOI") if temperature.attrs else temperature


def _stand_in(name: str, temperature: xr.DataArray) -> xr.DataArray:
    if name == "nbedrock":
        column = temperature.isel({MONTH: 0, DEPTH: 0}, drop=True)
        return xr.full_like(column, float(N_LAYERS))
    return xr.ones_like(temperature).where(temperature.notnull())


def _inputs(
    ds: xr.Dataset, wanted: Sequence[str], assume: Sequence[str]
) -> dict[str, xr.DataArray]:
    """Inputs by name, in the units of the table, months in order."""
    found: dict[str, xr.DataArray] = {}
    missing: list[str] = []
    problems: list[InputError] = []
    moist = "soil_moisture" in ds
    for row in CLIMATE_INPUTS:
        needed = [n for n in row.needed_for if n in wanted]
        if moist and row.name in ("air_temperature", "precipitation"):
            needed = ["TSOI"] if row.name == "air_temperature" and "TSOI" in needed else []
        name = next((n for n in (row.name, *row.aliases) if n in ds.data_vars), None)
        if name is None:
            if needed:
                missing.append(f"{row.name} (for {', '.join(needed)})")
            continue
        try:
            found[row.name] = _standard(row, ds[name], ds)
        except InputError as error:
            problems.append(error)
    asked = [n for n in wanted if n in CLIMATE_ASSUMPTIONS]
    lacking = [n for n in asked if n != "nbedrock"]
    if missing or lacking:
        said = [f"climate inputs missing: {'; '.join(missing)}"] if missing else []
        said += [f"{', '.join(lacking)} is neither given nor assumed"] if lacking else []
        stand_ins = f"; assume={tuple(asked)!r} puts in a stand-in" if asked else ""
        raise InputError(
            f"{'; '.join(said)}; add them to the Dataset, or the forcing that they are for"
            f"{stand_ins}"
        )
    if problems:
        kind = UnitsError if all(isinstance(e, UnitsError) for e in problems) else InputError
        raise kind("\n".join(map(str, problems)))
    return found


def _in_order(da: xr.DataArray, ds: xr.Dataset) -> tuple[xr.DataArray, str | None]:
    """Months from January on and in one chunk, and what is wrong with them."""
    dim = month_dim(da)
    if dim is None:
        return da, None
    bounds = bounds_of(da[dim], ds) if dim in da.coords else None
    ordered, wrong = months_in_order(da, bounds)
    if ordered.chunks is not None and MONTH in ordered.dims:
        ordered = ordered.chunk({MONTH: -1})
    return ordered, wrong


def _standard(row: ClimateInput, da: xr.DataArray, ds: xr.Dataset) -> xr.DataArray:
    da = as_float(da)
    if month_dim(da) is not None:
        da, wrong = _in_order(da, ds)
        if wrong is not None or da.sizes.get(MONTH, MONTHS_PER_YEAR) != MONTHS_PER_YEAR:
            raise InputError(f"{da.name} has no 12 months: give a climatology by month")
        da = da.drop_vars(MONTH, errors="ignore")
    if MONTH in row.dims and MONTH not in da.dims:
        raise InputError(f"{da.name} has no dimension {MONTH}: give a climatology by month")
    da = _checked(row, _converted(row, da))
    da = da.mean(MONTH) if MONTH in da.dims and MONTH not in row.dims else da
    return da.drop_attrs()  # units have done their work


def _checked(row: ClimateInput, da: xr.DataArray) -> xr.DataArray:
    """Refuse values out of range, of a chunked array when they are computed."""
    name = str(da.name)

    def check(values: np.ndarray) -> np.ndarray:
        known = values[np.isfinite(values)]
        low, high = row.valid_range
        if known.size and (known.min() < low or known.max() > high):
            raise InputError(
                f"{name} runs from {known.min():g} to {known.max():g} {row.units}, outside "
                f'{low:g} to {high:g}: set ds["{name}"].attrs["units"] to what it is in'
            )
        return values

    checked: xr.DataArray = xr.apply_ufunc(
        check, da, dask="parallelized", output_dtypes=[da.dtype], keep_attrs=True
    )
    return checked


def _converted(row: ClimateInput, da: xr.DataArray) -> xr.DataArray:
    units = str(da.attrs.get("units", "")).strip()
    name = str(da.name)
    if row.name == "precipitation":
        # A kilogram of water on a square metre is a millimetre; totals of months say mm.
        if units == "mm":
            units = row.units
        try:
            return to_units(da.assign_attrs(units=units), row.units, name=name)
        except UnitsError:
            return to_units(da, "kg m-2 month-1", name=name)
    return to_units(da, row.units, name=name)


def _space(
    ds: xr.Dataset, given: dict[str, xr.DataArray], climate: dict[str, xr.DataArray]
) -> tuple[str, ...]:
    used = [str(da.name) for da in given.values()]
    used += [n for row in CLIMATE_INPUTS for n in (row.name, *row.aliases) if n in ds.data_vars]
    return spatial_dims(ds[used])


def _latitude(ds: xr.Dataset) -> xr.DataArray:
    """Latitude of the cells [degree]."""
    used = [n for row in CLIMATE_INPUTS for n in (row.name, *row.aliases) if n in ds.data_vars]
    where = find_coordinates(ds[used])
    dims = tuple(map(str, where.dims))
    if where.regular and where.crs is None:
        return xr.DataArray(where.y, dims=dims[0] if where.y_first else dims[1])
    if not where.regular:
        shape = tuple(ds.sizes[d] for d in dims)
        y, x = where.y.reshape(shape), where.x.reshape(shape)
    else:
        y, x = np.meshgrid(where.y, where.x, indexing="ij")
        dims = dims if where.y_first else dims[::-1]
    if where.crs is not None:
        _, y = pyproj.Transformer.from_crs(where.crs, _WGS84, always_xy=True).transform(x, y)
    return xr.DataArray(y, dims=dims)
