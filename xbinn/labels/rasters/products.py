"""Raster products whose files do not say what they hold: one table, each row with its source."""

import re
from dataclasses import dataclass
from typing import Final

_WORLDCLIM: Final = (
    "Fick and Hijmans 2017, doi:10.1002/joc.5086; units: https://www.worldclim.org/data/"
    "worldclim21.html"
)
_BIOCLIM: Final = (
    "Fick and Hijmans 2017, doi:10.1002/joc.5086; units: https://www.worldclim.org/data/"
    "bioclim.html"
)
_SOILGRIDS: Final = (
    "Poggio et al. 2021, doi:10.5194/soil-7-217-2021; units and factors: "
    "https://www.isric.org/explore/soilgrids/faq-soilgrids"
)
_KOEPPEN: Final = (
    "Beck et al. 2018, doi:10.1038/sdata.2018.214; classes: legend.txt beside the maps"
)
_LAND_COVER: Final = (
    "ESA CCI Land Cover, product user guide v2 (2017), table 3-1, and "
    "http://maps.elie.ucl.ac.be/CCI/viewer/download/ESACCI-LC-Legend.csv"
)

HOMOLOSINE: Final = "+proj=igh +lat_0=0 +lon_0=0 +datum=WGS84 +units=m +no_defs"
"""Interrupted Goode homolosine, in which SoilGrids 2.0 is distributed."""


@dataclass(frozen=True)
class Product:
    """Rasters of one quantity.

    Attributes
    ----------
    pattern : str
        Regular expression that the whole stem of a file name matches.
    name : str
        Of the covariate; groups of the pattern are put in.
    long_name : str
        What it is.
    units : str
        Of the values as they are stored; empty for classes.
    converted : str
        Unit to convert to, where it is another.
    classes : tuple of (int, str)
        Values and meanings of classes.
    missing : tuple of int
        Values that stand for no data, whether or not the file says so.
    variable : str
        The one to take of a file with several.
    crs : str
        CRS of files that state none.
    source : str
        Where this row comes from.
    """

    pattern: str
    name: str
    long_name: str
    source: str
    units: str = ""
    converted: str = ""
    classes: tuple[tuple[int, str], ...] = ()
    missing: tuple[int, ...] = ()
    variable: str = ""
    crs: str = ""


_BIO: Final = (
    ("annual mean temperature", "degC"),
    ("mean diurnal range", "degC"),
    ("isothermality (BIO2/BIO7 x 100)", "percent"),
    ("temperature seasonality (standard deviation x 100)", "0.01 degC"),
    ("maximum temperature of warmest month", "degC"),
    ("minimum temperature of coldest month", "degC"),
    ("temperature annual range", "degC"),
    ("mean temperature of wettest quarter", "degC"),
    ("mean temperature of driest quarter", "degC"),
    ("mean temperature of warmest quarter", "degC"),
    ("mean temperature of coldest quarter", "degC"),
    ("annual precipitation", "mm"),
    ("precipitation of wettest month", "mm"),
    ("precipitation of driest month", "mm"),
    ("precipitation seasonality (coefficient of variation)", "percent"),
    ("precipitation of wettest quarter", "mm"),
    ("precipitation of driest quarter", "mm"),
    ("precipitation of warmest quarter", "mm"),
    ("precipitation of coldest quarter", "mm"),
)
_MONTHLY: Final = (
    ("tmin", "minimum temperature", "degC"),
    ("tmax", "maximum temperature", "degC"),
    ("tavg", "average temperature", "degC"),
    ("prec", "precipitation", "mm"),
    ("srad", "solar radiation", "kJ m-2 day-1"),
    ("wind", "wind speed", "m s-1"),
    ("vapr", "water vapour pressure", "kPa"),
)
# Property, meaning, unit as mapped, conventional unit.
_SOIL: Final = (
    ("bdod", "bulk density of fine earth", "cg cm-3", "g cm-3"),
    ("cec", "cation exchange capacity at pH 7", "mmol(c)/kg", "cmol(c)/kg"),
    ("cfvo", "volume of coarse fragments", "cm3 dm-3", "percent"),
    ("clay", "clay", "g kg-1", "percent"),
    ("nitrogen", "total nitrogen", "cg kg-1", "g kg-1"),
    ("ocd", "organic carbon density", "hg m-3", "kg m-3"),
    ("ocs", "organic carbon stock", "t ha-1", "kg m-2"),
    ("phh2o", "pH in water", "0.1", "1"),
    ("sand", "sand", "g kg-1", "percent"),
    ("silt", "silt", "g kg-1", "percent"),
    ("soc", "organic carbon of fine earth", "dg kg-1", "g kg-1"),
    ("wv0010", "volumetric water content at 10 kPa", "0.001", "percent"),
    ("wv0033", "volumetric water content at 33 kPa", "0.001", "percent"),
    ("wv1500", "volumetric water content at 1500 kPa", "0.001", "percent"),
)
_KOEPPEN_CLASSES: Final = (
    "Af Am Aw BWh BWk BSh BSk Csa Csb Csc Cwa Cwb Cwc Cfa Cfb Cfc Dsa Dsb Dsc Dsd Dwa Dwb Dwc Dwd "
    "Dfa Dfb Dfc Dfd ET EF"
)
_LAND_COVER_CLASSES: Final = """
10 cropland_rainfed
11 cropland_rainfed_herbaceous_cover
12 cropland_rainfed_tree_or_shrub_cover
20 cropland_irrigated
30 mosaic_cropland
40 mosaic_natural_vegetation
50 tree_broadleaved_evergreen_closed_to_open
60 tree_broadleaved_deciduous_closed_to_open
61 tree_broadleaved_deciduous_closed
62 tree_broadleaved_deciduous_open
70 tree_needleleaved_evergreen_closed_to_open
71 tree_needleleaved_evergreen_closed
72 tree_needleleaved_evergreen_open
80 tree_needleleaved_deciduous_closed_to_open
81 tree_needleleaved_deciduous_closed
82 tree_needleleaved_deciduous_open
90 tree_mixed
100 mosaic_tree_and_shrub
110 mosaic_herbaceous
120 shrubland
121 shrubland_evergreen
122 shrubland_deciduous
130 grassland
140 lichens_and_mosses
150 sparse_vegetation
151 sparse_tree
152 sparse_shrub
153 sparse_herbaceous
160 tree_cover_flooded_fresh_or_brackish_water
170 tree_cover_flooded_saline_water
180 shrub_or_herbaceous_cover_flooded
190 urban
200 bare_areas
201 bare_areas_consolidated
202 bare_areas_unconsolidated
210 water
220 snow_and_ice
"""
_RESOLUTION: Final = r"wc2\.1_\d+(?:\.\d+)?[ms]"

