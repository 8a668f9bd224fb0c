import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

mpl.use("Agg")

import matplotlib.pyplot as plt

from xbinn.errors import InputError
from xbinn.plotting import plot_training

EPOCHS = 6


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def history() -> xr.Dataset:
    loss = np.linspace(0.5, 0.3, EPOCHS)
    return xr.Dataset(
        {
            "training_loss": ("epoch", loss, {"units": "1"}),
            "validation_loss": ("epoch", loss + 0.05, {"units": "1"}),
            "validation_r2": ("epoch", 0.6 - loss),
            "validation_log_r2": ("epoch", 0.7 - loss),
            "best_epoch": 4,
        },
        {"epoch": np.arange(1, EPOCHS + 1)},
    )


def caption(figure: plt.Figure) -> str:
    return figure._supxlabel.get_text().replace("\n", " ")


def test_two_panels_with_the_best_epoch(history: xr.Dataset) -> None:
    figure = plot_training(history, title="Idealised training", caption="Data: made up")
    losses, scores = figure.axes
    assert losses.get_ylabel() == "loss (dimensionless)"
    assert scores.get_ylabel() == "validation R² (dimensionless)"
    for ax in figure.axes:
        assert ax.get_xlabel() == "epoch"
        lines = {line.get_label(): line for line in ax.get_lines()}
        assert list(lines["best epoch, 4"].get_xdata()) == [4, 4]
    assert {"training", "validation"} < {line.get_label() for line in losses.get_lines()}
    np.testing.assert_array_equal(scores.get_lines()[0].get_ydata(), history["validation_r2"])
    assert figure.get_suptitle() == "Idealised training"
    text = caption(figure)
    assert "the best epoch, 4, whose weights were kept" in text
    assert "(kg m⁻³)" in text
    assert text.endswith("Data: made up.")


def test_a_bad_first_epoch_does_not_squeeze_the_others(history: xr.Dataset) -> None:
    history["validation_r2"][0] = -30.0
    figure = plot_training(history)
    assert figure.axes[1].get_ylim()[0] == -0.5
    assert "R² below -0.5 is not shown." in caption(figure)


def test_without_validation_there_is_one_panel(history: xr.Dataset) -> None:
    for name in ("validation_loss", "validation_r2", "validation_log_r2"):
        history[name][:] = np.nan
    figure = plot_training(history)
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss (dimensionless)"]
    assert "nothing was held out for validation" in caption(figure)


def test_every_member_of_an_ensemble_has_its_lines(history: xr.Dataset) -> None:
    both = xr.concat([history, history.assign(best_epoch=6)], dim="member")
    figure = plot_training(both)
    losses = figure.axes[0]
    labels = [line.get_label() for line in losses.get_lines()]
    assert len(labels) == 2 * 2 + 2  # two losses and the best epoch of each
    assert labels.count("training") == labels.count("best epochs") == 1
    assert "the best epochs (4, 6) whose weights were kept" in caption(figure)
    assert "2 members of an ensemble" in caption(figure)


def test_other_datasets_are_refused(history: xr.Dataset) -> None:
    with pytest.raises(InputError, match=r"lacks validation_loss, validation_r2: give model\.hist"):
        plot_training(history.drop_vars(["validation_loss", "validation_r2"]))
    with pytest.raises(InputError, match=r"lacks best_epoch"):
        plot_training(history.drop_vars("best_epoch"))
    with pytest.raises(InputError, match=r"holds no epoch"):
        plot_training(history.isel(epoch=slice(0)))


def test_a_network_that_was_fitted_to_parameters(history):
    fitted = history.drop_vars("validation_log_r2")
    fitted = fitted.rename(validation_r2="validation_parameter_r2")
    figure = plot_training(fitted)
    scores = figure.axes[1]
    assert next(line.get_label() for line in scores.get_lines()) == "parameters"
    np.testing.assert_array_equal(
        scores.get_lines()[0].get_ydata(), fitted["validation_parameter_r2"]
    )
