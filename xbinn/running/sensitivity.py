"""Block functions of the sensitivity of soil carbon to parameters and processes."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from xbinn.errors import ParameterError
from xbinn.labels.priors import impossible, possible
from xbinn.options import Bedrock
from xbinn.parameters import PARAMETER_NAMES
from xbinn.physics import sensitivity
from xbinn.physics.column import integrate
from xbinn.physics.processes import processes
from xbinn.physics.steady_state import SoilCarbonModel, SteadyState
from xbinn.running.block import Block, pack
from xbinn.running.layout import Layout
from xbinn.running.tensors import as_tensor
from xbinn.variables import (
    CONTROLLING_PROCESS,
    ELASTICITY,
    PROCESS_RESPONSE,
    SOC_ELASTICITY,
    Status,
)

_CPU = torch.device("cpu")


def elasticity_block(
    *arrays: np.ndarray,
    names: Sequence[str],
    space: Sequence[str],
    bedrock: Bedrock,
    layout: Layout,
    dtype: str,
) -> np.ndarray:
    """Elasticities of soil carbon, and what follows from them, on one block.

    Parameters
    ----------
    *arrays : ndarray
        As for `xbinn.running.block.simulate_block`, parameters among them.
    names : sequence of str
        What the arrays are.
    space : sequence of str
        Spatial dimensions, in order.
    bedrock : {"closed", "published"}
        Treatment of bedrock.
    layout : Layout
        What to return, of the variables of `xbinn.variables.SENSITIVITY`.
    dtype : str
        Of the solve and of the result.

    Returns
    -------
    ndarray
        (channel, *space); NaN where status is not 0, but 0 in ``controlling_process``.

    Raises
    ------
    ParameterError
        If parameters have values that the equations cannot take.
    """
    block = Block(arrays, names, space, bedrock)
    model = SoilCarbonModel(bedrock)
    parameters, given = _parameters(block)
    packed = block.empty(layout, dtype, {Status.COVARIATE_MISSING: ~given})
    for cells in block.steps(given):
        leaf = as_tensor(parameters[:, cells].copy(), torch.float64, _CPU).requires_grad_()
        state = model.steady_state(leaf, block.forcing(cells, getattr(torch, dtype), _CPU))
        found = _sensitivity(state, leaf, layout)
        with torch.no_grad():
            packed[:, cells] = pack(leaf, state, layout, found)
    for output in layout.outputs:
        if output.name == CONTROLLING_PROCESS.name:
            np.nan_to_num(packed[output.channels], copy=False, nan=0.0)
    return block.finish(packed)


def _sensitivity(state: SteadyState, parameters: Tensor, layout: Layout) -> dict[str, Tensor]:
    """Compute the outputs of a layout, each (*own, n), from a state with a graph."""
    stock = sensitivity.stock_elasticity(state, parameters)
    found = {ELASTICITY.name: stock}
    if SOC_ELASTICITY.name in layout.groups:
        found[SOC_ELASTICITY.name] = sensitivity.layer_elasticity(state, parameters)
    if PROCESS_RESPONSE.name in layout.groups:
        changed = sensitivity.process_change(state, parameters)
        responses = sensitivity.response(sensitivity.group_change(stock), changed)
        found[PROCESS_RESPONSE.name] = responses
        found[CONTROLLING_PROCESS.name] = sensitivity.controlling_process(responses, changed)
    return found


def regression_block(
    *arrays: np.ndarray,
    names: Sequence[str],
    space: Sequence[str],
    bedrock: Bedrock,
    steps: Sequence[float],
    layout: Layout,
    dtype: str,
) -> np.ndarray:
    """Process responses from finite steps of the parameters of each process, on one block.

    As `elasticity_block`, with the relative ``steps`` in place of gradients. Steps to values that
    the equations cannot take are left out in the cells where they lead there.

    Raises
    ------
    ParameterError
        If parameters have values that the equations cannot take.
    """
    block = Block(arrays, names, space, bedrock)
    model = SoilCarbonModel(bedrock)
    parameters, given = _parameters(block)
    packed = block.empty(layout, dtype, {Status.COVARIATE_MISSING: ~given})
    factor = torch.tensor([[1.0 + step] for step in steps], dtype=torch.float64)
    with torch.inference_mode():
        for cells in block.steps(given):
            forcing = block.forcing(cells, getattr(torch, dtype), _CPU)
            base = parameters[:, cells]
            slopes = []
            for process, rows in sensitivity.GROUPS.items():
                stocks, diagnosed, usable = [], [], []
                for step in steps:
                    changed = base.copy()
                    changed[rows] *= 1.0 + step
                    allowed = possible(changed)
                    changed = np.where(allowed, changed, base)
                    state = model.steady_state(as_tensor(changed, None, _CPU), forcing)
                    stocks.append(integrate(state.soc))
                    diagnosed.append(vars(processes(state))[process])
                    usable.append(as_tensor(allowed, None, _CPU))
                stock, diagnosis, use = map(torch.stack, (stocks, diagnosed, usable))
                slopes.append(sensitivity.slope(stock, diagnosis, factor, use))
            values = as_tensor(base, torch.float64, _CPU)
            state = model.steady_state(values, forcing)
            found = {PROCESS_RESPONSE.name: torch.stack(slopes)}
            packed[:, cells] = pack(values, state, layout, found)
    return block.finish(packed)


def _parameters(block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Return the parameters of a block, (parameter, n), and where all are given, (n,) boolean."""
    parameters = block.stack(PARAMETER_NAMES, np.dtype(np.float64))
    problem = impossible(parameters)
    if problem is not None:
        raise ParameterError(problem)
    return parameters, np.isfinite(parameters).all(axis=0)
