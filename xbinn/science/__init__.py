"""What scientists do with the model: fit it to profiles, score it, compare it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from xbinn.science.agreement import compare

__all__ = ["compare"]

_EXPERIMENTS: Final = (
    "agreement",
    "calibration",
    "costs",
    "crossvalidation",
    "functions",
    "identifiability",
    "information",
    "proda",
    "recovery",
    "semivariogram",
    "sensitivity",
    "skill",
    "synthetic",
    "synthetic_data",
)


def __getattr__(name: str) -> Any:
    # Not imported above: what asks for one of the experiments shall not load them all.
    if name in __all__:
        return getattr(import_module("xbinn.science.agreement"), name)
    if name in _EXPERIMENTS:
        return import_module(f"xbinn.science.{name}")
    raise AttributeError(f"module 'xbinn.science' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_EXPERIMENTS, *(name for name in globals() if name[:2] == "__")})
