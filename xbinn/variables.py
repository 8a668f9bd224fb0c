"""Every variable that xbinn reads or writes besides covariates and parameters: one table.

Names, aliases, dimensions, units, ranges and CF names; attributes, checks, documentation and
tests are derived from here. Spatial dimensions are never listed: whatever is not `MONTH` or
`DEPTH` is space.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

MONTH: Final = "month"
MONTH_ALIASES: Final = ("time",)
DEPTH: Final = "depth"
DEPTH_ALIASES: Final = ("layer", "levsoi", "levgrnd", "levdcmp")
DEPTH_BOUNDS: Final = "depth_bnds"
POOL: Final = "pool"
PARAMETER: Final = "parameter"
PROCESS: Final = "process"
PROFILE: Final = "profile"
SAMPLE: Final = "sample"
QUANTILE: Final = "quantile"
OBSERVATION_QUANTILE: Final = "soc_observation_quantile"

Role = Literal[
    "forcing",
    "profile",
    "process",
    "carbon",
    "pools",
    "sensitivity",
    "status",
    "applicability",
]


@dataclass(frozen=True)
class Variable:
    """One variable: what it is called, what it measures, how it lies in an array.

    ``dims`` come before the spatial dimensions. ``optional_dims`` may be present or absent.
    ``valid_range`` is inclusive, in ``units``; None means unbounded.
    """

    name: str
    long_name: str
    units: str
    role: Role
    dims: tuple[str, ...] = ()
    optional_dims: tuple[str, ...] = ()
    valid_range: tuple[float | None, float | None] = (None, None)
    standard_name: str | None = None
    aliases: tuple[str, ...] = ()
    symbol: str | None = None
    comment: str | None = None


def _scalar(name: str, long_name: str) -> Variable:
    return Variable(name, long_name, "1", "forcing", (MONTH, DEPTH), valid_range=(0.0, 1.0))


def _litter(name: str, what: str) -> Variable:
    return Variable(
        name,
        f"{what} carbon input",
        "gC m-2 month-1",
        "forcing",
        (MONTH,),
        optional_dims=(DEPTH,),
        valid_range=(0.0, None),
        comment="with a depth dimension gC m-3 month-1; only the annual total enters the model",
    )


FORCING: Final = (
    Variable(
        "TSOI",
        "soil temperature",
        "K",
        "forcing",
        (MONTH, DEPTH),
        valid_range=(150.0, 373.15),
        standard_name="soil_temperature",
    ),
    _scalar("W_SCALAR", "soil water scalar of decomposition"),
    _scalar("O_SCALAR", "oxygen scalar of decomposition"),
    _scalar("FPI_vr", "fraction of potential immobilization (nitrogen scalar)"),
    Variable(
        "ALTMAX",
        "maximum annual active layer thickness",
        "m",
        "forcing",
        (MONTH,),
        valid_range=(0.0, None),
    ),
    Variable(
        "ALTMAX_LASTYEAR",
        "maximum active layer thickness of the previous year",
        "m",
        "forcing",
        (MONTH,),
        valid_range=(0.0, None),
    ),
    Variable(
        "nbedrock",
        "index of the last soil layer above bedrock, counted from 1",
        "1",
        "forcing",
        (),
        optional_dims=(MONTH,),
        valid_range=(1.0, None),
    ),
    _litter("CWD_INPUT", "coarse woody debris"),
    _litter("LITR1_INPUT", "metabolic litter"),
    _litter("LITR2_INPUT", "cellulose litter"),
    _litter("LITR3_INPUT", "lignin litter"),
)
FORCING_NAMES: Final = tuple(v.name for v in FORCING)
INPUT_NAMES: Final = tuple(v.name for v in FORCING if v.name.endswith("_INPUT"))
"""Litter inputs in the order of `xbinn.constants.INPUT_POOLS`."""

PROFILE_VARIABLES: Final = (
    Variable(
        "soc",
        "soil organic carbon density of the sample",
        "kg m-3",
        "profile",
        (PROFILE, SAMPLE),
        valid_range=(0.0, 700.0),
        comment="upper bound: pure organic matter at the density of compacted peat",
    ),
    Variable(
        "depth_top", "top of the sample", "m", "profile", (PROFILE, SAMPLE), valid_range=(0.0, None)
    ),
    Variable(
        "depth_bottom",
        "bottom of the sample",
        "m",
        "profile",
        (PROFILE, SAMPLE),
        valid_range=(0.0, None),
    ),
)

PROCESSES: Final = (
    Variable(
        "carbon_transfer_efficiency",
        "fraction of decomposed carbon that is transferred, not respired",
        "1",
        "process",
        symbol="A",
        comment="called carbon use efficiency (CUE) in PRODA and BINN",
    ),
    Variable(
        "baseline_decomposition",
        "stock-weighted baseline decomposition rate of soil organic carbon",
        "yr-1",
        "process",
        symbol="K",
        comment="mean of 1/tau over S1, S2, S3",
    ),
    Variable(
        "environmental_modifier",
        "carbon-weighted environmental modifier of decomposition",
        "1",
        "process",
        symbol="xi",
        comment="annual mean temperature scalar times annual mean water scalar times depth scalar",
    ),
    Variable(
        "vertical_transport",
        "carbon-weighted vertical transport rate",
        "yr-1",
        "process",
        symbol="V",
    ),
    Variable(
        "input_allocation",
        "depth shape of carbon input (back-calculated beta, per cm)",
        "1",
        "process",
        symbol="I",
    ),
    Variable(
        "litter_transfer_fraction",
        "fraction of decomposed litter carbon that becomes soil organic carbon",
        "1",
        "process",
        comment="L1, L2, L3; coarse woody debris excluded",
    ),
    Variable("carbon_input", "total annual plant carbon input", "kg m-2 yr-1", "process"),
    Variable(
        "residence_time",
        "residence time of soil organic carbon (cSoil over carbon input)",
        "yr",
        "process",
    ),
)
PROCESS_NAMES: Final = tuple(v.name for v in PROCESSES)
FRACTION_PROCESSES: Final = (
    "carbon_transfer_efficiency",
    "input_allocation",
    "litter_transfer_fraction",
)
"""Processes that are never above 1."""
CONTROLLED_PROCESSES: Final = tuple(v.name for v in PROCESSES if v.symbol is not None)
"""Processes with parameters of their own: the symbol is the group in `xbinn.parameters`."""

CARBON: Final = (
    Variable("soc", "soil organic carbon density", "kg m-3", "carbon", (DEPTH,)),
    Variable(
        "cSoil",
        "soil organic carbon stock of the whole column",
        "kg m-2",
        "carbon",
        standard_name="soil_mass_content_of_carbon",
    ),
    Variable(
        "cSoilAbove1m",
        "soil organic carbon stock above 1 m depth",
        "kg m-2",
        "carbon",
        standard_name="soil_mass_content_of_carbon",
    ),
)
CARBON_NAMES: Final = tuple(v.name for v in CARBON)

POOL_VARIABLES: Final = (
    Variable("carbon_pools", "carbon density by pool", "kg m-3", "pools", (POOL, DEPTH)),
    Variable("respiration", "heterotrophic respiration by pool", "kg m-2 yr-1", "pools", (POOL,)),
    Variable(
        "carbon_closure",
        "(carbon input - respiration) / carbon input",
        "1",
        "pools",
        comment="zero where transport conserves carbon",
    ),
)

ELASTICITY: Final = Variable(
    "elasticity",
    "elasticity of the soil organic carbon stock to each parameter",
    "1",
    "sensitivity",
    (PARAMETER,),
    comment="d ln cSoil / d ln parameter",
)
SOC_ELASTICITY: Final = Variable(
    "soc_elasticity",
    "elasticity of soil organic carbon density to each parameter",
    "1",
    "sensitivity",
    (PARAMETER, DEPTH),
    comment="d ln soc / d ln parameter",
)
PROCESS_RESPONSE: Final = Variable(
    "process_response",
    "relative response of the soil organic carbon stock to a relative change of each process",
    "1",
    "sensitivity",
    (PROCESS,),
    comment="d ln cSoil / d ln process when all parameters of the process change by one factor",
)
CONTROLLING_PROCESS: Final = Variable(
    "controlling_process",
    "process with the largest absolute response of the soil organic carbon stock",
    "1",
    "sensitivity",
    comment="among processes that a common relative change of their parameters moves by at least "
    "a tenth of it",
)
SENSITIVITY: Final = (ELASTICITY, SOC_ELASTICITY, PROCESS_RESPONSE, CONTROLLING_PROCESS)
CONTROLLING_MEANINGS: Final = " ".join(("none", *CONTROLLED_PROCESSES))
"""Of the values of `CONTROLLING_PROCESS`, from 0."""


class Status(IntEnum):
    """Why a cell has values, or has none."""

    VALID = 0
    NO_FORCING = 1
    COVARIATE_MISSING = 2
    NO_STEADY_STATE = 3
    NONFINITE = 4


STATUS: Final = Variable(
    "status",
    "whether the cell has a result, or why not",
    "1",
    "status",
    standard_name="quality_flag",
    comment="no_steady_state: carbon is supplied to a layer in which nothing decomposes all year; "
    "nonfinite: a result that is too large to be held",
)
STATUS_MEANINGS: Final = " ".join(s.name.lower() for s in Status)

APPLICABILITY: Final = (
    Variable(
        "dissimilarity_index",
        "distance to the nearest training site in the space of covariates",
        "1",
        "applicability",
        valid_range=(0.0, None),
        comment="over the mean distance of training sites from each other; Meyer and Pebesma 2021",
    ),
    Variable(
        "area_of_applicability",
        "whether the dissimilarity index is at most that between folds of training sites",
        "1",
        "applicability",
        valid_range=(0.0, 1.0),
        comment="1 inside, 0 outside",
    ),
)

OUTPUT_GROUPS: Final = ("parameters", "processes", "soc")
"""What `predict` can return; `status` always comes along."""

VARIABLES: Final = (
    *FORCING,
    *PROFILE_VARIABLES,
    *PROCESSES,
    *CARBON,
    *POOL_VARIABLES,
    *SENSITIVITY,
    STATUS,
    *APPLICABILITY,
)
FLAG_NAMES: Final = (CONTROLLING_PROCESS.name, STATUS.name)
"""Outputs that are whole numbers."""
