"""Scores of a model, and how they hang on its modalities, batch by batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.attention.modal_parts import Leaf, Part
from kerasviz.errors import MethodError, TargetError
from kerasviz.probe import targets
from kerasviz.probe.activations import Activations
from kerasviz.probe.backend import compiled
from kerasviz.probe.inputs import Batch
from kerasviz.probe.run import Run, run
from kerasviz.probe.wrapper import Wrapper

ops: Any = keras.ops
TOLERANCE = 1e-5
TRIED = 8


@dataclasses.dataclass(frozen=True)
class Learned:
    """What tracing teaches about the score.

    Attributes:
        limits: What the output asks of each array fed to the target.
        leaves: The inputs.
        is_connected: For each layer asked for, whether the score has a gradient by it.
    """

    limits: tuple[targets.Classes | targets.Positions, ...]
    leaves: tuple[Leaf, ...]
    is_connected: tuple[bool, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """All samples, and what the target is fed for them.

    Attributes:
        batch: The inputs.
        feeds: The target's arrays.
        limits: What the output asks of each of them.
    """

    batch: Batch
    feeds: tuple[np.ndarray, ...]
    limits: tuple[targets.Classes | targets.Positions, ...]

    def with_leaf(self, leaf: int, array: np.ndarray) -> Samples:
        """The same samples with another array for one input."""
        flat = list(self.batch.flat)
        flat[leaf] = compiled.as_tensor(array, self.batch.form.dtypes[leaf])
        return dataclasses.replace(self, batch=dataclasses.replace(self.batch, flat=flat))

    def with_classes(self, index: np.ndarray | None) -> Samples:
        """The same samples with these classes in the place of the predicted ones.

        Raises:
            TargetError: A predicted class within a sum, which is not known.
        """
        return dataclasses.replace(
            self,
            feeds=tuple(
                _known_class(feed, index) if isinstance(limit, targets.Classes) else feed
                for feed, limit in zip(self.feeds, self.limits, strict=True)
            ),
        )

    def rows(self, rows: slice) -> Samples:
        """Some of the samples; a mask may be one for all."""
        flat = [tensor[rows] for tensor in self.batch.flat]
        return dataclasses.replace(
            self,
            batch=dataclasses.replace(self.batch, flat=flat, size=int(flat[0].shape[0])),
            feeds=tuple(
                feed
                if isinstance(limit, targets.Positions) and feed.ndim == len(limit.sizes)
                else feed[rows]
                for feed, limit in zip(self.feeds, self.limits, strict=True)
            ),
        )

    @property
    def arrays(self) -> list[np.ndarray]:
        """The inputs as arrays."""
        return [tensor.numpy() for tensor in self.batch.flat]

    @property
    def packed(self) -> Any:
        """The inputs in the model's structure."""
        return self.batch.form.packed(self.batch.flat)


def _known_class(feed: np.ndarray, index: np.ndarray | None) -> np.ndarray:
    if not (feed == targets.PREDICTED).any():
        return feed
    if index is None:
        raise TargetError(
            "`target` must name its classes in a sum of targets, since the predicted one may "
            "change when a modality is replaced. Received: None for one of them. Give the class."
        )
    return index.astype("int32")


