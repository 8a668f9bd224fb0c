"""Compare the forcing of `xbinn.forcing.from_climate` with another, variable by variable.

Run ``python -m benchmarks.climate`` for a table, with ``--json`` for numbers alone, with
``--smoke`` for a grid of a few cells.

The other forcing is that of the grid which ``XBINN_DATA`` names, else of the idealised continent.
Neither is a run of CLM5: how each was made stands in the attributes of its variables. These grids
have no monthly climate, so that it is drawn of their annual figures: temperature as a cosine with
the mean and range of the year, coldest in January; precipitation as a cosine between the wettest
and the driest quarter, wettest in July where the wettest quarter is a warm one, else in January.
Nothing of the other forcing goes in. Trees are those of the land cover: all of forests, a third of
savannas and mixed classes, none of the rest.
"""

import os
from collections.abc import Sequence
from typing import Final

import numpy as np
import xarray as xr

import xbinn
from benchmarks.common import parser, report
from xbinn.labels.climate import soil
from xbinn.testing import small_grid
from xbinn.variables import FORCING

_FORESTS: Final = (1, 2, 3, 4, 5)
_SHRUBS: Final = (6, 7)
_MIXED: Final = (8, 9, 14)
"""Classes of IGBP."""

_FREEZING: Final = 273.15
_THAWED: Final = " thawed"
_FROZEN: Final = " frozen"
_THEIR_WATER: Final = " thawed, their water"
_RELATION: Final = " of their water alone"
_WATER: Final = {"soil_moisture_l1": 0.07, "soil_moisture_l2": 0.28, "soil_moisture_l3": 1.0}
"""Annual mean water of the layers of a reanalysis, and where they end [m]."""

Figures = dict[str, dict[str, float | None]]


def _cosine(month: xr.DataArray) -> xr.DataArray:
    """1 in July, -1 in January; ``month`` counts from 1."""
    return -np.cos(2.0 * np.pi * (month - 1) / month.size)


def climate_of(grid: xr.Dataset) -> xr.Dataset:
    """Monthly climate, soil and vegetation of a grid, see above."""
    month = xr.DataArray(np.arange(1, 13), dims="month")
    summer = _cosine(month)
    if "bio1" in grid:
        mean, swing = grid["bio1"], (grid["bio10"] - grid["bio11"]) / 2.0
        wet, dry = grid["bio16"] / 3.0, grid["bio17"] / 3.0
        sign = xr.where(grid["bio8"] > grid["bio1"], 1.0, -1.0)
        rain = (wet + dry) / 2.0 + (wet - dry) / 2.0 * sign * summer
        rain = rain * grid["bio12"] / rain.sum("month")
        cover = grid["igbp"]
        trees = cover.isin(_FORESTS) * 1.0 + cover.isin(_MIXED) / 3.0
        shrubs = cover.isin(_SHRUBS) * 1.0
        npp, texture = grid["npp_casa"], ("clm_sand", "clm_clay")
    else:
        mean, swing = grid["annual_mean_temperature"], grid["temperature_amplitude"]
        rain = grid["annual_precipitation"] / 12.0 * xr.ones_like(summer)
        names = dict(
            zip(
                grid["land_cover"].attrs["flag_meanings"].split(),
                grid["land_cover"].attrs["flag_values"],
                strict=True,
            )
        )
        forests = [v for n, v in names.items() if "forest" in n]
        trees, shrubs = grid["land_cover"].isin(forests) * 1.0, None
        npp, texture = grid["npp"], ("sand", "clay")
    made = {
        "air_temperature": (mean + swing * summer).assign_attrs(units="degC"),
        "precipitation": rain.assign_attrs(units="mm month-1"),
        "npp": npp,
        "sand": grid[texture[0]],
        "clay": grid[texture[1]],
        "tree_fraction": trees.assign_attrs(units="1"),
    }
    if shrubs is not None:
        made["shrub_fraction"] = shrubs.assign_attrs(units="1")
    return xr.Dataset(made)


