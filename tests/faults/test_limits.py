"""A grid that does not fit into memory, and Ctrl-C of the command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fault_helpers import CHUNKS, SECONDS, chunk_files

import xbinn
from xbinn.running import store

LIMITED = r"""
import re, resource, sys, dask, numpy as np, xarray as xr, xbinn
from pathlib import Path
from xbinn.testing import small_grid
folder, model = sys.argv[1:]
dask.config.set(scheduler="synchronous")
model = xbinn.load(model)
tile = small_grid((40, 25))
# Imports, caches and threads, whose stacks take address space too.
xbinn.predict(tile.chunk(lat=20), model, to=f"{folder}/first.zarr", outputs="soc")
row = xr.concat([tile.chunk()] * 10, "lon", data_vars="minimal", coords="minimal")
grid = xr.concat([row] * 10, "lat", data_vars="minimal", coords="minimal")
places = {"lat": 30 + 0.1 * np.arange(400), "lon": 0.1 * np.arange(250)}
grid = grid.assign_coords(places)
# Every tile differs from the others.
grid["TSOI"] = (grid["TSOI"] + 0.01 * grid["lat"] + 0.001 * grid["lon"]).assign_attrs(
    tile["TSOI"].attrs
)
now = int(re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024
room = int(0.6 * grid.nbytes)
resource.setrlimit(resource.RLIMIT_AS, (now + room, now + room))
try:
    grid.compute()
except MemoryError:
    pass
else:
    raise SystemExit("the whole grid fits: nothing is shown")
chunks = {"lat": 40, "lon": 25}
for name, ds in {"even": grid, "odd": grid.chunk(lat=37, lon=(61, 100, 89))}.items():
    out = xbinn.predict(ds, model, to=f"{folder}/{name}.zarr", chunks=chunks, outputs="soc")
    assert out.attrs["xbinn_job_status"] == "complete"
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's account")
def test_a_grid_of_a_hundred_tiles_that_does_not_fit_into_memory(folder, tmp_path):
    command = [sys.executable, "-c", LIMITED, tmp_path, folder / "m.xbinn"]
    # Else glibc sets address space aside for each thread.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=2 * SECONDS, env=environment
    )
    assert done.returncode == 0, done.stderr
    even = chunk_files(tmp_path / "even.zarr")
    assert len(even) > 100
    assert chunk_files(tmp_path / "odd.zarr") == even
    found = xbinn.verify(tmp_path / "even.zarr")
    assert found.sound
    assert found.tiles == 100


SLOW = """
import signal, time
from xbinn.cli import main
from xbinn.running import tile
# Whoever runs the tests in the background hands down that it is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
original = tile._run
tile._run = lambda *a: time.sleep(0.5) or original(*a)
main()
"""


def test_ctrl_c_of_the_command(folder, grid, model, undisturbed, tmp_path):
    path = tmp_path / "out.zarr"
    chunks = ",".join(f"{dim}={n}" for dim, n in CHUNKS.items())
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, "predict", "--model", folder / "m.xbinn",
         "--data", folder / "grid.zarr", "--to", path, "--chunks", chunks],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    ledger, deadline = tmp_path / "out.zarr.ledger", time.monotonic() + SECONDS
    try:
        while not (ledger.exists() and ledger.read_text().count("\n") > 1):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 130
    assert printed == ""
    assert "tiles of" in said
    assert "the same command begins again, or goes on where tiles are stored" in said
    assert "Traceback" not in said
    assert store.attributes(path)[store.STATUS_ATTRIBUTE] == store.INCOMPLETE
    assert not (tmp_path / "out.zarr.lock").exists()
    again = ["predict", "--model", folder / "m.xbinn", "--data", folder / "grid.zarr",
             "--to", path, "--chunks", chunks]  # fmt: skip
    command = [sys.executable, "-c", "from xbinn.cli import main; main()", *again]
    subprocess.run(command, check=True, timeout=SECONDS, capture_output=True)
    assert xbinn.verify(path).sound
    assert chunk_files(path) == undisturbed
