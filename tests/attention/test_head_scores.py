"""Scores of every attention layer against a NumPy re-derivation from its weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasviz as kv
from kerasviz.errors import InputError
from kerasviz.probe.attention import attend
from kerasviz.probe.backend import softmaxes
from kerasviz.probe.wrapper import Wrapper
from tests.attention import models
from tests.attention.models import ALL, Attending
from tests.reference.attention import multi_head_scores

layers, ops = keras.layers, keras.ops


def expected(case: Attending, model: keras.Model) -> dict[str, np.ndarray]:
    """The scores by the layers' weights and what the layers take."""
    names = [tensor.name for tensor in model.inputs]
    arrays = case.inputs if isinstance(case.inputs, list) else [case.inputs]
    given = dict(zip(names, arrays, strict=True))
    wanted = {name for _, *pair in case.taken.values() for name in pair} - set(given)
    given |= kv.activations(model, case.inputs, sorted(wanted)) if wanted else {}
    return {
        address: multi_head_scores(layer, given[query], given[key], case.seen)
        for address, (layer, query, key) in case.taken.items()
    }


@pytest.mark.parametrize("build", ALL, ids=lambda build: build.__name__)
def test_scores_are_those_of_the_weights(build: Callable[[], Attending]) -> None:
    case = build()
    found = kv.attention.scores(case.model, case.inputs, batch_size=2)
    wanted = expected(case, case.model)
    assert list(found) == list(case.taken)
    for address, scores in found.items():
        assert scores.dtype == "float32"
        rows = wanted[address].sum(axis=-1) > 0.5
        np.testing.assert_allclose(
            scores[rows], wanted[address][rows], atol=case.tolerance, err_msg=address
        )


class Extra(Wrapper):
    """What layers answer when they are asked, beside what they handed on."""

    def compute(self, key: Any, inputs: Any, feeds: Any) -> tuple[dict[str, Any], Any]:
        found = attend(self.model, inputs)
        return {
            f"{name}/{one.address}": getattr(one, name)
            for one in found.attentions
            for name in ("scores", "allowed", "result", "output")
            if getattr(one, name) is not None
        }, None


STOCK = ALL[:16]


