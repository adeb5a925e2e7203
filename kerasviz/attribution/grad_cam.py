"""Grad-CAM: feature maps weighted by the mean gradient of the score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import keras

from kerasviz.attribution import maps, registration
from kerasviz.attribution.explainer import Explainer, RawMap, RawMaps, no_dependence
from kerasviz.attribution.spatial import Site, sites
from kerasviz.errors import MethodError
from kerasviz.probe.backend import graph
from kerasviz.probe.run import Run
from kerasviz.probe.targets import Score

ops: Any = keras.ops
ORDERS = ("paper", "channelwise")
RESOLUTIONS = ("input", "layer")


class ActivationMap(Explainer):
    """Base of the methods that weight the feature maps of one layer.

    A subclass says which layer (`find_sites`) and how its features become evidence (`evidence`).
    """

    def __init__(
        self,
        model: keras.Model,
        layer: Any = None,
        target: Any = None,
        labels: Sequence[str] | None = None,
        resolution: Literal["input", "layer"] = "input",
        rectify: bool = True,
        normalize: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(model, layer, target, labels, normalize, name)
        if resolution not in RESOLUTIONS:
            raise MethodError(
                f"`resolution` must be one of {RESOLUTIONS}. Received: {resolution!r}."
            )
        self._resolution = resolution
        self._rectify = rectify

    @property
    def parameters(self) -> dict[str, Any]:
        own = {"resolution": self._resolution, "rectify": self._rectify}
        own["signed"] = not self._rectify
        return super().parameters | own

    def find_sites(self, record: Run, score: Score) -> tuple[dict[str, Site], list[Any]]:
        """The site for each input, and the tensor whose gradient weights each site's channels."""
        found = sites(record, score, self.address)
        return found, [site.call.output for site in found.values()]

    def evidence(self, features: Any, weights: Any) -> Any:
        """(batch, *positions) evidence of features (…, channels) and weights (batch, channels)."""
        raise NotImplementedError

    def weights(self, site: Site, gradient: Any) -> Any:
        """(batch, channels) weights from the gradient by the weighted tensor."""
        raise NotImplementedError

    def raw_maps(self, record: Run, score: Score) -> RawMaps:
        found, sources = self.find_sites(record, score)
        gradients = record.gradients(score.value, sources)
        inputs = record.input_tensors
        by_input = {}
        for (name, site), gradient in zip(found.items(), gradients, strict=True):
            if gradient is None:
                raise no_dependence(repr(site.call.address))
            by_input[name] = self._raw_map(record, site, gradient, inputs[name])
        return RawMaps(by_input)

    def _raw_map(self, record: Run, site: Site, gradient: Any, tensor: Any) -> RawMap:
        features = ops.cast(site.as_picture(site.call.output), "float32")
        values = self.evidence(features, self.weights(site, gradient))
        signals = {
            "gradient": maps.largest(gradient),
            "activation": maps.largest(features),
            "evidence": ops.max(values, axis=tuple(range(1, len(values.shape)))),
        }
        if self._rectify:
            values = ops.relu(values)
        reason = site.reason
        if self._resolution == "input" and not graph.is_text(tensor):
            values, note = _placed(record, site, values, tensor)
            reason += note
        return RawMap(values, signals, site.call.address, site.resolution, reason)


class GradCAM(ActivationMap):
    """Where the evidence for a class is, at the resolution of a late layer:
    ReLU(Σ_k w_k A_k) with w_k the mean over space of ∂score/∂A_k.

    Differentiates from the layer's output only, not through the trunk below it.

    Args:
        model: Any built Keras 3 model with a layer that has positions.
        layer: Address, layer object or index. None: the last layer with positions that every path
            to the score passes, pooling, output head and preparation of the input aside; with
            several inputs, the last before they merge; for models that attend over patches, the
            last tokens that attention reads.
        target: See `Explainer`.
        labels: See `Explainer`.
        resolution: "input" enlarges the map to the input's size (linear, half-pixel centres), or,
            where the model crops its input first, to the window it sees, with 0 around; a map whose
            positions are not the input's keeps the layer's size, and the reason says so. "layer"
            leaves it as it is.
        rectify: Keep only evidence for the target (the paper's ReLU). False: signed maps in
            [-1, 1].
        order: "paper" is ReLU(Σ_k w_k A_k); "channelwise" is the mean over k of ReLU(w_k A_k), in
            which evidence against the target cancels nothing.
        normalize: See `Explainer`.
        name: Optional Keras name.

    Returns:
        See `Explainer`.

    Raises:
        AddressError: The layer does not exist or has no positions.
        MethodError: No layer has positions; use `Saliency`.

    Reference:
        Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
        Localization", equations 1 and 2.

    Example:

    ```python
    cam = kv.GradCAM(model)
    maps = cam(images)                                # (batch, height, width) in [0, 1]
    why = cam.explain(images, target=281)
    ```
    """

    title = "Grad-CAM"

    def __init__(
        self,
        model: keras.Model,
        layer: Any = None,
        target: Any = None,
        labels: Sequence[str] | None = None,
        resolution: Literal["input", "layer"] = "input",
        rectify: bool = True,
        order: Literal["paper", "channelwise"] = "paper",
        normalize: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(model, layer, target, labels, resolution, rectify, normalize, name)
        if order not in ORDERS or (order == "channelwise" and not rectify):
            raise MethodError(
                f"`order` must be one of {ORDERS}, and 'channelwise' needs `rectify=True`. "
                f"Received: order={order!r}, rectify={rectify}."
            )
        self._order = order

    @property
    def parameters(self) -> dict[str, Any]:
        return super().parameters | {"order": self._order}

    def weights(self, site: Site, gradient: Any) -> Any:
        picture = site.as_picture(gradient)
        return ops.mean(picture, axis=tuple(range(1, len(picture.shape) - 1)))

    def evidence(self, features: Any, weights: Any) -> Any:
        if self._order == "channelwise":
            aligned = ops.reshape(
                weights, (-1, *[1] * (len(features.shape) - 2), features.shape[-1])
            )
            return ops.mean(ops.relu(features * aligned), axis=-1)
        return weighted_sum(features, weights)


def weighted_sum(features: Any, weights: Any) -> Any:
    """Σ_k w_k A_k: (batch, …, channels) and (batch, channels) → (batch, …)."""
    return ops.einsum("b...k,bk->b...", features, weights)


def _placed(record: Run, site: Site, values: Any, tensor: Any) -> tuple[Any, str]:
    """A map at the input's size, or as it is with a note that says why."""
    found = registration.of(record, site.picture, tensor)
    if isinstance(found, str):
        return values, f"; the map has the layer's own size, since {found}"
    shape = ops.shape(tensor)
    return found.place(values, [shape[axis] for axis in record.input_positions(tensor)]), ""
