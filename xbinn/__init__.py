"""Biogeochemistry-informed neural networks for soil carbon, as an xarray extension.

Importing xbinn registers ``Dataset.binn`` and nothing else: torch, dask, pint and rioxarray are
loaded when first needed.
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

from xbinn import accessor as _accessor  # registers Dataset.binn

if TYPE_CHECKING:
    from xbinn import datasets, forcing, profiles, rasters, testing
    from xbinn import plotting as plotting  # not in __all__: it needs matplotlib
    from xbinn import report as report
    from xbinn import science as science
    from xbinn.api import (
        default_parameters,
        fit,
        from_unit_interval,
        score,
        simulate,
        stock,
        to_unit_interval,
    )
    from xbinn.evaluation import applicability, cross_validate
    from xbinn.inspection import check
    from xbinn.labels.position import position_covariates
    from xbinn.labels.rasters.stack import stack_covariates
    from xbinn.labels.totals import totals
    from xbinn.methods import MethodComparison, compare_methods
    from xbinn.model import Model, load
    from xbinn.prediction import predict
    from xbinn.science.cross_validated import CrossValidation
    from xbinn.science.sensitivity import elasticities
    from xbinn.stored import verify
    from xbinn.versions import show_versions

__version__ = _version("xbinn")

_HOMES = {
    **dict.fromkeys(
        (
            "default_parameters",
            "fit",
            "from_unit_interval",
            "score",
            "simulate",
            "stock",
            "to_unit_interval",
        ),
        "xbinn.api",
    ),
    "CrossValidation": "xbinn.science.cross_validated",
    "applicability": "xbinn.evaluation",
    "check": "xbinn.inspection",
    "compare_methods": "xbinn.methods",
    "MethodComparison": "xbinn.methods",
    "cross_validate": "xbinn.evaluation",
    "elasticities": "xbinn.science.sensitivity",
    "position_covariates": "xbinn.labels.position",
    "predict": "xbinn.prediction",
    "stack_covariates": "xbinn.labels.rasters.stack",
    "totals": "xbinn.labels.totals",
    "show_versions": "xbinn.versions",
    "Model": "xbinn.model",
    "load": "xbinn.model",
    "verify": "xbinn.stored",
}
_MODULES = {
    "datasets": "xbinn.datasets",
    "forcing": "xbinn.forcing",
    "plotting": "xbinn.plotting",
    "profiles": "xbinn.profiles",
    "rasters": "xbinn.rasters",
    "report": "xbinn.report",
    "science": "xbinn.science",
    "testing": "xbinn.testing",
}

__all__ = [
    "CrossValidation",
    "MethodComparison",
    "Model",
    "applicability",
    "check",
    "compare_methods",
    "cross_validate",
    "datasets",
    "default_parameters",
    "elasticities",
    "fit",
    "forcing",
    "from_unit_interval",
    "load",
    "position_covariates",
    "predict",
    "profiles",
    "rasters",
    "score",
    "show_versions",
    "simulate",
    "stack_covariates",
    "stock",
    "testing",
    "to_unit_interval",
    "totals",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value: Any = getattr(_import_module(_HOMES[name]), name)
    elif name in _MODULES:
        value = _import_module(_MODULES[name])
    else:
        raise AttributeError(f"module 'xbinn' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, *(name for name in globals() if name[:2] == "__")})


del _accessor
