"""The figure of expanded weights: the strongest first, each row on its own scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kerasviz import plots
from kerasviz.errors import InputError
from kerasviz.weights import ExpandedWeights


def made(*window: int, sources: int = 5) -> ExpandedWeights:
    generator = np.random.default_rng(1)
    shape = (2, sources, *window)
    positive = generator.random(shape).astype("float32")
    negative = -generator.random(shape).astype("float32")
    scale = np.arange(1, sources + 1, dtype="float32").reshape(-1, *[1] * len(window))
    positive, negative = positive * scale, negative * scale
    ends: dict[str, Any] = {"source": "stem", "target": "block/add", "method": "weights"}
    rank = len(window)
    return ExpandedWeights(
        maps=positive + negative,
        positive=positive,
        negative=negative,
        sources=tuple(range(10, 10 + sources)),
        targets=(4, 7),
        **ends,
        start=(3,) * rank,
        source_size=(16,) * rank,
        middle=(4,) * rank,
        strides=(2.0,) * rank,
        is_cut=False,
        diagnosis="",
        parameters={},
        provenance={},
    )


def test_sources_stand_in_the_order_of_their_norms() -> None:
    found = made(3, 5)
    figure = found.plot(7, num=3)
    words = [text.get_text() for text in figure.texts]
    names = [word for word in words if word.startswith("channel")]
    order = np.argsort(-np.linalg.norm(found.maps[1].reshape(5, -1), axis=1))[:3]
    assert names == [f"channel {10 + place}" for place in order]
    assert any("3 of 5 source channels" in word for word in words)
    share = (
        1
        - np.abs(found.maps[1, order[0]]).sum()
        / (found.positive[1, order[0]] - found.negative[1, order[0]]).sum()
    )
    assert f"{share:.0%} cancel" in words
    panels = [axes for axes in figure.axes if axes.images and not axes.get_yticks().size]
    assert len(panels) == 9
    np.testing.assert_allclose(panels[0].images[0].get_array(), found.maps[1, order[0]])
    np.testing.assert_allclose(panels[8].images[0].get_array(), found.negative[1, order[2]])
    limits = [panel.images[0].get_clim() for panel in panels]
    largest = np.abs(found.maps[1, order]).max()
    parts = max(np.abs(p[1, order]).max() for p in (found.positive, found.negative))
    np.testing.assert_allclose(limits[:3], [(-largest, largest)] * 3)
    np.testing.assert_allclose(limits[3:], [(-parts, parts)] * 6)


@pytest.mark.parametrize("window", [(7,), (2, 3, 3)])
def test_windows_of_one_and_three_dimensions(window: tuple[int, ...]) -> None:
    found = made(*window, sources=1)
    figure = plots.expanded_weights(found, title="Heading")
    picture = figure.axes[0].images[0].get_array()
    assert picture.shape == ((1, 7) if len(window) == 1 else (3, 7))
    drawn = np.ma.filled(np.ma.masked_invalid(picture), np.nan)
    if len(window) == 3:
        np.testing.assert_allclose(drawn[:, :3], found.maps[0, 0, 0])
        np.testing.assert_allclose(drawn[:, 4:], found.maps[0, 0, 1])
        assert np.isnan(drawn[:, 3]).all()
    else:
        np.testing.assert_allclose(drawn, found.maps[0, 0][None])
    assert figure.texts[0].get_text() == "Heading"
    assert len(plots.to_png(figure, dpi=40)) > 1000


def test_a_channel_that_was_not_expanded_is_refused() -> None:
    with pytest.raises(InputError, match=r"one of the channels \[4, 7\]"):
        made(3, 3).plot(5)
