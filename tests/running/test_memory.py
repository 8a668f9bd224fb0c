"""What cannot fit is refused, with an estimate and a chunking that fits."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

import xbinn
from xbinn.errors import JobError
from xbinn.running import memory
from xbinn.running.layout import Layout
from xbinn.running.memory import available, check_memory, input_bytes, tile_bytes
from xbinn.running.tiling import cut
from xbinn.testing import small_grid

LAYOUT = Layout(("parameters", "processes", "soc"))
EDGE = 24
"""Copies of the small grid along each edge of a tile."""


def forcing(grid: xr.Dataset) -> xr.Dataset:
    return grid[["TSOI", "W_SCALAR", "ALTMAX", "nbedrock"]]


def test_bytes_of_a_cell():
    grid = forcing(small_grid())
    expected = sum(v.nbytes for v in grid.data_vars.values()) / (
        grid.sizes["lat"] * grid.sizes["lon"]
    )
    assert input_bytes(grid, ("lat", "lon")) == pytest.approx(expected, rel=1e-12)


def test_a_chunk_that_is_read_as_a_whole_counts_as_a_whole():
    grid = forcing(small_grid())
    sizes = {d: grid.sizes[d] for d in ("lat", "lon")}
    tiling = cut(sizes, {}, chunks={"lat": 1, "lon": 1})
    apart = tile_bytes(grid.chunk(lat=1, lon=1), tiling, LAYOUT, "float32")
    whole = tile_bytes(grid.chunk(), tiling, LAYOUT, "float32")
    cells = grid.sizes["lat"] * grid.sizes["lon"]
    assert whole - apart == pytest.approx(
        2.0 * (cells - 1) * input_bytes(grid, tuple(sizes)), rel=1e-6
    )


@pytest.mark.parametrize("chunked", [False, True])
def test_refused_with_a_chunking_that_fits(chunked):
    grid = forcing(small_grid())
    grid = xr.concat([grid] * 400, "lat", data_vars="minimal")
    grid = grid.chunk() if chunked else grid
    sizes = {d: grid.sizes[d] for d in ("lat", "lon")}
    tiling = cut(sizes, {d: (n,) for d, n in sizes.items()} if chunked else {}, chunks=sizes)
    needed = tile_bytes(grid, tiling, LAYOUT, "float32")
    where = "open the grid" if chunked else "call predict"
    with pytest.raises(JobError, match=rf"needs about .* GiB and a thread has .*{where} with") as e:
        check_memory(grid, tiling, LAYOUT, "float32", needed / 2)
    advised = eval(re.search(r"chunks=(\{.*?\})", str(e.value)).group(1))
    better = cut(sizes, {}, chunks=advised)
    grid = grid.chunk(advised) if chunked else grid
    check_memory(grid, better, LAYOUT, "float32", needed / 2)


def test_memory_of_this_process_is_shared_by_its_threads():
    import dask

    with dask.config.set(scheduler="synchronous"):
        alone = available(None)
    with dask.config.set(scheduler="threads", num_workers=4):
        assert available(None) == pytest.approx(alone / 4, rel=1e-12)
    with (
        dask.config.set(scheduler="processes"),
        pytest.raises(JobError, match="'processes' cannot run a tile job"),
    ):
        available(None)


def test_a_job_refuses_chunks_that_cannot_fit(tmp_path, monkeypatch):
    grid = small_grid()
    model = xbinn.fit(grid, xbinn.testing.small_profiles(grid), epochs=1, seed=0, hidden=(4,))
    monkeypatch.setattr(memory, "MEMORY_LIMIT", 1000)
    with pytest.raises(JobError, match=r"a tile of lat \d+ x lon \d+ needs about"):
        xbinn.predict(grid, model, to=tmp_path / "out.zarr")


GROWTH = r"""
import re, sys, dask, xarray as xr, xbinn
from pathlib import Path
dask.config.set(scheduler="synchronous")
grid = xr.open_zarr(sys.argv[1], consolidated=False)
model = xbinn.load(sys.argv[2])
xbinn.predict(grid, model, to=sys.argv[3])
print(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text()).group(1))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's account")
def test_memory_does_not_grow_with_the_grid(tmp_path):
    """Twenty times the tiles, less than 15 % more memory."""
    small = small_grid()
    model = xbinn.fit(small, xbinn.testing.small_profiles(small), epochs=1, seed=0, hidden=(4,))
    model.save(tmp_path / "m.xbinn")
    peaks = []
    for tiles in (1, 20):
        wide = xr.concat([small] * EDGE, "lon", data_vars="minimal", coords="minimal").chunk()
        grid = xr.concat([wide] * (EDGE * tiles), "lat", data_vars="minimal", coords="minimal")
        sizes = {d: grid.sizes[d] for d in ("lat", "lon")}
        grid = grid.assign_coords({d: [i * 1e-3 for i in range(n)] for d, n in sizes.items()})
        grid = grid.chunk(lat=EDGE * small.sizes["lat"], lon=sizes["lon"])
        grid.to_zarr(tmp_path / f"{tiles}.zarr", consolidated=False)
        command = [sys.executable, "-c", GROWTH, tmp_path / f"{tiles}.zarr", tmp_path / "m.xbinn"]
        done = subprocess.run(
            [*command, tmp_path / f"out{tiles}.zarr"], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout))
    assert peaks[1] < 1.15 * peaks[0]
