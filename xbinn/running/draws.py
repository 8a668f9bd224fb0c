"""Several draws of the same cells - members, posterior samples - summed up."""

from collections.abc import Sequence

import numpy as np
import torch

from xbinn.constants import INTERFACE_DEPTH, N_LAYERS
from xbinn.learning.noise import ObservationNoise
from xbinn.running.layout import Layout
from xbinn.variables import OBSERVATION_QUANTILE, Status


def sum_up(draws: np.ndarray, layout: Layout, noise: ObservationNoise | None = None) -> np.ndarray:
    """Sum up draws as a layout wants them.

    Parameters
    ----------
    draws : ndarray
        (draw, channel, n), each packed by ``layout.one_draw``.
    layout : Layout
        Without a posterior the mean of the draws is returned.
    noise : ObservationNoise, optional
        Needed where the layout has quantiles of observations.

    Returns
    -------
    ndarray
        (channel of ``layout``, n); NaN where any draw has none. The status is the worst of all.
    """
    posterior, status = layout.posterior, draws[:, -1].max(axis=0)
    n_values, n = draws.shape[1] - 1, draws.shape[2]
    packed = np.empty((layout.n_channels, n), draws.dtype)
    if posterior is None:
        packed[:-1] = draws[:, :-1].mean(axis=0, dtype=np.float64)
    else:
        outer, start = posterior.samples, 0
        if posterior.reduce:
            outer, start = len(posterior.quantiles), 2 * n_values
        places = _places(layout, outer, start)
        # One channel after the other stays in the processor's cache.
        for channel, where in enumerate(places):
            values = draws[:, channel]
            if posterior.reduce:
                packed[channel], packed[n_values + channel] = _moments(values)
                packed[where] = quantiles_of(values, posterior.quantiles)
            else:
                packed[where] = values
    if posterior is not None and layout.observations:
        assert noise is not None  # `xbinn.predict` has asked for it
        target = {o.name: o.channels for o in layout.outputs}[OBSERVATION_QUANTILE]
        soc = {o.name: o.channels for o in layout.one_draw.outputs}["soc"]
        packed[target] = _observations(draws[:, soc], posterior.quantiles, noise)
    packed[:-1, status != int(Status.VALID)] = np.nan
    packed[-1] = status
    return packed


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the first axis, in float64."""
    away = values.astype(np.float64)
    mean = away.mean(axis=0)
    with np.errstate(invalid="ignore"):
        away -= mean
        np.square(away, out=away)
        return mean, np.sqrt(away.sum(axis=0) / (len(away) - 1))


def _places(layout: Layout, outer: int, start: int) -> list[slice]:
    """Where the ``outer`` values of each channel of a draw go, in its order."""
    places = []
    for output in layout.one_draw.outputs[:-1]:
        width = output.channels.stop - output.channels.start
        end = start + outer * width
        places += [slice(start + channel, end, width) for channel in range(width)]
        start = end
    return places


def _observations(
    soc: np.ndarray, quantiles: Sequence[float], noise: ObservationNoise
) -> np.ndarray:
    """Quantiles of an observation of each layer, from draws (draw, layer, n), (row, n).

    A layer is taken for a sample of its whole interval.
    """
    found = np.empty((len(quantiles), *soc.shape[1:]), soc.dtype)
    edges = (0.0, *INTERFACE_DEPTH[:N_LAYERS])
    for layer in range(N_LAYERS):
        middle = 0.5 * (edges[layer] + edges[layer + 1])
        depth = torch.full((soc.shape[2],), middle, dtype=torch.float64)
        drawn = torch.from_numpy(soc[:, layer])
        found[:, layer] = noise.quantiles(quantiles, drawn, depth).numpy()
    return found.reshape(-1, soc.shape[2])


def quantiles_of(values: np.ndarray, quantiles: Sequence[float]) -> np.ndarray:
    """Return quantiles over the first axis, linear between the samples, (quantile, ...).

    As ``numpy.quantile`` has them, several times as fast for many short samples.
    """
    # Contiguous along the samples: numpy sorts short runs many at a time.
    ordered = np.ascontiguousarray(np.moveaxis(values, 0, -1))
    ordered.sort(axis=-1)
    last = ordered.shape[-1] - 1
    found = np.empty((len(quantiles), *ordered.shape[:-1]), np.float64)
    for row, quantile in zip(found, quantiles, strict=True):
        place = quantile * last
        below = min(int(place), max(last - 1, 0))
        low = ordered[..., below].astype(np.float64)
        row[...] = low + (place - below) * (ordered[..., min(below + 1, last)] - low)
    # What is missing in any sample is sorted to the end.
    found[:, np.isnan(ordered[..., -1])] = np.nan
    return found
