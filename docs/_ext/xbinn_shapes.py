"""Shapes such as (month, depth, *space) in docstrings, which RST would take for emphasis."""

import re
from typing import Any

from sphinx.application import Sphinx

_STARRED = re.compile(r"(?<![\w`*\\])\*(?=[a-z])")


def escape_shapes(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Escape the stars of shapes, in place."""
    lines[:] = [_STARRED.sub(r"\\*", line) for line in lines]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hook, before numpydoc's own."""
    app.connect("autodoc-process-docstring", escape_shapes, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
