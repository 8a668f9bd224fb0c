"""Profiles of soil organic carbon: from tables and databases, checked, at standard depths."""

from xbinn.labels.profiles import DEFAULT_COLUMNS, from_dataframe
from xbinn.labels.soil.bulk_density import PEDOTRANSFERS, Pedotransfer
from xbinn.labels.soil.layouts import LAYOUTS, Layout
from xbinn.labels.soil.reading import read_kssl, read_raca, read_sodah, read_wosis
from xbinn.labels.soil.report import profile_report as report
from xbinn.labels.soil.rules import RULES, Rule
from xbinn.labels.soil.standard_depths import STANDARD_DEPTHS, to_standard_depths
from xbinn.labels.soil.tables import from_table, read_csv

__all__ = [
    "DEFAULT_COLUMNS",
    "LAYOUTS",
    "PEDOTRANSFERS",
    "RULES",
    "STANDARD_DEPTHS",
    "Layout",
    "Pedotransfer",
    "Rule",
    "from_dataframe",
    "from_table",
    "read_csv",
    "read_kssl",
    "read_raca",
    "read_sodah",
    "read_wosis",
    "report",
    "to_standard_depths",
]
