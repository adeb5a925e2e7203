"""Run a model and leave no trace in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from kerasviz.probe import containment


@contextlib.contextmanager
def quiet(model: keras.Model) -> Iterator[keras.StatelessScope]:
    """Within this context calling `model` changes nothing in it, also when the call raises.

    Variables (batch statistics, recurrent states, seed generators) are shielded by Keras's
    `StatelessScope`, whose updates are thrown away. The attributes of every layer, among them the
    losses that a call collects, are put back as they were.
    """
    before = [(layer, _snapshot(layer)) for layer in containment.all_layers(model)]
    try:
        with keras.StatelessScope() as scope:
            yield scope
    finally:
        for layer, state in before:
            _restore(layer, state)


def _snapshot(layer: Any) -> dict[str, tuple[Any, Any]]:
    return {name: (value, _content(value)) for name, value in vars(layer).items()}


def _content(value: Any) -> Any:
    """What a container holds now; Keras's tracked containers are subclasses of these."""
    kind = _container(value)
    return None if kind is None else kind(value)


def _container(value: Any) -> type | None:
    return next((kind for kind in (list, set, dict) if isinstance(value, kind)), None)


def _restore(layer: Any, state: dict[str, tuple[Any, Any]]) -> None:
    attributes = vars(layer)
    for name in [name for name in attributes if name not in state]:
        del attributes[name]
    for name, (value, content) in state.items():
        if attributes.get(name) is not value:
            attributes[name] = value
        if content is not None and not _same(value, content):
            _refill(value, content)


def _same(value: Any, content: Any) -> bool:
    if isinstance(content, set):
        return set(value) == content
    one, other = (
        (c.items() if isinstance(content, dict) else enumerate(c)) for c in (value, content)
    )
    return len(value) == len(content) and all(
        a[0] == b[0] and a[1] is b[1] for a, b in zip(one, other, strict=True)
    )


def _refill(value: Any, content: Any) -> None:
    """Put the content back by the built-in methods, which no tracking can refuse or notice."""
    kind: Any = _container(value)
    kind.clear(value)
    (kind.extend if kind is list else kind.update)(value, content)
