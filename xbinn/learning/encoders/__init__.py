"""Networks from covariates to the unit interval: one number in (0, 1) per parameter.

Shapes are batch first, ``(n, ...)``, as torch's layers want them. An encoder knows neither what
its outputs mean nor how many there ought to be: the parameter table decides
(`xbinn.learning.model`).

References
----------
Xu et al. 2025, arXiv:2502.00672 (network of the published BINN).
"""

from collections.abc import Mapping
from typing import Any, Final

from torch import nn

from xbinn.errors import InputError
from xbinn.learning.encoders.base import CovariateEncoder
from xbinn.learning.encoders.constant import ConstantEncoder
from xbinn.learning.encoders.linear import LinearEncoder
from xbinn.learning.encoders.mlp import Encoder
from xbinn.learning.encoders.module import ModuleEncoder
from xbinn.learning.encoders.plain import PlainEncoder
from xbinn.learning.encoders.spline import SplineEncoder
from xbinn.learning.seeding import seeded

__all__ = [
    "ENCODERS",
    "MODULE",
    "AnyEncoder",
    "ConstantEncoder",
    "CovariateEncoder",
    "Encoder",
    "LinearEncoder",
    "ModuleEncoder",
    "PlainEncoder",
    "SplineEncoder",
    "build_encoder",
]

AnyEncoder = CovariateEncoder | ConstantEncoder
ENCODERS: Final[dict[str, type[AnyEncoder]]] = {
    "mlp": Encoder,
    "linear": LinearEncoder,
    "spline": SplineEncoder,
    "constant": ConstantEncoder,
    "plain": PlainEncoder,
}
MODULE: Final = "module"
"""Name of the encoder whose layers are a module of the user's."""


def build_encoder(
    config: Mapping[str, Any], *, module: nn.Module | None = None, seed: int | None = None
) -> AnyEncoder:
    """Build the encoder that a configuration describes.

    Parameters
    ----------
    config : mapping
        What an encoder's ``config`` holds: ``encoder`` is a name in `ENCODERS` or `MODULE`, the
        rest are the arguments of its class. It survives JSON.
    module : Module, optional
        The layers, where the encoder is `MODULE`; see `ModuleEncoder`.
    seed : int or None
        Seed of the initial weights. torch's global random state is left as it was.

    Raises
    ------
    InputError
        If no encoder has that name, or layers and name do not go together.
    """
    settings = dict(config)
    name = settings.pop("encoder", None)
    if (name == MODULE) != (module is not None):
        raise InputError(
            f"encoder {name!r} {'needs' if name == MODULE else 'takes no'} module: the layers of "
            f"{MODULE!r}, and of no other, are given"
        )
    with seeded(seed):
        if module is not None:
            settings.pop("module", None)  # its name, which the new encoder finds again
            return ModuleEncoder(module, **settings)
        if name in ENCODERS:
            return ENCODERS[name](**settings)
    raise InputError(
        f"encoder {name!r} is not known: choose one of {', '.join(map(repr, ENCODERS))}"
    )
