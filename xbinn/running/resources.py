"""What a dask cluster offers: GPUs and memory."""

import sys
from typing import TYPE_CHECKING, Any, Final

import dask
from dask.base import get_scheduler

from xbinn.errors import DeviceError, JobError
from xbinn.running.device import choose_device

if TYPE_CHECKING:
    from distributed import Client

GPU: Final = "GPU"
"""Name of the resource by which workers offer a GPU, as dask-cuda and dask's own docs have it."""

_PATIENCE: Final = 60
"""Seconds to wait for the first worker."""


def current_client() -> "Client | None":
    """Return the distributed client that dask would compute with, if there is one."""
    if "distributed" not in sys.modules:
        return None
    return _client_of(get_scheduler())


def _client_of(scheduler: Any) -> "Client | None":
    # A client registers its bound method; any other scheduler is a plain function.
    owner = getattr(scheduler, "__self__", None)
    return owner if owner is not None and hasattr(owner, "scheduler_info") else None


def local_threads() -> int:
    """Return how many threads dask would use without a cluster.

    Raises
    ------
    JobError
        If dask is set to use processes.
    """
    scheduler = dask.config.get("scheduler", None)
    if scheduler is None or scheduler in ("threads", "threading"):
        return int(dask.config.get("num_workers", None) or dask.system.CPU_COUNT)
    if scheduler in ("sync", "synchronous", "single-threaded"):
        return 1
    raise JobError(
        f"dask's scheduler {scheduler!r} cannot run a tile job: choose 'threads' or 'synchronous', "
        "or start a cluster for processes: distributed.Client(n_workers=...)"
    )


def workers(client: "Client") -> dict[str, dict[str, Any]]:
    """Return what the scheduler knows of its workers, by address."""
    found: dict[str, dict[str, Any]] = client.scheduler_info(n_workers=-1)["workers"]
    return found


def check_device(device: str) -> None:
    """Refuse a device that will not be there, where a computation is set up.

    Raises
    ------
    DeviceError
        If this process, or with a cluster any of its workers, cannot offer it.
    """
    client = current_client()
    if client is None or device == "cpu" or not device.startswith(("auto", "cuda")):
        choose_device(device)
    elif device != "auto":
        gpu_resources(client, device)


def gpu_resources(client: "Client", device: str) -> dict[str, float] | None:
    """Return the resources to ask a cluster for, None for any worker.

    Parameters
    ----------
    client : Client
        Of the cluster.
    device : str
        As asked for: ``auto`` takes workers with a GPU where any offers one, ``cuda`` and
        ``cuda:1`` need them, ``cpu`` does not.

    Raises
    ------
    DeviceError
        If a GPU was asked for and no worker offers one: the job would wait for ever.
    """
    if device == "cpu":
        return None
    here = _wait_for_workers(client)
    if any(worker["resources"].get(GPU, 0) >= 1 for worker in here.values()):
        return {GPU: 1}
    if device == "auto":
        return None
    raise DeviceError(
        f"device {device!r} was asked for and none of the {len(here)} workers offers the "
        f'resource {GPU}: start workers with `dask worker --resources "{GPU}=1" ...` or with '
        f"dask_cuda.LocalCUDACluster(resources={{\"{GPU}\": 1}}), or choose device='auto' or "
        "device='cpu'"
    )


def _wait_for_workers(client: "Client") -> dict[str, dict[str, Any]]:
    """Wait for the first worker of a cluster that is still starting."""
    if not workers(client):
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            raise JobError(
                f"the cluster has had no worker for {_PATIENCE} s: start some, and see that they "
                "reach the scheduler"
            ) from error
    return workers(client)
