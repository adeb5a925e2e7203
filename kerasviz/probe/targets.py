"""What is explained: one score per sample.

A target is a value. `Class(3)`, `Class("tabby") - Class("tiger cat")`, `Mask(pixels, 5)` and
`Function(score)` say what to compute from the model's heads; plain integers, labels, callables,
dicts `{output: target}` and tf-keras-vis scores are turned into these by `to_target`.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import TargetError
from kerasviz.probe.backend.heads import Head
from kerasviz.probe.run import Run

ops: Any = keras.ops
PREDICTED = -1


@dataclasses.dataclass(frozen=True, eq=False)
class Score:
    """A target's answer in the graph.

    Attributes:
        value: (batch,) float32 scores.
        index: (batch,) int32 explained class, or None where the target has no class.
        kind: Where the score was taken: "before softmax", "output as it is", …
        limits: For each array fed, the number of classes its indices must stay below, or None.
        head: The head that is explained, None where it is not a single one.
    """

    value: Any
    index: Any
    kind: str
    limits: tuple[int | None, ...] = ()
    head: Head | None = None


class Target:
    """Base of all targets; targets add, subtract and scale."""

    @property
    def key(self) -> Any:
        """What distinguishes the traced computation (not the numbers fed to it)."""
        raise NotImplementedError

    def feeds(self, labels: Sequence[str] | None, size: int) -> list[np.ndarray]:
        """Arrays fed to the traced computation for a batch of that size."""
        raise NotImplementedError

    def score(self, run: Run, feeds: Sequence[Any]) -> Score:
        """The score in the graph; takes the first of the fed tensors, as many as it has limits."""
        raise NotImplementedError

    def names(
        self, labels: Sequence[str] | None, indices: np.ndarray | None, size: int
    ) -> list[str]:
        """A readable name of the target per sample, given the classes that were explained."""
        raise NotImplementedError

    def __add__(self, other: Target) -> Target:
        return Sum(((1.0, self), (1.0, other))) if isinstance(other, Target) else NotImplemented

    def __sub__(self, other: Target) -> Target:
        return Sum(((1.0, self), (-1.0, other))) if isinstance(other, Target) else NotImplemented

    def __mul__(self, factor: float) -> Target:
        return Sum(((float(factor), self),)) if isinstance(factor, (int, float)) else NotImplemented

    __rmul__ = __mul__

    def __neg__(self) -> Target:
        return self * -1.0


@dataclasses.dataclass(frozen=True, eq=False)
class Class(Target):
    """One unit of an output, before its softmax or sigmoid.

    For a head of shape (batch, units) the score is the unit's value. A single sigmoid unit stands
    for two classes: class 1 is its logit, class 0 minus its logit. For a head with positions
    (batch, …, units) the score is the unit's mean over all positions.

    Args:
        index: Class index, one index per sample, a label, one label per sample, or None for the
            class that the model predicts (over positions: the one predicted most often).
        output: Name or index of the output, for models with several.
    """

    index: Any = None
    output: str | int | None = None

    @property
    def key(self) -> Any:
        return ("class", self.output)

    def feeds(self, labels: Sequence[str] | None, size: int) -> list[np.ndarray]:
        if self.index is None:
            return [np.full(size, PREDICTED, "int32")]
        return [_indices(self.index, labels, size)]

    def score(self, run: Run, feeds: Sequence[Any]) -> Score:
        head = pick(run, self.output)
        predicted = _predicted(head)
        index = ops.broadcast_to(ops.cast(feeds[0], "int32"), ops.shape(predicted))
        index = ops.where(index == PREDICTED, predicted, index)
        index = ops.clip(index, 0, (_classes(head) or 1) - 1)
        return Score(_unit(head, index), index, _kind(head), (_classes(head),), head)

    def names(
        self, labels: Sequence[str] | None, indices: np.ndarray | None, size: int
    ) -> list[str]:
        return [class_name(labels, int(i)) for i in (indices if indices is not None else [])]


@dataclasses.dataclass(frozen=True, eq=False)
class Mask(Target):
    """Mean logit of one class over the masked positions of a segmentation head.

    Args:
        mask: (height, width) or (batch, height, width), at the head's resolution; non-zero = in.
        index: Class index or label.
        output: Name or index of the output, for models with several.

    Reference:
        Vinogradova et al. 2020, "Towards Interpretable Semantic Segmentation via
        Gradient-weighted Class Activation Mapping".
    """

    mask: Any
    index: Any
    output: str | int | None = None

    @property
    def key(self) -> Any:
        return ("mask", self.output, np.ndim(self.mask))

    def feeds(self, labels: Sequence[str] | None, size: int) -> list[np.ndarray]:
        mask = np.asarray(self.mask, "float32") != 0
        if not mask.any():
            raise TargetError("`mask` must have a non-zero position. Received: an empty mask.")
        return [mask.astype("float32"), _indices(self.index, labels, size)]

    def score(self, run: Run, feeds: Sequence[Any]) -> Score:
        head = pick(run, self.output)
        mask, index = feeds[0], ops.cast(feeds[1], "int32")
        positions = len(head.linear.shape) - 2
        if len(mask.shape) == positions:
            mask = mask[None]
        if positions < 1 or len(mask.shape) != positions + 1:
            raise TargetError(
                f"`mask` must have the positions of the output, {tuple(head.linear.shape[1:-1])}. "
                f"Received: a mask of {len(mask.shape)} axes."
            )
        values = ops.take_along_axis(_values(head), _align(index, head), axis=-1)[..., 0]
        axes = tuple(range(1, positions + 1))
        value = ops.sum(values * mask, axis=axes) / ops.maximum(ops.sum(mask, axis=axes), 1.0)
        return Score(value, index, _kind(head), (None, _classes(head)), head)

    def names(
        self, labels: Sequence[str] | None, indices: np.ndarray | None, size: int
    ) -> list[str]:
        return [
            f"{class_name(labels, int(i))} within mask" for i in _indices(self.index, labels, size)
        ]


@dataclasses.dataclass(frozen=True, eq=False)
class Function(Target):
    """Any score: a callable that takes the model's outputs (logits where it ends in a softmax or
    sigmoid), in the model's structure, and returns (batch,) scores."""

    function: Callable[[Any], Any]

    @property
    def key(self) -> Any:
        named = isinstance(self.function, Hashable)
        return ("function", self.function if named else id(self.function))

    def feeds(self, labels: Sequence[str] | None, size: int) -> list[np.ndarray]:
        return []

    def score(self, run: Run, feeds: Sequence[Any]) -> Score:
        value = self.function(run.linear_outputs)
        if isinstance(value, (list, tuple)):
            value = ops.stack(value)
        shape = getattr(value, "shape", None)
        if shape is None or len(shape) != 1:
            raise TargetError(
                "`target` must return one score per sample, of shape (batch,). "
                f"Received: {self._name} returned shape {shape}. Reduce over the other axes."
            )
        head = run.heads[0] if len(run.heads) == 1 else None
        return Score(ops.cast(value, "float32"), None, f"callable '{self._name}'", head=head)

    @property
    def _name(self) -> str:
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    def names(
        self, labels: Sequence[str] | None, indices: np.ndarray | None, size: int
    ) -> list[str]:
        return [self._name] * size


