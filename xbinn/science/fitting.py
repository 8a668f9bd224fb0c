"""From sites to a fitted network: tensors, split, training."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from xbinn.errors import InputError
from xbinn.labels.covariates import CovariateSpec
from xbinn.labels.sites import Sites
from xbinn.labels.spatial_blocks import spatial_blocks
from xbinn.learning.encoders import build_encoder
from xbinn.learning.model import BINN, ForcingT, StateT
from xbinn.learning.noise import ObservationNoise
from xbinn.learning.observation import observation_weights
from xbinn.learning.training import (
    History,
    Progress,
    TrainingData,
    modelled_samples,
    train,
)
from xbinn.model import Model
from xbinn.options import Bedrock
from xbinn.parameters import N_PARAMETERS, Prior, prior_bounds
from xbinn.physics.columns import Columns
from xbinn.physics.steady_state import SoilCarbonModel
from xbinn.running.predictor import Network, Predictor, for_inference
from xbinn.running.tensors import as_tensor, pack_forcing
from xbinn.science.crossvalidation import VALIDATIONS, hold_out
from xbinn.science.metrics import on_scale
from xbinn.science.noise import middle_depth, noise_of
from xbinn.science.settings import FitSettings, check_dtype, recorded

VALIDATION_FRACTION: Final = 0.15
"""Share of the sites that decide when to stop."""


@dataclass(frozen=True)
class Prepared:
    """Sites that a network can be fitted to.

    Attributes
    ----------
    sites : Sites
        Without those that the model cannot speak of.
    covariates : CovariateSpec
        Without categories that no training site has.
    held_out : ndarray (site,)
        Sites that decide when to stop, boolean.
    """

    sites: Sites
    covariates: CovariateSpec
    held_out: np.ndarray


def prepare(sites: Sites, covariates: CovariateSpec, settings: FitSettings) -> Prepared:
    """Leave out what cannot be used and split what is left, see `Prepared`."""
    sites = usable_sites(sites, settings.prior, settings.bedrock, settings.observation)
    held_out = validation_sites(sites, settings)
    return Prepared(*only_seen_categories(sites, covariates, ~held_out), held_out)


def encoder_config(
    covariates: CovariateSpec, settings: FitSettings, *, n_outputs: int
) -> dict[str, Any]:
    """Complete the encoder's configuration with the sizes that the data decide."""
    config = {**settings.encoder, "n_outputs": n_outputs}
    if config["encoder"] != "constant":
        config["n_numeric"] = len(covariates.numeric)
        config["n_categories"] = covariates.n_categories
    return config


def train_network(
    network: BINN[Columns, StateT],
    prepared: Prepared,
    settings: FitSettings,
    *,
    device: torch.device,
    progress: Progress | None = None,
) -> History:
    """Train any network whose process model takes this forcing; it ends on the CPU."""
    dtype = check_dtype(settings.dtype)
    data = training_data(prepared.sites, settings.bedrock, settings.observation, dtype, device)
    return train_on(network, data, prepared.held_out, settings, progress=progress)


def train_on(
    network: BINN[ForcingT, StateT],
    data: TrainingData[ForcingT],
    held_out: np.ndarray,  # (site,) boolean
    settings: FitSettings,
    *,
    progress: Progress | None = None,
) -> History:
    """Train any network on the device of its data; it ends on the CPU."""
    device = data.numeric.device
    network.to(device=device)
    network.encoder.to(dtype=check_dtype(settings.dtype))
    inside, outside = (
        torch.from_numpy(np.flatnonzero(which)).to(device) for which in (~held_out, held_out)
    )
    validation = data.select(outside) if len(outside) else None
    history = train(network, data.select(inside), validation, settings.options, progress=progress)
    network.to("cpu")
    return history


