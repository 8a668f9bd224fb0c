"""Figures of the recovery experiment say what they show, with units, on a caption."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from xbinn.errors import InputError
from xbinn.plotting import (
    plot_loadings,
    plot_recovered_processes,
    plot_recovery,
    plot_spectrum,
)
from xbinn.science.recovery import SUBSET

ALL, FOUR = "smooth, noise 30 %, 21 unknown", "linear, noise 0 %, 4 unknown"
BY_CASE = (plot_recovery, plot_recovered_processes, plot_loadings)


@pytest.fixture(scope="module")
def found(recovered) -> xr.Dataset:
    return recovered


@pytest.fixture(autouse=True)
def closed():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.mark.parametrize("draw", BY_CASE)
@pytest.mark.parametrize("case", [ALL, FOUR])
@pytest.mark.filterwarnings("error:constrained_layout not applied")
def test_captions_name_the_case_and_the_source(found, draw, case):
    figure = draw(found, case, title="Idealised recovery", caption="Idealised places")
    caption = " ".join(figure.get_supxlabel().split())
    assert case in caption
    assert caption.endswith("Idealised places.")
    assert figure.get_suptitle() == "Idealised recovery"
    figure.canvas.draw()
    assert case in draw(found, case).get_suptitle()


def test_a_figure_may_be_given(found):
    slide = plt.figure(figsize=(13, 7), layout="constrained")
    parts = slide.subfigures(2, 2).ravel()
    for draw, part in zip(BY_CASE, parts, strict=False):
        assert draw(found, FOUR, figure=part) is slide
    assert plot_spectrum(found, figure=parts[3]) is slide
    slide.canvas.draw()
    assert [len(part.axes) for part in parts] == [4, 5, 3, 1]


def test_each_unknown_parameter_has_a_panel_and_its_points(found):
    figure = plot_recovery(found, FOUR)
    titles = [ax.get_title().splitlines()[0] for ax in figure.axes]
    assert [t.split(",")[0] for t in titles] == list(SUBSET)
    one = found.sel(case=FOUR, parameter="tau4s3")
    points = figure.axes[1].lines[0].get_xydata()
    expected = np.stack([one["parameter_true"], one["parameter_estimate"]], axis=1)
    np.testing.assert_allclose(points, expected)
    assert len(plot_recovery(found, ALL).axes) == 21


def test_prior_dominated_parameters_are_grey(found):
    figure = plot_recovery(found, ALL)
    index = found["function_index"].sel(case=ALL)
    grey = [ax.lines[0].get_color() == "0.55" for ax in figure.axes]
    assert grey == list((index < 0.5).values)
    assert 0 < sum(grey) < len(grey)


def test_processes_that_are_known_are_named_not_drawn(found):
    figure = plot_recovered_processes(found, FOUR)
    assert len(figure.axes) == 5
    caption = " ".join(figure.get_supxlabel().split())
    assert "follows from what is known: input allocation, litter transfer fraction" in caption
    titles = [" ".join(ax.get_title().split()) for ax in figure.axes]
    assert any(title.startswith("residence time (yr)") for title in titles)
    assert len(plot_recovered_processes(found, ALL).axes) == 7


def test_the_spectrum_shows_each_case_and_the_prior(found):
    figure = plot_spectrum(found, caption="Idealised places")
    ax = figure.axes[0]
    values = found["eigenvalue"].sel(case=FOUR).dropna("mode")
    np.testing.assert_allclose(ax.lines[1].get_ydata(), values)
    assert ax.lines[2].get_ydata()[0] == 12.0
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[1].startswith(f"{FOUR}: 4.0 pooled")
    assert ax.get_yscale() == "log"


def test_loadings_are_those_of_the_result(found):
    figure = plot_loadings(found, FOUR)
    drawn = figure.axes[0].collections[0].get_array()
    expected = found["loading"].sel(case=FOUR, parameter=list(SUBSET)).isel(mode=slice(4))
    np.testing.assert_allclose(drawn, expected)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == list(SUBSET)


@pytest.mark.parametrize("draw", BY_CASE)
def test_a_case_that_is_not_there_is_refused(found, draw):
    with pytest.raises(InputError, match="case='cubic' is not there: choose one of 'smooth, noise"):
        draw(found, "cubic")
