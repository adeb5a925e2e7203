"""Models with attention, with what each attention layer takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

layers, ops = keras.layers, keras.ops
TOKENS = np.random.default_rng(0).normal(size=(5, 6, 8)).astype("float32")
OTHERS = np.random.default_rng(1).normal(size=(5, 4, 8)).astype("float32")
PICTURES = np.random.default_rng(2).normal(size=(3, 3, 4, 8)).astype("float32")
WORDS = np.array([[3, 1, 4, 1, 5, 0], [2, 7, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6]])
CAUSAL = np.tri(6, dtype=bool)
BAND = np.abs(np.subtract.outer(np.arange(6), np.arange(6))) < 2


@dataclasses.dataclass(frozen=True)
class Attending:
    """A model with attention.

    Args:
        model: The model.
        inputs: For the model.
        taken: Address of each attention layer → the layer, and the addresses or names of what it
            takes as query and as key.
        seen: Bool mask that all its layers have, broadcast to (batch, heads, queries, keys).
        tolerance: What rounding explains.
    """

    model: keras.Model
    inputs: Any
    taken: Mapping[str, tuple[Any, str, str]]
    seen: np.ndarray | None = None
    tolerance: float = 2e-6


def headed(x: Any) -> Any:
    """Three outputs from tokens."""
    return layers.Dense(3, dtype="float32")(layers.GlobalAveragePooling1D()(x))


def seeded(model: keras.Model, scale: float = 0.7) -> keras.Model:
    """The model with larger weights than the initializers give, so that heads differ."""
    generator = np.random.default_rng(7)
    model.set_weights([generator.normal(0, scale, w.shape) for w in model.get_weights()])
    return model


def simple(attention: Any, **arguments: Any) -> Attending:
    """Self-attention on the input itself."""
    tokens = keras.Input((6, 8), name="tokens")
    x = layers.Dense(8, name="embed")(tokens)
    return Attending(
        seeded(keras.Model(tokens, headed(attention(x, x, **arguments)))),
        TOKENS,
        {attention.name: (attention, "embed", "embed")},
    )


def plain() -> Attending:
    return simple(layers.MultiHeadAttention(2, 4, name="attention"))


def with_dropout() -> Attending:
    return simple(layers.MultiHeadAttention(2, 4, dropout=0.5, name="attention"))


def asked_already() -> Attending:
    tokens = keras.Input((6, 8), name="tokens")
    attention = layers.MultiHeadAttention(2, 4, name="attention")
    x, scores = attention(tokens, tokens, return_attention_scores=True)
    model = keras.Model(tokens, [headed(x), scores])
    return Attending(seeded(model), TOKENS, {"attention": (attention, "tokens", "tokens")})


def causal() -> Attending:
    found = simple(layers.MultiHeadAttention(2, 4, name="attention"), use_causal_mask=True)
    return dataclasses.replace(found, seen=CAUSAL)


def masked_by_argument() -> Attending:
    mask = np.random.default_rng(3).random((1, 6, 6)) < 0.6
    mask[:, :, 2] = True
    found = simple(layers.MultiHeadAttention(2, 4, name="attention"), attention_mask=mask)
    return dataclasses.replace(found, seen=mask[:, None])


def padded() -> Attending:
    words = keras.Input((6,), dtype="int32", name="words")
    x = layers.Embedding(9, 8, mask_zero=True, name="embed")(words)
    attention = layers.MultiHeadAttention(2, 4, name="attention")
    model = seeded(keras.Model(words, headed(attention(x, x))))
    there = WORDS != 0
    seen = there[:, None, :, None] & there[:, None, None, :]
    return Attending(model, WORDS, {"attention": (attention, "embed", "embed")}, seen)


def cross() -> Attending:
    one, other = keras.Input((6, 8), name="one"), keras.Input((4, 8), name="other")
    attention = layers.MultiHeadAttention(2, 4, name="attention")
    second = layers.MultiHeadAttention(2, 4, name="self")
    x = attention(one, other)
    model = keras.Model([one, other], headed(second(x, x)))
    taken = {
        "attention": (attention, "one", "other"),
        "self": (second, "attention", "attention"),
    }
    return Attending(seeded(model), [TOKENS, OTHERS], taken)


def grouped() -> Attending:
    return simple(layers.GroupQueryAttention(4, 4, 2, name="attention"))


def grouped_causal() -> Attending:
    found = simple(layers.GroupQueryAttention(4, 4, 2, name="attention"), use_causal_mask=True)
    return dataclasses.replace(found, seen=CAUSAL)


def shared() -> Attending:
    tokens = keras.Input((6, 8), name="tokens")
    attention = layers.MultiHeadAttention(2, 4, name="attention")
    x = layers.Add(name="first")([tokens, attention(tokens, tokens)])
    x = layers.Add(name="second")([x, attention(x, x)])
    taken = {
        "attention": (attention, "tokens", "tokens"),
        "attention@2": (attention, "first", "first"),
    }
    return Attending(seeded(keras.Model(tokens, headed(x)), 0.4), TOKENS, taken)


def nested() -> Attending:
    inner = keras.Input((6, 8))
    attention = layers.MultiHeadAttention(2, 4, name="attention")
    normal = layers.LayerNormalization(name="norm")(inner)
    encoder = keras.Model(inner, attention(normal, normal), name="encoder")
    tokens = keras.Input((6, 8), name="tokens")
    taken = {"encoder/attention": (attention, "encoder/norm", "encoder/norm")}
    return Attending(seeded(keras.Model(tokens, headed(encoder(tokens)))), TOKENS, taken)


def mixed(policy: str = "mixed_float16", tolerance: float = 4e-3) -> Attending:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return dataclasses.replace(plain(), tolerance=tolerance)
    finally:
        keras.config.set_dtype_policy(before)


def mixed_bfloat16() -> Attending:
    return mixed("mixed_bfloat16", 4e-2)


def two_axes() -> Attending:
    return pictured(None)


def pictured(axes: Any, seen: np.ndarray | None = None) -> Attending:
    pictures = keras.Input((3, 4, 8), name="pictures")
    attention = layers.MultiHeadAttention(2, 4, attention_axes=axes, name="attention")
    x = layers.Reshape((12, 8))(attention(pictures, pictures))
    taken = {"attention": (attention, "pictures", "pictures")}
    return Attending(seeded(keras.Model(pictures, headed(x))), PICTURES, taken, seen)


def along(axis: int) -> Attending:
    """Along one of two axes: a row sees its row, or a column its column."""
    places = np.stack(np.unravel_index(np.arange(12), (3, 4)), axis=-1)
    free = places[:, 2 - axis]
    return pictured((axis,), free[:, None] == free)


def along_rows() -> Attending:
    return along(1)


def along_columns() -> Attending:
    return along(2)


class Flagless(layers.MultiHeadAttention):
    """Cannot be asked: its `call` has no `return_attention_scores`."""

    def call(self, query: Any, value: Any, key: Any = None) -> Any:
        return super().call(query, value, key)


def flagless() -> Attending:
    return simple(Flagless(2, 4, name="attention"))


class ByHand(layers.Layer):
    """Attention as people write it."""

    def __init__(self, form: str = "matmul", **settings: Any) -> None:
        super().__init__(**settings)
        self.form = form

    def build(self, shape: Any) -> None:
        for name in ("query", "key", "value"):
            own = layers.EinsumDense("bpc,chd->bphd", (None, 2, 4), bias_axes="hd", name=name)
            own.build(shape)
            setattr(self, name, own)

    def call(self, x: Any) -> Any:
        query, key, value = self.query(x), self.key(x), self.value(x)
        if self.form == "fused":
            return ops.reshape(ops.dot_product_attention(query, key, value), ops.shape(x))
        if self.form == "einsum":
            scores = ops.softmax(ops.einsum("bqhd,bkhd->bqhk", query, key) / 2.0)
            return ops.reshape(ops.einsum("bqhk,bkhd->bqhd", scores, value), ops.shape(x))
        query, key, value = (ops.transpose(part, (0, 2, 1, 3)) for part in (query, key, value))
        scores = ops.softmax(ops.matmul(query * 0.5, ops.transpose(key, (0, 1, 3, 2))))
        mixed = ops.matmul(scores, value)
        return ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), ops.shape(x))


def by_hand(form: str) -> Attending:
    tokens = keras.Input((6, 8), name="tokens")
    attention = ByHand(form, name="attention")
    taken = {"attention": (attention, "tokens", "tokens")}
    return Attending(seeded(keras.Model(tokens, headed(attention(tokens)))), TOKENS, taken)


def by_hand_matmul() -> Attending:
    return by_hand("matmul")


def by_hand_einsum() -> Attending:
    return by_hand("einsum")


def by_hand_fused() -> Attending:
    return by_hand("fused")


ALL: list[Callable[[], Attending]] = [
    plain,
    with_dropout,
    asked_already,
    causal,
    masked_by_argument,
    padded,
    cross,
    grouped,
    grouped_causal,
    shared,
    nested,
    mixed,
    mixed_bfloat16,
    two_axes,
    along_rows,
    along_columns,
    flagless,
    by_hand_matmul,
    by_hand_einsum,
    by_hand_fused,
]
