r"""How strongly soil carbon depends on parameters and on processes.

The elasticity of a quantity q to a parameter p is :math:`\partial \ln q / \partial \ln p`: the
per cent of q for one per cent of p. One backward pass through the solver gives those to all
parameters.

A process X has a group G of parameters of its own. When all of G change by one factor, the stock C
and the process change by

.. math:: \sum_G \frac{\partial \ln C}{\partial \ln p} \quad\text{and}\quad
          \sum_G \frac{\partial \ln X}{\partial \ln p} ,

and the quotient is the response of the stock to the process. The published variant takes it from
finite steps, as the slope of ln C against ln X (Tao et al. 2023).
"""

from typing import Final

import torch
from torch import Tensor

from xbinn.parameters import PARAMETERS
from xbinn.physics.column import integrate, ordered_sum
from xbinn.physics.processes import processes
from xbinn.physics.steady_state import SteadyState
from xbinn.variables import CONTROLLED_PROCESSES, PROCESSES

LEAST_CHANGE: Final = 1e-6
"""Relative change of a process, per relative change of its parameters, that can be divided by."""
LEAST_CONTROL: Final = 0.1
"""The same for a process to be called controlling.

Effects of parameters on the environmental modifier have both signs. Where they cancel, the
quotient is large because of its denominator, which says nothing of soil carbon.
"""

_SYMBOLS: Final = {v.name: v.symbol for v in PROCESSES}
GROUPS: Final = {
    name: [i for i, p in enumerate(PARAMETERS) if p.group == _SYMBOLS[name]]
    for name in CONTROLLED_PROCESSES
}
"""Positions in the parameter axis of the parameters of each process."""


def elasticity(
    quantity: Tensor,  # (n)
    parameters: Tensor,  # (parameter, n), the leaf that the quantity was made of
) -> Tensor:
    """Derive d ln quantity / d ln parameter by one backward pass; the graph is kept.

    Returns
    -------
    Tensor
        (parameter, n) [1]; NaN where the quantity is not positive, or so small that the
        derivative of its logarithm cannot be held.
    """
    positive = quantity > 0.0
    logarithm = torch.where(positive, quantity, 1.0).log()
    # A column depends on its own parameters alone: the sum keeps the columns apart.
    (gradient,) = torch.autograd.grad(logarithm.sum(), parameters, retain_graph=True)
    found = gradient * parameters.detach()
    return found.masked_fill(~(positive & found.isfinite()), torch.nan)


def stock_elasticity(state: SteadyState, parameters: Tensor) -> Tensor:
    """Elasticity of the SOC stock, (parameter, n) [1]."""
    return elasticity(integrate(state.soc), parameters)


def layer_elasticity(state: SteadyState, parameters: Tensor) -> Tensor:
    """Elasticity of the SOC density of each layer, (parameter, layer, n) [1].

    One backward pass a layer.
    """
    by_layer = [elasticity(density, parameters) for density in state.soc.unbind(0)]
    return torch.stack(by_layer, dim=1)


def layer_derivative(
    state: SteadyState,
    parameters: Tensor,  # (parameter, n), the leaf that the state was made of
) -> Tensor:
    """Derive the SOC density of each layer, (parameter, layer, n) [gC m-3 per unit of parameter].

    One backward pass a layer; the graph is kept.
    """
    by_layer = [
        torch.autograd.grad(density.sum(), parameters, retain_graph=True)[0]
        for density in state.soc.unbind(0)
    ]
    return torch.stack(by_layer, dim=1)


def group_change(by_parameter: Tensor) -> Tensor:
    """Sum elasticities over the parameters of each process, (parameter, n) -> (process, n)."""
    return torch.stack([ordered_sum(by_parameter[rows]) for rows in GROUPS.values()])


def process_change(state: SteadyState, parameters: Tensor) -> Tensor:
    """Relative change of each process per relative change of its parameters, (process, n) [1]."""
    diagnosed = vars(processes(state))
    return torch.stack(
        [
            ordered_sum(elasticity(diagnosed[name], parameters)[rows])
            for name, rows in GROUPS.items()
        ]
    )


def response(
    stock_change: Tensor,  # (process, n)
    changed: Tensor,  # (process, n)
) -> Tensor:
    """Relative change of the stock per relative change of each process, (process, n) [1].

    NaN where the process changes by less than `LEAST_CHANGE`.
    """
    return torch.where(changed.abs() >= LEAST_CHANGE, stock_change / changed, torch.nan)


def controlling_process(responses: Tensor, changed: Tensor) -> Tensor:
    """Number the process with the largest absolute response from 1, (n); 0 where there is none.

    Only processes that change by `LEAST_CONTROL` or more take part.
    """
    size = torch.where(changed.abs() >= LEAST_CONTROL, responses.abs(), torch.nan).nan_to_num(-1.0)
    largest = size.max(0)
    return torch.where(largest.values >= 0.0, largest.indices + 1, 0).to(responses.dtype)


def slope(
    stock: Tensor,  # (step, n)
    process: Tensor,  # (step, n)
    factor: Tensor,  # (step, 1), of the parameters
    usable: Tensor,  # (step, n), boolean
) -> Tensor:
    """Least-squares slope of ln stock against ln process over finite steps, (n) [1].

    NaN where fewer than two steps are usable, and where ln process is spread by less than
    `LEAST_CHANGE` of the spread of ln factor.
    """
    usable = usable & (stock > 0.0) & (process > 0.0)
    count = ordered_sum(usable.to(stock.dtype))
    y, x, s = (
        torch.where(usable, value, 1.0).log() for value in (stock, process, factor.expand_as(stock))
    )

    def centred(value: Tensor) -> Tensor:
        return torch.where(usable, value - ordered_sum(value) / count, 0.0)

    y, x, s = centred(y), centred(x), centred(s)
    spread, steps = ordered_sum(x * x), ordered_sum(s * s)
    found = (count > 1.0) & (spread > 0.0) & (spread >= LEAST_CHANGE**2 * steps)
    return torch.where(found, ordered_sum(x * y) / spread, torch.nan)
