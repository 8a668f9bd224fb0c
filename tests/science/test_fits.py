"""Several fits as independent tasks: the same models as one after the other."""

import inspect
import os
import pickle
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import dask
import numpy as np
import pytest
import torch
from distributed import Client, LocalCluster, Nanny, Scheduler, SpecCluster, get_task_stream

import xbinn
from xbinn.errors import DeviceError, InputError, TrainingError
from xbinn.labels.covariates import CovariateSpec, select_covariates
from xbinn.labels.sites import Sites, gather_sites
from xbinn.model import Model
from xbinn.science import fits
from xbinn.science.fits import fit_many
from xbinn.science.fitting import fit_sites
from xbinn.science.settings import FitSettings, fit_settings
from xbinn.testing import small_grid, small_profiles

GPU_WORKER = "tagged"
CPU = torch.device("cpu")
IN_PROCESS: dict[str, Any] = {"processes": False, "dashboard_address": "127.0.0.1:0"}


def settings(seed: int | None, **changed: Any) -> FitSettings:
    arguments = inspect.signature(fit_settings).parameters
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(xbinn.fit).parameters.items()
        if name in arguments
    }
    quick = {"epochs": 2, "hidden": 8, "block_size": 6.0, "seed": seed, "device": "cpu"}
    return fit_settings(**{**defaults, **quick, **changed})


SETTINGS = [settings(seed) for seed in (0, 1, 2, 3)]


@pytest.fixture(scope="module")
def data() -> tuple[Sites, CovariateSpec]:
    grid = small_grid((6, 7))
    spec = select_covariates(grid)
    return gather_sites(grid, small_profiles(grid, 60), spec, bedrock="closed"), spec


@pytest.fixture(scope="module")
def serial(data: tuple[Sites, CovariateSpec]) -> list[str]:
    return sha256(fit_many(*data, SETTINGS, device="cpu"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[SpecCluster]:
    """Two worker processes, one of which offers a GPU (that it does not have)."""
    options = {"nthreads": 1, "host": "127.0.0.1", "dashboard": False, "memory_limit": 0}
    workers = {
        "plain": {"cls": Nanny, "options": options},
        GPU_WORKER: {"cls": Nanny, "options": {**options, "resources": {"GPU": 1}}},
    }
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "dashboard": False, "port": 0}}
    # Else half a minute passes before a killed worker is given up.
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "5s"}),
        SpecCluster(workers=workers, scheduler=scheduler) as running,
    ):
        yield running


@pytest.fixture
def client(cluster: SpecCluster) -> Iterator[Client]:
    with Client(cluster, timeout=30) as connected:
        connected.wait_for_workers(2, timeout=60)
        # Imports done, so that the quicker worker does not take the work of the other.
        connected.run(pickle.loads, pickle.dumps(fit_many))
        yield connected


def sha256(models: list[Model]) -> list[str]:
    return [model.sha256 for model in models]


def worker_names(client: Client, records: list[dict[str, Any]]) -> list[str]:
    names = {a: w["name"] for a, w in client.scheduler_info(n_workers=-1)["workers"].items()}
    return [names[r["worker"]] for r in records]


def test_without_a_client_they_are_single_fits(data, serial) -> None:
    alone = [fit_sites(*data, s, device=CPU).sha256 for s in SETTINGS]
    assert serial == alone
    assert len(set(serial)) == len(SETTINGS)


def test_a_cluster_gives_the_same_models_in_order(data, serial, client) -> None:
    done: list[int] = []
    with get_task_stream(client) as stream:
        found = fit_many(*data, SETTINGS, device="cpu", report=done.append)
    assert sha256(found) == serial
    assert done == [1, 2, 3, 4]
    assert set(worker_names(client, stream.data)) == {"plain", GPU_WORKER}


def test_a_module_of_the_user_s_travels_to_the_workers(data, client) -> None:
    module = torch.nn.Sequential(torch.nn.LazyLinear(6), torch.nn.Tanh(), torch.nn.LazyLinear(21))
    asked = [settings(seed, encoder=module) for seed in (0, 1)]
    found = sha256(fit_many(*data, asked, device="cpu"))
    assert found == [fit_sites(*data, s, device=CPU).sha256 for s in asked]
    assert len(set(found)) == 2
    assert torch.nn.parameter.is_lazy(module[0].weight)


def test_workers_with_a_gpu_get_all_fits(data, client) -> None:
    with get_task_stream(client) as stream:
        assert len(fit_many(*data, SETTINGS[:3], device="auto")) == 3
    assert worker_names(client, stream.data) == [GPU_WORKER] * 3


