"""Sizes and structures that a model leaves open: tried, and refused by one clear error."""

from __future__ import annotations

import collections
from typing import Any

import keras
import numpy as np
import pytest

import kerasviz as kv
from kerasviz.errors import AddressError, InputError, MethodError

pytestmark = pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning")
layers = keras.layers
RANDOM = np.random.default_rng(0)


def images(*sizes: int) -> np.ndarray:
    return RANDOM.normal(size=sizes).astype("float32")


class Convolutional(keras.Model):
    """Takes pictures of any size, or of one where it is flattened."""

    def __init__(self, pooled: bool = True) -> None:
        super().__init__()
        self.convolution = layers.Conv2D(4, 5, activation="relu")
        self.pooling = layers.GlobalAveragePooling2D() if pooled else layers.Flatten()
        self.head = layers.Dense(3)

    def call(self, inputs: Any) -> Any:
        return self.head(self.pooling(self.convolution(inputs)))


def built(pooled: bool = True) -> keras.Model:
    model = Convolutional(pooled)
    model(images(2, 8, 8, 3))
    return model


@pytest.mark.parametrize("sizes", [(8, 8), (12, 9), (5, 5)])
def test_a_called_model_takes_the_sizes_that_it_can(sizes: tuple[int, int]) -> None:
    model, pictures = built(), images(2, *sizes, 3)
    why = kv.Saliency(model).explain(pictures, target=1)
    np.testing.assert_allclose(why.scores, model(pictures)[:, 1], atol=1e-6)
    assert why.maps.shape == (2, *sizes)


@pytest.mark.parametrize(
    ("pooled", "shape", "message"),
    [
        (False, (2, 9, 9, 3), r"such as \(batch, 8, 8, 3\).*\(batch, 9, 9, 3\) float32, on which"),
        (True, (2, 4, 8, 3), r"\(batch, 4, 8, 3\) float32, on which it raised ValueError: "),
        (True, (2, 8, 8, 1), r"\(batch, 8, 8, 1\) float32, on which it raised ValueError: "),
        (True, (8, 8, 3), "Add the batch axis"),
        (True, (2, 8), r"must have the shape \(batch, 8, 8, 3\)"),
    ],
)
def test_a_called_model_refuses_the_others(pooled: bool, shape: Any, message: str) -> None:
    model = built(pooled)
    for method in (kv.Saliency, kv.GradCAM):
        with pytest.raises(InputError, match=message):
            method(model)(images(*shape), target=1)
    with pytest.raises(InputError, match=message):
        kv.activations(model, images(*shape))


def test_pictures_below_the_size_of_the_convolutions() -> None:
    pictures = keras.Input((None, None, 3))
    model = keras.Model(pictures, Convolutional().call(pictures))
    explainer = kv.GradCAM(model, target=1)
    for run in (explainer, explainer.explain, lambda x: explainer.predict(x, verbose=0)):
        with pytest.raises(InputError, match=r"\(batch, 4, 6, 3\) float32, on which it raised"):
            run(images(2, 4, 6, 3))
    with pytest.raises(InputError, match="no axis of size 0"):
        explainer(images(2, 0, 6, 3))
    assert explainer(images(2, 6, 7, 3)).shape == (2, 6, 7)


def test_an_error_on_what_the_model_declares_is_its_own() -> None:
    class Broken(layers.Layer):
        def call(self, inputs: Any) -> Any:
            if self.built_once:
                raise ZeroDivisionError("mine")
            return inputs

        built_once = False

    layer = Broken()
    model = keras.Sequential([keras.Input((3,)), layer, layers.Dense(2)])
    layer.built_once = True
    with pytest.raises(ZeroDivisionError, match="mine"):
        kv.Saliency(model)(images(2, 3))


def test_booleans_are_taken_as_numbers_where_numbers_are_declared() -> None:
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    mask = np.array([[True, False, True]])
    explainer = kv.Saliency(model, target=0)
    np.testing.assert_array_equal(explainer(mask), explainer(mask.astype("float32")))


# ------------------------------------------------------------------------- inputs by another name


