"""Loading what MODEL may be, and refusing the rest in one line."""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from kerasviz.cli.custom_objects import import_custom_objects
from kerasviz.cli.models import application_module, load_model
from kerasviz.errors import MethodError, ModelFileError

CUSTOM_LAYER = """
import keras

class Halve(keras.layers.Layer):
    def call(self, inputs):
        return inputs / 2

def third(inputs):
    return inputs / 3

from os.path import join
"""


def same_predictions(loaded: keras.Model, model: keras.Model) -> None:
    images = np.random.default_rng(0).random((2, 24, 24, 3), "float32")
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(loaded.predict(images, verbose=0), expected, atol=1e-6)


@pytest.mark.parametrize("file", ["model_file", "hdf5_file", "saved_model"])
def test_loads_each_kind(file, model, request):
    same_predictions(load_model(str(request.getfixturevalue(file))), model)


def test_loads_an_unzipped_file(model, tmp_path):
    model.save(tmp_path / "unzipped", zipped=False)
    same_predictions(load_model(str(tmp_path / "unzipped")), model)


def test_loads_npz_weights(model, edited, tmp_path):
    """Files of early Keras 3 versions may hold `model.weights.npz`; a damaged one is named."""
    path = edited(lambda name, content: None if name.endswith(".h5") else content)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model.weights.npz", b"not numbers")
    with pytest.raises(ModelFileError, match="could not be loaded"):
        load_model(str(path))


def test_application_without_weights():
    model = load_model("keras.applications:MobileNetV2:none")
    assert model.output_shape == (None, 1000)


def test_application_weights_that_are_not_at_hand(monkeypatch):
    def build(weights: str | None) -> keras.Model:
        raise Exception("URL fetch failure on https://example.org/w.h5: None -- unreachable")

    monkeypatch.setattr(application_module("keras.applications:VGG16"), "VGG16", build)
    with pytest.raises(ModelFileError) as caught:
        load_model("keras.applications:VGG16")
    assert "https://example.org/w.h5 into" in str(caught.value)
    assert "keras.applications:VGG16:none" in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("keras.applications:ResNet5", ["'ResNet5'", "Closest: keras.applications:ResNet50"]),
        ("keras.applications:decode_predictions", ["'decode_predictions'"]),
        ("keras.applications:ResNet50:random", ["ResNet50:none", "'keras.applications:ResNet50:r"]),
        ("samples:resnet", ["samples:efficientnet_lite0", "'samples:resnet'"]),
        ("no/such/file.keras", ["'no/such/file.keras'", "does not exist"]),
        ("hf://somebody/model", ["does not exist"]),
    ],
)
def test_wrong_names(spec, words):
    with pytest.raises(ModelFileError) as caught:
        load_model(spec)
    assert all(word in str(caught.value) for word in words)


