"""Files that are damaged, inputs that differ, disks that are full."""

import errno
import json
import re
import shutil

import dask
import numpy as np
import pytest
import torch
import xarray as xr
from fault_helpers import CHUNKS, JOB, chunk_files

import xbinn
from xbinn.errors import InputError, JobError
from xbinn.running import block, store, tile
from xbinn.running.job import ledger_path
from xbinn.running.ledger import Ledger


@pytest.fixture
def path(folder, undisturbed, tmp_path):
    """A complete store, with its ledger."""
    path = tmp_path / "out.zarr"
    shutil.copytree(folder / "undisturbed.zarr", path)
    shutil.copy(ledger_path(folder / "undisturbed.zarr"), ledger_path(path))
    return path


def again(grid, model, path, **kwargs) -> xr.Dataset:
    return xbinn.predict(grid, model, to=path, **{**JOB, **kwargs})


# --- chunks -----------------------------------------------------------------------------------


def flip(file) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 16
    file.write_bytes(content)


DAMAGE = {
    "flipped": flip,
    "truncated": lambda f: f.write_bytes(f.read_bytes()[:-3]),
    "deleted": lambda f: f.unlink(),
    "emptied": lambda f: f.write_bytes(b""),
}


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        *((d, "soc/c/0/1/1") for d in DAMAGE),
        ("deleted", "status/c/1/1"),
        ("flipped", "cSoil/c/1/1"),
    ],
)
def test_a_damaged_chunk_is_found_and_mended(grid, model, path, undisturbed, damage, name):
    assert xbinn.verify(path).sound
    DAMAGE[damage](path / name)
    found = xbinn.verify(path)
    assert list(found.damaged) == ["tile (1, 1), lat[1:2], lon[2:4]"]
    assert not found.sound
    assert found.status == store.COMPLETE  # nothing is changed without being asked
    assert xbinn.verify(path, repair=True).repaired
    assert store.attributes(path)[store.STATUS_ATTRIBUTE] == store.INCOMPLETE
    again(grid, model, path)
    assert xbinn.verify(path).sound
    assert chunk_files(path) == undisturbed


def test_what_was_never_a_job_cannot_be_verified(tmp_path, path):
    with pytest.raises(
        JobError, match=r"none.zarr is not there: only the Zarr store of a tile job"
    ):
        xbinn.verify(tmp_path / "none.zarr")
    ledger_path(path).unlink()
    with pytest.raises(JobError, match=r"out.zarr.ledger is not there"):
        xbinn.verify(path)


# --- ledger -----------------------------------------------------------------------------------


def test_a_torn_last_line_is_dropped_wherever_it_is_torn(grid, model, path, undisturbed):
    whole = ledger_path(path).read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    n_tiles = len(Ledger.read(ledger_path(path)).done)
    for cut in range(start, len(whole)):
        ledger_path(path).write_bytes(whole[:cut])
        assert len(Ledger.read(ledger_path(path)).done) == n_tiles - 1
    found = xbinn.verify(path)
    assert (found.stored, found.damaged, found.sound) == (found.tiles - 1, {}, False)
    again(grid, model, path)
    assert ledger_path(path).read_bytes().count(b"\n") == whole.count(b"\n")
    assert xbinn.verify(path).sound
    assert chunk_files(path) == undisturbed


@pytest.mark.parametrize("spoil", [b"garbage\n", b'{"tile": 1}\n', b"[1]\n"])
def test_a_ledger_spoilt_in_the_middle_is_refused(grid, model, path, spoil):
    first, rest = ledger_path(path).read_bytes().split(b"\n", 1)
    ledger_path(path).write_bytes(first + b"\n" + spoil + rest)
    with pytest.raises(
        JobError, match=r"is damaged .* not only cut off at its end.*overwrite=True"
    ):
        again(grid, model, path)
    again(grid, model, path, overwrite=True)
    assert xbinn.verify(path).sound


