"""The page of a development: its pictures, its numbers, and how it behaves in a real browser."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest

import kerasviz as kv
from kerasviz.report import development_frames
from kerasviz.report.training import run_sections
from tests.receptive_fields.developed import fields, write_run
from tests.report.reading import Page
from tests.report.test_browser import BROWSER, run_browser

HOSTILE = "</script><img src=x onerror=\"document.title='broken in'\">"
SHAPE = (2, 7, 6, 1)
HARNESS = """
<iframe id="page" style="border: 0; width: 390px; height: 900px" srcdoc="{page}"></iframe>
<script>
addEventListener("load", async () => {{
  const frame = document.getElementById("page"), page = frame.contentDocument;
  const one = (selector) => page.querySelector(selector), said = [];
  const tell = (what) => said.push([what, one("#now").textContent, one("#play").textContent,
    one(".facts").textContent, one("#told").textContent, page.querySelectorAll(".each").length,
    frame.contentWindow.getComputedStyle(one(".window img")).marginLeft,
    one(".window").getBoundingClientRect().width, one("#slider").getAttribute("aria-valuetext")]);
  const pause = (time) => new Promise((done) => setTimeout(done, time));
  tell("opened");
  one("#slider").value = 1;
  one("#slider").dispatchEvent(new Event("input"));
  tell("slid");
  one("#measure").value = "strength";
  one("#measure").dispatchEvent(new Event("change"));
  tell("strength");
  one(".unit").click();
  said.push(["chosen", page.querySelectorAll(".chosen").length,
    one(".unit").getAttribute("aria-pressed")]);
  frame.contentWindow.location.hash = "#0";
  await pause(50);
  tell("linked");
  one("#play").click();
  tell("playing");
  await pause(5000);
  tell("played");
  one("#play").click();
  tell("again");
  one("#play").click();
  await pause(2000);
  tell("paused");
  const wide = page.documentElement.scrollWidth;
  const loaded = [...page.images].filter((image) => image.naturalWidth > 0).length;
  said.push(["page", wide, loaded, page.images.length, page.title]);
  const reachable = [...page.querySelectorAll("button, input, select")];
  said.push(["keys", reachable.length, reachable.filter((item) => item.tabIndex === 0).length]);
  const output = document.createElement("pre");
  output.textContent = JSON.stringify(said);
  document.body.replaceChildren(output);
}});
</script>
"""


def snapshots(layer: str = "conv") -> list[kv.receptive_fields.UnitFields]:
    draw = np.random.default_rng(0)
    maps = [draw.normal(size=SHAPE) for _ in range(3)]
    maps[0][1] = 0.0
    return [fields(one, (3, 4), layer) for one in maps]


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("paged")
    write_run(folder / "run", snapshots(HOSTILE))
    return kv.report.development(folder / "run", HOSTILE, folder / "page.html", fits=2)


def test_pictures_and_numbers(page) -> None:
    text = page.read_text()
    found = Page(text)
    assert HOSTILE not in text
    assert "http" not in re.sub(r"http-equiv|http://www.w3.org/2000/svg", "", text)
    assert len(found.pictures()) == 2
    wanted = [one.display for one in snapshots()]
    for unit, (picture, attributes) in enumerate(found.pictures()):
        strip = np.asarray(picture, "float64").reshape(7, 3, 6)
        for time in range(3):
            drawn = (strip[:, time] - 128) / 127
            off = 2 * wanted[time][unit, ..., 0] - 1
            assert np.abs(drawn - off).max() <= 0.5 / 32 + 0.5 / 127
            np.testing.assert_array_equal(drawn[off == 0], 0.0)
        assert f"Unit {unit} of" in attributes["alt"]
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert data["numbers"] == [0, 1, 2]
    table = kv.receptive_fields.Development(kv.dynamics.Run(page.parent / "run"), HOSTILE).table(
        fits=2
    )
    names = [one["name"] for one in data["measures"]]
    assert names == ["error", "with_last", "strength"]
    for one in data["measures"]:
        values = np.array(one["values"], float).ravel()
        np.testing.assert_allclose(values, table[one["name"]], atol=6e-4)
    assert data["types"][1] == [None, None]
    assert data["types"][0][1] == "dead"
    assert data["types"][2] == table["type"].loc[2].tolist() == ["other", "other"]


def test_large_and_odd_maps(tmp_path, monkeypatch) -> None:
    draw = np.random.default_rng(1)
    monkeypatch.setattr(development_frames, "MOST_VALUES", 2 * 2 * 3 * 10 * 10)
    for shape, frame in {
        (2, 20, 30, 3): (7, 10),
        (2, 30, 2): (1, 17),
        (2, 9, 20, 30, 1): (11, 17),
        (2, 5): (1, 5),
    }.items():
        start = (0,) * (len(shape) - 2)
        folder = tmp_path / str(len(shape))
        run = write_run(folder, [fields(draw.normal(size=shape), start) for _ in range(2)])
        found = kv.receptive_fields.Development(run, "conv")
        images, size = development_frames.strips(found, [0, 1])
        assert size == frame
        assert [(image.height, image.width) for image in images] == [(frame[0], 2 * frame[1])] * 2
        written = kv.report.development(run, "conv", folder / "page.html", fits=2)
        is_flat = len(shape) == 4
        assert ("There are no fits." in written.read_text()) != is_flat


def test_the_page_of_the_run_links_to_it(tmp_path) -> None:
    run = write_run(tmp_path, snapshots())
    [section] = [s for s in run_sections(run, {"conv": "a b#.html"}) if "receptive" in s.title]
    [(caption, figure)] = section.figures.items()
    assert caption == "conv: 3 snapshots are kept"
    assert "unit 1" in {text.get_text() for text in figure.texts}
    assert '<a href="a%20b%23.html">conv: every unit' in kv.report.render(section)


@pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome on this machine")
def test_in_a_browser(page, tmp_path) -> None:
    harness = tmp_path / "harness.html"
    harness.write_text(HARNESS.format(page=html.escape(page.read_text())), encoding="utf-8")
    seen = run_browser(tmp_path, harness, "--virtual-time-budget=20000", "--dump-dom")
    told = json.loads(html.unescape(re.search(r"<pre>(.*?)</pre>", seen, re.DOTALL)[1]))
    said = {one[0]: one[1:] for one in told}
    data = json.loads(re.search(r'id="data">(.*?)</script>', page.read_text())[1])
    measures = {one["name"]: one["values"] for one in data["measures"]}

    def place(name: str) -> float:
        return -float(said[name][5].removesuffix("px")) / said[name][6]

    strength, error = (measures[name][2][0] for name in ("strength", "error"))
    facts = f"strength {strength:.2f}, {data['types'][2][0]} {error:.2f}"
    assert said["opened"][:2] == ["after 2 epochs", "Play"]
    assert said["opened"][2] == facts
    assert said["opened"][3].endswith("2 other.")
    assert said["opened"][4] == 2
    assert place("opened") == pytest.approx(2, abs=0.01)
    assert said["slid"][0] == said["slid"][7] == "after 1 epoch"
    assert said["slid"][2].endswith("fit not known")
    assert place("slid") == pytest.approx(1, abs=0.01)
    median = np.median(measures["strength"][1])
    assert f"Median after 1 epoch: {median:.2f}" in said["strength"][3]
    assert said["chosen"] == [1, "true"]
    assert said["linked"][0] == "before training"
    assert place("linked") == 0
    assert said["playing"][:2] == ["before training", "Pause"]
    assert said["played"][:2] == ["after 2 epochs", "Play"]
    assert said["again"][:2] == ["before training", "Pause"]
    assert said["paused"][:2] == ["before training", "Play"]
    assert said["page"] == [390, 2, 2, f"{HOSTILE}: how its fields developed"]
    assert said["keys"] == [5, 5]
