"""Addresses: what names a call site, and what is said when nothing does."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import kerasviz as kv
from kerasviz.errors import AddressError, InputError
from kerasviz.probe import containment
from tests.conftest import build
from tests.models import KINDS, Case


@pytest.mark.parametrize("case", KINDS, indirect=True)
def test_the_table_lists_every_call_site(case: Case) -> None:
    table = kv.layers(case.model)
    assert table.index.is_unique
    assert {case.layer, *case.more_layers} <= set(table.index)
    called = table[table["calls"] > 0]
    single = [a for a in called.index if isinstance(called.output_shape[a], tuple)]
    tapped = kv.activations(case.model, case.inputs, single[:3])
    for address, array in tapped.items():
        assert array.shape[1:] == tuple(
            got if want is None else want
            for want, got in zip(table.output_shape[address][1:], array.shape[1:], strict=True)
        )


def test_the_table_counts_parameters_and_calls() -> None:
    case = build("subclassed_repeated")
    table = kv.layers(case.model)
    conv = case.model.get_layer("conv")
    assert list(table.loc[["conv", "conv@2", "conv@3"], "calls"]) == [3, 3, 3]
    assert table.loc["conv", "parameters"] == conv.count_params()
    assert table.loc["conv", "type"] == "Conv2D"


def test_layers_that_are_held_but_not_called_are_listed_last() -> None:
    class Unused(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.used = layers.Dense(2, name="used")
            self.spare = layers.Dense(2, name="spare")

        def call(self, inputs: object) -> object:
            return self.used(inputs)

    model = Unused()
    model(np.ones((1, 3)))
    table = kv.layers(model)
    assert list(table.index) == ["used", "spare"]
    assert list(table["calls"]) == [1, 0]


def test_siblings_of_one_name_are_told_apart() -> None:
    class Twins(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.one = layers.Dense(3, name="dense")
            self.two = layers.Dense(2, name="dense")

        def call(self, inputs: object) -> object:
            return self.two(self.one(inputs))

    model = Twins()
    x = np.ones((1, 4), "float32")
    expected = model(x)
    found = kv.activations(model, x, ["dense", "dense~2"])
    assert found["dense"].shape == (1, 3)
    np.testing.assert_allclose(found["dense~2"], expected)


def test_a_layer_by_address_object_and_index_is_the_same() -> None:
    case = build("functional")
    layer = case.model.get_layer("conv_2")
    index = case.model.layers.index(layer)
    maps = [kv.GradCAM(case.model, layer=a)(case.inputs) for a in ("conv_2", layer, index)]
    np.testing.assert_array_equal(maps[0], maps[1])
    np.testing.assert_array_equal(maps[0], maps[2])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("conv_22", "Closest: 'conv_2'"),
        ("encoder/conv_2", "Closest: 'conv_2'"),
        ("conv_2@2", "Closest: 'conv_2'"),
        (99, "Received: 99"),
        (1.5, "Received: 1.5"),
        (True, "Received: True"),
        (layers.Dense(1, name="stranger"), "Received: 'stranger'"),
        ("head", "an earlier layer"),
    ],
)
def test_a_layer_that_is_not_there(layer: object, message: str) -> None:
    case = build("functional")
    with pytest.raises(AddressError, match=message):
        kv.GradCAM(case.model, layer=layer)(case.inputs)


def test_a_layer_that_is_held_twice_needs_its_address() -> None:
    shared = layers.Conv2D(3, 3, padding="same", name="shared")

    def part(name: str) -> keras.Model:
        image = keras.Input((6, 6, 3))
        return keras.Model(image, layers.ReLU()(shared(image)), name=name)

    image = keras.Input((6, 6, 3))
    x = part("second")(part("first")(image))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    with pytest.raises(AddressError, match="'first/shared', 'second/shared'"):
        kv.GradCAM(model, layer=shared)
    assert kv.GradCAM(model, layer="second/shared")(np.ones((1, 6, 6, 3))).shape == (1, 6, 6)


def test_the_inner_layer_of_a_wrapper_is_explained() -> None:
    case = build("time_distributed")
    with pytest.raises(AddressError, match="use the wrapper's address"):
        kv.GradCAM(case.model, layer="steps_2/conv_2")(case.inputs)


def test_unbuilt_models_and_other_things_are_refused() -> None:
    with pytest.raises(InputError, match="never seen an input"):
        kv.GradCAM(keras.Sequential([layers.Dense(2)]))
    with pytest.raises(InputError, match=r"must be a keras\.Model"):
        kv.layers("model.keras")


def test_the_private_child_list_of_keras_is_where_it_was() -> None:
    class Holder(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layers.Dense(2, name="inner")
            self.more = [layers.Dense(3, name="first")]

    names = [child.name for child in containment.children(Holder())]
    assert names == ["inner", "first"]


def test_what_runs_inside_a_loop_is_refused() -> None:
    case = build("recurrent")
    with pytest.raises(AddressError, match="inside a loop"):
        kv.activations(case.model, case.inputs, ["lstm/lstm_cell"])
