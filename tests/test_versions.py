"""What a bug report has to say."""

import io
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

import xbinn
from xbinn import versions

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def test_all_that_xbinn_builds_on_is_shown():
    shown = io.StringIO()
    xbinn.show_versions(shown)
    lines = shown.getvalue().splitlines()
    assert f"xbinn: {xbinn.__version__}" in lines
    names = {line.partition(":")[0].lower() for line in lines}
    assert {Requirement(text).name.lower() for text in PROJECT["dependencies"]} <= names
    extras = PROJECT["optional-dependencies"]
    for extra in ("plot", "maps", "fast", "report", "clm5", "gpu"):
        needed = {Requirement(text).name.lower() for text in extras[extra]} - {"xbinn"}
        assert needed <= names
    assert not {"pytest", "sphinx", "ruff"} & names


def test_it_goes_to_the_terminal(capsys):
    xbinn.show_versions()
    assert capsys.readouterr().out.startswith("INSTALLED VERSIONS\n")


def test_what_is_missing_is_said(monkeypatch):
    needed = ["numpy>=2.0", "no-such-package>=1; extra == 'maps'"]
    monkeypatch.setattr(versions, "requires", lambda name: needed)
    shown = io.StringIO()
    xbinn.show_versions(shown)
    assert "no-such-package: not installed" in shown.getvalue()
