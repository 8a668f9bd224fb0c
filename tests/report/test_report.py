"""The interactive page: what it holds, and what it does in a browser."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

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


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here: apt install chromium")
def test_in_a_browser_a_cell_shows_its_depths_and_layers_switch(page, out, profiles, tmp_path):
    found = gather(out, profiles)
    cell = int(found.profile_cell[0])
    ask = """
    <script>
    const wait = setInterval(() => {
      if (!(window.Bokeh && Bokeh.documents.length)) { return; }
      clearInterval(wait);
      const doc = Bokeh.documents[0], get = (name) => doc.get_model_by_name(name);
      get("cells").selected.indices = [CELL];
      get("layer").value = "q10";
      // Callbacks of bokeh run later.
      setTimeout(() => {
        const said = {
          cell: get("cell").value,
          middle: Array.from(get("line").data.middle),
          depth: Array.from(get("line").data.y),
          samples: Array.from(get("shown").data.soc),
          title: get("depth").title.text,
          values: Array.from(get("cells").data.value),
        };
        const note = document.createElement("pre");
        note.id = "said";
        note.textContent = JSON.stringify(said);
        document.body.appendChild(note);
      }, 2000);
    }, 50);
    </script></body>""".replace("CELL", str(cell))
    asked = tmp_path / "asked.html"
    # The last one: bokeh has others in its code.
    before, _, after = page.read_text().rpartition("</body>")
    asked.write_text(before + ask + after)
    done = subprocess.run(
        [
            BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=20000", "--dump-dom",
            asked.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )  # fmt: skip
    answer = re.search(r'<pre id="said">(.*?)</pre>', done.stdout)
    assert answer is not None, done.stderr
    said = json.loads(answer[1])
    assert said["cell"] == cell
    depths = np.isfinite(found.middle[cell])
    np.testing.assert_allclose(said["middle"][::2], found.middle[cell][depths], rtol=1e-6)
    assert said["depth"][:3] == [0.0, 0.02, 0.02]
    own = found.samples[found.samples[:, 0] == cell]
    np.testing.assert_allclose(said["samples"], own[:, 3])
    assert said["title"] == f"Cell {cell}, {len(own)} samples"
    q10 = next(layer for layer in found.layers if layer.name == "q10")
    np.testing.assert_allclose(said["values"], q10.values, rtol=1e-6)


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
