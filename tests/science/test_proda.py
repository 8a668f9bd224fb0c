"""Retrieval: posteriors with a known answer, pchip, labels, resuming, and what is refused."""

import json
import sys

import numpy as np
import pytest
import torch
import xarray as xr
from distributed import Client, LocalCluster
from scipy.interpolate import PchipInterpolator
from scipy.stats import kstest

from xbinn.constants import NODE_DEPTH
from xbinn.errors import InputError, JobError
from xbinn.parameters import PARAMETER_NAMES, prior_bounds
from xbinn.physics.counting import SolveCount, count_solves
from xbinn.science.proda import retrieve
from xbinn.science.proda.annealing import Annealing, annealed
from xbinn.science.proda.diagnostics import diagnose
from xbinn.science.proda.pchip import pchip
from xbinn.science.proda.sampler import SAMPLERS, Plan, run_chains
from xbinn.testing import small_grid, small_profiles

CPU = torch.device("cpu")
SHORT = {"seed": 1, "device": "cpu", "steps": 12, "max_steps": 12, "warmup": 8}


class Gaussian:
    """Likelihood of one observation of the first coordinate: the posterior is known."""

    n_parameters = 3

    def __init__(self, seen, precision: float) -> None:
        self.seen, self.precision = seen, precision

    def value(self, place):
        return -0.5 * self.precision * (place[0] - self.seen) ** 2

    def value_and_slope(self, place):
        slope = torch.zeros_like(place)
        slope[0] = -self.precision * (place[0] - self.seen)
        return self.value(place), slope

    def select(self, profiles):
        return Gaussian(self.seen[profiles], self.precision)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("precision", [0.0, 8.0], ids=["prior only", "observed"])
def test_samplers_draw_from_a_posterior_that_is_known(name, precision):
    steps = 400 if name == "hamiltonian" else 3000
    plan = Plan(4, steps // 2, steps, steps, 1.05, 60.0)
    seen = torch.linspace(-1.0, 1.0, 5, dtype=torch.float64)
    found = run_chains(
        Gaussian(seen, precision), SAMPLERS[name](), plan, seed=3, keys=list(range(5)), device=CPU
    )
    variance = 1.0 / (1.0 + precision)
    for chains, at in zip(found, seen.tolist(), strict=True):
        assert chains.converged
        place = torch.special.ndtri(torch.from_numpy(chains.unit).double())
        away = (place - torch.tensor([variance * precision * at, 0.0, 0.0])).numpy()
        scale = np.sqrt([variance, 1.0, 1.0])
        # 5 standard errors of a mean of as many independent draws as these are worth.
        error = 5.0 / np.sqrt(np.minimum(chains.ess, away[..., 0].size))
        assert (np.abs(away.mean(axis=(0, 1))) < error * scale).all()
        assert (np.abs(away.std(axis=(0, 1)) / scale - 1.0) < error).all()


def test_published_acceptance_anneals_and_its_spread_is_no_posterior():
    """Far from the bounds draws have the variance of the posterior over ln(i + 2)."""
    steps, precision = 6000, 60.0
    plan = Plan(3, 1000, steps, steps, 1.05, 1.0)
    seen = torch.tensor([-0.4, 0.0, 0.5], dtype=torch.float64)
    found = run_chains(
        Gaussian(seen, precision), Annealing(), plan, seed=0, keys=[0, 1, 2], device=CPU
    )
    for chains, at in zip(found, seen.tolist(), strict=True):
        first = torch.special.ndtri(torch.from_numpy(chains.unit[..., 0]).double())
        assert float(first.mean()) == pytest.approx(at, abs=0.03)  # the optimum, not drawn to 0
        colder = float(first.std()) * np.sqrt(1.0 + precision)
        # The mean of ln(i + 2) over these steps is 8.2; 3 x 240 correlated draws.
        assert colder == pytest.approx(1.0 / np.sqrt(8.2), rel=0.3)
        flat = chains.unit[..., 1:]  # where nothing is known every step is taken
        assert flat.min() < 0.1
        assert flat.max() > 0.9


def test_published_acceptance_is_that_of_the_codes():
    rise = torch.tensor([-1.0, 0.0, 0.5, torch.inf, torch.nan], dtype=torch.float64)
    for step in (0, 7, 70_000):
        expected = [1.0, 1.0, (step + 2) ** -0.5, 0.0, 0.0]
        np.testing.assert_allclose(annealed(rise, step), expected, rtol=1e-12)


def test_prior_only_runs_return_the_uniform_prior():
    target = Gaussian(torch.zeros(40, dtype=torch.float64), 0.0)
    plan = Plan(4, 20, 20, 20, 1.05, 100.0)
    found = run_chains(
        target, SAMPLERS["hamiltonian"](), plan, seed=0, keys=list(range(40)), device=CPU
    )
    last = np.stack([one.unit[-1] for one in found]).reshape(-1, 3)  # independent by profile, chain
    assert min(kstest(column, "uniform").pvalue for column in last.T) > 0.01 / 3


def test_diagnostics_know_independent_and_correlated_and_split_chains():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2000, 4, 2))
    for step in range(1, 2000):
        noise[step, :, 1] = 0.9 * noise[step - 1, :, 1] + np.sqrt(0.19) * noise[step, :, 1]
    found = diagnose(torch.from_numpy(noise))
    # (1 - 0.9) / (1 + 0.9) of the draws; the estimate itself scatters by some 10 %.
    np.testing.assert_allclose(found.ess, [8000.0, 8000.0 / 19.0], rtol=0.2)
    assert (found.rhat < 1.02).all()
    apart = diagnose(torch.from_numpy(noise[..., 0] + np.array([0.0, 0.0, 0.0, 3.0])))
    assert apart.rhat > 1.5
    assert diagnose(torch.ones(8, 4)).rhat.isnan()


