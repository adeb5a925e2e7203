"""Which positions of an earlier layer a position of a later layer draws on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import MethodError
from kerasviz.features.images.value_range import to_value_range
from kerasviz.features.layer_reading import (
    Reader,
    channels_last,
    check_finite,
    shown,
    spatial_features,
)
from kerasviz.probe.backend import compiled
from kerasviz.probe.provenance import provenance
from kerasviz.probe.run import run
from kerasviz.probe.settings import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ops: Any = keras.ops
TINY = 1e-12


@dataclasses.dataclass(frozen=True, eq=False)
class SpatialAttribution:
    """What each position of one layer contributes to each position of a later one.

    Args:
        attributions: (*positions_to, *positions_from): gradient of the length of the activation
            vector at a position of the later layer × activation of the earlier layer, summed over
            its channels.
        magnitudes: (*positions_to,) length of the activation vector at each position of the later
            layer.
        remainder: (*positions_to,) magnitudes - Σ attributions: what does not come through the
            present activation of the earlier layer (biases between) in the linear approximation.
        photo: (*positions, channels) the photo in [0, 1]; None where no input has the positions of
            the layer.
        layer_from: Address of the earlier layer.
        layer_to: Address of the later layer.
        provenance: Versions, model, time.
    """

    attributions: np.ndarray
    magnitudes: np.ndarray
    remainder: np.ndarray
    photo: np.ndarray | None
    layer_from: str
    layer_to: str
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        rank = self.magnitudes.ndim
        return (
            f"SpatialAttribution({self.layer_to!r} {self.magnitudes.shape} from "
            f"{self.layer_from!r} {self.attributions.shape[rank:]})"
        )

    def plot(self, positions: Sequence[Sequence[int]] | None = None, **kwargs: Any) -> Figure:
        """For some positions of the later layer (None: the strongest), marked on the photo, the
        map of the earlier layer; see `kv.plots.spatial_attribution`."""
        from kerasviz.plots.feature_maps import spatial_attribution

        return spatial_attribution(
            self.photo, self.attributions, self.magnitudes, positions, **kwargs
        )


class AttributionSpatial:
    """Gradient × activation between the positions of two layers.

    Args:
        model: Any built Keras 3 model; not altered.
        layer_from: Address, layer object or index of the earlier layer.
        layer_to: The same of the later layer.
        batch_size: Positions of the later layer that are differentiated at once.

    Call arguments:
        photo: One sample in the model's own structure, with or without a batch axis of 1.

    Returns:
        A `SpatialAttribution`.

    Raises:
        AddressError: No such layer.
        InputError: A photo that does not fit.
        MethodError: A layer without positions, a later layer that does not depend on the earlier
            one, or NaN.

    Reference:
        Olah et al., "The Building Blocks of Interpretability", Distill 2018, "How Are Concepts
        Assembled?".

    Example:

    ```python
    found = kv.AttributionSpatial(model, "encoder/conv", "pool")(images[0])
    print(found.attributions.shape)
    ```
    """

    def __init__(
        self, model: keras.Model, layer_from: Any, layer_to: Any, batch_size: int = 16
    ) -> None:
        self._reader = _Reader(model, layer_from, layer_to)
        self._batch_size = whole(batch_size, "batch_size")

    def __call__(self, photo: Any) -> SpatialAttribution:
        reader = self._reader
        batch = reader.one(photo)
        features, picture = reader.read_batch(batch)
        sizes = features.shape[1:-1]
        count = int(np.prod(sizes))
        parts = [
            reader.attribute(batch, np.arange(start, min(start + self._batch_size, count)))
            for start in range(0, count, self._batch_size)
        ]
        found = np.concatenate(parts)
        check_finite(found, reader.earlier)
        magnitudes = np.linalg.norm(features[0], axis=-1)
        sums = found.reshape(count, -1).sum(axis=-1).reshape(sizes)
        return SpatialAttribution(
            attributions=found.reshape(*sizes, *found.shape[1:]),
            magnitudes=magnitudes,
            remainder=magnitudes - sums,
            photo=self._shown(picture),
            layer_from=reader.earlier,
            layer_to=reader.address,
            provenance=provenance(reader.model),
        )

    def _shown(self, picture: np.ndarray | None) -> np.ndarray | None:
        if picture is None:
            return None
        model = self._reader.model
        return shown(picture[0], lambda channels: to_value_range(None, model, channels))


class _Reader(Reader):
    """Reads the later layer, and differentiates it by the earlier one."""

    def __init__(self, model: keras.Model, layer_from: Any, layer_to: Any) -> None:
        super().__init__(model, layer_to)
        self.earlier = Reader(model, layer_from).address

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        if key == "features":
            return super().compute(key, inputs, feeds)
        (index,) = feeds
        copies = keras.tree.map_structure(
            lambda x: ops.repeat(x, ops.shape(index)[0], axis=0), inputs
        )
        record = run(self.model, copies)
        later, _ = spatial_features(record, self.address)
        earlier, raw = spatial_features(record, self.earlier)
        (gradient,) = record.gradients(_lengths_at(later, index), [raw])
        if gradient is None:
            raise MethodError(
                "`layer_to` must be one that depends on `layer_from`. Received: "
                f"{self.address!r}, which does not depend on {self.earlier!r}. Exchange them?"
            )
        gradient = channels_last(gradient, record, self.earlier)
        return {"attributions": ops.sum(gradient * earlier, axis=-1)}, None

    def attribute(self, batch: Any, index: np.ndarray) -> np.ndarray:
        """(len(index), *positions_from) for some positions of the later layer, counted row by
        row."""
        feeds = [compiled.as_tensor(index.astype("int32"), "int32")]
        trace = self.traced("attributions", batch, feeds)
        return self.evaluate_trace(trace, batch, feeds)["attributions"]


def _lengths_at(features: Any, index: Any) -> Any:
    """(batch,) length of the vector at one position of each sample; flat where it is zero."""
    channels = features.shape[-1]
    flat = ops.reshape(features, (ops.shape(features)[0], -1, channels))
    at = ops.broadcast_to(index[:, None, None], (ops.shape(index)[0], 1, channels))
    vectors = ops.take_along_axis(flat, at, axis=1)[:, 0]
    return ops.sqrt(ops.maximum(ops.sum(ops.square(vectors), axis=-1), TINY))
