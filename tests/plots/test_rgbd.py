"""Figures of RGB-D scenes, of grasps, and of what modalities contribute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kerasviz import plots, samples
from kerasviz.errors import InputError
from kerasviz.plots.rgbd import DEPTHS, _shares, grasp_directions, to_grip

RANDOM = np.random.default_rng(0)


def labels(scenes: samples.RGBDScenes) -> dict[str, np.ndarray]:
    return {name: getattr(scenes, name) for name in ("grip", "horizontal", "vertical")}


def test_the_direction_is_that_of_the_thing() -> None:
    scenes = samples.rgbd_scenes(8, size=96, seed=2, objects=(1, 1), decoys=0)
    for scene, (thing,) in enumerate(scenes.objects):
        found = grasp_directions(
            scenes.grip[scene] == 1, scenes.horizontal[scene], scenes.vertical[scene]
        )
        if not scenes.grip[scene].any():
            continue
        ((row, column, angle),) = found
        assert scenes.instances[scene][round(row), round(column)] == 0
        if thing.grip_angle is None:
            assert angle is None
        else:
            assert abs(np.sin(angle - thing.grip_angle)) < 1e-5


def test_contradicting_directions_are_none_and_specks_are_left_out() -> None:
    grip = np.zeros((8, 8), bool)
    grip[1:3, 1:3] = True
    grip[6, 6] = True
    horizontal = np.ones((8, 8))
    horizontal[1, 1:3] = -1
    ((row, column, angle),) = grasp_directions(grip, horizontal, np.zeros((8, 8)))
    assert (row, column, angle) == (1.5, 1.5, None)


def test_probabilities_and_labels_say_the_same() -> None:
    grip = RANDOM.random((5, 6)) > 0.5
    chance = np.where(grip, 0.8, 0.3)
    np.testing.assert_array_equal(to_grip(grip.astype(int)), grip)
    np.testing.assert_array_equal(to_grip(np.stack([1 - chance, chance], axis=-1)), grip)


def test_holes_are_black_and_the_near_is_bright() -> None:
    depth = np.array([[0.0, 600.0], [700.0, np.inf]])
    colors = DEPTHS(_shares(depth, (600.0, 700.0)))[..., :3]
    np.testing.assert_array_equal(colors[0, 0], 0)
    np.testing.assert_array_equal(colors[1, 1], 0)
    assert colors[0, 1].mean() > colors[1, 0].mean() > 0.2


@pytest.mark.parametrize("with_maps", [False, True], ids=["plain", "maps"])
def test_a_row_a_scene_and_a_column_a_picture(with_maps: bool) -> None:
    scenes = samples.rgbd_scenes(3, size=24, output_size=12)
    maps = {"heat": RANDOM.random((3, 6, 6))} if with_maps else {}
    figure = plots.rgbd_scenes(
        scenes.rgb,
        scenes.depth,
        {"true": labels(scenes)},
        maps=maps,
        titles=["a", "b", "c"],
        max_scenes=2,
    )
    texts = [text.get_text() for text in figure.texts]
    assert {"colour", "depth", "true", "a", "b", *maps} <= set(texts)
    assert "c" not in texts
    pictures = [axes for axes in figure.axes if axes.images and axes.images[0].get_array().ndim]
    assert len(pictures) == 2 * (3 + with_maps) + 1 + with_maps  # and the colour bars
    assert plots.to_png(figure)


def test_depth_that_was_never_measured_is_drawn_too() -> None:
    assert plots.to_png(plots.rgbd_scenes(np.zeros((1, 8, 8, 3), "uint8"), np.zeros((1, 8, 8))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": np.ones((1, 8, 8))}, "`rgb` must be"),
        ({"grasps": {"true": {"grip": np.ones((2, 8, 8))}}}, "'true' without"),
        ({"maps": {"heat": np.ones((1, 4, 4))}}, r"2 maps .*'heat' of shape \(1, 4, 4\)"),
    ],
    ids=["depth", "grasps", "maps"],
)
def test_arrays_of_other_scenes_are_refused(change: dict[str, Any], message: str) -> None:
    given = {"rgb": np.ones((2, 8, 8, 3)), "depth": np.ones((2, 8, 8)), **change}
    with pytest.raises(InputError, match=message):
        plots.rgbd_scenes(**given)


def test_each_modality_has_a_bar_with_its_mean() -> None:
    shares = np.array([[0.25, 0.75], [0.35, 0.65], [np.nan, np.nan]])
    losses = np.array([[1.0, -2.0], [3.0, 4.0]])
    figure = plots.modalities(("colour", "depth"), {"share": shares}, {"loss": losses})
    share, loss = figure.axes
    np.testing.assert_allclose([bar.get_height() for bar in share.patches], [0.3, 0.7])
    np.testing.assert_allclose([bar.get_height() for bar in loss.patches], [2.0, 1.0])
    words = [label.get_text() for label in share.get_xticklabels()]
    assert words == ["colour\n30% ± 5%", "depth\n70% ± 5%"]
    with pytest.raises(InputError, match="a column per modality"):
        plots.modalities(("colour", "depth"), {"share": shares[:, :1]}, {})


def test_maps_of_a_sample_share_their_scale() -> None:
    maps = {"a": np.full((1, 4, 4), 2.0), "b": np.full((1, 4, 4), 0.5)}
    figure = plots.modalities(("a", "b"), {}, {"loss": np.ones((1, 2))}, maps=maps)
    one, other = (figure.axes[i].images[0].get_array() for i in (1, 2))
    assert one.mean() > other.mean()
    assert "2" in [text.get_text() for text in figure.texts]
    assert plots.to_png(figure)
