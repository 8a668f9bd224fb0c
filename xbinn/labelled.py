"""From labelled inputs through a block function to a labelled result."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import xarray as xr

from xbinn.errors import CoordinateError, ParameterError
from xbinn.labels.blocks import lay_out_inputs, space_of
from xbinn.labels.carry import carry_bounds, carry_grid
from xbinn.labels.check import check_axes, check_dataset
from xbinn.labels.encoding import (
    dataset_attributes,
    link_ancillary,
    output_attributes,
    output_coordinates,
    posterior_coordinates,
    sensitivity_coordinates,
)
from xbinn.labels.forcing import standardise_forcing
from xbinn.labels.priors import check_parameters
from xbinn.labels.units import dequantify
from xbinn.running.dispatch import run_blocks
from xbinn.running.layout import Layout
from xbinn.variables import DEPTH, DEPTH_ALIASES, MONTH


def on_one_grid(forcing: xr.Dataset, parameters: xr.Dataset) -> xr.Dataset:
    """Forcing and parameters together, after checking that their places are the same."""
    layered = {
        f"{name} varies with {dim}": dim
        for name, da in parameters.data_vars.items()
        for dim in da.dims
        if dim in (MONTH, DEPTH, *DEPTH_ALIASES)
    }
    if layered:
        raise ParameterError(
            f"parameters are one number a column, but {'; '.join(layered)}: reduce them, as in "
            f"parameters.mean({next(iter(layered.values()))!r})"
        )
    try:
        return forcing.reset_coords(drop=True).merge(
            parameters.reset_coords(drop=True), join="exact", combine_attrs="drop"
        )
    except xr.AlignmentError as error:
        raise CoordinateError(
            f"parameters and ds do not lie on the same coordinates ({error}); bring them together "
            'with parameters.reindex_like(ds, method="nearest", tolerance=...)'
        ) from error


def with_parameters(ds: xr.Dataset, parameters: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Bring given parameters together with the forcing of a grid.

    Parameters
    ----------
    ds : Dataset
        Forcing on any spatial dimensions.
    parameters : Dataset
        The 21 parameters in physical units, broadcast against ``ds``.

    Returns
    -------
    ds, inputs : Dataset
        ``ds`` with the coordinates of the parameters, and the standardised inputs of a block.

    Raises
    ------
    InputError
        If forcing is missing or cannot be used, or parameters lie on other coordinates.
    ParameterError
        If parameters are missing, or vary with month or depth.
    """
    check_dataset(ds)
    forcing = standardise_forcing(ds)
    given = check_parameters(parameters)
    inputs = on_one_grid(forcing, given)
    # A scalar coordinate, such as the place of a column, makes way for a dimension.
    own = {
        n: c.reset_coords(drop=True)
        for n, c in given.coords.items()
        if c.dims and (n not in ds.variables or not ds[n].dims)
    }
    return ds.drop_vars([n for n in own if n in ds.coords]).assign_coords(own), inputs


@dataclass(frozen=True)
class About:
    """What a result says of itself: title, what made it, and the call that did."""

    title: str
    source: str
    call: str


def run_labelled(
    ds: xr.Dataset,
    inputs: xr.Dataset,
    layout: Layout,
    function: Any,
    dtype: str,
    about: About,
    **kwargs: Any,
) -> xr.Dataset:
    """Run a block function over standardised inputs and label what comes back."""
    ds = dequantify(ds)
    space = space_of(inputs)
    check_axes(ds, space)
    plain = lay_out_inputs(inputs, space)
    outputs = run_blocks(function, plain, space, layout, dtype, **kwargs)
    return label(ds, outputs, layout, space, about)


def label(
    ds: xr.Dataset,
    outputs: Mapping[str, xr.Variable],
    layout: Layout,
    space: tuple[str, ...],
    about: About,
) -> xr.Dataset:
    """Give outputs coordinates, CRS and attributes.

    Parameters
    ----------
    ds : Dataset
        The grid, plain.
    outputs : mapping of str to Variable
        As `xbinn.running.dispatch.run_blocks` returns them.
    layout : Layout
        Which outputs they are.
    space : tuple of str
        Spatial dimensions of ``outputs``.
    about : About
        For the attributes of the Dataset.
    """
    own = xr.Dataset(coords=output_coordinates(pools=True)).assign_coords(sensitivity_coordinates())
    if layout.posterior is not None:
        posterior = layout.posterior
        own = own.assign_coords(posterior_coordinates(posterior.samples, posterior.quantiles))
    dims = {dim for variable in outputs.values() for dim in variable.dims}
    # Bounds go along with their coordinate.
    coords = {n: c.variable for n, c in own.coords.items() if c.dims[0] in dims}
    result = xr.Dataset(outputs, coords=coords)
    for name in outputs:
        result[name].attrs = output_attributes(name)
    # How the source was packed and chunked in its file says nothing of the result.
    result = carry_bounds(ds, carry_grid(ds, result, space)).drop_encoding()
    for coordinate in result.coords.values():
        # CF allows no missing value in a coordinate, and xarray would state one.
        coordinate.encoding["_FillValue"] = None
    done = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {about.call}"
    result.attrs = dataset_attributes(
        title=about.title,
        summary="Steady state of CLM5's soil carbon model, 7 pools by 20 layers",
        source=about.source,
        history="\n".join(filter(None, (done, ds.attrs.get("history")))),
    )
    return link_ancillary(result)
