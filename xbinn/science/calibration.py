"""Do intervals hold what they promise? Measured on profiles that a fit has not seen, and mended.

An interval of an observation holds the noise of observations; one of the modelled mean does not,
and is not meant to hold observations. Both are scored, so that nobody takes one for the other.

References
----------
Gneiting and Raftery 2007, doi:10.1198/016214506000001437 (CRPS). Chernozhukov et al. 2021,
doi:10.1073/pnas.2107794118, and Dunn et al. 2022, doi:10.1080/01621459.2022.2060112 (conformal).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from xbinn import options
from xbinn.errors import InputError
from xbinn.labels.check import check_dataset
from xbinn.labels.profiles import standardise_profiles
from xbinn.labels.sites import Sites, describe_left_out, gather_sites
from xbinn.labels.spatial_blocks import spatial_blocks
from xbinn.learning.noise import LEVELS
from xbinn.model import Model, check_model
from xbinn.running.draws import quantiles_of
from xbinn.science.fitting import training_data, usable_sites
from xbinn.science.metrics import DEPTH_RANGES, SCALES, BlockBootstrap, in_depth_range, on_scale
from xbinn.science.noise import draw_samples, middle_depth
from xbinn.science.sampling import check_noise, posterior_of
from xbinn.science.settings import check_dtype
from xbinn.variables import PROFILE, SAMPLE

INTERVALS: Final = (0.5, 0.8, 0.9, 0.95)
"""Levels of the central intervals that are scored."""
SAMPLES: Final = 32
"""Of the posterior."""
OF: Final = ("observation", "modelled_mean")
"""What intervals are of."""

_CRPS_LEVELS: Final = (np.arange(200) + 0.5) / 200
_FEWEST_BLOCKS: Final = 10
"""With fewer, not even nine in ten could be promised."""


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Draws of the posterior at held-out samples."""

    sites: Sites
    modelled: Tensor  # (draw, sample)
    depth: Tensor  # (sample,)
    block: np.ndarray  # (sample,)

    @property
    def observed(self) -> Tensor:
        return torch.from_numpy(self.sites.soc.astype(np.float64))


