"""Figures that stand alone: units, labels and a caption on each. Needs matplotlib.

Imported by those who draw, never by xbinn itself.
"""

try:
    import matplotlib as _matplotlib
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        'xbinn.plotting draws with matplotlib, which is not installed: pip install "xbinn[plot]"'
    ) from _error

from xbinn.plotting.agreement import plot_agreement
from xbinn.plotting.calibration import plot_calibration
from xbinn.plotting.captions import add_caption
from xbinn.plotting.comparison import plot_comparison
from xbinn.plotting.depths import plot_profiles
from xbinn.plotting.elasticities import plot_elasticities
from xbinn.plotting.functions import plot_functions
from xbinn.plotting.maps import plot_map, plot_processes
from xbinn.plotting.methods import plot_class_agreement, plot_nearness
from xbinn.plotting.posteriors import plot_posteriors
from xbinn.plotting.recovery import (
    plot_loadings,
    plot_recovered_processes,
    plot_recovery,
    plot_spectrum,
)
from xbinn.plotting.recovery_errors import plot_recovery_errors
from xbinn.plotting.semivariogram import plot_semivariogram
from xbinn.plotting.training import plot_training
from xbinn.plotting.uncertainty import plot_uncertainty

__all__ = [
    "add_caption",
    "plot_agreement",
    "plot_calibration",
    "plot_class_agreement",
    "plot_comparison",
    "plot_elasticities",
    "plot_functions",
    "plot_loadings",
    "plot_map",
    "plot_nearness",
    "plot_posteriors",
    "plot_processes",
    "plot_profiles",
    "plot_recovered_processes",
    "plot_recovery",
    "plot_recovery_errors",
    "plot_semivariogram",
    "plot_spectrum",
    "plot_training",
    "plot_uncertainty",
]

del _matplotlib
