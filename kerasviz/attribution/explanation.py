"""What an explainer answers: maps, scores and targets, and where they came from."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kerasviz.errors import InputError
from kerasviz.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Arrays: TypeAlias = np.ndarray | dict[str, np.ndarray]
Sizes: TypeAlias = tuple[int | None, ...]

FORMAT = "kerasviz explanation"
VERSION = 1
ARRAY_FIELDS = ("maps", "peaks", "inputs", "scores", "targets", "predictions")
PER_SAMPLE_FIELDS = ("scores", "targets", "target_names", "predictions", "diagnosis")


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where a model looked, for a batch of inputs, with everything needed to read it.

    `explanation[i]` is the explanation of one sample, `len(explanation)` the number of samples.
    Models with several inputs have a dict, one entry an input, where others have an array.

    Args:
        method: Name of the method as in its paper, such as `"Grad-CAM"`.
        maps: `(batch, *spatial)` float32, in [0, 1], or in [-1, 1] for a signed method; or a dict
            of those. 1.0 is the largest magnitude of that sample.
        peaks: `(batch,)` float32, or a dict of those: the raw value that 1.0 stands for, so that
            `raw = map * peak`.
        inputs: `(batch, ...)`, or a dict of those: what the model was given.
        scores: `(batch,)` float32: the explained score of each sample.
        score_kind: What the score is, such as `"before softmax"`.
        targets: `(batch,)` int64, the explained class of each sample; None where the target is not
            a class.
        target_names: One name a sample: a label, `"class 281"`, `"unit 3"` of several linear
            units, `"output"` of one, or a description.
        parameters: The method's settings; values that JSON can hold. `"signed": True` marks maps
            in [-1, 1] also when none of their values is negative.
        predictions: `(batch, classes)` float32 model outputs, or None.
        labels: Class names in the order of the outputs, or None.
        layer: Address of the explained layer; a dict, by input name, when there are several.
        resolution: Spatial size of that layer, such as `(7, 7)`, None for a length that varies; a
            dict when there are several.
        layer_reason: Why this layer was chosen.
        coverage: What was rewritten, such as `"rewrote 17 of 17 ReLU"`.
        diagnosis: One text a sample: the cause of an empty, constant or NaN map and what to try;
            `""` when there is nothing to report.
        provenance: `kerasviz`, `keras` and `tensorflow` versions, `model` (its name), `created`
            (ISO time), `seed` where there is one.

    Raises:
        InputError: When fields disagree in length or structure, or hold what can't be saved.

    Example:
        >>> import numpy as np
        >>> explanation = Explanation(
        ...     method="Saliency",
        ...     maps=np.array([[[0.0, 1.0]]]),
        ...     peaks=np.array([0.2]),
        ...     inputs=np.zeros((1, 1, 2, 3)),
        ...     scores=np.array([3.1]),
        ...     score_kind="before softmax",
        ...     targets=np.array([1]),
        ...     target_names=("tabby cat",),
        ... )
        >>> explanation
        Explanation(Saliency, 1 map of 1×2)
    """

    method: str
    maps: Arrays
    peaks: Arrays
    inputs: Arrays
    scores: np.ndarray
    score_kind: str
    targets: np.ndarray | None
    target_names: tuple[str, ...]
    parameters: dict[str, Any] = field(default_factory=dict)
    predictions: np.ndarray | None = None
    labels: tuple[str, ...] | None = None
    layer: str | dict[str, str] | None = None
    resolution: Sizes | dict[str, Sizes] | None = None
    layer_reason: str = ""
    coverage: str = ""
    diagnosis: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ARRAY_FIELDS:
            self._set(name, _as_arrays(getattr(self, name), _dtype_of(name)))
        _check_structure(self)
        self._set("target_names", _as_names(self.target_names, "target_names"))
        self._set("labels", None if self.labels is None else _as_names(self.labels, "labels"))
        self._set("diagnosis", _as_names(self.diagnosis, "diagnosis") or ("",) * len(self))
        self._set("layer", _plain(self.layer, "layer"))
        self._set("resolution", _as_sizes(self.resolution))
        self._set("parameters", _plain(self.parameters, "parameters"))
        self._set("provenance", _plain(self.provenance, "provenance"))
        _check_lengths(self)
        _check_labels(self)

    def __len__(self) -> int:
        return len(_first(self.maps))

    def __getitem__(self, index: int | slice) -> Explanation:
        """The explanation of one sample, or of a slice of samples, as an `Explanation`."""
        part = index if isinstance(index, slice) else _one_sample(index, len(self))
        chosen = {name: _part(getattr(self, name), part) for name in ("maps", "peaks", "inputs")}
        chosen |= {name: _part(getattr(self, name), part) for name in PER_SAMPLE_FIELDS}
        return replace(self, **chosen)

    def __repr__(self) -> str:
        parts = [self.method, _describe_maps(self.maps), _describe_layer(self)]
        parts.append(_describe_diagnosis(self.diagnosis))
        return f"Explanation({', '.join(part for part in parts if part)})"

    def top(self, k: int = 5) -> list[list[tuple[str, float]]]:
        """The strongest outputs of each sample, strongest first.

        Args:
            k: How many, at least 1; fewer come back when the model has fewer outputs.

        Returns:
            For each sample a list of `(name, output)`; the outputs are as the model gave them
            (probabilities when it ends in a softmax). The lists are empty without `predictions`.
        """
        if k < 1:
            raise InputError(f"`k` must be at least 1. Received: {k}. Use the default, 5.")
        if self.predictions is None:
            return [[] for _ in range(len(self))]
        return [self._strongest(outputs, k) for outputs in self.predictions]

    def plot(self, images: Any = None, *, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draw every sample: the input, its strongest outputs, and its map over it.

        Args:
            images: Pictures to show instead of the preprocessed inputs, one a sample (a dict of
                those for a model with several inputs).
            path: Also save the figure there, as PNG.

        Returns:
            A matplotlib `Figure`, not shown. `kerasviz.plots.grid` has more settings.
        """
        from kerasviz import plots

        figure = plots.plot_explanation(self, images)
        if path is not None:
            picture = plots.to_png(figure)
            write_atomically(path, lambda file: file.write(picture))
        return figure

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Save everything in one `.npz` file, without pickle; replaces the file in one step.

        Args:
            path: Where to; used as given, missing folders are made.

        Returns:
            The path.

        Raises:
            OutputError: When the file can't be written. A file that was there is left as it was.
        """
        members: dict[str, Any] = dict(_members(self))
        return write_atomically(path, lambda file: np.savez_compressed(file, **members))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Explanation:
        """Load what `save` wrote.

        Raises:
            InputError: When the file is missing, damaged, or not a saved explanation.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                members = {name: file[name] for name in file.files}
            return cls(**_fields_from(members))
        except FileNotFoundError as error:
            raise InputError(
                f"`path` must be a file written by `Explanation.save`. Received: {str(path)!r}, "
                "which does not exist. Check the folder and the name."
            ) from error
        except UNREADABLE as error:
            raise InputError(
                f"`path` must be a file written by `Explanation.save`. Received: {str(path)!r}, "
                f"which can't be read as one ({type(error).__name__}: {error}). "
                "It may be damaged or of another kind; save the explanation again."
            ) from error

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _strongest(self, outputs: np.ndarray, k: int) -> list[tuple[str, float]]:
        order = np.argsort(-outputs, kind="stable")[:k]
        return [(self._class_name(int(index)), float(outputs[index])) for index in order]

    def _class_name(self, index: int) -> str:
        if not self.labels:
            return self._unnamed(index)
        return self.labels[-1 if self._is_binary() else index]

    def _unnamed(self, index: int) -> str:
        if self.score_kind != "output as it is":
            return f"class {1 if self._is_binary() else index}"
        return "output" if self._is_binary() else f"unit {index}"

    def _is_binary(self) -> bool:
        return self.predictions is not None and self.predictions.shape[1] == 1


UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def _first(arrays: Arrays) -> np.ndarray:
    return next(iter(arrays.values())) if isinstance(arrays, dict) else arrays


def _named(arrays: Arrays | None, name: str) -> dict[str, np.ndarray]:
    """Arrays of a field by the words an error message would use for them."""
    if arrays is None:
        return {}
    if isinstance(arrays, dict):
        return {f"{name}[{key!r}]": array for key, array in arrays.items()}
    return {name: arrays}


def _dtype_of(name: str) -> type | None:
    return {"inputs": None, "targets": np.int64}.get(name, np.float32)


def _as_arrays(value: Any, dtype: type | None) -> Any:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {str(name): _as_array(array, dtype) for name, array in value.items()}
    return _as_array(value, dtype)


def _as_array(value: Any, dtype: type | None) -> np.ndarray:
    array = np.asarray(value) if dtype is None else np.asarray(value, dtype=dtype)
    if array.dtype.kind in "biufcUS":
        return array
    return _as_standard_floats(array)


def _as_standard_floats(array: np.ndarray) -> np.ndarray:
    """float32 of a type that `.npz` files don't know, such as bfloat16."""
    try:
        return array.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(
            "`inputs` must be arrays of numbers or text. "
            f"Received: dtype {array.dtype}. Convert them with `numpy.asarray(inputs, 'float32')`."
        ) from error


def _as_names(value: Any, name: str) -> tuple[str, ...]:
    if isinstance(value, str):
        raise InputError(
            f"`{name}` must be a sequence of texts. Received: the text {value!r}. "
            f"Use ({value!r},) for one."
        )
    return tuple(str(text) for text in value)


def _as_sizes(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {str(name): _as_sizes(size) for name, size in value.items()}
    return tuple(None if size is None else int(size) for size in value)


def _plain(value: Any, name: str) -> Any:
    """The value as JSON gives it back, so that a loaded explanation equals the saved one."""
    try:
        return json.loads(json.dumps(value, default=_to_json))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"`{name}` must hold only what JSON can hold: texts, numbers, lists, dicts, None. "
            f"Received: {value!r} ({error}). Describe such a value by a text."
        ) from error


def _to_json(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} is not JSON-able")


def _check_structure(explanation: Explanation) -> None:
    """Maps, peaks and inputs are all arrays, or all dicts with the same input names."""
    maps = explanation.maps
    if isinstance(maps, dict) and not maps:
        raise InputError(
            "`maps` must hold at least one input. Received: {}. Give one map an input."
        )
    for name in ("peaks", "inputs"):
        _check_same_structure(maps, getattr(explanation, name), name)
    for name, array in _named(maps, "maps").items():
        _check_has_batch(name, array)


def _check_same_structure(maps: Arrays, other: Arrays, name: str) -> None:
    if isinstance(maps, dict) != isinstance(other, dict):
        raise InputError(
            f"`{name}` must have the structure of `maps`: {type(maps).__name__}. "
            f"Received: {type(other).__name__}. Use dicts by input name for several inputs."
        )
    missing = [key for key in maps if key not in other] if isinstance(maps, dict) else []
    if missing:
        raise InputError(
            f"`{name}` must have an entry for each of `maps`: {list(maps)}. "
            f"Received: {list(other)}. Add {missing}."
        )


def _check_has_batch(name: str, array: np.ndarray) -> None:
    if array.ndim == 0:
        raise InputError(
            f"`{name}` must have the shape (batch, *spatial). Received: one number. "
            "Add the batch axis."
        )


def _check_lengths(explanation: Explanation) -> None:
    batch = len(explanation)
    for name, length in _lengths(explanation).items():
        if length != batch:
            raise InputError(
                f"`{name}` must have one entry a map: {batch}. Received: {length}. "
                "Slice an explanation with `explanation[first:last]` to keep its fields together."
            )


def _lengths(explanation: Explanation) -> dict[str, int]:
    arrays: dict[str, np.ndarray] = {}
    for name in ARRAY_FIELDS:
        arrays |= _named(getattr(explanation, name), name)
    lengths = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    lengths["target_names"] = len(explanation.target_names)
    return lengths | {"diagnosis": len(explanation.diagnosis)}


def _check_labels(explanation: Explanation) -> None:
    predictions, labels = explanation.predictions, explanation.labels
    if predictions is None:
        return
    if predictions.ndim != 2:
        raise InputError(
            "`predictions` must have the shape (batch, classes). "
            f"Received: {predictions.shape}. Give None where the outputs are not classes."
        )
    classes = predictions.shape[1]
    allowed = (1, 2) if classes == 1 else (classes,)
    if labels is not None and len(labels) not in allowed:
        raise InputError(
            f"`labels` must name each of the {classes} outputs. Received: {len(labels)} names. "
            "Give one name an output, in the order of the outputs, or None."
        )


def _one_sample(index: int, batch: int) -> slice:
    position = index + batch if index < 0 else index
    if not 0 <= position < batch:
        raise IndexError(
            f"`index` must be in [{-batch}, {batch - 1}]. Received: {index}. "
            "`len(explanation)` is the number of samples."
        )
    return slice(position, position + 1)


def _part(value: Any, part: slice) -> Any:
    if value is None:
        return None
    if isinstance(value, dict):
        return {name: array[part] for name, array in value.items()}
    return value[part]


def _describe_maps(maps: Arrays) -> str:
    count = len(_first(maps))
    sizes = [_size(array.shape[1:]) for array in _named(maps, "maps").values()]
    return f"{count} {'map' if count == 1 else 'maps'} of {' and '.join(sizes)}"


def _size(shape: Sizes) -> str:
    lengths = ("?" if length is None else str(length) for length in shape)
    return "×".join(lengths) or "one number"


def _describe_layer(explanation: Explanation) -> str:
    layer, resolution = explanation.layer, explanation.resolution
    if layer is None:
        return ""
    layers = layer if isinstance(layer, dict) else {"": layer}
    sizes = resolution if isinstance(resolution, dict) else dict.fromkeys(layers, resolution)
    parts = [_layer_and_size(found, sizes.get(name)) for name, found in layers.items() if found]
    return "layer " + ", ".join(parts) if parts else ""


def _layer_and_size(address: str, size: Sizes | None) -> str:
    return f"{address!r} {_size(size)}" if size else repr(address)


def _describe_diagnosis(diagnosis: tuple[str, ...]) -> str:
    """The diagnosis that most samples share, and how many samples have one."""
    found = Counter(text for text in diagnosis if text)
    if not found:
        return ""
    text = found.most_common(1)[0][0]
    shown = text if len(text) <= 80 else text[:79].rstrip() + "…"
    return f"diagnosis for {found.total()} of {len(diagnosis)}: {shown}"


def _members(explanation: Explanation) -> dict[str, np.ndarray]:
    """Arrays as members `maps` or `maps.0`, `maps.1` …, everything else as one JSON text."""
    members: dict[str, np.ndarray] = {}
    header: dict[str, Any] = {"format": FORMAT, "version": VERSION, "structure": {}}
    for item in fields(explanation):
        value = getattr(explanation, item.name)
        if item.name not in ARRAY_FIELDS:
            header[item.name] = value
        elif isinstance(value, dict):
            header["structure"][item.name] = list(value)
            members |= {f"{item.name}.{i}": array for i, array in enumerate(value.values())}
        elif value is not None:
            members[item.name] = value
    return members | {"explanation": np.array(json.dumps(header))}


def _fields_from(members: dict[str, np.ndarray]) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(members["explanation"].item())
    if header.pop("format") != FORMAT or header.pop("version") > VERSION:
        raise ValueError("written by a newer kerasviz, or by something else")
    structure = header.pop("structure")
    for field_name in ARRAY_FIELDS:
        header[field_name] = members.get(field_name)
    for field_name, keys in structure.items():
        header[field_name] = {key: members[f"{field_name}.{i}"] for i, key in enumerate(keys)}
    return header
