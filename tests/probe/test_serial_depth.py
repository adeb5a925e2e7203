"""Layers one after the other, counted on every kind of model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from kerasviz.probe.gates import gates_and_paths

layers: Any = keras.layers


def serial_depths(model: Any, groups: Any) -> list[int | None]:
    found = gates_and_paths(model)
    return [None if found is None else found[1].depth(group) for group in groups]


def test_branches_count_once_and_calls_each_time() -> None:
    dense = [layers.Dense(4) for _ in range(5)]
    shared = layers.Dense(4)
    x = keras.Input((4,))
    left = dense[1](dense[0](x))
    right = shared(shared(shared(dense[2](x))))
    model = keras.Model(x, dense[3](layers.Add()([left, right])))
    assert serial_depths(model, [dense[:4], dense[:3], [shared], [dense[2], shared]]) == [
        3,
        2,
        3,
        4,
    ]
    assert serial_depths(model, [[dense[4]]]) == [None]


def test_a_layer_with_two_outputs_counts_once() -> None:
    class Both(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            weighted = inputs[1] * 0.5
            return inputs[0] + weighted, weighted

    both = [Both(), Both()]
    pair = [keras.Input((4,)), keras.Input((4,))]
    model = keras.Model(pair, layers.Add()(both[1](both[0](pair))))
    assert serial_depths(model, [both]) == [2]


class Stack(keras.Model):  # type: ignore[misc]
    """A subclassed model with layers in a list."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.stack = [layers.Dense(3) for _ in range(count)]

    def call(self, x: Any) -> Any:
        for dense in self.stack:
            x = dense(x) + x
        return x


def test_subclassed_and_nested_models() -> None:
    stack = Stack(4)
    assert serial_depths(keras.Sequential([keras.Input((3,)), stack]), [stack.stack]) == [4]
    alone = Stack(2)
    alone(np.ones((1, 3)))
    assert serial_depths(alone, [alone.stack]) == [2]


def test_a_loop_hides_its_layers() -> None:
    dense = layers.Dense(3)
    cell = layers.TimeDistributed(dense)
    model = keras.Sequential([keras.Input((5, 3)), cell])
    assert serial_depths(model, [[cell]]) == [1]
    assert serial_depths(model, [[dense]]) == [None]


def test_a_model_that_cannot_run_raises_its_own_error() -> None:
    class Broken(keras.layers.Layer):  # type: ignore[misc]
        broken = False

        def call(self, x: Any) -> Any:
            if self.broken:
                raise RuntimeError("no")
            return x

    dense, broken = layers.Dense(3), Broken()
    model = keras.Sequential([keras.Input((3,)), dense, broken])
    assert serial_depths(model, [[dense]]) == [1]
    broken.broken = True
    with pytest.raises(RuntimeError, match="no"):
        serial_depths(model, [[dense]])
