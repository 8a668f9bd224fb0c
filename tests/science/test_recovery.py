"""What a fit finds of known parameters: scores, labels, what is held, where it runs."""

import numpy as np
import pytest
import torch
import xarray as xr
from distributed import Client
from torch import nn

from xbinn.errors import InputError
from xbinn.labels.covariates import select_covariates
from xbinn.parameters import PARAMETER_NAMES
from xbinn.science import recovery_case
from xbinn.science.recovery import SUBSET, Case, recover_parameters
from xbinn.science.recovery_case import RECOVERED_PROCESSES
from xbinn.science.recovery_scores import (
    SCORES,
    Recovered,
    _compare,
    _of_samples,
    label_recovery,
)
from xbinn.science.synthetic import LIMITS, SPREAD
from xbinn.testing import small_grid, small_profiles

FIT = {"epochs": 3, "hidden": 16, "block_size": 4.0}
CASES = [Case("smooth", 0.3), Case("linear", 0.0, SUBSET)]


@pytest.fixture(scope="module")
def data() -> tuple[xr.Dataset, xr.Dataset]:
    grid = small_grid((7, 8))
    return grid, small_profiles(grid, 80)


@pytest.fixture(scope="module")
def found(data) -> xr.Dataset:
    return recover_parameters(*data, cases=CASES, samples=8, fit=FIT, device="cpu")


def test_everything_is_labelled(found):
    assert list(found["case"].values) == [
        "smooth, noise 30 %, 21 unknown",
        "linear, noise 0 %, 4 unknown",
    ]
    assert list(found["parameter"].values) == list(PARAMETER_NAMES)
    assert list(found["process"].values) == list(RECOVERED_PROCESSES)
    for name, da in found.data_vars.items():
        assert da.attrs["units"] == "1", name
        assert da.attrs["long_name"], name
    assert found["parameter_estimate"].dims == ("case", "parameter", "site")
    assert found.attrs["held_out_sites"] == found.sizes["site"]


def test_known_parameters_have_no_score_and_others_have(found):
    held = found.isel(case=1)
    known = [name for name in PARAMETER_NAMES if name not in SUBSET]
    assert held["parameter_rmse"].sel(parameter=known).isnull().all()
    assert held["index"].sel(parameter=known).isnull().all()
    for name in SCORES:
        assert held[f"parameter_{name}"].sel(parameter=list(SUBSET)).notnull().all()
        assert found[f"parameter_{name}"].isel(case=0).notnull().all()


def test_a_process_of_known_parameters_alone_is_not_scored(found):
    held = found.isel(case=1)
    # beta is known there, and with it the depth shape of the input; litter passes on as known.
    for process in ("input_allocation", "litter_transfer_fraction"):
        assert np.isnan(held["process_rmse"].sel(process=process))
        np.testing.assert_allclose(
            held["process_estimate"].sel(process=process),
            held["process_true"].sel(process=process),
            rtol=1e-9,
        )
    assert held["process_rmse"].sel(process="residence_time").notnull()


def test_intervals_hold_the_estimates_and_lie_in_the_prior(found):
    for what in ("parameter", "process"):
        low, high = (found[f"{what}_{name}"] for name in ("low", "high"))
        assert ((high >= low) | low.isnull()).all()
    unit = found["parameter_estimate"]
    assert ((unit > 0.0) & (unit < 1.0) | unit.isnull()).all()
    assert ((found["parameter_true"] >= LIMITS[0]) | unit.isnull()).all()


def test_known_parameters_are_not_in_the_fit(data, monkeypatch):
    seen = []
    whole = recovery_case.BINN

    def spy(encoder, process, *, prior):
        seen.append((encoder.config["n_outputs"], process.unknown))
        return whole(encoder, process, prior=prior)

    monkeypatch.setattr(recovery_case, "BINN", spy)
    recover_parameters(*data, cases=CASES[1:], samples=2, fit={**FIT, "epochs": 1}, device="cpu")
    assert seen == [(len(SUBSET), SUBSET)]


def test_nothing_is_learnt_from_held_out_blocks(data, found, monkeypatch):
    trained = []
    whole = recovery_case.train_on

    def spy(network, learnt, stop, settings):
        trained.append(learnt)
        return whole(network, learnt, stop, settings)

    monkeypatch.setattr(recovery_case, "train_on", spy)
    fit = {**FIT, "epochs": 1}
    recover_parameters(*data, cases=CASES[:1], samples=2, fit=fit, device="cpu")
    grid, _ = data
    covariates = [n for n, _ in select_covariates(grid).numeric]
    held = grid[covariates].sel(lat=found["lat"], lon=found["lon"]).to_array().values.T
    (learnt,) = trained
    assert learnt.n_sites == found.attrs["training_sites"]
    assert len(learnt.observed) == found.attrs["training_samples"]
    assert not {tuple(row) for row in held} & {tuple(row) for row in learnt.numeric.numpy()}


def test_a_fit_comes_closer_to_the_truth_than_an_unfitted_network(data):
    case = [Case("linear", 0.0, ("tau4s3",))]
    # Trained to the end: so few cells would stop it early.
    fit = {**FIT, "dropout": 0.05, "weight_decay": 0.01, "validation": None, "hidden": 32}
    few, many = (
        recover_parameters(*data, cases=case, samples=8, fit={**fit, "epochs": n}, device="cpu")
        for n in (1, 60)
    )
    before, after = (float(r["parameter_rmse"].sel(parameter="tau4s3").item()) for r in (few, many))
    assert after < 0.8 * before
    assert many["parameter_correlation"].sel(parameter="tau4s3").item() > 0.8


