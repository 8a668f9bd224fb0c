"""A look at inputs before they are used."""

import xarray as xr

from xbinn.labels.checking import check_inputs
from xbinn.labels.reports import Report
from xbinn.model import Model, check_model
from xbinn.options import Bedrock


def check(
    ds: xr.Dataset,
    profiles: xr.Dataset | None = None,
    *,
    model: Model | None = None,
    bedrock: Bedrock = "closed",
) -> Report:
    """Look whether inputs can be used, and say what was recognised and what to do.

    Names, units, dimensions and places are looked at first; values are read once, chunk by chunk.
    Problems are told in the words with which `fit` and `predict` refuse them.

    Parameters
    ----------
    ds : Dataset
        Covariates and forcing on any spatial dimensions.
    profiles : Dataset, optional
        SOC profiles.
    model : Model, optional
        Look for the covariates of this model, and for cells whose covariates lie outside what it
        was trained on. By default for those that a fit would choose.
    bedrock : {"closed", "published"}
        Which rules nbedrock has to keep; that of the model, where one is given.

    Returns
    -------
    Report
        Prints as text, shows as HTML; ``ok`` says whether there is no problem, ``problems`` lists
        them, ``to_dict`` and ``to_html`` hand all of it on.

    Raises
    ------
    InputError
        If ``ds`` is no Dataset, or ``model`` no Model.

    Examples
    --------
    >>> import xbinn
    >>> xbinn.check(xbinn.testing.small_grid()).ok
    True
    """
    if model is None:
        return check_inputs(ds, profiles, bedrock=bedrock)
    check_model(model)
    return check_inputs(
        ds,
        profiles,
        bedrock=model.predictor.bedrock,
        spec=model.predictor.covariates,
        ranges=model.training_data.get("covariate_ranges", {}),
    )
