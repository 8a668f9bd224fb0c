"""How published databases lay their tables out: one table of layouts.

Column names were compared with what public code and papers say of them; ``source`` tells where, and
what is only known from the documentation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from xbinn.labels.soil.quantities import Column


@dataclass(frozen=True)
class Layout:
    """The tables of a database.

    Attributes
    ----------
    name : str
    title : str
        What the Dataset is called.
    columns : tuple of Column
        Of the joined table.
    files : dict of str to str
        File of each table; ``*`` stands for a version.
    source : str
        Where the list of columns comes from.
    reference : str
        How to cite the data.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    files: Mapping[str, str]
    source: str
    reference: str


_CM = "cm"
_PERCENT = "percent"
_FINE_EARTH: Final = ("bdfi33", "bdfiod", "bdfiad", "bdfifm")
"""Bulk density of fine earth at 33 kPa, oven dry, air dry, field moist. At 33 kPa first: that is
nearest to the volume of the soil in the field."""
_WOSIS_TEXTURE: Final = ("sand", "silt", "clay")


def _wosis(suffix: str) -> tuple[Column, ...]:
    return (
        Column("profile_id", ("profile_id",)),
        Column("lat", ("latitude",)),
        Column("lon", ("longitude",)),
        Column("depth_top", ("upper_depth",), _CM),
        Column("depth_bottom", ("lower_depth",), _CM),
        Column("organic_carbon", (f"orgc{suffix}",), "g kg-1"),
        Column("bulk_density", tuple(f"{n}{suffix}" for n in _FINE_EARTH), "kg dm-3"),
        Column("coarse_fragments", (f"cfvo{suffix}",), "cm3/100cm3"),
        Column("coarse_fragments_mass", (f"cfgr{suffix}",), "g/100g"),
        *(Column(n, (f"{n}{suffix}",), "g/100g") for n in _WOSIS_TEXTURE),
        Column("litter", ("litter",)),
        Column("country", ("country_name",)),
        Column("dataset", ("dataset_id", "dataset_code")),
    )


WOSIS_PROPERTIES: Final = ("orgc", *_FINE_EARTH, "cfvo", "cfgr", *_WOSIS_TEXTURE)
"""Codes of the properties that are read."""

