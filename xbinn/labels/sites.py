"""From profiles on a grid to sites: each used cell once, with all the samples taken in it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import numpy as np
import xarray as xr

from xbinn.errors import ProfileError
from xbinn.labels.check import all_at_once
from xbinn.labels.covariates import CovariateSpec, covariate_arrays
from xbinn.labels.forcing import standardise_forcing
from xbinn.labels.forcing_values import check_forcing_values
from xbinn.labels.profiles import counted, standardise_profiles
from xbinn.labels.samples import to_samples
from xbinn.labels.space import cell_positions, nearest_cells, spatial_dims
from xbinn.variables import DEPTH, MONTH

NO_COVARIATE = "covariate missing in the cell"
_CELL = "xbinn_cell"
_TRAINED_ON = (
    "numeric", "categorical", "lat", "lon", "site", "top", "bottom", "soc", "weight",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Sites:
    """Cells with samples, as plain arrays; the site is the last axis of forcing.

    Attributes
    ----------
    forcing : mapping of str to ndarray
        Standardised forcing, (month, depth, site), (month, site) or (site).
    numeric : ndarray (site, p)
        Numeric covariates in the units of their specification.
    categorical : ndarray (site, c)
        Class codes.
    cell : ndarray (site,)
        Flat cell of the grid.
    lat, lon : ndarray (site,)
        Centre of the cell [degree].
    site : ndarray (sample,)
        Site of each sample.
    profile : ndarray (sample,)
        Profile of each sample, as numbered in the profile Dataset.
    top, bottom, soc : ndarray (sample,)
        Interval [m] and SOC density [kg m-3].
    weight : ndarray (sample,)
        How much the sample counts in a fit, relative to others; above 0.
    left_out : dict of str to int
        Profiles and samples that are not used, by reason; keys begin with "profiles" or "samples".
    overlapping : int
        Samples that overlap another of their profile, of all that were given. They are used.
    """

    forcing: Mapping[str, np.ndarray]
    numeric: np.ndarray
    categorical: np.ndarray
    cell: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    site: np.ndarray
    profile: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    soc: np.ndarray
    weight: np.ndarray
    left_out: dict[str, int]
    overlapping: int = 0

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return len(self.cell)

    @property
    def n_profiles(self) -> int:
        """Number of profiles that have samples here."""
        return len(np.unique(self.profile))

    def select(self, keep: np.ndarray, samples: np.ndarray | None = None) -> "Sites":
        """Keep some sites ``(site,)`` and, of those, some samples ``(sample,)``; both boolean."""
        taken = keep[self.site] if samples is None else keep[self.site] & samples
        keep = keep & np.isin(np.arange(self.n_sites), self.site[taken])
        number = np.cumsum(keep) - 1
        return Sites(
            forcing={name: array[..., keep] for name, array in self.forcing.items()},
            numeric=self.numeric[keep],
            categorical=self.categorical[keep],
            cell=self.cell[keep],
            lat=self.lat[keep],
            lon=self.lon[keep],
            site=number[self.site[taken]],
            profile=self.profile[taken],
            top=self.top[taken],
            bottom=self.bottom[taken],
            soc=self.soc[taken],
            weight=self.weight[taken],
            left_out=dict(self.left_out),
            overlapping=self.overlapping,
        )

    def without(self, keep: np.ndarray, samples: np.ndarray | None, reason: str) -> "Sites":
        """`select`, with what is lost counted under ``reason``.

        Raises
        ------
        ProfileError
            If nothing is left.
        """
        kept = self.select(keep, samples)
        lost = Counter(
            {
                f"profiles: {reason}": self.n_profiles - kept.n_profiles,
                f"samples: {reason}": len(self.soc) - len(kept.soc),
            }
        )
        kept.left_out.update({k: kept.left_out.get(k, 0) + n for k, n in lost.items() if n})
        if not len(kept.soc):
            raise ProfileError(_none_left(kept.left_out))
        return kept

    def fingerprint(self) -> str:
        """Return a sha256 of all values, which tells training data apart."""
        digest = sha256()
        arrays = {
            **self.forcing,
            **{name: getattr(self, name) for name in _TRAINED_ON},
        }
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name])
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


def gather_sites(
    ds: xr.Dataset,
    profiles: xr.Dataset,
    spec: CovariateSpec,
    *,
    bedrock: Literal["closed", "published"],
    tolerance: float | None = None,
) -> Sites:
    """Find the cell of every profile and collect what is known there.

    A profile goes to the nearest cell, within the tolerance, that has forcing and covariates.

    Parameters
    ----------
    ds : Dataset
        Covariates and forcing on any spatial dimensions.
    profiles : Dataset
        Profile Dataset, see `xbinn.labels.profiles.standardise_profiles`.
    spec : CovariateSpec
        Covariates to collect.
    bedrock : {"closed", "published"}
        Which rules nbedrock has to keep.
    tolerance : float, optional
        As in `xbinn.labels.space.nearest_cells`.

    Raises
    ------
    InputError
        If profiles, forcing or covariates cannot be used; all of them are looked at first.
    ProfileError
        If no profile is left.
    """
    placed, forcing, covariates = all_at_once(
        lambda: standardise_profiles(profiles),
        lambda: standardise_forcing(ds),
        lambda: covariate_arrays(ds, spec),
    )
    samples = to_samples(placed)
    space = spatial_dims(ds)
    numeric = [name for name, _ in spec.numeric]
    forced = _complete(forcing, space)
    covered = _complete(covariates[numeric], space) if numeric else np.ones_like(forced)

    wanted, inverse = np.unique(samples.profile, return_inverse=True)
    lat, lon = placed["lat"].values[wanted], placed["lon"].values[wanted]
    found = nearest_cells(ds, lat, lon, valid=forced & covered, tolerance=tolerance)
    reason = found.reason.astype(object)
    lost = found.cell < 0
    if lost.any():
        by_forcing = nearest_cells(ds, lat[lost], lon[lost], valid=forced, tolerance=tolerance)
        reason[lost] = np.where(by_forcing.cell >= 0, NO_COVARIATE, by_forcing.reason)

    left_out = {f"samples: {why}": n for why, n in samples.dropped_samples.items()}
    left_out |= {f"profiles: {why}": n for why, n in samples.dropped_profiles.items()}
    for why, n in Counter(reason[lost]).items():
        left_out[f"profiles: {why}"] = left_out.get(f"profiles: {why}", 0) + n
    used = ~lost[inverse]
    if not used.any():
        raise ProfileError(_none_left(left_out))
    cell, site = np.unique(found.cell[inverse[used]], return_inverse=True)
    forcing_here = at_cells(forcing, space, cell)
    cell_lat, cell_lon = (positions[cell] for positions in cell_positions(ds))
    check_forcing_values(
        forcing_here,
        bedrock=bedrock,
        where="the cells with profiles",
        name_cell=lambda here: f"lat {cell_lat[here]:g} lon {cell_lon[here]:g}",
    )
    covariates_here = at_cells(covariates, space, cell)
    return Sites(
        forcing=forcing_here,
        numeric=_stack(covariates_here, numeric, len(cell), np.dtype(np.float32)),
        categorical=_stack(
            covariates_here, [n for n, _ in spec.categorical], len(cell), np.dtype(np.int64)
        ),
        cell=cell,
        lat=cell_lat,
        lon=cell_lon,
        site=site,
        profile=samples.profile[used],
        top=samples.top[used],
        bottom=samples.bottom[used],
        soc=samples.soc[used],
        weight=samples.weight[used],
        left_out=left_out,
        overlapping=samples.overlapping,
    )


def _complete(ds: xr.Dataset, space: tuple[str, ...]) -> np.ndarray:
    """Which cells miss nothing, (cell,)."""
    whole = xr.ones_like(next(iter(ds.data_vars.values())), dtype=bool)
    whole = whole.isel({d: 0 for d in (MONTH, DEPTH) if d in whole.dims}, drop=True)
    for da in ds.data_vars.values():
        finite = xr.apply_ufunc(np.isfinite, da, dask="allowed")
        whole = whole & finite.all([d for d in (MONTH, DEPTH) if d in da.dims])
    return np.asarray(whole.transpose(*space).values).ravel()


def at_cells(ds: xr.Dataset, space: tuple[str, ...], cell: np.ndarray) -> dict[str, np.ndarray]:
    """Values of all variables at flat cells, (..., cell), by name.

    Parameters
    ----------
    ds : Dataset
        Every variable has all dimensions of ``space``.
    space : tuple of str
        Spatial dimensions, in the order in which cells are counted.
    cell : ndarray (cell,)
        Flat cells.
    """
    if not space:
        return {str(n): da.values[..., None] for n, da in ds.data_vars.items()}
    shape = [ds.sizes[dim] for dim in space]
    index = {
        dim: xr.DataArray(position, dims=_CELL)
        for dim, position in zip(space, np.unravel_index(cell, shape), strict=True)
    }
    here = ds.drop_vars(ds.coords).isel(index).compute()
    return {str(n): da.transpose(..., _CELL).values for n, da in here.data_vars.items()}


def _stack(
    arrays: Mapping[str, np.ndarray], names: list[str], n: int, dtype: np.dtype
) -> np.ndarray:
    stacked = np.empty((n, len(names)), dtype)
    for column, name in enumerate(names):
        stacked[:, column] = arrays[name]
    return stacked


def describe_left_out(left_out: Mapping[str, int]) -> str:
    """Say what was left out and why, as in "1 profile: no position; 3 samples: soc negative"."""
    parts = [(n, *why.partition(": ")[::2]) for why, n in left_out.items()]
    return "; ".join(f"{counted(n, what.removesuffix('s'))}: {why}" for n, what, why in parts)


def _none_left(left_out: Mapping[str, int]) -> str:
    reasons = describe_left_out(left_out) or "no profile was given"
    return (
        f"no profile can be used ({reasons}): check that profiles and grid share a region and a "
        "CRS, and widen tolerance=... if cells are far apart"
    )