def test_a_lost_worker_is_no_loss(data, serial, client) -> None:
    address = next(
        a
        for a, worker in client.scheduler_info(n_workers=-1)["workers"].items()
        if worker["name"] == GPU_WORKER
    )
    process = client.run(os.getpid, workers=[address])[address]

    def kill(done: int) -> None:
        if done == 1:  # the one that comes instead has to be given the sites, too
            os.kill(process, signal.SIGKILL)

    found = fit_many(*data, SETTINGS, device="auto", report=kill)
    assert process not in client.run(os.getpid).values()
    if not torch.cuda.is_available():
        assert sha256(found) == serial


@pytest.mark.parametrize("n_workers", [1, 2])
def test_threads_of_one_process_do_not_mix_their_random_numbers(data, serial, n_workers) -> None:
    with (
        LocalCluster(n_workers=n_workers, threads_per_worker=2, **IN_PROCESS) as here,
        Client(here, timeout=30),
    ):
        assert sha256(fit_many(*data, SETTINGS, device="cpu")) == serial


def test_two_callers_do_not_mix_their_random_numbers(data, serial) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(fit_many, *data, SETTINGS[:2], device="cpu") for _ in range(2)]
        assert [sha256(future.result(timeout=120)) for future in both] == [serial[:2]] * 2


def test_each_among_its_sites(data) -> None:
    sites, spec = data
    even = np.arange(sites.n_sites) % 2 == 0
    found = fit_many(sites, spec, SETTINGS[:2], among=[even, ~even], device="cpu")
    for model, keep, asked in zip(found, (even, ~even), SETTINGS, strict=False):
        part = fit_sites(sites.select(keep), spec, asked, device=CPU)
        assert model.sha256 == part.sha256
    wrong = [[even], [even, even[:-1]], [even, even.astype(int)]]
    for among in wrong:
        with pytest.raises(InputError, match=r"among holds .* give each fit a boolean array"):
            fit_many(sites, spec, SETTINGS[:2], among=among)


def test_each_with_its_samples(data) -> None:
    sites, spec = data
    even = np.arange(len(sites.soc)) % 2 == 0
    found = fit_many(sites, spec, SETTINGS[:2], samples=[even, ~even], device="cpu")
    everywhere = np.ones(sites.n_sites, dtype=bool)
    for model, keep, asked in zip(found, (even, ~even), SETTINGS, strict=False):
        part = fit_sites(sites.select(everywhere, keep), spec, asked, device=CPU)
        assert model.sha256 == part.sha256
    with pytest.raises(InputError, match=r"samples holds 1 arrays .* with one value a sample"):
        fit_many(sites, spec, SETTINGS[:2], samples=[even], device="cpu")


def test_nothing_to_fit(data) -> None:
    assert fit_many(*data, []) == []


FAILING = [settings(0), replace(settings(7), validation="no"), settings(1), settings(2)]  # type: ignore[arg-type]
NAMED = r"^fit 2 of 4 \(settings\[1\], seed 7\): validation='no' is not known"


def test_a_failing_fit_is_named(data) -> None:
    done: list[int] = []
    with pytest.raises(InputError, match=NAMED):
        fit_many(*data, FAILING, device="cpu", report=done.append)
    assert done == [1]


def test_a_failing_fit_on_a_cluster_is_named_and_the_rest_withdrawn(data, client) -> None:
    many = FAILING + [settings(seed) for seed in range(10, 30)]
    with get_task_stream(client) as stream:
        with pytest.raises(InputError, match=NAMED.replace("4", "24")):
            fit_many(*data, many, device="cpu")
        deadline = time.monotonic() + 30
        while client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
            assert time.monotonic() < deadline, "tasks are left behind"
            time.sleep(0.1)
    assert len(stream.data) < len(many) / 2


def test_any_other_failure_is_named(data, monkeypatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(fits, "fit_sites", fail)
    with pytest.raises(TrainingError, match=r"fit 1 of 1 .*seed None.* failed: MemoryError: no ro"):
        fit_many(*data, [settings(None)], device="cpu")


def test_a_gpu_that_nobody_offers(data) -> None:
    with (
        LocalCluster(n_workers=1, **IN_PROCESS) as here,
        Client(here, timeout=30),
        pytest.raises(DeviceError, match="none of the 1 workers offers the resource GPU"),
    ):
        fit_many(*data, SETTINGS, device="cuda")


def test_a_model_travels(data, serial) -> None:
    model = fit_many(*data, SETTINGS[:1], device="cpu")[0]
    there = pickle.loads(pickle.dumps(model))
    assert there.sha256 == serial[0]
    assert replace(there).sha256 == serial[0]
