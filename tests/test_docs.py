"""Every Python block of README.md and docs/ runs, page by page, on the embedded data.

Blocks of plain pages run here; cells of notebooks, whose output is shown, in the build.
"""

import re
import runpy
import sys
import xml.etree.ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pint
import pytest

from xbinn.constants import INPUT_POOLS, POOLS
from xbinn.parameters import TRANSFERS

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"^```{code-block} python\n:class: not-run\n(.*?)^```$", re.M | re.DOTALL)
"""What needs machines that are not there is only compiled; the page says that it was not run."""
FENCE = re.compile(r"^```(\S.*)$", re.MULTILINE)
CELL = "{code-cell} ipython3"
KERNEL = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n"
EVERY = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "_build" not in page.parts and BLOCK.search(page.read_text())
]

WRITTEN = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *(page for page in EVERY if not {"_build", "generated"} & set(page.parts)),
]
NOT_RUN_PAGES = [page for page in WRITTEN if NOT_RUN.search(page.read_text())]
FENCED = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^import [\w., ]+$|^from [\w.]+ import |\.binn\.\w+\(", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")


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
    assert {"README.md", "docs/how-to/own_data.md", "docs/how-to/totals.md"} <= found


def test_no_python_is_left_out() -> None:
    """A block of another kind would neither run nor be looked at."""
    for page in EVERY:
        if "_build" in page.parts or "generated" in page.parts:
            continue
        for info in FENCE.findall(page.read_text()):
            name = info.split()[0]
            if "python" in info.lower():
                assert info in ("python", "{code-block} python", CELL), page
            assert (name != "{code-cell}") or page.read_text().startswith(KERNEL), page


def test_notebooks_run_in_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    notebooks = {
        str(page.relative_to(ROOT / "docs"))
        for page in EVERY
        if "_build" not in page.parts and page.read_text().startswith(KERNEL)
    }
    assert {"index.md", "tutorials/first_map.md", "how-to/figures.md"} <= notebooks
    for name in notebooks:
        assert CELL in (ROOT / "docs" / name).read_text(), name
    monkeypatch.delenv("XBINN_DOCS_CACHE", raising=False)
    # What the settings take away or set stays so in this process: it is put back.
    monkeypatch.delenv("XBINN_DATA", raising=False)
    monkeypatch.setenv("XBINN_KERNELS", "eager")
    monkeypatch.setattr(sys, "path", [*sys.path])
    settings = runpy.run_path(str(ROOT / "docs" / "conf.py"))
    assert settings["nb_execution_mode"] == "force"
    assert settings["nb_execution_raise_on_error"] is True


def test_the_diagram_shows_all_pools_and_transfers() -> None:
    drawn = runpy.run_path(str(ROOT / "docs" / "_ext" / "xbinn_diagram.py"))["diagram"]()
    xml.etree.ElementTree.fromstring(drawn)
    shown = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
    assert [text for text in shown if text in POOLS] == list(POOLS)
    for name, _, _ in TRANSFERS:
        assert shown.count(name) == 1
    assert {"fcwdl2", "1 − fcwdl2"} <= set(shown)
    assert shown.count("input") == len(INPUT_POOLS)
    assert drawn.count("marker-end") == len(TRANSFERS) + 2 + len(INPUT_POOLS)


@pytest.mark.parametrize("page", NOT_RUN_PAGES, ids=lambda page: page.stem)
def test_blocks_that_cannot_run_here_are_python_and_said_not_to_run(page: Path) -> None:
    text = page.read_text()
    for block in NOT_RUN.findall(text):
        compile(block, str(page), "exec")
    assert re.search(r"(None of|Nothing on) this page was run|was not run here", text)


def test_all_blocks_of_python_are_run_or_said_not_to_run() -> None:
    assert {page.stem for page in NOT_RUN_PAGES} == {"gpu", "laptop", "published", "slurm"}
    for page in WRITTEN:
        text = page.read_text()
        assert text.count("```{code-block} python") == len(NOT_RUN.findall(text)), page
        # Python does not hide in a block of another kind.
        for kind, block in FENCED.findall(text):
            if kind in ("", "text", "console"):
                assert not PYTHON.search(block), page


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_lead_somewhere(page: Path) -> None:
    """Sphinx looks after those of its own pages, and nobody after those of README.md."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):  # https:, mailto:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert there.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(there), f"{target}: one of {sorted(anchors(there))}"


def anchors(page: Path) -> set[str]:
    """Of the headings of a page, as GitHub and MyST make them, and those that it names."""
    text = page.read_text()
    headings = re.findall(r"^#{1,3} (.+)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain} | set(
        re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE)
    )


def test_every_page_is_reached_from_the_index() -> None:
    found, new = set(), {ROOT / "docs" / "index.md"}
    while new:
        found |= new
        new = {
            linked
            for page in new
            for tree in re.findall(r"^```{toctree}\n(.*?)^```$", page.read_text(), re.M | re.S)
            for entry in re.findall(r"^(?!:)(\S+)$", tree, re.MULTILINE)
            for linked in page.parent.glob(f"{entry}.md")
        } - found
    assert found == {page for page in WRITTEN if page.is_relative_to(ROOT / "docs")}
