"""The journal of a run: a line of JSON for each finished epoch or step, and what a line undoes."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from kerasviz.errors import InputError

JOURNAL = "scalars.jsonl"
EPOCH, STEP = "epoch", "step"
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
KIND = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
FILE = re.compile(rf"{KIND.pattern}/(epoch|step)-\d+(-\d+)?\.npz")


@dataclasses.dataclass(frozen=True)
class ArrayFile:
    """One file of arrays, as the journal names it.

    Args:
        file: Path below the run's folder, with "/".
        size: Bytes.
        shapes: Shape of each array by its name.
    """

    file: str
    size: int
    shapes: dict[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Record:
    """What one writer kept of one epoch or step.

    Args:
        at: "epoch" or "step": what the numbers belong to the end of.
        epoch: Number of the epoch, from 0 on; of a step, the epoch it is in.
        step: How many training steps were done; None where nobody counted.
        part: Who wrote it.
        time: When, as ISO 8601 in UTC.
        scalars: Numbers by name.
        arrays: Files by kind.
        discarded: Files of earlier records that are given up with this one.
    """

    at: str
    epoch: int
    step: int | None
    part: str
    time: str
    scalars: dict[str, float]
    arrays: dict[str, ArrayFile]
    discarded: tuple[str, ...] = ()

    @property
    def number(self) -> int:
        """What the record is found by: its epoch, or its step."""
        return self.epoch if self.at == EPOCH or self.step is None else self.step

    def line(self) -> bytes:
        """The record as a line of the journal."""
        content = {
            "at": self.at,
            "epoch": self.epoch,
            "step": self.step,
            "part": self.part,
            "time": self.time,
            "scalars": {name: _encoded(value) for name, value in self.scalars.items()},
            "arrays": {
                kind: {"file": held.file, "bytes": held.size, "shapes": held.shapes}
                for kind, held in self.arrays.items()
            },
            "discarded": list(self.discarded),
        }
        return json.dumps(content, allow_nan=False).encode("ascii") + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Record:
        """The record of a line; a line that is none raises `ValueError`."""
        try:
            content = json.loads(line)
            return cls(
                at=_one_of(content["at"], (EPOCH, STEP)),
                epoch=int(content["epoch"]),
                step=None if content["step"] is None else int(content["step"]),
                part=str(content["part"]),
                time=str(content["time"]),
                scalars={name: _decoded(value) for name, value in content["scalars"].items()},
                arrays={kind: _array_file(held) for kind, held in content["arrays"].items()},
                discarded=tuple(content["discarded"]),
            )
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"no record: {error!r}") from error


class Timeline:
    """The records that hold after all lines of a journal were read in their order.

    A line takes away what it makes past: the line of an epoch all epochs after it, all steps in
    those epochs, and what the same part wrote of the same epoch before; the line of a step all
    steps after it, and what the same part wrote of the same step. So a training that goes back to
    an earlier epoch replaces what it repeats, in the moment in which it has repeated it.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._held: dict[str, dict[int, dict[str, Record]]] = {EPOCH: {}, STEP: {}}
        for record in records:
            self.add(record)

    def numbers(self, at: str = EPOCH) -> list[int]:
        """The epochs, or the steps, in order."""
        return sorted(self._held[at])

    def records(self, at: str = EPOCH) -> Iterator[Record]:
        """The records of all epochs, or of all steps, in order."""
        for number in self.numbers(at):
            yield from self._held[at][number].values()

    def at(self, at: str, number: int) -> list[Record]:
        """The records of one epoch or step, one for each part."""
        return list(self._held[at].get(number, {}).values())

    def files(self) -> set[str]:
        """All files of arrays that hold."""
        records = [*self.records(EPOCH), *self.records(STEP)]
        return {held.file for record in records for held in record.arrays.values()}

    def add(self, record: Record) -> None:
        """Read one more line."""
        held = self._held[record.at]
        for number in [number for number in held if number > record.number]:
            del held[number]
        if record.at == EPOCH:
            self._drop_steps_after(record.epoch)
        held.setdefault(record.number, {}).pop(record.part, None)
        held[record.number][record.part] = record
        self._discard(set(record.discarded))

    def _drop_steps_after(self, epoch: int) -> None:
        for number, parts in list(self._held[STEP].items()):
            if any(record.epoch > epoch for record in parts.values()):
                del self._held[STEP][number]

    def _discard(self, files: set[str]) -> None:
        if not files:
            return
        for numbers in self._held.values():
            for parts in numbers.values():
                for part, record in parts.items():
                    parts[part] = _without(record, files)


def lines_of(content: bytes) -> tuple[list[Record], dict[int, str], int]:
    """Read a journal.

    Returns:
        The records; the reason for each line, counted from 1, that is none; and how many bytes
        the finished lines take. A line is finished by its line break: what follows the last one
        was never finished and is not read.
    """
    end = content.rfind(b"\n") + 1
    records, damaged = [], {}
    for number, line in enumerate(content[:end].split(b"\n")[:-1], 1):
        try:
            records.append(Record.from_line(line))
        except ValueError as error:
            damaged[number] = f"can't be read ({error})"
    return records, damaged, end


def checked_scalars(scalars: Mapping[str, Any] | None) -> dict[str, float]:
    """Names and numbers as the journal holds them.

    Raises:
        InputError: A name that is no text, or a value that is not one real number.
    """
    found = {}
    for name, value in (scalars or {}).items():
        if not isinstance(name, str) or not name:
            raise InputError(f"`scalars` must have texts as names. Received: {name!r}.")
        found[name] = _real(name, value)
    return found


def checked_kind(kind: Any) -> str:
    """The name of a kind of arrays, which names a folder.

    Raises:
        InputError: It can't.
    """
    if not isinstance(kind, str) or not KIND.fullmatch(kind):
        raise InputError(
            "`arrays` must be named by kinds of letters, digits, '_' and '-'. "
            f"Received: {kind!r}. Use a name such as 'histograms'."
        )
    return kind


def _real(name: str, value: Any) -> float:
    try:
        array = np.asarray(value)
        if array.ndim:
            raise TypeError(f"an array of shape {array.shape}")
        if array.dtype.kind in "biu":
            return int(array)
        if array.dtype.kind in "OcUSmM":
            raise TypeError(f"{type(value).__name__}")
        return float(array)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"`scalars` must hold real numbers. Received: {error} as {name!r}. "
            "Give arrays in `arrays`."
        ) from error


def _encoded(value: float) -> float | str:
    if isinstance(value, int) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _decoded(value: Any) -> float:
    if isinstance(value, str):
        return NOT_FINITE[value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is no number")
    return value


def _array_file(held: Mapping[str, Any]) -> ArrayFile:
    if not FILE.fullmatch(held["file"]):
        raise ValueError(f"{held['file']!r} is no file of a run")
    shapes = {name: tuple(map(int, shape)) for name, shape in held["shapes"].items()}
    return ArrayFile(held["file"], int(held["bytes"]), shapes)


def _one_of(value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{value!r} is none of {known}")
    return str(value)


def _without(record: Record, files: set[str]) -> Record:
    left = {kind: held for kind, held in record.arrays.items() if held.file not in files}
    return record if len(left) == len(record.arrays) else dataclasses.replace(record, arrays=left)
