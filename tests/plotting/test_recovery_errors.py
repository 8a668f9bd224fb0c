"""The figure of errors shows those of the result, in its order, and says what it shows."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from xbinn.errors import InputError
from xbinn.plotting import plot_recovery_errors
from xbinn.science.information import PRIOR_DOMINATED


@pytest.fixture(autouse=True)
def closed():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.mark.filterwarnings("error:constrained_layout not applied")
def test_each_parameter_has_its_interval_the_best_known_on_top(missed):
    figure = plot_recovery_errors(missed, title="Idealised errors", caption="Idealised places")
    figure.canvas.draw()
    ax = figure.axes[0]
    contraction = missed["parameter_contraction"].to_series().sort_values()
    assert [t.get_text() for t in ax.get_yticklabels()] == list(contraction.index)
    wide = ax.collections[1].get_segments()
    best = missed["parameter_error_quantile"].sel(parameter=contraction.index[-1])
    ends = best.sel(quantile=[0.05, 0.95], method="nearest").values
    np.testing.assert_allclose(wide[-1][:, 0], ends, rtol=1e-6)
    numbers = [text.get_text() for text in ax.texts]
    assert numbers == [f"{value:.2f}" for value in contraction]
    assert figure.get_suptitle() == "Idealised errors"
    caption = " ".join(figure.get_supxlabel().split())
    assert "of 8 synthetic truths with 30 % noise" in caption
    assert caption.endswith("Idealised places.")


def test_each_kind_has_its_coverage(missed):
    ax = plot_recovery_errors(missed).axes[1]
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    known = missed["function_index"] >= PRIOR_DOMINATED
    own = missed["parameter_coverage"].where(known & (missed["kind"] == "smooth"))
    np.testing.assert_allclose(drawn["smooth"], own.mean(["truth", "parameter"]))
    np.testing.assert_allclose(
        drawn["processes"], missed["process_coverage"].mean(["truth", "process"])
    )
    assert {"linear", "interaction", "threshold"} < set(drawn)


def test_a_figure_may_be_given(missed):
    slide = plt.figure(figsize=(13, 7), layout="constrained")
    assert plot_recovery_errors(missed, figure=slide.subfigures(1, 2)[0]) is slide


def test_something_else_is_refused(missed):
    with pytest.raises(InputError, match="errors lack parameter_contraction"):
        plot_recovery_errors(missed.drop_vars("parameter_contraction"))
