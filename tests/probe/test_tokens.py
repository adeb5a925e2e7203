"""Inputs that are ids or text: whatever dtype they come in, what can be explained is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasviz as kv
from kerasviz.errors import InputError, MethodError

pytestmark = pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning")
layers = keras.layers
IDS = np.random.default_rng(0).integers(1, 30, (3, 8))


def stack() -> list[keras.Layer]:
    return [
        layers.Embedding(30, 5, name="embedding"),
        layers.Conv1D(4, 3, padding="same", activation="relu", name="conv"),
        layers.GlobalMaxPooling1D(),
        layers.Dense(3, name="head"),
    ]


class Subclassed(keras.Model):
    """The same layers in a model that does not say what it takes."""

    def __init__(self, parts: list[keras.Layer]) -> None:
        super().__init__()
        self.parts = parts

    def call(self, inputs: Any) -> Any:
        for part in self.parts:
            inputs = part(inputs)
        return inputs


class LookUp(keras.Model):
    """Looks its ids up without a layer, which floats cannot do."""

    def __init__(self) -> None:
        super().__init__()
        self.table = self.add_weight(shape=(30, 5), name="table")
        self.named = layers.Activation("linear", name="embedding")
        self.head = layers.Dense(3, name="head")

    def call(self, inputs: Any) -> Any:
        return self.head(keras.ops.mean(self.named(tf.gather(self.table, inputs)), 1))


def token_model(kind: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    if kind == "sequential":
        model = keras.Sequential(stack())
    elif kind == "subclassed":
        model = Subclassed(stack())
    elif kind == "looked up":
        model = LookUp()
    else:
        ids = keras.Input((8,), dtype=kind)
        return keras.Model(ids, Subclassed(stack()).call(ids))
    model(IDS)
    return model


KINDS = ["int32", "float32", "sequential", "subclassed"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float32", "float64"])
def test_ids_of_any_dtype_give_the_gradient_of_the_embedding(kind: str, dtype: str) -> None:
    model = token_model(kind)
    address = next(a for a in kv.layers(model).index if a.endswith("embedding"))
    explainer = kv.Saliency(model, layer=address, reduction=None, normalize=False)
    embedding, *rest = (part for part in parts_of(model) if not isinstance(part, INPUT))
    vectors = embedding(IDS)
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        x = vectors
        for part in rest:
            x = part(x)
        score = x[:, 1]
    expected = tape.gradient(score, vectors)
    np.testing.assert_allclose(explainer(IDS.astype(dtype), target=1), expected, atol=1e-6)


INPUT = keras.layers.InputLayer


def parts_of(model: keras.Model) -> list[Any]:
    return list(model.parts) if isinstance(model, Subclassed) else list(model.layers)


@pytest.mark.parametrize("kind", [*KINDS, "looked up"])
@pytest.mark.parametrize("method", [kv.Saliency, kv.GuidedSaliency, kv.DeconvNet])
def test_ids_have_no_gradient_and_the_error_says_what_has(kind: str, method: Any) -> None:
    with pytest.raises(MethodError, match="Integer inputs have none: pass `layer=`"):
        method(token_model(kind))(IDS, target=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["int64", "float32"])
def test_grad_cam_is_over_the_ids(kind: str, dtype: str) -> None:
    cam = kv.GradCAM(token_model(kind), rectify=False)
    maps = cam(IDS.astype(dtype), target=1)
    assert maps.shape == IDS.shape
    assert cam.layer.endswith("conv")
    np.testing.assert_allclose(maps, cam(IDS, target=1), atol=1e-6)


@pytest.mark.parametrize("kind", ["sequential", "subclassed"])
def test_another_length_than_the_one_it_was_built_at(kind: str) -> None:
    model = token_model(kind)
    ids = np.tile(IDS, 2)[:, :11]
    why = kv.GradCAM(model).explain(ids, target=1)
    assert why.maps.shape == ids.shape
    np.testing.assert_allclose(why.scores, model(ids)[:, 1], atol=1e-6)


def test_the_layers_of_a_model_that_cannot_take_floats() -> None:
    model = token_model("looked up")
    assert list(kv.layers(model).index) == ["embedding", "head"]
    assert kv.Saliency(model, layer="embedding")(IDS, target=1).shape == IDS.shape
    with pytest.raises(InputError, match=r"'look_up.*float32, on which it raised TypeError"):
        kv.Saliency(model, layer="embedding")(IDS.astype("float32"), target=1)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (IDS + 0.5, r"whole numbers from -2147483648 to 2147483647.*Received: \d+.5 in sample 0"),
        (IDS * 1e12, "whole numbers"),
        (np.where(IDS[1, 2] == IDS, np.nan, IDS), r"whole numbers.*Received: nan"),
        (IDS + 1000, "values that the model can compute with"),
    ],
    ids=["fractions", "too large", "NaN", "not in the vocabulary"],
)
def test_ids_that_are_none(ids: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kv.GradCAM(token_model("int32"))(ids, target=1)


@pytest.mark.parametrize("values", [np.full((2, 4, 4, 3), 0.5), np.full((2, 4, 4, 3), -1.0)])
def test_pictures_of_bytes_are_not_rounded(values: Any) -> None:
    pictures = keras.Input((4, 4, 3), dtype="uint8")
    scaled = layers.Rescaling(1 / 255)(pictures)
    model = keras.Model(pictures, layers.Dense(2)(layers.GlobalAveragePooling2D()(scaled)))
    with pytest.raises(InputError, match=r"whole numbers from 0 to 255"):
        kv.Saliency(model)(values)


# ------------------------------------------------------------------------------------------- text

TEXTS = np.array([["a b"], ["c a b"], ["d"]])


def text_model(shape: tuple[int, ...]) -> keras.Model:
    keras.utils.set_random_seed(0)
    vectorization = layers.TextVectorization(output_sequence_length=8, vocabulary=list("abc"))
    text = keras.Input(shape, dtype="string")
    return keras.Model(text, Subclassed(stack()).call(vectorization(text)))


def subclassed_text_model() -> keras.Model:
    vectorization = layers.TextVectorization(output_sequence_length=8, vocabulary=list("abc"))
    model = Subclassed([vectorization, *stack()])
    model(tf.constant(TEXTS))
    return model


@pytest.mark.parametrize(
    "texts",
    [TEXTS, TEXTS.astype(object), TEXTS.astype("S"), tf.constant(TEXTS), TEXTS.tolist()],
    ids=["str", "object", "bytes", "tensor", "list"],
)
def test_models_of_text_are_explained_from_the_embedding_on(texts: Any) -> None:
    model = text_model((1,))
    expected = model(tf.constant(TEXTS))[:, 1]
    saliency = kv.Saliency(model, layer="embedding")
    why = saliency.explain(texts, target=1)
    np.testing.assert_allclose(why.scores, expected, atol=1e-6)
    assert why.maps.shape == (3, 8)
    assert why.maps.max() == 1
    cam = kv.GradCAM(model, rectify=False)
    assert cam(texts, target=1).shape == (3, 8)
    assert cam.layer.endswith("conv")
    assert kv.activations(model, texts, ["embedding"])["embedding"].shape == (3, 8, 5)
    np.testing.assert_allclose(saliency.predict(texts, batch_size=2, verbose=0), 0, atol=1)


@pytest.mark.parametrize("make", [lambda: text_model(()), subclassed_text_model])
def test_text_without_an_axis_of_its_own_and_in_a_subclassed_model(make: Any) -> None:
    model, texts = make(), TEXTS
    texts = TEXTS[:, 0] if isinstance(model, keras.Function) else TEXTS
    why = kv.GradCAM(model, rectify=False).explain(texts, target=1)
    np.testing.assert_allclose(why.scores, model(tf.constant(texts))[:, 1], atol=1e-6)
    assert why.maps.shape == (3, 8)


def test_an_explanation_of_text_is_saved(tmp_path: Path) -> None:
    why = kv.Saliency(text_model((1,)), layer="embedding").explain(TEXTS, target=1)
    assert why.inputs.tolist() == TEXTS.tolist()
    loaded = kv.Explanation.load(why.save(tmp_path / "why.npz"))
    np.testing.assert_array_equal(loaded.inputs, TEXTS)


def test_text_has_no_gradient() -> None:
    with pytest.raises(MethodError, match="pass `layer=`"):
        kv.Saliency(text_model((1,)))(TEXTS, target=1)


@pytest.mark.parametrize("texts", [np.ones((3, 1)), tf.ones((3, 1)), [[1], [2], [3]]])
def test_numbers_are_no_text(texts: Any) -> None:
    with pytest.raises(InputError, match="arrays of text"):
        kv.GradCAM(text_model((1,)))(texts)
