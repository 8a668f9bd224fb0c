"""Which way is taken, and how compiled kernels are kept."""

import importlib
import logging
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numba
import numpy as np
import pytest
import torch

from xbinn.errors import InputError
from xbinn.physics import paths
from xbinn.physics.kernels import compiling, launching
from xbinn.physics.paths import VARIABLE, fused

ONES = torch.ones(3, 2)


@pytest.fixture(scope="module", params=[None], ids=["both"], autouse=True)
def kernels():
    """Take no side: each test here names its own."""


@pytest.fixture
def without_numba(monkeypatch):
    """An environment in which the kernels cannot be loaded."""

    def refuse(name: str) -> ModuleType:
        raise ImportError(f"no {name} here")

    monkeypatch.setattr(paths, "import_module", refuse)
    paths._kernels.cache_clear()
    yield
    paths._kernels.cache_clear()


@pytest.mark.parametrize("choice", [None, "", "auto", "numba"])
def test_kernels_are_taken_where_they_can_be(choice, monkeypatch):
    if choice is None:
        monkeypatch.delenv(VARIABLE, raising=False)
    else:
        monkeypatch.setenv(VARIABLE, choice)
    module = fused(ONES, ONES.clone().requires_grad_())
    assert module is not None
    assert module.__name__ == "xbinn.physics.fused"


def test_they_can_be_switched_off(monkeypatch):
    monkeypatch.setenv(VARIABLE, "eager")
    assert fused(ONES) is None


@pytest.mark.parametrize(
    "tensor",
    [ONES.half(), ONES.long(), ONES[:, :0], ONES.to("meta")],
    ids=["half", "integer", "empty", "no CPU"],
)
def test_other_tensors_go_the_other_way(tensor, monkeypatch):
    monkeypatch.setenv(VARIABLE, "numba")
    assert fused(ONES, tensor) is None


def test_two_precisions_go_the_other_way(monkeypatch):
    monkeypatch.setenv(VARIABLE, "numba")
    assert fused(ONES, ONES.double()) is None


def test_without_numba_torch_does_it(without_numba, monkeypatch, caplog):
    monkeypatch.setenv(VARIABLE, "auto")
    with caplog.at_level(logging.INFO, logger="xbinn"):
        assert fused(ONES) is None
        assert fused(ONES) is None
    assert [r.message for r in caplog.records] == [
        "operations of torch take the place of compiled kernels: no xbinn.physics.fused here"
    ]


def test_numba_asked_for_and_absent_is_an_error(without_numba, monkeypatch):
    monkeypatch.setenv(VARIABLE, "numba")
    with pytest.raises(InputError, match=r"no xbinn.physics.fused here\): pip install 'xbinn\[fa"):
        fused(ONES)


@pytest.fixture
def without_a_driver(monkeypatch):
    """A GPU on which no kernel runs."""

    def refuse() -> None:
        raise ImportError("no driver here")

    monkeypatch.setattr(launching, "probe", refuse)
    paths._kernels.cache_clear()
    yield
    paths._kernels.cache_clear()


def test_a_gpu_that_runs_no_kernels_is_left_to_torch(without_a_driver, caplog):
    with caplog.at_level(logging.INFO, logger="xbinn"):
        assert paths._loaded("cuda", "auto") is None
        assert paths._loaded("cuda", "auto") is None
    assert [r.message for r in caplog.records] == [
        "operations of torch take the place of compiled kernels: no driver here"
    ]
    assert paths._loaded("cpu", "auto") is not None


def test_kernels_asked_for_on_such_a_gpu_are_an_error(without_a_driver):
    with pytest.raises(InputError, match=r"no driver here\): pip install 'xbinn\[gpu\]' 'numba-cu"):
        paths._loaded("cuda", "numba")


