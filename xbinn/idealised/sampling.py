"""Soil profiles of the idealised continent: the true model seen through pits and noise."""

from collections.abc import Hashable
from typing import Final

import numpy as np
import torch
import xarray as xr

from xbinn.constants import INTERFACE_DEPTH
from xbinn.errors import InputError
from xbinn.idealised.truth import true_parameters
from xbinn.learning.observation import layer_mean_weights, observe
from xbinn.parameters import PARAMETER_NAMES
from xbinn.physics.forcing import Forcing
from xbinn.physics.steady_state import SoilCarbonModel
from xbinn.variables import FORCING_NAMES, INPUT_NAMES, PROFILE, PROFILE_VARIABLES

NOISE: Final = 0.3
"""Standard deviation of ln SOC between a sample and the true model."""
MAX_SAMPLES: Final = 8
"""Samples of a profile at most; there are at least 3."""
_PROFILES_PER_CLUSTER: Final = 12
_CLUSTER_SPREAD: Final = 1.5
"""Standard deviation (degrees) of profiles about the middle of their cluster."""
_JITTER: Final = 0.3
"""How far from the middle of its cell a profile may lie, per axis, in cell spacings: below half
of it, so that the nearest cell is the one whose soil was sampled."""
_GRAMS: Final = 1000.0


def sample_profiles(
    grid: xr.Dataset, lat: xr.DataArray, lon: xr.DataArray, *, n: int, seed: int
) -> xr.Dataset:
    """Sample the idealised continent.

    Profiles lie in clusters, as field campaigns do, on ground that thaws. A pit ends at bedrock or
    above it, its samples lie on each other from the surface down, and each is the mean of the true
    model's layers weighted by overlap, times exp(`NOISE` x standard normal).

    Parameters
    ----------
    grid : Dataset
        Made by `xbinn.idealised.continent`; where it is chunked, it is computed.
    lat, lon : DataArray
        Positions of its cells [degrees], over some or all of its spatial dimensions.
    n : int
        Number of profiles.
    seed : int
        Of places, depths and noise.

    Returns
    -------
    Dataset
        ``soc`` [kg m-3], ``depth_top``, ``depth_bottom`` [m] (profile, sample), float32,
        NaN-padded; ``lat``, ``lon``, ``profile_id``, ``source`` (profile).

    Raises
    ------
    InputError
        If no cell is land that thaws, or ``grid`` is not of the idealised continent.
    """
    truth = true_parameters(grid)
    space = grid["land_fraction"].dims
    land = np.flatnonzero((_flat(grid["ALTMAX_LASTYEAR"], space) > 0.0).all(axis=0))
    if n and not land.size:
        raise InputError(
            "no cell of the grid is land that thaws, so no profile can lie on it: take more of "
            "the continent, as in xbinn.testing.small_grid((4, 5))"
        )
    positions = [_flat(da.broadcast_like(grid["land_fraction"]), space) for da in (lat, lon)]
    rng = np.random.default_rng(seed)
    cell, place = _places(np.stack(positions), land, n, rng)
    nbedrock = _flat(grid["nbedrock"], space)[cell].astype(np.int64)
    top, bottom = _intervals(nbedrock, rng)
    soc = _true_soc(grid, truth, space, cell, top, bottom)
    soc = soc * np.exp(NOISE * rng.standard_normal(soc.shape))
    return _describe({"soc": soc, "depth_top": top, "depth_bottom": bottom}, place, seed)


def _flat(da: xr.DataArray, space: tuple[Hashable, ...]) -> np.ndarray:
    """Values with the spatial dimensions as one, last: (..., cell) float64."""
    values = da.transpose(..., *space).values.astype(np.float64)
    return values.reshape(*values.shape[: values.ndim - len(space)], -1)