def fit_sites(
    sites: Sites,
    covariates: CovariateSpec,
    settings: FitSettings,
    *,
    device: torch.device,
    progress: Progress | None = None,
) -> Model:
    """Fit a network to sites.

    Parameters
    ----------
    sites : Sites
        Cells with samples.
    covariates : CovariateSpec
        What the columns of ``sites.numeric`` and ``sites.categorical`` are.
    settings : FitSettings
        See `xbinn.fit`; how many members there are to be plays no part here.
    device : torch.device
        Where to train.
    progress : callable, optional
        Called after every epoch with the number of epochs done and the history.
    """
    prepared = prepare(sites, covariates, settings)
    config = encoder_config(prepared.covariates, settings, n_outputs=N_PARAMETERS)
    network: Network = BINN(
        build_encoder(config, module=settings.module, seed=settings.options.seed),
        SoilCarbonModel(settings.bedrock),
        prior=settings.prior,
    )
    history = train_network(network, prepared, settings, device=device, progress=progress)
    used = prepared.sites
    noise = learnt_noise(network, prepared, settings)
    return Model(
        Predictor((network,), prepared.covariates, settings.prior, settings.bedrock, noise),
        settings=recorded(settings),
        record=[asdict(history)],
        training_data={
            "fingerprint": used.fingerprint(),
            "sites": used.n_sites,
            "profiles": used.n_profiles,
            "samples": len(used.soc),
            "validation_samples": int(prepared.held_out[used.site].sum()),
            "left_out": used.left_out,
            "overlapping_samples": used.overlapping,
            "covariate_ranges": _ranges(used.numeric[~prepared.held_out], prepared.covariates),
        },
    )


def _ranges(
    numeric: np.ndarray,  # (site, covariate)
    covariates: CovariateSpec,
) -> dict[str, list[float]]:
    """Least and greatest value of each numeric covariate that the network has seen."""
    if not len(numeric):
        return {}
    ends = np.stack([numeric.min(axis=0), numeric.max(axis=0)], axis=1)
    names = (name for name, _ in covariates.numeric)
    return {name: [float(v) for v in pair] for name, pair in zip(names, ends, strict=True)}


def learnt_noise(network: Network, prepared: Prepared, settings: FitSettings) -> ObservationNoise:
    """Learn the observation noise on the validation part, or on all sites where there is none."""
    held_out, sites = prepared.held_out, prepared.sites
    apart = sites.select(held_out) if held_out.any() else sites
    dtype, cpu = check_dtype(settings.dtype), torch.device("cpu")
    data = training_data(apart, settings.bedrock, settings.observation, dtype, cpu)
    return noise_of(network, data, middle_depth(apart))


def usable_sites(sites: Sites, prior: Prior, bedrock: Bedrock, observation: str) -> Sites:
    """Leave out, and count, what the model cannot say anything about.

    Sites without carbon input or steady state under any parameters, and samples wholly below
    bedrock.
    """
    cpu = torch.device("cpu")
    forcing = pack_forcing(sites.forcing, dtype=torch.float64, device=cpu)
    bounds = torch.tensor(prior_bounds(prior), dtype=torch.float64)
    middle = bounds.mean(dim=1, keepdim=True).expand(-1, sites.n_sites)
    with torch.inference_mode():
        state = SoilCarbonModel(bedrock).steady_state(middle, forcing)
    supplied = (state.annual_input > 0.0).numpy()
    sites = sites.without(supplied, None, "no carbon input in the cell")
    steady = state.has_steady_state.numpy()[supplied]
    sites = sites.without(steady, None, "no steady state in the cell")
    everywhere = np.ones(sites.n_sites, dtype=bool)
    _, seen = _operator(sites, bedrock, observation)
    return sites.without(everywhere, seen.numpy(), "sample below bedrock")


def modelled_soc(model: Model, sites: Sites) -> tuple[np.ndarray, Sites]:
    """What a fitted model says of every sample (sample,) [kg m-3], and the sites it can speak of.

    An ensemble says the mean of its members. Sites that `usable_sites` leaves out are counted in
    what is returned.
    """
    predictor, dtype = model.predictor, check_dtype(model.settings["dtype"])
    observation = model.settings["observation"]
    sites = usable_sites(sites, predictor.prior, predictor.bedrock, observation)
    cpu = torch.device("cpu")
    data = training_data(sites, predictor.bedrock, observation, dtype, cpu)
    data = replace(data, numeric=data.numeric.double())
    members = [modelled_samples(for_inference(n, cpu), data) for n in predictor.networks]
    return torch.stack(members).double().mean(0).numpy(), sites


