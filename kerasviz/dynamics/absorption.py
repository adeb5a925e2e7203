"""How much gradient each channel of a convolution absorbs, and how much it emits."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.dynamics.channel_reading import ChannelGradientReader
from kerasviz.probe import addresses

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


MOST_DRAWN = 6


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelGradients:
    """Absorption and emission of the channels of convolutions, over a data set.

    Args:
        table: A row a channel of a convolution: `layer`, `channel`, and for both quantities
            `absorption` and `emission` (the mean over samples), `_std`, `_min`, `_q25`, `_median`,
            `_q75` and `_max`; NaN where the layer has no such channel.
        absorption: Layer → float32 (kept samples, channels).
        emission: The same for emission.
        definition: "paper" or "code".
        loss: What was differentiated.
        batch_statistics: Whether batch normalization used the statistics of each sample.
        count: Number of samples.
        beyond: Addresses of layers that convolve where nothing can look (in loops), or on which
            the loss does not depend.
        provenance: Versions, model, time.
    """

    table: pd.DataFrame
    absorption: dict[str, np.ndarray]
    emission: dict[str, np.ndarray]
    definition: str
    loss: str
    batch_statistics: bool
    count: int
    beyond: tuple[str, ...]
    provenance: dict[str, Any]

    @classmethod
    def measure(
        cls,
        model: keras.Model,
        dataset: Any,
        definition: str = "paper",
        layers: Sequence[Any] | None = None,
        loss: Any = None,
        batch_statistics: bool = False,
        batch_size: int = 8,
        verbose: Any = "auto",
        num_kept: int = 1000,
        seed: int = 0,
    ) -> ChannelGradients:
        """What `kv.dynamics.channel_gradients` measures, with the samples for box plots.

        Args:
            model: As for `channel_gradients`, and so are all the others but:
            num_kept: How many samples are kept for quartiles and box plots; where there are more,
                each is kept with equal chance.
            seed: Of that choice.
        """
        reader = ChannelGradientReader(model, definition, layers, loss, batch_statistics)
        return reader.read(dataset, batch_size, verbose, num_kept, seed)

    def __repr__(self) -> str:
        layers = len(self.absorption)
        return f"ChannelGradients({layers} convolutions, {self.count} samples, {self.definition!r})"

    def plot(self, layers: Sequence[str] | None = None, **kwargs: Any) -> Figure:
        """Box plots of the first channels, absorption beside emission.

        Args:
            layers: Which layers, as `table` names them; None: up to six, spread over the depth,
                of those whose absorption is not their emission (as it is, in the paper's form,
                where each channel sees one input channel only).
            **kwargs: `num`, `strongest`, `title`, `note` of `kv.plots.channel_boxes`.

        Raises:
            AddressError: No such layer.
        """
        from kerasviz.plots.channel_gradients import channel_boxes

        known = list(self.absorption)
        chosen = self._telling() if layers is None else list(layers)
        for layer in chosen:
            if layer not in self.absorption:
                raise addresses.not_found(layer, known)
        norms = "batch statistics of each sample" if self.batch_statistics else "moving statistics"
        note = f"{self.definition}'s definition · {self.loss} · {norms} · {self.count} samples"
        parts = ({layer: part[layer] for layer in chosen} for part in self._arrays)
        return channel_boxes(*parts, **{"note": note, **kwargs})

    def _telling(self) -> list[str]:
        every = list(self.absorption)
        known = [x for x in every if not _are_close(self.absorption[x], self.emission[x])] or every
        places = np.linspace(0, len(known) - 1, min(MOST_DRAWN, len(known))).round()
        return [known[int(place)] for place in places]

    @property
    def _arrays(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        return self.absorption, self.emission


def _are_close(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=1e-5, atol=0.0))


def channel_gradients(
    model: keras.Model,
    dataset: Any,
    definition: str = "paper",
    layers: Sequence[Any] | None = None,
    loss: Any = None,
    batch_statistics: bool = False,
    batch_size: int = 8,
    verbose: Any = "auto",
) -> pd.DataFrame:
    """How much gradient each channel of each convolution absorbs, and how much it emits.

    For a convolution Y = W ∗ X let G_k = ∂L/∂Y_k, and LG^{k→c} the part of ∂L/∂X_c that comes
    through output channel k: the transposed convolution of G_k with W[:, c, k]. Over k the parts
    add up to ∂L/∂X_c. For each sample,

    - "paper", the default: emission Em_k = Σ_c ‖LG^{k→c}‖ of output channel k, absorption
      Ab_c = Σ_k ‖LG^{k→c}‖ of input channel c. Both count the same parts, so they are in one unit
      and their sums over the channels of a layer are equal.
    - "code", what the reference implementation plots: absorption Ab_k = ‖G_k‖ and emission
      Em_k = ‖(LG^{k→c})_c‖, both of output channel k. Of a 1×1 convolution without strides,
      Em_k = Ab_k·‖W_k‖.

    Norms are taken over positions (for the code's emission, and input channels), in float64.
    Every convolution counts, plain, depthwise, separable (both of its stages), grouped, transposed,
    in any layer. Memory does not grow with the samples, but for at most 1000 that are kept for the
    quartiles. On a network full of depthwise convolutions of large maps (EfficientNet-Lite0) it
    takes seven times as long as the gradient alone.

    Args:
        model: Any built Keras 3 model that convolves; not altered.
        dataset: Arrays in the model's structure, a tuple `(x, y)` of these and labels, or anything
            that `predict` takes, with or without labels.
        definition: "paper" or "code".
        layers: Addresses, layer objects or indices; a block stands for all convolutions in it.
            None: all of them.
        loss: What is differentiated. None: p·z, the logit of the label (of the predicted class,
            where the data set has no labels) times its probability, held constant: the gradient
            by the logits is p·onehot. Or what explainers take as `target` (a class, a callable of
            the logits, a `kv.targets.Target`); or a `keras.losses.Loss` of labels and outputs.
        batch_statistics: Let batch normalization use the statistics of each sample alone, as
            training with batches of one would. False: its moving statistics. Moving statistics
            stay as they are; dropout and augmentation are off either way.
        batch_size: Samples run at once when `dataset` holds arrays.
        verbose: Keras's progress bar: "auto", 0, 1 or 2.

    Returns:
        DataFrame with a row a channel: `layer` (a separable convolution has "…:depthwise" and
        "…:pointwise"), `channel`, `absorption`, `emission` (means over the data set), and their
        spread: `absorption_std`, `_min`, `_q25`, `_median`, `_q75`, `_max`, the same for emission.
        In the paper's form absorption counts input and emission output channels; where a layer has
        fewer of one kind its column is NaN. `kv.dynamics.ChannelGradients.measure` keeps the
        samples and draws them.

    Raises:
        AddressError: No such layer.
        InputError: Data that do not fit the model, none at all, or NaN; an unknown definition.
        TargetError: A loss that the outputs cannot answer, or that needs labels.
        MethodError: No convolution, one inside a loop, one that the loss does not depend on, or
            gradients that are not finite.

    Example:

    ```python
    table = kv.dynamics.channel_gradients(model, images)
    print(table.groupby("layer")[["absorption", "emission"]].mean())
    ```
    """
    found = ChannelGradients.measure(
        model, dataset, definition, layers, loss, batch_statistics, batch_size, verbose
    )
    return found.table
