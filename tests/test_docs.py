"""Every Python block of README.md and docs/ runs, page by page, on the embedded data."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pint
import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"^```{code-block} python\n:class: not-run\n(.*?)^```$", re.M | re.DOTALL)
"""What needs machines that are not there is only compiled; the page says that it was not run."""
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "_build" not in page.parts and BLOCK.search(page.read_text())
]


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder, the embedded data, and what pages change put back."""
    monkeypatch.delenv("XBINN_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("Agg")
    registry = pint.get_application_registry().get()
    yield
    pint.set_application_registry(registry)
    plt.close("all")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.usefixtures("fresh")
def test_python_blocks_run(page: Path) -> None:
    text = page.read_text()
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        # Blank lines in front, so that a traceback names the line of the page.
        before = text[: block.start(1)].count("\n")
        exec(compile("\n" * before + block[1], str(page), "exec"), names)


def test_pages_are_found() -> None:
    found = {str(page.relative_to(ROOT)) for page in PAGES}
    assert {"README.md", "docs/index.md", "docs/how-to/own_data.md"} <= found
    assert "docs/tutorials/first_map.md" in found


@pytest.mark.parametrize("page", ["slurm", "gpu", "published"])
def test_blocks_that_cannot_run_here_are_python_and_said_not_to_run(page: str) -> None:
    text = (ROOT / "docs" / "how-to" / f"{page}.md").read_text()
    blocks = NOT_RUN.findall(text)
    assert blocks
    for block in blocks:
        compile(block, page, "exec")
    assert re.search(r"(None of|Nothing on) this page was run", text)
