"""Fitting a model to samples: batches of sites, AdamW, averaged weights, early stopping."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor, nn

from xbinn.constants import SOC_FLOOR
from xbinn.errors import InputError, TrainingError
from xbinn.learning.data import Batch, TrainingData, list_sites
from xbinn.learning.losses import Loss, find_loss, prior_regularization
from xbinn.learning.model import BINN, ForcingT, StateT
from xbinn.learning.observation import observe
from xbinn.learning.seeding import seeded
from xbinn.learning.threads import one_thread
from xbinn.options import (
    BATCH_SIZE,
    EPOCHS,
    LEARNING_RATE,
    PATIENCE,
    REGULARIZATION,
    WEIGHT_DECAY,
)

__all__ = ["History", "Progress", "TrainingData", "TrainingOptions", "modelled_samples", "train"]

_EVALUATION_BATCH: Final = 4096

Progress = Callable[[int, "History"], None]
"""Called after every epoch with the number of epochs done and the history so far."""


@dataclass(frozen=True)
class TrainingOptions:
    """Settings of the optimiser.

    Attributes
    ----------
    loss : str
        A name in `xbinn.learning.losses.LOSSES`.
    regularization : float
        Weight of `prior_regularization` beside the loss.
    epochs : int
        Passes over the sites at most.
    patience : int
        Epochs without a better validation loss before training stops; no effect without
        validation.
    batch_size : int
        Sites in a batch, about: batches are made equally large.
    learning_rate, weight_decay : float
        Of AdamW; the rate follows a cosine down to zero at the last epoch.
    averaging : float
        Share of the past in the running mean of the weights over the epochs, which is what is
        validated and kept; 0 for the weights as they are.
    clip : float
        Greatest norm of the gradient of all weights together.
    seed : int or None
        Seed of batches and dropout; None for other numbers every time.
    """

    loss: str = "log_smooth_l1"
    regularization: float = REGULARIZATION
    epochs: int = EPOCHS
    patience: int = PATIENCE
    batch_size: int = BATCH_SIZE
    learning_rate: float = LEARNING_RATE
    weight_decay: float = WEIGHT_DECAY
    averaging: float = 0.8
    clip: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges, all at once."""
        wrong = [
            f"{name}={getattr(self, name)!r} (must be {rule})"
            for name, good, rule in (
                ("regularization", self.regularization >= 0.0, "0 or more"),
                ("epochs", self.epochs >= 1, "1 or more"),
                ("patience", self.patience >= 1, "1 or more"),
                ("batch_size", self.batch_size >= 2, "2 or more: batch norm compares sites"),
                ("learning_rate", self.learning_rate > 0.0, "above 0"),
                ("weight_decay", self.weight_decay >= 0.0, "0 or more"),
                ("averaging", 0.0 <= self.averaging < 1.0, "from 0 to below 1"),
                ("clip", self.clip > 0.0, "above 0"),
            )
            if not good
        ]
        if wrong:
            raise InputError(f"training options out of range: {'; '.join(wrong)}")
        find_loss(self.loss)


@dataclass
class History:
    """What happened, one entry per epoch; validation lists are empty without validation.

    Attributes
    ----------
    training_loss, regularization : list of float
        Means over the batches, in training mode; the weight of the regularization is not in it.
    validation_loss : list of float
        Without regularization.
    validation_r2, validation_log_r2 : list of float
        1 - SSE / SST of kg m-3, and of ln kg m-3 floored at `SOC_FLOOR`.
    learning_rate : list of float
        At the start of the epoch.
    best_epoch : int
        Index of the epoch whose weights were kept.
    """

    training_loss: list[float] = field(default_factory=list)
    regularization: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_r2: list[float] = field(default_factory=list)
    validation_log_r2: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    best_epoch: int = -1


