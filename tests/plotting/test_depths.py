import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection

from xbinn.errors import InputError
from xbinn.plotting import plot_profiles


def caption(figure) -> str:
    return figure._supxlabel.get_text().replace("\n", " ")


def segments(ax) -> np.ndarray:
    """Ends of the samples, (sample, end, (x, y))."""
    (lines,) = (c for c in ax.collections if isinstance(c, LineCollection))
    return np.array(lines.get_segments())


def bands(ax) -> list:
    return [c for c in ax.collections if not isinstance(c, LineCollection)]


def test_samples_are_intervals_over_bands(sampled, observed):
    figure = plot_profiles(observed, sampled, caption="Data: made up")
    assert len(figure.axes) == 6
    assert [len(segments(ax)) for ax in figure.axes] == [4, 3, 4, 4, 4, 4]
    first = figure.axes[0]
    own = observed.isel(profile=0)
    np.testing.assert_allclose(segments(first)[:, :, 0], np.stack([own["soc"]] * 2, axis=1))
    np.testing.assert_allclose(segments(first)[:, 0, 1], own["depth_top"])
    np.testing.assert_allclose(segments(first)[:, 1, 1], own["depth_bottom"])
    assert len(bands(first)) == 2
    cell = sampled.sel(lat=own["lat"], lon=own["lon"], method="nearest")
    median = cell["soc_observation_quantile"].sel(quantile=0.5)
    line = first.get_lines()[0]
    np.testing.assert_allclose(line.get_xdata()[::2], median)
    np.testing.assert_allclose(line.get_ydata()[:4], [0.0, 0.02, 0.02, 0.06])
    widest = bands(first)[0].get_paths()[0].vertices[:, 0]
    assert np.nanmax(widest) == pytest.approx(float(median.max()) * 2.2)
    low, high = first.get_ylim()
    assert low > high == 0.0  # depth runs down
    assert first.get_ylabel() == "depth (m)"
    assert first.get_xlabel() == "SOC density (kg m⁻³)"
    assert first.get_title(loc="left").startswith("(a) ")
    text = caption(figure)
    assert "noise included" in text
    assert "The first 6 of 8 profiles" in text
    assert text.endswith("Data: made up.")
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()][1:] == [
        "modelled median", "central 90 %", "central 50 %",
    ]  # fmt: skip


def test_a_profile_in_the_ocean_is_passed_over(sampled, observed):
    assert len(plot_profiles(observed, sampled, most=20).axes) == 7


def test_intervals_of_the_mean_are_called_so(sampled, observed):
    figure = plot_profiles(observed, sampled.drop_vars("soc_observation_quantile"), most=1)
    assert "not meant to hold the samples" in caption(figure)


def test_without_samples_there_is_a_line_alone(sampled, observed):
    figure = plot_profiles(observed, sampled[["soc"]], most=2)
    assert not bands(figure.axes[0])
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["sample, over its depths", "modelled"]
    assert "Bands" not in caption(figure)


def test_chunked_results_are_read_where_profiles_are(sampled, observed):
    lazy = plot_profiles(observed, sampled.chunk(lat=3), most=1).axes[0]
    here = plot_profiles(observed, sampled, most=1).axes[0]
    np.testing.assert_array_equal(lazy.get_lines()[0].get_xdata(), here.get_lines()[0].get_xdata())


def test_one_profile_into_given_axes(sampled, observed):
    _, ax = plt.subplots()
    assert plot_profiles(observed.isel(profile=[2]), sampled, ax=ax, title="one") is ax
    assert ax.get_title() == "one"
    assert len(segments(ax)) == 4


def test_what_cannot_be_drawn_is_refused(sampled, observed):
    _, ax = plt.subplots()
    with pytest.raises(InputError, match="ax holds one profile and there are 8: select one"):
        plot_profiles(observed, sampled, ax=ax)
    with pytest.raises(InputError, match="most=0 leaves nothing"):
        plot_profiles(observed, sampled, most=0)
    with pytest.raises(InputError, match="out needs soc in all 20 layers"):
        plot_profiles(observed, sampled.isel(depth=slice(3)))
    with pytest.raises(InputError, match="none of the 1 profiles lies in a cell with results"):
        plot_profiles(observed.isel(profile=[7]), sampled)
    with pytest.raises(InputError, match="a caption belongs to a whole figure"):
        plot_profiles(observed.isel(profile=[0]), sampled, ax=ax, caption="no")
