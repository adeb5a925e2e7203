"""Convolution and max pooling forward and backward, in NumPy, one kernel position at a time."""

from __future__ import annotations

import numpy as np


def convolve(images: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Stride 1, zero padding that keeps the size, kernels of odd size.

    Args:
        images: Shape `(batch, height, width, channels)`.
        kernel: Shape `(rows, columns, channels, filters)`.
        bias: Shape `(filters,)`.

    Returns:
        Shape `(batch, height, width, filters)`.
    """
    return _slide(images, kernel) + bias


def convolve_transposed(signal: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The adjoint of `convolve` without bias: filters come in, channels go out."""
    return _slide(signal, kernel[::-1, ::-1].swapaxes(2, 3))


def _slide(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    rows, columns = kernel.shape[:2]
    height, width = images.shape[1:3]
    margins = [(0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2), (0, 0)]
    padded = np.pad(np.asarray(images, "float64"), margins)
    total = np.zeros((*images.shape[:3], kernel.shape[3]))
    for row in range(rows):
        for column in range(columns):
            window = padded[:, row : row + height, column : column + width]
            total += window @ kernel[row, column].astype("float64")
    return total


def max_pool(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """2x2 max pooling of even-sized images.

    Returns:
        The maxima, shape `(batch, height / 2, width / 2, channels)`, and the switches: which
        element of its 2x2 block each maximum is, 0 to 3 in row-major order, the first on a tie.
    """
    corners = [images[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
    blocks = np.stack(corners, axis=-1)
    return blocks.max(axis=-1), blocks.argmax(axis=-1)


def unpool(signal: np.ndarray, switches: np.ndarray) -> np.ndarray:
    """Put each value where its block's maximum was and 0 elsewhere: twice the height and width."""
    batch, height, width, channels = signal.shape
    result = np.zeros((batch, 2 * height, 2 * width, channels))
    for corner in range(4):
        row, column = divmod(corner, 2)
        result[:, row::2, column::2] = np.where(switches == corner, signal, 0)
    return result
