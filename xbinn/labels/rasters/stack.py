"""Covariates from rasters on any grid: one Dataset on the grid of another."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

import dask.array as da
import numpy as np
import xarray as xr

from xbinn.errors import CoordinateError, InputError, UnitsError
from xbinn.labels.carry import carry_grid
from xbinn.labels.rasters.grids import RasterGrid, find_raster_grid
from xbinn.labels.rasters.opening import Layer, Sources, open_layers
from xbinn.labels.rasters.resampling import Resampling, resample
from xbinn.labels.space import spatial_dims
from xbinn.labels.units import parse

_SOURCE_CELLS: Final = 4096
"""Source cells along each edge of what one chunk of the result is made of, about."""
_BAND: Final = "band"
_MOST_CLASSES: Final = 50
"""Classes that a raster is taken to have unasked: maps of climate and land cover have up to 37,
percentages and heights more as a rule."""
_CELLS: Final = 2048
"""Cells along each edge of a chunk of the result at most."""
_SAID: Final = {"mean": "area-weighted mean", "mode": "most frequent class", "nearest": "nearest"}
_METRES_PER_DEGREE: Final = 111_195.0


def stack_covariates(
    sources: Sources,
    *,
    like: xr.Dataset | xr.DataArray,
    categorical: Sequence[str] = (),
    units: Mapping[str, str] | None = None,
    resampling: Mapping[str, Resampling] | None = None,
    chunks: Mapping[str, int] | None = None,
) -> xr.Dataset:
    """Bring rasters to one grid, as covariates.

    Measurements become area-weighted means, classes the most frequent one with their
    ``flag_values`` and ``flag_meanings``. Classes are rasters with ``flag_values``, those of known
    products, those named in ``categorical``, and integers that have neither a unit nor a scale.

    Parameters
    ----------
    sources : path, DataArray, Dataset, or list or dict of these
        A path names a GeoTIFF, NetCDF or Zarr, or a folder of them; keys of a dict are names of
        covariates. Otherwise names are those of known products (see `xbinn.rasters.PRODUCTS`), of
        variables, or of files.
    like : Dataset or DataArray
        The grid to bring them to: (lat, lon), or (y, x) with a CRS, of equal steps; its
        coordinates are enough.
    categorical : sequence of str
        Covariates that are classes.
    units : mapping of str to str, optional
        Units of covariates whose files state none, or none that can be understood.
    resampling : mapping of str to {"mean", "mode", "nearest"}, optional
        For covariates that are to be resampled otherwise.
    chunks : mapping of str to int, optional
        Cells of a chunk along each dimension of ``like``. Default: the chunks of ``like``, or as
        many as some 16 million cells of the finest raster cover.

    Returns
    -------
    Dataset
        Each covariate on the dimensions of ``like``, lazy and chunked, float32 or float64, NaN
        where missing, with ``units``, ``long_name``, ``source`` and ``cell_methods``.

    Raises
    ------
    InputError
        If there is nothing to open, files cannot be read, names are unknown or used twice, a file
        states another unit, or whole numbers without a unit are too many for classes.
    CoordinateError
        If a raster or ``like`` has no CRS or no equal steps, or lies elsewhere.

    Notes
    -----
    Classes that no file and no table lists are looked for in the raster, which reads it once;
    nothing else is computed.

    Examples
    --------
    >>> import numpy as np, xarray as xr, xbinn
    >>> axes = {"lat": np.linspace(69.5, 30.5, 40), "lon": np.linspace(-9.5, 39.5, 50)}
    >>> slope = xr.DataArray(np.ones((40, 50)), axes, attrs={"units": "degree"})
    >>> grid = xbinn.testing.small_grid()
    >>> covariates = xbinn.stack_covariates({"slope": slope}, like=grid)
    >>> grid = grid.merge(covariates)
    """
    if not isinstance(like, xr.Dataset | xr.DataArray):
        raise InputError(
            f"like is of type {type(like).__name__}: give the Dataset or DataArray whose grid the "
            "rasters should be brought to"
        )
    # A raster of rioxarray has bands, which are no part of its grid.
    like = like.isel({_BAND: 0}, drop=True) if _BAND in like.dims else like
    target_ds = like.to_dataset(name="like") if isinstance(like, xr.DataArray) else like
    target = find_raster_grid(target_ds, "the grid of like")
    layers = open_layers(sources)
    _check_names(layers, categorical, units, resampling)
    _check_overlap(layers, target)
    size = _chunk_size(chunks, target_ds, target, layers)
    made = {}
    for layer in layers:
        layer = _described(layer, categorical, units or {})
        how = (resampling or {}).get(layer.name) or (
            "mode" if "flag_values" in layer.values.attrs else "mean"
        )
        out = resample(layer.values, layer.grid, target, how, size)
        out = out.rename(y=target.y_dim, x=target.x_dim)
        out.attrs = _attributes(layer, how)
        made[layer.name] = out.transpose(*spatial_dims(target_ds))
    stacked = xr.Dataset(made)
    return carry_grid(target_ds, stacked, spatial_dims(target_ds))


def _check_names(
    layers: Sequence[Layer],
    categorical: Sequence[str],
    units: Mapping[str, str] | None,
    resampling: Mapping[str, Resampling] | None,
) -> None:
    if isinstance(categorical, str):
        raise InputError(f"categorical is a text: give a list, as in [{categorical!r}]")
    known = {layer.name for layer in layers}
    asked = {"categorical": categorical, "units": units or (), "resampling": resampling or ()}
    unknown = [
        f"{argument} names {', '.join(map(repr, names))}"
        for argument, given in asked.items()
        if (names := [n for n in given if n not in known])
    ]
    other = {h for h in (resampling or {}).values() if h not in get_args(Resampling)}
    if unknown:
        raise InputError(
            f"{'; '.join(unknown)}, but the covariates are {', '.join(sorted(known))}: use those"
        )
    if other:
        raise InputError(
            f"resampling {', '.join(map(repr, sorted(other)))} is not known: choose one of "
            f"{', '.join(get_args(Resampling))}"
        )
    for name, unit in (units or {}).items():
        parse(unit, name=name)


def _check_overlap(layers: Sequence[Layer], target: RasterGrid) -> None:
    apart = [f"{layer.name} ({layer.origin})" for layer in layers if not layer.grid.meets(target)]
    if apart:
        raise CoordinateError(
            f"rasters that share no place with the grid of like: {', '.join(apart)}; their CRS may "
            'be wrong: write the right one with da.rio.write_crs("EPSG:..."), or leave them out'
        )


def _described(layer: Layer, categorical: Sequence[str], units: Mapping[str, str]) -> Layer:
    """Make up for what the file does not say: its unit, or its classes."""
    attrs = layer.values.attrs
    if layer.name in units:
        _check_unit(layer, units[layer.name])
        attrs["units"] = units[layer.name]
    named = layer.name in categorical
    if "flag_values" in attrs or not (named or (layer.whole_numbers and "units" not in attrs)):
        return layer
    attrs.pop("units", None)
    attrs["flag_values"] = _classes(layer, named)
    return layer


def _check_unit(layer: Layer, given: str) -> None:
    """Refuse a unit that contradicts the file: it would relabel the values, not convert them."""
    stated = layer.values.attrs.get("units")
    try:
        known = None if stated is None else parse(str(stated), name=layer.name)
    except UnitsError:
        return
    if known is not None and known != parse(given, name=layer.name):
        raise InputError(
            f"units gives {given!r} for {layer.name}, but {layer.origin} states {stated!r}: leave "
            "it out of units, or where the file is wrong, correct it and hand the DataArray over, "
            f'as in da.assign_attrs(units="{given}")'
        )


def _classes(layer: Layer, named: bool) -> np.ndarray:
    """Classes that occur, read block by block."""
    found = np.asarray(da.unique(da.asarray(layer.values.data)).compute())
    found = found[np.isfinite(found)]
    if not np.array_equal(found, np.round(found)):
        raise InputError(
            f"{layer.name} ({layer.origin}) is named in categorical, but holds "
            f"{found[found != np.round(found)][0]:g}: number its classes, or leave it out there"
        )
    if not named and found.size > _MOST_CLASSES:
        raise InputError(
            f"{layer.name} ({layer.origin}) holds {found.size} different whole numbers and has no "
            f'unit: if they are measurements, state it, as in units={{"{layer.name}": "m"}}; if '
            f'they are classes, say so with categorical=["{layer.name}"]'
        )
    return np.asarray(found.astype(np.int32))


def _attributes(layer: Layer, how: Resampling) -> dict[str, Any]:
    attrs = dict(layer.values.attrs)
    if "flag_values" in attrs:
        attrs.setdefault("units", "1")
    origin = layer.origin
    attrs["source"] = origin if layer.product is None else f"{origin}; {layer.product.source}"
    attrs["cell_methods"] = {"mean": "area: mean", "mode": "area: mode", "nearest": "area: point"}[
        how
    ]
    attrs["comment"] = f"resampled: {_SAID[how]}"
    return attrs


def _chunk_size(
    chunks: Mapping[str, int] | None,
    like: xr.Dataset,
    target: RasterGrid,
    layers: Sequence[Layer],
) -> tuple[int, int]:
    dims = (target.y_dim, target.x_dim)
    shape = (target.y.size, target.x.size)
    unknown = [str(d) for d in chunks or () if d not in dims]
    if unknown:
        raise InputError(
            f"chunks names {', '.join(unknown)}, but the dimensions of like are "
            f"{', '.join(dims)}: use those"
        )
    given = chunks or {d: max(sizes) for d, sizes in like.chunksizes.items() if d in dims}
    finest = min(min(_metres(layer.grid)) for layer in layers)
    covered = _SOURCE_CELLS * finest / max(_metres(target))
    usual = [max(1, min(n, _CELLS, int(covered))) for n in shape]
    y, x = (given.get(d, n if given else u) for d, n, u in zip(dims, shape, usual, strict=True))
    return (y, x) if min(y, x) > 0 else shape


def _metres(grid: RasterGrid) -> tuple[float, float]:
    """Steps in metres, about: they decide about chunks alone."""
    unit = _METRES_PER_DEGREE if grid.geographic else grid.crs.axis_info[0].unit_conversion_factor
    y, x = grid.steps()
    return y * unit, x * unit