def modelled_samples(model: BINN[ForcingT, StateT], data: TrainingData[ForcingT]) -> Tensor:
    """Return what the model says of every sample ``(sample,)`` [kg m-3], in evaluation mode."""
    was_training = model.training
    model.eval()
    modelled = torch.empty_like(data.observed)
    with torch.no_grad():
        for sites in torch.arange(data.n_sites, device=data.site.device).split(_EVALUATION_BATCH):
            estimate = model(
                data.numeric[sites], data.categorical[sites], data.forcing.select(sites)
            )
            chosen = (data.site >= sites[0]) & (data.site <= sites[-1])
            seen = observe(estimate.soc, data.weights[chosen], data.site[chosen] - sites[0])
            modelled[chosen] = seen.to(modelled.dtype)
    model.train(was_training)
    return modelled


def train(
    model: BINN[ForcingT, StateT],
    data: TrainingData[ForcingT],
    validation: TrainingData[ForcingT] | None = None,
    options: TrainingOptions | None = None,
    *,
    progress: Progress | None = None,
) -> History:
    """Fit `model` in place; it ends in evaluation mode with the best weights.

    Equal seeds give equal weights on one device, and torch's global random state is left alone.

    Parameters
    ----------
    model : BINN
        Its encoder learns the scaling of the covariates from `data`.
    data, validation : TrainingData
        Without validation the weights after the last epoch are kept.
    options : TrainingOptions, optional
        Defaults where None.
    progress : callable, optional
        Called after every epoch.

    Raises
    ------
    InputError
        If there are fewer than two training sites.
    TrainingError
        If the loss or its gradient stops being finite.
    """
    options = options or TrainingOptions()
    if data.n_sites < 2:
        raise InputError(
            f"training needs at least 2 sites, got {data.n_sites}: check how many profiles were "
            "left out, and why"
        )
    loss = find_loss(options.loss)
    history = History()
    best_loss, best_epoch = math.inf, -1
    model.encoder.standardise(data.numeric)
    averaged = copy.deepcopy(model)
    kept = averaged.state_dict()
    optimiser = torch.optim.AdamW(
        model.parameters(),
        lr=options.learning_rate,
        weight_decay=options.weight_decay,
        foreach=True,  # the same bits in fewer calls
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.epochs)
    with one_thread(), seeded(options.seed, data.numeric.device):
        for epoch in range(options.epochs):
            history.learning_rate.append(float(schedule.get_last_lr()[0]))
            _run_epoch(model, data, loss, optimiser, options, history)
            schedule.step()
            # In the first epochs a plain mean: the start shall not linger.
            _average(averaged, model, min(options.averaging, epoch / (epoch + 1)))
            if validation is not None:
                _validate(averaged, validation, loss, history)
                if history.validation_loss[-1] < best_loss:
                    best_loss, best_epoch = history.validation_loss[-1], epoch
                    kept = copy.deepcopy(averaged.state_dict())
            if progress is not None:
                progress(epoch + 1, history)
            if validation is not None and epoch - best_epoch >= options.patience:
                break
    model.load_state_dict(kept)
    model.eval()
    last = len(history.training_loss) - 1
    history.best_epoch = last if validation is None else best_epoch
    return history


@torch.no_grad()
def _average(averaged: nn.Module, model: nn.Module, past: float) -> None:
    """Move the running mean of weights and buffers towards those of `model`."""
    for mean, value in zip(
        averaged.state_dict().values(), model.state_dict().values(), strict=True
    ):
        if value.is_floating_point():
            mean.lerp_(value, 1.0 - past)
        else:
            mean.copy_(value)


