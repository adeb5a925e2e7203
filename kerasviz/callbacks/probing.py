"""A probe: the batch that watchers look at."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError


def unpacked(probe: Any) -> tuple[Any, Any, Any]:
    """Inputs, labels and weights of a probe: a tuple is `(x,)`, `(x, y)` or `(x, y, weights)`.

    Raises:
        InputError: A data set or generator, which can't be looked at again and again.
    """
    parts = probe if isinstance(probe, tuple) else (probe,)
    x, y, sample_weight = (*parts, None, None, None)[:3]
    leaves = [leaf for leaf in keras.tree.flatten((x, y, sample_weight)) if leaf is not None]
    if x is None or len(parts) > 3 or not all(_is_array(leaf) for leaf in leaves):
        raise InputError(
            "`probe` must be arrays: inputs, or a tuple of inputs and labels. Received: "
            f"{type(probe).__name__}. Take a few hundred samples out of the data set."
        )
    return keras.tree.map_structure(_array, (x, y, sample_weight))


def size_of(x: Any) -> int:
    """Number of samples."""
    return len(keras.tree.flatten(x)[0])


def _is_array(value: Any) -> bool:
    is_array = isinstance(value, np.ndarray) or keras.ops.is_tensor(value)
    return bool(is_array and len(value.shape) > 0)


def _array(value: Any) -> Any:
    return None if value is None else keras.ops.convert_to_numpy(value)