def truncated(path: Path, copy: Path) -> Path:
    content = path.read_bytes()
    copy.write_bytes(content[: len(content) // 2])
    return copy


@pytest.mark.parametrize(("file", "reason"), [("model_file", "cut short"), ("hdf5_file", "broken")])
def test_truncated(file, reason, request, tmp_path):
    path = request.getfixturevalue(file)
    with pytest.raises(ModelFileError, match=reason):
        load_model(str(truncated(path, tmp_path / path.name)))


@pytest.mark.parametrize("name", ["text.keras", "text.h5", "text"])
def test_not_a_model(name, tmp_path):
    (tmp_path / name).write_text("a recipe for soup")
    with pytest.raises(ModelFileError, match="neither a zip archive nor HDF5"):
        load_model(str(tmp_path / name))


def test_empty_file(tmp_path):
    (tmp_path / "empty.keras").touch()
    with pytest.raises(ModelFileError, match="an empty file"):
        load_model(str(tmp_path / "empty.keras"))


def test_a_zip_of_other_things(tmp_path):
    with zipfile.ZipFile(tmp_path / "holiday.keras", "w") as archive:
        archive.writestr("photo.txt", "sea")
    with pytest.raises(ModelFileError, match=r"config\.json.*1 other file"):
        load_model(str(tmp_path / "holiday.keras"))


@pytest.mark.parametrize(("file", "ending"), [("model_file", ".h5"), ("hdf5_file", ".keras")])
def test_wrong_ending(file, ending, request, tmp_path):
    path = tmp_path / f"renamed{ending}"
    shutil.copy(request.getfixturevalue(file), path)
    with pytest.raises(ModelFileError, match="Rename it"):
        load_model(str(path))


def test_weights_only(model, tmp_path):
    model.save_weights(tmp_path / "tiny.weights.h5")
    with pytest.raises(ModelFileError, match="weights without a model"):
        load_model(str(tmp_path / "tiny.weights.h5"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_would_never_end(tmp_path):
    os.mkfifo(tmp_path / "pipe.keras")
    with pytest.raises(ModelFileError, match="a device or a pipe"):
        load_model(str(tmp_path / "pipe.keras"))


def test_folder_without_a_model(tmp_path):
    with pytest.raises(ModelFileError, match=r"a folder without saved_model\.pb"):
        load_model(str(tmp_path))


def test_corrupt_weights(edited):
    def halve(name: str, content: bytes) -> bytes:
        return content[: len(content) // 2] if name.endswith(".h5") else content

    with pytest.raises(ModelFileError, match=r"could not be loaded .*truncated"):
        load_model(str(edited(halve)))


def test_flipped_bytes(model_file, tmp_path):
    """Keras itself would load these weights as if nothing had happened to them."""
    content = bytearray(model_file.read_bytes())
    start = content.index(b"model.weights.h5")
    content[start + 4000 : start + 4100] = bytes(
        255 - byte for byte in content[start + 4000 :][:100]
    )
    (tmp_path / "flipped.keras").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.weights\.h5 in it is damaged"):
        load_model(str(tmp_path / "flipped.keras"))


def test_decompression_bomb(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(2**24))
    with pytest.raises(ModelFileError, match="would unpack to 16,777,218 bytes"):
        load_model(str(tmp_path / "bomb.keras"))


def test_missing_weights(edited):
    path = edited(lambda name, content: None if name.endswith(".h5") else content)
    with pytest.raises(ModelFileError, match="weights are missing"):
        load_model(str(path))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (b"{", "not JSON"),
        (b"[1, 2]", "not that of a Keras model"),
        (b"[" * 100_000, "not JSON"),
        (b'{"class_name": "Dense", "module": "keras.layers", "config": {"units": 1}}', "Dense"),
    ],
)
def test_broken_description(edited, config, reason):
    path = edited(lambda name, content: config if name == "config.json" else content)
    with pytest.raises(ModelFileError, match=reason):
        load_model(str(path))


def test_shapes_that_do_not_match_the_weights(edited):
    path = edited(lambda _, content: content.replace(b'"filters": 8', b'"filters": 9'))
    with pytest.raises(ModelFileError, match="could not be loaded"):
        load_model(str(path))


@pytest.fixture(params=["keras", "h5"])
def custom_file(request, tmp_path, monkeypatch) -> Path:
    """A model with a custom layer and a custom function, neither registered."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_layers.py").write_text(CUSTOM_LAYER)
    load_model_of = __import__("my_layers")
    model = keras.Sequential(
        [keras.Input((4,)), load_model_of.Halve(), keras.layers.Dense(2, load_model_of.third)]
    )
    path = tmp_path / f"custom.{request.param}"
    model.save(path)
    del sys.modules["my_layers"]
    monkeypatch.syspath_prepend("")
    sys.path.remove(str(tmp_path))
    yield path
    sys.modules.pop("my_layers", None)


def test_unknown_class_is_named(custom_file):
    with pytest.raises(ModelFileError, match=r"'Halve'.*--import my_"):
        load_model(str(custom_file))


def test_import_brings_classes_in(custom_file):
    model = load_model(str(custom_file), ["my_layers"])
    assert type(model.layers[0]).__name__ == "Halve"
    assert model.layers[1].activation.__name__ == "third"


def test_import_brings_nothing_else_in(custom_file):
    assert set(import_custom_objects(["my_layers"])) == {"Halve", "third"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_such_module", ["'no_such_module'", "neither in"]),
        ("my/layers.py", ["a path", "--import my.layers"]),
    ],
)
def test_import_of_what_is_not_there(name, words):
    with pytest.raises(ModelFileError) as caught:
        load_model("samples:efficientnet_lite0", [name])
    assert all(word in str(caught.value) for word in words)


def test_import_that_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_layers.py").write_text("1 / 0")
    with pytest.raises(ModelFileError, match="ZeroDivisionError"):
        load_model("samples:efficientnet_lite0", ["broken_layers"])


def test_import_of_what_needs_more(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "needy_layers.py").write_text("import no_such_package")
    with pytest.raises(ModelFileError, match="needs 'no_such_package': not installed"):
        load_model("samples:efficientnet_lite0", ["needy_layers"])


def test_raw_tensorflow_calls_of_keras_2(hdf5_file, tmp_path):
    import h5py

    path = tmp_path / "old.h5"
    shutil.copy(hdf5_file, path)
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["class_name"] = "TFOpLambda"
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ModelFileError, match="raw TensorFlow calls"):
        load_model(str(path))


def test_saved_model_refuses_what_needs_layers(saved_model):
    from kerasviz.cli.saved_models import expect_layers

    with pytest.raises(MethodError, match="--method saliency"):
        expect_layers(load_model(str(saved_model)))


def test_damaged_saved_model(saved_model, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(saved_model, copy)
    truncated(saved_model / "saved_model.pb", copy / "saved_model.pb")
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_model(str(copy))


def test_saved_model_without_its_variables(saved_model, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(saved_model, copy)
    shutil.rmtree(copy / "variables")
    with pytest.raises(ModelFileError, match="could not be loaded"):
        load_model(str(copy))


def test_empty_saved_model(tmp_path):
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(ModelFileError, match="holds no graph"):
        load_model(str(tmp_path))
