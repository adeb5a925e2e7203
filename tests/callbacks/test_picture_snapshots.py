"""Frames of a picture in the making: which, how many, and as an animation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import kerasviz as kv
from kerasviz.errors import InputError, MethodError, OutputError


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((16, 20, 3), name="photo")
    features = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="pool")(features))


@pytest.fixture(scope="module")
def drawn(model: keras.Model) -> Callable[..., tuple]:
    """Draw three channels for so many steps, two steps an execution."""
    visualizer = kv.ActivationMaximization(
        model, kv.objectives.channel("conv", [0, 1, 2]), redirected_steps=0
    )
    visualizer.compile("adam", steps_per_execution=2)

    def draw(steps: int, **options: int) -> tuple:
        snapshots = kv.callbacks.PictureSnapshots(**options)
        visualizer(steps=steps, callbacks=[snapshots], verbose=0)
        return snapshots, visualizer

    return draw


def test_frames_from_the_first_to_the_last(drawn) -> None:
    snapshots, visualizer = drawn(14, freq=4)
    assert snapshots.steps == [0, 4, 8, 12, 14]
    assert {frame.shape for frame in snapshots.frames} == {(3, 16, 20, 3)}
    np.testing.assert_array_equal(snapshots.frames[-1], np.rint(visualizer.display() * 255))
    visualizer.reset()
    np.testing.assert_array_equal(snapshots.frames[0], np.rint(visualizer.display() * 255))
    visualizer.fit(4, verbose=0)
    np.testing.assert_array_equal(snapshots.frames[1], np.rint(visualizer.display() * 255))


def test_executions_are_the_smallest_step(drawn) -> None:
    assert drawn(5, freq=1)[0].steps == [0, 2, 4, 5]


def test_memory_is_bounded_and_frames_stay_evenly_spaced(drawn) -> None:
    snapshots, _ = drawn(40, freq=2, max_frames=6)
    assert 3 <= len(snapshots.frames) <= 6
    assert snapshots.steps[0] == 0
    assert snapshots.steps[-1] == 40
    assert len(set(np.diff(snapshots.steps[:-1]))) == 1


def test_a_second_fit_begins_anew(drawn) -> None:
    snapshots, visualizer = drawn(6, freq=2)
    visualizer.fit(4, callbacks=[snapshots], verbose=0)
    assert snapshots.steps == [0, 2, 4]


def test_the_pictures_are_the_same_with_and_without(model, drawn) -> None:
    _, visualizer = drawn(6, freq=2)
    watched = visualizer.pictures()
    np.testing.assert_array_equal(visualizer(steps=6, verbose=0), watched)


def test_gif(drawn, tmp_path: Path) -> None:
    snapshots, _ = drawn(12, freq=4)
    path = snapshots.save_gif(tmp_path / "new" / "conv.gif", duration=50, columns=2)
    with Image.open(path) as animation:
        assert (animation.format, animation.n_frames) == ("GIF", 4)
        assert animation.size == (2 * 20 + 4, 2 * 16 + 4)
        assert animation.info["loop"] == 0
        durations, frames = [], []
        for index in range(4):
            animation.seek(index)
            durations.append(animation.info["duration"])
            frames.append(np.asarray(animation.convert("RGB"), np.float32))
    assert durations == [50, 50, 50, 1500]
    assert np.abs(frames[3][:16, :20] - snapshots.frames[3][0]).mean() < 8
    assert np.abs(frames[3][20:, :20] - snapshots.frames[3][2]).mean() < 8
    assert (frames[3][20:, 24:] == 255).all()


def test_gif_that_cannot_be_written(drawn, tmp_path: Path) -> None:
    snapshots, _ = drawn(4, freq=2)
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OutputError, match="can be written"):
        snapshots.save_gif(tmp_path / "file" / "a.gif")
    assert (tmp_path / "file").read_text() == "kept"


def test_gif_without_frames(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match="`fit` first"):
        kv.callbacks.PictureSnapshots().save_gif(tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


def test_signals_have_no_pixels(tmp_path: Path) -> None:
    inputs = keras.Input((12, 2))
    model = keras.Model(inputs, keras.layers.Conv1D(3, 3, name="conv")(inputs))
    snapshots = kv.callbacks.PictureSnapshots()
    visualizer = kv.ActivationMaximization(model, "conv:1", redirected_steps=0)
    visualizer(steps=4, callbacks=[snapshots], verbose=0)
    assert [frame.shape for frame in snapshots.frames] == [(1, 12, 2)] * 2
    with pytest.raises(InputError, match="axes of positions"):
        snapshots.save_gif(tmp_path / "a.gif")


def test_one_of_several_inputs() -> None:
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((6, 6, 1), name="right")
    joined = [keras.layers.Flatten()(keras.layers.Conv2D(2, 3)(one)) for one in (left, right)]
    outputs = keras.layers.Dense(2, name="score")(keras.layers.Concatenate()(joined))
    model = keras.Model([left, right], outputs)
    visualizer = kv.ActivationMaximization(model, target=1, redirected_steps=0)
    first, second = (kv.callbacks.PictureSnapshots(input_name=name) for name in (None, "right"))
    visualizer(steps=2, callbacks=[first, second], verbose=0)
    assert (first.frames[-1].shape, second.frames[-1].shape) == ((1, 8, 8, 3), (1, 6, 6, 1))
    with pytest.raises(InputError, match="'left', 'right'"):
        visualizer(steps=2, callbacks=[kv.callbacks.PictureSnapshots(input_name="up")], verbose=0)


def test_other_models_are_refused(model: keras.Model) -> None:
    model.compile("sgd", "mse")
    with pytest.raises(InputError, match="ActivationMaximization"):
        model.fit(
            np.zeros((1, 16, 20, 3)),
            np.zeros((1, 4)),
            callbacks=[kv.callbacks.PictureSnapshots()],
            verbose=0,
        )


@pytest.mark.parametrize("options", [{"freq": 0}, {"freq": 1.5}, {"max_frames": 1}])
def test_refused_settings(options: dict) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        kv.callbacks.PictureSnapshots(**options)
