"""Encoders and constraints through the public functions; a module of the user's above all."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from distributed import Client, LocalCluster
from torch import nn

import xbinn
from xbinn.errors import InputError, ModelFileError
from xbinn.parameters import PARAMETER_NAMES, prior_bounds
from xbinn.science.settings import settings_of
from xbinn.testing import small_grid, small_profiles

QUICK = {"epochs": 2, "seed": 0}
N = len(PARAMETER_NAMES)


def custom(width: int = 8) -> nn.Module:
    """A module whose class no other process can import."""

    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.LazyLinear(width)
            self.drop = nn.Dropout(0.1)
            self.outer = nn.Linear(width, N)
            self.direct = nn.LazyLinear(N)

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            hidden = self.drop(torch.tanh(self.inner(features)))
            return 2.0 * (self.outer(hidden) + self.direct(features))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Skip()


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid((5, 6))


@pytest.fixture(scope="module")
def profiles(grid) -> xr.Dataset:
    return small_profiles(grid, 60)


@pytest.fixture(scope="module")
def model(grid, profiles) -> xbinn.Model:
    return xbinn.fit(grid, profiles, encoder=custom(), **QUICK)


@pytest.fixture(scope="module")
def predicted(grid, model) -> xr.Dataset:
    return xbinn.predict(grid, model)


@pytest.fixture
def path(model, tmp_path) -> Path:
    model.save(tmp_path / "m.xbinn")
    return tmp_path / "m.xbinn"


def close(actual: xr.Dataset, expected: xr.Dataset) -> None:
    # Batches of another size round differently in the network's matrix products.
    xr.testing.assert_allclose(actual.drop_attrs(), expected.drop_attrs(), rtol=1e-5, atol=0.0)


# --- encoders and constraints by name ---------------------------------------------------------


@pytest.mark.parametrize("constraint", ["sigmoid", "hard_sigmoid"])
@pytest.mark.parametrize("encoder", ["mlp", "linear", "spline", "constant"])
def test_parameters_stay_strictly_inside_the_prior(grid, profiles, encoder, constraint):
    # Wild steps: the ends of the prior are all but reached.
    model = xbinn.fit(
        grid, profiles, encoder=encoder, constraint=constraint, dtype="float64",
        learning_rate=3.0, epochs=3, seed=0, validation=None,
    )  # fmt: skip
    out = xbinn.predict(grid, model, outputs=("parameters",))
    assert not bool((out.status == 4).any())
    for name, (low, high) in zip(PARAMETER_NAMES, prior_bounds("binn"), strict=True):
        assert low < float(out[name].min()) <= float(out[name].max()) < high


@pytest.mark.parametrize(
    ("encoder", "constraint"), [("mlp", "sigmoid"), ("spline", "hard_sigmoid")]
)
def test_the_default_constraint_is_that_of_the_publication(grid, profiles, encoder, constraint):
    default = xbinn.fit(grid, profiles, encoder=encoder, **QUICK)
    named = xbinn.fit(grid, profiles, encoder=encoder, constraint=constraint, **QUICK)
    assert default.sha256 == named.sha256


@pytest.mark.realdata
@pytest.mark.parametrize("encoder", ["linear", "spline"])
def test_encoders_learn_from_real_data(real_grid, real_profiles, encoder):
    model = xbinn.fit(real_grid, real_profiles, encoder=encoder, epochs=10, seed=0)
    history = model.history
    # The MLP reaches 0.46 in 50 epochs; a constant is below 0.1.
    assert float(history["validation_log_r2"].max()) > 0.3
    assert float(history["validation_loss"][-1]) < float(history["validation_loss"][0])


# --- a module ---------------------------------------------------------------------------------


def test_fit_leaves_the_module_as_it_was(grid, profiles, model):
    module = nn.Sequential(nn.LazyLinear(8), nn.Linear(8, N)).eval()
    before = {n: w.clone() for n, w in module[1].state_dict().items()}
    fitted = xbinn.fit(grid, profiles, encoder=module, **QUICK)
    assert not module.training
    assert nn.parameter.is_lazy(module[0].weight)
    for name, weight in module[1].state_dict().items():
        assert torch.equal(weight, before[name])
    assert fitted.sha256 != model.sha256
    assert xbinn.fit(grid, profiles, encoder=module, **QUICK).sha256 == fitted.sha256


def test_a_module_starts_from_its_weights(grid, profiles):
    rested = {"learning_rate": 1e-12, "weight_decay": 0.0, "epochs": 1, "seed": 0}
    module = nn.LazyLinear(N)
    first = xbinn.fit(grid, profiles, encoder=module, **rested)
    trained = first.predictor.module
    assert trained is not None
    with torch.no_grad():
        trained.bias.fill_(5.0)
    second = xbinn.fit(grid, profiles, encoder=trained, **rested)
    torch.testing.assert_close(second.predictor.module.bias, torch.full((N,), 5.0))


def test_a_saved_module_comes_back_with_its_code(grid, profiles, model, predicted, path):
    loaded = xbinn.load(path, encoder=custom())
    assert loaded.sha256 == model.sha256
    xr.testing.assert_equal(xbinn.predict(grid, loaded), predicted)
    xr.testing.assert_equal(xbinn.score(grid, loaded, profiles), xbinn.score(grid, model, profiles))
    loaded.save(path.with_name("again.xbinn"))
    assert path.with_name("again.xbinn").read_bytes() == path.read_bytes()


def test_shared_weights_come_back(grid, profiles, tmp_path):
    layer = nn.Linear(N, N)
    module = nn.Sequential(nn.LazyLinear(N), layer, nn.Tanh(), layer)
    model = xbinn.fit(grid, profiles, encoder=module, **QUICK)
    model.save(tmp_path / "m.xbinn")
    loaded = xbinn.load(tmp_path / "m.xbinn", encoder=module)
    xr.testing.assert_equal(xbinn.predict(grid, loaded), xbinn.predict(grid, model))


def test_loading_without_the_module_says_what_to_do(path):
    match = r"is a module of torch, .*Skip, and.*no code.*xbinn\.load\(path, encoder=module\)"
    with pytest.raises(ModelFileError, match=match):
        xbinn.load(path)


@pytest.mark.parametrize("module", [custom(9), nn.LazyLinear(N), nn.Linear(3, N)])
def test_a_module_that_does_not_fit_the_file_is_refused(path, module):
    with pytest.raises(ModelFileError, match=r"(?s)does not fit the module given.*like that of"):
        xbinn.load(path, encoder=module)


def test_a_module_without_need_is_refused(grid, profiles, tmp_path):
    xbinn.fit(grid, profiles, hidden=4, **QUICK).save(tmp_path / "m.xbinn")
    with pytest.raises(InputError, match=r"is 'mlp', which xbinn builds itself.*without encoder"):
        xbinn.load(tmp_path / "m.xbinn", encoder=custom())
    with pytest.raises(InputError, match=r"must be a torch.nn.Module, not str"):
        xbinn.load(tmp_path / "m.xbinn", encoder="mlp")


def test_a_module_of_the_wrong_width_is_refused(grid, profiles):
    with pytest.raises(InputError, match=r"gave \(2, 3\) for n = 2: give it 21 outputs"):
        xbinn.fit(grid, profiles, encoder=nn.LazyLinear(3), **QUICK)


def test_settings_hold_the_module(model):
    found = settings_of(model)
    assert found.module is model.predictor.module
    assert "module" not in model.settings


# --- where a module runs ----------------------------------------------------------------------


def test_lazily_on_threads(grid, model, predicted, raise_if_dask_computes):
    with raise_if_dask_computes():
        lazy = xbinn.predict(grid.chunk(lat=2, lon=3), model)
    close(lazy.compute(scheduler="threads"), predicted)


def test_in_a_job_on_threads(grid, path, predicted, tmp_path):
    loaded = xbinn.load(path, encoder=custom())
    out = xbinn.predict(grid, loaded, to=tmp_path / "out.zarr", chunks={"lat": 2, "lon": 3})
    close(out.compute(), predicted)


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_on_a_cluster(grid, model, predicted, path, tmp_path, client):
    close(xbinn.predict(grid.chunk(lat=2), model).compute(), predicted)
    loaded = xbinn.load(path, encoder=custom())
    out = xbinn.predict(grid, loaded, to=tmp_path / "out.zarr", chunks={"lat": 2, "lon": 3})
    close(out.compute(), predicted)
    np.testing.assert_array_equal(out.status, predicted.status)