def test_pchip_is_that_of_scipy_between_the_nodes():
    rng = np.random.default_rng(1)
    values = rng.lognormal(size=(20, 2, 3))
    depth = rng.uniform(0.01, 8.0, (6, 3))
    layers = torch.full((3,), 20)
    found = pchip(torch.from_numpy(values), torch.from_numpy(depth), layers).numpy()
    for n in range(3):
        expected = PchipInterpolator(NODE_DEPTH[:20], values[:, :, n])(depth[:, n])
        np.testing.assert_allclose(found[:, :, n], expected, rtol=1e-10)


@pytest.fixture(scope="module")
def data() -> tuple[xr.Dataset, xr.Dataset]:
    grid = small_grid((6, 7))
    return grid, small_profiles(grid, 6)


@pytest.fixture(scope="module")
def counted(data) -> tuple[xr.Dataset, SolveCount]:
    with count_solves() as count:
        return retrieve(*data, samples=True, **SHORT), count


@pytest.fixture(scope="module")
def found(counted) -> xr.Dataset:
    return counted[0]


def test_everything_is_labelled_and_within_the_prior(found):
    for name, (low, high) in zip(PARAMETER_NAMES, prior_bounds("proda"), strict=True):
        assert found[name].attrs["units"]
        assert ((found[name] > low) & (found[name] < high)).all()
        assert (found[f"{name}_quantile"].diff("quantile") >= 0.0).all()
        # 8 draws of 4 chains and more: the mean lies between them.
        draws = found["parameter_samples"].sel(parameter=name)
        np.testing.assert_allclose(found[name], draws.mean(("chain", "draw")), rtol=1e-5)
    assert found["rhat"].dims == ("profile", "parameter")
    assert found.attrs["gradient_evaluations"] == 6 * 4 * (1 + 5 * 20)
    assert (found["steps"] == 12).all()


def test_published_retrieval_says_that_it_is_no_posterior(data):
    short = {"steps": 100, "max_steps": 100, "warmup": 20, "seed": 1, "device": "cpu"}
    grid, profiles = data
    whole = retrieve(grid, profiles, published=True, likelihood="published", chains=3, **short)
    one = profiles.isel(profile=[2])
    alone = retrieve(grid, one, published=True, likelihood="published", chains=3, **short)
    np.testing.assert_array_equal(alone["q10"], whole["q10"][[2]])
    assert "not a posterior" in whole.attrs["title"]
    assert "no posterior" in whole["q10_std"].attrs["comment"]
    assert (whole["forward_solves"] == 3 * (1 + 120)).all()
    low, high = prior_bounds("proda")[PARAMETER_NAMES.index("q10")]
    assert ((whole["q10"] > low) & (whole["q10"] < high)).all()
    other = retrieve(grid, one, published=True, chains=3, **short)
    assert not np.array_equal(other["q10"], alone["q10"])  # either likelihood is annealed


def test_equal_seeds_give_equal_chains_in_batches_of_any_size(data, found):
    again = retrieve(*data, samples=True, batch_size=2, **SHORT)
    xr.testing.assert_identical(again.drop_attrs(deep=False), found.drop_attrs(deep=False))


def test_batches_on_a_cluster_are_the_same_and_their_solves_are_counted(data, counted):
    found, here = counted
    short = {**SHORT, "samples": True, "batch_size": 3}
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        with count_solves() as there:
            again = retrieve(*data, **short)
        ran = client.run(lambda: "xbinn.science.proda.batch" in sys.modules)
    assert any(ran.values())
    xr.testing.assert_identical(again.drop_attrs(deep=False), found.drop_attrs(deep=False))
    assert (there.forward, there.transposed) == (here.forward, here.transposed)
    assert there.transposed == found.attrs["gradient_evaluations"]


def test_a_retrieval_goes_on_where_it_stopped(data, tmp_path):
    settings = {**SHORT, "batch_size": 3, "to": tmp_path / "kept"}
    whole = retrieve(*data, **settings)
    (tmp_path / "kept" / "batch-00001.npz").write_bytes(b"damaged")
    again = retrieve(*data, **settings)
    xr.testing.assert_identical(again.drop_attrs(deep=False), whole.drop_attrs(deep=False))
    lines = (tmp_path / "kept" / "ledger.jsonl").read_text().splitlines()
    # A head, two batches, one struck and computed anew: the other was not touched.
    assert [json.loads(line).get("tile") for line in lines] == [None, 0, 1, 1, 1]
    with pytest.raises(JobError, match="seed was '1' and is now '2'"):
        retrieve(*data, **{**settings, "seed": 2})


def test_a_folder_of_something_else_is_refused(data, tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(JobError, match="holds no retrieval: choose another folder"):
        retrieve(*data, to=tmp_path, **SHORT)
    with pytest.raises(JobError, match="is not there: make it first"):
        retrieve(*data, to=tmp_path / "absent" / "kept", **SHORT)


def test_all_settings_that_cannot_be_used_are_named(data):
    with pytest.raises(InputError, match=r"prior='x' .*; sampler='y' "):
        retrieve(*data, prior="x", sampler="y")
    with pytest.raises(InputError, match=r"published=True and sampler=... \(it takes the place"):
        retrieve(*data, published=True, sampler="metropolis")
    with pytest.raises(InputError, match=r"sampler='annealing' \(must be one of"):
        retrieve(*data, sampler="annealing")
    with pytest.raises(InputError, match=r"chains=1 .*; rhat=1.0 .*; to=... without seed"):
        retrieve(*data, chains=1, rhat=1.0, to="x")
