"""What a model takes, and whether what it was given is that."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe.backend import compiled

Shape = tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class Slot:
    """One input tensor of a model: its name, shape with an open batch axis, and dtype."""

    name: str
    shape: Shape
    dtype: str


def check_model(model: Any) -> None:
    """Refuse what is not a built Keras model.

    Raises:
        InputError: Not a `keras.Model`, or one that has no weights yet.
    """
    if not isinstance(model, keras.Model):
        raise InputError(
            "`model` must be a keras.Model. "
            f"Received: {model!r} (of type {type(model).__module__}.{type(model).__name__})."
        )
    if not model.built:
        raise InputError(
            f"`model` must be built. Received: '{model.name}', which has never seen an input. "
            "Call it once on a batch, or `model.build(input_shape)`."
        )


def slots(model: keras.Model) -> tuple[Any, list[Slot]] | None:
    """The inputs that a model declares: their structure and one `Slot` per tensor.

    None when it declares none, as a subclassed model that was built by a call on several tensors.
    """
    if getattr(model, "inputs", None):
        return _declared(model)
    return _built(model)


def _declared(model: keras.Model) -> tuple[Any, list[Slot]]:
    structure = getattr(model, "input", None)
    structure = model.inputs[0] if structure is None and len(model.inputs) == 1 else structure
    structure = model.inputs if structure is None else structure
    flat = keras.tree.flatten(structure)
    found = [
        Slot(t.name, (None, *t.shape[1:]), keras.backend.standardize_dtype(t.dtype)) for t in flat
    ]
    if isinstance(structure, Mapping):
        found = [
            dataclasses.replace(s, name=k) for s, k in zip(found, sorted(structure), strict=True)
        ]
    if len(flat) == 1 and isinstance(structure, (list, tuple)):
        structure = structure[0]
    return keras.tree.map_structure(lambda _: 0, structure), found


def _built(model: keras.Model) -> tuple[Any, list[Slot]] | None:
    shape = (model.get_build_config() or {}).get("input_shape")
    if shape is None:
        return None
    paths, structure = _shapes(shape, "input")
    found = [Slot(name, (None, *s[1:]), keras.config.floatx()) for name, s in paths]
    return structure, found


def _shapes(shape: Any, name: str) -> tuple[list[tuple[str, Shape]], Any]:
    """Flatten a structure of shapes, whose leaves are tuples themselves."""
    if isinstance(shape, Mapping):
        by_key = {key: _shapes(shape[key], key) for key in sorted(shape)}
        flat = [slot for found, _ in by_key.values() for slot in found]
        return flat, {key: structure for key, (_, structure) in by_key.items()}
    if all(size is None or isinstance(size, int) for size in shape):
        return [(name, tuple(shape))], 0
    parts = [_shapes(s, f"{name}_{i}") for i, s in enumerate(shape)]
    return [p for part in parts for p in part[0]], [part[1] for part in parts]


def placeholders(model: keras.Model) -> Any:
    """Placeholders for the declared inputs, in the model's structure; None without any."""
    declared = slots(model)
    if declared is None:
        return None
    structure, found = declared
    return keras.tree.pack_sequence_as(structure, [compiled.spec(s.shape, s.dtype) for s in found])


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """Inputs ready for the model.

    Attributes:
        tensors: Tensors in the model's structure.
        shapes: Static shape to compile for, one per tensor; only the batch axis is open.
        names: Name of each tensor.
        size: Number of samples.
    """

    tensors: Any
    shapes: Sequence[Sequence[int | None]]
    names: Sequence[str]
    size: int


def batch(model: keras.Model, inputs: Any, finite: bool = True) -> Batch:
    """Check inputs against the model and make tensors of them.

    Args:
        model: The model that shall take them.
        inputs: Arrays or tensors in the model's structure.
        finite: Refuse NaN and infinity.

    Raises:
        InputError: Wrong structure, rank, size, channels or dtype; no samples; NaN or infinity.
    """
    declared = slots(model)
    structure, found = declared if declared else (None, None)
    arrays = _matched(structure, found, inputs)
    if structure is None:
        structure = keras.tree.map_structure(lambda _: 0, inputs)
    names = input_names(model, structure, len(arrays))
    if found is None:
        found = [
            Slot(n, (None,) * np.ndim(a), _natural(a)) for n, a in zip(names, arrays, strict=True)
        ]
    named = list(zip(found, arrays, strict=True))
    for slot, array in named:
        _check(slot, array)
        if finite:
            _check_finite(slot, array)
    sizes = {array.shape[0] for array in arrays}
    if len(sizes) > 1:
        raise InputError(
            "All inputs must have the same number of samples. "
            f"Received: { {s.name: a.shape[0] for s, a in named} }."
        )
    tensors = [compiled.as_tensor(a, _dtype(s, a, declared is not None)) for s, a in named]
    return Batch(
        keras.tree.pack_sequence_as(structure, tensors),
        [(None, *array.shape[1:]) for array in arrays],
        [slot.name for slot in found],
        sizes.pop(),
    )


