"""The fields of a layer at one moment of a training, as the arrays that a run's folder keeps."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasviz.errors import InputError
from kerasviz.receptive_fields.unit_fields import UnitFields, peaks_of

KIND = "receptive-fields"
MAPS, UNITS, WORDS = "maps", "units", "words"
COUNTED = ("peaks", "errors")
TUPLES = ("start", "input_size", "diagnosis")


def arrays_of(fields: UnitFields) -> dict[str, np.ndarray]:
    """What to keep: "maps", "units", and all that is neither, as JSON, in "words".

    Args:
        fields: Gradient fields.
    """
    left_out = {MAPS, UNITS, *COUNTED}
    names = [item.name for item in dataclasses.fields(fields) if item.name not in left_out]
    words = {name: getattr(fields, name) for name in names}
    return {MAPS: fields.maps, UNITS: fields.units, WORDS: np.asarray(json.dumps(words))}


def words_of(array: np.ndarray) -> dict[str, Any]:
    """What "words" hold, as `UnitFields` takes it.

    Raises:
        InputError: They hold something else.
    """
    try:
        words: dict[str, Any] = json.loads(str(array))
        return words | {name: tuple(words[name]) for name in TUPLES}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "A snapshot of fields must hold what a `ReceptiveFieldWatcher` writes. Received: "
            f"{str(array)[:60]!r} ({type(error).__name__}). Watch the training again."
        ) from error


def fields_of(arrays: Mapping[str, np.ndarray]) -> UnitFields:
    """What `arrays_of` was given.

    Raises:
        InputError: The arrays are no fields.
    """
    maps = arrays[MAPS]
    return UnitFields(
        maps=maps,
        units=arrays[UNITS],
        peaks=peaks_of(maps),
        errors=np.full(len(maps), np.nan, "float32"),
        **words_of(arrays[WORDS]),
    )
