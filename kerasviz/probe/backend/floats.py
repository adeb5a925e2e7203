"""Floating-point numbers taken apart by their bits: exact, which `log` and `pow` are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

BIAS = 1023
FRACTION = 52
LARGEST_FLOAT32 = 3.4028234663852886e38
FRACTION_FLOAT32 = 23
GOLDEN = 0.6180339887498949


def exponent(x: Any) -> Any:
    """⌊log₂ |x|⌋ as float64, for float64 `x`; -1023 for zero."""
    bits = tf.bitcast(tf.abs(x), tf.int64)
    return tf.cast(tf.bitwise.right_shift(bits, tf.cast(FRACTION, tf.int64)) - BIAS, tf.float64)


def power_of_two(exponents: Any) -> Any:
    """2 to the power of whole numbers in [-1022, 1023], given and returned as float64."""
    biased = tf.cast(exponents, tf.int64) + BIAS
    return tf.bitcast(tf.bitwise.left_shift(biased, tf.cast(FRACTION, tf.int64)), tf.float64)


def leading_bits(x: Any, num_bits: int) -> Any:
    """Which cell of the positive float32 numbers `x` is in, int32: its exponent with the first
    `num_bits` bits of its fraction. Cell 2^num_bits is that of the smallest normal number."""
    x = tf.cast(tf.minimum(tf.abs(x), tf.cast(LARGEST_FLOAT32, x.dtype)), tf.float32)
    return tf.bitwise.right_shift(tf.bitcast(x, tf.int32), FRACTION_FLOAT32 - num_bits)


def counted(places: Any, size: int, weights: Any = None) -> Any:
    """(size,) float64: how often each number below `size` is among the int32 `places`, or the sum
    of their weights; larger ones are not counted."""
    if weights is None:
        weights = tf.zeros([0], tf.int64)
    found = tf.raw_ops.Bincount(arr=places, size=size, weights=weights)
    return tf.ensure_shape(tf.cast(found, tf.float64), (size,))


def column_ends(rows: Any) -> tuple[Any, Any]:
    """Least and largest value of each column of `(n, columns)`, float64; NaN where a NaN is in it.

    Nothing is copied: one pass over the numbers as they are for each.
    """
    low, high = tf.reduce_min(rows, axis=0), tf.reduce_max(rows, axis=0)
    return tf.cast(low, tf.float64), tf.cast(high, tf.float64)


class Spread:
    """Chooses at most so many of values `(n,)`, evenly spread, always the same; all, if not more.

    One from each of as many stretches of equal length, at a place in it that the golden ratio
    moves on, so that no period of the values (channels, columns) is met again and again.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self._most = tf.constant(most, tf.int64)
        self._numbers = tf.range(most, dtype=tf.int64)
        self._shares = tf.constant(spread_shares(most))

    def __call__(self, values: Any) -> Any:
        """`(most,)`; of fewer values than that, they, followed by repetitions of the last."""
        size = tf.size(values, tf.int64)
        spread = tf.cast(self._shares * tf.cast(size, tf.float64), tf.int64)
        places = tf.where(size > self._most, spread, self._numbers)
        return tf.gather(values, tf.minimum(places, size - 1))


def spread_places(size: int, most: int) -> np.ndarray:
    """Which of `size` values `Spread` chooses, where they are more than `most`."""
    return np.minimum((spread_shares(most) * size).astype("int64"), size - 1)


def spread_shares(most: int) -> np.ndarray:
    """Where `Spread` looks, as shares of the whole, ascending."""
    numbers = np.arange(most, dtype="float64")
    return (numbers + numbers * GOLDEN % 1.0) / most
