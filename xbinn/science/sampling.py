"""What is asked of the posterior of a model: checked against what the model can give."""

from collections.abc import Sequence

import numpy as np

from xbinn.errors import InputError
from xbinn.learning.noise import ObservationNoise
from xbinn.learning.posterior import has_dropout
from xbinn.model import Model
from xbinn.options import QUANTILES
from xbinn.running.layout import Posterior
from xbinn.science.settings import is_whole

_FEWEST: int = 2
"""Samples that have a standard deviation."""


def posterior_of(
    model: Model,
    *,
    samples: int,
    quantiles: Sequence[float],
    reduce: bool,
    dropout: bool,
    seed: int,
) -> Posterior | None:
    """Check the arguments of `xbinn.predict` that are about the posterior.

    Returns
    -------
    Posterior or None
        None without samples.

    Raises
    ------
    InputError
        If any of them cannot be used, all at once, or the model has no such samples.
    """
    levels = np.asarray(quantiles, dtype=object)
    given = tuple(levels) if levels.ndim == 1 else levels.tolist()
    asked = {"quantiles": given, "reduce": reduce, "dropout": dropout, "seed": seed}
    usual = {"quantiles": QUANTILES, "reduce": True, "dropout": True, "seed": 0}
    if is_whole(samples, 0) and samples == 0:
        idle = {name: value for name, value in asked.items() if value != usual[name]}
        if idle:
            raise InputError(f"{idle} say how to sample, and samples=0 asks for none: give samples")
        return None
    fewest = _FEWEST if reduce else 1
    problems = []
    if not is_whole(samples, fewest):
        problems.append(f"samples={samples!r} (must be 0, or a whole number from {fewest})")
    if not is_whole(seed, 0):
        problems.append(f"seed={seed!r} (must be a whole number, 0 or more)")
    numbers = [q for q in levels.ravel() if isinstance(q, int | float | np.number)]
    within = levels.ndim == 1 and len(numbers) == len(levels) > 0
    if not within or not all(0.0 <= q <= 1.0 for q in numbers):
        problems.append(f"quantiles={quantiles!r} (must be numbers from 0 to 1, at least one)")
    if problems:
        raise InputError(f"samples of the posterior that cannot be drawn: {'; '.join(problems)}")
    if dropout and not has_dropout(model.predictor.network):
        dropout = False
    if not dropout and samples > model.members:
        raise InputError(
            f"samples={samples}, but without dropout the model has {model.members} different "
            f"{'one' if model.members == 1 else 'ones'}, its members: fit with dropout=... above 0 "
            f"or with members={samples}, or ask for fewer"
        )
    return Posterior(int(samples), tuple(map(float, numbers)), int(seed), dropout, bool(reduce))


def check_noise(model: Model) -> ObservationNoise:
    """Return the observation noise of a model.

    Raises
    ------
    InputError
        If the model has none.
    """
    noise = model.predictor.noise
    if noise is None:
        raise InputError(
            f"model {model.sha256[:12]} was saved without observation noise, so it says nothing of "
            "observations: fit it again; without them, predict the samples themselves "
            "(reduce=False), or outputs other than soc"
        )
    return noise
