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

from xbinn.errors import InputError
from xbinn.learning.encoders.constant import ConstantEncoder
from xbinn.learning.encoders.mlp import Encoder
from xbinn.learning.seeding import seeded

__all__ = ["ENCODERS", "AnyEncoder", "ConstantEncoder", "Encoder", "build_encoder"]

AnyEncoder = Encoder | ConstantEncoder
ENCODERS: Final = ("mlp", "constant")


def build_encoder(config: Mapping[str, Any], *, seed: int | None = None) -> AnyEncoder:
    """Build the encoder that a configuration describes.

    Parameters
    ----------
    config : mapping
        What an encoder's ``config`` holds: ``encoder`` is "mlp" or "constant", the rest are the
        arguments of `Encoder` or `ConstantEncoder`. It survives JSON.
    seed : int or None
        Seed of the initial weights. torch's global random state is left as it was.

    Raises
    ------
    InputError
        If no encoder has that name.
    """
    settings = dict(config)
    name = settings.pop("encoder", None)
    with seeded(seed):
        if name == "mlp":
            return Encoder(**settings)
        if name == "constant":
            return ConstantEncoder(settings["n_outputs"])
    raise InputError(
        f"encoder {name!r} is not known: choose one of {', '.join(map(repr, ENCODERS))}"
    )
