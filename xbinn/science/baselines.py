"""What a fitted model has to beat, on the samples it is tested on.

All baselines see the same training profiles, and predict the same test samples.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from xbinn.constants import INTERFACE_DEPTH, KG_PER_G, N_LAYERS
from xbinn.labels.encoding import lay_out
from xbinn.labels.priors import default_parameters
from xbinn.labels.sites import Sites, at_cells
from xbinn.labels.space import spatial_dims
from xbinn.learning.encoders import build_encoder
from xbinn.learning.model import BINN
from xbinn.learning.observation import observe
from xbinn.learning.training import Progress, modelled_samples
from xbinn.parameters import N_PARAMETERS, PARAMETER_NAMES
from xbinn.physics.columns import Columns
from xbinn.physics.steady_state import SoilCarbonModel
from xbinn.running.predictor import Network
from xbinn.science.ensemble import member_settings
from xbinn.science.fitting import (
    Prepared,
    encoder_config,
    train_network,
    training_data,
)
from xbinn.science.metrics import on_scale
from xbinn.science.settings import FitSettings

BASELINES: Final[Mapping[str, str]] = {
    "without_physics": "same network without physics",
    "global_parameters": "one global parameter vector",
    "clm5_defaults": "CLM5 default parameters",
    "mean_profile": "mean profile by depth",
}
_CPU: Final = torch.device("cpu")
_LOG_SOC_REACH: Final = 6.0
"""How far from the training mean the network without physics can go, in ln SOC density."""


@dataclass(frozen=True)
class SocLayer:
    """A parameter of `FreeProfile`: ln SOC density of one layer."""

    name: str
    priors: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class FreeState:
    """SOC of `FreeProfile`, (layer, *batch) [gC m-3]."""

    soc: Tensor


@dataclass(frozen=True)
class FreeProfile:
    """A process model without a process: the network says the SOC of every layer outright.

    Parameters
    ----------
    middle : float
        Mean ln SOC density [ln kg m-3] of the training samples, where an untrained network is.
    """

    middle: float

    @property
    def parameters(self) -> tuple[SocLayer, ...]:
        """One parameter per layer, ln kg m-3."""
        bounds = (self.middle - _LOG_SOC_REACH, self.middle + _LOG_SOC_REACH)
        return tuple(SocLayer(f"soc_layer_{j + 1}", {"free": bounds}) for j in range(N_LAYERS))

    def steady_state(self, parameters: Tensor, forcing: Columns) -> FreeState:
        """Return exp of the parameters, (layer, *batch); forcing is not looked at."""
        return FreeState(parameters.exp() / KG_PER_G)


def without_physics(
    training: Prepared,
    test: Sites,
    settings: FitSettings,
    *,
    device: torch.device = _CPU,
    progress: Progress | None = None,
) -> np.ndarray:
    """SOC of the test samples from the same network without physics, (sample,) [kg m-3].

    As many members as the settings ask for, of which the mean is taken. A module of
    the user's has as many outputs as there are parameters, and there are layers here: the MLP with
    the default sizes takes its place.
    """
    middle = np.average(on_scale(training.sites.soc, "log"), weights=training.sites.weight)
    process = FreeProfile(float(middle))
    if settings.module is not None:
        settings = replace(settings, encoder={"encoder": "mlp"}, module=None)
    config = encoder_config(training.covariates, settings, n_outputs=len(process.parameters))
    each = member_settings(settings)
    members = [
        BINN(build_encoder(config, seed=one.options.seed), process, prior="free") for one in each
    ]
    found = [
        _trained(network, training, test, one, device, progress)
        for network, one in zip(members, each, strict=True)
    ]
    return np.asarray(np.mean(found, axis=0))


def global_parameters(
    training: Prepared,
    test: Sites,
    settings: FitSettings,
    *,
    device: torch.device = _CPU,
    progress: Progress | None = None,
) -> np.ndarray:
    """SOC of the test samples under one parameter vector for all cells, (sample,) [kg m-3]."""
    encoder = build_encoder({"encoder": "constant", "n_outputs": N_PARAMETERS})
    network: Network = BINN(encoder, SoilCarbonModel(settings.bedrock), prior=settings.prior)
    return _trained(network, training, test, settings, device, progress)


def clm5_defaults(ds: xr.Dataset, test: Sites, settings: FitSettings) -> np.ndarray:
    """SOC of the test samples under CLM5's default parameters, (sample,) [kg m-3]."""
    space = spatial_dims(ds)
    sizes = {dim: ds.sizes[dim] for dim in space}
    defaults = default_parameters(ds)
    here = at_cells(defaults.map(lay_out, leading=(), space=sizes), space, test.cell)
    parameters = torch.from_numpy(np.stack([here[name] for name in PARAMETER_NAMES]))
    data = training_data(test, settings.bedrock, settings.observation, torch.float64, _CPU)
    state = SoilCarbonModel(settings.bedrock).steady_state(parameters, data.forcing)
    modelled = observe(state.soc * KG_PER_G, data.weights, data.site)
    return np.asarray(modelled.numpy())


def mean_profile(
    training: Sites, test: Sites, *, transform: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Mean of the training samples by depth, seen by the test samples, (sample,).

    Parameters
    ----------
    training, test : Sites
        Where the mean is taken, and where it is used.
    transform : callable
        From SOC density [kg m-3] to the scale on which means are taken and returned.
    """
    values = transform(training.soc)
    weights = _overlap(training) * training.weight[:, None]
    total = weights.sum(axis=0)
    # Layers that no sample reaches take the mean of the deepest that one does.
    profile = np.divide(weights.T @ values, total, out=np.zeros(N_LAYERS), where=total > 0.0)
    reached = np.flatnonzero(total > 0.0)
    nearest = np.searchsorted(reached, np.arange(N_LAYERS)).clip(max=len(reached) - 1)
    profile = profile[reached[nearest]]
    seen = _overlap(test)
    return np.asarray(seen @ profile / seen.sum(axis=1))


def _trained(
    network: BINN[Columns, Any],
    training: Prepared,
    test: Sites,
    settings: FitSettings,
    device: torch.device,
    progress: Progress | None,
) -> np.ndarray:
    train_network(network, training, settings, device=device, progress=progress)
    dtype = next(network.parameters()).dtype
    data = training_data(test, settings.bedrock, settings.observation, dtype, _CPU)
    return np.asarray(modelled_samples(network, data).double().numpy())


def _overlap(sites: Sites) -> np.ndarray:
    """Overlap of every sample with every layer, (sample, layer) [m]."""
    lower = np.array(INTERFACE_DEPTH[:N_LAYERS])
    upper = np.concatenate([[0.0], lower[:-1]])
    overlap = np.minimum(sites.bottom[:, None], lower) - np.maximum(sites.top[:, None], upper)
    return np.asarray(overlap.clip(min=0.0))
