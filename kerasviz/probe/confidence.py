"""The score whose gradient is a class's logit, weighted with the class's probability."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from kerasviz.probe.backend.heads import Head
from kerasviz.probe.run import Run
from kerasviz.probe.targets import Class, Score, class_values, of_class, pick

ops: Any = keras.ops


@dataclasses.dataclass(frozen=True, eq=False)
class ConfidentClass(Class):
    """p·z of one class: its logit times its probability, which is held constant.

    The gradient by the logits is p·onehot(class). Over positions the mean is taken. Where a model
    ends in no softmax or sigmoid, its outputs are taken for logits of a softmax.

    Args:
        index: As for `Class`.
        output: Name or index of the output, for models with several.
    """

    @property
    def key(self) -> Any:
        return ("confident", self.output)

    def score(self, run: Run, feeds: Sequence[Any]) -> Score:
        plain = super().score(run, feeds)
        head = pick(run, self.output)
        logits = of_class(class_values(head), plain.index)
        shares = ops.stop_gradient(of_class(probabilities(head), plain.index))
        axes = tuple(range(1, len(logits.shape)))
        value = ops.mean(shares * logits, axis=axes) if axes else shares * logits
        return dataclasses.replace(plain, value=value)


def probabilities(head: Head) -> Any:
    """(batch, *positions, classes), as the model says them."""
    if head.squashing == "sigmoid":
        return ops.sigmoid(class_values(head))
    if head.squashing == "log-softmax":
        return ops.exp(class_values(head, head.output))
    if head.squashing == "softmax":
        return class_values(head, head.output)
    return ops.softmax(class_values(head), axis=-1)
