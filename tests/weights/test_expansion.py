from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerasviz as kv
from kerasviz.errors import AddressError, InputError, MethodError
from tests.conftest import build
from tests.models import KINDS
from tests.reference import expanded as reference
from tests.reference.expanded import Signed

pytestmark = pytest.mark.usefixtures("unoptimized_graphs")


def drawn(model: keras.Model, seed: int = 0) -> keras.Model:
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        values = generator.normal(0.0, 0.5, weight.shape)
        weight.assign(np.abs(values) + 0.2 if "variance" in weight.name else values)
    return model


def kernel(model: keras.Model, name: str) -> np.ndarray:
    return np.asarray(model.get_layer(name).get_weights()[0], "float64")


def factors(layer: Any) -> np.ndarray:
    gamma, _, _, variance = (np.asarray(w, "float64") for w in layer.get_weights())
    return np.asarray(gamma / np.sqrt(variance + layer.epsilon))


def check(
    found: kv.weights.ExpandedWeights,
    network: Callable[[Signed], Signed],
    tolerance: float = 1e-5,
) -> None:
    """The window holds what the re-derivation finds, and nothing lies outside of it."""
    sizes, channels = found.source_size, found.maps.shape[1]
    positive, negative = reference.maps(network(reference.ones(sizes, channels)), sizes, channels)
    window = tuple(slice(a, a + n) for a, n in zip(found.start, found.size, strict=True))
    inside = (slice(None), slice(None), *window)
    most = max(positive.max(), -negative.min())
    assert most > 0
    for own, expected in (
        (found.positive, positive),
        (found.negative, negative),
        (found.maps, positive + negative),
    ):
        np.testing.assert_allclose(own, expected[inside], atol=tolerance * most)
        outside = expected.copy()
        outside[inside] = 0
        assert not outside.any()
    assert (found.positive >= 0).all()
    assert (found.negative <= 0).all()
    np.testing.assert_allclose(found.maps, found.positive + found.negative, atol=1e-6 * most)


@pytest.fixture(scope="module")
def chain() -> keras.Model:
    image = keras.Input((13, 11, 2), name="image")
    x = layers.Conv2D(4, (3, 2), strides=2, activation="relu", name="strided")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.LeakyReLU(name="leaky")(x)
    x = layers.Conv2D(4, 3, dilation_rate=2, padding="same", groups=2, name="grouped")(x)
    x = layers.ReLU(6.0, name="capped")(x)
    x = layers.DepthwiseConv2D(2, padding="same", name="depthwise")(x)
    x = layers.AveragePooling2D(2, name="pool")(x)
    x = layers.Conv2D(3, 1, activation="gelu", name="last")(x)
    return drawn(keras.Model(image, x, name="chain"))


def chain_of(model: keras.Model) -> Callable[[Signed], Signed]:
    def network(x: Signed) -> Signed:
        x = reference.scaled(x, factors(model.get_layer("norm")))
        x = reference.convolved(x, kernel(model, "grouped"), dilation=2, padding="same", groups=2)
        x = reference.depthwise(x, kernel(model, "depthwise"), padding="same")
        return reference.convolved(reference.averaged(x, 2), kernel(model, "last"))

    return network


def test_a_chain_is_the_product_of_its_kernels(chain: keras.Model) -> None:
    found = kv.weights.expand(chain, "strided", "last")
    check(found, chain_of(chain))
    assert found.parameters["activations"] == 3
    from_input = kv.weights.expand(chain, "image", "last")
    check(
        from_input,
        lambda x: chain_of(chain)(reference.convolved(x, kernel(chain, "strided"), stride=2)),
    )
    assert from_input.strides == (4.0, 4.0)
    assert from_input.middle == (1, 1)


def test_one_layer_is_its_own_kernel(chain: keras.Model) -> None:
    found = kv.weights.expand(chain, 0, chain.get_layer("strided"))
    assert (found.source, found.target) == ("image", "strided")
    own = np.transpose(kernel(chain, "strided"), (3, 2, 0, 1))
    np.testing.assert_allclose(found.maps, own, rtol=1e-6)
    np.testing.assert_allclose(found.positive, np.maximum(own, 0), rtol=1e-6)
    np.testing.assert_array_equal(found.cancellation, 0)
    np.testing.assert_allclose(found.norms, np.sqrt((own**2).sum(axis=(2, 3))), rtol=1e-6)
    assert found.start == (6, 4)
    assert not found.is_cut
    assert not found.diagnosis