def test_a_ledger_of_another_format_is_refused(grid, model, path):
    content = ledger_path(path).read_text().replace('"xbinn_ledger": 1', '"xbinn_ledger": 2', 1)
    ledger_path(path).write_text(content)
    with pytest.raises(JobError, match="is a ledger of format 2"):
        again(grid, model, path)


# --- another job ------------------------------------------------------------------------------


def test_another_job_is_refused_with_both_values(grid, model, path, folder):
    other = xbinn.fit(grid, xbinn.testing.small_profiles(grid), epochs=1, seed=1, hidden=(4,))
    celsius = grid.assign(TSOI=(grid["TSOI"] - 273.15).assign_attrs(units="degC"))
    moved = grid.assign_coords(lat=grid["lat"] + 0.5)
    cases = [
        (
            lambda: again(grid, other, path),
            f"model was '{model.sha256}' and is now '{other.sha256}",
        ),
        (lambda: again(celsius, model, path), "TSOI was .* K, .* and is now .* degC"),
        (lambda: again(moved, model, path), "coordinate lat was 'sha256 .*' and is now"),
        (
            lambda: again(grid, model, path, outputs="processes"),
            "outputs was 'soc' and is now 'processes'",
        ),
        (
            lambda: xbinn.predict(grid, model, to=path, chunks={"lat": 2}),
            "tile was 'lat 1, lon 2' and is now 'lat 2, lon 5'",
        ),
        (lambda: again(grid.isel(lat=slice(3)), model, path), "grid was 'lat 4, lon 5' and is now"),
    ]
    for call, match in cases:
        with pytest.raises(JobError, match=match):
            call()
    again(grid, other, path, overwrite=True)
    assert xbinn.verify(path).sound


def test_a_grid_that_was_written_again_is_another(folder, model, tmp_path):
    shutil.copytree(folder / "grid.zarr", tmp_path / "grid.zarr")

    def opened():
        return xr.open_zarr(tmp_path / "grid.zarr", consolidated=False, decode_coords="all")

    again(opened(), model, tmp_path / "out.zarr")
    again(opened(), model, tmp_path / "out.zarr")
    changed = opened().compute()
    changed["TSOI"][:, :, 0, 4] += 1.0  # not one of the cells that are looked at
    shutil.rmtree(tmp_path / "grid.zarr")
    changed.drop_encoding().chunk(CHUNKS).to_zarr(tmp_path / "grid.zarr", consolidated=False)
    with pytest.raises(JobError, match=r"file .*grid.zarr was '.*' and is now"):
        again(opened(), model, tmp_path / "out.zarr")


def test_what_is_no_job_is_left_alone(grid, model, tmp_path):
    (tmp_path / "thesis.zarr").mkdir()
    (tmp_path / "thesis.zarr" / "chapter1").write_text("years of work")
    with pytest.raises(JobError, match="exists and no ledger of a tile job"):
        again(grid, model, tmp_path / "thesis.zarr")
    with pytest.raises(JobError, match="is no Zarr store and is not overwritten"):
        again(grid, model, tmp_path / "thesis.zarr", overwrite=True)
    assert (tmp_path / "thesis.zarr" / "chapter1").read_text() == "years of work"


def test_a_store_without_its_ledger_or_a_ledger_without_its_store(grid, model, path, tmp_path):
    path.rename(tmp_path / "elsewhere.zarr")
    with pytest.raises(
        JobError, match=r"lists \d+ finished tiles and .* is not there: put it back"
    ):
        again(grid, model, path)
    xbinn.predict(grid, model, to=path, chunks={"lat": 2}, overwrite=True)
    path.rename(tmp_path / "other.zarr")
    (tmp_path / "elsewhere.zarr").rename(path)
    with pytest.raises(JobError, match=r"is not the store that .* belongs to"):
        xbinn.predict(grid, model, to=path, chunks={"lat": 2})