def calibration(
    ds: xr.Dataset,
    model: Model,
    profiles: xr.Dataset,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    block_size: float | str = options.BLOCK_SIZE,
    tolerance: float | None = None,
) -> xr.Dataset:
    """Score the intervals of a model on profiles that the fit has not seen.

    Parameters
    ----------
    ds, model
        As for `xbinn.predict`.
    profiles : Dataset
        Held out from the fit by whole blocks, see `xbinn.science.crossvalidation.split_profiles`.
    samples, seed : int
        Of the posterior, as for `xbinn.predict`; ``samples=1`` for a network without dropout.
    block_size : float or str
        Edge of the blocks that are resampled, in degrees or as "200 km".
    tolerance : float, optional
        As for `xbinn.fit`.

    Returns
    -------
    Dataset
        ``coverage`` (interval_of, level, depth_range), the share of observations within the central
        interval, and ``crps`` (interval_of, scale, depth_range), the continuous ranked probability
        score in kg m-3 and in ln kg m-3: 2 times the mean of the pinball losses of 200 equally
        spaced quantiles. Each with ``_low`` and ``_high``, the 90 % interval from resampling
        blocks. ``pit`` (profile, sample), the probability of an observation up to the one made;
        these are spread evenly from 0 to 1 where the noise is right. ``n`` (depth_range).

    Raises
    ------
    InputError
        If inputs cannot be used, or the model has no such samples or no observation noise.
    ProfileError
        If no profile can be used.
    """
    noise = check_noise(_checked(ds, model))
    drawn = _draw(ds, model, profiles, samples, seed, block_size, tolerance)
    sites, observed = drawn.sites, drawn.sites.soc.astype(np.float64)
    tails = [0.5 + side * 0.5 * level for level in INTERVALS for side in (-1.0, 1.0)]
    asked = (*tails, *map(float, _CRPS_LEVELS))
    found = {
        "observation": noise.quantiles(asked, drawn.modelled, drawn.depth).numpy(),
        "modelled_mean": quantiles_of(drawn.modelled.numpy(), asked),
    }
    inside, crps = [], []
    for of in OF:
        low, high = found[of][: len(tails) : 2], found[of][1 : len(tails) : 2]
        inside.append((observed >= low) & (observed <= high))
        crps.append([_crps(found[of][len(tails) :], observed, scale) for scale in SCALES])
    coords: dict[str, Any] = {
        "interval_of": list(OF),
        "level": ("level", list(INTERVALS), {"units": "1", "long_name": "nominal coverage"}),
        "scale": list(SCALES),
        "depth_range": list(DEPTH_RANGES),
    }
    result = xr.Dataset(coords=coords)
    chosen = [in_depth_range(sites.top, sites.bottom, name) for name in DEPTH_RANGES]
    for name, values, dim, long_name in (
        ("coverage", inside, "level", "share of observations within the central interval"),
        ("crps", crps, "scale", "continuous ranked probability score of observations"),
    ):
        means = _means(np.asarray(values, dtype=np.float64), chosen, drawn.block)
        for suffix, array in zip(("", "_low", "_high"), means, strict=True):
            result[name + suffix] = (("interval_of", dim, "depth_range"), array)
            result[name + suffix].attrs = {"long_name": long_name}
        result[name + "_low"].attrs["long_name"] = f"5 % quantile over blocks: {long_name}"
        result[name + "_high"].attrs["long_name"] = f"95 % quantile over blocks: {long_name}"
    for suffix in ("", "_low", "_high"):
        result["coverage" + suffix].attrs["units"] = "1"
        result["crps" + suffix].attrs["comment"] = (
            "kg m-3 on the linear scale, 1 (natural logarithm) on the log"
        )
    count = {"units": "1", "long_name": "number of samples"}
    result["n"] = ("depth_range", [int(c.sum()) for c in chosen], count)
    pit = noise.cdf(drawn.observed, drawn.modelled, drawn.depth).numpy()
    result["pit"] = _on_profiles(profiles, sites, pit)
    result.attrs = {
        "title": "Calibration of intervals on profiles",
        "source": f"xbinn {version('xbinn')}, model sha256 {model.sha256}",
        "noise": noise.describe(),
        "samples": samples,
        "left_out": describe_left_out(sites.left_out) or "none",
    }
    return result


def recalibrate(
    ds: xr.Dataset,
    model: Model,
    profiles: xr.Dataset,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    block_size: float | str = options.BLOCK_SIZE,
    tolerance: float | None = None,
) -> Model:
    """Widen or narrow the intervals of observations until they hold what they promise.

    Split conformal prediction by blocks. The score of a sample is the level of the central interval
    that it lies on the edge of. All blocks count alike, and one more, as if of the place to be
    predicted, counts as missed: a sample of a new block, drawn like these, then lies within the
    interval at least as often as its level says, up to (blocks)/(blocks + 1); higher levels are
    interpolated and promise nothing. Medians stay.

    Parameters
    ----------
    ds, model
        As for `xbinn.predict`.
    profiles : Dataset
        Neither learnt from, nor to be tested on afterwards.
    samples, seed, block_size, tolerance
        As for `calibration`.

    Returns
    -------
    Model
        With other quantiles of observations; the model that was given stays as it is.

    Raises
    ------
    InputError
        As for `calibration`, or if the profiles lie in fewer than ten blocks.
    ProfileError
        If no profile can be used.
    """
    noise = replace(check_noise(_checked(ds, model)), widened=())
    drawn = _draw(ds, model, profiles, samples, seed, block_size, tolerance)
    pit = noise.cdf(drawn.observed, drawn.modelled, drawn.depth).numpy()
    widened = conformal_levels(np.abs(2.0 * pit - 1.0), drawn.block)
    predictor = replace(model.predictor, noise=replace(noise, widened=tuple(widened.tolist())))
    return replace(model, predictor=predictor, _path=None)


