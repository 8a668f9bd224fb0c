"""What a packed array of a block holds, and where; what is kept of posterior samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, cast

from xbinn.constants import N_LAYERS, N_POOLS
from xbinn.errors import InputError
from xbinn.options import QUANTILES
from xbinn.parameters import N_PARAMETERS, PARAMETER_NAMES
from xbinn.variables import (
    CARBON_NAMES,
    CONTROLLED_PROCESSES,
    CONTROLLING_PROCESS,
    DEPTH,
    ELASTICITY,
    OBSERVATION_QUANTILE,
    OUTPUT_GROUPS,
    PARAMETER,
    POOL,
    POOL_VARIABLES,
    PROCESS,
    PROCESS_NAMES,
    PROCESS_RESPONSE,
    QUANTILE,
    SAMPLE,
    SOC_ELASTICITY,
    STATUS,
)

Group = Literal[
    "parameters",
    "processes",
    "soc",
    "pools",
    "elasticity",
    "soc_elasticity",
    "process_response",
    "controlling_process",
]

_SIZES: Final = {
    DEPTH: N_LAYERS,
    POOL: N_POOLS,
    PARAMETER: N_PARAMETERS,
    PROCESS: len(CONTROLLED_PROCESSES),
}


@dataclass(frozen=True)
class Posterior:
    """Samples of the posterior of a model, and what is kept of them.

    Sample i is member i modulo their number, with the dropout masks of (seed, i).

    Attributes
    ----------
    samples : int
        How many.
    quantiles : tuple of float
        To be kept, where samples are summed up.
    seed : int
        Of the masks.
    dropout : bool
        Whether masks are applied.
    reduce : bool
        Keep mean, standard deviation and quantiles; else all samples.
    """

    samples: int
    quantiles: tuple[float, ...] = QUANTILES
    seed: int = 0
    dropout: bool = True
    reduce: bool = True

    def describe(self) -> str:
        """Say it in words."""
        source = "Monte Carlo dropout" if self.dropout else "members without dropout"
        kept = f"quantiles {', '.join(map(str, self.quantiles))}" if self.reduce else "all kept"
        return f"{self.samples} posterior samples ({source}, seed {self.seed}), {kept}"


@dataclass(frozen=True)
class Output:
    """One output in a packed array: its own dimensions, their sizes, and its channels."""

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    channels: slice


@dataclass(frozen=True)
class Layout:
    """Which outputs a packed array holds, and where.

    Attributes
    ----------
    groups : tuple of str
        Groups of outputs.
    posterior : Posterior, optional
        For these, mean, spread and quantiles, or all samples.
    """

    groups: tuple[Group, ...]
    posterior: Posterior | None = None

    @classmethod
    def of(cls, outputs: str | Sequence[str], posterior: Posterior | None = None) -> "Layout":
        """Lay out one group or several of `xbinn.variables.OUTPUT_GROUPS`, as users name them.

        Raises
        ------
        InputError
            If there is none, or one is not known.
        """
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        unknown = [name for name in names if name not in OUTPUT_GROUPS]
        if unknown or not names:
            raise InputError(
                f"outputs={tuple(names)!r} cannot be returned: choose one or more of "
                f"{', '.join(map(repr, OUTPUT_GROUPS))}"
            )
        return cls(tuple(cast(Group, name) for name in names), posterior)

    @cached_property
    def one_draw(self) -> "Layout":
        """Layout of a single draw: of a sample, or of a network alone."""
        return Layout(self.groups)

    @property
    def observations(self) -> bool:
        """Whether quantiles of observations are among the outputs: wherever those of SOC are."""
        posterior = self.posterior
        return posterior is not None and posterior.reduce and "soc" in self.groups

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """All outputs in the order of their channels; `status` is the last."""
        members: dict[Group, list[tuple[str, tuple[str, ...]]]] = {
            "parameters": [(name, ()) for name in PARAMETER_NAMES],
            "processes": [(name, ()) for name in PROCESS_NAMES],
            "soc": [(name, (DEPTH,) if name == "soc" else ()) for name in CARBON_NAMES],
            "pools": [(v.name, v.dims) for v in POOL_VARIABLES],
            "elasticity": [(ELASTICITY.name, ELASTICITY.dims)],
            "soc_elasticity": [(SOC_ELASTICITY.name, SOC_ELASTICITY.dims)],
            "process_response": [(PROCESS_RESPONSE.name, PROCESS_RESPONSE.dims)],
            "controlling_process": [(CONTROLLING_PROCESS.name, CONTROLLING_PROCESS.dims)],
        }
        named = [pair for group in members if group in self.groups for pair in members[group]]
        sizes = dict(_SIZES)
        if self.posterior is not None:
            sizes |= {
                SAMPLE: self.posterior.samples,
                QUANTILE: len(self.posterior.quantiles),
            }
            if self.posterior.reduce:
                named = [
                    *named,
                    *((f"{name}_std", dims) for name, dims in named),
                    *((f"{name}_quantile", (QUANTILE, *dims)) for name, dims in named),
                ]
                if self.observations:
                    named.append((OBSERVATION_QUANTILE, (QUANTILE, DEPTH)))
            else:
                named = [(name, (SAMPLE, *dims)) for name, dims in named]
        outputs, start = [], 0
        for name, dims in [*named, (STATUS.name, ())]:
            shape = tuple(sizes[dim] for dim in dims)
            end = start + math.prod(shape)
            outputs.append(Output(name, dims, shape, slice(start, end)))
            start = end
        return tuple(outputs)

    @property
    def n_channels(self) -> int:
        """Length of the first axis of a packed array."""
        return int(self.outputs[-1].channels.stop)
