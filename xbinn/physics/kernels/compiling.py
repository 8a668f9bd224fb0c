"""How kernels are compiled, once, and kept on disk for the next process."""

import logging
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import numba
from numba.core.caching import FunctionCache
from numba.core.sigutils import normalize_signature

from xbinn import constants, parameters

if numba.config.DISABLE_JIT:
    raise ImportError("NUMBA_DISABLE_JIT is set: numba compiles nothing")

_LOG: Final = logging.getLogger(__name__)

inlined = numba.njit(nogil=True, error_model="numpy")
"""Decorator of the parts that kernels are made of."""

merged = numba.njit(nogil=True, error_model="numpy", inline="always")
"""Decorator of what is all of a kernel but its loop: a call would cost it a few per cent."""


@cache
def _sources() -> str:
    """Digest of all that kernels are compiled from."""
    tables = [Path(str(module.__file__)) for module in (constants, parameters)]
    files = [*tables, *sorted(Path(__file__).parent.glob("*.py"))]
    return sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


class _KernelCache(FunctionCache):
    """numba's cache on disk, made to notice what it does not look for.

    It takes a function for unchanged while its own file is, and two processes that compile at
    the same time may each put down the other's code. A file that cannot be read or written costs
    time, nothing else.
    """

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), _sources())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            found = super().load_overload(sig, target_context)
        except (EOFError, UnpicklingError) as error:
            _LOG.info("compiled kernels could not be read, and are made again: %s", error)
            self.flush()
            return None
        except OSError as error:
            _LOG.info("a compiled kernel could not be read: %s", error)
            return None
        wanted, _ = normalize_signature(sig)
        return found if found is not None and found.signature.args == wanted else None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _LOG.info("a compiled kernel could not be kept: %s", error)


def kernel(function: Callable[..., object]) -> Any:
    """Compile when first called, without the interpreter's lock, and keep the result on disk.

    The result lies beside the source or, where that cannot be written, in the user's cache.
    """
    compiled = inlined(function)
    try:
        compiled._cache = _KernelCache(function)
    except RuntimeError as error:
        _LOG.info("kernels are compiled anew in each process: %s", error)
    return compiled
