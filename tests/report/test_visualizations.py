"""Drawn pictures on the page: complete, escaped, apart from explanations and beside them."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasviz import report
from kerasviz.errors import InputError
from kerasviz.features.visualization import Visualization
from tests.plots.handmade import explanation
from tests.report.reading import Page
from tests.report.test_browser import BROWSER, MEASURE, PHONE, run_browser

NASTY = "<img src=x onerror=\"document.title='broken in'\"> {{ 7 * 7 }}"


def visualization(count: int = 2, size: int = 20, **changes: Any) -> Visualization:
    """Pictures made by hand; any field can be replaced."""
    random = np.random.default_rng(5)
    display = random.random((count, size, size + 4, 3)).astype("float32")
    fields: dict[str, Any] = {
        "pictures": display * 2 - 1,
        "display": display,
        "values": np.linspace(8.125, 3.5, count),
        "history": np.linspace(0.25, 7.0, 5)[:, None] * np.ones(count),
        "names": tuple(f"encoder/conv:{index}" for index in range(count)),
        "parameters": {
            "objective": "encoder/conv:0,1",
            "transforms": ["jitter(8)", "rotate(-10 to 10)"],
            "regularizers": [],
            "learning_rate": 0.05,
            "seed": 17,
        },
        "provenance": {"kerasviz": "0.1.0", "model": "little_net", "created": "2025-03-04"},
    }
    return Visualization(**(fields | changes))


def page_of(*sections: object, **settings: Any) -> Page:
    page = Page(report.render(*sections, **settings))
    assert page.open == []
    return page


def test_the_page_says_all_that_belongs_to_a_picture() -> None:
    page = page_of(visualization(), title="My page")
    for text in (
        "My page",
        "Model little_net",
        "Pictures 2 of 20 × 24",
        "Methods Activation maximization",
        "What it looks for",
        "encoder/conv:0",
        "encoder/conv:1",
        "Value 8.12",
        "Value 3.5",
        "While drawn 0.25 → 7",
        "Transforms jitter(8), rotate(-10 to 10)",
        "Regularizers none",
        "Learning rate 0.05",
        "Seed 17",
        "How to read the pictures",
        "created 2025-03-04",
        "kerasviz 0.1.0",
    ):
        assert text in page.text.replace("\u00a0", " "), text
    assert "Samples" not in page.text


def test_every_picture_is_inside_pixel_by_pixel() -> None:
    found = visualization()
    page = page_of(found)
    maps = page.pictures("map")
    assert len(maps) == 2
    for (image, attributes), picture in zip(maps, found.display, strict=True):
        assert (attributes["width"], attributes["height"]) == tuple(map(str, image.size))
        np.testing.assert_array_equal(np.asarray(image)[..., :3], np.rint(picture * 255))
    assert maps[0][1]["alt"] == "Picture of encoder/conv:0, value 8.12"
    (curve,) = [item for _, item in page.pictures() if "objective at each" in item["alt"]]
    assert "5 steps: on average 0.25 → 7" in curve["alt"]


def test_a_curve_rises_where_the_objective_does() -> None:
    rising = visualization(1, history=np.linspace(0, 1, 50)[:, None])
    falling = visualization(1, history=np.linspace(1, 0, 50)[:, None])
    first, second = (page_of(one).pictures()[0][0] for one in (rising, falling))
    darkness = [1 - np.asarray(one.convert("L"), float) / 255 for one in (first, second)]
    inner = [one[20:-90, 90:-20] for one in darkness]
    half = inner[0].shape[1] // 2
    upper = [one[: len(one) // 2] for one in inner]
    assert upper[0][:, half:].sum() > 4 * upper[0][:, :half].sum()
    assert upper[1][:, :half].sum() > 4 * upper[1][:, half:].sum()


def test_small_pictures_are_smooth_and_tiny_ones_are_not() -> None:
    for size, classes in ((20, "map pixels"), (100, "map")):
        assert {item["class"] for _, item in page_of(visualization(1, size)).pictures("map")} == {
            classes
        }


def test_large_pictures_are_made_smaller_in_proportion() -> None:
    page = page_of(visualization(1, 700))
    assert page.pictures("map")[0][0].size == (512, round(700 * 512 / 704))
    assert "Size 700 × 704" in page.text.replace("\u00a0", " ")


def test_an_objective_that_stood_still_is_a_warning() -> None:
    dead = np.linspace(0.0, 1.0, 40)[:, None] * [1.0, 1.0]
    dead[20:, 1] = 0.0
    page = page_of(visualization(history=dead))
    (warning,) = [word for word in page.texts if "stood still" in word]
    assert "stood still at 0: no gradient reached the picture" in warning
    assert "stood still" not in page_of(visualization()).text


def test_opacity_is_kept() -> None:
    display = np.random.default_rng(0).random((2, 9, 9, 4)).astype("float32")
    found = visualization(display=display, pictures=display[..., :3])
    image, _ = page_of(found).pictures("map")[0]
    np.testing.assert_array_equal(np.asarray(image), np.rint(display[0] * 255))


@pytest.mark.parametrize("shape", [(30, 2), (6,), (4, 6, 8, 1), (8, 8, 5)])
def test_other_kinds_are_drawn(shape: tuple[int, ...]) -> None:
    display = np.random.default_rng(0).random((2, *shape))
    page = page_of(visualization(display=display, pictures=display))
    assert all(np.asarray(image.convert("L")).std() > 1 for image, _ in page.pictures("map"))
    assert ("three slices" in page.text) == (len(shape) == 4)


def test_texts_are_escaped() -> None:
    source = report.render(
        visualization(names=(NASTY, "b"), parameters={"objective": NASTY, NASTY: NASTY})
    )
    assert "<img src=x" not in source
    assert "{{ 7 * 7 }}" in source
    assert "49" not in Page(source).text.split()


def test_nothing_is_loaded_from_anywhere() -> None:
    page = page_of(visualization())
    assert all(item["src"].startswith("data:") for item in page.all("img"))
    assert page.all("script") == page.all("link") == []


def test_pictures_and_maps_on_one_page_keep_their_order() -> None:
    first, second = visualization(), visualization(1, names=("other:3",))
    note = report.Section("In between", text="Words.")
    page = page_of(first, note, explanation(), second)
    headings = [word for word in page.texts if word in ("What it looks for", "Where it looks")]
    assert headings[-2:] == ["What it looks for", "Where it looks"]
    assert len(page.pictures("map")) == 2 + 1 + 2
    text = page.text
    assert text.index("other:3") < text.rindex("In between")
    for word in ("Pictures 3 of", "Samples 2", "Methods Grad-CAM, Activation maximization"):
        assert word in text
    assert "How to read maps and pictures" in text


def test_a_section_of_its_own() -> None:
    section = report.Section("Early layers", visualizations=[visualization()])
    page = page_of(section)
    assert "Early layers" in page.texts
    assert "What it looks for" not in page.texts
    assert len(page.pictures("map")) == 2


def test_other_things_are_refused() -> None:
    with pytest.raises(InputError, match=r"Visualizations\. Received: int"):
        report.render(visualization(), 3)


def test_write(tmp_path: Path) -> None:
    path = report.write(tmp_path / "new" / "page.html", visualization(), title="Pictures")
    assert path.read_text(encoding="utf-8") == report.render(visualization(), title="Pictures")


@pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome on this machine")
def test_on_a_phone_all_pictures_load_and_nothing_sticks_out(tmp_path: Path) -> None:
    names = ("unbreakable" * 20, NASTY, *("encoder/" * 30 + f"conv:{i}" for i in range(6)))
    many = visualization(8, 100, names=names)
    source = report.render(many, visualization(), explanation(), title="The title")
    measured = tmp_path / "measure.html"
    measured.write_text(MEASURE.format(width=PHONE, page=html.escape(source)), encoding="utf-8")
    seen = run_browser(tmp_path, measured, "--virtual-time-budget=5000", "--dump-dom")
    assert f"width {PHONE}<" in seen
    loaded, images = map(int, re.search(r"loaded (\d+) of (\d+)", seen).groups())
    assert loaded == images == (8 + 1) + (2 + 1) + (2 + 2 + 2)
    assert "title The title" in seen
