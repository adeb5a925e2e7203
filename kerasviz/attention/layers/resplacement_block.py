"""The block with a fully local and a semi-local branch, each with its own excitation."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import keras

from kerasviz.attention.layers import shapes
from kerasviz.attention.layers.squeeze_excitation import SqueezeExcitation
from kerasviz.errors import InputError

ops: Any = keras.ops


@keras.saving.register_keras_serializable(package="kerasviz")
class ResplacementBlock(keras.layers.Layer):
    """Two branches over the same input, one dilated, each with excitation, then joined.

    Each branch is Conv k0x1, batch normalization, ReLU, Conv 1xk1, batch normalization, ReLU,
    squeeze-and-excitation. All convolutions have padding "same" and biases. The *fully local*
    branch has `int(filters * local_ratio)` channels, the *semi-local* one the rest, with dilated
    convolutions: it sees further with as many weights. The output is

        relu(concat(fully local, semi-local) [+ input, with `skip`])

    Sub-layers: `local_conv_1`, `local_bn_1`, `local_relu_1`, `local_conv_2`, ... and `fully_local`
    (its excitation); `semi_conv_1`, ... and `semi_local`; `relu`. So ".*semi_local.*" names
    the four variables of the semi-local excitations and no convolution. A branch without channels
    (`local_ratio` 0 or 1) is left out.

    The network that this block is from asks for two dilation rates and never uses the second:
    both of its convolutions have the first. Here one number is the rate along rows and columns; of
    a pair, the first is used along rows (Conv k0x1) and the second along columns (Conv 1xk1).

    Strides go where the kernel has its extent, so that no position is skipped unseen: Conv k0x1
    has the stride along rows, Conv 1xk1 the one along columns.

    Args:
        filters: Channels of the output.
        local_ratio: Share of the fully local channels, from 0 to 1.
        attention: Whether each branch ends in a `SqueezeExcitation`.
        skip: Whether the input is added before the last ReLU. It must have `filters` channels.
        kernel_size: Extent along rows and along columns.
        dilation_rate: Of the semi-local branch, one or a pair; 1 makes both branches alike.
        strides: One, or a pair.
        ratio: Reduction of the excitations.
        second_sigmoid: See `SqueezeExcitation`.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's own setting.

    Call arguments:
        inputs: Feature maps, `(batch, rows, columns, channels)` or channels first.
        training: Whether batch normalization takes the statistics of the batch.

    Returns:
        Feature maps with `filters` channels; rows and columns are divided by the strides and
        rounded up.

    Raises:
        InputError: A setting out of range; strides above 1 with a dilation above 1, which
            TensorFlow cannot compute; `skip` where input and output differ in shape.

    Example:
        ```python
        block = kv.attention.ResplacementBlock(10, local_ratio=0.8)
        features = np.ones((2, 8, 8, 6), "float32")
        assert block(features).shape == (2, 8, 8, 10)
        assert block.semi_local.fc2.kernel.shape == (1, 2)
        ```
    """

    def __init__(
        self,
        filters: int,
        local_ratio: float = 0.5,
        attention: bool = True,
        skip: bool = False,
        kernel_size: int | Sequence[int] = (3, 3),
        dilation_rate: int | Sequence[int] = 3,
        strides: int | Sequence[int] = 1,
        ratio: int = 16,
        second_sigmoid: bool = True,
        data_format: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.filters = shapes.to_count(filters, "filters")
        self.local_ratio = _to_share(local_ratio)
        self.attention = bool(attention)
        self.skip = bool(skip)
        self.kernel_size = shapes.to_pair(kernel_size, "kernel_size")
        self.dilation_rate = shapes.to_pair(dilation_rate, "dilation_rate")
        self.strides = shapes.to_pair(strides, "strides")
        self.ratio = shapes.to_count(ratio, "ratio")
        self.second_sigmoid = bool(second_sigmoid)
        self.data_format = shapes.to_data_format(data_format)
        self.local_filters = int(self.filters * self.local_ratio)
        self.semi_filters = self.filters - self.local_filters
        self._check_strides()
        self.relu = keras.layers.ReLU(name="relu", dtype=self.dtype_policy)
        self.local_layers = self._branch("local", self.local_filters, (1, 1))
        self.semi_layers = self._branch("semi", self.semi_filters, self.dilation_rate)
        self.fully_local = self._excitation("fully_local", self.local_filters)
        self.semi_local = self._excitation("semi_local", self.semi_filters)

    def build(self, input_shape: Any) -> None:
        """Build every sub-layer."""
        channels = shapes.count_channels(self, input_shape, ranks=(2,))
        if self.skip:
            self._check_skip(input_shape, channels)
        for sub_layers in (self.local_layers, self.semi_layers):
            shape = tuple(input_shape)
            for sub_layer in sub_layers:
                sub_layer.build(shape)
                shape = sub_layer.compute_output_shape(shape)
        for excitation, filters in self._excitations():
            excitation.build(self._with_channels(shape, filters))
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Both branches, joined."""
        branches = [
            self._run(inputs, self.local_layers, self.fully_local, training),
            self._run(inputs, self.semi_layers, self.semi_local, training),
        ]
        joined = [branch for branch in branches if branch is not None]
        axis = shapes.channel_axis(self.data_format)
        outputs = joined[0] if len(joined) == 1 else ops.concatenate(joined, axis=axis)
        return self.relu(outputs + inputs if self.skip else outputs)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The input's shape with `filters` channels, divided by the strides."""
        shape = list(input_shape)
        axes = shapes.spatial_axes(2, self.data_format)
        for axis, stride in zip(axes, self.strides, strict=True):
            shape[axis] = None if shape[axis] is None else -(-shape[axis] // stride)
        return self._with_channels(shape, self.filters)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "local_ratio": self.local_ratio,
            "attention": self.attention,
            "skip": self.skip,
            "kernel_size": self.kernel_size,
            "dilation_rate": self.dilation_rate,
            "strides": self.strides,
            "ratio": self.ratio,
            "second_sigmoid": self.second_sigmoid,
            "data_format": self.data_format,
        }

    def _branch(self, name: str, filters: int, dilation: tuple[int, int]) -> list[Any]:
        if not filters:
            return []
        (rows, columns), (down, right) = self.kernel_size, self.strides
        first = self._convolution(filters, (rows, 1), (down, 1), (dilation[0], 1), f"{name}_conv_1")
        second = self._convolution(
            filters, (1, columns), (1, right), (1, dilation[1]), f"{name}_conv_2"
        )
        return [first, *self._activated(f"{name}_%s_1"), second, *self._activated(f"{name}_%s_2")]

    def _convolution(
        self,
        filters: int,
        kernel_size: tuple[int, int],
        strides: tuple[int, int],
        dilation_rate: tuple[int, int],
        name: str,
    ) -> Any:
        return keras.layers.Conv2D(
            filters,
            kernel_size,
            strides=strides,
            dilation_rate=dilation_rate,
            padding="same",
            data_format=self.data_format,
            name=name,
            dtype=self.dtype_policy,
        )

    def _activated(self, name: str) -> list[Any]:
        axis, dtype = shapes.channel_axis(self.data_format), self.dtype_policy
        return [
            keras.layers.BatchNormalization(axis=axis, name=name % "bn", dtype=dtype),
            keras.layers.ReLU(name=name % "relu", dtype=dtype),
        ]

    def _excitation(self, name: str, filters: int) -> Any:
        if not (self.attention and filters):
            return None
        return SqueezeExcitation(
            self.ratio,
            self.second_sigmoid,
            self.data_format,
            name=name,
            dtype=self.dtype_policy,
        )

    def _excitations(self) -> list[tuple[Any, int]]:
        both = [(self.fully_local, self.local_filters), (self.semi_local, self.semi_filters)]
        return [(excitation, filters) for excitation, filters in both if excitation is not None]

    def _run(
        self, inputs: Any, sub_layers: list[Any], excitation: Any, training: bool | None
    ) -> Any:
        if not sub_layers:
            return None
        outputs = inputs
        for sub_layer in sub_layers:
            normalizes = isinstance(sub_layer, keras.layers.BatchNormalization)
            outputs = sub_layer(outputs, **({"training": training} if normalizes else {}))
        return outputs if excitation is None else excitation(outputs)

    def _with_channels(self, shape: Any, channels: int) -> tuple[int | None, ...]:
        changed = list(shape)
        changed[shapes.channel_axis(self.data_format)] = channels
        return tuple(changed)

    def _check_strides(self) -> None:
        if self.semi_filters and max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise InputError(
                "`strides` and `dilation_rate` must not both be above 1: TensorFlow has no such "
                f"convolution. Received: strides={self.strides}, "
                f"dilation_rate={self.dilation_rate}. Pool before the block instead."
            )

    def _check_skip(self, shape: Any, channels: int) -> None:
        if channels != self.filters or self.strides != (1, 1):
            raise InputError(
                f"`skip=True` must have an input of the output's shape: {self.filters} channels "
                f"and strides 1. Received: shape {tuple(shape)}, strides={self.strides}. "
                "Set skip=False for the first block of a module."
            )


def _to_share(value: Any) -> float:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:
        raise InputError(f"`local_ratio` must be a number from 0 to 1. Received: {value!r}.")
    return float(value)
