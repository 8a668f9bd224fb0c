"""One recovery experiment: make the truth, observe it, fit, draw samples at the held-out sites."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from xbinn.labels.covariates import CovariateSpec, select_covariates
from xbinn.labels.sites import Sites, gather_sites
from xbinn.labels.spatial_blocks import spatial_blocks
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
    usable_sites,
    validation_sites,
)
from xbinn.science.information import Information, fisher_information, observation_jacobian
from xbinn.science.recovery_scores import Recovered
from xbinn.science.settings import FitSettings, check_dtype, is_real
from xbinn.science.synthetic import (
    KINDS,
    LIMITS,
    MAX_NOISE,
    MAX_SPREAD,
    SPREAD,
    observed_sites,
    true_functions,
)
from xbinn.variables import PROCESS_NAMES

LEAST_NOISE: Final = 0.05
"""Assumed for the identifiability of less noisy cases: no fit follows its data more closely."""
RECOVERED_PROCESSES: Final = tuple(name for name in PROCESS_NAMES if name != "carbon_input")
"""Carbon input is forcing."""
_DRAWS: Final = 48
"""Parameter vectors a site that the spread of processes of truths comes from."""


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
    spread : float
        Standard deviation of a true parameter over its prior range, before it is cut near the ends;
        0.29 is that of the prior.
    """

    kind: str = "smooth"
    noise: float = 0.3
    unknown: tuple[str, ...] = PARAMETER_NAMES
    spread: float = SPREAD

    @property
    def name(self) -> str:
        """Say what it is, as in "smooth, noise 30 %, 4 unknown"."""
        wide = "" if self.spread == SPREAD else f", spread {self.spread:g}"
        return f"{self.kind}, noise {100 * self.noise:g} %, {len(self.unknown)} unknown{wide}"

    def problems(self) -> list[str]:
        """Say what cannot be used."""
        found = []
        if self.kind not in KINDS:
            found.append(f"kind={self.kind!r} (must be one of {', '.join(KINDS)})")
        if not is_real(self.noise) or not 0.0 <= self.noise <= MAX_NOISE:
            found.append(f"noise={self.noise!r} (must be a number from 0 to {MAX_NOISE})")
        if not is_real(self.spread) or not 0.0 < self.spread <= MAX_SPREAD:
            found.append(
                f"spread={self.spread!r} (must be a number above 0, up to {MAX_SPREAD}: a "
                "standard deviation over the prior range)"
            )
        return found


@dataclass(frozen=True)
class Part:
    """What a task needs besides the sites."""

    case: Case
    settings: FitSettings
    held_out: np.ndarray  # (site,) boolean
    samples: int
    seed: int


def gather_experiment(
    ds: xr.Dataset, profiles: xr.Dataset, settings: FitSettings
) -> tuple[Sites, CovariateSpec, np.ndarray]:
    """Find the usable sites of profiles, what describes them, and the spatial block of each."""
    spec = select_covariates(ds, settings.covariates, settings.categorical)
    sites = gather_sites(ds, profiles, spec, bedrock=settings.bedrock, tolerance=settings.tolerance)
    sites = usable_sites(sites, settings.prior, settings.bedrock, settings.observation)
    return sites, spec, spatial_blocks(sites.lat, sites.lon, settings.block_size)


def recover_case(
    sites: Sites, covariates: CovariateSpec, part: Part, device: torch.device
) -> tuple[Recovered, Information]:
    """Run one case; a task of its own, see `recover_parameters`."""
    settings, case, away = part.settings, part.case, part.held_out
    truth = true_functions(
        sites,
        covariates,
        kind=case.kind,
        prior=settings.prior,
        seed=part.seed,
        spread=case.spread,
    )
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
    among = _processes_of_truths(data, process, settings, case.spread, part.seed)
    recovered = Recovered(
        case.unknown, case.spread, truth.unit[rows][:, away], unit, _logs(known), by_process, among
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


def _processes_of_truths(
    data: TrainingData[KnownForcing],
    process: PartlyKnownModel,
    settings: FitSettings,
    spread: float,
    seed: int,
) -> np.ndarray:
    """Ln processes for unknown parameters that spread as those of truths, (draw, process, site)."""
    low, high = torch.tensor(prior_bounds(settings.prior), dtype=torch.float64).T[:, :, None]
    rows = [PARAMETER_NAMES.index(name) for name in process.unknown]
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    with torch.inference_mode():
        for _ in range(_DRAWS):
            shape = (N_PARAMETERS, data.n_sites)
            unit: Tensor = torch.randn(shape, generator=generator, dtype=torch.float64)
            unit = (0.5 + spread * unit).clamp(*LIMITS)
            values = (low + (high - low) * unit)[rows]
            drawn.append(_logs(process.steady_state(values, data.forcing)))
    return np.stack(drawn)


def _logs(state: SteadyState) -> np.ndarray:
    """Natural logarithm of the processes, (process, site); NaN where there is none."""
    diagnosed = vars(processes(state))
    values = torch.stack([diagnosed[name] for name in RECOVERED_PROCESSES]).double()
    return torch.where(values > 0.0, values, torch.nan).log().numpy()
