"""Ways to compute the physics; those of a GPU where there is none, too.

eager
    Operations of torch.
numba
    Kernels compiled for the CPU.
threads
    Kernels for a GPU, as they are launched there, on tensors of the CPU: numba's simulator runs
    them where NUMBA_ENABLE_CUDASIM is set, and this module one thread after another elsewhere. The
    functions that they call are compiled, for one column at a time.
cuda
    Kernels for a GPU on one, with tensors that are taken there and back.
"""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
import pytest
import torch
from numba.core.registry import CPUDispatcher
from torch import Tensor

from xbinn.physics import fused
from xbinn.physics.kernels import compiling, launching
from xbinn.physics.kernels import cuda as kernels
from xbinn.physics.paths import VARIABLE

CUDA = pytest.param("cuda", marks=pytest.mark.cuda)
KERNELS = ("numba", "threads", CUDA)


def take(way: str, patch: pytest.MonkeyPatch) -> None:
    """Compute so from now on."""
    patch.setenv(VARIABLE, "eager" if way == "eager" else "numba")
    if way in ("cuda", "threads"):
        # GPUs go step by step.
        patch.setattr(fused, "LEAST_COLUMNS", sys.maxsize)
    if way == "cuda":
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device here")
        launching.probe()
        patch.setattr(fused, "_call", _there_and_back)
    if way == "threads":
        _without_a_gpu(patch)
        patch.setattr(fused, "_call", _on_columns)


def _on_columns(kernel: Callable[..., None], *arguments: Tensor | float) -> None:
    launching.launch(kernel.__name__, *map(fused._columns, arguments))


def _there_and_back(kernel: Callable[..., None], *arguments: Tensor | float) -> None:
    here = [fused._columns(a) for a in arguments]
    there = [a.cuda() if isinstance(a, Tensor) else a for a in here]
    launching.launch(kernel.__name__, *there)
    for mine, theirs in zip(here, there, strict=True):
        if isinstance(mine, Tensor):
            # What was written lies in one piece: `here` is its memory. Autograd is to see nothing.
            mine.data.copy_(theirs)


def _without_a_gpu(patch: pytest.MonkeyPatch) -> None:
    """Let `launching.launch` find what a driver would give it."""
    driver = SimpleNamespace(
        gpus={torch.zeros(0).get_device(): nullcontext()},
        external_stream=lambda pointer: pointer,
        as_cuda_array=Tensor.numpy,
    )
    patch.setattr(launching, "cuda", driver)
    patch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=0))
    for name, function in _compiled().items():
        patch.setattr(kernels, name, function)
    if numba.config.ENABLE_CUDASIM:
        # Threads of Python, each a block or more of them takes its time.
        patch.setattr(launching, "FEWEST_BLOCKS", 1)
        # Compiled functions take arrays of numpy, not what the simulator wraps them in.
        module = "numba.cuda.simulator.kernel.FakeWithinKernelCUDAArray"
        patch.setattr(module, lambda wrapped: wrapped._ary)
        return
    patch.setattr(launching, "kernels", _OneAfterAnother())
    patch.setattr(kernels, "cuda", _Thread)


@cache
def _compiled() -> dict[str, Any]:
    """What the kernels for a GPU call, compiled for the CPU and kept on disk."""
    functions = {n: f for n, f in vars(kernels).items() if isinstance(f, CPUDispatcher)}
    return {name: compiling.kernel(f.py_func) for name, f in functions.items()}


class _Thread:
    """What a thread of a GPU sees of `numba.cuda`: its place, and memory that holds anything."""

    index = 0
    local = SimpleNamespace(array=lambda shape, dtype: np.full(shape, np.nan, dtype))

    @classmethod
    def grid(cls, dimensions: int) -> int:
        assert dimensions == 1
        return cls.index


class _OneAfterAnother:
    """The module `kernels`, with those that run here."""

    def __getattr__(self, name: str) -> "_Kernel":
        return _Kernel(getattr(kernels, name).py_func)


@dataclass(frozen=True)
class _Kernel:
    """Launched as those of numba: ``kernel[blocks, threads, stream](...)``."""

    function: Callable[..., None]

    def __getitem__(self, configuration: tuple[int, int, int]) -> Callable[..., None]:
        blocks, threads, _ = configuration

        def run(*arguments: np.ndarray | float) -> None:
            for _Thread.index in range(blocks * threads):
                self.function(*arguments)

        return run