class ModalReader(Wrapper):
    """Computes scores, and gradients of scores, for any number of samples.

    Args:
        model: Any built Keras 3 model; not altered.
        target: What explainers take.
        labels: Class names.
        batch_size: Samples run at once.
    """

    def __init__(
        self, model: keras.Model, target: Any, labels: Sequence[str] | None, batch_size: int
    ) -> None:
        super().__init__(model)
        self._target = targets.to_target(target)
        self._labels = labels
        self._batch_size = batch_size

    def open(self, inputs: Any) -> tuple[Samples, tuple[Leaf, ...]]:
        """All samples, checked, and the model's inputs."""
        batch = self.batch(inputs)
        first = _tensors(targets.without_labels(self._target).feeds(None, batch.size))
        learned: Learned = self.traced(("score",), batch, first).info
        feeds = tuple(self._target.feeds(self._labels, batch.size))
        targets.check_feeds(feeds, learned.limits, batch.size)
        return Samples(batch, feeds, learned.limits), learned.leaves

    def names(self, samples: Samples, index: np.ndarray | None) -> list[str]:
        """What was scored, per sample."""
        return self._target.names(self._labels, index, samples.batch.size, samples.limits)

    def scores(self, samples: Samples) -> dict[str, np.ndarray]:
        """`score` (n,) and, where a class is scored, `index` (n,)."""
        return self._gathered(("score",), samples, ())

    def attributions(
        self,
        samples: Samples,
        layers: Mapping[str, str],
        parts: Mapping[str, Part],
        replaced: Sequence[np.ndarray],
    ) -> dict[str, np.ndarray]:
        """For each modality what `_at_layer` and `_sums` tell, under "modality/…".

        Raises:
            MethodError: A layer that the score does not depend on.
        """
        key = ("attributions", tuple(layers.items()), tuple(parts.items()))
        return self._gathered(key, samples, replaced)

    def connected(self, samples: Samples, addresses: Sequence[str]) -> tuple[bool, ...]:
        """Whether the score has a gradient by the output of each layer."""
        key = ("connected", tuple(addresses))
        found: Learned = self.traced(key, samples.batch, _tensors(samples.feeds)).info
        return found.is_connected

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        record = run(self.model, inputs)
        score = self._target.score(record, feeds)
        found = {"score": ops.cast(score.value, "float32")}
        if score.index is not None:
            found["index"] = score.index
        learned = Learned(score.limits, _leaves(record))
        if key[0] == "connected":
            sources = [record.find(address).output for address in key[1]]
            gradients = record.gradients(score.value, sources)
            flags = tuple(gradient is not None for gradient in gradients)
            learned = dataclasses.replace(learned, is_connected=flags)
        if key[0] == "attributions":
            replaced = feeds[len(score.limits) :]
            found |= _attributions(record, score.value, dict(key[1]), dict(key[2]), replaced)
        return found, learned

    def _gathered(
        self, key: Any, samples: Samples, extra: Sequence[np.ndarray]
    ) -> dict[str, np.ndarray]:
        found: list[dict[str, np.ndarray]] = []
        for start in range(0, samples.batch.size, self._batch_size):
            rows = slice(start, start + self._batch_size)
            part = samples.rows(rows)
            feeds = _tensors([*part.feeds, *(array[rows] for array in extra)])
            trace = self.traced(key, part.batch, feeds)
            found.append(self.evaluate_trace(trace, part.batch, feeds))
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def last_layers(
    reader: ModalReader,
    samples: Samples,
    parts: Mapping[str, Part],
    replaced: Sequence[np.ndarray],
) -> dict[str, str]:
    """For each modality the last layer that answers to it and to no other one, found by trying.

    A layer answers to a modality if its output changes when that is taken from another sample, or,
    of a single sample, from what replaces it. Layers with positions go before those without; layers
    that the score does not depend on are left out. A modality without such a layer is left out.
    """
    first = samples.rows(slice(0, TRIED))
    ranks, changed = _changed(reader, first, parts, replaced)
    found = {}
    for name in parts:
        others = set().union(*(changed[other] for other in parts if other != name))
        own = [a for a, rank in ranks.items() if rank > 1 and a in changed[name] - others]
        flags = reader.connected(first, own) if own else ()
        own = [address for address, is_on_way in zip(own, flags, strict=True) if is_on_way]
        placed = [address for address in own if ranks[address] > 2]
        if own:
            found[name] = (placed or own)[-1]
    return found


