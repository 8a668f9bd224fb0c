"""Where tensors live and how many threads work on them."""

import logging
import os
import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

from xbinn.errors import DeviceError
from xbinn.learning.threads import one_thread

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("xbinn")


def choose_device(device: str = "auto") -> torch.device:
    """Turn a device name into a device that exists.

    Parameters
    ----------
    device : str
        ``auto`` (a GPU where there is one, else the CPU), ``cpu``, ``cuda`` or ``cuda:1``.

    Raises
    ------
    DeviceError
        If the device was asked for by name and is not there, or is not known.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", _cuda_index())
        _log.debug("no CUDA device: computing on the CPU")
        return torch.device("cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise DeviceError(
            f"device {device!r} is not known: choose 'auto', 'cpu', 'cuda' or 'cuda:0'"
        ) from error
    if chosen.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (chosen.index or 0) >= count:
            raise DeviceError(
                f"device {device!r} was asked for and this machine offers {count} CUDA devices: "
                "choose device='auto' or device='cpu', or install a CUDA build of torch"
            )
        if ":" not in device:
            return torch.device("cuda", _cuda_index())
    elif chosen.type != "cpu":
        raise DeviceError(f"device {device!r} is not supported: choose 'auto', 'cpu' or 'cuda'")
    return chosen


def _cuda_index() -> int:
    # dask-cuda gives each worker its own CUDA_VISIBLE_DEVICES, of which 0 is the first.
    if os.environ.get("CUDA_VISIBLE_DEVICES"):
        return 0
    return torch.cuda.current_device()


def one_thread_in_workers(function: Callable[P, R]) -> Callable[P, R]:
    """Let a block function use one torch thread where it runs in a worker thread.

    Parallelism comes from the blocks: without this every worker thread would start as many
    threads as there are cores. The main thread keeps its setting.
    """

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        if threading.current_thread() is threading.main_thread():
            return function(*args, **kwargs)
        with one_thread():
            return function(*args, **kwargs)

    return limited
