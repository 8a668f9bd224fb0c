"""The public functions: each takes labelled data, calls one step after the other, labels again."""

from collections.abc import Sequence
from importlib.metadata import version

import xarray as xr
from torch.nn import Module

from xbinn import options
from xbinn.labelled import About, run_labelled, with_parameters
from xbinn.labels.check import all_at_once, check_dataset
from xbinn.labels.covariates import select_covariates
from xbinn.labels.forcing import standardise_forcing
from xbinn.labels.priors import default_parameters, from_unit_interval, to_unit_interval
from xbinn.labels.profiles import standardise_profiles
from xbinn.labels.quantities import quantified as as_quantities
from xbinn.labels.sites import describe_left_out, gather_sites
from xbinn.labels.stocks import stock
from xbinn.model import Model, check_model
from xbinn.options import (
    Bedrock,
    Constraint,
    Dtype,
    EncoderName,
    LossName,
    Observation,
    Validation,
)
from xbinn.parameters import Prior
from xbinn.physics.steady_state import SoilCarbonModel
from xbinn.running.block import simulate_block
from xbinn.running.device import choose_device
from xbinn.running.layout import Group, Layout
from xbinn.running.progress import counting_bar, training_bar
from xbinn.science.fits import fit_ensemble
from xbinn.science.fitting import fit_sites, modelled_soc
from xbinn.science.metrics import score_samples
from xbinn.science.settings import check_dtype, fit_settings

__all__ = [
    "default_parameters",
    "fit",
    "from_unit_interval",
    "score",
    "simulate",
    "stock",
    "to_unit_interval",
]


def fit(
    ds: xr.Dataset,
    profiles: xr.Dataset,
    *,
    covariates: Sequence[str] | None = None,
    categorical: Sequence[str] | None = None,
    prior: Prior = "binn",
    bedrock: Bedrock = "closed",
    encoder: "EncoderName | Module" = "mlp",
    constraint: Constraint | None = None,
    hidden: int | Sequence[int] = options.HIDDEN,
    dropout: float = options.DROPOUT,
    members: int = options.MEMBERS,
    observation: Observation = "layer_mean",
    loss: LossName = "log_smooth_l1",
    regularization: float = options.REGULARIZATION,
    validation: Validation | None = "spatial_blocks",
    block_size: float | str = options.BLOCK_SIZE,
    tolerance: float | None = None,
    epochs: int = options.EPOCHS,
    patience: int = options.PATIENCE,
    batch_size: int = options.BATCH_SIZE,
    learning_rate: float = options.LEARNING_RATE,
    weight_decay: float = options.WEIGHT_DECAY,
    seed: int | None = None,
    device: str = "auto",
    dtype: Dtype = "float32",
    progress: bool | None = None,
) -> Model:
    """Fit a network from covariates to biogeochemical parameters to SOC profiles.

    The network proposes the 21 parameters of CLM5's soil carbon model in each cell that holds
    profiles; the model turns them into SOC at steady state; the difference to the samples trains
    the network.

    Parameters
    ----------
    ds : Dataset
        Covariates (*space) and forcing (month, depth, *space) on any spatial dimensions.
    profiles : Dataset
        ``soc`` [mass per volume], ``depth_top``, ``depth_bottom`` [length] (profile, sample);
        coordinates ``lat``, ``lon`` and, optionally, ``weight``. See
        `xbinn.profiles.from_dataframe`.
    covariates : sequence of str, optional
        Variables to learn from. By default all numeric variables on space alone that are not
        forcing, areas, masks or land fraction.
    categorical : sequence of str, optional
        Covariates to take as classes besides integers and those with ``flag_values``.
    prior : {"binn", "proda"}
        Bounds of the parameters.
    bedrock : {"closed", "published"}
        ``closed`` conserves carbon; ``published`` is the operator of the PRODA and BINN codes.
    encoder : {"mlp", "linear", "spline", "constant"} or torch.nn.Module
        ``spline`` makes each parameter a sum of learnt functions of one covariate each (ScIReN);
        ``constant`` is one vector for all cells, a baseline. A module maps (n, feature), numbers
        standardised and categories as 5 numbers each, to (n, 21) for ``constraint``; it is copied.
    constraint : {"sigmoid", "hard_sigmoid"}, optional
        sigmoid(u / T) with a learnable T (BINN), or clamp(u / 6 + 0.5, 0, 1) with a penalty on
        abs(u) above 3 (ScIReN); by default the latter for ``spline``, else the former.
    hidden : int or sequence of int
        Widths of the hidden layers of ``mlp``.
    dropout : float
        Share of hidden units left out while training.
    members : int
        Networks of a deep ensemble, fitted alike but for their seed and their validation part; on
        a dask cluster side by side, one to a device.
    observation : {"layer_mean", "node"}
        What a sample sees: the overlap-weighted mean of the model layers over its interval, or
        linear interpolation between nodes at mid-depth (published).
    loss : {"log_smooth_l1", "smooth_l1", "relative", "relative_robust"}
        Smooth L1 of ln kg m-3 (observations, and predictions of those below, floored at 0.05) or
        of gC m-3 (published), or the likelihood of an error of 60 % of the modelled value; the
        robust one with a heavy tail above twice that value.
    regularization : float
        Weight of mean(cosh(10 (u - 0.5)) - 1), which keeps parameters off the ends of the prior.
    validation : {"spatial_blocks", "random"} or None
        How to hold out 15 % of the cells, over the range of ln SOC, to decide when to stop and to
        learn the noise of observations; None trains for all epochs, and the noise is that of the
        training samples, too small for others.
    block_size : float or str
        Edge of a validation block in degrees, or as "200 km" in an equal-area projection.
    tolerance : float, optional
        Farthest a profile may lie from its cell along each axis; by default half a cell.
    epochs : int
        Passes over the cells at most.
    patience : int
        Epochs without a better validation loss before training stops.
    batch_size : int
        Cells in a batch.
    learning_rate, weight_decay : float
        Of AdamW.
    seed : int, optional
        Equal seeds give equal models on one kind of device.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
    dtype : {"float32", "float64"}
        Of network and physics.
    progress : bool, optional
        Show a progress bar; by default on a terminal only.

    Returns
    -------
    Model
        A value; the Dataset is not changed.

    Raises
    ------
    InputError
        If covariates, forcing, coordinates, units or settings cannot be used.
    ProfileError
        If no profile can be used.
    TrainingError
        If the loss stops being finite.
    DeviceError
        If the device is not there.

    References
    ----------
    Xu et al. 2025, arXiv:2502.00672 (BINN). Fan et al. 2025, arXiv:2506.14054 (ScIReN).
    """
    check_dataset(ds)
    settings = fit_settings(
        prior=prior,
        bedrock=bedrock,
        encoder=encoder,
        constraint=constraint,
        hidden=hidden,
        dropout=dropout,
        members=members,
        observation=observation,
        validation=validation,
        block_size=block_size,
        dtype=dtype,
        loss=loss,
        regularization=regularization,
        epochs=epochs,
        patience=patience,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        seed=seed,
        tolerance=tolerance,
        covariates=covariates,
        categorical=categorical,
        device=device,
    )
    where = choose_device(device)
    spec, *_ = all_at_once(
        lambda: select_covariates(ds, covariates, categorical),
        lambda: standardise_forcing(ds),
        lambda: standardise_profiles(profiles),
    )
    sites = gather_sites(ds, profiles, spec, bedrock=bedrock, tolerance=tolerance)
    if settings.members > 1:
        with counting_bar(settings.members, "fit", unit="member", show=progress) as tick:
            return fit_ensemble(sites, spec, settings, device=device, report=lambda _: tick())
    with training_bar(epochs, show=progress) as report:
        return fit_sites(sites, spec, settings, device=where, progress=report)


