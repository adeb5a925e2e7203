"""What is explained: one score per sample.

A target is a value. `Class(3)`, `Class("tabby") - Class("tiger cat")`, `Mask(pixels, 5)` and
`Function(score)` say what to compute from the model's heads; plain integers, labels, callables,
dicts `{output: target}` and tf-keras-vis scores are turned into these by `to_target`.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import TargetError
from kerasviz.probe.backend import compiled, graph
from kerasviz.probe.backend.heads import Head
from kerasviz.probe.run import Run

ops: Any = keras.ops
PREDICTED = -1
NO_CLASS = -2
LARGEST = np.iinfo("int32").max


@dataclasses.dataclass(frozen=True)
class Classes:
    """What an output asks of the class indices fed to it.

    Attributes:
        count: Number of classes, None when the model leaves it open.
        word: Name of a class without a label: "class {}", "unit {}" or "output".
    """

    count: int | None
    word: str = "class {}"

    def check(self, feed: np.ndarray, size: int) -> None:
        """Refuse an index that the output does not have."""
        bad = feed[feed >= (LARGEST if self.count is None else self.count)]
        if bad.size:
            raise TargetError(
                f"`target` must be a class index from 0 to {(self.count or 1) - 1}. "
                f"Received: {int(bad[0])}."
            )

    def name(self, labels: Sequence[str] | None, index: int) -> str:
        """The label of a class, or what it is called without one."""
        known = labels is not None and 0 <= index < len(labels)
        return labels[index] if labels is not None and known else self.word.format(index)


@dataclasses.dataclass(frozen=True)
class Positions:
    """What an output asks of the mask fed to it: the sizes of its positions, None for open ones."""

    sizes: tuple[int | None, ...]

    def check(self, feed: np.ndarray, size: int) -> None:
        """Refuse a mask of another size, for another batch, or empty for one sample."""
        self.check_shape(feed.shape)
        if feed.ndim == len(self.sizes):
            return
        if len(feed) != size:
            raise TargetError(
                f"`mask` must be one for all samples, or one per sample ({size}). "
                f"Received: {len(feed)}."
            )
        empty = np.flatnonzero(~feed.reshape(size, -1).any(axis=1))
        if empty.size:
            raise TargetError(
                "`mask` must have a non-zero position for each sample. Received: an empty mask "
                f"for sample {int(empty[0])}. Leave that sample out."
            )

    def check_shape(self, shape: Sequence[int | None]) -> None:
        """Refuse a shape, open (None) where it is not known yet, that can't be a mask."""
        found = tuple(shape[-len(self.sizes) :]) if self.sizes else ()
        fits = 0 <= len(shape) - len(self.sizes) <= 1 and all(
            None in (want, got) or want == got for want, got in zip(self.sizes, found, strict=True)
        )
        if not self.sizes:
            raise TargetError(
                "`target` must be a class: this output has no positions. Received: a `Mask`. "
                "Use `kv.targets.Class`, or name an output of shape (batch, height, width, "
                "classes)."
            )
        if not fits:
            raise TargetError(
                f"`mask` must have the positions of the output, {_shown(self.sizes)}, or one such "
                f"mask per sample. Received: shape {_shown(shape)}. Resize it to the output."
            )


@dataclasses.dataclass(frozen=True, eq=False)
class Score:
    """A target's answer in the graph.

    Attributes:
        value: (batch,) float32 scores.
        index: (batch,) int32 explained class, or None where the target has no class.
        kind: Where the score was taken: "before softmax", "output as it is", …
        limits: For each array fed, what the output asks of it.
        head: The head that is explained, None where it is not a single one.
    """

    value: Any
    index: Any
    kind: str
    limits: tuple[Classes | Positions, ...] = ()
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
        self,
        labels: Sequence[str] | None,
        indices: np.ndarray | None,
        size: int,
        limits: Sequence[Any] = (),
    ) -> list[str]:
        """A readable name of the target per sample, given the classes that were explained and
        the limits of the score."""
        raise NotImplementedError

    def __add__(self, other: Target) -> Target:
        return Sum(((1.0, self), (1.0, other))) if isinstance(other, Target) else NotImplemented

    def __sub__(self, other: Target) -> Target:
        return Sum(((1.0, self), (-1.0, other))) if isinstance(other, Target) else NotImplemented

    def __mul__(self, factor: float) -> Target:
        known = isinstance(factor, numbers.Real)
        return Sum(((float(factor), self),)) if known else NotImplemented

    __rmul__ = __mul__

    def __neg__(self) -> Target:
        return self * -1.0


