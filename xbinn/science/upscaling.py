"""From retrieved parameters to maps: the second half of PRODA.

PRODA infers the parameters of each profile by itself and then fits a network from covariates to
what was retrieved. The result here is an `xbinn.Model` like that of a fit, but for what its network
was trained on, so that it predicts, scores and is saved in the same way.

As published are the widths of the network, ReLU, Adadelta, and bootstrap members. Not as published
are the features (covariates standardised and clipped, categories embedded, as in every network of
xbinn), the constraint to the prior, the loss (mean squared difference of fractions of the prior
range), early stopping on blocks of space, and the number of members (published: 200).

References
----------
Tao et al. 2020, doi:10.3389/fdata.2020.00017 (PRODA).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any, Final, cast

import numpy as np
import torch
import xarray as xr

from xbinn import options
from xbinn.constants import INTERFACE_DEPTH
from xbinn.errors import InputError, ProfileError
from xbinn.labels.covariates import CovariateSpec, select_covariates
from xbinn.labels.priors import to_unit_interval
from xbinn.labels.sites import Sites, describe_left_out, gather_sites
from xbinn.labels.spatial_blocks import spatial_blocks
from xbinn.learning.encoders import CovariateEncoder, build_encoder
from xbinn.learning.encoders.plain import PLAIN_HIDDEN
from xbinn.learning.losses import RELATIVE_ERROR
from xbinn.learning.model import BINN
from xbinn.learning.noise import assumed_noise
from xbinn.learning.regression import Targets, regress
from xbinn.model import Model
from xbinn.options import Bedrock, Observation, Validation
from xbinn.parameters import PARAMETER_NAMES, PRIORS, Prior
from xbinn.physics.steady_state import SoilCarbonModel
from xbinn.running.predictor import Network, Predictor
from xbinn.running.tensors import as_tensor
from xbinn.science.crossvalidation import hold_out
from xbinn.science.ensemble import join, member_settings
from xbinn.science.fits import run_fits
from xbinn.science.fitting import VALIDATION_FRACTION, encoder_config, only_seen_categories
from xbinn.science.settings import FitSettings, check_dtype, fit_settings, recorded
from xbinn.science.synthetic import log_sd
from xbinn.variables import PROFILE

MEMBERS: Final = 10
"""Networks by default; 200 are published."""
EPOCHS: Final = 200
PATIENCE: Final = 25
BATCH_SIZE: Final = 32
LEARNING_RATE: Final = 1.0
"""Factor on the steps of Adadelta, which has a step of its own (Zeiler 2012)."""

NOT_CONVERGED: Final = "profiles: chains not converged"
NOT_RETRIEVED: Final = "profiles: no parameters retrieved"

_UNUSED: Final = ("loss", "regularization", "weight_decay", "averaging", "clip")
"""Settings of a fit to carbon that a fit to parameters has no use for."""


@dataclass(frozen=True)
class _Part:
    """What a task needs besides sites: one sample a profile, whose carbon plays no part."""

    settings: FitSettings
    unit: np.ndarray  # (sample, parameter)


def upscale(
    ds: xr.Dataset,
    retrieved: xr.Dataset,
    *,
    covariates: Sequence[str] | None = None,
    categorical: Sequence[str] | None = None,
    members: int = MEMBERS,
    hidden: int | Sequence[int] = PLAIN_HIDDEN,
    validation: Validation | None = "spatial_blocks",
    block_size: float | str = options.BLOCK_SIZE,
    tolerance: float | None = None,
    observation: Observation = "layer_mean",
    epochs: int = EPOCHS,
    patience: int = PATIENCE,
    batch_size: int = BATCH_SIZE,
    learning_rate: float = LEARNING_RATE,
    seed: int | None = None,
    device: str = "auto",
    report: Callable[[int], None] | None = None,
) -> Model:
    """Fit networks from covariates to parameters that were retrieved profile by profile.

    With a distributed client each member is a task.

    Parameters
    ----------
    ds : Dataset
        Covariates (*space) and forcing (month, depth, *space) on any spatial dimensions.
    retrieved : Dataset
        From `xbinn.science.proda.retrieve`: the 21 parameters (profile,) in physical units,
        ``converged`` (profile,), coordinates ``lat``, ``lon``; attributes ``prior`` and
        ``bedrock`` say what they were retrieved under. Profiles that have not converged
        are left out and counted.
    covariates, categorical
        As for `xbinn.fit`.
    members : int
        Networks, each fitted to a bootstrap sample of the profiles, with validation blocks of its
        own; 200 are published. A single one is fitted to the profiles as they are.
    hidden : int or sequence of int
        Widths of the hidden layers; the default is published.
    validation : {"spatial_blocks", "random"} or None
        How to hold out 15 % of the cells to decide when to stop; None trains for all epochs.
    block_size : float or str
        Edge of a validation block in degrees, or as "200 km" in an equal-area projection.
    tolerance : float, optional
        As for `xbinn.fit`.
    observation : {"layer_mean", "node"}
        How `xbinn.score` is to compare the model with samples; no part of this fit.
    epochs : int
        Passes over the profiles at most.
    patience : int
        Epochs without a better validation loss before training stops.
    batch_size : int
        Profiles in a batch.
    learning_rate : float
        Factor on the steps of Adadelta.
    seed : int, optional
        Equal seeds give equal models on one kind of device.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
    report : callable, optional
        Called after every member with the number done.

    Returns
    -------
    Model
        For `xbinn.predict`, `xbinn.score` and the like. Of several members, `xbinn.predict` says
        the mean, and with ``samples=members`` standard deviation and quantiles over them. The
        noise of observations is the error of 60 % that retrieval assumes.

    Raises
    ------
    InputError
        If covariates, forcing, coordinates or settings cannot be used, or ``retrieved`` does not
        say what it was retrieved under.
    ParameterError
        If parameters are missing or lie outside the prior.
    ProfileError
        If no profile can be used.
    TrainingError
        If the loss stops being finite.
    """
    about = _under(retrieved)
    settings = fit_settings(
        prior=about.prior,
        bedrock=about.bedrock,
        observation=observation,
        hidden=hidden,
        dropout=0.0,
        members=members,
        validation=validation,
        block_size=block_size,
        tolerance=tolerance,
        epochs=epochs,
        patience=patience,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        covariates=covariates,
        categorical=categorical,
        device=device,
    )
    widths, constraint = settings.encoder["hidden"], settings.encoder["constraint"]
    plain = {"encoder": "plain", "hidden": widths, "constraint": constraint}
    settings = replace(settings, encoder=plain)
    spec = select_covariates(ds, settings.covariates, settings.categorical)
    unit, usable, lost = _usable(retrieved, settings.prior)
    sites = gather_sites(
        ds, _stand_ins(retrieved, usable), spec, bedrock=settings.bedrock, tolerance=tolerance
    )
    sites = replace(sites, left_out=lost | sites.left_out)
    each = member_settings(settings)
    return join(
        run_fits(
            _fit_member,
            sites,
            spec,
            [_Part(replace(one, members=members), unit[usable][sites.profile]) for one in each],
            names=[f"member {n}, seed {s.options.seed}" for n, s in enumerate(each)],
            device=device,
            report=report,
        )
    )


@dataclass(frozen=True)
class _Under:
    prior: Prior
    bedrock: Bedrock


def _under(retrieved: xr.Dataset) -> _Under:
    """What parameters were retrieved under: without it, they say nothing of carbon."""
    names = ("prior", "bedrock")
    missing = [name for name in names if name not in retrieved.attrs]
    if missing or retrieved.attrs["prior"] not in PRIORS:
        what = f"lacks {', '.join(missing)}" if missing else f"has {retrieved.attrs['prior']!r}"
        raise InputError(
            f"the attributes of retrieved say under which prior and bedrock its parameters hold, "
            f"and it {what}: take a result of xbinn.science.proda.retrieve, or set them with "
            "retrieved.assign_attrs(prior='proda', bedrock='closed')"
        )
    prior, bedrock = (retrieved.attrs[name] for name in names)
    return _Under(cast(Prior, prior), cast(Bedrock, bedrock))


def _usable(retrieved: xr.Dataset, prior: Prior) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Parameters (profile, parameter) in the unit interval, which to use, and what is lost."""
    needed = [n for n in ("converged", "lat", "lon") if n not in retrieved.variables]
    if needed:
        raise InputError(
            f"retrieved has no {', '.join(needed)}: take a result of "
            "xbinn.science.proda.retrieve, or assign them on its profiles"
        )
    scaled = to_unit_interval(retrieved, prior=prior)
    columns = [scaled[name].transpose(PROFILE).values for name in PARAMETER_NAMES]
    unit = np.stack(columns, axis=1)
    known = np.isfinite(unit).all(axis=1)
    converged = retrieved["converged"].values.astype(bool)
    usable = known & converged
    counts = {NOT_RETRIEVED: int((~known).sum()), NOT_CONVERGED: int((known & ~converged).sum())}
    lost = {why: n for why, n in counts.items() if n}
    if not usable.any():
        raise ProfileError(
            f"no profile of {len(unit)} can be used ({describe_left_out(lost) or 'none given'}): "
            "retrieve them with more steps"
        )
    return unit, usable, lost