@pytest.mark.parametrize("build", STOCK, ids=lambda build: build.__name__)
def test_asked_layers_say_what_the_graph_shows(
    build: Callable[[], Attending], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = build()
    shown = Extra(case.model).evaluate_on("shown", case.inputs)
    monkeypatch.setattr(softmaxes, "weightings", lambda inputs: [])
    asked = Extra(case.model).evaluate_on("asked", case.inputs)
    limit = max(case.tolerance, 1e-5)
    for address in case.taken:
        assert f"output/{address}" in asked
        allowed = asked[f"allowed/{address}"]
        np.testing.assert_array_equal(shown[f"allowed/{address}"], allowed)
        seen = True if case.seen is None else case.seen
        np.testing.assert_array_equal(np.broadcast_to(seen, allowed.shape), allowed)
        rows = allowed.any(axis=-1)
        scores = shown[f"scores/{address}"], asked[f"scores/{address}"]
        np.testing.assert_allclose(*(one[rows] for one in scores), atol=limit)
        given, answer = (asked[f"{name}/{address}"] for name in ("result", "output"))
        there = allowed.any(axis=(1, 3)).reshape(answer.shape[:-1])
        pair = (one[there].astype("float64") for one in (given, answer))
        np.testing.assert_allclose(*pair, atol=limit, rtol=limit)


def test_the_graph_is_read_wherever_it_shows_the_scores() -> None:
    for make in STOCK:
        case = make()
        found = Extra(case.model).evaluate_on("shown", case.inputs)
        is_asked = any(name.startswith("output/") for name in found)
        assert is_asked == (make in (models.two_axes, models.along_rows, models.along_columns))


def test_scores_are_read_where_the_layer_never_builds_them() -> None:
    built = []

    class Watched(layers.MultiHeadAttention):
        def _compute_attention(self, *args: Any, **kwargs: Any) -> Any:
            output, scores = super()._compute_attention(*args, **kwargs)
            built.append(scores is not None)
            return output, scores

    case = models.simple(Watched(2, 4, name="attention"))
    built.clear()
    found = kv.attention.scores(case.model, case.inputs)["attention"]
    assert built == [False]
    np.testing.assert_allclose(found, expected(case, case.model)["attention"], atol=2e-6)


def test_scores_of_a_model_from_a_file(tmp_path: Path) -> None:
    case = models.nested()
    case.model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    found = kv.attention.scores(loaded, case.inputs)["encoder/attention"]
    np.testing.assert_array_equal(
        found, kv.attention.scores(case.model, case.inputs)["encoder/attention"]
    )


@pytest.mark.parametrize("kind", [layers.Attention, layers.AdditiveAttention])
@pytest.mark.parametrize("is_causal", [False, True])
def test_attention_of_one_head(kind: Any, is_causal: bool) -> None:
    words = keras.Input((6,), dtype="int32")
    x = layers.Embedding(9, 8, mask_zero=True, name="embed")(words)
    attended = kind(use_scale=True, name="attention")([x, x], use_causal_mask=is_causal)
    model = models.seeded(keras.Model(words, models.headed(attended)))
    found = kv.attention.scores(model, models.WORDS)["attention"]
    x = kv.activations(model, models.WORDS, ["embed"])["embed"]
    weight = np.asarray(model.get_layer("attention").weights[0])
    logits = (
        np.einsum("bqd,bkd->bqk", x, x) * weight
        if kind is layers.Attention
        else (weight * np.tanh(x[:, :, None] + x[:, None])).sum(axis=-1)
    )
    seen = (models.WORDS != 0)[:, None] & (models.CAUSAL if is_causal else True)
    parts = np.where(seen, np.exp(logits - logits.max(axis=-1, keepdims=True)), 0.0)
    wanted = parts / parts.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(found, wanted[:, None], atol=2e-6)


def test_scores_of_operations_without_a_layer_around() -> None:
    tokens = keras.Input((6, 8))
    first = ops.softmax(ops.matmul(tokens, ops.transpose(tokens, (0, 2, 1))))
    x = ops.matmul(first, tokens)
    second = ops.softmax(ops.matmul(x, ops.transpose(x, (0, 2, 1))))
    model = keras.Model(tokens, models.headed(ops.matmul(second, x)))
    found = kv.attention.scores(model, models.TOKENS)
    outputs = keras.Model(tokens, [first, second]).predict(models.TOKENS, verbose=0)
    assert len(found) == 2
    for one, other in zip(found.values(), outputs, strict=True):
        np.testing.assert_allclose(one[:, 0], other, atol=1e-6)


class Twice(layers.Layer):
    """Attends twice within one call."""

    def call(self, x: Any) -> Any:
        for _ in range(2):
            x = ops.matmul(ops.softmax(ops.matmul(x, ops.swapaxes(x, 1, 2))), x)
        return x


def test_attention_twice_in_one_call_is_numbered() -> None:
    tokens = keras.Input((6, 8))
    model = keras.Model(tokens, models.headed(Twice(name="twice")(tokens)))
    assert list(kv.attention.scores(model, models.TOKENS)) == ["twice", "twice#2"]


def test_a_softmax_before_a_dense_layer_is_no_attention() -> None:
    tokens = keras.Input((6, 8))
    x = layers.EinsumDense("btc,cd->btd", (6, 5))(layers.Softmax()(tokens))
    attended = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    model = keras.Model(tokens, models.headed(attended))
    assert list(kv.attention.scores(model, models.TOKENS)) == ["attention"]


def in_steps() -> keras.Model:
    block = keras.Input((6, 8))
    inner = keras.Model(block, layers.MultiHeadAttention(2, 4, name="inner")(block, block))
    film = keras.Input((2, 6, 8))
    x = layers.TimeDistributed(inner, name="steps")(film)
    return keras.Model(film, models.headed(ops.mean(x, axis=1)))


class Looping(layers.Layer):
    """One sample after another, in a loop of the graph."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.inner = layers.MultiHeadAttention(2, 4, name="inner")

    def build(self, shape: Any) -> None:
        self.inner.build(shape, shape)

    def call(self, x: Any) -> Any:
        return tf.map_fn(lambda one: self.inner(one[None], one[None])[0], x)


def in_a_loop(more: bool) -> keras.Model:
    tokens = keras.Input((6, 8))
    x = Looping(name="loop")(tokens)
    x = layers.MultiHeadAttention(2, 4, name="outer")(x, x) if more else x
    return keras.Model(tokens, models.headed(x))


FILMS = np.random.default_rng(0).normal(size=(3, 2, 6, 8)).astype("float32")


def test_each_step_of_time_distributed_is_a_call_of_its_own() -> None:
    model = in_steps()
    found = kv.attention.scores(model, FILMS)
    assert list(found) == ["steps/inner", "steps/inner@2"]
    layer = model.get_layer("steps").layer.get_layer("inner")
    for step, scores in enumerate(found.values()):
        wanted = multi_head_scores(layer, FILMS[:, step], FILMS[:, step])
        np.testing.assert_allclose(scores, wanted, atol=1e-6)


def test_attention_in_a_loop_is_left_out_with_a_warning_or_refused() -> None:
    with pytest.warns(kv.errors.KerasvizWarning, match="Left out: 'loop/inner'"):
        assert list(kv.attention.scores(in_a_loop(True), models.TOKENS)) == ["outer"]
    with pytest.raises(kv.errors.MethodError, match="'loop/inner', which cannot be read"):
        kv.attention.scores(in_a_loop(False), models.TOKENS)
    with pytest.raises(kv.errors.AddressError, match="outside of loops"):
        kv.attention.scores(in_a_loop(True), models.TOKENS, "loop/inner")


def test_wrong_layers_are_refused() -> None:
    case = models.plain()
    with pytest.raises(kv.errors.AddressError, match=r"attends to nothing.*'attention'"):
        kv.attention.scores(case.model, case.inputs, "embed")
    with pytest.raises(kv.errors.AddressError, match="Closest: 'attention'"):
        kv.attention.scores(case.model, case.inputs, ["atention"])
    tokens = keras.Input((6, 8))
    with pytest.raises(kv.errors.MethodError, match="with attention"):
        kv.attention.scores(keras.Model(tokens, models.headed(tokens)), case.inputs)


def test_windows_in_the_batch_axis_are_refused() -> None:
    tokens = keras.Input((6, 8))
    x = ops.reshape(tokens, (-1, 3, 8))
    x = layers.MultiHeadAttention(2, 4, name="windows")(x, x)
    model = keras.Model(tokens, models.headed(ops.reshape(x, (-1, 6, 8))))
    with pytest.raises(kv.errors.MethodError, match="10 for 5 samples"):
        kv.attention.scores(model, models.TOKENS)
    with pytest.raises(kv.errors.MethodError, match="folded into the batch axis"):
        kv.AttentionRollout(model, grid=3)(models.TOKENS)


@pytest.mark.parametrize("layers_", [3.5, [], ()])
def test_a_choice_of_no_layers_is_refused(layers_: Any) -> None:
    with pytest.raises(InputError, match="`layers` must name attention layers"):
        kv.attention.scores(models.plain().model, np.ones((1, 4, 8)), layers_)
