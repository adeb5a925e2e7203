"""`kerasviz attention`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

import kerasviz as kv

SIZE = 24


@pytest.fixture(scope="module")
def excited() -> keras.Model:
    """A convolution with squeeze-and-excitation of stock layers, far from its initializer."""
    image = keras.Input((SIZE, SIZE, 3), name="photo")
    x = layers.Conv2D(6, 3, activation="relu", name="conv")(image)
    pooled = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    gate = layers.Dense(6, "sigmoid", name="expand")(layers.Dense(4, "relu", name="reduce")(pooled))
    x = layers.GlobalAveragePooling2D(name="pool")(layers.Multiply(name="excite")([x, gate]))
    model = keras.Model(image, layers.Dense(3, "softmax", name="classes")(x), name="excited")
    generator = np.random.default_rng(0)
    for name in ("reduce", "expand"):
        layer = model.get_layer(name)
        layer.set_weights([generator.normal(0.3, 0.4, w.shape) for w in layer.get_weights()])
    return model


@pytest.fixture(scope="module")
def excited_file(excited, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("attention") / "excited.keras"
    excited.save(path)
    return path


def test_weights_gates_and_a_comparison(run, excited, excited_file, image_file, tmp_path):
    other = tmp_path / "other.keras"
    keras.models.clone_model(excited).save(other)
    output = tmp_path / "out"
    result = run("attention", excited_file, image_file, "--compare", other, "--output", output)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(output / "report.html")
    assert "squeeze-excitation kernel leans up" in result.output
    table = pd.read_csv(output / "weights.csv", index_col=["group", "role"])
    expected = kv.attention.summarize(excited)
    np.testing.assert_allclose(table["mean"], expected["mean"], rtol=1e-6)
    gates = pd.read_csv(output / "gates.csv", index_col="address")
    assert list(gates.index) == ["excite"]
    assert set(pd.read_csv(output / "comparison.csv")["model"]) == {str(excited_file), str(other)}
    summary = json.loads((output / "summary.json").read_text())
    assert summary["tables"]["weights"][0]["count"] == int(expected["count"].iloc[0])
    page = (output / "report.html").read_text()
    for words in ("What the attention weights say", "differ", "What the gates do", "tensorflow"):
        assert words in page
    assert len(list(output.glob("*.png"))) == 3


def test_groups_are_named_by_patterns(run, excited_file, tmp_path):
    result = run(
        "attention", excited_file, "--group", "first=reduce/.*", "--group", "second=expand/.*",
        "--output", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "weights.csv")
    assert list(table["group"]) == ["first", "first", "second", "second"]
    assert not (tmp_path / "gates.csv").exists()


def test_data_from_a_file(run, refused, excited, excited_file, tmp_path):
    images = np.random.default_rng(0).uniform(size=(5, SIZE, SIZE, 3)).astype("float32")
    np.save(tmp_path / "images.npy", images)
    result = run(
        "attention", excited_file, "--data", tmp_path / "images.npy", "--output", tmp_path / "out"
    )
    assert result.exit_code == 0, result.output
    found = pd.read_csv(tmp_path / "out" / "gates.csv", index_col="address")
    expected = kv.attention.statistics(excited, images, verbose=0).table
    np.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-6)

    np.savez(tmp_path / "named.npz", photo=images)
    result = run(
        "attention", excited_file, "--data", tmp_path / "named.npz", "--output", tmp_path / "out"
    )
    assert result.exit_code == 0, result.output

    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    for name in ("objects.npy", "missing.npy"):
        assert "--data" in refused("attention", excited_file, "--data", tmp_path / name)
    (tmp_path / "broken.npz").write_bytes(b"PK\3\4 no more")
    assert "--data" in refused("attention", excited_file, "--data", tmp_path / "broken.npz")


def test_heads_of_a_transformer(run, image_file, tmp_path):
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Reshape((9, 4))(layers.Conv2D(4, 8, strides=8, name="patches")(image))
    x = layers.MultiHeadAttention(2, 2, name="attend")(x, x)
    path = tmp_path / "transformer.keras"
    keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling1D()(x))).save(path)
    result = run("attention", path, image_file, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    heads = pd.read_csv(tmp_path / "out" / "heads.csv", index_col=["address", "head"])
    assert [*heads.index] == [("attend", 0), ("attend", 1)]
    assert heads["normalized_entropy"].between(0, 1).all()
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Where the heads look" in page
    assert "query" in page
    assert not (tmp_path / "out" / "gates.csv").exists()


def test_refusals(refused, model_file, excited_file, saved_model, image_file, tmp_path):
    assert "none was found" in refused("attention", model_file, "--output", tmp_path)
    assert "--group" in refused("attention", excited_file, "--group", "x", "--output", tmp_path)
    assert "Closest" in refused(
        "attention", excited_file, "--group", "x=reduc", "--output", tmp_path
    )
    assert "both" in refused("attention", excited_file, image_file, "--data", "x.npy")
    assert "SavedModel" in refused("attention", saved_model, "--output", tmp_path)


def test_every_application_is_known():
    from kerasviz.cli.models import application_module

    home = application_module("keras.applications:MobileNetV3Small")
    assert home is keras.applications.mobilenet_v3
