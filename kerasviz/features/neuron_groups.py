"""Which units of a layer are active together, where, and what they stand for."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import InputError, KerasvizWarning, MethodError
from kerasviz.features.layer_reading import LayerStream, shown
from kerasviz.features.painter import Painter
from kerasviz.probe.backend import sampling
from kerasviz.probe.provenance import provenance
from kerasviz.probe.settings import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROUNDS = 500
NEGATIVES = ("split", "clip")


@dataclasses.dataclass(frozen=True, eq=False)
class Groups:
    """Groups of neurons of a layer, the one that explains most first.

    Args:
        maps: (n, *positions, num_groups) how active each group is where, ≥ 0, in the units of the
            layer: activations ≈ Σ map · direction.
        directions: (num_groups, channels) of length one: ≥ 0 unless negative activations were
            split.
        shares: (num_groups,) what each group explains of the sum of squares of the activations;
            they add up to `explained` as far as the factorization has converged.
        explained: 1 - ‖activations - Σ map · direction‖² / ‖activations‖².
        pictures: (num_groups, *positions, channels) as the model takes them; None if not drawn.
        display: The same in [0, 1], channels last.
        photos: (n, *positions, channels) in [0, 1]; None where no input has the layer's positions.
        negatives: What was done about negative activations: "none", "split" or "clip".
        layer: Address of the layer.
        parameters: All settings, as JSON can hold them.
        provenance: Versions, model, time.
    """

    maps: np.ndarray
    directions: np.ndarray
    shares: np.ndarray
    explained: float
    pictures: np.ndarray | None
    display: np.ndarray | None
    photos: np.ndarray | None
    negatives: str
    layer: str
    parameters: dict[str, Any]
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        return (
            f"Groups({self.layer!r}, {len(self.shares)} groups of {len(self.maps)} photos, "
            f"{self.explained:.0%} explained)"
        )

    def plot(self, **kwargs: Any) -> Figure:
        """Each photo with its groups in colours, and each group's picture in its colour; see
        `kv.plots.neuron_groups`."""
        from kerasviz.plots.feature_maps import neuron_groups

        return neuron_groups(self.photos, self.maps, self.display, self.shares, **kwargs)


class NeuronGroups:
    """Non-negative matrix factorization of a layer's activations, positions × channels, into a few
    groups of channels that are active together.

    Negative activations, which a factorization into non-negative parts can't hold, are split into
    a part above and a part below zero, so that a direction may have channels of both signs; or
    clipped. Which was done is in the result.

    Args:
        model: Any built Keras 3 model; not altered.
        layer: Address, layer object or index of a layer with positions.
        num_groups: Number of groups.
        negatives: "split" or "clip", for layers that have negative activations.
        resolution: "layer", or "input": maps enlarged to the size of the input.
        size: Height and width of a group's picture; None: what the model declares, 80 where it is
            open.
        steps: Gradient steps per picture; 0 draws nothing.
        cosine_power: How strictly a picture keeps to the direction, see `kv.objectives.direction`.
        centred: Let the direction appear in the middle of the picture only, not everywhere.
        batch_size: Photos run at once, and pictures drawn side by side.
        seed: The same seed gives the same groups and pictures.
        **settings: Further settings of `kv.ActivationMaximization`.

    Call arguments:
        photos: Samples in the model's own structure, or anything that `predict` takes. Their
            activations are all held in memory.
        verbose: "auto" or 1 for a progress bar, 0 for none.

    Returns:
        `Groups`.

    Raises:
        AddressError: No such layer.
        InputError: Settings or photos that do not fit.
        MethodError: A layer without positions, or without any (positive) activation, or NaN.

    Reference:
        Olah et al., "The Building Blocks of Interpretability", Distill 2018; Lee and Seung,
        "Learning the parts of objects by non-negative matrix factorization", Nature 1999.

    Example:

    ```python
    groups = kv.NeuronGroups(model, "encoder/conv", num_groups=3, steps=4)(images)
    print(groups.maps.shape, groups.shares)
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        layer: Any,
        num_groups: int = 6,
        negatives: str = "split",
        resolution: str = "layer",
        size: int | None = None,
        steps: int = 128,
        cosine_power: float = 1.0,
        centred: bool = False,
        batch_size: int = 16,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        self._collector = _Collector(model, layer)
        self._num_groups = whole(num_groups, "num_groups")
        self._negatives = _one_of(negatives, NEGATIVES, "negatives")
        self._resolution = _one_of(resolution, ("layer", "input"), "resolution")
        self._seed = seed
        self._painter = Painter(
            model,
            self._collector.address,
            size=size,
            steps=steps,
            cosine_power=cosine_power,
            centred=centred,
            batch_size=batch_size,
            seed=seed,
            settings=settings,
        )

    def __call__(self, photos: Any, verbose: Any = "auto") -> Groups:
        features, pictures = self._collector.collect(photos, self._painter.batch_size)
        parts, negatives = _not_negative(features, self._negatives)
        if not parts.any():
            raise MethodError(
                f"Expected a layer that is active. Received: {self._collector.address!r}, whose "
                f"activations for these photos are all {'0' if not features.any() else 'below 0'}. "
                "Choose another layer, or `negatives='split'`."
            )
        amounts, directions, shares, explained = factorized(parts, self._num_groups, self._seed)
        if negatives == "split":
            half = directions.shape[-1] // 2
            directions = directions[:, :half] - directions[:, half:]
        amounts, directions = _unit_directions(amounts, directions)
        maps = amounts.reshape(*features.shape[:-1], self._num_groups)
        drawn, display = self._painter.draw(directions, verbose)
        return Groups(
            maps=self._sized(maps, pictures),
            directions=directions,
            shares=shares,
            explained=explained,
            pictures=drawn,
            display=display,
            photos=None if pictures is None else shown(pictures, self._painter.value_range),
            negatives=negatives,
            layer=self._collector.address,
            parameters={"num_groups": self._num_groups, "resolution": self._resolution}
            | self._painter.parameters,
            provenance=provenance(self._collector.model),
        )

    def _sized(self, maps: np.ndarray, pictures: np.ndarray | None) -> np.ndarray:
        if self._resolution == "layer":
            return maps
        if pictures is None:
            raise MethodError(
                "`resolution='input'` needs an input with the positions of the layer. Received: "
                f"{self._collector.address!r}, whose positions no input has. Use "
                "`resolution='layer'`."
            )
        tensor = keras.ops.convert_to_tensor(maps)
        return np.asarray(sampling.resize_linear(tensor, pictures.shape[1:-1]))


def factorized(
    parts: np.ndarray, num_groups: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Non-negative factors of non-negative activations, the group that explains most first.

    Args:
        parts: (…, channels) ≥ 0.
        num_groups: Number of groups.
        seed: For the randomized decomposition to start from.

    Returns:
        Amounts (positions, num_groups), directions (num_groups, channels), shares (num_groups,) of
        the sum of squares, and their sum at a solution: the explained share.
    """
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    matrix = parts.reshape(-1, parts.shape[-1]).astype("float64")
    most = min(matrix.shape)
    if num_groups > most:
        raise InputError(
            f"`num_groups` must be at most {most}, the lesser of {matrix.shape[0]} positions and "
            f"{matrix.shape[1]} channels. Received: {num_groups}."
        )
    model = NMF(num_groups, init="nndsvda", random_state=seed, max_iter=ROUNDS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        amounts = model.fit_transform(matrix)
    for one in caught:
        if issubclass(one.category, ConvergenceWarning):
            warnings.warn(
                f"The factorization still changes a little after {ROUNDS} rounds. Fewer groups or "
                "factors settle sooner.",
                KerasvizWarning,
                stacklevel=3,
            )
    directions = model.components_
    total = float(np.square(matrix).sum())
    shares = np.einsum("pg,pg->g", matrix @ directions.T, amounts) / total
    explained = 1.0 - float(np.square(matrix - amounts @ directions).sum()) / total
    order = np.argsort(-shares, kind="stable")
    return (
        amounts[:, order].astype("float32"),
        directions[order].astype("float32"),
        shares[order].astype("float32"),
        explained,
    )


class _Collector(LayerStream):
    """Keeps the activations and the photos of all batches."""

    def collect(self, photos: Any, batch_size: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Activations (n, *positions, channels) and the photos, channels last."""
        self._kept = _Kept()
        self.go_through(self._with_batch_axis(photos), batch_size, 0)
        kept, self._kept = self._kept, _Kept()
        shapes = sorted({part.shape[1:] for part in kept.features})
        if len(shapes) > 1:
            raise InputError(
                f"All photos must have one size. Received: activations of shapes {shapes}. "
                "Resize the photos to one size."
            )
        pictures = None if kept.pictures[0] is None else np.concatenate(kept.pictures)
        return np.concatenate(kept.features), pictures

    def take(self, batch: Any) -> None:
        features, picture = self.read_batch(batch)
        self._kept.features.append(features)
        self._kept.pictures.append(picture)


class _Kept:
    """What came so far, in an object that Keras does not track."""

    def __init__(self) -> None:
        self.features: list[np.ndarray] = []
        self.pictures: list[Any] = []


def _not_negative(features: np.ndarray, negatives: str) -> tuple[np.ndarray, str]:
    """Activations without a sign, and what was done about negative ones."""
    if features.min() >= 0:
        return features, "none"
    above = np.maximum(features, 0.0)
    if negatives == "clip":
        return above, negatives
    return np.concatenate([above, np.maximum(-features, 0.0)], axis=-1), negatives


def _unit_directions(amounts: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.linalg.norm(directions, axis=-1)
    return amounts * lengths, directions / np.where(lengths > 0, lengths, 1.0)[:, None]


def _one_of(value: Any, known: Sequence[str], name: str) -> str:
    if value not in known:
        raise InputError(f"`{name}` must be one of {list(known)}. Received: {value!r}.")
    return str(value)
