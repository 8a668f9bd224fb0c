"""Covariates and CLM5-like forcing of the idealised continent, at any position."""

from typing import Final

import numpy as np
import xarray as xr

from xbinn.constants import (
    COLUMN_DEPTH,
    INTERFACE_DEPTH,
    MONTHS_PER_YEAR,
    N_LAYERS,
    NODE_DEPTH,
)
from xbinn.variables import DEPTH, FORCING, MONTH

LATITUDES: Final = (30.0, 70.0)
LONGITUDES: Final = (-30.0, 30.0)
"""The box (degrees north, east) in which the continent lies."""

FREEZING: Final = 273.15
DAMPING_DEPTH: Final = 2.0
"""Depth (m) at which the annual wave of temperature has fallen to 1/e: loam, no latent heat."""
MINIMUM_SOIL_DEPTH: Final = 0.4
"""CTSM's zmin_bedrock (m): no column is shallower."""

LAND_COVER: Final = (
    "tundra", "boreal_forest", "temperate_forest", "grassland", "shrubland", "cropland",
)  # fmt: skip
ROCKS: Final = ("granite", "limestone", "loess", "basalt")

_COVARIATES: Final = {
    "annual_mean_temperature": ("annual mean air temperature", "degC"),
    "temperature_amplitude": ("half the range of monthly mean air temperature", "K"),
    "annual_precipitation": ("annual precipitation", "mm year-1"),
    "wetness": ("precipitation over precipitation and potential evaporation", "1"),
    "elevation": ("elevation", "m"),
    "sand": ("sand content of the fine earth", "percent"),
    "clay": ("clay content of the fine earth", "percent"),
    "ph": ("pH of the soil in water", "1"),
    "depth_to_bedrock": ("depth to bedrock", "m"),
    "npp": ("annual net primary production", "gC m-2 yr-1"),
    "land_cover": ("land cover", "1"),
    "parent_material": ("parent material of the soil", "1"),
    "land_fraction": ("land area fraction", "1"),
}
"""Name: (long name, units), in the order of `_covariates`."""


def continent(lat: xr.DataArray, lon: xr.DataArray, *, seed: int = 0) -> xr.Dataset:
    """Covariates and forcing of the idealised continent.

    Parameters
    ----------
    lat, lon : DataArray
        Positions [degrees north, east], of any dimensions; together they span space.
    seed : int
        Of the waves of coast, terrain, texture and rock.

    Returns
    -------
    Dataset
        Covariates (*space) and forcing (month, depth, *space) with units and provenance; float32,
        NaN in the ocean, except ``parent_material``, which is int8 with 0 in the ocean (0 is not
        among its ``flag_values``). Space has the dimensions of ``lat``, then those of ``lon``.
    """
    lat, lon = xr.broadcast(lat.drop_attrs(), lon.drop_attrs())
    covariates = _covariates(lat.astype(np.float64), lon.astype(np.float64), seed)
    land = covariates["land_fraction"] > 0.0
    grid = xr.Dataset({n: da.where(land).astype(np.float32) for n, da in covariates.items()})
    grid["land_fraction"] = grid["land_fraction"].fillna(0.0)
    # Forcing follows from the covariates as they are stored, as a reader would rebuild it.
    for name, da in _forcing(grid.astype(np.float64)).items():
        grid[name] = da.where(land).astype(np.float32)
    grid["parent_material"] = grid["parent_material"].fillna(0.0).astype(np.int8)
    space = land.dims
    grid = grid.transpose(MONTH, DEPTH, *space)
    return _describe(grid, seed)


def _waves(lat: xr.DataArray, lon: xr.DataArray, rng: np.random.Generator) -> xr.DataArray:
    """Sum eight plane waves of 12 to 40 degrees: a smooth field of mean 0 and variance 1."""
    n = 8
    direction, phase = rng.uniform(0.0, 2.0 * np.pi, (2, n))
    wavenumber = 2.0 * np.pi / rng.uniform(12.0, 40.0, n)
    axis_lon, axis_lat = wavenumber * np.cos(direction), wavenumber * np.sin(direction)
    waves = np.sin(lon.values[..., None] * axis_lon + lat.values[..., None] * axis_lat + phase)
    return lat.copy(data=np.sqrt(2.0 / n) * waves.sum(axis=-1))


# xr.ufuncs rather than numpy's: these say that they return a DataArray.
def logistic(x: xr.DataArray) -> xr.DataArray:
    """Return 1 / (1 + exp(-x))."""
    decay: xr.DataArray = xr.ufuncs.exp(-x)
    return 1.0 / (1.0 + decay)


def _bump(x: xr.DataArray, width: float) -> xr.DataArray:
    bump: xr.DataArray = xr.ufuncs.exp(-((x / width) ** 2))
    return bump


