"""The CLM5 soil column and the fixed numbers of its carbon model.

Depths and thicknesses in m, as in CTSM's 25-layer default grid cut at the 20 biogeochemically
active layers (Lawrence et al. 2018, CLM5 technical note, table 2.2). The 21st entry of each
column is the layer below, which only the transport operator sees.
"""

from typing import Final

POOLS: Final = ("CWD", "L1", "L2", "L3", "S1", "S2", "S3")
POOL_LONG_NAMES: Final = (
    "coarse woody debris",
    "metabolic litter",
    "cellulose litter",
    "lignin litter",
    "fast soil organic carbon",
    "slow soil organic carbon",
    "passive soil organic carbon",
)
N_POOLS: Final = len(POOLS)
LITTER_POOLS: Final = slice(1, 4)
"""L1, L2, L3 in `POOLS`."""
SOIL_POOLS: Final = slice(4, 7)
"""S1, S2, S3 in `POOLS`: what is measured as soil organic carbon."""
INPUT_POOLS: Final = POOLS[:4]
"""Pools that receive carbon from plants."""
N_INPUTS: Final = len(INPUT_POOLS)

# fmt: off
LAYER_THICKNESS: Final = (
    0.02, 0.04, 0.06, 0.08, 0.12, 0.16, 0.20, 0.24, 0.28, 0.32,
    0.36, 0.40, 0.44, 0.54, 0.64, 0.74, 0.84, 0.94, 1.04, 1.14, 2.39,
)
NODE_DEPTH: Final = (
    0.01, 0.04, 0.09, 0.16, 0.26, 0.40, 0.58, 0.80, 1.06, 1.36,
    1.70, 2.08, 2.50, 2.99, 3.58, 4.27, 5.06, 5.95, 6.94, 8.03, 9.795,
)
INTERFACE_DEPTH: Final = (
    0.02, 0.06, 0.12, 0.20, 0.32, 0.48, 0.68, 0.92, 1.20, 1.52,
    1.88, 2.28, 2.72, 3.26, 3.90, 4.64, 5.48, 6.42, 7.46, 8.60, 10.99,
)
# fmt: on
"""Depth of the bottom of each layer."""
N_LAYERS: Final = 20
N_LAYERS_CLM5: Final = 25
"""Layers in CTSM history files, of which the first `N_LAYERS` hold carbon."""
COLUMN_DEPTH: Final = INTERFACE_DEPTH[N_LAYERS - 1]

MONTHS_PER_YEAR: Final = 12
DAYS_PER_YEAR: Final = 365.0
"""CLM5's year has no leap day."""
KG_PER_G: Final = 1e-3
KG_PER_PG: Final = 1e12

REFERENCE_TEMPERATURE: Final = 298.15
"""Temperature (K) at which the temperature scalar is 1 (Koven et al. 2013)."""
Q10_INTERVAL: Final = 10.0
"""Warming (K) that multiplies decomposition by q10."""
MAX_ALTMAX_CRYOTURBATION: Final = 2.0
"""Active layers deeper than this (m) are bioturbated, not cryoturbated (Koven et al. 2013)."""
MAX_DEPTH_CRYOTURBATION: Final = 3.0
"""Depth (m) at which cryoturbation has faded to nothing (Koven et al. 2013)."""
DIFFUSIVITY_FLOOR: Final = 1e-30
"""Least diffusivity (m2 day-1) and advection (m day-1) of the published operator."""

SOC_FLOOR: Final = 0.05
"""SOC density (kg m-3) below which observations are not told apart in log space."""


def interval_overlap(top: float, bottom: float) -> tuple[float, ...]:
    """Thickness (m) of each of the 20 layers that lies between two depths (m)."""
    tops = (0.0, *INTERFACE_DEPTH)
    return tuple(
        max(0.0, min(bottom, below) - max(top, above))
        for above, below in zip(tops[:N_LAYERS], INTERFACE_DEPTH[:N_LAYERS], strict=True)
    )