@pytest.fixture(scope="module")
def residual() -> keras.Model:
    image = keras.Input((12, 12, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="stem")(image)
    y = layers.Conv2D(2, 1, activation="swish", name="squeeze")(x)
    y = layers.Conv2D(4, 3, padding="same", activation="hard_swish", name="expand")(y)
    y = layers.PReLU(shared_axes=[1, 2], name="prelu")(y)
    y = keras.ops.negative(layers.Rescaling(-0.5, offset=0.25, name="rescaled")(y))
    x = layers.Subtract(name="difference")([layers.ReLU(name="relu")(x), y])
    x = layers.Activation("softplus", name="softplus")(layers.ZeroPadding2D(1, name="pad")(x))
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Concatenate(name="both")([x, layers.Activation("tanh", name="tanh")(x)])
    x = layers.Conv2D(3, 3, padding="same", activation="elu", name="last")(x)
    return drawn(keras.Model(image, x, name="residual"), 1)


def test_residual_paths_bottlenecks_and_pools(residual: keras.Model) -> None:
    def network(x: Signed) -> Signed:
        y = reference.convolved(x, kernel(residual, "squeeze"))
        y = reference.convolved(y, kernel(residual, "expand"), padding="same")
        x = reference.added(x, reference.scaled(y, np.full(4, -0.5)))
        x = Signed(*(np.pad(part, [(0, 0), (1, 1), (1, 1), (0, 0)]) for part in x))
        x = reference.averaged(x, 2)
        x = Signed(*(np.concatenate([part, part], axis=-1) for part in x))
        return reference.convolved(x, kernel(residual, "last"), padding="same")

    found = kv.weights.expand(residual, "stem", "last")
    check(found, network)
    assert found.parameters["activations"] == 7
    assert found.parameters["max_pools"] == 1
    assert 0.1 < found.cancellation.mean() < 1
    shown, whole = np.abs(found.maps), found.positive - found.negative
    expected = 1 - shown.sum(axis=(2, 3)) / whole.sum(axis=(2, 3))
    np.testing.assert_allclose(found.cancellation, expected, atol=1e-6)


def test_signs_are_those_of_every_single_path() -> None:
    sequence = keras.Input((9, 2))
    x = layers.Conv1D(3, 2, activation="relu", name="first")(sequence)
    x = layers.Conv1D(2, 3, activation="relu", name="second")(x)
    x = layers.Conv1D(2, 1, name="third")(x)
    model = drawn(keras.Model(sequence, x), 2)
    found = kv.weights.expand(model, model.layers[0], "third")
    kernels = [kernel(model, name) for name in ("first", "second", "third")]
    positive, negative = reference.enumerated(kernels)
    np.testing.assert_allclose(found.positive, positive, atol=1e-6)
    np.testing.assert_allclose(found.negative, negative, atol=1e-6)


def test_volumes_and_negatives() -> None:
    volume = keras.Input((6, 5, 4, 2))
    x = layers.Conv3D(3, 2, name="first", activation="selu")(volume)
    x = keras.ops.negative(layers.MaxPooling3D(2, strides=1, name="pool")(x))
    x = layers.Conv3D(2, (1, 2, 1), name="last")(x)
    model = drawn(keras.Model(volume, x), 3)

    def network(x: Signed) -> Signed:
        x = reference.scaled(x, np.full(3, 1.0507009873554805))
        mean = np.zeros((2, 2, 2, 3, 3))
        mean[...] = -np.eye(3) / 8
        return reference.convolved(reference.convolved(x, mean), kernel(model, "last"))

    check(
        kv.weights.expand(model, model.layers[0], "last"),
        lambda x: network(reference.convolved(x, kernel(model, "first"))),
    )


def held(model: keras.Model, address: str) -> Any:
    for name in address.split("/"):
        model = getattr(model, name, None) or model.get_layer(name)
    return model


def steps(model: keras.Model, *names: str) -> Callable[[Signed], Signed]:
    """Convolutions that keep the size or halve it, batch normalizations and pools, in a row."""

    def network(x: Signed) -> Signed:
        for name in names:
            layer = None if name == "pool" else held(model, name)
            if layer is None:
                x = reference.averaged(x, 2)
            elif isinstance(layer, layers.BatchNormalization):
                x = reference.scaled(x, factors(layer))
            else:
                weights, stride = layer.get_weights()[0], layer.strides[0]
                x = reference.convolved(x, np.asarray(weights), stride, padding="same")
        return x

    return network


def test_half_precision_is_expanded_in_single() -> None:
    model = KINDS["mixed_float16"]().model
    found = kv.weights.expand(model, "conv_1", "conv_2")
    check(found, steps(model, "norm", "conv_2"), tolerance=6e-3)


@pytest.mark.parametrize(
    ("name", "source", "target", "between"),
    [
        ("subclassed_repeated", "conv", "conv@3", ("conv", "conv")),
        (
            "subclassed_nested",
            "trunk/conv_2",
            "block",
            ("block/conv", "block/norm"),
        ),
        ("channels_first", "conv_1", "conv_2", ("norm", "pool", "conv_2")),
        ("loaded_from_keras", "trunk/conv_1", "conv", ("pool", "trunk/conv_2", "norm", "conv")),
    ],
)
def test_kinds_of_models(name: str, source: str, target: str, between: tuple[str, ...]) -> None:
    model = build(name).model
    check(kv.weights.expand(model, source, target), steps(model, *between))


def test_examples_give_the_means_of_true_gradients(residual: keras.Model) -> None:
    images = np.random.default_rng(0).normal(size=(5, 12, 12, 3)).astype("float32")
    expander = kv.weights.WeightExpander(residual, "stem", "last", batch_size=2)
    found = expander(images, targets=[2, 0], verbose=0)
    stem = keras.Model(residual.inputs, residual.get_layer("stem").output)
    rest = keras.Model(residual.get_layer("stem").output, residual.outputs)
    window = tuple(slice(a, a + n) for a, n in zip(found.start, found.size, strict=True))
    for row, channel in enumerate(found.targets):
        with tf.GradientTape() as tape:
            features = tf.convert_to_tensor(stem(images))
            tape.watch(features)
            score = rest(features)[:, 3, 3, channel]
        gradients = np.moveaxis(tape.gradient(score, features).numpy(), -1, 1)
        outside = gradients.copy()
        outside[(..., *window)] = 0
        assert not outside.any()
        gradients = gradients[(..., *window)]
        for own, part in (
            (found.maps, gradients),
            (found.positive, np.maximum(gradients, 0)),
            (found.negative, np.minimum(gradients, 0)),
        ):
            np.testing.assert_allclose(own[row], part.mean(axis=0), atol=1e-6)
    assert (found.method, found.parameters["examples"]) == ("examples", 5)
    assert found.middle == (3, 3)
    traces = expander._reader.num_traces
    again = expander(images[:3], targets=[0], sources=[1], verbose=0)
    assert again.maps.shape == (1, 1, *found.size)
    assert expander._reader.num_traces == traces


def test_nothing_is_traced_twice_and_the_model_stays(residual: keras.Model) -> None:
    held = [residual, *residual.layers]
    before = [(set(vars(layer)), layer.get_config()) for layer in held]
    weights = residual.get_weights()
    expander = kv.weights.WeightExpander(residual, "stem", "last")
    first = expander(targets=[0, 2])
    traces = expander._reader.num_traces
    np.testing.assert_array_equal(expander(targets=[2], sources=[3]).maps, first.maps[1:, 3:])
    assert expander._reader.num_traces == traces
    with pytest.raises(AddressError, match="from 0 to 2"):
        expander(targets=[3])
    with pytest.raises(MethodError, match="Swap the two"):
        kv.weights.expand(residual, "last", "stem")
    assert [(set(vars(layer)), layer.get_config()) for layer in held] == before
    for own, old in zip(residual.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(own, old)
    residual.get_layer("squeeze").kernel.assign(2 * weights[2])
    try:
        doubled = expander(targets=[0]).maps - first.maps[:1]
    finally:
        residual.set_weights(weights)
    assert np.abs(doubled).max() > 0.01


def test_windows_at_the_border_and_open_sizes() -> None:
    signal = keras.Input((None, 1), name="signal")
    x = layers.Conv1D(2, 31, padding="same", name="wide")(signal)
    x = layers.Conv1D(2, 5, padding="same", name="last")(x)
    model = drawn(keras.Model(signal, x), 5)
    found = kv.weights.expand(model, "signal", "last", targets=[1])
    assert (found.source_size, found.size, found.start) == ((64,), (35,), (15,))
    assert not found.is_cut
    cut = kv.weights.expand(model, "signal", "last", targets=[1], size=20)
    assert (cut.source_size, cut.size, cut.is_cut) == ((20,), (20,), True)
    assert "cut by the border" in cut.diagnosis
    shift = 32 - 10 - 15
    np.testing.assert_allclose(
        cut.maps[..., 4:16], found.maps[..., shift + 4 : shift + 16], atol=1e-5
    )


def test_what_cancels_is_told_and_kept(tmp_path: Path) -> None:
    signal = keras.Input((5, 1))
    x = layers.Conv1D(2, 1, use_bias=False, name="first")(signal)
    x = layers.Conv1D(1, 1, use_bias=False, name="last")(x)
    model = keras.Model(signal, x)
    model.set_weights([np.array([[[1.0, -1.0]]]), np.array([[[2.0], [1.5]]])])
    found = kv.weights.expand(model, model.layers[0], "last")
    assert found.maps.item() == pytest.approx(0.5)
    assert found.positive.item() == pytest.approx(2.0)
    assert found.negative.item() == pytest.approx(-1.5)
    assert found.cancellation.item() == pytest.approx(1 - 0.5 / 3.5)
    assert found.diagnosis.startswith("86% of excitation and inhibition cancel")
    again = kv.weights.ExpandedWeights.load(found.save(tmp_path / "expanded.npz"))
    for name, value in vars(found).items():
        np.testing.assert_equal(getattr(again, name), value)
    model.set_weights([np.zeros((1, 1, 2)), np.ones((1, 2, 1))])
    nothing = kv.weights.expand(model, model.layers[0], "last")
    assert nothing.diagnosis.startswith("All weights are zero")
    assert nothing.cancellation.item() == 0
    assert nothing.norms.item() == 0


def gated(name: str) -> keras.Model:
    image = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(3, 1, name="source")(image)
    other = layers.Conv2D(3, 1, activation="sigmoid", name="other")(
        x if name == "excitation" else image
    )
    if name == "normalization":
        x = layers.LayerNormalization(name="gate")(x)
    elif name == "square":
        x = layers.Activation(keras.ops.square, name="gate")(x)
    else:
        x = layers.Multiply(name="gate")([x, other])
    x = layers.Conv2D(2, 1, name="target")(x)
    return keras.Model(image, [x, other])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("excitation", "'gate', in which Mul multiplies two paths"),
        ("other branch", "'gate', in which Mul multiplies by what another path makes"),
        ("normalization", "'gate', in which"),
        ("square", "'gate', in which Square is not linear"),
    ],
)
def test_products_of_paths_need_examples(name: str, told: str) -> None:
    model = gated(name)
    with pytest.raises(MethodError, match=told) as caught:
        kv.weights.expand(model, "source", "target")
    assert "examples=" in str(caught.value)
    if name == "excitation":
        images = np.ones((2, 6, 6, 2), "float32")
        found = kv.weights.expand(model, "source", "target", images, verbose=0)
        assert found.maps.any()


