"""What a model takes, and whether what it was given is that."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe import structures
from kerasviz.probe.backend import compiled

Shape = tuple[int | None, ...]
UNKNOWN = ""
TEXT = "string"
EXACT = "iubOUS"


@dataclasses.dataclass(frozen=True)
class Slot:
    """One input tensor of a model.

    Attributes:
        name: Its key, the name of the declared tensor, or a name made of its position.
        shape: Its shape with an open batch axis.
        dtype: Its dtype; `UNKNOWN` for a model that was built by a call: it takes what it is given.
        keys: Two names under which a dict may hold it: its path, and the declared tensor's name.
        is_sized: Whether the sizes must be these. A model that was built by a call may take others.
        is_optional: Whether the model can do without it.
    """

    name: str
    shape: Shape
    dtype: str
    keys: tuple[str, str] = ("", "")
    is_sized: bool = True
    is_optional: bool = False

    @property
    def assumed_dtype(self) -> str:
        """The dtype, for a model that does not say the one that Keras gives by default."""
        return self.dtype or keras.config.floatx()


@dataclasses.dataclass(frozen=True, eq=False)
class Declared:
    """What a model says it takes: the structure of its inputs, and one slot per tensor.

    The slots are in the order in which Keras flattens the structure.
    """

    structure: Any
    slots: tuple[Slot, ...]

    @property
    def names(self) -> list[str]:
        """A name per input tensor."""
        return [slot.name for slot in self.slots]

    @property
    def form(self) -> compiled.Form:
        """What a function must be compiled for that takes these inputs, of the sizes known."""
        return compiled.Form(
            self.structure,
            tuple(slot.shape for slot in self.slots),
            tuple(slot.assumed_dtype for slot in self.slots),
        )

    @property
    def token_form(self) -> compiled.Form | None:
        """The same with integers where no dtype is known; None where all of them are."""
        if all(slot.dtype for slot in self.slots):
            return None
        dtypes = tuple(slot.dtype or "int32" for slot in self.slots)
        return dataclasses.replace(self.form, dtypes=dtypes)


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

    None when it declares none, as a subclassed model that was built by hand.
    """
    structure = _symbolic_inputs(model)
    return _from_build(model) if structure is None else _from_tensors(structure)


def _symbolic_inputs(model: keras.Model) -> Any:
    """The Keras tensors that a functional or sequential model starts from; None for others.

    A subclassed model may keep anything under `inputs` and `input`.
    """
    if isinstance(model, keras.Function):
        return model.input
    return getattr(model, "inputs", None) if isinstance(model, keras.Sequential) else None


def _from_tensors(structure: Any) -> Declared:
    tensors = keras.tree.flatten(structure)
    if len(tensors) == 1 and isinstance(structure, (list, tuple)):
        structure = tensors[0]
    paths = structures.paths(structure)
    return Declared(
        keras.tree.map_structure(lambda _: 0, structure),
        tuple(_slot(path, tensor) for path, tensor in zip(paths, tensors, strict=True)),
    )


def _slot(path: structures.Path, tensor: Any) -> Slot:
    name = structures.path_name(path)
    is_keyed = len(path) == 1 and not isinstance(path[0], int)
    return Slot(
        name if is_keyed else tensor.name,
        (None, *tensor.shape[1:]),
        keras.backend.standardize_dtype(tensor.dtype),
        (name, tensor.name),
        is_sized=tensor.shape[0] is None,
        is_optional=bool(getattr(tensor._keras_history.operation, "optional", False)),
    )


@dataclasses.dataclass(frozen=True)
class _Size:
    """A shape as a leaf, where Keras nests shapes in the structure of the inputs."""

    shape: Shape


def _from_build(model: keras.Model) -> Declared | None:
    config = model.get_build_config() or {}
    shapes = _sizes(config.get("input_shape"))
    sizes = keras.tree.flatten(shapes)
    if not sizes or not all(isinstance(size, _Size) for size in sizes):
        return None
    return Declared(
        keras.tree.map_structure(lambda _: 0, shapes),
        tuple(
            _built_slot(path, size.shape)
            for path, size in zip(structures.paths(shapes), sizes, strict=True)
        ),
    )


