"""Figures look as they did: PNG files in ``baseline/``, drawn with the pinned matplotlib.

After a change that is meant: ``pytest tests/plotting/test_images.py
--mpl-generate-path=tests/plotting/baseline``, and look at each one.
"""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from xbinn import plotting
from xbinn.science.agreement import compare, compare_with_truth
from xbinn.testing import small_grid
from xbinn.variables import PROCESSES

# Those of cartopy stand a pixel elsewhere, see test_cartography.py.
pytestmark = pytest.mark.usefixtures("plain")

same = partial(
    pytest.mark.mpl_image_compare,
    baseline_dir="baseline",
    style="default",
    # Letters differ in a pixel between builds of FreeType; lines and colours do not.
    remove_text=True,
    tolerance=2.0,
    savefig_kwargs={"dpi": 50, "metadata": {"Software": None}},
)


@same()
def test_map(elevation):
    return plotting.plot_map(elevation, title="t", caption="c")


@same()
def test_processes(elevation):
    out = elevation.coords.to_dataset()
    for i, variable in enumerate(PROCESSES):
        out[variable.name] = (elevation * (-1.0) ** i).assign_attrs(
            units=variable.units, long_name=variable.long_name
        )
    return plotting.plot_processes(out, title="t")


@same()
def test_map_of_cells():
    return plotting.plot_map(small_grid((8, 8), points=True)["elevation"], title="t")


@same()
def test_uncertainty(sampled, applicable):
    return plotting.plot_uncertainty(sampled, applicability=applicable)


@same()
def test_profiles(sampled, observed):
    return plotting.plot_profiles(observed, sampled)


@same()
def test_posteriors(posterior):
    return plotting.plot_posteriors(posterior, prior="binn")


@same()
def test_elasticities(elastic):
    return plotting.plot_elasticities(elastic)


@same()
def test_calibration(calibrated):
    return plotting.plot_calibration(calibrated)


@same()
def test_semivariogram(variogram):
    return plotting.plot_semivariogram(variogram)


@same()
def test_agreement():
    modelled = np.exp(np.linspace(-1.0, 4.0, 400))
    return plotting.plot_agreement(modelled, modelled * np.exp(np.sin(np.arange(400.0))))


@same()
def test_training():
    loss = np.exp(-np.arange(8.0) / 4.0)
    history = xr.Dataset(
        {
            "training_loss": ("epoch", loss, {"units": "1"}),
            "validation_loss": ("epoch", loss + 0.1, {"units": "1"}),
            "validation_r2": ("epoch", 0.6 - loss),
            "validation_log_r2": ("epoch", 0.8 - loss),
            "best_epoch": 7,
        },
        {"epoch": np.arange(1, 9)},
    )
    return plotting.plot_training(history)


@same()
def test_functions(spline):
    return plotting.plot_functions(spline, "tau4s3")


@same()
def test_comparison(maps):
    return plotting.plot_comparison(*maps[:2], quantities=("vertical_transport", "q10"))


@same()
def test_class_agreement(maps):
    return plotting.plot_class_agreement(compare(*maps[:2], by="cover"))


@same()
def test_nearness(maps):
    found = compare_with_truth(*maps)
    # Errors that are nothing but rounding would stand elsewhere on other machines.
    return plotting.plot_nearness(found.isel(quantity=(found["rmse"] > 1e-6).any("model").values))


@same()
def test_recovery(recovered):
    return plotting.plot_recovery(recovered, recovered["case"].values[1])


@same()
def test_recovered_processes(recovered):
    return plotting.plot_recovered_processes(recovered, recovered["case"].values[0])


@same()
def test_spectrum(recovered):
    return plotting.plot_spectrum(recovered)


@same()
def test_recovery_errors(missed):
    return plotting.plot_recovery_errors(missed)


@same()
def test_loadings(recovered):
    return plotting.plot_loadings(recovered, recovered["case"].values[0])


@same()
def test_two_figures_in_one(sampled, maps):
    whole = plt.figure(figsize=(8, 6), layout="constrained")
    top, bottom = whole.subfigures(2, 1)
    plotting.plot_uncertainty(sampled, figure=top)
    plotting.plot_comparison(*maps[:2], quantities=("q10",), figure=bottom)
    return whole


def test_every_public_figure_has_an_image():
    """Under the name of its function."""
    figures = {name.removeprefix("plot_") for name in plotting.__all__ if name.startswith("plot_")}
    assert figures == {name.removeprefix("test_") for name in globals()} & figures
