"""Directives that write the tables of parameters and variables from the tables in the code.

``{parameter-table}`` takes no argument, ``{variable-table}`` the roles to show, ``{status-table}``
and ``{column-table}`` none.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from xbinn import constants
from xbinn.parameters import PARAMETERS, PRIORS
from xbinn.variables import VARIABLES, Status, Variable


def number(value: float | None) -> str:
    """Write a number as the table in the code does, or a dash."""
    return "–" if value is None else f"{value:g}"


def interval(low: float | None, high: float | None) -> str:
    """Write bounds, an open side as a dash."""
    if low is None and high is None:
        return "–"
    return f"{number(low)} to {number(high)}" if high is not None else f"{number(low)} or more"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], codes: int = 1) -> nodes.table:
    """Make a table whose first `codes` columns are set as code."""
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]

    def row(cells: Sequence[str], as_code: int) -> nodes.row:
        line = nodes.row()
        for i, text in enumerate(cells):
            content = nodes.literal(text, text) if i < as_code else nodes.Text(text)
            line += nodes.entry("", nodes.paragraph("", "", content))
        return line

    group += nodes.thead("", row(header, 0))
    group += nodes.tbody("", *(row(cells, codes) for cells in rows))
    return nodes.table("", group)


def dimensions(v: Variable) -> str:
    """Write the dimensions besides space, the optional ones in brackets."""
    names = [*v.dims, *(f"[{name}]" for name in v.optional_dims)]
    return ", ".join(names) or "–"


class ParameterTable(SphinxDirective):
    """All parameters in table order."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        header = ["name", "meaning", "unit", *(f"prior {p}" for p in PRIORS), "CLM5", "process"]
        rows = [
            [
                p.name,
                p.long_name,
                p.units,
                *(interval(*p.priors[prior]) for prior in PRIORS),
                "sand rule" if p.clm5_default is None else number(p.clm5_default),
                p.group,
            ]
            for p in PARAMETERS
        ]
        return [table(header, rows)]


class VariableTable(SphinxDirective):
    """The variables of the roles named in the argument."""

    required_arguments = 1
    optional_arguments = 9
    header: ClassVar = ["name", "meaning", "unit", "dimensions", "range", "CF name", "remark"]

    def run(self) -> list[nodes.Node]:
        """Return the table, without the columns that would be empty."""
        chosen = [v for v in VARIABLES if v.role in self.arguments]
        if not chosen:
            raise self.error(f"no variable has a role in {self.arguments}")
        rows = [
            [
                v.name,
                v.long_name + (f" ({v.symbol})" if v.symbol else ""),
                v.units,
                dimensions(v),
                interval(*v.valid_range),
                v.standard_name or "–",
                v.comment or "–",
            ]
            for v in chosen
        ]
        keep = [i for i in range(len(self.header)) if any(row[i] != "–" for row in rows)]
        return [table([self.header[i] for i in keep], [[row[i] for i in keep] for row in rows])]


class StatusTable(SphinxDirective):
    """The values of the status flag."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        return [table(["value", "meaning"], [[str(int(s)), s.name.lower()] for s in Status], 2)]


class ColumnTable(SphinxDirective):
    """The layers of the soil column."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        depths = zip(
            constants.LAYER_THICKNESS,
            constants.NODE_DEPTH,
            constants.INTERFACE_DEPTH,
            strict=True,
        )
        rows = [
            [str(j), *(f"{value:.2f}" for value in values)]
            for j, values in enumerate(depths, start=1)
            if j <= constants.N_LAYERS
        ]
        return [table(["layer", "thickness (m)", "node depth (m)", "bottom (m)"], rows, 0)]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("parameter-table", ParameterTable)
    app.add_directive("variable-table", VariableTable)
    app.add_directive("status-table", StatusTable)
    app.add_directive("column-table", ColumnTable)
    # The tables change with the code, which Sphinx does not watch: read every page again.
    app.connect("env-get-outdated", lambda _app, env, *_: list(env.found_docs))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
