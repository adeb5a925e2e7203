"""Squeeze-and-excitation: a gate for each channel, from the means of all channels."""

from __future__ import annotations

from typing import Any

import keras

from kerasviz.attention.layers import shapes

ops: Any = keras.ops


@keras.saving.register_keras_serializable(package="kerasviz")
class SqueezeExcitation(keras.layers.Layer):
    """Multiply each channel by a gate that the means of all channels decide.

        z = mean of x over space                        (batch, C)
        a = sigmoid(W2 · relu(W1 · z + b1) + b2)        (batch, C), in (0, 1)
        s = sigmoid(a), or a itself                     (batch, C)
        y = x · s

    The sub-layers `fc1` and `fc2` hold the weights; the sub-layer `gate` returns `s`.

    The second sigmoid is that of the RGB-D network this room describes, and the default. It lets
    a gate be from 0.5 to 0.731 only: it can neither close a channel nor leave it as it is. The
    paper has no second sigmoid: `second_sigmoid=False`.

    Args:
        ratio: By how much `fc1` reduces: it has `max(1, C // ratio)` units.
        second_sigmoid: Whether the gate is `sigmoid(a)`, from 0.5 to 0.731, instead of `a`.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's own setting.

    Call arguments:
        inputs: Feature maps with 1, 2 or 3 spatial axes, `(batch, ..., C)` or `(batch, C, ...)`.

    Returns:
        Feature maps of the same shape.

    Raises:
        InputError: A setting out of range, or inputs that are no feature maps.

    Example:
        ```python
        block = kv.attention.SqueezeExcitation(ratio=4, second_sigmoid=False)
        features = np.ones((2, 8, 8, 16), "float32")
        assert block(features).shape == (2, 8, 8, 16)
        assert block.fc1.kernel.shape == (16, 4)
        ```

    Reference:
        Hu, Shen, Sun 2018, "Squeeze-and-Excitation Networks", equations 2 to 4, arXiv:1709.01507.
    """

    def __init__(
        self,
        ratio: int = 16,
        second_sigmoid: bool = True,
        data_format: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.ratio = shapes.to_count(ratio, "ratio")
        self.second_sigmoid = bool(second_sigmoid)
        self.data_format = shapes.to_data_format(data_format)

    def build(self, input_shape: Any) -> None:
        """Make `fc1`, `fc2` and `gate` for the number of channels."""
        channels = shapes.count_channels(self, input_shape)
        hidden = max(1, channels // self.ratio)
        dtype = self.dtype_policy
        self.fc1 = keras.layers.Dense(hidden, "relu", name="fc1", dtype=dtype)
        self.fc2 = keras.layers.Dense(channels, "sigmoid", name="fc2", dtype=dtype)
        squash = "sigmoid" if self.second_sigmoid else "linear"
        self.gate = keras.layers.Activation(squash, name="gate", dtype=dtype)
        self.fc1.build((None, channels))
        self.fc2.build((None, hidden))
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Squeeze, excite, multiply."""
        squeezed = shapes.average(inputs, self.data_format)
        gates = self.gate(self.fc2(self.fc1(squeezed)))
        return inputs * shapes.over_positions(gates, inputs, self.data_format)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The shape of the inputs."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            **super().get_config(),
            "ratio": self.ratio,
            "second_sigmoid": self.second_sigmoid,
            "data_format": self.data_format,
        }
