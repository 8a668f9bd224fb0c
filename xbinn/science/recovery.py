"""Parameter recovery: what a fit finds of parameters that are known because they were made.

Parameters are made known functions of the covariates (`xbinn.science.synthetic`); the soil carbon
model, seen at the places and depths of the profiles and with noise, gives observations; a network
is fitted to these as to real ones, and what it says in blocks that it has not seen is compared with
the truth.

References
----------
Xu et al. 2025, arXiv:2502.00672, where four of the parameters are recovered and the others known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from xbinn.errors import InputError
from xbinn.labels.covariates import CovariateSpec, select_covariates
from xbinn.labels.sites import Sites, gather_sites
from xbinn.labels.spatial_blocks import spatial_blocks
from xbinn.learning.data import TrainingData
from xbinn.learning.encoders import build_encoder
from xbinn.learning.model import BINN
from xbinn.learning.posterior import drawing, has_dropout, sample_dropout
from xbinn.parameters import N_PARAMETERS, PARAMETER_NAMES, prior_bounds
from xbinn.physics.partly_known import KnownForcing, PartlyKnownModel
from xbinn.physics.processes import processes
from xbinn.physics.steady_state import SoilCarbonModel, SteadyState
from xbinn.science.crossvalidation import hold_out
from xbinn.science.fits import run_fits
from xbinn.science.fitting import (
    encoder_config,
    only_seen_categories,
    recoded,
    train_on,
    training_data,
    usable_sites,
    validation_sites,
)
from xbinn.science.identifiability import (
    Information,
    fisher_information,
    function_index,
    label_information,
    observation_jacobian,
)
from xbinn.science.recovery_scores import Recovered, label_recovery
from xbinn.science.settings import FitSettings, check_dtype, fit_settings
from xbinn.science.synthetic import KINDS, MAX_NOISE, check_unknown, observed_sites, true_functions
from xbinn.variables import PROCESS_NAMES

SUBSET: Final = ("efolding", "tau4s3", "fs1s3", "w_scaling")
"""Parameters that the published experiment recovers, the others being known."""
LEAST_NOISE: Final = 0.05
"""Assumed for the identifiability of less noisy cases: no fit follows its data more closely."""
RECOVERED_PROCESSES: Final = tuple(name for name in PROCESS_NAMES if name != "carbon_input")
"""Carbon input is forcing."""
_PRIOR_DRAWS: Final = 48
"""Parameter vectors a site that the spread of processes under the prior comes from."""


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
class _Part:
    """What a task needs besides the sites."""

    case: Case
    settings: FitSettings
    held_out: np.ndarray  # (site,) boolean
    samples: int
    seed: int


def recover_parameters(
    ds: xr.Dataset,
    profiles: xr.Dataset,
    *,
    cases: Sequence[Case] = (Case(),),
    samples: int = 50,
    fraction: float = 0.2,
    fit: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
    report: Callable[[int], None] | None = None,
) -> xr.Dataset:
    """Fit networks to synthetic observations of known parameters, and compare.

    With a distributed client each case is a task.

    Parameters
    ----------
    ds, profiles
        As for `xbinn.fit`. Of the profiles places and depths are used; their SOC only in that a
        sample has any.
    cases : sequence of Case
        What to try; all share the sites, the held-out blocks and the seed.
    samples : int
        Of the posterior, by Monte Carlo dropout, 2 or more.
    fraction : float
        Share of the spatial blocks to hold out, about.
    fit : mapping, optional
        Keywords of `xbinn.fit`, such as ``{"epochs": 20}``, but for seed and device. The
        encoder needs dropout.
    seed : int
        Of truth, noise, blocks, fits and samples.
    device : str
        As for `xbinn.fit`.
    report : callable, optional
        Called after every case with the number done.

    Returns
    -------
    Dataset
        By ``case``: ``parameter_true``, ``parameter_estimate``, ``parameter_low``,
        ``parameter_high`` (case, parameter, site), fractions of the prior range at the cells of
        held-out blocks, the interval being that of 90 % of the samples; scores
        ``parameter_correlation``, ``_r2``, ``_bias``, ``_rmse``, ``_coverage``, ``_shift``,
        ``_contraction`` (case, parameter), NaN where a parameter is known; the same for the natural
        logarithm of each ``process``; and what `xbinn.science.identifiability` says of the
        training sites at the truth: ``index``, ``column_index`` (its median over columns),
        ``function_index`` (parameter), where parameters are linear functions of the numeric
        covariates, ``eigenvalue``, ``loading`` and effective ranks.

    Raises
    ------
    InputError
        If inputs, cases or settings cannot be used.
    ProfileError
        If no profile can be used.
    TrainingError
        If the loss of a fit stops being finite.

    Notes
    -----
    Dropout intervals are not calibrated: ``coverage`` says how often they hold the truth.
    """
    settings = fit_settings(**{**(fit or {}), "seed": seed, "device": device})
    cases = _checked(cases, samples, settings)
    spec = select_covariates(ds, settings.covariates, settings.categorical)
    sites = gather_sites(ds, profiles, spec, bedrock=settings.bedrock, tolerance=settings.tolerance)
    sites = usable_sites(sites, settings.prior, settings.bedrock, settings.observation)
    blocks = spatial_blocks(sites.lat, sites.lon, settings.block_size)
    held_out = hold_out(blocks, fraction, seed)
    found = run_fits(
        recover_case,
        sites,
        spec,
        [_Part(case, settings, held_out, samples, seed) for case in cases],
        names=[case.name for case in cases],
        device=device,
        report=report,
    )
    test, training = (sites.select(which) for which in (held_out, ~held_out))
    labelled = [
        label_recovery(result, test).merge(
            _summary(information, training), join="outer", compat="no_conflicts"
        )
        for result, information in found
    ]
    result = xr.concat(
        [one.reindex(parameter=list(PARAMETER_NAMES)) for one in labelled],
        "case",
        join="outer",
        coords="minimal",
        compat="override",
        combine_attrs="override",
    )
    result = result.assign_coords(
        case=[case.name for case in cases],
        kind=("case", [case.kind for case in cases]),
        noise=("case", [case.noise for case in cases], {"units": "1"}),
        n_unknown=("case", [len(case.unknown) for case in cases]),
    )
    result.attrs = {
        "title": f"Recovery of known parameters, synthetic truth on: {ds.attrs.get('title', '')}",
        "source": f"xbinn {version('xbinn')}, prior {settings.prior}, bedrock {settings.bedrock}",
        "seed": seed,
        "training_sites": training.n_sites,
        "training_samples": len(training.soc),
        "held_out_sites": test.n_sites,
        "posterior_samples": samples,
    }
    return result


def recover_case(
    sites: Sites, covariates: CovariateSpec, part: _Part, device: torch.device
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
    stop = validation_sites(training, settings)
    training, seen = only_seen_categories(training, covariates, ~stop)
    test = recoded(synthetic.select(away), covariates, seen)
    process = PartlyKnownModel(SoilCarbonModel(settings.bedrock), case.unknown)
    config = encoder_config(seen, settings, n_outputs=len(case.unknown))
    encoder = build_encoder(config, module=settings.module, seed=settings.options.seed)
    network = BINN(encoder, process, prior=settings.prior)
    dtype = check_dtype(settings.dtype)
    train_on(
        network,
        _known(training, truth.parameters[:, ~away], settings, dtype, device),
        stop,
        settings,
    )
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
    # In float64, as maps are made.
    cpu = torch.device("cpu")
    data = _known(test, truth.parameters[:, away], settings, torch.float64, cpu)
    unit, by_process = _draw(sample_dropout(network.double().eval()), data, part)
    rows = [PARAMETER_NAMES.index(name) for name in case.unknown]
    known = SoilCarbonModel(settings.bedrock).steady_state(
        data.forcing.parameters, data.forcing.forcing
    )
    prior = _prior_processes(data, process, settings, part.seed)
    recovered = Recovered(
        case.unknown, truth.unit[rows][:, away], unit, _logs(known), by_process, prior
    )
    return recovered, information


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


def _draw(
    network: BINN[KnownForcing, SteadyState], data: TrainingData[KnownForcing], part: _Part
) -> tuple[np.ndarray, np.ndarray]:
    """Posterior samples of parameters and ln processes, (sample, row, site) each."""
    units, found = [], []
    with torch.inference_mode():
        for sample in range(part.samples):
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


def _summary(information: Information, training: Sites) -> xr.Dataset:
    """What is kept of the identifiability of the training sites."""
    full = label_information(information, training)
    kept = full[["index", "eigenvalue", "loading", "effective_rank"]]
    about = "identifiability index, parameters linear functions of covariates"
    linear = function_index(information, training.numeric)
    kept["function_index"] = ("parameter", linear, {"units": "1", "long_name": about})
    for name in ("column_index", "column_effective_rank"):
        median = full[name].median("site", keep_attrs=True)
        median.attrs["long_name"] += ", median over the columns"
        kept[name] = median
    return kept


def _checked(cases: Sequence[Case], samples: int, settings: FitSettings) -> tuple[Case, ...]:
    problems = []
    if not cases:
        problems.append("cases is empty (give one or more)")
    for case in cases:
        if case.kind not in KINDS:
            problems.append(f"kind={case.kind!r} (must be one of {', '.join(KINDS)})")
        if not 0.0 <= case.noise <= MAX_NOISE:
            problems.append(f"noise={case.noise!r} (must be from 0 to {MAX_NOISE})")
    if len({case.name for case in cases}) < len(cases):
        problems.append("cases that have one name (kind, noise and number of unknowns must differ)")
    if isinstance(samples, bool) or samples < 2:
        problems.append(f"samples={samples!r} (must be 2 or more)")
    if not settings.encoder.get("dropout") and (
        settings.module is None or not has_dropout(settings.module)
    ):
        problems.append(f"encoder {settings.encoder['encoder']!r} (without dropout, no interval)")
    if problems:
        raise InputError(f"settings that cannot be used: {'; '.join(problems)}")
    return tuple(Case(c.kind, c.noise, check_unknown(tuple(c.unknown))) for c in cases)
