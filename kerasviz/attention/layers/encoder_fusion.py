"""Fusion of the features of two modalities: a gate for each channel at each position."""

from __future__ import annotations

from typing import Any

import keras

from kerasviz.attention.layers import shapes

ops: Any = keras.ops


@keras.saving.register_keras_serializable(package="kerasviz")
class EncoderFusion(keras.layers.Layer):
    """Weigh the depth features by a gate of both modalities, and add them to the RGB features.

        u = relu(conv1x1(concat(rgb, depth)))           C channels: `aggregate`
        v = relu(conv1x1(u))                            max(1, C // ratio) channels: `reduce`
        g = sigmoid(conv1x1(v))                         C channels, in (0, 1): `gate`
        depth_out = g · depth
        rgb_out = rgb + g · depth

    The sub-layers `aggregate`, `reduce` and `gate` hold the weights; `gate` returns `g`. With
    C = 512 and the default ratio these are 557,056 kernel weights and 1,056 biases.

    Args:
        ratio: By how much `reduce` reduces.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's own setting.

    Call arguments:
        inputs: `[rgb, depth]`, two feature maps of one shape with 1, 2 or 3 spatial axes.

    Returns:
        `(rgb_out, depth_out)`, both of that shape.

    Raises:
        InputError: A setting out of range, or inputs that are not two feature maps of one shape.

    Example:
        ```python
        fusion = kv.attention.EncoderFusion(ratio=4)
        rgb = np.ones((2, 8, 8, 16), "float32")
        rgb_out, depth_out = fusion([rgb, 2 * rgb])
        np.testing.assert_allclose(rgb_out, rgb + depth_out)
        ```
    """

    def __init__(self, ratio: int = 16, data_format: str | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.ratio = shapes.to_count(ratio, "ratio")
        self.data_format = shapes.to_data_format(data_format)

    def build(self, input_shape: Any) -> None:
        """Make the three convolutions for the number of channels."""
        shape = list(shapes.common_shape(self, input_shape))
        axis = shapes.channel_axis(self.data_format)
        channels = int(shape[axis] or 0)
        reduced = max(1, channels // self.ratio)
        self.aggregate = self._pointwise(len(shape) - 2, channels, "relu", "aggregate")
        self.reduce = self._pointwise(len(shape) - 2, reduced, "relu", "reduce")
        self.gate = self._pointwise(len(shape) - 2, channels, "sigmoid", "gate")
        widths = (2 * channels, channels, reduced)
        for layer, width in zip((self.aggregate, self.reduce, self.gate), widths, strict=True):
            shape[axis] = width
            layer.build(tuple(shape))
        self.built = True

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Gate the depth, add it to the RGB."""
        rgb, depth = inputs
        both = ops.concatenate([rgb, depth], axis=shapes.channel_axis(self.data_format))
        weighted = self.gate(self.reduce(self.aggregate(both))) * depth
        return rgb + weighted, weighted

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, Any]:
        """The shape of the inputs, twice."""
        shape = shapes.common_shape(self, input_shape)
        return shape, shape

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {**super().get_config(), "ratio": self.ratio, "data_format": self.data_format}

    def _pointwise(self, rank: int, filters: int, activation: str, name: str) -> Any:
        return shapes.pointwise(
            rank,
            filters,
            activation=activation,
            data_format=self.data_format,
            name=name,
            dtype=self.dtype_policy,
        )
