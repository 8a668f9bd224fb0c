"""What a report shows, as plain arrays."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from xbinn.constants import INTERFACE_DEPTH, N_LAYERS, interval_overlap
from xbinn.errors import InputError
from xbinn.labels.profiles import standardise_profiles
from xbinn.labels.samples import to_samples
from xbinn.labels.space import nearest_cells, spatial_dims
from xbinn.plotting.captions import label_of, pretty_units
from xbinn.plotting.geometry import Field, lay_out_field
from xbinn.science.metrics import score_samples
from xbinn.variables import DEPTH

MOST_CELLS: Final = 50_000
"""A page with more would be slow to open."""
_FIRST: Final = ("cSoilAbove1m", "cSoil")
"""Layers that stand before the others."""
_PERCENTILES: Final = (2.0, 98.0)
_OF_OBSERVATIONS: Final = "soc_observation_quantile"
_OF_MEAN: Final = "soc_quantile"


@dataclass(frozen=True)
class Layer:
    """A field, its values (cell,) and the limits of its colours."""

    name: str
    label: str
    values: np.ndarray
    units: str
    limits: tuple[float, float]
    signed: bool


@dataclass(frozen=True, eq=False)
class Content:
    """Cells with results, what they hold, and the samples in them.

    ``left``, ``right``, ``bottom``, ``top`` (cell,) are edges in the coordinates ``labels``;
    ``middle``, ``low``, ``high`` (cell, depth) are SOC [kg m-3], the last two None without samples
    of the posterior, and ``band`` says what they are. ``profile_x``, ``profile_y`` and
    ``profile_cell`` (profile,) place profiles, and ``samples`` (sample, 4) hold cell, top, bottom
    and SOC.
    """

    left: np.ndarray
    right: np.ndarray
    bottom: np.ndarray
    top: np.ndarray
    labels: tuple[str, str]
    aspect: float
    layers: tuple[Layer, ...]
    middle: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    band: str
    profile_cell: np.ndarray
    samples: np.ndarray
    scores: xr.Dataset | None


def gather(predictions: xr.Dataset, profiles: xr.Dataset | None) -> Content:
    """Read what a report shows; where predictions are chunked they are computed.

    Raises
    ------
    InputError
        If there is no SOC in all layers, no cell has a result, or there are too many.
    """
    if "soc" not in predictions or predictions["soc"].sizes.get(DEPTH) != N_LAYERS:
        raise InputError(
            f"predictions need soc in all {N_LAYERS} layers: make them with "
            "ds.binn.predict(model, samples=64)"
        )
    space = spatial_dims(predictions[["soc"]])
    fields = [
        str(name)
        for name, da in predictions.data_vars.items()
        if set(da.dims) == set(space) and da.dtype.kind == "f" and "units" in da.attrs
    ]
    depths = [n for n in ("soc", _OF_OBSERVATIONS, _OF_MEAN) if n in predictions]
    out = predictions[[*fields, *depths]].compute()
    soc = _flat(out["soc"], space)  # (depth, flat cell)
    shape = [out.sizes[dim] for dim in space]
    number = xr.DataArray(
        np.where(np.isfinite(soc[0]), np.arange(soc.shape[1], dtype=np.float64), np.nan).reshape(
            shape
        ),
        dims=space,
        coords={n: c for n, c in out["soc"].coords.items() if set(c.dims) <= set(space)},
        name="soc",
    )
    there = np.isfinite(soc[0])
    if not there.any():
        raise InputError("no cell of predictions has a result: status tells why")
    if int(there.sum()) > MOST_CELLS:
        raise InputError(
            f"predictions have {int(there.sum())} cells with results, and a page shows at most "
            f"{MOST_CELLS}: select a region, or every second cell, with predictions.isel(...)"
        )
    field = lay_out_field(number)
    (left, right, bottom, top), cell = _edges(field)
    low, high, band = _bands(out, space, cell)
    place = np.full(soc.shape[1], -1)
    place[cell] = np.arange(cell.size)
    profile_cell, samples, scores = _observed(out, profiles, soc, place)
    layers = sorted(
        (layer for name in fields if (layer := _layer(out[name], space, cell)) is not None),
        key=lambda layer: _FIRST.index(layer.name) if layer.name in _FIRST else len(_FIRST),
    )
    return Content(
        left=left,
        right=right,
        bottom=bottom,
        top=top,
        labels=(field.labels[0] or "longitude (°)", field.labels[1] or "latitude (°)"),
        aspect=field.aspect,
        layers=tuple(layers),
        middle=soc[:, cell].T.astype(np.float32),
        low=low,
        high=high,
        band=band,
        profile_cell=profile_cell,
        samples=samples,
        scores=scores,
    )


def _flat(da: xr.DataArray, space: tuple[str, ...]) -> np.ndarray:
    """Values with the dimensions of space last, as one."""
    values = da.transpose(..., *space).values
    return np.asarray(values.reshape(*values.shape[: values.ndim - len(space)], -1))


def _edges(field: Field) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Edges of the cells with results, as labelled, and where these stand in flat order."""
    there = np.isfinite(field.values)
    x_unit, y_unit = field.units
    if field.side is None:
        row, column = np.nonzero(there)
        left, right = field.x[column], field.x[column + 1]
        bottom, top = field.y[row], field.y[row + 1]
    else:
        x, y, half = field.x[there], field.y[there], 0.5 * field.side
        wide = half * field.aspect
        left, right, bottom, top = x - wide, x + wide, y - half, y + half
    sides = (left / x_unit, right / x_unit, bottom / y_unit, top / y_unit)
    return sides, field.values[there].astype(np.int64)


