"""The block function: arrays of one block in, one packed array out, whoever calls it.

A packed array has all outputs along its first axis, (channel, *space), so that a block is one
task and its outputs are slices. `Layout` says which channels are which output.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Final

import numpy as np
import torch
from torch import Tensor

from xbinn.constants import COLUMN_DEPTH, KG_PER_G, interval_overlap
from xbinn.errors import ParameterError
from xbinn.labels.forcing_values import check_forcing_values
from xbinn.labels.priors import impossible
from xbinn.learning.posterior import drawing
from xbinn.options import Bedrock
from xbinn.parameters import PARAMETER_NAMES
from xbinn.physics import processes as diagnostics
from xbinn.physics.column import layer_mask, ordered_sum, weighted_sum
from xbinn.physics.columns import Columns
from xbinn.physics.forcing import Forcing
from xbinn.physics.steady_state import SoilCarbonModel, SteadyState
from xbinn.running.allocation import keep_freed
from xbinn.running.device import Cells, choose_device, within_memory
from xbinn.running.draws import sum_up
from xbinn.running.layout import Layout
from xbinn.running.predictor import ModelReference, Network, load_cached
from xbinn.running.tensors import Arrays, as_tensor, extremes, pack_forcing
from xbinn.variables import FORCING_NAMES, Status

CELLS_PER_STEP: Final = 8192
"""Cells solved together. Fixed, so that a block gives the same bytes whenever it is run again."""
CELLS_PER_PRODUCT: Final = 1024
"""Cells that a network on a CPU takes together, whose hidden units stay in the cache."""
_DRAWS: Final = 64
"""Draws of the posterior of so many cells that are held together; more draws, fewer cells."""


def in_parts(*covariates: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Split covariates (n, ...) into what a network takes together; on a GPU that is all."""
    first = covariates[0]
    together = CELLS_PER_PRODUCT if first.device.type == "cpu" else max(1, len(first))
    return zip(*(rows.split(together) for rows in covariates), strict=True)


