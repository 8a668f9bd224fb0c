"""What a spline encoder has learnt, as labelled curves."""

from typing import Final

import numpy as np
import xarray as xr

from xbinn.errors import InputError
from xbinn.learning.encoders import SplineEncoder
from xbinn.learning.encoders.constraints import BEND, HardSigmoidConstraint
from xbinn.model import Model, check_model
from xbinn.parameters import PARAMETER_NAMES, PARAMETERS, prior_bounds

POINTS: Final = 101


def learnt_functions(model: Model, *, points: int = POINTS) -> dict[str, xr.DataArray]:
    """Return what each covariate does to each parameter under a spline encoder.

    Effects add up. Under the hard sigmoid they are in the unit of the parameter, and hold as long
    as their sum stays inside the prior; under the sigmoid they are what is added to u before it,
    dimensionless.

    Parameters
    ----------
    model : Model
        Fitted with ``encoder="spline"``; of an ensemble the first member is taken.
    points : int
        At which the functions of numeric covariates are evaluated, over the range of the training
        cells inside the clips.

    Returns
    -------
    dict of str to DataArray
        Effects by covariate, (parameter, covariate): for a numeric one along its values [its own
        unit], less their mean; for a categorical one along its classes, less that of the class
        "missing". The coordinate ``parameter_units`` has the units.

    Raises
    ------
    InputError
        If the encoder of the model is another one.
    """
    check_model(model)
    encoder = model.predictor.network.encoder
    if not isinstance(encoder, SplineEncoder):
        raise InputError(
            f"the encoder of the model is {encoder.config['encoder']!r}, which has no function of "
            'one covariate: fit with encoder="spline"'
        )
    if points < 2:
        raise InputError(f"points={points} make no curve: give 2 or more")
    straight = isinstance(encoder.constraint, HardSigmoidConstraint)
    bounds = np.array(prior_bounds(model.predictor.prior))  # (parameter, 2)
    factor = np.diff(bounds, axis=1) / (2.0 * BEND) if straight else np.ones((len(bounds), 1))
    units = [p.units if straight else "1" for p in PARAMETERS]
    attrs = {"long_name": "change in the parameter" if straight else "change in u"}
    labels = {"parameter": list(PARAMETER_NAMES), "parameter_units": ("parameter", units)}
    spec = model.predictor.covariates
    found = {}
    values, effects = encoder.functions(points)
    for (name, unit), x, effect in zip(spec.numeric, values, effects, strict=True):
        along = xr.Variable(name, x.double().numpy(), {"units": unit})
        data = factor * effect.double().numpy().T
        found[name] = xr.DataArray(data, {**labels, name: along}, ("parameter", name), name, attrs)
    for number, (name, classes) in enumerate(spec.categorical):
        data = factor * encoder.class_effects(number)[:-1].double().numpy().T
        along = xr.Variable(name, np.array(classes, dtype=np.int64), {"units": "1"})
        found[name] = xr.DataArray(data, {**labels, name: along}, ("parameter", name), name, attrs)
    return found
