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
