"""What several panels are drawn on: a figure of its own, or one that the caller gives."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure, SubFigure

from xbinn.errors import InputError
from xbinn.plotting.captions import (
    WIDTH,
    add_caption,
    add_legend,
    new_figure,
    sentences,
    style,
    wrap,
)

_SQUEEZE: Final = 0.1
"""Share of a panel by which they may be narrower than in print."""


@dataclass(frozen=True)
class Sheet:
    """A figure to draw on.

    Sizes that panels reckon with are those of print; ``scale`` is how much larger letters are.
    ``width`` and ``height`` are those of the figure, without a caption, and ``page`` the width that
    its panels are made for [inch].
    """

    figure: Figure | SubFigure
    scale: float
    own: bool
    width: float
    height: float
    page: float

    @property
    def root(self) -> Figure:
        """The whole figure."""
        return self.figure if isinstance(self.figure, Figure) else self.figure.get_figure(root=True)

    def columns(self, most: int) -> int:
        """Give the number of panels that stand side by side: fewer in a narrow figure."""
        return max(1, min(most, int(most * self.width / self.page + _SQUEEZE)))

    def legend(self, handles: Sequence[Artist], *, columns: int) -> None:
        """Put a legend above the panels of a figure of its own, else below them."""
        if isinstance(self.figure, Figure) and self.own:
            add_legend(self.figure, handles, columns=columns)
            return
        self.figure.legend(
            handles=list(handles),
            ncols=self.columns(columns),
            loc="outside lower center",
            frameon=False,
        )

    def describe(self, parts: Iterable[str | None]) -> None:
        """Put the caption below a figure of its own."""
        if isinstance(self.figure, Figure) and self.own:
            add_caption(self.figure, sentences(parts))


@contextmanager
def sheet(
    given: Figure | SubFigure | None,
    height: float,
    heading: str | None,
    caption: str | None,
    *,
    width: float = WIDTH,
    small: bool = True,
) -> Iterator[Sheet]:
    """Open a figure, or take the one that was given; letters are set for as long as it is drawn on.

    In a figure that is given letters and lines grow with its size, so that on a slide it looks as
    in print, and do not shrink below those of print: in a narrow one fewer panels stand side by
    side. It has no caption.

    Parameters
    ----------
    given : Figure or SubFigure, optional
        Empty, with constrained layout.
    height : float
        In print [inch].
    heading : str, optional
        Title of the figure.
    caption : str, optional
        That was asked for.
    width : float
        In print [inch].
    small : bool
        Letters of figures with many panels.

    Raises
    ------
    InputError
        If a caption is asked for in a figure that is given.
    """
    if given is None:
        with style(small=small):
            yield Sheet(new_figure(height, heading, width=width), 1.0, True, width, height, width)
        return
    if caption is not None:
        raise InputError(
            "a caption belongs to a whole figure and the one given may hold more: leave caption "
            "out and call xbinn.plotting.add_caption(figure, text)"
        )
    wide, high = given.bbox.width / given.dpi / width, given.bbox.height / given.dpi / height
    # Of a figure that is lower than in print letters take no more room than its panels.
    scale = max(1.0, min(wide, math.sqrt(wide * high)))
    with style(small=small, scale=scale):
        if heading:
            size = plt.rcParams["figure.titlesize"] / scale
            given.suptitle(wrap(heading, 0.95 * wide * width / scale, size))
        yield Sheet(given, scale, False, wide * width / scale, high * height / scale, page=width)
    _thicken(given, scale)


def _thicken(figure: Figure | SubFigure, scale: float) -> None:
    """Let lines and marks grow as letters do."""
    # Their types do not know all that they have.
    owners: list[Any] = [*figure.axes, *figure.legends]
    owners += [legend for ax in figure.axes if (legend := ax.get_legend())]
    for line in (line for owner in owners for line in owner.get_lines()):
        line.set_linewidth(scale * line.get_linewidth())
        line.set_markersize(scale * line.get_markersize())
    collections: list[Any] = [drawn for ax in figure.axes for drawn in ax.collections]
    for drawn in collections:
        if isinstance(drawn, LineCollection):
            drawn.set_linewidth((scale * np.asarray(drawn.get_linewidth())).tolist())
        elif isinstance(drawn, PathCollection):
            drawn.set_sizes(scale**2 * np.asarray(drawn.get_sizes()))
