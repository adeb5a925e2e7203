"""An array that a run holds once for each epoch, read one epoch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kerasviz.errors import InputError


class Stack:
    """One named array over epochs, or over steps; a file is read when its epoch is asked for.

    `stack[i]` is the array of the i-th epoch, `numpy.asarray(stack)` all of them as one.

    Args:
        numbers: The epochs, or the steps, in order.
        shapes: The shape of each.
        read: Returns the array of an epoch, or a step.

    Attributes:
        numbers: The epochs, or the steps, in order.
        shapes: The shape of the array in each of them.
    """

    def __init__(
        self,
        numbers: Sequence[int],
        shapes: Sequence[tuple[int, ...]],
        read: Callable[[int], np.ndarray],
    ) -> None:
        self.numbers = tuple(numbers)
        self.shapes = tuple(shapes)
        self._read = read

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> np.ndarray:
        return self._read(self.numbers[index])

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self._read(number) for number in self.numbers)

    def __repr__(self) -> str:
        return f"Stack({len(self)} of {' or '.join(map(str, sorted(set(self.shapes))))})"

    @property
    def shape(self) -> tuple[int, ...]:
        """`(len, *shape)`.

        Raises:
            InputError: The shape changes from one to the next.
        """
        if len(set(self.shapes)) != 1:
            raise InputError(
                "A stack must have arrays of one shape to be one array. "
                f"Received: {sorted(set(self.shapes))}. Take them one at a time: `stack[0]`."
            )
        return (len(self), *self.shapes[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("A stack is read from files, which makes a copy.")
        shape = self.shape
        whole = np.stack(list(self)).reshape(shape)
        return whole if dtype is None else whole.astype(dtype)