@dataclasses.dataclass(frozen=True, eq=False)
class Class(Target):
    """One unit of an output, before its softmax or sigmoid.

    For a head of shape (batch, units) the score is the unit's value. A single sigmoid unit stands
    for two classes: class 1 (present) is its logit, class 0 (absent) minus its logit, and the
    predicted class is 1 where the logit is positive. For a head with positions (batch, …, units)
    the score is the unit's mean over all positions. The units are counted along the axis of the
    softmax, else along the channel axis of the convolution that made them, else the last.

    Args:
        index: Class index, one index per sample, a label, one label per sample, or None for the
            class that the model predicts (over positions: the one predicted most often). Negative
            indices do not count from the end; they are refused.
        output: Name or index of the output, for models with several.

    Inside a graph (a `tf.function`, `predict` under a strategy of several replicas, `export`) a
    tensor of indices can't be refused: a sample with an index that the output does not have gets
    the score NaN and a map of NaN.
    """

    index: Any = None
    output: str | int | None = None

    def __post_init__(self) -> None:
        _check_output(self.output)

    @property
    def key(self) -> Any:
        return ("class", self.output)

    def feeds(self, labels: Sequence[str] | None, size: int) -> list[np.ndarray]:
        if self.index is None:
            return [np.full(size, PREDICTED, "int32")]
        return [_indices(self.index, labels, size)]

    def score(self, run: Run, feeds: Sequence[Any]) -> Score:
        head = pick(run, self.output)
        values = class_values(head)
        index = _explained(head, values, feeds[0])
        taken = of_class(values, index)
        axes = tuple(range(1, len(taken.shape)))
        value = ops.mean(taken, axis=axes) if axes else taken
        return Score(value, index, _kind(head), (_classes(head),), head)

    def names(
        self,
        labels: Sequence[str] | None,
        indices: np.ndarray | None,
        size: int,
        limits: Sequence[Any] = (),
    ) -> list[str]:
        classes = limits[0] if limits else Classes(None)
        return [classes.name(labels, int(i)) for i in (indices if indices is not None else [])]


@dataclasses.dataclass(frozen=True, eq=False)
class Mask(Target):
    """Mean logit of one class over the masked positions of a segmentation head.

    A head of one sigmoid unit stands for two classes at each position, as for `Class`: class 1 is
    its logit there, class 0 minus its logit.

    Args:
        mask: (height, width) for all samples or (batch, height, width), at the head's resolution:
            booleans, 0 and 1, or weights in [0, 1] of a weighted mean.
        index: Class index or label, or one of either per sample.
        output: Name or index of the output, for models with several.

    Raises:
        TargetError: The mask holds other values, NaN, or nothing but zeros for a sample; or it has
            not the positions of the output.

    Reference:
        Vinogradova et al. 2020, "Towards Interpretable Semantic Segmentation via
        Gradient-weighted Class Activation Mapping".
    """

    mask: Any
    index: Any
    output: str | int | None = None

    def __post_init__(self) -> None:
        _check_output(self.output)
        object.__setattr__(self, "mask", _weights(self.mask))

    @property
    def key(self) -> Any:
        return ("mask", self.output, self.mask.ndim)

    def feeds(self, labels: Sequence[str] | None, size: int) -> list[np.ndarray]:
        return [self.mask, _indices(self.index, labels, size)]

    def score(self, run: Run, feeds: Sequence[Any]) -> Score:
        head = pick(run, self.output)
        values = class_values(head)
        positions = Positions(head.positions)
        positions.check_shape(feeds[0].shape)
        index = _explained(head, values, feeds[1])
        taken = of_class(values, index)
        mask = _fitted(feeds[0], taken)
        axes = tuple(range(1, len(taken.shape)))
        value = ops.sum(taken * mask, axis=axes) / ops.sum(mask, axis=axes)
        return Score(value, index, _kind(head), (positions, _classes(head)), head)

    def names(
        self,
        labels: Sequence[str] | None,
        indices: np.ndarray | None,
        size: int,
        limits: Sequence[Any] = (),
    ) -> list[str]:
        classes = limits[1] if limits else Classes(None)
        own = _indices(self.index, labels, size)
        return [f"{classes.name(labels, int(i))} within mask" for i in own]


