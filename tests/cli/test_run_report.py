"""`kerasviz report`: the page of a training run."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kerasviz as kv


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A short training of a model whose first layer is dead."""
    folder = tmp_path_factory.mktemp("runs") / "a"
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(6, "relu", bias_initializer=keras.initializers.Constant(-100.0)),
            keras.layers.Dense(3, "softmax"),
        ],
        name="half_dead",
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")
    y = np.arange(12) % 3
    watcher = kv.callbacks.TrainingWatcher(folder, probe=(x, y))
    model.fit(x, y, epochs=2, batch_size=4, callbacks=[watcher], verbose=0)
    return folder


def test_the_page_says_what_to_notice(run, watched, tmp_path):
    page = tmp_path / "page.html"
    result = run("report", watched, "--output", page)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip().splitlines()[-1] == str(page)
    assert "dead units" in result.output
    text = page.read_text()
    for words in (
        "half_dead",
        "What to look at",
        "Distributions of weights",
        "Updates, last epoch",
    ):
        assert words in text
    assert run("report", watched).exit_code == 0
    assert (watched / "report.html").is_file()
    assert kv.dynamics.Run(watched).epochs == [0, 1]


def test_refusals(refused, tmp_path):
    assert "Received" in refused("report", tmp_path / "missing")
    (tmp_path / "file.txt").write_text("x")
    assert "Received" in refused("report", tmp_path)
