import importlib
import sys

import matplotlib as mpl
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt

import xbinn.plotting
from xbinn.errors import InputError
from xbinn.plotting.captions import (
    add_caption,
    label_of,
    pretty_units,
    sentences,
    shortened,
    style,
    wrap,
)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.mark.parametrize(
    ("units", "printed"),
    [
        ("kg m-2", "kg m⁻²"),
        ("kg m**-3", "kg m⁻³"),
        ("kg m^-3", "kg m⁻³"),
        ("gC m-2 yr-1", "gC m⁻² yr⁻¹"),
        ("m3 m-3", "m³ m⁻³"),
        ("0.1 g kg-1", "0.1 g kg⁻¹"),
        ("1", "dimensionless"),
        ("", "dimensionless"),
        ("degC", "°C"),
        ("percent", "%"),
        ("yr", "yr"),
    ],
)
def test_units_are_printed(units: str, printed: str) -> None:
    assert pretty_units(units) == printed


def test_label_has_name_and_units() -> None:
    assert label_of("x", {"long_name": "soil temperature", "units": "K"}) == "soil temperature (K)"
    assert label_of("residence_time", {"units": "yr"}) == "residence time (yr)"
    with pytest.raises(InputError, match=r"'x' has no units.*da\.attrs\[\"units\"\]"):
        label_of("x", {})


def test_lines_are_broken_but_units_are_not() -> None:
    text = "total annual plant carbon input (kg m⁻² yr⁻¹)"
    lines = wrap(text, 1.0, 8).split("\n")
    assert len(lines) > 2
    assert lines[-1].endswith("(kg m⁻² yr⁻¹)")
    assert " ".join(lines) == text
    assert wrap("first\nsecond", 9.0, 8) == "first\nsecond"


@pytest.mark.parametrize("dpi", [72, 80, 100, 150, 300])
def test_caption_lies_inside_the_figure_and_below_the_axes(dpi: int) -> None:
    figure, ax = plt.subplots(figsize=(4, 3), layout="constrained")
    ax.set_xlabel("time (s)")
    add_caption(figure, "What is drawn, in which units, from which data. " * 5)
    figure.set_dpi(dpi)  # letters are hinted to the dots of the file that is written
    figure.canvas.draw()
    caption = figure._supxlabel
    assert caption.get_text().count("\n") >= 3
    assert figure.get_figheight() > 3
    box = caption.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= ax.xaxis.label.get_window_extent().y0


def test_sentences_and_digests() -> None:
    assert sentences(("One", None, "", "Two.")) == "One. Two."
    assert shortened(f"model sha256 {'0123456789ab' + 'f' * 52}") == "model sha256 0123456789ab"


def test_missing_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "xbinn\[plot\]"'):
        importlib.reload(xbinn.plotting)


def test_letters_are_put_back_and_nothing_else():
    """A backend turns on interaction with the first figure; it must stay on."""
    with mpl.rc_context({"font.size": 31.0, "interactive": False}):
        with style(small=True):
            assert mpl.rcParams["font.size"] == 7.0
            mpl.rcParams["interactive"] = True
        assert mpl.rcParams["font.size"] == 31.0
        assert mpl.rcParams["interactive"] is True


def test_letters_are_put_back_after_an_error():
    def draw():
        with style():
            raise RuntimeError

    before = mpl.rcParams["font.size"]
    with pytest.raises(RuntimeError):
        draw()
    assert mpl.rcParams["font.size"] == before
