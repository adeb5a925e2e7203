"""Published relatives of the encoder fusion, for comparison."""

from __future__ import annotations

from typing import Any

import keras

from kerasviz.attention.layers import shapes
from kerasviz.attention.layers.squeeze_excitation import SqueezeExcitation

ops: Any = keras.ops


@keras.saving.register_keras_serializable(package="kerasviz")
class SqueezeExcitationFusion(keras.layers.Layer):
    """Add the two modalities, each behind a squeeze-and-excitation of its own (ESANet).

        y = SE(rgb) + SE(depth)

    The sub-layers `rgb` and `depth` are `SqueezeExcitation` layers.

    Args:
        ratio: Reduction of the excitations.
        second_sigmoid: See `SqueezeExcitation`. The paper has none.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's own setting.

    Call arguments:
        inputs: `[rgb, depth]`, two feature maps of one shape with 1, 2 or 3 spatial axes.

    Returns:
        One feature map of that shape.

    Raises:
        InputError: A setting out of range, or inputs that are not two feature maps of one shape.

    Reference:
        Seichter et al. 2021, "Efficient RGB-D Semantic Segmentation for Indoor Scene Analysis",
        figure 2, arXiv:2011.06961.
    """

    def __init__(
        self,
        ratio: int = 16,
        second_sigmoid: bool = False,
        data_format: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.ratio = shapes.to_count(ratio, "ratio")
        self.second_sigmoid = bool(second_sigmoid)
        self.data_format = shapes.to_data_format(data_format)
        self.rgb, self.depth = (
            SqueezeExcitation(
                self.ratio,
                self.second_sigmoid,
                self.data_format,
                name=name,
                dtype=self.dtype_policy,
            )
            for name in ("rgb", "depth")
        )

    def build(self, input_shape: Any) -> None:
        """Build both excitations."""
        shape = shapes.common_shape(self, input_shape)
        self.rgb.build(shape)
        self.depth.build(shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Excite both, add."""
        rgb, depth = inputs
        return self.rgb(rgb) + self.depth(depth)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The shape of one input."""
        return shapes.common_shape(self, input_shape)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            **super().get_config(),
            "ratio": self.ratio,
            "second_sigmoid": self.second_sigmoid,
            "data_format": self.data_format,
        }


@keras.saving.register_keras_serializable(package="kerasviz")
class AttentionComplementaryFusion(keras.layers.Layer):
    """Add the two modalities, each behind a gate from its own channel means (ACNet).

        y = rgb · sigmoid(W_r · mean(rgb) + b_r) + depth · sigmoid(W_d · mean(depth) + b_d)

    The means are over space and the W are 1x1 convolutions of them, so dense, of C x C weights,
    without reduction. The sub-layers `rgb_gate` and `depth_gate` hold the weights and return the
    gates, `(batch, C)` in (0, 1).

    Args:
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's own setting.

    Call arguments:
        inputs: `[rgb, depth]`, two feature maps of one shape with 1, 2 or 3 spatial axes.

    Returns:
        One feature map of that shape.

    Raises:
        InputError: Inputs that are not two feature maps of one shape.

    Reference:
        Hu et al. 2019, "ACNet: Attention Based Network to Exploit Complementary Features for RGBD
        Semantic Segmentation", arXiv:1905.10089; code: github.com/anheidelonghu/ACNet.
    """

    def __init__(self, data_format: str | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.data_format = shapes.to_data_format(data_format)

    def build(self, input_shape: Any) -> None:
        """Make both gates for the number of channels."""
        shape = shapes.common_shape(self, input_shape)
        channels = shapes.count_channels(self, shape)
        self.rgb_gate, self.depth_gate = (
            keras.layers.Dense(channels, "sigmoid", name=name, dtype=self.dtype_policy)
            for name in ("rgb_gate", "depth_gate")
        )
        self.rgb_gate.build((None, channels))
        self.depth_gate.build((None, channels))
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Gate both, add."""
        rgb, depth = inputs
        return self._gated(rgb, self.rgb_gate) + self._gated(depth, self.depth_gate)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The shape of one input."""
        return shapes.common_shape(self, input_shape)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {**super().get_config(), "data_format": self.data_format}

    def _gated(self, features: Any, gate: Any) -> Any:
        gates = gate(shapes.average(features, self.data_format))
        return features * shapes.over_positions(gates, features, self.data_format)


@keras.saving.register_keras_serializable(package="kerasviz")
class SeparationAggregationGate(keras.layers.Layer):
    """Let each modality take from the other by channel, then weigh both by position (SA-Gate).

        z = concat(mean(rgb), mean(depth))                              (batch, 2C)
        rgb'   = rgb   + depth · sigmoid(W2 · relu(W1 · z + b1) + b2)   the depth, filtered
        depth' = depth + rgb   · sigmoid(V2 · relu(V1 · z + c1) + c2)   the RGB, filtered
        (g_rgb, g_depth) = softmax(conv1x1(concat(rgb', depth')))       2 channels, sum 1
        fused = g_rgb · rgb + g_depth · depth
        rgb_out, depth_out = relu((rgb + fused) / 2), relu((depth + fused) / 2)

    This follows the authors' code, where the gates are made from the filtered features and weigh
    the unfiltered ones. Its depth is coded as HHA; here it is any feature map.

    The sub-layers `depth_fc1`, `depth_fc2` filter the depth, `rgb_fc1`, `rgb_fc2` the RGB;
    `aggregate` is the 1x1 convolution and `gate` returns both gates, the RGB's first.

    Args:
        ratio: `fc1` has `max(1, C // ratio)` units.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's own setting.

    Call arguments:
        inputs: `[rgb, depth]`, two feature maps of one shape with 1, 2 or 3 spatial axes.

    Returns:
        `(rgb_out, depth_out, fused)`, all of that shape.

    Raises:
        InputError: A setting out of range, or inputs that are not two feature maps of one shape.

    Reference:
        Chen et al. 2020, "Bi-directional Cross-Modality Feature Propagation with
        Separation-and-Aggregation Gate for RGB-D Semantic Segmentation",
        arXiv:2007.09183; code: github.com/charlesCXK/RGBD_Semantic_Segmentation_PyTorch.
    """

    def __init__(self, ratio: int = 16, data_format: str | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.ratio = shapes.to_count(ratio, "ratio")
        self.data_format = shapes.to_data_format(data_format)

    def build(self, input_shape: Any) -> None:
        """Make the filters and the gate for the number of channels."""
        shape = list(shapes.common_shape(self, input_shape))
        channels = shapes.count_channels(self, shape)
        self.depth_fc1, self.depth_fc2 = self._filter("depth", channels)
        self.rgb_fc1, self.rgb_fc2 = self._filter("rgb", channels)
        axis, dtype = shapes.channel_axis(self.data_format), self.dtype_policy
        self.aggregate = shapes.pointwise(
            len(shape) - 2, 2, data_format=self.data_format, name="aggregate", dtype=dtype
        )
        self.gate = keras.layers.Softmax(axis=axis, name="gate", dtype=dtype)
        shape[axis] = 2 * channels
        self.aggregate.build(tuple(shape))
        self.built = True

    def call(self, inputs: Any) -> tuple[Any, Any, Any]:
        """Separate, aggregate, hand back to both."""
        rgb, depth = inputs
        axis = shapes.channel_axis(self.data_format)
        squeezed = [shapes.average(features, self.data_format) for features in (rgb, depth)]
        joint = ops.concatenate(squeezed, axis=-1)
        separated = [
            rgb + self._filtered(depth, self.depth_fc2(self.depth_fc1(joint))),
            depth + self._filtered(rgb, self.rgb_fc2(self.rgb_fc1(joint))),
        ]
        gates = self.gate(self.aggregate(ops.concatenate(separated, axis=axis)))
        rgb_gate, depth_gate = ops.split(gates, 2, axis=axis)
        fused = rgb_gate * rgb + depth_gate * depth
        return ops.relu((rgb + fused) / 2), ops.relu((depth + fused) / 2), fused

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, Any, Any]:
        """The shape of one input, three times."""
        shape = shapes.common_shape(self, input_shape)
        return shape, shape, shape

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {**super().get_config(), "ratio": self.ratio, "data_format": self.data_format}

    def _filter(self, name: str, channels: int) -> tuple[Any, Any]:
        hidden, dtype = max(1, channels // self.ratio), self.dtype_policy
        first = keras.layers.Dense(hidden, "relu", name=f"{name}_fc1", dtype=dtype)
        second = keras.layers.Dense(channels, "sigmoid", name=f"{name}_fc2", dtype=dtype)
        first.build((None, 2 * channels))
        second.build((None, hidden))
        return first, second

    def _filtered(self, features: Any, gates: Any) -> Any:
        return features * shapes.over_positions(gates, features, self.data_format)