@dataclasses.dataclass(frozen=True, eq=False)
class Sum(Target):
    """A weighted sum of targets: "why a, not b" is `Class(a) - Class(b)`."""

    terms: tuple[tuple[float, Target], ...]

    @property
    def key(self) -> Any:
        return ("sum", tuple((factor, target.key) for factor, target in self.terms))

    def feeds(self, labels: Sequence[str] | None, size: int) -> list[np.ndarray]:
        return [feed for _, target in self.terms for feed in target.feeds(labels, size)]

    def score(self, run: Run, feeds: Sequence[Any]) -> Score:
        rest, value, parts = list(feeds), 0.0, []
        for factor, target in self.terms:
            part = target.score(run, rest)
            rest = rest[len(part.limits) :]
            value = value + factor * part.value
            parts.append(part)
        kinds = " and ".join(dict.fromkeys(part.kind for part in parts))
        limits = tuple(limit for part in parts for limit in part.limits)
        heads = {id(part.head): part.head for part in parts}
        return Score(value, None, kinds, limits, parts[0].head if len(heads) == 1 else None)

    def names(
        self, labels: Sequence[str] | None, indices: np.ndarray | None, size: int
    ) -> list[str]:
        columns = []
        for factor, target in self.terms:
            own = _named_index(target, labels, size)
            names = target.names(labels, own, size) or ["predicted class"] * size
            columns.append([_signed(factor, name) for name in names])
        return [" ".join(parts).removeprefix("+ ") for parts in zip(*columns, strict=True)]


def _named_index(target: Target, labels: Sequence[str] | None, size: int) -> np.ndarray | None:
    if isinstance(target, Class) and target.index is not None:
        return _indices(target.index, labels, size)
    return None


