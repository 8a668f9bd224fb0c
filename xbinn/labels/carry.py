"""What a result takes over from the grid it was computed on: coordinates, bounds, CRS."""

import rioxarray  # noqa: F401  registers `.rio`
import xarray as xr

from xbinn.labels.space import grid_crs, grid_mapping_name
from xbinn.variables import DEPTH


def carry_grid(source: xr.Dataset, result: xr.Dataset, space: tuple[str, ...]) -> xr.Dataset:
    """Give a result the spatial coordinates and the CRS of its source.

    Parameters
    ----------
    source, result
        Datasets that share the dimensions ``space``.
    space
        Spatial dimensions.

    Returns
    -------
    Dataset
        ``result`` with the coordinates of ``source`` on space, and ``grid_mapping`` in the
        attributes of all spatial variables: as an encoding it would be lost in writing.
    """
    crs = grid_crs(source)
    mapping = grid_mapping_name(source)
    kept = {
        n: c.reset_coords(drop=True)
        for n, c in source.coords.items()
        if set(c.dims) <= set(space) and c.dims
    }
    # Coordinates of their own dimension only: month or another scalar says nothing of the result.
    result = result.assign_coords(kept)
    if crs is None:
        return result
    if mapping is None:
        mapping = "spatial_ref"
        result = result.rio.write_crs(crs)
    else:
        result = result.assign_coords({mapping: source[mapping].reset_coords(drop=True)})
    for da in result.data_vars.values():
        if set(space) & set(da.dims):
            da.encoding.pop("grid_mapping", None)
            da.attrs["grid_mapping"] = str(mapping)
    return result


def carry_bounds(source: xr.Dataset, result: xr.Dataset) -> xr.Dataset:
    """Take the bounds of coordinates along, or the mention of those that are not there."""
    result = result.copy()
    for name, coordinate in source.coords.items():
        bounds = coordinate.attrs.get("bounds", coordinate.encoding.get("bounds"))
        if bounds is None or name not in result.coords or name == DEPTH:
            continue
        if bounds in source.variables:
            result = result.assign_coords({bounds: source[bounds].variable})
            result[name].attrs["bounds"] = bounds
        else:
            result[name].attrs.pop("bounds", None)
    return result