def _sizes(shape: Any) -> Any:
    """The structure of the inputs, in plain containers, from a structure of shapes."""
    if isinstance(shape, Mapping):
        kind: Any = collections.OrderedDict if isinstance(shape, collections.OrderedDict) else dict
        return kind((key, _sizes(part)) for key, part in shape.items())
    if not isinstance(shape, (list, tuple)):
        return shape
    if all(size is None or isinstance(size, int) for size in shape):
        return _Size(tuple(shape))
    parts = [_sizes(part) for part in shape]
    return type(shape)(*parts) if structures.is_namedtuple(shape) else parts


def _built_slot(path: structures.Path, shape: Shape) -> Slot:
    name = _unlabelled_name(path)
    keys = (structures.path_name(path), name)
    return Slot(name, (None, *shape[1:]), UNKNOWN, keys, is_sized=False)


def _unlabelled_name(path: structures.Path) -> str:
    """The path, after a word where it starts with a position, which says little by itself."""
    if not path:
        return "input"
    name = structures.path_name(path)
    return f"input_{name}" if isinstance(path[0], int) else name


def placeholders(model: keras.Model) -> Any:
    """Placeholders for the declared inputs, in the model's structure; None without any."""
    taken = declared(model)
    return taken and keras.tree.pack_sequence_as(taken.structure, taken.form.specs())


def random_inputs(
    model: keras.Model, count: int, size: Sequence[int] | None = None, seed: int = 0
) -> Any:
    """Inputs of the shapes that a model declares: uniform in [0, 1]; zeros where it takes ids.

    Args:
        model: A built model.
        count: Number of samples.
        size: Spatial size of the inputs that leave theirs open; those of other ranks stay.
        seed: Of the numbers.

    Raises:
        InputError: The model declares nothing, takes text, or leaves a size open that is not given.
    """
    taken = declared(model)
    if taken is None or any(slot.dtype == TEXT for slot in taken.slots):
        raise InputError(
            f"Random inputs need a model that declares the numbers it takes. Received: "
            f"'{model.name}', which does not. Give a batch of your own."
        )
    generator = np.random.default_rng(seed)
    arrays = []
    for slot in taken.slots:
        shape = _sized(model, slot, size)
        values = generator.random((count, *shape), dtype="float32")
        is_float = "float" in slot.assumed_dtype
        arrays.append(values if is_float else np.zeros(values.shape, slot.assumed_dtype))
    return keras.tree.pack_sequence_as(taken.structure, arrays)


