"""The weights that training changes, by address."""

from __future__ import annotations

from typing import Any

import keras

from kerasviz.probe.held_weights import held_weights


def trainable_weights(model: keras.Model) -> dict[str, Any]:
    """Every trainable variable, each once, by its first address "layer/address/variable_name".

    Factors of LoRA, which are no weights of their own, are called by their Keras path.

    Args:
        model: Any built Keras 3 model; not altered.
    """
    known = {id(held.variable): held.addresses[0] for held in held_weights(model)}
    return {known.get(id(v), str(v.path)): v for v in model.trainable_weights}