def simulate(
    ds: xr.Dataset,
    parameters: xr.Dataset,
    *,
    bedrock: Bedrock = "closed",
    pools: bool = False,
    dtype: Dtype = "float64",
    quantified: bool = False,
) -> xr.Dataset:
    """Solve the CLM5 soil carbon equations for their steady state; no network takes part.

    Parameters
    ----------
    ds : Dataset
        Forcing on any spatial dimensions. Where it is chunked, so is the result.
    parameters : Dataset
        The 21 parameters in physical units, broadcast against ``ds``; see `default_parameters`
        and `from_unit_interval`. Values outside a prior are accepted, impossible ones are not.
    bedrock : {"closed", "published"}
        ``closed`` conserves carbon; ``published`` is the operator of the PRODA and BINN codes.
    pools : bool
        Return ``carbon_pools`` (pool, depth, *space) [kg m-3], ``respiration`` (pool, *space)
        [kg m-2 yr-1] and ``carbon_closure`` too.
    dtype : {"float32", "float64"}
        Of the solve.
    quantified : bool
        Return quantities of pint, in a registry whose year has 365 days; by default plain numbers
        with ``units`` in attributes, which is what can be written to files.

    Returns
    -------
    Dataset
        Processes, ``soc`` (depth, *space) [kg m-3], ``cSoil`` and ``cSoilAbove1m`` [kg m-2], and
        ``status``; NaN where status is not 0 and below bedrock.

    Raises
    ------
    InputError
        If forcing is missing or cannot be used, or parameters lie on other coordinates.
    ParameterError
        If parameters are missing or impossible, or vary with month or depth. Chunked values are
        looked at when computed.
    """
    SoilCarbonModel(bedrock)
    check_dtype(dtype)
    groups: tuple[Group, ...] = ("processes", "soc", *(("pools",) if pools else ()))
    grid, inputs = with_parameters(ds, parameters)
    result = run_labelled(
        grid,
        inputs,
        Layout(groups),
        simulate_block,
        dtype,
        About(
            title="Soil organic carbon at steady state of the CLM5 soil carbon equations",
            source=f"xbinn {version('xbinn')}, given parameters, bedrock={bedrock}",
            call="xbinn.simulate",
        ),
        bedrock=bedrock,
    )
    return as_quantities(result) if quantified else result


def score(
    ds: xr.Dataset, model: Model, profiles: xr.Dataset, *, tolerance: float | None = None
) -> xr.Dataset:
    """Score a model against profiles; take profiles that the fit has not seen.

    Parameters
    ----------
    ds, model
        As for `predict`.
    profiles, tolerance
        As for `fit`.

    Returns
    -------
    Dataset
        ``r2`` (1 - SSE/SST pooled over samples), ``rmse``, ``bias``, ``correlation`` (scale,
        depth_range) and ``n`` (depth_range); scale is linear [kg m-3] or log [ln kg m-3, floor
        0.05]. Attributes count the profiles and samples left out.

    Raises
    ------
    InputError
        If covariates, forcing or coordinates cannot be used.
    ProfileError
        If no profile can be used.
    """
    check_dataset(ds)
    check_model(model)
    sites = gather_sites(
        ds,
        profiles,
        model.predictor.covariates,
        bedrock=model.predictor.bedrock,
        tolerance=tolerance,
    )
    modelled, sites = modelled_soc(model, sites)
    scores = score_samples(modelled, sites.soc, sites.top, sites.bottom)
    scores.attrs = {
        "title": "Modelled against observed soil organic carbon",
        "source": f"xbinn {version('xbinn')}, model sha256 {model.sha256}",
        "profiles": sites.n_profiles,
        "left_out": describe_left_out(sites.left_out) or "none",
    }
    return scores
