"""The 21 biogeochemical parameters of the CLM5 soil carbon model: one table for everything.

The order is the published one and is the order of every parameter axis in xbinn. Network width,
scaling, attributes, documentation and tests are derived from this table.

A prior is a named table of bounds: physical = min + u (max - min) with u in [0, 1]. A vector u
without the name of its prior means nothing.

References
----------
Koven et al. 2013, doi:10.5194/bg-10-7109-2013 (CLM4.5 vertically resolved soil carbon).
Lawrence et al. 2018 (CLM5 technical note), chapter 21.
Tao et al. 2020, doi:10.3389/fdata.2020.00017 (PRODA; prior ``proda``).
Xu et al. 2025, arXiv:2502.00672 (BINN; prior ``binn``).
Jackson et al. 1996, doi:10.1007/BF00333714 (beta root profile).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from xbinn.errors import ParameterError

Prior = Literal["binn", "proda"]
PRIORS: Final[tuple[Prior, ...]] = get_args(Prior)

_KOVEN = "Koven et al. 2013"
_CLM5 = "Lawrence et al. 2018"
_JACKSON = "Jackson et al. 1996"


@dataclass(frozen=True)
class Parameter:
    """One biogeochemical parameter.

    ``clm5_default`` is None where CLM5 computes the value from soil texture
    (`clm5_sand_rule`). ``group`` names the process that the parameter controls: A carbon
    transfer, K baseline decomposition, xi environmental modifier, V vertical transport,
    I carbon input allocation. ``limits`` are the values that the equations can take at all:
    open intervals where the bound itself is impossible.
    """

    name: str
    long_name: str
    units: str
    priors: Mapping[str, tuple[float, float]]
    clm5_default: float | None
    group: Literal["A", "K", "xi", "V", "I"]
    source: str
    limits: tuple[float, float]
    limits_inclusive: tuple[bool, bool] = (True, True)
    aliases: tuple[str, ...] = ()


def _both(low: float, high: float) -> dict[str, tuple[float, float]]:
    return {"binn": (low, high), "proda": (low, high)}


def _each(binn: tuple[float, float], proda: tuple[float, float]) -> dict[str, tuple[float, float]]:
    return {"binn": binn, "proda": proda}


_INF = float("inf")


def _rate(
    name: str,
    pool: str,
    priors: dict[str, tuple[float, float]],
    default: float,
    aliases: tuple[str, ...] = (),
) -> Parameter:
    return Parameter(
        name,
        f"turnover time of {pool}",
        "yr",
        priors,
        default,
        "K",
        _CLM5,
        (0.0, _INF),
        (False, False),
        aliases,
    )


def _fraction(
    name: str, path: str, priors: dict[str, tuple[float, float]], default: float | None
) -> Parameter:
    meaning = f"fraction of decomposed carbon transferred from {path}"
    return Parameter(name, meaning, "1", priors, default, "A", _CLM5, (0.0, 1.0))


# fmt: off
PARAMETERS: Final = (
    Parameter("diffus", "bioturbation diffusivity", "m2 yr-1", _both(3e-5, 5e-4), 1e-4,
              "V", _KOVEN, (0.0, _INF), (True, False), ("bio",)),
    Parameter("cryo", "cryoturbation diffusivity", "m2 yr-1", _both(3e-5, 1.6e-3), 5e-4,
              "V", _KOVEN, (0.0, _INF), (True, False)),
    Parameter("q10", "factor on decomposition of 10 K of warming, frozen soil included", "1",
              _both(1.2, 3.0), 1.5, "xi", _KOVEN, (0.0, _INF), (False, False)),
    Parameter("efolding", "e-folding depth of decomposition", "m", _each((0.1, 1.0), (0.0, 1.0)),
              10.0, "xi", _KOVEN, (0.0, _INF), (False, False)),
    _rate("taucwd", "coarse woody debris", _both(1.0, 6.0), 3.333, ("tau4cwd",)),
    _rate("taul1", "metabolic litter", _each((1e-4, 0.11), (0.0, 0.11)), 0.0541, ("tau4l1",)),
    _rate("taul2", "cellulose and lignin litter", _both(0.1, 0.3), 0.2041, ("tau4l2",)),
    _rate("tau4s1", "fast soil organic carbon", _each((1e-4, 0.5), (0.0, 1.0)), 0.137),
    _rate("tau4s2", "slow soil organic carbon", _each((1.0, 10.0), (1.0, 50.0)), 5.0),
    _rate("tau4s3", "passive soil organic carbon", _each((20.0, 400.0), (200.0, 1000.0)), 222.222),
    _fraction("fl1s1", "metabolic litter to fast SOC", _both(0.1, 0.8), 0.45),
    _fraction("fl2s1", "cellulose litter to fast SOC", _both(0.2, 0.8), 0.5),
    _fraction("fl3s2", "lignin litter to slow SOC", _both(0.2, 0.8), 0.5),
    _fraction("fs1s2", "fast to slow SOC", _each((1e-4, 0.4), (0.0, 0.4)), None),
    _fraction("fs1s3", "fast to passive SOC", _each((1e-4, 0.1), (0.0, 0.05)), None),
    _fraction("fs2s1", "slow to fast SOC", _both(0.1, 0.74), 0.42),
    _fraction("fs2s3", "slow to passive SOC", _each((1e-4, 0.1), (0.0, 0.1)), 0.03),
    _fraction("fs3s1", "passive to fast SOC", _each((1e-4, 0.9), (0.0, 0.9)), 0.45),
    _fraction("fcwdl2", "coarse woody debris to cellulose litter, the rest going to lignin litter",
              _both(0.5, 1.0), 0.76),
    Parameter("w_scaling", "factor on the soil water scalar, the product capped at 1", "1",
              _each((1e-4, 5.0), (0.0, 5.0)), 1.0, "xi", _CLM5, (0.0, _INF), (False, False),
              ("w-scaling",)),
    Parameter("beta", "depth shape of plant carbon input, per cm", "1", _both(0.5, 0.9999), 0.95,
              "I", _JACKSON, (0.0, 1.0), (False, False)),
)
# fmt: on

PARAMETER_NAMES: Final = tuple(p.name for p in PARAMETERS)
N_PARAMETERS: Final = len(PARAMETERS)
PARAMETER_ALIASES: Final = {a: p.name for p in PARAMETERS for a in p.aliases}

TRANSFERS: Final = (
    ("fl1s1", "L1", "S1"),
    ("fl2s1", "L2", "S1"),
    ("fl3s2", "L3", "S2"),
    ("fs1s2", "S1", "S2"),
    ("fs1s3", "S1", "S3"),
    ("fs2s1", "S2", "S1"),
    ("fs2s3", "S2", "S3"),
    ("fs3s1", "S3", "S1"),
)
"""(parameter, donor, receiver); coarse woody debris goes to L2 (fcwdl2) and L3 (the rest)."""

_SAND_RULE_PASSIVE = 0.004


def prior_bounds(prior: Prior) -> tuple[tuple[float, float], ...]:
    """Return (min, max) of every parameter under the named prior, in table order.

    Raises
    ------
    ParameterError
        If no prior has that name.
    """
    if prior not in PRIORS:
        raise ParameterError(
            f"prior {prior!r} is not known: choose one of {', '.join(map(repr, PRIORS))}"
        )
    return tuple(p.priors[prior] for p in PARAMETERS)


def clm5_sand_rule(sand: float) -> dict[str, float]:
    """Fractions out of fast SOC that CLM5 computes from sand content (percent).

    Arithmetic only, so that arrays work as well as floats.

    References
    ----------
    Parton et al. 1987 as used in CLM5 (Lawrence et al. 2018, section 21.2).
    """
    respired = 0.85 - 0.68 * 0.01 * (100.0 - sand)
    return {
        "fs1s2": (1.0 - respired) * (1.0 - _SAND_RULE_PASSIVE / (1.0 - respired)),
        "fs1s3": _SAND_RULE_PASSIVE + 0.0 * sand,
    }
