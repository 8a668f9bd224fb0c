"""Ctrl-C of the command: how it ends, and that it can be gone on with."""

import os
import signal
import subprocess
import sys
import time

from fault_helpers import CHUNKS, SECONDS, chunk_files

import xbinn
from xbinn.running import store

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
         "--data", folder / "grid.zarr", "--to", path, "--chunks", chunks, "--outputs", "soc"],
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
             "--to", path, "--chunks", chunks, "--outputs", "soc"]  # fmt: skip
    command = [sys.executable, "-c", "from xbinn.cli import main; main()", *again]
    subprocess.run(command, check=True, timeout=SECONDS, capture_output=True)
    assert xbinn.verify(path).sound
    assert chunk_files(path) == undisturbed
