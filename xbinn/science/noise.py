"""What draws of the posterior say of samples, and the observation noise about them."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from xbinn.labels.sites import Sites
from xbinn.learning.noise import ObservationNoise, learn_noise
from xbinn.learning.posterior import drawing, has_dropout
from xbinn.learning.threads import one_thread
from xbinn.learning.training import TrainingData, modelled_samples
from xbinn.physics.columns import Columns
from xbinn.running.layout import Posterior
from xbinn.running.predictor import Network, for_inference

DRAWS: Final = 16
"""Of the posterior, under which the noise is learnt."""


def draw_samples(
    networks: Sequence[Network], data: TrainingData[Columns], posterior: Posterior
) -> Tensor:
    """Draw the posterior at the sites of samples, as `xbinn.predict` does, (draw, sample) [kg m-3].

    Parameters
    ----------
    networks : sequence of BINN
        Members.
    data : TrainingData
        On the CPU.
    posterior : Posterior
        What to draw.
    """
    ready = [for_inference(network, torch.device("cpu")) for network in networks]
    data = replace(data, numeric=data.numeric.double())
    drawn = []
    with one_thread():
        for number in range(posterior.samples):
            masked = posterior.dropout
            with drawing(posterior.seed, number) if masked else nullcontext():
                drawn.append(modelled_samples(ready[number % len(ready)], data).double())
    return torch.stack(drawn)


def middle_depth(sites: Sites) -> Tensor:
    """Middle of the interval of every sample (sample,) [m]."""
    return torch.from_numpy(0.5 * (sites.top + sites.bottom).astype(np.float64))


def noise_of(network: Network, data: TrainingData[Columns], depth: Tensor) -> ObservationNoise:
    """Learn the noise about a network on samples, under draws of its dropout.

    Parameters
    ----------
    network : BINN
        Is left as it is, as is torch's random state.
    data : TrainingData
        Sites that it was not trained on, on the CPU.
    depth : Tensor
        (sample,) middle of each sample [m].
    """
    masked = has_dropout(network)
    drawn = draw_samples([network], data, Posterior(DRAWS if masked else 1, dropout=masked))
    with one_thread():
        return learn_noise(data.observed, drawn, depth, data.sample_weights)


def mean_noise(noises: Sequence[ObservationNoise | None]) -> ObservationNoise | None:
    """Noise of an ensemble: the mean over members, of the scale at the surface a geometric one.

    None where it was not learnt about every member.

    Each was learnt about its own member. Members differ from each other more than draws of one, so
    that intervals of the whole are rather too wide than too narrow.
    """
    known = [noise for noise in noises if noise is not None]
    if len(known) < len(noises):
        return None
    values = np.array([[np.log(n.surface), n.slope, n.deepest] for n in known])
    surface, slope, deepest = map(float, values.mean(axis=0))
    return ObservationNoise(float(np.exp(surface)), slope, deepest)
