"""The folder of a run that this process writes, shared by all writers of the process."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasviz.dynamics.array_files import write_arrays
from kerasviz.dynamics.durable import cannot_write, write_whole
from kerasviz.dynamics.journal import Journal
from kerasviz.dynamics.locking import FolderLock
from kerasviz.dynamics.manifest import MANIFEST, write_manifest
from kerasviz.dynamics.records import EPOCH, STEP, ArrayFile, Record
from kerasviz.errors import InputError, KerasvizError, OutputError

Named = Mapping[str, Mapping[str, np.ndarray]]


class Place:
    """A folder that this process writes: its lock, its journal, and the writers that share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = os.getpid()
        self.mutex = threading.RLock()
        self.parts: dict[str, int] = {}
        self._lock = FolderLock(folder)
        try:
            _check_foreign(folder)
            write_manifest(folder)
            self.journal = Journal(folder)
        except BaseException:
            self._lock.release()
            raise

    def is_held_by(self, part: str, writer: int) -> bool:
        """Whether that writer may write that part."""
        return self.parts.get(part) == writer and self.process == os.getpid()

    def commit(self, record: Record, arrays: Named, keep: int | None) -> None:
        """Write the arrays, then the line that makes them count.

        Raises:
            OutputError: It can't be written; the folder is as it was before.
        """
        if not self.journal.is_there():
            raise cannot_write(self.folder, FileNotFoundError("it was removed or moved"))
        files: dict[str, ArrayFile] = {}
        try:
            for kind, named in arrays.items():
                files[kind] = self._write_file(record, kind, named)
            whole = dataclasses.replace(record, arrays=files)
            given_up = tuple(self._given_up(whole, keep))
            self.journal.append(dataclasses.replace(whole, discarded=given_up))
        except BaseException as error:
            self._undo(files)
            if isinstance(error, OSError) and not isinstance(error, OutputError):
                raise cannot_write(self.folder, error) from error
            raise

    def release(self) -> None:
        """Let other processes write the folder."""
        self.journal.close()
        self._lock.release()

    def _undo(self, files: Mapping[str, ArrayFile]) -> None:
        counted = self.journal.timeline.files()
        for held in files.values():
            if held.file not in counted:
                with contextlib.suppress(OSError):
                    (self.folder / held.file).unlink(missing_ok=True)

    def _write_file(self, record: Record, kind: str, arrays: Mapping[str, np.ndarray]) -> ArrayFile:
        path = _free_name(self.folder / kind, record)
        shapes = {name: array.shape for name, array in arrays.items()}
        try:
            write_whole(path, lambda file: write_arrays(file, arrays))
            return ArrayFile(f"{kind}/{path.name}", path.stat().st_size, shapes)
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            raise

    def _given_up(self, record: Record, keep: int | None) -> list[str]:
        """Files of earlier records of the same part that are beyond what is to be kept."""
        if keep is None:
            return []
        files: dict[str, list[str]] = {}
        for earlier in self.journal.timeline.records(record.at):
            if earlier.part == record.part and earlier.number < record.number:
                for kind, held in earlier.arrays.items():
                    files.setdefault(kind, []).append(held.file)
        kept = {kind: keep - (kind in record.arrays) for kind in files}
        return [file for kind, held in files.items() for file in held[: len(held) - kept[kind]]]


_places: dict[Path, Place] = {}
_places_lock = threading.RLock()


def join(folder: Path, manifest: Mapping[str, Any], part: str, writer: object) -> Place:
    """The place of a folder, in which the writer has the part from now on.

    Raises:
        InputError: A newer kerasviz has written the folder, or its manifest is damaged.
        OutputError: The folder can't be written, is something else's, or another process's.
    """
    with _places_lock:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder.resolve()
            place = _places[path] = _known(path) or Place(path)
            place.parts[part] = id(writer)
            try:
                write_manifest(path, manifest, part)
            except BaseException:
                leave(place, part, id(writer))
                raise
        except KerasvizError:
            raise
        except OSError as error:
            raise cannot_write(folder, error) from error
        return place


def _known(path: Path) -> Place | None:
    """The place that this process has already, if its folder is still the one on the disk."""
    place = _places.get(path)
    if place is None or place.process != os.getpid():
        return None
    if not place.journal.is_there():
        place.parts.clear()
        place.release()
        return None
    return place


def leave(place: Place, part: str, writer: int) -> None:
    """Give up a part; the last one to leave lets other processes have the folder."""
    with _places_lock:
        if not place.is_held_by(part, writer):
            return
        del place.parts[part]
        if not place.parts:
            _places.pop(place.folder, None)
            place.release()


def _check_foreign(folder: Path) -> None:
    """Refuse a folder of something else, in which files of ours would get lost."""
    if (folder / MANIFEST).exists():
        return
    files = [p.name for p in folder.iterdir() if not p.name.startswith(".") and not p.is_dir()]
    if files:
        raise OutputError(
            "`folder` must be new, without files, or of a run. "
            f"Received: {str(folder)!r}, which holds {sorted(files)[0]!r} and no {MANIFEST}. "
            "Choose another folder, or one inside it."
        )


def check_past(place: Place, record: Record, overwrite: bool) -> None:
    """Refuse to begin again over a run that has gone on, in epochs or, without any, in steps."""
    timeline = place.journal.timeline
    epochs, steps = timeline.numbers(EPOCH), timeline.numbers(STEP)
    if overwrite:
        return
    if epochs:
        held, now = ("epochs", epochs), record.epoch
    elif record.at == STEP:
        held, now = ("steps", steps), record.number
    else:
        of_steps = sorted({one.epoch for one in timeline.records(STEP)})
        held, now = ("steps of epochs", of_steps), record.epoch
    what, numbers = held
    if not numbers or now > numbers[0] or now >= numbers[-1]:
        return
    raise OutputError(
        "`folder` must be of this training. "
        f"Received: {str(place.folder)!r}, which holds the {what} {numbers[0]} to {numbers[-1]} of "
        f"a run, for a training that begins again at {record.at} {record.number}. Choose another "
        "folder, or replace that run with `overwrite=True`."
    )


def check_clash(place: Place, record: Record, arrays: Named) -> None:
    """Refuse two parts of one training that would hide each other's numbers."""
    mine = {("scalars", name) for name in record.scalars}
    mine |= {(kind, name) for kind, named in arrays.items() for name in named}
    for other in place.journal.timeline.at(record.at, record.number):
        theirs = {("scalars", name) for name in other.scalars}
        theirs |= {(kind, name) for kind, held in other.arrays.items() for name in held.shapes}
        if other.part != record.part and other.part in place.parts and mine & theirs:
            kind, name = sorted(mine & theirs)[0]
            raise InputError(
                "`scalars` and `arrays` must have names that no other part of the run uses. "
                f"Received: {name!r} of {kind!r}, which {other.part!r} has written for this "
                f"{record.at}. Rename it, or give this writer another folder."
            )


def _free_name(folder: Path, record: Record) -> Path:
    """A name that no file has: what is finished is never written over."""
    stem = f"{record.at}-{record.number:06d}" if record.at == EPOCH else f"step-{record.number:09d}"
    path, count = folder / f"{stem}.npz", 1
    while path.exists():
        count += 1
        path = folder / f"{stem}-{count}.npz"
    return path