def _sized(model: keras.Model, slot: Slot, size: Sequence[int] | None) -> tuple[int, ...]:
    """The sizes of an input without the batch, the open ones taken from `size`."""
    shape = slot.shape[1:]
    places = [place for place, length in enumerate(shape) if length is None]
    if size is not None and len(size) == len(shape) - 1:
        first = bool(places) and places[-1] == len(shape) - 1
        spatial = range(1, len(shape)) if first else range(len(shape) - 1)
        wanted = dict(zip(spatial, size, strict=True))
        shape = tuple(wanted.get(place, length) for place, length in enumerate(shape))
    if None in shape:
        raise InputError(
            f"Random inputs need all sizes of '{slot.name}'. Received: {shown(slot.shape)} for "
            f"'{model.name}'. Give its spatial size."
        )
    return tuple(int(length) for length in shape if length is not None)


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """Inputs ready for the model.

    Attributes:
        flat: The input tensors; an optional input for which None came is not among them.
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
    taken, values = _matched(taken, inputs)
    given = [(slot, _array(slot, v)) for slot, v in zip(taken.slots, values, strict=True)]
    present = [(slot, array) for slot, array in given if array is not None]
    for slot, array in present:
        _check(slot, array.shape)
        _check_whole(slot, array)
        if finite:
            _check_finite(slot, array)
    sizes = {slot.name: array.shape[0] for slot, array in present}
    if len(set(sizes.values())) != 1:
        raise InputError(
            f"All inputs must have the same number of samples. Received: {sizes or inputs}. "
            "Give every input one row per sample."
        )
    dtypes = tuple(slot.dtype or _sensible(_dtype_of(array)) for slot, array in present)
    shapes = tuple((None, *array.shape[1:]) for _, array in present)
    leaves = [None if array is None else 0 for _, array in given]
    return Batch(
        [compiled.as_tensor(a, dtype) for (_, a), dtype in zip(present, dtypes, strict=True)],
        compiled.Form(keras.tree.pack_sequence_as(taken.structure, leaves), shapes, dtypes),
        [slot.name for slot, _ in present],
        present[0][1].shape[0],
    )


def rows(taken: Declared | None, inputs: Any) -> Any:
    """Arrays for `predict`, checked but for their values, in the model's structure.

    Data sets, generators and the like are handed on as they are.

    Raises:
        InputError: Arrays of the wrong structure, rank, size or kind of dtype.
    """
    if not _is_array_like(inputs):
        return inputs
    taken, values = _matched(taken, inputs)
    found = []
    for slot, value in zip(taken.slots, values, strict=True):
        array = _array(slot, value)
        if array is not None:
            _check(slot, array.shape)
            array = compiled.as_tensor(array, TEXT) if _dtype_of(array) == TEXT else array
        found.append(array)
    return keras.tree.pack_sequence_as(taken.structure, found)


def _is_array_like(inputs: Any) -> bool:
    """Whether something holds samples by itself, as a list does, rather than yield batches."""
    plain = (str, bytes, int, float, complex, list, tuple, Mapping, os.PathLike)
    return inputs is None or isinstance(inputs, plain) or hasattr(inputs, "__array__")


def in_graph(taken: Declared | None, inputs: Any) -> Any:
    """The inputs of a graph that is being built, in the model's structure and dtypes.

    Rank, sizes and dtype are checked as far as the graph knows them; values cannot be.

    Raises:
        InputError: Wrong structure, rank, size or kind of dtype.
    """
    taken, values = _matched(taken, inputs)
    given = [(slot, _array(slot, v)) for slot, v in zip(taken.slots, values, strict=True)]
    found = [x if x is None else _as_declared(slot, x) for slot, x in given]
    return keras.tree.pack_sequence_as(taken.structure, found)


def _as_declared(slot: Slot, value: Any) -> Any:
    """A graph tensor of the slot's dtype, and of its shape: what is not known is checked later."""
    tensor = compiled.cast(value, slot.dtype)
    shape = compiled.static_shape(tensor)
    if shape is not None:
        _check(slot, shape)
    if not slot.shape or (shape is not None and (None not in shape[1:] or not slot.is_sized)):
        return tensor
    return compiled.shaped(tensor, slot.shape if slot.is_sized else [None] * len(slot.shape))


def _undeclared(inputs: Any) -> Declared:
    """What came, for a model that does not say what it takes."""
    try:
        paths = structures.paths(inputs)
    except Exception as error:
        raise _not_numbers(inputs, "unknown") from error
    if not paths:
        raise InputError(
            f"`inputs` must hold at least one array. Received: {inputs!r}. "
            "Give a batch in the structure that the model's `call` takes."
        )
    return Declared(
        keras.tree.map_structure(lambda _: 0, inputs),
        tuple(Slot(_unlabelled_name(path), (), UNKNOWN, is_sized=False) for path in paths),
    )


def names_of(taken: Declared | None, inputs: Any) -> list[str]:
    """A name per leaf of inputs that are in the model's structure."""
    return (taken or _undeclared(inputs)).names


def spoilt_samples(batch: Batch) -> np.ndarray:
    """(batch,) bool: which samples hold NaN or infinity in any of their inputs."""
    spoilt = np.zeros(batch.size, bool)
    for tensor in batch.flat:
        array = tensor.numpy()
        if array.dtype.kind not in EXACT:
            finite = np.isfinite(array.astype("float32", copy=False))
            spoilt |= ~finite.reshape(batch.size, -1).all(axis=1)
    return spoilt


def _matched(taken: Declared | None, inputs: Any) -> tuple[Declared, list[Any]]:
    """What the model takes, and what came for each slot, whatever container it came in."""
    if taken is None:
        taken = _undeclared(inputs)
        return taken, keras.tree.flatten(inputs)
    numbered = keras.tree.pack_sequence_as(taken.structure, list(range(len(taken.slots))))
    found: dict[int, Any] = {}
    if _collect(numbered, inputs, found) and not _is_wrapped(taken, inputs):
        return taken, [found[i] for i in range(len(taken.slots))]
    values = _by_name(taken, structures.as_mapping(inputs))
    values = _alone(taken, inputs) if values is None else values
    if values is None:
        raise _misfit(taken, inputs)
    return taken, values


