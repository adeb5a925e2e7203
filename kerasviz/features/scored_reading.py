"""A layer's output together with a score that depends on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import MethodError
from kerasviz.features.layer_reading import (
    LayerStream,
    Pictured,
    channels_last,
    pictured_input,
    spatial_features,
)
from kerasviz.features.objectives.base import features_of, take_channel
from kerasviz.features.objectives.shorthand import layer_and_channel
from kerasviz.probe import addresses, targets
from kerasviz.probe.backend import compiled
from kerasviz.probe.inputs import Batch
from kerasviz.probe.run import Run, run
from kerasviz.samples.labels import usual_labels

ops: Any = keras.ops


@dataclasses.dataclass(frozen=True)
class Learned:
    """What tracing teaches about the score.

    Attributes:
        limits: What the output asks of each array fed to the target.
        units: Number of units of the scored output; None where there is not a single one.
        has_index: Whether a class is scored.
        pictured: Which input has the positions of the layer.
    """

    limits: tuple[targets.Classes | targets.Positions, ...]
    units: int | None
    has_index: bool
    pictured: Pictured | None


@dataclasses.dataclass(frozen=True, eq=False)
class Wanted:
    """What is scored: a target, or the mean of a channel of a layer.

    Attributes:
        target: A target of the outputs; None for a channel.
        layer: Address of the channel's layer.
        channel: Its number.
        labels: Class names, where they were given.
    """

    target: targets.Target | None
    layer: str
    channel: int
    labels: Sequence[str] | None

    @classmethod
    def of(cls, model: keras.Model, target: Any, labels: Sequence[str] | None) -> Wanted:
        """From what a user writes: what explainers take, or "layer:channel"."""
        if isinstance(target, str):
            found = layer_and_channel(target)
            if found is not None and addresses.is_held(model, found[0]):
                return cls(None, *found, labels)
        return cls(targets.to_target(target), "", -1, labels)

    def score(self, record: Run, feeds: Sequence[Any]) -> targets.Score:
        """The score in the graph."""
        if self.target is not None:
            return self.target.score(record, feeds)
        tensor = features_of(record, self.layer)
        values = take_channel(tensor, np.asarray(self.channel), self.layer)
        axes = tuple(range(1, len(values.shape)))
        return targets.Score(ops.mean(values, axis=axes) if axes else values, None, "activation")

    def placeholders(self, size: int) -> list[np.ndarray]:
        """Feeds of the right kind for a first trace, before the labels are known."""
        if self.target is None:
            return []
        return targets.without_labels(self.target).feeds(None, size)

    def feeds(self, units: int | None, size: int) -> list[np.ndarray]:
        """What to feed for a batch of that size."""
        return [] if self.target is None else self.target.feeds(self.classes(units), size)

    def names(self, units: int | None, index: np.ndarray | None, size: int) -> list[str]:
        """What was scored, per sample."""
        if self.target is None:
            return [f"{self.layer}:{self.channel}"] * size
        return self.target.names(self.classes(units), index, size)

    def classes(self, units: int | None) -> Sequence[str] | None:
        """The labels given, ImageNet's for 1000 units, or None."""
        return usual_labels(units) if self.labels is None else self.labels


class ScoredReader(LayerStream):
    """Computes something from a layer's output and the gradient of a score by it.

    A subclass implements `reduce`.

    Args:
        model: Any built Keras 3 model; not altered.
        layer: Address, layer object or index.
        target: What explainers take, or "layer:channel".
        labels: Class names.
    """

    def __init__(
        self, model: keras.Model, layer: Any, target: Any, labels: Sequence[str] | None
    ) -> None:
        super().__init__(model, layer)
        self.wanted = Wanted.of(model, target, labels)

    def reduce(self, features: Any, gradient: Any, feeds: Sequence[Any]) -> dict[str, Any]:
        """What is kept of one batch, in the graph.

        Args:
            features: float32 (batch, *positions, channels).
            gradient: float32 of the same shape: that of the score.
            feeds: What was fed beside the target's own.
        """
        raise NotImplementedError

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        record = run(self.model, inputs)
        features, raw = spatial_features(record, self.address)
        score = self.wanted.score(record, feeds)
        (gradient,) = record.gradients(score.value, [raw])
        if gradient is None:
            raise MethodError(
                "`layer` must be one that the score depends on. Received: "
                f"{self.address!r}, which is not on the way to it. Choose an earlier layer."
            )
        gradient = channels_last(gradient, record, self.address)
        found = self.reduce(features, gradient, feeds[len(score.limits) :])
        found["score"] = ops.cast(score.value, "float32")
        if score.index is not None:
            found["index"] = score.index
        units = None if score.head is None else score.head.units
        picture = pictured_input(record, raw)
        return found, Learned(score.limits, units, score.index is not None, picture)

    def scored(
        self, batch: Batch, extra: Sequence[np.ndarray] = ()
    ) -> tuple[dict[str, np.ndarray], Learned]:
        """What `reduce` returned for a batch, with `score` and, for classes, `index`."""
        first = _tensors([*self.wanted.placeholders(batch.size), *extra])
        trace = self.traced("scored", batch, first)
        learned: Learned = trace.info
        feeds = self.wanted.feeds(learned.units, batch.size)
        targets.check_feeds(feeds, learned.limits, batch.size)
        return self.evaluate_trace(trace, batch, _tensors([*feeds, *extra])), learned


def _tensors(arrays: Sequence[np.ndarray]) -> list[Any]:
    return [compiled.as_tensor(array, array.dtype.name) for array in arrays]
