"""Functions of one number, told apart by their graphs on paper."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]
"""Takes float64 numbers along the first axis; its values may have further axes."""

_OCTAVES, _PER_OCTAVE = (-20, 40), 4
_HALF = 1.0009 * 2.0 ** np.arange(*_OCTAVES, 1 / _PER_OCTAVE)
GRID = np.concatenate([-_HALF[::-1], _HALF])
TOLERANCE = 1e-6
SMALLEST_THRESHOLD = 1e-9
_SETTLED = 8


@dataclasses.dataclass(frozen=True)
class Shape:
    """A rectifier's graph on paper; each number may be an array that broadcasts to the tensor.

    Attributes:
        threshold: Where it starts to rise.
        cap: Where it stops rising; infinity without a cap.
        above: Its slope between the two.
        below: Its slope below the threshold; None where weights of the model decide it.
    """

    threshold: Any = 0.0
    cap: Any = float("inf")
    above: Any = 1.0
    below: Any = 0.0

    def is_same_above(self, other: Shape) -> bool:
        """Whether two shapes differ at most in their slope below the threshold."""
        pairs = [(getattr(self, n), getattr(other, n)) for n in ("threshold", "cap", "above")]
        return all(np.shape(a) == np.shape(b) and np.allclose(a, b) for a, b in pairs)

    @property
    def is_leaky_relu(self) -> bool:
        """Whether this is x above zero and a known fraction of x below."""
        return isinstance(self.below, float) and self.is_same_above(RELU)

    def is_of(self, other: Shape) -> bool:
        """Whether two shapes are the same."""
        return self.is_same_above(other) and np.array_equal(self.below, other.below)


RELU = Shape()
RELU6 = Shape(cap=6.0)


def rectifier(function: Function, steepest: float = 1.0) -> Shape | None:
    """The shape of a function that is a rectifier, else None.

    A rectifier rises steadily from a threshold on, up to a cap if it has one. Below the threshold
    it is zero, or it is less steep and on a line through zero.

    Args:
        function: The function.
        steepest: How steep it may be below the threshold, in multiples of the slope above.
    """
    values = function(GRID)
    drawn = values.reshape(len(GRID), -1)
    if not np.isfinite(drawn).all():
        return None
    lines = [_lines(column, steepest) for column in drawn.T]
    if any(line is None for line in lines):
        return None
    below, above, low, top = np.array(lines, "float64").T.reshape(4, *values.shape[1:])
    threshold = _end(function, low.astype(int), below)
    cap = np.full_like(top, np.inf)
    if np.isfinite(top).any():
        found = _end(function, np.where(np.isfinite(top), top, 0).astype(int), above)
        cap = np.where(np.isfinite(top), found, np.inf)
    return Shape(*(_one(each) for each in (threshold, cap, above, below)))


def _lines(values: np.ndarray, steepest: float) -> tuple[float, ...] | None:
    """Slope of the lower and of the rising line, and the last point of the grid on either.

    Infinity is the last point of a line that does not end; None is for any other function.
    """
    slopes = np.diff(values) / np.diff(GRID)
    below = 0.0 if abs(slopes[0]) < TOLERANCE else slopes[0]
    between = slopes[~_are(slopes, below) & ~_are(slopes, 0.0)]
    if not between.size:
        return None
    above = np.median(between) if _are(slopes[-1], 0.0) else slopes[-1]
    if not (above > TOLERANCE and abs(below) < steepest * above - TOLERANCE):
        return None
    low = _run(slopes, 0, below)
    rising = low if _are(slopes[low], above) else low + 1
    top = rising + _run(slopes, rising, above)
    if top == rising or not _starts_at_zero(values, low, below):
        return None
    if top == len(slopes):
        return below, above, low, np.inf
    flat = top if _are(slopes[top], 0.0) else top + 1
    ends_flat = flat < len(slopes) and flat + _run(slopes, flat, 0.0) == len(slopes)
    return (below, above, low, top) if ends_flat else None


def _are(slopes: Any, slope: float) -> Any:
    return np.abs(slopes - slope) <= TOLERANCE * (1 + abs(slope))


def _run(slopes: np.ndarray, start: int, slope: float) -> int:
    """How many of the slopes from `start` on are this one."""
    return len(list(itertools.takewhile(bool, _are(slopes[start:], slope))))


def _starts_at_zero(values: np.ndarray, low: int, below: float) -> bool:
    """Whether the lower line passes through the origin, or is zero where it ends."""
    at_origin = values[low] - below * GRID[low]
    if abs(at_origin) <= TOLERANCE:
        return True
    zero = -at_origin / below if below else np.inf
    return bool(GRID[low] - TOLERANCE <= zero <= GRID[low + 1] + TOLERANCE)


def _end(function: Function, start: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Where the function leaves the line through a point of the grid with that slope."""
    first, right = GRID[start], GRID[start + 1]
    height, left = function(first[None])[0], first
    for _ in range(60):
        middle = (left + right) / 2
        line = height + slope * (middle - first)
        is_on = np.abs(function(middle[None])[0] - line) <= 1e-13 * (1 + np.abs(line))
        left, right = np.where(is_on, middle, left), np.where(is_on, right, middle)
    return np.where(np.abs(right) < SMALLEST_THRESHOLD, 0.0, right)


