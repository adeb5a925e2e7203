"""Every weight that a model holds: where, in which layer, with which values."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras
import numpy as np

from kerasviz.errors import MethodError
from kerasviz.probe import containment
from kerasviz.probe.backend import buffers


@dataclasses.dataclass(frozen=True, eq=False)
class HeldWeight:
    """A weight, and the layer that holds it directly.

    Attributes:
        addresses: Where it is held: "layer/address/variable_name", once per place; a second
            variable of the layer with that name is "variable_name~2".
        layer: The layer that made it.
        variable: The Keras variable.
        holders: Every layer that holds it, the model and `layer` itself among them.
    """

    addresses: tuple[str, ...]
    layer: keras.Layer
    variable: Any
    holders: tuple[Any, ...] = ()

    @property
    def role(self) -> str:
        """The variable's own name: "kernel", "bias", "gamma"."""
        return str(self.variable.name)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.variable.shape)

    @property
    def value_dtype(self) -> str:
        """Dtype of `values`: float64 for variables of float64 and of whole numbers."""
        dtype = keras.backend.standardize_dtype(self.variable.dtype)
        return "float32" if "float" in dtype and dtype != "float64" else "float64"

    def values(self) -> np.ndarray:
        """The flat values that the layer computes with, of floating dtype.

        Half precision is widened to float32; where LoRA is enabled, its product is added.

        Raises:
            MethodError: The layer is quantized, so that its numbers are codes, not weights.
        """
        array = keras.ops.convert_to_numpy(self._effective()).reshape(-1)
        return np.asarray(array.astype(self.value_dtype, copy=False))

    def view(self) -> np.ndarray:
        """The values in the shape of the weight, not copied where that can be.

        Read-only. Whole numbers, bfloat16 and what LoRA adds to are a copy, as `values` gives it;
        half precision stays as it is.

        Raises:
            MethodError: As `values`.
        """
        found = buffers.view(keras.ops.convert_to_tensor(self._effective()))
        if found is None or found.dtype.kind != "f":
            return self.values().reshape(tuple(self.variable.shape))
        return found

    def _effective(self) -> Any:
        layer, variable = self.layer, self.variable
        if getattr(layer, "quantization_mode", None) and not _is_float(variable):
            raise MethodError(
                "Expected weights as floating-point numbers. Received: "
                f"'{self.addresses[0]}', quantized to {layer.quantization_mode}. "
                "Look at the model as it was before `quantize`."
            )
        return _effective(layer, variable)


def held_weights(model: keras.Model) -> list[HeldWeight]:
    """Every weight below `model`, each once, in the order in which layers are held.

    A layer that is held in several places counts once and has several addresses. The low-rank
    factors of LoRA are part of the kernel that they add to, not weights of their own.

    Args:
        model: Any Keras 3 model; not altered.
    """
    found: dict[int, HeldWeight] = {}
    holders: dict[int, list[Any]] = {}
    for layer in containment.all_layers(model):
        for variable in layer.weights:
            holders.setdefault(id(variable), []).append(layer)
    for address, layer in [("", model), *containment.walk(model)]:
        taken: dict[str, int] = {}
        for variable in _own(layer):
            taken[variable.name] = taken.get(variable.name, 0) + 1
            own = containment.sibling_name(variable.name, taken[variable.name])
            name = f"{address}/{own}".lstrip("/")
            around = tuple(holders.get(id(variable), ()))
            known = found.get(id(variable), HeldWeight((), layer, variable, around))
            found[id(variable)] = dataclasses.replace(known, addresses=(*known.addresses, name))
    return list(found.values())


def _own(layer: Any) -> list[Any]:
    """The weights of a layer that none of its children holds."""
    if not isinstance(layer, keras.Layer):
        return []
    below = {
        id(weight)
        for child in containment.children(layer)
        if isinstance(child, keras.Layer)
        for weight in child.weights
    }
    lora = getattr(layer, "lora_enabled", False)
    return [
        weight
        for weight in layer.weights
        if id(weight) not in below and not (lora and weight.name.startswith("lora_"))
    ]


def _effective(layer: Any, variable: Any) -> Any:
    if getattr(layer, "lora_enabled", False):
        for name in ("kernel", "embeddings"):
            if getattr(layer, f"_{name}", None) is variable:
                return getattr(layer, name)
    return variable


def _is_float(variable: Any) -> bool:
    return "float" in keras.backend.standardize_dtype(variable.dtype)
