"""Every weight that a model holds: where, in which layer, with which values."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras
import numpy as np

from kerasviz.errors import MethodError
from kerasviz.probe import containment


@dataclasses.dataclass(frozen=True, eq=False)
class HeldWeight:
    """A weight, and the layer that holds it directly.

    Attributes:
        addresses: Where it is held: "layer/address/variable_name", once per place.
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
        layer, variable = self.layer, self.variable
        if getattr(layer, "quantization_mode", None) and not _is_float(variable):
            raise MethodError(
                "Expected weights as floating-point numbers. Received: "
                f"'{self.addresses[0]}', quantized to {layer.quantization_mode}. "
                "Look at the model as it was before `quantize`."
            )
        array = keras.ops.convert_to_numpy(_effective(layer, variable)).reshape(-1)
        return np.asarray(array.astype(self.value_dtype, copy=False))


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
        for variable in _own(layer):
            name = f"{address}/{variable.name}".lstrip("/")
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
