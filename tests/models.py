"""The kinds of Keras model that every method must hold for, small enough to try them all.

`KINDS` maps a kind's name to a function that builds its `Case`; `SPELLINGS` and `EXTRA_SPELLINGS`
do the same for one network whose rectifiers are written in different ways. Nothing here seeds
globally, and building a case twice gives the same numbers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

BATCH = 7
Build = Callable[[str | None], keras.Model]


class Tokens(NamedTuple):
    """A layer that returns tokens, and the grid of patches that the tokens stand for.

    Args:
        layer: Address of a layer with output shape `(batch, num_prefix + prod(grid), channels)`.
        grid: Number of patches along each spatial axis, in row-major order of the tokens.
        num_prefix: Tokens in front of the patches, such as a class token.
    """

    layer: str
    grid: tuple[int, ...]
    num_prefix: int


class Rectifier(NamedTuple):
    """A piecewise linear activation: slope `negative_slope` below `threshold`, 1 up to `maximum`.

    Args:
        negative_slope: A number, or an array that broadcasts to the activation (`PReLU`).
        threshold: Where the slope becomes 1.
        maximum: Where the output stops growing.
    """

    negative_slope: Any = 0.0
    threshold: float = 0.0
    maximum: float = float("inf")


@dataclasses.dataclass(frozen=True)
class Case:
    """A built model, inputs for it, and what a test needs to know about it.

    Args:
        name: The kind's name.
        model: The model, with seeded weights.
        inputs: Seeded arrays with a batch of 7, in the model's own structure.
        layer: Address of the layer that Grad-CAM is taken at.
        build: Builds the model anew; takes the final activation's name, or None for none.
        final: Final activation of the explained output: "softmax", "sigmoid" or "linear".
        index: The unit (class, channel) that is explained.
        output: Which of several outputs is explained: its position in a list or its key in a
            dict of outputs. None for a model with one output.
        target: The same choice as a user says it: `index`, or `{output name: index}`.
        num_units: Units of the explained output.
        more_layers: Further addresses that exist, with a spatial (or token) output.
        spatial: For each flattened input, whether it has spatial axes.
        channel_axis: Axis of the channels in inputs and in `layer`'s output: -1 or 1.
        head: Address of the `Dense` layer that directly follows global average pooling of
            `layer`'s output. None where there is no such head, so that CAM makes no sense.
        tokens: A layer that returns tokens, for models with attention.
        differentiable: Whether the score has a gradient with respect to every input.
        tolerance: Largest difference of maps in [0, 1] that rounding explains.
        rectifiers: The rectifiers of a network from `SPELLINGS`, in order of application.
        num_rectifiers: Rectifiers applied in one forward pass, each call site counted.
            None where the number depends on how the model is run.
    """

    name: str
    model: keras.Model
    inputs: Any
    layer: str
    build: Build
    final: str = "softmax"
    index: int = 1
    output: str | int | None = None
    target: Any = 1
    num_units: int = 4
    more_layers: tuple[str, ...] = ()
    spatial: tuple[bool, ...] = (True,)
    channel_axis: int = -1
    head: str | None = None
    tokens: Tokens | None = None
    differentiable: bool = True
    tolerance: float = 1e-4
    rectifiers: tuple[Rectifier, ...] = ()
    num_rectifiers: int | None = None

    @functools.cached_property
    def linear_model(self) -> keras.Model:
        """The same network and weights, built without the final activation: it returns logits."""
        return _weighted(self.build(None), self.inputs, self.model.get_weights())

    @functools.cached_property
    def exact_linear_model(self) -> keras.Model:
        """`linear_model` computed in float64."""
        with float64_by_default():
            return _weighted(self.build(None), self.inputs, self.model.get_weights())

    @property
    def input_sizes(self) -> tuple[tuple[int, ...] | None, ...]:
        """The spatial shape of each flattened input, None for those that have none."""
        arrays = keras.tree.flatten(self.inputs)
        return tuple(
            _spatial_shape(array, self.channel_axis) if spatial else None
            for array, spatial in zip(arrays, self.spatial, strict=True)
        )


KINDS: dict[str, Callable[[], Case]] = {}
SPELLINGS: dict[str, Callable[[], Case]] = {}
EXTRA_SPELLINGS: dict[str, Callable[[], Case]] = {}


@contextlib.contextmanager
def float64_by_default() -> Iterator[None]:
    """Layers and inputs that are made inside are float64 unless they say otherwise."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """A batch of noise of unit variance around a different level for each sample and channel."""
    generator = np.random.default_rng((seed, *shape))
    level = generator.uniform(-1, 1, (BATCH, *(1,) * (len(shape) - 1), shape[-1]))
    return (level + generator.normal(size=(BATCH, *shape))).astype("float32")


def _spatial_shape(array: np.ndarray, channel_axis: int) -> tuple[int, ...]:
    if array.ndim == 2:
        return array.shape[1:]
    return array.shape[2:] if channel_axis == 1 else array.shape[1:-1]


def _first(inputs: Any) -> Any:
    return keras.tree.map_structure(lambda array: array[:1], inputs)


def _weighted(model: keras.Model, inputs: Any, weights: list[np.ndarray]) -> keras.Model:
    if not model.built:
        model(_first(inputs))
    model.set_weights(weights)
    return model


def _seeded(model: keras.Model, inputs: Any, seed: int) -> keras.Model:
    if not model.built:
        model(_first(inputs))
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(_seeded_values(weight.name, tuple(weight.shape), generator))
    return model


def _seeded_values(name: str, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    if name in ("gamma", "moving_variance"):
        return generator.uniform(0.6, 1.4, shape)
    if name == "depthwise_kernel":
        return generator.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-2]))
    if len(shape) > 1:
        return generator.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))
    return generator.normal(size=shape) * 0.1


def kind(
    inputs: Any, layer: str, seed: int | None = None, **facts: Any
) -> Callable[[Build], Build]:
    """Register a builder in `KINDS` under its own name; `facts` are more fields of its `Case`."""

    def register(build: Build) -> Build:
        name = build.__name__
        chosen = zlib.crc32(name.encode()) if seed is None else seed

        def make() -> Case:
            model = _seeded(build(facts.get("final", "softmax")), inputs, chosen)
            return Case(name, model, inputs, layer, build, **facts)

        KINDS[name] = make
        return build

    return register


def _convolution(filters: int, name: str, **settings: Any) -> layers.Layer:
    settings = {"padding": "same", "activation": "relu", **settings}
    return layers.Conv2D(filters, 3, name=name, **settings)


IMAGES = noise(16, 12, 3)


# Functional and Sequential models, and one inside the other.


@kind(IMAGES, "conv_2", more_layers=("conv_1", "pool"), num_rectifiers=2)
def functional(final: str | None) -> keras.Model:
    """Two convolutions, flattened."""
    image = keras.Input((16, 12, 3), name="image")
    x = _convolution(6, "conv_1")(image)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = _convolution(5, "conv_2")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="functional")


def _stack(final: str | None) -> list[layers.Layer]:
    return [
        _convolution(6, "conv_1", strides=2),
        _convolution(5, "conv_2"),
        layers.Flatten(name="flatten"),
        layers.Dense(8, "relu", name="hidden"),
        layers.Dense(4, final, name="head"),
    ]


@kind(IMAGES, "conv_2", more_layers=("conv_1",), num_rectifiers=3)
def sequential_with_input(final: str | None) -> keras.Model:
    """Sequential that knows its input shape."""
    return keras.Sequential([keras.Input((16, 12, 3)), *_stack(final)], name="with_input")


@kind(IMAGES, "conv_2", more_layers=("conv_1",), num_rectifiers=3)
def sequential_without_input(final: str | None) -> keras.Model:
    """Sequential that is built by its first call."""
    return keras.Sequential(_stack(final), name="without_input")


@kind(IMAGES, "trunk/conv_2", more_layers=("trunk/conv_1", "trunk"), num_rectifiers=2)
def sequential_in_functional(final: str | None) -> keras.Model:
    """A Sequential trunk in a functional model."""
    image = keras.Input((16, 12, 3), name="image")
    trunk = keras.Sequential([_convolution(6, "conv_1"), _convolution(5, "conv_2")], name="trunk")
    x = layers.Flatten(name="flatten")(trunk(image))
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="outer")


def _trunk(name: str, shape: tuple[int, int, int]) -> keras.Model:
    image = keras.Input(shape, name="trunk_image")
    x = _convolution(6, "conv_1")(image)
    x = layers.MaxPooling2D(2, name="pool")(x)
    return keras.Model(image, _convolution(5, "conv_2")(x), name=name)


@kind(IMAGES, "trunk/conv_2", more_layers=("trunk/conv_1", "trunk"), num_rectifiers=2)
def functional_in_sequential(final: str | None) -> keras.Model:
    """A functional trunk in a Sequential."""
    head = [layers.Flatten(name="flatten"), layers.Dense(4, final, name="head")]
    return keras.Sequential([_trunk("trunk", (16, 12, 3)), *head], name="transfer")


@kind(
    IMAGES,
    "encoder/block_2/conv_2",
    more_layers=("encoder/block_1/conv_1", "encoder/block_2", "encoder"),
    num_rectifiers=5,
)
def functional_in_functional(final: str | None) -> keras.Model:
    """Functional models nested two levels deep, with repeated names inside."""
    inner = keras.Input((16, 12, 3), name="encoder_image")
    x = _trunk("block_1", (16, 12, 3))(inner)
    encoder = keras.Model(inner, _trunk("block_2", (8, 6, 5))(x), name="encoder")
    image = keras.Input((16, 12, 3), name="image")
    x = layers.Flatten(name="flatten")(encoder(image))
    x = layers.Dense(8, "relu", name="hidden")(x)
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="outer")


@kind(IMAGES, "encoder/conv_high", more_layers=("encoder/conv_low", "merge"), num_rectifiers=3)
def nested_with_two_outputs(final: str | None) -> keras.Model:
    """A nested encoder that hands on two feature maps, both used."""
    inner = keras.Input((16, 12, 3), name="encoder_image")
    low = _convolution(4, "conv_low")(inner)
    high = _convolution(6, "conv_high", strides=2)(low)
    encoder = keras.Model(inner, [low, high], name="encoder")
    image = keras.Input((16, 12, 3), name="image")
    low, high = encoder(image)
    x = layers.Concatenate(name="join")([low, layers.UpSampling2D(2, name="up")(high)])
    x = _convolution(5, "merge", strides=2)(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="pyramid")


# Subclassed models and layers with layers inside.


class SmallNetwork(keras.Model):
    """A subclassed model with plain sublayers, one of them in a list."""

    def __init__(self, final: str | None, **settings: Any) -> None:
        super().__init__(**settings)
        self.stages = [_convolution(6, "conv_1"), _convolution(5, "conv_2", strides=2)]
        self.flatten = layers.Flatten(name="flatten")
        self.classifier = layers.Dense(4, final, name="head")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Convolve, flatten, classify."""
        x = inputs
        for stage in self.stages:
            x = stage(x)
        return self.classifier(self.flatten(x))


