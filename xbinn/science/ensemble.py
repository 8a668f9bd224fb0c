"""Deep ensembles: several networks fitted alike but for their seed, as one model.

References
----------
Lakshminarayanan et al. 2017, arXiv:1612.01474.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np

from xbinn.labels.covariates import CovariateSpec
from xbinn.labels.sites import Sites
from xbinn.learning.encoders import ConstantEncoder
from xbinn.model import Model
from xbinn.running.predictor import Network, Predictor
from xbinn.science.fits import fit_many
from xbinn.science.settings import FitSettings


def member_seeds(seed: int | None, members: int) -> list[int | None]:
    """Return a seed for each member, the first being the one given; None where that is None."""
    if seed is None:
        return [None] * members
    others = np.random.SeedSequence(seed).generate_state(members - 1, np.uint64)
    return [seed, *map(int, others)]


def fit_ensemble(
    sites: Sites,
    covariates: CovariateSpec,
    settings: FitSettings,
    *,
    device: str,
    report: Callable[[int], None] | None = None,
) -> Model:
    """Fit ``settings.members`` networks, each as an independent task.

    Members have weights, batches, dropout and validation blocks of their own, so that together
    they learn from all sites.

    Parameters
    ----------
    sites, covariates
        As for `xbinn.science.fits.fit_many`.
    settings : FitSettings
        Of all members; its seed is that of the first.
    device, report
        As for `xbinn.science.fits.fit_many`.

    Returns
    -------
    Model
        With all members; with seeds, the same on any number of workers.
    """
    seeds = member_seeds(settings.options.seed, settings.members)
    each = [replace(settings, options=replace(settings.options, seed=seed)) for seed in seeds]
    return join(fit_many(sites, covariates, each, device=device, report=report))


def join(models: Sequence[Model]) -> Model:
    """Make one model of several that were fitted alike to the same sites.

    Parameters
    ----------
    models : sequence of Model
        Each may have left out categories that none of its training sites had: in the whole, these
        stand for "missing" to that member.
    """
    first = models[0]
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
        ),
        settings=first.settings,
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
