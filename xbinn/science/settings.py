"""What a fit is asked for: checked once, in plain types that JSON can hold."""

import inspect
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, Final, TypeVar, get_args

import torch
from torch import nn

from xbinn import options as defaults
from xbinn.errors import InputError, UnitsError
from xbinn.labels.units import conversion
from xbinn.learning.encoders import MODULE, ModuleEncoder
from xbinn.learning.losses import LOSSES
from xbinn.learning.training import TrainingOptions
from xbinn.model import Model
from xbinn.options import (
    Bedrock,
    Constraint,
    Dtype,
    EncoderName,
    LossName,
    Observation,
    Validation,
)
from xbinn.parameters import PRIORS, Prior

_T = TypeVar("_T")
_DTYPES: Final[Mapping[str, torch.dtype]] = {"float32": torch.float32, "float64": torch.float64}
_SEEDS: Final = 2**64
"""torch takes seeds below this."""


@dataclass(frozen=True)
class FitSettings:
    """What a fit is asked for; see `xbinn.fit`.

    ``covariates`` and ``categorical`` are the names that were asked for, None for the defaults;
    they and ``device`` are on record only, since whoever calls has made use of them already.
    ``module`` holds the layers of an encoder of the user's own. ``members`` is how many networks
    are fitted, with seeds that follow from that of the options.
    """

    prior: Prior
    bedrock: Bedrock
    encoder: Mapping[str, Any]
    observation: Observation
    validation: Validation | None
    block_size: float | str
    options: TrainingOptions
    dtype: Dtype
    tolerance: float | None = None
    covariates: Sequence[str] | None = None
    categorical: Sequence[str] | None = None
    device: str | None = None
    module: nn.Module | None = None
    members: int = 1


def fit_settings(
    *,
    prior: Prior = "binn",
    bedrock: Bedrock = "closed",
    encoder: EncoderName | nn.Module = "mlp",
    constraint: Constraint | None = None,
    hidden: int | Sequence[int] = defaults.HIDDEN,
    dropout: float = defaults.DROPOUT,
    observation: Observation = "layer_mean",
    loss: LossName = "log_smooth_l1",
    regularization: float = defaults.REGULARIZATION,
    validation: Validation | None = "spatial_blocks",
    block_size: float | str = defaults.BLOCK_SIZE,
    epochs: int = defaults.EPOCHS,
    patience: int = defaults.PATIENCE,
    batch_size: int = defaults.BATCH_SIZE,
    learning_rate: float = defaults.LEARNING_RATE,
    weight_decay: float = defaults.WEIGHT_DECAY,
    seed: int | None = None,
    dtype: Dtype = "float32",
    tolerance: float | None = None,
    covariates: Sequence[str] | None = None,
    categorical: Sequence[str] | None = None,
    device: str | None = None,
    members: int = 1,
) -> FitSettings:
    """Check the arguments of `xbinn.fit` and bring them to plain types.

    Parameters
    ----------
    prior, bedrock, encoder, constraint, hidden, dropout, observation, loss, regularization, \
validation, block_size, epochs, patience, batch_size, learning_rate, weight_decay, seed, dtype, \
tolerance, covariates, categorical, device, members
        As in `xbinn.fit`. ``hidden`` may be one width.

    Raises
    ------
    InputError
        If any of them cannot be used; it names all that cannot.
    """
    check = _Check()
    choices = {
        "prior": check.choice("prior", prior, PRIORS),
        "bedrock": check.choice("bedrock", bedrock, get_args(Bedrock)),
        "observation": check.choice("observation", observation, get_args(Observation)),
        "validation": check.choice("validation", validation, (*get_args(Validation), None)),
        "dtype": check.choice("dtype", dtype, _DTYPES),
    }
    module = encoder if isinstance(encoder, nn.Module) else None
    config: dict[str, Any] = {
        "encoder": MODULE if module is not None else check.encoder("encoder", encoder)
    }
    chosen = check.choice("constraint", constraint, (*get_args(Constraint), None))
    # As published: ScIReN's for its spline encoder, BINN's for the others.
    published: Constraint = "hard_sigmoid" if config["encoder"] == "spline" else "sigmoid"
    config["constraint"] = chosen or published
    widths, share = check.widths("hidden", hidden), check.share("dropout", dropout)
    if config["encoder"] == "mlp":
        config |= {"hidden": widths, "dropout": share}
    options = {
        "loss": check.choice("loss", loss, LOSSES),
        "regularization": check.real("regularization", regularization, "0 or more"),
        "epochs": check.whole("epochs", epochs, 1),
        "patience": check.whole("patience", patience, 1),
        "batch_size": check.whole("batch_size", batch_size, 2),
        "learning_rate": check.real("learning_rate", learning_rate, "above 0"),
        "weight_decay": check.real("weight_decay", weight_decay, "0 or more"),
        "seed": None if seed is None else check.whole("seed", seed, 0, _SEEDS),
    }
    others: dict[str, Any] = {
        "block_size": check.block_size("block_size", block_size),
        "tolerance": None if tolerance is None else check.real("tolerance", tolerance, "above 0"),
        "covariates": check.names("covariates", covariates),
        "categorical": check.names("categorical", categorical),
        "device": check.device("device", device),
        "members": check.whole("members", members, 1),
    }
    check.finish()
    return FitSettings(
        encoder=config,
        options=TrainingOptions(**options),
        module=module,
        **choices,
        **others,
    )


