"""Bulk density where none was measured: published pedotransfer functions, by name, on request.

Each gives the density of fine earth [g cm-3] of organic carbon and texture [percent]. They were
fitted to soils of one region or use; outside they are off by 0.1 to 0.3 g cm-3 as a rule (De Vos
et al. 2005), so that what they fill in is flagged sample by sample.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from xbinn.errors import ProfileError

ORGANIC_MATTER: Final = 1.724
"""Organic matter per organic carbon (van Bemmelen)."""

MINERAL: Final = 12.0
"""Organic carbon [percent] above which soil is no longer mineral (USDA Soil Taxonomy, little clay):
functions of mineral soils should not be used beyond."""
ORGANIC: Final = 58.0
"""Organic carbon [percent] of pure organic matter."""

Values = np.ndarray


@dataclass(frozen=True)
class Pedotransfer:
    """A pedotransfer function for bulk density.

    Attributes
    ----------
    name : str
    formula : str
        In percent; OC organic carbon, OM = 1.724 OC organic matter.
    inputs : tuple of str
        What it needs besides ``organic_carbon``.
    valid : str
        The soils that it was fitted to.
    largest : float
        Organic carbon [percent] up to which it should be used; samples above are flagged.
    citation : str
    density : callable
        From organic carbon and the inputs [percent] to g cm-3.
    """

    name: str
    formula: str
    inputs: tuple[str, ...]
    valid: str
    largest: float
    citation: str
    density: Callable[..., Values]


def _adams(oc: Values) -> Values:
    om = ORGANIC_MATTER * oc
    return 100.0 / (om / 0.311 + (100.0 - om) / 1.47)


def _federer(oc: Values) -> Values:
    # Soil without organic matter has no logarithm; a hundredth of a percent is below detection.
    log = np.log(np.maximum(ORGANIC_MATTER * oc, 0.01) / 100.0)
    return np.exp(-2.31 - 1.079 * log - 0.113 * log**2)


PEDOTRANSFERS: Final[Mapping[str, Pedotransfer]] = {
    p.name: p
    for p in (
        Pedotransfer(
            "adams_1973",
            "100 / (OM / 0.311 + (100 - OM) / 1.47)",
            (),
            "podzols under forest, Wales; holds for organic layers too",
            ORGANIC,
            "Adams 1973, J. Soil Sci. 24, 10-17, doi:10.1111/j.1365-2389.1973.tb00737.x",
            _adams,
        ),
        Pedotransfer(
            "alexander_1980",
            "1.66 - 0.308 sqrt(OC)",
            (),
            "mineral soils, uplands of California",
            MINERAL,
            "Alexander 1980, Soil Sci. Soc. Am. J. 44, 689-692",
            lambda oc: 1.66 - 0.308 * np.sqrt(oc),
        ),
        Pedotransfer(
            "federer_1983",
            "exp(-2.31 - 1.079 ln(OM / 100) - 0.113 ln(OM / 100)^2)",
            (),
            "forest soils, New England; organic layers too",
            ORGANIC,
            "Federer 1983, Can. J. For. Res. 13, 1026-1032",
            _federer,
        ),
        Pedotransfer(
            "kaur_2002",
            "exp(0.313 - 0.191 OC + 0.02102 clay - 0.000476 clay^2 - 0.00432 silt)",
            ("clay", "silt"),
            "mineral soils of low carbon, Almora, India",
            MINERAL,
            "Kaur, Kumar and Gurung 2002, Aust. J. Soil Res. 40, 847-857",
            lambda oc, clay, silt: np.exp(
                0.313 - 0.191 * oc + 0.02102 * clay - 0.000476 * clay**2 - 0.00432 * silt
            ),
        ),
        Pedotransfer(
            "manrique_jones_1991",
            "1.660 - 0.318 sqrt(OC)",
            (),
            "mineral soils of the USA and the tropics (19,651 samples)",
            MINERAL,
            "Manrique and Jones 1991, Soil Sci. Soc. Am. J. 55, 476-481",
            lambda oc: 1.660 - 0.318 * np.sqrt(oc),
        ),
        Pedotransfer(
            "tomasella_hodnett_1998",
            "1.578 - 0.054 OC - 0.006 silt - 0.004 clay",
            ("clay", "silt"),
            "mineral soils, Brazilian Amazonia",
            MINERAL,
            "Tomasella and Hodnett 1998, Soil Sci. 163, 190-202",
            lambda oc, clay, silt: 1.578 - 0.054 * oc - 0.006 * silt - 0.004 * clay,
        ),
    )
}
"""Pedotransfer functions by name."""


def find_pedotransfer(name: str) -> Pedotransfer:
    """Look a pedotransfer function up.

    Raises
    ------
    ProfileError
        If there is none of that name.
    """
    if name not in PEDOTRANSFERS:
        raise ProfileError(
            f"pedotransfer={name!r} is not known: choose one of {', '.join(PEDOTRANSFERS)} (see "
            "xbinn.profiles.PEDOTRANSFERS for formula, validity and citation)"
        )
    return PEDOTRANSFERS[name]


def estimate(
    name: str, organic_carbon: Values, texture: Mapping[str, Values]
) -> tuple[Values, np.ndarray]:
    """Estimate bulk density.

    Parameters
    ----------
    name : str
        In `PEDOTRANSFERS`.
    organic_carbon : ndarray (n,) [g kg-1]
        Of each sample.
    texture : mapping of str to ndarray (n,) [percent]
        ``sand``, ``silt``, ``clay`` as far as they are known.

    Returns
    -------
    density : ndarray (n,) [kg m-3]
        NaN where an input is missing or the formula gives nothing above zero.
    outside : ndarray of bool (n,)
        Where organic carbon is above that of the soils it was fitted to.

    Raises
    ------
    ProfileError
        If there is no such function, or texture that it needs is not in the table.
    """
    function = find_pedotransfer(name)
    missing = [n for n in function.inputs if n not in texture]
    if missing:
        without = [p.name for p in PEDOTRANSFERS.values() if not p.inputs]
        raise ProfileError(
            f"pedotransfer={name!r} needs {', '.join(missing)}, which the table does not have: "
            f"name the columns, or choose one that needs carbon alone ({', '.join(without)})"
        )
    percent = np.where(organic_carbon >= 0.0, organic_carbon / 10.0, np.nan)
    density = function.density(percent, **{n: texture[n] for n in function.inputs})
    return np.where(density > 0.0, density * 1000.0, np.nan), percent > function.largest
