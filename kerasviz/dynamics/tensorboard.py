"""A run for TensorBoard: the same scalars, histograms and pictures as event files."""

from __future__ import annotations

import datetime
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.dynamics.durable import cannot_write
from kerasviz.dynamics.reading import HISTOGRAMS, paired
from kerasviz.dynamics.records import EPOCH, STEP, Record

if TYPE_CHECKING:
    from kerasviz.dynamics.folder import Run

FOLDERS = {EPOCH: "epochs", STEP: "steps"}
EXPLANATIONS, PICTURES = "explanations", "pictures"
OURS = "*.kerasviz"
Named = Mapping[str, Mapping[str, np.ndarray]]


class EventWriter:
    """Writes each record as it comes; epochs and steps are two runs for TensorBoard.

    Args:
        folder: Where to; missing folders are made. A training that goes on adds a file; at its
            first step TensorBoard forgets what earlier files hold from there on.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._files: dict[str, Any] = {}

    def write(self, record: Record, arrays: Named) -> None:
        """Write one record.

        Raises:
            OutputError: It can't be written.
        """
        values = values_of(record, arrays)
        try:
            file = self._file(record)
            file.add(values, record.number, seconds(record.time))
            file.flush()
        except OSError as error:
            raise cannot_write(self._folder, error) from error

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _file(self, record: Record) -> Any:
        from kerasviz.probe.backend.events import EventFile

        if record.at not in self._files:
            folder = self._folder / FOLDERS[record.at]
            folder.mkdir(parents=True, exist_ok=True)
            self._files[record.at] = EventFile(folder, record.number)
        return self._files[record.at]


def to_tensorboard(run: Run, folder: str | os.PathLike[str]) -> Path:
    """Write a whole run as event files; those of an earlier call are replaced.

    What is damaged is left out.

    Raises:
        OutputError: It can't be written.
    """
    path = Path(folder)
    for at, name in FOLDERS.items():
        records = list(run.records(at))
        try:
            earlier = list((path / name).glob(OURS))
            if records:
                _write_file(run, records, path / name)
            for file in earlier:
                file.unlink()
        except OSError as error:
            raise cannot_write(path, error) from error
    return path


def values_of(record: Record, arrays: Named) -> list[Any]:
    """What TensorBoard has a form for: scalars, histograms, explanations and pictures."""
    from kerasviz.probe.backend import events

    values = [events.scalar(name, value) for name, value in record.scalars.items()]
    for name, (edges, counts) in paired(dict(arrays.get(HISTOGRAMS, {}))).items():
        if edges.ndim == 1 and len(counts) and counts.shape == (len(edges) - 1,):
            values.append(events.histogram(name, edges, counts))
    for kind in (EXPLANATIONS, PICTURES):
        for name, stack in arrays.get(kind, {}).items():
            encoded = list(_encoded(kind, stack))
            if encoded:
                values.append(events.images(f"{kind}/{name}", encoded, *_size(encoded[0])))
    return values


def seconds(time: str) -> float:
    """Seconds since 1970 of a record's time."""
    return datetime.datetime.fromisoformat(time).timestamp()


def _write_file(run: Run, records: list[Record], folder: Path) -> None:
    """Write a file beside the folder's, then move it in: TensorBoard never sees half of it."""
    from kerasviz.probe.backend.events import EventFile

    part = folder / f".{uuid.uuid4().hex}.part"
    part.mkdir(parents=True)
    try:
        file = EventFile(part, records[0].number)
        for record in records:
            file.add(values_of(record, run.arrays_of(record)), record.number, seconds(record.time))
        file.close()
        for written in part.iterdir():
            os.replace(written, folder / written.name)
    finally:
        for left in part.iterdir():
            left.unlink()
        part.rmdir()


def _encoded(kind: str, stack: np.ndarray) -> Iterator[bytes]:
    """Each picture of a stack as PNG; what has no pixels is left out."""
    from kerasviz.plots.colors import colors_of
    from kerasviz.plots.figures import encode_png
    from kerasviz.plots.pictures import picture_png

    if stack.dtype.kind not in "biuf" or 0 in stack.shape:
        return
    values = stack if stack.dtype.kind == "u" else np.nan_to_num(stack.astype(np.float32))
    for item in values:
        if kind == EXPLANATIONS and item.ndim == 2:
            yield encode_png(colors_of(item, bool((values < 0).any()), None))
        elif kind == EXPLANATIONS and item.ndim:
            yield picture_png(item[..., None])
        elif item.ndim in (3, 4):
            yield picture_png(item)


def _size(png: bytes) -> tuple[int, int]:
    """Width and height, which a PNG has at fixed places."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
