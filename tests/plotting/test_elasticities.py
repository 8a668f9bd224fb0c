import matplotlib.pyplot as plt
import numpy as np
import pytest

from xbinn.errors import InputError
from xbinn.parameters import PARAMETERS
from xbinn.plotting import plot_elasticities


def names(ax) -> list[str]:
    return [text.get_text().split()[0] for text in ax.get_yticklabels()]


def test_by_depth_and_of_the_stock(elastic):
    figure = plot_elasticities(elastic, title="Idealised", caption="Data: made up")
    depth, stock = figure.axes[:2]
    assert len(names(depth)) == len(PARAMETERS)
    groups = [next(p.group for p in PARAMETERS if p.name == name) for name in names(depth)]
    assert [g for i, g in enumerate(groups) if i == 0 or groups[i - 1] != g] == [
        "I", "A", "K", "xi", "V",
    ]  # fmt: skip
    drawn = depth.collections[0].get_array()
    # The two layers that hardly any cell has are not there.
    assert drawn.shape == (len(PARAMETERS), elastic.sizes["depth"] - 2)
    row = names(depth).index("q10")
    expected = elastic["soc_elasticity"].sel(parameter="q10").median(("lat", "lon"))[:-2]
    np.testing.assert_allclose(drawn[row], expected)
    low, high = depth.collections[0].get_clim()
    assert low == -high < 0.0
    middle = stock.get_lines()[-1].get_xdata()
    expected = elastic["elasticity"].sel(parameter="q10").median()
    assert middle[row] == pytest.approx(float(expected))
    assert "Data: made up." in figure._supxlabel.get_text()
    assert "median of" in figure._supxlabel.get_text()


def test_one_cell_has_no_range(elastic):
    place = elastic["elasticity"].isel(parameter=0).stack(cell=("lat", "lon")).dropna("cell")
    lat, lon = place["cell"].values[0]
    figure = plot_elasticities(elastic.sel(lat=lat, lon=lon))
    assert "range" not in figure._supxlabel.get_text()


def test_into_given_axes(elastic):
    _, ax = plt.subplots()
    assert plot_elasticities(elastic, ax=ax, title="depth") is ax
    assert ax.get_title() == "depth"
    assert ax.get_xlabel() == "depth of the bottom of the layer (m)"


def test_what_cannot_be_drawn_is_refused(elastic):
    with pytest.raises(InputError, match="there is no soc_elasticity: make it with"):
        plot_elasticities(elastic[["elasticity"]])
    with pytest.raises(InputError, match="no cell has elasticities"):
        plot_elasticities(elastic * np.nan)
