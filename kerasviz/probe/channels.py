"""Which axis of each input holds its channels, and how many each layer has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from kerasviz.probe.backend import graph
from kerasviz.probe.run import Run, run
from kerasviz.probe.taps import Call
from kerasviz.probe.wrapper import Wrapper


def channel_axes(model: keras.Model) -> dict[str, int | None]:
    """The channel axis of each input, as the layers of the model take it; None without one.

    An input of shape (batch, features) has its features for channels.
    """
    return dict(_Axes(model).info("axes") or {})


def channel_counts(model: keras.Model) -> dict[str, int | None]:
    """How many channels each call site returns; None where it returns several tensors, or tells
    only when it runs. Empty for a model that does not say what it takes.
    """
    return dict(_Counts(model).info("counts") or {})


class _Axes(Wrapper):
    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        record = run(self.model, inputs)
        return {}, {
            name: record.input_channel_axis(x) if len(x.shape) > 2 else len(x.shape) - 1
            for name, x in record.input_tensors.items()
        }


class _Counts(Wrapper):
    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        record = run(self.model, inputs)
        return {}, {call.address: _count(record, call) for call in record.calls}


def _count(record: Run, call: Call) -> int | None:
    if not graph.is_here(call.output) or len(call.output.shape) < 2:
        return None
    count: int | None = call.output.shape[record.channel_axis(call)]
    return count
