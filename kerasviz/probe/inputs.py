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
UNKNOWN = ""


@dataclasses.dataclass(frozen=True)
class Slot:
    """One input tensor of a model: its name, shape with an open batch axis, and dtype.

    The dtype is `UNKNOWN` for a model that was built by a call: it takes what it is given.
    """

    name: str
    shape: Shape
    dtype: str


@dataclasses.dataclass(frozen=True, eq=False)
class Declared:
    """What a model says it takes: the structure of its inputs, and one slot per tensor."""

    structure: Any
    slots: tuple[Slot, ...]

    @property
    def names(self) -> list[str]:
        """A name per input tensor."""
        return [slot.name for slot in self.slots]


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


def declared(model: keras.Model) -> Declared | None:
    """The inputs that a model declares.

    None when it declares none, as a subclassed model that was built by a call on several tensors.
    """
    return _from_tensors(model) if getattr(model, "inputs", None) else _from_build(model)


def _from_tensors(model: keras.Model) -> Declared:
    structure = getattr(model, "input", None)
    structure = model.inputs if structure is None else structure
    flat = keras.tree.flatten(structure)
    by_key = isinstance(structure, Mapping) and len(structure) == len(flat)
    names = sorted(structure) if by_key else [t.name for t in flat]
    dtypes = [keras.backend.standardize_dtype(t.dtype) for t in flat]
    if len(flat) == 1 and isinstance(structure, (list, tuple)):
        structure = structure[0]
    return Declared(
        keras.tree.map_structure(lambda _: 0, structure),
        tuple(
            Slot(name, (None, *t.shape[1:]), dtype)
            for name, t, dtype in zip(names, flat, dtypes, strict=True)
        ),
    )


def _from_build(model: keras.Model) -> Declared | None:
    shape = (model.get_build_config() or {}).get("input_shape")
    if shape is None:
        return None
    paths, structure = _shapes(shape, "input")
    return Declared(structure, tuple(Slot(name, (None, *s[1:]), UNKNOWN) for name, s in paths))


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
    taken = declared(model)
    if taken is None:
        return None
    specs = [compiled.spec(slot.shape, slot.dtype or keras.config.floatx()) for slot in taken.slots]
    return keras.tree.pack_sequence_as(taken.structure, specs)


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """Inputs ready for the model.

    Attributes:
        flat: The input tensors.
        form: Their structure, shapes with an open batch axis, and dtypes.
        names: Name of each tensor.
        size: Number of samples.
    """

    flat: Sequence[Any]
    form: compiled.Form
    names: Sequence[str]
    size: int


def batch(taken: Declared | None, inputs: Any, finite: bool = True) -> Batch:
    """Check inputs against what a model takes and make tensors of them.

    Args:
        taken: What the model declares; None where it declares nothing.
        inputs: Arrays or tensors in the model's structure.
        finite: Refuse NaN and infinity.

    Raises:
        InputError: Wrong structure, rank, size, channels or dtype; no samples; NaN or infinity.
    """
    arrays = _matched(taken, inputs)
    if taken is None:
        taken = _undeclared(inputs, arrays)
    for slot, array in zip(taken.slots, arrays, strict=True):
        _check(slot, array)
        if finite:
            _check_finite(slot, array)
    sizes = {name: array.shape[0] for name, array in zip(taken.names, arrays, strict=True)}
    if len(set(sizes.values())) > 1:
        raise InputError(
            f"All inputs must have the same number of samples. Received: {sizes}. "
            "Give every input one row per sample."
        )
    dtypes = tuple(
        slot.dtype or _sensible(keras.backend.standardize_dtype(array.dtype))
        for slot, array in zip(taken.slots, arrays, strict=True)
    )
    shapes = tuple((None, *array.shape[1:]) for array in arrays)
    return Batch(
        [compiled.as_tensor(a, dtype) for a, dtype in zip(arrays, dtypes, strict=True)],
        compiled.Form(taken.structure, shapes, dtypes),
        taken.names,
        arrays[0].shape[0],
    )


def _undeclared(inputs: Any, arrays: Sequence[Any]) -> Declared:
    structure = keras.tree.map_structure(lambda _: 0, inputs)
    names = input_names(None, structure, len(arrays))
    slots = [
        Slot(name, (None,) * len(array.shape), UNKNOWN)
        for name, array in zip(names, arrays, strict=True)
    ]
    return Declared(structure, tuple(slots))


def spoilt_samples(batch: Batch) -> np.ndarray:
    """(batch,) bool: which samples hold NaN or infinity in any of their inputs."""
    spoilt = np.zeros(batch.size, bool)
    for tensor in batch.flat:
        array = keras.ops.convert_to_numpy(tensor)
        if array.dtype.kind not in "iub":
            finite = np.isfinite(array.astype("float32", copy=False))
            spoilt |= ~finite.reshape(batch.size, -1).all(axis=1)
    return spoilt


def input_names(taken: Declared | None, structure: Any, count: int) -> list[str]:
    """A name per input tensor: dict keys, the names the model declares, or "input_0", …"""
    if isinstance(structure, Mapping) and len(structure) == count:
        return sorted(structure)
    if taken is not None:
        return taken.names
    return ["input"] if count == 1 else [f"input_{i}" for i in range(count)]


def _matched(taken: Declared | None, inputs: Any) -> list[Any]:
    """The arrays in the model's order, whatever container they came in."""
    if taken is None:
        return [_array(x) for x in keras.tree.flatten(inputs)]
    if len(taken.slots) == 1:
        return [_array(_only(taken.slots[0], inputs))]
    if isinstance(inputs, Mapping):
        missing = [name for name in taken.names if name not in inputs]
        if missing:
            raise InputError(
                f"`inputs` must hold {taken.names}. Received: {sorted(inputs)}; missing: {missing}."
            )
        return [_array(inputs[name]) for name in taken.names]
    if not isinstance(inputs, (list, tuple)) or len(inputs) != len(taken.slots):
        got = (
            f"{len(inputs)} arrays" if isinstance(inputs, (list, tuple)) else type(inputs).__name__
        )
        raise InputError(
            f"`inputs` must be {len(taken.slots)} arrays {taken.names}, as a list or a dict. "
            f"Received: {got}."
        )
    if isinstance(taken.structure, Mapping):
        raise InputError(f"`inputs` must be a dict with the keys {taken.names}. Received: a list.")
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
        if not compiled.is_dense_number(value):
            raise _not_numbers(value, getattr(value, "dtype", "unknown"))
        return value
    try:
        array = np.asarray(value)
    except Exception as error:
        raise _not_numbers(value, "unknown") from error
    if array.dtype == object or array.dtype.kind in "USVMmc":
        raise _not_numbers(value, array.dtype)
    return array


def _not_numbers(value: Any, dtype: Any) -> InputError:
    return InputError(
        "`inputs` must be arrays of real numbers, all samples of one shape. "
        f"Received: {type(value).__name__} of dtype {dtype}. "
        "Resize the samples to one shape and stack them; move tensors of other libraries to NumPy."
    )


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


def _sensible(dtype: str) -> str:
    """Dtype for an input about which the model says nothing."""
    return "float32" if dtype in ("float64", "uint8") else dtype
