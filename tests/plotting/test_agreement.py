import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from xbinn.constants import SOC_FLOOR
from xbinn.errors import InputError
from xbinn.plotting import plot_agreement


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def caption(figure: plt.Figure) -> str:
    return figure._supxlabel.get_text().replace("\n", " ")


def test_agreement_stands_alone() -> None:
    rng = np.random.default_rng(0)
    modelled = np.exp(rng.normal(2.0, 1.0, 500))
    observed = modelled * np.exp(rng.normal(0.0, 0.5, 500))
    figure = plot_agreement(modelled, observed, title="Idealised profiles", caption="Test samples")
    ax = figure.axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlabel() == "modelled SOC density (kg m⁻³)"
    assert ax.get_ylabel() == "observed SOC density (kg m⁻³)"
    assert ax.get_xlim() == ax.get_ylim()
    (line,) = ax.get_lines()
    np.testing.assert_array_equal(line.get_xdata(), line.get_ydata())
    assert int(ax.collections[0].get_array().sum()) == 500
    (inset,) = ax.child_axes
    assert inset.get_ylabel() == "samples per hexagon (count)"
    assert figure.get_suptitle() == "Idealised profiles"
    text = caption(figure)
    assert text.startswith("Observed against modelled soil organic carbon (SOC) density (kg m⁻³)")
    assert text.endswith("minus observed. Test samples.")


def test_scores_are_those_of_the_samples() -> None:
    ax = plot_agreement([2.0, 4.0, 8.0], [1.0, 4.0, 10.0], ax=plt.subplots()[1])
    assert isinstance(ax, Axes)
    # SSE 1 + 0 + 4, SST 16 + 1 + 25; of ln: ln(2)^2 + ln(1.25)^2 over 2.688.
    assert ax.texts[0].get_text().splitlines() == [
        "n = 3",
        "R² = 0.88",
        "R² of ln = 0.80",
        "RMSE = 1.3 kg m⁻³",
        "bias = −0.3 kg m⁻³",
    ]


def test_samples_below_the_floor_are_drawn_there_and_counted() -> None:
    figure = plot_agreement([0.0, 4.0, 8.0], [1.0, 0.001, 10.0])
    assert "2 samples below 0.05 kg m⁻³ stand at that floor" in caption(figure)
    assert figure.axes[0].get_xlim()[0] == pytest.approx(0.8 * SOC_FLOOR)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match=r"modelled has shape \(2,\) and observed \(3,\)"):
        plot_agreement([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match=r"there are no samples"):
        plot_agreement([], [])
    with pytest.raises(
        InputError, match=r"observed has 2 values that are missing or negative, .*1"
    ):
        plot_agreement([1.0, 2.0, 3.0], [1.0, np.nan, -3.0])
    with pytest.raises(InputError, match=r"call xbinn\.plotting\.add_caption"):
        plot_agreement([1.0], [1.0], ax=plt.subplots()[1], caption="no")
