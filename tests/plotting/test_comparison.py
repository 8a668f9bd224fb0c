"""Panels of one map against another say what they show, with scores and units."""

import matplotlib.pyplot as plt
import pytest
import xarray as xr

from xbinn.errors import InputError
from xbinn.plotting import plot_comparison
from xbinn.science.agreement import COMPARED_PROCESSES, compare


@pytest.fixture(scope="module")
def pair(maps) -> tuple[xr.Dataset, xr.Dataset]:
    return maps[:2]


@pytest.fixture(autouse=True)
def closed():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.mark.filterwarnings("error:constrained_layout not applied")
def test_each_process_has_a_panel_with_its_correlation(pair):
    figure = plot_comparison(*pair, title="Idealised", caption="Idealised continent")
    figure.canvas.draw()
    titles = [ax.get_title() for ax in figure.axes[: len(COMPARED_PROCESSES)]]
    found = compare(*pair)["correlation"]
    for name, title in zip(COMPARED_PROCESSES, titles, strict=True):
        assert name.replace("_", " ") in " ".join(title.split())
        assert f"r = {float(found.sel(quantity=name)):.2f}" in title
    assert "(yr⁻¹)" in titles[1]
    caption = " ".join(figure.get_supxlabel().split())
    assert caption.endswith("Idealised continent.")
    assert "1:1" in caption
    assert figure.get_suptitle() == "Idealised"


def test_a_figure_may_be_given(pair):
    slide = plt.figure(figsize=(13, 7), layout="constrained")
    assert plot_comparison(*pair, quantities=["q10"], figure=slide) is slide
    assert slide.axes[0].get_title().startswith("q10")


def test_parameters_can_be_drawn(pair):
    figure = plot_comparison(*pair, quantities=["q10", "efolding"])
    assert [ax.get_title().split()[0] for ax in figure.axes[:2]] == ["q10", "efolding"]


@pytest.mark.parametrize("quantities", [["carbon"], [], "q10"])
def test_what_is_not_compared_is_not_drawn(pair, quantities):
    with pytest.raises(InputError, match="cannot be drawn: give a sequence of one or more of"):
        plot_comparison(*pair, quantities=quantities)