@dataclasses.dataclass(frozen=True, eq=False)
class Function(Target):
    """Any score: a callable that takes the model's outputs (logits where it ends in a softmax or
    sigmoid), in the model's structure, and returns (batch,) scores."""

    function: Callable[[Any], Any]

    def __post_init__(self) -> None:
        if not callable(self.function) or isinstance(self.function, type):
            raise TargetError(
                "`function` must be a callable of the model's outputs that returns (batch,) "
                f"scores. Received: {self.function!r}. Pass such as `lambda logits: logits[:, 3]`."
            )

    @property
    def key(self) -> Any:
        try:
            hash(self.function)
        except TypeError:
            return ("function", id(self.function))
        return ("function", self.function)

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
        if not graph.is_real(value):
            raise TargetError(
                "`target` must return real numbers. "
                f"Received: {self._name} returned dtype {value.dtype}. Take its magnitude."
            )
        head = run.heads[0] if len(run.heads) == 1 and not run.heads[0].fault else None
        value = graph.of_sizes(
            ops.cast(value, "float32"),
            graph.sizes(keras.tree.flatten(run.inputs)[0])[:1],
            graph.sizes(value)[:1],
            "`target` must return one score per sample, {}. Received: {} of them. "
            "Keep the batch axis of the outputs.",
        )
        return Score(value, None, f"callable '{self._name}'", head=head)

    @property
    def _name(self) -> str:
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    def names(
        self,
        labels: Sequence[str] | None,
        indices: np.ndarray | None,
        size: int,
        limits: Sequence[Any] = (),
    ) -> list[str]:
        return [self._name] * size


@dataclasses.dataclass(frozen=True, eq=False)
class Sum(Target):
    """A weighted sum of targets: "why a, not b" is `Class(a) - Class(b)`."""

    terms: tuple[tuple[float, Target], ...]

    def __post_init__(self) -> None:
        terms = tuple((float(factor), target) for factor, target in self.terms)
        bad = [factor for factor, _ in terms if not math.isfinite(factor)]
        if bad:
            raise TargetError(
                f"The factor of a target must be a finite number. Received: {bad[0]}."
            )
        object.__setattr__(self, "terms", terms)

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
        self,
        labels: Sequence[str] | None,
        indices: np.ndarray | None,
        size: int,
        limits: Sequence[Any] = (),
    ) -> list[str]:
        columns, rest = [], list(limits)
        for factor, target in self.terms:
            own = _named_index(target, labels, size)
            count = len(target.feeds(labels, size))
            names = target.names(labels, own, size, rest[:count]) or ["predicted class"] * size
            rest = rest[count:]
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
    if callable(target) and not isinstance(target, type):
        return Function(target)
    if isinstance(target, (bool, float, type)):
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


def pick(run: Run, output: str | int | None, argument: str = "target") -> Head:
    """The head that a target speaks of.

    Args:
        run: A run of the model.
        output: Name or index of the output, None for the only one.
        argument: Under which name the user gives it: "target", or "output".

    Raises:
        TargetError: It names none of the outputs or several, or one that has no class.
    """
    names = list(run.output_names)
    if not names:
        raise TargetError(
            f"`{argument}` must be a unit of an output, and a model must return a tensor of "
            f"numbers to have one. Received: '{run.recorder.model.name}', which returns "
            f"{run.outputs!r}. Return what shall be explained from the model's `call`."
        )
    usable = [head for head in run.heads if not head.fault] or list(run.heads)
    if output is None and len(usable) > 1:
        named = f"{{{names[0]!r}: None}}" if argument == "target" else repr(names[0])
        raise TargetError(
            f"`{argument}` must say which of the outputs {names} to explain. Received: no output. "
            f"Pass `{argument}={named}`."
        )
    found = usable if output is None else run.heads_called(output)
    if len(found) != 1:
        several = f", which fits {len(found)} of them" if found else ""
        raise TargetError(
            f"`{argument}` must name one of the outputs {names}. Received: {output!r}{several}. "
            "Pass the whole name."
        )
    if found[0].fault:
        raise TargetError(
            f"`{argument}` must speak of an output of real numbers, (batch, units) or "
            f"(batch, …, units). Received: an output of '{run.recorder.model.name}' that is "
            f"{found[0].fault}. Explain another output, or a model without this one."
        )
    return found[0]


def _check_output(output: Any) -> None:
    if isinstance(output, bool) or not isinstance(output, (str, int, type(None))):
        raise TargetError(f"`output` must be the name or index of an output. Received: {output!r}.")


def check_feeds(feeds: Sequence[Any], limits: Sequence[Classes | Positions], size: int) -> None:
    """Refuse class indices and masks that do not fit the explained output.

    Args:
        feeds: The arrays fed; tensors of a graph are left alone.
        limits: What the output asks of each.
        size: Number of samples.
    """
    for feed, limit in zip(feeds, limits, strict=True):
        if isinstance(feed, np.ndarray):
            limit.check(feed, size)


