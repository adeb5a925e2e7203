"""The gradient of a layer's middle units by the picture that the model sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import AddressError, InputError, MethodError
from kerasviz.probe import addresses
from kerasviz.probe import inputs as probe_inputs
from kerasviz.probe.activations import check_called
from kerasviz.probe.backend import compiled
from kerasviz.probe.run import run
from kerasviz.probe.settings import whole
from kerasviz.probe.wrapper import Wrapper

ops: Any = keras.ops


class UnitGradients(Wrapper):
    """∂ of the unit in the middle of each channel by the pictures; compiled once for all channels.

    Args:
        model: Any built Keras 3 model that takes one picture (height, width, colours) of known
            size; not altered.
        layer: Address, layer object or index of a layer with positions, or of one without, whose
            units are then its features.

    Raises:
        AddressError: No such layer.
        MethodError: The model takes something else.
    """

    def __init__(self, model: keras.Model, layer: Any) -> None:
        super().__init__(model)
        self.address = addresses.to_address(model, layer)
        if self._taken is not None and not addresses.is_held(model, self.address):
            check_called(model, self.address)
        self.shape, self.channel_axis, self.count = self._learn()

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        record = run(self.model, inputs)
        call = record.find(self.address)
        tensors = list(record.input_tensors.values())
        axis = record.channel_axis(call)
        units = ops.moveaxis(ops.cast(call.output, "float32"), axis, -1)
        middle = units[(slice(None), *(size // 2 for size in _sizes(units, self.address)))]
        facts = (
            [tuple(x.shape[1:]) for x in tensors],
            [record.input_channel_axis(x) for x in tensors],
            int(middle.shape[-1]),
        )
        if key == "values":
            return {"values": middle}, facts
        if not feeds:
            return {}, facts
        chosen = ops.take(middle, ops.cast(feeds[0], "int32"), axis=1)
        found = record.gradients(chosen, tensors)[0]
        if found is None:
            raise MethodError(
                "`layer` must depend smoothly on the picture. Received: "
                f"{self.address!r}, which does not. Choose another; see `kv.layers(model)`."
            )
        return {"gradient": found}, facts

    def _learn(self) -> tuple[tuple[int, int, int], int | None, int]:
        """Size of the pictures (height, width, colours), their channel axis, number of units."""
        facts = self.info("facts")
        shapes, axes, count = facts if facts is not None else ([], [], 0)
        shape = shapes[0] if len(shapes) == 1 else ()
        axis = axes[0] if len(shapes) == 1 else None
        given = (*shape, 1) if len(shape) == 2 and axis is None else shape
        if len(given) != 3 or not all(given):
            raise MethodError(
                "Expected a model of one input with two position axes of known size. Received: "
                f"'{self.model.name}', which takes {shapes or 'what it does not say'}. "
                "Build it for pictures of one size."
            )
        found = np.moveaxis(np.empty(given, "int8"), -1 if axis is None else axis - 1, -1).shape
        return (found[0], found[1], found[2]), axis, count

    def in_layout(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures (batch, height, width, colours) as the model takes them."""
        axis = self.channel_axis
        return pictures[..., 0] if axis is None else np.moveaxis(pictures, -1, axis)

    def unit_gradients(self, inputs: Any, units: Sequence[int] | None = None) -> np.ndarray:
        """(batch, units, height, width, colours) of a batch in the model's own layout.

        Args:
            inputs: Pictures.
            units: Numbers of channels; None: all.

        Raises:
            AddressError: No such unit.
            InputError: Pictures that do not fit the model, or hold NaN.
            MethodError: A gradient that is NaN or infinite.
        """
        chosen = range(self.count) if units is None else [self.unit(number) for number in units]
        batch = self.batch(inputs)
        trace = self.traced("gradient", batch, [_number(0)])
        found = [self.evaluate_trace(trace, batch, [_number(unit)])["gradient"] for unit in chosen]
        axis = self.channel_axis
        laid = [one[..., None] if axis is None else np.moveaxis(one, axis, -1) for one in found]
        gradients = np.stack(laid, axis=1) if laid else np.empty((batch.size, 0, *self.shape))
        return self._finite(gradients, "gradients")

    def values(self, inputs: Any) -> np.ndarray:
        """(batch, units) what the middle units answer."""
        return self._finite(self.evaluate_on("values", inputs)["values"], "activations")

    def pictures(self, inputs: Any) -> np.ndarray:
        """Arrays as the model takes them, checked but for their values.

        Raises:
            InputError: Something else.
        """
        rows = probe_inputs.rows(self._taken, inputs)
        arrays = keras.tree.flatten(rows) if isinstance(rows, (list, tuple, dict)) else [rows]
        if len(arrays) != 1 or not hasattr(arrays[0], "shape"):
            raise InputError(
                "`inputs` must be one array of pictures. Received: "
                f"{type(inputs).__name__}. Join the batches of a data set first."
            )
        return np.asarray(arrays[0])

    def unit(self, number: Any) -> int:
        """The number of a unit.

        Raises:
            AddressError: There is no such unit.
            InputError: Not a whole number.
        """
        number = whole(number, "units", 0)
        if number >= self.count:
            raise AddressError(
                f"`units` must be below {self.count}, the channels of {self.address!r}. "
                f"Received: {number}. Count from 0."
            )
        return number

    def _finite(self, values: np.ndarray, what: str) -> np.ndarray:
        if not np.isfinite(values).all():
            raise MethodError(
                f"Expected finite {what} at {self.address!r}. Received: NaN or infinity. "
                "Look for them in the model's weights."
            )
        return values


def _sizes(units: Any, address: str) -> tuple[int, ...]:
    found = tuple(units.shape[1:-1])
    if any(size is None for size in found):
        raise MethodError(
            "Expected a layer of known size, to find its middle. Received: "
            f"{address!r} of shape {tuple(units.shape)}. Build the model for one size."
        )
    return found


def _number(unit: int) -> Any:
    return compiled.as_tensor(np.array([unit], "int64"), "int64")
