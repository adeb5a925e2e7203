"""Measures the effective receptive field of a layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError, MethodError
from kerasviz.probe.blank_inputs import BlankInputs, open_size
from kerasviz.probe.inputs import Batch
from kerasviz.probe.provenance import provenance
from kerasviz.probe.settings import whole
from kerasviz.probe.unit_gradients import EFFECT, UNITS, CentreReader, Seen
from kerasviz.receptive_fields.effective import EffectiveField, field_size, field_std
from kerasviz.receptive_fields.reach import ReachFinder


class EffectiveReceptiveField:
    """How strongly each position of the input moves the unit in the middle of a layer.

    The mean of |∂y/∂x| over inputs and colours, as Luo et al. measure it. y is the middle position
    of the layer. Its size counts the positions above 4.55 % (1 - 0.9545, what lies beyond two
    standard deviations of a Gaussian) of the largest value of the map. For n linear layers of
    uniform k×k kernels the standard deviation along an axis is √(n(k² - 1)/12).

    Args:
        model: Any built Keras 3 model; not altered.
        layer: Address, layer object or index.
        channel: What y is: "sum" of all channels (one gradient per input), the number of one, or
            "each", the mean of the maps of all channels (a gradient per channel and input).
        input: Name or index of the input; None: the first with positions that the layer depends on.
        num_samples: How many N(0, 1) inputs are drawn when none are given. Inputs of bytes get
            mean 127.5 and standard deviation 64.
        seed: Of these inputs.
        size: Positions along each axis of random inputs that the model leaves open, one number or
            one each; None: 32, 64, 128 or 256, the first that the field fits into.
        batch_size: Gradients computed at once.

    Call arguments:
        images: A batch in the model's own structure; None for random inputs.

    Returns:
        An `EffectiveField`. `predict(dataset)` gives it for a data set of any size.

    Raises:
        AddressError: No such layer.
        InputError: Settings or inputs that do not fit.
        MethodError: The layer does not depend on the input, the input has no positions, or NaN.

    Reference:
        Luo, Li, Urtasun & Zemel 2016, "Understanding the Effective Receptive Field in Deep
        Convolutional Neural Networks", arXiv:1701.04128, sections 2 and 3.

    Example:

    ```python
    field = kv.receptive_fields.EffectiveReceptiveField(model, "encoder/conv")(images)
    print(field.size, field.reach, field.ratio)
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        layer: Any,
        channel: int | str = "sum",
        input: str | int | None = None,  # noqa: A002
        num_samples: int = 64,
        seed: int = 0,
        size: int | Sequence[int] | None = None,
        batch_size: int = 32,
    ) -> None:
        if isinstance(channel, str) and channel not in ("sum", "each"):
            raise InputError(
                "`channel` must be 'sum', 'each' or the number of a channel. "
                f"Received: {channel!r}."
            )
        self._channel = channel if isinstance(channel, str) else whole(channel, "channel", 0)
        self._num_samples = whole(num_samples, "num_samples")
        self._seed = whole(seed, "seed", 0)
        self._batch_size = whole(batch_size, "batch_size")
        self._reader = _EffectReader(model, layer, input)
        self._size = open_size(size)
        key = UNITS if self._channel == "each" else EFFECT
        self._finder = ReachFinder(self._reader, key)

    def __call__(self, images: Any = None) -> EffectiveField:
        if images is not None:
            return self._field([self._reader.batch(images)], "images")
        inputs = self._finder.stage(self._size).inputs
        return self._field(_drawn(inputs, self._seed, self._num_samples, self._step), "noise")

    def predict(
        self, dataset: Any, batch_size: int | None = None, verbose: Any = "auto"
    ) -> EffectiveField:
        """The same over a data set.

        Args:
            dataset: Arrays in the model's structure, or anything that `predict` takes; all samples
                of one size.
            batch_size: Samples run at once when `dataset` holds arrays; None: as constructed.
            verbose: Keras's progress bar: "auto", 0, 1 or 2.
        """
        total = _Total(self)
        self._reader.taker = total.add
        try:
            self._reader.go_through(dataset, batch_size or self._batch_size, verbose)
        finally:
            self._reader.taker = None
        return total.field("images")

    @property
    def _step(self) -> int:
        return self._batch_size if self._channel != "each" else max(1, self._batch_size // 8)

    def _field(self, batches: Iterable[Batch], source: str) -> EffectiveField:
        total = _Total(self)
        for batch in batches:
            for start in range(0, batch.size, self._step):
                total.add(_rows(batch, start, start + self._step))
        return total.field(source)

    def effect_of(self, batch: Batch) -> np.ndarray:
        """(*positions) sum over a batch of the magnitudes."""
        reader, seen = self._reader, self._finder.seen(batch)
        _check_positions(seen, reader.address)
        if self._channel != "each":
            units = self._chosen(seen)
            return reader.asked(EFFECT, batch, units)["effect"]
        step = max(1, self._batch_size // batch.size)
        found: Any = 0.0
        for first in range(0, seen.num_units, step):
            units = np.arange(first, min(first + step, seen.num_units))
            found = found + reader.asked(UNITS, batch, units)["effect"].astype("float64")
        return np.asarray(found) / seen.num_units

    def _chosen(self, seen: Seen) -> np.ndarray:
        """Numbers of the channels that y is the sum of."""
        if self._channel == "sum":
            return np.arange(seen.num_units)
        if self._channel not in range(seen.num_units):
            raise InputError(
                f"`channel` must be below {seen.num_units}, the channels of "
                f"'{self._reader.address}'. Received: {self._channel}. Count from 0."
            )
        return np.array([self._channel])

    def finished(self, effect: np.ndarray, batch: Batch, count: int, source: str) -> EffectiveField:
        """The field from the sum of magnitudes over `count` samples, one batch being `batch`."""
        reach = self._finder.reach(batch, lambda: effect)
        effect = (effect / count).astype("float32")
        self._reader.check_finite(effect)
        size, extent = field_size(effect), float(np.prod(reach.size)) ** (1.0 / effect.ndim)
        silent = not effect.any()
        return EffectiveField(
            map=effect,
            size=size,
            std=field_std(effect),
            reach=reach.size,
            start=reach.start,
            ratio=float("nan") if silent else size / extent,
            is_cut=reach.is_cut,
            num_samples=count,
            layer=self._reader.address,
            input_name=self._finder.seen(batch).input_name,
            diagnosis=_SILENT if silent else "",
            parameters={
                "channel": self._channel,
                "inputs": source,
                "seed": self._seed if source == "noise" else None,
                "reach": reach.source,
            },
            provenance=provenance(self._reader.model),
        )


_SILENT = (
    "No gradient on any input, as behind ReLUs that are shut: try other images, or the layer "
    "before its activation."
)


class _EffectReader(CentreReader):
    """Hands each batch of a data set to whoever asked."""

    taker: Any = None

    def take(self, batch: Batch) -> None:
        self.taker(batch)


class _Total:
    """The sum over batches of one size."""

    def __init__(self, method: EffectiveReceptiveField) -> None:
        self._method = method
        self._effect: np.ndarray | None = None
        self._count = 0

    def add(self, batch: Batch) -> None:
        effect, self._batch = self._method.effect_of(batch), batch
        if self._effect is not None and self._effect.shape != effect.shape:
            raise InputError(
                f"All samples must be of one size, {self._effect.shape}. Received: "
                f"{effect.shape}. Measure each size by itself."
            )
        before = 0.0 if self._effect is None else self._effect
        self._effect = before + effect.astype("float64")
        self._count += batch.size

    def field(self, source: str) -> EffectiveField:
        if self._effect is None:
            raise InputError("Expected at least one sample. Received: none. Give a batch.")
        return self._method.finished(self._effect, self._batch, self._count, source)


def _drawn(inputs: BlankInputs, seed: int, count: int, at_once: int) -> Iterable[Batch]:
    for first in range(0, count, at_once):
        yield inputs.noise(seed, first, min(at_once, count - first))


def _rows(batch: Batch, start: int, stop: int) -> Batch:
    if start == 0 and stop >= batch.size:
        return batch
    flat = [tensor[start:stop] for tensor in batch.flat]
    return Batch(flat, batch.form, batch.names, int(flat[0].shape[0]))


def _check_positions(seen: Seen, address: str) -> None:
    if not seen.rank:
        raise MethodError(
            f"Expected an input with positions. Received: '{seen.input_name}' of {address!r}, "
            "which has features only. See `kv.receptive_fields.maps` for the weights of each unit."
        )
