"""Deep ensembles: several networks fitted alike but for their seed, as one model.

References
----------
Lakshminarayanan et al. 2017, arXiv:1612.01474.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np

from xbinn.labels.covariates import CovariateSpec
from xbinn.learning.encoders import ConstantEncoder
from xbinn.model import Model
from xbinn.running.predictor import Network, Predictor
from xbinn.science.noise import mean_noise
from xbinn.science.settings import FitSettings


def member_seeds(seed: int | None, members: int) -> list[int | None]:
    """Return a seed for each member, the first being the one given; None where that is None."""
    if seed is None:
        return [None] * members
    others = np.random.SeedSequence(seed).generate_state(members - 1, np.uint64)
    return [seed, *map(int, others)]


def member_settings(settings: FitSettings) -> list[FitSettings]:
    """Return the settings of each member: of a fit of one network."""
    return [
        replace(settings, members=1, options=replace(settings.options, seed=seed))
        for seed in member_seeds(settings.options.seed, settings.members)
    ]


def join(models: Sequence[Model]) -> Model:
    """Make one model of several that were fitted alike to the same sites.

    Parameters
    ----------
    models : sequence of Model
        Each may have left out categories that none of its training sites had: in the whole, these
        stand for "missing" to that member.
    """
    first = models[0]
    if len(models) == 1:
        return first
    spec = first.predictor.covariates
    known = [
        sorted({c for m in models for c in m.predictor.covariates.categorical[column][1]})
        for column in range(len(spec.categorical))
    ]
    together = replace(
        spec,
        categorical=tuple(
            (name, tuple(codes)) for (name, _), codes in zip(spec.categorical, known, strict=True)
        ),
    )
    data = [m.training_data for m in models]
    fingerprints = "".join(d["fingerprint"] for d in data)
    return Model(
        replace(
            first.predictor,
            networks=tuple(_recoded(m.predictor, together) for m in models),
            covariates=together,
            noise=mean_noise([m.predictor.noise for m in models]),
        ),
        settings=first.settings | {"members": len(models)},
        record=[record for m in models for record in m.record],
        training_data=data[0]
        | {
            "fingerprint": sha256(fingerprints.encode()).hexdigest(),
            "validation_samples": sum(d["validation_samples"] for d in data),
        },
    )


def _recoded(member: Predictor, together: CovariateSpec) -> Network:
    """Return the network of a member for the categories of all."""
    network = copy.deepcopy(member.network)
    if isinstance(network.encoder, ConstantEncoder):
        return network
    codes = []
    for (_, own), (_, known) in zip(
        member.covariates.categorical, together.categorical, strict=True
    ):
        missing = len(own)
        place = {category: code for code, category in enumerate(own)}
        codes.append([*(place.get(category, missing) for category in known), missing])
    network.encoder.recode(codes)
    return network
