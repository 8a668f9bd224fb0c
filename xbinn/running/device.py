"""Where tensors live, and what to do where there is too little memory for them."""

import logging
import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias
from zlib import crc32

import numpy as np
import torch

from xbinn.errors import DeviceError

Cells: TypeAlias = np.ndarray | slice
"""Some flat cells of a block."""

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
    import distributed

    try:
        name = distributed.get_worker().name
    except ValueError:
        return torch.cuda.current_device()
    # Plain workers of one node share its devices among them.
    number = name if isinstance(name, int) else crc32(str(name).encode())
    return number % torch.cuda.device_count()


def within_memory(
    solve: Callable[[Cells], np.ndarray], steps: Iterable[Cells], notes: list[str] | None = None
) -> Iterator[tuple[Cells, np.ndarray]]:
    """Solve step by step; where a GPU has too little memory for a step, with half the cells.

    Parameters
    ----------
    solve : callable
        From cells to their values.
    steps : iterable of slice or ndarray
        Cells to solve together.
    notes : list of str, optional
        Is told of every halving.

    Yields
    ------
    cells, values
        The steps, or parts of them.

    Raises
    ------
    DeviceError
        If a single cell is too much.
    """
    waiting, most = deque(steps), sys.maxsize
    while waiting:
        cells = waiting.popleft()
        count = _count(cells)
        if count > most:
            waiting.extendleft(reversed(_halves(cells)))
            continue
        try:
            values = solve(cells)
        except torch.OutOfMemoryError as error:
            if count == 1:
                raise DeviceError(
                    f"the GPU has no memory for a single cell ({error}): free it, or choose "
                    "device='cpu'"
                ) from error
            values = None
        # Outside of the handler, whose traceback holds on to tensors.
        if values is None:
            most = math.ceil(count / 2)
            waiting.appendleft(cells)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            note = f"out of GPU memory with {count} cells together: went on with {most}"
            _log.warning(note)
            if notes is not None:
                notes.append(note)
            continue
        yield cells, values


def _count(cells: Cells) -> int:
    return cells.stop - cells.start if isinstance(cells, slice) else len(cells)


def _halves(cells: Cells) -> tuple[Cells, Cells]:
    if not isinstance(cells, slice):
        middle = math.ceil(len(cells) / 2)
        return cells[:middle], cells[middle:]
    middle = cells.start + math.ceil(_count(cells) / 2)
    return slice(cells.start, middle), slice(middle, cells.stop)