def conformal_levels(score: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Level of the interval to take for each of `LEVELS` nominal ones, (level,).

    Parameters
    ----------
    score : ndarray (sample,)
        Level of the central interval that has each observation on its edge.
    block : ndarray (sample,)
        Block of each sample; all blocks weigh alike.

    Raises
    ------
    InputError
        If there are fewer than ten blocks.
    """
    _, number, size = np.unique(block, return_inverse=True, return_counts=True)
    n_blocks = len(size)
    if n_blocks < _FEWEST_BLOCKS:
        raise InputError(
            f"the profiles lie in {n_blocks} blocks, too few to recalibrate on: give profiles of "
            f"{_FEWEST_BLOCKS} or more, or a smaller block_size"
        )
    order = np.argsort(score, kind="stable")
    weight = 1.0 / (size[number] * (n_blocks + 1.0))
    reached = np.cumsum(weight[order])
    nominal = np.linspace(0.0, 1.0, LEVELS)
    most = n_blocks / (n_blocks + 1.0)
    # Rounding must not push a level beyond the sample that it ends at.
    place = np.searchsorted(reached, nominal - 1e-12).clip(max=len(score) - 1)
    levels = score[order][place]
    beyond = nominal > most
    levels[beyond] = np.interp(nominal[beyond], [most, 1.0], [score.max(), 1.0])
    levels[0] = 0.0
    return np.asarray(levels)


def _checked(ds: xr.Dataset, model: Model) -> Model:
    check_dataset(ds)
    check_model(model)
    return model


def _draw(
    ds: xr.Dataset,
    model: Model,
    profiles: xr.Dataset,
    samples: int,
    seed: int,
    block_size: float | str,
    tolerance: float | None,
) -> _Drawn:
    """Draw the posterior at the samples of profiles."""
    if samples == 0:
        raise InputError("samples=0 (must be a whole number, 1 or more): intervals are of samples")
    posterior = posterior_of(
        model, samples=samples, quantiles=(0.5,), reduce=False, dropout=True, seed=seed
    )
    assert posterior is not None
    own, observation = model.predictor, model.settings["observation"]
    sites = gather_sites(ds, profiles, own.covariates, bedrock=own.bedrock, tolerance=tolerance)
    sites = usable_sites(sites, own.prior, own.bedrock, observation)
    dtype, cpu = check_dtype(model.settings["dtype"]), torch.device("cpu")
    data = training_data(sites, own.bedrock, observation, dtype, cpu)
    block = spatial_blocks(sites.lat, sites.lon, block_size)[sites.site]
    return _Drawn(sites, draw_samples(own.networks, data, posterior), middle_depth(sites), block)


def _crps(
    quantiles: np.ndarray,  # (level, sample)
    observed: np.ndarray,  # (sample,)
    scale: str,
) -> np.ndarray:  # (sample,)
    """Score of each sample: 2 times the mean pinball loss of the quantiles at `_CRPS_LEVELS`."""
    miss = on_scale(observed, scale) - on_scale(quantiles, scale)
    level = _CRPS_LEVELS[:, None]
    return np.asarray(2.0 * np.maximum(level * miss, (level - 1.0) * miss).mean(axis=0))


def _means(
    values: np.ndarray,  # (of, row, sample)
    chosen: Sequence[np.ndarray],
    block: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Mean over each depth range and its interval, each (of, row, depth_range)."""
    found = np.full((3, *values.shape[:2], len(chosen)), np.nan)
    for column, which in enumerate(chosen):
        if not which.any():
            continue
        blocks = BlockBootstrap(block[which])
        for place in np.ndindex(*values.shape[:2]):
            total, n = blocks.sums(values[place][which], np.ones(int(which.sum())))
            means = total / n
            found[(slice(None), *place, column)] = (means[0], *blocks.interval(means[1:]))
    return tuple(found)


def _on_profiles(profiles: xr.Dataset, sites: Sites, values: np.ndarray) -> xr.DataArray:
    """Put flat samples back to where they were in the profiles."""
    placed = standardise_profiles(profiles)
    array = np.full((placed.sizes[PROFILE], placed.sizes[SAMPLE]), np.nan)
    array[sites.profile, sites.sample] = values
    attrs = {"units": "1", "long_name": "probability of an observation up to the one made"}
    coords = {n: placed.coords[n] for n in ("lat", "lon")}
    return xr.DataArray(array, coords, (PROFILE, SAMPLE), attrs=attrs)
