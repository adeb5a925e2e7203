"""Which axis of each input holds its channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from kerasviz.probe.run import run
from kerasviz.probe.wrapper import Wrapper


def channel_axes(model: keras.Model) -> dict[str, int | None]:
    """The channel axis of each input, as the layers of the model take it; None without one.

    An input of shape (batch, features) has its features for channels.
    """
    return dict(_Axes(model).info("axes") or {})


class _Axes(Wrapper):
    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        record = run(self.model, inputs)
        return {}, {
            name: record.input_channel_axis(x) if len(x.shape) > 2 else len(x.shape) - 1
            for name, x in record.input_tensors.items()
        }
