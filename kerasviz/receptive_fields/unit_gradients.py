"""The gradient of a layer's middle units by the one picture that the model sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import AddressError, InputError, MethodError
from kerasviz.probe import inputs as probe_inputs
from kerasviz.probe.settings import whole
from kerasviz.probe.unit_gradients import UNITS, VALUES, CentreReader


class UnitGradients(CentreReader):
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
        super().__init__(model, layer)
        self.shape, self.channel_axis, self.count = self._learn()

    def _learn(self) -> tuple[tuple[int, int, int], int | None, int]:
        """Size of the pictures (height, width, colours), their channel axis, number of units."""
        seen = self.info(VALUES)
        shapes = [] if self._taken is None else [shape[1:] for shape in self._taken.form.shapes]
        shape = shapes[0] if len(shapes) == 1 and seen.rank == 2 else ()
        sizes = [size for size in shape if size]
        if not shape or len(sizes) < len(shape):
            raise MethodError(
                "Expected a model of one input with two position axes of known size. Received: "
                f"'{self.model.name}', which takes {shapes or 'what it does not say'}. "
                "Build it for pictures of one size."
            )
        found = seen.channels_last(np.empty((1, *sizes), "int8")).shape[1:]
        return (found[0], found[1], found[2]), seen.channel_axis, seen.num_units

    def in_layout(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures (batch, height, width, colours) as the model takes them."""
        axis = self.channel_axis
        return pictures[..., 0] if axis is None else np.moveaxis(pictures, -1, axis)

    def unit_gradients(self, inputs: np.ndarray, units: Sequence[int] | None = None) -> np.ndarray:
        """(batch, units, height, width, colours) of a batch in the model's own layout.

        Args:
            inputs: Pictures; one is run at a time, for all units together.
            units: Numbers of channels; None: all.

        Raises:
            AddressError: No such unit.
            InputError: Pictures that do not fit the model, or hold NaN.
            MethodError: A gradient that is NaN or infinite.
        """
        chosen = range(self.count) if units is None else [self.unit(number) for number in units]
        batches = [self.batch(inputs[at : at + 1]) for at in range(len(inputs))]
        found = [self.asked(UNITS, batch, list(chosen))["gradients"] for batch in batches]
        gradients = np.stack(found) if found else np.empty((0, len(chosen), *self.shape))
        self.check_finite(gradients)
        return gradients

    def values(self, inputs: Any) -> np.ndarray:
        """(batch, units) what the middle units answer."""
        found = self.middle(self.batch(inputs))
        self.check_finite(found)
        return found

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
