"""Several draws of the same cells - members, posterior samples - summed up."""

from collections.abc import Sequence

import numpy as np

from xbinn.running.layout import Layout
from xbinn.variables import Status


def sum_up(draws: np.ndarray, layout: Layout) -> np.ndarray:
    """Sum up draws as a layout wants them.

    Parameters
    ----------
    draws : ndarray
        (draw, channel, n), each packed by ``layout.one_draw``.
    layout : Layout
        Without a posterior the mean of the draws is returned.

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
                with np.errstate(invalid="ignore"):
                    packed[channel] = values.mean(axis=0, dtype=np.float64)
                    packed[n_values + channel] = values.std(axis=0, ddof=1, dtype=np.float64)
                packed[where] = quantiles_of(values, posterior.quantiles)
            else:
                packed[where] = values
    packed[:-1, status != int(Status.VALID)] = np.nan
    packed[-1] = status
    return packed


def _places(layout: Layout, outer: int, start: int) -> list[slice]:
    """Where the ``outer`` values of each channel of a draw go, in its order."""
    places = []
    for output in layout.one_draw.outputs[:-1]:
        width = output.channels.stop - output.channels.start
        end = start + outer * width
        places += [slice(start + channel, end, width) for channel in range(width)]
        start = end
    return places


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
