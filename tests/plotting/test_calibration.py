import matplotlib.pyplot as plt
import numpy as np
import pytest

from xbinn.errors import InputError
from xbinn.plotting import plot_calibration


def test_coverage_and_pit(calibrated):
    figure = plot_calibration(calibrated, caption="Data: made up")
    coverage, pit = figure.axes
    promised, observations, mean = coverage.get_lines()
    assert list(promised.get_xdata()) == list(promised.get_ydata()) == [0.0, 1.0]
    wanted = calibrated["coverage"].sel(depth_range="all")
    np.testing.assert_allclose(observations.get_ydata(), wanted.sel(interval_of="observation"))
    np.testing.assert_allclose(mean.get_ydata(), wanted.sel(interval_of="modelled_mean"))
    labels = [text.get_text() for text in coverage.get_legend().get_texts()]
    assert labels == ["observations", "modelled mean"]
    assert coverage.get_xlabel() == "nominal level (dimensionless)"
    assert pit.patches[0].get_data().values.mean() == pytest.approx(1.0)
    text = figure._supxlabel.get_text().replace("\n", " ")
    assert "199 held-out samples that" in text
    assert "model sha256 bbbbbbbbbbbb." in text
    assert text.endswith("Data: made up.")


def test_a_depth_range_into_given_axes(calibrated):
    _, ax = plt.subplots()
    assert plot_calibration(calibrated, depth_range="0-30 cm", ax=ax, title="top") is ax
    np.testing.assert_allclose(
        ax.get_lines()[1].get_ydata(),
        calibrated["coverage"].sel(depth_range="0-30 cm", interval_of="observation"),
    )
    figure = plot_calibration(calibrated, depth_range="0-30 cm")
    assert "80 held-out samples of 0-30 cm that" in figure._supxlabel.get_text().replace("\n", " ")


def test_what_cannot_be_drawn_is_refused(calibrated):
    with pytest.raises(InputError, match=r"found lacks coverage_low, pit: give the result of"):
        plot_calibration(calibrated.drop_vars(["coverage_low", "pit"]))
    with pytest.raises(InputError, match="depth_range='deep' is not there: choose one of 'all'"):
        plot_calibration(calibrated, depth_range="deep")
