"""`kerasviz channel-gradients`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from kerasviz.dynamics import ChannelGradients

SIZE = 16


@pytest.fixture(scope="module")
def convolving(tmp_path_factory) -> Path:
    image = keras.Input((SIZE, SIZE, 3), name="photo")
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="conv_1")(image)
    x = layers.Conv2D(5, 3, activation="relu", name="conv_2")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(image, layers.Dense(3, "softmax", name="classes")(x), name="convolving")
    generator = np.random.default_rng(0)
    model.set_weights([generator.normal(0.1, 0.3, w.shape) for w in model.get_weights()])
    path = tmp_path_factory.mktemp("gradients") / "convolving.keras"
    model.save(path)
    return path


def test_table_picture_and_page(run, convolving, image_file, tmp_path):
    output = tmp_path / "out"
    given = ("channel-gradients", convolving, image_file, "--output", output)
    result = run(*given, "--definition", "code", "--layer", "conv_2")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(output / "report.html")
    table = pd.read_csv(output / "channel_gradients.csv")
    assert list(table["layer"]) == ["conv_2"] * 5
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["definition"], summary["images"]) == ("code", 1)
    assert summary["layers"][0]["channels"] == 5
    assert "What channels absorb and emit" in (output / "report.html").read_text()
    assert [path.suffix for path in output.glob("*.png")] == [".png"]


def test_an_unknown_definition(refused, image_file, tmp_path):
    given = ("--definition", "x", "--output", tmp_path / "o")
    said = refused("channel-gradients", "no.keras", image_file, *given)
    assert said == "Expected --definition paper or code. Received: x. Choose one of them."
    assert not (tmp_path / "o").exists()


def test_nan_in_a_weight(refused, convolving, image_file, tmp_path):
    model = keras.models.load_model(convolving)
    model.get_layer("conv_2").bias.assign([np.nan] * 5)
    model.save(tmp_path / "nan.keras")
    given = (tmp_path / "nan.keras", image_file, "--output", tmp_path / "o")
    said = refused("channel-gradients", *given)
    assert said.startswith("Expected finite gradients at 'conv_")
    assert "Look for NaN in the model's weights" in said


def test_words_name_the_channel_that_stands_out():
    from kerasviz.report.channel_gradients import by_layer, channel_gradients_in_words

    emission = np.array([[1.0, 2.0, 40.0, 0.0]])
    table = pd.DataFrame({"layer": "conv", "channel": range(4), "absorption": 1.0})
    table["emission"] = table["emission_max"] = emission[0]
    found = ChannelGradients(
        table, {"conv": emission}, {"conv": emission}, "paper", "", False, 1, (), {}
    )
    assert by_layer(found).loc["conv", "strongest_emission"] == pytest.approx(40 / 1.5)
    said = channel_gradients_in_words(found)
    assert said == [
        "conv: channel 2 emits 26.7 times the median of its layer.",
        "conv: 1 channel emits nothing on any input.",
    ]


def test_where_most_channels_are_idle_nothing_is_divided_by_their_median():
    from kerasviz.report.channel_gradients import by_layer, channel_gradients_in_words

    emission = np.array([[0.0, 0.0, 0.0, 2.0]])
    table = pd.DataFrame({"layer": "conv", "channel": range(4), "absorption": 1.0})
    table["emission"] = table["emission_max"] = emission[0]
    found = ChannelGradients(
        table, {"conv": emission}, {"conv": emission}, "paper", "", False, 1, (), {}
    )
    assert np.isnan(by_layer(found).loc["conv", "strongest_emission"])
    assert channel_gradients_in_words(found) == ["conv: 3 channels emit nothing on any input."]