@pytest.mark.parametrize(
    ("to", "error", "match"),
    [
        ("s3://bucket/out.zarr", InputError, "needs a folder"),
        ("out.tif", InputError, r"must end in \.zarr or \.nc"),
        ("nowhere/out.zarr", JobError, "is not there: make it first"),
    ],
)
def test_impossible_targets(grid, model, tmp_path, monkeypatch, to, error, match):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=match):
        again(grid, model, to)
    with pytest.raises(InputError, match=r"overwrite.*to=\.\.\. does not say where"):
        xbinn.predict(grid, model, overwrite=True)


# --- tiles that fail --------------------------------------------------------------------------


def test_a_poison_tile_is_named_and_the_others_are_stored(grid, model, tmp_path):
    bad = grid["nbedrock"].compute().copy()
    bad[1, 3] = 3.5
    poisoned = grid.assign(nbedrock=bad)
    with pytest.raises(JobError, match=r"1 of \d+ tiles .*tile \(1, 1\).*nbedrock.*lat=1.*lon=3"):
        again(poisoned, model, tmp_path / "out.zarr")
    found = xbinn.verify(tmp_path / "out.zarr")
    assert found.stored == found.tiles - 1
    out = store.reopen(tmp_path / "out.zarr")
    assert (out["status"][1, 2:4] == store.NOT_COMPUTED).all()
    assert out.attrs[store.STATUS_ATTRIBUTE] == store.INCOMPLETE


@pytest.mark.parametrize("what", ["read", "write"])
def test_a_disk_that_fails_for_a_moment(grid, model, undisturbed, tmp_path, monkeypatch, what):
    monkeypatch.setattr(tile, "_PAUSE", 0.0)
    failures = [2]

    def fails_twice(function):
        def call(*args, **kwargs):
            if failures[0]:
                failures[0] -= 1
                raise OSError(errno.EIO, "stale file handle")
            return function(*args, **kwargs)

        return call

    if what == "read":
        monkeypatch.setattr(xr.Dataset, "compute", fails_twice(xr.Dataset.compute))
        failures[0] = 0
        template = store.create
        monkeypatch.setattr(store, "create", lambda *a: (template(*a), failures.__setitem__(0, 2)))
    else:
        monkeypatch.setattr(store, "write_tile", fails_twice(store.write_tile))
    with dask.config.set(scheduler="synchronous"):
        again(grid, model, tmp_path / "out.zarr")
    noted = [json.loads(line) for line in ledger_path(tmp_path / "out.zarr").open()][1:]
    notes = [note for entry in noted for note in entry["notes"]]
    assert notes == [f"{what} again after OSError: [Errno 5] stale file handle"] * 2
    assert chunk_files(tmp_path / "out.zarr") == undisturbed


def test_a_disk_that_keeps_failing(grid, model, tmp_path, monkeypatch):
    monkeypatch.setattr(tile, "_PAUSE", 0.0)

    def broken(*args):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(store, "write_tile", broken)
    with pytest.raises(JobError, match=r"10 of \d+ tiles .* failed: .*broken.*and 5 more"):
        again(grid, model, tmp_path / "out.zarr")


def test_a_full_disk(start, grid, model, undisturbed, tmp_path):
    fault = (
        "import resource\n"
        "create = store.create\n"
        "def limited(*a):\n"
        "    create(*a)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "store.create = limited"
    )
    process = start(fault)
    assert process.wait() == 1
    said = process.said()
    assert "JobError" in said
    assert "File too large" in said
    assert "make room" in said
    again(grid, model, tmp_path / "out.zarr")
    assert chunk_files(tmp_path / "out.zarr") == undisturbed


def test_too_little_gpu_memory_is_noted(grid, model, undisturbed, tmp_path, monkeypatch):
    pack = block.pack

    def small_device(parameters, state, layout):
        if parameters.shape[-1] > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return pack(parameters, state, layout)

    monkeypatch.setattr(block, "pack", small_device)
    again(grid, model, tmp_path / "out.zarr")
    assert "out of GPU memory with 2 cells" in ledger_path(tmp_path / "out.zarr").read_text()
    assert chunk_files(tmp_path / "out.zarr") == undisturbed


