"""Values in text and in HTML, section by section, as xarray shows its own. Plain Python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from math import isfinite
from typing import Final

_COLOURS: Final = ("#0072B2", "#D55E00")
"""Lines of a chart; safe for colour-blind readers, and dashed from the second on."""
_WIDTH, _HEIGHT, _MARGIN = 240, 60, 3
"""Of a chart (px)."""
_STYLE: Final = """
.xbinn-repr {font-size: 0.92em; line-height: 1.5; max-width: 44em}
.xbinn-repr .head {border-bottom: 1px solid rgba(128,128,128,.5);
  padding: 4px 0; margin-bottom: 4px}
.xbinn-repr .head span, .xbinn-repr summary span {opacity: .7}
.xbinn-repr summary {cursor: pointer; font-weight: 600; padding: 2px 0}
.xbinn-repr summary span {font-weight: 400}
.xbinn-repr dl {display: grid; grid-template-columns: fit-content(16em) 1fr;
  gap: 0 1.2em; margin: 0 0 4px 1.1em}
.xbinn-repr dt {font-weight: 400; min-width: 9em}
.xbinn-repr dd {margin: 0; overflow-wrap: anywhere; opacity: .85}
.xbinn-repr figure {margin: 2px 0 4px 1.1em}
.xbinn-repr svg {display: block; max-width: 100%}
.xbinn-repr figcaption {font-size: .85em; opacity: .7; text-align: left}
"""


@dataclass(frozen=True)
class Section:
    """One part of what is shown.

    Attributes
    ----------
    name : str
    note : str
        Said beside the name.
    rows : dict of str to str
    html : str
        Shown below the rows, in HTML only.
    opened : bool
        Whether HTML shows it at first.
    """

    name: str
    rows: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    html: str = ""
    opened: bool = True


def as_text(title: str, note: str, sections: Sequence[Section]) -> str:
    """Show in text.

    Examples
    --------
    >>> print(as_text("xbinn.Thing", "small", [Section("Parts", {"first": "1", "b": "2"})]))
    <xbinn.Thing> small
    Parts:
        first    1
        b        2
    """
    lines = [f"<{title}> {note}".rstrip()]
    for section in sections:
        lines.append(f"{section.name}: {section.note}".rstrip())
        width = max(map(len, section.rows), default=0)
        lines += [f"    {name:<{width}}    {value}" for name, value in section.rows.items()]
    return "\n".join(lines)


def as_html(title: str, note: str, sections: Sequence[Section]) -> str:
    """Show in HTML: sections fold, and colours are those of the page."""
    parts = [
        f"<style>{_STYLE}</style>",
        f'<div class="xbinn-repr"><div class="head">{escape(title)} ',
        f"<span>{escape(note)}</span></div>",
    ]
    for section in sections:
        rows = "".join(
            f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
            for name, value in section.rows.items()
        )
        parts.append(
            f"<details{' open' if section.opened else ''}>"
            f"<summary>{escape(section.name)} <span>{escape(section.note)}</span></summary>"
            f"<dl>{rows}</dl>{section.html}</details>"
        )
    return "".join([*parts, "</div>"])


def chart(lines: Mapping[str, Sequence[float]], description: str) -> str:
    """Draw lines over their index, small, as SVG; empty where there are fewer than two points.

    Parameters
    ----------
    lines : dict of str to sequence of float
        At most two, on one scale; values that are not finite are left out.
    description : str
        Written below it, and read out to those who cannot see it.
    """
    points = {name: [(i, v) for i, v in enumerate(vs) if isfinite(v)] for name, vs in lines.items()}
    values = [v for line in points.values() for _, v in line]
    longest = max((line[-1][0] for line in points.values() if line), default=0)
    if not longest:
        return ""
    low, span = min(values), max(values) - min(values) or 1.0
    drawn = []
    for number, (name, line) in enumerate(points.items()):
        places = " ".join(
            f"{_MARGIN + (_WIDTH - 2 * _MARGIN) * i / longest:.1f},"
            f"{_HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * (v - low) / span:.1f}"
            for i, v in line
        )
        dashes = ' stroke-dasharray="5 3"' if number else ""
        drawn.append(
            f'<polyline points="{places}" fill="none" stroke="{_COLOURS[number % len(_COLOURS)]}" '
            f'stroke-width="1.6"{dashes}><title>{escape(name)}</title></polyline>'
        )
    # Read out once: of the picture.
    return (
        f'<figure><svg role="img" aria-label="{escape(description)}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        f"{''.join(drawn)}</svg>"
        f'<figcaption aria-hidden="true">{escape(description)}</figcaption></figure>'
    )
