"""The RGB-D grasp network: two encoders of resplacement blocks, their fusion, three heads."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from kerasviz.attention.layers import shapes
from kerasviz.attention.layers.encoder_fusion import EncoderFusion
from kerasviz.attention.layers.modalities import DepthScaling, SelectChannels
from kerasviz.attention.layers.relatives import (
    AttentionComplementaryFusion,
    SeparationAggregationGate,
    SqueezeExcitationFusion,
)
from kerasviz.attention.layers.resplacement_block import ResplacementBlock
from kerasviz.errors import InputError

FUSIONS = ("encoder", "squeeze_excitation", "complementary", "separation_aggregation", None)
_HEADS = (("grip", 2, "softmax"), ("horizontal", 1, "tanh"), ("vertical", 1, "tanh"))


def rgbd_grasp_network(
    input_shape: Sequence[int | None] = (256, 256, 4),
    local_ratio: float = 0.8,
    *,
    attention: bool = True,
    second_sigmoid: bool = True,
    ratio: int = 16,
    fusion: str | None = "encoder",
    filters: Sequence[int] = (64, 128, 256, 512),
    blocks: Sequence[int] = (2, 3, 3, 3),
    dilation_rates: Sequence[int | Sequence[int]] = (1, 3, 3, 3),
    decoder_filters: Sequence[int] = (256, 128),
    head_filters: int = 64,
    max_depth: float | None = 800.0,
    depth_scale: float = 1000.0,
    data_format: str | None = None,
    name: str = "rgbd_grasp_network",
) -> keras.Model:
    """Build the grasp network of the note, or a smaller one of the same kind, untrained.

    Each modality has an encoder: Conv 3x3 with stride 2, then modules of `ResplacementBlock`,
    2x2 max pooling behind the first module. All blocks but the first of each later module have a
    skip connection. By default that is 11 blocks a modality, 22 in all. Behind the encoders come
    the fusion, two transposed convolutions 3x3 with stride 2, each with batch normalization and
    ReLU, and three heads: Conv 3x3, batch normalization, ReLU, Conv 3x3.

    The encoder halves rows and columns twice and the decoder doubles them twice: the outputs have
    the size of the input if that is a multiple of 4, else it is rounded up to one. Labels have
    the size of the outputs.

    The depth is clipped to [0, `max_depth`] and divided by `depth_scale`: with the defaults
    millimetres become 0 to 0.8. The RGB channels go in as they come, neither scaled nor
    standardized: bring them to [0, 1] yourself.

    The names of the layers are `rgb_stem`, `rgb_block_1` ... `rgb_block_11`, `rgb_pool`, the same
    with `depth_`, then `fusion`, `up_1`, `up_2` and the heads. A block's excitations are
    `rgb_block_1/fully_local/fc1` and so on; the addresses of kerasviz are Keras's weight paths.

    The note trains with sparse categorical cross-entropy on `grip` and mean squared error on the
    angle's cosine and sine, the latter only where there is a grasp (sample weights of 0
    elsewhere); Adam, batches of 4, 25 epochs.

    Args:
        input_shape: Rows, columns and 4 channels: red, green, blue, depth. Rows and columns may
            be None. Channels come first with `data_format="channels_first"`.
        local_ratio: Share of the fully local channels in each block, from 0 to 1.
        attention: Whether the blocks end in squeeze-and-excitation.
        second_sigmoid: See `SqueezeExcitation`.
        ratio: Reduction of the excitations and of the fusion.
        fusion: `"encoder"` (`EncoderFusion`), `"squeeze_excitation"` (ESANet), `"complementary"`
            (ACNet), `"separation_aggregation"` (SA-Gate), or None for concatenation alone.
        filters: Channels of the modules, one number each.
        blocks: Blocks of the modules.
        dilation_rates: Dilation of the semi-local branches, one for each module.
        decoder_filters: Channels of the two transposed convolutions.
        head_filters: Channels of the first convolution of each head.
        max_depth: Where the depth is clipped, in its own unit. None: nowhere.
        depth_scale: What the depth is divided by.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's own setting.
        name: The model's name.

    Returns:
        A functional model. Its outputs are a dict: `"grip"`, `(batch, rows, columns, 2)`,
        probabilities; `"horizontal"` and `"vertical"`, `(batch, rows, columns, 1)`, in (-1, 1).

    Raises:
        InputError: A setting out of range, or lists of different lengths.

    Example:
        ```python
        small = kv.attention.rgbd_grasp_network(
            (32, 32, 4), filters=(8, 16), blocks=(1, 1), dilation_rates=(1, 3),
            decoder_filters=(8, 8), head_filters=4,
        )
        outputs = small(np.ones((1, 32, 32, 4), "float32"))
        assert outputs["grip"].shape == (1, 32, 32, 2)
        ```
    """
    data_format = shapes.to_data_format(data_format)
    _check_input(input_shape, data_format)
    modules = _modules(filters, blocks, dilation_rates)
    settings = {
        "local_ratio": local_ratio,
        "attention": attention,
        "second_sigmoid": second_sigmoid,
        "ratio": ratio,
        "data_format": data_format,
    }
    inputs = keras.Input(tuple(input_shape), name="rgbd")
    rgb = _select(inputs, 0, 3, "rgb", data_format)
    depth = _select(inputs, 3, 4, "depth", data_format)
    scaling = DepthScaling(max_depth, depth_scale, name="depth_scaling", dtype=_full_precision())
    encoded = [
        _encoder(rgb, "rgb", modules, settings),
        _encoder(scaling(depth), "depth", modules, settings),
    ]
    fused = _fused(encoded, fusion, ratio, data_format)
    decoded = _decoder(fused, decoder_filters, data_format)
    outputs = {
        head: _head(decoded, head, channels, activation, head_filters, data_format)
        for head, channels, activation in _HEADS
    }
    return keras.Model(inputs, outputs, name=name)


def _check_input(shape: Any, data_format: str) -> None:
    channels_first = data_format == "channels_first"
    channels = 0 if channels_first else -1
    is_shape = isinstance(shape, Sequence) and len(shape) == 3 and all(map(_is_size, shape))
    if not is_shape or shape[channels] != 4:
        axes = "(4, rows, columns)" if channels_first else "(rows, columns, 4)"
        raise InputError(
            f"`input_shape` must be {axes}: red, green, blue and depth. Received: {shape!r}. "
            "Use None for rows and columns that are open."
        )


def _is_size(size: Any) -> bool:
    return size is None or (isinstance(size, numbers.Integral) and int(size) > 0)


def _listed(values: Any, name: str) -> tuple[Any, ...]:
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise InputError(f"`{name}` must be a list of numbers. Received: {values!r}.")
    return tuple(values)


def _modules(filters: Any, blocks: Any, dilation_rates: Any) -> list[tuple[int, int, Any]]:
    """Channels, blocks and dilation of each module."""
    named = {"filters": filters, "blocks": blocks, "dilation_rates": dilation_rates}
    given = [_listed(values, name) for name, values in named.items()]
    if not given[0] or len({len(values) for values in given}) > 1:
        raise InputError(
            "`filters`, `blocks` and `dilation_rates` must have an entry for each module. "
            f"Received: {given[0]}, {given[1]} and {given[2]}."
        )
    widths = [shapes.to_count(width, "filters") for width in given[0]]
    counts = [shapes.to_count(count, "blocks") for count in given[1]]
    return list(zip(widths, counts, given[2], strict=True))


def _full_precision() -> Any:
    """The dtype of the variables: what mixed precision keeps exact."""
    return keras.config.dtype_policy().variable_dtype


def _select(inputs: Any, start: int, stop: int, modality: str, data_format: str) -> Any:
    layer = SelectChannels(
        start, stop, data_format, name=f"{modality}_channels", dtype=_full_precision()
    )
    return layer(inputs)


def _encoder(
    features: Any,
    modality: str,
    modules: list[tuple[int, int, Any]],
    settings: dict[str, Any],
) -> Any:
    data_format = settings["data_format"]
    convolution = _convolution(modules[0][0], f"{modality}_stem", data_format, strides=2)
    features = convolution(features)
    number = 0
    for module, (filters, blocks, dilation_rate) in enumerate(modules):
        for block in range(blocks):
            number += 1
            features = ResplacementBlock(
                filters,
                skip=module == 0 or block > 0,
                dilation_rate=dilation_rate,
                name=f"{modality}_block_{number}",
                **settings,
            )(features)
        if module == 0:
            features = keras.layers.MaxPooling2D(
                2, padding="same", data_format=data_format, name=f"{modality}_pool"
            )(features)
    return features


def _fused(encoded: list[Any], fusion: str | None, ratio: int, data_format: str) -> Any:
    """What the decoder gets: one fused feature map, or both modalities as one."""
    join = keras.layers.Concatenate(axis=shapes.channel_axis(data_format), name="join")
    named: dict[str, Any] = {"data_format": data_format, "name": "fusion"}
    if fusion is None:
        return join(encoded)
    if fusion == "encoder":
        return join(list(EncoderFusion(ratio, **named)(encoded)))
    if fusion == "squeeze_excitation":
        return SqueezeExcitationFusion(ratio, **named)(encoded)
    if fusion == "complementary":
        return AttentionComplementaryFusion(**named)(encoded)
    if fusion == "separation_aggregation":
        return SeparationAggregationGate(ratio, **named)(encoded)[2]
    raise InputError(f"`fusion` must be one of {list(FUSIONS)}. Received: {fusion!r}.")


def _decoder(features: Any, decoder_filters: Any, data_format: str) -> Any:
    decoder_filters = _listed(decoder_filters, "decoder_filters")
    if len(decoder_filters) != 2:
        raise InputError(
            "`decoder_filters` must be two whole numbers, since the decoder doubles the size "
            f"twice. Received: {decoder_filters}."
        )
    for number, filters in enumerate(decoder_filters, start=1):
        layer = keras.layers.Conv2DTranspose(
            shapes.to_count(filters, "decoder_filters"),
            3,
            strides=2,
            padding="same",
            data_format=data_format,
            name=f"up_{number}",
        )
        features = _normalized(layer(features), f"up_%s_{number}", data_format)
    return features


def _head(
    features: Any,
    head: str,
    channels: int,
    activation: str,
    head_filters: int,
    data_format: str,
) -> Any:
    filters = shapes.to_count(head_filters, "head_filters")
    features = _convolution(filters, f"{head}_conv_1", data_format)(features)
    features = _normalized(features, f"{head}_%s", data_format)
    features = _convolution(channels, f"{head}_conv_2", data_format)(features)
    dtype = _full_precision()
    if activation == "softmax":
        axis = shapes.channel_axis(data_format)
        return keras.layers.Softmax(axis=axis, name=head, dtype=dtype)(features)
    return keras.layers.Activation(activation, name=head, dtype=dtype)(features)


def _convolution(filters: int, name: str, data_format: str, strides: int = 1) -> Any:
    return keras.layers.Conv2D(
        filters, 3, strides=strides, padding="same", data_format=data_format, name=name
    )


def _normalized(features: Any, name: str, data_format: str) -> Any:
    axis = shapes.channel_axis(data_format)
    features = keras.layers.BatchNormalization(axis=axis, name=name % "bn")(features)
    return keras.layers.ReLU(name=name % "relu")(features)
