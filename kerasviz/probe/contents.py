"""What lists, dicts, sets and queues hold, read and put back without their classes noticing."""

from __future__ import annotations

import collections
from typing import Any

CONTAINERS: tuple[Any, ...] = (collections.OrderedDict, dict, list, set, collections.deque)


def kind(value: Any) -> Any:
    """The built-in container that the type is, whatever it says to `isinstance`; else None."""
    return next((known for known in CONTAINERS if issubclass(type(value), known)), None)


def content(value: Any) -> list[Any]:
    """What a container holds, read by the built-in methods, which its class may have overridden."""
    known = kind(value)
    return list(known.items(value) if issubclass(known, dict) else known.__iter__(value))


def same(now: list[Any], before: list[Any]) -> bool:
    """Whether two contents are the same objects in the same order."""
    return len(now) == len(before) and all(
        a is b or (type(a) is type(b) is tuple and len(a) == 2 and a[0] is b[0] and a[1] is b[1])
        for a, b in zip(now, before, strict=True)
    )


def refill(value: Any, before: list[Any]) -> None:
    """Put a content back by the built-in methods, which no tracking can refuse or notice."""
    known = kind(value)
    known.clear(value)
    (known.extend if known in (list, collections.deque) else known.update)(value, before)