def _one(values: np.ndarray) -> Any:
    """A number where all the values are one, else the values."""
    first = values.flat[0]
    return float(first) if np.isclose(values, first, 1e-12, 0).all() else values


def gate(function: Function) -> float | None:
    """The lower level of a function that rises from one level to another, symmetric about zero."""
    values = function(GRID).reshape(len(GRID), -1)
    if not np.isfinite(values).all():
        return None
    is_flat = np.allclose(values[0], values[1]) and np.allclose(values[-1], values[-2])
    jumps = np.abs(np.diff(values, axis=0)).max() > (values[-1] - values[0]).max() / 2
    is_symmetric = np.allclose(values + values[::-1], values[0] + values[-1])
    rises = (values[-1] > values[0] + TOLERANCE).all()
    is_gate = is_flat and is_symmetric and rises and not jumps
    return float(values[0, 0]) if is_gate else None


def is_curve(function: Function) -> bool:
    """Whether a function is curved somewhere near zero and bends nowhere sharply there."""
    coarse, fine = (_largest_jump(function, step) for step in (1 / 128, 1 / 256))
    return bool(TOLERANCE < coarse < np.inf) and fine < 0.75 * coarse


def _largest_jump(function: Function, step: float) -> float:
    """The largest change of slope from one step to the next."""
    values = function(np.arange(-8.03, 8.0, step))
    return float(np.abs(np.diff(values, 2, axis=0)).max() / step)


def whatever_the_weights(shapes: Sequence[Shape | None]) -> Shape | None:
    """The shape of a rectifier drawn with different weights, if only its lower slope changes."""
    first = shapes[0]
    found = [shape for shape in shapes if shape is not None]
    if first is None or len(found) < len(shapes) or not all(map(first.is_same_above, found)):
        return None
    if all(map(first.is_of, found)):
        return first
    return dataclasses.replace(first, below=None)


def line(function: Function) -> float | None:
    """The slope of the line that a function stands for; None where it stands for none.

    Of what ends in two lines it is the steeper one (1 for ReLU, leaky ReLU, ELU, GELU, swish and
    softplus), of what is flat at both ends the steeper side at zero (1 for ReLU6 and tanh, 1/4 for
    the logistic function). Even functions and those that never settle stand for none.
    """
    values = function(GRID).reshape(len(GRID), -1)
    if not np.isfinite(values).all():
        return None
    slopes = np.diff(values, axis=0) / np.diff(GRID)[:, None]
    far = _SETTLED * _PER_OCTAVE
    middle = len(_HALF) - 1
    found = _steeper(slopes[0], slopes[-1])
    if not all(np.allclose(slopes[i], slopes[i + s], atol=1e-4) for i, s in ((0, far), (-1, -far))):
        return None
    if found is not None and not found.any():
        found = _steeper(slopes[middle - 1], slopes[middle + 1])
    is_one = found is not None and np.allclose(found, found[0]) and found[0]
    return float(found[0]) if found is not None and is_one else None


def is_straight(function: Function) -> bool:
    """Whether a function is a line."""
    values = function(GRID).reshape(len(GRID), -1)
    slopes = np.diff(values, axis=0) / np.diff(GRID)[:, None]
    return bool(np.allclose(slopes, slopes[0], atol=1e-4))


def _steeper(one: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """The steeper of two slopes; None where two that differ are equally steep."""
    one, other = (np.where(np.abs(slope) < TOLERANCE, 0.0, slope) for slope in (one, other))
    if (np.isclose(np.abs(one), np.abs(other)) & ~np.isclose(one, other)).any():
        return None
    return np.where(np.abs(one) > np.abs(other), one, other)
