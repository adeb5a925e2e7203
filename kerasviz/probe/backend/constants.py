"""Numbers in a graph that do not depend on its inputs, such as the corner of a crop."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

LARGEST = 4_000_000
_ARITHMETIC: Mapping[str, Callable[..., Any]] = {
    "AddV2": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "RealDiv": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
}


def value(tensor: Any) -> np.ndarray | None:
    """The value of a tensor, None where it depends on something that is not known yet."""
    found = tf.get_static_value(tensor)
    if found is not None:
        return np.asarray(found)
    op = tensor.op
    if op.type not in ("Identity", "Cast", *_ARITHMETIC):
        return None
    parts = [value(part) for part in op.inputs]
    if any(part is None for part in parts):
        return None
    result = _ARITHMETIC[op.type](*parts) if op.type in _ARITHMETIC else parts[0]
    return np.asarray(result).astype(tensor.dtype.as_numpy_dtype)


def elements(vector: Any) -> list[int | None] | None:
    """The entries of a vector of whole numbers, None for each that is not known."""
    known = value(vector)
    if known is not None:
        return [int(number) for number in known.ravel()]
    if vector.op.type != "Pack":
        return None
    parts = [value(part) for part in vector.op.inputs]
    return [None if part is None else int(part) for part in parts]


def computed(tensor: Any) -> np.ndarray | None:
    """The same for tensors of any size that any operations make of constants.

    None where the tensor depends on inputs, weights or chance.
    """
    return _computed(tensor, {})


def _computed(tensor: Any, known: dict[int, list[Any] | None]) -> np.ndarray | None:
    found = tf.get_static_value(tensor)
    if found is not None:
        return np.asarray(found)
    op = tensor.op
    if id(op) not in known:
        known[id(op)] = _results(op, known)
    results = known[id(op)]
    return None if results is None else results[tensor.value_index]


def _results(op: Any, known: dict[int, list[Any] | None]) -> list[Any] | None:
    """What an op gives, computed now; None where that needs more than constants."""
    is_small = all((x.shape.num_elements() or 0) <= LARGEST for x in op.outputs)
    if op.op_def.is_stateful or not len(op.inputs) or not is_small:
        return None
    arrays = []
    for part in op.inputs:
        arrays.append(_computed(part, known))
        if arrays[-1] is None:
            return None
    compute = getattr(tf.raw_ops, op.type, None)
    if compute is None:
        return None
    with tf.init_scope():
        results = compute(**_arguments(op, compute, iter(arrays)))
    several = results if isinstance(results, (list, tuple)) else [results]
    return [result.numpy() for result in several]


def _arguments(op: Any, compute: Callable[..., Any], arrays: Iterator[Any]) -> dict[str, Any]:
    """The inputs and the settings of an op, by the names that `compute` gives them."""
    given: dict[str, Any] = {}
    inferred: set[str] = set()
    for argument in op.op_def.input_arg:
        listed = argument.number_attr or argument.type_list_attr
        inferred |= {argument.type_attr, argument.number_attr, argument.type_list_attr}
        count = op.get_attr(listed) if argument.number_attr else 1
        given[argument.name] = [next(arrays) for _ in range(count)] if listed else next(arrays)
    settings = [one.name for one in op.op_def.attr if one.name not in inferred]
    given |= {name: op.get_attr(name) for name in settings if name not in given}
    names = [name for name in inspect.signature(compute).parameters if name != "name"]
    # A few, such as ExpandDims and Sum, go by other names in Python, in the same order.
    strange, free = ([n for n in a if n not in b] for a, b in ((given, names), (names, given)))
    renamed = dict(zip(strange, free, strict=False))
    called = {renamed.get(name, name): found for name, found in given.items()}
    return {name: found for name, found in called.items() if name in names}