@pytest.mark.parametrize("alike", [True, False])
def test_kernels_for_a_gpu_are_loaded_where_they_run_and_solve_as_here(alike, monkeypatch, caplog):
    monkeypatch.setenv(VARIABLE, "auto")
    module, tried = fused(ONES), []
    monkeypatch.setattr(launching, "probe", lambda: None)
    monkeypatch.setattr(module, "solves_as_here", lambda device: tried.append(device) or alike)
    paths._kernels.cache_clear()
    with caplog.at_level(logging.INFO, logger="xbinn"):
        assert paths._loaded("cuda", "auto") is (module if alike else None)
    assert ("on this GPU they solve otherwise than on the CPU" in caplog.text) is not alike
    assert [device.type for device in tried] == ["cuda"]
    paths._kernels.cache_clear()


def test_nothing_of_cuda_is_loaded_on_the_cpu():
    code = "import sys, xbinn.physics.fused; sys.exit('numba.cuda' in sys.modules)"
    subprocess.run((sys.executable, "-c", code), check=True)


def test_a_numba_that_does_not_compile_is_as_none(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    with pytest.raises(ImportError, match="NUMBA_DISABLE_JIT is set"):
        importlib.reload(compiling)


def test_unknown_choice_is_an_error(monkeypatch):
    monkeypatch.setenv(VARIABLE, "cuda")
    with pytest.raises(InputError, match=r"'cuda' is not known: set it to one of 'auto', 'eager'"):
        fused(ONES)


def add_one(x: np.ndarray) -> None:
    x[0] += 1.0


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """``kept()`` compiles as in a new process: returns hits and misses of the cache."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def run(dtype=np.float64) -> tuple[int, int]:
        compiled = compiling.kernel(add_one)
        x = np.zeros(1, dtype)
        compiled(x)
        assert x[0] == 1.0
        stats = compiled.stats
        return sum(stats.cache_hits.values()), sum(stats.cache_misses.values())

    return run


def test_kernels_are_kept_on_disk(kept):
    assert kept() == (0, 1)
    assert kept() == (1, 0)


def test_kernels_are_compiled_anew_when_any_source_changes(kept, monkeypatch):
    kept()
    monkeypatch.setattr(compiling, "_sources", lambda: "other")
    assert kept() == (0, 1)


@pytest.mark.parametrize("suffix", ["nbc", "nbi"])
@pytest.mark.parametrize("content", [b"", b"nonsense"], ids=["empty", "garbage"])
def test_damaged_files_cost_time_only(kept, tmp_path, suffix, content):
    kept()
    (path,) = tmp_path.rglob(f"*.{suffix}")
    path.write_bytes(content)
    assert kept() == (0, 1)


def test_code_for_other_types_is_not_taken(kept, tmp_path):
    """Two processes that compile at once may each put down the other's file."""
    kept(np.float64)
    kept(np.float32)
    first, second = sorted(tmp_path.rglob("*.nbc"))
    second.write_bytes(first.read_bytes())
    assert kept(np.float64) == (1, 0)
    assert kept(np.float32) == (0, 1)


def test_a_disk_that_cannot_be_written_costs_time_only(kept, monkeypatch, caplog):
    def full(self, name, data):
        raise OSError("no space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile._save_data", full)
    with caplog.at_level(logging.INFO, logger="xbinn"):
        assert kept() == (0, 1)
    assert "a compiled kernel could not be kept: no space left on device" in caplog.text


def test_nowhere_to_keep_them_costs_time_only(monkeypatch, caplog):
    def refuse(function):
        raise RuntimeError("no locator available")

    monkeypatch.setattr(compiling, "_KernelCache", refuse)
    x = np.zeros(1)
    with caplog.at_level(logging.INFO, logger="xbinn"):
        compiling.kernel(add_one)(x)
    assert x[0] == 1.0
    assert "compiled anew in each process: no locator available" in caplog.text


def test_sources_are_all_that_kernels_are_made_of(monkeypatch):
    read = []
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or b"")
    compiling._sources.__wrapped__()
    package = Path(compiling.__file__).parent
    wanted = {"constants.py", "parameters.py", *(path.name for path in package.glob("*.py"))}
    assert set(read) == wanted
