"""Rasters of files, folders and open datasets as layers of one kind: (y, x) with a CRS, lazy."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import rioxarray
import xarray as xr
from rasterio.errors import RasterioError

from xbinn.errors import CoordinateError, InputError
from xbinn.labels.encoding import as_float, without_fill_values
from xbinn.labels.rasters.categories import Classes, band_classes, flags, read_tags
from xbinn.labels.rasters.grids import RASTER, RasterGrid, find_raster_grid
from xbinn.labels.rasters.products import Product, find_product
from xbinn.labels.space import grid_mapping_name
from xbinn.labels.units import dequantify, to_units

Source = str | os.PathLike[str] | xr.DataArray | xr.Dataset
Sources = Source | Sequence[Source] | Mapping[str, Source]

_SINGLE: Final = (str, os.PathLike, xr.DataArray, xr.Dataset)
_GEOTIFF: Final = (".tif", ".tiff", ".vrt")
_NETCDF: Final = (".nc", ".nc4")
_ZARR: Final = ".zarr"
_READ_CHUNK: Final = 2048
"""Cells along each edge of what is read from a GeoTIFF at once."""


@dataclass(frozen=True)
class Layer:
    """One raster.

    ``values`` (y, x) floating point, NaN where missing, lazy where it comes from a file, with
    units and flags in its attributes; ``product`` is the row of the table, where it has one.
    """

    name: str
    values: xr.DataArray
    grid: RasterGrid
    whole_numbers: bool
    origin: str
    product: Product | None = None


def open_layers(sources: Sources) -> list[Layer]:
    """Open rasters lazily.

    Parameters
    ----------
    sources : path, DataArray, Dataset, or list or dict of these
        A path is a GeoTIFF, NetCDF or Zarr, or a folder of them. Keys of a dict are names.

    Returns
    -------
    list of Layer

    Raises
    ------
    InputError
        If there is nothing to open, sources are of another type, files cannot be read, layers
        have further dimensions, or two have the same name.
    CoordinateError
        If a raster has no CRS or no regular axes.
    """
    problems: list[InputError] = []
    layers: list[Layer] = []
    for given, source in _listed(sources):
        try:
            layers += _layers(given, source)
        except InputError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        listed = "\n".join(f"- {error}" for error in problems)
        raise InputError(f"{len(problems)} rasters cannot be used:\n{listed}")
    _refuse_same_names(layers)
    return layers


def _check_types(sources: Any) -> None:
    """Refuse what is no source."""
    given = sources if isinstance(sources, Sequence | Mapping) else [sources]
    parts = given.values() if isinstance(given, Mapping) else given
    unknown = [type(part).__name__ for part in parts if not isinstance(part, _SINGLE)]
    if unknown:
        raise InputError(
            f"rasters are given as {', '.join(dict.fromkeys(unknown))}: give paths, DataArrays or "
            "Datasets, or a list or dict of these"
        )


def _listed(sources: Sources) -> list[tuple[str | None, Source]]:
    """Pairs of a given name, or None, and what it is a raster of."""
    if isinstance(sources, _SINGLE):
        sources = [sources]
    _check_types(sources)
    pairs: list[tuple[str | None, Source]] = (
        [(str(name), source) for name, source in sources.items()]
        if isinstance(sources, Mapping)
        else [(None, source) for source in sources]
    )
    found: list[tuple[str | None, Source]] = []
    for name, source in pairs:
        if isinstance(source, str | os.PathLike):
            path = Path(source).expanduser()
            if path.is_dir() and path.suffix != _ZARR:
                found += [(None, file) for file in _files(path)]
                continue
            source = path
        found.append((name, source))
    if not found:
        raise InputError(
            "no rasters were given: name files, a folder, DataArrays or Datasets, as in "
            'xbinn.stack_covariates("rasters/", like=grid)'
        )
    return found


def _files(folder: Path) -> list[Path]:
    known = (*_GEOTIFF, *_NETCDF, _ZARR)
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in known)
    if not files:
        raise InputError(
            f"there is no raster in {folder}: files end in {', '.join(known)}; others can be "
            "opened with xarray and handed over as DataArrays"
        )
    return files


def _layers(given: str | None, source: Source) -> list[Layer]:
    if isinstance(source, xr.DataArray):
        if given is None and source.name is None:
            raise InputError(
                'a DataArray has no name: name it with da.rename("...") or in a dict, as in '
                'xbinn.stack_covariates({"elevation": da}, like=grid)'
            )
        name = given if given is not None else str(source.name)
        return [_layer(name, source, f"DataArray {name}", None)]
    if isinstance(source, xr.Dataset):
        return _of_dataset(given, source, "a Dataset", None)
    path = Path(source)
    if not path.exists():
        raise InputError(f"there is no raster {path}: correct the path")
    known = find_product(path.stem)
    product, own = known if known is not None else (None, _as_name(path.stem))
    if path.suffix.lower() in _GEOTIFF:
        return _of_geotiff(given if given is not None else own, path, product)
    options: dict[str, Any] = {} if path.suffix != _ZARR else {"engine": "zarr"}
    if path.is_dir():
        options["consolidated"] = False
    try:
        ds = xr.open_dataset(path, chunks={}, decode_coords="all", **options)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as NetCDF or Zarr ({error}): fetch it anew, or open it with "
            "xarray and hand the Dataset over"
        ) from error
    if product is not None and product.variable in ds:
        ds = ds[[product.variable]]
    called = given if given is not None or product is None else own
    return _of_dataset(called, ds, str(path), product)


def _as_name(stem: str) -> str:
    return re.sub(r"\W+", "_", stem).strip("_")


def _of_geotiff(name: str, path: Path, product: Product | None) -> list[Layer]:
    try:
        opened = rioxarray.open_rasterio(
            path,
            chunks={"x": _READ_CHUNK, "y": _READ_CHUNK},
            mask_and_scale=True,
            lock=False,
        )
        classes = band_classes(path)
    except (OSError, RasterioError) as error:
        raise InputError(f"{path} cannot be read as a raster ({error}): fetch it anew") from error
    assert isinstance(opened, xr.DataArray)  # one for each set of subdatasets, which these lack
    if opened.rio.crs is None and (product is None or not product.crs):
        again = f'rioxarray.open_rasterio("{path}", masked=True)'
        raise CoordinateError(
            f"{path} states no CRS, so its cells cannot be placed: hand it over with one, as in "
            f'{{"{name}": {again}.rio.write_crs("EPSG:...")}}'
        )
    described = opened.attrs.get("long_name")
    many = opened.sizes["band"] > 1
    missing = opened.rio.encoded_nodata
    layers = []
    for i in range(opened.sizes["band"]):
        band = opened.isel(band=i, drop=True)
        if isinstance(described, tuple):
            band.attrs["long_name"] = described[i]
        units = opened.attrs.get("units")
        if isinstance(units, tuple):
            band.attrs["units"] = units[i]
        own = f"{name}_{i + 1}" if many else name
        named = {value: name for value, name in classes[i].items() if value != missing}
        layers.append(_layer(own, band, str(path), product, named))
    return layers


def _of_dataset(
    given: str | None, ds: xr.Dataset, origin: str, known: Product | None
) -> list[Layer]:
    bounds = {v.attrs.get("bounds", v.encoding.get("bounds")) for v in ds.variables.values()}
    mapping = grid_mapping_name(ds)
    names = [
        str(n)
        for n, da in ds.data_vars.items()
        if n not in bounds and n != mapping and da.ndim >= 2 and da.dtype.kind in "fiub"
    ]
    if not names:
        raise InputError(
            f"{origin} holds no raster: variables on two dimensions of space are needed (it has "
            f"{', '.join(map(str, ds.data_vars)) or 'none'})"
        )
    if given is not None and len(names) > 1:
        called = {n: f"{given}_{n}" for n in names}
    else:
        called = {n: given if given is not None else n for n in names}
    # As a coordinate it comes along with each variable.
    ds = ds if mapping is None else ds.set_coords(mapping)
    return [_layer(called[n], ds[n], f"{n} of {origin}", known) for n in names]


def _layer(
    name: str,
    da: xr.DataArray,
    origin: str,
    product: Product | None,
    classes: Classes = MappingProxyType({}),
) -> Layer:
    plain = _decoded(dequantify(da), origin)
    # Bands and times of one entry; a row of cells stays a row.
    single = [d for d in plain.dims[:-2] if plain.sizes[d] == 1]
    plain = plain.isel(dict.fromkeys(single, 0), drop=True)
    stated = product.crs if product is not None else None
    grid = find_raster_grid(plain.to_dataset(name=RASTER), origin, stated)
    further = [str(d) for d in plain.dims if d not in (grid.y_dim, grid.x_dim)]
    if further:
        raise InputError(
            f"{origin} varies with {', '.join(further)}, but a covariate is one number a cell: "
            f'reduce it, as in da.mean("{further[0]}"), and hand the DataArray over'
        )
    # A packed file holds measurements, whatever type it packs them into.
    packed = any(plain.encoding.get(k, trivial) != trivial for k, trivial in _PACKING.items())
    whole = np.dtype(plain.encoding.get("dtype", plain.dtype)).kind in "iu" and not packed
    attrs = read_tags({k: v for k, v in plain.attrs.items() if k in _KEPT})
    if classes and whole and "flag_values" not in attrs:
        attrs |= flags(classes)
    data = xr.DataArray(
        as_float(plain).transpose(grid.y_dim, grid.x_dim).data,
        dims=("y", "x"),
        name=name,
        attrs=attrs,
    )
    if product is not None:
        data = _as_product(data, product, name, packed)
    return Layer(name, data, grid, whole, origin, product)


def _decoded(da: xr.DataArray, origin: str) -> xr.DataArray:
    """Leave fill values out of a raster that was opened without; lazy where it is.

    Raises
    ------
    InputError
        If it states a scale or an offset: whether they have been applied cannot be seen.
    """
    packed = {
        k: da.attrs[k] for k, trivial in _PACKING.items() if da.attrs.get(k, trivial) != trivial
    }
    if packed:
        said = ", ".join(f"{k} {v:g}" for k, v in packed.items())
        raise InputError(
            f"{origin} has {said} in its attributes, as where it was opened without decoding: open "
            "it with mask_and_scale=True, or hand over the path; if they have been applied, remove "
            f'them, as in del da.attrs["{next(iter(packed))}"]'
        )
    known = without_fill_values(da)
    if known is da:
        return da
    # As xarray notes it, so that integers are known as such.
    known.encoding = {**da.encoding, "dtype": da.encoding.get("dtype", da.dtype)}
    return known


_PACKING: Final = {"scale_factor": 1.0, "add_offset": 0.0}
_KEPT: Final = ("units", "long_name", "standard_name", "flag_values", "flag_meanings")


def _as_product(data: xr.DataArray, product: Product, name: str, packed: bool) -> xr.DataArray:
    """Give values the meaning and unit of their product."""
    data = data.copy(deep=False)
    data.attrs["long_name"] = product.long_name
    for value in product.missing:
        data = data.where(data != value)
    if product.classes:
        if "flag_values" not in data.attrs:
            data.attrs["flag_values"] = np.array([v for v, _ in product.classes], dtype=np.int16)
            data.attrs["flag_meanings"] = " ".join(m for _, m in product.classes)
        data.attrs.pop("units", None)
        return data
    # A file that states its own factor has been brought to the conventional unit by it.
    scaled = bool(product.converted) and packed
    data.attrs["units"] = product.converted if scaled else product.units
    if product.converted and not scaled:
        data = to_units(data, product.converted, name=name)
    return data


def _refuse_same_names(layers: Sequence[Layer]) -> None:
    origins: dict[str, list[str]] = {}
    for layer in layers:
        origins.setdefault(layer.name, []).append(layer.origin)
    twice = [f"{n} ({', '.join(o)})" for n, o in origins.items() if len(o) > 1]
    if twice:
        raise InputError(
            f"rasters that have the same name: {'; '.join(twice)}; give each its own in a dict, "
            'as in xbinn.stack_covariates({"clay_top": path}, like=grid)'
        )
