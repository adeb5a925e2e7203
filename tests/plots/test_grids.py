"""Figures say what they show, and refuse to draw what would mislead."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from kerasviz import plots
from kerasviz.errors import InputError
from tests.plots.handmade import bare, blob, explanation, photos


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def pictures(figure: Figure) -> list[np.ndarray]:
    """All drawn pictures but colour bars."""
    arrays = [np.asarray(image.get_array()) for image in figure.findobj(AxesImage)]
    return [array for array in arrays if array.shape[0] > 1]


def colourful(picture: np.ndarray) -> bool:
    return bool(np.ptp(picture, axis=-1).max() > 0.05)


def pixels(figure: Figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(plots.to_png(figure, dpi=60))).convert("RGB"))


def test_a_grid_has_a_row_an_image_and_a_column_a_method() -> None:
    figure = plots.grid([explanation("CAM"), explanation("Grad-CAM")], names=["one", "two"])
    assert len(pictures(figure)) == 2 * 3
    shown = words(figure)
    for text in ("one", "two", "CAM", "Grad-CAM", "for tabby cat", "for espresso"):
        assert text in shown
    for text in ("score 8.12, before softmax", "peak 0.0321", "peak 4.5", "encoder/conv"):
        assert text in shown
    assert "7\u00a0×\u00a09" in shown
    assert "60.0%" in shown
    assert shown.count("lynx") == 2


def test_pictures_are_the_painters() -> None:
    found = explanation()[0]
    photo, painted = pictures(plots.plot_explanation(found))
    assert np.allclose(painted, plots.blend(found.inputs[0], found.maps[0]))
    assert np.allclose(photo, (found.inputs[0] - found.inputs.min()) / np.ptp(found.inputs[0]), 0.1)


def test_display_images_replace_inputs_and_may_differ_in_size() -> None:
    shown = [np.zeros((50, 40, 3), np.uint8), np.full((30, 90), 255, np.uint8)]
    sizes = [picture.shape for picture in pictures(plots.grid([explanation()], shown))]
    assert sizes == [(50, 40, 3), (50, 40, 3), (30, 90, 3), (30, 90, 3)]


@pytest.mark.parametrize("value", [0.0, 0.7, np.nan])
def test_a_map_without_information_is_not_painted(value: float) -> None:
    maps = explanation().maps.copy()
    maps[1] = value
    figure = plots.plot_explanation(explanation(maps=maps, diagnosis=("", "cause and cure")))
    good, bad = pictures(figure)[1], pictures(figure)[3]
    assert colourful(good)
    assert not colourful(bad)
    assert "cause and cure" in words(figure)
    bars = [image for image in figure.findobj(AxesImage) if image.get_array().shape[0] == 1]
    assert len(bars) == 1


def test_a_blank_map_without_diagnosis_says_what_is_seen() -> None:
    maps = np.zeros((2, 24, 32))
    maps[1, 0, 0] = np.nan
    shown = words(plots.plot_explanation(explanation(maps=maps)))
    assert "No map: all its values are 0." in shown
    assert "1 of its 768 values are not" in shown


def test_a_diagnosis_of_a_drawable_map_stands_below_it() -> None:
    figure = plots.plot_explanation(explanation(diagnosis=("read with care", "")))
    assert colourful(pictures(figure)[1])
    assert "read with care" in words(figure)


def test_few_outliers_do_not_hide_the_rest_and_the_bar_says_so() -> None:
    maps = 0.1 * np.stack([blob(24, 32, 0.3, 0.7)] * 2)
    maps[:, 0, 0] = 1.0
    figure = plots.plot_explanation(explanation(maps=maps))
    hill = pictures(figure)[1][7, 22]
    assert np.allclose(hill, plots.blend(photos()[0], np.ones((24, 32)))[7, 22], atol=0.1)
    assert "≥ 10% of peak" in words(figure)


def test_maps_that_were_not_scaled_are_drawn_in_full_with_their_true_peak() -> None:
    raw = explanation(maps=explanation().maps * 0.004, peaks=[1.0, 1.0])
    figure = plots.plot_explanation(raw)
    scaled = plots.plot_explanation(explanation())
    assert np.allclose(pictures(figure)[1], pictures(scaled)[1], atol=1e-4)
    assert "peak 0.004" in words(figure)


def test_signed_maps_have_a_symmetric_scale() -> None:
    maps = explanation().maps - 0.5 * np.stack([blob(24, 32, 0.8, 0.1)] * 2)
    assert "−peak" in words(plots.plot_explanation(explanation(maps=maps)))
    declared = explanation(parameters={"signed": True})
    assert "−peak" in words(plots.plot_explanation(declared))


def test_what_is_left_out_is_said() -> None:
    figure = plots.grid([explanation()], max_images=1)
    assert "1 of 2 samples shown; `max_images=2` shows all." in words(figure)
    assert len(pictures(figure)) == 2


def test_long_names_and_formulas_stay_text() -> None:
    strange = explanation(
        target_names=("a very long name " * 20, "$\\frac{$"),
        labels=("x" * 300, "$a^$", "_b_", "%", "\\alpha{", "é"),
    )
    assert pixels(plots.plot_explanation(strange)).std() > 10
    longest = max(words(plots.plot_explanation(strange)).split("\n"), key=len)
    assert len(longest) < 60


def test_outputs_that_are_no_probabilities_are_shown_as_numbers() -> None:
    logits = np.array([[0.5, 12.25, -3.0, 0.1, 0.2, 0.3]] * 2)
    shown = words(plots.plot_explanation(explanation(predictions=logits)))
    assert "12.2" in shown
    assert "%" not in shown


def test_signals_are_lines_over_a_filled_map() -> None:
    hill = np.exp(-(((np.arange(100) - 30) / 9.0) ** 2))[None]
    figure = plots.plot_explanation(bare(hill, np.random.default_rng(0).normal(size=(1, 100, 2))))
    panel = figure.axes[1]
    assert len(panel.lines) == 2
    filled = [axes for axes in figure.axes if axes.collections]
    tops = np.concatenate([item.get_paths()[0].vertices for item in filled[0].collections])
    assert tops[tops[:, 1].argmax()].tolist() == pytest.approx([30.0, 1.0])


def test_signals_first_or_last_in_channels_are_the_same() -> None:
    signal = np.random.default_rng(0).normal(size=(1, 100, 2))
    hill = np.linspace(0, 1, 100)[None]
    last = plots.plot_explanation(bare(hill, signal))
    first = plots.plot_explanation(bare(hill, np.moveaxis(signal, 1, 2)))
    assert np.array_equal(pixels(last), pixels(first))


def test_vectors_are_bars() -> None:
    figure = plots.plot_explanation(bare([[1.0, -0.25, 0.5]], np.array([[10.0, 20.0, 30.0]])))
    lengths = [bar.get_width() for bar in figure.axes[1].findobj(Rectangle)[:3]]
    assert lengths == [1.0, -0.25, 0.5]
    assert "1: 20" in words(figure)


def test_long_vectors_are_lines() -> None:
    figure = plots.plot_explanation(bare(np.linspace(0, 1, 500)[None], np.zeros((1, 500))))
    assert len(figure.axes[1].lines) == 1


def test_words_are_labels_of_their_bars() -> None:
    found = bare([[0.1, 1.0]], np.array([["not", "good"]]))
    assert "1: good" in words(plots.plot_explanation(found))
    assert pixels(plots.plot_explanation(bare([[0.1, 1.0] * 50], np.array([["a"] * 100])))).any()


def test_volumes_are_cut_through_the_hottest_voxel() -> None:
    heat = np.zeros((1, 6, 8, 10))
    heat[0, 4, 1, 7] = 1.0
    figure = plots.plot_explanation(bare(heat, np.zeros((1, 6, 8, 10, 1))))
    assert "slices through (4, 1, 7)" in words(figure)
    painted = pictures(figure)[1]
    assert painted.shape == (8, 10 + 2 + 10 + 2 + 8, 3)
    hot = np.argwhere(painted.sum(axis=-1) > 1.6)
    assert hot.tolist() == [[1, 7], [5, 12 + 7], [5, 24 + 1]]


def test_several_inputs_have_a_row_each() -> None:
    maps = {"left": blob(24, 32, 0.5, 0.5)[None], "right": np.linspace(0, 1, 50)[None]}
    found = bare(
        maps,
        {"left": photos(1), "right": np.zeros((1, 50, 1))},
        layer={"left": "enc/conv", "right": ""},
        resolution={"left": (3, 4), "right": None},
    )
    shown = words(plots.plot_explanation(found))
    assert "sample 1 · left" in shown
    assert "sample 1 · right" in shown
    assert shown.count("enc/conv") == 1


@pytest.mark.parametrize(
    ("several", "settings", "message"),
    [
        ([], {}, r"must hold at least one explained sample"),
        ([explanation()[:0]], {}, r"must hold at least one explained sample"),
        ([explanation(), explanation()[:1]], {}, r"2 of Grad-CAM and 1 of Grad-CAM"),
        ([explanation(), explanation(inputs=photos() / 2)], {}, r"of different inputs"),
        ([explanation()], {"images": photos(3)}, r"`images` must have one entry a sample: 2"),
        ([explanation()], {"images": {"a": photos()}}, r"`images` must be one sequence"),
        ([explanation()], {"names": ["a"]}, r"`names` must have one entry a sample: 2"),
        ([bare(np.zeros((1, 2, 2, 2, 2)), np.zeros((1, 2, 2, 2, 2)))], {}, r"at most 3 spatial"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    several: list, settings: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        plots.grid(several, **settings)


def test_other_preprocessing_is_allowed_when_images_are_given() -> None:
    both = [explanation("A"), explanation("B", inputs=photos() / 2)]
    assert len(pictures(plots.grid(both, photos()))) == 6


def test_one_explanation_needs_no_list() -> None:
    assert len(pictures(plots.grid(explanation()))) == 4


def test_overlay_draws_one_map_with_bar_title_and_peak() -> None:
    figure = plots.overlay(photos()[0], blob(24, 32, 0.5, 0.5), title="A title", peak=0.25)
    assert np.allclose(pictures(figure)[0], plots.blend(photos()[0], blob(24, 32, 0.5, 0.5)))
    assert "A title" in words(figure)
    assert "peak 0.25" in words(figure)


def test_overlay_rescales_only_what_goes_beyond() -> None:
    heat = blob(24, 32, 0.5, 0.5)
    beyond = plots.overlay(photos()[0], (heat * 40).tolist(), peak=1.0)
    assert np.allclose(pictures(beyond)[0], plots.blend(photos()[0], heat))
    assert "peak 40" in words(beyond)
    half = plots.overlay(photos()[0], heat / 2)
    assert np.allclose(pictures(half)[0], plots.blend(photos()[0], heat / 2))


def test_drawing_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nan = explanation(maps=np.full((2, 24, 32), np.nan), inputs=np.full((2, 24, 32, 3), np.nan))
        pixels(plots.plot_explanation(nan))
        pixels(
            plots.plot_explanation(bare(np.full((1, 100), np.nan), np.full((1, 100, 2), np.nan)))
        )
        pixels(plots.plot_explanation(bare([[np.nan, 0.0]], np.array([[np.inf, 1.0]]))))


def test_png_size_follows_dpi() -> None:
    figure = plots.overlay(photos()[0], blob(24, 32, 0.5, 0.5))
    small, large = (Image.open(io.BytesIO(plots.to_png(figure, dpi=dpi))) for dpi in (50, 100))
    assert large.size == pytest.approx((2 * small.size[0], 2 * small.size[1]), abs=2)


def test_notebooks_can_show_a_figure() -> None:
    figure = plots.plot_explanation(explanation())
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_no_pyplot_no_tensorflow_no_other_backend() -> None:
    code = (
        "import sys, numpy as np, matplotlib\n"
        "def settings(): return [str(dict.__getitem__(rc, key)) for key in rc]\n"
        "rc = matplotlib.rcParams\n"
        "before = settings()\n"
        "from kerasviz import plots\n"
        "plots.to_png(plots.overlay(np.zeros((4, 4)), np.eye(4)))\n"
        "names = ('matplotlib.pyplot', 'tensorflow', 'keras', 'pandas')\n"
        "print([name for name in names if name in sys.modules], before == settings())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] True"
