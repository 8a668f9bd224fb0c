"""How alike are residuals of profiles that lie near each other?

A fit that has taken from the covariates what they say of space leaves residuals that are as
different nearby as far away: a flat semivariogram. One that rises with distance says that
something varies in space which the covariates do not hold.

References
----------
Matheron 1963, doi:10.2113/gsecongeo.58.8.1246.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import xarray as xr

from xbinn.errors import InputError
from xbinn.science.metrics import DEPTH_RANGES, in_depth_range, on_scale
from xbinn.variables import PROFILE, SAMPLE

EARTH_RADIUS: Final = 6371.0
"""Mean radius (km; IUGG 1980)."""
MOST_PROFILES: Final = 3000
"""More are thinned out: the number of pairs grows with the square."""
_NEEDED: Final = ("soc_observed", "soc_modelled", "depth_top", "depth_bottom")
_CHUNK: Final = 500
"""Profiles whose pairs are looked at together."""


def semivariogram(
    predictions: xr.Dataset,
    *,
    depth_range: str = "0-30 cm",
    bins: int = 15,
    farthest: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    r"""Estimate the semivariogram of residuals of ln SOC, the mean of each profile.

    .. math:: \gamma(h) = \frac{1}{2 N(h)} \sum_{|x_i - x_j| \approx h} (r_i - r_j)^2

    Parameters
    ----------
    predictions : Dataset
        ``predictions`` of a `xbinn.CrossValidation`, so that no residual is of a network that has
        seen its profile: ``soc_observed`` and ``soc_modelled`` (profile, sample) [kg m-3].
    depth_range : {"all", "0-30 cm", "30-100 cm"}
        Samples that the mean of a profile is of.
    bins : int
        Of distance, of equal width.
    farthest : float, optional
        Distance [km] at which the last one ends; by default a third of the greatest.
    seed : int
        Of the choice of 3000 profiles where there are more.

    Returns
    -------
    Dataset
        ``semivariance`` (distance) [1], of ln kg m-3, NaN where there is no pair; ``pairs``
        (distance); ``variance`` [1] of all residuals, which the semivariance comes up to where
        residuals no longer depend on each other. ``distance`` [km] is the mean of the pairs.

    Raises
    ------
    InputError
        If predictions are missing, settings are impossible, or fewer than two profiles have
        residuals.
    """
    missing = [name for name in _NEEDED if name not in predictions.variables]
    if missing:
        raise InputError(
            f"predictions lack {', '.join(missing)}: give cv.predictions of "
            "cv = ds.binn.cross_validate(profiles)"
        )
    if depth_range not in DEPTH_RANGES:
        raise InputError(
            f"depth_range={depth_range!r} is not known: choose one of "
            f"{', '.join(map(repr, DEPTH_RANGES))}"
        )
    if bins < 1 or (farthest is not None and not farthest > 0.0):
        raise InputError(f"bins={bins} and farthest={farthest} must be above 0")
    residual = _residuals(predictions, depth_range)
    chosen = np.flatnonzero(np.isfinite(residual))
    if chosen.size < 2:
        raise InputError(
            f"{chosen.size} profiles have residuals in {depth_range}, two or more are needed: give "
            "more profiles, or another depth_range"
        )
    if chosen.size > MOST_PROFILES:
        chosen = np.random.default_rng(seed).choice(chosen, MOST_PROFILES, replace=False)
    residual = residual[chosen]
    place = _unit_vectors(*(predictions[n].values[chosen] for n in ("lat", "lon")))
    if farthest is None:
        farthest = max(float(h.max()) for h, _ in _pairs(place, residual)) / 3.0 or 1.0
    count, total, reach = np.zeros((3, bins))
    for distance, squares in _pairs(place, residual):
        near = distance < farthest
        number = (distance[near] / farthest * bins).astype(np.int64)
        count += np.bincount(number, minlength=bins)
        total += np.bincount(number, squares[near], minlength=bins)
        reach += np.bincount(number, distance[near], minlength=bins)
    middle = (np.arange(bins) + 0.5) * farthest / bins
    with np.errstate(invalid="ignore"):
        semivariance, mean = 0.5 * total / count, reach / count
    found = xr.Dataset(
        {
            "semivariance": (
                "distance",
                semivariance,
                {"units": "1", "long_name": "semivariance of residuals of ln SOC"},
            ),
            "pairs": ("distance", count.astype(np.int64), {"units": "1", "long_name": "pairs"}),
            "variance": (
                (),
                float(residual.var(ddof=1)),
                {"units": "1", "long_name": "variance of residuals of ln SOC"},
            ),
        },
        {
            "distance": (
                "distance",
                np.where(count > 0, mean, middle),
                {"units": "km", "long_name": "distance"},
            )
        },
    )
    found.attrs = {
        "title": "Semivariogram of residuals",
        "profiles": int(chosen.size),
        "depth_range": depth_range,
    }
    return found


def _residuals(predictions: xr.Dataset, depth_range: str) -> np.ndarray:
    """Mean residual of ln SOC of each profile, (profile,); NaN where there is none."""
    arrays = (predictions[n].transpose(PROFILE, SAMPLE).values for n in _NEEDED)
    observed, modelled, top, bottom = arrays
    residual = on_scale(observed, "log") - on_scale(modelled, "log")
    used = np.isfinite(residual) & in_depth_range(top, bottom, depth_range)
    number = used.sum(axis=1)
    total = np.where(used, residual, 0.0).sum(axis=1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _unit_vectors(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Places (n, 3) on the unit sphere."""
    phi, lam = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=1)


def _pairs(place: np.ndarray, residual: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Great-circle distance [km] and squared difference of all pairs, some profiles at a time."""
    for start in range(0, len(place), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(place)))
        later = np.arange(len(place))[None, :] > rows[:, None]
        chord = np.linalg.norm(place[rows][:, None] - place[None], axis=2)[later]
        distance = 2.0 * EARTH_RADIUS * np.arcsin(np.minimum(0.5 * chord, 1.0))
        difference = (residual[rows][:, None] - residual[None])[later]
        if distance.size:
            yield distance, difference**2
