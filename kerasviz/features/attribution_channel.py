"""Which channels of a layer speak for a class, or for a channel of a later layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.features.layer_reading import check_finite
from kerasviz.features.scored_reading import ScoredReader
from kerasviz.probe.provenance import provenance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ops: Any = keras.ops


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelAttribution:
    """What each channel of a layer contributes to a score, to first order.

    Args:
        attributions: (n, channels) gradient of the score times activation, summed over positions.
        scores: (n,) the score.
        remainder: (n,) scores - Σ attributions: what does not come through the layer's present
            activation (biases after it) in the linear approximation.
        targets: What was scored, per sample.
        layer: Address of the layer.
        provenance: Versions, model, time.
    """

    attributions: np.ndarray
    scores: np.ndarray
    remainder: np.ndarray
    targets: tuple[str, ...]
    layer: str
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        return f"ChannelAttribution({self.layer!r}, {self.attributions.shape})"

    def top(self, num: int = 5, sample: int = 0) -> list[tuple[int, float]]:
        """The channels that speak most for the score, and most against it, by magnitude."""
        values = self.attributions[sample]
        order = np.argsort(-np.abs(values), kind="stable")[:num]
        return [(int(channel), float(values[channel])) for channel in order]

    def plot(self, num: int = 8, **kwargs: Any) -> Figure:
        """Bars of the strongest channels of each sample; see `kv.plots.channel_attribution`."""
        from kerasviz.plots.feature_maps import channel_attribution

        titles = [
            f"{target}: {score:.3g}"
            for target, score in zip(self.targets, self.scores, strict=True)
        ]
        tops = [self.top(num, sample) for sample in range(len(self.scores))]
        return channel_attribution(tops, titles, self.layer, **kwargs)


class AttributionChannel:
    """Gradient × activation of a layer's channels, for a class or a channel of a later layer.

    The sum over all channels is the linear approximation of the score in the layer's activations;
    with ReLUs and biases after the layer it differs from the score by `remainder`.

    Args:
        model: Any built Keras 3 model; not altered.
        layer: Address, layer object or index of a layer with positions.
        target: What explainers take (None: the predicted class), scored before softmax or sigmoid;
            or "layer:channel": the mean of that channel over its positions.
        labels: Class names. None: ImageNet's, when the explained output has 1000 units.

    Call arguments:
        photos: Samples in the model's own structure; a single one needs no batch axis.

    Returns:
        A `ChannelAttribution`.

    Raises:
        AddressError: No such layer or channel.
        InputError: Photos that do not fit.
        TargetError: The outputs cannot answer the target.
        MethodError: A layer without positions, one that the target does not depend on, or NaN.

    Reference:
        Olah et al., "The Building Blocks of Interpretability", Distill 2018, "How Are Concepts
        Assembled?".

    Example:

    ```python
    found = kv.AttributionChannel(model, "encoder/conv", target=7)(images)
    print(found.top(3))
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        layer: Any,
        target: Any = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        self._reader = _Reader(model, layer, target, labels)

    def __call__(self, photos: Any) -> ChannelAttribution:
        reader = self._reader
        batch = reader.samples(photos)
        found, learned = reader.scored(batch)
        check_finite(found["attributions"], reader.address)
        names = reader.wanted.names(learned.units, found.get("index"), batch.size)
        return ChannelAttribution(
            attributions=found["attributions"],
            scores=found["score"],
            remainder=found["score"] - found["attributions"].sum(axis=-1),
            targets=tuple(names),
            layer=reader.address,
            provenance=provenance(reader.model),
        )


class _Reader(ScoredReader):
    def reduce(self, features: Any, gradient: Any, feeds: Sequence[Any]) -> dict[str, Any]:
        axes = tuple(range(1, len(features.shape) - 1))
        return {"attributions": ops.sum(gradient * features, axis=axes)}
