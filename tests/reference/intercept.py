"""Reach a call site of a test's own model, eagerly, by replacing one instance's `call`.

A call site is written as kerasviz writes it: the names of the layers on the call stack below the
model, joined with "/"; the second call of a layer under the same parent call is "name@2".
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Edit = Callable[[tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class CallSite:
    """The layers on the way to a call site and which call of each is meant, counted from 1."""

    layers: tuple[keras.layers.Layer, ...]
    calls: tuple[int, ...]

    @property
    def layer(self) -> keras.layers.Layer:
        """The layer that is called."""
        return self.layers[-1]


def resolve(model: keras.Model, address: str) -> CallSite:
    """Find an address by walking the containment tree.

    Args:
        model: A built model.
        address: Such as "encoder@2/block_1/conv".

    Returns:
        The call site.

    Raises:
        LookupError: If not exactly one contained layer has a component's name.
    """
    found, calls = [], []
    parent: keras.layers.Layer = model
    for component in address.split("/"):
        name, _, call = component.partition("@")
        parent = _child(parent, name)
        found.append(parent)
        calls.append(int(call or 1))
    return CallSite(tuple(found), tuple(calls))


def _child(parent: keras.layers.Layer, name: str) -> keras.layers.Layer:
    children = _children(parent)
    matches = [child for child in children if child.name == name]
    if len(matches) != 1:
        names = sorted(child.name for child in children)
        raise LookupError(f"{parent.name!r} must hold one layer named {name!r}. It holds: {names}.")
    return matches[0]


def _children(parent: keras.layers.Layer) -> list[keras.layers.Layer]:
    if isinstance(parent, keras.Model):
        return list(parent.layers)
    return list(parent._flatten_layers(recursive=False, include_self=False))


@contextlib.contextmanager
def edited(model: keras.Model, address: str, edit: Edit) -> Iterator[None]:
    """Pass what one call site returns through `edit`, for one eager call of the model inside.

    Args:
        model: The model that is called, once, inside the context.
        address: The call site.
        edit: Takes the layer's output and returns what the model goes on with.
    """
    way = _Way(resolve(model, address), edit)
    with contextlib.ExitStack() as stack:
        for depth, layer in enumerate(way.site.layers):
            stack.enter_context(_replaced_call(layer, way, depth))
        yield


def activation_and_gradient(
    model: keras.Model, inputs: Any, address: str, score: Callable[[Any], tf.Tensor]
) -> tuple[np.ndarray, np.ndarray]:
    """What a call site returns and the gradient of a score with respect to it.

    Args:
        model: A model whose layer at `address` returns one tensor.
        inputs: What the model is called with, in inference mode.
        address: The call site.
        score: Takes the model's outputs and returns the score, a scalar.

    Returns:
        Two float32 or float64 arrays of the activation's shape.

    Raises:
        LookupError: If the call site is not reached.
    """
    recorded = []
    with tf.GradientTape() as tape:

        def watch(output: tf.Tensor) -> tf.Tensor:
            output = tf.identity(output)
            tape.watch(output)
            recorded.append(output)
            return output

        with edited(model, address, watch):
            value = score(model(inputs, training=False))
    if not recorded:
        raise LookupError(f"{address!r} was not reached by a call of {model.name!r}.")
    gradient = tape.gradient(value, recorded[0], unconnected_gradients="zero")
    return _as_array(recorded[0]), _as_array(gradient)


def _as_array(tensor: tf.Tensor) -> np.ndarray:
    dtype = tensor.dtype if tensor.dtype == tf.float64 else tf.float32
    return tf.cast(tensor, dtype).numpy()


class _Way:
    """Follows the calls on the way to a call site and edits at its end."""

    def __init__(self, site: CallSite, edit: Edit) -> None:
        self.site = site
        self.edit = edit
        self.counts = [0] * len(site.layers)
        self.inside = 0

    def enter(self, depth: int, call: Callable[[], Any]) -> Any:
        if depth != self.inside:
            return call()
        self.counts[depth] += 1
        if self.counts[depth] != self.site.calls[depth]:
            return call()
        return self._on_the_way(depth, call)

    def _on_the_way(self, depth: int, call: Callable[[], Any]) -> Any:
        self.inside = depth + 1
        try:
            output = call()
        finally:
            self.inside = depth
        return self.edit(output) if depth == len(self.counts) - 1 else output


@contextlib.contextmanager
def _replaced_call(layer: keras.layers.Layer, way: _Way, depth: int) -> Iterator[None]:
    original = layer.call

    def call(*args: Any, **kwargs: Any) -> Any:
        return way.enter(depth, lambda: original(*args, **kwargs))

    object.__setattr__(layer, "call", call)
    try:
        yield
    finally:
        object.__delattr__(layer, "call")
