import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from xbinn.errors import InputError, ParameterError
from xbinn.parameters import PARAMETER_NAMES, PARAMETERS
from xbinn.plotting import plot_posteriors


def test_a_panel_for_each_parameter_over_its_prior(posterior):
    figure = plot_posteriors(posterior, prior="binn", caption="Data: made up")
    assert [ax.get_title().split(" ")[0] for ax in figure.axes] == list(PARAMETER_NAMES)
    for ax, p in zip(figure.axes, PARAMETERS, strict=True):
        assert ax.get_xlim() == p.priors["binn"]
        prior = ax.get_lines()[0]
        assert list(prior.get_ydata()) == [1.0, 1.0]
    assert "tau4s3 (yr)" in {ax.get_title() for ax in figure.axes}
    # The first is drawn evenly over its prior: its posterior is the prior.
    np.testing.assert_allclose(figure.axes[0].patches[0].get_data().values, 1.0)
    assert "400 samples" in figure._supxlabel.get_text()


def test_clm5_is_marked_where_it_lies_in_the_range(posterior):
    figure = plot_posteriors(posterior, prior="binn")
    marked = {
        name
        for name, ax in zip(PARAMETER_NAMES, figure.axes, strict=True)
        if len(ax.get_lines()) > 1
    }
    assert "q10" in marked
    assert not marked & {"efolding", "fs1s2"}  # beyond the prior; without a value


def test_draws_of_chains(posterior):
    joint = posterior.to_dataarray("parameter").rename(sample="draw").expand_dims(chain=2)
    figure = plot_posteriors(xr.Dataset({"parameter_samples": joint}), prior="binn")
    assert len(figure.axes) == len(PARAMETER_NAMES)
    assert "800 samples" in figure._supxlabel.get_text()


def test_one_parameter(posterior):
    _, ax = plt.subplots()
    assert plot_posteriors(posterior, prior="proda", parameter="tau4s3", ax=ax) is ax
    assert ax.get_xlim() == (200.0, 1000.0)
    assert ax.get_xlabel() == "tau4s3 (yr)"
    assert len(plot_posteriors(posterior, prior="binn", parameter="q10").axes) == 1


def test_what_cannot_be_drawn_is_refused(posterior):
    _, ax = plt.subplots()
    with pytest.raises(InputError, match="ax holds one parameter: name it"):
        plot_posteriors(posterior, prior="binn", ax=ax)
    with pytest.raises(InputError, match="parameter='q11' is not known: choose one of diffus"):
        plot_posteriors(posterior, prior="binn", parameter="q11")
    with pytest.raises(InputError, match="no samples of beta: draw them with"):
        plot_posteriors(posterior.mean("sample"), prior="binn", parameter="beta")
    with pytest.raises(InputError, match=r"of several places \(lat\): select one"):
        plot_posteriors(posterior.expand_dims(lat=2), prior="binn")
    with pytest.raises(InputError, match="diffus is missing here: status tells why"):
        plot_posteriors(posterior * np.nan, prior="binn")
    with pytest.raises(ParameterError, match="prior 'flat' is not known"):
        plot_posteriors(posterior, prior="flat")
