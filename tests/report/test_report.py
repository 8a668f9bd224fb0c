"""The interactive page: what it holds, and what it does in a browser."""

import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from chromium import Browser, Page, running

import xbinn
from xbinn.errors import InputError
from xbinn.report import content as content_module
from xbinn.report.content import gather
from xbinn.testing import small_grid, small_profiles

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid((6, 7))


@pytest.fixture(scope="module")
def profiles(grid) -> xr.Dataset:
    return small_profiles(grid)


@pytest.fixture(scope="module")
def model(grid, profiles) -> xbinn.Model:
    return xbinn.fit(grid, profiles, epochs=2, seed=0, hidden=(4,))


@pytest.fixture(scope="module")
def out(grid, model) -> xr.Dataset:
    return xbinn.predict(grid, model, samples=4)


@pytest.fixture(scope="module")
def page(model, out, profiles, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    model.report(path, predictions=out, profiles=profiles, title="Idealised <continent>")
    return path


def middles(found) -> np.ndarray:
    """Longitude and latitude of the cells, (cell, 2)."""
    return np.stack([found.left + found.right, found.bottom + found.top], axis=1) / 2.0


@pytest.mark.parametrize("points", [False, True], ids=["grid", "points"])
def test_cells_hold_what_is_predicted_there(grid, model, out, points):
    if points:
        grid = small_grid((6, 7), points=True)
        out = xbinn.predict(grid, model, samples=4)
    found = gather(out, None)
    valid = out["status"] == 0
    assert found.left.size == int(valid.sum())
    assert found.layers[0].name == "cSoilAbove1m"
    layers = {layer.name: layer for layer in found.layers}
    assert {"q10", "q10_std", "residence_time", "cSoil"} <= set(layers)
    for number, (lon, lat) in enumerate(middles(found)):
        if points:
            distance = abs(out["lat"] - lat) + abs(out["lon"] - lon)
            here = out.isel(cell=int(distance.argmin("cell")))
        else:
            here = out.sel(lat=lat, lon=lon, method="nearest")
        assert layers["q10"].values[number] == pytest.approx(float(here["q10"]), rel=1e-6)
        np.testing.assert_allclose(found.middle[number], here["soc"], rtol=1e-6)
        band = here["soc_observation_quantile"]
        np.testing.assert_allclose(found.low[number], band.sel(quantile=0.05), rtol=1e-6)
        np.testing.assert_allclose(found.high[number], band.sel(quantile=0.95), rtol=1e-6)
    assert found.band == "0.05 to 0.95 quantile of an observation"
    assert layers["cSoilAbove1m"].units == "kg m⁻²"


def test_a_grid_from_north_to_south_in_chunks_is_the_same(out, profiles):
    turned = out.isel(lat=slice(None, None, -1)).chunk(lat=2)
    ours, theirs = gather(turned, profiles), gather(out, profiles)
    np.testing.assert_array_equal(middles(ours), middles(theirs))
    np.testing.assert_array_equal(ours.middle, theirs.middle)
    np.testing.assert_array_equal(ours.samples, theirs.samples)


def test_samples_stand_in_their_cells(out, profiles):
    found = gather(out, profiles)
    assert len(found.samples) == int(profiles["soc"].notnull().sum())
    first = profiles.isel(profile=0)
    lon, lat = middles(found)[int(found.samples[0, 0])]
    assert abs(lon - float(first["lon"])) <= (found.right - found.left)[0] / 2.0
    assert abs(lat - float(first["lat"])) <= (found.top - found.bottom)[0] / 2.0
    top, bottom, soc = found.samples[0, 1:]
    assert (top, bottom, soc) == pytest.approx(
        tuple(float(first[n][0]) for n in ("depth_top", "depth_bottom", "soc"))
    )
    assert set(found.profile_cell) == set(found.samples[:, 0])


def test_scores_are_those_of_the_model(grid, model, profiles):
    """On the prediction without samples, which is what is scored."""
    found = gather(xbinn.predict(grid, model, outputs=("soc",)), profiles)
    xr.testing.assert_allclose(
        found.scores[["r2", "rmse", "bias"]].drop_attrs(),
        xbinn.score(grid, model, profiles)[["r2", "rmse", "bias"]].drop_attrs(),
        rtol=1e-4,  # float32
    )
    assert found.low is None


class Links(HTMLParser):
    """What a page would fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "link"):
            self.fetched += [str(given[n]) for n in ("src", "href") if n in given]


def test_the_page_fetches_nothing_and_says_where_it_comes_from(page, model):
    text = page.read_text()
    assert not Links(text).fetched
    assert "<h1>Idealised &lt;continent&gt;</h1>" in text
    assert 'name="viewport"' in text
    assert model.sha256 in text
    for part in ("Scores on the profiles shown", "0-30 cm", "Where it comes from", "xbinn.predict"):
        assert part in text
    # Styles that would load a file.
    assert not re.findall(r"url\((?!['\"]?data:|['\"]?#|[^)]{0,3}\))\s*['\"]?https?:", text)


def test_without_profiles_there_are_no_scores(model, out, tmp_path):
    model.report(tmp_path / "r.html", predictions=out[["soc", "cSoil"]].assign_attrs(out.attrs))
    text = (tmp_path / "r.html").read_text()
    assert "Scores on" not in text
    assert f"<h1>{out.attrs['title']}</h1>" in text


class Report:
    """A report in a browser, asked by the names of its models."""

    def __init__(self, page: Page) -> None:
        self.page = page
        # A cell is shown as soon as there is something to see.
        page.wait_for(
            f"window.Bokeh && Bokeh.documents.length && {self.path('here.data.left.length')}"
        )
        page.wait_for("Bokeh.documents[0].is_idle")

    def path(self, path: str) -> str:
        """JavaScript of a path such as ``cell.value``."""
        name, stop, rest = path.partition(".")
        return f"Bokeh.documents[0].get_model_by_name({json.dumps(name)}){stop}{rest}"

    def get(self, path: str) -> Any:
        return self.page.evaluate(self.path(path))

    def numbers(self, path: str) -> list[float]:
        return self.page.evaluate(f"Array.from({self.path(path)})")

    def wait(self, path: str, value: Any) -> None:
        self.page.wait_for(f"{self.path(path)} === {json.dumps(value)}")

    def place(self, x: float, y: float) -> list[float]:
        """Where a place of the map is in the window (px)."""
        return self.page.evaluate(
            f"""(() => {{
                const view = Bokeh.index.find_one({self.path("map")});
                const box = view.canvas_view.el.getBoundingClientRect();
                return [box.left + view.frame.x_scale.compute({x}),
                        box.top + view.frame.y_scale.compute({y})];
            }})()"""
        )

    def focused(self) -> str:
        """Name of what has the focus, or what a button says."""
        return self.page.evaluate(
            """(() => {
                let at = document.activeElement;
                while (at.shadowRoot && at.shadowRoot.activeElement) {
                    at = at.shadowRoot.activeElement;
                }
                return at.title || at.ariaLabel || at.labels?.[0]?.textContent || at.tagName;
            })()"""
        )

    def tab_to(self, what: str) -> None:
        for _ in range(40):
            if self.focused().startswith(what):
                return
            self.page.press("Tab")
        raise AssertionError(f"the keyboard does not reach {what}")


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    if BROWSER is None:
        pytest.skip("no Chromium here: apt install chromium")
    with running(BROWSER, tmp_path_factory.mktemp("browser")) as started:
        yield started


def test_a_click_shows_the_depths_of_a_cell_and_layers_switch(browser, page, out, profiles):
    found = gather(out, profiles)
    cell = int(found.profile_cell[-1])
    opened = browser.open(page, width=1400)
    report = Report(opened)
    assert report.get("cell.value") == found.profile_cell[0]
    opened.click(*report.place(*middles(found)[cell]))
    report.wait("cell.value", cell)
    own = found.samples[found.samples[:, 0] == cell]
    report.wait("depth.title.text", f"Cell {cell}, {len(own)} samples")
    depths = np.isfinite(found.middle[cell])
    np.testing.assert_allclose(
        report.numbers("line.data.middle")[::2], found.middle[cell][depths], rtol=1e-6
    )
    assert report.numbers("line.data.y")[:3] == [0.0, 0.02, 0.02]
    np.testing.assert_allclose(report.numbers("shown.data.soc"), own[:, 3])
    opened.evaluate(f"{report.path('layer.value')} = 'q10'")
    q10 = next(layer for layer in found.layers if layer.name == "q10")
    said = q10.label.partition(" (")[0]
    opened.wait_for(f"{report.path('said.text')}.includes({json.dumps(said)})")
    np.testing.assert_allclose(report.numbers("cells.data.value"), q10.values, rtol=1e-6)
    opened.close()


def test_the_keyboard_alone_reaches_layers_cells_and_the_map(browser, page, out, profiles):
    found = gather(out, profiles)
    opened = browser.open(page, width=1400)
    report = Report(opened)
    report.tab_to("Layer")
    opened.press("ArrowDown")
    report.wait("layer.value", found.layers[1].name)
    np.testing.assert_allclose(
        report.numbers("cells.data.value"), found.layers[1].values, rtol=1e-6
    )
    start = report.get("map.x_range.start")
    report.tab_to("Zoom In")
    opened.press("Enter")
    opened.wait_for(f"{report.path('map.x_range.start')} > {start}")
    report.tab_to("Pan east")
    zoomed = report.get("map.x_range.start")
    opened.press("Enter")
    opened.wait_for(f"{report.path('map.x_range.start')} > {zoomed}")
    report.tab_to("Cell, 0 to")
    opened.press("ArrowUp")
    first = int(found.profile_cell[0])
    report.wait("cell.value", first + 1)
    assert report.get("said.text").startswith(f"<b>Cell {first + 1}</b> at longitude")
    opened.press("ArrowDown")
    report.wait("cell.value", first)
    report.tab_to("Scores")
    opened.close()


@pytest.mark.parametrize("width", [1400, 820, 390])
def test_a_page_is_as_wide_as_its_window(browser, page, width, tmp_path):
    opened = browser.open(page, width=width)
    report = Report(opened)
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    left = opened.evaluate(
        f"Bokeh.index.find_one({report.path('depth')}).el.getBoundingClientRect().left"
    )
    assert (left > width / 3) == (width > 500)  # side by side, but on a phone
    opened.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 20_000
    assert report.get("said.text").startswith("<b>Cell")
    opened.close()


@pytest.fixture(scope="module")
def many(out, model, tmp_path_factory) -> tuple[xr.Dataset, Path]:
    """Results in over 20,000 cells, and their page."""
    lat, lon = (np.linspace(*out[name].values[[0, -1]], 190) for name in ("lat", "lon"))
    cells = out.sel(lat=lat, lon=lon, method="nearest").assign_coords(lat=lat, lon=lon)
    path = tmp_path_factory.mktemp("many") / "many.html"
    model.report(path, predictions=cells)
    return cells, path


@pytest.mark.parametrize("width", [1400, 820, 390])
def test_20_000_cells_answer_keys_and_clicks_at_once(browser, many, width, tmp_path):
    predictions, path = many
    found = gather(predictions, None)
    assert len(found.left) > 20_000
    opened = browser.open(path, width=width)
    report = Report(opened)
    begun = time.monotonic()
    cell = len(found.left) // 2
    opened.click(*report.place(*middles(found)[cell]))
    opened.wait_for(f"{report.path('cell.value')} > 0")
    # Where cells are smaller than a pixel a neighbour may be hit.
    hit = report.get("cell.value")
    off = np.abs(middles(found)[hit] - middles(found)[cell])
    assert (off <= 0.02 * np.ptp(middles(found), axis=0)).all()
    depths = np.isfinite(found.middle[hit])
    np.testing.assert_allclose(
        report.numbers("line.data.middle")[::2], found.middle[hit][depths], rtol=1e-6
    )
    report.tab_to("Cell, 0 to")
    opened.press("ArrowUp")
    report.wait("cell.value", hit + 1)
    assert time.monotonic() - begun < 15.0  # a loaded machine needs 5
    opened.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 20_000
    opened.close()


def test_what_cannot_be_shown_is_refused(model, out, profiles, tmp_path, monkeypatch):
    path = tmp_path / "r.html"
    with pytest.raises(InputError, match="predictions need soc in all 20 layers"):
        model.report(path, predictions=out.drop_vars("soc"))
    with pytest.raises(InputError, match=r"are of another model \(xbinn .*\), not of "):
        model.report(path, predictions=out.assign_attrs(source="xbinn 0, model sha256 00"))
    with pytest.raises(InputError, match="no cell of predictions has a result"):
        model.report(path, predictions=out.assign(soc=out["soc"] * np.nan))
    monkeypatch.setattr(content_module, "MOST_CELLS", 3)
    with pytest.raises(InputError, match="cells with results, and a page shows at most 3"):
        model.report(path, predictions=out)
    assert not path.exists()


def test_without_bokeh_it_says_what_to_install(model, out, tmp_path, monkeypatch):
    for name in [
        n for n in sys.modules if n == "bokeh" or n.startswith(("bokeh.", "xbinn.report.page"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "bokeh", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install \"xbinn\[report\]\""):
        model.report(tmp_path / "r.html", predictions=out)