class Block(layers.Layer):
    """A layer with sublayers: convolution, batch normalization, rectifier."""

    def __init__(self, filters: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.conv = _convolution(filters, "conv", activation=None)
        self.norm = layers.BatchNormalization(name="norm")
        self.relu = layers.ReLU(name="relu")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Shape `(batch, height, width, channels)` in and out."""
        return self.relu(self.norm(self.conv(inputs), training=training))


class NestedNetwork(keras.Model):
    """A subclassed model that holds a functional model and layers with sublayers."""

    def __init__(self, final: str | None, **settings: Any) -> None:
        super().__init__(**settings)
        self.trunk = _trunk("trunk", (16, 12, 3))
        self.block = Block(6, name="block")
        self.flatten = layers.Flatten(name="flatten")
        self.classifier = layers.Dense(4, final, name="head")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Trunk, block, classify."""
        x = self.block(self.trunk(inputs), training=training)
        return self.classifier(self.flatten(x))


class RepeatedNetwork(keras.Model):
    """A subclassed model that calls one convolution three times in a loop."""

    def __init__(self, final: str | None, **settings: Any) -> None:
        super().__init__(**settings)
        self.stem = _convolution(5, "stem", strides=2)
        self.conv = _convolution(5, "conv")
        self.flatten = layers.Flatten(name="flatten")
        self.classifier = layers.Dense(4, final, name="head")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Stem, three rounds of the same convolution, classify."""
        x = self.stem(inputs)
        for _ in range(3):
            x = self.conv(x)
        return self.classifier(self.flatten(x))


@kind(IMAGES, "conv_2", more_layers=("conv_1",), num_rectifiers=2)
def subclassed(final: str | None) -> keras.Model:
    """A subclass of `keras.Model`, built by its first call."""
    return SmallNetwork(final, name="small_network")


@kind(
    IMAGES,
    "block/relu",
    more_layers=("block/conv", "block", "trunk/conv_2", "trunk"),
    num_rectifiers=3,
)
def subclassed_nested(final: str | None) -> keras.Model:
    """Subclassed model > functional model and custom layer > layers."""
    return NestedNetwork(final, name="nested_network")


@kind(IMAGES, "conv@3", more_layers=("stem", "conv", "conv@2"), num_rectifiers=4)
def subclassed_repeated(final: str | None) -> keras.Model:
    """A subclassed model with a convolution called three times."""
    return RepeatedNetwork(final, name="repeated_network")


class Features(keras.Model):
    """A subclassed trunk: image in, feature map out."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.first = Block(6, name="first")
        self.second = Block(5, name="second")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Two blocks."""
        return self.second(self.first(inputs, training=training), training=training)


@kind(
    IMAGES,
    "features/second/relu",
    more_layers=("features/first/relu", "features/second", "features"),
    num_rectifiers=2,
)
def functional_containing_subclassed(final: str | None) -> keras.Model:
    """A functional model around a subclassed trunk."""
    image = keras.Input((16, 12, 3), name="image")
    x = layers.MaxPooling2D(2, name="pool")(Features(name="features")(image))
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="outer")


class FunctionalSubclass(keras.Model):
    """A subclass whose constructor hands a functional graph to `keras.Model`."""

    def __init__(self, final: str | None, **settings: Any) -> None:
        image = keras.Input((16, 12, 3), name="image")
        x = _convolution(5, "conv", strides=2)(image)
        x = layers.Flatten(name="flatten")(x)
        outputs = layers.Dense(4, final, name="head")(x)
        super().__init__(inputs=image, outputs=outputs, **settings)


@kind(IMAGES, "conv", num_rectifiers=1)
def functional_subclass(final: str | None) -> keras.Model:
    """A named class that is a functional model."""
    return FunctionalSubclass(final, name="functional_subclass")


class ScaleBy(layers.Layer):
    """A layer without `get_config` whose argument, a function, could not be saved either."""

    def __init__(self, scale: Callable[[Any], Any], **settings: Any) -> None:
        super().__init__(**settings)
        self.scale = scale
        self.conv = _convolution(5, "conv")

    def call(self, inputs: Any) -> Any:
        """Convolve and scale."""
        return self.scale(self.conv(inputs))


@kind(IMAGES, "scaled/conv", more_layers=("scaled",), num_rectifiers=1)
def custom_layer_without_get_config(final: str | None) -> keras.Model:
    """A functional model that can be neither cloned nor saved."""
    image = keras.Input((16, 12, 3), name="image")
    x = ScaleBy(lambda features: features * 0.5, name="scaled")(image)
    x = layers.AveragePooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="unsaveable")


# Layers and models that are called more than once.


@kind(IMAGES, "conv@2", more_layers=("stem", "conv"), seed=1, num_rectifiers=3)
def shared_layer(final: str | None) -> keras.Model:
    """One convolution called twice, one call behind the other."""
    image = keras.Input((16, 12, 3), name="image")
    conv = _convolution(5, "conv")
    x = conv(conv(_convolution(5, "stem", strides=2)(image)))
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="shared_layer")


@kind(
    [IMAGES, noise(16, 12, 3, seed=1)],
    "encoder@2/conv_2",
    more_layers=("encoder/conv_2", "encoder/conv_1", "encoder@2/conv_1", "encoder@2"),
    spatial=(True, True),
    num_rectifiers=5,
)
def shared_encoder(final: str | None) -> keras.Model:
    """Siamese: one nested encoder looks at two images."""
    left = keras.Input((16, 12, 3), name="left")
    right = keras.Input((16, 12, 3), name="right")
    encoder = _trunk("encoder", (16, 12, 3))
    x = layers.Subtract(name="difference")([encoder(left), encoder(right)])
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(8, "relu", name="hidden")(x)
    return keras.Model([left, right], layers.Dense(4, final, name="head")(x), name="siamese")


# Several inputs, several outputs.


@kind(
    [IMAGES, noise(10, 14, 1)],
    "conv_color",
    more_layers=("conv_depth",),
    spatial=(True, True),
    num_rectifiers=3,
)
def multi_input(final: str | None) -> keras.Model:
    """Two images of different sizes, as a list."""
    color = keras.Input((16, 12, 3), name="color")
    depth = keras.Input((10, 14, 1), name="depth")
    first = layers.Flatten(name="flatten_color")(_convolution(5, "conv_color", strides=2)(color))
    second = layers.Flatten(name="flatten_depth")(_convolution(4, "conv_depth", strides=2)(depth))
    x = layers.Concatenate(name="join")([first, second])
    x = layers.Dense(8, "relu", name="hidden")(x)
    return keras.Model([color, depth], layers.Dense(4, final, name="head")(x), name="multi_input")


@kind(
    {"image": IMAGES, "metadata": noise(6)},
    "conv",
    spatial=(True, False),
    num_rectifiers=2,
)
def multi_input_dict(final: str | None) -> keras.Model:
    """An image and a vector, as a dict."""
    image = keras.Input((16, 12, 3), name="image")
    metadata = keras.Input((6,), name="metadata")
    x = layers.Flatten(name="flatten")(_convolution(5, "conv", strides=2)(image))
    x = layers.Concatenate(name="join")([x, metadata])
    x = layers.Dense(8, "relu", name="hidden")(x)
    outputs = layers.Dense(4, final, name="head")(x)
    return keras.Model({"image": image, "metadata": metadata}, outputs, name="multi_input_dict")


def _two_heads(final: str | None) -> tuple[Any, Any, Any]:
    image = keras.Input((16, 12, 3), name="image")
    x = _convolution(5, "conv_2")(_convolution(6, "conv_1", strides=2)(image))
    x = layers.Flatten(name="flatten")(x)
    return image, layers.Dense(4, final, name="head_a")(x), layers.Dense(2, name="head_b")(x)


@kind(IMAGES, "conv_2", more_layers=("conv_1",), output=0, target={"head_a": 1}, num_rectifiers=2)
def multi_output(final: str | None) -> keras.Model:
    """A softmax and a linear output, as a list; the softmax is explained."""
    image, first, second = _two_heads(final)
    return keras.Model(image, [first, second], name="multi_output")


@kind(
    IMAGES,
    "conv_2",
    more_layers=("conv_1",),
    output="label",
    target={"label": 1},
    num_rectifiers=2,
)
def multi_output_dict(final: str | None) -> keras.Model:
    """A softmax and a linear output, as a dict with names of its own; the softmax is explained."""
    image, first, second = _two_heads(final)
    return keras.Model(image, {"label": first, "box": second}, name="multi_output_dict")


@kind(
    IMAGES,
    "conv_2",
    more_layers=("conv_1",),
    final="linear",
    output=1,
    target={"head_b": 1},
    num_units=2,
    num_rectifiers=2,
)
def multi_output_second(final: str | None) -> keras.Model:
    """A softmax and a linear output, as a list; the linear one is explained."""
    image, first, second = _two_heads("softmax")
    return keras.Model(image, [first, second], name="multi_output_second")


# Data types.


def _mixed(policy: str, head_policy: str, final: str | None) -> keras.Model:
    image = keras.Input((16, 12, 3), name="image")
    x = _convolution(6, "conv_1", dtype=policy)(image)
    x = layers.BatchNormalization(name="norm", dtype=policy)(x)
    x = _convolution(5, "conv_2", dtype=policy, strides=2)(x)
    x = layers.Flatten(name="flatten", dtype=policy)(x)
    outputs = layers.Dense(4, final, name="head", dtype=head_policy)(x)
    return keras.Model(image, outputs, name=policy)


@kind(IMAGES, "conv_2", more_layers=("conv_1",), tolerance=0.02, num_rectifiers=2)
def mixed_float16(final: str | None) -> keras.Model:
    """Computes in float16, answers in float32."""
    return _mixed("mixed_float16", "float32", final)


@kind(IMAGES, "conv_2", more_layers=("conv_1",), tolerance=0.05, num_rectifiers=2)
def mixed_bfloat16(final: str | None) -> keras.Model:
    """Computes and answers in bfloat16."""
    return _mixed("mixed_bfloat16", "mixed_bfloat16", final)


def _photos() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (BATCH, 16, 12, 3), "uint8")


@kind(_photos(), "conv", differentiable=False, num_rectifiers=1)
def uint8_input(final: str | None) -> keras.Model:
    """Takes bytes and scales them inside."""
    image = keras.Input((16, 12, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 64, offset=-2, name="rescaling")(image)
    x = layers.Flatten(name="flatten")(_convolution(5, "conv", strides=2)(x))
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="uint8_input")


def _words() -> np.ndarray:
    return np.random.default_rng(6).integers(0, 30, (BATCH, 18), "int32")


@kind(_words(), "conv", more_layers=("embedding",), differentiable=False, num_rectifiers=1)
def embedding(final: str | None) -> keras.Model:
    """Takes token numbers: a convolution over embedded words."""
    words = keras.Input((18,), dtype="int32", name="words")
    x = layers.Embedding(30, 6, name="embedding")(words)
    x = layers.Conv1D(5, 3, padding="same", activation="relu", name="conv")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(words, layers.Dense(4, final, name="head")(x), name="embedding")


# Numbers and order of axes.


@kind(noise(20, 3), "conv_2", more_layers=("conv_1",), head="head", num_rectifiers=2)
def conv1d(final: str | None) -> keras.Model:
    """One spatial axis."""
    signal = keras.Input((20, 3), name="signal")
    x = layers.Conv1D(6, 3, padding="same", activation="relu", name="conv_1")(signal)
    x = layers.MaxPooling1D(2, name="pool")(x)
    x = layers.Conv1D(5, 3, padding="same", activation="relu", name="conv_2")(x)
    x = layers.GlobalAveragePooling1D(name="gap")(x)
    return keras.Model(signal, layers.Dense(4, final, name="head")(x), name="conv1d")


@kind(noise(8, 10, 6, 2), "conv_2", more_layers=("conv_1",), head="head", num_rectifiers=2)
def conv3d(final: str | None) -> keras.Model:
    """Three spatial axes."""
    volume = keras.Input((8, 10, 6, 2), name="volume")
    x = layers.Conv3D(5, 3, padding="same", activation="relu", name="conv_1")(volume)
    x = layers.MaxPooling3D(2, name="pool")(x)
    x = layers.Conv3D(4, 3, padding="same", activation="relu", name="conv_2")(x)
    x = layers.GlobalAveragePooling3D(name="gap")(x)
    return keras.Model(volume, layers.Dense(4, final, name="head")(x), name="conv3d")


@kind(
    np.ascontiguousarray(np.moveaxis(IMAGES, -1, 1)),
    "conv_2",
    more_layers=("conv_1",),
    channel_axis=1,
    head="head",
    num_rectifiers=2,
)
def channels_first(final: str | None) -> keras.Model:
    """Channels before height and width throughout."""
    order = {"data_format": "channels_first"}
    image = keras.Input((3, 16, 12), name="image")
    x = _convolution(6, "conv_1", **order)(image)
    x = layers.BatchNormalization(axis=1, name="norm")(x)
    x = layers.MaxPooling2D(2, name="pool", **order)(x)
    x = _convolution(5, "conv_2", **order)(x)
    x = layers.GlobalAveragePooling2D(name="gap", **order)(x)
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="channels_first")


@kind(noise(18, 14, 3), "conv_2", more_layers=("conv_1",), head="head", num_rectifiers=2)
def variable_size(final: str | None) -> keras.Model:
    """Height and width are left open."""
    image = keras.Input((None, None, 3), name="image")
    x = _convolution(6, "conv_1", strides=2)(image)
    x = _convolution(5, "conv_2")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="variable_size")


# Attention.


@kind(
    IMAGES,
    "patches",
    more_layers=("attention", "residual", "norm"),
    tokens=Tokens("norm", (4, 3), 0),
    num_rectifiers=1,
)
def attention(final: str | None) -> keras.Model:
    """Patches as tokens, self-attention with a residual, then a small classifier."""
    image = keras.Input((16, 12, 3), name="image")
    x = layers.Conv2D(8, 4, strides=4, name="patches")(image)
    x = layers.Reshape((12, 8), name="tokens")(x)
    attended = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.Add(name="residual")([x, attended])
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling1D(name="gap")(x)
    x = layers.Dense(8, "relu", name="hidden")(x)
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="attention")


class ClassToken(layers.Layer):
    """Puts a learned token in front of the others and adds learned positions."""

    def build(self, input_shape: tuple[Any, int, int]) -> None:
        """`input_shape` is `(batch, tokens, channels)`."""
        _, tokens, channels = input_shape
        self.token = self.add_weight(shape=(1, 1, channels), name="token")
        self.position = self.add_weight(shape=(1, tokens + 1, channels), name="position")

    def call(self, inputs: Any) -> Any:
        """Returns shape `(batch, tokens + 1, channels)`."""
        token = keras.ops.zeros_like(inputs[:, :1]) + self.token
        return keras.ops.concatenate([token, inputs], axis=1) + self.position


class TransformerBlock(layers.Layer):
    """Self-attention and a two-layer perceptron, each normalized first and added back."""

    def __init__(self, channels: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.norm_1 = layers.LayerNormalization(name="norm_1")
        self.attention = layers.MultiHeadAttention(2, channels // 2, name="attention")
        self.norm_2 = layers.LayerNormalization(name="norm_2")
        self.expand = layers.Dense(2 * channels, "gelu", name="expand")
        self.contract = layers.Dense(channels, name="contract")

    def call(self, inputs: Any) -> Any:
        """Shape `(batch, tokens, channels)` in and out."""
        normal = self.norm_1(inputs)
        x = inputs + self.attention(normal, normal)
        return x + self.contract(self.expand(self.norm_2(x)))


@kind(
    IMAGES,
    "patches",
    more_layers=("block_2/norm_1", "block_1/norm_1", "block_1", "block_2/attention"),
    tokens=Tokens("block_2/norm_1", (4, 3), 1),
    num_rectifiers=0,
)
def class_token_vit(final: str | None) -> keras.Model:
    """A vision transformer that reads its answer from the class token."""
    image = keras.Input((16, 12, 3), name="image")
    x = layers.Conv2D(8, 4, strides=4, name="patches")(image)
    x = layers.Reshape((12, 8), name="tokens")(x)
    x = ClassToken(name="class_token")(x)
    x = TransformerBlock(8, name="block_2")(TransformerBlock(8, name="block_1")(x))
    x = layers.LayerNormalization(name="norm")(x)
    return keras.Model(image, layers.Dense(4, final, name="head")(x[:, 0]), name="vit")


# Time.


@kind(noise(3, 12, 10, 2), "steps_2", more_layers=("steps_1", "steps_pool"))
def time_distributed(final: str | None) -> keras.Model:
    """A convolution for each of three frames; the map has the axes time, height, width."""
    film = keras.Input((3, 12, 10, 2), name="film")
    x = layers.TimeDistributed(_convolution(4, "conv_1"), name="steps_1")(film)
    x = layers.TimeDistributed(layers.MaxPooling2D(2, name="pool"), name="steps_pool")(x)
    x = layers.TimeDistributed(_convolution(5, "conv_2"), name="steps_2")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(film, layers.Dense(4, final, name="head")(x), name="time_distributed")


@kind(noise(4, 12, 10, 2), "steps")
def recurrent(final: str | None) -> keras.Model:
    """Frames of open number, a convolution for each, read by an LSTM."""
    film = keras.Input((None, 12, 10, 2), name="film")
    x = layers.TimeDistributed(_convolution(5, "conv", strides=2), name="steps")(film)
    x = layers.TimeDistributed(layers.GlobalAveragePooling2D(name="gap"), name="steps_gap")(x)
    x = layers.LSTM(6, name="lstm")(x)
    return keras.Model(film, layers.Dense(4, final, name="head")(x), name="recurrent")


# Models that come from a file.


def _saved_and_loaded(model: keras.Model, inputs: Any, file_name: str) -> keras.Model:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file_name
        _seeded(model, inputs, 3).save(path)
        return keras.saving.load_model(path)


def _to_save(final: str | None) -> keras.Model:
    image = keras.Input((16, 12, 3), name="image")
    conv = _convolution(5, "conv")
    x = layers.BatchNormalization(name="norm")(_trunk("trunk", (16, 12, 3))(image))
    x = layers.Flatten(name="flatten")(conv(conv(x)))
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="saved")


@kind(IMAGES, "conv@2", more_layers=("conv", "trunk/conv_2", "trunk"), seed=3, num_rectifiers=4)
def loaded_from_keras(final: str | None) -> keras.Model:
    """A nested model with a shared layer, from a `.keras` file."""
    model = _to_save(final)
    return model if final is None else _saved_and_loaded(model, IMAGES, "model.keras")


@kind(IMAGES, "conv@2", more_layers=("conv", "trunk/conv_2", "trunk"), seed=3, num_rectifiers=4)
def loaded_from_h5(final: str | None) -> keras.Model:
    """The same from a legacy `.h5` file."""
    model = _to_save(final)
    return model if final is None else _saved_and_loaded(model, IMAGES, "model.h5")


@keras.saving.register_keras_serializable(package="kerasviz_tests")
class Gate(layers.Layer):
    """A registered custom layer with a sublayer."""

    def __init__(self, filters: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.filters = filters
        self.conv = _convolution(filters, "conv", activation="sigmoid")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build the convolution, so that a loaded layer has its weights."""
        self.conv.build(input_shape)

    def call(self, inputs: Any) -> Any:
        """Multiply the inputs by the gate."""
        return inputs * self.conv(inputs)

    def get_config(self) -> dict[str, Any]:
        """What `__init__` needs."""
        return {**super().get_config(), "filters": self.filters}


@kind(IMAGES, "gate", more_layers=("gate/conv", "conv"), seed=3, num_rectifiers=1)
def loaded_with_custom_layer(final: str | None) -> keras.Model:
    """A registered custom layer, from a `.keras` file."""
    image = keras.Input((16, 12, 3), name="image")
    x = Gate(5, name="gate")(_convolution(5, "conv", strides=2)(image))
    x = layers.Flatten(name="flatten")(x)
    model = keras.Model(image, layers.Dense(4, final, name="head")(x), name="gated")
    return model if final is None else _saved_and_loaded(model, IMAGES, "model.keras")


# Heads.


def _flat_features(image: Any) -> Any:
    x = _convolution(5, "conv_2")(_convolution(6, "conv_1", strides=2)(image))
    return layers.Flatten(name="flatten")(x)


@kind(IMAGES, "conv_2", more_layers=("conv_1",), num_rectifiers=2)
def softmax_own_layer(final: str | None) -> keras.Model:
    """The softmax is a layer of its own."""
    image = keras.Input((16, 12, 3), name="image")
    x = layers.Dense(4, name="head")(_flat_features(image))
    x = layers.Softmax(name="probabilities")(x) if final else x
    return keras.Model(image, x, name="softmax_own_layer")


@kind(IMAGES, "conv_2", more_layers=("conv_1",), num_rectifiers=2)
def softmax_activation_layer(final: str | None) -> keras.Model:
    """The softmax is a `layers.Activation`, in a Sequential."""
    stack = [
        keras.Input((16, 12, 3)),
        _convolution(6, "conv_1", strides=2),
        _convolution(5, "conv_2"),
        layers.Flatten(name="flatten"),
        layers.Dense(4, name="head"),
    ]
    final_layer = [layers.Activation(final, name="probabilities")] if final else []
    return keras.Sequential(stack + final_layer, name="softmax_activation_layer")


@kind(IMAGES, "conv_2", more_layers=("conv_1",), num_rectifiers=2)
def softmax_op(final: str | None) -> keras.Model:
    """The softmax is an operation in the functional graph."""
    image = keras.Input((16, 12, 3), name="image")
    x = layers.Dense(4, name="head")(_flat_features(image))
    return keras.Model(image, keras.ops.softmax(x) if final else x, name="softmax_op")


class SoftmaxInside(keras.Model):
    """A subclassed model that ends in `tf.nn.softmax`."""

    def __init__(self, final: str | None, **settings: Any) -> None:
        super().__init__(**settings)
        self.final = final
        self.conv = _convolution(5, "conv", strides=2)
        self.flatten = layers.Flatten(name="flatten")
        self.classifier = layers.Dense(4, name="head")

    def call(self, inputs: Any) -> Any:
        """Class probabilities, or logits when there is no final activation."""
        x = self.classifier(self.flatten(self.conv(inputs)))
        return tf.nn.softmax(x) if self.final else x


@kind(IMAGES, "conv", num_rectifiers=1)
def softmax_in_call(final: str | None) -> keras.Model:
    """The softmax is a TensorFlow call inside a subclassed model."""
    return SoftmaxInside(final, name="softmax_in_call")


@kind(IMAGES, "trunk/conv_2", more_layers=("classifier/conv_3", "trunk"), num_rectifiers=3)
def softmax_nested(final: str | None) -> keras.Model:
    """The softmax is at the end of a nested model."""
    features = keras.Input((8, 6, 5), name="features")
    x = layers.Flatten(name="flatten")(_convolution(5, "conv_3")(features))
    classifier = keras.Model(features, layers.Dense(4, final, name="head")(x), name="classifier")
    image = keras.Input((16, 12, 3), name="image")
    outputs = classifier(_trunk("trunk", (16, 12, 3))(image))
    return keras.Model(image, outputs, name="softmax_nested")


@kind(
    IMAGES,
    "conv_2",
    more_layers=("conv_1",),
    final="sigmoid",
    index=0,
    target=0,
    num_units=1,
    num_rectifiers=2,
)
def sigmoid_head(final: str | None) -> keras.Model:
    """Binary: one unit with a sigmoid."""
    image = keras.Input((16, 12, 3), name="image")
    outputs = layers.Dense(1, final, name="head")(_flat_features(image))
    return keras.Model(image, outputs, name="sigmoid_head")


@kind(IMAGES, "conv_2", more_layers=("conv_1",), final="sigmoid", num_rectifiers=2)
def sigmoid_multi_label(final: str | None) -> keras.Model:
    """Several labels at once: four sigmoids."""
    image = keras.Input((16, 12, 3), name="image")
    outputs = layers.Dense(4, final, name="head")(_flat_features(image))
    return keras.Model(image, outputs, name="sigmoid_multi_label")


@kind(
    IMAGES,
    "conv_2",
    more_layers=("conv_1",),
    final="linear",
    index=0,
    target=0,
    num_units=1,
    num_rectifiers=2,
)
def linear_regression(final: str | None) -> keras.Model:
    """One linear unit."""
    image = keras.Input((16, 12, 3), name="image")
    outputs = layers.Dense(1, name="head")(_flat_features(image))
    return keras.Model(image, outputs, name="linear_regression")


@kind(IMAGES, "conv_2", more_layers=("conv_1", "up"), num_units=3, num_rectifiers=2)
def segmentation(final: str | None) -> keras.Model:
    """A softmax over classes at each pixel."""
    image = keras.Input((16, 12, 3), name="image")
    x = _convolution(6, "conv_1")(image)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = _convolution(5, "conv_2")(x)
    x = layers.UpSampling2D(2, name="up")(x)
    outputs = _convolution(3, "head", activation=final)(x)
    return keras.Model(image, outputs, name="segmentation")


# Global average pooling in front of one Dense layer, where CAM is defined.


@kind(IMAGES, "conv_2", more_layers=("conv_1",), head="head", num_rectifiers=2)
def gap_functional(final: str | None) -> keras.Model:
    """Convolutions, global average pooling, Dense."""
    image = keras.Input((16, 12, 3), name="image")
    x = _convolution(5, "conv_2")(_convolution(6, "conv_1", strides=2)(image))
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="gap_functional")