def test_a_ledger_that_cannot_be_written(grid, model, undisturbed, tmp_path, monkeypatch):
    append = Ledger.append

    def full(self, entry):
        if len(self.done) == 2:
            raise OSError(errno.ENOSPC, "no space left")
        append(self, entry)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "append", full)
        with pytest.raises(JobError, match=r"ledger cannot be written .*make room; 2 of 12 tiles"):
            again(grid, model, tmp_path / "out.zarr")
    again(grid, model, tmp_path / "out.zarr")
    assert chunk_files(tmp_path / "out.zarr") == undisturbed


def test_a_task_that_outlives_its_job_writes_nothing(grid, model, path):
    layout = block.Layout.of("soc")
    with pytest.raises(JobError, match="was replaced or removed while a tile was computed"):
        store.write_tile(str(path), "another", np.zeros((23, 1, 1)), layout, {})


# --- grids ------------------------------------------------------------------------------------


def test_any_chunking_of_the_grid_gives_the_same_bytes(grid, model, undisturbed, tmp_path):
    odd = grid.drop_encoding().chunk(lat=(3, 1), lon=(1, 3, 1))
    for name, ds in {"odd": odd, "memory": grid.compute()}.items():
        again(ds, model, tmp_path / f"{name}.zarr")
        assert chunk_files(tmp_path / f"{name}.zarr") == undisturbed


def test_ocean_column_and_empty_grids(grid, model, tmp_path):
    loaded = grid.compute()
    grids = {
        "ocean": loaded.where(loaded["lat"] < -999).assign_attrs(loaded.attrs),
        "column": loaded.isel(lat=1, lon=1),
        "empty": loaded.isel(lat=slice(0)),
        "infinite": loaded.assign(
            TSOI=loaded["TSOI"].where(loaded["lon"] != loaded["lon"][0], np.inf)
        ),
    }
    for name, ds in grids.items():
        for variable in ds.data_vars:
            ds[variable].attrs = loaded[variable].attrs
        out = xbinn.predict(ds, model, to=tmp_path / f"{name}.zarr").compute()
        expected = xbinn.predict(ds, model)
        xr.testing.assert_equal(out, expected)
        assert xbinn.verify(tmp_path / f"{name}.zarr").sound


@pytest.mark.parametrize("chunks", [(0, 4), (2, 0, 2), (4, 0)])
def test_blocks_without_cells(grid, model, tmp_path, chunks):
    gaps = grid.compute().drop_encoding().chunk(lat=chunks)
    assert gaps.chunks["lat"] == chunks
    out = xbinn.predict(gaps, model, outputs="soc", to=tmp_path / "out.zarr")
    xr.testing.assert_equal(out.compute(), xbinn.predict(grid, model, outputs="soc").compute())


def test_netcdf_is_made_whole_or_not_at_all(grid, model, tmp_path, monkeypatch):
    path = tmp_path / "out.nc"

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(xr.Dataset, "to_netcdf", full)
        with pytest.raises(JobError, match=r"cannot be written .*out.nc.zarr is complete"):
            again(grid, model, path)
    assert not path.exists()
    xr.testing.assert_equal(
        again(grid, model, path).compute(), xbinn.predict(grid, model, outputs="soc").compute()
    )
    assert [p.name for p in tmp_path.iterdir()] == ["out.nc"]
    before = path.stat().st_mtime_ns
    again(grid, model, path).close()
    assert path.stat().st_mtime_ns == before
    with pytest.raises(JobError, match=re.escape("was written by another job: outputs was")):
        again(grid, model, path, outputs="processes")
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "mine.nc")
    with pytest.raises(JobError, match="exists and is no result of a tile job"):
        again(grid, model, tmp_path / "mine.nc")
