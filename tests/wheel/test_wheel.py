"""What is released is complete: built, installed in an environment of its own, and used there."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_RELEASED = {".gitattributes", ".pre-commit-config.yaml", ".ci/run"}
"""Of use in a clone only."""


def run(*command: object, **keywords: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **keywords
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Folder with the sdist, and the wheel that was built from that."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def sources(built, tmp_path_factory) -> Path:
    """The sdist, unpacked."""
    (packed,) = built.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("sources")
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """An environment with the wheel; what xbinn builds on is borrowed, xbinn is not."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    # Only folders of site's own have their .pth files read: the clone does not come along.
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (site / "borrowed.pth").write_text("\n".join(ours) + "\n")
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    # Upgrade: the borrowed environment has an xbinn, that of the clone.
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", wheel)
    return python


def elsewhere(tmp_path: Path) -> dict[str, object]:
    """Run outside of the clone, on the embedded data; compiling kernels would take a minute."""
    hidden = {"XBINN_DATA", "PYTHONPATH"}
    kept = {k: v for k, v in os.environ.items() if k not in hidden}
    return {"cwd": tmp_path, "env": kept | {"XBINN_KERNELS": "eager"}}


def test_the_sdist_holds_all_that_is_tracked(sources):
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone: there is nothing to compare with")
    listed = run("git", "-C", ROOT, "ls-files", "-z").split("\0")
    tracked = {name for name in listed if name and (ROOT / name).exists()} - NOT_RELEASED
    assert not {name for name in tracked if not (sources / name).exists()}


def test_the_wheel_holds_the_package_and_no_more(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "xbinn").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == package
    assert "xbinn/py.typed" in names


def test_what_it_needs_is_what_it_says(python):
    run(sys.executable, "-m", "pip", "--python", python, "check")


def test_the_wheel_alone_makes_a_first_map(python, sources, tmp_path):
    where = elsewhere(tmp_path)
    home = run(python, "-I", "-c", "import xbinn; print(xbinn.__file__)", **where)
    assert Path(home.strip()).is_relative_to(python.parents[1])
    shown = run(python, "-I", sources / "examples/first_map.py", "--smoke", **where)
    assert shown.startswith("<xbinn.Model>")
    made = {path.name for path in (tmp_path / "first_map").iterdir()}
    assert made == {"first.xbinn", "first_map.png", "soc.nc"}
    command = python.parent / "xbinn"
    told = run(command, "inspect", tmp_path / "first_map/first.xbinn", **where)
    assert "covariates" in told


def test_versions_are_those_of_the_wheel(python, wheel, tmp_path):
    shown = run(python, "-I", "-c", "import xbinn; xbinn.show_versions()", **elsewhere(tmp_path))
    assert f"xbinn: {wheel.name.split('-')[1]}\n" in shown
