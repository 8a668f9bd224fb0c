"""Devices are there or are refused."""

import threading

import pytest
import torch

from xbinn.errors import DeviceError
from xbinn.running.device import choose_device, one_thread_in_workers


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


def test_worker_threads_use_one_torch_thread_and_leave_no_trace():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        count = one_thread_in_workers(torch.get_num_threads)
        assert count() == 2
        seen = []
        worker = threading.Thread(target=lambda: seen.append(count()))
        worker.start()
        worker.join()
        assert seen == [1]
        later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        later.start()
        later.join()
        assert seen == [1, 2]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