def spoilt_samples(batch: Batch) -> np.ndarray:
    """(batch,) bool: which samples hold NaN or infinity in any of their inputs."""
    spoilt = np.zeros(batch.size, bool)
    for tensor in keras.tree.flatten(batch.tensors):
        array = keras.ops.convert_to_numpy(tensor)
        if array.dtype.kind not in "iub":
            finite = np.isfinite(array.astype("float32", copy=False))
            spoilt |= ~finite.reshape(batch.size, -1).all(axis=1)
    return spoilt


def input_names(model: keras.Model, structure: Any, count: int) -> list[str]:
    """A name per input tensor: dict keys, the names the model declares, or "input_0", …"""
    if isinstance(structure, Mapping):
        return sorted(structure)
    declared = slots(model)
    if declared:
        return [slot.name for slot in declared[1]]
    return ["input"] if count == 1 else [f"input_{i}" for i in range(count)]


def _matched(structure: Any, found: Sequence[Slot] | None, inputs: Any) -> list[Any]:
    """The arrays in the model's order, whatever container they came in."""
    if found is None:
        return [_array(x) for x in keras.tree.flatten(inputs)]
    if len(found) == 1:
        return [_array(_only(found[0], inputs))]
    if isinstance(inputs, Mapping):
        missing = [s.name for s in found if s.name not in inputs]
        if missing:
            raise InputError(
                f"`inputs` must hold {[s.name for s in found]}. Received: {sorted(inputs)}; "
                f"missing: {missing}."
            )
        return [_array(inputs[slot.name]) for slot in found]
    if not isinstance(inputs, (list, tuple)) or len(inputs) != len(found):
        got = (
            f"{len(inputs)} arrays" if isinstance(inputs, (list, tuple)) else type(inputs).__name__
        )
        raise InputError(
            f"`inputs` must be {len(found)} arrays {[s.name for s in found]}, as a list or a dict. "
            f"Received: {got}."
        )
    if isinstance(structure, Mapping):
        raise InputError(
            f"`inputs` must be a dict with the keys {[s.name for s in found]}. Received: a list."
        )
    return [_array(x) for x in inputs]


def _only(slot: Slot, inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        if len(inputs) == 1:
            return next(iter(inputs.values()))
        raise InputError(f"`inputs` must be one array. Received: a dict of {sorted(inputs)}.")
    if (
        isinstance(inputs, (list, tuple))
        and len(inputs) == 1
        and np.ndim(inputs[0]) == len(slot.shape)
    ):
        return inputs[0]
    return inputs


def _array(value: Any) -> Any:
    if keras.ops.is_tensor(value):
        return value
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.dtype == object or array.dtype.kind in "USVMmc":
        raise InputError(
            "`inputs` must be numbers, all samples of one shape. "
            f"Received: {type(value).__name__} of dtype {array.dtype}. "
            "Resize the samples to one shape and stack them."
        )
    return array


def _check(slot: Slot, array: Any) -> None:
    shape = tuple(array.shape)
    if len(shape) == len(slot.shape) - 1:
        raise InputError(
            f"`inputs` must be a batch of shape {_show(slot.shape)}. Received: shape {shape}, "
            "a single sample? Add the batch axis: `inputs[None]`."
        )
    fits = len(shape) == len(slot.shape) and all(
        want is None or want == got for want, got in zip(slot.shape, shape, strict=True)
    )
    if not fits:
        raise InputError(
            f"`inputs` must have the shape {_show(slot.shape)} (input '{slot.name}'). "
            f"Received: shape {shape}. Resize, or put the axes in that order."
        )
    if not shape or shape[0] == 0:
        raise InputError(f"`inputs` must hold at least one sample. Received: shape {shape}.")


def _check_finite(slot: Slot, array: Any) -> None:
    if keras.ops.is_tensor(array):
        array = keras.ops.convert_to_numpy(array)
    if array.dtype.kind in "iub":
        return
    with np.errstate(all="ignore"):
        if np.isfinite(np.sum(array, dtype=array.dtype)):
            return
    bad = ~np.isfinite(array.astype("float32", copy=False))
    if bad.any():
        first = int(np.argwhere(bad)[0][0])
        raise InputError(
            f"`inputs` must be finite. Received: {int(bad.sum())} NaN or infinite values in input "
            f"'{slot.name}', the first in sample {first}. Drop or repair those samples."
        )


def _show(shape: Shape) -> str:
    return (
        "(" + ", ".join("batch" if i == 0 else str(s or "any") for i, s in enumerate(shape)) + ")"
    )


def _natural(array: Any) -> str:
    """Dtype for an input about which the model says nothing."""
    return keras.backend.standardize_dtype(array.dtype)


def _dtype(slot: Slot, array: Any, declared: bool) -> str:
    if declared:
        return slot.dtype
    given = _natural(array)
    return "float32" if given in ("float64", "uint8") else given
