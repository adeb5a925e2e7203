"""Which functions of one number are rectifiers, and of what shape."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from kerasviz.probe.backend.curves import (
    Shape,
    gate,
    is_curve,
    rectifier,
    whatever_the_weights,
)

Function = Callable[[np.ndarray], np.ndarray]
INFINITY = float("inf")


def clip(low: float, high: float) -> Function:
    return lambda x: np.clip(x, low, high)


RECTIFIERS: dict[str, tuple[Function, Shape]] = {
    "relu": (clip(0, INFINITY), Shape()),
    "cap": (clip(0, 6), Shape(cap=6.0)),
    "low cap": (clip(0, 0.25), Shape(cap=0.25)),
    "high cap": (clip(0, 1e6), Shape(cap=1e6)),
    "shifted": (lambda x: np.maximum(2 * x - 1, 0), Shape(threshold=0.5, above=2.0)),
    "jump": (lambda x: np.where(x > 0.3, x, 0), Shape(threshold=0.3)),
    "jump below zero": (lambda x: np.where(x > -0.3, x, 0), Shape(threshold=-0.3)),
    "leak": (lambda x: np.maximum(x, 0.2 * x), Shape(below=0.2)),
    "inverted leak": (lambda x: np.maximum(x, -0.2 * x), Shape(below=-0.2)),
    "leak and cap": (
        lambda x: np.where(x < 0, 0.1 * x, np.minimum(x, 4)),
        Shape(cap=4.0, below=0.1),
    ),
    "leak from a threshold": (
        lambda x: np.where(x > 0.5, x, 0.1 * (x - 0.5)),
        Shape(threshold=0.5, below=0.1),
    ),
}
OTHERS: dict[str, Function] = {
    "line": lambda x: 3 * x + 1,
    "constant": lambda x: 0 * x,
    "absolute": np.abs,
    "mirrored": lambda x: np.maximum(-x, 0),
    "negative": lambda x: -np.maximum(x, 0),
    "lower half": lambda x: np.minimum(x, 0),
    "floor above zero": clip(0.5, INFINITY),
    "floor below zero": clip(-1, 1),
    "two bends": lambda x: np.maximum(x, 0) + np.maximum(x - 1, 0),
    "falls again": lambda x: np.maximum(x, 0) - 2 * np.maximum(x - 1, 0),
    "hat": lambda x: np.clip(x, 0, 1) - np.clip(x - 1, 0, 1),
    "steps": lambda x: np.clip(x, 0, 1) + np.clip(x - 2, 0, 1),
    "shrinking": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "leak beside zero": lambda x: np.where(x > 0, x, 0.1 * x - 1),
    "square": lambda x: np.maximum(x, 0) ** 2,
    "softplus": lambda x: np.logaddexp(0, x),
    "exponential": lambda x: np.maximum(x, 0) + np.expm1(np.minimum(x, 0)),
    "root": np.sqrt,
}


@pytest.mark.parametrize("name", RECTIFIERS)
def test_rectifiers_and_their_shapes(name: str) -> None:
    function, expected = RECTIFIERS[name]
    found = rectifier(function)
    assert found is not None
    assert found.threshold == pytest.approx(expected.threshold, rel=1e-10, abs=0)
    assert found.cap == pytest.approx(expected.cap, rel=1e-10)
    assert found.above == pytest.approx(expected.above, rel=1e-10)
    assert found.below == pytest.approx(expected.below, rel=1e-10, abs=0)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_rectifier(name: str) -> None:
    with np.errstate(invalid="ignore"):
        assert rectifier(OTHERS[name]) is None


def test_one_shape_per_channel() -> None:
    limits = np.array([0.5, 1.0, 2.0])

    def capped(x: np.ndarray) -> np.ndarray:
        return np.clip(x.reshape(len(x), -1), 0, limits)

    found = rectifier(capped)
    assert found is not None
    np.testing.assert_allclose(found.cap, limits, rtol=1e-10)
    assert found.threshold == 0.0
    assert found.below == 0.0
    assert rectifier(lambda x: np.clip(x.reshape(len(x), -1), [0, 0, 0.5], limits)) is None


def test_gates_rise_symmetrically_between_two_levels() -> None:
    assert gate(lambda x: np.clip(x + 3, 0, 6)) == 0.0
    assert gate(clip(-1, 1)) == -1.0
    assert gate(clip(0, 6)) is None
    assert gate(lambda x: -np.clip(x, -1, 1)) is None
    assert gate(lambda x: x) is None
    assert gate(np.abs) is None
    assert gate(np.sign) is None
    with np.errstate(invalid="ignore"):
        assert gate(np.sqrt) is None


def test_curves_have_no_bend() -> None:
    assert is_curve(lambda x: np.maximum(x, 0) + np.expm1(np.minimum(x, 0)))
    assert is_curve(lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))
    assert not is_curve(np.abs)
    assert not is_curve(lambda x: 2 * x)
    assert not is_curve(lambda x: np.maximum(x, 0) ** 2 + np.abs(x - 1))


def test_only_the_lower_slope_may_depend_on_weights() -> None:
    def drawn(make: Callable[[float], Function]) -> Shape | None:
        return whatever_the_weights([rectifier(make(w), 4.0) for w in (0.25, 2.0, -0.5)])

    assert drawn(lambda w: lambda x: np.where(x > 0, x, w * x)) == Shape(below=None)
    unchanged = drawn(lambda w: clip(0, 6))
    assert unchanged is not None
    assert unchanged.is_of(Shape(cap=6.0))
    assert drawn(lambda w: lambda x: np.maximum(x, w * x)) is None
    assert drawn(lambda w: lambda x: np.where(x > w, x, 0)) is None
    assert drawn(lambda w: lambda x: np.clip(x, 0, abs(w))) is None