WOSIS_2019: Final = Layout(
    "wosis_2019",
    "WoSIS snapshot, September 2019",
    _wosis("_value_avg"),
    {
        "profiles": "wosis_*_profiles.tsv",
        "chemical": "wosis_*_layers_chemical.tsv",
        "physical": "wosis_*_layers_physical.tsv",
    },
    "files and columns confirmed from appendix B of Batjes et al. 2020 and from public code that "
    "reads the snapshot; units as in its attribute table",
    "Batjes, Ribeiro and van Oostrum 2020, Earth Syst. Sci. Data 12, 299-320, "
    "doi:10.5194/essd-12-299-2020",
)
WOSIS_2023: Final = Layout(
    "wosis_2023",
    "WoSIS snapshot, December 2023",
    _wosis(""),
    {name: f"wosis_*_{name}.tsv" for name in (*WOSIS_PROPERTIES, "layers", "sites")},
    "profile_id, layer_id, depths, longitude, latitude, value_avg and the files orgc, bdfi33, "
    "clay, sand, layers, sites confirmed from public code that reads the snapshot; the other bulk "
    "densities, cfvo and cfgr by their codes of 2019, not seen in 2023",
    "Batjes, Calisto and de Sousa 2024, Earth Syst. Sci. Data 16, 4735-4765, "
    "doi:10.5194/essd-16-4735-2024",
)
KSSL: Final = Layout(
    "kssl",
    "NCSS Soil Characterization Database (KSSL)",
    (
        Column("profile_id", ("pedon_key",)),
        Column("lat", ("latitude_decimal_degrees", "latitude_std_decimal_degrees")),
        Column("lon", ("longitude_decimal_degrees", "longitude_std_decimal_degrees")),
        Column("depth_top", ("hzn_top",), _CM),
        Column("depth_bottom", ("hzn_bot",), _CM),
        # NRCS estimates organic carbon from total carbon less carbonate, or takes Walkley-Black.
        Column(
            "organic_carbon",
            ("estimated_organic_carbon", "organic_carbon_walkley_black"),
            _PERCENT,
        ),
        Column("total_carbon", ("total_carbon_ncs",), _PERCENT),
        Column("carbonate", ("caco3_lt_2_mm",), _PERCENT),
        Column("bulk_density", ("bulk_density_third_bar", "bulk_density_oven_dry"), "g cm-3"),
        Column("coarse_fragments_mass", ("total_frag_wt_pct_gt_2_mm_ws",), _PERCENT),
        Column("sand", ("sand_total",), _PERCENT),
        Column("silt", ("silt_total",), _PERCENT),
        Column("clay", ("clay_total",), _PERCENT),
        Column("horizon", ("hzn_desgn",)),
        Column("observed", ("site_obsdate",)),
    ),
    {
        "layer": "lab_layer",
        "chemical": "lab_chemical_properties",
        "physical": "lab_physical_properties",
        "pedon": "lab_combine_nasis_ncss",
        "site": "lab_site",
    },
    "tables, keys and columns confirmed from public SQL definitions of, and queries to, the Lab "
    "Data Mart; positions are taken from lab_combine_nasis_ncss, else lab_site",
    "National Cooperative Soil Survey, Soil Characterization Database, "
    "ncsslabdatamart.sc.egov.usda.gov",
)
RACA: Final = Layout(
    "raca",
    "Rapid Carbon Assessment (RaCA)",
    (
        Column("profile_id", ("upedonid",)),
        Column("lat", ("Gen_lat",)),
        Column("lon", ("Gen_long",)),
        Column("depth_top", ("TOP",), _CM),
        Column("depth_bottom", ("BOT",), _CM),
        Column("total_carbon", ("c_tot_ncs",), _PERCENT),
        Column("carbonate", ("caco3",), _PERCENT),
        Column("bulk_density", ("Measure_BD",), "g cm-3"),
        Column("bulk_density_modelled", ("Model_BD", "Bulkdensity"), "g cm-3"),
        Column("coarse_fragments", ("fragvolc",), _PERCENT),
        Column("land_use", ("LU",)),
        Column("site", ("rcasiteid",)),
    ),
    {"samples": "RaCA_samples.csv", "location": "RaC[aA]_general_location.csv"},
    "columns, and organic carbon as total carbon less 0.12 of carbonate, confirmed from the stock "
    "script of the RaCA download and from a print of the table",
    "Soil Survey Staff and Wills et al., Rapid Carbon Assessment, USDA-NRCS; Wills et al. 2014, "
    "Soil Carbon, Springer, 95-104",
)
SODAH: Final = Layout(
    "sodah",
    "Soils Data Harmonization database (SoDaH)",
    (
        Column("profile_id", ("profile_id",)),
        Column("lat", ("lat",)),
        Column("lon", ("long",)),
        Column("depth_top", ("layer_top",), _CM),
        Column("depth_bottom", ("layer_bot",), _CM),
        Column("organic_carbon", ("lyr_soc",), _PERCENT),
        Column("soc_stock", ("lyr_soc_stock",), "g m-2"),
        Column("bulk_density", ("bd_samp",), "g cm-3"),
        Column("coarse_fragments_mass", ("coarse_frac",), _PERCENT),
        Column("sand", ("sand",), _PERCENT),
        Column("silt", ("silt",), _PERCENT),
        Column("clay", ("clay",), _PERCENT),
        Column("network", ("network",)),
        Column("site", ("site_code",)),
        Column("observed", ("observation_date",)),
        Column("control", ("control_sample",)),
    ),
    {"data": "*.csv"},
    "column list confirmed from the reading script that EDI publishes with package edi.521.1; "
    "units of lyr_soc, bd_samp, depths and stocks from the calculation of lyr_soc_stock_calc in "
    "public code of SoDaH; that "
    "coarse_frac is by mass is taken from the documentation, not seen",
    "Wieder et al. 2021, Earth Syst. Sci. Data 13, 1843-1854, doi:10.5194/essd-13-1843-2021",
)
SODAH_PROFILE: Final = (
    "network",
    "site_code",
    "location_name",
    *(f"L{i}" for i in range(1, 6)),
    *(f"tx_L{i}" for i in (1, 2, 3, 4, 5, 6)),
    "observation_date",
    "lat",
    "long",
)
"""SoDaH numbers no profiles: rows that agree in all of these are one."""

LAYOUTS: Final = (WOSIS_2019, WOSIS_2023, KSSL, RACA, SODAH)

PLAIN: Final = tuple(
    Column(name, (name,))
    for name in (
        "profile_id",
        "lat",
        "lon",
        "depth_top",
        "depth_bottom",
        "carbon",
        "soc",
        "soc_stock",
        "organic_carbon",
        "total_carbon",
        "carbonate",
        "bulk_density",
        "coarse_fragments",
        "coarse_fragments_mass",
        "sand",
        "silt",
        "clay",
        "year",
        "source",
        "weight",
    )
)
"""Columns of a table in xbinn's own names; units stand in the header or are given."""