def _layer(da: xr.DataArray, space: tuple[str, ...], cell: np.ndarray) -> Layer | None:
    values = _flat(da, space)[cell].astype(np.float32)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    low, high = (float(v) for v in np.percentile(finite, _PERCENTILES))
    signed = low < 0.0 < high
    if signed:
        high = max(high, -low)
        low = -high
    if low == high:
        low, high = low - 0.5, high + 0.5
    label, units = label_of(da.name, da.attrs), pretty_units(str(da.attrs["units"]))
    return Layer(str(da.name), label, values, units, (low, high), signed)


def _bands(
    out: xr.Dataset, space: tuple[str, ...], cell: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray | None, str]:
    """Widest pair of quantiles of SOC, each (cell, depth), and what it is."""
    name = next((n for n in (_OF_OBSERVATIONS, _OF_MEAN) if n in out), None)
    if name is None or out.sizes["quantile"] < 2:
        return None, None, ""
    levels = out["quantile"].values
    ends = (int(levels.argmin()), int(levels.argmax()))
    values = _flat(out[name].transpose("quantile", DEPTH, ...), space)
    low, high = (values[end][:, cell].T.astype(np.float32) for end in ends)
    whose = "an observation" if name == _OF_OBSERVATIONS else "the modelled mean"
    return low, high, f"{levels[ends[0]]:g} to {levels[ends[1]]:g} quantile of {whose}"


def _observed(
    out: xr.Dataset, profiles: xr.Dataset | None, soc: np.ndarray, place: np.ndarray
) -> tuple[np.ndarray, np.ndarray, xr.Dataset | None]:
    """Cell of each profile that lies in one, samples, and scores over these."""
    if profiles is None:
        return np.empty(0, dtype=np.int64), np.empty((0, 4)), None
    placed = standardise_profiles(profiles)
    flat = to_samples(placed)
    found = nearest_cells(
        out[["soc"]], placed["lat"].values, placed["lon"].values, valid=np.isfinite(soc[0])
    ).cell
    cell = found[flat.profile]
    overlap = np.array(
        [interval_overlap(*ends) for ends in zip(flat.top, flat.bottom, strict=True)]
    )
    here = np.where(cell[:, None] >= 0, soc.T[cell], np.nan)  # (sample, depth)
    overlap = np.where(np.isfinite(here), overlap, 0.0)
    with np.errstate(invalid="ignore"):
        modelled = (overlap * np.nan_to_num(here)).sum(axis=1) / overlap.sum(axis=1)
    used = np.isfinite(modelled)
    samples = np.stack([place[cell], flat.top, flat.bottom, flat.soc], axis=1)[cell >= 0]
    inside = found[np.unique(flat.profile)]
    scores = None
    if used.any():
        scores = score_samples(modelled[used], flat.soc[used], flat.top[used], flat.bottom[used])
    return np.unique(place[inside[inside >= 0]]), samples, scores


def interfaces() -> list[float]:
    """Tops of the layers and the bottom of the last (m)."""
    return [0.0, *INTERFACE_DEPTH[:N_LAYERS]]
