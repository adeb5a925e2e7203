"""What is differentiated for channel gradients: a target of the outputs, or a Keras loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import TargetError
from kerasviz.probe import targets
from kerasviz.probe.confidence import ConfidentClass
from kerasviz.probe.run import Run
from kerasviz.samples.labels import usual_labels

ops: Any = keras.ops


@dataclasses.dataclass(frozen=True)
class Learned:
    """What tracing teaches about the loss.

    Attributes:
        limits: What the output asks of each array fed to the target.
        classes: Number of classes of the explained output; None where there is not a single one.
    """

    limits: tuple[Any, ...]
    classes: int | None


class ChannelLoss:
    """One number per sample that the channels' gradients are taken of.

    Args:
        given: None, what explainers take as `target`, or a `keras.losses.Loss`.

    Raises:
        TargetError: None of these.
    """

    def __init__(self, given: Any) -> None:
        self._keras = given if isinstance(given, keras.losses.Loss) else None
        self._given = None
        if given is not None and self._keras is None:
            self._given = targets.to_target(given)
        self._has_labels = False

    def __str__(self) -> str:
        if self._keras is not None:
            return str(self._keras.name)
        if self._given is not None:
            return type(self._given).__name__
        return f"p·logit of the {'label' if self._has_labels else 'predicted class'}"

    def placeholders(self, labels: Any, size: int) -> list[np.ndarray]:
        """Arrays of the right kind for a first trace, before class names are known."""
        if self._keras is not None:
            return self.feeds(labels, Learned((), None), size)
        return targets.without_labels(self._target(labels)).feeds(None, size)

    def feeds(self, labels: Any, learned: Learned, size: int) -> list[np.ndarray]:
        """What to feed for a batch of that size.

        Raises:
            TargetError: Labels are needed but did not come, or do not fit.
        """
        if self._keras is None:
            found = self._target(labels).feeds(usual_labels(learned.classes), size)
            targets.check_feeds(found, learned.limits, size)
            return found
        array = None if labels is None else np.asarray(labels)
        if array is None or array.dtype.kind not in "biuf" or len(array) != size:
            came = "none" if array is None else f"shape {array.shape} of dtype {array.dtype}"
            raise TargetError(
                f"`loss` {self._keras.name!r} needs labels, one row of numbers per sample ({size})."
                f" Received: {came}. Pass the data set as `(x, y)`."
            )
        return [array.astype("float32")]

    def values(self, record: Run, labels: bool, feeds: Sequence[Any]) -> tuple[Any, Learned]:
        """(batch,) float32 in the graph, and what was learned.

        Args:
            record: A run of the model.
            labels: Whether the data set has labels.
            feeds: What was fed.
        """
        if self._keras is not None:
            return _losses(self._keras, record, feeds[0]), Learned((), None)
        score = self._target(0 if labels else None).score(record, feeds)
        classes = None if score.head is None else score.head.classes
        return score.value, Learned(score.limits, classes)

    def _target(self, labels: Any) -> targets.Target:
        if self._given is not None:
            return self._given
        self._has_labels = labels is not None
        if labels is None:
            return ConfidentClass()
        try:
            return ConfidentClass(targets.class_vector(labels))
        except TargetError as error:
            raise TargetError(
                f"Labels must be classes where no `loss` is given. Received others: {error} "
                "Pass `loss=`, such as a `keras.losses.Loss`, or the inputs alone."
            ) from error


def _losses(loss: keras.losses.Loss, record: Run, labels: Any) -> Any:
    """The loss of each sample, as in a batch of one."""
    if not ops.is_tensor(record.outputs):
        raise TargetError(
            "A Keras `loss` needs a model with one output. Received: "
            f"{list(record.output_names)}. Pass a target of one of them: `loss={{name: None}}`."
        )
    values = loss.call(labels, ops.cast(record.outputs, "float32"))
    flat = ops.reshape(values, (ops.shape(record.outputs)[0], -1))
    return ops.sum(flat, axis=1) if loss.reduction == "sum" else ops.mean(flat, axis=1)