def measure(grid: xr.Dataset) -> Figures:
    """Correlation, bias and root mean square difference over cells, months and layers.

    nbedrock, of which climate says nothing, and FPI_vr, which is assumed, are left out. W_SCALAR is
    also compared where both soils are above and where both are below 0 degC, since the other may
    know no ice; and where the grid has the soil water that the other was made of, with that water
    in place of the bucket, and as the mere relation from that water to the annual mean.
    """
    climate = climate_of(grid)
    made = xbinn.forcing.from_climate(climate, assume=("FPI_vr", "nbedrock"))
    figures: Figures = {}
    for variable in FORCING:
        if variable.name not in ("nbedrock", "FPI_vr"):
            figures[variable.name] = _compared(made[variable.name], grid[variable.name])
    theirs = grid["W_SCALAR"]
    thawed = (made["TSOI"] > _FREEZING) & (grid["TSOI"] > _FREEZING)
    frozen = (made["TSOI"] < _FREEZING) & (grid["TSOI"] < _FREEZING)
    figures[f"W_SCALAR{_THAWED}"] = _compared(made["W_SCALAR"].where(thawed), theirs)
    if frozen.any():
        figures[f"W_SCALAR{_FROZEN}"] = _compared(made["W_SCALAR"].where(frozen), theirs)
    if set(_WATER) <= set(grid):
        metre = _metre_mean(grid).expand_dims(month=made["month"]).assign_attrs(units="1")
        wet = xbinn.forcing.from_climate(
            climate.assign(soil_moisture=metre), assume=("FPI_vr", "nbedrock")
        )
        figures[f"W_SCALAR{_THEIR_WATER}"] = _compared(wet["W_SCALAR"].where(thawed), theirs)
        relation = relation_of(water_of(grid), climate["sand"], climate["clay"])
        figures[f"W_SCALAR{_RELATION}"] = _compared(relation, theirs.mean("month"))
    return figures


def water_of(grid: xr.Dataset) -> xr.DataArray:
    """Annual mean water [1] of the layers of a reanalysis, at the nodes of the model."""
    names = list(_WATER)
    layered = grid[names[-1]].expand_dims(depth=grid["depth"])
    for name in reversed(names[:-1]):
        layered = layered.where(grid["depth"] > _WATER[name], grid[name])
    return layered


def relation_of(water: xr.DataArray, sand: xr.DataArray, clay: xr.DataArray) -> xr.DataArray:
    """W_SCALAR [1] of a water content [1] above 0 degC."""
    made: xr.DataArray = xr.apply_ufunc(soil.water_scalar, water, _FREEZING + 1.0, sand, clay)
    return made


def _metre_mean(grid: xr.Dataset) -> xr.DataArray:
    """Mean water [1] of the upper metre."""
    thickness = np.diff([0.0, *_WATER.values()])
    return sum(part * grid[name] for part, name in zip(thickness, _WATER, strict=True))


def _compared(ours: xr.DataArray, theirs: xr.DataArray) -> dict[str, float | None]:
    ours, theirs = xr.broadcast(ours, theirs)
    a, b = (da.transpose(*ours.dims).values.astype(np.float64).ravel() for da in (ours, theirs))
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    # Single precision lets a constant vary in its last digit.
    varies = min(a.std(), b.std()) > 1e-6 * max(abs(a.mean()), abs(b.mean()))
    return {
        "correlation": float(np.corrcoef(a, b)[0, 1]) if varies else None,
        "bias": float((a - b).mean()),
        "rmse": float(np.sqrt(((a - b) ** 2).mean())),
        "mean": float(b.mean()),
    }


def table(figures: Figures, against: str) -> str:
    """Lay the figures out for reading."""
    units = {v.name: v.units for v in FORCING}
    width = max(map(len, figures)) + 1
    lines = [
        f"from_climate against {against}",
        f"{'':{width}}{'correlation':>12}{'bias':>10}{'rmse':>10}{'mean':>10}  unit",
    ]
    for name, f in figures.items():
        values = {key: np.nan if value is None else value for key, value in f.items()}
        numbers = f"{values['correlation']:12.2f}" + "".join(
            f"{values[key]:10.3g}" for key in ("bias", "rmse", "mean")
        )
        lines.append(f"{name:{width}}{numbers}  {units[name.split()[0]]}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    options = parser("benchmarks.climate", __doc__).parse_args(arguments)
    real = bool(os.environ.get("XBINN_DATA")) and not options.smoke
    against = "the grid of XBINN_DATA" if real else "the idealised grid"

    def run() -> Figures:
        return measure(small_grid() if options.smoke else xbinn.datasets.open_grid().load())

    report(options, run, lambda figures: table(figures, against))


if __name__ == "__main__":
    main()
