"""One recovery experiment: make the truth, observe it, fit, draw samples at the held-out sites."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from xbinn.labels.covariates import CovariateSpec
from xbinn.labels.sites import Sites
from xbinn.learning.data import TrainingData
from xbinn.learning.encoders import build_encoder
from xbinn.learning.model import BINN
from xbinn.learning.posterior import drawing, sample_dropout
from xbinn.parameters import N_PARAMETERS, PARAMETER_NAMES, prior_bounds
from xbinn.physics.partly_known import KnownForcing, PartlyKnownModel
from xbinn.physics.processes import processes
from xbinn.physics.steady_state import SoilCarbonModel, SteadyState
from xbinn.science.ensemble import member_settings
from xbinn.science.fitting import (
    encoder_config,
    only_seen_categories,
    recoded,
    train_on,
    training_data,
    validation_sites,
)
from xbinn.science.information import Information, fisher_information, observation_jacobian
from xbinn.science.recovery_scores import Recovered
from xbinn.science.settings import FitSettings, check_dtype
from xbinn.science.synthetic import observed_sites, true_functions
from xbinn.variables import PROCESS_NAMES

LEAST_NOISE: Final = 0.05
"""Assumed for the identifiability of less noisy cases: no fit follows its data more closely."""
RECOVERED_PROCESSES: Final = tuple(name for name in PROCESS_NAMES if name != "carbon_input")
"""Carbon input is forcing."""
_PRIOR_DRAWS: Final = 48
"""Parameter vectors a site that the spread of processes under the prior comes from."""


Member = tuple[BINN[KnownForcing, SteadyState], TrainingData[KnownForcing]]
"""A network, and the held-out sites with their categories numbered as it knows them."""


@dataclass(frozen=True)
class Case:
    """One experiment.

    Attributes
    ----------
    kind : {"linear", "smooth", "interaction", "threshold"}
        Of the true functions, see `xbinn.science.synthetic`.
    noise : float
        Relative standard deviation of observations, 0 to 0.6.
    unknown : tuple of str
        Parameters to be found; the others are known to the fit. All by default.
    """

    kind: str = "smooth"
    noise: float = 0.3
    unknown: tuple[str, ...] = PARAMETER_NAMES

    @property
    def name(self) -> str:
        """Say what it is, as in "smooth, noise 30 %, 4 unknown"."""
        return f"{self.kind}, noise {100 * self.noise:g} %, {len(self.unknown)} unknown"


@dataclass(frozen=True)
class Part:
    """What a task needs besides the sites."""

    case: Case
    settings: FitSettings
    held_out: np.ndarray  # (site,) boolean
    samples: int
    seed: int


def recover_case(
    sites: Sites, covariates: CovariateSpec, part: Part, device: torch.device
) -> tuple[Recovered, Information]:
    """Run one case; a task of its own, see `recover_parameters`."""
    settings, case, away = part.settings, part.case, part.held_out
    truth = true_functions(sites, covariates, kind=case.kind, prior=settings.prior, seed=part.seed)
    synthetic = observed_sites(
        sites,
        truth.parameters,
        noise=case.noise,
        bedrock=settings.bedrock,
        observation=settings.observation,
        seed=part.seed,
    )
    training = synthetic.select(~away)
    process = PartlyKnownModel(SoilCarbonModel(settings.bedrock), case.unknown)
    parts = synthetic, truth.parameters, away
    members = [
        _fit_member(*parts, covariates, process, own, device) for own in member_settings(settings)
    ]
    jacobian, site = observation_jacobian(
        training,
        truth.parameters[:, ~away],
        prior=settings.prior,
        bedrock=settings.bedrock,
        observation=settings.observation,
    )
    information = fisher_information(
        jacobian,
        site,
        training.n_sites,
        noise=max(case.noise, LEAST_NOISE),
        unknown=case.unknown,
    )
    data = members[0][1]
    unit, by_process = _draw(members, part)
    rows = [PARAMETER_NAMES.index(name) for name in case.unknown]
    known = SoilCarbonModel(settings.bedrock).steady_state(
        data.forcing.parameters, data.forcing.forcing
    )
    prior = _prior_processes(data, process, settings, part.seed)
    recovered = Recovered(
        case.unknown, truth.unit[rows][:, away], unit, _logs(known), by_process, prior
    )
    return recovered, information


def _fit_member(
    synthetic: Sites,
    parameters: np.ndarray,
    away: np.ndarray,
    covariates: CovariateSpec,
    process: PartlyKnownModel,
    settings: FitSettings,
    device: torch.device,
) -> Member:
    """Fit one network; return it ready to be sampled, with the held-out sites as it sees them."""
    training = synthetic.select(~away)
    stop = validation_sites(training, settings)
    training, seen = only_seen_categories(training, covariates, ~stop)
    test = recoded(synthetic.select(away), covariates, seen)
    config = encoder_config(seen, settings, n_outputs=len(process.unknown))
    encoder = build_encoder(config, module=settings.module, seed=settings.options.seed)
    network = BINN(encoder, process, prior=settings.prior)
    dtype = check_dtype(settings.dtype)
    train_on(
        network, _known(training, parameters[:, ~away], settings, dtype, device), stop, settings
    )
    # In float64, as maps are made.
    data = _known(test, parameters[:, away], settings, torch.float64, torch.device("cpu"))
    return sample_dropout(network.double().eval()), data


def _known(
    sites: Sites,
    parameters: np.ndarray,
    settings: FitSettings,
    dtype: torch.dtype,
    device: torch.device,
) -> TrainingData[KnownForcing]:
    """Tensors of sites, with the truth where parameters are known."""
    data = training_data(sites, settings.bedrock, settings.observation, dtype, device)
    truth = torch.from_numpy(np.ascontiguousarray(parameters)).to(device)
    return TrainingData(
        data.numeric,
        data.categorical,
        KnownForcing(data.forcing, truth),
        data.site,
        data.weights,
        data.observed,
        data.sample_weights,
    )


def _draw(members: Sequence[Member], part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Posterior samples of parameters and ln processes, (sample, row, site) each.

    Members take turns, as in `xbinn.predict`.
    """
    units, found = [], []
    with torch.inference_mode():
        for sample in range(part.samples):
            network, data = members[sample % len(members)]
            with drawing(part.seed, sample):
                estimate = network(data.numeric, data.categorical, data.forcing)
            units.append(estimate.unit.T.numpy())
            found.append(_logs(estimate.state))
    return np.stack(units), np.stack(found)


def _prior_processes(
    data: TrainingData[KnownForcing],
    process: PartlyKnownModel,
    settings: FitSettings,
    seed: int,
) -> np.ndarray:
    """Ln processes for unknown parameters drawn from the prior, (draw, process, site)."""
    low, high = torch.tensor(prior_bounds(settings.prior), dtype=torch.float64).T[:, :, None]
    rows = [PARAMETER_NAMES.index(name) for name in process.unknown]
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    with torch.inference_mode():
        for _ in range(_PRIOR_DRAWS):
            shape = (N_PARAMETERS, data.n_sites)
            unit: Tensor = torch.rand(shape, generator=generator, dtype=torch.float64)
            values = (low + (high - low) * unit)[rows]
            drawn.append(_logs(process.steady_state(values, data.forcing)))
    return np.stack(drawn)


def _logs(state: SteadyState) -> np.ndarray:
    """Natural logarithm of the processes, (process, site); NaN where there is none."""
    diagnosed = vars(processes(state))
    values = torch.stack([diagnosed[name] for name in RECOVERED_PROCESSES]).double()
    return torch.where(values > 0.0, values, torch.nan).log().numpy()