def settings_from(
    given: Mapping[str, Any], *, caller: str, elsewhere: Sequence[str] = (), **own: Any
) -> FitSettings:
    """Check the ``fit={...}`` of a function that fits.

    Parameters
    ----------
    given : mapping
        Keywords of `xbinn.fit`.
    caller : str
        Name of the function, for messages.
    elsewhere : sequence of str
        Keywords of the function itself that are no settings, which ``given`` may not hold either.
    **own
        Settings that are keywords of the function itself.

    Raises
    ------
    InputError
        If ``given`` holds what is no keyword or belongs to the function, or any cannot be used.
    """
    if not isinstance(given, Mapping):
        raise InputError(
            f"fit={given!r} is of type {type(given).__name__}: give a mapping of keywords of "
            'xbinn.fit, such as {"epochs": 20}'
        )
    apart = (*own, *elsewhere)
    free = [n for n in inspect.signature(fit_settings).parameters if n not in apart]
    problems = [f"{n}: give it to {caller} itself" for n in given if n in apart]
    problems += [f"{n}: no keyword" for n in given if n not in free and n not in apart]
    if problems:
        raise InputError(
            f"fit={{...}} holds what cannot be used: {'; '.join(problems)}; it may hold "
            f"{', '.join(free)}"
        )
    return fit_settings(**given, **own)


def settings_of(model: Model) -> FitSettings:
    """Return what a fitted model was asked for."""
    given: Mapping[str, Any] = model.settings
    # A network that was fitted to parameters has no loss of carbon: defaults in their place.
    options = {f.name: given[f.name] for f in fields(TrainingOptions) if f.name in given}
    encoder = model.predictor.network.encoder
    config = dict(encoder.config)
    sizes = ("n_numeric", "n_categories", "n_outputs", "module")
    return FitSettings(
        prior=model.predictor.prior,
        bedrock=model.predictor.bedrock,
        encoder={k: v for k, v in config.items() if k not in sizes},
        observation=given["observation"],
        validation=given["validation"],
        block_size=given["block_size"],
        options=TrainingOptions(**options),
        dtype=given["dtype"],
        tolerance=given["tolerance"],
        covariates=given["covariates"],
        categorical=given["categorical"],
        device=given["device"],
        module=encoder.layers if isinstance(encoder, ModuleEncoder) else None,
        members=given["members"],
    )


def recorded(settings: FitSettings) -> dict[str, Any]:
    """Return what a model keeps of the settings beside its network, prior and bedrock."""
    elsewhere = ("prior", "bedrock", "encoder", "module", "options")
    rest = {f.name: getattr(settings, f.name) for f in fields(settings) if f.name not in elsewhere}
    options = settings.options
    return {f.name: getattr(options, f.name) for f in fields(options)} | rest


def check_dtype(dtype: str) -> torch.dtype:
    """Return the dtype of a name.

    Raises
    ------
    InputError
        If the solve does not run in it.
    """
    if dtype not in tuple(_DTYPES):
        raise InputError(f"dtype={dtype!r} is not supported: choose {_listed(_DTYPES)}")
    return _DTYPES[dtype]


