"""What TensorFlow's profiler wrote: when which operation ran on which thread.

The file is a protocol buffer (`XSpace`: planes of lines of events). The few fields needed are read
from the wire format, so that no package beside TensorFlow and none of its private modules is used.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

HOST = "/host:CPU"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that ran on a thread.

    Attributes:
        thread: Number of the thread.
        name: What ran: "name:Type" for an operation.
        start: When it began, in picoseconds.
        end: When it was over, in picoseconds.
    """

    thread: int
    name: str
    start: int
    end: int


def host_events(data: bytes) -> list[Event]:
    """The events on the threads of this machine, in the order of the file.

    Args:
        data: Content of a file "….xplane.pb".
    """
    found: list[Event] = []
    for number, plane in _fields(data):
        if number == 1 and _text(plane, 2) == HOST:
            found += _plane_events(plane)
    return found


def _plane_events(plane: bytes) -> Iterator[Event]:
    fields = list(_fields(plane))
    names = dict(_named(entry) for number, entry in fields if number == 4)
    lines = [value for number, value in fields if number == 3]
    for thread, line in enumerate(lines):
        content = list(_fields(line))
        origin = 1000 * next((value for number, value in content if number == 3), 0)
        for number, event in content:
            if number == 4:
                told: dict[int, Any] = {n: v for n, v in _fields(event) if n in (1, 2, 3)}
                start = origin + told.get(2, 0)
                name = names.get(told.get(1, 0), "")
                yield Event(thread, name, start, start + told.get(3, 0))


def _named(entry: bytes) -> tuple[int, str]:
    """Number and name of an event, from an entry of the map of `XEventMetadata`."""
    told: dict[int, Any] = dict(_fields(entry))
    return told.get(1, 0), _text(told.get(2, b""), 2)


def _text(message: bytes, wanted: int) -> str:
    found = next((value for number, value in _fields(message) if number == wanted), b"")
    return bytes(found).decode("utf-8", "replace")


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a message: a whole number or bytes."""
    place, size = 0, len(data)
    while place < size:
        tag, place = _whole(data, place)
        kind = tag & 7
        if kind == VARINT:
            value, place = _whole(data, place)
            yield tag >> 3, value
            continue
        length = {FIXED64: 8, FIXED32: 4}.get(kind)
        if kind == BYTES:
            length, place = _whole(data, place)
        if length is None or place + length > size:
            raise ValueError("Expected an XSpace message. Received: one that ends too early.")
        yield tag >> 3, data[place : place + length]
        place += length


def _whole(data: bytes, place: int) -> tuple[int, int]:
    """A whole number of variable length, and where the next field begins."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
