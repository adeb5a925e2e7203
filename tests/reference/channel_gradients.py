"""Absorption and emission by a loop over channels: all but one of them zero, then the gradient."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Parts:
    """What goes back through a layer, channels last.

    Args:
        upstream: (batch, *positions, output channels) ∂L/∂Y.
        parts: (output channels, batch, *positions, input channels) ∂L/∂X with all but one
            channel of ∂L/∂Y at zero.
        total: (batch, *positions, input channels) ∂L/∂X through this layer.
    """

    upstream: np.ndarray
    parts: np.ndarray
    total: np.ndarray

    def paper(self) -> tuple[np.ndarray, np.ndarray]:
        """(batch, input channels) absorption, (batch, output channels) emission."""
        axes = tuple(range(2, self.parts.ndim - 1))
        norms = np.sqrt((self.parts**2).sum(axis=axes))
        return norms.sum(axis=0), norms.sum(axis=2).T

    def code(self) -> tuple[np.ndarray, np.ndarray]:
        """(batch, output channels) absorption and emission."""
        axes = tuple(range(1, self.upstream.ndim - 1))
        absorption = np.sqrt((self.upstream**2).sum(axis=axes))
        emission = np.sqrt((self.parts**2).sum(axis=tuple(range(2, self.parts.ndim))))
        return absorption, emission.T


def parts(
    model: keras.Model,
    name: str,
    inputs: Any,
    score: Callable[[Any], Any],
    channel_axis: int = -1,
    training: bool = False,
) -> Parts:
    """One backward pass per output channel of a layer without an activation.

    Args:
        model: A functional model.
        name: The layer's name.
        inputs: A batch.
        score: From the model's outputs to (batch,) what is differentiated.
        channel_axis: Of the layer's input and output.
        training: How the model is called.
    """
    layer = model.get_layer(name)
    taps = keras.Model(model.input, [layer.input, layer.output, model.output])
    with tf.GradientTape(persistent=True) as tape:
        given = tf.convert_to_tensor(inputs)
        tape.watch(given)
        source, output, result = taps(given, training=training)
        value = tf.reduce_sum(score(result))
    upstream = tape.gradient(value, output)
    count, rank = output.shape[channel_axis], len(output.shape)
    shape = [count if axis == channel_axis % rank else 1 for axis in range(rank)]
    found = [
        tape.gradient(output, source, upstream * tf.reshape(tf.one_hot(k, count), shape))
        for k in range(count)
    ]
    total = tape.gradient(output, source, upstream)
    moved = [np.moveaxis(x.numpy().astype("float64"), channel_axis, -1) for x in (upstream, total)]
    pieces = [np.moveaxis(x.numpy().astype("float64"), channel_axis, -1) for x in found]
    return Parts(moved[0], np.stack(pieces), moved[1])


def confident(logits: Any) -> Any:
    """p·z of the predicted class, p held constant."""
    chosen = tf.argmax(logits, axis=1)
    shares = tf.stop_gradient(tf.nn.softmax(logits))
    return tf.gather(shares * logits, chosen, batch_dims=1)
