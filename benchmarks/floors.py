"""The least time that a computation can take here: its numbers moved, its operations done.

Ceilings are measured: the speed at which a large array is copied, and at which large matrices are
multiplied. Operations are counted while torch computes.
"""

from collections.abc import Callable
from typing import Any, Final

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.common import clock_of_threads, seconds, way

COPIED: Final = 64 * 2**20
"""Numbers of the array that is copied: more than any cache holds."""
MULTIPLIED: Final = 2048
"""Rows of the matrices that are multiplied."""
_TRIALS: Final = 5
_PRODUCTS: Final = {"mm": (0, 1), "addmm": (1, 2), "bmm": (0, 1)}
"""Which arguments of a matrix product are its factors."""
_COPIES: Final = {"clone", "copy_", "_to_copy", "fill_", "zero_"}
"""Element-wise without arithmetic."""
_SUMS: Final = {"sum", "mean", "prod", "cumsum", "var_mean", "native_batch_norm"}


def fastest(run: Callable[[], object], clock: Callable[[], float]) -> float:
    """Least seconds of several calls, after one that does not count."""
    run()
    return min(seconds(run, clock) for _ in range(_TRIALS))


def copied_bytes_per_us(size: int = COPIED) -> float:
    """Bytes that are read or written in a microsecond while a large array is copied."""
    source = torch.zeros(size, dtype=torch.float32)
    target = torch.empty_like(source)
    return 2e-6 * source.nbytes / fastest(lambda: target.copy_(source), clock_of_threads())


def multiplied_operations_per_us(size: int = MULTIPLIED) -> float:
    """Additions and multiplications in a microsecond of a product of large matrices, float32."""
    factor = torch.rand(size, size)
    product = torch.empty_like(factor)
    took = fastest(lambda: torch.mm(factor, factor, out=product), clock_of_threads())
    return 2e-6 * size**3 / took


class CountedOperations(TorchDispatchMode):
    """Counts operations of arithmetic while it is entered.

    An operation is one number that an element-wise function writes (an exponential is one, as an
    addition is), that a sum reads, or one addition or multiplication of a matrix product. Copies
    and views are none. Compiled kernels are not seen: count torch alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        """Call, and count."""
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in _PRODUCTS:
            left, right = (args[i] for i in _PRODUCTS[name])
            self.count += 2 * left.numel() * right.shape[-1]
        elif name in _SUMS:
            self.count += args[0].numel()
        elif (
            torch.Tag.pointwise in func.tags
            and name not in _COPIES
            and isinstance(result, torch.Tensor)
        ):
            self.count += result.numel()
        return result


def count_operations(run: Callable[[], object]) -> int:
    """Count the operations of one call of torch alone."""
    with way("eager"), CountedOperations() as counted:
        run()
    return counted.count
