import matplotlib.pyplot as plt
import numpy as np
import pytest

from xbinn.errors import InputError
from xbinn.plotting import plot_semivariogram


def test_semivariance_by_distance(variogram):
    figure = plot_semivariogram(variogram, caption="Data: made up")
    (ax,) = figure.axes
    sill, line = ax.get_lines()
    assert set(sill.get_ydata()) == {0.38}
    np.testing.assert_allclose(line.get_ydata(), variogram["semivariance"])
    areas = ax.collections[0].get_sizes()
    assert list(areas) == sorted(areas)  # as the pairs
    assert ax.get_xlabel() == "distance (km)"
    assert ax.get_ylabel().replace("\n", " ").endswith("(dimensionless)")
    assert "120 profiles (0-30 cm)" in figure._supxlabel.get_text().replace("\n", " ")


def test_into_given_axes(variogram):
    _, ax = plt.subplots()
    assert plot_semivariogram(variogram, ax=ax, title="here") is ax
    assert ax.get_title() == "here"


def test_other_datasets_are_refused(variogram):
    with pytest.raises(InputError, match="found lacks pairs: give the result of"):
        plot_semivariogram(variogram.drop_vars("pairs"))
