"""The grasp network: the note's, and small ones that run."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import kerasviz as kv
from kerasviz.attention.network import FUSIONS
from kerasviz.errors import InputError
from tests.attention.networks import SMALL, reloaded, scenes, small_network
from tests.reference import excitation

build = kv.attention.rgbd_grasp_network


def numpy(outputs: Any) -> Any:
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


def convolution(rows: int, columns: int, channels: int, filters: int) -> int:
    return rows * columns * channels * filters + filters


def block_size(channels: int, filters: int) -> int:
    """Weights of a block with a local ratio of 0.8, counted by hand."""
    total = 0
    for width in (filters * 4 // 5, filters - filters * 4 // 5):
        hidden = max(1, width // 16)
        total += convolution(3, 1, channels, width) + convolution(1, 3, width, width) + 8 * width
        total += convolution(1, 1, width, hidden) + convolution(1, 1, hidden, width)
    return total


def test_the_network_of_the_note():
    network = build()
    blocks = [x for x in network.layers if isinstance(x, kv.attention.ResplacementBlock)]
    names = [f"{modality}_block_{n}" for n in range(1, 12) for modality in ("rgb", "depth")]
    assert sorted(block.name for block in blocks) == sorted(names)
    rgb = [network.get_layer(f"rgb_block_{n}") for n in range(1, 12)]
    assert [block.filters for block in rgb] == [64] * 2 + [128] * 3 + [256] * 3 + [512] * 3
    assert [block.skip for block in rgb] == [True, True] + [False, True, True] * 3
    assert [block.dilation_rate for block in rgb] == [(1, 1)] * 2 + [(3, 3)] * 9
    assert {block.local_ratio for block in rgb} == {0.8}
    sizes = [64, 64, 64, 128, 128, 128, 256, 256, 256, 512, 512, 512]
    encoders = 2 * sum(map(block_size, sizes[:-1], sizes[1:]))
    encoders += convolution(3, 3, 3, 64) + convolution(3, 3, 1, 64)
    decoder = convolution(3, 3, 1024, 256) + convolution(3, 3, 256, 128) + 4 * (256 + 128)
    heads = 3 * (convolution(3, 3, 128, 64) + 4 * 64) + convolution(3, 3, 64, 4)
    assert network.count_params() == encoders + 557_056 + 1_056 + decoder + heads
    assert network.get_layer("fusion").count_params() == 557_056 + 1_056
    assert keras.tree.map_structure(lambda x: x.shape, network.output) == {
        "grip": (None, 256, 256, 2),
        "horizontal": (None, 256, 256, 1),
        "vertical": (None, 256, 256, 1),
    }
    assert network.get_layer("rgb_block_11").output.shape == (None, 64, 64, 512)


def test_forward():
    network = small_network()
    x = scenes(2, 16, 12)
    weights = excitation.weights_of(network)
    expected = excitation.grasp_network(x, weights, SMALL["blocks"], SMALL["dilation_rates"])
    found = numpy(network(x))
    assert list(found) == ["grip", "horizontal", "vertical"]
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
        assert np.std(found[name]) > 0.01


@pytest.mark.parametrize("fusion", FUSIONS, ids=str)
def test_each_fusion_is_saved_and_loaded(fusion, tmp_path):
    network = small_network(fusion=fusion, attention=fusion != "encoder", max_depth=500)
    x = scenes(2, 16, 12)
    loaded = reloaded(network, tmp_path / "network.keras")
    expected, found = numpy(network(x)), numpy(loaded(x))
    for name in ("grip", "horizontal", "vertical"):
        np.testing.assert_array_equal(found[name], expected[name])
    has_fusion = any(layer.name == "fusion" for layer in network.layers)
    assert has_fusion == (fusion is not None)


def test_size_of_the_outputs():
    """The input's, rounded up to multiples of 4."""
    network = small_network((None, None, 4))
    for (rows, columns), expected in {(16, 12): (16, 12), (13, 10): (16, 12)}.items():
        outputs = network(scenes(1, rows, columns))
        assert {tuple(value.shape[1:3]) for value in outputs.values()} == {expected}


