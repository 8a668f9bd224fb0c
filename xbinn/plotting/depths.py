"""Profiles by depth: what was observed, and what is modelled at the same places."""

import math
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any, Final, overload

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from xbinn.constants import INTERFACE_DEPTH, N_LAYERS
from xbinn.errors import InputError
from xbinn.labels.profiles import standardise_profiles
from xbinn.labels.samples import to_samples
from xbinn.labels.sites import at_cells
from xbinn.labels.space import nearest_cells, spatial_dims
from xbinn.plotting.captions import pretty_units, refuse_caption
from xbinn.plotting.colours import BLUE
from xbinn.plotting.sheets import sheet
from xbinn.variables import DEPTH, PROFILE

_UNITS: Final = pretty_units("kg m-3")
_COLUMNS: Final = 3
_ROW: Final = 2.3
"""Height of a row of panels (inch)."""
_SHADES: Final = (0.18, 0.3, 0.42)
"""Opacity of bands, from the widest to the narrowest."""
_LEAST_DEPTH: Final = 1.0
"""Panels reach at least so deep (m)."""
_BELOW: Final = 1.15
"""And so much deeper than the deepest sample."""
_OF_OBSERVATIONS: Final = "soc_observation_quantile"
_OF_MEAN: Final = "soc_quantile"


@dataclass(frozen=True)
class _Modelled:
    """SOC by layer at the cells of profiles; ``bands`` (level, low, high), the widest first."""

    middle: np.ndarray  # (depth, cell)
    bands: list[tuple[float, np.ndarray, np.ndarray]]
    of: str
    median: bool