def cells_per_step(n_draws: int) -> int:
    """Cells solved together for a number of draws, all of which are held until they are summed."""
    return max(1, CELLS_PER_STEP * _DRAWS // max(_DRAWS, n_draws))


def predict_block(
    *arrays: np.ndarray,
    names: Sequence[str],
    space: Sequence[str],
    model: ModelReference,
    layout: Layout,
    device: str,
    dtype: str,
    notes: list[str] | None = None,
) -> np.ndarray:
    """Run a fitted model on one block.

    Parameters
    ----------
    *arrays : ndarray
        The variables ``names``: standardised forcing and covariates, (month, depth, *space),
        (month, *space) or (*space); then the positions of the block's cells in the whole grid
        along each dimension of ``space``, (n,) int64.
    names : sequence of str
        What the arrays are.
    space : sequence of str
        Spatial dimensions, in order.
    model : ModelReference
        Loaded once per process and device.
    layout : Layout
        What to return.
    device : str
        Name of a device, chosen where the block runs: workers may differ.
    dtype : str
        Of the solve and of the result.
    notes : list of str, optional
        Is told when the device had too little memory for `CELLS_PER_STEP` cells.

    Returns
    -------
    ndarray
        (channel, *space); NaN where status is not 0.
    """
    keep_freed()
    where = choose_device(device)
    predictor = load_cached(model, where)
    block = Block(arrays, names, space, predictor.bedrock)
    process = SoilCarbonModel(predictor.bedrock)
    spec = predictor.covariates
    numeric = block.stack([n for n, _ in spec.numeric], np.dtype(np.float32))
    categorical = block.stack([n for n, _ in spec.categorical], np.dtype(np.int64))
    covered = np.isfinite(numeric).all(axis=0)
    packed = block.empty(layout, dtype, {Status.COVARIATE_MISSING: ~covered})
    posterior = layout.posterior
    n_draws = len(predictor.networks) if posterior is None else posterior.samples

    def draw(
        number: int, network: Network, begun: Sequence[Tensor], columns: Columns
    ) -> np.ndarray:
        """Pack one draw: a member, or a sample of the posterior."""
        with (
            drawing(posterior.seed, number)
            if posterior is not None and posterior.dropout
            else nullcontext()
        ):
            unit = torch.cat([network.encoder.finish(part) for part in begun])
        # Rounded as they are returned: simulate gives the same SOC for them.
        parameters = network.physical(unit).to(getattr(torch, dtype)).double()
        state = network.process.steady_state(parameters, columns)
        return pack(parameters, state, layout.one_draw)

    def solve(cells: Cells) -> np.ndarray:
        # What the forcing alone decides is the same for all draws.
        columns = process.prepare(block.forcing(cells, getattr(torch, dtype), where))
        covariates = (
            as_tensor(np.ascontiguousarray(numeric[:, cells].T), torch.float64, where),
            as_tensor(np.ascontiguousarray(categorical[:, cells].T), None, where),
        )
        draws = np.empty((n_draws, layout.one_draw.n_channels, len(covariates[0])), dtype)
        for member, network in enumerate(predictor.networks[:n_draws]):
            # What stands before a network's first dropout is the same for all its draws, too.
            begun = [network.encoder.begin(*part) for part in in_parts(*covariates)]
            for number in range(member, n_draws, len(predictor.networks)):
                draws[number] = draw(number, network, begun, columns)
        first: np.ndarray = draws[0]
        if posterior is None and n_draws == 1:
            return first
        return sum_up(draws, layout, predictor.noise)

    with torch.inference_mode():
        for cells, values in within_memory(solve, block.steps(covered, n_draws), notes):
            packed[:, cells] = values
    return block.finish(packed)


def simulate_block(
    *arrays: np.ndarray,
    names: Sequence[str],
    space: Sequence[str],
    bedrock: Bedrock,
    layout: Layout,
    dtype: str,
) -> np.ndarray:
    """Solve for given parameters on one block.

    As `predict_block`, with the 21 parameters among the arrays, (*space) or ().

    Raises
    ------
    ParameterError
        If parameters have values that the equations cannot take.
    """
    keep_freed()
    block = Block(arrays, names, space, bedrock)
    model = SoilCarbonModel(bedrock)
    parameters = block.stack(PARAMETER_NAMES, np.dtype(np.float64))
    problem = impossible(parameters)
    if problem is not None:
        raise ParameterError(problem)
    given = np.isfinite(parameters).all(axis=0)
    packed = block.empty(layout, dtype, {Status.COVARIATE_MISSING: ~given})
    cpu = torch.device("cpu")
    with torch.inference_mode():
        for cells in block.steps(given):
            forcing = block.forcing(cells, getattr(torch, dtype), cpu)
            values = as_tensor(parameters[:, cells], torch.float64, cpu)
            state = model.steady_state(values, forcing)
            packed[:, cells] = pack(values, state, layout)
    return block.finish(packed)


def pack(
    parameters: Tensor,
    state: SteadyState,
    layout: Layout,
    more: Mapping[str, Tensor] | None = None,
) -> np.ndarray:
    """Pack the results of a flat batch of columns.

    Parameters
    ----------
    parameters : Tensor
        (parameter, n).
    state : SteadyState
        Of the same n columns.
    layout : Layout
        What to pack.
    more : mapping of str to Tensor, optional
        Outputs of the layout that do not follow from the state alone, (*own, n).

    Returns
    -------
    ndarray
        (channel, n).
    """
    exists = layer_mask(state.layers)
    soc = state.soc * KG_PER_G
    packed = soc.new_empty((layout.n_channels, soc.shape[-1]))
    values: dict[str, Tensor] = dict(more or {})
    if "parameters" in layout.groups:
        values |= dict(zip(PARAMETER_NAMES, parameters, strict=True))
    if "processes" in layout.groups:
        values |= vars(diagnostics.processes(state))
    if "soc" in layout.groups:
        # Below bedrock there is no soil: missing, not zero.
        values["soc"] = soc.masked_fill(~exists, torch.nan)
        values["cSoil"] = _stock(soc, COLUMN_DEPTH)
        values["cSoilAbove1m"] = _stock(soc, 1.0)
    if "pools" in layout.groups:
        density = (state.pools * KG_PER_G).masked_fill(~exists, torch.nan)
        values["carbon_pools"] = density
        values["respiration"] = diagnostics.respiration(state) * KG_PER_G
        values["carbon_closure"] = diagnostics.carbon_closure(state)
    for output in layout.outputs[:-1]:
        packed[output.channels] = values[output.name].reshape(-1, soc.shape[-1])
    # Coarse woody debris may overflow where SOC does not: it counts only where it is returned.
    held = ordered_sum(state.pools) if "pools" in layout.groups else soc
    finite = torch.isfinite(held).all(0)
    status = torch.where(finite, int(Status.VALID), int(Status.NONFINITE))
    status = torch.where(state.has_steady_state, status, int(Status.NO_STEADY_STATE))
    if bool(status.any()):
        packed.masked_fill_(status != int(Status.VALID), torch.nan)
    packed[-1] = status
    return packed.cpu().numpy()


def _stock(soc: Tensor, bottom: float) -> Tensor:
    """SOC from the surface to a depth, (layer, n) [kg m-3] -> (n) [kg m-2]."""
    overlap = interval_overlap(0.0, bottom)
    layers = sum(metres > 0.0 for metres in overlap)
    return weighted_sum(soc[:layers], overlap[:layers])


class Block:
    """The arrays of a block with space flattened, and which of its cells can be computed."""

    def __init__(
        self,
        given: Sequence[np.ndarray],
        names: Sequence[str],
        dims: Sequence[str],
        bedrock: Bedrock,
    ) -> None:
        arrays = dict(zip(names, given[: len(names)], strict=True))
        self.positions = dict(zip(dims, given[len(names) :], strict=True))
        self.space = arrays["TSOI"].shape[2:]
        self.size = int(np.prod(self.space, dtype=np.int64))
        depth = len(self.space)
        self.arrays: Arrays = {
            name: array.reshape((*array.shape[: array.ndim - depth], self.size))
            if array.ndim >= depth and array.shape[array.ndim - depth :] == self.space
            else array
            for name, array in arrays.items()
        }
        forcing = {name: self.arrays[name] for name in FORCING_NAMES}
        found = {name: extremes(array) for name, array in forcing.items() if array.size}
        check_forcing_values(
            forcing,
            bedrock=bedrock,
            where=self.describe(),
            name_cell=self.name_cell,
            extremes=found,
        )
        self.forced = np.ones(self.size, dtype=bool)
        for name, ends in found.items():
            if not np.isfinite(ends).all():
                finite = np.isfinite(forcing[name]).reshape(-1, self.size)
                self.forced &= finite.all(axis=0)

    def describe(self) -> str:
        """Name the block by the part of the grid that it is."""
        parts = [f"{d}[{p[0]}:{p[-1] + 1}]" for d, p in self.positions.items() if p.size]
        return f"block {', '.join(parts)}" if parts else "the column"

    def name_cell(self, cell: int) -> str:
        """Name a flat cell by its position in the grid; a column has no name."""
        here = np.unravel_index(cell, self.space)
        parts = (f"{d}={p[i]}" for (d, p), i in zip(self.positions.items(), here, strict=True))
        return f"({', '.join(parts)})" if here else ""

    def stack(self, names: Sequence[str], dtype: np.dtype) -> np.ndarray:
        """Stack variables of space, (name, n)."""
        stacked = np.empty((len(names), self.size), dtype)
        for row, name in zip(stacked, names, strict=True):
            row[:] = self.arrays[name]
        return stacked

    def empty(
        self, layout: Layout, dtype: str, unusable: Mapping[Status, np.ndarray]
    ) -> np.ndarray:
        """Return an array of NaN, (channel, n), with the status of what cannot be computed."""
        packed = np.full((layout.n_channels, self.size), np.nan, dtype)
        status = packed[layout.outputs[-1].channels.start]
        status[:] = Status.VALID
        for reason, cells in unusable.items():
            status[cells] = reason
        status[~self.forced] = Status.NO_FORCING
        return packed

    def steps(self, usable: np.ndarray, n_draws: int = 1) -> Iterator[Cells]:
        """Yield the cells to compute, a fixed number at a time for a number of draws."""
        usable = usable & self.forced
        most = cells_per_step(n_draws)
        if usable.all():
            # Slices share memory where an index would copy the forcing.
            for start in range(0, self.size, most):
                yield slice(start, min(start + most, self.size))
            return
        cells = np.flatnonzero(usable)
        for start in range(0, len(cells), most):
            yield cells[start : start + most]

    def forcing(self, cells: Cells, dtype: torch.dtype, device: torch.device) -> Forcing:
        """Forcing tensors of some cells."""
        chosen = {name: self.arrays[name][..., cells] for name in FORCING_NAMES}
        return pack_forcing(chosen, dtype=dtype, device=device)

    def finish(self, packed: np.ndarray) -> np.ndarray:
        """Give the cells their place in space back."""
        return packed.reshape((packed.shape[0], *self.space))