class Named(Convolutional):
    """Has attributes of the names that Keras uses for the inputs of functional models."""

    def __init__(self, kept: Any) -> None:
        super().__init__()
        self.inputs = kept
        self.input_names = kept


class Property(Convolutional):
    """Has properties of those names, one of which fails."""

    @property
    def inputs(self) -> Any:
        raise RuntimeError("not yet")

    @property
    def input(self) -> Any:
        return "nothing"


@pytest.mark.parametrize(
    "make", [lambda: Named([1, 2]), lambda: Named(keras.Input((3,))), lambda: Property()]
)
def test_attributes_called_inputs_say_nothing(make: Any) -> None:
    model, pictures = make(), images(2, 8, 8, 3)
    model(pictures)
    why = kv.Saliency(model).explain(pictures, target=1)
    np.testing.assert_allclose(why.scores, model(pictures)[:, 1], atol=1e-6)
    assert len(kv.layers(model)) == 3


# -------------------------------------------------------------------------------- optional inputs


class Adding(layers.Layer):
    """The sum of two rows, the second of which may be missing."""

    def call(self, one: Any, two: Any = None) -> Any:
        return one * 2.0 if two is None else one * 2.0 + two * 3.0


OPTIONAL = {
    "dict": lambda one, two: {"one": one, "two": two},
    "list": lambda one, two: [one, two],
    "ordered dict": lambda one, two: collections.OrderedDict(two=two, one=one),
}


@pytest.mark.parametrize("form", OPTIONAL.values(), ids=OPTIONAL)
def test_an_optional_input_may_be_missing(form: Any) -> None:
    one = keras.Input((3,), name="one")
    two = keras.Input((3,), name="two", optional=True)
    added = Adding()(one, two)
    model = keras.Model(form(one, two), added)
    rows = images(4, 3)
    explainer = kv.Saliency(model, reduction=None, normalize=False, target=1)
    missing = explainer.explain(form(rows, None))
    assert set(missing.maps) == {"one"} == set(missing.inputs)
    np.testing.assert_allclose(missing.maps["one"], np.broadcast_to([0, 2, 0], (4, 3)))
    both = explainer(form(rows, rows))
    np.testing.assert_allclose(both["one"], missing.maps["one"])
    np.testing.assert_allclose(both["two"], 1.5 * missing.maps["one"])
    found = explainer.predict(form(rows, None), batch_size=3, verbose=0)
    assert set(found) == {"one"}
    np.testing.assert_allclose(found["one"], missing.maps["one"])
    by_name = explainer({"one": rows, "two": None})
    np.testing.assert_allclose(by_name["one"], missing.maps["one"])


def test_an_input_that_is_not_optional_may_not_be_missing() -> None:
    one, two = keras.Input((3,), name="one"), keras.Input((3,), name="two", optional=True)
    model = keras.Model([one, two], Adding()(one, two))
    with pytest.raises(InputError, match=r"must be arrays of real numbers.*NoneType"):
        kv.Saliency(model, target=1)([None, images(2, 3)])


# --------------------------------------------------------------------------------------- settings


def test_settings_of_the_wrong_kind() -> None:
    model = built()
    for name in (5, "a/b", ["x"]):
        for make in (kv.Saliency, kv.GradCAM, kv.Activations):
            with pytest.raises(MethodError, match="`name` must be"):
                make(model, name=name)
    for reduction in (["max"], "sum", 5):
        with pytest.raises(MethodError, match="`reduction` must be one of"):
            kv.Saliency(model, reduction=reduction)
    for layer in (1.5, True, ["convolution"]):
        with pytest.raises(AddressError, match="`layer` must be an address"):
            kv.Saliency(model, layer=layer)


@pytest.mark.parametrize("index", [np.int64(0), np.int32(0), np.uint8(0)])
def test_an_index_of_numpy_is_an_index(index: Any) -> None:
    model = built()
    assert kv.GradCAM(model, layer=index).address == kv.GradCAM(model, layer=0).address
    found = kv.activations(model, images(2, 8, 8, 3), [index])
    assert list(found) == [kv.GradCAM(model, layer=0).address]
    with pytest.raises(AddressError, match=r"index into `model.layers`"):
        kv.GradCAM(model, layer=index + np.int64(50))
