"""`kerasviz simulate`: from its arguments to the files it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import kerasviz as kv
from kerasviz.plots.reading import with_spread

SMALL = ["--size", 6, "--depth", 3, "--seeds", 2]


def summary_of(output: Path) -> dict[str, Any]:
    return json.loads((output / "summary.json").read_text(encoding="utf-8"))


def test_dense(run, tmp_path):
    """The files hold what the same request gives in Python."""
    output = tmp_path / "out"
    numbers = {"multiplier": (1.2, 0.1), "bias": (-0.05, 0.02)}
    asked = ["--multiplier-mean", 1.2, "--multiplier-std", 0.1]
    asked += ["--bias-mean", -0.05, "--bias-std", 0.02]
    result = run("simulate", "dense", *asked, *SMALL, "--output", output)
    assert result.exit_code == 0, result.output
    found = kv.attention.simulate_dense(**numbers, size=6, depth=3, seeds=2, verbose=0)
    without, with_attention, page = result.stdout.splitlines()
    assert page == str(output / "report.html")
    assert f"with attention:    mean {with_spread(found.mean, found.std)} over" in with_attention
    expected = with_spread(found.baseline.expected, found.baseline.expected_std)
    assert without.endswith(f"expected {expected}")
    assert "Simulating 2 × 3 layers with and without attention" in result.output
    summary = summary_of(output)
    assert summary["parameters"]["bias"] == [-0.05, 0.02]
    assert [one["name"] for one in summary["networks"]] == ["without attention", "with attention"]
    np.testing.assert_allclose(summary["networks"][1]["means"], found.means, rtol=1e-6)
    table = pd.read_csv(output / "means.csv")
    assert len(table) == 2 * 2 * 3
    last = table[(table.network == "with attention") & (table.layer == 3)]
    np.testing.assert_allclose(last["mean"], found.means, rtol=1e-6)
    for name in summary["pictures"].values():
        low, high = Image.open(output / name).convert("L").getextrema()
        assert low < high
    text = (output / "report.html").read_text(encoding="utf-8")
    for words in ("mean 1.2, std 0.1", f"{found.expected:.4g}", "Closed form"):
        assert words in text
    assert len(list(output.iterdir())) == 5


def test_the_cnn_has_its_own_defaults(run, tmp_path):
    asked = ["cnn", "--filters", 3, "--size", 5, "--seeds", 1, "--output", tmp_path]
    assert run("simulate", *asked).exit_code == 0
    parameters = summary_of(tmp_path)["parameters"]
    assert (parameters["depth"], parameters["filters"], parameters["divisor"]) == (22, 3, 3.0)
    assert parameters["kernel"] == [0.2, 0.2]


def test_defaults(run, tmp_path):
    asked = ["--size", 3, "--seeds", 1, "--output", tmp_path]
    assert run("simulate", *asked).exit_code == 0
    parameters = summary_of(tmp_path)["parameters"]
    assert parameters["depth"] == 11
    assert (parameters["multiplier"], parameters["bias"]) == ([1.071, 0.253], [0.114, 0.181])


def test_the_distribution_of_a_model(run, model, model_file, tmp_path):
    asked = ["--model", model_file, "--group", "classes", *SMALL, "--output", tmp_path]
    result = run("simulate", *asked)
    assert result.exit_code == 0, result.output
    found = summary_of(tmp_path)
    kernel = model.get_layer("classes").get_weights()[0]
    expected = [1 + kernel.mean(), kernel.std()]
    assert found["parameters"]["multiplier"] == pytest.approx(expected)
    assert found["parameters"]["bias"] == [0.0, 0.0]
    assert found["provenance"]["group"] == "classes"
    assert "24 in kernel" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_model_without_attention(refused, model_file, tmp_path):
    line = refused("simulate", "--model", model_file, "--group", "fusion", "--output", tmp_path)
    assert "Expected a model with attention" in line


def test_an_overflow_is_said(run, tmp_path):
    asked = ["--size", 4, "--depth", 45, "--seeds", 2, "--multiplier-mean", 500]
    result = run("simulate", *asked, "--output", tmp_path)
    assert result.exit_code == 0, result.output
    assert "left the range of float32" in result.output
    assert summary_of(tmp_path)["networks"][1]["mean"] is None
    assert "left the range" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnn"], ["'dense' or 'cnn'", "'rnn'"]),
        (["dense", "--bias-std", "-1"], ["`bias`", "-1.0"]),
        (["dense", "--size", "500"], ["GiB", "smaller size"]),
        (["dense", "--filters", "4"], ["--filters", "simulate cnn"]),
        (["dense", "--model", "m.keras"], ["--group NAME"]),
        (["dense", "--group", "fusion"], ["--model MODEL"]),
        (
            ["--model", "m.keras", "--group", "g", "--bias-mean", "0.1"],
            ["--model", "--bias-mean", "Leave"],
        ),
        (["--model", "missing.keras", "--group", "g"], ["does not exist"]),
    ],
)
def test_refused_options(arguments, words, refused, tmp_path):
    line = refused("simulate", *arguments, "--output", tmp_path / "out")
    assert [word for word in words if word not in line] == []
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("option", [["--depth", "0"], ["--size", "0"], ["--seeds", "0"]])
def test_wrong_numbers(option, run, tmp_path):
    result = run("simulate", *option, "--output", tmp_path / "out")
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_full_disk(refused, tmp_path, full_disk):
    line = refused("simulate", *SMALL, "--output", tmp_path / "out")
    assert "File too large" in line
    assert not list((tmp_path / "out").glob("*.part"))
