"""Run a model and leave no trace in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from kerasviz.probe import containment


@contextlib.contextmanager
def quiet(model: keras.Model) -> Iterator[None]:
    """Within this context calling `model` changes nothing in it, also when the call raises.

    Variables (batch statistics, recurrent states, seed generators) are shielded by Keras's
    `StatelessScope`, whose updates are thrown away. The attributes of every layer, among them the
    losses that a call collects, are put back as they were.
    """
    before = [(layer, _snapshot(layer)) for layer in containment.all_layers(model)]
    try:
        with keras.StatelessScope():
            yield
    finally:
        for layer, state in before:
            _restore(layer, state)


def _snapshot(layer: Any) -> dict[str, tuple[Any, Any]]:
    return {name: (value, _content(value)) for name, value in vars(layer).items()}


def _content(value: Any) -> Any:
    return value.copy() if type(value) in (list, set, dict) else None


def _restore(layer: Any, state: dict[str, tuple[Any, Any]]) -> None:
    attributes = vars(layer)
    for name in [name for name in attributes if name not in state]:
        del attributes[name]
    for name, (value, content) in state.items():
        if attributes.get(name) is not value:
            attributes[name] = value
        if content is not None and value != content:
            _refill(value, content)


def _refill(value: Any, content: Any) -> None:
    value.clear()
    if isinstance(value, list):
        value.extend(content)
    else:
        value.update(content)
