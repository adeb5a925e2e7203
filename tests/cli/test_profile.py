"""`kerasviz profile`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import pandas as pd
import pytest
from keras import layers


@pytest.fixture(scope="module")
def open_model(tmp_path_factory) -> Path:
    image = keras.Input((None, None, 3), name="photo")
    x = layers.Conv2D(2, 3, activation="relu", name="conv")(image)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    path = tmp_path_factory.mktemp("profile") / "open.keras"
    keras.Model(image, layers.Dense(3, "softmax", name="head")(x), name="open").save(path)
    return path


def test_tables_pictures_and_page(run, open_model, tmp_path):
    output = tmp_path / "out"
    sizes = ("--input-size", "9x7", "--input-size", "12x8")
    settings = ("--loss", "sparse_categorical_crossentropy", "--optimizer", "sgd")
    bounds = ("--batch-size", 2, "--seconds", 0.01, "--freezing", 1, "--output", output)
    result = run("profile", open_model, *sizes, *settings, *bounds)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(output / "report.html")
    assert list(pd.read_csv(output / "layers.csv")["address"]) == ["conv", "pool", "head"]
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["batch_size"], summary["optimizer"]) == (2, "sgd")
    assert [row["size"] for row in summary["tables"]["Input sizes"]] == ["9x7", "12x8"]
    assert [row["up_to"] for row in summary["tables"]["Frozen layers"]] == ["conv"]
    assert summary["parts"]["optimizer"] > 0
    assert "Where the time of a step goes" in (output / "report.html").read_text()
    assert len(list(output.glob("*.png"))) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--input-size", "wide"), "such as 143x107"),
        ((), "all sizes of 'photo'"),
        (("--input-size", "9x7", "--loss", "nothing"), "`--loss` must be"),
        (("--input-size", "9x7", "--optimizer", "nothing"), "`--optimizer` must be"),
    ],
)
def test_what_cannot_be_is_refused(refused, open_model, tmp_path, given, message):
    assert message in refused("profile", open_model, *given, "--output", tmp_path / "out")
