"""`kerasviz weights`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

import kerasviz as kv
from tests.reference import links as reference


@pytest.fixture(scope="module")
def faulty() -> keras.Model:
    """Six convolutions, one with a filter of zeros."""
    image = keras.Input((12, 12, 3), name="photo")
    x = image
    for number in range(6):
        x = layers.Conv2D(6, 3, padding="same", name=f"conv_{number}")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(3, name="classes")(x), name="faulty<b>")
    generator = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(generator.normal(0.1, 0.4, weight.shape))
    kernel = np.array(keras.ops.convert_to_numpy(model.get_layer("conv_2").kernel))
    kernel[..., 4] = 0.0
    model.get_layer("conv_2").kernel.assign(kernel)
    return model


@pytest.fixture(scope="module")
def faulty_file(faulty, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "faulty.keras"
    faulty.save(path)
    return path


def test_tables_pictures_and_a_page(run, faulty, faulty_file, tmp_path):
    later = keras.models.clone_model(faulty)
    later.set_weights([1.5 * array for array in faulty.get_weights()])
    other, output = tmp_path / "later.keras", tmp_path / "out"
    later.save(other)
    result = run(
        "weights", faulty_file,
        "--layer", "conv_1", "--layer", "conv_2/kernel", "--layer", "classes",
        "--compare", other, "--output", output,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(output / "report.html")
    assert "conv_2/kernel: nothing in 1 of 6 filters (4)" in result.output
    table = pd.read_csv(output / "weights.csv", index_col="address")
    expected = kv.weights.summarize(faulty)
    for name in ("mean", "kurtosis", "stable_rank"):
        np.testing.assert_allclose(table[name], expected[name], rtol=1e-6)
    assert list(pd.read_csv(output / "findings.csv")["finding"]) == ["dead filters"]
    changes = pd.read_csv(output / "comparison.csv")
    np.testing.assert_allclose(changes["relative_change"], 0.5, rtol=1e-5)
    summary = json.loads((output / "summary.json").read_text())
    assert len(summary["tables"]["weights"]) == len(expected)
    assert set(summary["tables"]) == {"weights", "findings", "unusual", "banding", "comparison"}
    page = (output / "report.html").read_text()
    order = [page.index(f">{words}<") for words in (
        "Which layers look unusual", "How weights are spread by depth", "Every weight",
    )]  # fmt: skip
    assert order == sorted(order)
    assert "faulty&lt;b&gt;" in page
    assert "faulty<b>" not in page
    assert len(list(output.glob("*.png"))) == 8
    bands = pd.read_csv(output / "banding.csv", index_col="address")
    np.testing.assert_allclose(bands["index"], kv.weights.banding(faulty)["index"], rtol=1e-5)
    assert page.index("What conv_1 reads where") < page.index("Bands in the kernels")
    assert "What conv_2/kernel reads where" in page
    assert "What classes reads where" not in page
    assert "classes is not factorized" in result.output


def test_refusals(refused, faulty_file, saved_model, model_file, tmp_path):
    assert "Closest: 'conv_1'" in refused(
        "weights", faulty_file, "--layer", "conv_19", "--output", tmp_path
    )
    assert "same shapes" in refused(
        "weights", faulty_file, "--compare", model_file, "--output", tmp_path
    )
    assert "SavedModel" in refused("weights", saved_model, "--output", tmp_path)


def test_links_and_circuits(run, refused, faulty, faulty_file, tmp_path):
    output = tmp_path / "out"
    result = run(
        "weights", faulty_file, "--connections", "conv_4", "conv_5",
        "--circuit", "conv_5:2", "--steps", 0, "--output", output,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    table = pd.read_csv(output / "connections.csv")
    kernel = keras.ops.convert_to_numpy(faulty.get_layer("conv_5").kernel)
    expected = [one["norm"] for one in reference.ranked(kernel, 8)]
    np.testing.assert_allclose(table["norm"], expected, rtol=1e-4)
    links = pd.read_csv(output / "circuit_1.csv")
    into = [one["norm"] for one in reference.ranked(kernel, 3, [2])]
    np.testing.assert_allclose(links["norm"][links["target"] == "conv_5:2"], into, rtol=1e-4)
    assert {name.split(":")[0] for name in links["source"]} == {"conv_3", "conv_4"}
    page = (output / "report.html").read_text()
    assert page.index(">How conv_5 reads conv_4<") < page.index(">The circuit of conv_5:2<")
    for words, options in {
        "LAYER:CHANNEL": ["--circuit", "conv_5"],
        "Closest: 'conv_1'": ["--connections", "conv_19", "conv_3"],
    }.items():
        assert words in refused("weights", faulty_file, *options, "--output", output)


def test_pictures_of_what_cannot_be_drawn(run, tmp_path):
    words = keras.Input((12,), dtype="int32")
    x = layers.Embedding(9, 4)(words)
    x = layers.Conv1D(4, 3, name="two")(layers.Conv1D(3, 3, name="one")(x))
    path = tmp_path / "words.keras"
    keras.Model(words, layers.Dense(2)(layers.GlobalAveragePooling1D()(x))).save(path)
    result = run(
        "weights", path, "--connections", "one", "two", "--steps", 1, "--output", tmp_path / "out"
    )
    assert result.exit_code == 0, result.output
    assert "No pictures of the channels. " in result.output
    assert (tmp_path / "out" / "connections.csv").exists()
