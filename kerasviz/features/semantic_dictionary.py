"""The words in which a layer describes one position of a photo."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import AddressError, InputError
from kerasviz.features.layer_reading import Reader, shown
from kerasviz.features.painter import Painter
from kerasviz.probe.provenance import provenance
from kerasviz.probe.settings import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False)
class Dictionary:
    """The channels that are most active at one position, strongest first.

    Args:
        channels: (num,) channel numbers.
        values: (num,) their activations there.
        share: How much of the square length of the activation vector they hold together.
        pictures: (num, *positions, channels) as the model takes them; None if not drawn.
        display: The same in [0, 1], channels last.
        position: Index of the position in the layer.
        grid: Number of positions of the layer along each axis.
        photo: (*positions, channels) the photo in [0, 1]; None where no input has the positions of
            the layer.
        layer: Address of the layer.
        parameters: All settings, as JSON can hold them.
        provenance: Versions, model, time.
    """

    channels: np.ndarray
    values: np.ndarray
    share: float
    pictures: np.ndarray | None
    display: np.ndarray | None
    position: tuple[int, ...]
    grid: tuple[int, ...]
    photo: np.ndarray | None
    layer: str
    parameters: dict[str, Any]
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        listed = ", ".join(
            f"{channel}: {value:.3g}"
            for channel, value in zip(self.channels, self.values, strict=True)
        )
        return f"Dictionary({self.layer!r} at {self.position}, {{{listed}}})"

    def plot(self, **kwargs: Any) -> Figure:
        """The photo with the position marked, and the channels' pictures with their values; see
        `kv.plots.semantic_dictionary`."""
        from kerasviz.plots.feature_maps import semantic_dictionary

        titles = [
            f"{self.layer}:{channel}\n{value:.3g}"
            for channel, value in zip(self.channels, self.values, strict=True)
        ]
        return semantic_dictionary(
            self.photo, self.display, titles, self.position, self.grid, **kwargs
        )


def semantic_dictionary(
    model: keras.Model,
    layer: Any,
    photo: Any,
    position: Sequence[int] | None = None,
    num: int = 5,
    size: int | None = None,
    steps: int = 128,
    batch_size: int = 16,
    seed: int = 0,
    verbose: Any = "auto",
    **settings: Any,
) -> Dictionary:
    """The channels that are most active at one position of a photo, and what excites each.

    Args:
        model: Any built Keras 3 model; not altered.
        layer: Address, layer object or index of a layer with positions.
        photo: One sample in the model's own structure, with or without a batch axis of 1.
        position: (row, column), or one index per position axis, counted in the layer's positions;
            None: where the activation vector is longest.
        num: Number of channels, at most as many as the layer has.
        size: Height and width of a picture; None: what the model declares, 80 where it is open.
        steps: Gradient steps per picture; 0 draws nothing.
        batch_size: Pictures drawn side by side.
        seed: The same seed gives the same pictures.
        verbose: "auto" or 1 for a progress bar, 0 for none.
        **settings: Further settings of `kv.ActivationMaximization`.

    Returns:
        A `Dictionary`.

    Raises:
        AddressError: No such layer or position.
        InputError: Settings or a photo that do not fit.
        MethodError: A layer without positions, or one that answers NaN.

    Reference:
        Olah et al., "The Building Blocks of Interpretability", Distill 2018, "What Does the
        Network See?".

    Example:

    ```python
    words = kv.semantic_dictionary(model, "encoder/conv", images[0], position=(3, 4), steps=4)
    print(words.channels, words.values)
    ```
    """
    reader = Reader(model, layer)
    num = whole(num, "num")
    painter = Painter(
        model,
        reader.address,
        size=size,
        steps=steps,
        cosine_power=0.0,
        batch_size=batch_size,
        seed=seed,
        settings=settings,
    )
    features, picture = reader.read_batch(reader.one(photo))
    where = _where(features[0], position, reader.address)
    vector = features[0][where]
    channels = np.argsort(-vector, kind="stable")[:num]
    pictures, display = painter.draw(np.eye(len(vector), dtype="float32")[channels], verbose)
    square = float(np.square(vector).sum())
    return Dictionary(
        channels=channels,
        values=vector[channels],
        share=float(np.square(vector[channels]).sum()) / square if square else 0.0,
        pictures=pictures,
        display=display,
        position=where,
        grid=features.shape[1:-1],
        photo=None if picture is None else shown(picture[0], painter.value_range),
        layer=reader.address,
        parameters={"num": num} | painter.parameters,
        provenance=provenance(model),
    )


def _where(features: np.ndarray, position: Any, address: str) -> tuple[int, ...]:
    """The position asked for, counted from 0; the strongest for None."""
    grid = features.shape[:-1]
    if position is None:
        lengths = np.linalg.norm(features, axis=-1)
        return tuple(int(i) for i in np.unravel_index(np.argmax(lengths), grid))
    wanted = np.atleast_1d(np.asarray(position))
    if wanted.dtype.kind not in "iu" or wanted.shape != (len(grid),):
        raise InputError(
            f"`position` must be {len(grid)} whole numbers for the layer {address!r}, whose "
            f"positions are {grid}. Received: {position!r}."
        )
    if (wanted < -np.array(grid)).any() or (wanted >= np.array(grid)).any():
        raise AddressError(
            f"`position` must be inside {grid}, the positions of {address!r}. "
            f"Received: {tuple(wanted.tolist())}."
        )
    return tuple(int(i) for i in wanted % np.array(grid))