def _batches(n_sites: int, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    """Yield the sites in random order, in parts as equal as can be."""
    n_batches = max(1, min(round(n_sites / batch_size), n_sites // 2))
    # Drawn on the CPU: the order shall not depend on the device.
    yield from torch.randperm(n_sites).to(device).tensor_split(n_batches)


def _run_epoch(
    model: BINN[ForcingT, StateT],
    data: TrainingData[ForcingT],
    loss: Loss,
    optimiser: torch.optim.Optimizer,
    options: TrainingOptions,
    history: History,
) -> None:
    model.train()
    losses, regularizations = [], []
    weights = list(model.parameters())
    device = data.numeric.device
    for number, sites in enumerate(_batches(data.n_sites, options.batch_size, device)):
        batch = data.batch(sites)
        estimate = model(batch.numeric, batch.categorical, batch.forcing)
        modelled = observe(estimate.soc, batch.weights, batch.site)
        error = _mean(loss(modelled, batch.observed), batch.sample_weights)
        regularization = prior_regularization(estimate.unit)
        total = error + options.regularization * regularization + estimate.penalty
        where = f"epoch {len(history.training_loss) + 1}, batch {number + 1}"
        if not torch.isfinite(total):
            raise TrainingError(_explain(where, sites, batch, estimate.unit, modelled))
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        norm = torch.nn.utils.clip_grad_norm_(weights, options.clip)
        if not torch.isfinite(norm):
            raise TrainingError(
                f"{where}: the loss is {total.item():.4g} but its gradient is not finite; likely "
                "cause: parameters at an end of their prior. Raise regularization or lower "
                "learning_rate"
            )
        optimiser.step()
        losses.append(error.item())
        regularizations.append(regularization.item())
    history.training_loss.append(sum(losses) / len(losses))
    history.regularization.append(sum(regularizations) / len(regularizations))


def _validate(
    model: BINN[ForcingT, StateT],
    validation: TrainingData[ForcingT],
    loss: Loss,
    history: History,
) -> None:
    model.eval()
    modelled = modelled_samples(model, validation)
    observed = validation.observed
    error = _mean(loss(modelled, observed), validation.sample_weights)
    if not torch.isfinite(error):
        where = f"epoch {len(history.validation_loss) + 1}, validation"
        unit = model.encoder(validation.numeric, validation.categorical)
        sites = torch.arange(validation.n_sites, device=observed.device)
        raise TrainingError(_explain(where, sites, validation, unit, modelled))
    history.validation_loss.append(float(error))
    history.validation_r2.append(_r2(modelled, observed))
    history.validation_log_r2.append(
        _r2(modelled.clamp(min=SOC_FLOOR).log(), observed.clamp(min=SOC_FLOOR).log())
    )


def _mean(errors: Tensor, weights: Tensor | None) -> Tensor:
    return errors.mean() if weights is None else (errors * weights).sum() / weights.sum()


def _r2(modelled: Tensor, observed: Tensor) -> float:
    spread = (observed - observed.mean()).square().sum()
    return float(1.0 - (modelled - observed).square().sum() / spread)


def _explain(
    where: str,
    sites: Tensor,
    batch: Batch[ForcingT],
    unit: Tensor,
    modelled: Tensor,
) -> str:
    """Say which sites made a loss non-finite, and why that may be."""
    start = f"{where}: the loss is not finite"
    checks = (
        (~torch.isfinite(batch.numeric).all(dim=1), "covariates", "fill or drop missing values"),
        (~torch.isfinite(unit).all(dim=1), "encoder outputs", "lower learning_rate"),
    )
    for bad, what, fix in checks:
        if bad.any():
            return f"{start}; non-finite {what} at sites {list_sites(sites[bad])}: {fix}"
    bad = torch.unique(batch.site[~torch.isfinite(modelled)])
    if len(bad):
        return (
            f"{start}; no finite SOC at sites {list_sites(sites[bad])}: there may be no steady "
            "state (carbon supplied where nothing decomposes); leave these sites out"
        )
    bad = torch.unique(batch.site[~torch.isfinite(batch.observed)])
    if len(bad):
        return f"{start}; non-finite observations at sites {list_sites(sites[bad])}: leave them out"
    return f"{start}, though all samples are: lower learning_rate or check sample_weights"