def _stand_ins(retrieved: xr.Dataset, usable: np.ndarray) -> xr.Dataset:
    """One sample a profile, so that profiles find their cells; its carbon plays no part."""
    n = int(usable.sum())
    one = ((PROFILE, "sample"), np.ones((n, 1)))
    place = {k: (PROFILE, retrieved[k].values[usable]) for k in ("lat", "lon")}
    return xr.Dataset(
        {
            "soc": (*one, {"units": "kg m-3"}),
            "depth_top": (one[0], np.zeros((n, 1)), {"units": "m"}),
            "depth_bottom": (one[0], np.full((n, 1), INTERFACE_DEPTH[0]), {"units": "m"}),
        },
        place,
    )


def _fit_member(
    sites: Sites, covariates: CovariateSpec, part: _Part, device: torch.device
) -> Model:
    """Fit one member; a task of its own."""
    settings = part.settings
    held_out = _held_out(sites, settings)
    sites, seen = only_seen_categories(sites, covariates, ~held_out)
    config = encoder_config(seen, settings, n_outputs=len(PARAMETER_NAMES))
    encoder = cast(CovariateEncoder, build_encoder(config, seed=settings.options.seed))
    network: Network = BINN(encoder, SoilCarbonModel(settings.bedrock), prior=settings.prior)
    dtype = check_dtype(settings.dtype)
    data = Targets(
        as_tensor(sites.numeric[sites.site], dtype, device),
        as_tensor(sites.categorical[sites.site], torch.int64, device),
        as_tensor(part.unit, dtype, device),
    )
    inside, outside = (np.flatnonzero(which[sites.site]) for which in (~held_out, held_out))
    if settings.members > 1:
        inside = np.random.default_rng(settings.options.seed).choice(inside, len(inside))
    rows, away = (torch.from_numpy(which).to(device) for which in (inside, outside))
    chosen = settings.options
    network.to(device)
    history = regress(
        encoder,
        data.select(rows),
        data.select(away) if len(away) else None,
        epochs=chosen.epochs,
        patience=chosen.patience,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        seed=chosen.seed,
    )
    network.to("cpu").eval()
    return Model(
        Predictor(
            (network,),
            seen,
            settings.prior,
            settings.bedrock,
            assumed_noise(log_sd(RELATIVE_ERROR)),
        ),
        settings=_recorded(settings),
        record=[asdict(history)],
        training_data={
            "fingerprint": _fingerprint(sites, part.unit),
            "sites": sites.n_sites,
            "profiles": sites.n_profiles,
            "samples": sites.n_profiles,
            "validation_samples": len(outside),
            "left_out": sites.left_out,
            "overlapping_samples": 0,
        },
    )


def _held_out(sites: Sites, settings: FitSettings) -> np.ndarray:
    """Which sites decide when to stop, (site,) boolean."""
    if settings.validation is None:
        return np.zeros(sites.n_sites, dtype=bool)
    groups = np.arange(sites.n_sites)
    if settings.validation == "spatial_blocks":
        groups = spatial_blocks(sites.lat, sites.lon, settings.block_size)
    return hold_out(groups, VALIDATION_FRACTION, settings.options.seed)


def _recorded(settings: FitSettings) -> dict[str, Any]:
    kept = {k: v for k, v in recorded(settings).items() if k not in _UNUSED}
    return kept | {"fitted_to": "parameters", "members": 1}


def _fingerprint(sites: Sites, unit: np.ndarray) -> str:
    values = np.ascontiguousarray(unit).tobytes()
    return sha256(sites.fingerprint().encode() + values).hexdigest()
