"""Every sample of a batch several times, for several questions about each."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def repeated(tensor: Any, times: Any) -> Any:
    """(batch · times, …): each sample `times` times in a row.

    Args:
        tensor: (batch, …).
        times: Scalar integer tensor.
    """
    result = tf.repeat(tensor, times, axis=0)
    result.set_shape((None, *tensor.shape[1:]))
    return result


def tiled(vector: Any, times: Any) -> Any:
    """(length · times,): the whole vector `times` times in a row."""
    return tf.tile(vector, tf.reshape(times, (1,)))


def folded(tensor: Any, times: Any) -> Any:
    """(batch, times, …) from what `repeated` made (batch · times, …)."""
    sizes = tf.shape(tensor)
    result = tf.reshape(tensor, tf.concat([[-1, times], sizes[1:]], 0))
    result.set_shape((None, None, *tensor.shape[1:]))
    return result