def _collect(structure: Any, inputs: Any, found: dict[int, Any]) -> bool:
    """Put what came for each numbered leaf of `structure` into `found`; whether all of it did."""
    if isinstance(structure, int):
        found[structure] = inputs
        return True
    fields, given = structures.as_mapping(structure), structures.as_mapping(inputs)
    if isinstance(fields, Mapping) and isinstance(given, Mapping):
        return all(k in given and _collect(part, given[k], found) for k, part in fields.items())
    if isinstance(structure, (list, tuple)) and isinstance(inputs, (list, tuple)):
        return len(structure) == len(inputs) and all(
            _collect(part, value, found) for part, value in zip(structure, inputs, strict=True)
        )
    return False


def _is_wrapped(taken: Declared, inputs: Any) -> bool:
    """Whether the only input came in a container of which the model knows nothing."""
    return taken.structure == 0 and isinstance(inputs, (Mapping, list, tuple))


def _by_name(taken: Declared, inputs: Any) -> list[Any] | None:
    """The values of a dict whose keys are the names of the inputs, in any order."""
    if not isinstance(inputs, Mapping):
        return None
    for names in zip(*(slot.keys for slot in taken.slots), strict=True):
        if all(name in inputs for name in names):
            return [inputs[name] for name in names]
    return None


def _alone(taken: Declared, inputs: Any) -> list[Any] | None:
    """The only input, which may come in a list or a dict of one, or as a nested list."""
    if len(taken.slots) > 1:
        return None
    if isinstance(inputs, Mapping):
        return [next(iter(inputs.values()))] if len(inputs) == 1 else None
    if isinstance(inputs, (list, tuple)) and len(inputs) == 1:
        inside = _rank(inputs[0])
        return [inputs[0] if inside == len(taken.slots[0].shape) else inputs]
    return [inputs]


def _rank(value: Any) -> int | None:
    try:
        return int(np.ndim(value))
    except Exception:
        return None


def _misfit(taken: Declared, inputs: Any) -> InputError:
    names, given = taken.names, structures.as_mapping(inputs)
    if len(names) == 1:
        return InputError(
            f"`inputs` must be one array. Received: a dict of {[*map(str, given)]}. "
            f"Pass the array for '{names[0]}' alone."
        )
    if isinstance(given, Mapping):
        keys = [*map(str, given)]
        missing = [name for name in names if name not in keys]
        return InputError(
            f"`inputs` must hold {names}{_nested(taken)}. Received: {keys}; "
            f"missing: {missing or names}. Name every array as the model does."
        )
    got = f"{len(inputs)} arrays" if isinstance(inputs, (list, tuple)) else type(inputs).__name__
    if isinstance(taken.structure, Mapping):
        got = "a list" if isinstance(inputs, (list, tuple)) else got
        return InputError(
            f"`inputs` must be a dict with the keys {[*map(str, taken.structure)]}"
            f"{_nested(taken)}. Received: {got}. Name every array."
        )
    return InputError(
        f"`inputs` must be {len(names)} arrays {names}{_nested(taken)}, as a list or a dict. "
        f"Received: {got}. Give one array for each name."
    )


def _nested(taken: Declared) -> str:
    """How the inputs are nested, where they are."""
    if not any("/" in slot.keys[0] for slot in taken.slots):
        return ""
    named = keras.tree.pack_sequence_as(taken.structure, taken.names)
    return f" in the structure {named}"


