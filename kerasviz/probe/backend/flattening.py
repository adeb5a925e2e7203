"""What a flat tensor was before it was flattened."""

from __future__ import annotations

import math
from typing import Any

from kerasviz.probe.backend import pointwise

KEEPS = {*pointwise.MEANING, "BiasAdd", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Rsqrt"}
RANK = 2


def flattened(tensor: Any) -> Any:
    """What was flattened into a tensor (batch, units): (batch, …) of known sizes.

    What acts element by element on the way (activations, dropout, normalization) is passed.

    Args:
        tensor: A tensor of the open graph.

    Returns:
        None where it was not flattened, or a size is open.
    """
    seen: set[int] = set()
    waiting = [tensor]
    while waiting:
        current = waiting.pop()
        if id(current) in seen or current.shape.rank != RANK:
            continue
        seen.add(id(current))
        op, width = current.op, current.shape[-1]
        if op.type == "Reshape" and (op.inputs[0].shape.rank or 0) > RANK:
            sizes = op.inputs[0].shape.as_list()[1:]
            fits = None not in sizes and math.prod(sizes) == width
            return op.inputs[0] if fits else None
        if op.type in KEEPS or op.type == "Reshape":
            waiting += [x for x in op.inputs if x.shape.rank == RANK and x.shape[-1] == width]
    return None