def _signed(factor: float, name: str) -> str:
    sign = "+" if factor >= 0 else "−"
    return f"{sign} {name}" if abs(factor) == 1 else f"{sign} {abs(factor):g}·{name}"


def to_target(target: Any) -> Target:
    """The `Target` that a user's shorthand stands for.

    Args:
        target: None (predicted class), an int, a label, one of either per sample, a callable
            `outputs -> (batch,)`, a tf-keras-vis score, a dict `{output: one of these}` or a
            `Target`.

    Raises:
        TargetError: It is none of these.
    """
    if isinstance(target, Target):
        return target
    if isinstance(target, Mapping):
        return _of_output(target)
    if type(target).__module__.startswith("tf_keras_vis"):
        return _from_tf_keras_vis(target)
    if callable(target):
        return Function(target)
    if isinstance(target, (bool, float)):
        raise _unknown(target)
    return Class(target)


def _of_output(target: Mapping[Any, Any]) -> Target:
    if len(target) != 1:
        raise TargetError(
            "`target` must name one output: {output: class}. "
            f"Received: {sorted(map(str, target))}. Add targets to explain a sum: "
            "`Class(1, 'a') + Class(2, 'b')`."
        )
    output, inner = next(iter(target.items()))
    inner = to_target(inner)
    if isinstance(inner, (Class, Mask)):
        return dataclasses.replace(inner, output=output)
    raise _unknown(target)


def _from_tf_keras_vis(score: Any) -> Target:
    kind = type(score).__name__
    if kind == "CategoricalScore":
        return Class(_one_or_all(score.indices))
    if kind == "BinaryScore":
        return Class(_one_or_all([int(value) for value in score.target_values]))
    return Function(score)


def _one_or_all(values: Sequence[int]) -> Any:
    return values[0] if len(values) == 1 else list(values)


def _unknown(target: Any) -> TargetError:
    return TargetError(
        "`target` must be a class index, a label, one of these per sample, a callable, a dict "
        f"{{output: target}}, or None. Received: {target!r} (of type {type(target).__name__})."
    )


def pick(run: Run, output: str | int | None) -> Head:
    """The head that a target speaks of.

    Raises:
        TargetError: It names none of the outputs or several, or the output has no batch axis.
    """
    names = list(run.output_names)
    if not names:
        raise TargetError(
            "`target` must be a unit of an output, and a model must return a tensor of numbers to "
            f"have one. Received: '{run.recorder.model.name}', which returns {run.outputs!r}. "
            "Return what shall be explained from the model's `call`."
        )
    if output is None and len(names) > 1:
        raise TargetError(
            f"`target` must say which of the outputs {names} to explain. Received: no output. "
            f"Pass `target={{{names[0]!r}: None}}`."
        )
    found = list(run.heads) if output is None else run.heads_called(output)
    if len(found) != 1:
        several = f", which fits {len(found)} of them" if found else ""
        raise TargetError(
            f"`target` must name one of the outputs {names}. Received: {output!r}{several}. "
            "Pass the whole name."
        )
    if not len(found[0].output.shape):
        raise TargetError(
            "`target` must be a unit of an output of shape (batch, …). Received: an output of "
            f"shape {tuple(found[0].output.shape)} of '{run.recorder.model.name}'. "
            "Return one row per sample from the model's `call`."
        )
    return found[0]


def check_feeds(feeds: Sequence[np.ndarray], limits: Sequence[int | None]) -> None:
    """Refuse class indices that the explained output does not have."""
    for feed, limit in zip(feeds, limits, strict=True):
        if limit is None:
            continue
        bad = feed[feed >= limit]
        if bad.size:
            raise TargetError(
                f"`target` must be a class index from 0 to {limit - 1}. Received: {int(bad[0])}."
            )


def _classes(head: Head) -> int | None:
    return 2 if head.is_binary else (head.units or 1)


def _values(head: Head) -> Any:
    values = ops.cast(head.linear, "float32")
    return values[:, None] if len(values.shape) == 1 else values


def _align(index: Any, head: Head) -> Any:
    """(batch,) indices with one axis per axis of the head, to take along its last axis."""
    rank = max(2, len(head.linear.shape))
    index = ops.reshape(index, (-1,) + (1,) * (rank - 1))
    shape = ops.shape(_values(head))
    return ops.broadcast_to(index, (*shape[:-1], 1)) if rank > 2 else index


