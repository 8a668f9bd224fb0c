"""Devices are there or are refused."""

import threading

import pytest
import torch

from xbinn.errors import DeviceError
from xbinn.running.device import choose_device, limit_threads


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


def test_threads_are_limited_in_worker_threads_only():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        limit_threads()
        assert torch.get_num_threads() == 2
        seen = []
        worker = threading.Thread(
            target=lambda: (limit_threads(), seen.append(torch.get_num_threads()))
        )
        worker.start()
        worker.join()
        assert seen == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
