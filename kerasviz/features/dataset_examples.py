"""The inputs of a data set that excite channels most."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import AddressError, InputError, MethodError
from kerasviz.features.images.value_range import to_value_range
from kerasviz.features.layer_reading import LayerStream, pictured_input, shown, spatial_features
from kerasviz.features.objectives.base import per_picture
from kerasviz.probe.provenance import provenance
from kerasviz.probe.run import run
from kerasviz.probe.settings import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ops: Any = keras.ops
POSITIONS_PER_PATCH = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """The strongest examples of some channels, strongest first.

    Args:
        values: (channels, num) largest activation of the channel in each example.
        indices: (channels, num) number of the example in the data set, counted from 0.
        positions: (channels, num, rank) where in the layer that activation is.
        channels: (channels,) channel numbers.
        patches: (channels, num, *patch, input channels) the part of the input around that
            position, channels last, as the model takes it; None where no input has the positions
            of the layer.
        display: The same in [0, 1].
        inputs: (m, *positions, input channels) each input that occurs above, once, channels last.
        rows: (channels, num) row of `inputs` of each example.
        count: Number of samples seen.
        layer: Address of the layer.
        provenance: Versions, model, time.
    """

    values: np.ndarray
    indices: np.ndarray
    positions: np.ndarray
    channels: np.ndarray
    patches: np.ndarray | None
    display: np.ndarray | None
    inputs: np.ndarray | None
    rows: np.ndarray | None
    count: int
    layer: str
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        channels, num = self.values.shape
        return f"Examples({self.layer!r}, {channels} channels, {num} each of {self.count})"

    def plot(self, **kwargs: Any) -> Figure:
        """A row of patches per channel; see `kv.plots.dataset_examples`."""
        from kerasviz.plots.feature_maps import dataset_examples

        names = [f"{self.layer}:{channel}" for channel in self.channels]
        return dataset_examples(self.display, self.values, names, **kwargs)


def dataset_examples(
    model: keras.Model,
    layer: Any,
    channels: Any,
    dataset: Any,
    num: int = 9,
    patch_size: int | tuple[int, ...] | None = None,
    value_range: Any = None,
    batch_size: int = 32,
    verbose: Any = "auto",
) -> Examples:
    """The samples of a data set that excite channels most, and the place where they do.

    The data set is seen once, batch by batch; of each channel the best `num` so far are kept, so
    that memory does not grow with the data set. Among equals the earlier one is kept.

    Args:
        model: Any built Keras 3 model; not altered.
        layer: Address, layer object or index of a layer with positions.
        channels: Channel number, or several.
        dataset: Arrays, or anything that `predict` takes; inputs of one size.
        num: Examples per channel, at most as many as there are samples.
        patch_size: Height and width of the part of the input to cut out around the most active
            position (one number, or one per axis); None: three positions' share of the input. The
            part is moved inside where it would stick out. It is not the receptive field, which
            may be much larger.
        value_range: As in `kv.ActivationMaximization`, for `display`.
        batch_size: Samples run at once when `dataset` holds arrays.
        verbose: Keras's progress bar: "auto", 0, 1 or 2.

    Returns:
        `Examples`.

    Raises:
        AddressError: No such layer or channel.
        InputError: An empty data set, inputs that do not fit the model, hold NaN, or differ in
            size.
        MethodError: A layer without positions, or one that answers NaN.

    Reference:
        Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014.

    Example:

    ```python
    best = kv.dataset_examples(model, "encoder/conv", [0, 3], dataset, num=2)
    print(best.indices, best.values)
    ```
    """
    chosen, _ = per_picture(channels, "channels")
    chosen = np.atleast_1d(chosen)
    search = _Search(model, layer, chosen, whole(num, "num"))
    size = _sizes(patch_size)
    best = search.best_of(dataset, whole(batch_size, "batch_size"), verbose)
    pictures = None
    if best.inputs:
        known = sorted(best.inputs)
        pictures = np.stack([best.inputs[index] for index in known])
    found = _Cut(best, pictures, size)
    patches = found.patches()
    return Examples(
        values=best.values,
        indices=best.indices,
        positions=best.positions,
        channels=chosen,
        patches=patches,
        display=None
        if patches is None
        else shown(patches, lambda count: to_value_range(value_range, model, count)),
        inputs=pictures,
        rows=None if pictures is None else np.searchsorted(known, best.indices),
        count=best.count,
        layer=search.address,
        provenance=provenance(model),
    )


class _Best:
    """The best examples so far, (channels, up to num) each, and the inputs that they are."""

    def __init__(self, channels: int, num: int) -> None:
        self.num, self.count = num, 0
        self.values = np.zeros((channels, 0), "float32")
        self.indices = np.zeros((channels, 0), "int64")
        self.positions = np.zeros((channels, 0, 1), "int64")
        self.grid: tuple[int, ...] = ()
        self.inputs: dict[int, np.ndarray] = {}

    def add(self, values: np.ndarray, flat: np.ndarray, grid: Any, pictures: Any) -> None:
        """See one batch: (batch, channels) values and flat positions in a grid."""
        size = len(values)
        places = np.stack(np.unravel_index(flat.T, grid), axis=-1)
        before = self.positions if self.count else places[:, :0]
        numbers = np.broadcast_to(np.arange(self.count, self.count + size), values.T.shape)
        joined = np.concatenate([self.values, values.T], axis=1)
        order = np.argsort(-joined, axis=1, kind="stable")[:, : self.num]
        self.values = np.take_along_axis(joined, order, axis=1)
        indices = np.concatenate([self.indices, numbers], axis=1)
        self.indices = np.take_along_axis(indices, order, axis=1)
        positions = np.concatenate([before, places], axis=1)
        self.positions = np.take_along_axis(positions, order[..., None], axis=1)
        self._keep(pictures, size)
        self.count, self.grid = self.count + size, grid

    def _keep(self, pictures: Any, size: int) -> None:
        wanted = {int(index) for index in np.unique(self.indices)}
        self.inputs = {index: x for index, x in self.inputs.items() if index in wanted}
        for index in range(self.count, self.count + size) if pictures is not None else ():
            if index in wanted:
                self.inputs[index] = np.array(pictures[index - self.count])


class _Search(LayerStream):
    """Keeps the best examples of all batches."""

    def __init__(self, model: keras.Model, layer: Any, channels: np.ndarray, num: int) -> None:
        super().__init__(model, layer)
        self._channels, self._num = channels.tolist(), num

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        record = run(self.model, inputs)
        features, raw = spatial_features(record, self.address)
        count = features.shape[-1]
        if max(self._channels) >= count:
            raise AddressError(
                f"`channels` must be from 0 to {count - 1} for the layer {self.address!r}. "
                f"Received: {max(self._channels)}."
            )
        grid = ops.convert_to_tensor(ops.shape(features)[1:-1])
        flat = ops.reshape(features, (ops.shape(features)[0], -1, count))
        flat = ops.take(flat, self._channels, axis=-1)
        found = {"values": ops.max(flat, axis=1), "positions": ops.argmax(flat, axis=1)}
        finite = ops.all(ops.isfinite(flat), axis=(1, 2))
        return found | {"grid": grid, "finite": finite}, pictured_input(record, raw)

    def best_of(self, dataset: Any, batch_size: int, verbose: Any) -> _Best:
        """The best examples of a data set."""
        self._best = _Best(len(self._channels), self._num)
        self.go_through(dataset, batch_size, verbose)
        return self._best

    def take(self, batch: Any) -> None:
        trace = self.traced("best", batch)
        found = self.evaluate_trace(trace, batch)
        if not found["finite"].all():
            raise MethodError(
                f"Expected finite activations of {self.address!r}. Received: NaN or infinity for "
                f"sample {self._best.count + int(np.argmin(found['finite']))}. Look for them in "
                "the model's weights, or choose an earlier layer."
            )
        grid = tuple(int(size) for size in found["grid"])
        picture = None if trace.info is None else trace.info.of(batch)
        known = next(iter(self._best.inputs.values()), None)
        if known is not None and picture is not None and picture.shape[1:] != known.shape:
            raise InputError(
                f"All inputs must have one size. Received: {known.shape} and {picture.shape[1:]}. "
                "Resize them to one size."
            )
        self._best.add(found["values"], found["positions"], grid, picture)


@dataclasses.dataclass(frozen=True, eq=False)
class _Cut:
    """Cuts patches out of inputs."""

    best: _Best
    pictures: np.ndarray | None
    size: Any

    def patches(self) -> np.ndarray | None:
        """(channels, num, *patch, input channels)."""
        if self.pictures is None:
            return None
        lengths = self.pictures.shape[1:-1]
        sizes = self._patch(lengths)
        found = [
            [
                self._patch_at(index, position, lengths, sizes)
                for index, position in zip(*row, strict=True)
            ]
            for row in zip(self.best.indices, self.best.positions, strict=True)
        ]
        return np.array(found)

    def _patch(self, lengths: Sequence[int]) -> tuple[int, ...]:
        if self.size is None:
            shares = [
                -(-POSITIONS_PER_PATCH * length // cells)
                for length, cells in zip(lengths, self.best.grid, strict=True)
            ]
            return tuple(min(s, n) for s, n in zip(shares, lengths, strict=True))
        asked = (self.size,) * len(lengths) if isinstance(self.size, int) else self.size
        if len(asked) != len(lengths) or any(a > n for a, n in zip(asked, lengths, strict=False)):
            raise InputError(
                f"`patch_size` must fit into the input, {tuple(lengths)}. Received: {self.size}."
            )
        return tuple(asked)

    def _patch_at(self, index: Any, position: Any, lengths: Any, sizes: Any) -> np.ndarray:
        starts = patch_starts(position, self.best.grid, lengths, sizes)
        window = tuple(
            slice(start, start + size) for start, size in zip(starts, sizes, strict=True)
        )
        return self.best.inputs[int(index)][window]


def patch_starts(
    position: Sequence[int], grid: Sequence[int], lengths: Sequence[int], sizes: Sequence[int]
) -> tuple[int, ...]:
    """Where a patch of that size begins in the input whose centre is that of a position.

    Args:
        position: Index of the position along each axis.
        grid: Number of positions along each axis.
        lengths: Size of the input along each axis.
        sizes: Size of the patch, not larger.
    """
    centres = [(p + 0.5) * n / cells for p, cells, n in zip(position, grid, lengths, strict=True)]
    return tuple(
        int(min(max(0, round(centre - size / 2)), length - size))
        for centre, size, length in zip(centres, sizes, lengths, strict=True)
    )


def _sizes(patch_size: Any) -> Any:
    if patch_size is None:
        return None
    if isinstance(patch_size, tuple):
        return tuple(whole(one, "patch_size") for one in patch_size)
    return whole(patch_size, "patch_size")
