"""Where the map of a layer lies on an input."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras

from kerasviz.attribution import maps
from kerasviz.probe.backend import axes
from kerasviz.probe.run import Run
from kerasviz.probe.taps import Call

ops: Any = keras.ops


@dataclasses.dataclass(frozen=True)
class Registration:
    """How the positions of a layer are those of an input.

    Attributes:
        order: For each position axis of the input, which axis of the map it is.
        ends: For each, how many positions of the input the map leaves out in front and at the end
            (negative: how many it goes beyond), because the model crops or pads the input first.
    """

    order: tuple[int, ...]
    ends: tuple[tuple[int, int], ...]

    def place(self, values: Any, sizes: Sequence[Any]) -> Any:
        """Enlarge (batch, *positions of the layer) to the input; 0 where the model sees nothing."""
        values = ops.transpose(values, (0, *(axis + 1 for axis in self.order)))
        inner = [n - first - last for n, (first, last) in zip(sizes, self.ends, strict=True)]
        values = maps.enlarged(values, inner)
        if any(end > 0 for ends in self.ends for end in ends):
            values = ops.pad(values, [(0, 0), *((max(a, 0), max(b, 0)) for a, b in self.ends)])
        for axis, (first, last) in enumerate(self.ends, start=1):
            if first < 0 or last < 0:
                cut = [slice(None)] * len(values.shape)
                cut[axis] = slice(max(-first, 0), -max(-last, 0) or None)
                values = values[tuple(cut)]
        return values


def agree(record: Run, call: Call, tensor: Any) -> bool:
    """Whether the positions of a layer are those of an input."""
    return isinstance(of(record, call, tensor), Registration)


def of(record: Run, call: Call, tensor: Any) -> Registration | str:
    """How the positions of a layer lie on an input, or a text that says why they do not."""
    found = record.axes_of(call.output, tensor)
    wanted = record.input_positions(tensor)
    if found is None:
        return "it does not depend on that input"
    channel = record.channel_axis(call)
    mine = [axis for place, axis in enumerate(found) if place not in (0, channel)]
    meanings = [axes.meaning(axis) for axis in mine]
    if sorted(map(str, meanings)) != sorted(map(str, wanted)):
        return "its positions are not those of the input"
    order = tuple(meanings.index(axis) for axis in wanted)
    ends = [(factor.before, factor.after) for factor in (axes.single(mine[i]) for i in order)]
    if any(math.isnan(end) for pair in ends for end in pair):
        return "which part of the input it covers could not be followed"
    return Registration(order, tuple((round(first), round(last)) for first, last in ends))
