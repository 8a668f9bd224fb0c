"""True parameters of the idealised continent, as functions of its covariates."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import xarray as xr

from xbinn.errors import InputError
from xbinn.idealised.continent import LAND_COVER, ROCKS, logistic
from xbinn.parameters import PARAMETERS, prior_bounds

_PREDICTORS: Final = (
    "annual_mean_temperature", "wetness", "clay", "ph", "elevation", "land_cover",
    "parent_material",
)  # fmt: skip

TRUTH: Final[Mapping[str, tuple[float, Mapping[str, float]]]] = {
    "diffus": (-1.3, {"wet": 0.8, "warm": 0.4}),
    "cryo": (-0.3, {"warm": -0.6}),
    "q10": (-0.5, {"warm": 0.5, "wet": 0.4}),
    "efolding": (0.8, {"clay": -0.8, "high": 0.4, "grass": 0.6}),
    "taucwd": (0.0, {"warm": -0.6}),
    "taul1": (0.0, {"wet": -0.4}),
    "taul2": (0.0, {"wet": -0.5, "warm": -0.3}),
    "tau4s1": (-0.6, {"clay": 0.6}),
    "tau4s2": (-0.2, {"clay": 0.8, "warm": -0.4, "lime": 0.5}),
    "tau4s3": (-0.3, {"clay": 0.9, "lime": 0.5, "basalt": 1.0}),
    "fl1s1": (0.0, {"warm": -0.4}),
    "fl2s1": (0.0, {"warm": -0.4, "clay": 0.3}),
    "fl3s2": (0.0, {"wet": 0.4}),
    "fs1s2": (0.3, {"clay": 0.8, "acid": -0.3}),
    "fs1s3": (-1.8, {"clay": 0.7, "basalt": 0.8}),
    "fs2s1": (0.2, {"clay": -0.4}),
    "fs2s3": (-1.2, {"clay": 0.5, "lime": 0.6, "basalt": 0.6}),
    "fs3s1": (-0.2, {"acid": 0.4}),
    "fcwdl2": (0.0, {"warm": 0.3}),
    "w_scaling": (-1.2, {"wet": -0.6, "high": 0.3}),
    "beta": (1.7, {"warm": 0.7, "wet": -0.4, "grass": -0.7}),
}
"""Parameter: (a, {predictor: b}); the place in prior ``binn`` is u = 1 / (1 + exp(-a - sum b x)).
The predictors x are those of `predictors`."""


def predictors(grid: xr.Dataset) -> dict[str, xr.DataArray]:
    """What the true parameters depend on, from the covariates of `continent`; all of order 1.

    ``warm`` = (annual_mean_temperature - 5 degC) / 15, ``wet`` = 2 wetness - 1,
    ``clay`` = (clay - 25 percent) / 15, ``acid`` = 6.5 - ph, ``high`` = elevation / 2000 m;
    ``grass``, ``lime``, ``basalt`` are 1 on grassland, limestone and basalt, else 0.

    Raises
    ------
    InputError
        If covariates of the idealised continent are missing.
    """
    missing = [n for n in _PREDICTORS if n not in grid]
    if missing:
        raise InputError(
            f"true parameters are known on the idealised continent only; the grid lacks its "
            f"covariates {', '.join(missing)}: take xbinn.datasets.open_grid() with XBINN_DATA "
            "unset, or xbinn.testing.small_grid()"
        )
    d = grid[list(_PREDICTORS)].astype(np.float64)
    x = {
        "warm": (d["annual_mean_temperature"] - 5.0) / 15.0,
        "wet": 2.0 * d["wetness"] - 1.0,
        "clay": (d["clay"] - 25.0) / 15.0,
        "acid": 6.5 - d["ph"],
        "high": d["elevation"] / 2000.0,
        "grass": d["land_cover"] == 1 + LAND_COVER.index("grassland"),
        "lime": d["parent_material"] == 1 + ROCKS.index("limestone"),
        "basalt": d["parent_material"] == 1 + ROCKS.index("basalt"),
    }
    return x


def true_parameters(grid: xr.Dataset) -> xr.Dataset:
    """Return the parameters that made the idealised profiles, by the formula of `TRUTH`.

    Parameters
    ----------
    grid : Dataset
        Made by `continent`.

    Returns
    -------
    Dataset
        The 21 parameters (*space), physical units, float64, NaN in the ocean.

    Raises
    ------
    InputError
        If ``grid`` lacks covariates of the idealised continent.
    """
    x = predictors(grid)
    truth = xr.Dataset(
        attrs={
            "title": "True parameters of the idealised continent",
            "description": "idealised: functions of the covariates (xbinn.idealised.truth.TRUTH)",
            "prior": "binn",
        }
    )
    for parameter, (low, high) in zip(PARAMETERS, prior_bounds("binn"), strict=True):
        centre, slopes = TRUTH[parameter.name]
        logit = sum((slope * x[name] for name, slope in slopes.items()), xr.zeros_like(x["warm"]))
        # The predictors of the land alone are known: warm is NaN in the ocean, grass is not.
        value = (low + (high - low) * logistic(centre + logit)).where(x["warm"].notnull())
        value.attrs = {
            "long_name": parameter.long_name,
            "units": parameter.units,
            "provenance": "idealised: true value",
        }
        truth[parameter.name] = value.transpose(*grid["elevation"].dims)
    return truth
