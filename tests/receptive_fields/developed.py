"""Runs that hold fields made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import kerasviz as kv
from kerasviz.receptive_fields.snapshots import KIND, arrays_of
from kerasviz.receptive_fields.unit_fields import peaks_of


def fields(
    maps: np.ndarray, start: tuple[int, ...], layer: str = "conv"
) -> kv.receptive_fields.UnitFields:
    """Gradient fields of an input of 30 positions an axis."""
    maps = np.asarray(maps, "float32")
    return kv.receptive_fields.UnitFields(
        maps=maps,
        units=np.arange(len(maps)),
        peaks=peaks_of(maps),
        errors=np.full(len(maps), np.nan, "float32"),
        method="gradient",
        layer=layer,
        input_name="picture",
        start=start,
        input_size=(30,) * len(start),
        is_cut=False,
        diagnosis=("",) * len(maps),
        parameters={"fill": 0.5, "samples": None, "seed": 0},
        provenance={"model": "handmade"},
    )


def write_run(folder: Path, snapshots: Sequence[kv.receptive_fields.UnitFields]) -> kv.dynamics.Run:
    """A run of which the first snapshot is of before training, the others of epochs."""
    with kv.dynamics.RunWriter(folder) as writer:
        for place, one in enumerate(snapshots):
            kept = {KIND: {f"{one.layer}/{key}": value for key, value in arrays_of(one).items()}}
            if place == 0:
                writer.write_step(0, {}, kept, epoch=0)
            else:
                writer.write_epoch(place - 1, {"loss": 1.0 / place}, kept, step=10 * place)
    return kv.dynamics.Run(folder)
