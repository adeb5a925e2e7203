"""How a picture came about: copies of it, taken while it is drawn."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np
from numpy.typing import NDArray

from kerasviz.errors import InputError, MethodError
from kerasviz.files import write_atomically

GAP = 4
LAST_FRAME = 1500
WHITE = 255


class PictureSnapshots(keras.callbacks.Callback):
    """Keeps the pictures of a `kv.ActivationMaximization` every so many steps.

    The first frame is what `fit` began with, the last one what it ended with. When there are
    `max_frames`, every second one is given up and `freq` doubled: memory is bounded and the frames
    stay evenly spaced.

    Args:
        freq: Steps between frames. Callbacks are called every `steps_per_execution` steps (16), so
            that smaller numbers need `compile(steps_per_execution=freq)`.
        max_frames: How many frames are kept at most, from 2 on.
        input_name: Which input's pictures, for a model with several that are drawn; None: the
            first.

    Example:

    ```python
    snapshots = kv.callbacks.PictureSnapshots(freq=16)
    pictures = kv.ActivationMaximization(model, target=281)(steps=32, callbacks=[snapshots])
    path = snapshots.save_gif("class_281.gif")
    ```
    """

    def __init__(self, freq: int = 16, max_frames: int = 64, input_name: str | None = None) -> None:
        super().__init__()
        self.freq = _at_least("freq", freq, 1)
        self.max_frames = _at_least("max_frames", max_frames, 2)
        self.input_name = input_name
        self._spacing = self.freq
        self._step = 0
        self._taken: list[tuple[int, NDArray[np.uint8]]] = []
        self._opacity = False

    @property
    def frames(self) -> list[NDArray[np.uint8]]:
        """One array `(num_images, *positions, channels)` of bytes a frame, as `display` shows."""
        return [frame for _, frame in self._taken]

    @property
    def steps(self) -> list[int]:
        """How many steps of this `fit` lay before each frame."""
        return [step for step, _ in self._taken]

    def on_train_begin(self, logs: Any = None) -> None:
        """Keras's hook: forget earlier frames, keep the pictures as they are before `fit`."""
        if not hasattr(self.model, "display"):
            raise InputError(
                "PictureSnapshots needs a model whose weights are pictures. "
                f"Received: {type(self.model).__name__}. "
                "Pass it to `kv.ActivationMaximization(...).fit(callbacks=[...])`."
            )
        self._taken, self._spacing, self._step = [], self.freq, 0
        self._keep()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Keras's hook: keep a frame when enough steps were made since the last one."""
        self._step = min(batch + 1, self.params.get("steps") or batch + 1)
        if self._step - self.steps[-1] >= self._spacing:
            self._keep()

    def on_train_end(self, logs: Any = None) -> None:
        """Keras's hook: keep the finished pictures."""
        if self.steps[-1] != self._step:
            self._keep()

    def save_gif(
        self,
        path: str | os.PathLike[str],
        duration: int = 100,
        columns: int | None = None,
    ) -> Path:
        """Write the frames as an endless animation, the pictures of a frame side by side.

        Args:
            path: The file; it is replaced in one step, missing folders are made.
            duration: Milliseconds a frame, from 20 on; the last one stays for 1.5 seconds.
            columns: How many pictures stand side by side; None: about as many as below each other.

        Returns:
            The path.

        Raises:
            MethodError: There are no frames yet.
            InputError: The pictures are signals or vectors, which have no pixels.
            OutputError: The file can't be written.
        """
        if not self._taken:
            raise MethodError(
                "`save_gif` needs frames. Received: none. Pass this callback to `fit` first."
            )
        times = _at_least("duration", duration, 20)
        across = None if columns is None else _at_least("columns", columns, 1)
        sheets = [_sheet(frame, across, self._opacity) for frame in self.frames]
        return write_atomically(path, lambda file: _write_gif(file, sheets, times))

    def _keep(self) -> None:
        if len(self._taken) == self.max_frames:
            self._taken, self._spacing = self._taken[::2], 2 * self._spacing
        display = _chosen(self.model.display(), self.input_name)
        inputs = _chosen(self.model.pictures(), self.input_name)
        self._opacity = display.size != inputs.size
        self._taken.append((self._step, np.rint(display * 255.0).astype(np.uint8)))


def _chosen(pictures: Any, input_name: str | None) -> NDArray[np.float32]:
    if not isinstance(pictures, Mapping):
        return np.asarray(pictures)
    if input_name is not None and input_name not in pictures:
        raise InputError(
            f"`input_name` must be one of the drawn inputs, {sorted(pictures)}. "
            f"Received: {input_name!r}."
        )
    return np.asarray(pictures[input_name or next(iter(pictures))])


def _sheet(frame: NDArray[np.uint8], columns: int | None, opacity: bool) -> NDArray[np.uint8]:
    """The pictures of a frame as one, `(height, width, 3)`, white between them."""
    from kerasviz.plots.pictures import colors_of_picture

    shown = [colors_of_picture(picture, opacity=opacity) for picture in frame]
    height, width = shown[0].shape[:2]
    across = min(columns or math.ceil(math.sqrt(len(shown))), len(shown))
    down = math.ceil(len(shown) / across)
    size = (down * (height + GAP) - GAP, across * (width + GAP) - GAP, 3)
    sheet = np.full(size, WHITE, np.uint8)
    for index, picture in enumerate(shown):
        y, x = (
            place * (length + GAP)
            for place, length in zip(divmod(index, across), (height, width), strict=True)
        )
        sheet[y : y + height, x : x + width] = np.rint(picture * 255.0)
    return sheet


def _write_gif(file: BinaryIO, sheets: list[NDArray[np.uint8]], duration: int) -> None:
    from PIL import Image

    first, *others = (Image.fromarray(sheet).quantize(256) for sheet in sheets)
    durations = [duration] * len(others) + [LAST_FRAME]
    first.save(
        file,
        format="GIF",
        save_all=True,
        append_images=others,
        duration=durations if others else LAST_FRAME,
        loop=0,
        optimize=False,
    )


def _at_least(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"`{name}` must be a whole number from {least} on. Received: {value!r}.")
    return int(value)
