"""Figures of attention heads: what is drawn where, and on which scale."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kerasviz import plots
from kerasviz.errors import InputError

SCORES = np.random.default_rng(0).dirichlet(np.ones(7), size=(3, 7)).astype("float32")
PHOTO = np.full((8, 12, 3), 0.5)


def table(offset: float = 0.0) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([["a/attention", "b/attention"], [0, 1, 2]])
    index.names = ["address", "head"]
    values = np.arange(6.0) + offset
    return pd.DataFrame({"distance": values, "distance_std": values / 10}, index=index)


def test_maps_show_the_query_on_one_scale() -> None:
    peaked = np.zeros((3, 7, 7), "float32")
    peaked[:, 0, 1] = 0.8
    peaked[1, 0, 6] = 0.4
    figure = plots.attention_maps({"one": peaked, "two": peaked[:2] / 2}, PHOTO, (2, 3))
    cells = [axes for axes in figure.axes if axes.images and axes.get_xlabel()]
    assert [c.get_xlabel() for c in cells] == ["max 0.8"] * 3 + ["max 0.4"] * 2
    assert [c.get_title() for c in cells[:3]] == ["head 0", "head 1", "head 2"]
    picture = np.asarray(cells[1].images[0].get_array())
    cold, hot, warm = picture[0, -1], picture[0, 0], picture[-1, -1]
    assert hot.sum() > warm.sum() > cold.sum()
    np.testing.assert_array_equal(hot, picture[3, 3])
    half = np.asarray(cells[3].images[0].get_array())[0, 0]
    np.testing.assert_allclose(half, warm, atol=1e-6)
    assert "uniform: 0.143" in figure.axes[-1].get_ylabel()
    assert "class token" in figure.get_suptitle()
    assert "token 3" in plots.attention_maps({"one": peaked}, PHOTO, (2, 3), query=3).get_suptitle()


def test_depth_is_the_order_of_the_layers() -> None:
    figure = plots.heads_by_depth({"before": table(), "after": table(1.0)})
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "b"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["before", "after"]
    means = [line.get_ydata() for line in axes.lines if len(line.get_xdata()) == 2]
    np.testing.assert_allclose(means, [[1.0, 4.0], [2.0, 5.0]])
    markers = {line.get_marker() for line in axes.lines} - {"None", "", None}
    assert len(markers) == 2


def test_similarity_has_its_numbers() -> None:
    figure = plots.head_similarity({"one": [[1.0, 0.25], [0.25, 1.0]], "two": np.eye(9)})
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert texts[0] == ["1.00", "0.25", "0.25", "1.00"]
    assert texts[1] == []
    assert figure.axes[0].images[0].get_clim() == (0.0, 1.0)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(heads, queries, 5\).*\(3, 7, 7\) at 'one'"):
        plots.attention_maps({"one": SCORES}, PHOTO, (2, 2))
    with pytest.raises(InputError, match="rows and columns"):
        plots.attention_maps({"one": SCORES}, PHOTO, (6,))
    with pytest.raises(InputError, match="at least one layer"):
        plots.attention_maps({}, PHOTO, (2, 3))
    with pytest.raises(InputError, match="There are: distance"):
        plots.heads_by_depth(table(), "entropy")
    with pytest.raises(InputError, match="one to 5 tables"):
        plots.heads_by_depth({str(i): table() for i in range(6)})
    with pytest.raises(InputError, match="at least one layer"):
        plots.head_similarity({})
