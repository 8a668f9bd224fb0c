"""Ctrl-C of the command: how it ends, and that it can be gone on with."""

import os
import signal
import subprocess
import sys

import psutil
import pytest
from fault_helpers import CHUNKS, SECONDS, chunk_files, lines, wait_for

import xbinn
from xbinn.running import store

SLOW = """
import signal
import time
from xbinn.cli import main
from xbinn.running import tile
original = tile._run
def run(*arguments):
    time.sleep(0.5)
    return original(*arguments)
tile._run = run
# Whoever runs the tests in the background hands down that it is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize(
    "workers",
    [[], pytest.param(["--workers", "2"], marks=pytest.mark.slow)],
    ids=["threads", "processes"],
)
def test_ctrl_c_of_the_command(folder, grid, model, undisturbed, tmp_path, workers):
    path = tmp_path / "out.zarr"
    # Workers import the file of the command, and are as slow.
    (tmp_path / "command.py").write_text(SLOW)
    arguments = [
        *("predict", "--model", folder / "m.xbinn", "--data", folder / "grid.zarr", "--to", path),
        *("--chunks", ",".join(f"{dim}={n}" for dim, n in CHUNKS.items()), "--outputs", "soc"),
    ]
    process = subprocess.Popen(
        [sys.executable, tmp_path / "command.py", *arguments, *workers],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    children = []
    try:
        wait_for(lambda: process.poll() is not None or lines(tmp_path) > 1)
        assert process.poll() is None, process.communicate()
        children = psutil.Process(process.pid).children(recursive=True)
        # A terminal sends it to all processes that the command has started.
        os.killpg(process.pid, signal.SIGINT)
        printed, said = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert printed == ""
    assert "tiles of" in said
    assert "the same command begins again, or goes on where tiles are stored" in said
    if not workers:
        assert "Traceback" not in said
    assert bool(children) == bool(workers)
    assert not psutil.wait_procs(children, timeout=SECONDS)[1]
    assert store.attributes(path)[store.STATUS_ATTRIBUTE] == store.INCOMPLETE
    assert not (tmp_path / "out.zarr.lock").exists()
    command = [sys.executable, "-c", "from xbinn.cli import main; main()", *arguments]
    subprocess.run(command, check=True, timeout=SECONDS, capture_output=True)
    assert xbinn.verify(path).sound
    assert chunk_files(path) == undisturbed