@kind(IMAGES, "trunk/conv_2", more_layers=("trunk",), head="top/head", num_rectifiers=2)
def gap_nested(final: str | None) -> keras.Model:
    """Trunk and head are models of their own."""
    features = keras.Input((8, 6, 5), name="features")
    x = layers.GlobalAveragePooling2D(name="gap")(features)
    top = keras.Model(features, layers.Dense(4, final, name="head")(x), name="top")
    image = keras.Input((16, 12, 3), name="image")
    return keras.Model(image, top(_trunk("trunk", (16, 12, 3))(image)), name="gap_nested")


@kind(IMAGES, "conv_2", more_layers=("conv_1",), head="head", num_rectifiers=2)
def gap_sequential(final: str | None) -> keras.Model:
    """The same as a Sequential, with dropout before the Dense layer."""
    stack = [
        keras.Input((16, 12, 3)),
        _convolution(6, "conv_1", strides=2),
        _convolution(5, "conv_2"),
        layers.GlobalAveragePooling2D(name="gap"),
        layers.Dropout(0.5, name="dropout"),
        layers.Dense(4, final, name="head"),
    ]
    return keras.Sequential(stack, name="gap_sequential")


class PooledNetwork(keras.Model):
    """A subclassed model with a GAP head."""

    def __init__(self, final: str | None, **settings: Any) -> None:
        super().__init__(**settings)
        self.block = Block(6, name="block")
        self.gap = layers.GlobalAveragePooling2D(name="gap")
        self.classifier = layers.Dense(4, final, name="head")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Block, pool, classify."""
        return self.classifier(self.gap(self.block(inputs, training=training)))


@kind(IMAGES, "block/relu", more_layers=("block",), head="head", num_rectifiers=1)
def gap_subclassed(final: str | None) -> keras.Model:
    """The same as a subclassed model."""
    return PooledNetwork(final, name="gap_subclassed")


# Families of layers.


@kind(IMAGES, "relu_2", more_layers=("add", "conv_1", "relu_1"), head="head", num_rectifiers=3)
def residual(final: str | None) -> keras.Model:
    """Batch normalization and an addition of two paths."""
    image = keras.Input((16, 12, 3), name="image")
    stem = _convolution(5, "stem", strides=2)(image)
    x = _convolution(5, "conv_1", activation=None)(stem)
    x = layers.ReLU(name="relu_1")(layers.BatchNormalization(name="norm_1")(x))
    x = _convolution(5, "conv_2", activation=None)(x)
    x = layers.Add(name="add")([stem, layers.BatchNormalization(name="norm_2")(x)])
    x = layers.ReLU(name="relu_2")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="residual")


@kind(IMAGES, "separable", more_layers=("depthwise", "expand"), num_rectifiers=3)
def separable(final: str | None) -> keras.Model:
    """Depthwise and separable convolutions with ReLU6."""
    image = keras.Input((16, 12, 3), name="image")
    x = layers.Conv2D(6, 1, activation="relu6", name="expand")(image)
    x = layers.DepthwiseConv2D(3, 2, "same", activation="relu6", name="depthwise")(x)
    x = layers.SeparableConv2D(5, 3, padding="same", activation="relu", name="separable")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="separable")


@kind(IMAGES, "conv_2", more_layers=("conv_1",), num_rectifiers=2)
def activity_regularized(final: str | None) -> keras.Model:
    """Layers that add losses to the model when they are called."""
    penalty = keras.regularizers.L2(0.01)
    image = keras.Input((16, 12, 3), name="image")
    x = _convolution(6, "conv_1", strides=2, activity_regularizer=penalty)(image)
    x = _convolution(5, "conv_2", kernel_regularizer=penalty)(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="regularized")


@kind(IMAGES, "conv_2", more_layers=("conv_1", "norm"), num_rectifiers=2)
def random_in_training(final: str | None) -> keras.Model:
    """Layers that act only in training: augmentation, noise, dropout, batch statistics."""
    image = keras.Input((16, 12, 3), name="image")
    x = layers.RandomFlip(name="flip")(image)
    x = layers.GaussianNoise(1.0, name="noise")(x)
    x = _convolution(6, "conv_1", strides=2)(x)
    x = layers.SpatialDropout2D(0.5, name="spatial_dropout")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = _convolution(5, "conv_2")(x)
    x = layers.Dropout(0.5, name="dropout")(layers.Flatten(name="flatten")(x))
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name="random_in_training")


# One network, many spellings of its two rectifiers.


class TwoConvolutions(NamedTuple):
    """The weights of the network in `SPELLINGS`.

    Convolution (3x3, "same"), rectifier, 2x2 max pooling, convolution (3x3, "same"), rectifier,
    flatten, dense.
    """

    kernel_1: np.ndarray
    bias_1: np.ndarray
    kernel_2: np.ndarray
    bias_2: np.ndarray
    head_kernel: np.ndarray
    head_bias: np.ndarray


SPELLING_IMAGES = noise(10, 8, 3, seed=2)
Rectify = Callable[[Any], Any]


def two_convolution_weights() -> TwoConvolutions:
    """The same weights for every spelling, large enough for activations on both sides of 6."""
    generator = np.random.default_rng(11)
    shapes = [(3, 3, 3, 6), (6,), (3, 3, 6, 5), (5,), (100, 4), (4,)]
    scales = [0.6, 0.5, 0.3, 0.5, 0.1, 0.1]
    arrays = (
        (generator.normal(size=shape) * scale).astype("float32")
        for shape, scale in zip(shapes, scales, strict=True)
    )
    return TwoConvolutions(*arrays)


def prelu_slopes(channels: int) -> np.ndarray:
    """The slopes of the `PReLU` spelling, one per channel, shape `(1, 1, channels)`."""
    return np.linspace(0.1, 0.4, channels, dtype="float32").reshape(1, 1, channels)


class Rectified(layers.Layer):
    """A custom layer that convolves and rectifies in its `call`."""

    def __init__(self, filters: int, conv_name: str, rectify: Rectify, **settings: Any) -> None:
        super().__init__(**settings)
        self.conv = _convolution(filters, conv_name, activation=None)
        self.rectify = rectify

    def call(self, inputs: Any) -> Any:
        """Convolve, rectify."""
        return self.rectify(self.conv(inputs))


def _chain(stages: list[Callable[[Any], Any]], final: str | None, name: str) -> keras.Model:
    image = keras.Input((10, 8, 3), name="image")
    x = image
    for stage in stages:
        x = stage(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(image, layers.Dense(4, final, name="head")(x), name=name)


def _pool() -> layers.Layer:
    return layers.MaxPooling2D(2, name="pool")


def _as_arguments(first: Any, second: Any) -> list[Callable[[Any], Any]]:
    return [
        _convolution(6, "conv_1", activation=first),
        _pool(),
        _convolution(5, "conv_2", activation=second),
    ]


def _as_steps(first: Rectify, second: Rectify) -> list[Callable[[Any], Any]]:
    conv_1 = _convolution(6, "conv_1", activation=None)
    conv_2 = _convolution(5, "conv_2", activation=None)
    return [conv_1, first, _pool(), conv_2, second]


def _as_custom_layers(rectify: Rectify) -> list[Callable[[Any], Any]]:
    first = Rectified(6, "conv_1", rectify, name="stage_1")
    return [first, _pool(), Rectified(5, "conv_2", rectify, name="stage_2")]


def _as_nested() -> list[Callable[[Any], Any]]:
    image = keras.Input((10, 8, 3), name="trunk_image")
    x = layers.ReLU(name="relu_1")(_convolution(6, "conv_1", activation=None)(image))
    x = _convolution(5, "conv_2", activation="relu")(_pool()(x))
    return [keras.Model(image, x, name="trunk")]


def _in_pairs(make: Callable[[str], layers.Layer]) -> list[Callable[[Any], Any]]:
    return _as_steps(make("relu_1"), make("relu_2"))


def _prelu(name: str) -> layers.Layer:
    return layers.PReLU(
        lambda shape, dtype=None: keras.ops.cast(prelu_slopes(shape[-1]), dtype),
        shared_axes=[1, 2],
        name=name,
    )


@tf.function
def _rectify_in_function(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(x)


def _assign_by_layer(model: keras.Model) -> keras.Model:
    weights = two_convolution_weights()
    by_name = {"conv_1": weights[0:2], "conv_2": weights[2:4], "head": weights[4:6]}
    for layer in model._flatten_layers(include_self=False):
        if layer.name in by_name:
            layer.set_weights(by_name[layer.name])
    return model


def two_rectifiers(first: Rectify, second: Rectify) -> keras.Model:
    """The network in `SPELLINGS`, without a final activation, with these two rectifiers."""
    stages = [Rectified(6, "conv_1", first, name="stage_1"), _pool()]
    stages.append(Rectified(5, "conv_2", second, name="stage_2"))
    return _assign_by_layer(_chain(stages, None, "two_rectifiers"))


def _spelling(
    registry: dict[str, Callable[[], Case]],
    name: str,
    stages: Callable[[], list[Callable[[Any], Any]]],
    rectifiers: tuple[Rectifier, ...] = (Rectifier(), Rectifier()),
    layer: str = "conv_2",
) -> None:
    def build(final: str | None) -> keras.Model:
        return _chain(stages(), final, name)

    def make() -> Case:
        model = _assign_by_layer(build("softmax"))
        facts: dict[str, Any] = {"rectifiers": rectifiers, "num_rectifiers": len(rectifiers)}
        return Case(name, model, SPELLING_IMAGES, layer, build, **facts)

    registry[name] = make


def _both(**settings: Any) -> tuple[Rectifier, Rectifier]:
    return Rectifier(**settings), Rectifier(**settings)


_spelling(SPELLINGS, "argument", lambda: _as_arguments("relu", "relu"))
_spelling(
    SPELLINGS, "activation_layer", lambda: _in_pairs(lambda n: layers.Activation("relu", name=n))
)
_spelling(SPELLINGS, "relu_layer", lambda: _in_pairs(lambda n: layers.ReLU(name=n)))
_spelling(
    SPELLINGS,
    "relu6",
    lambda: _as_steps(layers.ReLU(6.0, name="relu_1"), layers.Activation("relu6", name="relu_2")),
    _both(maximum=6.0),
)
_spelling(
    SPELLINGS,
    "leaky_relu",
    lambda: _in_pairs(lambda n: layers.LeakyReLU(0.2, name=n)),
    _both(negative_slope=0.2),
)
_spelling(SPELLINGS, "ops_in_graph", lambda: _as_steps(keras.ops.relu, keras.ops.relu))
_spelling(
    SPELLINGS,
    "ops_in_custom_layer",
    lambda: _as_custom_layers(keras.ops.relu),
    layer="stage_2/conv_2",
)
_spelling(SPELLINGS, "tf_nn_relu", lambda: _as_custom_layers(tf.nn.relu), layer="stage_2/conv_2")
_spelling(SPELLINGS, "nested", _as_nested, layer="trunk/conv_2")

_spelling(EXTRA_SPELLINGS, "callable_argument", lambda: _as_arguments(tf.nn.relu, keras.ops.relu))
_spelling(
    EXTRA_SPELLINGS,
    "ops_maximum",
    lambda: _as_steps(lambda x: keras.ops.maximum(x, 0), lambda x: keras.ops.maximum(0.0, x)),
)
_spelling(
    EXTRA_SPELLINGS,
    "tf_maximum",
    lambda: _as_custom_layers(lambda x: tf.maximum(x, 0)),
    layer="stage_2/conv_2",
)
_spelling(
    EXTRA_SPELLINGS,
    "relu_max_value",
    lambda: _in_pairs(lambda n: layers.ReLU(max_value=4.0, name=n)),
    _both(maximum=4.0),
)
_spelling(
    EXTRA_SPELLINGS,
    "relu_threshold",
    lambda: _in_pairs(lambda n: layers.ReLU(threshold=0.5, name=n)),
    _both(threshold=0.5),
)
_spelling(
    EXTRA_SPELLINGS,
    "prelu",
    lambda: _in_pairs(_prelu),
    (Rectifier(prelu_slopes(6)), Rectifier(prelu_slopes(5))),
)
_spelling(
    EXTRA_SPELLINGS,
    "relu_slope_and_maximum",
    lambda: _in_pairs(lambda n: layers.ReLU(4.0, negative_slope=0.1, name=n)),
    _both(negative_slope=0.1, maximum=4.0),
)
_spelling(
    EXTRA_SPELLINGS,
    "tf_function_helper",
    lambda: _as_custom_layers(_rectify_in_function),
    layer="stage_2/conv_2",
)
_spelling(
    EXTRA_SPELLINGS,
    "tf_nn_relu6",
    lambda: _as_custom_layers(tf.nn.relu6),
    _both(maximum=6.0),
    layer="stage_2/conv_2",
)
_spelling(
    EXTRA_SPELLINGS,
    "tf_nn_leaky_relu",
    lambda: _as_custom_layers(lambda x: tf.nn.leaky_relu(x, 0.2)),
    _both(negative_slope=0.2),
    layer="stage_2/conv_2",
)
_spelling(
    EXTRA_SPELLINGS,
    "ops_relu6_and_leaky_relu",
    lambda: _as_steps(keras.ops.relu6, lambda x: keras.ops.leaky_relu(x, 0.2)),
    (Rectifier(maximum=6.0), Rectifier(negative_slope=0.2)),
)
