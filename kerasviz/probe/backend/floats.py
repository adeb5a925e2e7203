"""Floating-point numbers taken apart by their bits: exact, which `log` and `pow` are not."""

from __future__ import annotations

from typing import Any

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


def spread_out(values: Any, most: int) -> Any:
    """At most so many of the values `(n,)`, evenly spread and always the same; all, if not more.

    One from each of as many stretches of equal length, at a place in it that the golden ratio
    moves on, so that no period of the values (channels, columns) is met again and again.
    """
    size = tf.size(values, tf.int64)
    count = tf.minimum(size, most)
    numbers = tf.range(tf.cast(count, tf.float64), dtype=tf.float64)
    shifts = numbers * GOLDEN - tf.floor(numbers * GOLDEN)
    length = tf.cast(size, tf.float64) / tf.cast(tf.maximum(count, 1), tf.float64)
    places = tf.cast(tf.floor((numbers + shifts) * length), tf.int64)
    return tf.gather(values, tf.minimum(places, size - 1))