def validation_sites(sites: Sites, settings: FitSettings) -> np.ndarray:
    """Which sites decide when to stop, (site,) boolean.

    Raises
    ------
    InputError
        If the kind of validation is not known.
    """
    if settings.validation is None:
        return np.zeros(sites.n_sites, dtype=bool)
    if settings.validation not in VALIDATIONS:
        raise InputError(
            f"validation={settings.validation!r} is not known: choose one of "
            f"{', '.join(map(repr, VALIDATIONS))} or None"
        )
    if settings.validation == "spatial_blocks":
        groups = spatial_blocks(sites.lat, sites.lon, settings.block_size)
    else:
        groups = np.arange(sites.n_sites)
    return hold_out(groups, VALIDATION_FRACTION, settings.options.seed, values=mean_log_soc(sites))


def mean_log_soc(sites: Sites) -> np.ndarray:
    """Mean ln SOC of every site, (site,)."""
    logs = on_scale(sites.soc, "log")
    count = np.bincount(sites.site, minlength=sites.n_sites)
    return np.asarray(np.bincount(sites.site, logs, sites.n_sites) / count)


def only_seen_categories(
    sites: Sites, covariates: CovariateSpec, training: np.ndarray
) -> tuple[Sites, CovariateSpec]:
    """Drop the categories that no training site has; their members become "missing"."""
    kept = []
    for column, (name, categories) in enumerate(covariates.categorical):
        present = np.unique(sites.categorical[training, column])
        kept.append((name, tuple(categories[i] for i in present if i < len(categories))))
    seen = replace(covariates, categorical=tuple(kept))
    return recoded(sites, covariates, seen), seen


def recoded(sites: Sites, before: CovariateSpec, after: CovariateSpec) -> Sites:
    """Number categories as another specification of the same covariates does.

    What it does not know becomes "missing".
    """
    codes = np.empty_like(sites.categorical)
    for column, ((_, old), (_, new)) in enumerate(
        zip(before.categorical, after.categorical, strict=True)
    ):
        place = {category: code for code, category in enumerate(new)}
        renumbered = [place.get(category, len(new)) for category in old]
        codes[:, column] = np.array([*renumbered, len(new)])[sites.categorical[:, column]]
    return replace(sites, categorical=codes)


def training_data(
    sites: Sites, bedrock: Bedrock, observation: str, dtype: torch.dtype, device: torch.device
) -> TrainingData[Columns]:
    """Tensors of sites and samples; weights of samples only where any differs from the others.

    What the forcing alone decides is worked out here, once for all batches and epochs.
    """
    weights, _ = _operator(sites, bedrock, observation)
    # Relative to the greatest, so that tiny and huge weights survive float32.
    relative = sites.weight / sites.weight.max()
    alike = bool((relative == 1.0).all())
    return TrainingData(
        numeric=as_tensor(sites.numeric, dtype, device),
        categorical=as_tensor(sites.categorical, torch.int64, device),
        forcing=SoilCarbonModel(bedrock).prepare(
            pack_forcing(sites.forcing, dtype=dtype, device=device).by_column()
        ),
        site=as_tensor(sites.site, torch.int64, device),
        weights=weights.to(device=device, dtype=dtype),
        observed=as_tensor(sites.soc, dtype, device),
        sample_weights=None if alike else as_tensor(relative, dtype, device),
    )


def _operator(sites: Sites, bedrock: Bedrock, observation: str) -> tuple[Tensor, Tensor]:
    """Observation operator (sample, layer) and which samples it sees (sample,)."""
    top, bottom = (torch.from_numpy(np.ascontiguousarray(a)) for a in (sites.top, sites.bottom))
    nbedrock = sites.forcing["nbedrock"]
    # Monthly bedrock reaches here under "published" only, which does not look at it.
    last = torch.from_numpy(np.atleast_2d(nbedrock)[0].astype(np.int64))[
        torch.from_numpy(sites.site)
    ]
    found = observation_weights(observation, top, bottom, last, bedrock)
    return found.weights, found.seen
