"""What a flat tensor was before it was flattened."""

from __future__ import annotations

from typing import Any

from kerasviz.probe.backend import pointwise

KEEPS = {*pointwise.MEANING, "BiasAdd", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Rsqrt"}
RANK = 2


def sizes_before(tensor: Any, channels_first: bool = False) -> tuple[int, ...] | None:
    """Sizes (*positions, channels) of what was flattened into a tensor (batch, units).

    What acts element by element on the way (activations, dropout, normalization) is passed.

    Args:
        tensor: A tensor of the open graph.
        channels_first: Whether the layers before have channels first.

    Returns:
        None where it was not flattened, a size is open, or where the order of the axes was another.
    """
    seen: set[int] = set()
    waiting = [tensor]
    while waiting:
        current = waiting.pop()
        if id(current) in seen or current.shape.rank != RANK:
            continue
        seen.add(id(current))
        op = current.op
        if op.type == "Reshape" and (op.inputs[0].shape.rank or 0) > RANK:
            return _sizes(op.inputs[0], current.shape[-1], channels_first)
        if op.type in KEEPS or op.type == "Reshape":
            width = current.shape[-1]
            waiting += [x for x in op.inputs if x.shape.rank == RANK and x.shape[-1] == width]
    return None


def _sizes(tensor: Any, width: int | None, channels_first: bool) -> tuple[int, ...] | None:
    found = tensor.shape.as_list()[1:]
    if None in found or (channels_first and tensor.op.type != "Transpose"):
        return None
    total = 1
    for size in found:
        total *= size
    return tuple(found) if total == width else None
