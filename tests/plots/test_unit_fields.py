"""Figures of unit fields and effective fields."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kerasviz import plots
from kerasviz.errors import InputError
from kerasviz.receptive_fields.effective import EffectiveField, field_size, field_std

RANDOM = np.random.default_rng(0)


def words(figure: Any) -> str:
    inside = [text.get_text() for axes in figure.axes for text in axes.texts]
    return "\n".join([*inside, *(text.get_text() for text in figure.texts)])


def test_pictures_stand_in_order_with_their_strength() -> None:
    display = RANDOM.random((4, 3, 3, 3))
    strength = np.array([0.25, 1.0, 0.0, 0.5])
    figure = plots.unit_fields(display, strength, range(10, 14), order="strength", num=4)
    drawn = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    np.testing.assert_allclose(np.stack(drawn), display[[1, 3, 0]])
    bars = [axes.patches[0].get_width() for axes in figure.axes if axes.patches]
    assert bars == [1.0, 0.5, 0.25, 0.0]
    found = words(figure)
    assert all(text in found for text in ("11: 1", "13: 0.5", "12: 0", "all zero"))
    few = words(plots.unit_fields(display, strength, range(4), num=2))
    assert "2 of 4 units" in " ".join(few.split())


@pytest.mark.parametrize("shape", [(2, 7), (2, 9, 2), (2, 4, 4, 1), (2, 4, 4, 5), (2, 3, 4, 4, 1)])
def test_fields_of_any_rank_are_drawn(shape: tuple[int, ...]) -> None:
    figure = plots.unit_fields(RANDOM.random(shape), np.ones(2), [0, 1])
    grey = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(grey) == (2 if len(shape) > 3 else 0)
    for picture in grey:
        assert (np.ptp(picture, axis=-1) < 1e-12).all()
    assert plots.to_png(figure, dpi=40)


def test_what_is_no_field_is_refused() -> None:
    with pytest.raises(InputError, match="`order` must be"):
        plots.unit_fields(np.zeros((1, 2, 2, 1)), np.ones(1), [0], order="size")
    with pytest.raises(InputError, match="`display` must"):
        plots.unit_fields(np.zeros((2, 2, 2, 1)), np.ones(1), [0])


@pytest.mark.parametrize("shape", [(9,), (8, 6), (4, 5, 6)])
def test_effective_fields_say_their_numbers(shape: tuple[int, ...]) -> None:
    effect = RANDOM.random(shape)
    field = EffectiveField(
        map=effect,
        size=field_size(effect),
        std=field_std(effect),
        reach=shape,
        start=(0,) * len(shape),
        ratio=0.5,
        is_cut=True,
        num_samples=3,
        layer="conv",
        input_name="image",
        diagnosis="",
        parameters={"inputs": "noise"},
        provenance={},
    )
    figure = plots.effective_field(field)
    found = words(figure)
    assert "50% of the" in found
    assert "cut by the border" in found
    assert "3 samples of noise" in found
    assert any(axes.images for axes in figure.axes) == (len(shape) > 1)
    assert plots.to_png(figure, dpi=40)
