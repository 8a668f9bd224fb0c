import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

mpl.use("Agg")

import matplotlib.pyplot as plt

import xbinn
from xbinn.errors import InputError
from xbinn.plotting import plot_functions
from xbinn.science.functions import learnt_functions
from xbinn.testing import small_grid, small_profiles


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid((5, 6))


def fitted(grid: xr.Dataset, **settings: object) -> xbinn.Model:
    return xbinn.fit(grid, small_profiles(grid, 60), epochs=2, seed=0, **settings)


@pytest.fixture(scope="module")
def model(spline) -> xbinn.Model:
    return spline


def caption(figure: plt.Figure) -> str:
    return figure._supxlabel.get_text().replace("\n", " ")


def test_a_figure_may_be_given(model):
    slide = plt.figure(figsize=(13, 7), layout="constrained")
    assert plot_functions(model, "q10", figure=slide, most=4) is slide
    assert len(slide.axes) == 4


def test_a_panel_for_each_covariate_the_widest_first(model):
    figure = plot_functions(model, "tau4s3", most=20, caption="Data: made up")
    assert len(figure.axes) == len(model.covariates) == 12
    labels = [ax.get_xlabel().replace("\n", " ") for ax in figure.axes]
    assert "elevation (m)" in labels
    assert "annual mean temperature (°C)" in labels
    assert "land cover (class)" in labels
    assert figure.axes[0].get_ylabel() == "change in tau4s3 (yr)"
    widths = [np.ptp(ax.get_lines()[0].get_ydata()) for ax in figure.axes]
    assert widths == sorted(widths, reverse=True)
    ax = figure.axes[labels.index("elevation (m)")]
    expected = learnt_functions(model)["elevation"].sel(parameter="tau4s3")
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), expected)
    np.testing.assert_array_equal(ax.get_lines()[0].get_xdata(), expected["elevation"])
    assert figure.get_suptitle() == "tau4s3: turnover time of passive soil organic carbon"
    text = caption(figure)
    assert "cut at the ends of the prior binn" in text
    assert "Lines: numeric" in text
    assert "Dots: classes" in text
    assert text.endswith("Data: made up.")


def test_only_so_many(model):
    figure = plot_functions(model, "q10", most=2, title="Idealised")
    assert len(figure.axes) == 2
    assert figure.get_suptitle() == "Idealised"
    assert "(2 of 12)" in caption(figure)


def test_only_categories(grid):
    covariates = ["land_cover", "parent_material"]
    figure = plot_functions(fitted(grid, encoder="spline", covariates=covariates), "q10")
    assert len(figure.axes) == 2
    assert "Lines" not in caption(figure)


def test_under_a_sigmoid_the_axis_is_u(grid):
    figure = plot_functions(fitted(grid, encoder="spline", constraint="sigmoid"), "q10", most=1)
    assert figure.axes[0].get_ylabel() == "change in u (dimensionless)"
    assert "summed to u, which a sigmoid turns into" in caption(figure)


def test_what_cannot_be_drawn_is_refused(grid, model):
    with pytest.raises(InputError, match="parameter='q11' is not known: choose one of diffus"):
        plot_functions(model, "q11")
    with pytest.raises(InputError, match="most=0 leaves nothing to draw"):
        plot_functions(model, "q10", most=0)
    with pytest.raises(InputError, match="the encoder of the model is 'mlp'"):
        plot_functions(fitted(grid, hidden=4), "q10")
