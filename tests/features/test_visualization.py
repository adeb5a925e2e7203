"""What a visualizer answers: its parts, its file, and files that are not its own."""

from __future__ import annotations

import json
import zipfile

import keras
import numpy as np
import pytest
from matplotlib.text import Text

import kerasviz as kv
from kerasviz.errors import InputError, OutputError

PARTS = ("pictures", "display", "values", "history")


@pytest.fixture(scope="module")
def network():
    model = keras.Sequential(
        [
            keras.Input((8, 6, 3)),
            keras.layers.Conv2D(3, 3, activation="tanh", name="conv"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(2, name="head"),
        ],
        name="network",
    )
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=w.shape) * 0.3 for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def visualizer(network):
    return kv.ActivationMaximization(
        network,
        ["conv:0", "conv:2"],
        regularizers=[0.1 * kv.objectives.l2()],
        value_range="-1..1",
        redirected_steps=0,
        seed=7,
    )


@pytest.fixture(scope="module")
def visualization(visualizer):
    return visualizer.visualize(steps=5, verbose=0)


def test_parts(visualizer, visualization, network):
    np.testing.assert_array_equal(visualization.pictures, visualizer(steps=5, verbose=0))
    assert len(visualization) == 2
    assert visualization.history.shape == (5, 2)
    assert visualization.names == ("conv:0", "conv:2")
    np.testing.assert_allclose(visualization.display * 2 - 1, visualization.pictures, atol=1e-6)
    features = kv.activations(network, visualization.pictures, ["conv"])["conv"]
    expected = features.mean((1, 2))[[0, 1], [0, 2]]
    np.testing.assert_allclose(visualization.values, expected, atol=1e-5)
    assert visualization.provenance["model"] == "network"
    assert visualization.provenance["keras"] == keras.__version__
    told = visualization.parameters
    assert (told["steps"], told["seed"], told["preset"]) == (5, 7, "lucid")
    assert told["objective"] == "conv:0,2"
    assert told["regularizers"] == ["0.1 * l2(0.5)"]
    assert (told["optimizer"], told["redirected_steps"]) == ("Adam", 0)
    assert told["learning_rate"] == pytest.approx(0.05)
    assert "rotate(-10 to 10)" in told["transforms"]
    assert "-1..1" in told["value_range"]
    assert "8×6" in repr(visualization)


def test_a_file_holds_everything(visualization, tmp_path):
    path = visualization.save(tmp_path / "found.npz")
    loaded = kv.Visualization.load(path)
    for part in PARTS:
        np.testing.assert_array_equal(getattr(loaded, part), getattr(visualization, part))
        assert getattr(loaded, part).dtype == getattr(visualization, part).dtype
    assert loaded.names == visualization.names
    assert loaded.parameters == visualization.parameters
    assert loaded.provenance == visualization.provenance
    assert repr(loaded) == repr(visualization)


def test_a_folder_that_cannot_be(visualization, tmp_path):
    (tmp_path / "taken").write_text("a letter")
    with pytest.raises(OutputError):
        visualization.save(tmp_path / "taken" / "found.npz")


def damaged(path, how):
    content = path.read_bytes()
    if how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "flipped":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes(64) + content[middle + 64 :])
    elif how == "text":
        path.write_text("a letter")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "an array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["cut", "flipped", "text", "empty", "an array", "missing"])
def test_damaged_files(visualization, tmp_path, how):
    path = visualization.save(tmp_path / "found.npz")
    damaged(path, how)
    with pytest.raises(InputError, match=r"`Visualization.save` wrote. Received: '.*found.npz'"):
        kv.Visualization.load(path)


def rewritten(path, words=None, without=()):
    """The same file with other words, or without some of its arrays."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name not in without}
    if words is not None:
        arrays["words"] = np.asarray(words if isinstance(words, str) else json.dumps(words))
    np.savez(path, **arrays)


FULL = {"format": "kerasviz visualization", "version": 1, "names": ["a", "b"]}


@pytest.mark.parametrize(
    ("words", "without"),
    [
        ({**FULL, "format": "something else", "parameters": {}, "provenance": {}}, ()),
        ({**FULL, "version": 2, "parameters": {}, "provenance": {}}, ()),
        (FULL, ()),
        ([1, 2], ()),
        (3, ()),
        ("{", ()),
        (None, ("values",)),
        (None, ("words",)),
    ],
)
def test_files_of_something_else(visualization, tmp_path, words, without):
    path = visualization.save(tmp_path / "found.npz")
    rewritten(path, words, without)
    with pytest.raises(InputError, match=r"`Visualization.save` wrote"):
        kv.Visualization.load(path)


def test_nothing_is_unpickled(visualization, tmp_path):
    path = visualization.save(tmp_path / "found.npz")
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(path, **{**arrays, "values": np.array([print, len], dtype=object)})
    with pytest.raises(InputError, match="allow_pickle"):
        kv.Visualization.load(path)
    assert zipfile.is_zipfile(path)


def test_plot_titles_each_picture_with_its_value(visualization):
    figure = visualization.plot()
    told = " ".join(text.get_text() for text in figure.findobj(Text))
    for name, value in zip(visualization.names, visualization.values, strict=True):
        assert f"{name}\n{value:.3g}" in told
    shown = [image.get_array() for axes in figure.axes for image in axes.images]
    for picture, expected in zip(shown, visualization.display, strict=True):
        np.testing.assert_allclose(np.asarray(picture), expected, atol=1 / 255)
