"""The journal on disk: lines that are there whole or not at all, and what a crash left behind."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from kerasviz.dynamics.durable import sync_folder
from kerasviz.dynamics.records import JOURNAL, Record, Timeline, lines_of

OURS = re.compile(r"(epoch|step)-\d+(-\d+)?\.npz|\.kerasviz-[0-9a-f]{32}\.part")


class Journal:
    """The journal of a folder, open for writing.

    A record counts from the moment its line break is on the disk, and it is written after
    everything it names. What a crash left behind the last line break is cut off.

    Args:
        folder: The run's folder, locked by this process.

    Attributes:
        timeline: What holds.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = os.open(folder / JOURNAL, os.O_RDWR | os.O_CREAT | _BINARY, 0o666)
        try:
            records, damaged, self._end = lines_of((folder / JOURNAL).read_bytes())
            self.timeline = Timeline(records)
            os.ftruncate(self._file, self._end)
            sync_folder(folder)
        except BaseException:
            os.close(self._file)
            raise
        if not damaged:
            self._sweep({kind for record in records for kind in record.arrays})

    def append(self, record: Record) -> None:
        """Write a record; after any failure the journal is as it was before."""
        before, end = self.timeline.files(), self._end
        try:
            self._write(record.line())
            self.timeline.add(record)
        except BaseException:
            self._return_to(end)
            raise
        self._remove(before - self.timeline.files())

    def is_there(self) -> bool:
        """Whether the file on the disk is still the one that is written."""
        try:
            found, held = os.stat(self._folder / JOURNAL), os.fstat(self._file)
        except OSError:
            return False
        return os.path.samestat(found, held)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, line: bytes) -> None:
        os.ftruncate(self._file, self._end)
        os.lseek(self._file, self._end, os.SEEK_SET)
        left = memoryview(line)
        while left:
            left = left[os.write(self._file, left) :]
        os.fsync(self._file)
        self._end += len(line)

    def _return_to(self, end: int) -> None:
        self._end = end
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, end)
            content = (self._folder / JOURNAL).read_bytes()
            self.timeline = Timeline(lines_of(content)[0])

    def _remove(self, files: set[str]) -> None:
        for name in files:
            with contextlib.suppress(OSError):
                (self._folder / name).unlink(missing_ok=True)

    def _sweep(self, kinds: set[str]) -> None:
        """Remove files of ours that no line names: a crash came before their line."""
        held = self.timeline.files()
        for path in self._leftovers(kinds):
            if path.relative_to(self._folder).as_posix() not in held:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _leftovers(self, kinds: set[str]) -> Iterator[Path]:
        for folder in (self._folder, *(self._folder / kind for kind in sorted(kinds))):
            if folder.is_dir():
                yield from (path for path in folder.iterdir() if OURS.fullmatch(path.name))


_BINARY = getattr(os, "O_BINARY", 0)
