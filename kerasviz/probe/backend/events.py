"""Event files of TensorBoard, written from protocol buffers that TensorFlow itself brings."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

VERSION = "brain.Event:2"
SCALARS, HISTOGRAMS, IMAGES = "scalars", "histograms", "images"


class EventFile:
    """One event file, which TensorBoard reads while it grows.

    Args:
        folder: An existing folder; the file gets a name of its own in it.
        first: TensorBoard forgets what earlier files of the folder hold from this step on.

    Raises:
        OSError: By each method: the file can't be written.
    """

    def __init__(self, folder: Path, first: int) -> None:
        stamp = f"{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        path = str(folder / f"events.out.tfevents.{stamp}.kerasviz")
        with _as_system_errors():
            self._writer = tf.io.TFRecordWriter(path)
        self._add(tf.compat.v1.Event(wall_time=time.time(), file_version=VERSION))
        start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        self._add(tf.compat.v1.Event(wall_time=time.time(), step=first, session_log=start))

    def add(self, values: list[Any], step: int, wall_time: float) -> None:
        """Write the values of a step."""
        summary = tf.compat.v1.Summary(value=values)
        self._add(tf.compat.v1.Event(wall_time=wall_time, step=step, summary=summary))

    def flush(self) -> None:
        """Let readers see what was written."""
        with _as_system_errors():
            self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        with _as_system_errors():
            self._writer.close()

    def _add(self, event: Any) -> None:
        with _as_system_errors():
            self._writer.write(event.SerializeToString())


@contextlib.contextmanager
def _as_system_errors() -> Iterator[None]:
    """What TensorFlow says of a file as `OSError`."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(0, error.message) from error


def scalar(name: str, value: float) -> Any:
    """A number for TensorBoard."""
    return _value(name, SCALARS, tf.make_tensor_proto(value, dtype=tf.float32))


def histogram(name: str, edges: np.ndarray, counts: np.ndarray) -> Any:
    """A histogram for TensorBoard: rows of left edge, right edge, count."""
    rows = np.stack([edges[:-1], edges[1:], counts], axis=1).astype(np.float64)
    return _value(name, HISTOGRAMS, tf.make_tensor_proto(rows, dtype=tf.float64))


def images(name: str, pictures: list[bytes], width: int, height: int) -> Any:
    """Pictures, as PNG, for TensorBoard."""
    parts = [str(width).encode(), str(height).encode(), *pictures]
    return _value(name, IMAGES, tf.make_tensor_proto(parts, dtype=tf.string))


def _value(name: str, plugin: str, tensor: Any) -> Any:
    data = tf.compat.v1.SummaryMetadata.PluginData(plugin_name=plugin)
    metadata = tf.compat.v1.SummaryMetadata(plugin_data=data, data_class=_DATA_CLASS[plugin])
    return tf.compat.v1.Summary.Value(tag=name, tensor=tensor, metadata=metadata)


_DATA_CLASS = {SCALARS: 1, HISTOGRAMS: 2, IMAGES: 3}
