"""Run a model and leave no trace in it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from kerasviz.probe import containment, contents
from kerasviz.probe.backend import graph, variables
from kerasviz.probe.backend.scope_names import tamed_scopes
from kerasviz.probe.patches import Patch

ABSENT = object()
_one_run_at_a_time = threading.RLock()
_journals: list[_Journal] = []


@contextlib.contextmanager
def quiet(model: keras.Model) -> Iterator[keras.StatelessScope]:
    """Within this context calling `model` changes nothing in it, also when the call raises.

    - Variables of Keras (batch statistics, recurrent states, seed generators) are shielded by its
      `StatelessScope`, raw `tf.Variable`s by `variables.shielded`: what is written to them is
      seen by the rest of this run and then thrown away.
    - The attributes of every layer are put back as they were before this run wrote to them. What
      another thread sets meanwhile (a callback that stops the training) stays.
    - Lists, dicts and sets in the attributes, at any depth, hold afterwards what they held before,
      whoever changed them: who it was cannot be known.

    Layers may go by names that graphs do not take (`tamed_scopes`).

    Runs of several threads follow one another, so that none meets the graph tensors that another
    one's run keeps in an attribute for a while. Replicas that one strategy traces in turns, and
    that may wait for each other, are let through.
    """
    turn = contextlib.nullcontext() if graph.in_replica() else _one_run_at_a_time
    with turn, contextlib.ExitStack() as patches:
        for patch in _patches:
            patches.enter_context(patch.on())
        journal = _Journal(containment.all_layers(model))
        try:
            _journals.append(journal)
            with keras.StatelessScope() as scope, variables.shielded():
                yield scope
        finally:
            _journals.remove(journal)
            journal.restore()


class _Journal:
    """What layers held before a run, and which attributes other threads have set since."""

    def __init__(self, layers: Sequence[Any]) -> None:
        self._thread = threading.get_ident()
        self._layers = [(layer, dict(vars(layer))) for layer in layers]
        self._base: dict[tuple[int, str], Any] = {}
        self._foreign: set[tuple[int, str]] = set()
        self._contents: dict[int, tuple[Any, list[Any]]] = {}
        for _, attributes in self._layers:
            for value in attributes.values():
                self._keep(value)
            if "_tracker" in attributes:
                self._keep(vars(attributes["_tracker"]))

    def note(self, layer: Any, name: str) -> None:
        """An attribute is about to be set or deleted by the calling thread."""
        key = id(layer), name
        if threading.get_ident() != self._thread:
            self._foreign.add(key)
        elif key in self._foreign:
            self._foreign.discard(key)
            self._base[key] = vars(layer).get(name, ABSENT)

    def restore(self) -> None:
        """Put everything back as it was before this run."""
        for layer, before in self._layers:
            attributes = vars(layer)
            for name in [*attributes, *(name for name in before if name not in attributes)]:
                key = id(layer), name
                if key not in self._foreign:
                    _put(attributes, name, self._base.get(key, before.get(name, ABSENT)))
        for value, content in self._contents.values():
            if not contents.same(contents.content(value), content):
                contents.refill(value, content)

    def _keep(self, value: Any) -> None:
        """Remember what a container, and each container below it, holds now."""
        value = getattr(value, "__wrapped__", value) if isinstance(value, dict) else value
        if isinstance(value, tuple):
            below: Any = value
        elif contents.kind(value) is None or id(value) in self._contents:
            return
        else:
            content = contents.content(value)
            self._contents[id(value)] = value, content
            below = [v for _, v in content] if isinstance(value, dict) else content
            if hasattr(value, "__dict__"):
                self._keep(vars(value))
        for child in below:
            self._keep(child)


def _put(attributes: dict[str, Any], name: str, value: Any) -> None:
    if value is ABSENT:
        attributes.pop(name, None)
    elif attributes.get(name, ABSENT) is not value:
        attributes[name] = value


def _noting(original: Callable[..., Any]) -> Callable[..., Any]:
    def write(self: Any, name: str, *value: Any) -> None:
        for journal in list(_journals):
            journal.note(self, name)
        original(self, name, *value)

    return write


_patches = [
    tamed_scopes,
    *(
        Patch(keras.Layer, name, _noting)
        for name in ("__setattr__", "__delattr__")
        if name in vars(keras.Layer)
    ),
]
