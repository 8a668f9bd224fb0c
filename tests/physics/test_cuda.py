"""What a machine without a GPU can tell of the kernels for one; `ways` says how they run here."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numba
import numba.cuda
import pytest
import torch
from torch import Tensor
from ways import take

from xbinn.physics import fused
from xbinn.physics.kernels import cuda, launching
from xbinn.physics.steady_state import SoilCarbonModel


@pytest.fixture(scope="module", params=[None], ids=["threads"], autouse=True)
def kernels():
    """Take no side: each test here names its own."""


@pytest.mark.timeout(900)  # a minute of compilation where nothing is kept yet
def test_kernels_are_their_twins_in_the_simulator():
    """In a process of its own, as numba decides on this when it is imported."""
    file = Path(__file__).with_name("test_kernels.py")
    command = (sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", str(file))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    ran = subprocess.run(
        (*command, "-k", "threads and (twin or another)"),
        env=environment | {"NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
        timeout=840,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    assert " passed" in ran.stdout
    assert " skipped" not in ran.stdout


def launched(columns) -> dict[str, tuple]:
    """Types of what each kernel is launched with, by its name."""
    types, launch = {}, launching.launch

    def note(name, *arguments):
        arrays = (a.numpy() if isinstance(a, Tensor) else a for a in arguments)
        types[name] = tuple(map(numba.typeof, arrays))
        launch(name, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        take("threads", patch)
        patch.setattr(launching, "launch", note)
        parameters = columns.parameters.requires_grad_()
        SoilCarbonModel().steady_state(parameters, columns.forcing).soc.sum().backward()
    return types


def compiler_missing() -> str:
    """Why nothing can be compiled for a GPU here; nothing where it can."""
    try:
        numba.cuda.cudadrv.nvvm.NVVM()
    except (ImportError, RuntimeError) as error:
        return f"no compiler for GPUs ({error}): pip install 'numba-cuda[cu13]'"
    return ""


@pytest.mark.skipif(bool(compiler_missing()), reason=compiler_missing())
@pytest.mark.parametrize(
    ("dtype", "capability"), [(torch.float32, (9, 0)), (torch.float64, (8, 0))], ids=str
)
def test_kernels_compile_for_gpus(draw, dtype, capability, monkeypatch):
    """Without a driver: numba asks it for the GPU only, when it comes to functions inside."""
    device = SimpleNamespace(compute_capability=capability)
    monkeypatch.setattr("numba.cuda.dispatcher.get_current_device", lambda: device)
    kernels = launched(draw(33, seed=62).to(dtype))
    assert len(kernels) == 7
    for name, types in kernels.items():
        function = getattr(cuda, name).py_func
        code, _ = numba.cuda.compile_ptx(function, types, cc=capability)
        assert f".target sm_{capability[0]}{capability[1]}" in code, name
        assert ".extern .func" not in code, f"{name} calls what is not its own"
        single = numba.float64 not in {getattr(t, "dtype", None) for t in types}
        assert not (single and ".f64" in code), f"{name} leaves single precision"


class Failing(dict):
    """A kernel whose launch raises."""

    def __init__(self, error):
        self.error = error

    def __missing__(self, configuration):
        def run(*arguments):
            raise self.error

        return run


@pytest.fixture
def failing(monkeypatch):
    """``failing(error)``: launches raise it."""
    take("threads", monkeypatch)

    def fail(error):
        kernels = SimpleNamespace(mark=Failing(error))
        monkeypatch.setattr(launching, "kernels", kernels)

    return fail


def test_too_little_memory_is_said_as_torch_says_it(failing):
    """So that the batch is halved."""
    failing(RuntimeError("[2] Call to cuLaunchKernel results in CUDA_ERROR_OUT_OF_MEMORY"))
    with pytest.raises(torch.OutOfMemoryError, match="no room to run the kernel 'mark'"):
        launching.launch("mark", torch.zeros(1, 1))


def test_other_errors_are_left_as_they_are(failing):
    failing(RuntimeError("CUDA_ERROR_LAUNCH_FAILED"))
    with pytest.raises(RuntimeError, match="LAUNCH_FAILED"):
        launching.launch("mark", torch.zeros(1, 1))


@pytest.fixture
def on_the_cpu(monkeypatch):
    """Let the probe put its tensor where this machine has memory."""
    zeros = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda *size, device=None: zeros(*size))


def test_a_gpu_that_runs_kernels_is_usable(on_the_cpu, monkeypatch):
    take("threads", monkeypatch)
    launching.probe()


def test_a_gpu_that_runs_none_is_not(failing, on_the_cpu):
    failing(ValueError("unsupported PTX"))
    with pytest.raises(ImportError, match="no kernel runs on this GPU: unsupported PTX"):
        launching.probe()


def test_a_kernel_that_does_nothing_is_noticed(on_the_cpu, monkeypatch):
    take("threads", monkeypatch)
    monkeypatch.setattr(cuda.mark, "py_func", lambda marks: None)
    with pytest.raises(ImportError, match="one wrote nothing"):
        launching.probe()


@pytest.mark.parametrize("kernel", ["solve", "solve_adjoint"])
@pytest.mark.parametrize("wrong", ["other numbers", "nothing"])
def test_a_gpu_that_solves_otherwise_is_noticed(kernel, wrong, monkeypatch):
    here = torch.device("cpu")
    assert fused.solves_as_here(here)
    whole, runs = fused._call, []

    def tampered(function, *arguments):
        runs.append(function.__name__)
        second = runs.count(kernel) == 2 and function.__name__ == kernel
        if not (second and wrong == "nothing"):
            whole(function, *arguments)
        if second and wrong == "other numbers":
            arguments[-1][..., 0, :] *= 1.01

    monkeypatch.setattr(fused, "_call", tampered)
    assert not fused.solves_as_here(here)


def test_threads_without_a_column_end_at_once(monkeypatch):
    """Small batches are launched with more threads than columns, large ones with a few more."""
    take("threads", monkeypatch)
    for n in (1, launching.THREADS, launching.THREADS * launching.FEWEST_BLOCKS + 1):
        marks = torch.zeros(1, n)
        launching.launch("mark", marks)
        assert bool((marks == 1.0).all())
