"""Rates of decomposition and the transfers between pools."""

from typing import NamedTuple

import torch
from torch import Tensor

from xbinn.constants import DAYS_PER_YEAR, N_POOLS, POOLS
from xbinn.parameters import PARAMETER_NAMES, TRANSFERS
from xbinn.physics.column import spread

_TURNOVER = ("taucwd", "taul1", "taul2", "taul2", "tau4s1", "tau4s2", "tau4s3")
"""Turnover time of each pool; L2 and L3 share one."""
_TURNOVER_INDEX = [PARAMETER_NAMES.index(name) for name in _TURNOVER]
_TRANSFER_INDEX = [PARAMETER_NAMES.index(name) for name, _, _ in TRANSFERS]
_SUBNORMAL_RATE = 2.0**-6
"""Of the smallest normal number: leaves 17 of float32's 24 bits."""
_NITROGEN_LIMITED = ("L1", "L2", "L3")

_ROUTES = {name: (POOLS.index(donor), POOLS.index(receiver)) for name, donor, receiver in TRANSFERS}


class Transfers(NamedTuple):
    """Fractions of decomposed carbon that move on; the rest is respired.

    ``between`` is (transfer, *batch) in the order of `xbinn.parameters.TRANSFERS`;
    ``cwd_to_l2`` is (*batch), the rest of coarse woody debris goes to L3.
    """

    between: Tensor
    cwd_to_l2: Tensor


def parameter(parameters: Tensor, name: str) -> Tensor:
    """Return one parameter by name, (parameter, *batch) -> (*batch)."""
    return parameters[PARAMETER_NAMES.index(name)]


def turnover_rates(parameters: Tensor) -> Tensor:
    """Baseline rate of each pool, (parameter, *batch) [yr] -> (pool, *batch) [day-1], float64."""
    return (parameters[_TURNOVER_INDEX].double() * DAYS_PER_YEAR).reciprocal()


def decomposition_rates(
    turnover: Tensor,  # (pool, *batch) [day-1]
    soil: Tensor,  # (layer, *batch)
    litter: Tensor,  # (layer, *batch)
) -> Tensor:
    """Rate of every pool in every layer, k = scalar / (365 tau).

    ``soil`` and ``litter`` are the environmental scalars without and with nitrogen, both times
    the depth scalar, and times any unit of time that the rates are to be in. Where e-folding
    depths of a few centimetres leave nothing of a rate, it is the least number that can still be
    divided into transfers, as 0/0 is no pool.

    Returns
    -------
    Tensor
        (pool, layer, *batch) [day-1].
    """
    baseline = spread(turnover.to(soil.dtype), axis=1)
    scalar = [litter if pool in _NITROGEN_LIMITED else soil for pool in POOLS]
    rates = torch.stack([s * b for s, b in zip(scalar, baseline, strict=True)])
    return rates.clamp_(min=least_rate(rates.dtype))


def least_rate(dtype: torch.dtype) -> float:
    """Return the least rate that can still be divided into transfers, in any unit of time."""
    return torch.finfo(dtype).tiny * _SUBNORMAL_RATE


def transfers(parameters: Tensor, dtype: torch.dtype) -> Transfers:
    """Pick the transfer fractions out of the parameters (parameter, *batch)."""
    return Transfers(
        parameters[_TRANSFER_INDEX].to(dtype), parameter(parameters, "fcwdl2").to(dtype)
    )


def transferred_fraction(between: Tensor) -> Tensor:
    """Fraction of each pool's decomposed carbon that goes to another pool.

    (transfer, *batch) -> (pool, *batch). Coarse woody debris passes on all of its carbon.
    """
    total: list[Tensor | None] = [None] * N_POOLS
    total[POOLS.index("CWD")] = torch.ones_like(between[0])
    for fraction, (name, _, _) in zip(between, TRANSFERS, strict=True):
        donor, _ = _ROUTES[name]
        before = total[donor]
        total[donor] = fraction if before is None else before + fraction
    return torch.stack([t for t in total if t is not None])
