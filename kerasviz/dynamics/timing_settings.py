"""What a step is measured on: a checked batch, its sizes, and numbers of frozen layers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError, MethodError
from kerasviz.probe import containment
from kerasviz.probe import inputs as probe_inputs
from kerasviz.probe.settings import whole

DEEPEST = 10**6


class StepInputs:
    """A batch for one step of a model, checked.

    Args:
        model: The model.
        inputs: Arrays in its structure.
        targets: As `fit` takes them, or None.
        sample_weight: The same.
        loss: What is used in place of the model's own loss, or None.

    Attributes:
        model: The model.
        size: Number of samples.
        shapes: Shape of each input without the batch.
        arrays: Inputs, targets and sample weights.
        trains: Whether there is anything to differentiate.
    """

    def __init__(
        self,
        model: keras.Model,
        inputs: Any,
        targets: Any,
        sample_weight: Any,
        loss: Callable[..., Any] | None,
    ) -> None:
        probe_inputs.check_model(model)
        if loss is not None and not callable(loss):
            raise InputError(
                f"`loss` must be a function of `(y, y_pred)`. Received: {loss!r}. Compile the "
                "model to name a loss, or take one of `keras.losses`."
            )
        batch = probe_inputs.batch(probe_inputs.declared(model), inputs)
        self.model, self.size = model, batch.size
        self.shapes = tuple(tuple(int(n) for n in tensor.shape[1:]) for tensor in batch.flat)
        rest = keras.tree.map_structure(_array, (targets, sample_weight))
        sizes = [len(a) if np.ndim(a) else 0 for a in keras.tree.flatten(rest) if a is not None]
        if set(sizes) - {batch.size}:
            raise InputError(
                "`targets` and `sample_weight` must have one row for each sample of `inputs`, "
                f"which has {batch.size}. Received: {sizes}. Give the batch that they belong to."
            )
        self.arrays = (batch.form.packed(batch.flat), *rest)
        has_own = bool(getattr(model, "compiled", False)) and getattr(model, "loss", 0) is None
        self.trains = targets is not None or loss is not None or has_own
        if self.trains and loss is None and not getattr(model, "compiled", False):
            raise MethodError(
                f"Expected a model with a loss. Received: '{model.name}', which is not compiled. "
                "Compile it with a loss, pass `loss=`, a function of `(y, y_pred)`, or leave "
                "`targets` out to measure the forward pass alone."
            )
        self._rest = (targets, sample_weight, loss)

    def on(self, model: keras.Model, inputs: Any) -> StepInputs:
        """The same targets for other inputs and perhaps another model."""
        return StepInputs(model, inputs, *self._rest)


def resized(batch: StepInputs, model: keras.Model, size: tuple[int, ...]) -> StepInputs:
    """The batch with its spatial inputs at another size, by the nearest neighbour.

    Raises:
        InputError: No input has so many spatial axes, or the model takes none of this size.
    """
    layers = containment.all_layers(model)
    is_first = any(getattr(x, "data_format", None) == "channels_first" for x in layers)
    rank = len(size) + 2
    inputs = keras.tree.map_structure(_array, batch.arrays[0])
    ranks = [np.ndim(array) for array in keras.tree.flatten(inputs) if array is not None]
    if rank not in ranks:
        raise InputError(
            f"`input_sizes` must have one number for each spatial axis of the inputs. Received: "
            f"{size}, for inputs of shape {list(batch.shapes)}. Give the sizes of all spatial axes."
        )
    changed = keras.tree.map_structure(lambda a: _nearest(a, size, 2 if is_first else 1), inputs)
    try:
        return batch.on(model, changed)
    except InputError as error:
        raise InputError(
            f"`input_sizes` needs a model whose input size is free. Received: {size}, which "
            f"'{model.name}' does not take. Build it with open sizes, as "
            "`keras.Input((None, None, 3))`, or pass `build=`, a function that makes the model of "
            "a size."
        ) from error


def _nearest(array: Any, size: tuple[int, ...], first_axis: int) -> Any:
    if array is None or np.ndim(array) != len(size) + 2:
        return array
    for axis, length in enumerate(size, start=first_axis):
        places = np.arange(length) * array.shape[axis] // length
        array = np.take(array, places, axis=axis)
    return copy.copy(array)


def sizes_of(input_sizes: Any) -> list[tuple[int, ...]]:
    """Spatial sizes, checked, each once.

    Raises:
        InputError: Not a list of sizes of whole numbers.
    """
    try:
        sizes = [tuple(whole(n, "input_sizes") for n in size) for size in input_sizes]
    except TypeError:
        sizes = [()]
    if any(not size for size in sizes):
        raise InputError(
            "`input_sizes` must be a list of spatial sizes, such as `[(143, 107), (160, 120)]`. "
            f"Received: {input_sizes!r}. Write one tuple for each size."
        )
    return list(dict.fromkeys(sizes))


def chosen_counts(freezing: Any, layers: int | None) -> list[int]:
    """The numbers of first layers to freeze, in order; at least one layer stays as it is.

    Args:
        freezing: How many numbers, or these numbers.
        layers: How many layers hold trainable weights; None where that is not known.

    Raises:
        InputError: Neither; or more layers than can be frozen.
    """
    most = DEEPEST if layers is None else layers - 1
    if isinstance(freezing, Sequence) and not isinstance(freezing, str):
        counts = sorted({whole(count, "freezing") for count in freezing})
        if counts and counts[-1] > most:
            raise InputError(
                "`freezing` must leave a layer to train. Received: "
                f"{counts[-1]} of {layers} layers with trainable weights. Freeze fewer."
            )
        return counts
    count = min(whole(freezing, "freezing", 0), max(most, 0))
    if layers is None:
        return list(range(count))
    return sorted({int(n) for n in np.linspace(1, most, count).round()}) if count else []


def within(seconds: Any) -> float:
    """A bound in seconds, checked.

    Raises:
        InputError: It is no number above 0.
    """
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not is_number or not seconds > 0:
        raise InputError(
            f"`seconds` must be a number above 0. Received: {seconds!r}. Leave it out for a minute."
        )
    return float(seconds)


def _array(value: Any) -> Any:
    return None if value is None else keras.ops.convert_to_numpy(value)
