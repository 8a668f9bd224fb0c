"""Two methods in one look: panels say what they show, and refuse what is no comparison."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from xbinn.errors import InputError
from xbinn.plotting import plot_class_agreement, plot_nearness
from xbinn.science.agreement import QUANTITIES, compare, compare_with_truth


@pytest.fixture(autouse=True)
def closed():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.mark.filterwarnings("error:constrained_layout not applied")
@pytest.mark.parametrize("by", ["cover", None])
def test_agreement_has_a_row_for_each_quantity_and_a_column_for_each_class(maps, by):
    found = compare(*maps[:2], by=by)
    figure = plot_class_agreement(found, title="Idealised", caption="Idealised continent")
    figure.canvas.draw()
    first, *_ = axes = figure.axes
    assert [ax.get_title() for ax in axes] == ["correlation", "bias / s.d.", "RMSE / s.d."]
    assert len(first.get_yticklabels()) == len(QUANTITIES)
    columns = [label.get_text() for label in first.get_xticklabels()]
    assert columns[0] == "all"
    assert len(columns) == (1 if by is None else found.sizes[by])
    whole = found if by is None else found.sel(cover="all")
    r = float(whole["correlation"].sel(quantity="efolding"))
    assert f"{r:.2f}".removeprefix("0") in [text.get_text() for text in first.texts]
    assert "Idealised continent." in " ".join(figure.get_supxlabel().split())


def test_classes_with_most_cells_are_shown_in_their_order(maps):
    found = compare(*maps[:2], by="cover")
    assert found.sizes["cover"] > 3
    figure = plot_class_agreement(found, most=3)
    shown = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    cells = found["n"].max("quantity").to_series()
    assert set(shown) == {str(name).replace("_", " ") for name in cells.nlargest(3).index}
    names = [str(name).replace("_", " ") for name in found["cover"].values]
    assert shown == [name for name in names if name in shown]
    caption = " ".join(figure.get_supxlabel().split())
    assert f"the 3 of {found.sizes['cover']} with most" in caption
    with pytest.raises(InputError, match="most=0 leaves nothing to draw"):
        plot_class_agreement(found, most=0)


@pytest.mark.filterwarnings("error:constrained_layout not applied")
def test_nearness_counts_who_is_nearer(maps):
    found = compare_with_truth(*maps, block_size=10.0)
    figure = plot_nearness(found, caption="Idealised continent")
    figure.canvas.draw()
    won = [int((found["nearer"] == name).sum()) for name in ("binn", "proda", "tie")]
    caption = " ".join(figure.get_supxlabel().split())
    assert "BINN nearer {}, PRODA {}, ties {}".format(*won) in caption
    assert f"in {int(found['n'].max())} cells" in caption
    assert figure.axes[0].get_yticklabels()[0].get_text() == "diffus"


def test_other_datasets_are_refused(maps):
    with pytest.raises(InputError, match="no comparison of maps: it lacks correlation, bias"):
        plot_class_agreement(maps[0])
    with pytest.raises(InputError, match="lacks relative_rmse, nearer"):
        plot_nearness(compare(*maps[:2]))


def test_a_figure_may_be_given(maps):
    slide = plt.figure(figsize=(13, 7), layout="constrained")
    left, right = slide.subfigures(1, 2)
    assert plot_class_agreement(compare(*maps[:2]), figure=left) is slide
    assert plot_nearness(compare_with_truth(*maps), figure=right) is slide
    slide.canvas.draw()
    assert len(right.legends) == 1


def test_a_wide_range_of_distances_has_few_ticks(maps):
    found = compare_with_truth(*maps)
    found["relative_rmse"][:, 0] = 1e-4
    ticks = plot_nearness(found).axes[0].get_xticks()
    assert len(ticks) < 9
    assert np.allclose(np.log10(ticks), np.round(np.log10(ticks)))