def test_workers_find_the_same(data, found):
    options = {"processes": False, "dashboard_address": "127.0.0.1:0"}
    with Client(n_workers=2, threads_per_worker=1, **options) as client:
        assert len(client.scheduler_info()["workers"]) == 2
        done = []
        there = recover_parameters(
            *data, cases=CASES, samples=8, fit=FIT, device="cpu", report=done.append
        )
    assert done == [1, 2]
    xr.testing.assert_identical(there, found)


def test_scores_are_what_they_say():
    true = np.linspace(0.2, 0.8, 25)[None]
    noise = np.linspace(-0.1, 0.1, 201)[:, None, None]
    scores = _compare(
        true,
        _of_samples(true + 0.05 + noise),
        mean=np.full_like(true, 0.5),
        variance=np.full_like(true, 1.0 / 12.0),
        span=np.array([2.0]),
    )
    assert scores["bias"][0] == pytest.approx(0.025)
    assert scores["rmse"][0] == pytest.approx(0.025)
    assert scores["correlation"][0] == pytest.approx(1.0)
    assert scores["r2"][0] == pytest.approx(1.0 - 0.05**2 / true.var())
    assert scores["coverage"][0] == 1.0
    shift = np.sqrt(((true + 0.05 - 0.5) ** 2).mean() * 12.0)
    assert scores["shift"][0] == pytest.approx(shift)
    assert scores["contraction"][0] == pytest.approx(1.0 - 12.0 * noise.var(ddof=1))


def test_a_missed_truth_is_not_covered(data, found):
    n = found.sizes["site"]
    sites = _Places(np.zeros(n), np.zeros(n))
    rng = np.random.default_rng(0)
    process = rng.standard_normal((5, len(RECOVERED_PROCESSES), n))
    result = label_recovery(
        Recovered(
            ("beta",),
            SPREAD,
            np.full((1, n), 0.9),
            np.full((4, 1, n), 0.1) + 0.01 * rng.random((4, 1, n)),
            process[0],
            process,
            process,
        ),
        sites,
    )
    assert float(result["parameter_coverage"].item()) == 0.0
    assert np.isnan(float(result["parameter_correlation"].item()))


class _Places:
    def __init__(self, lat: np.ndarray, lon: np.ndarray) -> None:
        self.lat, self.lon = lat, lon


def test_what_cannot_be_used_is_refused_all_at_once(data):
    cases = [Case("cubic", 0.3), Case("linear", 0.9), Case("linear", 0.9), Case(spread=0)]
    with pytest.raises(
        InputError,
        match=r"kind='cubic' .*noise=0.9 .*spread=0 .*one name .*samples=1 .*"
        r"'linear' \(without dropout",
    ):
        recover_parameters(*data, cases=cases, samples=1, fit={"encoder": "linear"})
    with pytest.raises(InputError, match=r"cases is empty \(give one or more\)"):
        recover_parameters(*data, cases=[])
    with pytest.raises(InputError, match="tau are no parameters"):
        recover_parameters(*data, cases=[Case(unknown=("tau",))])
    with pytest.raises(
        InputError, match=r"noise='much' .*; seed=None .*; samples=2\.5 \(must be a"
    ):
        recover_parameters(*data, cases=[Case(noise="much")], seed=None, samples=2.5)
    for cases in (Case(), ["smooth"]):
        with pytest.raises(InputError, match=r"must be a sequence of Case\): .*\[Case\(\.\.\.\)\]"):
            recover_parameters(*data, cases=cases)
    with pytest.raises(InputError, match=r"the fraction held out .* not be 'a fifth'"):
        recover_parameters(*data, fraction="a fifth")


def test_keywords_of_the_fit_are_never_ignored(data):
    with pytest.raises(
        InputError, match="seed: give it to recover_parameters itself; depth: no keyword; it may"
    ):
        recover_parameters(*data, fit={"seed": 1, "depth": 3})
    with pytest.raises(InputError, match=r"fit=\['epochs'\] is of type list: give a mapping"):
        recover_parameters(*data, fit=["epochs"])


def test_a_module_of_the_users_needs_dropout_too(data):
    layers = nn.Sequential(nn.LazyLinear(4))
    with pytest.raises(
        InputError, match="without dropout there is no interval: give several members"
    ):
        recover_parameters(*data, fit={"encoder": layers})
    assert torch.is_grad_enabled()


def test_members_take_turns(data):
    both, alone = (
        recover_parameters(*data, cases=CASES[:1], samples=2, fit=fit, device="cpu")
        for fit in ({**FIT, "members": 2}, FIT)
    )
    assert (both.attrs["members"], alone.attrs["members"]) == (2, 1)
    xr.testing.assert_identical(both["parameter_true"], alone["parameter_true"])
    # Two networks differ more than two draws of one.
    spread = [float((1.0 - r["parameter_contraction"]).median()) for r in (both, alone)]
    assert spread[0] > spread[1]


def test_too_few_samples_for_the_members_are_refused(data):
    with pytest.raises(InputError, match=r"samples=2 \(must be a whole number, 3 or more\)"):
        recover_parameters(*data, samples=2, fit={"members": 3})
