"""Which way the physics is computed: operations of torch, or compiled kernels.

The kernels need numba and one of the two precisions they are written for, on a GPU numba-cuda and
its compiler as well. Wherever one of these is missing the operations of torch do the same.
"""

import logging
import os
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Final, get_args

import torch
from torch import Tensor

from xbinn.errors import InputError
from xbinn.options import Kernels

VARIABLE: Final = "XBINN_KERNELS"
"""Environment variable that chooses for a process and for the workers that it starts."""

PRECISIONS: Final = (torch.float32, torch.float64)
"""Those that kernels are written for."""

_CHOICES: Final[tuple[Kernels, ...]] = get_args(Kernels)
_NEEDED: Final = {
    "cpu": "'xbinn[fast]'",
    "cuda": "'xbinn[gpu]' 'numba-cuda[cu13]' (cu12 where torch.version.cuda is 12)",
}
"""By type of device."""

_PLAIN: Final = (Tensor, torch.nn.Parameter)
_LOG: Final = logging.getLogger(__name__)


def chosen() -> Kernels:
    """Return what the environment asks for.

    Raises
    ------
    InputError
        If it is not known.
    """
    name = os.environ.get(VARIABLE) or "auto"
    for choice in _CHOICES:
        if name == choice:
            return choice
    raise InputError(
        f"{VARIABLE}={name!r} is not known: set it to one of {', '.join(map(repr, _CHOICES))}, "
        "or unset it for 'auto'"
    )


def fused(*tensors: Tensor) -> ModuleType | None:
    """Return `xbinn.physics.fused` if it can compute with these tensors, or None.

    Parameters
    ----------
    *tensors : Tensor
        (..., n), the same n; of one dtype and on one device, or there is no fused way.

    Raises
    ------
    InputError
        If the environment asks for something unknown, or for kernels that cannot be had.
    """
    choice = chosen()
    same = len({(t.dtype, t.device) for t in tensors}) == 1
    if choice == "eager" or not same or not all(map(_suits, tensors)):
        return None
    return _loaded(tensors[0].device.type, choice)


def _loaded(device: str, choice: Kernels) -> ModuleType | None:
    """Kernels for a type of device, an error where they are asked for and cannot be had."""
    module, problem = _kernels(device)
    if module is None and choice == "numba":
        raise InputError(
            f"{VARIABLE}='numba', but the kernels cannot be loaded ({problem}): "
            f"pip install {_NEEDED[device]}, or set it to 'auto'"
        )
    return module


def _suits(tensor: Tensor) -> bool:
    return (
        type(tensor) in _PLAIN
        and tensor.device.type in _NEEDED
        and tensor.dtype in PRECISIONS
        and tensor.shape[-1] > 0
    )


@cache
def _kernels(device: str) -> tuple[ModuleType | None, str]:
    """Load the kernels for a type of device once, or say why they cannot be."""
    try:
        module = import_module("xbinn.physics.fused")
        if device == "cuda":
            import_module("xbinn.physics.kernels.launching").probe()
            if not module.solves_as_here(torch.device(device)):
                raise ImportError("on this GPU they solve otherwise than on the CPU")
        return module, ""
    except ImportError as error:
        # numba also refuses versions of numpy that it does not know.
        _LOG.info("operations of torch take the place of compiled kernels: %s", error)
        return None, str(error)
