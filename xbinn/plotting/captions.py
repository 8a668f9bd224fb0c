"""What is written on figures: units, labels, titles and the caption below."""

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import matplotlib.pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from matplotlib.transforms import ScaledTranslation

from xbinn.errors import InputError

WIDTH: Final = 7.2
"""Width of a figure that fills a printed page (inch)."""

_LETTERS: Final = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "figure.titlesize": 10,
    "legend.fontsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
}
_SMALL_LETTERS: Final = _LETTERS | {
    "font.size": 7.0,
    "axes.titlesize": 8,
    "axes.labelsize": 7.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
}
"""Of figures with many panels."""
_CAPTION_SIZE: Final = 8.0
_LINE_SPACING: Final = 1.3
_MARGIN: Final = 0.1
_HINTING: Final = 0.92
"""Share of its room that a caption may fill: hinted letters run wider where dots are few."""
_POINTS_PER_INCH: Final = 72.0
_SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_EXPONENT: Final = re.compile(r"(?<=[A-Za-zµ])(?:\*\*|\^)?([-+]?\d+)\b")
_TIED: Final = re.compile(r" (?=[^ ]*[⁻²³⁴⁵⁶⁷⁸⁹])")
"""A space inside a unit: one before a power."""
_SPELLINGS: Final = {
    "": "dimensionless",
    "1": "dimensionless",
    "unitless": "dimensionless",
    "percent": "%",
    "degC": "°C",
    "celsius": "°C",
    "degree": "°",
    "degrees": "°",
}
_DIGEST: Final = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


@contextmanager
def style(*, small: bool = False, scale: float = 1.0) -> Iterator[None]:
    """Set the letters for as long as a figure is drawn; the caller's settings are left alone."""
    # Not plt.rc_context: that would also undo what the backend of a notebook sets up when its first
    # figure is opened, and no later figure would be shown.
    sizes = _SMALL_LETTERS if small else _LETTERS
    settings: Any = {name: scale * size for name, size in sizes.items()}  # it wants literal keys
    before: Any = {name: plt.rcParams[name] for name in settings}
    plt.rcParams.update(settings)
    try:
        yield
    finally:
        plt.rcParams.update(before)


def pretty_units(units: str) -> str:
    """Write a unit as print does.

    Examples
    --------
    >>> pretty_units("kg m-2"), pretty_units("m**3/m**3"), pretty_units("1")
    ('kg m⁻²', 'm³/m³', 'dimensionless')
    """
    units = _SPELLINGS.get(units.strip(), units.strip())
    return _EXPONENT.sub(lambda m: m[1].lstrip("+").translate(_SUPERSCRIPTS), units)


def label_of(name: Hashable | None, attrs: Mapping[Any, Any]) -> str:
    """Label a variable: long name and units, "soil temperature (K)".

    Raises
    ------
    InputError
        If there are no units: a figure without them cannot be read.
    """
    if "units" not in attrs:
        raise InputError(
            f"{name!r} has no units, so its figure could not be read: set "
            'da.attrs["units"], "1" where there are none'
        )
    text = attrs.get("long_name") or str(name or "value").replace("_", " ")
    return f"{text} ({pretty_units(str(attrs['units']))})"


def shortened(source: str) -> str:
    """Cut sha256 digests to the 12 digits that print bears."""
    return _DIGEST.sub(r"\1", source)


def wrap(text: str, width: float, size: float) -> str:
    """Break lines so that they fit.

    Parameters
    ----------
    text : str
        Words; line breaks in it are kept, and units are not broken.
    width : float
        Room [inch].
    size : float
        Of the letters [point].
    """
    font, room = FontProperties(size=size), width * _POINTS_PER_INCH
    measure = TextToPath().get_text_width_height_descent
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in _TIED.sub("\u00a0", paragraph).split(" "):
            longer = f"{line} {word}".lstrip()
            if line and measure(longer, font, ismath=False)[0] > room:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return "\n".join(lines).replace("\u00a0", " ")


def new_figure(height: float, title: str | None, *, width: float = WIDTH) -> Figure:
    """Open a figure [inch] with a title, laid out so that nothing overlaps."""
    figure = plt.figure(figsize=(width, height), layout="constrained")
    if title:
        wrapped = wrap(title, 0.95 * width, plt.rcParams["figure.titlesize"])
        figure.suptitle(wrapped)
        _grow(figure, wrapped.count("\n"), plt.rcParams["figure.titlesize"])
    return figure


def add_caption(figure: Figure, text: str) -> None:
    """Put a caption below everything else, which keeps its size: the figure grows.

    Parameters
    ----------
    figure : Figure
        With constrained layout, else the caption may cover what is there.
    text : str
        Wrapped to the width of the figure.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> figure, ax = plt.subplots(layout="constrained")
    >>> add_caption(figure, "Figure 1. Nothing, dimensionless.")
    >>> plt.close(figure)
    """
    width = figure.get_figwidth()
    wrapped = wrap(text, _HINTING * (width - 2 * _MARGIN), _CAPTION_SIZE)
    figure.supxlabel(
        wrapped,
        x=_MARGIN / width,
        ha="left",
        fontsize=_CAPTION_SIZE,
        linespacing=_LINE_SPACING,
    )
    _grow(figure, wrapped.count("\n") + 1, _CAPTION_SIZE)


def add_legend(figure: Figure, handles: Sequence[Artist], *, columns: int) -> None:
    """Put a legend between the title and what is below it, which keeps its size."""
    size = float(plt.rcParams["legend.fontsize"])
    title = figure.get_suptitle()
    lines = title.count("\n") + 1
    figure.suptitle(f"{title}\n")
    top = lines * float(plt.rcParams["figure.titlesize"]) * _LINE_SPACING / _POINTS_PER_INCH
    below = ScaledTranslation(0.0, -top, figure.dpi_scale_trans)
    legend = figure.legend(
        handles=list(handles),
        ncols=columns,
        loc="upper center",
        bbox_to_anchor=(0.5, 1.0),
        bbox_transform=figure.transFigure + below,
        frameon=False,
        borderaxespad=0.3,
    )
    legend.set_in_layout(False)
    _grow(figure, 1, size)


def _grow(figure: Figure, lines: int, size: float) -> None:
    more = lines * size * _LINE_SPACING / _POINTS_PER_INCH
    figure.set_figheight(figure.get_figheight() + more)


def sentences(parts: Iterable[str | None]) -> str:
    """Join what is there of a caption, each part ending in a stop."""
    found = (part.strip() for part in parts if part and part.strip())
    return " ".join(part if part[-1] in ".!?" else f"{part}." for part in found)


def refuse_caption(
    ax: Axes | None, caption: str | None, figure: Figure | SubFigure | None = None
) -> None:
    """Raise if ``ax`` comes with a caption, which it cannot hold, or with a figure.

    Raises
    ------
    InputError
        If both are given.
    """
    if ax is not None and figure is not None:
        raise InputError(
            "ax takes one panel and figure takes all of them: give one of the two, and leave the "
            "other out"
        )
    if ax is not None and caption is not None:
        raise InputError(
            "a caption belongs to a whole figure and ax is part of one: leave caption out and call "
            "xbinn.plotting.add_caption(ax.figure, text)"
        )
