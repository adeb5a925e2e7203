"""Does a network look at colour or at depth?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np

from kerasviz.attention.modal_parts import Part, replacements, to_parts
from kerasviz.attention.modal_reading import ModalReader, Samples, last_layers
from kerasviz.errors import InputError, MethodError
from kerasviz.probe import addresses
from kerasviz.probe.provenance import provenance
from kerasviz.probe.settings import whole

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False)
class ModalityAttribution:
    """How much of a score comes from each modality, measured in three ways.

    Args:
        modalities: Their names; the order of all columns below.
        scores: (n,) the score.
        targets: What was scored, per sample.
        layers: Modality → address of the layer that its branch ends in; empty where there is no
            such layer for each of them.
        maps: Modality → (n, *positions) Grad-CAM at that layer, in units of the score, not below 0,
            and not scaled, so that modalities can be compared; without those whose layer has no
            positions.
        size_maps: Modality → (n, *positions) |gradient × activation| of the layer, summed over its
            channels; over all positions it sums to `layer_sizes`.
        layer_contributions: (n, modalities) sum of gradient × activation of the layer; None
            without layers.
        layer_sizes: (n, modalities) the same of |gradient × activation|.
        input_contributions: (n, modalities) sum of gradient × (input - replacement): what the loss
            would be if the model were linear; None for inputs without gradient (whole numbers).
        input_sizes: (n, modalities) the same of |gradient × (input - replacement)|.
        losses: (n, modalities) by how much the score falls when the modality is replaced.
        replace: By what: "mean", "zeros" or "other".
        inputs: Modality → (n, *positions, channels), what the model was given.
        provenance: Versions, model, time, seed.
    """

    modalities: tuple[str, ...]
    scores: np.ndarray
    targets: tuple[str, ...]
    layers: dict[str, str]
    maps: dict[str, np.ndarray]
    size_maps: dict[str, np.ndarray]
    layer_contributions: np.ndarray | None
    layer_sizes: np.ndarray | None
    input_contributions: np.ndarray | None
    input_sizes: np.ndarray | None
    losses: np.ndarray
    replace: str
    inputs: dict[str, np.ndarray]
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        return f"ModalityAttribution({list(self.modalities)}, {len(self.scores)} samples)"

    @property
    def layer_shares(self) -> np.ndarray | None:
        """(n, modalities) `layer_sizes` as shares of their sum; NaN where that is 0."""
        return _shares(self.layer_sizes)

    @property
    def input_shares(self) -> np.ndarray | None:
        """(n, modalities) `input_sizes` as shares of their sum; NaN where that is 0."""
        return _shares(self.input_sizes)

    def summary(self) -> pd.DataFrame:
        """A row per modality: mean and, behind `_std`, standard deviation over the samples.

        Returns:
            DataFrame indexed by modality: `layer`; `layer_share`, `layer_contribution`,
            `input_share`, `input_contribution` and `loss`, each with `_std`. Samples without any
            attribution do not count in the shares. What was not measured is NaN.
        """
        import pandas as pd

        columns: dict[str, Any] = {"layer": [self.layers.get(name) for name in self.modalities]}
        measured = {
            "layer_share": self.layer_shares,
            "layer_contribution": self.layer_contributions,
            "input_share": self.input_shares,
            "input_contribution": self.input_contributions,
            "loss": self.losses,
        }
        for name, values in measured.items():
            columns[name], columns[f"{name}_std"] = _spread(values, len(self.modalities))
        return pd.DataFrame(columns, index=pd.Index(self.modalities, name="modality"))

    def plot(self, max_samples: int = 4, **kwargs: Any) -> Figure:
        """Bars with every sample, and the maps on one scale; see `kv.plots.modalities`."""
        from kerasviz.plots.modalities import modalities

        count = whole(max_samples, "max_samples")
        shares = {
            "share at the layers": self.layer_shares,
            "share at the inputs": self.input_shares,
        }
        shown = {name: values for name, values in shares.items() if values is not None}
        texts = {"mean": "its mean", "zeros": "zeros", "other": "another sample's"}
        return modalities(
            self.modalities,
            shown,
            {f"loss of score, replaced by {texts[self.replace]}": self.losses},
            inputs={name: values[:count] for name, values in self.inputs.items()},
            maps={name: values[:count] for name, values in self.maps.items()},
            titles=[
                f"{score:.3g}: {target}"
                for target, score in zip(self.targets, self.scores, strict=True)
            ][:count],
            **kwargs,
        )


def modality_attribution(
    model: keras.Model,
    inputs: Any,
    layers: Mapping[str, Any] | None = None,
    target: Any = None,
    *,
    channels: Mapping[str, Any] | None = None,
    replace: Literal["mean", "zeros", "other"] = "mean",
    labels: Sequence[str] | None = None,
    seed: int = 0,
    batch_size: int = 32,
) -> ModalityAttribution:
    """How much of a score comes from each modality: by gradient at the branches and at the inputs,
    and by replacing one modality.

    For a modality m with the last layer A of its branch, and the input x of which x' is the
    replacement,

        size of m at its layer  = Σ |∂score/∂A · A|,      its share: divided by the sum over all m
        size of m at the input  = Σ |∂score/∂x · (x - x')| over its channels
        loss of m               = score(x) - score(x with m replaced)

    and the contributions are the same sums without the magnitude. In a linear model the
    contributions at the layers sum to the score (but for biases behind the layers), and those at
    the inputs are the losses.

    Args:
        model: Any built Keras 3 model; not altered.
        inputs: Samples in the model's own structure, (n, …) each.
        layers: Modality → address, layer object or index of the last layer of its branch. None:
            the last layer that the score depends on and that changes with this modality alone,
            found by swapping modalities among the first 8 samples (of a single one, by replacing
            them); none where the modalities are mixed from the first layer on.
        target: What explainers take (None: the predicted class of each sample, which stays the same
            when a modality is replaced), scored before softmax or sigmoid.
        channels: Where the modalities are: modality → channels of the only input, the name of an
            input, or (name, channels). None: each input is one; of a single input with four
            channels the first three are "colour", the last "depth".
        replace: What a modality is replaced by: "mean" over the samples, position by position,
            "zeros", or "other", that of another sample.
        labels: Class names.
        seed: Which other sample.
        batch_size: Samples run at once.

    Returns:
        A `ModalityAttribution`.

    Raises:
        AddressError: No such layer.
        InputError: Inputs that do not fit, channels or modalities that there are not, too few
            samples to replace from, or an unknown `replace`.
        TargetError: The outputs cannot answer the target.
        MethodError: A layer that the score does not depend on, or scores that are NaN.

    Reference:
        Ancona et al. 2018, "Towards better understanding of gradient-based attribution methods for
        Deep Neural Networks" (gradient × input). Selvaraju et al. 2017, "Grad-CAM". Zeiler, Fergus
        2014, "Visualizing and Understanding Convolutional Networks" (replacing a part of the input
        and watching the score).

    Example:

    ```python
    net = kv.attention.rgbd_grasp_network((32, 32, 4), filters=(8,), blocks=(1,),
                                          dilation_rates=(1,), decoder_filters=(8, 8))
    scenes = kv.samples.rgbd_scenes(4, size=32)
    found = kv.attention.modality_attribution(net, scenes.inputs, target={"grip": 1})
    print(found.summary()[["layer_share", "input_share", "loss"]])
    ```
    """
    reader = ModalReader(model, target, labels, whole(batch_size, "batch_size"))
    samples, leaves = reader.open(inputs)
    parts = to_parts(channels, leaves)
    chosen = None if layers is None else _chosen(model, layers, parts)
    arrays = samples.arrays
    replaced = replacements(arrays, parts, replace, whole(seed, "seed", 0))
    scored = reader.scores(samples)
    _check_finite(scored["score"])
    fixed = samples.with_classes(scored.get("index"))
    found = _found(reader, fixed, parts, replaced) if chosen is None else chosen
    values = reader.attributions(fixed, found, parts, replaced)
    losses = [
        scored["score"] - _score_without(reader, fixed, part, arrays, replaced)
        for part in parts.values()
    ]
    return ModalityAttribution(
        modalities=tuple(parts),
        scores=scored["score"],
        targets=tuple(reader.names(samples, scored.get("index"))),
        layers=found,
        maps=_maps(values, parts, "map"),
        size_maps=_maps(values, parts, "places"),
        layer_contributions=_columns(values, parts, "layer/signed"),
        layer_sizes=_columns(values, parts, "layer/size"),
        input_contributions=_columns(values, parts, "input/signed"),
        input_sizes=_columns(values, parts, "input/size"),
        losses=np.stack(losses, axis=1),
        replace=replace,
        inputs={name: part.taken(arrays[part.leaf]) for name, part in parts.items()},
        provenance=provenance(model) | {"seed": seed},
    )


def _chosen(
    model: keras.Model, layers: Mapping[str, Any], parts: Mapping[str, Part]
) -> dict[str, str]:
    if not isinstance(layers, Mapping) or set(layers) != set(parts):
        given = list(layers) if isinstance(layers, Mapping) else layers
        raise InputError(
            f"`layers` must be a dict with a layer for each of the modalities {list(parts)}. "
            f"Received: {given!r}. Name the layers so, or the modalities by `channels`."
        )
    return {name: addresses.to_address(model, layers[name]) for name in parts}


def _found(
    reader: ModalReader,
    samples: Samples,
    parts: Mapping[str, Part],
    replaced: Sequence[np.ndarray],
) -> dict[str, str]:
    """The last layer of each branch; none if one of them is missing."""
    found = last_layers(reader, samples, parts, replaced)
    return found if len(found) == len(parts) else {}


def _score_without(
    reader: ModalReader,
    samples: Samples,
    part: Part,
    arrays: Sequence[np.ndarray],
    replaced: Sequence[np.ndarray],
) -> np.ndarray:
    array = part.put(arrays[part.leaf], replaced[part.leaf])
    score = reader.scores(samples.with_leaf(part.leaf, array))["score"]
    _check_finite(score)
    return score


def _maps(
    values: Mapping[str, np.ndarray], parts: Mapping[str, Part], name: str
) -> dict[str, np.ndarray]:
    return {part: values[f"{part}/{name}"] for part in parts if f"{part}/{name}" in values}


def _columns(
    values: Mapping[str, np.ndarray], parts: Mapping[str, Part], name: str
) -> np.ndarray | None:
    if any(f"{part}/{name}" not in values for part in parts):
        return None
    return np.stack([values[f"{part}/{name}"] for part in parts], axis=1)


def _shares(sizes: np.ndarray | None) -> np.ndarray | None:
    if sizes is None:
        return None
    total = sizes.sum(axis=1, keepdims=True, dtype="float64")
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(total > 0, sizes / total, np.nan))


def _spread(values: np.ndarray | None, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the samples that have a value."""
    empty = np.full(count, np.nan)
    if values is None:
        return empty, empty
    known = values[np.isfinite(values).all(axis=1)]
    if not len(known):
        return empty, empty
    return known.mean(axis=0, dtype="float64"), known.std(axis=0, dtype="float64")


def _check_finite(scores: np.ndarray) -> None:
    bad = int((~np.isfinite(scores)).sum())
    if bad:
        raise MethodError(
            f"Expected finite scores. Received: {bad} that are NaN or infinite. Look for them in "
            "the model's weights."
        )