def _covariates(lat: xr.DataArray, lon: xr.DataArray, seed: int) -> dict[str, xr.DataArray]:
    """Every covariate as float64, also where there is ocean, in table order."""
    rng = np.random.default_rng(seed)
    coast, relief, weather, texture, fields = (_waves(lat, lon, rng) for _ in range(5))
    rocks = [_waves(lat, lon, rng) for _ in ROCKS]
    x = (lon - np.mean(LONGITUDES)) / 26.0
    y = (lat - np.mean(LATITUDES)) / 18.0
    bay = 0.6 * _bump(x - 0.85, 0.3) * _bump(y + 0.25, 0.25)
    # 1 - superellipse: positive on land, about 1 in the middle, 0 at the coast
    inland = 1.0 + 0.06 * coast - bay - (abs(x) ** 3 + abs(y) ** 3) ** (1.0 / 3.0)
    far = inland.clip(0.0, 1.0)
    west = _bump(x + 0.5 - 0.1 * np.sin(3.0 * y), 0.17)
    east = _bump(x - 0.6 - 0.2 * y, 0.12)
    shore = 1.0 - np.exp(-far / 0.1)
    elevation = shore * (
        2500.0 * west * (1.0 + 0.15 * relief) + 700.0 * east + 250.0 * far * (1.3 + 0.5 * relief)
    ).clip(min=0.0)

    mat = 25.0 - 0.88 * (lat - LATITUDES[0]) - 5.5e-3 * elevation + 0.8 * weather
    amplitude = 5.0 + 0.2 * (lat - LATITUDES[0]) + 6.0 * far
    shadow = logistic((x + 0.35) / 0.06) * _bump(x + 0.1, 0.45)
    rain = (300.0 + 1300.0 * (1.0 - far) ** 2) * (1.0 + 0.15 * weather) * (1.0 - 0.6 * shadow)
    precipitation = (rain + 600.0 * west) * (0.35 + 0.65 * logistic((mat + 2.0) / 6.0))
    wetness = precipitation / (precipitation + 250.0 + 55.0 * mat.clip(min=0.0))
    npp = 950.0 * logistic((mat - 6.0) / 5.0) * (1.0 - np.exp(-precipitation / 700.0))
    npp = npp.clip(min=2.0)

    rock = xr.concat(rocks, "rock", coords="minimal", compat="override").argmax("rock")
    loess, basalt = rock == ROCKS.index("loess"), rock == ROCKS.index("basalt")
    lime = rock == ROCKS.index("limestone")
    clay = (24.0 + 8.0 * texture - 6.0 * loess + 10.0 * basalt + 6.0 * lime).clip(4.0, 60.0)
    sand = (48.0 - 14.0 * texture - 20.0 * loess - 8.0 * basalt + 10.0 * west).clip(5.0, 90.0)
    sand = sand.where(sand + clay < 95.0, 95.0 - clay)
    ph = (7.8 - 2.4 * wetness + 0.6 * lime + 0.2 * fields).clip(4.0, 8.5)
    bedrock = (14.0 * xr.ufuncs.exp(0.4 * relief - 3.3 * west - 1.5 * east)).clip(0.3, 40.0)

    cover = xr.full_like(lat, 1 + LAND_COVER.index("temperate_forest"))
    cover = cover.where(wetness > 0.5, 1 + LAND_COVER.index("grassland"))
    cover = cover.where(wetness > 0.3, 1 + LAND_COVER.index("shrubland"))
    farmed = (fields > 0.6) & (mat > 6.0) & (wetness > 0.35) & (elevation < 800.0)
    cover = cover.where(~farmed, 1 + LAND_COVER.index("cropland"))
    cover = cover.where(mat > 4.0, 1 + LAND_COVER.index("boreal_forest"))
    cover = cover.where(mat > -5.0, 1 + LAND_COVER.index("tundra"))
    values = (
        mat, amplitude, precipitation, wetness, elevation, sand, clay, ph, bedrock, npp, cover,
        rock + 1, (inland > 0.0).astype(np.float64),
    )  # fmt: skip
    return dict(zip(_COVARIATES, values, strict=True))


