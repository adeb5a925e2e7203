"""CAM: the class's own Dense weights, applied before the global average pooling."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from kerasviz.attribution.grad_cam import ActivationMap, weighted_sum
from kerasviz.attribution.spatial import Site, inputs_of, site_at
from kerasviz.errors import AddressError, MethodError
from kerasviz.probe.backend import pooling
from kerasviz.probe.run import Run
from kerasviz.probe.targets import Score

ops: Any = keras.ops


class CAM(ActivationMap):
    """Class activation map Σ_k w_k^c A_k of a network that ends in global average pooling and one
    dense layer: A_k the pooled feature maps, w^c the dense weights of the class.

    The head is found in the traced graph, however it is spelled (layers, ops, a 1×1 convolution
    after the pooling, no dense layer at all). Takes any input size that the model takes.

    Args:
        model: A Keras 3 model with such a head.
        target: See `Explainer`.
        labels: See `Explainer`.
        layer: Only to state the pooled layer; another one is refused.
        resolution: "input" or "layer", see `GradCAM`.
        rectify: Keep only evidence for the class. The paper shows the signed map shifted to start
            at its minimum; `rectify=False` gives the signed map, in [-1, 1].
        normalize: See `Explainer`.
        name: Optional Keras name.

    Raises:
        MethodError: The model has no such head; use `GradCAM`, which needs none.

    Reference:
        Zhou et al. 2016, "Learning Deep Features for Discriminative Localization", equation 2.

    Example:

    ```python
    maps = kv.CAM(model)(images, target=7)
    ```
    """

    title = "CAM"

    def find_sites(self, record: Run, score: Score) -> tuple[dict[str, Site], list[Any]]:
        pooled = self._head(record, score)
        calls = [c for c in record.calls if pooling.is_view(pooled.features, c.output)]
        if not calls:
            raise MethodError(
                "Expected a layer whose output is pooled. Received: pooling of a tensor that no "
                "layer returns. Use `kv.GradCAM`."
            )
        call = calls[0]
        if self.address is not None and self.address not in [c.address for c in calls]:
            raise AddressError(
                f"`layer` must be the layer that is pooled, {call.address!r}. "
                f"Received: {self.address!r}. Leave it out, or use `kv.GradCAM`."
            )
        found = {
            name: dataclasses.replace(
                site_at(record, call, tensor, "the layer that the head pools"),
                channel_axis=pooled.channel_axis,
            )
            for name, tensor in inputs_of(record, call).items()
        }
        return found, [pooled.means] * len(found)

    def _head(self, record: Run, score: Score) -> pooling.Pooled:
        found: pooling.Pooled | str = "a score of several outputs"
        if score.head is not None:
            inputs = keras.tree.flatten(record.inputs)
            found = pooling.pooled_head(score.head.linear, inputs)
        if isinstance(found, str):
            raise MethodError(
                "Expected a model that ends in global average pooling and one dense layer. "
                f"Received: {found}. Use `kv.GradCAM`, which needs no such head."
            )
        return found

    def weights(self, site: Site, gradient: Any) -> Any:
        return ops.reshape(gradient, (-1, site.call.output.shape[site.channel_axis]))

    def evidence(self, features: Any, weights: Any) -> Any:
        return weighted_sum(features, weights)
