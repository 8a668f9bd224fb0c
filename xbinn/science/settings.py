"""What a fit is asked for: checked once, in plain types that JSON can hold."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from xbinn.errors import InputError
from xbinn.learning.training import TrainingOptions
from xbinn.model import Model
from xbinn.options import Bedrock, Validation
from xbinn.parameters import Prior
from xbinn.physics.steady_state import SoilCarbonModel


@dataclass(frozen=True)
class FitSettings:
    """What a fit is asked for; see `xbinn.fit`."""

    prior: Prior
    bedrock: Bedrock
    encoder: Mapping[str, Any]
    observation: str
    validation: Validation | None
    block_size: float | str
    options: TrainingOptions
    dtype: str


def fit_settings(
    *,
    prior: Prior,
    bedrock: Bedrock,
    encoder: str,
    hidden: Sequence[int],
    dropout: float,
    observation: str,
    validation: Validation | None,
    block_size: float | str,
    dtype: str,
    **options: Any,
) -> FitSettings:
    """Check the arguments of `xbinn.fit` and bring them to plain types.

    Parameters
    ----------
    prior, bedrock, encoder, hidden, dropout, observation, validation, block_size, dtype
        As in `xbinn.fit`.
    **options
        Fields of `xbinn.learning.training.TrainingOptions`.

    Raises
    ------
    InputError
        If any of them cannot be used; whole numbers are checked all at once.
    """
    check_dtype(dtype)
    SoilCarbonModel(bedrock)
    widths = {f"hidden[{i}]": (width, 1) for i, width in enumerate(hidden)}
    least = {"epochs": 1, "patience": 1, "batch_size": 2, "seed": 0}
    whole = _whole_numbers(
        {name: (options[name], n) for name, n in least.items() if options[name] is not None}
        | widths
    )
    numbers = ("regularization", "learning_rate", "weight_decay")
    plain: dict[str, Any] = {name: float(options[name]) for name in numbers}
    plain = options | plain | {name: n for name, n in whole.items() if name in least}
    config: dict[str, Any] = {"encoder": encoder}
    if encoder == "mlp":
        config |= {"hidden": tuple(whole[name] for name in widths), "dropout": float(dropout)}
    return FitSettings(
        prior=prior,
        bedrock=bedrock,
        encoder=config,
        observation=observation,
        validation=validation,
        block_size=block_size if isinstance(block_size, str) else float(block_size),
        options=TrainingOptions(**plain),
        dtype=dtype,
    )


def settings_of(model: Model) -> FitSettings:
    """Return what a fitted model was asked for."""
    options = {f.name: model.settings[f.name] for f in fields(TrainingOptions)}
    config = dict(model.predictor.network.encoder.config)
    sizes = ("n_numeric", "n_categories", "n_outputs")
    return FitSettings(
        prior=model.predictor.prior,
        bedrock=model.predictor.bedrock,
        encoder={k: v for k, v in config.items() if k not in sizes},
        observation=model.settings["observation"],
        validation=model.settings["validation"],
        block_size=model.settings["block_size"],
        options=TrainingOptions(**options),
        dtype=model.settings["dtype"],
    )


def check_dtype(dtype: str) -> None:
    """Refuse a dtype that the solve does not run in."""
    if dtype not in ("float32", "float64"):
        raise InputError(f"dtype={dtype!r} is not supported: choose 'float32' or 'float64'")


def _whole_numbers(given: Mapping[str, tuple[Any, int]]) -> dict[str, int]:
    """Turn settings, each with the least it may be, into plain integers, or name the bad ones."""
    whole: dict[str, int] = {}
    problems: list[str] = []
    for name, (value, least) in given.items():
        try:
            whole[name] = operator.index(value)
        except TypeError:
            problems.append(f"{name}={value!r} (must be a whole number)")
            continue
        if whole[name] < least:
            problems.append(f"{name}={value!r} (must be {least} or more)")
    if problems:
        raise InputError(f"settings of the fit that cannot be used: {'; '.join(problems)}")
    return whole