def test_depth_beyond_the_limit_is_at_the_limit():
    network = small_network(max_depth=600, depth_scale=300)
    near, far, at = scenes(1, 16, 12), scenes(1, 16, 12), scenes(1, 16, 12)
    far[..., 3], at[..., 3] = 5000, 600
    near[..., 3] = 500
    far, at, near = (numpy(network(x))["grip"] for x in (far, at, near))
    np.testing.assert_array_equal(far, at)
    assert np.abs(near - at).max() > 1e-3
    x = scenes(1, 16, 12)
    found = kv.activations(network, x, ["depth_scaling", "rgb_channels"])
    np.testing.assert_allclose(found["depth_scaling"], np.clip(x[..., 3:], 0, 600) / 300)
    np.testing.assert_array_equal(found["rgb_channels"], x[..., :3])


def test_channels_first():
    """20 columns: Keras misplaces a bias where there are as many columns as filters."""
    network = small_network((16, 20, 4))
    first = small_network((4, 16, 20), data_format="channels_first")
    first.set_weights(network.get_weights())
    x = scenes(2, 16, 20)
    expected, found = numpy(network(x)), numpy(first(np.moveaxis(x, -1, 1)))
    for name, values in expected.items():
        np.testing.assert_allclose(np.moveaxis(found[name], 1, -1), values, atol=1e-5)


def test_mixed_precision_keeps_inputs_and_outputs_exact():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = small_network()
    finally:
        keras.config.set_dtype_policy(before)
    network = small_network()
    x = scenes(2, 16, 12)
    x[..., 3] *= 100
    expected, found = numpy(network(x)), numpy(half(x))
    for name, values in expected.items():
        assert found[name].dtype == "float32"
        np.testing.assert_allclose(found[name], values, atol=0.05)
    assert half.get_layer("up_1").compute_dtype == "float16"


def test_trains():
    """Losses of the note: angles count only where there is a grasp."""
    network = small_network(filters=(8,), blocks=(1,), dilation_rates=(3,))
    before = network.get_weights()
    network.compile(
        keras.optimizers.Adam(0.01),
        {"grip": "sparse_categorical_crossentropy", "horizontal": "mse", "vertical": "mse"},
        run_eagerly=True,
    )
    x = scenes(4, 16, 12)
    grasp = x[..., :1] > 0.5
    labels = {"grip": grasp.astype("int32"), "horizontal": x[..., 1:2], "vertical": x[..., 2:3]}
    weights = {"grip": np.ones((4, 16, 12)), "horizontal": grasp[..., 0], "vertical": grasp[..., 0]}
    history = network.fit(x, labels, sample_weight=weights, epochs=5, batch_size=4, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < losses[0]
    for weight, old in zip(network.weights, before, strict=True):
        if weight.name.startswith("moving"):
            assert not np.array_equal(weight, old), weight.path


def test_addresses_are_the_paths_of_the_weights():
    network = small_network()
    addresses = set(kv.layers(network).index)
    assert {weight.path.rpartition("/")[0] for weight in network.weights} <= addresses
    assert len({weight.path for weight in network.weights}) == len(network.weights)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "three channels": ({"input_shape": (16, 12, 3)}, r"must be \(rows, columns, 4\)"),
    "channels last": ({"data_format": "channels_first"}, r"must be \(4, rows, columns\)"),
    "fusion": ({"fusion": "add"}, "`fusion` must be one of.*'add'"),
    "lengths": ({"blocks": (1, 2, 3)}, "must have an entry for each module"),
    "no module": ({"filters": (), "blocks": (), "dilation_rates": ()}, "an entry for each module"),
    "blocks": ({"blocks": (1, 0)}, "`blocks` must be a whole number"),
    "decoder": ({"decoder_filters": (8,)}, "`decoder_filters` must be two whole numbers"),
    "head": ({"head_filters": 0}, "`head_filters` must be"),
    "filters": ({"filters": (8, 0.5)}, "`filters` must be"),
    "no_filters": ({"filters": (0, 8)}, "`filters` must be a whole number from 1 on"),
    "one_width": ({"filters": 8}, "`filters` must be a list"),
    "one_rate": ({"dilation_rates": 3}, "`dilation_rates` must be a list"),
    "one_decoder": ({"decoder_filters": 8}, "`decoder_filters` must be a list"),
    "no_shape": ({"input_shape": None}, "`input_shape` must be"),
    "empty_shape": ({"input_shape": (0, 12, 4)}, "`input_shape` must be"),
    "broken_shape": ({"input_shape": (16.5, 12, 4)}, "`input_shape` must be"),
    "depth": ({"depth_scale": 0}, "`depth_scale` must be a number above 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused(name):
    settings, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        build(**{"input_shape": (16, 12, 4), **SMALL, **settings})