def _places(
    positions: np.ndarray,  # (2, cell) [degrees]
    land: np.ndarray,  # (land cell,)
    n: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Cell (n,) and position (2, n) [degrees] of each profile."""
    if n == 0:
        return np.zeros(0, dtype=np.int64), np.zeros((2, 0))
    spacing = _spacing(positions, land)
    clusters = max(-(-n // _PROFILES_PER_CLUSTER), min(n, _PROFILES_PER_CLUSTER))
    centre = positions[:, rng.choice(land, clusters)[rng.integers(clusters, size=n)]]
    spread = max(_CLUSTER_SPREAD, spacing)
    east = 1.0 / np.cos(np.deg2rad(centre[0]))
    target = centre + spread * rng.standard_normal((2, n)) * np.stack([np.ones(n), east])
    cell = land[_distance(target, positions[:, land]).argmin(axis=1)]
    jitter = _JITTER * spacing * rng.uniform(-1.0, 1.0, (2, n))
    jitter[1] /= np.cos(np.deg2rad(positions[0, cell]))
    return cell, positions[:, cell] + jitter


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance (a, b) in degrees of latitude, on a plane: near enough to choose neighbours."""
    north = a[0][:, None] - b[0]
    east = (a[1][:, None] - b[1]) * np.cos(np.deg2rad(a[0]))[:, None]
    return np.asarray(np.hypot(north, east))


def _spacing(positions: np.ndarray, land: np.ndarray) -> float:
    """Least distance (degrees) between a land cell and any other; 0 where there is none."""
    if positions.shape[1] < 2:
        return 0.0
    distance = _distance(positions[:, land], positions)
    distance[np.arange(land.size), land] = np.inf
    return float(distance.min())


def _intervals(nbedrock: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Top and bottom (profile, sample) [m] of samples, as float32 stores them."""
    n = nbedrock.size
    soil = np.array(INTERFACE_DEPTH)[nbedrock - 1]
    pit = np.minimum(soil, rng.uniform(0.5, 2.0, n))
    count = rng.integers(3, MAX_SAMPLES + 1, n)
    index = np.arange(1, MAX_SAMPLES + 1)
    # Horizons thicken downwards.
    share = index**0.7 * rng.uniform(0.6, 1.4, (n, MAX_SAMPLES))
    share = np.where(index <= count[:, None], share, 0.0)
    bottom = pit[:, None] * share.cumsum(axis=1) / share.sum(axis=1, keepdims=True)
    # To the centimetre, as pits are described. Rounded up: no horizon vanishes.
    bottom = np.ceil((100.0 * bottom).round(6)) / 100.0
    top = np.concatenate([np.zeros((n, 1)), bottom[:, :-1]], axis=1)
    outside = index > count[:, None]
    top, bottom = (np.where(outside, np.nan, d).astype(np.float32) for d in (top, bottom))
    return top, bottom


def _true_soc(
    grid: xr.Dataset,
    truth: xr.Dataset,
    space: tuple[Hashable, ...],
    cell: np.ndarray,  # (profile,)
    top: np.ndarray,  # (profile, sample) [m]
    bottom: np.ndarray,
) -> np.ndarray:  # (profile, sample) [kg m-3]
    """Run the model in float64 where there are profiles and look at it through the samples."""
    cells, column = np.unique(cell, return_inverse=True)
    f = {n: torch.from_numpy(_flat(grid[n], space)[..., cells].copy()) for n in FORCING_NAMES}
    nbedrock = f["nbedrock"].long()
    forcing = Forcing(
        temperature=f["TSOI"],
        water=f["W_SCALAR"],
        oxygen=f["O_SCALAR"],
        nitrogen=f["FPI_vr"],
        altmax=torch.maximum(f["ALTMAX"], f["ALTMAX_LASTYEAR"]),
        allocated=(f["ALTMAX_LASTYEAR"] > 0.0).all(dim=0),
        nbedrock=nbedrock,
        inputs=torch.stack([f[n].sum(dim=0) for n in INPUT_NAMES]),
    )
    parameters = torch.from_numpy(
        np.stack([_flat(truth[n], space)[cells] for n in PARAMETER_NAMES])
    )
    soc = SoilCarbonModel("closed").steady_state(parameters, forcing).soc / _GRAMS
    profile, sample = np.nonzero(np.isfinite(top))
    site = torch.from_numpy(column[profile])
    upper, lower = (torch.from_numpy(d[profile, sample].astype(np.float64)) for d in (top, bottom))
    weights = layer_mean_weights(upper, lower, nbedrock[site], "closed").weights
    seen = np.full(top.shape, np.nan)
    seen[profile, sample] = observe(soc, weights, site).numpy()
    return seen


def _describe(values: dict[str, np.ndarray], place: np.ndarray, seed: int) -> xr.Dataset:
    n = place.shape[1]
    profiles = xr.Dataset(
        {
            v.name: (
                v.dims,
                values[v.name].astype(np.float32),
                {"long_name": v.long_name, "units": v.units, "provenance": "idealised"},
            )
            for v in PROFILE_VARIABLES
        },
        {
            "lat": (PROFILE, place[0], {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": (PROFILE, place[1], {"units": "degrees_east", "standard_name": "longitude"}),
            "profile_id": (PROFILE, np.array([f"idealised-{i:04d}" for i in range(n)], "<U16")),
            "source": (PROFILE, np.full(n, "idealised")),
        },
        {
            "Conventions": "CF-1.11",
            "title": "Idealised soil organic carbon profiles",
            "description": "idealised: the soil carbon model run with the true parameters of the "
            f"idealised continent, bedrock closed, times lognormal noise (sd of ln {NOISE})",
            "source": f"xbinn.idealised.sampling.sample_profiles, seed {seed}",
        },
    )
    for name in ("depth_top", "depth_bottom"):
        profiles[name].attrs["positive"] = "down"
    return profiles
