"""One page that shows a model and its maps, to be clicked through, without a network.

Needs bokeh: pip install "xbinn[report]".
"""

from xbinn.report.writing import write_report

__all__ = ["write_report"]