@overload
def plot_profiles(
    profiles: xr.Dataset,
    out: xr.Dataset,
    *,
    most: int = 6,
    ax: None = None,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure: ...
@overload
def plot_profiles(
    profiles: xr.Dataset,
    out: xr.Dataset,
    *,
    most: int = 6,
    ax: Axes,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Axes: ...
def plot_profiles(
    profiles: xr.Dataset,
    out: xr.Dataset,
    *,
    most: int = 6,
    ax: Axes | None = None,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure | Axes:
    """Draw profiles by depth, samples as intervals over modelled layers with their bands.

    Parameters
    ----------
    profiles : Dataset
        SOC profiles, as for `xbinn.fit`; select those to be drawn.
    out : Dataset
        From `xbinn.predict`; with ``samples`` and quantiles in pairs, such as
        ``quantiles=(0.05, 0.25, 0.5, 0.75, 0.95)``, there is a band for each pair. Intervals of
        observations are drawn where they are there, else those of the modelled mean. Where it is
        chunked, the cells of the profiles are computed.
    most : int
        Profiles to draw, the first ones that lie in a cell with results.
    ax : Axes, optional
        Where to draw a single profile.
    figure : Figure or SubFigure, optional
        Where to draw all panels, with constrained layout; letters grow with its size, and there is
        no caption. By default a new figure.
    title : str, optional
        Say here if the data are idealised.
    caption : str, optional
        Where data and model come from; it follows the description of the figure.

    Returns
    -------
    Figure or Axes
        The figure, a panel for each profile, or ``ax`` where it was given.

    Raises
    ------
    InputError
        If ``out`` has no SOC in all layers, no profile lies in a cell with results, ``most`` is
        below 1, ``ax`` is given with several profiles, a caption is given with ``ax`` or
        ``figure``, or both of these are.
    ProfileError
        If profiles cannot be used.
    """
    refuse_caption(ax, caption, figure)
    if most < 1:
        raise InputError(f"most={most} leaves nothing to draw: give 1 or more")
    placed = standardise_profiles(profiles)
    if ax is not None and placed.sizes[PROFILE] != 1:
        raise InputError(
            f"ax holds one profile and there are {placed.sizes[PROFILE]}: select one, as in "
            "profiles.isel(profile=[0])"
        )
    samples = to_samples(placed)
    chosen, modelled = _modelled_at(out, placed, np.unique(samples.profile), most)
    panels = []
    for place, number in enumerate(chosen):
        own = samples.profile == number
        panels.append((place, number, samples.top[own], samples.bottom[own], samples.soc[own]))
    deepest = max(float(bottom.max()) for _, _, _, bottom, _ in panels)
    floor = min(max(_LEAST_DEPTH, _BELOW * deepest), INTERFACE_DEPTH[N_LAYERS - 1])
    if ax is not None:
        _draw(ax, modelled, panels[0], floor)
        ax.legend(handles=_legend(modelled), loc="lower right", edgecolor="none")
        ax.set_title(title or "")
        return ax
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    heading = title or "Soil organic carbon by depth, observed and modelled"
    with sheet(figure, 0.7 + rows * _ROW, heading, caption) as on:
        columns = on.columns(columns)
        rows = math.ceil(len(panels) / columns)
        grid = on.figure.subplots(rows, columns, sharey=True, squeeze=False)
        for spare in grid.flat[len(panels) :]:
            spare.remove()
        for letter, panel, one in zip(ascii_lowercase, grid.flat, panels, strict=False):
            _draw(panel, modelled, one, floor)
            panel.set_title(f"({letter}) {_where(placed, one[1])}", loc="left")
        for panel in grid[:, 1:].flat:
            panel.set_ylabel("")
        on.legend(_legend(modelled), columns=2 + len(modelled.bands))
        on.describe((*_describe(modelled, len(panels), placed), caption))
    return on.root


def _modelled_at(
    out: xr.Dataset, placed: xr.Dataset, usable: np.ndarray, most: int
) -> tuple[np.ndarray, _Modelled]:
    """Choose the first profiles that lie in cells with results, and read those cells."""
    if "soc" not in out or out["soc"].sizes.get(DEPTH) != N_LAYERS:
        raise InputError(
            f"out needs soc in all {N_LAYERS} layers: make it with "
            'ds.binn.predict(model, outputs=("soc",), samples=64)'
        )
    names = ["soc", *(n for n in (_OF_OBSERVATIONS, _OF_MEAN) if n in out)]
    part = out[names].transpose("quantile", DEPTH, ..., missing_dims="ignore")
    space = spatial_dims(out[["soc"]])
    there = part["soc"].isel({DEPTH: 0}).notnull().transpose(*space).values
    here = placed.isel({PROFILE: usable})
    cell = nearest_cells(out[["soc"]], here["lat"].values, here["lon"].values, valid=there).cell
    kept = np.flatnonzero(cell >= 0)[:most]
    if not kept.size:
        raise InputError(
            f"none of the {usable.size} profiles lies in a cell with results: predict for the grid "
            "that holds them"
        )
    read = at_cells(part, space, cell[kept])
    of = next((n for n in names[1:]), None)
    if of is None:
        return usable[kept], _Modelled(read["soc"], [], "", False)
    levels = [float(q) for q in out["quantile"].values]
    quantile = dict(zip(levels, read[of], strict=True))
    bands = []
    for low in sorted(q for q in levels if q < 0.5):
        high = next((q for q in levels if math.isclose(q, 1.0 - low, abs_tol=1e-9)), None)
        if high is not None:
            bands.append((high - low, quantile[low], quantile[high]))
    middle = next((quantile[q] for q in levels if math.isclose(q, 0.5)), None)
    median = middle is not None
    return usable[kept], _Modelled(read["soc"] if middle is None else middle, bands, of, median)


def _draw(ax: Axes, modelled: _Modelled, panel: tuple[Any, ...], floor: float) -> None:
    place, _, top, bottom, soc = panel
    depth = np.repeat([0.0, *INTERFACE_DEPTH[:N_LAYERS]], 2)[1:-1]  # (2 x layer,)
    for shade, (_, low, high) in zip(_SHADES, modelled.bands, strict=False):
        left, right = (np.repeat(values[:, place], 2) for values in (low, high))
        ax.fill_betweenx(depth, left, right, color=BLUE, alpha=shade, lw=0.0)
    ax.plot(np.repeat(modelled.middle[:, place], 2), depth, color=BLUE, lw=1.4)
    ax.vlines(soc, top, bottom, color="0.1", lw=2.2, zorder=3)
    ends = np.concatenate([top, bottom])
    ax.plot(np.tile(soc, 2), ends, "_", color="0.1", ms=5, mew=0.8, zorder=3)
    ax.set(ylim=(floor, 0.0))
    ax.set_xlim(left=0.0, right=1.08 * _widest(modelled, place, soc, floor))
    ax.set_xlabel(f"SOC density ({_UNITS})")
    ax.set_ylabel("depth (m)")
    ax.spines[["top", "right"]].set_visible(False)


def _widest(modelled: _Modelled, place: int, soc: np.ndarray, floor: float) -> float:
    """Greatest value of what is drawn above the lower end."""
    shown = np.array([0.0, *INTERFACE_DEPTH[: N_LAYERS - 1]]) < floor
    outermost = [high[shown, place] for _, _, high in modelled.bands[:1]]
    values = np.concatenate([modelled.middle[shown, place], *outermost, soc])
    return float(np.nanmax(values)) or 1.0


def _where(placed: xr.Dataset, number: int) -> str:
    lat, lon = (float(placed[n].values[number]) for n in ("lat", "lon"))
    lon = (lon + 180.0) % 360.0 - 180.0
    return f"{abs(lat):.2f}°{'N' if lat >= 0 else 'S'}, {abs(lon):.2f}°{'E' if lon >= 0 else 'W'}"


def _legend(modelled: _Modelled) -> list[Any]:
    middle = "modelled median" if modelled.median else "modelled"
    bands = [
        Patch(color=BLUE, alpha=_opacity(i), lw=0.0, label=f"central {100 * level:.0f} %")
        for i, (level, *_) in enumerate(modelled.bands[: len(_SHADES)])
    ]
    return [
        Line2D([], [], color="0.1", lw=2.2, label="sample, over its depths"),
        Line2D([], [], color=BLUE, lw=1.4, label=middle),
        *bands,
    ]


def _opacity(number: int) -> float:
    """Of a band over those that are wider."""
    return 1.0 - math.prod(1.0 - shade for shade in _SHADES[: number + 1])


def _describe(modelled: _Modelled, drawn: int, placed: xr.Dataset) -> tuple[str | None, ...]:
    bands = {
        _OF_OBSERVATIONS: "Bands: where an observation would lie, noise included",
        _OF_MEAN: "Bands: of the modelled mean, without the noise of observations, and so not "
        "meant to hold the samples",
        "": None,
    }[modelled.of]
    all_of = placed.sizes[PROFILE]
    return (
        f"Soil organic carbon (SOC) density ({_UNITS}) by depth (m). Black: samples over the "
        "depths that they were taken from; blue: modelled layers in the cell of the profile",
        bands if modelled.bands else None,
        f"The first {drawn} of {all_of} profiles that lie in cells with results"
        if drawn < all_of
        else None,
    )
