"""The inputs of a prediction as a block function takes them: standardised, laid out, plain."""

import xarray as xr

from xbinn.labels.check import all_at_once
from xbinn.labels.covariates import CovariateSpec, covariate_arrays
from xbinn.labels.encoding import lay_out
from xbinn.labels.forcing import standardise_forcing
from xbinn.labels.space import spatial_dims
from xbinn.variables import DEPTH, FORCING, FORCING_NAMES, MONTH


def prediction_inputs(ds: xr.Dataset, spec: CovariateSpec) -> xr.Dataset:
    """Forcing and covariates of a network, standardised; lazy where ``ds`` is.

    Parameters
    ----------
    ds : Dataset
        Forcing and covariates on any spatial dimensions, among any other variables.
    spec : CovariateSpec
        Covariates of the network.

    Raises
    ------
    InputError
        If variables are missing or cannot be used; all of them are looked at first.
    """
    forcing, covariates = all_at_once(
        lambda: standardise_forcing(ds), lambda: covariate_arrays(ds, spec)
    )
    together: xr.Dataset = forcing.merge(covariates, join="exact", combine_attrs="drop")
    return together


def space_of(inputs: xr.Dataset) -> tuple[str, ...]:
    """Return the spatial dimensions of inputs, in the order of the result."""
    others = (str(d) for da in inputs.data_vars.values() for d in da.dims)
    beside = (d for d in others if d not in (MONTH, DEPTH))
    return tuple(dict.fromkeys((*spatial_dims(inputs), *beside)))


def lay_out_inputs(inputs: xr.Dataset, space: tuple[str, ...]) -> xr.Dataset:
    """Inputs without coordinates, (month, depth, *space), (month, *space) or (*space).

    Parameters
    ----------
    inputs : Dataset
        Standardised variables.
    space : tuple of str
        Spatial dimensions in order. A forcing variable that lacks one is repeated along it; a
        number stays a number.
    """
    sizes = {dim: inputs.sizes[dim] for dim in space}
    laid_out = {
        name: lay_out(da, tuple(str(d) for d in da.dims if d not in sizes), sizes)
        if da.ndim or name in FORCING_NAMES
        else da
        for name, da in inputs.data_vars.items()
    }
    return xr.Dataset({name: da.variable for name, da in laid_out.items()})


def used_variables(ds: xr.Dataset, spec: CovariateSpec) -> xr.Dataset:
    """Return the variables of a Dataset that `prediction_inputs` looks at, as they are."""
    names = [next((n for n in (v.name, *v.aliases) if n in ds.variables), None) for v in FORCING]
    found = (n for n in (*names, *spec.names) if n is not None and n in ds.variables)
    used: xr.Dataset = ds[list(dict.fromkeys(found))]
    return used
