"""From profiles on a grid to sites: each used cell once, with all the samples taken in it."""

import math
import operator
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256
from typing import Final, Literal

import numpy as np
import xarray as xr
from dask.array.core import normalize_chunks

from xbinn.errors import ProfileError
from xbinn.labels.check import all_at_once
from xbinn.labels.covariates import CovariateSpec, covariate_arrays
from xbinn.labels.encoding import lay_out
from xbinn.labels.forcing import standardise_forcing
from xbinn.labels.forcing_values import check_forcing_values
from xbinn.labels.profiles import counted, standardise_profiles
from xbinn.labels.samples import to_samples
from xbinn.labels.space import CellSearch, spatial_dims
from xbinn.labels.units import dequantify
from xbinn.variables import DEPTH, FORCING, MONTH

NO_COVARIATE = "covariate missing in the cell"

_CELL: Final = "xbinn_cell"
_AT_ONCE: Final = 200_000
"""Cells whose values are held at once: 4 kB each in single precision."""
_BLOCK: Final = 2**24
"""Bytes of a variable in a file that are read at once."""
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
    sample : ndarray (sample,)
        Where the sample stands in its profile, as numbered there.
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
    sample: np.ndarray
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
            sample=self.sample[taken],
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
    Cells within the tolerance of a profile are found by place; only these are read, all at once,
    and of a chunked grid, or one that is still in its file, only the blocks that hold them.

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
        As in `xbinn.labels.space.CellSearch`.

    Raises
    ------
    InputError
        If profiles, forcing or covariates cannot be used; all of them are looked at first.
    ProfileError
        If no profile is left.
    """
    space = spatial_dims(ds)
    grid = _needed(ds, spec, space)
    # Names, dimensions and units are the grid's own: what is wrong with them is said of these.
    nowhere = _without_cells(grid, space)
    placed, *_ = all_at_once(
        lambda: standardise_profiles(profiles),
        lambda: standardise_forcing(nowhere),
        lambda: covariate_arrays(nowhere, spec),
    )
    samples = to_samples(placed)
    wanted, inverse = np.unique(samples.profile, return_inverse=True)
    search = CellSearch(
        ds, placed["lat"].values[wanted], placed["lon"].values[wanted], tolerance=tolerance
    )
    near = search.candidates()
    sizes = {dim: ds.sizes[dim] for dim in space}
    at_once = near.size <= _AT_ONCE
    if at_once:
        forcing, covariates = _standardised_at(grid, spec, sizes, near)
        complete = _complete(forcing, covariates, spec, {_CELL: near.size})
    else:
        # Their values may not fit into memory, so which of them are complete is found before.
        forcing, covariates = standardise_forcing(grid), covariate_arrays(grid, spec)
        complete = _complete(forcing, covariates, spec, sizes)[:, near]
    forced, covered = np.zeros((2, math.prod(sizes.values())), dtype=bool)
    forced[near], covered[near] = complete

    found = search.nearest(forced & covered)
    reason = found.reason.astype(object)
    lost = found.cell < 0
    if lost.any():
        by_forcing = search.nearest(forced)
        reason[lost] = np.where(by_forcing.cell >= 0, NO_COVARIATE, by_forcing.reason)[lost]

    left_out = {f"samples: {why}": n for why, n in samples.dropped_samples.items()}
    left_out |= {f"profiles: {why}": n for why, n in samples.dropped_profiles.items()}
    for why, n in Counter(reason[lost]).items():
        left_out[f"profiles: {why}"] = left_out.get(f"profiles: {why}", 0) + n
    used = ~lost[inverse]
    if not used.any():
        raise ProfileError(_none_left(left_out))
    cell, site = np.unique(found.cell[inverse[used]], return_inverse=True)
    if not at_once:
        forcing, covariates = _standardised_at(grid, spec, sizes, cell)
        near = cell
    position = np.searchsorted(near, cell)
    forcing_here, covariates_here = (
        {str(n): np.take(da.values, position, axis=-1) for n, da in arrays.data_vars.items()}
        for arrays in (forcing, covariates)
    )
    cell_lat, cell_lon = search.positions(cell)
    check_forcing_values(
        forcing_here,
        bedrock=bedrock,
        where="the cells with profiles",
        name_cell=lambda here: f"lat {cell_lat[here]:g} lon {cell_lon[here]:g}",
    )
    return Sites(
        forcing=forcing_here,
        numeric=_stack(
            covariates_here, [n for n, _ in spec.numeric], len(cell), np.dtype(np.float32)
        ),
        categorical=_stack(
            covariates_here, [n for n, _ in spec.categorical], len(cell), np.dtype(np.int64)
        ),
        cell=cell,
        lat=cell_lat,
        lon=cell_lon,
        site=site,
        profile=samples.profile[used],
        sample=samples.sample[used],
        top=samples.top[used],
        bottom=samples.bottom[used],
        soc=samples.soc[used],
        weight=samples.weight[used],
        left_out=left_out,
        overlapping=samples.overlapping,
    )


def _needed(ds: xr.Dataset, spec: CovariateSpec, space: tuple[str, ...]) -> xr.Dataset:
    """Forcing and covariates, not read yet, with the coordinates of no spatial dimension."""
    ds = dequantify(ds)
    names = [n for v in FORCING for n in (v.name, *v.aliases)] + list(spec.names)
    needed = {n: ds.variables[n].to_base_variable() for n in names if n in ds.variables}
    coords = {
        n: da.variable
        for n, da in ds.coords.items()
        if n not in needed and not set(da.dims) & set(space)
    }
    return xr.Dataset({n: _in_blocks(v) for n, v in needed.items()}, coords)


def _without_cells(grid: xr.Dataset, space: tuple[str, ...]) -> xr.Dataset:
    """No values, but all that is written beside them."""
    none = dict.fromkeys(space, 0)
    empty = {
        n: (
            da.dims,
            np.zeros([none.get(str(d), k) for d, k in da.sizes.items()], da.dtype),
            da.attrs,
        )
        for n, da in grid.data_vars.items()
    }
    coords = grid.drop_vars(list(grid.data_vars))
    return coords.isel(dict.fromkeys(space, slice(0)), missing_dims="ignore").assign(empty)


def _in_blocks(variable: xr.Variable) -> xr.Variable:
    """Chunk what is still in its file, so that it is never in memory whole."""
    if variable._in_memory or variable.chunks is not None:
        return variable
    # Along the blocks of the file, each of which can be read as a whole only.
    stored = variable.encoding.get("preferred_chunks", {})
    told = all(isinstance(stored.get(d), int) for d in variable.dims)
    aligned = tuple(stored[d] for d in variable.dims) if told else None
    block = math.prod(aligned or ()) * variable.dtype.itemsize
    chunks = normalize_chunks(
        "auto",
        variable.shape,
        limit=max(block, _BLOCK),
        dtype=variable.dtype,
        previous_chunks=aligned,
    )
    return variable.chunk(dict(zip(variable.dims, chunks, strict=True)))


def _standardised_at(
    grid: xr.Dataset, spec: CovariateSpec, sizes: Mapping[str, int], cell: np.ndarray
) -> tuple[xr.Dataset, xr.Dataset]:
    """Forcing and covariates at flat cells, (month, depth, cell), (month, cell) or (cell)."""
    values = grid.isel(_indexers(sizes, cell)).compute()
    # Sums round as the values lie in memory: the same for every order of dimensions and chunks.
    values = values.transpose(..., _CELL, missing_dims="ignore")
    values = values.map(lambda da: da.copy(data=np.asarray(da.values, order="C")), keep_attrs=True)
    cells = {_CELL: cell.size}
    return (
        standardise_forcing(values).map(lay_out, leading=(MONTH, DEPTH), space=cells),
        covariate_arrays(values, spec).map(lay_out, leading=(), space=cells),
    )


def _indexers(sizes: Mapping[str, int], cell: np.ndarray) -> dict[str, xr.DataArray]:
    """Positions of flat cells along each spatial dimension."""
    if not sizes:
        return {}
    positions = np.unravel_index(cell, tuple(sizes.values()))
    return {d: xr.DataArray(p, dims=_CELL) for d, p in zip(sizes, positions, strict=True)}


def _complete(
    forcing: xr.Dataset, covariates: xr.Dataset, spec: CovariateSpec, sizes: Mapping[str, int]
) -> np.ndarray:
    """Which cells miss no forcing and which no numeric covariate, (2, cell)."""
    numeric = covariates[[n for n, _ in spec.numeric]]
    nothing = xr.DataArray(True)
    flags = {
        kind: reduce(operator.and_, map(_finite, arrays.data_vars.values()), nothing)
        for kind, arrays in (("forced", forcing), ("covered", numeric))
    }
    laid_out = {n: lay_out(da.drop_vars(da.coords), (), sizes) for n, da in flags.items()}
    found = xr.Dataset(laid_out).compute()
    return np.stack([found[kind].values.ravel() for kind in flags])


def _finite(da: xr.DataArray) -> xr.DataArray:
    finite: xr.DataArray = xr.apply_ufunc(np.isfinite, da, dask="allowed")
    return finite.all([d for d in (MONTH, DEPTH) if d in da.dims])


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
    index = _indexers({dim: ds.sizes[dim] for dim in space}, cell)
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
        "CRS and that latitude and longitude are not swapped, and widen tolerance=... if cells are "
        "far apart"
    )
