"""Numbers in a graph that do not depend on its inputs, such as the corner of a crop."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

_ARITHMETIC: Mapping[str, Callable[..., Any]] = {
    "AddV2": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "RealDiv": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
}


def value(tensor: Any) -> np.ndarray | None:
    """The value of a tensor, None where it depends on something that is not known yet."""
    found = tf.get_static_value(tensor)
    if found is not None:
        return np.asarray(found)
    op = tensor.op
    if op.type not in ("Identity", "Cast", *_ARITHMETIC):
        return None
    parts = [value(part) for part in op.inputs]
    if any(part is None for part in parts):
        return None
    result = _ARITHMETIC[op.type](*parts) if op.type in _ARITHMETIC else parts[0]
    return np.asarray(result).astype(tensor.dtype.as_numpy_dtype)


def elements(vector: Any) -> list[int | None] | None:
    """The entries of a vector of whole numbers, None for each that is not known."""
    known = value(vector)
    if known is not None:
        return [int(number) for number in known.ravel()]
    if vector.op.type != "Pack":
        return None
    parts = [value(part) for part in vector.op.inputs]
    return [None if part is None else int(part) for part in parts]
