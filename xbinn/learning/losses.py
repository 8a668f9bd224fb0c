"""How wrong the modelled samples are, and how far parameters lean on their bounds.

A loss takes modelled and observed SOC density ``(sample,)`` [kg m-3] and returns one number per
sample ``(sample,)``; the mean is the business of training, which may weigh samples.
"""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from xbinn.constants import KG_PER_G, SOC_FLOOR
from xbinn.errors import InputError

Loss = Callable[[Tensor, Tensor], Tensor]

RELATIVE_ERROR: Final = 0.6
"""Standard deviation of an observation as a share of the model (as a share of the observation in
PRODA)."""
TAIL_FROM: Final = 2.0
"""Observation in units of the model from which `relative_robust` has a heavy tail: 1.7 standard
deviations above the model, as an observation of nothing is below it."""
_TAIL_SLOPE: Final = 1.0 - TAIL_FROM * (TAIL_FROM - 1.0) / RELATIVE_ERROR**2
# d relative / d ln modelled at the join, -4.6: the tail goes on as steeply.
_TINY: Final = 1e-12
# kg m-3; keeps the logarithm finite and is far below any modelled density, so that a poor
# prediction still has a gradient that leads out.
_STEEPNESS: Final = 10.0
"""Steepness of the wall at the ends of the unit interval (as published)."""


def log_smooth_l1(modelled: Tensor, observed: Tensor) -> Tensor:
    """Smooth-L1 (beta 1) of ln SOC, `SOC_FLOOR` being as little as can be observed.

    An observation at or below the floor is censored: any prediction below the floor agrees with
    it. Elsewhere a prediction is not floored.

    Parameters
    ----------
    modelled, observed : Tensor
        ``(sample,)`` [kg m-3].
    """
    least = torch.where(observed > SOC_FLOOR, _TINY, SOC_FLOOR).to(modelled.dtype)
    predicted = torch.log(torch.maximum(modelled, least))
    wanted = torch.log(observed.clamp(min=SOC_FLOOR))
    return functional.smooth_l1_loss(predicted, wanted, reduction="none")


def smooth_l1(modelled: Tensor, observed: Tensor) -> Tensor:
    """Smooth-L1 of SOC in gC m-3 with beta 1, as published; arguments in kg m-3."""
    return functional.smooth_l1_loss(
        modelled / KG_PER_G, observed / KG_PER_G, reduction="none", beta=1.0
    )


def relative(modelled: Tensor, observed: Tensor) -> Tensor:
    """Negative log likelihood of a normal error whose standard deviation is 60 % of the model's.

    (m - o)^2 / (2 s^2) + ln s with s = 0.6 max(m, `SOC_FLOOR`), without the constant. The term
    ln s keeps the model from buying agreement with a large s. One observation o alone is met best
    by m = 0.78 o. Below the floor s stays as it is, so that nothing is divided by zero and a
    prediction of next to nothing is still drawn to what was observed.

    Parameters
    ----------
    modelled, observed : Tensor
        ``(sample,)`` [kg m-3].

    References
    ----------
    Tao et al. 2020, doi:10.3389/fdata.2020.00017 (60 % in PRODA, there of the observation).
    """
    spread = RELATIVE_ERROR * modelled.clamp(min=SOC_FLOOR)  # (sample,)
    return 0.5 * ((modelled - observed) / spread).square() + spread.log()


def relative_robust(modelled: Tensor, observed: Tensor) -> Tensor:
    """`relative` up to an observation of twice the model, and from there straight in ln modelled.

    `relative` pulls a prediction up with the square of observed / modelled. Soil has samples of
    many times what can be modelled: a few of them would decide each step, when to stop, and that
    nearly all predictions are too high. Here the pull stays what it is at twice the model. It is
    still the likelihood of an error that scales with the model, whose upper tail falls as a power;
    where errors are normal with 60 %, the model comes out 3 % lower.

    An observation under twice `SOC_FLOOR` has no tail.

    Parameters
    ----------
    modelled, observed : Tensor
        ``(sample,)`` [kg m-3].
    """
    join = observed / TAIL_FROM  # (sample,)
    join = torch.where(join > SOC_FLOOR, join, 0.0)
    near = torch.maximum(modelled, join)  # (sample,)
    # ln(modelled / near), finite at 0: no more than 0, and 0 where there is no tail.
    below = modelled.clamp(min=_TINY).log() - near.clamp(min=_TINY).log()  # (sample,)
    return relative(near, observed) + _TAIL_SLOPE * below


LOSSES: Final[dict[str, Loss]] = {
    "log_smooth_l1": log_smooth_l1,
    "smooth_l1": smooth_l1,
    "relative": relative,
    "relative_robust": relative_robust,
}


def find_loss(name: str) -> Loss:
    """Return the loss called `name`.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in LOSSES:
        raise InputError(
            f"loss {name!r} is not known: choose one of {', '.join(map(repr, LOSSES))}"
        )
    return LOSSES[name]


def prior_regularization(unit: Tensor) -> Tensor:
    """Mean of cosh(10 (u - 0.5)) - 1: 0 in the middle of the prior, steep at its ends.

    Parameters
    ----------
    unit : Tensor
        ``(n, parameter)`` in [0, 1].

    References
    ----------
    Xu et al. 2025, arXiv:2502.00672.
    """
    return (torch.cosh(_STEEPNESS * (unit - 0.5)) - 1.0).mean()
