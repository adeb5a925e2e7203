"""How much gradient goes through each output channel of a convolution to each input channel.

∂L/∂X_c is a sum over the output channels k of LG^{k→c}, the transposed convolution of G_k with
the kernel W[:, c, k]. One tap of it is G_k shifted; with P_k the matrix (positions, taps) of all
shifts, cut to the positions of X, LG^{k→c} = P_k W[:, c, k] and

    ‖LG^{k→c}‖² = W[:, c, k]ᵀ (P_kᵀ P_k) W[:, c, k],

exact at the borders too. The matrix P_kᵀ P_k serves all input channels; where there are fewer of
them than taps, P_k W is the shorter way. All of it in float64, a few channels at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kerasviz.probe.backend.convolutions import Axis, Convolution

BUDGET = 64 * 2**20


def pair_flow(convolution: Convolution, gradient: Any) -> tuple[Any, Any]:
    """Sums of ‖LG^{k→c}‖ over input channels, and over output channels.

    Args:
        convolution: A convolution of the open graph.
        gradient: ∂L/∂Y, of the shape of its output.

    Returns:
        float64 (batch, output channels) Σ_c ‖LG^{k→c}‖ and (batch, input channels)
        Σ_k ‖LG^{k→c}‖.
    """
    flow = _Flow(convolution, gradient)
    outgoing, incoming = flow.totals(tf.sqrt)
    shape = (tf.shape(incoming)[0], convolution.groups * convolution.kernel.shape[1])
    return outgoing, tf.reshape(incoming, shape)


def channel_flow(convolution: Convolution, gradient: Any) -> tuple[Any, Any]:
    """Norms of what goes out through each output channel, and of what comes to it.

    Args:
        convolution: A convolution of the open graph.
        gradient: ∂L/∂Y, of the shape of its output.

    Returns:
        float64 (batch, output channels) ‖(LG^{k→c})_c‖ over all input channels and positions, and
        (batch, output channels) ‖G_k‖.
    """
    flow = _Flow(convolution, gradient)
    squares, _ = flow.totals(tf.identity)
    received = tf.square(tf.cast(flow.rows, tf.float64))
    received = tf.reduce_sum(received, axis=range(2, len(flow.rows.shape)))
    return tf.sqrt(squares), tf.sqrt(tf.transpose(received))


class _Flow:
    """Goes through the output channels of a convolution, a few at a time.

    Attributes:
        rows: (output channels, batch, *output positions) the gradient.
    """

    def __init__(self, convolution: Convolution, gradient: Any) -> None:
        self._convolution = convolution
        self._kernel = tf.cast(tf.transpose(convolution.kernel, (2, 0, 1)), tf.float64)
        self._sources = convolution.source_sizes()
        sizes = zip(convolution.axes, self._sources, convolution.output_sizes(), strict=True)
        is_transposed = convolution.kind == "transposed"
        self._reads = [_read(*one, is_transposed) for one in sizes]
        self.rows = self._as_rows(gradient)

    def _as_rows(self, gradient: Any) -> Any:
        found = self._convolution
        kept = [axis.output for axis in found.axes if axis.output is not None]
        rows = tf.transpose(gradient, (found.channel_axis, 0, *kept))
        return tf.reshape(rows, (*tf.unstack(tf.shape(rows)[:2]), *found.output_sizes()))

    def totals(self, measure: Any) -> tuple[Any, Any]:
        """`measure` of ‖LG^{k→c}‖², (batch, output channels) summed over the inputs of a channel
        and (batch, groups, inputs of a channel) summed over the outputs of a group."""
        channels, batch = self._kernel.shape[0], tf.shape(self.rows)[1]
        at_once = self._at_once(batch)
        sums = tf.TensorArray(
            tf.float64, 0, dynamic_size=True, infer_shape=False, element_shape=(None, None)
        )
        groups, inputs = self._convolution.groups, self._kernel.shape[2]
        incoming = tf.zeros(tf.stack((groups, batch, inputs)), tf.float64)

        def some(start: Any, sums: Any, incoming: Any) -> tuple[Any, Any, Any]:
            stop = tf.minimum(start + at_once, channels)
            values = measure(tf.maximum(self._squares(start, stop), 0.0))
            owners = tf.range(start, stop) // (channels // groups)
            incoming += tf.math.unsorted_segment_sum(values, owners, groups)
            return stop, sums.write(sums.size(), tf.reduce_sum(values, axis=2)), incoming

        _, sums, incoming = tf.while_loop(
            lambda start, *_: start < channels,
            some,
            (tf.constant(0), sums, incoming),
            shape_invariants=(
                tf.TensorShape(()),
                tf.TensorShape(None),
                tf.TensorShape((groups, None, inputs)),
            ),
            parallel_iterations=1,
        )
        return tf.transpose(sums.concat()), tf.transpose(incoming, (1, 0, 2))

    def _at_once(self, batch: Any) -> Any:
        """How many output channels fit into the budget."""
        taps, inputs = self._kernel.shape[1:]
        positions: Any = 1
        for size in self._sources:
            positions *= size
        widest = tf.maximum(tf.cast(positions, tf.int64), inputs)
        needed = tf.cast(batch, tf.int64) * 2 * taps * 8 * widest
        return tf.cast(tf.maximum(BUDGET // tf.maximum(needed, 1), 1), tf.int32)

    def _squares(self, start: Any, stop: Any) -> Any:
        """(channels, batch, inputs of a channel) ‖LG^{k→c}‖² for the channels from `start` on."""
        kernel = self._kernel[start:stop]
        taps, inputs = self._kernel.shape[1:]
        shifts = self._shifts(tf.cast(self.rows[start:stop], tf.float64))
        if inputs < taps:
            parts = tf.matmul(tf.transpose(kernel, (0, 2, 1))[:, None], shifts)
            return tf.reduce_sum(tf.square(parts), axis=3)
        products = tf.matmul(shifts, shifts, transpose_b=True)
        flat = tf.reshape(products, (tf.shape(kernel)[0], -1, taps))
        weighted = tf.reshape(
            tf.matmul(flat, kernel), (*tf.unstack(tf.shape(products)[:3]), inputs)
        )
        return tf.reduce_sum(weighted * kernel[:, None], axis=2)

    def _shifts(self, rows: Any) -> Any:
        """(channels, batch, taps, input positions) what each tap sees of the gradient.

        Axis by axis, from the last: its taps go in front of all positions.
        """
        rank = len(self._reads)
        for n in reversed(range(rank)):
            read = self._reads[n]
            if read is None:
                rows = tf.expand_dims(rows, 2)
                continue
            axis = len(rows.shape) - rank + n
            zero = [[0, 1 if i == axis else 0] for i in range(len(rows.shape))]
            rows = tf.gather(tf.pad(rows, zero), read, axis=axis)
            others = [i for i in range(2, len(rows.shape)) if i != axis]
            rows = tf.transpose(rows, (0, 1, axis, *others))
        taps = self._kernel.shape[1]
        sizes = tf.shape(rows)
        return tf.reshape(rows, tf.stack((sizes[0], sizes[1], taps, tf.reduce_prod(sizes[-rank:]))))


def _read(axis: Axis, source: Any, output: Any, transposed: bool) -> Any:
    """(taps, input positions) the output position that each tap of each input position reads.

    Where there is none, the number of output positions stands, for a zero behind the last.
    None where every position reads itself.
    """
    is_known = isinstance(source, int) and isinstance(output, int) and isinstance(axis.before, int)
    if is_known and (axis.taps, axis.stride, axis.before, source) == (1, 1, 0, output):
        return None
    math = np if is_known else tf
    arange: Any = np.arange if is_known else tf.range
    steps, places = axis.dilation * arange(axis.taps)[:, None], arange(source)[None]
    if transposed:
        place = places * axis.stride + steps - axis.before
        exists = (place >= 0) & (place < output)
    else:
        spread = places + axis.before - steps
        place = spread // axis.stride
        exists = (spread % axis.stride == 0) & (spread >= 0) & (place < output)
    return math.where(exists, place, output)
