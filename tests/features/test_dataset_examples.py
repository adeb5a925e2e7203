"""Dataset examples against a sort of all activations at once."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasviz as kv
from kerasviz.errors import AddressError, InputError, MethodError
from kerasviz.features.dataset_examples import patch_starts
from tests.conftest import build
from tests.features.layers import KINDS, features_of, identity_network
from tests.models import Case


@pytest.mark.parametrize("case", KINDS, indirect=True)
def test_equal_a_sort_of_everything(case: Case) -> None:
    features = features_of(case)
    flat = features.reshape(len(features), -1, features.shape[-1])
    found = kv.dataset_examples(
        case.model, case.layer, [2, 0], case.inputs, num=3, batch_size=2, verbose=0
    )
    assert found.count == 7
    close = {"atol": 2e-2} if "float16" in case.name else {"atol": 1e-4}
    for row, channel in enumerate((2, 0)):
        values = flat[..., channel].max(axis=1)
        np.testing.assert_allclose(found.values[row], np.sort(values)[::-1][:3], **close)
        np.testing.assert_allclose(values[found.indices[row]], found.values[row], **close)
        for index, position, value in zip(
            found.indices[row], found.positions[row], found.values[row], strict=True
        ):
            assert features[(index, *position, channel)] == pytest.approx(value, abs=2e-2)


def test_patches_show_what_excites() -> None:
    """Layer "same" returns the input: the largest value lies inside its patch."""
    photos = np.random.default_rng(0).random((9, 12, 8, 2)).astype("float32")
    photos[5, 11, 0, 1] = 7.0
    photos[2, 4, 3, 1] = 5.0
    model = identity_network(2, (12, 8))
    data = tf.data.Dataset.from_tensor_slices((photos, np.arange(9))).batch(4)
    found = kv.dataset_examples(model, "same", 1, data, num=2, patch_size=(5, 3), verbose=0)
    np.testing.assert_array_equal(found.indices, [[5, 2]])
    np.testing.assert_array_equal(found.positions, [[[11, 0], [4, 3]]])
    assert found.patches.shape == (1, 2, 5, 3, 2)
    np.testing.assert_array_equal(found.patches[0, 0], photos[5, 7:12, 0:3])
    np.testing.assert_array_equal(found.patches[0, 1], photos[2, 2:7, 2:5])
    np.testing.assert_array_equal(found.inputs[found.rows], photos[found.indices])
    assert len(found.plot().axes) == 2
    by_default = kv.dataset_examples(model, "same", 1, photos, num=20, verbose=0)
    assert by_default.patches.shape == (1, 9, 3, 3, 2)


def test_channels_first_inputs_are_cut_along_their_positions() -> None:
    case = build("channels_first")
    found = kv.dataset_examples(case.model, "conv_1", 0, case.inputs, 1, patch_size=4, verbose=0)
    assert found.patches.shape == (1, 1, 4, 4, 3)
    np.testing.assert_array_equal(
        found.inputs[found.rows[0, 0]], np.moveaxis(case.inputs[found.indices[0, 0]], 0, -1)
    )


def test_among_equals_the_earlier_is_kept() -> None:
    photos = np.ones((6, 4, 6, 2), "float32")
    found = kv.dataset_examples(
        identity_network(2), "same", 0, photos, num=3, batch_size=2, verbose=0
    )
    np.testing.assert_array_equal(found.indices, [[0, 1, 2]])


def test_a_long_data_set_keeps_only_the_best() -> None:
    generator = np.random.default_rng(0)
    model = identity_network(2)
    kept = []

    def batches() -> object:
        for _ in range(30):
            kept.append(generator.random((8, 4, 6, 2)).astype("float32"))
            yield kept[-1]

    data = tf.data.Dataset.from_generator(
        batches, output_signature=tf.TensorSpec((None, 4, 6, 2), tf.float32)
    )
    found = kv.dataset_examples(model, "same", [0, 1], data, num=4, verbose=0)
    everything = np.concatenate(kept)
    best = everything.max(axis=(1, 2))
    np.testing.assert_array_equal(found.indices[0], np.argsort(-best[:, 0], kind="stable")[:4])
    assert found.count == 240
    assert len(found.inputs) <= 8


def test_where_a_patch_begins() -> None:
    assert patch_starts((0,), (4,), (16,), (6,)) == (0,)
    assert patch_starts((3,), (4,), (16,), (6,)) == (10,)
    assert patch_starts((1, 2), (4, 4), (16, 32), (4, 8)) == (4, 16)


def test_refusals() -> None:
    case = build("functional")
    with pytest.raises(AddressError, match="from 0 to 5"):
        kv.dataset_examples(case.model, "conv_1", [6], case.inputs, verbose=0)
    with pytest.raises(AddressError, match="conv_9"):
        kv.dataset_examples(case.model, "conv_9", 0, case.inputs, verbose=0)
    with pytest.raises(MethodError, match="positions"):
        kv.dataset_examples(case.model, "head", 0, case.inputs, verbose=0)
    with pytest.raises(InputError, match="at least one sample"):
        kv.dataset_examples(case.model, "conv_1", 0, case.inputs[:0], verbose=0)
    with pytest.raises(InputError, match="`num`"):
        kv.dataset_examples(case.model, "conv_1", 0, case.inputs, num=0, verbose=0)
    with pytest.raises(InputError, match="patch_size"):
        kv.dataset_examples(case.model, "conv_1", 0, case.inputs, patch_size=13, verbose=0)
    with pytest.raises(InputError, match="finite"):
        kv.dataset_examples(case.model, "conv_1", 0, np.full_like(case.inputs, np.nan), verbose=0)


def test_a_layer_that_answers_nan_is_refused() -> None:
    model = identity_network(2)
    model.get_layer("same").set_weights([np.full((1, 1, 2, 2), np.nan)])
    with pytest.raises(MethodError, match="sample 0"):
        kv.dataset_examples(model, "same", 0, np.ones((3, 4, 6, 2), "float32"), verbose=0)


def test_words_have_no_patches() -> None:
    image = keras.Input((6,), dtype="int32")
    x = keras.layers.Embedding(9, 4, name="embedding")(image)
    x = keras.layers.GlobalAveragePooling1D()(x)
    model = keras.Model(image, keras.layers.Dense(2)(x))
    found = kv.dataset_examples(
        model, "embedding", 1, np.arange(18).reshape(3, 6) % 9, num=2, verbose=0
    )
    assert found.patches is None
    with pytest.raises(InputError, match="pictures to draw"):
        found.plot()
