"""At which times a run has kept the fields of a layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from kerasviz.errors import InputError
from kerasviz.receptive_fields.snapshots import KIND, MAPS

if TYPE_CHECKING:
    import pandas as pd

EPOCH, STEP = "epoch", "step"


class Snapshots(Protocol):
    """The part of `kv.dynamics.Run` that is needed here."""

    @property
    def damaged(self) -> pd.DataFrame: ...

    def records(self, at: str = EPOCH) -> Iterator[Any]: ...

    def stack(self, kind: str, name: str, *, steps: bool = False) -> Any: ...


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a run keeps a snapshot.

    Attributes:
        at: "epoch" or "step".
        number: By which the run knows it.
        count: Finished epochs, or steps done, by then.
    """

    at: str
    number: int
    count: int


def developed_layers(run: Snapshots) -> list[str]:
    """Addresses of the layers whose fields a run has kept, in the order of the watcher."""
    ending = f"/{MAPS}"
    names = [
        name.removesuffix(ending)
        for at in (EPOCH, STEP)
        for record in run.records(at)
        for name in _names(record)
        if name.endswith(ending)
    ]
    return list(dict.fromkeys(names))


def kept_places(run: Snapshots, layer: str) -> tuple[str, list[Place]]:
    """Epochs and what was before them; steps where there are no epochs."""
    bad = set(run.damaged["file"])
    epochs, steps = (
        [
            record
            for record in run.records(at)
            if f"{layer}/{MAPS}" in _names(record) and record.arrays[KIND].file not in bad
        ]
        for at in (EPOCH, STEP)
    )
    if not epochs and not steps:
        raise InputError(
            f"`layer` must be one whose fields the run has kept: {developed_layers(run)}. "
            f"Received: {layer!r}. Watch it with `kv.callbacks.ReceptiveFieldWatcher`."
        )
    if not epochs:
        return "steps", [Place(STEP, record.number, record.number) for record in steps]
    before = [
        Place(STEP, record.number, record.epoch)
        for record in steps[:1]
        if record.epoch <= epochs[0].epoch
    ]
    return "epochs", [*before, *(Place(EPOCH, one.epoch, one.epoch + 1) for one in epochs)]


def _names(record: Any) -> Sequence[str]:
    return list(record.arrays[KIND].shapes) if KIND in record.arrays else []
