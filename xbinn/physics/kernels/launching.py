"""Kernels on a GPU, with the memory of torch's tensors and in the order of its operations."""

from typing import Final

import torch
from numba import cuda
from torch import Tensor

from xbinn.physics.kernels import cuda as kernels

THREADS: Final = 32
"""In a block: as few as run in step, so that a small batch is spread over the whole GPU."""

FEWEST_BLOCKS: Final = 128
"""numba warns of fewer. A thread without a column ends at once."""


def launch(name: str, first: Tensor, *others: Tensor | float) -> None:
    """Start a kernel of `xbinn.physics.kernels.cuda`, and do not wait for it.

    Parameters
    ----------
    name : str
        Of the kernel.
    first : Tensor
        (..., n), on a GPU: the first argument of the kernel.
    *others : Tensor or float
        Its other arguments; tensors (..., n) lie on the same GPU.

    Raises
    ------
    torch.OutOfMemoryError
        If the GPU has no room for what lies between arguments and results.
    """
    blocks = max(FEWEST_BLOCKS, -(-first.shape[-1] // THREADS))
    # The context, too, is the one that torch has on this GPU.
    with cuda.gpus[first.get_device()]:
        stream = cuda.external_stream(torch.cuda.current_stream(first.device).cuda_stream)
        arguments = (first, *others)
        given = [cuda.as_cuda_array(a) if isinstance(a, Tensor) else a for a in arguments]
        try:
            getattr(kernels, name)[blocks, THREADS, stream](*given)
        except Exception as error:
            if "OUT_OF_MEMORY" in str(error):
                raise torch.OutOfMemoryError(f"no room to run the kernel {name!r}") from error
            raise


def probe() -> None:
    """Compile a small kernel and run it.

    Raises
    ------
    ImportError
        If that fails: without a driver or the compiler for GPUs, or if they do not fit.
    """
    try:
        marks = torch.zeros((1, 1), device="cuda")
        launch("mark", marks)
        done = bool(marks.all())
    except Exception as error:  # each layer of CUDA has its own
        raise ImportError(f"no kernel runs on this GPU: {error}") from error
    if not done:
        raise ImportError("no kernel runs on this GPU: one wrote nothing")
