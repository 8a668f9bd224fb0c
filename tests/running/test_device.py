"""Devices are there or are refused; what does not fit is halved; one thread a block."""

import logging
from types import SimpleNamespace
from zlib import crc32

import distributed
import numpy as np
import pytest
import torch

import xbinn
from xbinn.errors import DeviceError
from xbinn.running import block
from xbinn.running.device import choose_device, within_memory
from xbinn.testing import small_grid, small_profiles


def test_auto_and_cpu():
    assert choose_device("cpu") == torch.device("cpu")
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device("auto").type == expected


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("tpu", "is not known"),
        ("", "is not known"),
        ("cuda:99", "was asked for"),
        ("meta", "is not supported"),
    ],
)
def test_refusals(name, match):
    with pytest.raises(DeviceError, match=match):
        choose_device(name)


def test_blocks_use_one_torch_thread_whatever_the_scheduler(monkeypatch):
    grid = small_grid()
    model = xbinn.fit(grid, small_profiles(grid), epochs=1, seed=0, hidden=(4,))
    seen = []
    monkeypatch.setattr(block, "pack", _noting(block.pack, seen))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for scheduler in ("synchronous", "threads"):
            xbinn.predict(grid.chunk(lat=3), model).compute(scheduler=scheduler)
            assert seen == [1, 1]
            seen.clear()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def _noting(pack, seen):
    def noted(*args):
        seen.append(torch.get_num_threads())
        return pack(*args)

    return noted


# --- too little memory ------------------------------------------------------------------------


def solver(most, asked):
    """Values are the cells themselves; more than `most` together are too many."""

    def solve(cells):
        cells = np.arange(cells.start, cells.stop) if isinstance(cells, slice) else cells
        asked.append(len(cells))
        if len(cells) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return cells

    return solve


@pytest.mark.parametrize(
    "steps", [[slice(0, 8), slice(8, 13)], [np.arange(0, 8), np.array([8, 9, 10, 11, 12])]]
)
def test_too_many_cells_are_halved_and_this_is_said(steps, caplog):
    notes, asked = [], []
    with caplog.at_level(logging.WARNING, "xbinn"):
        found = list(within_memory(solver(3, asked), steps, notes))
    np.testing.assert_array_equal(np.concatenate([values for _, values in found]), np.arange(13))
    assert notes == [
        "out of GPU memory with 8 cells together: went on with 4",
        "out of GPU memory with 4 cells together: went on with 2",
    ]
    assert [r.message for r in caplog.records] == notes
    # What was too much once is not tried again.
    assert asked == [8, 4, 2, 2, 2, 2, 2, 1, 2]


def test_one_cell_that_is_too_much_is_an_error():
    with pytest.raises(DeviceError, match=r"no memory for a single cell .*device='cpu'"):
        list(within_memory(solver(0, []), [slice(0, 4)]))


def test_plain_workers_share_the_devices_of_a_node(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert choose_device("auto") == torch.device("cuda:0")
    for name, index in ((5, 1), ("worker-a", crc32(b"worker-a") % 4)):
        monkeypatch.setattr(distributed, "get_worker", lambda name=name: SimpleNamespace(name=name))
        assert choose_device("cuda") == torch.device("cuda", index)
    # dask-cuda gives every worker its own device.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3,0,1")
    assert choose_device("auto") == torch.device("cuda:0")
