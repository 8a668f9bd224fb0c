"""Profiles of soil organic carbon from tables."""

from xbinn.labels.profiles import DEFAULT_COLUMNS, from_dataframe

__all__ = ["DEFAULT_COLUMNS", "from_dataframe"]
