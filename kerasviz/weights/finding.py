"""Something that is wrong, or remarkable, with a weight or a layer."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

LISTED = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Finding:
    """One row of a diagnosis.

    Attributes:
        address: Of the weight or layer.
        finding: What it is, in few words, the same for all of a kind.
        units: Numbers of the channels or filters that it concerns; empty where it concerns all.
        sentence: What was found, with the threshold.
        value: How much of it there is; by default how many units.
    """

    address: str
    finding: str
    units: Any
    sentence: str
    value: float | None = None


def counted(units: np.ndarray, all_: np.ndarray, name: str) -> str:
    """How many of all units, and which: "2 of 8 channels (3, 5)"."""
    shown = ", ".join(map(str, units[:LISTED])) + (", …" if len(units) > LISTED else "")
    return f"{len(units)} of {np.size(all_)} {name}s ({shown})"
