"""What figures are drawn of: made by formulas, so that it is the same everywhere."""

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

mpl.use("Agg")

import matplotlib.pyplot as plt

import xbinn
from xbinn.constants import INTERFACE_DEPTH, N_LAYERS, NODE_DEPTH
from xbinn.idealised import true_parameters
from xbinn.parameters import PARAMETER_NAMES, PARAMETERS
from xbinn.plotting import geometry
from xbinn.science.recovery import SUBSET, Case, recover_parameters, recovery_errors
from xbinn.testing import small_grid, small_profiles

QUANTILES = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
SPREAD = np.array([0.4, 0.8, 1.0, 1.3, 2.2])
"""Of an observation about the mean, at `QUANTILES`."""


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def plain(monkeypatch) -> None:
    """As without cartopy."""
    monkeypatch.setattr(geometry, "cartography", None)


@pytest.fixture(scope="session")
def elevation() -> xr.DataArray:
    """Elevation of the idealised continent, NaN in the ocean."""
    return small_grid((10, 12))["elevation"]


@pytest.fixture(scope="session")
def sampled(elevation) -> xr.Dataset:
    """As of `xbinn.predict` with samples."""
    depth = xr.DataArray(
        np.array(NODE_DEPTH[:N_LAYERS]), dims="depth", attrs={"units": "m", "positive": "down"}
    )
    quantile = xr.DataArray(QUANTILES, dims="quantile")
    spread = xr.DataArray(SPREAD, dims="quantile", coords={"quantile": quantile})
    surface = 40.0 * np.exp(-elevation / 900.0) + 2.0
    soc = (surface * np.exp(-depth / 0.5)).assign_coords(depth=depth)
    # Bedrock in the north.
    soc = soc.where((soc["lat"] < 55.0) | (soc["depth"] < 1.0))
    out = xr.Dataset({"soc": soc, "cSoilAbove1m": 0.4 * surface})
    out["cSoilAbove1m_std"] = out["cSoilAbove1m"] * (0.05 + 0.2 * abs(elevation["lon"]) / 30.0)
    out["soc_observation_quantile"] = soc * spread
    out["soc_quantile"] = soc * (1.0 + 0.2 * (spread - 1.0))
    density = {"units": "kg m-3", "long_name": "soil organic carbon density"}
    for name in ("soc", "soc_observation_quantile", "soc_quantile"):
        out[name].attrs = density
    stock = {"units": "kg m-2", "long_name": "soil organic carbon stock above 1 m depth"}
    out["cSoilAbove1m"].attrs = out["cSoilAbove1m_std"].attrs = stock
    out.attrs = {"source": "xbinn 0, model sha256 " + "a" * 64}
    return out


@pytest.fixture(scope="session")
def applicable(elevation) -> xr.Dataset:
    """As of `xbinn.applicability`: high land is outside."""
    inside = (elevation < 700.0).astype(float).where(elevation.notnull())
    return xr.Dataset({"area_of_applicability": inside})


@pytest.fixture(scope="session")
def observed(elevation) -> xr.Dataset:
    """Profiles in seven cells of land, and one in the ocean."""
    land = elevation.stack(cell=("lat", "lon")).dropna("cell")["cell"].values[::9][:7]
    lat, lon = np.array([*land, (30.5, -29.5)], dtype=float).T
    top = np.array([0.0, 0.1, 0.3, 0.6])
    bottom = np.array([0.1, 0.3, 0.6, 1.1])
    soc = 20.0 * np.exp(-0.5 * (top + bottom) / 0.5) * (1.0 + 0.3 * np.sin(np.arange(8.0)))[:, None]
    soc[1, 3] = np.nan
    return xr.Dataset(
        {
            "soc": (("profile", "sample"), soc, {"units": "kg m-3"}),
            "depth_top": ("sample", top, {"units": "m"}),
            "depth_bottom": ("sample", bottom, {"units": "m"}),
        },
        {"lat": ("profile", lat), "lon": ("profile", lon)},
    )


@pytest.fixture(scope="session")
def posterior() -> xr.Dataset:
    """Samples of the parameters in one cell, narrow and wide ones."""
    place = (np.arange(400) + 0.5) / 400
    data = {}
    for number, p in enumerate(PARAMETERS):
        low, high = p.priors["binn"]
        data[p.name] = ("sample", low + (high - low) * place ** (1.0 + number % 4))
    return xr.Dataset(data)


