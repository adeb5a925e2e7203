"""`kerasviz visualize`: from its arguments to the files it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

import kerasviz as kv
from kerasviz.cli.features import layer_groups
from kerasviz.errors import MethodError

QUICK = ["--preset", "keras-vis", "--steps", 3]


def summary_of(output: Path) -> dict[str, Any]:
    return json.loads((output / "summary.json").read_text(encoding="utf-8"))


def test_channels_and_classes(run, model, model_file, tmp_path):
    """The files hold what the same request gives in Python."""
    output = tmp_path / "out"
    asked = ["conv:5", "conv:2", "--class", 2, "--seed", 7, "--preprocess", "-1..1"]
    result = run("visualize", model_file, *asked, *QUICK, "--output", output)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(output / "report.html")
    assert "Pictures: 24 × 24 × 3. Values: -1..1 (as asked for)." in result.output
    assert "Drawing conv: 2 pictures, 3 steps" in result.output
    conv, classes = summary_of(output)["groups"]
    assert [one["name"] for one in conv["pictures"]] == ["conv:5", "conv:2"]
    assert [one["name"] for one in classes["pictures"]] == ["class 2"]
    expected = kv.ActivationMaximization(
        model, ["conv:5", "conv:2"], preset="keras-vis", seed=7, value_range="-1..1"
    ).visualize(3, verbose=0)
    found = kv.Visualization.load(output / conv["numbers"])
    np.testing.assert_allclose(found.pictures, expected.pictures, atol=1e-4)
    np.testing.assert_allclose(found.history, expected.history, atol=1e-3)
    for index, picture in enumerate(conv["pictures"]):
        assert picture["value"] == pytest.approx(expected.values[index], abs=1e-3)
        assert f"{picture['name']}: {picture['value']:.3g}" in result.stdout
        pixels = np.asarray(Image.open(output / picture["file"]).convert("RGB"), float)
        np.testing.assert_allclose(pixels, np.rint(expected.display[index] * 255), atol=1)
    assert Image.open(output / conv["sheet"]).size > (300, 100)
    page = (output / "report.html").read_text(encoding="utf-8")
    for text in ("What tiny looks for", "conv:5", "class 2", "Activation maximization", ">7<"):
        assert text in page
    assert len({path.name for path in output.iterdir()}) == 2 + (2 + 2) + (1 + 2)


def test_a_layer_without_a_channel_is_its_first_eight():
    inputs = keras.Input((12, 12, 3))
    x = keras.layers.Conv2D(20, 3, name="wide")(inputs)
    model = keras.Model(inputs, keras.layers.Conv2D(2, 3, name="narrow")(x))
    wide, narrow = layer_groups(model, ["wide", "wide:11", "narrow"])
    assert wide.stems == [f"wide-{i}" for i in (*range(8), 11)]
    assert wide.target.names == tuple(f"wide:{i}" for i in (*range(8), 11))
    assert wide.remark == "wide has 20 channels: 0 to 7 are drawn. Name others as wide:8."
    assert (narrow.stems, narrow.remark) == (["narrow-0", "narrow-1"], "")


def test_channels_first():
    inputs = keras.Input((3, 12, 14))
    x = keras.layers.Conv2D(5, 3, name="conv", data_format="channels_first")(inputs)
    (group,) = layer_groups(keras.Model(inputs, x), ["conv"])
    assert group.stems == [f"conv-{i}" for i in range(5)]


def test_one_run_a_layer_whatever_the_order(model):
    groups = layer_groups(model, ["conv:3", "classes:1", "conv:0", "conv:3"])
    assert [group.name for group in groups] == ["conv", "classes"]
    assert groups[0].stems == ["conv-3", "conv-0"]


def test_classes_by_name(run, model_file, tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\nmoth\n")
    asked = ["--class", "Dog", "--class", 0, "--class", "dog", "--labels", tmp_path / "labels.txt"]
    result = run("visualize", model_file, *asked, *QUICK, "--output", tmp_path)
    assert result.exit_code == 0, result.output
    (classes,) = summary_of(tmp_path)["groups"]
    assert [one["name"] for one in classes["pictures"]] == ["dog", "cat"]
    assert [one["file"] for one in classes["pictures"]] == ["class-1-dog.png", "class-0-cat.png"]
    assert "dog: " in result.stdout


def test_a_picture_that_stood_still_is_remarked(run, model, tmp_path):
    dead = keras.models.clone_model(model)
    dead.get_layer("conv").set_weights([np.zeros((3, 3, 3, 8)), np.full(8, -1.0)])
    dead.save(tmp_path / "dead.keras")
    arguments = ["--preset", "lucid", "--steps", 20, "--output", tmp_path]
    result = run("visualize", tmp_path / "dead.keras", "conv:1", *arguments)
    assert result.exit_code == 0, result.output
    assert "conv:1: The objective stood still at 0" in result.output
    (group,) = summary_of(tmp_path)["groups"]
    assert "stood still" in group["pictures"][0]["diagnosis"]


def test_size(run, refused, model_file, tmp_path):
    inputs = keras.Input((None, None, 1))
    keras.Model(inputs, keras.layers.Conv2D(2, 3, name="conv")(inputs)).save(tmp_path / "any.keras")
    asked = ["conv:1", "--size", 20, *QUICK, "--output", tmp_path / "out"]
    result = run("visualize", tmp_path / "any.keras", *asked)
    assert result.exit_code == 0, result.output
    assert Image.open(tmp_path / "out" / "conv-1.png").size == (20, 20)
    assert "0..1 (assumed, as nothing in the model says): pass --preprocess" in result.output
    assert "(24, 24)" in refused("visualize", model_file, *asked)


def test_an_application_has_its_own_values(run, tmp_path, monkeypatch):
    tiny = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3, name="conv")])
    monkeypatch.setattr(keras.applications.resnet50, "ResNet50", lambda weights: tiny)
    spec = "keras.applications:ResNet50:none"
    result = run("visualize", spec, "conv:0", *QUICK, "--output", tmp_path)
    assert result.exit_code == 0, result.output
    assert "BGR" in summary_of(tmp_path)["groups"][0]["parameters"]["value_range"]


def test_what_fails_while_it_is_drawn_is_named(run, refused, tmp_path):
    inputs = keras.Input((12, 12, 3))
    good, bad = (keras.layers.Conv2D(2, 3, name=name) for name in ("good", "bad"))
    model = keras.Model(inputs, [good(inputs), bad(inputs)])
    bad.set_weights([np.full((3, 3, 3, 2), np.nan), np.zeros(2)])
    model.save(tmp_path / "m.keras")
    arguments = ["visualize", tmp_path / "m.keras", *QUICK, "--output", tmp_path / "out"]
    result = run(*arguments, "bad:1", "good:1")
    assert result.exit_code == 1
    (line,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert line.startswith("Error: bad was not drawn: Expected an objective that stays finite.")
    summary = summary_of(tmp_path / "out")
    assert [group["name"] for group in summary["groups"]] == ["good"]
    assert [failure["name"] for failure in summary["failures"]] == ["bad"]
    assert "stays finite" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "stays finite" in refused(*arguments, "bad:1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["LAYER:CHANNEL", "--class", "neither"]),
        (["comv:1"], ["'comv'", "'conv'"]),
        (["conv:abc"], ["'conv:abc'"]),
        (["conv:8"], ["0 to 7", "'conv'"]),
        (["--class", "3"], ["0 to 2", "Received: 3"]),
        (["--class", "-1"], ["0 to 2", "Received: -1"]),
        (["--class", "cat"], ["`--class`", "--labels FILE"]),
        (["conv:1", "--preset", "lucit"], ["'lucit'", "'keras-vis'"]),
        (["conv:1", "--preprocess", "0-255"], ["'0-255'", "Closest: 0..255"]),
        (["conv:1", "--labels", "missing.txt"], ["missing.txt", "No such file"]),
        (["conv:1", "--import", "no_such_module"], ["'no_such_module'"]),
        (["conv:1", "--seed", str(2**31)], ["`seed`"]),
    ],
)
def test_refused_options(arguments, words, refused, model_file, tmp_path):
    line = refused("visualize", model_file, *arguments, "--output", tmp_path / "out")
    assert [word for word in words if word not in line] == []
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("option", [["--steps", "0"], ["--size", "0"], ["--seed", "-1"]])
def test_wrong_numbers(option, run, model_file, tmp_path):
    result = run("visualize", model_file, "conv", *option, "--output", tmp_path / "out")
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_refused_models(refused, saved_model, tmp_path):
    assert "does not exist" in refused("visualize", "missing.keras", "conv", "--output", tmp_path)
    line = refused("visualize", saved_model, "conv", "--output", tmp_path)
    assert "shows its inputs and outputs only" in line
    (tmp_path / "taken").touch()
    line = refused("visualize", "missing.keras", "conv", "--output", tmp_path / "taken")
    assert "Cannot write to" in line


def test_a_layer_of_several_tensors_has_no_channels():
    inputs = keras.Input((4, 3))
    outputs = keras.layers.LSTM(5, return_state=True, name="memory")(inputs)
    with pytest.raises(MethodError, match="one tensor with a known number"):
        layer_groups(keras.Model(inputs, outputs), ["memory:1"])


def test_full_disk(refused, model_file, tmp_path, full_disk):
    line = refused("visualize", model_file, "conv", *QUICK, "--output", tmp_path / "out")
    assert "File too large" in line
    assert not list((tmp_path / "out").glob("*.part"))