def _classes(head: Head) -> Classes:
    if head.squashing:
        return Classes(head.classes)
    return Classes(head.classes, "output" if head.units == 1 else "unit {}")


def class_values(head: Head, tensor: Any = None) -> Any:
    """(batch, *positions, classes) float32, whatever the axis of the units."""
    values = ops.cast(head.linear if tensor is None else tensor, "float32")
    values = values[..., None] if head.axis is None else ops.moveaxis(values, head.axis, -1)
    return ops.concatenate([-values, values], axis=-1) if head.is_binary else values


def _explained(head: Head, values: Any, index: Any) -> Any:
    """(batch,) int32 classes: those asked for, the predicted one where that is asked for."""
    predicted = _predicted(class_values(head, head.output) if head.is_grouped else values)
    _check_count(index, predicted)
    index = ops.broadcast_to(ops.cast(index, "int32"), ops.shape(predicted))
    return ops.where(index == PREDICTED, predicted, index)


def _check_count(index: Any, predicted: Any) -> None:
    count, size = index.shape[0], predicted.shape[0]
    if count not in (None, 1) and size is not None and count != size:
        raise TargetError(
            f"`target` must be one class, or one per sample ({size}). Received: {count}."
        )


def _predicted(values: Any) -> Any:
    """(batch,) the class with the largest value, at most positions."""
    votes = ops.argmax(values, axis=-1)
    axes = tuple(range(1, len(values.shape) - 1))
    if axes:
        counts = ops.sum(ops.one_hot(votes, ops.shape(values)[-1]), axis=axes)
        votes = ops.argmax(counts, axis=-1)
    return ops.cast(votes, "int32")


def of_class(values: Any, index: Any) -> Any:
    """(batch, *positions) of one class per sample; NaN, as is its gradient, for no such class."""
    rank, shape = len(values.shape), ops.shape(values)
    exists = (index >= 0) & (index < shape[-1])
    index = ops.reshape(ops.where(exists, index, 0), (-1,) + (1,) * (rank - 1))
    index = ops.broadcast_to(index, (*shape[:-1], 1)) if rank > 2 else index
    factor = ops.where(exists, 1.0, float("nan"))
    taken = ops.take_along_axis(values, index, axis=-1)[..., 0]
    return taken * ops.reshape(ops.cast(factor, "float32"), (-1,) + (1,) * (rank - 2))


def _fitted(mask: Any, taken: Any) -> Any:
    """The mask with a batch axis; an error at run time where sizes known only then differ."""
    mask = mask if len(mask.shape) == len(taken.shape) else mask[None]
    if None not in taken.shape[1:]:
        return mask
    wanted = graph.sizes(taken)[1:]
    return graph.of_sizes(
        graph.cut_or_padded(mask, wanted),
        wanted,
        graph.sizes(mask)[1:],
        "`mask` must have the positions of the output, {}. Received: {}. Resize it to the output.",
    )


def _weights(mask: Any) -> np.ndarray:
    """A mask as float32 weights in [0, 1]."""
    given = _plain_array(mask)
    if given is None or given.dtype.kind not in "biuf" or not given.ndim:
        raise TargetError(
            "`mask` must be an array (height, width) or (batch, height, width) of booleans or "
            f"numbers from 0 to 1. Received: {mask!r}."
        )
    array = np.array(given, "float32")
    if not ((array >= 0) & (array <= 1)).all():
        raise TargetError(
            "`mask` must hold booleans or numbers from 0 to 1. Received: "
            f"{'NaN' if np.isnan(array).any() else f'{array.min():g} to {array.max():g}'}. "
            "Pass `mask > 0` for all that is not zero."
        )
    if not array.any():
        raise TargetError("`mask` must have a non-zero position. Received: an empty mask.")
    return array


def _plain_array(value: Any) -> np.ndarray | None:
    if graph.is_symbolic(value):
        return None
    try:
        return np.asarray(ops.convert_to_numpy(value) if ops.is_tensor(value) else value)
    except (ValueError, TypeError):
        return None


def _shown(sizes: Sequence[int | None]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in sizes) + ")"


def _kind(head: Head) -> str:
    return f"before {head.squashing}" if head.squashing else "output as it is"


def _indices(index: Any, labels: Sequence[str] | None, size: int) -> Any:
    """(size,) int32 class indices from an int, a label, or one of either per sample.

    A tensor of the graph that is being built is handed on as it is.
    """
    if graph.is_symbolic(index):
        return class_vector(index)
    values = _listed(index)
    if len(values) not in (1, size):
        raise TargetError(
            f"`target` must be one class, or one per sample ({size}). Received: {len(values)}."
        )
    found = [label_index(v, labels) if isinstance(v, str) else _integer(v) for v in values]
    return np.broadcast_to(np.asarray(found, "int32"), (size,))


