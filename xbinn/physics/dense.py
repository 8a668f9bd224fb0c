"""The same model as dense matrices: slow, readable, and the reference of the structured solve.

`operators` writes the equations down month by month and layer by layer for one column, in
float64, sharing no code with the structured path. `assemble` builds the 140 x 140 matrices of a
batch from rates and transport coefficients, for benchmarks.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from xbinn.constants import (
    DAYS_PER_YEAR,
    DIFFUSIVITY_FLOOR,
    INPUT_POOLS,
    INTERFACE_DEPTH,
    LAYER_THICKNESS,
    MAX_ALTMAX_CRYOTURBATION,
    MAX_DEPTH_CRYOTURBATION,
    MONTHS_PER_YEAR,
    N_LAYERS,
    N_POOLS,
    NODE_DEPTH,
    POOLS,
    Q10_INTERVAL,
    REFERENCE_TEMPERATURE,
)
from xbinn.options import Bedrock
from xbinn.parameters import PARAMETER_NAMES, TRANSFERS
from xbinn.physics.cascade import Transfers
from xbinn.physics.forcing import Forcing
from xbinn.physics.mixing import Mixing

_SIZE = N_POOLS * N_LAYERS
_TURNOVER = ("taucwd", "taul1", "taul2", "taul2", "tau4s1", "tau4s2", "tau4s3")


class Operators(NamedTuple):
    """Matrices of one column, row = 20 pool + layer: (T - A K) C = I.

    ``transfer`` A (140, 140) [1], ``decomposition`` K and ``transport`` T (140, 140) [day-1],
    ``inputs`` I (140) [gC m-3 day-1].
    """

    transfer: Tensor
    decomposition: Tensor
    transport: Tensor
    inputs: Tensor


def _row(pool: str, layer: int) -> int:
    return POOLS.index(pool) * N_LAYERS + layer


def operators(parameters: Tensor, forcing: Forcing, bedrock: Bedrock) -> Operators:
    """Write down A, K, T and I of one column.

    Parameters
    ----------
    parameters : Tensor
        (parameter), physical units.
    forcing : Forcing
        Of a single column: empty batch shape.
    bedrock : {"closed", "published"}
        Treatment of bedrock.
    """
    p = dict(zip(PARAMETER_NAMES, parameters.double().tolist(), strict=True))
    months = [
        [min(int(nb), N_LAYERS) for nb in forcing.nbedrock.expand(MONTHS_PER_YEAR).tolist()],
        forcing.altmax.tolist(),
    ]
    transfer = -torch.eye(_SIZE, dtype=torch.float64)
    for layer in range(N_LAYERS):
        for name, donor, receiver in TRANSFERS:
            transfer[_row(receiver, layer), _row(donor, layer)] = p[name]
        transfer[_row("L2", layer), _row("CWD", layer)] = p["fcwdl2"]
        transfer[_row("L3", layer), _row("CWD", layer)] = 1.0 - p["fcwdl2"]

    decomposition = torch.zeros(_SIZE, _SIZE, dtype=torch.float64)
    transport = torch.zeros(_SIZE, _SIZE, dtype=torch.float64)
    for month in range(MONTHS_PER_YEAR):
        for layer in range(N_LAYERS):
            for pool, turnover in zip(POOLS, _TURNOVER, strict=True):
                scalar = _scalar(p, forcing, month, layer, nitrogen=pool in ("L1", "L2", "L3"))
                row = _row(pool, layer)
                decomposition[row, row] += scalar / (DAYS_PER_YEAR * p[turnover]) / MONTHS_PER_YEAR
        block = _transport_block(p, months[1][month], months[0][month], bedrock) / MONTHS_PER_YEAR
        for pool in POOLS[1:]:
            rows = slice(_row(pool, 0), _row(pool, 0) + N_LAYERS)
            transport[rows, rows] += block

    inputs = torch.zeros(_SIZE, dtype=torch.float64)
    layers = months[0][0] if bedrock == "closed" else N_LAYERS
    for pool, annual in zip(INPUT_POOLS, forcing.inputs.tolist(), strict=True):
        for layer in range(layers):
            fraction = _fraction(p["beta"], layer, layers, bool(forcing.allocated))
            inputs[_row(pool, layer)] = annual * fraction / (DAYS_PER_YEAR * LAYER_THICKNESS[layer])
    return Operators(transfer, decomposition, transport, inputs)


def steady_state(parameters: Tensor, forcing: Forcing, bedrock: Bedrock) -> Tensor:
    """Solve one column by dense LU, (7, 20) [gC m-3]; layers below closed bedrock hold 0."""
    a, k, t, inputs = operators(parameters, forcing, bedrock)
    layers = N_LAYERS
    if bedrock == "closed":
        layers = min(int(forcing.nbedrock.max()), N_LAYERS)
    keep = [_row(pool, layer) for pool in POOLS for layer in range(layers)]
    pools = torch.zeros(_SIZE, dtype=torch.float64)
    pools[keep] = torch.linalg.solve((t - a @ k)[keep][:, keep], inputs[keep])
    return pools.reshape(N_POOLS, N_LAYERS)


def _scalar(
    p: dict[str, float], forcing: Forcing, month: int, layer: int, *, nitrogen: bool
) -> float:
    warming = float(forcing.temperature[month, layer]) - REFERENCE_TEMPERATURE
    scalar: float = p["q10"] ** (warming / Q10_INTERVAL)
    scalar *= min(1.0, p["w_scaling"] * float(forcing.water[month, layer]))
    scalar *= float(forcing.oxygen[month, layer])
    if nitrogen:
        scalar *= float(forcing.nitrogen[month, layer])
    return scalar * math.exp(-NODE_DEPTH[layer] / p["efolding"])


def _fraction(beta: float, layer: int, layers: int, allocated: bool) -> float:
    if not allocated:
        return 1.0 if layer == 0 else 0.0
    top = INTERFACE_DEPTH[layer - 1] if layer else 0.0
    share: float = beta ** (100.0 * top) - beta ** (100.0 * INTERFACE_DEPTH[layer])
    total: float = 1.0 - beta ** (100.0 * INTERFACE_DEPTH[layers - 1])
    return share / total


def _diffusivity(p: dict[str, float], alt: float, nb: int, interface: int) -> float:
    """At the bottom of layer number ``interface`` (from 1), m2 day-1."""
    z = INTERFACE_DEPTH[interface - 1]
    if interface > nb + 1 or alt <= 0.0:
        return 0.0
    if alt > MAX_ALTMAX_CRYOTURBATION:
        return p["diffus"] / DAYS_PER_YEAR
    daily = p["cryo"] / DAYS_PER_YEAR
    if z < alt:
        return daily
    width = min(MAX_DEPTH_CRYOTURBATION, INTERFACE_DEPTH[nb]) - alt
    return daily * max(0.0, 1.0 - (z - alt) / width) if width > 0.0 else 0.0


def _transport_block(p: dict[str, float], alt: float, nb: int, bedrock: Bedrock) -> Tensor:
    """T of one pool in one month, (20, 20) [day-1]."""
    floor = DIFFUSIVITY_FLOOR if bedrock == "published" else 0.0
    diffusivity = [max(floor, _diffusivity(p, alt, nb, j)) for j in range(1, N_LAYERS + 2)]

    def conductance(j: int) -> float:
        """Between layers j and j + 1, counted from 1 (m day-1)."""
        above, below = diffusivity[j - 1], diffusivity[j]
        spacing = NODE_DEPTH[j] - NODE_DEPTH[j - 1]
        w = (NODE_DEPTH[j] - INTERFACE_DEPTH[j - 1]) / spacing
        if above == 0.0 or below == 0.0:
            return 0.0
        return 1.0 / ((1.0 - w) / above + w / below) / spacing

    def exchange(j: int) -> float:
        if bedrock == "closed":
            return conductance(j) if j < nb else 0.0
        peclet = DIFFUSIVITY_FLOOR / conductance(j)
        return conductance(j) * max(0.0, (1.0 - 0.1 * peclet) ** 5)

    block = torch.zeros(N_LAYERS, N_LAYERS, dtype=torch.float64)
    for j in range(1, N_LAYERS + 1):
        lower = exchange(j - 1) + floor if j > 1 else 0.0
        upper = exchange(j) if j < N_LAYERS else 0.0
        if bedrock == "published" and max(2, nb + 1) <= j < N_LAYERS:
            upper = conductance(j - 1)
        row, thickness = j - 1, LAYER_THICKNESS[j - 1]
        block[row, row] = (lower + upper) / thickness
        if j > 1:
            block[row, row - 1] = -lower / thickness
        if j < N_LAYERS:
            block[row, row + 1] = -upper / thickness
    return block


def assemble(rates: Tensor, transfers: Transfers, mixing: Mixing) -> Tensor:
    """Dense T - A K of a batch.

    Parameters
    ----------
    rates : Tensor
        (pool, layer, n) [day-1].
    transfers : Transfers
        (transfer, n), (n).
    mixing : Mixing
        (layer, n) twice [day-1].

    Returns
    -------
    Tensor
        (n, 140, 140) [day-1].
    """
    n = rates.shape[-1]
    matrix = rates.new_zeros((n, N_POOLS, N_LAYERS, N_POOLS, N_LAYERS))
    layer = torch.arange(N_LAYERS, device=rates.device)
    above, below = layer[:-1], layer[1:]
    routes = [(*route, f) for route, f in zip(TRANSFERS, transfers.between, strict=True)]
    routes.append(("fcwdl2", "CWD", "L2", transfers.cwd_to_l2))
    routes.append(("fcwdl3", "CWD", "L3", 1.0 - transfers.cwd_to_l2))
    rates_by_column = rates.permute(2, 0, 1)
    for pool in range(N_POOLS):
        matrix[:, pool, layer, pool, layer] = rates_by_column[:, pool]
        if POOLS[pool] != "CWD":
            lower, upper = mixing.lower.T, mixing.upper.T
            matrix[:, pool, layer, pool, layer] += lower + upper
            matrix[:, pool, below, pool, above] = -lower[:, 1:]
            matrix[:, pool, above, pool, below] = -upper[:, :-1]
    for _, donor, receiver, fraction in routes:
        d, r = POOLS.index(donor), POOLS.index(receiver)
        matrix[:, r, layer, d, layer] = -fraction.unsqueeze(-1) * rates_by_column[:, d]
    return matrix.reshape(n, _SIZE, _SIZE)