@pytest.fixture(scope="session")
def elastic(elevation) -> xr.Dataset:
    """As of `xbinn.elasticities` by depth."""
    parameter = xr.DataArray(
        np.cos(np.arange(len(PARAMETER_NAMES))),
        dims="parameter",
        coords={"parameter": list(PARAMETER_NAMES)},
    )
    bottom = np.array(INTERFACE_DEPTH[:N_LAYERS])
    depth = xr.DataArray(bottom / (1.0 + bottom), dims="depth")
    there = elevation / elevation
    found = xr.Dataset(
        {
            "elasticity": parameter * there * (1.0 + elevation / 3000.0),
            "soc_elasticity": parameter * depth * there,
        }
    )
    # The deepest layers are rock in nearly all cells.
    found["soc_elasticity"] = found["soc_elasticity"].where(found["depth"] < N_LAYERS - 2)
    return found


@pytest.fixture(scope="session")
def calibrated() -> xr.Dataset:
    """As of `xbinn.science.calibration.calibration`."""
    level = np.array([0.5, 0.8, 0.9, 0.95])
    coverage = np.stack([level**1.1, 0.3 * level])[:, :, None] * np.array([1.0, 0.95])
    dims = ("interval_of", "level", "depth_range")
    pit = np.linspace(0.001, 0.999, 200).reshape(50, 4) ** 1.2
    pit[0, 0] = np.nan
    return xr.Dataset(
        {
            "coverage": (dims, coverage),
            "coverage_low": (dims, coverage - 0.03),
            "coverage_high": (dims, coverage + 0.03),
            "pit": (("profile", "sample"), pit),
            "n": ("depth_range", [199, 80]),
        },
        {
            "interval_of": ["observation", "modelled_mean"],
            "level": level,
            "depth_range": ["all", "0-30 cm"],
        },
        {"source": "xbinn 0, model sha256 " + "b" * 64},
    )


@pytest.fixture(scope="session")
def variogram() -> xr.Dataset:
    """As of `xbinn.science.semivariogram.semivariogram`."""
    distance = np.arange(50.0, 1050.0, 100.0)
    return xr.Dataset(
        {
            "semivariance": (
                "distance",
                0.1 + 0.3 * (1.0 - np.exp(-distance / 300.0)),
                {"units": "1", "long_name": "semivariance of residuals of ln SOC"},
            ),
            "pairs": ("distance", np.arange(10, 110, 10)),
            "variance": 0.38,
        },
        {"distance": ("distance", distance, {"units": "km", "long_name": "distance"})},
        {"profiles": 120, "depth_range": "0-30 cm"},
    )


@pytest.fixture(scope="session")
def maps() -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Parameters and processes of two methods, and the truth."""
    grid = small_grid((7, 8))
    truth = true_parameters(grid)[list(PARAMETER_NAMES)]
    factor = 1.0 + 0.02 * np.sin(np.arange(8))
    one = truth.assign(q10=1.05 * truth["q10"], efolding=0.9 * truth["efolding"] * factor)
    two = truth.assign(q10=0.9 * truth["q10"], cryo=truth["cryo"] * 1.5)
    made = [xr.merge([p, xbinn.simulate(grid, p)]) for p in (one, two, truth)]
    return tuple(m.assign(cover=grid["land_cover"]) for m in made)


@pytest.fixture(scope="session")
def recovered() -> xr.Dataset:
    """Two cases of the recovery experiment, hardly trained."""
    grid = small_grid((6, 7))
    cases = [Case("smooth", 0.3), Case("linear", 0.0, SUBSET)]
    fit = {"epochs": 1, "hidden": 4, "block_size": 4.0}
    profiles = small_profiles(grid, 50)
    return recover_parameters(grid, profiles, cases=cases, samples=3, fit=fit, device="cpu")


@pytest.fixture(scope="session")
def missed() -> xr.Dataset:
    """Errors of hardly trained fits to eight truths."""
    grid = small_grid((6, 7))
    fit = {"epochs": 1, "hidden": 4, "block_size": 4.0}
    profiles = small_profiles(grid, 50)
    return recovery_errors(grid, profiles, truths=8, samples=1, fit=fit, device="cpu")


@pytest.fixture(scope="session")
def spline() -> xbinn.Model:
    """A model whose functions can be drawn."""
    grid = small_grid((5, 6))
    return xbinn.fit(grid, small_profiles(grid, 60), encoder="spline", epochs=2, seed=0)
