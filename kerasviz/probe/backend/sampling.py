"""Pictures in the graph: Fourier transforms, resizing, resampling, seeded random numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf


class Draws:
    """Random numbers that depend on nothing but a seed, a step and the order of the draws.

    Args:
        seed: A whole number from 0 to 2**31 - 1.
        step: Scalar integer tensor: the step of the loop.
    """

    def __init__(self, seed: int, step: Any) -> None:
        self._seed = seed
        self._step = tf.cast(step, tf.int64)
        self._count = 0

    def uniform(self, low: float, high: float, shape: Sequence[Any] = ()) -> Any:
        """Float32 in [low, high)."""
        return tf.random.stateless_uniform(shape, self._next(), low, high)

    def normal(self, shape: Sequence[Any] = ()) -> Any:
        """Float32 of mean 0 and standard deviation 1."""
        return tf.random.stateless_normal(shape, self._next())

    def integer(self, low: int, high: int) -> Any:
        """A whole number from `low` to `high`, both included, as float32."""
        drawn = tf.random.stateless_uniform((), self._next(), low, high + 1, tf.int32)
        return tf.cast(drawn, tf.float32)

    def choice(self, values: Sequence[float]) -> Any:
        """One of the values, as float32."""
        index = tf.random.stateless_uniform((), self._next(), 0, len(values), tf.int32)
        return tf.constant(values, tf.float32)[index]

    def _next(self) -> Any:
        self._count += 1
        return tf.stack([tf.constant((self._count << 31) + self._seed, tf.int64), self._step])


def inverse_fourier(real: Any, imaginary: Any, sizes: Sequence[int]) -> Any:
    """Real (…, *sizes) float32 from the half spectrum (…, *sizes[:-1], sizes[-1] // 2 + 1).

    One, two or three axes are transformed.
    """
    spectrum = tf.complex(real, imaginary)
    if len(sizes) == 1:
        return tf.signal.irfft(spectrum, list(sizes))
    if len(sizes) == 3:
        spectrum = _inverse_along_third_last(spectrum)
    return tf.signal.irfft2d(spectrum, list(sizes[-2:]))


def _inverse_along_third_last(spectrum: Any) -> Any:
    """One axis by itself, as TensorFlow has no gradient for `irfft3d`."""
    rank = len(spectrum.shape)
    swapped = [*range(rank - 3), rank - 1, rank - 2, rank - 3]
    return tf.transpose(tf.signal.ifft(tf.transpose(spectrum, swapped)), swapped)


def resize_linear(pictures: Any, sizes: Sequence[int]) -> Any:
    """(batch, *positions, channels) at other sizes, linear along each axis (half-pixel centres)."""
    for axis, size in enumerate(sizes, start=1):
        if pictures.shape[axis] != size:
            pictures = _resize_axis(pictures, axis, size)
    return pictures


def _resize_axis(pictures: Any, axis: int, size: int) -> Any:
    shape = pictures.shape.as_list()
    before, after = shape[1:axis], shape[axis + 1 :]
    rest = 1
    for length in after:
        rest *= length
    flat = tf.reshape(pictures, (-1, shape[axis], 1, rest))
    resized = tf.image.resize(flat, (size, 1), "bilinear")
    return tf.reshape(resized, (shape[0] or -1, *before, size, *after))


def warp(pictures: Any, matrix: Any, fill: Any) -> Any:
    """Resample pictures by an affine map, linear between positions; the exact gradient flows back.

    Args:
        pictures: (batch, *positions, channels) float32, of known sizes.
        matrix: (rank + 1, rank + 1): from coordinates of the result to coordinates of `pictures`,
            both in pixels from the centre.
        fill: Value beyond the edges, or None to repeat the edge.

    Returns:
        The same shape.
    """
    sizes = pictures.shape.as_list()[1:-1]
    source = _source_coordinates(matrix, sizes)
    count, channels = pictures.shape[0], pictures.shape[-1]
    rows = tf.reshape(tf.transpose(pictures, _positions_first(len(sizes))), (-1, count * channels))
    indices, weights, lost = _corners(source, sizes, fill)
    taken = tf.gather(rows, tf.reshape(indices, [-1]))
    taken = tf.reshape(taken, (2 ** len(sizes), -1, count * channels))
    result = tf.reduce_sum(taken * weights[..., None], axis=0)
    if fill is not None:
        result += fill * lost[:, None]
    result = tf.reshape(result, (*sizes, count, channels))
    return tf.transpose(result, (len(sizes), *range(len(sizes)), len(sizes) + 1))


def _positions_first(rank: int) -> list[int]:
    return [*range(1, rank + 1), 0, rank + 1]


def _source_coordinates(matrix: Any, sizes: Sequence[int]) -> Any:
    """(rank, points): where each position of the result lies in the source, in pixel indices."""
    axes = [tf.range(size, dtype=tf.float32) - (size - 1) / 2 for size in sizes]
    grid = [tf.reshape(axis, [-1]) for axis in tf.meshgrid(*axes, indexing="ij")]
    points = tf.stack([*grid, tf.ones_like(grid[0])])
    centres = tf.constant([[(size - 1) / 2] for size in sizes], tf.float32)
    return tf.matmul(matrix, points)[:-1] + centres


def _corners(source: Any, sizes: Sequence[int], fill: Any) -> tuple[Any, Any, Any]:
    """Flat indices and weights (2^rank, points), and the weight (points,) that falls outside."""
    low = tf.floor(source)
    part = source - low
    indices, weights = [], []
    for corner in itertools.product((0, 1), repeat=len(sizes)):
        index: Any = 0
        weight: Any = 1.0
        for axis, (step, size) in enumerate(zip(corner, sizes, strict=True)):
            at = low[axis] + step
            inside = tf.clip_by_value(at, 0.0, size - 1.0)
            weight *= part[axis] if step else 1.0 - part[axis]
            if fill is not None:
                weight *= tf.cast(tf.equal(at, inside), tf.float32)
            index = index * size + tf.cast(inside, tf.int32)
        indices.append(index)
        weights.append(weight)
    stacked = tf.stack(weights)
    return tf.stack(indices), stacked, 1.0 - tf.reduce_sum(stacked, axis=0)
