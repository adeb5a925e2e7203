"""Whether a model is still the one that was looked at before."""

from __future__ import annotations

import functools
from typing import Any

import keras

from kerasviz.probe import containment, contents

TRAINING = {
    "_compile_config",
    "_compiled_trainable_state",
    "_eval_epoch_iterator",
    "history",
    "loss_weights",
    "optimizer",
    "stop_evaluating",
    "stop_predicting",
    "stop_training",
}
TELLING = {"_dtype_policy", "_layers", "autocast"}
SCALARS = (bool, int, float, complex, str, bytes)
TENSOR = object()


class Watch:
    """Notices changes of a model that change what it computes, values of variables aside.

    What layers a model has, and what is in the attributes that their classes add to Keras's own
    (an activation, a rate, a variable, a list of numbers), is compared with the time before.
    Tensors are not: a layer that keeps its last input is still the same. Nor is what lies in
    objects of other classes.

    Args:
        model: The model.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._states: list[_State] = []

    def changed(self) -> bool:
        """Whether the model changed since this was asked last; True at first."""
        if self._states and all(state.is_untouched() for state in self._states):
            return False
        before = {id(state.layer): state for state in self._states}
        self._states = [_State(layer) for layer in containment.all_layers(self._model)]
        return len(before) != len(self._states) or not all(
            id(state.layer) in before and state.is_like(before[id(state.layer)])
            for state in self._states
        )


class _State:
    """The attributes of one layer at one time."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self._attributes = vars(layer)
        self._values = list(self._attributes.values())
        telling = {name: v for name, v in self._attributes.items() if _tells(name)}
        held = [c for value in telling.values() for c in _containers(value)]
        self._held = [(v, contents.kind(v)(contents.content(v))) for v in held]
        self._equal = [contents.kind(v).__eq__ for v in held]
        self._telling = {name: _frozen(value) for name, value in telling.items()}

    def is_untouched(self) -> bool:
        """Whether all attributes are the same; quick, and False in doubt."""
        try:
            return list(self._attributes.values()) == self._values and all(
                equal(*held) for equal, held in zip(self._equal, self._held, strict=True)
            )
        except Exception:
            return False

    def is_like(self, other: _State) -> bool:
        """Whether the attributes that tell what the layer computes are alike."""
        return self._telling.keys() == other._telling.keys() and all(
            _alike(value, other._telling[name]) for name, value in self._telling.items()
        )


@functools.cache
def _tells(name: str) -> bool:
    """Whether an attribute of this name may tell what a layer computes."""
    return name in TELLING or not (name.startswith("_self_") or name in _usual())


@functools.cache
def _usual() -> frozenset[str]:
    """The attributes that every layer and every model has."""
    return frozenset({*vars(keras.Layer()), *vars(keras.Model()), *TRAINING})


def _containers(value: Any) -> list[Any]:
    """The lists, dicts and sets in an attribute, at any depth."""
    if contents.kind(value) is not None:
        below = contents.content(value)
        return [value, *(c for item in below for c in _containers(item))]
    return [c for item in value for c in _containers(item)] if type(value) is tuple else []


def _frozen(value: Any) -> Any:
    if value is None or isinstance(value, SCALARS):
        return value
    if contents.kind(value) is not None:
        value = tuple(contents.content(value))
    if isinstance(value, tuple):
        return tuple(_frozen(item) for item in value)
    is_fixed = callable(value) or hasattr(value, "assign")
    return TENSOR if not is_fixed and keras.ops.is_tensor(value) else value


def _alike(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    return type(one) is type(other) and isinstance(one, SCALARS) and one == other
