"""Floating-point numbers taken apart by their bits: exact, which `log` and `pow` are not."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

BIAS = 1023
FRACTION = 52
LARGEST_FLOAT32 = 3.4028234663852886e38
FRACTION_FLOAT32 = 23


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
