"""The layers against NumPy, in every place a layer can be in."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import kerasviz as kv
from kerasviz.attention.layers import DepthScaling, SelectChannels
from kerasviz.errors import InputError
from tests.attention.networks import randomized, reloaded
from tests.reference import excitation

attention = kv.attention
FUSIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "encoder": (attention.EncoderFusion, excitation.encoder_fusion),
    "squeeze_excitation": (
        attention.SqueezeExcitationFusion,
        excitation.squeeze_excitation_fusion,
    ),
    "complementary": (attention.AttentionComplementaryFusion, excitation.complementary_fusion),
    "separation_aggregation": (
        attention.SeparationAggregationGate,
        excitation.separation_aggregation_gate,
    ),
}


def features(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype("float32")


def numpy(outputs: Any) -> Any:
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


def close(found: Any, expected: Any, tolerance: float = 1e-5) -> None:
    pairs = zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("second_sigmoid", [True, False])
@pytest.mark.parametrize("positions", [(7,), (4, 5), (3, 2, 4)], ids=["1d", "2d", "3d"])
def test_squeeze_excitation(positions, second_sigmoid):
    x = features(3, *positions, 6)
    layer = attention.SqueezeExcitation(2, second_sigmoid)
    layer.build(x.shape)
    randomized(layer)
    expected = excitation.squeeze_excitation(x, excitation.weights_of(layer), second_sigmoid)
    close(numpy(layer(x)), expected)


def test_squeeze_excitation_has_the_units_of_the_paper():
    layer = attention.SqueezeExcitation(16)
    layer.build((None, 4, 4, 40))
    assert [tuple(weight.shape) for weight in layer.weights] == [(40, 2), (2,), (2, 40), (40,)]
    narrow = attention.SqueezeExcitation(16)
    narrow.build((None, 4, 4, 5))
    assert narrow.fc1.kernel.shape == (5, 1)


def test_the_second_sigmoid_neither_closes_nor_opens():
    layer = attention.SqueezeExcitation()
    layer.build((None, 2, 2, 2))
    layer.fc2.bias.assign([-100.0, 100.0])
    ones = np.ones((1, 2, 2, 2), "float32")
    close(numpy(layer(ones))[0, 0, 0], np.array([0.5, 1 / (1 + np.exp(-1))]))
    layer = attention.SqueezeExcitation(second_sigmoid=False)
    layer.build((None, 2, 2, 2))
    layer.fc2.bias.assign([-100.0, 100.0])
    close(numpy(layer(ones))[0, 0, 0], np.array([0, 1]))


def test_the_gate_can_be_read_by_its_address():
    image = keras.Input((4, 4, 6))
    model = keras.Model(image, attention.SqueezeExcitation(2, name="excite")(image))
    randomized(model)
    x = features(2, 4, 4, 6)
    gates = kv.activations(model, x, ["excite/gate"])["excite/gate"]
    close(numpy(model(x)), excitation.scaled(x, gates))


BLOCKS: dict[str, dict[str, Any]] = {
    "default": {},
    "skip": {"skip": True},
    "no attention": {"attention": False, "skip": True},
    "one sigmoid": {"second_sigmoid": False},
    "mostly local": {"local_ratio": 0.8},
    "local only": {"local_ratio": 1, "strides": 2},
    "semi only": {"local_ratio": 0, "skip": True},
    "two rates": {"dilation_rate": (2, 3)},
    "long kernel": {"kernel_size": (3, 5), "dilation_rate": 2},
    "strides": {"dilation_rate": 1, "strides": (2, 3)},
}


@pytest.mark.parametrize("name", BLOCKS)
def test_resplacement_block(name):
    settings = BLOCKS[name]
    x = features(2, 9, 8, 10)
    layer = attention.ResplacementBlock(10, ratio=2, **settings)
    layer.build(x.shape)
    randomized(layer)
    pairs = {
        key: np.broadcast_to(settings.get(option, default), 2).tolist()
        for key, option, default in (("dilation", "dilation_rate", 3), ("strides", "strides", 1))
    }
    others = {key: settings[key] for key in ("skip", "second_sigmoid") if key in settings}
    found = numpy(layer(x))
    weights = excitation.weights_of(layer)
    close(found, excitation.resplacement_block(x, weights, **pairs, **others))
    assert layer.compute_output_shape((None, 9, 8, 10)) == (None, *found.shape[1:])
    assert (found == 0).any()
    assert (found > 0).any()


def test_resplacement_block_divides_its_channels():
    layer = attention.ResplacementBlock(64, local_ratio=0.8)
    layer.build((None, 8, 8, 64))
    assert layer.local_filters == 51
    shapes = {weight.path.split("/", 1)[1]: tuple(weight.shape) for weight in layer.weights}
    assert shapes["local_conv_1/kernel"] == (3, 1, 64, 51)
    assert shapes["local_conv_2/kernel"] == (1, 3, 51, 51)
    assert shapes["semi_conv_1/kernel"] == (3, 1, 64, 13)
    assert shapes["semi_conv_2/kernel"] == (1, 3, 13, 13)
    excitations = {path for path in shapes if re.match(".*semi_local.*", path)}
    parts = {f"semi_local/{fc}/{part}" for fc in ("fc1", "fc2") for part in ("kernel", "bias")}
    assert excitations == parts
    assert len([path for path in shapes if re.match(".*fully_local.*", path)]) == 4


@pytest.mark.parametrize("positions", [(7,), (4, 5), (3, 2, 4)], ids=["1d", "2d", "3d"])
@pytest.mark.parametrize("name", FUSIONS)
def test_fusions(name, positions):
    make, reference = FUSIONS[name]
    rgb, depth = features(3, *positions, 6), features(3, *positions, 6, seed=1)
    layer = make() if name == "complementary" else make(ratio=2)
    layer.build([rgb.shape, depth.shape])
    randomized(layer)
    found = numpy(layer([rgb, depth]))
    close(found, reference(rgb, depth, excitation.weights_of(layer)))
    shape = layer.compute_output_shape([rgb.shape, depth.shape])
    assert keras.tree.map_structure(np.shape, found) == shape


def test_encoder_fusion_has_the_weights_of_the_note():
    layer = attention.EncoderFusion()
    layer.build([(None, 64, 64, 512), (None, 64, 64, 512)])
    sizes = {weight.path.split("/", 1)[1]: int(np.prod(weight.shape)) for weight in layer.weights}
    assert sum(size for path, size in sizes.items() if path.endswith("kernel")) == 557_056
    assert sum(size for path, size in sizes.items() if path.endswith("bias")) == 1_056
    assert {path.split("/")[0] for path in sizes} == {"aggregate", "reduce", "gate"}


LAYERS: dict[str, tuple[Callable[..., Any], dict[str, Any], bool]] = {
    "excitation": (attention.SqueezeExcitation, {"ratio": 3, "second_sigmoid": False}, False),
    "block": (
        attention.ResplacementBlock,
        {
            "filters": 6,
            "local_ratio": 0.4,
            "skip": True,
            "kernel_size": (3, 5),
            "dilation_rate": (2, 1),
            "ratio": 2,
            "second_sigmoid": False,
        },
        False,
    ),
    "plain block": (
        attention.ResplacementBlock,
        {"filters": 4, "attention": False, "strides": (1, 2), "dilation_rate": (1, 1)},
        False,
    ),
    "encoder": (attention.EncoderFusion, {"ratio": 2}, True),
    "squeeze_excitation": (
        attention.SqueezeExcitationFusion,
        {"ratio": 2, "second_sigmoid": True},
        True,
    ),
    "complementary": (attention.AttentionComplementaryFusion, {}, True),
    "separation_aggregation": (attention.SeparationAggregationGate, {"ratio": 2}, True),
    "channels": (SelectChannels, {"start": 1, "stop": 3}, False),
    "depth": (DepthScaling, {"max_depth": 0.5, "scale": 2.0}, False),
}


def model_of(name: str, shape: tuple[int, ...] = (5, 7, 6), **more: Any) -> keras.Model:
    make, settings, two = LAYERS[name]
    inputs = [keras.Input(shape) for _ in range(1 + two)]
    outputs = make(**settings, **more)(inputs if two else inputs[0])
    return randomized(keras.Model(inputs, outputs))


def inputs_of(model: keras.Model) -> list[np.ndarray]:
    return [features(2, *x.shape[1:], seed=n) for n, x in enumerate(model.inputs)]


@pytest.mark.parametrize("name", LAYERS)
def test_saved_and_loaded(name, tmp_path):
    model = model_of(name)
    x = inputs_of(model)
    loaded = reloaded(model, tmp_path / "model.keras")
    expected = keras.tree.flatten(numpy(model(x)))
    for found, one in zip(keras.tree.flatten(numpy(loaded(x))), expected, strict=True):
        np.testing.assert_array_equal(found, one)


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize("name", LAYERS)
def test_config(name, data_format):
    make, settings, _ = LAYERS[name]
    more = {} if name == "depth" else {"data_format": data_format}
    layer = make(**settings, **more, name="mine", dtype="float64", trainable=False)
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    assert config["name"] == "mine"
    assert not again.trainable
    assert settings | more == {key: config[key] for key in settings | more}


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "depth"])
def test_channels_first(name):
    """7 columns: Keras adds a bias to the wrong axis where there are as many columns as filters."""
    model = model_of(name, data_format="channels_last")
    first = model_of(name, (6, 5, 7), data_format="channels_first")
    first.set_weights(model.get_weights())
    x = inputs_of(model)
    expected = keras.tree.flatten(numpy(model(x)))
    found = keras.tree.flatten(numpy(first([np.moveaxis(one, -1, 1) for one in x])))
    close([np.moveaxis(one, 1, -1) for one in found], expected)
    assert first.output_shape != model.output_shape


@pytest.mark.parametrize("name", LAYERS)
def test_mixed_precision(name):
    model, half = model_of(name), model_of(name, dtype="mixed_float16")
    half.set_weights(model.get_weights())
    x = inputs_of(model)
    found = numpy(half(x))
    assert {one.dtype.name for one in keras.tree.flatten(found)} == {"float16"}
    assert {weight.dtype for weight in half.weights} <= {"float32"}
    close(found, numpy(model(x)), 0.02)


def test_half_precision_does_not_overflow_over_many_positions():
    layer = attention.SqueezeExcitation(dtype="mixed_float16", second_sigmoid=False)
    many = np.full((1, 300, 300, 2), 100.0, "float16")
    layer.build(many.shape)
    layer.fc2.kernel.assign(np.zeros((1, 2)))
    close(numpy(layer(many)), many / 2)


class Wrapped(keras.Model):
    """A subclassed model around layers that are built when it is first called."""

    def __init__(self) -> None:
        super().__init__()
        self.block = attention.ResplacementBlock(6, skip=True, ratio=2)
        self.fusion = attention.EncoderFusion(2)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.fusion([self.block(inputs, training=training), inputs])[0]


def test_in_a_subclassed_model_and_in_a_sequential():
    x = features(2, 6, 4, 6)
    wrapped = Wrapped()
    wrapped(x)
    randomized(wrapped)
    block, fusion = (excitation.weights_of(part) for part in (wrapped.block, wrapped.fusion))
    expected = excitation.resplacement_block(x, block, (3, 3), skip=True)
    close(numpy(wrapped(x)), excitation.encoder_fusion(expected, x, fusion)[0])
    sequential = keras.Sequential([attention.ResplacementBlock(6, skip=True, ratio=2)])
    sequential(x)
    sequential.set_weights(wrapped.block.get_weights())
    close(numpy(sequential(x)), expected)


def test_training_reaches_every_weight():
    """But the biases of convolutions: batch normalization takes them away again."""
    inputs = [keras.Input((8, 6, 6)), keras.Input((8, 6, 6))]
    blocks = [attention.ResplacementBlock(6, skip=True, ratio=1)(x) for x in inputs]
    outputs = keras.layers.Concatenate()(list(attention.EncoderFusion(1)(blocks)))
    model = randomized(keras.Model(inputs, outputs))
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.5), "mse", run_eagerly=True)
    model.fit(
        [features(8, 8, 6, 6), features(8, 8, 6, 6, seed=1)], np.ones((8, 8, 6, 12)), verbose=0
    )
    for weight, old in zip(model.weights, before, strict=True):
        idle = re.search(r"conv_\d/bias$", weight.path)
        assert idle or not np.array_equal(weight, old), weight.path


def test_depth_is_clipped_then_divided():
    depth = np.array([[-5.0, 0.0, 400.0, 800.0, 801.0, np.inf]], "float32")
    close(numpy(DepthScaling()(depth)), np.array([[0, 0, 0.4, 0.8, 0.8, 0.8]]))
    close(numpy(DepthScaling(None, 10)(depth[:, :5])), np.array([[0, 0, 40, 80, 80.1]]))


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "ratio": (lambda: attention.SqueezeExcitation(0), "`ratio` must be a whole number from 1 on"),
    "data format": (
        lambda: attention.EncoderFusion(data_format="last"),
        "`data_format` must be one of",
    ),
    "local ratio": (lambda: attention.ResplacementBlock(8, 1.5), "`local_ratio` must be a number"),
    "filters": (lambda: attention.ResplacementBlock(8.0), "`filters` must be a whole number"),
    "three strides": (
        lambda: attention.ResplacementBlock(8, strides=(1, 1, 1)),
        "`strides` must be one whole number, or one for rows",
    ),
    "strides and dilation": (
        lambda: attention.ResplacementBlock(8, strides=2),
        r"must not both be above 1.*strides=\(2, 2\), dilation_rate=\(3, 3\)",
    ),
    "skip over other channels": (
        lambda: attention.ResplacementBlock(8, skip=True)(features(1, 4, 4, 6)),
        r"8 channels and strides 1. Received: shape \(1, 4, 4, 6\)",
    ),
    "skip over strides": (
        lambda: attention.ResplacementBlock(6, 1, skip=True, strides=2)(features(1, 4, 4, 6)),
        r"strides=\(2, 2\)\. Set skip=False",
    ),
    "block over sequences": (
        lambda: attention.ResplacementBlock(6)(features(1, 4, 6)),
        "feature maps with 2 spatial axes",
    ),
    "no positions": (
        lambda: attention.SqueezeExcitation(name="se")(features(1, 6)),
        "SqueezeExcitation 'se' must get one batch of feature maps",
    ),
    "open channels": (
        lambda: attention.SqueezeExcitation()(keras.Input((4, 4, None))),
        "must know its number of channels",
    ),
    "one modality": (
        lambda: attention.EncoderFusion()(features(1, 4, 4, 6)),
        r"must get \[rgb, depth\].*Received: shape \(1, 4, 4, 6\)",
    ),
    "other sizes": (
        lambda: attention.SeparationAggregationGate()([features(1, 4, 4, 6), features(1, 4, 2, 6)]),
        "two feature maps of one shape",
    ),
    "three modalities": (
        lambda: attention.AttentionComplementaryFusion()([features(1, 4, 4, 6)] * 3),
        "two feature maps of one shape",
    ),
    "depth": (lambda: DepthScaling(-1), "`max_depth` must be a number above 0"),
    "named modalities": (
        lambda: attention.EncoderFusion()({"rgb": features(1, 4, 6), "depth": features(1, 4, 6)}),
        r"must get \[rgb, depth\]",
    ),
    "channels": (lambda: SelectChannels(3, 3), "0 <= start < stop"),
    "half a channel": (lambda: SelectChannels(0, 1.5), "0 <= start < stop"),
    "missing channels": (
        lambda: SelectChannels(3, 4)(features(1, 4, 4, 3)),
        r"must get 4 channels or more. Received: shape \(1, 4, 4, 3\)",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused(name):
    act, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        act()
