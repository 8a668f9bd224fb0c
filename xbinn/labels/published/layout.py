"""The published layout: which files there are and what their columns hold. One table.

Source: the file names, array names, shapes and column orders stated for the data of Tao et al.
(2023, doi:10.1038/s41586-023-06042-3) and Xu et al. (2025, arXiv:2502.00672). Columns without a
unit have none that the layout states.
"""

from dataclasses import dataclass
from typing import Final, Literal

from xbinn.variables import FORCING, INPUT_NAMES

Part = Literal["grid", "profiles", "proda"]

_WOSIS: Final = "wosis_2019_snap_shot"
_CASE: Final = "cesm2_clm5_cen_vr_v2"
_RUN: Final = "cesm2_simu/spinup_ss/sasu_f05_g16_checked_step4_cesm2_ss_4da_661_680"


@dataclass(frozen=True)
class PublishedFile:
    """One file: where it lies under the root, and the array that is read of it."""

    path: str
    variable: str
    part: Part


_N_BIOCLIMATIC: Final = 19
_DEPTHS: Final = ("0cm", "30cm", "100cm")


def _by_depth(name: str) -> tuple[str, ...]:
    return tuple(f"{name}_{depth}" for depth in _DEPTHS)


SITE_COLUMNS: Final = (
    *("ProfileNum", "ProfileID", "LayerNum", "Lon", "Lat", "Date", "Rmean", "Rmax", "Rmin"),
    *("ESA_Land_Cover", "ET", "IGBP", "Climate", "Soil_Type", "NPPmean", "NPPmax", "NPPmin"),
    "Veg_Cover",
    *(f"BIO{i + 1}" for i in range(_N_BIOCLIMATIC)),
    "Abs_Depth_to_Bedrock",
    *_by_depth("Bulk_Density"),
    *_by_depth("CEC"),
    *_by_depth("Clay_Content"),
    *_by_depth("Coarse_Fragments_v"),
    *("Depth_Bedrock_R", "Garde_Acid", "Occurrence_R_Horizon"),
    *_by_depth("pH_Water"),
    *_by_depth("Sand_Content"),
    *_by_depth("Silt_Content"),
    *_by_depth("SWC_v_Wilting_Point"),
    *_by_depth("Texture_USDA"),
    *("USDA_Suborder", "WRB_Subgroup", "Drought", "Elevation", "Max_Depth"),
    *("Koppen_Climate_2018", "cesm2_npp", "cesm2_npp_std", "cesm2_gpp", "cesm2_gpp_std"),
    *("cesm2_vegc", "nbedrock", "R_Squared"),
)
GRID_COLUMNS: Final = SITE_COLUMNS[3:-1]
NO_COVARIATES: Final = (
    *("ProfileNum", "ProfileID", "LayerNum", "Lon", "Lat", "Date", "nbedrock", "R_Squared"),
)
"""Columns that are coordinates, bookkeeping, or of the forcing, which has its own."""
CLASSES: Final = (
    *("ESA_Land_Cover", "IGBP", "Climate", "Soil_Type"),
    *_by_depth("Texture_USDA"),
    *("USDA_Suborder", "WRB_Subgroup", "Koppen_Climate_2018"),
)
"""Columns of classes."""

PROFILE_COLUMNS: Final = (
    *("profile_id", "country_id", "country_name", "lon", "lat", "layer_num", "date"),
)
SAMPLE_COLUMNS: Final = (
    *("profile_id", "date", "upper_depth", "lower_depth", "node_depth"),
    *("soc_layer_weight", "soc_stock", "bulk_density", "is_pedo"),
)

PROFILE_INFO: Final = PublishedFile(
    f"{_WOSIS}/soc_profile_wosis_2019_snapshot_hugelius_mishra.nc", "soc_profile_info", "profiles"
)
SAMPLES: Final = PublishedFile(
    f"{_WOSIS}/soc_data_integrate_wosis_2019_snapshot_hugelius_mishra.nc",
    "data_soc_integrate",
    "profiles",
)
SITES: Final = PublishedFile(
    f"{_WOSIS}/wosis_2019_snapshot_hugelius_mishra_env_info.mat", "EnvInfo", "profiles"
)
GELMAN_RUBIN: Final = PublishedFile(f"{_CASE}_para_gr.mat", "para_gr", "proda")
CHAIN_R2: Final = PublishedFile(f"{_CASE}_stat_r2.mat", "stat_r2", "proda")
ELIGIBLE: Final = PublishedFile(
    f"eligible_profile_loc_0_{_CASE}_whole_time.mat", "eligible_loc_0", "proda"
)
REPRESENTATIVE: Final = PublishedFile(
    f"{_CASE}_representative_profiles.mat", "sample_profile_id", "proda"
)
GRID: Final = PublishedFile("data4nn/world_grid_envinfo_present.mat", "EnvInfo", "grid")
RANGES: Final = PublishedFile(
    f"data4nn/world_grid_envinfo_present_{_CASE}_whole_time_col_max_min.mat",
    "col_max_min",
    "grid",
)
PARAMETER_TABLE: Final = "nn_para_result_full_{run}cross_valid_0_{fold}.csv"
LOCATION_TABLE: Final = "nn_site_loc_full_{run}cross_valid_0_{fold}.csv"
N_CHAINS: Final = 3
N_FOLDS: Final = 9

RUN_SHAPE: Final = (384, 576)
"""Latitudes from north to south and longitudes from west to east of the monthly climatologies."""
_LITTER: Final = {
    name: f"{prefix}_INPUT_ACC_VECTOR"
    for name, prefix in zip(INPUT_NAMES, ("CWD", "LITR1", "LITR2", "LITR3"), strict=True)
}


def _climatology(variable: str) -> PublishedFile:
    return PublishedFile(f"{_RUN}_{variable}.mat", "var_record_monthly_mean", "grid")


FORCING_FILES: Final = {v.name: _climatology(_LITTER.get(v.name, v.name)) for v in FORCING}
FORCING_UNITS: Final = {v.name: "gC m-3 month-1" if v.name in _LITTER else v.units for v in FORCING}
FURTHER_FILES: Final = {
    name: (_climatology(name), units)
    for name, units in (
        ("CELLSAND", "percent"),
        ("NPP", "gC m-2 s-1"),
        ("SOILPSI", "MPa"),
        ("T_SCALAR", "1"),
        ("TOTSOMC", "gC m-2"),
    )
}
"""Fields that the model does not need: read where they are."""