def test_what_makes_no_sense_is_refused() -> None:
    model = build("functional").model
    with pytest.raises(MethodError, match="must be a layer with channels and positions"):
        kv.weights.expand(model, "conv_1", "head")
    with pytest.raises(MethodError, match="Name two layers of which one leads"):
        kv.weights.expand(model, "conv_1", "conv_1")
    with pytest.raises(AddressError, match="conv_1"):
        kv.weights.expand(model, "conv_11", "conv_2")
    expander = kv.weights.WeightExpander(model, "conv_1", "conv_2")
    for channels in (3, [], [0.5], [[1]]):
        with pytest.raises(InputError, match="`sources` must be a list of channel numbers"):
            expander(sources=channels)
    with pytest.raises(InputError, match="`targets` must be different channels"):
        expander(targets=[1, 1])
    with pytest.raises(AddressError, match="`sources` must be from 0 to 5"):
        expander(sources=[6])
    with pytest.raises(InputError, match="finite"):
        expander(np.full((1, 16, 12, 3), np.nan), verbose=0)
    sized = keras.Input(batch_shape=(2, 8, 8, 1))
    x = layers.Conv2D(1, 1, name="b")(layers.Conv2D(1, 1, name="a")(sized))
    with pytest.raises(MethodError, match="runs on 2 samples only"):
        kv.weights.expand(keras.Model(sized, x), "a", "b")


def test_weights_that_are_no_numbers_are_refused() -> None:
    image = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(4, 1, name="a")(image)
    x = layers.Dense(3, name="dense")(x)
    model = keras.Model(image, layers.Conv2D(2, 1, name="b")(x))
    kernel = model.get_layer("b").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(MethodError, match="Expected finite weights between 'a' and 'b'"):
        kv.weights.expand(model, "a", "b")
    model.quantize("int8")
    with pytest.raises(MethodError, match="'dense', quantized to int8"):
        kv.weights.expand(model, "a", "b")
