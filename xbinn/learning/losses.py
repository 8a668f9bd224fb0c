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


LOSSES: Final[dict[str, Loss]] = {
    "log_smooth_l1": log_smooth_l1,
    "smooth_l1": smooth_l1,
    "relative": relative,
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
