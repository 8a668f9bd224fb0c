"""Imported once, before the processes of the fault tests are forked; nothing here may compute."""

import os
import signal
import time

import dask
import torch
import xarray as xr
from distributed import Client
from distributed.cli import dask_scheduler, dask_worker

import xbinn
import xbinn.api
import xbinn.model
from xbinn.running import job, ledger, scheduling, store, tile

__all__ = [
    "Client", "dask", "dask_scheduler", "dask_worker", "job", "ledger", "os", "scheduling",
    "signal", "store", "tile", "time", "torch", "xbinn", "xr",
]  # fmt: skip
