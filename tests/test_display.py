"""How values show themselves, in text and in HTML."""

from html.parser import HTMLParser

import pytest

import xbinn
from xbinn.display import Section, as_html, as_text, chart
from xbinn.labels.reports import Finding, Report
from xbinn.testing import small_grid, small_profiles

EMPTY = {"br", "img", "meta"}


class Outline(HTMLParser):
    """Fails where tags do not nest; keeps tags, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert not self.opened

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.opened.append(tag)

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag

    def handle_data(self, data):
        if self.opened and self.opened[-1] != "style":
            self.text.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def model() -> xbinn.Model:
    grid = small_grid()
    return xbinn.fit(grid, small_profiles(grid), epochs=3, seed=0, hidden=(4,), members=2)


def test_sections_in_text():
    shown = as_text("xbinn.Thing", "", [Section("A", {"x": "1"}, "two of them"), Section("B")])
    assert shown == "<xbinn.Thing>\nA: two of them\n    x    1\nB:"


def test_what_is_shown_is_no_markup():
    page = Outline(as_html("xbinn.Thing", "a < b", [Section("<A>", {"<i>": "<script>"}, "& more")]))
    assert not page.named("script")
    assert not page.named("i")
    assert {"<A> ", "<i>", "<script>", "& more", "a < b"} <= set(page.text)


def test_a_section_may_be_closed():
    page = Outline(as_html("xbinn.Thing", "", [Section("A"), Section("B", opened=False)]))
    assert ["open" in attributes for attributes in page.named("details")] == [True, False]


def test_a_chart_shows_lines_and_says_so():
    drawn = chart({"first": [3.0, 2.0, 1.0], "second": [float("nan"), 2.5, 2.0]}, "Loss < 4")
    page = Outline(drawn)
    (picture,) = page.named("svg")
    assert picture["role"] == "img"
    assert picture["aria-label"] == "Loss < 4"
    first, second = page.named("polyline")
    assert len(first["points"].split()) == 3
    assert len(second["points"].split()) == 2
    places = [float(p.split(",")[1]) for p in first["points"].split()]
    assert places == sorted(places)  # from the top down, as values fall
    assert first["stroke"] != second["stroke"]
    assert "stroke-dasharray" in second
    assert page.text == ["first", "second", "Loss < 4"]


@pytest.mark.parametrize("values", [[], [1.0], [float("nan")]])
def test_nothing_is_drawn_of_a_single_point(values):
    assert chart({"only": values}, "Loss") == ""


def test_lines_that_do_not_move_are_drawn():
    assert Outline(chart({"only": [2.0, 2.0]}, "Loss")).named("polyline")


def test_a_model_in_text_and_html(model):
    text, page = repr(model), Outline(model._repr_html_())
    assert text.splitlines()[0] == "<xbinn.Model> 12 covariates to 21 parameters"
    heads = [line.partition(":")[0] for line in text.splitlines() if line[0] not in " <"]
    assert heads == ["Network", "Covariates", "Training data", "History"]
    for line in text.splitlines()[1:]:
        name, _, value = line.strip().partition("    " if line.startswith(" ") else ": ")
        assert {name.strip(), name + " ", name.strip(":") + " "} & set(page.text)
        assert not value or value.strip() in page.text
    (picture,) = page.named("svg")
    assert "mean of the members" in str(picture["aria-label"])
    assert len(page.named("polyline")) == 2


def test_a_report_says_its_levels_in_words():
    report = Report(
        "Inputs",
        {
            "Space": (Finding("ok", "dimensions", "lat 2"),),
            "Forcing": (
                Finding("problem", "TSOI", "is missing", "add it"),
                Finding("note", "O_SCALAR", "odd"),
                Finding("note", "W_SCALAR", "odd\nindeed"),
            ),
        },
    )
    page = Outline(report._repr_html_())
    assert {"problem:", "note:", "Space", "Forcing: 1 problem, 2 notes"} <= set(page.text)
    assert [row.get("class") for row in page.named("tr") if row] == [
        "ok",
        "problem",
        "note",
        "note",
    ]
