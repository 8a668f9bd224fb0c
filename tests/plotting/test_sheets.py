"""What has several panels is drawn into a figure that is given as into one of its own."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from xbinn.errors import InputError
from xbinn.plotting import (
    plot_calibration,
    plot_elasticities,
    plot_posteriors,
    plot_processes,
    plot_profiles,
    plot_training,
    plot_uncertainty,
)
from xbinn.plotting.sheets import sheet
from xbinn.variables import PROCESSES


@pytest.fixture
def processes(elevation) -> xr.Dataset:
    out = elevation.coords.to_dataset()
    for variable in PROCESSES:
        out[variable.name] = elevation.assign_attrs(
            units=variable.units, long_name=variable.long_name
        )
    return out


@pytest.fixture
def history() -> xr.Dataset:
    loss = np.exp(-np.arange(4.0))
    return xr.Dataset(
        {
            "training_loss": ("epoch", loss, {"units": "1"}),
            "validation_loss": ("epoch", loss + 0.1, {"units": "1"}),
            "validation_r2": ("epoch", 0.6 - loss),
            "validation_log_r2": ("epoch", 0.8 - loss),
            "best_epoch": 3,
        },
        {"epoch": np.arange(1, 5)},
    )


@pytest.mark.filterwarnings("error:constrained_layout not applied")
def test_two_figures_stand_in_one(processes, sampled):
    whole = plt.figure(figsize=(14, 6), layout="constrained")
    left, right = whole.subfigures(1, 2)
    assert plot_processes(processes, figure=left, title="Left") is whole
    assert plot_uncertainty(sampled, figure=right) is whole
    whole.canvas.draw()
    assert [ax.get_title(loc="left")[:3] for ax in left.axes[:2]] == ["(a)", "(b)"]
    assert left.get_suptitle() == "Left"
    assert right.get_suptitle().startswith("Soil organic carbon stock")
    assert not whole.get_supxlabel()
    assert whole.get_size_inches().tolist() == [14.0, 6.0]
    # Panels keep to their half.
    ends = [ax.get_window_extent().x1 for ax in left.axes]
    assert max(ends) <= whole.bbox.width / 2 <= min(ax.get_window_extent().x0 for ax in right.axes)


def test_letters_and_lines_of_a_slide_are_larger(history):
    printed = plot_training(history).axes[0]
    slide = plt.figure(figsize=(14.4, 5.6), layout="constrained")
    before = dict(plt.rcParams)
    drawn = plot_training(history, figure=slide).axes[0]
    assert dict(plt.rcParams) == before
    for ours, theirs in (
        (drawn.xaxis.label.get_fontsize(), printed.xaxis.label.get_fontsize()),
        (drawn.lines[0].get_linewidth(), printed.lines[0].get_linewidth()),
        (drawn.lines[0].get_markersize(), printed.lines[0].get_markersize()),
    ):
        assert ours == pytest.approx(2.0 * theirs)


def test_letters_of_a_small_figure_are_those_of_print(history):
    small = plt.figure(figsize=(3.0, 2.0), layout="constrained")
    axes = plot_training(history, figure=small).axes
    printed = plot_training(history).axes
    assert axes[0].xaxis.label.get_fontsize() == printed[0].xaxis.label.get_fontsize()


def test_marks_and_bars_grow_too():
    slide = plt.figure(figsize=(14.4, 10.0), layout="constrained")
    with sheet(slide, 5.0, None, None) as on:
        ax = on.figure.add_subplot()
        bars = ax.vlines([0.0, 1.0], 0.0, 1.0, lw=0.5)
        marks = ax.scatter([0.0], [0.0], s=9.0)
        legend = ax.legend(handles=ax.plot([0.0], [0.0], lw=1.0, label="line"))
    assert on.root is slide
    assert not slide.get_suptitle()
    assert np.allclose(bars.get_linewidth(), 1.0)
    assert marks.get_sizes().tolist() == [36.0]
    assert legend.get_lines()[0].get_linewidth() == 2.0


def test_a_figure_that_is_given_has_no_caption(history):
    with pytest.raises(InputError, match="the one given may hold more: leave caption out and"):
        plot_training(history, figure=plt.figure(), caption="no")


@pytest.fixture
def several(sampled, observed, posterior, elastic, calibrated):
    """Figures that take both one panel of theirs and all of them."""
    return {
        "profiles": partial(plot_profiles, observed, sampled),
        "posteriors": partial(plot_posteriors, posterior, prior="binn"),
        "elasticities": partial(plot_elasticities, elastic),
        "calibration": partial(plot_calibration, calibrated),
    }


@pytest.mark.filterwarnings("error:constrained_layout not applied")
@pytest.mark.parametrize("name", ["profiles", "posteriors", "elasticities", "calibration"])
def test_all_panels_go_into_a_figure_that_is_given(several, name):
    alone = several[name]()
    slide = plt.figure(figsize=(13.3, 7.5), layout="constrained")
    part, rest = slide.subfigures(1, 2, width_ratios=(3, 1))
    assert several[name](figure=part, title="Here") is slide
    slide.canvas.draw()
    assert len(part.axes) == len(alone.axes)
    assert not rest.axes
    assert part.get_suptitle() == "Here"
    assert not slide.get_supxlabel()
    assert part.axes[0].xaxis.get_ticklabels()[0].get_fontsize() > 7.0
    assert len(part.legends) == len(alone.legends)
    with pytest.raises(InputError, match="the one given may hold more: leave caption out and"):
        several[name](figure=part, caption="no")
    with pytest.raises(InputError, match="ax takes one panel and figure takes all of them"):
        several[name](figure=part, ax=part.axes[0])


def test_a_legend_below_the_panels_fits_a_narrow_figure(several):
    narrow = plt.figure(figsize=(3.5, 6.0), layout="constrained")
    several["profiles"](figure=narrow)
    narrow.canvas.draw()
    (legend,) = narrow.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0.0
    assert box.x1 <= narrow.bbox.width
    assert box.y1 <= min(ax.get_tightbbox().y0 for ax in narrow.axes) + 1.0


@pytest.mark.filterwarnings("error:constrained_layout not applied")
def test_fewer_panels_stand_side_by_side_in_a_column_of_a_page(several, sampled, history):
    def columns(draw, height: float) -> int:
        figure = plt.figure(figsize=(3.5, height), layout="constrained")
        draw(figure=figure)
        figure.canvas.draw()
        places = (ax.get_subplotspec() for ax in figure.axes)
        return max(place.colspan.stop for place in places if place is not None)

    assert columns(several["posteriors"], 9.0) == 3
    assert columns(several["profiles"], 9.0) == 1
    assert columns(several["calibration"], 7.0) == 1
    assert columns(partial(plot_training, history), 5.0) == 1
    assert columns(partial(plot_uncertainty, sampled), 7.0) == 1
    assert columns(partial(plot_training, history), 2.5) == 1


def test_maps_stand_as_they_are_largest(processes):
    wide, high = (
        plt.figure(figsize=size, layout="constrained") for size in ((13.3, 6.5), (7.2, 16.0))
    )
    for figure, columns in ((wide, 4), (high, 2)):
        plot_processes(processes, figure=figure)
        assert figure.axes[0].get_subplotspec().get_gridspec().ncols == columns


def test_a_long_title_is_broken_in_a_narrow_figure(history):
    narrow = plt.figure(figsize=(3.5, 3.0), layout="constrained")
    plot_training(
        history, figure=narrow, title="A title that is longer than one column of a page is wide"
    )
    assert narrow.get_suptitle().count("\n") == 1


def test_a_legend_stands_above_the_lines(history):
    ax = plot_training(history).axes[0]
    ax.figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    tops = [ax.transData.transform((0.0, line.get_ydata().max()))[1] for line in ax.lines[:2]]
    assert max(tops) < legend.y0
