"""The page is complete, offline, escaped, and written in one step."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kerasviz import plots, report
from kerasviz.errors import InputError, OutputError
from kerasviz.report.notes import NOTES, note_for
from kerasviz.report.samples import Sample
from tests.plots.handmade import bare, blob, explanation, photos
from tests.report.reading import Page

NASTY = "<script>alert('1')</script> & \"quoted\" </style> {{ 7 * 7 }}"


def page_of(*sections: object, **settings: object) -> Page:
    page = Page(report.render(*sections, **settings))
    assert page.open == []
    return page


def test_the_page_says_all_that_belongs_to_a_map() -> None:
    page = page_of(explanation(diagnosis=("", "all zero: try another target")), title="My page")
    for text in (
        "My page",
        "Model little_net",
        "Input 24 × 32 × 3",
        "Samples 2",
        "Methods Grad-CAM",
        "Target tabby cat",
        "Score 8.12, before softmax",
        "Peak 0.0321",
        "Layer encoder/conv (7 × 9)",
        "Reason last layer with a spatial map",
        "Coverage rewrote 17 of 17 ReLU",
        "all zero: try another target",
        "tabby cat 60.0%",
        "created 2025-01-02",
        "kerasviz 0.1.0",
    ):
        assert text in page.text.replace("\u00a0", " ")


def test_every_picture_is_inside_and_has_the_size_of_the_photo() -> None:
    page = page_of(explanation("CAM"), explanation("Grad-CAM"))
    maps = page.pictures("map")
    assert len(maps) == 4
    assert len(page.all("img")) == 2 + 4 + 4
    for image, attributes in page.pictures():
        assert attributes["alt"]
        assert (attributes["width"], attributes["height"]) == tuple(map(str, image.size))
    assert {image.size for image, _ in maps} == {(32, 24)}
    assert {image.size for image, item in page.pictures() if "Input" in item["alt"]} == {(32, 24)}
    assert {image.size for image, item in page.pictures() if "Colour" in item["alt"]} == {(256, 1)}


def test_the_pixels_are_the_painters() -> None:
    found = explanation()
    image, attributes = page_of(found).pictures("map")[0]
    expected = plots.blend(found.inputs[0], found.maps[0]) * 255
    assert np.abs(np.asarray(image)[..., :3] - expected).max() <= 0.5 + 1e-6
    assert attributes["alt"] == (
        "Grad-CAM of sample 1 for tabby cat: strongest at 70% of the width and 31% of the height"
    )


def test_large_photos_are_made_smaller_in_proportion() -> None:
    shown = np.zeros((2, 600, 900, 3), dtype=np.uint8)
    sizes = {image.size for image, _ in page_of(explanation(), images=shown).pictures("map")}
    assert sizes == {(400, 267)}


def test_nothing_is_loaded_from_anywhere() -> None:
    source = report.render(explanation("Saliency"), explanation("Grad-CAM"))
    page = Page(source)
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.elements}
    for tag, attributes in page.elements:
        loaded = [attributes[name] for name in ("src", "srcset", "poster") if name in attributes]
        assert all(uri.startswith("data:image/png;base64,") for uri in loaded), tag
    assert not re.search(r"@import|url\(", source)
    links = {item["href"] for item in page.all("a") if item["href"].startswith("http")}
    assert links == {NOTES["Saliency"].link, NOTES["Grad-CAM"].link}
    assert source.count("http") == len(links) + source.count("http-equiv")
    policy = next(item for item in page.all("meta") if "content-security" in str(item).lower())
    assert policy["content"].startswith("default-src 'none'; img-src data:")


def test_all_text_of_users_is_escaped() -> None:
    found = explanation(
        NASTY,
        target_names=(NASTY, NASTY),
        labels=(NASTY,) * 6,
        score_kind=NASTY,
        layer=NASTY,
        layer_reason=NASTY,
        coverage=NASTY,
        diagnosis=(NASTY, ""),
        parameters={NASTY: NASTY},
        provenance={"model": NASTY, NASTY: NASTY},
    )
    table = pd.DataFrame({NASTY: [NASTY]}, index=pd.Index([NASTY], name=NASTY))
    figure = {NASTY: plots.overlay(np.zeros((4, 4)), np.eye(4))}
    section = report.Section(NASTY, NASTY, figure, {NASTY: table}, [found], names=[NASTY, "b"])
    source = report.render(section, section, title=NASTY, failures=[(NASTY, NASTY)])
    page = Page(source)
    assert page.open == []
    assert "<script" not in source
    assert source.count("</style>") == 1
    assert "49" not in page.text
    assert page.text.count("<script>alert('1')</script>") > 25
    known = {"img", "section", "article", "table", "figure", "dl", "ol", "nav", "meta"}
    assert known < {tag for tag, _ in page.elements}
    assert all(not name.startswith("on") for _, item in page.elements for name in item)


def test_a_blank_map_shows_the_photo_without_colour_and_why() -> None:
    maps = explanation().maps.copy()
    maps[1] = np.nan
    page = page_of(explanation(maps=maps))
    (good, _), (bad, attributes) = page.pictures("map")
    assert np.ptp(np.asarray(good)[..., :3].astype(int), axis=-1).max() > 50
    assert np.ptp(np.asarray(bad)[..., :3].astype(int), axis=-1).max() <= 1
    assert attributes["alt"].endswith("no map")
    assert "768 of its 768 values are not finite" in page.text
    assert len([item for item in page.all("img") if "Colour bar" in item["alt"]]) == 1


def test_failures_are_listed() -> None:
    page = page_of(explanation(), failures=[("broken.jpg", "cannot be decoded")])
    assert "What could not be done broken.jpg : cannot be decoded" in page.text
    alone = page_of(failures=[("broken.jpg", "cannot be decoded")])
    assert "broken.jpg" in alone.text
    assert "What could not be done" not in page_of(explanation()).text


def test_methods_are_explained_once_with_their_paper() -> None:
    page = page_of(
        explanation("GradCAM", parameters={"order": "paper"}), explanation("Made up"), names="ab"
    )
    assert page.text.count(NOTES["Grad-CAM"].lies) == 1
    assert "order = paper" in page.text
    assert "kerasviz has no reading note for this method." in page.text


@pytest.mark.parametrize("name", ["Saliency", "Guided saliency", "DeconvNet", "CAM", "Grad-CAM"])
def test_each_note_has_two_sentences_each_and_a_paper(name: str) -> None:
    note = note_for(name)
    assert note is not None
    for text in (note.reads, note.lies):
        assert len(re.findall(r"\.(?: |$)", text)) == 2
    assert re.search(r" 20\d\d, ", note.paper)
    assert re.fullmatch(r"https://arxiv\.org/abs/\d{4}\.\d{4,5}", note.link)


@pytest.mark.parametrize("spelling", ["Grad-CAM", "GradCAM", "grad-cam", "grad_cam"])
def test_spellings_of_a_method_find_its_note(spelling: str) -> None:
    assert note_for(spelling) is NOTES["Grad-CAM"]
    assert note_for(spelling + "++x") is None


def test_provenance_that_differs_names_the_methods() -> None:
    old = explanation("CAM", provenance={"keras": "3.6"})
    new = explanation("Saliency", provenance={"keras": "3.15", "seed": 4})
    page = page_of(old, new)
    assert "keras 3.6 (CAM); 3.15 (Saliency)" in page.text
    assert "seed 4" in page.text


def test_sections_keep_their_order_and_are_linked() -> None:
    page = page_of(report.Section("First", "One.\n\nTwo."), explanation(), report.Section("Last"))
    order = [page.text.rindex(title) for title in ("First", "Where it looks", "Last")]
    assert order == sorted(order)
    ids = {item["id"] for item in page.all("section") if "id" in item}
    assert {item["href"] for item in page.all("a") if item["href"][0] == "#"} <= {
        f"#{name}" for name in ids
    }
    assert len(page.all("p")) == 2
    assert "nav" not in [tag for tag, _ in page_of(report.Section("Only")).elements]


def test_figures_may_be_matplotlib_or_png_bytes() -> None:
    figure = plots.overlay(np.zeros((4, 4)), np.eye(4))
    both = {"drawn": figure, "bytes": plots.to_png(figure)}
    page = page_of(report.Section("Figures", figures=both))
    (drawn, first), (given, second) = page.pictures()
    assert np.array_equal(np.asarray(drawn), np.asarray(given))
    assert (first["alt"], second["alt"]) == ("drawn", "bytes")


def test_tables_show_numbers_to_the_right_and_names_of_rows() -> None:
    frame = pd.DataFrame({"mean": [0.0123456, np.nan], "n": [3, 40], "ok": [True, False]})
    page = page_of(report.Section("Tables", tables={"plain": frame}))
    assert "plain mean n ok 0.01235 3 yes nan 40 no" in page.text
    assert [item.get("class") for item in page.all("th")] == ["number", "number", None]
    named = frame.set_index(pd.Index(["conv", "dense"], name="layer"))
    assert "layer mean" in page_of(report.Section("T", tables={"x": named})).text
    nested = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")]))
    assert "a b a c 1 2" in page_of(report.Section("T", tables={"x": nested})).text
    empty = pd.DataFrame(columns=["first", "second"])
    assert "first second" in page_of(report.Section("T", tables={"x": empty})).text


def test_small_photos_are_shown_with_their_pixels() -> None:
    assert "pixels" in page_of(explanation()).all("img")[0]["class"]
    large = page_of(explanation(), images=np.zeros((2, 300, 300), np.uint8)).all("img")[0]
    assert "pixels" not in large.get("class", "")


@pytest.mark.parametrize(
    ("maps", "inputs"),
    [
        (np.linspace(0, 1, 50)[None], np.zeros((1, 50, 2))),
        ([[0.2, -1.0]], np.array([[3.0, 4.0]])),
        (blob(8, 8, 0.5, 0.5)[None, None].repeat(6, 1), np.ones((1, 6, 8, 8, 1))),
    ],
)
def test_signals_vectors_and_volumes_have_pictures(maps: object, inputs: np.ndarray) -> None:
    page = page_of(bare(maps, inputs))
    image, attributes = page.pictures("map")[0]
    assert np.asarray(image.convert("L")).std() > 5
    assert "strongest at" in attributes["alt"]


def test_several_inputs_have_a_card_each() -> None:
    maps = {"left": blob(24, 32, 0.5, 0.5)[None], "right": np.linspace(0, 1, 50)[None]}
    page = page_of(bare(maps, {"left": photos(1), "right": np.zeros((1, 50, 1))}))
    assert "Saliency · left" in page.text
    assert "Saliency · right" in page.text
    assert "left 24 × 32 × 3; right 50 × 1" in page.text.replace("\u00a0", " ")


@pytest.mark.parametrize(("cards", "columns"), [(1, 1), (5, 5), (6, 3), (7, 4), (8, 4), (10, 5)])
def test_cards_leave_few_places_empty(cards: int, columns: int) -> None:
    assert Sample("a", [], cards=[None] * cards).columns == columns


@pytest.mark.parametrize(
    ("sections", "settings", "message"),
    [
        ([], {}, r"`sections` must hold at least one"),
        (
            ["text"],
            {},
            r"`sections` must be Sections, Explanations or Visualizations\. Received: str",
        ),
        ([explanation(), explanation()[:1]], {}, r"must explain the same samples"),
        ([explanation()], {"names": ["a"]}, r"`names` must have one entry a sample"),
        ([report.Section("a", figures={"b": b"GIF89a"})], {}, r"the bytes of PNG files"),
        ([report.Section("a", figures={"b": 3})], {}, r"Received: int for 'b'"),
        ([report.Section("a", tables={"b": [1]})], {}, r"`tables` must hold pandas DataFrames"),
    ],
)
def test_what_cannot_be_shown_is_refused(sections: list, settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        report.render(*sections, **settings)


def test_writing_makes_folders_and_one_file(tmp_path: Path) -> None:
    path = report.write(tmp_path / "new" / "page.html", explanation(), title="Größe")
    assert [item.name for item in path.parent.iterdir()] == ["page.html"]
    assert path.read_text(encoding="utf-8") == report.render(explanation(), title="Größe")


def test_names_that_are_no_unicode_do_not_stop_the_page(tmp_path: Path) -> None:
    path = report.write(tmp_path / "page.html", explanation(), names=["bad\udcff.jpg", "b"])
    assert "bad?.jpg" in path.read_text(encoding="utf-8")


def test_a_failed_page_leaves_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("before")
    with pytest.raises(InputError):
        report.write(path, "no section")
    assert path.read_text() == "before"
    with pytest.raises(OutputError, match="must be a file that can be written"):
        report.write(path / "below.html", explanation())
