"""Fitting an encoder to parameters that are given, not to carbon: no process model takes part."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from xbinn.errors import InputError, TrainingError
from xbinn.learning.encoders import CovariateEncoder
from xbinn.learning.seeding import seeded
from xbinn.learning.threads import one_thread


@dataclass(frozen=True)
class Targets:
    """Covariates and the parameters that belong to them.

    Attributes
    ----------
    numeric : Tensor
        ``(n, p)`` numeric covariates, their own units, all finite.
    categorical : Tensor
        ``(n, c)`` int64 class codes.
    unit : Tensor
        ``(n, parameter)`` fractions of the prior range.
    """

    numeric: Tensor
    categorical: Tensor
    unit: Tensor

    def select(self, rows: Tensor) -> "Targets":
        """Return the rows `rows` ``(m,)`` int64, which may repeat."""
        return Targets(self.numeric[rows], self.categorical[rows], self.unit[rows])


@dataclass
class RegressionHistory:
    """What happened, one entry per epoch; validation lists are empty without validation.

    Attributes
    ----------
    training_loss, validation_loss : list of float
        Mean squared difference of parameters, as fractions of their prior range.
    validation_parameter_r2 : list of float
        1 - SSE / SST, each pooled over the parameters.
    learning_rate : list of float
        Factor on the steps of Adadelta.
    best_epoch : int
        Index of the epoch whose weights were kept.
    """

    training_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_parameter_r2: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    best_epoch: int = -1


def regress(
    encoder: CovariateEncoder,
    data: Targets,
    validation: Targets | None,
    *,
    epochs: int,
    patience: int,
    batch_size: int,
    learning_rate: float,
    seed: int | None,
) -> RegressionHistory:
    """Fit `encoder` in place by least squares; it ends in evaluation mode with the best weights.

    Equal seeds give equal weights on one device, and torch's global random state is left alone.

    Parameters
    ----------
    encoder : CovariateEncoder
        Learns the scaling of the covariates from `data`.
    data, validation : Targets
        Without validation the weights after the last epoch are kept.
    epochs, patience, batch_size : int
        Passes over the rows at most, epochs without a better validation loss before training
        stops, and rows in a batch.
    learning_rate : float
        Factor on the steps of Adadelta.
    seed : int or None
        Of batches and left-out categories.

    Raises
    ------
    InputError
        If there are fewer than two rows.
    TrainingError
        If the loss stops being finite.

    References
    ----------
    Zeiler 2012, arXiv:1212.5701 (Adadelta).
    """
    n = len(data.unit)
    if n < 2:
        raise InputError(
            f"training needs at least 2 profiles with parameters, got {n}: check how many were "
            "left out, and why"
        )
    history = RegressionHistory()
    best_loss, best_epoch = math.inf, -1
    encoder.standardise(data.numeric)
    kept = encoder.state_dict()
    optimiser = torch.optim.Adadelta(encoder.parameters(), lr=learning_rate)
    with one_thread(), seeded(seed, data.numeric.device):
        for epoch in range(epochs):
            history.learning_rate.append(learning_rate)
            history.training_loss.append(_run_epoch(encoder, data, batch_size, optimiser, epoch))
            if validation is None:
                continue
            loss, r2 = _validate(encoder, validation)
            history.validation_loss.append(loss)
            history.validation_parameter_r2.append(r2)
            if loss < best_loss:
                best_loss, best_epoch = loss, epoch
                kept = copy.deepcopy(encoder.state_dict())
            if epoch - best_epoch >= patience:
                break
    encoder.load_state_dict(kept)
    encoder.eval()
    history.best_epoch = len(history.training_loss) - 1 if validation is None else best_epoch
    return history


def _batches(n: int, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    """Yield all rows in random order, in parts as equal as can be."""
    # Drawn on the CPU: the order shall not depend on the device.
    yield from torch.randperm(n).to(device).tensor_split(max(1, round(n / batch_size)))


def _run_epoch(
    encoder: CovariateEncoder,
    data: Targets,
    batch_size: int,
    optimiser: torch.optim.Optimizer,
    epoch: int,
) -> float:
    encoder.train()
    losses = []
    for rows in _batches(len(data.unit), batch_size, data.numeric.device):
        batch = data.select(rows)
        unit, penalty = encoder.penalised(batch.numeric, batch.categorical)
        error = (unit - batch.unit).square().mean()
        if not torch.isfinite(error):
            raise TrainingError(
                f"epoch {epoch + 1}: the loss is not finite: lower learning_rate, and check that "
                "covariates and parameters are finite"
            )
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(error + penalty)
        optimiser.step()
        losses.append(error.item())
    return sum(losses) / len(losses)


@torch.no_grad()
def _validate(encoder: CovariateEncoder, validation: Targets) -> tuple[float, float]:
    """Loss, and R2 pooled over parameters."""
    encoder.eval()
    unit = encoder(validation.numeric, validation.categorical)  # (n, parameter)
    squares = (unit - validation.unit).square()  # (n, parameter)
    spread = (validation.unit - validation.unit.mean(0)).square()  # (n, parameter)
    return float(squares.mean()), float(1.0 - squares.sum() / spread.sum())