def is_real(value: object) -> bool:
    """Whether a value is a finite number, not a truth value."""
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def is_whole(value: object, least: int) -> bool:
    """Whether a value is a whole number, ``least`` or more, not a truth value."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        return False
    return int(value) >= least


class _Check:
    """Collects what is wrong; what is returned for a bad setting is not to be used."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def finish(self) -> None:
        """Raise all problems at once."""
        if self.problems:
            listed = "; ".join(self.problems)
            raise InputError(f"settings of the fit that cannot be used: {listed}")

    def _bad(self, name: str, value: object, rule: str) -> None:
        self.problems.append(f"{name}={value!r} (must be {rule})")

    def choice(self, name: str, value: Any, known: Iterable[str | None]) -> Any:
        """One of a few texts, or None where that is one of them."""
        known = tuple(known)
        if not (value is None or isinstance(value, str)) or value not in known:
            self._bad(name, value, _listed(known))
        return value

    def encoder(self, name: str, value: Any) -> Any:
        """The name of an encoder; a module has been dealt with."""
        if not isinstance(value, str) or value not in get_args(EncoderName):
            self._bad(name, value, f"{_listed(get_args(EncoderName))}, or a torch.nn.Module")
        return value

    def whole(self, name: str, value: Any, least: int, below: int | None = None) -> int:
        """A whole number, not a truth value."""
        try:
            number = operator.index(_not_bool(value))
        except TypeError:
            self._bad(name, value, "a whole number")
            return least
        if number < least:
            self._bad(name, value, f"{least} or more")
        elif below is not None and number >= below:
            self._bad(name, value, f"below {below}")
        return number

    def widths(self, name: str, value: Any) -> tuple[int, ...]:
        """One whole number or several."""
        try:
            return (self.whole(name, operator.index(_not_bool(value)), 1),)
        except TypeError:
            pass
        if isinstance(value, str) or not isinstance(value, Iterable):
            self._bad(name, value, "a whole number or a sequence of them")
            return ()
        return tuple(self.whole(f"{name}[{i}]", width, 1) for i, width in enumerate(value))

    def real(self, name: str, value: Any, rule: str) -> float:
        """A finite number that keeps a rule."""
        number = _number(value)
        if number is None or not math.isfinite(number):
            self._bad(name, value, f"a number, {rule}")
        elif not _RULES[rule](number):
            self._bad(name, value, rule)
        return number or 0.0

    def share(self, name: str, value: Any) -> float:
        """A share that leaves something."""
        return self.real(name, value, "a share from 0 to below 1")

    def block_size(self, name: str, value: Any) -> float | str:
        """A number of degrees or a text such as "200 km"."""
        number = _number(value)
        if isinstance(value, str):
            try:
                number = conversion(name, value, "m")[0]
            except UnitsError:
                number = None
        if number is None or not (math.isfinite(number) and number > 0.0):
            self._bad(name, value, 'a positive number of degrees, or a length such as "200 km"')
        return value if isinstance(value, str) else number or 0.0

    def names(self, name: str, value: Any) -> list[str] | None:
        """Names of variables, one or several."""
        if value is None:
            return None
        given = [value] if isinstance(value, str) or not isinstance(value, Iterable) else value
        listed = list(given)
        if not all(isinstance(v, str) for v in listed):
            self._bad(name, value, "a sequence of names of variables")
        return [str(v) for v in listed]

    def device(self, name: str, value: Any) -> Any:
        """A text; whether there is such a device is asked elsewhere."""
        if value is not None and not isinstance(value, str):
            self._bad(name, value, "a text such as 'auto', 'cpu' or 'cuda:0'")
        return value


_RULES: Final[Mapping[str, Callable[[float], bool]]] = {
    "0 or more": lambda x: x >= 0.0,
    "above 0": lambda x: x > 0.0,
    "a share from 0 to below 1": lambda x: 0.0 <= x < 1.0,
}


def _not_bool(value: _T) -> _T:
    if isinstance(value, bool):
        raise TypeError("a truth value is no number")
    return value


def _number(value: Any) -> float | None:
    if isinstance(value, bool | str):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _listed(known: Iterable[str | None]) -> str:
    *first, last = (repr(value) for value in known)
    return f"{', '.join(first)} or {last}"
