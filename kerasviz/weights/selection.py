"""The exact median of a large tensor without a copy of it."""

from __future__ import annotations

import numpy as np

from kerasviz.weights.chunks import finite_chunks

SMALL = 1 << 18
DIGIT = 1 << 16
LEADING = "<u2"


def median(array: np.ndarray, count: int) -> float:
    """The median of the finite values: the mean of the middle two, as NumPy defines it.

    Up to 2^18 values are partitioned. Of more, 16 bits at a time are counted, first the leading
    ones: two passes for float32, four for float64, with a table of 65536 counts.

    Args:
        array: Contiguous, of float16, float32 or float64.
        count: How many of its values are finite, at least 1.
    """
    ranks = ((count - 1) // 2, count // 2)
    if count <= SMALL:
        values = np.concatenate([*finite_chunks(array)])
        values.partition(ranks)
        middle = values[[*ranks]]
    else:
        middle = np.array([_selected(array, rank) for rank in dict.fromkeys(ranks)])
    return float(np.mean(middle, dtype="float64")) + 0.0


def _selected(array: np.ndarray, rank: int) -> float:
    """The value of that rank, from 0 on, digit by digit of its binary form."""
    dtype = np.dtype("float64" if array.dtype.itemsize == 8 else "float32")
    digits: list[int] = []
    for place in range(dtype.itemsize // 2):
        counts = np.zeros(DIGIT, "int64")
        for chunk in finite_chunks(array):
            parts = _digits(chunk)
            for earlier, digit in enumerate(digits):
                parts = parts[parts[:, earlier] == digit]
            counts += np.bincount(parts[:, place], minlength=DIGIT)
        digit, rank = _digit_of_rank(counts, rank, digits)
        digits.append(digit)
    bits = np.array(digits[::-1], LEADING)
    return float(bits.view(dtype.newbyteorder("<"))[0])


def _digits(chunk: np.ndarray) -> np.ndarray:
    """(values, digits) of 16 bits, the leading ones first."""
    little = np.ascontiguousarray(chunk, chunk.dtype.newbyteorder("<"))
    return little.view(LEADING).reshape(chunk.size, -1)[:, ::-1]


def _digit_of_rank(counts: np.ndarray, rank: int, digits: list[int]) -> tuple[int, int]:
    """The digit that the value of a rank has, and its rank among those that share it.

    Negative numbers, whose first bit is set, descend as their bits ascend.
    """
    half = DIGIT // 2
    if not digits:
        order = np.concatenate([np.arange(DIGIT - 1, half - 1, -1), np.arange(half)])
    else:
        order = np.arange(DIGIT)[:: -1 if digits[0] >= half else 1]
    reached = np.cumsum(counts[order])
    index = int(np.searchsorted(reached, rank, side="right"))
    before = int(reached[index - 1]) if index else 0
    return int(order[index]), rank - before
