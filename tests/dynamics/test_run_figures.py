"""A run as figures: what is drawn is what was written."""

from __future__ import annotations

import numpy as np
import pytest

import kerasviz as kv


@pytest.fixture
def run(tmp_path) -> kv.dynamics.Run:
    generator = np.random.default_rng(0)
    with kv.dynamics.RunWriter(tmp_path, manifest={"model": "small"}) as writer:
        for epoch in range(7):
            counts, edges = np.histogram(generator.normal(size=100), bins=16)
            scalars = {"loss": 1.0 / (1 + epoch), "gradients/a/kernel/norm": 0.1 * (1 + epoch)}
            scalars |= {"gradients/a/bias/norm": 1.0, "weights/a/kernel/std": 1.0 + epoch}
            names = {"weights/a/kernel/edges": edges, "weights/a/kernel/counts": counts}
            writer.write_epoch(epoch, scalars, {"histograms": names})
    return kv.dynamics.Run(tmp_path)


def test_curves_are_the_columns(run) -> None:
    figure = run.plot()
    losses, gradients = figure.axes
    np.testing.assert_allclose(losses.lines[0].get_ydata(), run.scalars["loss"])
    [curve] = gradients.lines
    np.testing.assert_allclose(curve.get_ydata(), run.scalars["gradients/a/kernel/norm"])
    np.testing.assert_array_equal(curve.get_xdata(), range(7))
    assert "small" in figure.texts[0].get_text()
    assert kv.plots.to_png(figure, 40)


def test_ridges_from_the_first_epoch_to_the_last(run) -> None:
    words = [text.get_text() for text in run.plot("weights").texts]
    assert {"epoch 0", "epoch 3", "epoch 6"} <= set(words)
    assert {"a/kernel", "7"} <= set(words)


def test_nothing_to_draw(run, tmp_path) -> None:
    with pytest.raises(kv.errors.InputError, match="histograms"):
        run.plot("activations")
    kv.dynamics.RunWriter(tmp_path / "empty").close()
    for group in (None, "weights"):
        with pytest.raises(kv.errors.InputError):
            kv.dynamics.Run(tmp_path / "empty").plot(group)
