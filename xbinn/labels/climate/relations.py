"""What `xbinn.forcing.from_climate` takes in and makes: one table, each row with its relation.

Numbers of soil physics are those of the CLM5 technical note (Lawrence et al. 2018), chapters 2 and
6, which has them of the sources named here.
"""

from dataclasses import dataclass
from typing import Final

from xbinn.variables import MONTH


@dataclass(frozen=True)
class ClimateInput:
    """One input: its names, unit, dimensions, and what it is needed for.

    ``needed_for`` are the forcing variables that cannot be made without it; an input without any
    is used where it is there.
    """

    name: str
    long_name: str
    units: str
    dims: tuple[str, ...]
    needed_for: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    valid_range: tuple[float, float] = (0.0, float("inf"))


_SOIL: Final = ("TSOI", "W_SCALAR", "O_SCALAR")
_LITTER: Final = ("CWD_INPUT", "LITR1_INPUT", "LITR2_INPUT", "LITR3_INPUT")

CLIMATE_INPUTS: Final = (
    ClimateInput(
        "air_temperature",
        "air temperature near the surface",
        "degC",
        (MONTH,),
        _SOIL,
        ("tas", "tavg", "t2m"),
        (-90.0, 70.0),
    ),
    ClimateInput(
        "precipitation",
        "precipitation",
        "mm month-1",
        (MONTH,),
        _SOIL,
        ("pr", "prec", "tp"),
        (0.0, 5000.0),
    ),
    ClimateInput(
        "npp",
        "net primary production",
        "gC m-2 yr-1",
        (),
        _LITTER,
        ("NPP",),
        (-100.0, 10000.0),
    ),
    ClimateInput(
        "sand",
        "sand of fine earth",
        "percent",
        (),
        _SOIL,
        ("clm_sand",),
        (0.0, 100.0),
    ),
    ClimateInput(
        "clay",
        "clay of fine earth",
        "percent",
        (),
        _SOIL,
        ("clm_clay",),
        (0.0, 100.0),
    ),
    ClimateInput(
        "tree_fraction",
        "part of the vegetation that is trees",
        "1",
        (),
        _LITTER,
        (),
        (0.0, 1.0),
    ),
    ClimateInput(
        "shrub_fraction", "part of the vegetation that is shrubs", "1", (), (), (), (0, 1)
    ),
    ClimateInput(
        "bedrock_depth", "depth to bedrock", "m", (), ("nbedrock",), ("depth_to_bedrock",)
    ),
    ClimateInput(
        "soil_moisture",
        "volumetric soil water of the upper metre",
        "1",
        (MONTH,),
        (),
        (),
        (0.0, 1.0),
    ),
)

RELATIONS: Final = {
    "TSOI": "harmonics of air temperature, damped and delayed with depth (Carslaw and Jaeger 1959, "
    "section 2.6), by conductivity and heat capacity of texture and water (Johansen 1975; Farouki "
    "1981), and the heat of freezing spread over the annual range (Lunardini 1981); frost is "
    "halved by snow (n-factor of 0.5, Lunardini 1978; Smith and Riseborough 2002)",
    "W_SCALAR": "log of water potential between -2 and -0.002 MPa (Andren and Paustian 1987; "
    "CTSM's minpsi_hr and maxpsi_hr), by retention curves of texture (Clapp and Hornberger 1978; "
    "Cosby et al. 1984), and of ice where it freezes (Niu and Yang 2006)",
    "O_SCALAR": "air-filled porosity over 10 percent (Grable and Siemer 1968), at least 0.2 "
    "(CTSM's mino2lim)",
    "FPI_vr": "1: no limitation by nitrogen",
    "ALTMAX": "depth at which the warmest month of TSOI crosses 0 degC",
    "ALTMAX_LASTYEAR": "ALTMAX: every year is the same",
    "nbedrock": "last layer whose node lies above bedrock, at least 1",
    "CWD_INPUT": "NPP, all of which becomes litter, times its woody part: 0.39 of trees (Malhi et "
    "al. 2011), half of that of shrubs, none of herbs",
    "LITR1_INPUT": "a quarter of the litter of leaves and fine roots (CLM5's lf_flab, fr_flab)",
    "LITR2_INPUT": "half of the litter of leaves and fine roots (CLM5's lf_fcel, fr_fcel)",
    "LITR3_INPUT": "a quarter of the litter of leaves and fine roots (CLM5's lf_flig, fr_flig)",
}
"""What each forcing variable is made by, where data of its name are not given."""

SOIL_WATER: Final = (
    "bucket of one metre between wilting point and field capacity, filled by rain and melt, "
    "emptied by the potential evapotranspiration of Thornthwaite (1948) times its filling"
)

WOOD_OF_TREES: Final = 0.39
WOOD_OF_SHRUBS: Final = 0.5 * WOOD_OF_TREES
LITTER_PARTS: Final = (0.25, 0.5, 0.25)
"""Labile, cellulose and lignin part of leaf and fine-root litter (CLM5 parameter file)."""
