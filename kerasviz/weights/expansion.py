"""The weights between two layers that are not next to each other, as one kernel."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import AddressError, InputError, MethodError
from kerasviz.probe.blank_inputs import BlankInputs
from kerasviz.probe.inputs import Batch
from kerasviz.probe.path_gradients import LINES, TRUE, Learned, PathReader
from kerasviz.probe.path_windows import Window
from kerasviz.probe.provenance import provenance
from kerasviz.probe.settings import whole
from kerasviz.weights.expanded import ExpandedWeights

OPEN_SIZES = (32, 64, 128, 256)
MUCH = 0.5


class WeightExpander:
    """Expanded weights: what the middle of a layer reads in an earlier one, through all between.

    W[o, i, position] = ∂t_o[middle] / ∂s_i[position] of the linear network that the model becomes
    with activations read as lines, max pools as means, and no biases; cut to what the middle of
    the target can see. For a chain of convolutions that is the convolution of their kernels. All
    paths count, residual ones and those through bottlenecks.

    An activation is read as the steeper of the lines in which it ends (1·x for ReLU, leaky ReLU,
    PReLU, ELU, GELU, swish, softplus), or, where it is flat at both ends, as its slope at zero (1·x
    for ReLU6 and tanh, x/4 for the sigmoid). Where paths multiply each other (squeeze-excitation,
    attention, layer normalization) no weights are left to expand: give `examples`.

    Compiled once: all channels and examples run the same functions.

    Args:
        model: Any built Keras 3 model; not altered.
        source: Address, layer object or index of a layer with channels and positions, or the name
            of an input.
        target: The same of a later layer.
        size: Positions along each axis of the input that the model leaves open; None: 32, 64, 128
            or 256, the first at which no border cuts the window. Examples bring their own.
        batch_size: Gradients computed at once; memory grows with it.
        held: Layers whose output is held fixed, so that paths through them do not count.

    Call arguments:
        examples: None, or images (arrays, or anything that `predict` takes): the mean over them of
            the model's true gradients ∂t_o[middle]/∂s_i, with the mean of their positive and of
            their negative parts.
        sources: Channel numbers of the source; None: all.
        targets: Channel numbers of the target; None: all.
        verbose: Keras's progress bar for examples: "auto", 0, 1 or 2.

    Returns:
        `ExpandedWeights`.

    Raises:
        AddressError: No such layer or channel.
        InputError: Settings or examples that do not fit.
        MethodError: The target does not depend on the source; a layer without positions; paths
            that multiply each other; quantized weights; NaN.

    Reference:
        Voss et al., "Visualizing Weights", Distill 2021, "Multi-layer expanded weights".

    Example:

    ```python
    expander = kv.weights.WeightExpander(model, "encoder/conv", "block_3/expand")
    found = expander(targets=[3, 7])
    print(found.strongest(3))
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        source: Any,
        target: Any,
        size: int | None = None,
        batch_size: int = 16,
        held: Sequence[Any] = (),
    ) -> None:
        self._size = None if size is None else whole(size, "size")
        self._batch_size = whole(batch_size, "batch_size")
        self._reader = _Reader(model, source, target, held, self._batch_size)
        self._blank: tuple[Batch, Window] | None = None

    def __call__(
        self,
        examples: Any = None,
        *,
        sources: Sequence[int] | None = None,
        targets: Sequence[int] | None = None,
        verbose: Any = "auto",
    ) -> ExpandedWeights:
        reader = self._reader
        if examples is None:
            signed, absolute, window, learned, chosen = self._lines(targets)
            settings = {"activations": learned.activations, "max_pools": learned.max_pools}
        else:
            found = reader.averaged(examples, targets, verbose)
            signed, absolute, window, learned, chosen = found
            settings = {"examples": reader.count}
        places = _chosen("sources", sources, learned.sources, reader.source)
        maps, positive, negative = _parts(signed[:, places], absolute[:, places])
        maps, positive, negative, start = _cut(maps, positive, negative, window)
        result = ExpandedWeights(
            maps=maps,
            positive=positive,
            negative=negative,
            sources=tuple(map(int, places)),
            targets=tuple(map(int, chosen)),
            source=reader.source,
            target=reader.target,
            method="weights" if examples is None else "examples",
            start=start,
            source_size=window.sizes,
            middle=window.middle,
            strides=window.strides,
            is_cut=window.is_cut,
            diagnosis="",
            parameters={
                "size": self._size,
                "batch_size": self._batch_size,
                "held": reader.held,
                **settings,
            },
            provenance=provenance(reader.model),
        )
        return dataclasses.replace(result, diagnosis=_diagnosis(result, window))

    def _lines(self, targets: Any) -> tuple[np.ndarray, np.ndarray, Window, Learned, np.ndarray]:
        reader = self._reader
        batch, window = self._seen()
        learned = reader.learned(LINES, window.box, batch)
        chosen = _chosen("targets", targets, learned.targets, reader.target)
        parts = []
        for first in range(0, len(chosen), self._batch_size):
            units = chosen[first : first + self._batch_size]
            rows = reader.repeated(batch, len(units))
            parts.append(reader.asked(LINES, window.box, rows, units))
        signed, absolute = (
            np.concatenate([p[name] for p in parts]) for name in ("signed", "absolute")
        )
        reader.check_finite(absolute, "weights")
        return signed, absolute, window, learned, chosen

    def _seen(self) -> tuple[Batch, Window]:
        """A blank input, and what is seen of the source; once, and again if the model changed."""
        if self._blank is None or self._reader.latest_info is None:
            sizes = OPEN_SIZES if self._size is None else (self._size,)
            if not BlankInputs(self._reader, sizes[0]).is_open:
                sizes = sizes[:1]
            self._blank = self._fitting(sizes)
        return self._blank

    def _fitting(self, sizes: Sequence[int]) -> tuple[Batch, Window]:
        found = None
        for size in sizes:
            batch = BlankInputs(self._reader, size).constant(0.0)
            try:
                found = batch, self._reader.window(batch)
            except ValueError as error:
                if size == sizes[-1] or isinstance(error, (AddressError, MethodError)):
                    raise
                continue
            if found[1].box is not None and not found[1].is_cut:
                break
        return found  # type: ignore[return-value]


def expand(
    model: keras.Model,
    source: Any,
    target: Any,
    examples: Any = None,
    *,
    sources: Sequence[int] | None = None,
    targets: Sequence[int] | None = None,
    size: int | None = None,
    batch_size: int = 16,
    held: Sequence[Any] = (),
    verbose: Any = "auto",
) -> ExpandedWeights:
    """The weights between two layers that are not next to each other, as one kernel.

    Short for `WeightExpander(model, source, target, …)(examples, …)`; keep that object to ask about
    the same two layers several times, as it is compiled once.

    Args:
        model: As for `WeightExpander`, and so are all the others.

    Returns:
        `ExpandedWeights`.

    Raises:
        AddressError: No such layer or channel.
        InputError: Settings or examples that do not fit.
        MethodError: The target does not depend on the source; a layer without positions; paths
            that multiply each other; quantized weights; NaN.

    Example:

    ```python
    found = kv.weights.expand(model, "encoder/conv", "block_3/expand", targets=[3])
    print(found.maps.shape, found.cancellation.max())
    ```
    """
    expander = WeightExpander(model, source, target, size, batch_size, held)
    return expander(examples, sources=sources, targets=targets, verbose=verbose)


class _Reader(PathReader):
    """Adds up the true gradients over a data set."""

    def __init__(
        self, model: keras.Model, source: Any, target: Any, held: Sequence[Any], at_once: int
    ) -> None:
        super().__init__(model, source, target, held)
        self._at_once = at_once
        self._view: Window | None = None

    @property
    def count(self) -> int:
        """How many examples were seen last."""
        return self._count

    def averaged(
        self, examples: Any, targets: Any, verbose: Any
    ) -> tuple[np.ndarray, np.ndarray, Window, Learned, np.ndarray]:
        """Means over examples of the gradients and of their magnitudes."""
        self._targets, self._view = targets, None
        self._sums: dict[str, Any] = {}
        count = self.go_through(examples, self._at_once, verbose)
        signed, absolute = (self._sums[name] / count for name in ("signed", "absolute"))
        return signed, absolute, self._view, self._learned, self._chosen  # type: ignore[return-value]

    def take(self, batch: Batch) -> None:
        window = self.window(batch)
        if self._view is not None and window.sizes != self._view.sizes:
            raise InputError(
                f"`examples` must be of one size. Received: {self._view.sizes} and "
                f"{window.sizes} positions in {self.source!r}. Resize them to one size."
            )
        self._view = window
        self._learned = self.learned(TRUE, window.box, batch)
        self._chosen = _chosen("targets", self._targets, self._learned.targets, self.target)
        at_once = max(1, self._at_once // batch.size)
        parts = [
            self.asked(TRUE, window.box, batch, self._chosen[first : first + at_once])
            for first in range(0, len(self._chosen), at_once)
        ]
        for name in ("signed", "absolute"):
            found = np.concatenate([part[name] for part in parts])
            self.check_finite(found, "gradients")
            self._sums[name] = self._sums.get(name, 0.0) + found.astype("float64")

    def repeated(self, batch: Batch, times: int) -> Batch:
        """A batch of one sample, several times."""
        arrays = [np.repeat(np.asarray(tensor), times, axis=0) for tensor in batch.flat]
        return self.batch(batch.form.packed(arrays))

    def check_finite(self, values: np.ndarray, what: str) -> None:
        """Refuse NaN and infinity."""
        count = int((~np.isfinite(values)).sum())
        if count:
            raise MethodError(
                f"Expected finite {what} between {self.source!r} and {self.target!r}. Received: "
                f"{count} values that are NaN or infinite. See `kv.weights.diagnose(model)`."
            )


def _chosen(name: str, given: Any, count: int, address: str) -> np.ndarray:
    """Channel numbers, checked."""
    if given is None:
        return np.arange(count)
    numbers = np.asarray(given)
    if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "iu":
        raise InputError(
            f"`{name}` must be a list of channel numbers, or None for all. Received: {given!r}. "
            "Pass e.g. `[0, 3]`."
        )
    beyond = numbers[(numbers < 0) | (numbers >= count)]
    if beyond.size:
        raise AddressError(
            f"`{name}` must be from 0 to {count - 1}, as {address!r} has {count} channels. "
            f"Received: {beyond[0]}. See `kv.layers(model)`."
        )
    if len(set(numbers.tolist())) < len(numbers):
        raise InputError(
            f"`{name}` must be different channels. Received: {given!r}. Name each of them once."
        )
    return numbers.astype("int64")


def _parts(signed: np.ndarray, absolute: np.ndarray) -> tuple[np.ndarray, ...]:
    """Sum, positive and negative part, from the sum and that of magnitudes."""
    signed, absolute = signed.astype("float64"), absolute.astype("float64")
    positive = np.maximum((absolute + signed) / 2, np.maximum(signed, 0))
    negative = signed - positive
    return tuple(part.astype("float32") for part in (signed, positive, negative))


def _cut(
    maps: np.ndarray, positive: np.ndarray, negative: np.ndarray, window: Window
) -> tuple[Any, ...]:
    """Where the graph does not tell what is seen, all that is not zero is kept."""
    if window.box is not None:
        return maps, positive, negative, tuple(start for start, _ in window.box)
    start, box = [], [slice(None), slice(None)]
    seen = (positive != 0) | (negative != 0)
    for axis in range(2, maps.ndim):
        others = tuple(other for other in range(maps.ndim) if other != axis)
        places = np.flatnonzero(seen.any(axis=others))
        first, last = (places[0], places[-1]) if len(places) else (0, maps.shape[axis] - 1)
        start.append(int(first))
        box.append(slice(int(first), int(last) + 1))
    cut = tuple(box)
    return maps[cut], positive[cut], negative[cut], tuple(start)


def _diagnosis(found: ExpandedWeights, window: Window) -> str:
    shown = np.abs(found.maps).sum(dtype="float64")
    both = (found.positive - found.negative).sum(dtype="float64")
    words = []
    if not both:
        words.append("All weights are zero, so the source has no say.")
    elif 1 - shown / both > MUCH:
        words.append(
            f"{_percent(1 - shown / both)} of excitation and inhibition cancel in the maps: look "
            "at `positive` and `negative` apart."
        )
    if window.is_cut:
        words.append("The window is cut by the border: pass a larger `size` if the model takes it.")
    if window.reason:
        words.append(f"The window holds what is not zero, as the graph is silent: {window.reason}.")
    return " ".join(words)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share < 0.995 else f"{np.floor(share * 1000) / 10:.1f}%"
