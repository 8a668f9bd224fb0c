"""Which workers get work: those with a GPU where any has one, none where there is none."""

import re

import dask
import pytest
from distributed import Client, Scheduler, SpecCluster, Worker, get_worker

import xbinn
from xbinn.errors import DeviceError, InputError, JobError
from xbinn.running import block, resources
from xbinn.running.resources import current_client, gpu_resources
from xbinn.testing import small_grid, small_profiles


def cluster(*tags: dict) -> SpecCluster:
    """Workers in this process, with resources."""
    return SpecCluster(
        workers={
            i: {"cls": Worker, "options": {"nthreads": 1, "resources": tag, "name": f"w{i}"}}
            for i, tag in enumerate(tags)
        },
        scheduler={"cls": Scheduler, "options": {"dashboard": False, "dashboard_address": ":0"}},
    )


@pytest.fixture(scope="module")
def tagged():
    with cluster({"GPU": 1}, {}) as c, Client(c) as client:
        yield client


@pytest.fixture(scope="module")
def model():
    grid = small_grid()
    return xbinn.fit(grid, small_profiles(grid), epochs=1, seed=0, hidden=(4,))


def test_workers_with_a_gpu_are_asked_for_where_there_are_any(tagged):
    assert current_client() is tagged
    assert gpu_resources(tagged, "auto") == {"GPU": 1}
    assert gpu_resources(tagged, "cuda") == {"GPU": 1}
    assert gpu_resources(tagged, "cpu") is None


def test_a_lazy_result_runs_where_it_is_sent(tagged, model, monkeypatch):
    names = []
    pack = block.pack
    monkeypatch.setattr(block, "pack", lambda *a: names.append(get_worker().name) or pack(*a))
    lazy = xbinn.predict(small_grid().chunk(lat=1, lon=1), model)
    lazy.compute(resources={"GPU": 1})
    assert set(names) == {"w0"}
    assert len(names) > 10
    names.clear()
    with dask.annotate(resources={"GPU": 1}):
        lazy.compute()
    assert set(names) == {"w0"}
    assert len(names) > 10


def test_a_grid_that_the_cluster_holds_is_refused(tagged, model, tmp_path):
    held = small_grid().chunk(lat=1).persist()
    with pytest.raises(InputError, match=r"is held by the cluster \(persist\).*before persist"):
        xbinn.predict(held, model, to=tmp_path / "out.zarr")


def test_no_gpu_anywhere_is_said_at_once(model, tmp_path):
    with cluster({}) as c, Client(c) as client:
        assert gpu_resources(client, "auto") is None
        message = re.escape("none of the 1 workers offers the resource GPU: start workers with")
        with pytest.raises(DeviceError, match=message):
            xbinn.predict(small_grid().chunk(lat=1), model, device="cuda")
        with pytest.raises(DeviceError, match=message):
            xbinn.predict(small_grid(), model, to=tmp_path / "out.zarr", device="cuda:1")
        with pytest.raises(DeviceError, match="is not supported"):
            xbinn.predict(small_grid(), model, device="meta")
    assert not list(tmp_path.iterdir())


def test_a_cluster_without_workers_is_waited_for_and_then_refused(monkeypatch):
    monkeypatch.setattr(resources, "_PATIENCE", 0.2)
    with (
        cluster() as c,
        Client(c) as client,
        pytest.raises(JobError, match=r"has had no worker for 0\.2 s"),
    ):
        gpu_resources(client, "auto")


def test_another_scheduler_that_was_chosen_is_respected(tagged):
    with dask.config.set(scheduler="synchronous"):
        assert current_client() is None
    assert current_client() is tagged
