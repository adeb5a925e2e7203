"""From what ran when on which thread to what each part of a step took."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kerasviz.probe.backend.op_owners import Owner
from kerasviz.probe.backend.timed import MARK

OPERATION = re.compile(r"[^\s:]+:[A-Za-z_]\w*")
SECONDS = 1e-12


@dataclasses.dataclass(frozen=True)
class Account:
    """One run of a step, in seconds.

    Attributes:
        whole: From its beginning to its end.
        parts: What each part of the step took of that.
    """

    whole: float
    parts: dict[Owner, float]


def accounts(events: Sequence[Any], owner: Callable[[str], Owner | None]) -> list[Account]:
    """What each part took in every run that was recorded.

    At any moment the time belongs to the operations that run then, in equal shares where several
    run on different threads. So the parts never add up to more than the whole.

    Args:
        events: What ran, with an event named `MARK` around each run.
        owner: The part of the step to which "name:Type" belongs; None for nobody's.
    """
    runs = sorted((e for e in events if e.name.startswith(MARK)), key=lambda e: e.start)
    operations = [e for e in events if OPERATION.fullmatch(e.name)]
    return [_account(run, operations, owner) for run in runs]


def _account(run: Any, operations: Iterable[Any], owner: Callable[[str], Owner | None]) -> Account:
    inside = [e for e in operations if run.start <= e.start and e.end <= run.end]
    parts: dict[Owner, float] = collections.defaultdict(float)
    for name, taken in shared_times(inside).items():
        found = owner(name)
        if found is not None:
            parts[found] += taken * SECONDS
    return Account((run.end - run.start) * SECONDS, dict(parts))


def shared_times(events: Iterable[Any]) -> dict[str, float]:
    """Name → time in which it ran; the time in which n threads ran counts 1/n for each of them.

    Of events within another one on the same thread, the innermost counts.
    """
    events = list(events)
    moments = sorted(
        [(event.start, 1, place) for place, event in enumerate(events) if event.end > event.start]
        + [(event.end, 0, place) for place, event in enumerate(events) if event.end > event.start]
    )
    running: dict[int, list[int]] = collections.defaultdict(list)
    found: dict[str, float] = collections.defaultdict(float)
    before = 0
    for moment, begins, place in moments:
        active = [stack[-1] for stack in running.values() if stack]
        for other in active:
            found[events[other].name] += (moment - before) / len(active)
        stack = running[events[place].thread]
        if begins:
            stack.append(place)
        else:
            stack.remove(place)
        before = moment
    return dict(found)
