"""The page in a real browser: pictures load, nothing runs, nothing is wider than a phone."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerasviz import report
from tests.plots.handmade import explanation

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = 390
MEASURE = """
<iframe id="page" style="border: 0; width: {width}px; height: 900px" srcdoc="{page}"></iframe>
<script>
addEventListener("load", () => {{
  const inside = document.getElementById("page").contentDocument;
  const loaded = [...inside.images].filter((image) => image.naturalWidth > 0).length;
  document.body.innerHTML = `<p>width ${{inside.documentElement.scrollWidth}}</p>
    <p>loaded ${{loaded}} of ${{inside.images.length}}</p>
    <p>title ${{inside.title}}</p>`;
}});
</script>
"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome on this machine")


def run_browser(folder: Path, page: Path, *flags: str) -> str:
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def long_words() -> report.Section:
    found = explanation(
        "Grad-CAM",
        target_names=("unbreakable" * 20, "<img src=x onerror=\"document.title='broken in'\">"),
        layer="/".join(["encoder"] * 40),
        diagnosis=("", "all zero: " + "word " * 60),
    )
    others = [explanation(name) for name in ("Saliency", "CAM", "DeconvNet", "Guided saliency")]
    return report.Section("Wide things", explanations=[found, *others])


def test_on_a_phone_all_pictures_load_and_nothing_sticks_out(tmp_path: Path) -> None:
    source = report.render(long_words(), title="The title")
    measured = tmp_path / "measure.html"
    measured.write_text(MEASURE.format(width=PHONE, page=html.escape(source)), encoding="utf-8")
    seen = run_browser(tmp_path, measured, "--virtual-time-budget=5000", "--dump-dom")
    assert f"width {PHONE}<" in seen
    loaded, images = map(int, re.search(r"loaded (\d+) of (\d+)", seen).groups())
    assert loaded == images == 2 + 2 * 5 * 2
    assert "title The title" in seen


@pytest.mark.parametrize(("scheme", "light"), [(1, True), (0, False)])
def test_it_follows_the_light_and_dark_scheme(tmp_path: Path, scheme: int, light: bool) -> None:
    page = report.write(tmp_path / "page.html", explanation())
    shot = tmp_path / "shot.png"
    settings = f"--blink-settings=preferredColorScheme={scheme}"
    run_browser(tmp_path, page, settings, "--window-size=900,700", f"--screenshot={shot}")
    pixels = np.asarray(Image.open(shot).convert("L"))
    assert pixels.shape == (700, 900)
    assert (np.median(pixels) > 128) == light
    assert pixels.std() > 10
