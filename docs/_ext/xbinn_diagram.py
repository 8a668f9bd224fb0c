"""The directive ``{pool-diagram}``: the pools and the flows between them, from the tables."""

from html import escape
from typing import Any, Final

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from xbinn.constants import INPUT_POOLS, POOL_LONG_NAMES, POOLS
from xbinn.parameters import TRANSFERS

_PLACES: Final = {
    "L1": (90, 110), "L2": (270, 110), "L3": (450, 110), "CWD": (650, 110),
    "S1": (180, 270), "S2": (450, 270), "S3": (650, 270),
}  # fmt: skip
"""Middle of each box (px)."""
_WIDTH, _HEIGHT = 136, 46
_SIZE: Final = (740, 412)
_CWD: Final = (("fcwdl2", "CWD", "L2"), ("1 − fcwdl2", "CWD", "L3"))
_CURVES: Final = {
    ("CWD", "L2"): ("M 620 85 C 580 20, 330 20, 285 85", (500, 28)),
    ("S1", "S3"): ("M 190 293 C 260 375, 590 375, 645 295", (420, 350)),
    ("S3", "S1"): ("M 670 293 C 620 420, 200 420, 165 295", (420, 404)),
}
"""Flows that have to go around others: path, and the place of the name."""
_ASIDE: Final = 9
"""Two flows between the same pools stand so far to either side (px)."""
_STYLE: Final = (
    ".xbinn-pools{max-width:100%;height:auto;color:inherit;font:13px sans-serif}"
    ".xbinn-pools rect{fill:none;stroke:currentColor;stroke-width:1.4}"
    ".xbinn-pools path{fill:none;stroke:currentColor;stroke-width:1.2}"
    ".xbinn-pools text{fill:currentColor;text-anchor:middle}"
    ".xbinn-pools .small{font-size:11px}"
    ".xbinn-pools .input{stroke:#0072B2}"
    ".xbinn-pools .soil{stroke-width:2.4}"
)


def diagram() -> str:
    """Draw the cascade as SVG in the colours of the page."""
    flows = [*_CWD, *TRANSFERS]
    pairs = {(donor, receiver) for _, donor, receiver in flows}
    parts = [_box(pool, long) for pool, long in zip(POOLS, POOL_LONG_NAMES, strict=True)]
    for name, donor, receiver in flows:
        path, (x, y) = _CURVES.get((donor, receiver)) or _straight(donor, receiver, pairs)
        parts.append(f'<path d="{path}" marker-end="url(#xbinn-tip)"/>')
        parts.append(f'<text class="small" x="{x}" y="{y}">{escape(name)}</text>')
    for pool in INPUT_POOLS:
        x, y = _PLACES[pool]
        # Beside the flow that enters or leaves above.
        x, top = x + (45 if pool == "CWD" else -45), y - _HEIGHT / 2
        parts.append(
            f'<path class="input" d="M {x} {top - 20} V {top - 2}" marker-end="url(#xbinn-tip)"/>'
        )
        parts.append(f'<text class="small" x="{x}" y="{top - 24}">input</text>')
    width, height = _SIZE
    return (
        f'<svg class="xbinn-pools" role="img" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">'
        "<title>Pools of the soil carbon model and the transfers between them</title>"
        f"<style>{_STYLE}</style>"
        '<defs><marker id="xbinn-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8" style="fill:currentColor"/>'
        f"</marker></defs>{''.join(parts)}</svg>"
    )


def _box(pool: str, long_name: str) -> str:
    x, y = _PLACES[pool]
    kind = "" if pool in INPUT_POOLS else ' class="soil"'
    short = long_name.replace("organic carbon", "carbon")
    return (
        f'<rect{kind} x="{x - _WIDTH / 2}" y="{y - _HEIGHT / 2}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" rx="6"/><text x="{x}" y="{y - 3}">{escape(pool)}</text>'
        f'<text class="small" x="{x}" y="{y + 13}">{escape(short)}</text>'
    )


def _straight(
    donor: str, receiver: str, pairs: set[tuple[str, str]]
) -> tuple[str, tuple[float, float]]:
    """Path from box to box, and the place of its name."""
    (x0, y0), (x1, y1) = _PLACES[donor], _PLACES[receiver]
    if y0 == y1:
        side = 1 if x1 > x0 else -1
        shift = -side * _ASIDE if (receiver, donor) in pairs else 0
        y = y0 + shift
        start, end = x0 + side * _WIDTH / 2, x1 - side * (_WIDTH / 2 + 2)
        return f"M {start} {y} H {end}", ((start + end) / 2, y - 5 if shift <= 0 else y + 14)
    start, end = y0 + _HEIGHT / 2, y1 - _HEIGHT / 2 - 2
    right = 26 if x1 >= x0 else -26
    return f"M {x0} {start} L {x1 - right} {end}", ((x0 + x1 - right) / 2 + 24, (start + end) / 2)


class PoolDiagram(SphinxDirective):
    """Pools and transfers."""

    def run(self) -> list[nodes.Node]:
        """Return the drawing, for pages in HTML."""
        return [nodes.raw("", f'<div class="xbinn-diagram">{diagram()}</div>', format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("pool-diagram", PoolDiagram)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
