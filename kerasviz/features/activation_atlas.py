"""A map of what a layer tells apart over a whole data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.features.layer_reading import check_finite
from kerasviz.features.painter import Painter
from kerasviz.features.scored_reading import ScoredReader
from kerasviz.probe.provenance import provenance
from kerasviz.probe.settings import whole
from kerasviz.probe.targets import class_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ops: Any = keras.ops
LEAST = 4
FEW = 200
PERPLEXITY = 30.0
COMPONENTS = 50


@dataclasses.dataclass(frozen=True, eq=False)
class Atlas:
    """Activations of many inputs, laid out so that neighbours are alike, and drawn.

    Args:
        coordinates: (n, 2) of each sampled activation, (row, column) in [0, 1].
        activations: (n, channels) the sampled activations.
        cells: (m, 2) row and column of each drawn cell.
        counts: (m,) sampled activations in it.
        vectors: (m, channels) their mean.
        pictures: (m, *positions, channels) as the model takes them; None if not drawn.
        display: The same in [0, 1], channels last.
        classes: (m, num_labels) the classes that the cell speaks for most, best first; -1 where
            there are fewer, or where what is scored is no class.
        attributions: (m, num_labels) mean over the cell of gradient × activation for each; NaN
            where there are fewer.
        labels: Names of `classes`.
        grid: Cells a side.
        layer: Address of the layer.
        parameters: All settings, as JSON can hold them.
        provenance: Versions, model, time.
    """

    coordinates: np.ndarray
    activations: np.ndarray
    cells: np.ndarray
    counts: np.ndarray
    vectors: np.ndarray
    pictures: np.ndarray | None
    display: np.ndarray | None
    classes: np.ndarray
    attributions: np.ndarray
    labels: tuple[tuple[str, ...], ...]
    grid: int
    layer: str
    parameters: dict[str, Any]
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        return (
            f"Atlas({self.layer!r}, {len(self.coordinates)} activations in {len(self.cells)} of "
            f"{self.grid}×{self.grid} cells)"
        )

    def plot(self, labelled: bool = False, **kwargs: Any) -> Figure:
        """The cells' pictures where they belong; see `kv.plots.activation_atlas`.

        Args:
            labelled: Write each cell's best class below its picture.
            **kwargs: As `kv.plots.activation_atlas` takes them.
        """
        from kerasviz.plots.feature_maps import activation_atlas

        names = [names[0] if names else "" for names in self.labels] if labelled else None
        return activation_atlas(
            self.display, self.cells, self.counts, self.grid, labels=names, **kwargs
        )


class ActivationAtlas:
    """Samples one activation per input, at a random position, lays all out in the plane by t-SNE
    of their directions, and draws the mean of each cell of a grid.

    Args:
        model: Any built Keras 3 model; not altered.
        layer: Address, layer object or index of a layer with positions.
        grid: Cells a side.
        min_samples: Cells with fewer activations are left out.
        target: Whose score the classes of a cell are judged by: what explainers take; None: the
            predicted class of each input.
        num_labels: Classes named per cell.
        labels: Class names. None: ImageNet's, when the explained output has 1000 units.
        perplexity: Of t-SNE, about the number of neighbours that shall stay neighbours; None: 30,
            less for few inputs.
        size: Height and width of a cell's picture; None: what the model declares, 80 where it is
            open.
        steps: Gradient steps per picture; 0 only lays out.
        cosine_power: How strictly a picture keeps to the direction, see `kv.objectives.direction`.
        centred: Let the direction appear in the middle of the picture only, not everywhere.
        batch_size: Inputs run at once, and pictures drawn side by side.
        seed: The same seed gives the same positions, layout and pictures.
        **settings: Further settings of `kv.ActivationMaximization`.

    Call arguments:
        dataset: Arrays, or anything that `predict` takes; seen once, batch by batch. Of each input
            one activation vector is held.
        verbose: Keras's progress bar: "auto", 0, 1 or 2.

    Returns:
        An `Atlas`.

    Raises:
        AddressError: No such layer.
        InputError: Settings or inputs that do not fit, fewer than four inputs, or no cell with
            enough of them.
        TargetError: The outputs cannot answer the target.
        MethodError: A layer without positions, one that the score does not depend on, or NaN.

    Reference:
        Carter et al., "Activation Atlas", Distill 2019, https://distill.pub/2019/activation-atlas
        (which lays out by UMAP).

    Example:

    ```python
    atlas = kv.ActivationAtlas(model, "encoder/conv", grid=3, min_samples=1, steps=4)(dataset)
    print(atlas.counts.sum(), atlas.labels)
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        layer: Any,
        grid: int = 20,
        min_samples: int = 3,
        target: Any = None,
        num_labels: int = 3,
        labels: Sequence[str] | None = None,
        perplexity: float | None = None,
        size: int | None = None,
        steps: int = 128,
        cosine_power: float = 1.0,
        centred: bool = False,
        batch_size: int = 16,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        self._sampler = _Sampler(model, layer, target, labels)
        self._grid = whole(grid, "grid")
        self._min_samples = whole(min_samples, "min_samples")
        self._num_labels = whole(num_labels, "num_labels")
        self._perplexity = perplexity
        self._seed = whole(seed, "seed", 0)
        self._painter = Painter(
            model,
            self._sampler.address,
            size=size,
            steps=steps,
            cosine_power=cosine_power,
            centred=centred,
            batch_size=batch_size,
            seed=seed,
            settings=settings,
        )

    def __call__(self, dataset: Any, verbose: Any = "auto") -> Atlas:
        samples = self._sampler.sample(dataset, self._painter.batch_size, self._seed, verbose)
        coordinates = laid_out(samples.vectors, self._perplexity, self._seed)
        cells, members = binned(coordinates, self._grid, self._min_samples)
        vectors = np.stack([samples.vectors[chosen].mean(axis=0) for chosen in members])
        named = [samples.ranked(chosen, self._num_labels) for chosen in members]
        classes, attributions = (np.stack(column) for column in zip(*named, strict=True))
        names = self._sampler.wanted.classes(samples.units)
        pictures, display = self._painter.draw(vectors, verbose)
        return Atlas(
            coordinates=coordinates,
            activations=samples.vectors,
            cells=cells,
            counts=np.array([len(chosen) for chosen in members]),
            vectors=vectors,
            pictures=pictures,
            display=display,
            classes=classes,
            attributions=attributions,
            labels=tuple(
                tuple(class_name(names, int(one)) for one in row if one >= 0) for row in classes
            ),
            grid=self._grid,
            layer=self._sampler.address,
            parameters=self._parameters(),
            provenance=provenance(self._sampler.model),
        )

    def _parameters(self) -> dict[str, Any]:
        own = {
            "grid": self._grid,
            "min_samples": self._min_samples,
            "num_labels": self._num_labels,
            "perplexity": self._perplexity,
        }
        return own | self._painter.parameters


def laid_out(vectors: np.ndarray, perplexity: float | None, seed: int) -> np.ndarray:
    """(n, 2) coordinates in [0, 1] by t-SNE of the directions of (n, channels) vectors.

    Raises:
        InputError: Fewer than four vectors, or a perplexity that is not below their number.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    count = len(vectors)
    if count < LEAST:
        raise InputError(
            f"`dataset` must hold at least {LEAST} samples to lay out. Received: {count}."
        )
    wanted = min(PERPLEXITY, (count - 1) / 3) if perplexity is None else perplexity
    if not isinstance(wanted, (int, float)) or not 0 < wanted < count:
        raise InputError(
            f"`perplexity` must be above 0 and below the number of samples, {count}. "
            f"Received: {perplexity!r}."
        )
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    directions = vectors / np.where(lengths > 0, lengths, 1.0)
    if min(directions.shape) > COMPONENTS:
        directions = PCA(COMPONENTS, random_state=seed).fit_transform(directions)
    start = "pca" if directions.shape[1] > 1 and np.ptp(directions, axis=0).any() else "random"
    method = "exact" if count <= FEW else "barnes_hut"
    model = TSNE(2, perplexity=wanted, init=start, method=method, random_state=seed)
    layout = model.fit_transform(directions)
    low, high = layout.min(axis=0), layout.max(axis=0)
    return ((layout - low) / np.where(high > low, high - low, 1.0)).astype("float32")


def binned(
    coordinates: np.ndarray, grid: int, min_samples: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Row and column (m, 2) of the cells with enough points, and which points are in each.

    Args:
        coordinates: (n, 2) in [0, 1].
        grid: Cells a side.
        min_samples: Fewest points of a cell.

    Raises:
        InputError: No cell has enough.
    """
    index = np.minimum((coordinates * grid).astype(int), grid - 1)
    cells, inverse, counts = np.unique(index, axis=0, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(-1)
    full = np.flatnonzero(counts >= min_samples)
    if not full.size:
        raise InputError(
            f"At least one cell must hold {min_samples} samples. Received: at most {counts.max()}. "
            "Give more inputs, a smaller `grid` or `min_samples`."
        )
    return cells[full], [np.flatnonzero(inverse == cell) for cell in full]


@dataclasses.dataclass(frozen=True, eq=False)
class _Samples:
    """One activation per input, and what it says for the class that is scored."""

    vectors: np.ndarray
    attributions: np.ndarray
    classes: np.ndarray
    units: int | None

    def ranked(self, chosen: np.ndarray, num: int) -> tuple[np.ndarray, np.ndarray]:
        """The classes with the largest summed attribution of some of the samples, and that sum
        over their number."""
        known = np.unique(self.classes[chosen][self.classes[chosen] >= 0])
        sums = np.array(
            [self.attributions[chosen][self.classes[chosen] == one].sum() for one in known]
        )
        order = np.argsort(-sums, kind="stable")[:num]
        classes, values = np.full(num, -1), np.full(num, np.nan, "float32")
        classes[: len(order)] = known[order]
        values[: len(order)] = sums[order] / len(chosen)
        return classes, values


class _Kept:
    """What came so far, in an object that Keras does not track."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.vectors: list[np.ndarray] = []
        self.attributions: list[np.ndarray] = []
        self.classes: list[np.ndarray] = []
        self.units: int | None = None


class _Sampler(ScoredReader):
    """Takes one activation of each input, at a random position."""

    def reduce(self, features: Any, gradient: Any, feeds: Sequence[Any]) -> dict[str, Any]:
        vectors = at_share(features, feeds[0])
        return {
            "vectors": vectors,
            "attributions": ops.sum(vectors * at_share(gradient, feeds[0]), axis=-1),
        }

    def sample(self, dataset: Any, batch_size: int, seed: int, verbose: Any) -> _Samples:
        """One activation of each input of a data set."""
        self._kept = _Kept(seed)
        self.go_through(dataset, batch_size, verbose)
        kept, self._kept = self._kept, _Kept(seed)
        vectors = np.concatenate(kept.vectors)
        check_finite(vectors, self.address)
        return _Samples(
            vectors, np.concatenate(kept.attributions), np.concatenate(kept.classes), kept.units
        )

    def take(self, batch: Any) -> None:
        share = self._kept.random.random(batch.size).astype("float32")
        found, learned = self.scored(batch, [share])
        self._kept.vectors.append(found["vectors"])
        self._kept.attributions.append(found["attributions"])
        self._kept.classes.append(found.get("index", np.full(batch.size, -1)))
        self._kept.units = learned.units


def at_share(features: Any, share: Any) -> Any:
    """(batch, channels) at one position of each sample.

    Args:
        features: (batch, *positions, channels).
        share: (batch,) in [0, 1): which of the positions, row by row, as a share of their number.
    """
    channels = features.shape[-1]
    flat = ops.reshape(features, (ops.shape(features)[0], -1, channels))
    count = ops.shape(flat)[1]
    index = ops.cast(share * ops.cast(count, "float32"), "int32")
    index = ops.minimum(index, count - 1)[:, None, None]
    shape = (ops.shape(flat)[0], 1, channels)
    return ops.take_along_axis(flat, ops.broadcast_to(index, shape), axis=1)[:, 0]