def _forcing(d: xr.Dataset) -> dict[str, xr.DataArray]:
    """CLM5-like forcing from covariates, float64."""
    month = xr.DataArray(np.arange(1, MONTHS_PER_YEAR + 1), dims=MONTH, name=MONTH)
    z = xr.DataArray(np.array(NODE_DEPTH[:N_LAYERS]), dims=DEPTH, name=DEPTH)
    mat, wet, npp = d["annual_mean_temperature"], d["wetness"], d["npp"]
    cold = logistic(-mat / 3.0)
    # Snow keeps cold soils warmer than the air and halves their swing.
    mean = mat + 1.5 + 2.5 * cold
    swing = d["temperature_amplitude"] * (0.9 - 0.4 * cold)
    lag = z / DAMPING_DEPTH
    wave = np.cos(2.0 * np.pi * (month - 7.5) / MONTHS_PER_YEAR - lag)
    celsius = mean + swing * np.exp(-lag) * wave

    # Warmest of the year: mean + swing exp(-z/d). Thaw reaches where that is 0 degC.
    thaw = DAMPING_DEPTH * xr.ufuncs.log((swing / (-mean).clip(min=1e-9)).clip(min=1.0))
    altmax = thaw.clip(max=COLUMN_DEPTH)
    # Thaw deepens with the square root of time (Stefan) from May to September.
    season = np.sqrt(((month - 4.0) / 5.0).clip(0.0, 1.0))
    in_year = (altmax * season).where(altmax < COLUMN_DEPTH, altmax)

    thawed = 0.15 + 0.85 * logistic((celsius + 0.5) / 0.5)
    water = 0.15 + 0.85 * wet + 0.1 * np.exp(-z) * np.cos(2.0 * np.pi * month / MONTHS_PER_YEAR)
    bog = logistic((wet - 0.72) / 0.04) * logistic((300.0 - d["elevation"]) / 60.0)
    oxygen = 1.0 - 0.5 * bog * (1.0 - np.exp(-z / 0.3))
    nitrogen = 1.0 - 0.35 * cold - 0.1 * (1.0 - np.exp(-z))

    interfaces = np.array(INTERFACE_DEPTH[:N_LAYERS])
    soil_depth = d["depth_to_bedrock"].clip(min=MINIMUM_SOIL_DEPTH)
    layers = 1 + (soil_depth > xr.DataArray(interfaces, dims="interface")).sum("interface")
    by_month = np.exp(np.cos(2.0 * np.pi * (month - 9.0) / MONTHS_PER_YEAR))
    by_month = by_month / by_month.sum()
    cover = d["land_cover"]
    forest = cover.isin([1 + i for i, name in enumerate(LAND_COVER) if name.endswith("forest")])
    wood = 0.05 + 0.25 * forest
    full = xr.ones_like(celsius)
    litter = npp * by_month
    return {
        "TSOI": celsius + FREEZING,
        "W_SCALAR": (water * thawed).clip(0.01, 1.0),
        "O_SCALAR": oxygen * full,
        "FPI_vr": nitrogen * full,
        "ALTMAX": in_year,
        "ALTMAX_LASTYEAR": altmax * xr.ones_like(litter),
        "nbedrock": layers.clip(max=N_LAYERS).astype(np.float64),
        "CWD_INPUT": litter * wood,
        "LITR1_INPUT": litter * (1.0 - wood) * 0.25,
        "LITR2_INPUT": litter * (1.0 - wood) * 0.5,
        "LITR3_INPUT": litter * (1.0 - wood) * 0.25,
    }


def _describe(grid: xr.Dataset, seed: int) -> xr.Dataset:
    for name, (long_name, units) in _COVARIATES.items():
        grid[name].attrs = {"long_name": long_name, "units": units}
    for variable in FORCING:
        grid[variable.name].attrs = {"long_name": variable.long_name, "units": variable.units}
        if variable.standard_name:
            grid[variable.name].attrs["standard_name"] = variable.standard_name
    for key, da in grid.data_vars.items():
        kind = "covariate" if key in _COVARIATES else "CLM5-like forcing"
        da.attrs["provenance"] = f"idealised: {kind} of xbinn.idealised.continent, seed {seed}"
    # Results keep the coordinates, and maps of them have no coastlines.
    for coordinate in grid.coords.values():
        coordinate.attrs["provenance"] = "idealised: no place on Earth"
    for name, meanings in (("land_cover", LAND_COVER), ("parent_material", ROCKS)):
        flags = np.arange(1, len(meanings) + 1, dtype=np.int8)
        grid[name].attrs |= {"flag_values": flags, "flag_meanings": " ".join(meanings)}
    grid["land_fraction"].attrs["standard_name"] = "land_area_fraction"
    grid = grid.assign_coords(
        {
            MONTH: (MONTH, np.arange(1, MONTHS_PER_YEAR + 1), {"long_name": "month of the year"}),
            DEPTH: (
                DEPTH,
                np.array(NODE_DEPTH[:N_LAYERS]),
                {
                    "units": "m",
                    "positive": "down",
                    "axis": "Z",
                    "standard_name": "depth",
                    "long_name": "depth of the soil layer node",
                },
            ),
        }
    )
    grid.attrs = {
        "Conventions": "CF-1.11",
        "title": "Idealised continent: covariates and CLM5-like forcing",
        "description": "idealised: documented functions of position and a seed, no place on Earth",
        "source": f"xbinn.idealised.continent, seed {seed}",
    }
    return grid
