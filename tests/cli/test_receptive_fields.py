"""`kerasviz receptive-fields`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from kerasviz.cli.receptive_fields import parse_size
from kerasviz.errors import InputError


@pytest.fixture(scope="module")
def open_size(tmp_path_factory) -> Path:
    image = keras.Input((None, None, 3), name="photo")
    x = layers.Conv2D(2, 3, strides=2, padding="same", name="conv_1")(image)
    x = layers.ReLU(name="relu")(x)
    x = layers.Conv2D(2, 5, name="conv_2")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(image, layers.Dense(3, name="classes")(x), name="open_size")
    model.set_weights([np.ones(weight.shape) for weight in model.get_weights()])
    path = tmp_path_factory.mktemp("fields") / "open.keras"
    model.save(path)
    return path


def test_table_picture_and_page(run, open_size, image_file, tmp_path):
    output = tmp_path / "out"
    given = ("receptive-fields", open_size, "--output", output)
    result = run(*given, "--input-size", "24x20", "--layer", "conv_1")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(output / "report.html")
    whole = ("--input-size", "24x20", "--layer", "pool", "--output", tmp_path / "whole")
    assert run("receptive-fields", open_size, *whole).exit_code == 0
    table = pd.read_csv(output / "receptive_fields.csv", index_col=0)
    assert list(table["size_height"]) == [3, 3, 11, 24, 24]
    assert list(table["units_width"]) == [10, 10, 6, 1, 1]
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["input"], summary["input_size"]) == ("photo", [24, 20])
    row = {entry["address"]: entry for entry in summary["layers"]}
    assert (row["conv_2"]["size_height"], row["conv_2"]["stride_height"]) == (11, 2.0)
    assert (row["pool"]["stride_height"], row["pool"]["shape"]) == (None, [2])
    assert "What the layers can see" in (output / "report.html").read_text()
    (used,) = json.loads((tmp_path / "whole" / "summary.json").read_text())["effective"]
    assert used["can_see"] == "24 × 20"
    assert "samples of noise" in (output / "report.html").read_text()
    assert len([*output.glob("*.png")]) == 3


def test_effective_fields_on_images_and_units(run, open_size, image_file, tmp_path):
    output, broken = tmp_path / "out", tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    given = ("receptive-fields", open_size, image_file, broken, image_file, "--output", output)
    result = run(*given, "--input-size", "24x20", "--layer", "conv_2")
    assert result.exit_code == 1
    assert "broken.png, which is not an image" in result.output
    summary = json.loads((output / "summary.json").read_text())
    (row,) = summary["effective"]
    assert (row["address"], row["can_see"]) == ("conv_2", "11 × 11")
    # Ones everywhere: each of 11 positions an axis has a path, and none is faint.
    assert (row["uses"], row["share"]) == (pytest.approx(11), pytest.approx(1))
    page = (output / "report.html").read_text()
    assert "measured on 2 images" in page
    assert "What the first 2 units of conv_2 answer to" in page


def test_without_a_picture_all_layers_that_change_it_are_listed(run, open_size, tmp_path):
    result = run("receptive-fields", open_size, "--input-size", "24", "--output", tmp_path / "o")
    assert result.exit_code == 0, result.output
    first = [line.split()[0] for line in result.stdout.splitlines() if line.strip()]
    assert [name for name in first if name in ("conv_1", "relu", "conv_2", "pool")] == [
        "conv_1",
        "conv_2",
        "pool",
    ]


def test_an_open_size_must_be_said(refused, open_size, tmp_path):
    told = refused("receptive-fields", open_size, "--output", tmp_path / "o")
    assert told.startswith("`input_size` must be given")


def test_an_unknown_layer(refused, open_size, tmp_path):
    output = ("--output", tmp_path / "o", "--input-size", "24")
    told = refused("receptive-fields", open_size, "--layer", "conv_3", *output)
    assert "Received: 'conv_3'. Closest: 'conv_2'" in told


@pytest.mark.parametrize("text", ["", "24x", "big", "0", "-3", "24x24x?"])
def test_what_is_no_size(text):
    with pytest.raises(InputError, match="`--input-size` must be a whole number"):
        parse_size(text)


def test_sizes():
    assert [parse_size(text) for text in ("24", "24x20", "8, 9,10")] == [24, (24, 20), (8, 9, 10)]