def _changed(
    reader: ModalReader,
    samples: Samples,
    parts: Mapping[str, Part],
    replaced: Sequence[np.ndarray],
) -> tuple[dict[str, int], dict[str, set[str]]]:
    """Number of axes of each layer's output, of those that return floats, and for each modality
    the layers that answer to it.

    One sample at a time: all activations of many would fill the memory.
    """
    arrays, taps = samples.arrays, Activations(reader.model)
    others = [
        np.roll(x, 1, axis=0) if len(x) > 1 else y for x, y in zip(arrays, replaced, strict=True)
    ]
    ranks: dict[str, int] = {}
    changed: dict[str, set[str]] = {name: set() for name in parts}
    for row in range(samples.batch.size):
        rows = slice(row, row + 1)
        one = samples.rows(rows)
        before = taps(one.packed)
        ranks = {a: values.ndim for a, values in before.items() if "float" in values.dtype.name}
        for name, part in parts.items():
            swapped = part.put(arrays[part.leaf][rows], others[part.leaf][rows])
            after = taps(one.with_leaf(part.leaf, swapped).packed)
            changed[name] |= {a for a in ranks if _differs(before[a], after[a])}
    return ranks, changed


def _differs(before: np.ndarray, after: np.ndarray) -> bool:
    """Half precision is compared in single."""
    one, other = (values.astype("float32", copy=False) for values in (before, after))
    scale = TOLERANCE * float(np.abs(one).max(initial=0.0))
    return one.shape != other.shape or not bool((np.abs(other - one) <= scale).all())


def _tensors(arrays: Sequence[np.ndarray]) -> list[Any]:
    return [compiled.as_tensor(array, array.dtype.name) for array in arrays]


def _leaves(record: Run) -> tuple[Leaf, ...]:
    found = []
    for name, tensor in record.input_tensors.items():
        axis = record.input_channel_axis(tensor)
        axis = len(tensor.shape) - 1 if axis is None and len(tensor.shape) > 1 else axis
        found.append(Leaf(name, axis, None if axis is None else tensor.shape[axis]))
    return tuple(found)


def _is_float(tensor: Any) -> bool:
    return "float" in keras.backend.standardize_dtype(tensor.dtype)


def _attributions(
    record: Run,
    score: Any,
    layers: Mapping[str, str],
    parts: Mapping[str, Part],
    replaced: Sequence[Any],
) -> dict[str, Any]:
    calls = {name: record.find(address) for name, address in layers.items()}
    inputs = list(record.input_tensors.values())
    known = [index for index, tensor in enumerate(inputs) if _is_float(tensor)]
    sources = [call.output for call in calls.values()] + [inputs[index] for index in known]
    gradients = record.gradients(score, sources)
    found: dict[str, Any] = {}
    for (name, call), gradient in zip(calls.items(), gradients, strict=False):
        if gradient is None:
            raise MethodError(
                "`layers` must be ones that the score depends on. Received: "
                f"{call.address!r} for {name!r}, which is not on the way to it. Choose another."
            )
        axis = record.channel_axis(call)
        features, gradient = (ops.moveaxis(x, axis, -1) for x in (call.output, gradient))
        found |= _at_layer(name, features, gradient)
    by_leaf = dict(zip(known, gradients[len(calls) :], strict=True))
    for name, part in parts.items():
        if part.leaf in by_leaf:
            given, instead = (ops.cast(x[part.leaf], "float32") for x in (inputs, replaced))
            change, gradient = given - instead, by_leaf[part.leaf]
            gradient = ops.zeros_like(change) if gradient is None else gradient
            products = part.taken(gradient * change)
            found |= _sums(f"{name}/input", products)
    return found


def _at_layer(name: str, features: Any, gradient: Any) -> dict[str, Any]:
    """Sums of gradient × activation; where the layer has positions, Grad-CAM (Selvaraju et al.),
    and the sums over channels alone."""
    features = ops.cast(features, "float32")
    found = _sums(f"{name}/layer", gradient * features)
    if len(features.shape) > 2:
        weights = ops.mean(gradient, axis=tuple(range(1, len(features.shape) - 1)))
        found[f"{name}/map"] = ops.relu(ops.einsum("b...k,bk->b...", features, weights))
        found[f"{name}/places"] = ops.sum(ops.abs(gradient * features), axis=-1)
    return found


def _sums(name: str, products: Any) -> dict[str, Any]:
    axes = tuple(range(1, len(products.shape)))
    return {
        f"{name}/signed": ops.sum(products, axis=axes) if axes else products,
        f"{name}/size": ops.sum(ops.abs(products), axis=axes) if axes else ops.abs(products),
    }
