"""What scientists do with the model: fit it to profiles, score it, compare it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xbinn.science.agreement import compare

__all__ = ["compare"]


def __getattr__(name: str) -> Any:
    # Not imported above: what asks for one of the experiments shall not load them all.
    if name in __all__:
        return getattr(import_module("xbinn.science.agreement"), name)
    raise AttributeError(f"module 'xbinn.science' has no attribute {name!r}")
