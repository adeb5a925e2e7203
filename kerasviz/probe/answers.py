"""What layers return and what the model answers, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from kerasviz.probe.activations import Activations
from kerasviz.probe.backend import graph
from kerasviz.probe.confidence import probabilities
from kerasviz.probe.run import run
from kerasviz.probe.targets import pick

ops: Any = keras.ops
ANSWER = ":answer"


class Answers(Activations):
    """Returns what layers return, channels last, and how probable each class is.

    Args:
        model: Any built Keras 3 model with an output of classes.
        layers: Addresses, layer objects or indices.
        output: Name or index of the output, for models with several.

    Call arguments:
        inputs: A batch in the model's own structure.

    Returns:
        A dict address → float32 (batch, *positions, channels); under `ANSWER` the probabilities
        (batch, classes), averaged over positions where the output has some. Of a model without a
        softmax or sigmoid they are the softmax of its outputs.

    Raises:
        AddressError: A layer that the model does not have, or does not call.
        TargetError: There are several outputs and `output` names none, or it has no classes.
    """

    def __init__(
        self, model: keras.Model, layers: Sequence[Any], output: str | int | None = None
    ) -> None:
        super().__init__(model, layers)
        self._output = output

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        record = run(self.model, inputs)
        found: dict[str, Any] = {}
        for address in self._wanted or ():
            call = record.find(address)
            if graph.is_real(call.output):
                values = ops.cast(call.output, "float32")
                axis = record.channel_axis(call) if len(values.shape) > 1 else 0
                found[address] = ops.moveaxis(values, axis, -1)
        shares = probabilities(pick(record, self._output, "output"))
        axes = tuple(range(1, len(shares.shape) - 1))
        found[ANSWER] = ops.mean(shares, axis=axes) if axes else shares
        return found, None
