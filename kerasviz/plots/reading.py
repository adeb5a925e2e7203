"""What can be read from a map: is there anything to draw, and where its colours saturate."""

from __future__ import annotations

import numpy as np

PERCENTILE = 99.5
MOST_DIGITS = 6


def blank_reason(heatmap: np.ndarray) -> str:
    """Why a map would be a misleading picture (not finite, all zero, constant), else `""`."""
    values = np.asarray(heatmap)
    broken = int(values.size - np.isfinite(values).sum())
    if broken:
        return f"No map: {broken} of its {values.size} values are not finite numbers."
    if values.size == 0 or values.min() == values.max():
        value = values.flat[0] if values.size else 0
        return f"No map: all its values are {number(value)}."
    return ""


def color_limit(heatmap: np.ndarray) -> float:
    """The share of the peak at which colours saturate.

    1.0, except for maps with a few pixels above all others (as input gradients have): there the
    99.5th percentile of the magnitudes, so that the rest is visible.
    """
    magnitudes = np.abs(np.asarray(heatmap, dtype=np.float64))
    if not magnitudes.size:
        return 1.0
    limit = float(np.percentile(magnitudes, PERCENTILE))
    return limit if 0.0 < limit < magnitudes.max() * 0.9 else 1.0


def number(value: float) -> str:
    """A number for people: three significant digits."""
    return f"{value + 0.0:.3g}"


def duration(seconds: float) -> str:
    """A time for people: "2.36 s", "378 ms", "0.52 ms"."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def with_spread(value: float, spread: float) -> str:
    """A number and its spread, of which two digits are shown; the number alone without a spread."""
    if not (np.isfinite(value) and np.isfinite(spread)):
        return number(value)
    digits = 1 - int(np.floor(np.log10(spread))) if spread > 0 else -1
    if not 0 <= digits <= MOST_DIGITS:
        return f"{number(value)} ± {spread + 0.0:.2g}"
    return f"{value + 0.0:.{digits}f} ± {spread:.{digits}f}"


def size_text(shape: tuple[int | None, ...] | None) -> str:
    """`(7, 7)` as "7 × 7"; "?" stands for a length that varies."""
    return "\u00a0×\u00a0".join(_length(length) for length in shape or ())


def _length(length: int | None) -> str:
    return "?" if length is None else str(length)


def shortened(name: str, length: int) -> str:
    """A name of at most `length` characters, cut with an ellipsis."""
    return name if len(name) <= length else name[: length - 1].rstrip() + "…"