def _listed(index: Any) -> list[Any]:
    """The classes of a target one by one; text that came as bytes is decoded."""
    array = _plain_array(index) if hasattr(index, "dtype") else None
    if array is not None:
        values = list(np.atleast_1d(array))
    else:
        is_list = isinstance(index, Sequence) and not isinstance(index, (str, bytes))
        values = list(index) if is_list else [index]
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values]


def _integer(value: Any) -> int:
    array = _plain_array(value) if hasattr(value, "dtype") else None
    value = value if array is None or array.ndim else array[()]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise _unknown(value)
    if not 0 <= value <= LARGEST:
        hint = " Leave `target` out for the predicted class." if value == PREDICTED else ""
        raise TargetError(f"`target` must be a class index from 0 on. Received: {value}.{hint}")
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
    same = [i for i, label in enumerate(labels) if label == name]
    whole = same or [i for i, label in enumerate(labels) if label.strip().lower() == wanted]
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
    return Classes(None).name(labels, index)


def uses_labels(target: Target) -> bool:
    """Whether a target names classes by label."""
    if isinstance(target, Sum):
        return any(uses_labels(part) for _, part in target.terms)
    index: Any = getattr(target, "index", None)
    return not graph.is_symbolic(index) and any(isinstance(v, str) for v in _listed(index))


def without_labels(target: Target) -> Target:
    """The same computation with class 0 in the place of every label."""
    if isinstance(target, Sum):
        return Sum(tuple((factor, without_labels(part)) for factor, part in target.terms))
    if isinstance(target, (Class, Mask)) and uses_labels(target):
        return dataclasses.replace(target, index=0)
    return target


def class_vector(target: Any) -> Any:
    """(batch,) class indices from labels (batch,), (batch, 1), one-hot (batch, classes) or
    soft (batch, classes) with rows that sum to 1.

    Arrays that hold anything else are refused. A tensor of the graph that is being built can't be:
    an entry that is no class becomes `NO_CLASS`, which no output has.
    """
    if graph.is_symbolic(target):
        return _symbolic_classes(target)
    array = _plain_array(target)
    if array is None:
        raise _unknown(target)
    if array.dtype.kind in "OSU":
        return np.asarray(_listed(array.reshape(-1)), object) if array.ndim else array[()]
    _check_classes_shape(array.shape)
    if array.ndim == 2 and array.shape[1] != 1:
        shares = array.astype("float32")
        if not (np.abs(shares.sum(axis=1) - 1) < 1e-2).all() or (shares < 0).any():
            raise TargetError(
                "`target` must be one-hot, or one class index per sample, (batch,). "
                f"Received: shape {array.shape} with rows that do not sum to 1."
            )
        return array.argmax(axis=1).astype("int32")
    whole = array.dtype.kind in "iu" or (
        array.dtype.kind == "f" and array.ndim > 0 and bool((array == np.round(array)).all())
    )
    if not whole or bool((np.abs(array.astype("float64")) > LARGEST).any()):
        raise _unknown(target)
    return array.reshape(-1).astype("int32") if array.ndim else int(array)


def _check_classes_shape(shape: Sequence[int | None]) -> None:
    if len(shape) > 2:
        raise TargetError(
            "`target` must be class indices (batch,), (batch, 1) or one-hot (batch, classes). "
            f"Received: shape {_shown(shape)}. For positions use `kv.targets.Mask`."
        )


def _symbolic_classes(target: Any) -> Any:
    if not compiled.is_dense(target) or not graph.is_real(target) or target.dtype.name == "bool":
        raise TargetError(
            "`target` inside a graph must be class indices. "
            f"Received: a tensor of dtype {target.dtype.name}."
        )
    _check_classes_shape(target.shape)
    if len(target.shape) == 2 and target.shape[1] != 1:
        shares = ops.cast(target, "float32")
        fits = ops.abs(ops.sum(shares, axis=1) - 1) < 1e-2
        fits = fits & (ops.min(shares, axis=1) >= 0)
        return ops.where(fits, ops.cast(ops.argmax(shares, axis=1), "int32"), NO_CLASS)
    target = ops.reshape(target, (-1,))
    found = ops.cast(target, "int32")
    return ops.where((ops.cast(found, target.dtype) == target) & (found >= 0), found, NO_CLASS)
