"""Inputs that hold nothing: a constant, or noise, in the structure that a model takes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe.inputs import Batch, Slot, declared
from kerasviz.probe.settings import whole
from kerasviz.probe.unit_gradients import BYTE_MIDDLE
from kerasviz.probe.wrapper import Wrapper

BYTE_STD = 64.0


def open_size(size: Any) -> int | tuple[int, ...] | None:
    """A setting of sizes of open axes, checked.

    Raises:
        InputError: Neither a whole number from 1 on, nor several.
    """
    if isinstance(size, (list, tuple)) and size:
        return tuple(whole(one, "size") for one in size)
    return None if size is None else whole(size, "size")


class BlankInputs:
    """Constant inputs and Gaussian noise for a model.

    Each sample of the noise depends on the seed and its number alone, not on how many are drawn at
    once. Inputs of bytes get noise of mean 127.5 and standard deviation 64; other whole numbers are
    ids and stay 0.

    Args:
        reader: Checks the batches, and knows the model.
        size: Positions along each axis that the model leaves open, or one number for each of them.

    Raises:
        InputError: A model that does not say what it takes, or another number of open axes.
    """

    def __init__(self, reader: Wrapper, size: int | tuple[int, ...]) -> None:
        taken = declared(reader.model)
        if taken is None:
            raise InputError(
                "`model` must say what it takes. Received: "
                f"'{reader.model.name}', which was built by hand. Call it once on a batch first."
            )
        self._reader = reader
        self._taken = taken
        self._shapes = [_filled(slot, size) for slot in taken.slots]

    @property
    def is_open(self) -> bool:
        """Whether the model leaves a size open."""
        return any(None in slot.shape[1:] for slot in self._taken.slots)

    def constant(self, fill: float) -> Batch:
        """One sample that holds `fill` everywhere; the nearest whole number in inputs of those."""
        return self._batch(
            [
                np.full((1, *shape), np.rint(fill) if _is_whole(slot) else fill)
                for slot, shape in zip(self._taken.slots, self._shapes, strict=True)
            ]
        )

    def noise(self, seed: int, first: int, count: int) -> Batch:
        """The samples from number `first` on."""
        numbers = range(first, first + count)
        return self._batch(
            [
                np.stack([_drawn(slot, shape, (seed, number, place)) for number in numbers])
                for place, (slot, shape) in enumerate(
                    zip(self._taken.slots, self._shapes, strict=True)
                )
            ]
        )

    def _batch(self, arrays: list[np.ndarray]) -> Batch:
        return self._reader.batch(keras.tree.pack_sequence_as(self._taken.structure, arrays))


def _filled(slot: Slot, size: int | tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a sample; of several sizes, those of the open axes or of all positions."""
    shape = slot.shape[1:]
    count = shape.count(None)
    sizes = (size,) * count if isinstance(size, int) else size
    if count and len(sizes) != count:
        ends = [part for part in (shape[:-1], shape[1:]) if len(part) == len(sizes)]
        fitting = [
            [m for n, m in zip(part, sizes, strict=True) if n is None]
            for part in ends
            if all(n in (None, m) for n, m in zip(part, sizes, strict=True))
        ]
        sizes = next((tuple(one) for one in fitting if len(one) == count), sizes)
    if count not in (0, len(sizes)):
        raise InputError(
            f"`size` must be one number, or one for each axis that '{slot.name}' leaves open. "
            f"Received: {size} for {count}. Pass one number."
        )
    rest = iter(sizes)
    return tuple(next(rest) if n is None else n for n in shape)


def _is_whole(slot: Slot) -> bool:
    return slot.dtype.startswith(("int", "uint"))


def _drawn(slot: Slot, shape: tuple[int, ...], seed: tuple[int, ...]) -> Any:
    if _is_whole(slot) and slot.dtype != "uint8":
        return np.zeros(shape)
    values = np.random.default_rng(seed).standard_normal(shape, dtype="float32")
    if slot.dtype == "uint8":
        return np.clip(np.rint(BYTE_MIDDLE + BYTE_STD * values), 0, 255)
    return values
