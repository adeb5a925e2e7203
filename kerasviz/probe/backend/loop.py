"""Many steps of one computation inside one compiled call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


class Loop:
    """A step compiled once and repeated inside the graph, as often as each call asks for.

    Args:
        step: Takes nothing, changes variables, and returns float32 (`size`,).
        size: Length of what a step returns.
    """

    def __init__(self, step: Callable[[], Any], size: int) -> None:
        def run(count: Any) -> Any:
            values = tf.TensorArray(tf.float32, count, element_shape=(size,))

            def body(index: Any, values: Any) -> Any:
                return index + 1, values.write(index, step())

            return tf.while_loop(lambda index, _: index < count, body, (0, values))[1].stack()

        self._function = tf.function(
            run, input_signature=[tf.TensorSpec((), tf.int32)], autograph=False
        )
        self._concrete: Any = None

    def trace(self) -> None:
        """Build the graph without running it."""
        if self._concrete is None:
            self._concrete = self._function.get_concrete_function()

    def __call__(self, count: int) -> np.ndarray:
        """Run `count` steps; what they returned, (count, size)."""
        self.trace()
        return np.asarray(self._concrete(tf.constant(count, tf.int32)))