def _array(slot: Slot, value: Any) -> Any:
    """What came for a slot as an array or tensor; None for an optional input left out."""
    if value is None and slot.is_optional:
        return None
    if keras.ops.is_tensor(value):
        kind_fits = compiled.is_text(value) if slot.dtype == TEXT else compiled.is_dense(value)
        if not kind_fits or (slot.dtype not in (TEXT, UNKNOWN) and compiled.is_text(value)):
            raise _not_fitting(slot, value, getattr(value, "dtype", "unknown"))
        return value
    try:
        array = np.asarray(value)
    except Exception as error:
        raise _not_fitting(slot, value, "unknown") from error
    is_text = array.ndim > 0 and _is_text(array)
    if (array.dtype == object or array.dtype.kind in "USVMmc") and not is_text:
        raise _not_fitting(slot, value, array.dtype)
    if is_text != (slot.dtype == TEXT) and not (is_text and slot.dtype == UNKNOWN):
        raise _not_fitting(slot, value, array.dtype)
    return array


def _is_text(array: np.ndarray) -> bool:
    if array.dtype == object:
        return array.size > 0 and all(isinstance(part, (str, bytes)) for part in array.flat)
    return array.dtype.kind in "US"


def _not_fitting(slot: Slot, value: Any, dtype: Any) -> InputError:
    if slot.dtype != TEXT:
        return _not_numbers(value, dtype)
    return InputError(
        f"`inputs` must be arrays of text for the input '{slot.name}'. "
        f"Received: {type(value).__name__} of dtype {dtype}. "
        "Give strings, or kerasviz the part of the model after its text is numbers."
    )


def _not_numbers(value: Any, dtype: Any) -> InputError:
    return InputError(
        "`inputs` must be arrays of real numbers, all samples of one shape. "
        f"Received: {type(value).__name__} of dtype {dtype}. "
        "Resize the samples to one shape and stack them; move tensors of other libraries to NumPy."
    )


def _check(slot: Slot, given: Any) -> None:
    shape = tuple(given)
    if not slot.shape:
        return _check_count(shape)
    if len(shape) == len(slot.shape) - 1:
        raise InputError(
            f"`inputs` must be a batch of shape {shown(slot.shape)}. Received: shape {shape}, "
            "a single sample? Add the batch axis: `inputs[None]`."
        )
    fits = len(shape) == len(slot.shape) and all(
        want is None or got is None or want == got or not slot.is_sized
        for want, got in zip(slot.shape, shape, strict=True)
    )
    if not fits:
        raise InputError(
            f"`inputs` must have the shape {shown(slot.shape)} (input '{slot.name}'). "
            f"Received: shape {shape}. Resize, or put the axes in that order."
        )
    return _check_count(shape)


def _check_count(shape: tuple[Any, ...]) -> None:
    if not shape or 0 in shape:
        raise InputError(
            f"`inputs` must hold at least one sample, and no axis of size 0. "
            f"Received: shape {shape}. Give a batch of one sample or more."
        )


def _check_whole(slot: Slot, array: Any) -> None:
    """Refuse what would change on the way into integers: fractions, and values out of range."""
    if not slot.dtype.startswith(("int", "uint")) or _dtype_of(array) == slot.dtype:
        return
    values, limits = _as_numpy(array), np.iinfo(slot.dtype)
    with np.errstate(all="ignore"):
        fits = (values >= limits.min) & (values <= limits.max) & (values == np.floor(values))
    if not fits.all():
        first = tuple(map(int, np.argwhere(~fits)[0]))
        raise InputError(
            f"`inputs` must be whole numbers from {limits.min} to {limits.max} for the input "
            f"'{slot.name}', of dtype {slot.dtype}. Received: {values[first]} in sample {first[0]}."
            " Give the values before any scaling to [0, 1]."
        )


def _check_finite(slot: Slot, array: Any) -> None:
    array = _as_numpy(array)
    if array.dtype.kind in EXACT:
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


def _as_numpy(array: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(array) if keras.ops.is_tensor(array) else array


def shown(shape: Shape) -> str:
    """A shape as messages write it: `(batch, 8, any, 3)`."""
    return (
        "(" + ", ".join("batch" if i == 0 else str(s or "any") for i, s in enumerate(shape)) + ")"
    )


def _dtype_of(array: Any) -> str:
    if not keras.ops.is_tensor(array) and _is_text(array):
        return TEXT
    return keras.backend.standardize_dtype(array.dtype)


def _sensible(dtype: str) -> str:
    """Dtype for an input about which the model says nothing."""
    return "float32" if dtype in ("float64", "uint8") else dtype