def _predicted(head: Head) -> Any:
    values = _values(head)
    if head.is_binary:
        return ops.cast(values[:, 0] > 0, "int32")
    votes = ops.argmax(values, axis=-1)
    if len(values.shape) == 2:
        return ops.cast(votes, "int32")
    counts = ops.sum(
        ops.one_hot(votes, values.shape[-1]), axis=tuple(range(1, len(values.shape) - 1))
    )
    return ops.cast(ops.argmax(counts, axis=-1), "int32")


def _unit(head: Head, index: Any) -> Any:
    values = _values(head)
    if head.is_binary:
        return values[:, 0] * ops.cast(2 * index - 1, "float32")
    taken = ops.take_along_axis(values, _align(index, head), axis=-1)[..., 0]
    return (
        ops.mean(taken, axis=tuple(range(1, len(taken.shape)))) if len(taken.shape) > 1 else taken
    )


def _kind(head: Head) -> str:
    return f"before {head.squashing}" if head.squashing else "output as it is"


def _indices(index: Any, labels: Sequence[str] | None, size: int) -> np.ndarray:
    """(size,) int32 class indices from an int, a label, or one of either per sample."""
    if keras.ops.is_tensor(index):
        index = keras.ops.convert_to_numpy(index)
    values = [index] if isinstance(index, (str, int, np.integer)) else list(np.atleast_1d(index))
    if len(values) not in (1, size):
        raise TargetError(
            f"`target` must be one class, or one per sample ({size}). Received: {len(values)}."
        )
    found = [label_index(v, labels) if isinstance(v, str) else _integer(v) for v in values]
    return np.broadcast_to(np.asarray(found, "int32"), (size,))


def _integer(value: Any) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise _unknown(value)
    if value < 0:
        raise TargetError(f"`target` must be a class index from 0 on. Received: {value}.")
    return int(value)


def label_index(name: str, labels: Sequence[str] | None) -> int:
    """The class that a label names: the whole label, or one of its comma-separated synonyms.

    Raises:
        TargetError: No labels are known, or the name fits none or several of them.
    """
    if labels is None:
        raise TargetError(
            f"`target` must be a class index when no labels are known. Received: {name!r}. "
            "Pass `labels=[...]` to the explainer."
        )
    wanted = name.strip().lower()
    whole = [i for i, label in enumerate(labels) if label.lower() == wanted]
    found = whole or [i for i, label in enumerate(labels) if wanted in _synonyms(label)]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(f"{i} ({labels[i]})" for i in found)
        raise TargetError(f"`target` must name one class. Received: {name!r}, which fits {listed}.")
    known = [synonym for label in labels for synonym in _synonyms(label)]
    close = difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
    close += [synonym for synonym in known if wanted in synonym][:3]
    hint = f" Closest: {', '.join(map(repr, dict.fromkeys(close)))}." if close else ""
    raise TargetError(
        f"`target` must be one of the {len(labels)} labels. Received: {name!r}.{hint}"
    )


def _synonyms(label: str) -> list[str]:
    return [part.strip().lower() for part in label.split(",")]


def class_name(labels: Sequence[str] | None, index: int) -> str:
    """The label of a class, or "class 7" where none is known."""
    return labels[index] if labels is not None and 0 <= index < len(labels) else f"class {index}"


def uses_labels(target: Target) -> bool:
    """Whether a target names classes by label."""
    if isinstance(target, Sum):
        return any(uses_labels(part) for _, part in target.terms)
    index: Any = getattr(target, "index", None)
    return any(isinstance(v, (str, np.str_)) for v in np.atleast_1d(index).tolist())


def without_labels(target: Target) -> Target:
    """The same computation with class 0 in the place of every label."""
    if isinstance(target, Sum):
        return Sum(tuple((factor, without_labels(part)) for factor, part in target.terms))
    if isinstance(target, (Class, Mask)) and uses_labels(target):
        return dataclasses.replace(target, index=0)
    return target


def class_vector(target: Any) -> Any:
    """(batch,) class indices from labels (batch,), (batch, 1) or one-hot (batch, units)."""
    rank, last = len(target.shape), target.shape[-1] if len(target.shape) else None
    if rank == 2 and last != 1:
        target = ops.argmax(target, axis=-1)
    elif rank > 2:
        raise TargetError(
            "`target` must be class indices (batch,), (batch, 1) or one-hot (batch, classes). "
            f"Received: shape {tuple(target.shape)}. For positions use `kv.targets.Mask`."
        )
    if not ops.is_tensor(target):
        array = np.asarray(target)
        if array.dtype.kind == "f" and not (array == np.round(array)).all():
            raise _unknown(target)
        return array.reshape(-1).astype("int32") if rank else target
    return ops.cast(ops.reshape(target, (-1,)), "int32")