PRODUCTS: Final = (
    *(
        Product(rf"{_RESOLUTION}_bio_0?{i}", f"bio{i}", text, _BIOCLIM, units)
        for i, (text, units) in enumerate(_BIO, start=1)
    ),
    *(
        Product(rf"{_RESOLUTION}_{key}_(\d\d)", rf"{key}_\1", text, _WORLDCLIM, units)
        for key, text, units in _MONTHLY
    ),
    Product(rf"{_RESOLUTION}_elev", "elevation", "elevation", _WORLDCLIM, "m"),
    *(
        Product(
            # A depth interval, and which figure of the predictive distribution.
            rf"{key}_(\d+)-(\d+)cm_(mean|Q0\.05|Q0\.5|Q0\.95)(?:_\d+)?",
            rf"{key}_\1_\2cm_\3",
            text,
            _SOILGRIDS,
            units,
            converted,
            crs=HOMOLOSINE,
        )
        for key, text, units, converted in _SOIL
    ),
    Product(
        r"(?:Beck_KG_V1|koppen_geiger)_(?!.*conf).*",
        "koeppen",
        "Koeppen-Geiger class",
        _KOEPPEN,
        classes=tuple(enumerate(_KOEPPEN_CLASSES.split(), start=1)),
        missing=(0,),
        crs="EPSG:4326",
    ),
    Product(
        r"(?:ESACCI|C3S)-LC-L4-LCCS-Map-300m-P1Y-(\d{4})-v.*",
        "land_cover",
        "land cover class (LCCS)",
        _LAND_COVER,
        classes=tuple(
            (int(value), meaning)
            for value, meaning in (row.split() for row in _LAND_COVER_CLASSES.strip().splitlines())
        ),
        missing=(0,),
        variable="lccs_class",
        crs="EPSG:4326",
    ),
)


def find_product(stem: str) -> tuple[Product, str] | None:
    """Find the product that a file is of, and the name of its covariate.

    Parameters
    ----------
    stem : str
        Name of the file, without folder and suffix.

    Returns
    -------
    (Product, str) or None
        None where the table has no such file.
    """
    for product in PRODUCTS:
        match = re.fullmatch(product.pattern, stem)
        if match is not None:
            return product, match.expand(product.name).replace("Q0.", "q").replace("_mean", "")
    return None
