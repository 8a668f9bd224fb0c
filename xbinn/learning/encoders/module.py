"""Any module of torch as the layers of an encoder."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from xbinn.errors import InputError
from xbinn.learning.encoders.base import CATEGORY_DROPOUT, REACH, CovariateEncoder


class ModuleEncoder(CovariateEncoder):
    """A copy of a module between features and constraint.

    Parameters
    ----------
    module : Module
        From ``(n, n_features)`` to u ``(n, n_outputs)``, unconstrained. It starts with the weights
        that it has; lazy layers are made to fit. It is not changed.
    n_numeric, n_categories, n_outputs, constraint, category_dropout, reach
        As for `CovariateEncoder`.

    Raises
    ------
    InputError
        If the module cannot be copied, does not take the features, gives something else than one
        number for each output, or has a state that a file could not hold.
    """

    def __init__(
        self,
        module: nn.Module,
        n_numeric: int,
        n_categories: Sequence[int],
        n_outputs: int,
        *,
        constraint: str = "sigmoid",
        category_dropout: float = CATEGORY_DROPOUT,
        reach: float = REACH,
    ) -> None:
        super().__init__(
            "module",
            n_numeric,
            n_categories,
            n_outputs,
            constraint=constraint,
            category_dropout=category_dropout,
            reach=reach,
        )
        self.config |= {"module": name_of(module)}
        try:
            self.layers = copy.deepcopy(module).to("cpu", torch.float32)
        except (RuntimeError, TypeError, ValueError) as error:
            raise InputError(
                f"the encoder {name_of(module)} cannot be copied ({type(error).__name__}: {error}):"
                " give its sizes to lazy layers that torch cannot copy, and weights that are leaves"
            ) from error
        _try(self.layers, self.n_features, n_outputs)
        self.layers.train()
        others = [name for name, v in self.layers.state_dict().items() if not isinstance(v, Tensor)]
        if others:
            raise InputError(
                f"the encoder {name_of(module)} keeps {', '.join(others)} in its state, which is "
                "no tensor, so that a model file cannot hold it: keep tensors only"
            )


def name_of(module: nn.Module) -> str:
    """Return where the class of a module is defined, and its name."""
    kind = type(module)
    return f"{kind.__module__}.{kind.__qualname__}"


@torch.no_grad()
def _try(layers: nn.Module, n_features: int, n_outputs: int) -> None:
    """See whether layers fit, which gives lazy ones their sizes too."""
    what = f"the encoder {name_of(layers)} must map (n, {n_features}) to (n, {n_outputs})"
    layers.eval()
    try:
        u = layers(torch.zeros(2, n_features))
    except Exception as error:  # anybody's code, so any error
        raise InputError(
            f"{what}, from the features of a cell to one number for each parameter, and failed at "
            f"it ({type(error).__name__}: {error}): torch.nn.LazyLinear finds its inputs by itself"
        ) from error
    if not isinstance(u, Tensor) or u.shape != (2, n_outputs):
        given = tuple(u.shape) if isinstance(u, Tensor) else type(u).__name__
        raise InputError(f"{what} and gave {given} for n = 2: give it {n_outputs} outputs")
